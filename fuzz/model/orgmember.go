package model

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/rosterdb/roster"
)

// PutOrgMembership is Txn.PutOrgMembership.
func (m *Model) PutOrgMembership(s roster.OrgMembership) (bool, error) {
	o := m.FindOrganization(s.Organization)
	if o == nil || m.Users[s.User] == nil {
		return false, roster.ErrNotFound
	}
	s.Organization = o.ID
	if err := o.checkMembership(&s); err != nil {
		return false, err
	}
	old, known := o.Members[s.User]
	if !known {
		old = &roster.OrgMembership{}
	} else if s.Revision != 0 && s.Revision != old.Revision {
		return false, roster.ErrConflict
	}
	if old.Owner && !s.Owner && len(o.Owners()) == 1 {
		return false, roster.ErrLastOwner
	}
	rest := s.Owner != old.Owner || s.Default && !old.Default || !slices.Equal(s.Roles, old.Roles) ||
		!slices.Equal(s.Permissions, old.Permissions) || !slices.Equal(s.AllowedIPs, old.AllowedIPs)
	if !stamp(m, known, &s.Created, &s.Updated, old.Created, old.Updated, rest) {
		return false, nil
	}
	switch standard := m.DefaultOrganization(s.User); {
	case standard == nil || old.Default:
		s.Default = true
	case s.Default:
		m.setDefault(standard, s.User, false)
	}
	m.putMembership(o, s)
	return true, nil
}

// checkMembership normalises a membership and returns why it cannot be stored.
func (o *Organization) checkMembership(s *roster.OrgMembership) error {
	if len(s.Roles) > maxListed {
		return roster.ErrInvalid
	}
	held := map[string]string{}
	for _, id := range s.Roles {
		r := o.Roles[Fold(id)]
		if r == nil {
			return roster.ErrNotFound
		}
		held[r.Folded] = r.ID
	}
	s.Roles = nil
	for _, folded := range slices.Sorted(maps.Keys(held)) {
		s.Roles = append(s.Roles, held[folded])
	}
	s.Permissions = once(s.Permissions)
	if !validPermissions(s.Permissions) || tooLong(s.Permissions) {
		return roster.ErrInvalid
	}
	networks := make([]netip.Prefix, len(s.AllowedIPs))
	for i, p := range s.AllowedIPs {
		if networks[i] = plain(p); !public(networks[i]) {
			return roster.ErrInvalid
		}
	}
	s.AllowedIPs = once(networks)
	if len(s.AllowedIPs) > maxListed {
		return roster.ErrInvalid
	}
	return nil
}

// plain returns a network without the bits behind its length, and as one of IPv4
// if it is one written as IPv6.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// special are the addresses that nobody on the internet has.
var special = []string{
	"0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", // this network, private, loopback
	"100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", // shared, link-local, private
	"224.0.0.0/4", "240.0.0.0/4", // multicast, reserved
	"::/128", "::1/128", "::ffff:0:0/96", // unspecified, loopback, IPv4
	"fc00::/7", "fe80::/10", "ff00::/8", // private, link-local, multicast
}

// public reports whether a network has no special address: neither lies within
// the other.
func public(p netip.Prefix) bool {
	for _, s := range special {
		other := netip.MustParsePrefix(s)
		if other.Contains(p.Addr()) || p.Contains(other.Addr()) {
			return false
		}
	}
	return p.IsValid()
}

func (m *Model) putMembership(o *Organization, s roster.OrgMembership) {
	s.Revision = m.Revision + 1
	m.edited(o).Members[s.User] = &s
	m.op(roster.Change{Kind: roster.OrgMembershipPut, OrgID: o.ID, UserID: s.User, OrgMembership: &s})
}

// setDefault changes whether a membership is the default, and not when it was
// updated.
func (m *Model) setDefault(o *Organization, u roster.UserID, is bool) {
	s := *o.Members[u]
	s.Default = is
	m.putMembership(o, s)
}

// DeleteOrgMembership is Txn.DeleteOrgMembership.
func (m *Model) DeleteOrgMembership(organization string, u roster.UserID) error {
	o := m.FindOrganization(organization)
	switch {
	case o == nil || o.Members[u] == nil:
		return roster.ErrNotFound
	case o.isLastOwner(u):
		return roster.ErrLastOwner
	}
	m.leave(o, u)
	return nil
}

func (o *Organization) isLastOwner(u roster.UserID) bool {
	return o.Members[u].Owner && len(o.Owners()) == 1
}

// leave ends a membership. If it was the default, the oldest of the others
// becomes that.
func (m *Model) leave(o *Organization, u roster.UserID) {
	if o.Members[u].Default {
		for _, other := range m.OrganizationsOf(u) {
			if other.Folded != o.Folded {
				m.setDefault(other, u, true)
				break
			}
		}
	}
	m.endMembership(o, u)
}

func (m *Model) endMembership(o *Organization, u roster.UserID) {
	delete(m.edited(o).Members, u)
	m.op(roster.Change{Kind: roster.OrgMembershipDeleted, OrgID: o.ID, UserID: u})
}

// leaveAll ends all memberships of a user, the newest first, unless the user is
// the last owner of an organisation.
func (m *Model) leaveAll(u roster.UserID) error {
	all := m.OrganizationsOf(u)
	for _, o := range all {
		if o.isLastOwner(u) {
			return roster.ErrLastOwner
		}
	}
	slices.Reverse(all)
	for _, o := range all {
		m.endMembership(o, u)
	}
	return nil
}

// Permissions returns what a member may do, sorted.
func (o *Organization) Permissions(u roster.UserID) []string {
	s := o.Members[u]
	out := slices.Clone(s.Permissions)
	for _, id := range s.Roles {
		out = append(out, o.Roles[Fold(id)].Permissions...)
	}
	if s.Owner || slices.Contains(out, roster.AllPermissions) {
		return []string{roster.AllPermissions}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// OrgMemberships counts memberships of organisations.
func (m *Model) OrgMemberships() (n int) {
	for _, o := range m.Organizations {
		n += len(o.Members)
	}
	return n
}

// RoleCount counts the roles of all organisations.
func (m *Model) RoleCount() (n int) {
	for _, o := range m.Organizations {
		n += len(o.Roles)
	}
	return n
}
