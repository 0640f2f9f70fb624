package rebilly

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// getMembership answers GET /memberships/{organization}/{user}.
func (c *call) getMembership() (a answer, err error) {
	roles, err := c.query.expansion()
	if err != nil {
		return a, err
	}
	err = c.view(func(tx *roster.Txn) error {
		org, err := c.organization(tx, c.ids[0])
		if err != nil {
			return err
		}
		u, exists := tx.UserByUID(c.ids[1])
		if self, err := c.mayBeIn(tx, org.ID); err != nil {
			return err
		} else if !self || !exists || u != c.p.User {
			if err := c.must(tx, org.ID, "GetMembership"); err != nil {
				return err
			}
		}
		if !exists {
			return notFound("membership of user", c.ids[1])
		}
		m, err := c.h.writer(tx, roles).membership(org.ID, u)
		if isNotFound(err) {
			return notFound("membership of user", c.ids[1])
		}
		a = answer{status: http.StatusOK, body: m}
		return err
	})
	return a, err
}

// deleteMembership answers DELETE /memberships/{organization}/{user}.
func (c *call) deleteMembership() (a answer, err error) {
	err = c.update(func(tx *roster.Txn) error {
		org, err := c.organization(tx, c.ids[0])
		if err != nil {
			return err
		}
		if err := c.must(tx, org.ID, "DeleteMembership"); err != nil {
			return err
		}
		u, exists := tx.UserByUID(c.ids[1])
		if !exists {
			return notFound("membership of user", c.ids[1])
		}
		m, err := tx.OrgMembership(org.ID, u)
		if isNotFound(err) {
			return notFound("membership of user", c.ids[1])
		}
		if err != nil {
			return err
		}
		if m.Owner {
			if err := c.mustOwn(tx, org.ID, "end the membership of an owner"); err != nil {
				return err
			}
		}
		return tx.DeleteOrgMembership(org.ID, u)
	})
	return answer{status: http.StatusNoContent}, err
}

// membershipInput is what a PUT says. What is left out is none.
type membershipInput struct {
	owner       bool
	roles       []string
	permissions []string
	allowed     []netip.Prefix
}

func decodeMembership(body object) (in membershipInput, err error) {
	o := reader{object: body}
	in.owner = o.boolean("isOwner")
	in.roles = o.texts("roleIds", maxID)
	in.permissions = o.texts("permissions", maxItem)
	in.allowed = o.networks("allowedIps")
	return in, o.err()
}

// networks reads a list of public addresses and networks, nil for none or null.
func (o *reader) networks(field string) (out []netip.Prefix) {
	for i, text := range o.texts(field, maxItem) {
		at := fmt.Sprintf("%s.%d", field, i)
		if slices.ContainsFunc(o.wrong, func(w invalidField) bool { return w.Field == at }) {
			continue // no text that could be one
		}
		p, err := access.ParseAddresses([]string{text})
		if err != nil {
			o.fail(at, "Must be an IP address or a network, as in 201.54.122.0/24.")
			continue
		}
		public, err := roster.PublicNetwork(p[0])
		if err != nil {
			o.fail(at, "Private and other addresses that nobody comes from over the internet are prohibited.")
			continue
		}
		out = append(out, public)
	}
	return out
}

// putMembership answers PUT /memberships/{organization}/{user}.
func (c *call) putMembership() (a answer, err error) {
	expand, err := c.query.expansion()
	if err != nil {
		return a, err
	}
	in, err := decodeMembership(c.body)
	if err != nil {
		return a, err
	}
	err = c.update(func(tx *roster.Txn) error {
		m, created, err := c.put(tx, &in)
		if err != nil {
			return err
		}
		if _, err := tx.PutOrgMembership(m); err != nil {
			return err
		}
		out, err := c.h.writer(tx, expand).membership(m.Organization, m.User)
		a = answer{status: http.StatusOK, body: out}
		if created {
			a.status = http.StatusCreated
			a.set("Location", out.Links[0].Href)
		}
		return err
	})
	return a, err
}

// put returns the membership that a PUT asks for, and whether it is a new one, if
// the caller may make it so.
func (c *call) put(tx *roster.Txn, in *membershipInput) (m roster.OrgMembership, created bool, err error) {
	org, err := c.organization(tx, c.ids[0])
	if err != nil {
		return m, false, tooLong("organization.id", c.ids[0], err)
	}
	owns, err := c.p.Owns(tx, org.ID)
	if err != nil {
		return m, false, err
	}
	if !owns {
		if err := c.must(tx, org.ID, "PutMembership"); err != nil {
			return m, false, err
		}
	}
	u, exists := tx.UserByUID(c.ids[1])
	if !exists {
		return m, false, tooLong("user.id", c.ids[1], notFound("user", c.ids[1]))
	}
	m = roster.OrgMembership{Organization: org.ID, User: u, Owner: in.owner, Permissions: in.permissions, AllowedIPs: in.allowed}
	if m.Roles, err = rolesOf(tx, org.ID, in.roles); err != nil {
		return m, false, err
	}
	old, err := tx.OrgMembership(org.ID, u)
	created = isNotFound(err)
	if err != nil && !created {
		return m, false, err
	}
	if !owns {
		err = c.mayChange(tx, &m, &old, created)
	} else {
		err = nil
	}
	return m, created, err
}

// tooLong answers an id that is longer than any may be with 422 in place of 404.
func tooLong(field, id string, err error) error {
	if utf8.RuneCountInString(id) > maxID {
		return invalid(field, "Must have at most %d characters.", maxID)
	}
	return err
}

// rolesOf returns the IDs of roles as they are stored.
func rolesOf(tx *roster.Txn, org string, ids []string) (out []string, err error) {
	var o reader
	for i, id := range ids {
		r, err := tx.Role(org, id)
		if isNotFound(err) {
			o.fail(fmt.Sprintf("roleIds.%d", i), "There is no role %q in the organization.", clip(id))
			continue
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, r.ID) {
			out = append(out, r.ID)
		}
	}
	return out, o.err()
}

// mayChange returns a 403 unless somebody who is no owner may change a membership
// from old to m.
func (c *call) mayChange(tx *roster.Txn, m, old *roster.OrgMembership, created bool) error {
	switch {
	case created:
		return forbidden("Only an owner of the organization may grant membership to new users.")
	case m.Owner != old.Owner:
		return forbidden("Only an owner of the organization may change who is one.")
	case old.Owner:
		return forbidden("Only an owner of the organization may change the membership of an owner.")
	case m.User == c.p.User && !sameNetworks(m.AllowedIPs, old.AllowedIPs):
		return forbidden("Only an owner of the organization may change from where you may come.")
	}
	has, err := tx.Permissions(m.Organization, c.p.User)
	if err != nil {
		return err
	}
	gives, err := granted(tx, m, old)
	if err != nil || slices.Contains(has, roster.AllPermissions) {
		return err
	}
	for _, p := range gives {
		if !slices.Contains(has, p) {
			return forbidden("You may not give a permission that you do not have: %s.", clip(p))
		}
	}
	return nil
}

func sameNetworks(a, b []netip.Prefix) bool {
	for _, p := range a {
		if !slices.Contains(b, p) {
			return false
		}
	}
	for _, p := range b {
		if !slices.Contains(a, p) {
			return false
		}
	}
	return true
}

// granted returns the permissions that m gives, directly or by roles, beside those
// that stood in old in the same place.
func granted(tx *roster.Txn, m, old *roster.OrgMembership) (out []string, err error) {
	for _, p := range m.Permissions {
		if !slices.Contains(old.Permissions, p) {
			out = append(out, p)
		}
	}
	for _, id := range m.Roles {
		if slices.Contains(old.Roles, id) {
			continue
		}
		r, err := tx.Role(m.Organization, id)
		if err != nil {
			return nil, err
		}
		out = append(out, r.Permissions...)
	}
	return out, nil
}
