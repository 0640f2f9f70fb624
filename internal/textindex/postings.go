package textindex

import (
	"fmt"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// This file, and no other, reads Bleve's segments directly: the bitmap of a
// term's documents as it is, where Bleve's queries hand out one document after
// the other with its ID. The types that it takes for this are exported, but
// Bleve does not promise to keep them; Snapshot.compare looks at every open
// whether they still say what the others do.

// part is one segment of a snapshot.
type part struct {
	segment segment.Segment
	deleted *roaring.Bitmap // documents that count no more; may be nil
	numbers []uint32        // by document of the segment: its number here
}

// arrays keeps the numbers of the documents of segments, which never change,
// for as long as the newest snapshot has the segment. Reading them takes some 60
// ns a document.
type arrays struct {
	mu   sync.Mutex
	byID map[uint64][]uint32 // guarded by mu
}

func (a *arrays) init() { a.byID = map[uint64][]uint32{} }

func (a *arrays) parts(r index.IndexReader) ([]part, error) {
	snap, ok := r.(*scorch.IndexSnapshot)
	if !ok {
		return nil, fmt.Errorf("%w: its reader is a %T", ErrDamaged, r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := map[uint64][]uint32{}
	var parts []part
	for _, s := range snap.Segments() {
		numbers, ok := a.byID[s.Id()]
		if !ok {
			var err error
			if numbers, err = numbersOf(s.Segment()); err != nil {
				return nil, err
			}
		}
		kept[s.Id()] = numbers
		parts = append(parts, part{s.Segment(), s.Deleted(), numbers})
	}
	a.byID = kept
	return parts, nil
}

func numbersOf(s segment.Segment) ([]uint32, error) {
	numbers := make([]uint32, s.Count())
	for i := range numbers {
		id, err := s.DocID(uint64(i))
		if err != nil {
			return nil, err
		}
		if numbers[i], err = numberOf(id); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// eachQuickly calls found for the documents that hold all terms.
func (s *Snapshot) eachQuickly(field string, terms []string, found func(uint32)) error {
	for i := range s.parts {
		p := &s.parts[i]
		docs, err := p.all(field, terms)
		if err != nil {
			return err
		}
		docs.each(func(doc uint32) {
			if p.deleted == nil || !p.deleted.Contains(doc) {
				found(p.numbers[doc])
			}
		})
	}
	return nil
}

// live adds the numbers of all documents that count.
func (s *Snapshot) live(bits []uint64) error {
	for _, p := range s.parts {
		for doc, n := range p.numbers {
			if p.deleted != nil && p.deleted.Contains(uint32(doc)) {
				continue
			}
			if !add(bits, n) {
				return fmt.Errorf("%w: it has two documents of number %d", ErrDamaged, n)
			}
		}
	}
	return nil
}

// docs are documents of a segment: one, or a bitmap, which is Bleve's and must
// not be changed.
type docs struct {
	one uint32
	all *roaring.Bitmap // nil for at most one
	n   int             // without all: 0 or 1

	ours bool // the bitmap may be changed after all
}

func (d docs) empty() bool {
	if d.all != nil {
		return d.all.IsEmpty()
	}
	return d.n == 0
}

func (d docs) each(fn func(uint32)) {
	switch {
	case d.all != nil:
		it := d.all.ManyIterator()
		buf := make([]uint32, 512)
		for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
			for _, doc := range buf[:n] {
				fn(doc)
			}
		}
	case d.n == 1:
		fn(d.one)
	}
}

func (d docs) contains(doc uint32) bool {
	if d.all != nil {
		return d.all.Contains(doc)
	}
	return d.n == 1 && d.one == doc
}

// all returns the documents of a segment that hold every term, those that count
// no more among them.
func (p *part) all(field string, terms []string) (docs, error) {
	dict, err := p.segment.Dictionary(field)
	if err != nil || dict == nil {
		return docs{}, err
	}
	// The later terms of a text, a number say, tell more users apart than the
	// earlier ones, and most segments hold nobody who has them all.
	var found docs
	for i := len(terms) - 1; i >= 0; i-- {
		d, err := postings(dict, terms[i])
		if err != nil {
			return docs{}, err
		}
		if i == len(terms)-1 {
			found = d
		} else {
			found = both(found, d)
		}
		if found.empty() {
			return docs{}, nil
		}
	}
	return found, nil
}

// both returns the documents of a and b.
func both(a, b docs) docs {
	switch {
	case b.all == nil:
		a, b = b, a
		fallthrough
	case a.all == nil:
		if b.contains(a.one) && a.n == 1 {
			return a
		}
		return docs{}
	case a.ours:
		a.all.And(b.all)
		return a
	}
	return docs{all: roaring.And(a.all, b.all), ours: true}
}

// postings returns the documents of a term.
func postings(dict segment.TermDictionary, term string) (docs, error) {
	list, err := dict.PostingsList([]byte(term), nil, nil)
	if err != nil || list == nil {
		return docs{}, err
	}
	it := list.Iterator(false, false, false, nil)
	direct, ok := it.(segment.OptimizablePostingsIterator)
	if !ok {
		if list.Count() == 0 {
			return docs{}, nil
		}
		return docs{}, fmt.Errorf("%w: its postings are read by a %T", ErrDamaged, it)
	}
	if doc, ok := direct.DocNum1Hit(); ok {
		return docs{one: uint32(doc), n: 1}, nil
	}
	return docs{all: direct.ActualBitmap()}, nil
}
