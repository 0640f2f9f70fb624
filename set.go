package roster

import (
	"cmp"
	"container/heap"
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Set is a set of users as of one revision: an immutable value that may be
// kept, copied and used by any number of goroutines. Sets that are combined
// should be of the same transaction; users are told apart by handle, so sets of
// different revisions combine too, by who they held then. The zero Set is empty.
type Set struct {
	numbers
	st *state
}

// Contains reports whether u is in the set.
func (s Set) Contains(u UserID) bool { return s.contains(uint32(u)) }

// Len returns the number of users in the set. It costs nothing.
func (s Set) Len() int { return s.n }

// Equal reports whether both sets hold the same users.
func (s Set) Equal(t Set) bool { return s.equal(t.numbers) }

// And returns the users that are in both sets.
func (s Set) And(t Set) Set { return Set{s.and(t.numbers), s.of(t)} }

// Or returns the users that are in either set.
func (s Set) Or(t Set) Set { return Set{s.or(t.numbers), s.of(t)} }

// AndNot returns the users that are in s but not in t.
func (s Set) AndNot(t Set) Set { return Set{s.andNot(t.numbers), s.of(t)} }

// Not returns all users, as of the set's revision, that are not in it.
func (s Set) Not() Set {
	if s.st == nil {
		return s
	}
	return Set{s.st.direct(setAll).andNot(s.numbers), s.st}
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

// sparse is the number of users for each member above which sorting the
// members' labels finds the first by name sooner than walking along the names
// does: a step costs about a nanosecond and a half, a label five.
const sparse = 64

func (s Set) byName(from place) iter.Seq[uint32] {
	if s.n*sparse < s.st.users.byName.len() || s.n <= 16 {
		return s.byLabel(from)
	}
	return func(yield func(uint32) bool) {
		for u := range s.st.users.byName.walk(from) {
			if s.contains(u) && !yield(u) {
				return
			}
		}
	}
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
				h = append(h, labelled{l, u})
			}
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].user) {
				return
			}
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
			if len(h) > 0 {
				heap.Fix(&h, 0)
			}
		}
	}
}

type labelled struct{ label, user uint32 }

// labels is a heap, the lowest label first.
type labels []labelled

func (h labels) Len() int           { return len(h) }
func (h labels) Less(i, j int) bool { return cmp.Less(h[i].label, h[j].label) }
func (h labels) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *labels) Push(x any)        { *h = append(*h, x.(labelled)) }
func (h *labels) Pop() any          { panic("roster: labels are taken from the front") }
