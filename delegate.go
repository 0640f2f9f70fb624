package roster

import (
	"slices"
	"sync"

	"github.com/rosterdb/roster/internal/idlist"
)

// Whom a delegate may assign follows from three things: the sets that hold the
// delegate, what these are nested in, and the users of the directories that
// come of it. A delegateCache keeps the answer with the three, so that the next
// page compares a few pointers where it would pass over thousands of groups. It
// is safe for concurrent use.
type delegateCache struct {
	mu     sync.Mutex
	byUser map[uint32]*delegate
}

// delegate is what was found out of a user that administers groups.
type delegate struct {
	sets    string   // that hold the user
	version uint64   // of nesting and of who administers what
	from    []uint32 // sets of the users that may be assigned

	was   []slot  // these sets when users was made of them
	users numbers // all of them
}

// maxDelegates is how many are kept: the ones that are at work just now.
const maxDelegates = 512

// assignable returns the users that may be assigned to the groups that a user
// administers.
func (c *delegateCache) assignable(st *state, u uint32) numbers {
	c.mu.Lock()
	known := c.byUser[u]
	c.mu.Unlock()
	sets, version := st.setsOf(u), st.adminVersion+st.nest.version
	if known == nil || known.version != version || known.sets != sets {
		known = &delegate{sets: sets, version: version, from: st.assignableFrom(u)}
	}
	now := make([]slot, len(known.from))
	for i, set := range known.from {
		now[i] = st.sets.Get(set)
	}
	if known.was != nil && slices.Equal(now, known.was) {
		return known.users
	}
	next := &delegate{sets: sets, version: version, from: known.from, was: now}
	for _, set := range next.from {
		next.users = next.users.or(st.direct(set))
	}
	next.users.first = new(firstPage)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byUser == nil {
		c.byUser = map[uint32]*delegate{}
	}
	for other := range c.byUser {
		if len(c.byUser) < maxDelegates {
			break
		}
		delete(c.byUser, other)
	}
	c.byUser[u] = next
	return next.users
}

// assignableFrom returns the sets of users of the directories that the groups
// belong to which a user administers.
func (st *state) assignableFrom(u uint32) []uint32 {
	const lately = 32 // looking further back would cost more than the few that it saves
	var dirs []uint32
	st.eachAdmin(u, func(g adminGroup) {
		if !slices.Contains(dirs[max(0, len(dirs)-lately):], g.dir) {
			dirs = append(dirs, g.dir)
		}
	})
	if dirs = ascending(dirs); len(dirs) == len(st.dirs) {
		return []uint32{setAll}
	}
	for i, d := range dirs {
		dirs[i] = st.dir(DirectoryID(d)).set
	}
	return dirs
}

// eachAdmin calls fn for the groups that a user administers, some of them more
// than once.
func (st *state) eachAdmin(u uint32, fn func(adminGroup)) {
	for set := range idlist.All(st.setsOf(u)) {
		if g := st.adminOf.Get(set); g.group != 0 {
			fn(g)
		}
		if !st.nest.nested(set) {
			continue
		}
		for _, above := range st.nest.at(set).above {
			if g := st.adminOf.Get(above); g.group != 0 {
				fn(g)
			}
		}
	}
}
