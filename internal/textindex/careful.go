package textindex

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	index "github.com/blevesearch/bleve_index_api"
)

// careful is a source that is a whole snapshot, read through the interface that
// Bleve's own queries use, one document at a time. Its documents are their
// numbers.
type careful struct{ reader index.IndexReader }

func (c *careful) numbers() numbers { return nil }

func (c *careful) deleted() *roaring.Bitmap { return nil }

func (c *careful) postings(field, term string) (docs, error) {
	r, err := c.reader.TermFieldReader(context.Background(), []byte(term), field, false, false, false)
	if err != nil {
		return docs{}, err
	}
	b := roaring.New()
	d, err := r.Next(nil)
	for ; d != nil && err == nil; d, err = r.Next(nil) {
		n, err := c.number(d.ID)
		if err != nil {
			return docs{}, err
		}
		b.Add(n)
	}
	if err != nil {
		return docs{}, err
	}
	return docsOf(b), r.Close()
}

func (c *careful) number(id index.IndexInternalID) (uint32, error) {
	external, err := c.reader.ExternalID(id)
	if err != nil {
		return 0, err
	}
	return numberOf([]byte(external))
}

// live is Snapshot.live.
func (c *careful) live(bits []uint64) error {
	r, err := c.reader.DocIDReaderAll()
	if err != nil {
		return err
	}
	d, err := r.Next()
	for ; d != nil && err == nil; d, err = r.Next() {
		n, err := c.number(d)
		if err != nil {
			return err
		}
		if !add(bits, n) {
			return fmt.Errorf("%w: it has two documents of number %d", ErrDamaged, n)
		}
	}
	if err != nil {
		return err
	}
	return r.Close()
}

// compare reads some terms in both ways.
func (s *Snapshot) compare() error {
	return guard(func() error {
		c := &careful{s.reader}
		for _, field := range []string{gramField, wordField} {
			terms, err := s.sample(field)
			if err != nil {
				return err
			}
			for _, t := range terms {
				quick := roaring.New()
				for _, src := range s.segments() {
					d, err := src.postings(field, t)
					if err != nil {
						return err
					}
					src.numbers().each(d.without(src.deleted()), quick.Add)
				}
				d, err := c.postings(field, t)
				if err != nil {
					return err
				}
				if !quick.Equals(d.bitmap()) {
					return fmt.Errorf("%w: %q is found in two ways differently", ErrDamaged, t)
				}
			}
		}
		return nil
	})
}

// sampleTerms is how many terms of a field are compared at open, and passedOver
// how many stand between two of them.
const (
	sampleTerms = 16
	passedOver  = 50
)

// sample returns some terms of a field that not too many documents hold.
func (s *Snapshot) sample(field string) (terms []string, err error) {
	dict, err := s.reader.FieldDict(field)
	if err != nil {
		return nil, err
	}
	e, err := dict.Next()
	for i := 0; e != nil && err == nil && len(terms) < sampleTerms; e, err = dict.Next() {
		if i++; i%passedOver == 1 && e.Count < 1000 {
			terms = append(terms, e.Term)
		}
	}
	if err != nil {
		return nil, err
	}
	return terms, dict.Close()
}

// numberOf returns the number in a document's ID.
func numberOf(id []byte) (uint32, error) {
	if len(id) != 4 {
		return 0, fmt.Errorf("%w: a document has the ID %x", ErrDamaged, id)
	}
	return binary.BigEndian.Uint32(id), nil
}
