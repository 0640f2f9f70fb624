package roster

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/rosterdb/roster/store"
)

// folded reads the records that were folded into Badger, and keeps those that
// were asked for lately: Badger searches its tables for each, and copies the page
// that it stands in, where pages of big groups, the credentials of whoever asks
// and the organisations that they ask about are the same few records again and
// again. What is read at a fold never changes, so what is kept is good for that
// fold and for nothing else, and needs no word from whoever writes.
//
// It is safe for concurrent use.
type folded struct {
	store *store.Store
	slots []atomic.Pointer[keptRecord] // a power of two above 1, or none: nothing is kept
}

// recordName says which record: of a kind, or of the membership of a user in an
// organisation.
type recordName struct {
	kind   byte
	org, n uint32
}

type keptRecord struct {
	recordName
	base uint64 // the fold that it was read at
	rec  string
}

// How many records are kept, and how long they may be: 32 MiB in all at worst, 3
// of records of 100 bytes.
const (
	keptRecords   = 1 << 14
	maxKeptRecord = 2 << 10
)

func (f *folded) init(s *store.Store) {
	f.store, f.slots = s, make([]atomic.Pointer[keptRecord], keptRecords)
}

// get returns a record as of a fold. The caller knows that it exists, so its
// absence is damage.
func (f *folded) get(base uint64, name recordName) (string, error) {
	if len(f.slots) == 0 {
		return f.read(base, name)
	}
	newer, older := f.places(name)
	for _, slot := range []*atomic.Pointer[keptRecord]{newer, older} {
		if kept := slot.Load(); kept != nil && kept.recordName == name && kept.base == base {
			return kept.rec, nil
		}
	}
	rec, err := f.read(base, name)
	if err == nil && len(rec) <= maxKeptRecord {
		older.Store(newer.Swap(&keptRecord{name, base, rec}))
	}
	return rec, err
}

// places returns the two places where a record may be kept. What comes takes the
// first, and what was there the second, so that two that are asked for in turns
// do not drive each other out.
func (f *folded) places(name recordName) (newer, older *atomic.Pointer[keptRecord]) {
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio: neighbours come to lie apart
	h := (uint64(name.kind)<<56 ^ uint64(name.org)<<32 ^ uint64(name.n)) * odd
	h = (h ^ h>>29) * odd
	at := h >> 32 & uint64(len(f.slots)-1) &^ 1
	return &f.slots[at], &f.slots[at+1]
}

// key returns the key of the page that a record stands in.
func (n recordName) key() []byte {
	if n.kind == keyMemberships {
		return pageOf{n.org, n.n / recordPageSize}.key()
	}
	return pageKey(n.kind, n.n/recordPageSize)
}

// read reads a record from Badger.
func (f *folded) read(base uint64, name recordName) (rec string, err error) {
	key := name.key()
	err = f.store.Get(base, key, func(value []byte) error {
		page := unsafe.String(unsafe.SliceData(value), len(value)) // good until we return
		return eachRecord(page, func(k, _ uint32, r string) error {
			if k == name.n%recordPageSize {
				rec = strings.Clone(r)
			}
			return nil
		})
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if rec == "" {
		return "", &CorruptError{Path: "state", What: fmt.Sprintf("record %d of key %x is missing at revision %d", name.n, key, base)}
	}
	return rec, nil
}
