package exchange

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rosterdb/roster"
)

// admins writes the administrators of every group, in the order of members.
func (x *exporter) admins(directories func(roster.UserID) roster.DirectoryID) error {
	return x.eachGroup(func(g roster.Group) error {
		users, err := x.tx.DirectAdmins(g.ID)
		if err != nil {
			return err
		}
		for id := range users.ByName("") {
			x.buf = appendLink(x.buf[:0], "admin", g, "user", x.tx.Username(id), directories(id))
			if err := x.write(); err != nil {
				return err
			}
		}
		groups, err := x.tx.AdminGroups(g.ID)
		if err != nil {
			return err
		}
		for _, id := range groups {
			by, err := x.tx.Group(id)
			if err != nil {
				return err
			}
			x.buf = appendLink(x.buf[:0], "admin", g, "byGroup", by.Name, by.Directory)
			if err := x.write(); err != nil {
				return err
			}
		}
		return nil
	})
}

// organizations writes all organisations, all roles, then all memberships.
func (x *exporter) organizations() error {
	for _, write := range []func(id string) error{x.organization, x.roles, x.orgMemberships} {
		for id := range x.tx.Organizations("") {
			if err := write(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *exporter) organization(id string) error {
	o, err := x.tx.Organization(id)
	if err != nil {
		return err
	}
	x.buf = AppendOrganization(x.buf[:0], o)
	return x.write()
}

func (x *exporter) roles(organization string) error {
	ids, err := x.tx.Roles(organization)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := x.tx.Role(organization, id)
		if err != nil {
			return err
		}
		x.buf = AppendRole(x.buf[:0], r)
		if err := x.write(); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) orgMemberships(organization string) error {
	members, err := x.tx.OrgMembers(organization)
	if err != nil {
		return err
	}
	for id := range members.ByName("") {
		m, err := x.tx.OrgMembership(organization, id)
		if err != nil {
			return err
		}
		u, err := x.tx.User(id)
		if err != nil {
			return err
		}
		x.buf = AppendOrgMembership(x.buf[:0], m, u.UID)
		if err := x.write(); err != nil {
			return err
		}
	}
	return nil
}

// leftOut says what a format could not hold, and how often.
type leftOut map[string]int

// add counts n more of something. Nothing is said of what there is none of.
func (l leftOut) add(what string, n int) {
	if n > 0 {
		l[what] += n
	}
}

func (l leftOut) tell(warn func(string)) {
	for _, what := range slices.Sorted(maps.Keys(l)) {
		warn(fmt.Sprintf("%d %s", l[what], what))
	}
}

// countOrganizations counts what only JSON lines hold.
func (x *exporter) countOrganizations(left leftOut) error {
	for id := range x.tx.Organizations("") {
		roles, err := x.tx.Roles(id)
		if err != nil {
			return err
		}
		members, err := x.tx.OrgMembers(id)
		if err != nil {
			return err
		}
		left.add("organisations: left out", 1)
		left.add("roles of organisations: left out", len(roles))
		left.add("memberships of organisations: left out", members.Len())
	}
	for id := range x.tx.GroupsByName() {
		users, err := x.tx.DirectAdmins(id)
		if err != nil {
			return err
		}
		groups, err := x.tx.AdminGroups(id)
		if err != nil {
			return err
		}
		left.add("administrators of groups: left out", users.Len()+len(groups))
	}
	users, keys, err := x.collectCredentials()
	left.add("accounts: left out", len(users))
	left.add("API keys: left out", len(keys))
	return errors.Join(err, x.ctx.Err())
}
