package roster

import (
	"iter"
	"slices"
	"sync/atomic"
)

// edit says which users' records one revision changed. Edits form a list from
// the older to the newer: who holds one can see everything that came after it,
// and what nobody holds any more is forgotten.
//
// The head holds the newest, the searcher the one up to which the index has
// come, each open view the one up to which the index had come before it began.
// A published state holds none: sets keep states alive, for ever perhaps.
type edit struct {
	rev   Revision
	users []uint32
	next  atomic.Pointer[edit]
}

// noteEdits adds the users whose records ops have changed to the list, as edits
// of the newest revision.
func (st *state) noteEdits(ops []op) {
	users := editedBy(nil, ops)
	if len(users) == 0 {
		return
	}
	e := &edit{rev: st.rev, users: ascending(users)}
	st.edits.next.Store(e)
	st.edits = e
}

// editedBy appends the users whose records ops change.
func editedBy(dst []uint32, ops []op) []uint32 {
	for i := range ops {
		if k := ops[i].kind; k == opPutUser || k == opDeleteUser {
			dst = append(dst, ops[i].num)
		}
	}
	return dst
}

// until yields the edits after e up to a revision.
func (e *edit) until(rev Revision) iter.Seq[*edit] {
	return func(yield func(*edit) bool) {
		for e = e.next.Load(); e != nil && e.rev <= rev; e = e.next.Load() {
			if !yield(e) {
				return
			}
		}
	}
}

// usersUntil returns the users that were edited after e up to a revision, ascending,
// and the last of these edits.
func (e *edit) usersUntil(rev Revision) (users []uint32, last *edit) {
	last = e
	for newer := range e.until(rev) {
		last = newer
		users = append(users, last.users...)
	}
	slices.Sort(users)
	return slices.Compact(users), last
}
