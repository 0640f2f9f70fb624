package roster

import (
	"iter"
	"slices"
	"sync/atomic"
)

// firstPage keeps the first users of a set by name, once somebody has asked for
// them, and all of them if the set is not large and somebody has asked for a
// prefix. It goes with a set of the effectiveCache and may be used by any number
// of goroutines.
type firstPage struct{ page, all atomic.Pointer[namePage] }

// namePage is the first users of a set by name, as of one order.
type namePage struct {
	version uint64 // of the order
	users   []uint32
	whole   bool // there are no more
}

// pageLength is how many users a page keeps.
const pageLength = 128

// fromFirst yields the users of the page that s keeps, found if need be, then
// those behind it.
func (s Set) fromFirst() iter.Seq[uint32] {
	names := &s.st.users.byName
	return func(yield func(uint32) bool) {
		p := s.first.page.Load()
		if p == nil || p.version != names.version {
			p = s.findFirst()
			s.first.page.Store(p)
		}
		for _, u := range p.users {
			if !yield(u) {
				return
			}
		}
		if p.whole {
			return
		}
		for u := range s.seek(names.after(names.label(p.users[len(p.users)-1]))) {
			if !yield(u) {
				return
			}
		}
	}
}

func (s Set) findFirst() *namePage {
	p := &namePage{version: s.st.users.byName.version, users: make([]uint32, 0, min(s.n, pageLength))}
	for u := range s.seek(place{}) {
		p.users = append(p.users, u)
		if len(p.users) == pageLength {
			break
		}
	}
	p.whole = len(p.users) < pageLength
	return p
}

// sortedMax is up to how many users of a set are kept by name.
const sortedMax = 1 << 14

// sorted returns the users of a small set by name, and whether it keeps them.
// The slice is not to be changed.
func (s Set) sorted() ([]uint32, bool) {
	if s.first == nil || s.n > sortedMax {
		return nil, false
	}
	names := &s.st.users.byName
	p := s.first.all.Load()
	if p == nil || p.version != names.version {
		keys := make([]uint64, 0, s.n)
		for u := range s.all() {
			keys = append(keys, uint64(names.label(u))<<32|uint64(u))
		}
		slices.Sort(keys)
		p = &namePage{version: names.version, users: make([]uint32, len(keys)), whole: true}
		for i, k := range keys {
			p.users[i] = uint32(k)
		}
		s.first.all.Store(p)
	}
	return p.users, true
}

// without returns a firstPage for the set that f belongs to after the membership
// of some users has changed: with the same page if none of them stands in it or
// belongs there.
func (f *firstPage) without(names *order, users []uint32) *firstPage {
	next := new(firstPage)
	p := f.page.Load()
	if p == nil || p.version != names.version || len(p.users) == 0 {
		return next
	}
	last := names.label(p.users[len(p.users)-1])
	for _, u := range users {
		if p.whole || names.label(u) < last || slices.Contains(p.users, u) {
			return next
		}
	}
	next.page.Store(p)
	return next
}
