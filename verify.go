package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/textindex"
)

// Stats says what an engine holds and how far its parts have come.
type Stats struct {
	Revision     Revision // newest durable
	Folded       Revision // in Badger
	Oldest       Revision // the first that Changes can give
	Directories  int
	Users        int
	ActiveUsers  int
	Groups       int
	Memberships  int // direct, of users
	Nestings     int // direct, of groups in groups
	NestingPairs int // (group, group that it is nested in or administers, at any depth)

	Organizations  int
	Roles          int
	OrgMemberships int
	Administrators int // of groups: users, and groups whose members administer
	Data           int // values that programs keep; see Txn.PutData

	JournalBytes int64 // log since the last fold
	DiskBytes    int64 // all files but those of the search index

	SearchRevision Revision // up to which the search index has come; 0 while there is none
	SearchUsers    int      // in it, or in the one that is being built
	SearchSegments int      // that it is made of
	SearchBytes    int64    // on disk
	SearchMemory   int64    // bytes of texts that are kept in memory
	SearchBusy     bool     // it is being built, merged, or given texts
	SearchProblem  string   // why there is none; "" also for a store too small to have one
}

// Stats counts what the engine holds. It passes over all sets, some
// milliseconds for 100,000.
func (e *Engine) Stats() Stats {
	st := e.now.Load()
	disk := e.store.Stats()
	out := Stats{
		Revision: st.rev, Folded: Revision(e.store.Applied()), Oldest: Revision(e.store.Oldest()),
		Directories: len(st.dirs), Users: st.len(setAll), ActiveUsers: st.len(setActive),
		Groups: st.groups.len(), NestingPairs: st.nest.pairs,
		Organizations: st.orgs.len(), Roles: st.roles.len(), Data: st.data.len(),
		JournalBytes: e.store.JournalBytes(), DiskBytes: disk.JournalBytes + disk.TableBytes,
	}
	search := e.search.figures()
	out.SearchRevision, out.SearchUsers, out.SearchSegments = search.rev, search.users, search.segments
	out.SearchMemory, out.SearchBusy, out.SearchProblem, out.SearchBytes = search.memory, search.busy, search.problem, textindex.Bytes(e.search.dir)
	for _, s := range st.sets.All() {
		if s.flags&slotGroup != 0 {
			out.Memberships += int(s.n)
		}
	}
	for org := range st.orgs.all() {
		out.OrgMemberships += st.len(org)
	}
	for set, n := range st.nest.nodes.All() {
		switch {
		case *n == nil:
		case st.adminOf.Get(set).group != 0:
			out.Administrators += len((*n).children)
		default:
			out.Nestings += len((*n).children)
		}
	}
	for set, g := range st.adminOf.All() {
		if g.group != 0 {
			out.Administrators += st.len(set)
		}
	}
	return out
}

// Verify reads every byte of the data folder and checks it, makes the whole
// state again from it, and compares that with the state in memory: every set in
// both directions, the nesting, the names and their order, every record. It
// returns nil or everything that is wrong, joined. Updates wait while it
// compares. Report, if not nil, is told what is being done.
func (e *Engine) Verify(ctx context.Context, report func(string)) error {
	if report == nil {
		report = func(string) {}
	}
	if !e.opts.ReadOnly {
		select {
		case e.folder.busy <- struct{}{}: // no fold goes on meanwhile
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-e.folder.busy }()
	}
	if err := e.take(ctx); err != nil {
		return err
	}
	defer e.release()
	e.commit.rest()
	st, err := e.views.open(&e.now)
	if err != nil {
		return err
	}
	defer e.views.done(st)

	if err := e.store.Verify(ctx, report); err != nil {
		return err
	}
	report("reading the state again")
	again, _, err := load(e.store, noLimit)
	if err != nil {
		return err
	}
	report("comparing it with the state in memory")
	again.arrange()
	return errors.Join(st.consistent(e), again.consistent(e), st.same(again))
}

// consistent checks the derived structures of a state against each other, and
// that every record can be read.
func (st *state) consistent(e *Engine) error {
	disk := &folded{store: e.store} // which keeps nothing: what is on disk is in question
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("in memory: "+format+": %w", append(args, ErrCorrupt)...))
	}
	forward, backward := 0, 0
	for set, s := range st.sets.All() {
		if s.flags&slotListed == 0 {
			continue
		}
		for u := range st.direct(set).all() {
			forward++
			if !idlist.Contains(st.setsOf(u), set) {
				wrong("user %d is in set %d, which the user does not list", u, set)
			}
		}
	}
	all := st.direct(setAll)
	for u := range all.all() {
		for range idlist.All(st.setsOf(u)) {
			backward++
		}
	}
	if forward != backward {
		wrong("%d memberships by set, %d by user", forward, backward)
	}
	for _, kind := range paged {
		reg := st.register(kind)
		if err := reg.byName.check(&reg.roll); err != nil {
			wrong("%v", err)
		}
		for n := range reg.all() {
			if _, err := st.record(disk, kind, n); err != nil {
				wrong("record %c%d: %v", kind, n, err)
			}
		}
	}
	members, joined := 0, 0
	for org := range st.orgs.all() {
		members += st.len(org)
	}
	for u := range all.all() {
		list := st.joined(u)
		var newer joinedEntry
		for j := range list.all() {
			joined++
			if newer.org != 0 && st.compareJoined(newer, j) <= 0 {
				wrong("the organisations of user %d are not in order", u)
			}
			newer = j
			if err := st.checkMembership(disk, u, j, list.standard() == j.org); err != nil {
				wrong("user %d in organisation %d: %v", u, j.org, err)
			}
		}
	}
	if members != joined {
		wrong("%d memberships by organisation, %d by user", members, joined)
	}
	for set, n := range st.nest.nodes.All() {
		if *n != nil && !st.aboveIsRight(set) {
			wrong("what lies above set %d", set)
		}
	}
	return errors.Join(errs...)
}

// checkMembership holds what the index knows of a membership to its record.
func (st *state) checkMembership(disk *folded, u uint32, j joinedEntry, standard bool) error {
	org := j.org
	rec, err := st.membershipRecord(disk, org, u)
	if err != nil {
		return err
	}
	m, err := factsOf(org, rec)
	if err != nil {
		return err
	}
	switch {
	case !m.since.since.Equal(j.since) || m.standard != standard:
		return fmt.Errorf("the list of the user's organisations does not tell: %w", ErrCorrupt)
	case m.owner != st.contains(u, ownersOf(org)):
		return fmt.Errorf("an owner, or not: %w", ErrCorrupt)
	}
	for role := range idlist.All(st.rolesOf.Get(org)) {
		if st.contains(u, role) != slices.Contains(m.roles, role) {
			return fmt.Errorf("role %d, or not: %w", role, ErrCorrupt)
		}
	}
	return nil
}

// aboveIsRight computes what lies above a set once more, by walking.
func (st *state) aboveIsRight(set uint32) bool {
	seen := map[uint32]bool{}
	todo := st.nest.at(set).parents
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		if !seen[p] {
			seen[p] = true
			todo = append(todo[:len(todo):len(todo)], st.nest.at(p).parents...)
		}
	}
	for _, p := range st.nest.at(set).above {
		if !seen[p] {
			return false
		}
	}
	return len(seen) == len(st.nest.at(set).above)
}

// same compares two states of one revision.
func (st *state) same(other *state) error {
	var errs []error
	differ := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("disk and memory differ: "+format+": %w", append(args, ErrCorrupt)...))
	}
	if st.rev != other.rev || st.nextUser > other.nextUser || st.nextSet > other.nextSet {
		differ("revision %d, %d", st.rev, other.rev)
	}
	for set := range max(st.nextSet, other.nextSet) {
		if st.exists(set) != other.exists(set) || !st.direct(set).equal(other.direct(set)) {
			differ("members of set %d", set)
		}
		a, b := st.nest.at(set), other.nest.at(set)
		if !equalIDs(a.children, b.children) || !equalIDs(a.above, b.above) {
			differ("nesting of set %d", set)
		}
		for _, kind := range []byte{keyGroups, keyData, keyOrganizations, keyRoles} {
			if cardIn(st, kind, set) != cardIn(other, kind, set) {
				differ("name of %c%d", kind, set)
			}
		}
		if st.adminSet.Get(set) != other.adminSet.Get(set) || st.adminOf.Get(set) != other.adminOf.Get(set) {
			differ("administrators of group %d", set)
		}
	}
	for u := range max(st.nextUser, other.nextUser) {
		if cardIn(st, keyUsers, u) != cardIn(other, keyUsers, u) {
			differ("name of user %d", u)
		}
		if st.joined(u) != other.joined(u) {
			differ("organisations of user %d", u)
		}
	}
	return errors.Join(errs...)
}

func cardIn(st *state, kind byte, n uint32) card {
	c, _ := st.register(kind).get(n)
	return c
}

func equalIDs(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
