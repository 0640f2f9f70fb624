package adapter_test

import (
	"errors"

	"github.com/rosterdb/roster"
)

// store writes the model into an engine that is empty, but for accounts.
func (m *model) store(tx *roster.Txn) error {
	var errs []error
	for _, d := range m.dirs {
		_, err := tx.PutDirectory(roster.Directory{ID: d.id, Name: d.name, Domain: d.domain})
		errs = append(errs, err)
	}
	for _, u := range m.users {
		_, err := tx.CreateUser(u.record())
		errs = append(errs, err)
	}
	for _, g := range m.groups {
		_, err := tx.CreateGroup(g.record())
		errs = append(errs, err)
	}
	for _, o := range m.orgs {
		_, err := tx.PutOrganization(roster.Organization{ID: o.id, Name: o.name})
		errs = append(errs, err)
		for _, r := range o.roles {
			_, err := tx.PutRole(roster.Role{Organization: o.id, ID: r.id, Name: r.name, Permissions: r.permissions})
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, m.storeMembers(tx))...)
}

func (m *model) storeMembers(tx *roster.Txn) error {
	var errs []error
	for _, g := range m.groups {
		id, _ := tx.GroupByNumber(g.number)
		for _, u := range m.users {
			user, _ := tx.UserByNumber(u.number)
			if g.members[u] {
				_, err := tx.Add(id, user)
				errs = append(errs, err)
			}
			if g.admins[u] {
				_, err := tx.AddAdmins(id, user)
				errs = append(errs, err)
			}
		}
		for sub := range g.nested {
			other, _ := tx.GroupByNumber(sub.number)
			_, err := tx.Nest(id, other)
			errs = append(errs, err)
		}
	}
	for _, u := range m.users {
		user, _ := tx.UserByNumber(u.number)
		for _, o := range u.joined {
			mem := o.members[u]
			_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: o.id, User: user, Owner: mem.owner, Permissions: mem.permissions})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (u *user) record() roster.User {
	return roster.User{
		Directory: u.dir.id, Username: u.name, Number: u.number, UID: u.uid, FullName: u.full, Email: u.email, Description: u.desc,
		Active: u.active, Attributes: u.attributes,
	}
}

func (g *group) record() roster.Group {
	return roster.Group{Directory: g.dir.id, Name: g.name, Number: g.number, Description: g.desc, Enterprise: g.enterprise}
}
