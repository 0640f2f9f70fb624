package roster

import (
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/store"
)

// load makes the head of what a store holds: the state as it was folded, then
// everything that the log has since, which the list of edits that it returns
// tells of.
func load(s *store.Store, maxNesting int) (*state, *edit, error) {
	st := newHead(maphash.MakeSeed(), noLimit)
	st.rev = Revision(s.Applied())
	st.base = s.Applied()
	folded := &edit{rev: st.rev}
	st.edits = folded
	if err := st.decodeMeta(s.Meta()); err != nil {
		return nil, nil, err
	}
	l := loader{st: st, records: map[byte]*gathered{}, children: map[uint32][]uint32{}, admins: map[uint32]uint32{}}
	for _, kind := range paged {
		l.records[kind] = &gathered{given: st.nextSet}
	}
	l.records[keyUsers].given = st.nextUser
	if err := s.Load(runtime.GOMAXPROCS(0), l.value); err != nil {
		return nil, nil, err
	}
	if err := l.finish(); err != nil {
		return nil, nil, err
	}
	for rec, err := range s.Replay(s.Applied() + 1) {
		if err != nil {
			return nil, nil, err
		}
		if err := st.replay(Revision(rec.Revision), rec.Data); err != nil {
			return nil, nil, err
		}
	}
	// The limit binds those who nest. What is stored stays readable when the
	// option is lowered.
	if err := st.settle(); err != nil {
		return nil, nil, err
	}
	st.limit = max(maxNesting, st.nest.pairs)
	return st, folded, nil
}

const noLimit = 1 << 60

// loader takes folded values in any order, from several goroutines.
type loader struct {
	st *state

	records map[byte]*gathered // by kind of key

	mu          sync.Mutex // guards what follows, what is gathered, and st
	memberships []loadedMembership
	children    map[uint32][]uint32
	admins      map[uint32]uint32 // by group
}

// loadedMembership is what the index takes from a membership's record.
type loadedMembership struct {
	user     uint32
	standard bool
	joinedEntry
}

// gathered is what is gathered of a register beside its cards.
type gathered struct {
	filing
	given  uint32 // numbers from here on were never given
	labels []labelPage
}

type labelPage struct {
	page   uint32
	labels [recordPageSize]uint32
}

// byNumber returns the label of every number up to the highest that has one.
func (g *gathered) byNumber() []uint32 {
	pages := uint32(0)
	for _, p := range g.labels {
		pages = max(pages, p.page+1)
	}
	labels := make([]uint32, uint64(pages)*recordPageSize)
	for _, p := range g.labels {
		copy(labels[uint64(p.page)*recordPageSize:], p.labels[:])
	}
	return labels
}

// value decodes outside the lock and stores inside it.
func (l *loader) value(key, value []byte) error {
	k, err := parseKey(key)
	if err == nil {
		switch {
		case k.kind == keyAdmins:
			err = l.adminsOf(k.n, value)
		case k.kind == keyDirectories:
			err = l.directory(value)
		case k.kind == keyMemberships:
			err = l.membershipPage(pageOf{k.n, k.m}, value)
		case k.kind == keyNests:
			err = l.nest(k.n, value)
		case k.shard:
			err = l.shard(shardKey{k.n, k.m}, value)
		case k.kind == keySets:
			err = l.head(k.n, value)
		default:
			err = l.page(k.kind, k.n, value)
		}
	}
	if err != nil {
		return fmt.Errorf("value of key %x: %w", key, err)
	}
	return nil
}

func (l *loader) directory(value []byte) error {
	if len(value) == 0 {
		return nil
	}
	d, set, err := decodeDirectory(string(value))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.st.dirs = append(l.st.dirs, dirEntry{Directory: d, folded: fold(d.Name), set: set})
	return nil
}

// page takes a page of records into a register.
func (l *loader) page(kind byte, page uint32, value []byte) error {
	g, to, read := l.st.register(kind), l.records[kind], cardOf
	if kind == keyData {
		read = dataCard
	}
	var found [recordPageSize]card
	var refs [recordPageSize]*card
	if len(value) == 0 {
		return nil // all of them are gone, or were never more than tried
	}
	if page > to.given/recordPageSize {
		return fmt.Errorf("page %d of numbers that were never given: %w", page, errMalformed)
	}
	first := page * recordPageSize
	at := labelPage{page: page}
	err := eachRecord(string(value), func(k, label uint32, rec string) (err error) {
		if first+k >= to.given {
			return fmt.Errorf("record of number %d, which was never given: %w", first+k, errMalformed)
		}
		refs[k] = &found[k]
		at.labels[k] = label
		found[k], err = read(rec)
		return err
	})
	if err != nil {
		return err
	}
	var f filing
	cards := g.encode(first, &refs, &f)
	l.mu.Lock()
	defer l.mu.Unlock()
	g.pages.Set(l.st.own, page, cards)
	to.labels = append(to.labels, at)
	to.names = append(to.names, f.names...)
	to.ids = append(to.ids, f.ids...)
	to.uids = append(to.uids, f.uids...)
	return nil
}

// membershipPage takes what the index needs of a page of memberships.
func (l *loader) membershipPage(p pageOf, value []byte) error {
	var found []loadedMembership
	err := eachRecord(string(value), func(k, _ uint32, rec string) error {
		m, err := factsOf(p.org, rec)
		found = append(found, loadedMembership{p.page*recordPageSize + k, m.standard, m.since})
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memberships = append(l.memberships, found...)
	return nil
}

func (l *loader) adminsOf(group uint32, value []byte) error {
	if len(value) == 0 {
		return nil
	}
	set, size := uvarint(string(value))
	if size != len(value) || set == 0 || set > 1<<32-1 {
		return errMalformed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admins[group] = uint32(set)
	return nil
}

func (l *loader) head(set uint32, value []byte) error {
	s, err := decodeHead(string(value))
	if err != nil || s.flags == 0 {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ref := l.st.sets.Ref(l.st.own, set)
	s.big = ref.big // shards that came before the head
	*ref = s
	return nil
}

func (l *loader) shard(k shardKey, value []byte) error {
	b, err := decodeShard(value)
	if err != nil || b == nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.st.sets.Ref(l.st.own, k.set).big.Set(l.st.own, k.hi, b)
	return nil
}

func (l *loader) nest(set uint32, value []byte) error {
	if _, err := idlist.Check(string(value)); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.children[set] = idlist.Decode(nil, string(value))
	return nil
}

// finish derives what is not stored.
func (l *loader) finish() error {
	st := l.st
	slices.SortFunc(st.dirs, func(a, b dirEntry) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, kind := range paged {
		st.register(kind).adopt(st.own, &l.records[kind].filing)
	}
	if err := errors.Join(l.markSets(), st.checkShards()); err != nil {
		return err
	}
	users := l.records[keyUsers].byNumber()
	var wg sync.WaitGroup
	var ordered, derived error
	wg.Go(func() {
		for _, kind := range paged {
			ordered = errors.Join(ordered, st.register(kind).byName.load(st.own, l.records[kind].byNumber()))
		}
	})
	wg.Go(func() { derived = st.derive(st.own, uint32(len(users))) })
	wg.Wait()
	if err := errors.Join(ordered, derived); err != nil {
		return err
	}
	for parent, children := range l.children {
		for _, child := range children {
			st.link(st.own, parent, child)
		}
	}
	if err := l.join(); err != nil {
		return err
	}
	st.recent = recent{} // loading is no change
	if n := st.len(setAll); n != st.users.len() {
		return fmt.Errorf("%d users and %d records of users: %w", n, st.users.len(), errMalformed)
	}
	return nil
}

// markSets says of sets what they are for, and makes sure that everything that
// needs a set has one.
func (l *loader) markSets() error {
	st := l.st
	var errs []error
	mark := func(set uint32, flags uint8, what string, n uint32) {
		if !st.exists(set) {
			errs = append(errs, fmt.Errorf("%s %d has no set: %w", what, n, errMalformed))
			return
		}
		st.sets.Ref(st.own, set).flags |= flags
	}
	for n := range st.groups.all() {
		mark(n, slotListed|slotGroup, "group", n)
	}
	for n := range st.orgs.all() {
		mark(n, 0, "organisation", n)
		mark(ownersOf(n), 0, "organisation", n)
	}
	for n, c := range st.roles.all() {
		mark(n, 0, "role", n)
		if !st.orgs.has(c.dir) {
			errs = append(errs, fmt.Errorf("role %d in no organisation: %w", n, errMalformed))
		}
		list := st.rolesOf.Ref(st.own, c.dir)
		if sp, ok := idlist.Insert(*list, n); ok { // ascending: this appends
			*list = sp.Apply(*list)
		}
	}
	for group, set := range l.admins {
		mark(set, slotListed, "group", group)
		c, known := st.groups.get(group)
		if !known {
			errs = append(errs, fmt.Errorf("administrators of group %d, which there is not: %w", group, errMalformed))
		}
		st.bindAdmins(group, set, adminGroup{group, c.dir})
	}
	return errors.Join(errs...)
}

// join makes the lists of the users' organisations.
func (l *loader) join() error {
	st := l.st
	var all []loadedMembership
	var ends []uint32
	if len(l.memberships) > 0 {
		all, ends = byUser(l.memberships, l.records[keyUsers].given)
	}
	if len(all) != len(l.memberships) {
		return fmt.Errorf("memberships of users that were never created: %w", errMalformed)
	}
	for page := uint32(0); page*pageUsers < uint32(len(ends)); page++ {
		var lists [pageUsers]joinedList
		some := false
		for k := range lists {
			u := page*pageUsers + uint32(k)
			if u >= uint32(len(ends)) {
				break
			}
			first := uint32(0)
			if u > 0 {
				first = ends[u-1]
			}
			var err error
			if lists[k], err = st.listOf(all[first:ends[u]]); err != nil {
				return err
			}
			some = some || lists[k] != ""
		}
		if some {
			st.joins.Set(st.own, page, makePage(&lists))
		}
	}
	members := 0
	for org := range st.orgs.all() {
		members += st.len(org)
	}
	if members != len(l.memberships) {
		return fmt.Errorf("%d members of organisations and %d records of them: %w", members, len(l.memberships), errMalformed)
	}
	return nil
}

// byUser sorts memberships of users below a number by user, and returns where
// those of each user end; nil if there are others.
func byUser(all []loadedMembership, users uint32) (sorted []loadedMembership, ends []uint32) {
	ends = make([]uint32, users)
	for i := range all {
		if all[i].user >= users {
			return nil, nil
		}
		ends[all[i].user]++
	}
	for u := 1; u < len(ends); u++ {
		ends[u] += ends[u-1]
	}
	starts := slices.Clone(ends) // filled from the end to the start of each user's
	sorted = make([]loadedMembership, len(all))
	for _, m := range all {
		starts[m.user]--
		sorted[starts[m.user]] = m
	}
	return sorted, ends
}

// listOf returns the list of a user's organisations, given its memberships.
func (st *state) listOf(all []loadedMembership) (joinedList, error) {
	if len(all) == 0 {
		return "", nil
	}
	slices.SortFunc(all, func(a, b loadedMembership) int { return st.compareJoined(b.joinedEntry, a.joinedEntry) })
	standard := uint32(0)
	var entries []byte
	for _, m := range all {
		if m.standard {
			standard = m.org
		}
		if !st.contains(m.user, m.org) {
			return "", fmt.Errorf("record of user %d, who is no member of organisation %d: %w", m.user, m.org, errMalformed)
		}
		entries = appendJoined(entries, m.joinedEntry)
	}
	return makeJoined(standard, string(entries)), nil
}

// checkShards holds the shards of each large set to the count in its head, and
// makes sure that no other set has any.
func (st *state) checkShards() error {
	var errs []error
	for set, s := range st.sets.All() {
		n := shardsOf(s.big).n
		switch {
		case s.flags&slotLarge != 0 && n != int(s.n):
			errs = append(errs, fmt.Errorf("set %d has %d members in its shards, not %d: %w", set, n, s.n, errMalformed))
		case s.flags&slotLarge == 0 && n > 0:
			errs = append(errs, fmt.Errorf("set %d is small and has shards: %w", set, errMalformed))
		}
	}
	return errors.Join(errs...)
}
