package model

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rosterdb/roster"
	"golang.org/x/text/unicode/norm"
)

// Organization is an organisation's record with its folded ID, its roles and its
// memberships.
type Organization struct {
	roster.Organization
	Folded  string
	Set     roster.GroupID   // the handle that its members took; the owners took the next
	Roles   map[string]*Role // by folded ID
	Members map[roster.UserID]*roster.OrgMembership
}

// Role is a role's record with its folded ID.
type Role struct {
	roster.Role
	Folded string
	Set    roster.GroupID // the handle that its holders took
}

// FindOrganization returns the organisation of an ID, or nil.
func (m *Model) FindOrganization(id string) *Organization { return m.Organizations[Fold(id)] }

// FindRole returns the role of an ID in an organisation, or nil.
func (m *Model) FindRole(organization, id string) *Role {
	if o := m.FindOrganization(organization); o != nil {
		return o.Roles[Fold(id)]
	}
	return nil
}

// edited returns an organisation to be edited: a copy that takes its place,
// unless this update has made one already.
func (m *Model) edited(o *Organization) *Organization {
	if m.mine[o] {
		return o
	}
	next := *o
	next.Roles, next.Members = maps.Clone(o.Roles), maps.Clone(o.Members)
	m.mine[&next] = true
	m.Organizations[o.Folded] = &next
	return &next
}

// PutOrganization is Txn.PutOrganization.
func (m *Model) PutOrganization(o roster.Organization) (bool, error) {
	o.ID = norm.NFC.String(o.ID)
	if !validName(o.ID) || !validTexts(o.Name) {
		return false, roster.ErrInvalid
	}
	old := m.FindOrganization(o.ID)
	known := old != nil
	if !known {
		old = &Organization{Folded: Fold(o.ID), Set: m.NextGroup, Roles: map[string]*Role{}, Members: map[roster.UserID]*roster.OrgMembership{}}
	} else {
		if o.Revision != 0 && o.Revision != old.Revision {
			return false, roster.ErrConflict
		}
		o.ID = old.ID
	}
	if !stamp(m, known, &o.Created, &o.Updated, old.Created, old.Updated, o.Name != old.Name) {
		return false, nil
	}
	if !known {
		m.NextGroup += 2
	}
	o.Revision = m.Revision + 1
	m.edited(old).Organization = o
	m.op(roster.Change{Kind: roster.OrganizationPut, OrgID: o.ID, Organization: &o})
	return true, nil
}

// DeleteOrganization is Txn.DeleteOrganization.
func (m *Model) DeleteOrganization(id string) error {
	o := m.FindOrganization(id)
	if o == nil {
		return roster.ErrNotFound
	}
	for _, u := range o.MembersByHandle() {
		m.leave(m.FindOrganization(id), u)
	}
	for _, r := range o.rolesBy(func(a, b *Role) int { return cmp.Compare(a.Set, b.Set) }) {
		m.op(roster.Change{Kind: roster.RoleDeleted, OrgID: o.ID, RoleID: r.ID})
	}
	delete(m.Organizations, o.Folded)
	m.op(roster.Change{Kind: roster.OrganizationDeleted, OrgID: o.ID})
	return nil
}

func (o *Organization) rolesBy(compare func(a, b *Role) int) []*Role {
	return slices.SortedFunc(maps.Values(o.Roles), compare)
}

// RolesByID returns the roles by folded ID.
func (o *Organization) RolesByID() []*Role {
	return o.rolesBy(func(a, b *Role) int { return cmp.Compare(a.Folded, b.Folded) })
}

// OrganizationsByID returns the organisations behind after by folded ID.
func (m *Model) OrganizationsByID(after string) []*Organization {
	var out []*Organization
	for _, folded := range slices.Sorted(maps.Keys(m.Organizations)) {
		if after == "" || folded > Fold(after) {
			out = append(out, m.Organizations[folded])
		}
	}
	return out
}

// OrganizationsOf returns the organisations that a user is a member of, the
// oldest membership first, of two of one age the one with the lower ID.
func (m *Model) OrganizationsOf(u roster.UserID) []*Organization {
	var out []*Organization
	for _, o := range m.Organizations {
		if o.Members[u] != nil {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *Organization) int {
		return cmp.Or(a.Members[u].Created.Compare(b.Members[u].Created), cmp.Compare(a.Folded, b.Folded))
	})
	return out
}

// DefaultOrganization returns the organisation whose membership is the user's
// default, or nil.
func (m *Model) DefaultOrganization(u roster.UserID) *Organization {
	for _, o := range m.Organizations {
		if s := o.Members[u]; s != nil && s.Default {
			return o
		}
	}
	return nil
}

// In returns the members for whom keep holds.
func (o *Organization) In(keep func(*roster.OrgMembership) bool) Set {
	out := Set{}
	for u, s := range o.Members {
		if keep(s) {
			out[u] = true
		}
	}
	return out
}

// All returns the members.
func (o *Organization) All() Set {
	return o.In(func(*roster.OrgMembership) bool { return true })
}

// MembersByHandle returns the members in the order of their handles.
func (o *Organization) MembersByHandle() []roster.UserID {
	return slices.Sorted(maps.Keys(o.Members))
}

// Owners returns the owners.
func (o *Organization) Owners() Set {
	return o.In(func(s *roster.OrgMembership) bool { return s.Owner })
}

// Holders returns the members that hold a role.
func (o *Organization) Holders(r *Role) Set {
	return o.In(func(s *roster.OrgMembership) bool { return slices.Contains(s.Roles, r.ID) })
}

// PutRole is Txn.PutRole.
func (m *Model) PutRole(r roster.Role) (bool, error) {
	o := m.FindOrganization(r.Organization)
	if o == nil {
		return false, roster.ErrNotFound
	}
	r.Organization, r.ID = o.ID, norm.NFC.String(r.ID)
	r.Permissions = once(r.Permissions)
	if !validName(r.ID) || !validTexts(r.Name) || !validPermissions(r.Permissions) || tooLong(append(r.Permissions, r.Name)) {
		return false, roster.ErrInvalid
	}
	next := &Role{Folded: Fold(r.ID), Set: m.NextGroup}
	old := o.Roles[next.Folded]
	known := old != nil
	if !known {
		old = next
	} else {
		if r.Revision != 0 && r.Revision != old.Revision {
			return false, roster.ErrConflict
		}
		r.ID, next.Set = old.ID, old.Set
	}
	rest := r.Name != old.Name || !slices.Equal(r.Permissions, old.Permissions)
	if !stamp(m, known, &r.Created, &r.Updated, old.Created, old.Updated, rest) {
		return false, nil
	}
	if !known {
		m.NextGroup++
	}
	r.Revision = m.Revision + 1
	next.Role = r
	m.edited(o).Roles[next.Folded] = next
	m.op(roster.Change{Kind: roster.RolePut, OrgID: o.ID, RoleID: r.ID, Role: &r})
	return true, nil
}

// once returns a copy of a list in which everything stands once.
func once[T comparable](list []T) (out []T) {
	for _, e := range list {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

func validPermissions(list []string) bool {
	return len(list) <= maxListed && !slices.Contains(list, "") && validTexts(list...)
}

// tooLong reports whether the texts of a record are.
func tooLong(texts []string) bool {
	n := 0
	for _, s := range texts {
		n += len(s)
	}
	return n > maxRecord
}

// DeleteRole is Txn.DeleteRole.
func (m *Model) DeleteRole(organization, id string) error {
	r := m.FindRole(organization, id)
	if r == nil {
		return roster.ErrNotFound
	}
	o := m.edited(m.FindOrganization(organization))
	for _, u := range slices.Sorted(maps.Keys(o.Holders(r))) {
		s := *o.Members[u]
		s.Roles, s.Updated = without(s.Roles, r.ID), m.now
		m.putMembership(o, s)
	}
	delete(o.Roles, r.Folded)
	m.op(roster.Change{Kind: roster.RoleDeleted, OrgID: o.ID, RoleID: r.ID})
	return nil
}
