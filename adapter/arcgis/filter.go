package arcgis

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/text"
)

// maxFilter is the length of the longest filter, in bytes.
const maxFilter = 256

// filter is the parameter of that name. Without an asterisk it fits names that
// begin with it: a name alone, domain\name, name@domain, and of users each word
// of the full name too. With one it fits a name or a full name as a whole, * being
// any text. Capital letters do not count, and no other character means anything
// but itself.
type filter struct {
	given  string
	folded string
	glob   bool
}

func (c *call) filter() (*filter, error) {
	given, err := c.p.text("filter")
	if err != nil {
		return nil, err
	}
	if given == "" {
		// A client of this API is known to write it so.
		if given, err = c.p.text("filters"); err != nil {
			return nil, err
		}
	}
	if len(given) > maxFilter {
		return nil, badRequest(fmt.Sprintf("Parameter 'filter' is longer than %d bytes.", maxFilter))
	}
	f := &filter{given: given, folded: text.Fold(text.Normal(given)), glob: strings.Contains(given, "*")}
	if strings.Trim(given, "*") == "" {
		f.folded, f.glob = "", false
	}
	return f, nil
}

// all reports whether the filter fits everything.
func (f *filter) all() bool { return f.folded == "" }

// fits reports whether one of the forms of a folded name fits.
func (f *filter) fits(d *directory, name string) bool {
	return f.whole(name) || f.whole(d.called[0]+`\`+name) || f.whole(name+"@"+d.called[0])
}

func (f *filter) whole(s string) bool {
	if f.glob {
		return matchGlob(f.folded, s)
	}
	return strings.HasPrefix(s, f.folded)
}

// fitsFullName reports whether a full name fits.
func (f *filter) fitsFullName(name string) bool {
	if name = text.Fold(name); f.glob {
		return matchGlob(f.folded, name)
	}
	before := ' '
	for i, r := range name {
		if !isWord(before) && isWord(r) && strings.HasPrefix(name[i:], f.folded) {
			return true
		}
		before = r
	}
	return false
}

// isWord reports whether a character is part of a word.
func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// matchGlob reports whether a text is what a pattern says. It takes time in
// proportion to the two lengths multiplied at worst.
func matchGlob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// piece returns the longest row of letters and digits that everything a pattern
// fits holds, if it has at least three characters: what is found by it elsewhere
// than at the beginning of words too.
func (f *filter) piece() string {
	longest := ""
	for _, p := range strings.FieldsFunc(f.folded, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if utf8.RuneCountInString(p) >= max(3, utf8.RuneCountInString(longest)+1) {
			longest = p
		}
	}
	return longest
}
