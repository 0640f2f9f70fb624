package directory

import (
	"math"
	"slices"

	"github.com/rosterdb/roster"
)

// absent is the handle of an entry that the engine does not have.
const absent = math.MaxUint32

// userPut is a user whose record is to be made or changed.
type userPut struct {
	index int // in gathered.users
	id    roster.UserID
	was   string // its name so far, "" for a new one
	name  string // from now on
	what  What
}

// userGone is a user that the source has no more.
type userGone struct {
	id     roster.UserID
	key    string
	name   string
	active bool
	write  bool // it was not known to be gone, or is to be deleted
	delete bool
}

type groupPut struct {
	index int
	id    roster.GroupID
	was   string
	name  string
	what  What
}

type groupGone struct {
	id   roster.GroupID
	key  string
	name string
}

// aside is a record that gives its name up and gets another.
type aside struct {
	id       uint32
	was, now string
}

// leaving is a membership that ends: of a user, or of a group where sub is set.
type leaving struct {
	group roster.GroupID
	user  roster.UserID
	sub   roster.GroupID
	isSub bool
}

// plan is the difference between what was gathered and an engine as of one
// revision. Making it changes nothing.
type plan struct {
	*gathered
	o      *Options
	rev    roster.Revision
	dir    roster.Directory
	newDir bool

	ids       []roster.UserID  // by index in users
	groupIDs  []roster.GroupID // by index in groups
	putUsers  []userPut
	gone      []userGone
	putGroups []groupPut
	goneGroup []groupGone
	aside     []aside // users that are gone and whose names others have
	asideG    []aside // likewise groups
	join      []edge  // indexes, a group as a member its complement
	leave     []leaving
	problems  []error // beside those of gathered

	nameless   map[int]bool    // users of the source that are not made: somebody keeps their name
	lostUsers  map[uint32]bool // those that are gone, since when ever
	lostGroups map[uint32]bool
	ownersLost map[string]int // by organisation: owners that are to be deleted

	managed      map[roster.UserID]bool // users of the link, whether they may lose memberships
	managedGroup map[roster.GroupID]bool
	managedAll   bool // the two are complete

	activeUsers int // of those the link owns, when all were looked at
	memberships int // likewise
	enterprise  int // likewise, groups
	off         int // users who are made inactive, by being gone or by the source
}

// newPlan works out what is different. find looks a key up in the engine; it is
// used for a part.
func newPlan(tx *roster.Txn, g *gathered, o *Options, find func(*roster.Txn, roster.DirectoryID, string) (roster.UserID, bool)) (*plan, error) {
	p := &plan{
		gathered: g, o: o, rev: tx.Revision(), managedAll: g.all,
		nameless: map[int]bool{}, lostUsers: map[uint32]bool{}, lostGroups: map[uint32]bool{}, ownersLost: map[string]int{},
		managed: map[roster.UserID]bool{}, managedGroup: map[roster.GroupID]bool{},
		ids: make([]roster.UserID, g.users.len()), groupIDs: make([]roster.GroupID, len(g.groups)),
	}
	for i := range p.ids {
		p.ids[i] = absent
	}
	for i := range p.groupIDs {
		p.groupIDs[i] = absent
	}
	p.dir, p.newDir = o.directory(tx)
	for _, step := range []func() error{
		func() error { return p.matchUsers(tx, find) },
		func() error { return p.matchGroups(tx) },
		func() error { p.settleNames(tx); return nil },
		func() error { return p.down(tx) },
		func() error { return p.up(tx) },
		func() error { return p.forsake(tx) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// directory finds the directory by its name, or makes one under the lowest number that
// is free, which has to be put yet.
func (o *Options) directory(tx *roster.Txn) (d roster.Directory, isNew bool) {
	d, err := tx.DirectoryByName(o.Directory)
	if err == nil {
		return d, false
	}
	id := roster.DirectoryID(1)
	for {
		if _, err := tx.Directory(id); err != nil {
			break
		}
		id++
	}
	return roster.Directory{ID: id, Name: o.Directory, Domain: o.Domain, Type: o.Type}, true
}

// empty reports whether there is nothing to write.
func (p *plan) empty() bool {
	return len(p.putUsers)+len(p.putGroups)+len(p.join)+len(p.leave)+len(p.aside)+len(p.asideG) == 0 &&
		(len(p.goneGroup) == 0 || p.o.VanishedGroups != Delete) &&
		!slices.ContainsFunc(p.gone, func(g userGone) bool { return g.write })
}
