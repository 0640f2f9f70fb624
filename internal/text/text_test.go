package text_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/text"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// plainFold is the definition, with no short cut, character by character.
func plainFold(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		b.WriteString(plainRune(r))
	}
	return norm.NFC.String(b.String())
}

// plainRune is the full case folding of one character: that of x/text but for
// the capital Cherokee letters, which CaseFolding.txt does not list.
func plainRune(r rune) string {
	if unicode.Is(unicode.Cherokee, r) && unicode.IsUpper(r) {
		return string(r)
	}
	return cases.Fold().String(string(r))
}

func TestFoldExamples(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"alice", "alice"},
		{"Alice", "alice"},
		{"ALICE@Example.ORG", "alice@example.org"},
		{"[a_b-c.d]`{}", "[a_b-c.d]`{}"}, // the neighbours of the letters
		{"müller", "müller"},
		{"MÜLLER", "müller"},
		{"Mu\u0308ller", "müller"},
		{"muller", "muller"},
		{"Straße", "strasse"},
		{"STRAẞE", "strasse"},
		{"ŒUVRE", "œuvre"},
		{"\u212Bngström", "ångström"}, // the sign is the letter
		{"\u212Aelvin", "kelvin"},
		{"İstanbul", "i\u0307stanbul"},
		{"Iğdır", "iğdır"},
		{"ΣΊΣΥΦΟΣ", "σίσυφοσ"},
		{"Σίσυφος", "σίσυφοσ"}, // final sigma is sigma
		{"ΐ", "ΐ"},
		{"ᾳ", "αι"},
		{"ﬃ", "ffi"},
		{"Ꭰ", "Ꭰ"}, {"ꭰ", "Ꭰ"}, // Cherokee folds upwards
		{"北京", "北京"},
		{"bad\xff", "bad\xff"},
		{"BAD\xff", "BAD\xff"},
	} {
		if got := text.Fold(tc.in); got != tc.want {
			t.Errorf("Fold(%+q) = %+q, want %+q", tc.in, got, tc.want)
		}
	}
}

func TestFoldKeepsApart(t *testing.T) {
	for _, pair := range [][2]string{
		{"müller", "muller"}, {"müller", "mueller"}, {"i", "ı"}, {"İ", "i"},
		{"ﬁ\u200d", "fi"}, {"o", "0"}, {"а", "a"}, {"ø", "o"}, {"½", "1/2"},
	} {
		if text.Fold(pair[0]) == text.Fold(pair[1]) {
			t.Errorf("%+q and %+q fold to the same name", pair[0], pair[1])
		}
	}
}

// TestFoldEveryCharacter holds the short cuts to the definition for every
// character. Folding works character by character, so what holds for each
// decomposed character holds for every string.
func TestFoldEveryCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		s := string(r)
		got := text.Fold(s)
		if want := plainFold(s); got != want {
			t.Fatalf("Fold(%U) = %+q, want %+q", r, got, want)
		}
		if again := text.Fold(got); again != got {
			t.Fatalf("Fold(%U) = %+q folds again to %+q", r, got, again)
		}
		if other := unicode.SimpleFold(r); text.Fold(string(other)) != got {
			t.Fatalf("%U and %U differ in case alone, but fold to %+q and %+q", r, other, got, text.Fold(string(other)))
		}
		if plainRune(r) != s {
			continue
		}
		// A character that does not fold has no part that folds.
		for _, part := range norm.NFD.String(s) {
			if plainRune(part) != string(part) {
				t.Fatalf("%U does not fold, its part %U does", r, part)
			}
		}
	}
}

func names() *rapid.Generator[string] {
	chars := rapid.SampledFrom([]rune("aAzZ09 _-éÉüÜßẞİıΣσςΐᾳŉǰﬃ\u0345\u0301\u0308\u0307\u0323\u1100\u1161\u11a8각北Ꭰꭰ\u212a\u212b\ufffd"))
	return rapid.OneOf(rapid.String(), rapid.StringOf(chars), rapid.StringMatching(`[A-Za-z0-9._@-]{0,20}`))
}

func checkFold(t interface{ Fatalf(string, ...any) }, s string) {
	got := text.Fold(s)
	if want := plainFold(s); got != want {
		t.Fatalf("Fold(%+q) = %+q, want %+q", s, got, want)
	}
	if again := text.Fold(got); again != got {
		t.Fatalf("Fold(%+q) = %+q folds again to %+q", s, got, again)
	}
	if text.IsFolded(s) != (got == s) {
		t.Fatalf("IsFolded(%+q) = %t", s, text.IsFolded(s))
	}
	if !utf8.ValidString(s) {
		return
	}
	for _, form := range []norm.Form{norm.NFC, norm.NFD} {
		if v := form.String(s); text.Fold(v) != got {
			t.Fatalf("Fold(%+q) = %+q, but %+q for the same text %+q", s, got, text.Fold(v), v)
		}
	}
	if !norm.NFC.IsNormalString(got) || text.Normal(s) != norm.NFC.String(s) {
		t.Fatalf("Fold(%+q) = %+q and Normal = %+q: not composed", s, got, text.Normal(s))
	}
}

func TestFoldProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := names().Draw(t, "s")
		checkFold(t, s)
		// Joining can reorder and compose marks over the seam, no more; but an iota
		// below a letter, which marks come before, folds to a letter, which they
		// come after.
		u := names().Draw(t, "u")
		if !utf8.ValidString(s) || !utf8.ValidString(u) ||
			u == "" || strings.HasSuffix(norm.NFD.String(s), "\u0345") && norm.NFD.PropertiesString(u).CCC() != 0 {
			return
		}
		if a, b := text.Fold(s+u), text.Normal(text.Fold(s)+text.Fold(u)); a != b {
			t.Fatalf("Fold(%+q + %+q) = %+q, want %+q", s, u, a, b)
		}
	})
}

func TestFoldIgnoresCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-zA-Z0-9éÉüÜàÀßñÑσΣжЖ@._-]{0,30}`).Draw(t, "s")
		for _, v := range []string{strings.ToUpper(s), strings.ToLower(s)} {
			if text.Fold(v) != text.Fold(s) {
				t.Fatalf("Fold(%+q) = %+q, but Fold(%+q) = %+q", s, text.Fold(s), v, text.Fold(v))
			}
		}
	})
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"", "Alice", "MÜLLER", "Mu\u0308ller", "ß", "İ", "Σίσυφος", "\xff", "a\u0345\u0301", "\u0958"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkFold(t, s) })
}

func TestFoldDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"", "alice.liddell@example.org", "müller", "北京", "жанна"} {
		if n := testing.AllocsPerRun(100, func() { text.Fold(s); text.Normal(s) }); n != 0 {
			t.Errorf("Fold and Normal of %q allocate %v times", s, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { text.Fold("Alice") }); n > 1 {
		t.Errorf("Fold of an upper case name allocates %v times, want 1", n)
	}
}

func TestFoldConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			s := strings.Repeat("Éß", g+1)
			for range 500 {
				if text.Fold(s) != strings.Repeat("éss", g+1) {
					t.Errorf("Fold(%q) = %q", s, text.Fold(s))
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestValidName(t *testing.T) {
	composes := strings.Repeat("e\u0301", 128) // 384 bytes, 256 when composed
	for _, tc := range []struct {
		name string
		want error
	}{
		{"alice", nil}, {"Alice Liddell", nil}, {"müller", nil}, {"北京", nil}, {"a\ufffdb", nil},
		{strings.Repeat("a", 256), nil}, {composes, nil},
		{"", text.ErrLength}, {strings.Repeat("a", 257), text.ErrLength}, {composes + "a", text.ErrLength},
		{"a\xffb", text.ErrUTF8}, {"\xc3", text.ErrUTF8}, {"\xed\xa0\x80", text.ErrUTF8},
		{"a\nb", text.ErrControl}, {"\x00", text.ErrControl}, {"\x7f", text.ErrControl}, {"a\u0085", text.ErrControl},
	} {
		if err := text.ValidName(tc.name); !errors.Is(err, tc.want) {
			t.Errorf("ValidName(%+q) = %v, want %v", tc.name, err, tc.want)
		}
	}
}

func BenchmarkFold(b *testing.B) {
	for _, tc := range []struct{ name, s string }{
		{"lower", "alice.liddell"}, {"upper", "Alice.Liddell"}, {"folded", "müller.jürgen"}, {"unicode", "Müller.Jürgen"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text.Fold(tc.s)
			}
		})
	}
}
