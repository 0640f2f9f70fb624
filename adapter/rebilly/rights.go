package rebilly

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

func isNotFound(err error) bool { return errors.Is(err, roster.ErrNotFound) }

// all reports whether the caller may do everything everywhere.
func (c *call) all() bool { return c.p.Has(access.AllPrivileges) }

// mayBeIn reports whether the caller is a member of an organisation that may act
// there from where it is.
func (c *call) mayBeIn(tx *roster.Txn, org string) (bool, error) {
	m, err := tx.OrgMembership(org, c.p.User)
	if isNotFound(err) {
		return false, nil
	}
	from := c.p.Client.Unmap().WithZone("")
	return len(m.AllowedIPs) == 0 || slices.ContainsFunc(m.AllowedIPs, func(p netip.Prefix) bool { return p.Contains(from) }), err
}

// organization returns the organisation of an ID in the path, which must be the one
// that the path is within.
func (c *call) organization(tx *roster.Txn, id string) (roster.Organization, error) {
	o, err := tx.Organization(id)
	if err == nil && c.scope != "" {
		scope, err := tx.Organization(c.scope)
		if isNotFound(err) || err == nil && scope.ID != o.ID {
			return o, notFound("organization", id)
		}
		return o, err
	}
	if isNotFound(err) {
		err = notFound("organization", id)
	}
	return o, err
}

// within returns the organisation that the path is within, or the caller's default
// one.
func (c *call) within(tx *roster.Txn) (roster.Organization, error) {
	id := c.scope
	if id == "" {
		var err error
		if id, err = tx.DefaultOrganization(c.p.User); err != nil && !isNotFound(err) {
			return roster.Organization{}, err
		}
		if id == "" {
			return roster.Organization{}, problemf(404, "You are in no organization: name one in the path.")
		}
	}
	return c.organization(tx, id)
}

// must returns a 403 unless the caller has a permission in an organisation.
func (c *call) must(tx *roster.Txn, org, permission string) error {
	may, err := c.p.MayIn(tx, org, permission)
	if err == nil && !may {
		err = forbidden("You may not do this here: it takes the permission %s.", permission)
	}
	return err
}

// mustOwn returns a 403 unless the caller owns an organisation.
func (c *call) mustOwn(tx *roster.Txn, org, what string) error {
	owns, err := c.p.Owns(tx, org)
	if err == nil && !owns {
		err = forbidden("Only an owner of the organization may %s.", what)
	}
	return err
}
