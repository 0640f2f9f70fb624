package match

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"O'Brien": "obrien", "O’Brien": "obrien", "o´brien": "obrien", "Müller": "muller", "Mu\u0308ller": "muller",
		"Straße": "strasse", "STRASSE": "strasse", "ＡＢＣ１２": "abc12", "ﬁn": "fin", "Øre": "ore", "Łódź": "lodz",
		"İstanbul": "istanbul", "Iğdır": "igdir", "Αθήνα": "αθηνα", "ΟΔΟΣ": "οδοσ", "οδος": "οδοσ", "ᾳ": "α",
		"Ёлка": "елка", "Й": "и", "김철수": "김철수", "ガ": "ガ", "ｶﾞ": "ガ", "مُحَمَّد": "محمد", "a\u200Fb\u00ADc": "abc",
		"a\x00b\tc": "a b c", "㎆": "mb", "ŉ": "n", "हिन्दी": "हिन्दी", "a\xffb": "ab", "Æsir": "aesir", "שָׁלוֹם": "שלום",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if f := Fold(s); Fold(f) != f {
			t.Fatalf("Fold(%q) = %q, and of that %q", s, f, Fold(f))
		}
	})
}

// user returns a user with these fields.
func user(name, full, email, description string) *User {
	u := &User{Directory: 1, Name: strings.ToLower(name)}
	u.Add(Username, name)
	u.Add(FullName, full)
	u.Add(Email, email)
	u.Add(Description, description)
	return u
}

func TestMatch(t *testing.T) {
	alan := user("alan.turing", "Alan M. Turing", "a.turing@kings.example", "CN=Alan Turing,OU=Computing Machinery,DC=example")
	brien := user(`corp\obrien`, "Seán O'Brien", "so@x.example", "")
	li := user("li", "田中太郎", "", "")
	for _, c := range []struct {
		u     *User
		text  string
		fuzzy bool
		want  bool
	}{
		{alan, "al tu", false, true}, {alan, "Turing, Alan", false, true}, {alan, "uri", false, true}, {alan, "ur", false, false},
		{alan, "ou=comp", false, true}, {alan, "OU=Computing Machinery", false, true}, {alan, "a.turing@kings", false, true},
		{alan, "*", false, false}, {alan, "al*", false, false}, {alan, "m.", false, true}, {alan, ".", false, true},
		{alan, "tuirng", false, false}, {alan, "tuirng", true, true}, {alan, "turng", true, true}, {alan, "alan.turimg", true, true},
		{alan, "tring", true, true}, {alan, "mashinery", true, true}, {alan, "tur1n9", true, false}, {alan, "aln", true, false},
		{brien, "obrien", false, true}, {brien, "brien", false, true}, {brien, "O’BRIEN", false, true}, {brien, "sean", false, true},
		{brien, `corp\obrien`, false, true}, {brien, "obrien@corp", false, true}, {brien, `corp\o`, false, true},
		{li, "太郎", false, true}, {li, "中", false, true}, {li, "太郎田", false, false},
	} {
		q := Query{Terms: Parse(c.text), Fields: AllFields, Fuzzy: c.fuzzy}
		if q.Match(c.u) != c.want {
			t.Errorf("%q fuzzy %v in %q: %v", c.text, c.fuzzy, c.u.Name, !c.want)
		}
	}
}

// alphabet is small, so that things occur.
var alphabet = rapid.StringMatching(`[abÀß'. 田太=\\@]{0,12}`)

// TestPlan holds what an index does with grams and words to Occurs.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := user(alphabet.Draw(t, "name"), alphabet.Draw(t, "full"), "", "")
		has, words := map[string]bool{}, map[string]bool{}
		u.Grams(func(g string) { has[g] = true })
		u.Words(func(w string) { words[w] = true })
		for _, term := range Parse(alphabet.Draw(t, "text")) {
			form := term.Forms[0]
			p := PlanOf(form)
			all := !slices.ContainsFunc(p.All, func(g string) bool { return !has[g] })
			occurs := slices.ContainsFunc(u.Texts, func(x Text) bool { return Occurs(form, x.Value) })
			sure := all && p.Sure() || has[p.Gram] || words[p.Word]
			if occurs && !all || sure && !occurs || p.Sure() && occurs != all {
				t.Fatalf("%q in %q: occurs %v, all grams %v, sure %v", form, u.Texts, occurs, all, sure)
			}
		}
	})
}

// TestOneTypo compares with the distance computed in full.
func TestOneTypo(t *testing.T) {
	word := rapid.StringMatching(`[abc]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := oneTypo([]rune(a), []rune(b)), distance(a, b) <= 1; got != want {
			t.Fatalf("%q and %q: %v", a, b, got)
		}
	})
}

func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
