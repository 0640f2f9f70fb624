package textindex

import (
	"fmt"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
	index "github.com/blevesearch/bleve_index_api"
)

// Snapshot is the index at one moment. It keeps the files that it reads, so it
// is to be released soon; methods may be called until then.
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

// Live sets the bits of all documents. Two of one number are ErrDamaged.
func (s *Snapshot) Live(bits []uint64) error {
	return s.read(func() error {
		if s.x.careful.Load() {
			return (&careful{s.reader}).live(bits)
		}
		return s.live(bits)
	})
}

func (s *Snapshot) read(fn func() error) error { return s.x.fail(guard(fn)) }

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

// sources returns what the snapshot is made of, as it may be read.
func (s *Snapshot) sources() []source {
	if s.x.careful.Load() {
		return []source{&careful{s.reader}}
	}
	return s.segments()
}

func (s *Snapshot) segments() []source {
	out := make([]source, len(s.parts))
	for i := range s.parts {
		out[i] = &quick{part: &s.parts[i]}
	}
	return out
}

// source is what has documents and tells who holds a term.
type source interface {
	postings(field, term string) (docs, error)
	numbers() numbers
	deleted() *roaring.Bitmap // documents that count no more, though postings has them; may be nil
}
