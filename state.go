package roster

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/radix"
)

// state is everything as of one revision: a snapshot. Published states are
// never changed. The engine has one more, the head, which the writer edits in
// place; freeze makes a published state of it.
//
// What is asked of every user and every group stands in memory: the sets, the
// names and their order. The rest of each record is read from Badger, except
// for records that changed since they were last folded into it.
type state struct {
	rev    Revision
	time   time.Time // of the newest record
	index            // who is in which set
	dirs   []dirEntry
	users  register // names, numbers and uids of the users
	groups register // likewise of the groups; a group's number is that of its set
	orgs   register // organisations by ID; the number is that of the set of members, the next one that of the owners'
	roles  register // roles by ID and organisation; the number is that of the set of holders
	data   register // what programs keep of their own, by dataName; the number is one that no set has

	rolesOf  radix.Tree[string]     // by organisation: its roles, as a list
	joins    radix.Tree[page]       // by user: a joinedList
	adminSet radix.Tree[uint32]     // by group: the set of its administrators, 0 for none
	adminOf  radix.Tree[adminGroup] // by set: the group whose administrators it holds, if any

	adminVersion uint64 // another one whenever adminOf is another, or the list of directories

	fresh records // changed since the last fold began
	aged  records // being folded now, or just folded
	base  uint64  // the fold under them: the revision at which Badger is read

	counters

	// Of the head only.
	own   *radix.Owner
	dirty *dirty
	limit int   // Options.MaxNesting
	edits *edit // the newest
}

// counters are what new numbers are made from.
type counters struct {
	nextUser uint32 // the lowest user number never given
	nextSet  uint32
	maxUser  uint64 // the highest User.Number ever stored
	maxGroup uint64 // the highest Group.Number ever stored
}

// dirEntry is a directory with the set of its users. There are few: a slice is
// copied on each change.
type dirEntry struct {
	Directory
	folded string
	set    uint32
}

// adminGroup is a group that has administrators, with its directory.
type adminGroup struct{ group, dir uint32 }

// ownersOf returns the set of an organisation's owners.
func ownersOf(org uint32) uint32 { return org + 1 }

// records are encoded records of some of what there is. "" stands for none here;
// a deleted one is gone.
type records struct {
	users, groups, orgs, roles, data radix.Tree[string]
	memberships                      pairs // by organisation and user
}

// of returns the records that are stored under keys of a kind.
func (r *records) of(kind byte) *radix.Tree[string] {
	switch kind {
	case keyUsers:
		return &r.users
	case keyGroups:
		return &r.groups
	case keyOrganizations:
		return &r.orgs
	case keyData:
		return &r.data
	}
	return &r.roles
}

// register returns the register of what is stored under keys of a kind.
func (st *state) register(kind byte) *register {
	switch kind {
	case keyUsers:
		return &st.users
	case keyGroups:
		return &st.groups
	case keyOrganizations:
		return &st.orgs
	case keyData:
		return &st.data
	}
	return &st.roles
}

// paged are the kinds of key under which pages of records are stored.
var paged = []byte{keyGroups, keyData, keyOrganizations, keyRoles, keyUsers}

const gone = "\x00"

// The sets that every store has.
const (
	setAll    = 0 // all users
	setActive = 1 // the users that are active
	firstSet  = 2
)

// dirty says what the next fold has to write.
type dirty struct {
	dirs        map[DirectoryID]struct{}
	records     map[byte]*roaring.Bitmap // by kind of key: pages of records
	memberships map[pageOf]struct{}
	sets        *roaring.Bitmap // sets whose head changed: lists, and shards' counts
	shards      map[shardKey]struct{}
	nests       *roaring.Bitmap // sets whose direct children changed
	admins      *roaring.Bitmap // groups that got a set of administrators, or lost it
}

type shardKey struct{ set, hi uint32 }

// pageOf is a page of the records of an organisation's memberships.
type pageOf struct{ org, page uint32 }

func newDirty() *dirty {
	d := &dirty{
		dirs: map[DirectoryID]struct{}{}, records: map[byte]*roaring.Bitmap{}, memberships: map[pageOf]struct{}{},
		sets: roaring.New(), shards: map[shardKey]struct{}{}, nests: roaring.New(), admins: roaring.New(),
	}
	for _, kind := range paged {
		d.records[kind] = roaring.New()
	}
	return d
}

// record marks the record of number n as changed.
func (d *dirty) record(kind byte, n uint32) { d.records[kind].Add(n / recordPageSize) }

// merge adds what other says.
func (d *dirty) merge(other *dirty) {
	for k := range other.dirs {
		d.dirs[k] = struct{}{}
	}
	for k := range other.shards {
		d.shards[k] = struct{}{}
	}
	for k := range other.memberships {
		d.memberships[k] = struct{}{}
	}
	for kind, pages := range other.records {
		d.records[kind].Or(pages)
	}
	d.sets.Or(other.sets)
	d.nests.Or(other.nests)
	d.admins.Or(other.admins)
}

// newHead returns the state of an empty engine, to be edited. The seed is what
// the name tables hash with.
func newHead(seed maphash.Seed, limit int) *state {
	st := &state{
		users:    register{roll: newRoll(userUIDPrefix, seed)},
		groups:   register{roll: newRoll(groupUIDPrefix, seed)},
		orgs:     register{roll: newRoll("", seed)},
		roles:    register{roll: newScopedRoll(seed)},
		data:     register{roll: newRoll("", seed)},
		counters: counters{nextSet: firstSet}, own: new(radix.Owner), dirty: newDirty(), limit: limit, edits: new(edit),
	}
	st.ours = ours{}
	st.create(st.own, setAll, 0)
	st.create(st.own, setActive, 0)
	return st
}

// freeze returns the head as it is now for publishing. The head goes on with a
// new owner, so that nothing the frozen state shares is edited in place.
func (st *state) freeze() *state {
	st.arrange()
	st.own, st.ours = new(radix.Owner), ours{}
	frozen := *st
	frozen.own, frozen.ours, frozen.dirty, frozen.edits = nil, nil, nil, nil
	return &frozen
}

// arrange puts everyone created since the last call into the order of names.
func (st *state) arrange() {
	for _, kind := range paged {
		st.register(kind).arrange(st.own, st.labelled(kind))
	}
}

// labelled returns a function that marks the page of whatever has got another
// label in the order of names: labels are stored beside the records, so that
// opening needs no sort of names.
func (st *state) labelled(kind byte) func(uint32) {
	return func(n uint32) { st.dirty.record(kind, n) }
}

// enter stores a record and puts what it is of into its register.
func (st *state) enter(kind byte, n uint32, c card, rec string) (known bool) {
	_, known = st.register(kind).enter(st.own, n, c, st.labelled(kind))
	st.fresh.of(kind).Set(st.own, n, rec)
	st.dirty.record(kind, n)
	return known
}

// leave is the reverse of enter. It returns the card of what is gone.
func (st *state) leave(kind byte, n uint32) (c card, known bool) {
	if c, known = st.register(kind).leave(st.own, n, st.labelled(kind)); known {
		st.fresh.of(kind).Set(st.own, n, gone)
		st.dirty.record(kind, n)
	}
	return c, known
}

// settle brings the nesting's closure up to date. It fails with ErrLimit.
func (st *state) settle() error {
	if st.own == nil {
		return nil
	}
	return st.nest.settle(st.own, st.limit)
}

// apply carries out one op. The errors are those of records that do not decode;
// an op made by a verb has none.
func (st *state) apply(o *op) error {
	switch o.kind {
	case opPutDirectory:
		return st.putDirectory(o)
	case opDeleteDirectory:
		st.deleteDirectory(o)
	case opPutUser:
		return st.putUser(o)
	case opDeleteUser:
		st.deleteUser(o)
	case opPutGroup:
		return st.putGroup(o)
	case opDeleteGroup:
		st.deleteGroup(o)
	case opAdd:
		o.ids = st.edit(o.num, o.ids, st.add)
	case opRemove:
		o.ids = st.edit(o.num, o.ids, st.remove)
	case opNest:
		o.ids = st.relink(o.num, o.ids, st.link)
	case opUnnest:
		o.ids = st.relink(o.num, o.ids, st.unlink)
	default:
		return st.applyMore(o)
	}
	return nil
}

// replay applies a record read from the log.
func (st *state) replay(rev Revision, data []byte) error {
	t, ops, err := decodeRecord(data)
	if err != nil {
		return fmt.Errorf("revision %d: %w", rev, err)
	}
	for i := range ops {
		if err := st.apply(&ops[i]); err != nil {
			return fmt.Errorf("revision %d: %w", rev, err)
		}
	}
	st.rev, st.time = rev, t
	st.noteEdits(ops)
	return nil
}

// edit adds users to a set or removes them, marks what the next fold has to
// write of it, and returns those for whom it made a difference.
func (st *state) edit(set uint32, users []uint32, change func(*radix.Owner, uint32, []uint32) []uint32) []uint32 {
	was := st.isLarge(set)
	users = change(st.own, set, users)
	if len(users) == 0 {
		return nil
	}
	st.dirty.sets.Add(set)
	switch is := st.isLarge(set); {
	case was != is: // all shards appear, or have to be emptied
		for hi := uint32(0); hi <= st.nextUser>>16; hi++ {
			st.dirty.shards[shardKey{set, hi}] = struct{}{}
		}
	case is:
		for hi := range byShard(users) {
			st.dirty.shards[shardKey{set, hi}] = struct{}{}
		}
	}
	return users
}

func (st *state) relink(parent uint32, children []uint32, edit func(*radix.Owner, uint32, uint32) bool) []uint32 {
	changed := make([]uint32, 0, len(children))
	for _, c := range children {
		if edit(st.own, parent, c) {
			changed = append(changed, c)
		}
	}
	if len(changed) > 0 {
		st.dirty.nests.Add(parent)
	}
	return changed
}

// dir returns the directory of that number, or nil.
func (st *state) dir(id DirectoryID) *dirEntry {
	i, ok := st.dirAt(id)
	if !ok {
		return nil
	}
	return &st.dirs[i]
}

func (st *state) dirAt(id DirectoryID) (int, bool) {
	return slices.BinarySearchFunc(st.dirs, id, func(d dirEntry, id DirectoryID) int {
		return int(int64(d.ID) - int64(id))
	})
}

func (st *state) putDirectory(o *op) error {
	d, set, err := decodeDirectory(o.rec)
	if err != nil {
		return err
	}
	e := dirEntry{Directory: d, folded: fold(d.Name), set: set}
	i, found := st.dirAt(d.ID)
	st.dirs = slices.Clone(st.dirs)
	if found {
		st.dirs[i] = e
	} else {
		st.dirs = slices.Insert(st.dirs, i, e)
		st.adminVersion++
		st.create(st.own, set, 0)
		st.dirty.sets.Add(set)
		st.nextSet = max(st.nextSet, set+1)
	}
	st.dirty.dirs[d.ID] = struct{}{}
	return nil
}

func (st *state) deleteDirectory(o *op) {
	id := DirectoryID(o.num)
	if i, found := st.dirAt(id); found {
		st.destroy(st.own, st.dirs[i].set)
		st.dirty.sets.Add(st.dirs[i].set)
		st.dirs = slices.Delete(slices.Clone(st.dirs), i, i+1)
		st.adminVersion++
		st.dirty.dirs[id] = struct{}{}
	}
}

func (st *state) putUser(o *op) error {
	c, err := cardOf(o.rec)
	if err != nil {
		return err
	}
	d := st.dir(DirectoryID(c.dir))
	if d == nil {
		return fmt.Errorf("user %d in no directory: %w", o.num, errMalformed)
	}
	known := st.enter(keyUsers, o.num, c, o.rec)
	one := []uint32{o.num}
	if !known {
		st.toggle(setAll, one, true)
		st.toggle(d.set, one, true)
		st.nextUser = max(st.nextUser, o.num+1)
	}
	st.maxUser = max(st.maxUser, c.id)
	st.toggle(setActive, one, c.flags&flagActive != 0)
	return nil
}

// toggle puts users into one of the engine's own sets, or takes them out.
func (st *state) toggle(set uint32, users []uint32, in bool) {
	change := st.remove
	if in {
		change = st.add
	}
	st.edit(set, users, change)
}

func (st *state) deleteUser(o *op) {
	c, known := st.leave(keyUsers, o.num)
	if !known {
		return
	}
	one := []uint32{o.num}
	st.toggle(setActive, one, false)
	st.toggle(setAll, one, false)
	if d := st.dir(DirectoryID(c.dir)); d != nil {
		st.toggle(d.set, one, false)
	}
}

func (st *state) putGroup(o *op) error {
	c, err := cardOf(o.rec)
	if err != nil {
		return err
	}
	if !st.exists(o.num) {
		st.create(st.own, o.num, slotListed|slotGroup)
		st.dirty.sets.Add(o.num)
		st.nextSet = max(st.nextSet, o.num+1)
	}
	st.maxGroup = max(st.maxGroup, c.id)
	st.enter(keyGroups, o.num, c, o.rec)
	return nil
}

func (st *state) deleteGroup(o *op) {
	if _, known := st.leave(keyGroups, o.num); known {
		st.destroy(st.own, o.num)
		st.dirty.sets.Add(o.num)
	}
}
