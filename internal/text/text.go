// Package text holds the one folding that decides whether two names are the
// same name, and the rules for what may be a name at all.
//
// # Identity folding
//
// Two names are one when they are equal after Unicode canonical caseless
// matching (definition D145 of the Unicode Standard): decompose, apply full
// case folding, compose. So "Straße", "STRASSE" and "strasse" are one name, and
// so are the composed and the decomposed "é"; "müller" and "muller" are two.
// No language is assumed: Turkish "İ" folds to "i̇" (i and a combining dot),
// which is not "i".
//
// Unicode guarantees that the folding of an assigned character never changes.
// A character that the tables linked into the program do not know yet folds to
// itself, and may fold to something else after an upgrade of those tables: what
// is derived from foldings is therefore rebuilt, never stored.
//
// # Concurrency
//
// All functions may be called from any number of goroutines.
package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxName is the greatest length of a name, in bytes of its normal form.
const MaxName = 256

// The reasons of [ValidName].
var (
	ErrLength  = errors.New("must be 1 to 256 bytes long")
	ErrUTF8    = errors.New("must be valid UTF-8")
	ErrControl = errors.New("must not hold control characters")
)

// folder is the one kind of cases.Caser without state, documented as safe for
// concurrent use. All other kinds must not be shared.
var folder = cases.Fold()

// Fold returns the identity folding of s in composed form (NFC). Fold of a
// folded string is that string. What is not valid UTF-8 is returned as it is:
// it is no name and equals none.
//
// Fold does not allocate when s is folded already, as the names of most
// directories are.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf {
			return foldUnicode(s)
		} else if 'A' <= c && c <= 'Z' {
			return foldUpper(s, i)
		}
	}
	return s
}

// foldUpper is Fold of an s whose first upper case letter is at i.
func foldUpper(s string, i int) string {
	b := make([]byte, len(s))
	copy(b, s[:i])
	for ; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return foldUnicode(s)
		}
		b[i] = Lower(s[i])
	}
	return unsafe.String(unsafe.SliceData(b), len(b)) // b is not written again
}

func foldUnicode(s string) string {
	if !utf8.ValidString(s) || isFolded(s) {
		return s
	}
	return norm.NFC.String(folder.String(strings.Map(smallCherokee, norm.NFD.String(s))))
}

// smallCherokee makes Cherokee letters small. They fold to their capitals, the
// only letters to do so; folder gets that right for the small ones, but folds
// the capitals to small letters again.
func smallCherokee(r rune) rune {
	if 0x13A0 <= r && r <= 0x13F5 {
		return unicode.ToLower(r)
	}
	return r
}

// isFolded reports whether valid UTF-8 is composed and none of its characters
// folds to another. It can be false for a folded string ("ΐ" folds to three
// characters that compose to it again), never true for one that is not.
func isFolded(s string) bool {
	if norm.NFC.QuickSpanString(s) != len(s) { // IsNormalString would allocate
		return false
	}
	// Span reads the bytes and keeps nothing.
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	n, err := folder.Span(b, true)
	return err == nil && n == len(b)
}

// Lower returns the lower case of an ASCII letter and any other byte unchanged.
// Applied to every byte it folds an ASCII string, and leaves a folded one alone.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// IsASCII reports whether s holds only ASCII, so that [Lower] of its bytes is
// its folding.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// IsFolded reports whether Fold(s) == s.
func IsFolded(s string) bool { return Fold(s) == s }

// Normal returns s in composed form (NFC), the form in which names are stored
// and shown. It keeps upper and lower case. It does not allocate when s is
// composed already; what is not valid UTF-8 is returned as it is.
func Normal(s string) string {
	if norm.NFC.QuickSpanString(s) == len(s) || !utf8.ValidString(s) {
		return s
	}
	return norm.NFC.String(s)
}

// ValidName returns nil when Normal(s) may be the name of a user or a group,
// and otherwise the reason, an error that wraps [ErrLength], [ErrUTF8] or
// [ErrControl] and reads on after "the name".
func ValidName(s string) error {
	switch n := len(Normal(s)); {
	case n == 0:
		return fmt.Errorf("%w, is empty", ErrLength)
	case n > MaxName:
		return fmt.Errorf("%w, has %d", ErrLength, n)
	}
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !validAt(s, i):
			return fmt.Errorf("%w, has byte %#02x at offset %d", ErrUTF8, s[i], i)
		case unicode.IsControl(r):
			return fmt.Errorf("%w, has %U at offset %d", ErrControl, r, i)
		}
	}
	return nil
}

// validAt tells a replacement character that is really in s from a broken byte.
func validAt(s string, i int) bool {
	_, size := utf8.DecodeRuneInString(s[i:])
	return size > 1
}
