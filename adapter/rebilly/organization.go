package rebilly

import (
	"errors"
	"net/http"
	"slices"

	"github.com/rosterdb/roster"
)

var organizationFields = map[string]kind{"id": aText, "name": aText, "createdTime": aTime, "updatedTime": aTime}

// listOrganizations answers GET /organizations: those that the caller is in.
func (c *call) listOrganizations() (a answer, err error) {
	page, err := c.page()
	if err != nil {
		return a, err
	}
	filters, err := parseFilter(c.query["filter"], organizationFields)
	if err != nil {
		return a, err
	}
	keys, err := c.query.sorting("id", "name", "createdTime", "updatedTime")
	if err != nil {
		return a, err
	}
	err = c.view(func(tx *roster.Txn) error {
		w := c.h.writer(tx, false)
		orgs, err := c.organizationsThat(tx, w, filters)
		if err != nil {
			return err
		}
		slices.SortFunc(orgs, func(a, b roster.Organization) int { return compareText(a.ID, b.ID) })
		slices.SortStableFunc(orgs, func(a, b roster.Organization) int {
			for _, k := range keys {
				if c := k.turn(compareOrganizations("organization."+k.field, &part{org: a}, &part{org: b})); c != 0 {
					return c
				}
			}
			return 0
		})
		var items []any
		for _, o := range cut(page, orgs) {
			out, err := w.organizationJSON(o.ID)
			if err != nil {
				return err
			}
			items = append(items, out)
		}
		a = page.list(len(orgs), items)
		return nil
	})
	return a, err
}

// organizationsThat returns the organisations that the caller may see and a filter
// lets pass.
func (c *call) organizationsThat(tx *roster.Txn, w *writer, filters []clause) (out []roster.Organization, err error) {
	ids := []string{c.scope}
	if c.scope == "" {
		if ids, err = c.reachable(tx, "id"); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		o, err := w.organization(id)
		if isNotFound(err) {
			return nil, notFound("organization", id)
		}
		if err != nil {
			return nil, err
		}
		may, err := c.maySeeOrganization(tx, o.ID)
		switch {
		case err != nil:
			return nil, err
		case !may && c.scope != "":
			return nil, forbidden("You are not in this organization.")
		case may && !slices.ContainsFunc(filters, func(f clause) bool { return !holdsForOrganization(&f, &o) }):
			out = append(out, o)
		}
	}
	return out, nil
}

func holdsForOrganization(f *clause, o *roster.Organization) bool {
	switch f.field {
	case "id":
		return f.holdsText(o.ID)
	case "name":
		return f.holdsText(o.Name)
	case "createdTime":
		return f.holdsTime(o.Created)
	}
	return f.holdsTime(o.Updated)
}

func (c *call) maySeeOrganization(tx *roster.Txn, org string) (bool, error) {
	if c.all() {
		return true, nil
	}
	return c.mayBeIn(tx, org)
}

// getOrganization answers GET /organizations/{organization}.
func (c *call) getOrganization() (a answer, err error) {
	err = c.view(func(tx *roster.Txn) error {
		o, err := c.organization(tx, c.ids[0])
		if err != nil {
			return err
		}
		may, err := c.maySeeOrganization(tx, o.ID)
		if err == nil && !may {
			err = forbidden("You are not in this organization.")
		}
		if err != nil {
			return err
		}
		out, err := c.h.writer(tx, false).organizationJSON(o.ID)
		a = answer{status: http.StatusOK, body: out}
		return err
	})
	return a, err
}

// postOrganization answers POST /organizations.
func (c *call) postOrganization() (answer, error) { return c.storeOrganization("") }

// putOrganization answers PUT /organizations/{organization}.
func (c *call) putOrganization() (answer, error) { return c.storeOrganization(c.ids[0]) }

// storeOrganization changes an organisation, which takes an owner of it, or creates
// one, which takes all privileges. A new one has no members: whoever made it makes
// somebody its owner.
func (c *call) storeOrganization(id string) (a answer, err error) {
	in := reader{object: c.body}
	o := roster.Organization{ID: in.text("id", maxID), Name: in.text("name", maxItem)}
	if o.ID != "" && !isSegment(o.ID) {
		in.fail("id", "Must not hold a slash, and not be of dots alone.")
	}
	if err := in.err(); err != nil {
		return a, err
	}
	if id != "" {
		o.ID = id
	}
	if o.ID == "" {
		return a, invalid("id", "Is needed.")
	}
	if err := tooLong("id", o.ID, nil); err != nil {
		return a, err
	}
	err = c.update(func(tx *roster.Txn) error {
		created, err := c.mayStoreOrganization(tx, o.ID)
		if err != nil {
			return err
		}
		if id == "" && !created {
			return problemf(http.StatusConflict, "There is an organization %q already.", clip(o.ID))
		}
		if _, err := tx.PutOrganization(o); errors.Is(err, roster.ErrInvalid) {
			return invalid("id", "Cannot be stored: %v.", err)
		} else if err != nil {
			return err
		}
		out, err := c.h.writer(tx, false).organizationJSON(o.ID)
		a = answer{status: http.StatusOK, body: out}
		if created {
			a.status = http.StatusCreated
			a.set("Location", out.Links[0].Href)
		}
		return err
	})
	return a, err
}

// mayStoreOrganization reports whether an organisation would be a new one, or
// returns why the caller may not put it.
func (c *call) mayStoreOrganization(tx *roster.Txn, id string) (created bool, err error) {
	_, err = tx.Organization(id)
	switch {
	case err == nil:
		o, err := c.organization(tx, id)
		if err != nil {
			return false, err
		}
		return false, c.mustOwn(tx, o.ID, "change it")
	case !isNotFound(err):
		return false, err
	case c.scope != "":
		return false, notFound("organization", id)
	case !c.all():
		return false, forbidden("You may not create organizations.")
	}
	return true, nil
}
