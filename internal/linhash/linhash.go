// Package linhash is a persistent hash table from 32-bit hashes to numbers. It
// grows by linear hashing: one bucket at a time, so that no write ever pauses
// to rehash the whole, and a write next to a snapshot copies two buckets at
// most.
//
// A Table is a small value. As with [radix.Tree], copying it takes a snapshot,
// reading a snapshot needs no lock, and a table that is written to must not be
// read at the same time.
package linhash

import (
	"math/bits"
	"slices"

	"github.com/rosterdb/roster/internal/radix"
)

// perBucket is the mean length of a bucket. A bucket costs 28 bytes beside its
// entries of 8, and a long one costs time: BenchmarkRollFind and the heap that bench
// prints show what another length does.
const perBucket = 12

// An Entry is a hash and the number filed under it.
type Entry uint64

// Make returns the entry of number n under hash h.
func Make(h, n uint32) Entry { return Entry(h)<<32 | Entry(n) }

// Hash returns the hash of the entry.
func (e Entry) Hash() uint32 { return uint32(e >> 32) }

// Number returns the number of the entry.
func (e Entry) Number() uint32 { return uint32(e) }

// Table holds entries by hash. The zero Table is empty and ready to use. It
// does not shrink: buckets whose entries are removed stay, empty.
type Table struct {
	buckets radix.Tree[[]Entry] // a bucket is replaced on every change, never edited
	n       uint32              // how many there are
	len     int
}

// Len returns the number of entries.
func (t *Table) Len() int { return t.len }

// index returns the bucket of hash h when there are n > 0. The buckets are
// numbered as if there were a power of two of them; those beyond n are not
// split yet from the one half a power below.
func index(h, n uint32) uint32 {
	mask := uint32(1)<<bits.Len32(n-1) - 1
	i := h & mask
	if i >= n {
		i &= mask >> 1
	}
	return i
}

// Bucket returns the entries among which those of hash h are, in no order. The
// caller must look at each entry's hash, and must not write.
func (t *Table) Bucket(h uint32) []Entry {
	if t.n == 0 {
		return nil
	}
	if b := t.buckets.At(index(h, t.n)); b != nil {
		return *b
	}
	return nil
}

// Add files number n under hash h. The caller makes sure that it is not there.
func (t *Table) Add(own *radix.Owner, h, n uint32) {
	if t.len >= int(t.n)*perBucket {
		t.split(own)
	}
	b := t.buckets.Ref(own, index(h, t.n))
	grown := make([]Entry, len(*b)+1) // exactly: append would round up
	copy(grown, *b)
	grown[len(*b)] = Make(h, n)
	*b = grown
	t.len++
}

// split adds one bucket and moves to it what belongs there.
func (t *Table) split(own *radix.Owner) {
	last := t.n
	t.n++
	if last == 0 {
		return
	}
	parent := last &^ (1 << (bits.Len32(last) - 1))
	from := t.buckets.Get(parent)
	moved := 0
	for _, e := range from {
		if index(e.Hash(), t.n) == last {
			moved++
		}
	}
	if moved == 0 {
		return
	}
	stay, move := make([]Entry, 0, len(from)-moved), make([]Entry, 0, moved)
	for _, e := range from {
		if index(e.Hash(), t.n) == last {
			move = append(move, e)
		} else {
			stay = append(stay, e)
		}
	}
	t.buckets.Set(own, parent, stay)
	t.buckets.Set(own, last, move)
}

// Remove takes out number n filed under hash h. It reports whether it was there.
func (t *Table) Remove(own *radix.Owner, h, n uint32) bool {
	e := Make(h, n)
	for i, have := range t.Bucket(h) {
		if have != e {
			continue
		}
		b := t.buckets.Ref(own, index(h, t.n))
		shrunk := make([]Entry, 0, len(*b)-1)
		*b = append(append(shrunk, (*b)[:i]...), (*b)[i+1:]...)
		t.len--
		return true
	}
	return false
}

// Fill returns a table that holds the entries, all different, several times
// faster than adding one after the other.
func Fill(own *radix.Owner, entries []Entry) Table {
	t := Table{n: uint32((len(entries) + perBucket - 1) / perBucket), len: len(entries)}
	end := make([]uint32, t.n) // where each bucket ends in sorted
	for _, e := range entries {
		end[index(e.Hash(), t.n)]++
	}
	for i := 1; i < len(end); i++ {
		end[i] += end[i-1]
	}
	sorted := make([]Entry, len(entries))
	start := slices.Clone(end) // filled from its end to its start
	for _, e := range entries {
		p := &start[index(e.Hash(), t.n)]
		*p--
		sorted[*p] = e
	}
	for i := range t.n {
		// Each bucket is its own allocation: one that is replaced frees its room.
		b := make([]Entry, end[i]-start[i])
		copy(b, sorted[start[i]:end[i]])
		t.buckets.Set(own, i, b)
	}
	return t
}
