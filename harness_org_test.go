package roster_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

// naiveOrgs is what an engine is to hold of organisations and administrators.
type naiveOrgs struct {
	orgs        map[string]roster.Organization
	roles       map[[2]string]roster.Role // by organisation and ID
	memberships map[orgUser]roster.OrgMembership
	admins      map[roster.GroupID]map[roster.UserID]bool
	adminGroups map[roster.GroupID]map[roster.GroupID]bool
}

type orgUser struct {
	org  string
	user roster.UserID
}

func newNaiveOrgs() naiveOrgs {
	return naiveOrgs{
		orgs: map[string]roster.Organization{}, roles: map[[2]string]roster.Role{}, memberships: map[orgUser]roster.OrgMembership{},
		admins: map[roster.GroupID]map[roster.UserID]bool{}, adminGroups: map[roster.GroupID]map[roster.GroupID]bool{},
	}
}

func (n *naiveOrgs) clone() naiveOrgs {
	c := naiveOrgs{orgs: maps.Clone(n.orgs), roles: maps.Clone(n.roles), memberships: maps.Clone(n.memberships)}
	c.admins, c.adminGroups = map[roster.GroupID]map[roster.UserID]bool{}, map[roster.GroupID]map[roster.GroupID]bool{}
	for g, m := range n.admins {
		c.admins[g] = maps.Clone(m)
	}
	for g, m := range n.adminGroups {
		c.adminGroups[g] = maps.Clone(m)
	}
	return c
}

// forgetUser and forgetGroup take out what goes with a user or a group.
func (n *naiveOrgs) forgetUser(u roster.UserID) {
	maps.DeleteFunc(n.memberships, func(k orgUser, _ roster.OrgMembership) bool { return k.user == u })
	for _, m := range n.admins {
		delete(m, u)
	}
}

func (n *naiveOrgs) forgetGroup(g roster.GroupID) {
	delete(n.admins, g)
	delete(n.adminGroups, g)
	for _, m := range n.adminGroups {
		delete(m, g)
	}
}

// dumpOrgs writes down organisations and administrators, in the words that
// dumpOrgs uses for an engine.
func (n *naive) dumpOrgs(b *strings.Builder) {
	for _, id := range keys(n.orgs) {
		var roles []string
		for k := range n.roles {
			if k[0] == id {
				roles = append(roles, k[1])
			}
		}
		slices.Sort(roles)
		fmt.Fprintf(b, "%+v\n", n.orgs[id])
		for _, r := range roles {
			fmt.Fprintf(b, " %+v\n", n.roles[[2]string{id, r}])
		}
		for _, u := range keys(n.users) {
			if m, ok := n.memberships[orgUser{id, u}]; ok {
				fmt.Fprintf(b, " %+v\n", m)
			}
		}
	}
	for _, g := range keys(n.groups) {
		fmt.Fprintf(b, "%d is administered by %v and %v\n", g, keys(n.admins[g]), keys(n.adminGroups[g]))
	}
}

func dumpOrgs(b *strings.Builder, tx *roster.Txn) error {
	for id := range tx.Organizations("") {
		o, err1 := tx.Organization(id)
		roles, err2 := tx.Roles(id)
		members, err3 := tx.OrgMembers(id)
		owners, err4 := tx.OrgOwners(id)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		fmt.Fprintf(b, "%+v\n", o)
		holders := map[string]roster.Set{}
		for _, r := range roles {
			rec, err1 := tx.Role(id, r)
			set, err2 := tx.RoleHolders(id, r)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			fmt.Fprintf(b, " %+v\n", rec)
			holders[r] = set
		}
		for u := range members.All() {
			m, err := tx.OrgMembership(id, u)
			if err != nil {
				return err
			}
			standard, _ := tx.DefaultOrganization(u)
			if m.Owner != owners.Contains(u) || m.Default != (standard == id) {
				return fmt.Errorf("%+v: owner %t, default %q", m, owners.Contains(u), standard)
			}
			for r, set := range holders {
				if set.Contains(u) != slices.Contains(m.Roles, r) {
					return fmt.Errorf("%+v: role %q", m, r)
				}
			}
			fmt.Fprintf(b, " %+v\n", m)
		}
	}
	for _, g := range slices.Sorted(tx.GroupsByName()) {
		users, err1 := tx.DirectAdmins(g)
		groups, err2 := tx.AdminGroups(g)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		slices.Sort(groups)
		fmt.Fprintf(b, "%d is administered by %v and %v\n", g, list(slices.Collect(users.All())), list(groups))
	}
	return nil
}

func (w *writer) organization(id string) {
	if _, err := w.tx.PutOrganization(roster.Organization{ID: id, Name: "name of " + id}); w.note(err) {
		w.n.orgs[id] = roster.Organization{ID: id, Name: "name of " + id, Created: w.at, Updated: w.at, Revision: w.n.rev}
	}
}

func (w *writer) role(org, id string) {
	r := roster.Role{Organization: org, ID: id, Permissions: []string{"do " + id}}
	if _, err := w.tx.PutRole(r); w.note(err) {
		r.Created, r.Updated, r.Revision = w.at, w.at, w.n.rev
		w.n.roles[[2]string{org, id}] = r
	}
}

// join makes a user a member that was none.
func (w *writer) join(org string, u roster.UserID, owner bool, roles ...string) {
	m := roster.OrgMembership{
		Organization: org, User: u, Owner: owner, Roles: roles, Permissions: []string{"see"},
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("201.54.122.0/24")},
	}
	if _, err := w.tx.PutOrgMembership(m); !w.note(err) {
		return
	}
	m.Default, m.Created, m.Updated, m.Revision = true, w.at, w.at, w.n.rev
	for k := range w.n.memberships {
		if k.user == u {
			m.Default = false
		}
	}
	w.n.memberships[orgUser{org, u}] = m
}

// leave ends a membership. The oldest of the others becomes the default.
func (w *writer) leave(org string, u roster.UserID) {
	if !w.note(w.tx.DeleteOrgMembership(org, u)) {
		return
	}
	was := w.n.memberships[orgUser{org, u}]
	delete(w.n.memberships, orgUser{org, u})
	var oldest *roster.OrgMembership
	for k, m := range w.n.memberships {
		if k.user != u {
			continue
		}
		if oldest == nil || m.Created.Before(oldest.Created) || m.Created.Equal(oldest.Created) && m.Organization < oldest.Organization {
			oldest = &m
		}
	}
	if was.Default && oldest != nil {
		oldest.Default, oldest.Revision = true, w.n.rev
		w.n.memberships[orgUser{oldest.Organization, u}] = *oldest
	}
}

func (w *writer) admin(g roster.GroupID, users ...roster.UserID) {
	if _, err := w.tx.AddAdmins(g, users...); w.note(err) {
		if w.n.admins[g] == nil {
			w.n.admins[g] = map[roster.UserID]bool{}
		}
		for _, u := range users {
			w.n.admins[g][u] = true
		}
	}
}

func (w *writer) adminGroup(g, admins roster.GroupID) {
	if _, err := w.tx.AddAdminGroups(g, admins); w.note(err) {
		if w.n.adminGroups[g] == nil {
			w.n.adminGroups[g] = map[roster.GroupID]bool{}
		}
		w.n.adminGroups[g][admins] = true
	}
}
