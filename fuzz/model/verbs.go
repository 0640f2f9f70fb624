package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"golang.org/x/text/unicode/norm"
)

// The verbs of a transaction. Each returns one of the package's errors, bare,
// where the engine has to return that error, and changes nothing then.

// maxText is the length that no text of a record may pass, maxName that of the
// normal form of a name, maxRecord that of all texts of a record together, and
// maxListed the number of permissions, networks or roles in one, and maxChildren
// that of groups nested directly in one, those asked for counted as often as they
// are named. The machine draws nothing near maxRecord: what a record takes beside
// its texts is the engine's affair.
const (
	maxText   = 63_000
	maxName   = 256
	maxRecord = 64_000
	maxListed = 1024

	maxChildren = 200_000
)

// Require is Txn.Require.
func (m *Model) Require(rev roster.Revision) error {
	if rev != m.Revision {
		return roster.ErrConflict
	}
	return nil
}

// PutDirectory is Txn.PutDirectory.
func (m *Model) PutDirectory(d roster.Directory) (bool, error) {
	d.Name, d.Domain = norm.NFC.String(d.Name), norm.NFC.String(d.Domain)
	if d.Type == "" {
		d.Type = "INTERNAL"
	}
	if d.Domain == "" {
		d.Domain = d.Name
	}
	if !validName(d.Name) || !validTexts(d.Type, d.Domain) {
		return false, roster.ErrInvalid
	}
	for id, other := range m.Directories {
		if id != d.ID && Fold(other.Name) == Fold(d.Name) {
			return false, roster.ErrExists
		}
	}
	old, known := m.Directories[d.ID]
	if known && d.Revision != 0 && d.Revision != old.Revision {
		return false, roster.ErrConflict
	}
	if !known {
		m.NextGroup++
	}
	changed := stamp(m, known, &d.Created, &d.Updated, old.Created, old.Updated,
		d.Name != old.Name || d.Type != old.Type || d.Domain != old.Domain)
	if !changed {
		return false, nil
	}
	d.Revision = m.Revision + 1
	m.Directories[d.ID] = d
	m.op(roster.Change{Kind: roster.DirectoryPut, DirID: d.ID, Directory: &d})
	return true, nil
}

// stamp fills in the times of a record that is put and reports whether the
// record differs from the one there is, if there is one: in its times or in the
// rest, as the caller says.
func stamp(m *Model, known bool, created, updated *time.Time, oldCreated, oldUpdated time.Time, rest bool) bool {
	if !known {
		oldCreated, oldUpdated = m.now, m.now
	}
	if created.IsZero() {
		*created = oldCreated
	}
	if updated.IsZero() {
		*updated = oldUpdated
	}
	changed := !known || rest || !created.Equal(oldCreated) || !updated.Equal(oldUpdated)
	if changed && updated.Equal(oldUpdated) {
		*updated = m.now
	}
	return changed
}

// DeleteDirectory is Txn.DeleteDirectory.
func (m *Model) DeleteDirectory(id roster.DirectoryID) error {
	if _, ok := m.Directories[id]; !ok {
		return roster.ErrNotFound
	}
	for _, u := range m.Users {
		if u.Directory == id {
			return roster.ErrNotEmpty
		}
	}
	for _, g := range m.Groups {
		if g.Directory == id {
			return roster.ErrNotEmpty
		}
	}
	delete(m.Directories, id)
	m.op(roster.Change{Kind: roster.DirectoryDeleted, DirID: id})
	return nil
}

// CreateUser is Txn.CreateUser. The handle that it returns has to be the one
// that the engine gives.
func (m *Model) CreateUser(u roster.User) (roster.UserID, error) {
	u.ID = m.NextUser
	u.Number = assign(u.Number, uint64(u.ID), m.maxUser, m.userNumber)
	u.Created, u.Updated = orNow(u.Created, m.now), orNow(u.Updated, m.now)
	if u.UID == "" {
		u.UID = defaultUID("usr", u.Number)
	}
	if err := m.checkUser(&u); err != nil {
		return 0, err
	}
	m.NextUser++
	m.Live = append(m.Live, u.ID)
	m.putUser(u)
	return u.ID, nil
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func defaultUID(prefix string, number uint64) string { return fmt.Sprintf("%s_%d", prefix, number) }

// assign returns the number asked for, or if that is 0 the handle plus one, or
// if that is taken the first free one above the highest there ever was.
func assign(asked, handle, highest uint64, taken func(uint64) bool) uint64 {
	if asked != 0 {
		return asked
	}
	n := handle + 1
	if taken(n) && highest < math.MaxUint64 {
		n = highest + 1
	}
	for taken(n) {
		n++
	}
	return n
}

// userNumber reports whether n cannot be given to a user: somebody has it, or
// the uid that would go with it.
func (m *Model) userNumber(n uint64) bool {
	for _, u := range m.Users {
		if u.Number == n || u.UID == defaultUID("usr", n) {
			return true
		}
	}
	return n == 0
}

func (m *Model) groupNumber(n uint64) bool {
	for _, g := range m.Groups {
		if g.Number == n || g.UID == defaultUID("grp", n) {
			return true
		}
	}
	return n == 0
}

// PutUser is Txn.PutUser.
func (m *Model) PutUser(u roster.User) (bool, error) {
	old, ok := m.Users[u.ID]
	switch {
	case !ok:
		return false, roster.ErrNotFound
	case u.Revision != 0 && u.Revision != old.Revision:
		return false, roster.ErrConflict
	case u.Directory != old.Directory:
		return false, roster.ErrInvalid
	}
	u.Number, u.UID = keepIDs("usr", u.Number, old.Number, u.UID, old.UID)
	if err := m.checkUser(&u); err != nil {
		return false, err
	}
	rest := u.Username != old.Username || u.Number != old.Number || u.UID != old.UID || u.FullName != old.FullName ||
		u.Email != old.Email || u.Description != old.Description || u.Active != old.Active || !SameAttributes(u.Attributes, old.Attributes)
	if !stamp(m, true, &u.Created, &u.Updated, old.Created, old.Updated, rest) {
		return false, nil
	}
	m.putUser(u)
	return true, nil
}

// keepIDs returns the ids of a record that is changed: what is left out stays,
// except that a uid made from the number follows it.
func keepIDs(prefix string, number, oldNumber uint64, uid, oldUID string) (uint64, string) {
	if number == 0 {
		number = oldNumber
	}
	if uid == "" {
		uid = oldUID
		if oldUID == defaultUID(prefix, oldNumber) {
			uid = defaultUID(prefix, number)
		}
	}
	return number, uid
}

// SameAttributes reports whether two sets of attributes are the same.
func SameAttributes(a, b map[string][]string) bool { return maps.EqualFunc(a, b, slices.Equal) }

func (m *Model) putUser(u roster.User) {
	u.Revision = m.Revision + 1
	m.maxUser = max(m.maxUser, u.Number)
	m.Users[u.ID] = &User{User: u, Folded: Fold(u.Username)}
	m.op(roster.Change{Kind: roster.UserPut, UserID: u.ID, User: &u})
}

// checkUser normalises a user and returns why it cannot be stored.
func (m *Model) checkUser(u *roster.User) error {
	u.Username = norm.NFC.String(u.Username)
	if !validName(u.Username) || !validTexts(u.UID, u.FullName, u.Email, u.Description) {
		return roster.ErrInvalid
	}
	for key, values := range u.Attributes {
		if !validTexts(key) || !validTexts(values...) {
			return roster.ErrInvalid
		}
	}
	if _, ok := m.Directories[u.Directory]; !ok {
		return roster.ErrNotFound
	}
	folded := Fold(u.Username)
	for id, o := range m.Users {
		if id != u.ID && (o.Directory == u.Directory && o.Folded == folded || o.Number == u.Number || o.UID == u.UID) {
			return roster.ErrExists
		}
	}
	return nil
}

func validName(name string) bool {
	if len(name) == 0 || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

func validTexts(texts ...string) bool {
	for _, s := range texts {
		if len(s) > maxText || !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

// DeleteUser is Txn.DeleteUser.
func (m *Model) DeleteUser(u roster.UserID) error {
	if m.Users[u] == nil {
		return roster.ErrNotFound
	}
	if err := m.leaveAll(u); err != nil {
		return err
	}
	for _, g := range m.GroupsByName(func(g roster.GroupID) bool { return m.Groups[g].Members[u] }) {
		m.edit(g, roster.MembersRemoved, []roster.UserID{u})
	}
	for _, g := range m.GroupsByName(func(g roster.GroupID) bool { return m.Groups[g].Admins[u] }) {
		m.editAdmins(g, roster.AdminsRemoved, []roster.UserID{u})
	}
	delete(m.Users, u)
	m.Live = without(m.Live, u)
	m.op(roster.Change{Kind: roster.UserDeleted, UserID: u})
	return nil
}

// without returns a copy of list without the element, which it holds.
func without[T comparable](list []T, e T) []T {
	i := slices.Index(list, e)
	return append(slices.Clone(list[:i]), list[i+1:]...)
}

// CreateGroup is Txn.CreateGroup; see CreateUser.
func (m *Model) CreateGroup(g roster.Group) (roster.GroupID, error) {
	g.ID = m.NextGroup
	g.Number = assign(g.Number, uint64(g.ID), m.maxGroup, m.groupNumber)
	g.Created, g.Updated = orNow(g.Created, m.now), orNow(g.Updated, m.now)
	if g.UID == "" {
		g.UID = defaultUID("grp", g.Number)
	}
	if err := m.checkGroup(&g); err != nil {
		return 0, err
	}
	m.NextGroup++
	m.LiveGroups = append(m.LiveGroups, g.ID)
	m.putGroup(g)
	return g.ID, nil
}

// PutGroup is Txn.PutGroup.
func (m *Model) PutGroup(g roster.Group) (bool, error) {
	old, ok := m.Groups[g.ID]
	switch {
	case !ok:
		return false, roster.ErrNotFound
	case g.Revision != 0 && g.Revision != old.Revision:
		return false, roster.ErrConflict
	case g.Directory != old.Directory:
		return false, roster.ErrInvalid
	}
	g.Number, g.UID = keepIDs("grp", g.Number, old.Number, g.UID, old.UID)
	if err := m.checkGroup(&g); err != nil {
		return false, err
	}
	rest := g.Name != old.Name || g.Number != old.Number || g.UID != old.UID || g.Description != old.Description ||
		g.Enterprise != old.Enterprise || !slices.Equal(g.Abilities, old.Abilities)
	if !stamp(m, true, &g.Created, &g.Updated, old.Created, old.Updated, rest) {
		return false, nil
	}
	m.putGroup(g)
	return true, nil
}

func (m *Model) putGroup(g roster.Group) {
	g.Revision = m.Revision + 1
	m.maxGroup = max(m.maxGroup, g.Number)
	next := Group{}
	if old := m.Groups[g.ID]; old != nil {
		next = *old
	}
	next.Group, next.Folded = g, Fold(g.Name)
	m.Groups[g.ID] = &next
	m.op(roster.Change{Kind: roster.GroupPut, GroupID: g.ID, Group: &g})
}

func (m *Model) checkGroup(g *roster.Group) error {
	g.Name = norm.NFC.String(g.Name)
	if !validName(g.Name) || !validTexts(g.UID, g.Description) || !validTexts(g.Abilities...) || slices.Contains(g.Abilities, "") {
		return roster.ErrInvalid
	}
	if _, ok := m.Directories[g.Directory]; !ok {
		return roster.ErrNotFound
	}
	folded := Fold(g.Name)
	for id, o := range m.Groups {
		if id != g.ID && (o.Directory == g.Directory && o.Folded == folded || o.Number == g.Number || o.UID == g.UID) {
			return roster.ErrExists
		}
	}
	return nil
}

// DeleteGroup is Txn.DeleteGroup.
func (m *Model) DeleteGroup(g roster.GroupID) error {
	if m.Groups[g] == nil {
		return roster.ErrNotFound
	}
	m.leaveAbove(g)
	m.relinkAdmins(g, roster.AdminGroupsRemoved, slices.Collect(maps.Keys(m.Groups[g].AdminGroups)))
	m.editAdmins(g, roster.AdminsRemoved, slices.Collect(maps.Keys(m.Groups[g].Admins)))
	m.relink(g, roster.GroupsUnnested, slices.Collect(maps.Keys(m.Groups[g].Children)))
	m.edit(g, roster.MembersRemoved, slices.Collect(maps.Keys(m.Groups[g].Members)))
	delete(m.Groups, g)
	m.LiveGroups = without(m.LiveGroups, g)
	m.op(roster.Change{Kind: roster.GroupDeleted, GroupID: g})
	return nil
}

// leaveAbove takes a group out of all groups, and from among the administrators
// of all, in the order of the handles of what it is taken out of.
func (m *Model) leaveAbove(g roster.GroupID) {
	leave := map[roster.GroupID]func(){}
	for _, p := range m.LiveGroups {
		if m.Groups[p].Children[g] {
			leave[p] = func() { m.relink(p, roster.GroupsUnnested, []roster.GroupID{g}) }
		}
		if m.Groups[p].AdminGroups[g] {
			leave[m.Groups[p].AdminSet] = func() { m.relinkAdmins(p, roster.AdminGroupsRemoved, []roster.GroupID{g}) }
		}
	}
	for _, handle := range slices.Sorted(maps.Keys(leave)) {
		leave[handle]()
	}
}

// Add is Txn.Add.
func (m *Model) Add(g roster.GroupID, users ...roster.UserID) (int, error) {
	return m.members(g, roster.MembersAdded, users)
}

// Remove is Txn.Remove.
func (m *Model) Remove(g roster.GroupID, users ...roster.UserID) (int, error) {
	return m.members(g, roster.MembersRemoved, users)
}

func (m *Model) members(g roster.GroupID, kind string, users []roster.UserID) (int, error) {
	if !m.haveGroups(g) || !m.haveUsers(users...) {
		return 0, roster.ErrNotFound
	}
	return m.edit(g, kind, users), nil
}

func (m *Model) haveUsers(users ...roster.UserID) bool {
	return !slices.ContainsFunc(users, func(u roster.UserID) bool { return m.Users[u] == nil })
}

func (m *Model) haveGroups(groups ...roster.GroupID) bool {
	return !slices.ContainsFunc(groups, func(g roster.GroupID) bool { return m.Groups[g] == nil })
}

// edit changes the direct members of a group and returns for how many that made
// a difference.
func (m *Model) edit(g roster.GroupID, kind string, users []roster.UserID) int {
	next := *m.Groups[g]
	var changed []roster.UserID
	next.Members, changed = toggle(next.Members, kind == roster.MembersAdded, users)
	if len(changed) > 0 {
		m.Groups[g] = &next
		m.op(roster.Change{Kind: kind, GroupID: g, Members: changed})
	}
	return len(changed)
}

// toggle returns a copy of set with ids put in or taken out, and those for which
// that made a difference, ascending.
func toggle[T ~uint32](set map[T]bool, in bool, ids []T) (map[T]bool, []T) {
	next := maps.Clone(set)
	if next == nil {
		next = map[T]bool{}
	}
	var changed []T
	for _, id := range ids {
		if next[id] == in {
			continue
		}
		changed = append(changed, id)
		if in {
			next[id] = true
		} else {
			delete(next, id)
		}
	}
	slices.Sort(changed)
	return next, changed
}

// Nest is Txn.Nest.
func (m *Model) Nest(parent roster.GroupID, children ...roster.GroupID) (int, error) {
	return m.nest(parent, roster.GroupsNested, children)
}

// Unnest is Txn.Unnest.
func (m *Model) Unnest(parent roster.GroupID, children ...roster.GroupID) (int, error) {
	return m.nest(parent, roster.GroupsUnnested, children)
}

func (m *Model) nest(parent roster.GroupID, kind string, children []roster.GroupID) (int, error) {
	if m.Groups[parent] == nil {
		return 0, roster.ErrNotFound
	}
	for _, c := range children {
		if m.Groups[c] == nil {
			return 0, roster.ErrNotFound
		}
		if c == parent {
			return 0, roster.ErrInvalid
		}
	}
	if kind == roster.GroupsNested && len(m.Groups[parent].Children)+len(children) > maxChildren {
		return 0, roster.ErrLimit
	}
	return m.relink(parent, kind, children), nil
}

func (m *Model) relink(parent roster.GroupID, kind string, children []roster.GroupID) int {
	next := *m.Groups[parent]
	var changed []roster.GroupID
	next.Children, changed = toggle(next.Children, kind == roster.GroupsNested, children)
	if len(changed) > 0 {
		m.Groups[parent] = &next
		m.op(roster.Change{Kind: kind, GroupID: parent, Subgroups: changed})
	}
	return len(changed)
}

// Enlist is CreateUser for users that are known to be new and valid: creating
// thousands takes no time. They get no number or uid but the default.
func (m *Model) Enlist(u roster.User) roster.UserID {
	u.ID = m.NextUser
	u.Number = uint64(u.ID) + 1
	u.UID = defaultUID("usr", u.Number)
	u.Created, u.Updated = orNow(u.Created, m.now), orNow(u.Updated, m.now)
	m.NextUser++
	m.Live = append(m.Live, u.ID)
	m.putUser(u)
	return u.ID
}
