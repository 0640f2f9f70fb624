package roster

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster/internal/idlist"
)

// Txn reads one state of the engine and, in an Update, changes it. It belongs
// to its closure: it must not be used by another goroutine or after the closure
// has returned, when every method that can fails with ErrTxnDone.
//
// Strings and slices that a Txn returns belong to the caller, as do Sets, which
// stay valid after the closure.
type Txn struct {
	e     *Engine
	st    *state // of a View a published state, of an Update the head
	ctx   context.Context
	write bool
	done  bool

	ops   []op      // what the closure changed, for the record and for undoing
	err   error     // an error that no method could return; the Update fails with it
	at    time.Time // the time of the record, once asked for
	since *edit     // of a View: an edit that is not newer than it, where known; see searcher
	taken *state    // a frozen copy of the head that sets were made of; nil after a change
}

// end makes the transaction unusable.
func (tx *Txn) end() { tx.done = true }

// now is the time that everything in the record is stamped with.
func (tx *Txn) now() time.Time {
	if tx.at.IsZero() {
		tx.at = tx.e.opts.Now().UTC().Round(0)
	}
	return tx.at
}

// snapshot returns the state as a value that later writes do not change.
func (tx *Txn) snapshot() (*state, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.write {
		return tx.st, nil
	}
	if tx.taken == nil {
		tx.taken = tx.st.freeze()
	}
	return tx.taken, nil
}

// ready reports whether the transaction can be read, and settles the nesting
// that the closure has changed.
func (tx *Txn) ready() error {
	if tx.done {
		return ErrTxnDone
	}
	if tx.err != nil {
		return tx.err
	}
	if err := tx.st.settle(); err != nil {
		tx.err = err
	}
	return tx.err
}

// Revision returns the revision that a View reads; in an Update, the newest one
// before it.
func (tx *Txn) Revision() Revision { return tx.st.rev }

// Directories returns all directories in the order of their numbers.
func (tx *Txn) Directories() []Directory {
	out := make([]Directory, len(tx.st.dirs))
	for i, d := range tx.st.dirs {
		out[i] = d.Directory
	}
	return out
}

// Directory returns the directory of that number, or ErrNotFound.
func (tx *Txn) Directory(id DirectoryID) (Directory, error) {
	if d := tx.st.dir(id); d != nil {
		return d.Directory, nil
	}
	return Directory{}, fmt.Errorf("directory %d: %w", id, ErrNotFound)
}

// DirectoryByName returns the directory of that name, under identity folding,
// or ErrNotFound.
func (tx *Txn) DirectoryByName(name string) (Directory, error) {
	f := fold(name)
	for _, d := range tx.st.dirs {
		if d.folded == f {
			return d.Directory, nil
		}
	}
	return Directory{}, fmt.Errorf("directory %q: %w", name, ErrNotFound)
}

// User returns a user's record, or ErrNotFound. Records that were folded are
// read from disk, in some microseconds; those that were read lately stand in
// memory.
func (tx *Txn) User(id UserID) (User, error) {
	if err := tx.ready(); err != nil {
		return User{}, err
	}
	rec, err := tx.st.record(&tx.e.folded, keyUsers, uint32(id))
	if err != nil {
		return User{}, fmt.Errorf("%v: %w", id, err)
	}
	u, err := decodeUser(id, strings.Clone(rec))
	if err != nil {
		return User{}, fmt.Errorf("%v: %w", id, err)
	}
	return u, nil
}

// Group returns a group's record, or ErrNotFound; see User.
func (tx *Txn) Group(id GroupID) (Group, error) {
	if err := tx.ready(); err != nil {
		return Group{}, err
	}
	rec, err := tx.st.record(&tx.e.folded, keyGroups, uint32(id))
	if err != nil {
		return Group{}, fmt.Errorf("%v: %w", id, err)
	}
	g, err := decodeGroup(id, strings.Clone(rec))
	if err != nil {
		return Group{}, fmt.Errorf("%v: %w", id, err)
	}
	return g, nil
}

// UserHead returns what of a user's record stands in memory, or ErrNotFound: ID,
// Directory, Username, Number, UID and Active. The other fields are zero, so it is
// nothing to put.
func (tx *Txn) UserHead(id UserID) (User, error) {
	c, err := tx.card(&tx.st.users.roll, uint32(id))
	if err != nil {
		return User{}, fmt.Errorf("%v: %w", id, err)
	}
	return User{
		ID: id, Directory: DirectoryID(c.dir), Username: c.name, Number: c.id, UID: tx.st.users.uid(&c), Active: c.flags&flagActive != 0,
	}, nil
}

// GroupHead returns what of a group's record stands in memory, or ErrNotFound: ID,
// Directory, Name, Number, UID and Enterprise; see UserHead.
func (tx *Txn) GroupHead(id GroupID) (Group, error) {
	c, err := tx.card(&tx.st.groups.roll, uint32(id))
	if err != nil {
		return Group{}, fmt.Errorf("%v: %w", id, err)
	}
	return Group{
		ID: id, Directory: DirectoryID(c.dir), Name: c.name, Number: c.id, UID: tx.st.groups.uid(&c), Enterprise: c.flags&flagEnterprise != 0,
	}, nil
}

func (tx *Txn) card(of *roll, n uint32) (card, error) {
	if err := tx.ready(); err != nil {
		return card{}, err
	}
	c, ok := of.get(n)
	if !ok {
		return card{}, ErrNotFound
	}
	c.name, c.uid = strings.Clone(c.name), strings.Clone(c.uid) // neither keeps a page alive
	return c, nil
}

// record returns an encoded record of what is stored under keys of a kind, or
// ErrNotFound.
func (st *state) record(from *folded, kind byte, n uint32) (string, error) {
	if !st.register(kind).has(n) {
		return "", ErrNotFound
	}
	if rec := firstOf(st.fresh.of(kind).Get(n), st.aged.of(kind).Get(n)); rec != "" {
		return rec, nil
	}
	return from.get(st.base, recordName{kind: kind, n: n})
}

// membershipRecord returns the encoded record of a membership of an
// organisation, or ErrNotFound.
func (st *state) membershipRecord(from *folded, org, u uint32) (string, error) {
	if !st.contains(u, org) {
		return "", ErrNotFound
	}
	if rec := firstOf(st.fresh.memberships.get(org, u), st.aged.memberships.get(org, u)); rec != "" {
		return rec, nil
	}
	return from.get(st.base, recordName{keyMemberships, org, u})
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Username returns the name of a user from memory, "" if there is none.
func (tx *Txn) Username(id UserID) string { return tx.st.users.name(uint32(id)) }

// GroupName returns the name of a group from memory, "" if there is none.
func (tx *Txn) GroupName(id GroupID) string { return tx.st.groups.name(uint32(id)) }

// UserByName returns the user of that name in a directory, under identity
// folding.
func (tx *Txn) UserByName(d DirectoryID, name string) (UserID, bool) {
	n, ok := tx.st.users.find(uint32(d), fold(name))
	return UserID(n), ok
}

// GroupByName returns the group of that name in a directory, under identity
// folding.
func (tx *Txn) GroupByName(d DirectoryID, name string) (GroupID, bool) {
	n, ok := tx.st.groups.find(uint32(d), fold(name))
	return GroupID(n), ok
}

// UserByNumber returns the user with that User.Number.
func (tx *Txn) UserByNumber(number uint64) (UserID, bool) {
	n, ok := tx.st.users.byID(number)
	return UserID(n), ok
}

// GroupByNumber returns the group with that Group.Number.
func (tx *Txn) GroupByNumber(number uint64) (GroupID, bool) {
	n, ok := tx.st.groups.byID(number)
	return GroupID(n), ok
}

// UserByUID returns the user with that User.UID.
func (tx *Txn) UserByUID(uid string) (UserID, bool) {
	n, ok := tx.st.users.byUID(uid)
	return UserID(n), ok
}

// GroupByUID returns the group with that Group.UID.
func (tx *Txn) GroupByUID(uid string) (GroupID, bool) {
	n, ok := tx.st.groups.byUID(uid)
	return GroupID(n), ok
}

// FindUser returns the user that a reference means: name, name@directory,
// name@domain, domain\name or #number. It returns ErrNotFound, or an
// *AmbiguousError when the reference fits several.
func (tx *Txn) FindUser(ref string) (UserID, error) {
	n, err := tx.st.findUser(ref)
	return UserID(n), err
}

// FindGroup returns the group that a reference means: name, directory:name or
// #number. It returns ErrNotFound, or an *AmbiguousError when the reference
// fits several.
func (tx *Txn) FindGroup(ref string) (GroupID, error) {
	n, err := tx.st.findGroup(ref)
	return GroupID(n), err
}

func (st *state) findUser(ref string) (uint32, error) {
	m := st.matchUsers(ref)
	if m.n == 1 {
		return m.first, nil
	}
	return 0, m.refuse("user", ref, func(c *card) (string, matches) {
		s := c.name + "@" + st.dir(DirectoryID(c.dir)).Name
		return s, st.matchUsers(s)
	})
}

func (st *state) matchUsers(ref string) matches {
	m := matches{r: &st.users.roll}
	if n, ok := byNumber(m.r, ref); ok {
		m.add(n)
		return m
	}
	return st.matchNames(ref)
}

// matchNames is matchUsers without numbers.
func (st *state) matchNames(ref string) matches {
	m := matches{r: &st.users.roll}
	m.anywhere(fold(ref))
	if i := strings.LastIndexByte(ref, '@'); i > 0 {
		m.within(st.dirs, ref[i+1:], ref[:i])
	}
	if i := strings.IndexByte(ref, '\\'); i > 0 {
		m.within(st.dirs, ref[:i], ref[i+1:])
	}
	return m
}

func (st *state) findGroup(ref string) (uint32, error) {
	m := st.matchGroups(ref)
	if m.n == 1 {
		return m.first, nil
	}
	return 0, m.refuse("group", ref, func(c *card) (string, matches) {
		s := st.dir(DirectoryID(c.dir)).Name + ":" + c.name
		return s, st.matchGroups(s)
	})
}

func (st *state) matchGroups(ref string) matches {
	m := matches{r: &st.groups.roll}
	if n, ok := byNumber(m.r, ref); ok {
		m.add(n)
		return m
	}
	m.anywhere(fold(ref))
	if i := strings.IndexByte(ref, ':'); i > 0 {
		m.within(st.dirs, ref[:i], ref[i+1:])
	}
	return m
}

// byNumber understands #number.
func byNumber(r *roll, ref string) (uint32, bool) {
	if len(ref) < 2 || ref[0] != '#' {
		return 0, false
	}
	id, err := strconv.ParseUint(ref[1:], 10, 64)
	if err != nil {
		return 0, false
	}
	return r.byID(id)
}

// matches collects what a reference may mean. The first one is held without an
// allocation: nearly every reference means one.
type matches struct {
	r     *roll
	first uint32
	n     int
	more  []uint32
}

func (m *matches) add(n uint32) {
	switch {
	case m.n == 0:
		m.first = n
	case m.first == n || slices.Contains(m.more, n):
		return
	default:
		m.more = append(m.more, n)
	}
	m.n++
}

func (m *matches) anywhere(folded string) {
	for n := range m.r.named(0, folded) {
		m.add(n)
	}
}

// within adds the name in every directory of that name or domain.
func (m *matches) within(dirs []dirEntry, dir, name string) {
	fd, fn := fold(dir), fold(name)
	for i := range dirs {
		if dirs[i].folded != fd && fold(dirs[i].Domain) != fd {
			continue
		}
		if n, ok := m.r.find(uint32(dirs[i].ID), fn); ok {
			m.add(n)
		}
	}
}

// refuse returns the error of a reference that means nothing or several. Full
// returns the long form of a reference, and what that means: where it is not
// clear either, as when one directory has the name of another's domain, the
// candidate is shown by its number.
func (m *matches) refuse(what, ref string, full func(*card) (string, matches)) error {
	if m.n == 0 {
		return fmt.Errorf("%s %q: %w", what, ref, ErrNotFound)
	}
	e := &AmbiguousError{Ref: ref}
	for _, n := range append([]uint32{m.first}, m.more...) {
		c, _ := m.r.get(n)
		s, means := full(&c)
		if means.n != 1 {
			s = "#" + strconv.FormatUint(c.id, 10)
		}
		e.Candidates = append(e.Candidates, s)
	}
	slices.Sort(e.Candidates)
	return e
}

// Check reports whether user is a member of group, directly or through nested
// groups. It is false when either does not exist.
func (tx *Txn) Check(user UserID, group GroupID) bool {
	return tx.ready() == nil && tx.st.checkGroup(uint32(user), uint32(group))
}

// CheckDirect is Check without nested groups.
func (tx *Txn) CheckDirect(user UserID, group GroupID) bool {
	return tx.ready() == nil && tx.st.isGroup(group) && tx.st.contains(uint32(user), uint32(group))
}

func (st *state) isGroup(g GroupID) bool {
	s := st.sets.At(uint32(g))
	return s != nil && s.flags&slotGroup != 0
}

// Members returns the effective members of a group: direct ones, and those of
// all groups nested in it at any depth.
func (tx *Txn) Members(g GroupID) (Set, error) {
	return tx.members(g, func(st *state) numbers { return st.effective(&tx.e.cache, uint32(g)) })
}

// DirectMembers returns the direct members of a group.
func (tx *Txn) DirectMembers(g GroupID) (Set, error) {
	return tx.members(g, func(st *state) numbers { return tx.e.cache.get(&st.index, &st.users.byName, uint32(g), true) })
}

func (tx *Txn) members(g GroupID, of func(*state) numbers) (Set, error) {
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	if !st.isGroup(g) {
		return Set{}, fmt.Errorf("%v: %w", g, ErrNotFound)
	}
	return Set{numbers: of(st), st: st}, nil
}

func (st *state) effective(c *effectiveCache, set uint32) numbers {
	return c.get(&st.index, &st.users.byName, set, false)
}

// Users returns all users.
func (tx *Txn) Users() (Set, error) { return tx.own(setAll) }

// Active returns the users that are active.
func (tx *Txn) Active() (Set, error) { return tx.own(setActive) }

// SetOf returns the set of some users, or ErrNotFound if one of them does not exist.
// Their order does not matter, nor that one stands twice.
func (tx *Txn) SetOf(users ...UserID) (Set, error) {
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	list := make([]uint32, len(users))
	for i, u := range users {
		if !st.users.has(uint32(u)) {
			return Set{}, fmt.Errorf("%v: %w", u, ErrNotFound)
		}
		list[i] = uint32(u)
	}
	return Set{numbers: numbersOf(ascending(list)), st: st}, nil
}

func (tx *Txn) own(set uint32) (Set, error) {
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	return Set{numbers: st.direct(set), st: st}, nil
}

// DirectoryUsers returns the users of a directory, or ErrNotFound.
func (tx *Txn) DirectoryUsers(id DirectoryID) (Set, error) {
	d := tx.st.dir(id)
	if d == nil {
		return Set{}, fmt.Errorf("directory %d: %w", id, ErrNotFound)
	}
	return tx.own(d.set)
}

// GroupsByName yields all groups by identity-folded name, then directory.
func (tx *Txn) GroupsByName() iter.Seq[GroupID] {
	return func(yield func(GroupID) bool) {
		st, err := tx.snapshot()
		if err != nil {
			return
		}
		for g := range st.groups.byName.walk(place{}) {
			if !yield(GroupID(g)) {
				return
			}
		}
	}
}

// Subgroups returns the groups nested directly in a group, by name, or
// ErrNotFound.
func (tx *Txn) Subgroups(g GroupID) ([]GroupID, error) {
	return tx.linked(g, func(n *node) []uint32 { return n.children })
}

// Parents returns the groups that a group is nested in directly, by name, or
// ErrNotFound.
func (tx *Txn) Parents(g GroupID) ([]GroupID, error) {
	return tx.linked(g, func(n *node) []uint32 { return tx.st.justGroups(slices.Clone(n.parents)) })
}

func (tx *Txn) linked(g GroupID, side func(*node) []uint32) ([]GroupID, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.st.isGroup(g) {
		return nil, fmt.Errorf("%v: %w", g, ErrNotFound)
	}
	return tx.st.asGroups(side(tx.st.nest.at(uint32(g)))), nil
}

// asGroups returns set numbers as groups, by name.
func (st *state) asGroups(sets []uint32) []GroupID {
	if st.own != nil {
		st.arrange()
	}
	keys := make([]uint64, len(sets))
	for i, s := range sets {
		keys[i] = uint64(st.groups.byName.label(s))<<32 | uint64(s)
	}
	slices.Sort(keys)
	out := make([]GroupID, len(keys))
	for i, k := range keys {
		out[i] = GroupID(k)
	}
	return out
}

// Groups returns the groups that a user is an effective member of, by name, or
// ErrNotFound.
func (tx *Txn) Groups(u UserID) ([]GroupID, error) {
	return tx.groupsOf(u, func(st *state) []uint32 { return st.justGroups(st.appendEffective(nil, uint32(u))) })
}

// DirectGroups returns the groups that a user is a direct member of, by name,
// or ErrNotFound.
func (tx *Txn) DirectGroups(u UserID) ([]GroupID, error) {
	return tx.groupsOf(u, func(st *state) []uint32 { return st.justGroups(idlist.Decode(nil, st.setsOf(uint32(u)))) })
}

func (tx *Txn) groupsOf(u UserID, of func(*state) []uint32) ([]GroupID, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.st.contains(uint32(u), setAll) {
		return nil, fmt.Errorf("%v: %w", u, ErrNotFound)
	}
	return tx.st.asGroups(of(tx.st)), nil
}

// AppendGroups appends the groups that a user is an effective member of to dst
// in the order of their handles. It is Groups without the names: nothing is
// appended for a user that does not exist, and nothing allocated while dst has
// room.
func (tx *Txn) AppendGroups(dst []GroupID, u UserID) []GroupID {
	if tx.ready() != nil {
		return dst
	}
	var buf [64]uint32
	for _, s := range tx.st.justGroups(tx.st.appendEffective(buf[:0], uint32(u))) {
		dst = append(dst, GroupID(s))
	}
	return dst
}

// Abilities returns what a user may do: the union of Group.Abilities over the
// groups that it is an effective member of, sorted.
func (tx *Txn) Abilities(u UserID) ([]string, error) {
	groups, err := tx.Groups(u)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, id := range groups {
		if c, _ := tx.st.groups.get(uint32(id)); c.flags&flagAbilities == 0 {
			continue
		}
		g, err := tx.Group(id)
		if err != nil {
			return nil, err
		}
		out = append(out, g.Abilities...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
