// Package model says what an engine should answer, so plainly that it can be
// checked by reading: Go maps, loops over all of them, and walks of the graph
// of groups. It shares no code with the engine but the types of its records.
package model

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Model is everything an engine holds at one revision. A Model that was
// published, by being the current one, is never changed: an update begins with
// a copy. Records, member maps and child maps are shared between copies and
// replaced, not edited, so that old views can keep their model for nothing. The
// lists are shared too, and grow behind the end that older models see: of all
// models only the newest is ever continued.
type Model struct {
	Revision    roster.Revision
	Directories map[roster.DirectoryID]roster.Directory
	Users       map[roster.UserID]*User
	Groups      map[roster.GroupID]*Group
	Live        []roster.UserID  // the keys of Users, ascending
	LiveGroups  []roster.GroupID // the keys of Groups, ascending

	Organizations map[string]*Organization // by folded ID

	Data map[DataName]string

	// Log is what Changes should yield of the revisions from LogStart on.
	Log      []roster.Change
	LogStart roster.Revision

	// NextUser and NextGroup are the handles that come next. Whatever else holds
	// users takes handles of groups that no group gets: a directory, a role and
	// the first administrators of a group one, an organisation two. A new name of
	// data takes one too.
	NextUser  roster.UserID
	NextGroup roster.GroupID

	maxUser, maxGroup uint64 // the highest Number that was ever stored
	maxNesting        int

	// Of an update that has begun.
	now     time.Time
	pending []roster.Change
	mine    map[*Organization]bool // copies that it has made, and so may edit
}

// User is a user's record with its folded name.
type User struct {
	roster.User
	Folded string
}

// Group is a group's record with its folded name, what is directly in it and who
// administers it directly.
type Group struct {
	roster.Group
	Folded      string
	Members     map[roster.UserID]bool
	Children    map[roster.GroupID]bool
	Admins      map[roster.UserID]bool
	AdminGroups map[roster.GroupID]bool
	AdminSet    roster.GroupID // the handle that its first administrators took, 0 if it never had any
}

// firstGroup is the first handle of a group: the two before it are the sets of
// all and of the active users.
const firstGroup = 2

// New returns the model of an empty engine that nests at most maxNesting pairs.
func New(maxNesting int) *Model {
	return &Model{
		Directories: map[roster.DirectoryID]roster.Directory{},
		Users:       map[roster.UserID]*User{},
		Groups:      map[roster.GroupID]*Group{},
		LogStart:    1,
		NextGroup:   firstGroup,
		maxNesting:  maxNesting,

		Organizations: map[string]*Organization{},
		Data:          map[DataName]string{},
	}
}

// Begin returns a copy for an update at the given time.
func (m *Model) Begin(now time.Time) *Model {
	next := *m
	next.Directories = maps.Clone(m.Directories)
	next.Users = maps.Clone(m.Users)
	next.Groups = maps.Clone(m.Groups)
	next.Organizations = maps.Clone(m.Organizations)
	next.Data = maps.Clone(m.Data)
	next.now, next.pending, next.mine = now, nil, map[*Organization]bool{}
	return &next
}

// Changed reports whether the update has changed anything so far.
func (m *Model) Changed() bool { return len(m.pending) > 0 }

// Commit makes a revision of an update. The update must have Changed.
func (m *Model) Commit() {
	m.Revision++
	for _, c := range m.pending {
		c.Revision, c.Time = m.Revision, m.now
		m.Log = append(m.Log, c)
	}
	m.pending = nil
}

// Cut returns a copy without a log, as an engine restored from a backup has
// none. Its maps are as small as they can be.
func (m *Model) Cut() *Model {
	next := m.Begin(m.now)
	next.Log, next.LogStart = nil, m.Revision+1
	next.Users = make(map[roster.UserID]*User, len(m.Users))
	maps.Copy(next.Users, m.Users)
	return next
}

// Reopened returns a copy whose nesting may grow to maxNesting pairs, or stay as
// it is if it has more.
func (m *Model) Reopened(maxNesting int) *Model {
	next := *m
	next.maxNesting = max(maxNesting, m.Pairs())
	return &next
}

// Since returns the part of the log from a revision on.
func (m *Model) Since(from roster.Revision) []roster.Change {
	i, _ := slices.BinarySearchFunc(m.Log, from, func(c roster.Change, r roster.Revision) int {
		return int(int64(c.Revision) - int64(r))
	})
	return m.Log[i:]
}

func (m *Model) op(c roster.Change) { m.pending = append(m.pending, c) }

// Fold is identity folding: decomposed, case folded, composed.
func Fold(name string) string {
	ascii := true
	for i := range len(name) {
		ascii = ascii && name[i] < 0x80
	}
	if ascii {
		return strings.ToLower(name)
	}
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))
}

// Place is where a user or group stands in the order of names.
type Place struct {
	Folded string
	Dir    roster.DirectoryID
}

// Compare orders places by folded name, then directory.
func (p Place) Compare(q Place) int {
	if c := strings.Compare(p.Folded, q.Folded); c != 0 {
		return c
	}
	return int(int64(p.Dir) - int64(q.Dir))
}

// UserPlace returns the place of a user that exists.
func (m *Model) UserPlace(u roster.UserID) Place {
	return Place{m.Users[u].Folded, m.Users[u].Directory}
}

// groupPlace returns the place of a group that exists.
func (m *Model) groupPlace(g roster.GroupID) Place {
	return Place{m.Groups[g].Folded, m.Groups[g].Directory}
}

// UsersByName returns the users for which keep holds, by name.
func (m *Model) UsersByName(keep func(roster.UserID) bool) []roster.UserID {
	return byPlace(m.Live, keep, m.UserPlace)
}

// GroupsByName returns the groups for which keep holds, by name.
func (m *Model) GroupsByName(keep func(roster.GroupID) bool) []roster.GroupID {
	return byPlace(m.LiveGroups, keep, m.groupPlace)
}

func byPlace[T any](of []T, keep func(T) bool, place func(T) Place) []T {
	type placed struct {
		Place
		id T
	}
	var kept []placed
	for _, id := range of {
		if keep(id) {
			kept = append(kept, placed{place(id), id})
		}
	}
	slices.SortFunc(kept, func(a, b placed) int { return a.Compare(b.Place) })
	out := make([]T, len(kept))
	for i, p := range kept {
		out[i] = p.id
	}
	return out
}
