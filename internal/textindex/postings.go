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
	drop    *roaring.Bitmap // documents that count no more; may be nil
	numbers numbers
}

// arrays keeps the numbers of the documents of segments, which never change,
// for as long as the newest snapshot has the segment. Reading them takes some 60
// ns a document.
type arrays struct {
	mu   sync.Mutex
	byID map[uint64]numbers // guarded by mu
}

func (a *arrays) init() { a.byID = map[uint64]numbers{} }

func (a *arrays) parts(r index.IndexReader) ([]part, error) {
	snap, ok := r.(*scorch.IndexSnapshot)
	if !ok {
		return nil, fmt.Errorf("%w: its reader is a %T", ErrDamaged, r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := map[uint64]numbers{}
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

func numbersOf(s segment.Segment) (numbers, error) {
	m := make(numbers, s.Count())
	for doc := range m {
		id, err := s.DocID(uint64(doc))
		if err != nil {
			return nil, err
		}
		if m[doc], err = numberOf(id); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// live adds the numbers of all documents that count.
func (s *Snapshot) live(bits []uint64) error {
	for _, p := range s.parts {
		whole := roaring.New()
		whole.AddRange(0, uint64(len(p.numbers)))
		twice := false
		p.numbers.each(docsOf(whole).without(p.drop), func(n uint32) { twice = !add(bits, n) || twice })
		if twice {
			return fmt.Errorf("%w: it has two documents of a number", ErrDamaged)
		}
	}
	return nil
}

// quick is a source that is a segment.
type quick struct {
	part  *part
	dicts map[string]segment.TermDictionary // by field: those in use
}

func (q *quick) numbers() numbers         { return q.part.numbers }
func (q *quick) deleted() *roaring.Bitmap { return q.part.drop }

func (q *quick) postings(field, term string) (docs, error) {
	dict, ok := q.dicts[field]
	if !ok {
		var err error
		if dict, err = q.part.segment.Dictionary(field); err != nil {
			return docs{}, err
		}
		if q.dicts == nil {
			q.dicts = map[string]segment.TermDictionary{}
		}
		q.dicts[field] = dict
	}
	if dict == nil {
		return docs{}, nil
	}
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
		return oneDoc(uint32(doc)), nil
	}
	return docsOf(direct.ActualBitmap()), nil
}
