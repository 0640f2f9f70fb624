package model

import "github.com/rosterdb/roster"

// AddAdmins is Txn.AddAdmins.
func (m *Model) AddAdmins(g roster.GroupID, users ...roster.UserID) (int, error) {
	return m.admins(g, roster.AdminsAdded, users)
}

// RemoveAdmins is Txn.RemoveAdmins.
func (m *Model) RemoveAdmins(g roster.GroupID, users ...roster.UserID) (int, error) {
	return m.admins(g, roster.AdminsRemoved, users)
}

func (m *Model) admins(g roster.GroupID, kind string, users []roster.UserID) (int, error) {
	if !m.haveGroups(g) || !m.haveUsers(users...) {
		return 0, roster.ErrNotFound
	}
	return m.editAdmins(g, kind, users), nil
}

func (m *Model) editAdmins(g roster.GroupID, kind string, users []roster.UserID) int {
	next := *m.Groups[g]
	var changed []roster.UserID
	next.Admins, changed = toggle(next.Admins, kind == roster.AdminsAdded, users)
	if len(changed) > 0 {
		m.putAdmins(&next)
		m.op(roster.Change{Kind: kind, GroupID: g, Members: changed})
	}
	return len(changed)
}

// putAdmins puts a group whose administrators have changed. The first ones take a
// handle, which the group keeps when they go.
func (m *Model) putAdmins(g *Group) {
	if g.AdminSet == 0 {
		g.AdminSet = m.NextGroup
		m.NextGroup++
	}
	m.Groups[g.ID] = g
}

// AddAdminGroups is Txn.AddAdminGroups.
func (m *Model) AddAdminGroups(g roster.GroupID, admins ...roster.GroupID) (int, error) {
	return m.adminGroups(g, roster.AdminGroupsAdded, admins)
}

// RemoveAdminGroups is Txn.RemoveAdminGroups.
func (m *Model) RemoveAdminGroups(g roster.GroupID, admins ...roster.GroupID) (int, error) {
	return m.adminGroups(g, roster.AdminGroupsRemoved, admins)
}

func (m *Model) adminGroups(g roster.GroupID, kind string, admins []roster.GroupID) (int, error) {
	if !m.haveGroups(g) || !m.haveGroups(admins...) {
		return 0, roster.ErrNotFound
	}
	if kind == roster.AdminGroupsAdded && len(m.Groups[g].AdminGroups)+len(admins) > maxChildren {
		return 0, roster.ErrLimit
	}
	return m.relinkAdmins(g, kind, admins), nil
}

func (m *Model) relinkAdmins(g roster.GroupID, kind string, admins []roster.GroupID) int {
	next := *m.Groups[g]
	var changed []roster.GroupID
	next.AdminGroups, changed = toggle(next.AdminGroups, kind == roster.AdminGroupsAdded, admins)
	if len(changed) > 0 {
		m.putAdmins(&next)
		m.op(roster.Change{Kind: kind, GroupID: g, Subgroups: changed})
	}
	return len(changed)
}

// Assignable returns the users of the directories that groups belong to.
func (m *Model) Assignable(groups []roster.GroupID) Set {
	dirs := map[roster.DirectoryID]bool{}
	for _, g := range groups {
		dirs[m.Groups[g].Directory] = true
	}
	return m.where(func(u *User) bool { return dirs[u.Directory] })
}

// Administrators counts direct administrators, users and groups.
func (m *Model) Administrators() (n int) {
	for _, g := range m.Groups {
		n += len(g.Admins) + len(g.AdminGroups)
	}
	return n
}
