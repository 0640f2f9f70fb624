package roster_test

import (
	"slices"
	"strings"
	"unicode"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/match"
	"github.com/rosterdb/roster/internal/text"
)

// oracleUser is a user's record with its fields folded.
type oracleUser struct {
	roster.User
	name   string // under identity folding
	values []oracleValue
}

type oracleValue struct {
	field  uint8
	folded string
	runes  []rune
	words  [][]rune // that may be misspelt
}

func newOracleUser(u roster.User) *oracleUser {
	o := &oracleUser{User: u, name: text.Fold(u.Username)}
	add := func(f uint8, values ...string) {
		for _, v := range values {
			o.values = append(o.values, newOracleValue(f, match.Fold(v)))
		}
	}
	add(roster.Username, u.Username)
	add(roster.FullName, u.FullName)
	add(roster.Email, u.Email)
	add(roster.Description, u.Description)
	add(roster.Attributes, u.Attributes["title"]...)
	return o
}

func newOracleValue(field uint8, folded string) oracleValue {
	v := oracleValue{field: field, folded: folded, runes: []rune(folded)}
	for _, w := range strings.FieldsFunc(folded, func(r rune) bool { return !word(r) }) {
		v.words = append(v.words, []rune(w))
	}
	if field == roster.Username && !strings.Contains(folded, " ") {
		v.words = append(v.words, v.runes)
	}
	return v
}

// oracleQuery is a query taken apart.
type oracleQuery struct {
	roster.SearchQuery
	fields uint8
	whole  string // the text without white space around it
	parts  []oraclePart
}

type oraclePart struct {
	typed           string
	pieces, swapped []string // folded, and with domain and name exchanged
}

func newOracleQuery(q roster.SearchQuery) *oracleQuery {
	o := &oracleQuery{SearchQuery: q, fields: q.Fields, whole: strings.TrimSpace(q.Text)}
	if o.fields == 0 {
		o.fields = roster.Username | roster.FullName | roster.Email | roster.Description | roster.Attributes
	}
	for _, typed := range strings.FieldsFunc(q.Text, parting) {
		p := oraclePart{typed: typed, pieces: strings.FieldsFunc(match.Fold(typed), parting)}
		for _, piece := range p.pieces {
			p.swapped = append(p.swapped, swapped(piece))
		}
		o.parts = append(o.parts, p)
	}
	return o
}

// matches says of one user's record whether the query finds it, and first. It
// is written down from the documentation, with match.Fold as the folding.
func (q *oracleQuery) matches(tx *roster.Txn, u *oracleUser) (exact, matches bool) {
	if q.Fields == roster.Username && !q.Fuzzy {
		return false, strings.HasPrefix(u.name, text.Fold(q.Text))
	}
	if q.whole == "" {
		return false, true
	}
	if q.fields&roster.Username != 0 {
		exact = text.Fold(q.whole) == u.name || means(tx, u, q.whole, false)
	}
	all := len(q.parts) > 0
	for _, part := range q.parts {
		for i, p := range part.pieces {
			found := q.fields&roster.Username != 0 && means(tx, u, part.typed, true)
			for _, v := range u.values {
				if q.fields&v.field != 0 && !found {
					found = in(p, &v) || in(part.swapped[i], &v) || q.Fuzzy && misspelt(p, &v)
				}
			}
			all = all && found
		}
		if len(part.pieces) == 0 && len(q.parts) == 1 {
			all = false
		}
	}
	return exact, all
}

func parting(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(",;，；、", r)
}

// means reports whether a text is domain\name or name@domain of a user.
func means(tx *roster.Txn, u *oracleUser, s string, prefix bool) bool {
	if !strings.ContainsAny(s, `\@`) {
		return false
	}
	d, err := tx.Directory(u.Directory)
	if err != nil {
		return false
	}
	name := u.name
	of := func(domain string) bool {
		return text.Fold(domain) == text.Fold(d.Name) || text.Fold(domain) == text.Fold(d.Domain)
	}
	if domain, n, ok := strings.Cut(s, `\`); ok && domain != "" && of(domain) {
		if prefix && n != "" && strings.HasPrefix(name, text.Fold(n)) || name == text.Fold(n) {
			return true
		}
	} else if ok && prefix {
		return false
	}
	i := strings.LastIndexByte(s, '@')
	return i > 0 && of(s[i+1:]) && name == text.Fold(s[:i])
}

// swapped exchanges domain and name.
func swapped(p string) string {
	if a, b, ok := strings.Cut(p, `\`); ok {
		if a == "" || b == "" {
			return p
		}
		return b + "@" + a
	}
	if i := strings.LastIndexByte(p, '@'); i > 0 && i+1 < len(p) {
		return p[i+1:] + `\` + p[:i]
	}
	return p
}

// in reports whether a part stands in a field where a word begins, or anywhere.
func in(part string, v *oracleValue) bool {
	if !strings.Contains(v.folded, part) {
		return false
	}
	p, f := []rune(part), v.runes
	for i := 0; i+len(p) <= len(f); i++ {
		if slices.Equal(f[i:i+len(p)], p) && (len(p) >= 3 || i == 0 || !word(f[i]) || !word(f[i-1]) || unicode.In(f[i], unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)) {
			return true
		}
	}
	return false
}

func word(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }

// misspelt reports whether a field has a word that is one typo away.
func misspelt(part string, v *oracleValue) bool {
	p := []rune(part)
	if len(p) < 4 || len(p) > 64 {
		return false
	}
	return slices.ContainsFunc(v.words, func(w []rune) bool {
		// One typo leaves the first character or the last one.
		apart := len(p) - len(w)
		return -1 <= apart && apart <= 1 && (p[0] == w[0] || p[len(p)-1] == w[len(w)-1]) && near(p, w)
	})
}

// near tries every typo.
func near(a, b []rune) bool {
	if slices.Equal(a, b) {
		return true
	}
	for i := range a {
		if slices.Equal(slices.Delete(slices.Clone(a), i, i+1), b) {
			return true
		}
		if len(a) == len(b) && slices.Equal(a[:i], b[:i]) && slices.Equal(a[i+1:], b[i+1:]) {
			return true
		}
		if i > 0 {
			c := slices.Clone(a)
			if c[i-1], c[i] = c[i], c[i-1]; slices.Equal(c, b) {
				return true
			}
		}
	}
	for i := range b {
		if slices.Equal(slices.Delete(slices.Clone(b), i, i+1), a) {
			return true
		}
	}
	return false
}
