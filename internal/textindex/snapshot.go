package textindex

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"sync/atomic"

	index "github.com/blevesearch/bleve_index_api"
)

// Snapshot is the index at one moment. It keeps the files that it reads, so it
// is to be released soon; methods may be called until then.
//
// What its methods find they add to bits, in which bit n stands for document n.
// Documents for which there is no room are left out.
type Snapshot struct {
	x      *Index
	reader index.IndexReader
	parts  []part
	users  atomic.Int64
}

// Snapshot returns the index as it is now, for the caller to release.
func (x *Index) Snapshot() (*Snapshot, error) {
	s := &Snapshot{x: x}
	s.users.Store(1)
	err := guard(func() (err error) {
		if s.reader, err = x.bleve.Reader(); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, x.fail(err)
	}
	err = guard(func() (err error) {
		s.parts, err = x.arrays.parts(s.reader)
		return err
	})
	if err != nil {
		x.careful.Store(true)
	}
	return s, nil
}

// Retain adds a user who will release the snapshot too. It returns false if it
// has been released by all others already.
func (s *Snapshot) Retain() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release ends the use of a snapshot.
func (s *Snapshot) Release() {
	if s.users.Add(-1) == 0 {
		s.x.fail(guard(s.reader.Close))
	}
}

// Note returns what was given to the newest Apply in the snapshot.
func (s *Snapshot) Note() (note []byte, err error) {
	err = guard(func() error {
		b, err := s.reader.GetInternal([]byte(noteKey))
		if err != nil {
			return err
		}
		note, err = openNote(b)
		return err
	})
	return note, s.x.fail(err)
}

// Segments returns of how many parts the index is made. Every search looks into
// each.
func (s *Snapshot) Segments() int { return len(s.parts) }

// Len returns the number of documents.
func (s *Snapshot) Len() (n int) {
	s.x.fail(guard(func() error {
		c, err := s.reader.DocCount()
		n = int(c)
		return err
	}))
	return n
}

// All adds the documents that hold every one of the grams.
func (s *Snapshot) All(grams []string, bits []uint64) error {
	return s.read(func() error { return s.all(gramField, grams, bits) })
}

// Word adds the documents that hold the word.
func (s *Snapshot) Word(word string, bits []uint64) error {
	return s.read(func() error { return s.all(wordField, []string{word}, bits) })
}

// Nearly adds the documents that hold a word which is one typo away from this
// one, or is this one.
func (s *Snapshot) Nearly(word string, bits []uint64) error {
	return s.read(func() error {
		words, err := s.similar(word)
		for _, w := range words {
			if err == nil {
				err = s.all(wordField, []string{w}, bits)
			}
		}
		return err
	})
}

// Live adds all documents. Two of one number are ErrDamaged.
func (s *Snapshot) Live(bits []uint64) error {
	return s.read(func() error {
		if s.x.careful.Load() {
			return s.liveCarefully(bits)
		}
		return s.live(bits)
	})
}

func (s *Snapshot) read(fn func() error) error { return s.x.fail(guard(fn)) }

func (s *Snapshot) all(field string, terms []string, bits []uint64) error {
	if s.x.careful.Load() {
		return s.eachCarefully(field, terms, func(n uint32) { set(bits, n) })
	}
	return s.eachQuickly(field, terms, func(n uint32) { set(bits, n) })
}

// eachCarefully is eachQuickly through the interface that Bleve's own queries use, one
// document at a time.
func (s *Snapshot) eachCarefully(field string, terms []string, found func(uint32)) error {
	var held map[uint32]bool
	for _, t := range terms {
		r, err := s.reader.TermFieldReader(context.Background(), []byte(t), field, false, false, false)
		if err != nil {
			return err
		}
		next := map[uint32]bool{}
		d, err := r.Next(nil)
		for ; d != nil && err == nil; d, err = r.Next(nil) {
			id, err := s.reader.ExternalID(d.ID)
			if err != nil {
				return err
			}
			n, err := numberOf([]byte(id))
			if err != nil {
				return err
			}
			if held == nil || held[n] {
				next[n] = true
			}
		}
		if err != nil {
			return err
		}
		if err := r.Close(); err != nil {
			return err
		}
		held = next
	}
	for n := range held {
		found(n)
	}
	return nil
}

func (s *Snapshot) liveCarefully(bits []uint64) error {
	r, err := s.reader.DocIDReaderAll()
	if err != nil {
		return err
	}
	d, err := r.Next()
	for ; d != nil && err == nil; d, err = r.Next() {
		id, err := s.reader.ExternalID(d)
		if err != nil {
			return err
		}
		n, err := numberOf([]byte(id))
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

// similar returns the words that are at most one typo away from a word.
func (s *Snapshot) similar(word string) (words []string, err error) {
	fuzzy, ok := s.reader.(index.IndexReaderFuzzy)
	if !ok {
		return nil, fmt.Errorf("%w: it cannot look for misspelt words", ErrDamaged)
	}
	dict, err := fuzzy.FieldDictFuzzy(wordField, word, 1, "")
	if err != nil {
		return nil, err
	}
	e, err := dict.Next()
	for ; e != nil && err == nil; e, err = dict.Next() {
		words = append(words, e.Term)
	}
	if err != nil {
		return nil, err
	}
	return words, dict.Close()
}

// compare reads some terms in both ways.
func (s *Snapshot) compare() error {
	return guard(func() error {
		for _, field := range []string{gramField, wordField} {
			sample, err := s.sample(field)
			if err != nil {
				return err
			}
			for i := range sample {
				terms := sample[i:min(i+2, len(sample))]
				quick, careful := map[uint32]bool{}, map[uint32]bool{}
				if err := s.eachQuickly(field, terms, func(n uint32) { quick[n] = true }); err != nil {
					return err
				}
				if err := s.eachCarefully(field, terms, func(n uint32) { careful[n] = true }); err != nil {
					return err
				}
				if !maps.Equal(quick, careful) {
					return fmt.Errorf("%w: %q are found in two ways differently", ErrDamaged, terms)
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

func set(bits []uint64, n uint32) {
	if int(n>>6) < len(bits) {
		bits[n>>6] |= 1 << (n & 63)
	}
}

// add is set, and reports whether the bit was not set before.
func add(bits []uint64, n uint32) bool {
	was := int(n>>6) < len(bits) && bits[n>>6]>>(n&63)&1 != 0
	set(bits, n)
	return !was
}
