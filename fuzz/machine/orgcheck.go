package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// organizations compares all organisations, and a part of their order.
func (c *checker) organizations(src Source) error {
	for _, id := range orgIDs {
		if err := c.organization(id); err != nil {
			return err
		}
	}
	for _, after := range []string{"", oneOf(src, orgIDs...), oneOf(src, names...)} {
		var want []string
		for _, o := range c.want.OrganizationsByID(after) {
			want = append(want, o.ID)
		}
		if err := sameList("organisations behind "+after, slices.Collect(c.tx.Organizations(after)), want); err != nil {
			return err
		}
	}
	return nil
}

// organization compares what is known of one organisation, or that nothing is.
// Its memberships are compared by user.
func (c *checker) organization(id string) error {
	want := c.want.FindOrganization(id)
	if want == nil {
		return c.noOrganization(id)
	}
	got, err1 := c.tx.Organization(id)
	members, err2 := c.tx.OrgMembers(id)
	owners, err3 := c.tx.OrgOwners(id)
	roles, err4 := c.tx.Roles(id)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return fmt.Errorf("organisation %q: %w", id, err)
		}
	}
	var wantRoles []string
	for _, r := range want.RolesByID() {
		wantRoles = append(wantRoles, r.ID)
	}
	err := allOf(
		func() error { return sameOrganization(got, want.Organization) },
		func() error { return sameSet("members", members, want.All()) },
		func() error { return sameSet("owners", owners, want.Owners()) },
		func() error { return sameList("roles", roles, wantRoles) },
		func() error { return c.roles(id) },
	)
	if err != nil {
		return fmt.Errorf("organisation %q: %w", id, err)
	}
	return nil
}

// roles compares every role that an organisation has, or could have.
func (c *checker) roles(org string) error {
	for _, id := range roleIDs {
		want := c.want.FindRole(org, id)
		got, err := c.tx.Role(org, id)
		holders, err2 := c.tx.RoleHolders(org, id)
		if want == nil {
			if err := allAre(roster.ErrNotFound, err, err2); err != nil {
				return fmt.Errorf("role %q, which does not exist: %w", id, err)
			}
			continue
		}
		if err := allAre(nil, err, err2); err != nil {
			return fmt.Errorf("role %q: %w", id, err)
		}
		if err := sameRole(&got, &want.Role); err != nil {
			return err
		}
		if err := sameSet("holders", holders, c.want.FindOrganization(org).Holders(want)); err != nil {
			return fmt.Errorf("role %q: %w", id, err)
		}
	}
	return nil
}

// noOrganization compares the answers for an organisation that there is not.
func (c *checker) noOrganization(id string) error {
	_, err1 := c.tx.Organization(id)
	_, err2 := c.tx.OrgMembers(id)
	_, err3 := c.tx.OrgOwners(id)
	_, err4 := c.tx.Roles(id)
	_, err5 := c.tx.Role(id, "clerk")
	_, err6 := c.tx.RoleHolders(id, "clerk")
	if err := allAre(roster.ErrNotFound, err1, err2, err3, err4, err5, err6); err != nil {
		return fmt.Errorf("organisation %q, which does not exist: %w", id, err)
	}
	return nil
}

// organizationsOf compares the memberships of a user.
func (c *checker) organizationsOf(u roster.UserID) error {
	got, err := c.tx.OrganizationsOf(u)
	if err != nil {
		return err
	}
	standard, err := c.tx.DefaultOrganization(u)
	if err != nil {
		return err
	}
	all := c.want.OrganizationsOf(u)
	var want []string
	for _, o := range all {
		want = append(want, o.ID)
		if err := c.membership(o, u); err != nil {
			return fmt.Errorf("in organisation %q: %w", o.ID, err)
		}
	}
	if err := sameList("organisations", got, want); err != nil {
		return err
	}
	wantStandard := ""
	if o := c.want.DefaultOrganization(u); o != nil {
		wantStandard = o.ID
	}
	return same("default organisation", standard, wantStandard)
}

func (c *checker) membership(o *model.Organization, u roster.UserID) error {
	got, err := c.tx.OrgMembership(strings.ToLower(o.ID), u)
	if err != nil {
		return err
	}
	may, err := c.tx.Permissions(o.ID, u)
	if err != nil {
		return err
	}
	if err := sameMembership(&got, o.Members[u]); err != nil {
		return err
	}
	return sameList("permissions", may, o.Permissions(u))
}

// noMembership compares the answers for who may be no member of an organisation.
func (c *checker) noMembership(id string, u roster.UserID) error {
	if o := c.want.FindOrganization(id); o != nil && o.Members[u] != nil {
		return c.membership(o, u)
	}
	_, err1 := c.tx.OrgMembership(id, u)
	_, err2 := c.tx.Permissions(id, u)
	if err := allAre(roster.ErrNotFound, err1, err2); err != nil {
		return fmt.Errorf("%v, who is not in organisation %q: %w", u, id, err)
	}
	return nil
}

// nobodyIsIn compares the answers for a user that there is not.
func (c *checker) nobodyIsIn(u roster.UserID) error {
	_, err1 := c.tx.OrganizationsOf(u)
	_, err2 := c.tx.DefaultOrganization(u)
	if err := allAre(roster.ErrNotFound, err1, err2); err != nil {
		return err
	}
	for _, id := range orgIDs {
		if err := c.noMembership(id, u); err != nil {
			return err
		}
	}
	return nil
}

// unread makes sure that nothing can be read of organisations and administrators
// in a transaction that has ended.
func (m *Machine) unread(tx *roster.Txn) error {
	u, g, id := m.userID(m.now), m.groupID(m.now), m.orgID(m.now)
	_, err1 := tx.Organization(id)
	_, err2 := tx.OrganizationsOf(u)
	_, err3 := tx.DefaultOrganization(u)
	_, err4 := tx.OrgMembers(id)
	_, err5 := tx.OrgOwners(id)
	_, err6 := tx.OrgMembership(id, u)
	_, err7 := tx.Permissions(id, u)
	_, err8 := tx.Role(id, "clerk")
	_, err9 := tx.Roles(id)
	_, err10 := tx.RoleHolders(id, "clerk")
	_, err11 := tx.Admins(g)
	_, err12 := tx.DirectAdmins(g)
	_, err13 := tx.AdminGroups(g)
	_, err14 := tx.Administered(u)
	_, err15 := tx.AdministeredMembers(u)
	_, err16 := tx.Assignable(u)
	_, err17 := tx.Data("access", "k")
	for id := range tx.Organizations("") {
		return fmt.Errorf("organisation %q is listed", id)
	}
	for key := range tx.DataKeys("access", "") {
		return fmt.Errorf("key %q is listed", key)
	}
	if tx.CheckAdmin(u, g) {
		return fmt.Errorf("%v administers %v", u, g)
	}
	return allAre(roster.ErrTxnDone, err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13, err14, err15, err16, err17)
}
