package model

import (
	"slices"

	"github.com/rosterdb/roster"
)

// ReplaceGroups is Txn.ReplaceGroups.
func (m *Model) ReplaceGroups(users []roster.UserID, groups []roster.GroupID) (added, dropped []roster.Membership, err error) {
	if !m.haveGroups(groups...) || !m.haveUsers(users...) {
		return nil, nil, roster.ErrNotFound
	}
	users = slices.Clone(users)
	slices.Sort(users)
	for _, u := range slices.Compact(users) {
		for _, g := range m.LiveGroups {
			is, wanted := m.Groups[g].Members[u], slices.Contains(groups, g)
			if wanted && !is {
				added = append(added, roster.Membership{User: u, Group: g})
			}
			if is && !wanted {
				dropped = append(dropped, roster.Membership{User: u, Group: g})
			}
		}
	}
	m.change(roster.MembersRemoved, dropped)
	m.change(roster.MembersAdded, added)
	return added, dropped, nil
}

// DropGroups is Txn.DropGroups.
func (m *Model) DropGroups(users ...roster.UserID) ([]roster.Membership, error) {
	_, dropped, err := m.ReplaceGroups(users, nil)
	return dropped, err
}

// ReplaceMembers is Txn.ReplaceMembers.
func (m *Model) ReplaceMembers(g roster.GroupID, users []roster.UserID) (added, dropped []roster.Membership, err error) {
	if !m.haveGroups(g) || !m.haveUsers(users...) {
		return nil, nil, roster.ErrNotFound
	}
	wanted := Set{}
	for _, u := range users {
		wanted[u] = true
	}
	for _, u := range m.Live {
		is := m.Groups[g].Members[u]
		if wanted[u] && !is {
			added = append(added, roster.Membership{User: u, Group: g})
		}
		if is && !wanted[u] {
			dropped = append(dropped, roster.Membership{User: u, Group: g})
		}
	}
	m.change(roster.MembersRemoved, dropped)
	m.change(roster.MembersAdded, added)
	return added, dropped, nil
}

// change adds or removes memberships, group by group.
func (m *Model) change(kind string, all []roster.Membership) {
	users := map[roster.GroupID][]roster.UserID{}
	for _, s := range all {
		users[s.Group] = append(users[s.Group], s.User)
	}
	for _, g := range m.LiveGroups {
		if len(users[g]) > 0 {
			m.edit(g, kind, users[g])
		}
	}
}
