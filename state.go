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

	fresh records // changed since the last fold began
	aged  records // being folded now, or just folded
	base  uint64  // the fold under them: the revision at which Badger is read

	counters

	// Of the head only.
	own   *radix.Owner
	dirty *dirty
	limit int // Options.MaxNesting
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

// records are the encoded records of some users and groups. "" stands for none
// here; a deleted one is gone.
type records struct {
	users, groups radix.Tree[string]
}

const gone = "\x00"

// The sets that every store has.
const (
	setAll    = 0 // all users
	setActive = 1 // the users that are active
	firstSet  = 2
)

// dirty says what the next fold has to write.
type dirty struct {
	dirs   map[DirectoryID]struct{}
	users  *roaring.Bitmap // pages of records
	groups *roaring.Bitmap
	sets   *roaring.Bitmap // sets whose head changed: lists, and shards' counts
	shards map[shardKey]struct{}
	nests  *roaring.Bitmap // sets whose direct children changed
}

type shardKey struct{ set, hi uint32 }

func newDirty() *dirty {
	return &dirty{
		dirs: map[DirectoryID]struct{}{}, users: roaring.New(), groups: roaring.New(),
		sets: roaring.New(), shards: map[shardKey]struct{}{}, nests: roaring.New(),
	}
}

// merge adds what other says.
func (d *dirty) merge(other *dirty) {
	for k := range other.dirs {
		d.dirs[k] = struct{}{}
	}
	for k := range other.shards {
		d.shards[k] = struct{}{}
	}
	d.users.Or(other.users)
	d.groups.Or(other.groups)
	d.sets.Or(other.sets)
	d.nests.Or(other.nests)
}

// newHead returns the state of an empty engine, to be edited. The seed is what
// the name tables hash with.
func newHead(seed maphash.Seed, limit int) *state {
	st := &state{
		users:    register{roll: newRoll(userUIDPrefix, seed)},
		groups:   register{roll: newRoll(groupUIDPrefix, seed)},
		counters: counters{nextSet: firstSet}, own: new(radix.Owner), dirty: newDirty(), limit: limit,
	}
	st.create(st.own, setAll, false)
	st.create(st.own, setActive, false)
	return st
}

// freeze returns the head as it is now for publishing. The head goes on with a
// new owner, so that nothing the frozen state shares is edited in place.
func (st *state) freeze() *state {
	st.arrange()
	st.own = new(radix.Owner)
	frozen := *st
	frozen.own, frozen.dirty = nil, nil
	return &frozen
}

// arrange puts everyone created since the last call into the order of names.
func (st *state) arrange() {
	st.users.arrange(st.own, st.userLabelled)
	st.groups.arrange(st.own, st.groupLabelled)
}

// userLabelled marks the page of a user whose order label changed: labels are
// stored beside the records, so that opening needs no sort of names.
func (st *state) userLabelled(u uint32) { st.dirty.users.Add(u / recordPageSize) }

func (st *state) groupLabelled(g uint32) { st.dirty.groups.Add(g / recordPageSize) }

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
		st.create(st.own, set, false)
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
	_, known := st.users.enter(st.own, o.num, c, st.userLabelled)
	st.fresh.users.Set(st.own, o.num, o.rec)
	st.dirty.users.Add(o.num / recordPageSize)
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
	c, known := st.users.leave(st.own, o.num, st.userLabelled)
	if !known {
		return
	}
	st.fresh.users.Set(st.own, o.num, gone)
	st.dirty.users.Add(o.num / recordPageSize)
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
		st.create(st.own, o.num, true)
		st.dirty.sets.Add(o.num)
		st.nextSet = max(st.nextSet, o.num+1)
	}
	st.maxGroup = max(st.maxGroup, c.id)
	st.groups.enter(st.own, o.num, c, st.groupLabelled)
	st.fresh.groups.Set(st.own, o.num, o.rec)
	st.dirty.groups.Add(o.num / recordPageSize)
	return nil
}

func (st *state) deleteGroup(o *op) {
	if _, known := st.groups.leave(st.own, o.num, st.groupLabelled); !known {
		return
	}
	st.destroy(st.own, o.num)
	st.dirty.sets.Add(o.num)
	st.fresh.groups.Set(st.own, o.num, gone)
	st.dirty.groups.Add(o.num / recordPageSize)
}
