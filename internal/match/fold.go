package match

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterdb/roster/internal/text"
)

// Fold returns the search folding of s: what is left of it when case, accents,
// width, apostrophes and invisible characters do not count. It is not the
// folding that decides whether two names are one name; see package text.
//
// Runs of white space and control characters are kept as they are but for
// becoming spaces. What is not UTF-8 is dropped.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf {
			return foldUnicode(s)
		} else if 'A' <= c && c <= 'Z' || c < ' ' || c == 0x7f || c == '\'' || c == '`' {
			return foldASCII(s, i)
		}
	}
	return s
}

// foldASCII is Fold of an s that is folded up to i.
func foldASCII(s string, i int) string {
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return foldUnicode(s)
		case c == '\'' || c == '`':
		case c < ' ' || c == 0x7f:
			b = append(b, ' ')
		default:
			b = append(b, text.Lower(c))
		}
	}
	return string(b)
}

// foldUnicode decomposes, so that accents stand apart and wide, narrow and
// joined forms become the ordinary ones; strips; folds case, which makes ss of
// ß; replaces the letters that Unicode does not take apart; and composes, so
// that a syllable of Hangul is one letter again.
func foldUnicode(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(strip, s) // U+00B4 and its like would decompose into a space and an accent
	s = text.Fold(strings.Map(strip, norm.NFKD.String(s)))
	return norm.NFC.String(plainLetters.Replace(s))
}

// strip returns -1 for what does not count.
func strip(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		switch {
		case r == '\'' || r == '`':
			return -1
		case r < ' ' || r == 0x7f:
			return ' '
		}
		return r
	case strings.ContainsRune(apostrophes, r), unicode.Is(unicode.Cf, r):
		return -1
	case unicode.IsSpace(r), unicode.IsControl(r):
		return ' '
	case unicode.In(r, unicode.Mn, unicode.Me) && isAccent(r):
		return -1
	}
	return r
}

// apostrophes are the characters beside the ASCII ones that stand for one, or
// for a letter that is written like one.
const apostrophes = "´ʹʺʻʼʽʾʿˈˊˋ΄᾽᾿῾‘’‚‛′‵Ꞌꞌ＇｀"

// isAccent tells the marks that go with a letter from those that are vowels of
// their own, as in the scripts of India, and from the sound marks of kana.
func isAccent(r rune) bool {
	if r == 0x3099 || r == 0x309A {
		return false
	}
	return unicode.In(r, unicode.Inherited, unicode.Arabic, unicode.Cyrillic, unicode.Greek, unicode.Hebrew, unicode.Latin, unicode.Syriac)
}

// plainLetters takes apart the letters that Unicode holds to be letters of their
// own and that people type without.
var plainLetters = strings.NewReplacer(
	"ø", "o", "đ", "d", "ð", "d", "ł", "l", "ħ", "h", "ı", "i", "ŧ", "t", "æ", "ae", "œ", "oe", "þ", "th",
)

// inWord reports whether r is part of a word.
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// standsAlone reports whether r is of a script whose words are written without
// spaces, or are syllables: each letter begins a word there.
func standsAlone(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && !unicode.IsMark(r)
}

// begins reports whether a word begins at byte i of s, or something that is no
// word.
func begins(s string, i int) bool {
	if i == 0 {
		return true
	}
	r, _ := utf8.DecodeRuneInString(s[i:])
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	return beginsWith(before, r)
}

// beginsWith is begins for the characters on both sides.
func beginsWith(before, r rune) bool {
	return !inWord(r) || !inWord(before) || standsAlone(r)
}

// separates reports whether r stands between the terms of a query.
func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == ',' || r == ';' || r == '，' || r == '；' || r == '、'
}
