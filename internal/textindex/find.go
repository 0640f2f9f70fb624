package textindex

import "slices"

// Clause is a part of a query: documents match it that match one of its
// alternatives.
type Clause []Alternative

// Alternative is one way to match a clause. The documents that have all grams of
// All may match; All are those of a text in their order. Those among them that
// have Gram or Word, which nobody has without all of All, do for certain, as do all
// that have a word at most one typo away from Near. What is empty says nothing.
type Alternative struct {
	All  []string
	Gram string
	Word string
	Near string
}

// Hits are the documents that may match every clause. It reads the files of the
// index, and is of use only within the call that got it.
type Hits struct {
	Sure   int // how many match for certain
	Unsure int // how many others may match
	parts  []partHits
}

type partHits struct {
	numbers      numbers
	sure, unsure docs
}

// EachSure calls fn for the documents that match for certain, in any order.
func (h *Hits) EachSure(fn func(number uint32)) {
	for _, p := range h.parts {
		p.numbers.each(p.sure, fn)
	}
}

// EachUnsure calls fn for the others.
func (h *Hits) EachUnsure(fn func(number uint32)) {
	for _, p := range h.parts {
		p.numbers.each(p.unsure, fn)
	}
}

// SetSure sets the bits of the documents that match for certain. Those for which
// there is no room are left out.
func (h *Hits) SetSure(bits []uint64) {
	for _, p := range h.parts {
		p.numbers.set(p.sure, bits)
	}
}

// SetUnsure sets the bits of the others.
func (h *Hits) SetUnsure(bits []uint64) {
	for _, p := range h.parts {
		p.numbers.set(p.unsure, bits)
	}
}

// fewEnough is the number of documents that may match beyond which further grams
// are asked for: to ask for one costs as much as to look at some documents.
const fewEnough = 8

// Find looks for the documents that match every clause, of which there is at
// least one, and has use take them. Where no more than some few have a part of the
// grams of All, the others are not asked for: these few may match.
func (s *Snapshot) Find(clauses []Clause, use func(*Hits)) error {
	return s.find(clauses, fewEnough, use)
}

func (s *Snapshot) find(clauses []Clause, enough int, use func(*Hits)) error {
	return s.read(func() error {
		near, err := s.similarTo(clauses)
		if err != nil {
			return err
		}
		h := &Hits{}
		for _, src := range s.sources() {
			q := query{src, near, enough}
			m, err := q.all(clauses)
			if err != nil {
				return err
			}
			if m.may.n == 0 {
				continue
			}
			p := partHits{numbers: src.numbers(), sure: m.sure.without(src.deleted())}
			if !m.exact {
				p.unsure = m.may.without(src.deleted()).without(m.sure.bitmap())
			}
			h.Sure, h.Unsure, h.parts = h.Sure+p.sure.n, h.Unsure+p.unsure.n, append(h.parts, p)
		}
		use(h)
		return nil
	})
}

// similarTo returns the words that are at most one typo away from those of the
// clauses.
func (s *Snapshot) similarTo(clauses []Clause) (map[string][]string, error) {
	var near map[string][]string
	for _, c := range clauses {
		for _, a := range c {
			if a.Near == "" || near[a.Near] != nil {
				continue
			}
			words, err := s.similar(a.Near)
			if err != nil {
				return nil, err
			}
			if near == nil {
				near = map[string][]string{}
			}
			near[a.Near] = words
		}
	}
	return near, nil
}

// matches are the documents of a source that may match, and those of them that
// do for certain.
type matches struct {
	may, sure docs
	exact     bool // they are the same
}

func certain(d docs) matches { return matches{d, d, true} }

func (m matches) and(o matches) matches {
	if m.exact && o.exact {
		return certain(m.may.and(o.may))
	}
	return matches{may: m.may.and(o.may), sure: m.sure.and(o.sure)}
}

func (m matches) or(o matches) matches {
	if m.exact && o.exact {
		return certain(m.may.or(o.may))
	}
	return matches{may: m.may.or(o.may), sure: m.sure.or(o.sure)}
}

// query looks for clauses in one source.
type query struct {
	src    source
	near   map[string][]string
	enough int // documents for which no further gram is asked
}

func (q *query) all(clauses []Clause) (found matches, err error) {
	for i, c := range clauses {
		var among *docs // all at first
		if i > 0 {
			among = &found.may
		}
		m, err := q.any(c, among)
		if err != nil {
			return matches{}, err
		}
		if i > 0 {
			m = found.and(m)
		}
		if found = m; found.may.n == 0 {
			break
		}
	}
	return found, nil
}

// any looks for a clause among some documents, and may find others too, as do those
// that it calls.
func (q *query) any(c Clause, among *docs) (found matches, err error) {
	found.exact = true
	for i := range c {
		m, err := q.alternative(&c[i], among)
		if err != nil {
			return matches{}, err
		}
		found = found.or(m)
	}
	return found, nil
}

func (q *query) alternative(a *Alternative, among *docs) (found matches, err error) {
	found.exact = true
	if len(a.All) > 0 {
		d, err := q.intersect(a.All, among)
		if err != nil {
			return matches{}, err
		}
		if len(a.All) == 1 && a.All[0] == a.Gram {
			found = certain(d)
		} else if d.n > 0 {
			found = matches{may: d}
		}
	}
	if !found.exact {
		sure, err := q.certain(a)
		if err != nil {
			return matches{}, err
		}
		found.sure = found.may.and(sure)
	}
	for _, w := range q.near[a.Near] {
		d, err := q.src.postings(wordField, w)
		if err != nil {
			return matches{}, err
		}
		found = found.or(certain(d))
	}
	return found, nil
}

// certain returns the documents that have the Gram or the Word.
func (q *query) certain(a *Alternative) (found docs, err error) {
	if a.Gram != "" {
		if found, err = q.src.postings(gramField, a.Gram); err != nil {
			return docs{}, err
		}
	}
	if a.Word != "" {
		d, err := q.src.postings(wordField, a.Word)
		if err != nil {
			return docs{}, err
		}
		found = found.or(d)
	}
	return found, nil
}

// intersect returns the documents that have all grams of a text, or some few that
// may.
func (q *query) intersect(grams []string, among *docs) (found docs, err error) {
	switch {
	case len(grams) == 1:
		return q.src.postings(gramField, grams[0])
	case among != nil && among.n <= q.enough:
		return *among, nil
	}
	// The later grams of a text, a number say, tell more documents apart than the
	// earlier ones, and most segments hold nobody who has them all. Those that do not
	// overlap come first: what the ones between them say is mostly said then.
	apart := make([]docs, 0, len(grams)+1)
	for i := len(grams) - 1; i >= 0; i -= gramLength {
		d, err := q.src.postings(gramField, grams[i])
		if err != nil || d.n == 0 {
			return docs{}, err
		}
		apart = append(apart, d)
	}
	if among != nil {
		apart = append(apart, *among)
	}
	slices.SortFunc(apart, func(a, b docs) int { return a.n - b.n })
	found = apart[0]
	for _, d := range apart[1:] {
		if found = found.and(d); found.n == 0 {
			return found, nil
		}
	}
	for i := len(grams) - 1; i >= 0 && found.n > q.enough; i-- {
		if (len(grams)-1-i)%gramLength == 0 {
			continue // one of those
		}
		d, err := q.src.postings(gramField, grams[i])
		if err != nil {
			return docs{}, err
		}
		if found = found.and(d); found.n == 0 {
			break
		}
	}
	return found, nil
}

// gramLength is the number of characters of a gram of a longer text.
const gramLength = 3
