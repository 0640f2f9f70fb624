package adapter_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// model is what all APIs should show, in maps.
type model struct {
	dirs   []*directory // by number
	users  []*user
	groups []*group
	orgs   []*org
}

type directory struct {
	id           roster.DirectoryID
	name, domain string
}

type user struct {
	dir                    *directory
	name                   string
	number                 uint64
	uid, full, email, desc string
	active                 bool
	attributes             map[string][]string
	password               bool
	privileges             []string
	joined                 []*org // the oldest first
	chosen                 *org   // the default
}

type group struct {
	dir                 *directory
	name                string
	number              uint64
	desc                string
	enterprise          bool
	members, admins     map[*user]bool
	nested, adminGroups map[*group]bool
}

type role struct {
	id, name    string
	permissions []string
}

type member struct {
	owner                bool
	roles                []*role // by folded ID
	permissions, allowed []string
}

type org struct {
	id, name string
	roles    []*role // by folded ID
	members  map[*user]*member
}

func (u *user) String() string  { return fmt.Sprintf("%d/%q", u.dir.id, u.name) }
func (g *group) String() string { return fmt.Sprintf("%d/%q", g.dir.id, g.name) }

func same(a, b string) bool { return text.Fold(a) == text.Fold(b) }

// by compares the names of users or groups, and then their directories.
func by(name1 string, d1 *directory, name2 string, d2 *directory) int {
	return cmp.Or(strings.Compare(text.Fold(name1), text.Fold(name2)), cmp.Compare(d1.id, d2.id))
}

func sortUsers(list []*user) []*user {
	slices.SortFunc(list, func(a, b *user) int { return by(a.name, a.dir, b.name, b.dir) })
	return list
}

func sortGroups(list []*group) []*group {
	slices.SortFunc(list, func(a, b *group) int { return by(a.name, a.dir, b.name, b.dir) })
	return list
}

// usersThat and groupsThat return those for whom something holds, by name.
func (m *model) usersThat(ok func(*user) bool) (out []*user) {
	for _, u := range m.users {
		if ok(u) {
			out = append(out, u)
		}
	}
	return sortUsers(out)
}

func (m *model) groupsThat(ok func(*group) bool) (out []*group) {
	for _, g := range m.groups {
		if ok(g) {
			out = append(out, g)
		}
	}
	return sortGroups(out)
}

func (m *model) directory(id roster.DirectoryID) *directory {
	for _, d := range m.dirs {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (m *model) find(d roster.DirectoryID, name string) *user {
	for _, u := range m.users {
		if u.dir.id == d && same(u.name, name) {
			return u
		}
	}
	return nil
}

func (m *model) findGroup(d roster.DirectoryID, name string) *group {
	for _, g := range m.groups {
		if g.dir.id == d && same(g.name, name) {
			return g
		}
	}
	return nil
}

func (m *model) byUID(uid string) *user {
	for _, u := range m.users {
		if u.uid == uid {
			return u
		}
	}
	return nil
}

func (m *model) org(id string) *org {
	for _, o := range m.orgs {
		if same(o.id, id) {
			return o
		}
	}
	return nil
}

func (o *org) role(id string) *role {
	for _, r := range o.roles {
		if same(r.id, id) {
			return r
		}
	}
	return nil
}

// holders returns who has a role.
func (o *org) holders(r *role) (n int) {
	for _, mem := range o.members {
		if slices.Contains(mem.roles, r) {
			n++
		}
	}
	return n
}

func (o *org) owners() (n int) {
	for _, mem := range o.members {
		if mem.owner {
			n++
		}
	}
	return n
}

// within reports whether somebody is an effective member of a group.
func (m *model) within(u *user, g *group) bool {
	seen := map[*group]bool{}
	var look func(*group) bool
	look = func(g *group) bool {
		if seen[g] {
			return false
		}
		seen[g] = true
		if g.members[u] {
			return true
		}
		for sub := range g.nested {
			if look(sub) {
				return true
			}
		}
		return false
	}
	return look(g)
}

// administers reports whether somebody is an administrator of a group, itself or
// through a group.
func (m *model) administers(u *user, g *group) bool {
	if g.admins[u] {
		return true
	}
	for by := range g.adminGroups {
		if m.within(u, by) {
			return true
		}
	}
	return false
}

// Rights of who calls, who is active.

func (u *user) everything() bool { return slices.Contains(u.privileges, access.AllPrivileges) }

func (m *model) mayChange(u *user, g *group) bool { return u.everything() || m.administers(u, g) }

// manages reports whether somebody may change a group of a directory.
func (m *model) manages(u *user, d *directory) bool { return u.everything() || m.delegate(u, d) }

// delegate reports whether somebody administers a group of a directory.
func (m *model) delegate(u *user, d *directory) bool {
	return slices.ContainsFunc(m.groups, func(g *group) bool { return g.dir == d && m.administers(u, g) })
}

// from reports whether somebody who calls from an address is a member of an
// organisation who may act there.
func (o *org) from(u *user, address string) *member {
	mem := o.members[u]
	if mem == nil || len(mem.allowed) > 0 && !slices.ContainsFunc(mem.allowed, func(p string) bool {
		return netip.MustParsePrefix(p).Contains(netip.MustParseAddr(address))
	}) {
		return nil
	}
	return mem
}

func (o *org) owns(u *user, address string) bool {
	mem := o.from(u, address)
	return u.everything() || mem != nil && mem.owner
}

func (o *org) may(u *user, address, permission string) bool {
	if u.everything() {
		return true
	}
	if mem := o.from(u, address); mem != nil {
		has := o.permissions(mem)
		return slices.Contains(has, permission) || slices.Contains(has, roster.AllPermissions)
	}
	return false
}

// permissions returns all that a member may do.
func (o *org) permissions(mem *member) []string {
	all := slices.Clone(mem.permissions)
	for _, r := range mem.roles {
		all = append(all, r.permissions...)
	}
	if mem.owner || slices.Contains(all, roster.AllPermissions) {
		return []string{roster.AllPermissions}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Changes that several APIs make.

func (m *model) join(o *org, u *user, mem *member) {
	if o.members[u] == nil {
		if u.joined = append(u.joined, o); u.chosen == nil {
			u.chosen = o
		}
	}
	o.members[u] = mem
}

func (m *model) leave(o *org, u *user) {
	delete(o.members, u)
	u.joined = slices.DeleteFunc(u.joined, func(other *org) bool { return other == o })
	if u.chosen == o {
		if u.chosen = nil; len(u.joined) > 0 {
			u.chosen = u.joined[0]
		}
	}
}

func (m *model) deleteUser(u *user) {
	for _, o := range slices.Clone(u.joined) {
		m.leave(o, u)
	}
	for _, g := range m.groups {
		delete(g.members, u)
		delete(g.admins, u)
	}
	m.users = slices.DeleteFunc(m.users, func(other *user) bool { return other == u })
}

func (m *model) deleteGroup(g *group) {
	for _, other := range m.groups {
		delete(other.nested, g)
		delete(other.adminGroups, g)
	}
	m.groups = slices.DeleteFunc(m.groups, func(other *group) bool { return other == g })
}

func (m *model) deleteOrg(o *org) {
	for _, u := range m.users {
		if o.members[u] != nil {
			m.leave(o, u)
		}
	}
	m.orgs = slices.DeleteFunc(m.orgs, func(other *org) bool { return other == o })
}

func (m *model) addGroup(g *group) *group {
	g.members, g.admins, g.nested, g.adminGroups = map[*user]bool{}, map[*user]bool{}, map[*group]bool{}, map[*group]bool{}
	m.groups = append(m.groups, g)
	return g
}

func (m *model) addOrg(id, name string) *org {
	o := &org{id: id, name: name, members: map[*user]*member{}}
	m.orgs = append(m.orgs, o)
	slices.SortFunc(m.orgs, func(a, b *org) int { return strings.Compare(text.Fold(a.id), text.Fold(b.id)) })
	return o
}

func (o *org) putRole(id, name string, permissions []string) *role {
	r := o.role(id)
	if r == nil {
		r = &role{id: id}
		o.roles = append(o.roles, r)
		slices.SortFunc(o.roles, func(a, b *role) int { return strings.Compare(text.Fold(a.id), text.Fold(b.id)) })
	}
	r.name, r.permissions = name, permissions
	return r
}
