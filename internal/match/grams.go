package match

import (
	"unicode/utf8"
)

// What an index stores of a user are grams and words.
//
// The grams of a user are, of each row of characters without a space in a field,
//
//   - the first one and the first two characters from where a word begins,
//   - every three neighbouring characters, and
//   - four, five and six characters from where a word of letters and digits begins.
//
// So whether a term of up to three characters occurs in a user is whether that
// is one of its grams; a longer one occurs at most in those that have all its
// grams of three, and certainly in those that have the whole of it.
//
// The words are those that a misspelt term may be meant for.

// GramSize is the length of the grams that stand for any place in a field.
const GramSize = 3

// longGram is the length of the longest gram.
const longGram = 6

// Grams calls yield for every gram of a user, for some more than once.
func (u *User) Grams(yield func(string)) {
	for _, t := range u.Texts {
		grams(t.Value, yield)
	}
}

func grams(s string, yield func(string)) {
	before := ' '
	for i, r := range s {
		if r != ' ' {
			gramsAt(s[i:], i == 0 || beginsWith(before, r), inWord(r), yield)
		}
		before = r
	}
}

// gramsAt calls yield for the grams that s begins with.
func gramsAt(s string, begins, word bool, yield func(string)) {
	n := 0
	for i, r := range s {
		if n > 0 && (begins && (n < GramSize || n > GramSize && word) || n == GramSize) {
			yield(s[:i])
		}
		if r == ' ' || n == longGram || n == GramSize && !(begins && word) {
			return
		}
		n++
	}
	if begins && (n < GramSize || n > GramSize && word) || n == GramSize {
		yield(s)
	}
}

// Words calls yield for every word of a user that a misspelt term may be meant
// for, for some more than once.
func (u *User) Words(yield func(string)) { u.words(AllFields, yield) }

func (u *User) words(in Fields, yield func(string)) {
	for _, t := range u.Texts {
		if t.Field&in == 0 {
			continue
		}
		start, whole := -1, t.Field == Username
		for i, r := range t.Value {
			switch {
			case inWord(r):
				if start < 0 {
					start = i
				}
				continue
			case start >= 0:
				yieldWord(t.Value[start:i], yield)
				start = -1
			}
			whole = whole && r != ' '
		}
		if start > 0 {
			yieldWord(t.Value[start:], yield)
		}
		if start == 0 || whole {
			yieldWord(t.Value, yield)
		}
	}
}

func yieldWord(w string, yield func(string)) {
	if n := utf8.RuneCountInString(w); minFuzzy-1 <= n && n <= maxFuzzy+1 {
		yield(w)
	}
}

// Plan is how a form of a term is looked for in an index.
type Plan struct {
	All  []string // grams that every user has in whom it occurs
	Gram string   // it occurs in every user who has this gram; "" if there is no such gram
	Word string   // and in every user who has this word
}

// PlanOf returns how a folded term is looked for. If its Gram is the only one in
// All, no user needs a second look.
func PlanOf(term string) Plan {
	n := utf8.RuneCountInString(term)
	if n <= GramSize {
		return Plan{All: []string{term}, Gram: term}
	}
	p := Plan{All: trigrams(term)}
	if first, _ := utf8.DecodeRuneInString(term); n <= longGram && inWord(first) {
		p.Gram = term
	}
	if n > longGram && n <= maxFuzzy+1 {
		p.Word = term
	}
	return p
}

// Sure reports whether a user who has all grams of All needs no second look.
func (p *Plan) Sure() bool { return len(p.All) == 1 && p.All[0] == p.Gram }

// maxPlan bounds the grams of a plan. Those of the beginning tell the most
// users apart.
const maxPlan = 24

// trigrams returns the grams of three characters of a term, without repeats.
func trigrams(term string) []string {
	var out []string
	seen := map[string]bool{}
	var at [GramSize]int // where the last three characters begin
	n := 0
	for i := range term {
		if n >= GramSize {
			add(&out, seen, term[at[n%GramSize]:i])
		}
		at[n%GramSize] = i
		n++
	}
	add(&out, seen, term[at[n%GramSize]:])
	return out[:min(len(out), maxPlan)]
}

func add(out *[]string, seen map[string]bool, gram string) {
	if !seen[gram] {
		seen[gram] = true
		*out = append(*out, gram)
	}
}
