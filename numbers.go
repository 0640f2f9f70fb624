package roster

import (
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
)

// numbers is a set of user numbers as a value: what a Set computes with. It is
// either an ascending list or shards, and never changes once it is made. The
// zero value is the empty set.
type numbers struct {
	list  []uint32
	big   shards
	large bool
	n     int
	first *firstPage // of a set that the engine keeps; else nil
}

// direct returns the direct members of a set: of a snapshot for good, of the head
// until the next change.
func (x *index) direct(set uint32) numbers {
	s := x.sets.At(set)
	switch {
	case s == nil:
		return numbers{}
	case s.flags&slotLarge != 0:
		return numbers{big: s.big, large: true, n: int(s.n)}
	}
	return numbers{list: idlist.Decode(make([]uint32, 0, s.n), s.list), n: int(s.n)}
}

func listOf(ids []uint32) numbers { return numbers{list: ids, n: len(ids)} }

// numbersOf is listOf for a list of any length.
func numbersOf(ids []uint32) numbers {
	if len(ids) <= listMax {
		return listOf(ids)
	}
	return numbers{big: makeShards(new(radix.Owner), nil, ids), large: true, n: len(ids)}
}

// shardsOf wraps shards and counts them.
func shardsOf(t shards) numbers {
	n := 0
	for _, b := range t.All() {
		if *b != nil {
			n += int((*b).GetCardinality())
		}
	}
	return numbers{big: t, large: true, n: n}
}

func (a *numbers) contains(u uint32) bool {
	if a.large {
		return shardsContain(&a.big, u)
	}
	_, ok := slices.BinarySearch(a.list, u)
	return ok
}

// all yields the numbers in ascending order.
func (a numbers) all() iter.Seq[uint32] {
	if !a.large {
		return slices.Values(a.list)
	}
	return func(yield func(uint32) bool) {
		buf := make([]uint32, 256)
		for hi, b := range a.big.All() {
			if *b == nil {
				continue
			}
			it := (*b).ManyIterator()
			for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
				for _, low := range buf[:n] {
					if !yield(hi<<16 | low) {
						return
					}
				}
			}
		}
	}
}

// appendTo appends the numbers to dst in ascending order.
func (a *numbers) appendTo(dst []uint32) []uint32 {
	if a.large {
		return appendShards(dst, &a.big)
	}
	return append(dst, a.list...)
}

// filter returns the numbers of a list that b holds, or lacks.
func filter(list []uint32, b *numbers, holds bool) numbers {
	out := make([]uint32, 0, len(list))
	for _, u := range list {
		if b.contains(u) == holds {
			out = append(out, u)
		}
	}
	return listOf(out)
}

func (a numbers) and(b numbers) numbers {
	if a.n == 0 || b.n == 0 {
		return numbers{}
	}
	if !b.large && (a.large || len(b.list) < len(a.list)) {
		a, b = b, a
	}
	if !a.large {
		return filter(a.list, &b, true)
	}
	return combine(a.big, b.big, func(x, y *roaring.Bitmap) *roaring.Bitmap {
		if x == nil || y == nil {
			return nil
		}
		return roaring.And(x, y)
	})
}

func (a numbers) andNot(b numbers) numbers {
	switch {
	case a.n == 0 || b.n == 0:
		return a
	case !a.large:
		return filter(a.list, &b, false)
	case !b.large:
		t := a.big
		gone := removeShards(new(radix.Owner), nil, &t, b.list)
		return numbers{big: t, large: true, n: a.n - len(gone)}
	}
	return combine(a.big, b.big, func(x, y *roaring.Bitmap) *roaring.Bitmap {
		if x == nil || y == nil {
			return x
		}
		return roaring.AndNot(x, y)
	})
}

func (a numbers) or(b numbers) numbers {
	switch {
	case a.n == 0:
		return b
	case b.n == 0:
		return a
	}
	if b.large && !a.large {
		a, b = b, a
	}
	switch {
	case a.large && b.large:
		return combine(a.big, b.big, func(x, y *roaring.Bitmap) *roaring.Bitmap {
			switch {
			case x == nil:
				return y
			case y == nil:
				return x
			}
			return roaring.Or(x, y)
		})
	case a.large:
		t := a.big
		fresh := addShards(new(radix.Owner), nil, &t, b.list)
		return numbers{big: t, large: true, n: a.n + len(fresh)}
	}
	return numbersOf(merge(slices.Grow(slices.Clone(a.list), len(b.list)), minus(b.list, a.list)))
}

// combine applies op shard by shard. Shards that op returns unchanged are
// shared with the operand: bitmaps are never edited once they stand in a set.
func combine(a, b shards, op func(x, y *roaring.Bitmap) *roaring.Bitmap) numbers {
	own := new(radix.Owner)
	out, n := a, 0
	for hi, x := range a.All() {
		y := b.Get(hi)
		if *x == nil && y == nil {
			continue
		}
		r := op(*x, y)
		if r != nil {
			n += int(r.GetCardinality())
		}
		if r != *x {
			out.Set(own, hi, r)
		}
	}
	for hi, y := range b.All() {
		if *y == nil || a.At(hi) != nil {
			continue // the leaf exists in a, so the first pass has been here
		}
		if r := op(nil, *y); r != nil {
			n += int(r.GetCardinality())
			out.Set(own, hi, r)
		}
	}
	return numbers{big: out, large: true, n: n}
}

func (a numbers) equal(b numbers) bool {
	if a.n != b.n {
		return false
	}
	if !a.large || !b.large {
		if b.large {
			a, b = b, a
		}
		for _, u := range b.list {
			if !a.contains(u) {
				return false
			}
		}
		return true
	}
	return a.andNot(b).n == 0
}
