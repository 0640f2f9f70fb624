// Package match says what a search finds: it is the one definition that the
// index, and whatever else makes searching fast, must agree with.
//
// A query is taken apart at white space, commas and semicolons into terms, and
// finds the users in whom every term occurs. A term occurs in a field when,
// both folded with [Fold],
//
//   - the field holds it where a word begins: "tu" in "Alan Turing"; or
//   - it has at least three characters and the field holds it anywhere: "uring";
//   - or, if the query is fuzzy and the term has at least four characters, when
//     a word of the field, or a whole username, is one typo away from it: a
//     character more, less or other, or two neighbours exchanged.
//
// A word is a row of letters and digits. What is neither begins anywhere, so
// that any character that a user types is looked for as it stands. In scripts
// that are written without spaces each letter begins a word.
//
// "domain\name" and "name@domain" are looked for in both forms, and mean the
// users of that name in a directory of that domain too; see [Scope].
package match

import (
	"strings"
	"unicode/utf8"
)

// Fields is a set of fields of a user.
type Fields uint8

// The fields.
const (
	Username Fields = 1 << iota
	FullName
	Email
	Description
	Attributes

	AllFields = Username | FullName | Email | Description | Attributes
)

// MaxField is how many bytes of a field are looked at. Longer ones are
// descriptions that nobody searches to their end, and would fill an index.
const MaxField = 1024

// User is what is looked at of a user.
type User struct {
	Directory uint32
	Name      string // the username under identity folding
	Texts     []Text
}

// Text is the value of a field.
type Text struct {
	Field Fields
	Value string // folded, and no longer than MaxField makes it
}

// Add adds the value of a field, as it is stored.
func (u *User) Add(f Fields, value string) {
	if len(value) > MaxField {
		value = value[:MaxField]
	}
	if value = Fold(value); value != "" {
		u.Texts = append(u.Texts, Text{f, value})
	}
}

// Query is a text taken apart.
type Query struct {
	Terms  []Term
	Fields Fields
	Fuzzy  bool
}

// Term is one of the things that a query looks for.
type Term struct {
	Raw    string   // as it was typed
	Forms  []string // folded: as it was typed, and with domain and name exchanged
	Scopes []Scope
}

// Scope is what a term of the form domain\name or name@domain means: users of
// one directory whose username begins with a name, or is it. It compares under
// identity folding, as the order of names does, so that it is a range of that.
type Scope struct {
	Directory uint32
	Name      string
	Whole     bool
}

// Parse takes a text apart. Scopes are for the caller to add, who knows the
// directories.
func Parse(text string) []Term {
	var terms []Term
	for _, raw := range strings.FieldsFunc(text, separates) {
		for _, folded := range strings.FieldsFunc(Fold(raw), separates) {
			terms = append(terms, Term{Raw: raw, Forms: forms(folded)})
		}
	}
	return terms
}

// forms returns a folded term, and what it is with domain and name exchanged.
func forms(s string) []string {
	out := []string{s}
	if domain, name, ok := SplitDomain(s); ok {
		if strings.HasPrefix(s[len(domain):], `\`) {
			return append(out, name+"@"+domain)
		}
		return append(out, domain+`\`+name)
	}
	return out
}

// SplitDomain takes domain\name or name@domain apart.
func SplitDomain(s string) (domain, name string, ok bool) {
	if domain, name, ok = strings.Cut(s, `\`); !ok {
		i := strings.LastIndexByte(s, '@')
		if i < 0 {
			return "", "", false
		}
		domain, name = s[i+1:], s[:i]
	}
	return domain, name, domain != "" && name != ""
}

// Match reports whether every term of the query occurs in the user.
func (q *Query) Match(u *User) bool {
	for i := range q.Terms {
		if !q.finds(&q.Terms[i], u) {
			return false
		}
	}
	return true
}

func (q *Query) finds(t *Term, u *User) bool {
	for _, x := range u.Texts {
		if x.Field&q.Fields == 0 {
			continue
		}
		for _, form := range t.Forms {
			if Occurs(form, x.Value) {
				return true
			}
		}
	}
	if q.Fields&Username != 0 {
		for _, s := range t.Scopes {
			if s.holds(u) {
				return true
			}
		}
	}
	return q.Fuzzy && q.nearly(t.Forms[0], u)
}

func (s Scope) holds(u *User) bool {
	if s.Directory != u.Directory {
		return false
	}
	if s.Whole {
		return s.Name == u.Name
	}
	return strings.HasPrefix(u.Name, s.Name)
}

// Occurs reports whether a folded field holds a folded term.
func Occurs(term, field string) bool {
	if utf8.RuneCountInString(term) >= GramSize {
		return strings.Contains(field, term)
	}
	for i := 0; ; {
		j := strings.Index(field[i:], term)
		if j < 0 {
			return false
		}
		if begins(field, i+j) {
			return true
		}
		_, size := utf8.DecodeRuneInString(field[i+j:])
		i += j + size
	}
}

// Terms that may be misspelt, and the words that they may be meant for, have
// these numbers of characters.
const (
	minFuzzy = 4
	maxFuzzy = 64
)

// MayBeMisspelt reports whether a folded term may be meant for another word.
func MayBeMisspelt(term string) bool {
	n := utf8.RuneCountInString(term)
	return minFuzzy <= n && n <= maxFuzzy
}

func (q *Query) nearly(term string, u *User) bool {
	if !MayBeMisspelt(term) {
		return false
	}
	found := false
	t := []rune(term)
	u.words(q.Fields, func(w string) {
		found = found || oneTypo(t, []rune(w))
	})
	return found
}

// oneTypo reports whether a and b are equal or one typo apart.
func oneTypo(a, b []rune) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0 // what both begin with
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return equal(a[i:], b[i+1:])
	}
	if i == len(a) || equal(a[i+1:], b[i+1:]) {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && equal(a[i+2:], b[i+2:])
}

func equal(a, b []rune) bool { return string(a) == string(b) }
