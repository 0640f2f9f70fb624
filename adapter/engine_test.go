package adapter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// The model and the engine are both written as lines, each from what it has: what
// the Go API shows is what the model holds if the lines are the same.

type (
	userLine struct {
		who                    string
		number                 uint64
		uid, full, email, desc string
		active                 bool
		attributes             map[string][]string
		password               bool
		privileges             []string
		in, within, manages    []string // groups
		assignable             []string
		joined                 []string
		chosen                 string
	}
	groupLine struct {
		name                                                       string
		number                                                     uint64
		desc                                                       string
		enterprise                                                 bool
		members, all, admins, allAdmins, nested, adminGroups, with []string
	}
	memberLine struct {
		who                                 string
		owner, standard                     bool
		roles, permissions, allowed, rights []string
	}
	orgLine struct {
		id, name string
		members  []memberLine
		owners   []string
		roles    []string
	}
)

// strs returns texts, never nil, so that %v shows no difference.
func strs[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

// lines writes the model.
func (m *model) lines() (out []string) {
	add := func(v any) { out = append(out, fmt.Sprintf("%+v", v)) }
	for _, d := range m.dirs {
		add(*d)
	}
	for _, u := range m.usersThat(func(*user) bool { return true }) {
		l := userLine{
			u.String(), u.number, u.uid, u.full, u.email, u.desc, u.active, u.attributes, u.password, u.privileges,
			strs(m.groupsThat(func(g *group) bool { return g.members[u] })), strs(m.groupsThat(func(g *group) bool { return m.within(u, g) })),
			strs(m.groupsThat(func(g *group) bool { return m.administers(u, g) })),
			strs(m.usersThat(func(other *user) bool { return m.delegate(u, other.dir) })), nil, "",
		}
		for _, o := range u.joined {
			l.joined = append(l.joined, o.id)
		}
		if u.chosen != nil {
			l.chosen = u.chosen.id
		}
		add(l)
	}
	for _, g := range m.groupsThat(func(*group) bool { return true }) {
		add(groupLine{
			g.String(), g.number, g.desc, g.enterprise,
			strs(m.usersThat(func(u *user) bool { return g.members[u] })), strs(m.usersThat(func(u *user) bool { return m.within(u, g) })),
			strs(m.usersThat(func(u *user) bool { return g.admins[u] })), strs(m.usersThat(func(u *user) bool { return m.administers(u, g) })),
			strs(m.groupsThat(func(sub *group) bool { return g.nested[sub] })), strs(m.groupsThat(func(by *group) bool { return g.adminGroups[by] })),
			strs(m.groupsThat(func(up *group) bool { return up.nested[g] })),
		})
	}
	for _, o := range m.orgs {
		add(m.orgLine(o))
	}
	return out
}

func (m *model) orgLine(o *org) orgLine {
	l := orgLine{id: o.id, name: o.name}
	for _, u := range m.usersThat(func(u *user) bool { return o.members[u] != nil }) {
		mem := o.members[u]
		one := memberLine{u.String(), mem.owner, u.chosen == o, nil, mem.permissions, mem.allowed, o.permissions(mem)}
		for _, r := range mem.roles {
			one.roles = append(one.roles, r.id)
		}
		l.members = append(l.members, one)
		if mem.owner {
			l.owners = append(l.owners, u.String())
		}
	}
	for _, r := range o.roles {
		l.roles = append(l.roles, fmt.Sprintf("%q %q %q %d", r.id, r.name, r.permissions, o.holders(r)))
	}
	return l
}

// reader reads an engine as lines.
type reader struct {
	tx  *roster.Txn
	err error
}

func (r *reader) check(err error) { r.err = errors.Join(r.err, err) }

func (r *reader) user(id roster.UserID) string {
	u, err := r.tx.User(id)
	r.check(err)
	return fmt.Sprintf("%d/%q", u.Directory, u.Username)
}

func (r *reader) set(s roster.Set, err error) []string {
	r.check(err)
	out := []string{}
	for id := range s.ByName("") {
		out = append(out, r.user(id))
	}
	if len(out) != s.Len() {
		r.check(fmt.Errorf("%d of %d users by name", len(out), s.Len()))
	}
	return out
}

func (r *reader) groups(list []roster.GroupID, err error) []string {
	r.check(err)
	out := []string{}
	for _, id := range list {
		g, err := r.tx.Group(id)
		r.check(err)
		out = append(out, fmt.Sprintf("%d/%q", g.Directory, g.Name))
	}
	return out
}

// linesOf writes what the Go API shows.
func linesOf(tx *roster.Txn) ([]string, error) {
	r := &reader{tx: tx}
	var out []string
	add := func(v any) { out = append(out, fmt.Sprintf("%+v", v)) }
	for _, d := range tx.Directories() {
		add(directory{d.ID, d.Name, d.Domain})
	}
	users, err := tx.Users()
	r.check(err)
	for id := range users.ByName("") {
		add(r.userLine(id))
	}
	for id := range tx.GroupsByName() {
		add(r.groupLine(id))
	}
	for id := range tx.Organizations("") {
		add(r.orgLine(id))
	}
	return out, r.err
}

func (r *reader) userLine(id roster.UserID) userLine {
	tx := r.tx
	u, err := tx.User(id)
	r.check(err)
	a, err := access.GetAccount(tx, id)
	if !errors.Is(err, roster.ErrNotFound) {
		r.check(err)
	}
	l := userLine{
		who: r.user(id), number: u.Number, uid: u.UID, full: u.FullName, email: u.Email, desc: u.Description, active: u.Active, attributes: u.Attributes,
		password: !a.Password.IsZero(), privileges: a.Privileges,
		in: r.groups(tx.DirectGroups(id)), within: r.groups(tx.Groups(id)), manages: r.groups(tx.Administered(id)),
		assignable: r.set(tx.Assignable(id)),
	}
	l.joined, err = tx.OrganizationsOf(id)
	r.check(err)
	l.chosen, err = tx.DefaultOrganization(id)
	r.check(err)
	if by, ok := tx.UserByUID(u.UID); !ok || by != id {
		r.check(fmt.Errorf("uid %q is not that of %s", u.UID, l.who))
	}
	return l
}

func (r *reader) groupLine(id roster.GroupID) groupLine {
	tx := r.tx
	g, err := tx.Group(id)
	r.check(err)
	return groupLine{
		fmt.Sprintf("%d/%q", g.Directory, g.Name), g.Number, g.Description, g.Enterprise,
		r.set(tx.DirectMembers(id)), r.set(tx.Members(id)), r.set(tx.DirectAdmins(id)), r.set(tx.Admins(id)),
		r.groups(tx.Subgroups(id)), r.groups(tx.AdminGroups(id)), r.groups(tx.Parents(id)),
	}
}

func (r *reader) orgLine(id string) orgLine {
	tx := r.tx
	o, err := tx.Organization(id)
	r.check(err)
	l := orgLine{id: o.ID, name: o.Name}
	members, err := tx.OrgMembers(id)
	r.check(err)
	for u := range members.ByName("") {
		m, err := tx.OrgMembership(id, u)
		r.check(err)
		one := memberLine{who: r.user(u), owner: m.Owner, standard: m.Default, roles: m.Roles, permissions: m.Permissions}
		for _, p := range m.AllowedIPs {
			one.allowed = append(one.allowed, p.String())
		}
		one.rights, err = tx.Permissions(id, u)
		r.check(err)
		l.members = append(l.members, one)
	}
	l.owners = r.set(tx.OrgOwners(id))
	ids, err := tx.Roles(id)
	r.check(err)
	for _, role := range ids {
		rec, err := tx.Role(id, role)
		r.check(err)
		holders, err := tx.RoleHolders(id, role)
		r.check(err)
		l.roles = append(l.roles, fmt.Sprintf("%q %q %q %d", rec.ID, rec.Name, rec.Permissions, holders.Len()))
	}
	return l
}

// difference returns the lines that only one of two lists has.
func difference(got, want []string) string {
	var b strings.Builder
	for _, l := range got {
		if !slices.Contains(want, l) {
			fmt.Fprintf(&b, "\n got %s", l)
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			fmt.Fprintf(&b, "\nwant %s", l)
		}
	}
	return b.String()
}

// agreeOnGo holds what the Go API shows to the model.
func (x *machine) agreeOnGo() {
	x.t.Helper()
	x.w.view(x.t, func(tx *roster.Txn) {
		got, err := linesOf(tx)
		if err != nil {
			x.t.Fatalf("the Go API: %v", err)
		}
		if want := x.m.lines(); !slices.Equal(got, want) {
			x.t.Fatalf("the Go API shows otherwise than the model:%s", difference(got, want))
		}
	})
}
