package roster

import (
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
)

// Set is a set of users as of one revision: an immutable value that may be
// kept, copied and used by any number of goroutines. Sets that are combined
// should be of the same transaction; users are told apart by handle, so sets of
// different revisions combine too, by who they held then. The zero Set is empty.
type Set struct {
	numbers
	st    *state
	mixed bool // it may hold users whom st has not: a set of another revision went into it
}

// Contains reports whether u is in the set.
func (s Set) Contains(u UserID) bool { return s.contains(uint32(u)) }

// Len returns the number of users in the set. It costs nothing.
func (s Set) Len() int { return s.n }

// Equal reports whether both sets hold the same users.
func (s Set) Equal(t Set) bool { return s.equal(t.numbers) }

// And returns the users that are in both sets.
func (s Set) And(t Set) Set {
	switch {
	case s.isEveryone() && s.st == t.st && !t.mixed:
		return t
	case t.isEveryone() && s.st == t.st && !s.mixed:
		return s
	}
	return Set{s.and(t.numbers), s.of(t), s.mixed}
}

// isEveryone reports whether the set is all users of its revision: of a set in
// which there is nobody else their number tells.
func (s Set) isEveryone() bool { return s.st != nil && !s.mixed && s.n == s.st.len(setAll) }

// Or returns the users that are in either set.
func (s Set) Or(t Set) Set {
	mixed := s.mixed || t.mixed || s.st != nil && t.st != nil && s.st != t.st
	return Set{s.or(t.numbers), s.of(t), mixed}
}

// AndNot returns the users that are in s but not in t.
func (s Set) AndNot(t Set) Set { return Set{s.andNot(t.numbers), s.of(t), s.mixed} }

// Not returns all users, as of the set's revision, that are not in it.
func (s Set) Not() Set {
	if s.st == nil {
		return s
	}
	return Set{numbers: s.st.direct(setAll).andNot(s.numbers), st: s.st}
}

// of returns the state that a combination of s and t belongs to.
func (s Set) of(t Set) *state {
	if s.st == nil {
		return t.st
	}
	return s.st
}

// All yields the users in the order of their handles.
func (s Set) All() iter.Seq[UserID] {
	return func(yield func(UserID) bool) {
		for u := range s.all() {
			if !yield(UserID(u)) {
				return
			}
		}
	}
}

// Cursor is a place in the order of users by name: behind a name, in a
// directory. It is printable text without meaning to anyone else. It stays good
// under change, also when the user it was made of is renamed or deleted: what
// follows is what then stands behind that place. The zero Cursor is the
// beginning.
type Cursor string

func cursorOf(folded string, dir uint32) Cursor {
	return Cursor(base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatUint(uint64(dir), 10) + "/" + folded)))
}

// Validate returns ErrInvalid for text that is not a Cursor. ByName takes such
// text for the end of the order.
func (c Cursor) Validate() error {
	_, _, err := c.parse()
	return err
}

func (c Cursor) parse() (folded string, dir uint32, err error) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err == nil {
		num, name, ok := strings.Cut(string(b), "/")
		d, numErr := strconv.ParseUint(num, 10, 32)
		if ok && numErr == nil {
			return name, uint32(d), nil
		}
	}
	return "", 0, fmt.Errorf("cursor %q: %w", clip(string(c)), ErrInvalid)
}

// ByName yields the users behind a cursor by identity-folded username, then
// directory. Who stops early continues with CursorAfter the last user. Finding
// the first of a set costs time in proportion to the set or, for a large one, to
// the number of users between two of its members.
func (s Set) ByName(after Cursor) iter.Seq[UserID] {
	return func(yield func(UserID) bool) {
		if s.n == 0 || s.st == nil {
			return
		}
		var from place
		if after != "" {
			folded, dir, err := after.parse()
			if err != nil {
				return
			}
			from = s.st.users.behind(folded, dir)
		}
		for u := range s.byName(from) {
			if !yield(UserID(u)) {
				return
			}
		}
	}
}

// CursorAfter returns the place behind a user in the order of names, "" for one
// that the set's revision does not have.
func (s Set) CursorAfter(u UserID) Cursor {
	if s.st == nil {
		return ""
	}
	c, ok := s.st.users.get(uint32(u))
	if !ok {
		return ""
	}
	return cursorOf(c.fold(), c.dir)
}

// byName yields the users from a place on. The first ones of a set that the
// engine keeps are looked for once.
func (s Set) byName(from place) iter.Seq[uint32] {
	if from == (place{}) && s.first != nil {
		return s.fromFirst()
	}
	return s.seek(from)
}

// How the first users of a set by name are found depends on how many of all
// users it holds. Of 1 in k, the walk along the names passes k for each that it
// finds, so that its cost falls with the number of members, where preparing
// rises with it: the ways are equally good at some members times members for
// each user. The factors are where they are for a page of 100 of a million.
const (
	heapBelow = 8    // members² for each user: put the members' labels into a heap
	bitsBelow = 1200 // likewise: walk along the names with a bit array of the set
	// above: walk along the names and ask the set itself, a dearer step but nothing to prepare
)

func (s Set) seek(from place) iter.Seq[uint32] {
	names := &s.st.users.byName
	square, users := uint64(s.n)*uint64(s.n), uint64(names.len())
	switch {
	case s.n <= 16 || square < heapBelow*users:
		return s.byLabel(from)
	case square < bitsBelow*users:
		return s.byBits(from)
	}
	return func(yield func(uint32) bool) {
		for u := range names.walk(from) {
			if s.contains(u) && !yield(u) {
				return
			}
		}
	}
}

// byBits walks along the names with one bit for each user at hand.
func (s Set) byBits(from place) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		words := s.fillBits(int(s.st.nextUser>>16+1) << 10)
		defer bitArrays.Put(words)
		for u := range s.st.users.byName.walkBits(from, *words) {
			if !yield(u) {
				return
			}
		}
	}
}

// bitArrays keeps the bit arrays that walks have done with.
var bitArrays = sync.Pool{New: func() any { return new([]uint64) }}

// fillBits returns n words in which the bits of the set's numbers are set. Those
// that do not fit, of users newer than who asks, are left out.
func (a *numbers) fillBits(n int) *[]uint64 {
	words := bitArrays.Get().(*[]uint64)
	if cap(*words) < n {
		*words = make([]uint64, n)
	} else {
		*words = (*words)[:n]
		clear(*words)
	}
	if !a.large {
		for _, u := range a.list {
			if int(u>>6) < n {
				(*words)[u>>6] |= 1 << (u & 63)
			}
		}
		return words
	}
	for hi, b := range a.big.All() {
		if *b != nil && int(hi+1)<<10 <= n {
			(*b).WriteDenseTo((*words)[hi<<10 : (hi+1)<<10])
		}
	}
	return words
}

// byLabel puts the members' labels into a heap: the first few cost little more
// than reading the labels, all of them a sort.
func (s Set) byLabel(from place) iter.Seq[uint32] {
	names := &s.st.users.byName
	return func(yield func(uint32) bool) {
		if from == names.end() {
			return
		}
		least := names.label(names.at(from))
		h := make(labels, 0, s.n)
		for u := range s.all() {
			if l := names.label(u); l >= least {
				h = append(h, uint64(l)<<32|uint64(u))
			}
		}
		for i := len(h)/2 - 1; i >= 0; i-- {
			h.sink(i)
		}
		for len(h) > 0 {
			if !yield(uint32(h[0])) {
				return
			}
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
			h.sink(0)
		}
	}
}

// labels is a heap of labels with their users in the lower halves, the lowest
// label first. It is container/heap without a call for each comparison.
type labels []uint64

func (h labels) sink(i int) {
	for {
		least := 2*i + 1
		if least >= len(h) {
			return
		}
		if r := least + 1; r < len(h) && h[r] < h[least] {
			least = r
		}
		if h[i] <= h[least] {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
