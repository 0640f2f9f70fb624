package machine

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// The verbs on organisations, roles and memberships, and what they draw from.

var (
	orgIDs = []string{"acme", "ACME", "Globex", "globex", "Größe AG", "GRO\u0308SSE AG", "a/b", "all", "x:y", "o\"q", "z"}

	roleIDs = []string{"clerk", "Clerk", "boss", "b/c", "Ω", "ω", "key role", "*"}

	permissions = []string{"read", "write", "Read", "GetOrder", "é", "*"}

	// Of each border of what is not public there is a network on both sides.
	networks = []string{
		"8.8.8.8/32", "8.8.8.77/24", "8.8.8.9/24", "::ffff:8.8.8.9/120", "153.12.32.33/32", "2001:db8::1/48", "2001:db8::2/48",
		"9.255.255.255/32", "10.0.0.0/32", "10.255.255.255/32", "11.0.0.0/8", "100.63.0.0/16", "100.64.0.0/16", "100.127.0.0/16", "100.128.0.0/16",
		"126.0.0.0/8", "127.0.0.1/32", "128.0.0.0/8", "128.0.0.0/1", "169.253.0.0/16", "169.254.0.0/16", "169.255.0.0/16",
		"172.15.0.0/16", "172.16.0.0/16", "172.31.0.0/16", "172.32.0.0/16", "192.167.0.0/16", "192.168.0.0/16", "192.169.0.0/16",
		"223.0.0.0/8", "224.0.0.0/8", "255.255.255.255/32", "0.0.0.0/0", "1.0.0.0/8", "0.0.0.0/7",
		"::/0", "::/128", "::1/128", "::2/127", "::/127", "::ffff:10.0.0.0/104", "::ffff:8.8.8.8/90", "::ffff:0:0/96", "::fffe:0:0/96",
		"fb00::/8", "fc00::/8", "fd00::/8", "fe00::/9", "fe80::/64", "fec0::/10", "ff02::/16", "fe00::/7",
	}
)

// orgID draws the ID of an organisation that exists, mostly, in capitals or not.
func (m *Machine) orgID(w *model.Model) string {
	all := w.OrganizationsByID("")
	switch {
	case len(all) == 0 || m.chance(12):
		return oneOf(m.src, orgIDs...)
	case m.chance(3):
		return strings.ToUpper(oneOf(m.src, all...).ID)
	}
	return oneOf(m.src, all...).ID
}

// roleID draws the ID of a role that the organisation has, mostly.
func (m *Machine) roleID(w *model.Model, org string) string {
	if o := w.FindOrganization(org); o != nil && len(o.Roles) > 0 && !m.chance(12) {
		return oneOf(m.src, o.RolesByID()...).ID
	}
	return oneOf(m.src, roleIDs...)
}

func (m *Machine) roles(w *model.Model, org string) []string {
	out := make([]string, m.src.Intn(4)*m.src.Intn(2))
	if m.chance(200) {
		out = make([]string, 1025)
	}
	for i := range out {
		out[i] = m.roleID(w, org)
	}
	return out
}

func (m *Machine) permissions() []string {
	if m.chance(50) {
		return m.oddPermissions()
	}
	out := make([]string, m.src.Intn(4)*m.src.Intn(2))
	for i := range out {
		out[i] = oneOf(m.src, permissions...)
	}
	return out
}

// oddPermissions draws permissions that are refused, or nearly.
func (m *Machine) oddPermissions() []string {
	long := func(c byte) string { return fmt.Sprintf("%040000d%c", 0, c) }
	many := make([]string, 1024+m.src.Intn(2))
	for i := range many {
		many[i] = fmt.Sprint("p", i)
	}
	same := make([]string, 1100)
	for i := range same {
		same[i] = "same"
	}
	return oneOf(m.src, []string{"read", ""}, []string{"\xff"}, []string{long('a'), long('a')}, []string{long('a'), long('b')}, many, same)
}

func (m *Machine) networks() []netip.Prefix {
	out := make([]netip.Prefix, m.src.Intn(3)*m.src.Intn(2))
	if m.chance(500) {
		out = make([]netip.Prefix, 1026)
		bits := 31 + m.src.Intn(2) // with 31 half of them are the same
		for i := range out {
			out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{8, 8, byte(i >> 8), byte(i)}), bits)
		}
		return out
	}
	for i := range out {
		switch m.src.Intn(8) {
		case 0:
			out[i] = netip.MustParsePrefix(oneOf(m.src, networks...))
		case 1:
			at := [4]byte{byte(m.src.Intn(256)), byte(m.src.Intn(256)), byte(m.src.Intn(256)), byte(m.src.Intn(256))}
			out[i] = netip.PrefixFrom(netip.AddrFrom4(at), m.src.Intn(34)) // of 33 bits: none
		default:
			out[i] = netip.MustParsePrefix(oneOf(m.src, networks[:7]...))
		}
	}
	return out
}

// touchOrg is touch for an organisation.
func (x *update) touchOrg(what string, err error, id string, users ...roster.UserID) {
	x.orgs = append(x.orgs, id)
	x.touch(what, err, users)
}

func (x *update) putOrganization() error {
	o := roster.Organization{ID: oneOf(x.src, orgIDs...), Name: x.text(), Created: x.time(), Updated: x.time()}
	if old := x.want.FindOrganization(o.ID); old != nil {
		if x.chance(3) {
			o = old.Organization
		}
		o.Revision = x.revision(old.Revision)
	}
	if x.chance(20) {
		o.ID = oneOf(x.src, badNames...)
	}
	got, err := x.tx.PutOrganization(o)
	want, wantErr := x.want.PutOrganization(o)
	x.touchOrg(fmt.Sprintf("put organisation %+v", o), err, o.ID)
	if err := errors.Join(sameError(err, wantErr), same("changed", got, want)); err != nil {
		return err
	}
	if want && x.chance(2) { // many a closure that fails has then made both
		return x.join(o.ID)
	}
	return nil
}

func (x *update) deleteOrganization() error {
	id := x.orgID(x.want)
	if x.chance(2) {
		id = "none" // a world without organisations is a dull one
	}
	var users []roster.UserID
	if o := x.want.FindOrganization(id); o != nil {
		users = o.MembersByHandle()
	}
	err := x.tx.DeleteOrganization(id)
	x.touchOrg("delete organisation "+id, err, id, users...)
	return sameError(err, x.want.DeleteOrganization(id))
}

func (x *update) putRole() error {
	org := x.orgID(x.want)
	r := roster.Role{Organization: org, ID: oneOf(x.src, roleIDs...), Name: x.text(), Permissions: x.permissions(), Created: x.time(), Updated: x.time()}
	if old := x.want.FindRole(org, r.ID); old != nil {
		asked := r
		r = old.Role
		switch x.src.Intn(4) {
		case 0:
			r = asked
		case 1:
			r.Permissions = asked.Permissions
		case 2:
			r.Created, r.Updated = asked.Created, asked.Updated
		}
		r.Revision = x.revision(old.Revision)
	}
	if x.chance(20) {
		r.ID = oneOf(x.src, badNames...)
	}
	got, err := x.tx.PutRole(r)
	want, wantErr := x.want.PutRole(r)
	x.touchOrg(fmt.Sprintf("put role %+v", r), err, org)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("changed", got, want)
}

func (x *update) deleteRole() error {
	org := x.orgID(x.want)
	id := x.roleID(x.want, org)
	err := x.tx.DeleteRole(org, id)
	x.touchOrg(fmt.Sprintf("delete role %q of %q", id, org), err, org)
	return sameError(err, x.want.DeleteRole(org, id))
}

func (x *update) putOrgMembership() error {
	s := roster.OrgMembership{
		Organization: x.orgID(x.want), User: x.userID(x.want), Owner: x.chance(4), Default: x.chance(4),
		Permissions: x.permissions(), AllowedIPs: x.networks(), Created: x.time(), Updated: x.time(),
	}
	if o := x.want.FindOrganization(s.Organization); o != nil && len(o.Members) > 0 && x.chance(4) {
		s.User = x.member(o)
	}
	s.Roles = x.roles(x.want, s.Organization)
	if o := x.want.FindOrganization(s.Organization); o != nil && o.Members[s.User] != nil {
		asked := s
		s = *o.Members[s.User]
		x.changeMembership(&s, &asked)
		s.Revision = x.revision(s.Revision)
	}
	got, err := x.tx.PutOrgMembership(s)
	want, wantErr := x.want.PutOrgMembership(s)
	x.touchOrg(fmt.Sprintf("put membership %+v", s), err, s.Organization, s.User)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("changed", got, want)
}

// member draws a member of an organisation that has some.
func (m *Machine) member(o *model.Organization) roster.UserID {
	return oneOf(m.src, o.MembersByHandle()...)
}

// changeMembership changes one field of a record, or none.
func (x *update) changeMembership(s, asked *roster.OrgMembership) {
	switch x.src.Intn(10) {
	case 0, 1:
		s.Owner = !s.Owner
	case 2, 3:
		s.Default = !s.Default
	case 4:
		s.Roles = asked.Roles
	case 5:
		s.Permissions = asked.Permissions
	case 6:
		s.AllowedIPs = asked.AllowedIPs
	case 7:
		s.Created, s.Updated = asked.Created, asked.Updated
	case 8:
		*s = *asked
	}
}

func (x *update) putOrgMemberships() error { return x.join(x.orgID(x.want)) }

// join makes members of some users, now and then of a range of them: an
// organisation of a crowd grows past the border of lists.
func (x *update) join(id string) error {
	users := x.userIDs(x.want)
	if few := 64; len(users) > few && !x.chance(4) {
		users = users[:few]
	}
	roles := x.roles(x.want, id)
	for _, u := range users {
		s := roster.OrgMembership{Organization: id, User: u, Roles: roles, Owner: u%512 == 0}
		got, err := x.tx.PutOrgMembership(s)
		want, wantErr := x.want.PutOrgMembership(s)
		if err := sameError(err, wantErr); err != nil {
			return fmt.Errorf("%v: %w", u, err)
		}
		if err := same("changed", got, want); err != nil {
			return fmt.Errorf("%v: %w", u, err)
		}
	}
	x.touchOrg(fmt.Sprintf("put memberships of %q with %.5q %v", id, roles, users), nil, id, users...)
	return nil
}

func (x *update) deleteOrgMembership() error {
	id, u := x.orgID(x.want), x.userID(x.want)
	if o := x.want.FindOrganization(id); o != nil && len(o.Members) > 0 && !x.chance(6) {
		u = x.member(o)
	}
	err := x.tx.DeleteOrgMembership(id, u)
	x.touchOrg(fmt.Sprintf("delete membership of %v in %q", u, id), err, id, u)
	return sameError(err, x.want.DeleteOrgMembership(id, u))
}

// refusedMore returns the errors of the verbs on organisations, administrators
// and whole lists.
func (m *Machine) refusedMore(tx *roster.Txn) []error {
	u, g, id := m.userID(m.now), m.groupID(m.now), m.orgID(m.now)
	_, err1 := tx.PutOrganization(roster.Organization{ID: id})
	_, err2 := tx.PutRole(roster.Role{Organization: id, ID: "r"})
	_, err3 := tx.PutOrgMembership(roster.OrgMembership{Organization: id, User: u})
	_, err4 := tx.AddAdmins(g, u)
	_, err5 := tx.RemoveAdmins(g, u)
	_, err6 := tx.AddAdminGroups(g, g)
	_, err7 := tx.RemoveAdminGroups(g, g)
	_, _, err8 := tx.ReplaceGroups([]roster.UserID{u}, nil)
	_, err9 := tx.DropGroups(u)
	_, _, err10 := tx.ReplaceMembers(g, nil)
	_, err11 := tx.PutData("access", "k", nil)
	return []error{
		err11, tx.DeleteData("access", "k"),
		err1, err2, err3, err4, err5, err6, err7, err8, err9, err10,
		tx.DeleteOrganization(id), tx.DeleteRole(id, "r"), tx.DeleteOrgMembership(id, u),
	}
}
