package rebilly

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

var roleFields = map[string]kind{"id": aText, "name": aText, "permissions": aText, "createdTime": aTime, "updatedTime": aTime}

// listRoles answers GET /roles.
func (c *call) listRoles() (a answer, err error) {
	page, err := c.page()
	if err != nil {
		return a, err
	}
	filters, err := parseFilter(c.query["filter"], roleFields)
	if err != nil {
		return a, err
	}
	keys, err := c.query.sorting("id", "name", "createdTime", "updatedTime")
	if err != nil {
		return a, err
	}
	err = c.view(func(tx *roster.Txn) error {
		org, err := c.within(tx)
		if err == nil {
			err = c.must(tx, org.ID, "GetRoleCollection")
		}
		if err != nil {
			return err
		}
		roles, err := c.rolesThat(tx, org.ID, filters)
		if err != nil {
			return err
		}
		slices.SortStableFunc(roles, func(a, b roster.Role) int { return compareRoles(keys, &a, &b) })
		w := c.h.writer(tx, false)
		var items []any
		for _, r := range cut(page, roles) {
			out, err := w.roleJSON(org.ID, r.ID)
			if err != nil {
				return err
			}
			items = append(items, out)
		}
		a = page.list(len(roles), items)
		return nil
	})
	return a, err
}

// rolesThat returns the roles that a filter lets pass. An organisation has 10,000 at
// most.
func (c *call) rolesThat(tx *roster.Txn, org string, filters []clause) (out []roster.Role, err error) {
	ids, err := tx.Roles(org)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		r, err := tx.Role(org, id)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(filters, func(f clause) bool { return !holdsForRole(&f, &r) }) {
			out = append(out, r)
		}
	}
	return out, nil
}

func holdsForRole(f *clause, r *roster.Role) bool {
	switch f.field {
	case "id":
		return f.holdsText(r.ID)
	case "name":
		return f.holdsText(r.Name)
	case "permissions":
		return f.holdsText(r.Permissions...)
	case "createdTime":
		return f.holdsTime(r.Created)
	}
	return f.holdsTime(r.Updated)
}

func compareRoles(keys []sortKey, a, b *roster.Role) int {
	for _, k := range keys {
		var c int
		switch k.field {
		case "id":
			c = compareText(a.ID, b.ID)
		case "name":
			c = compareText(a.Name, b.Name)
		case "createdTime":
			c = a.Created.Compare(b.Created)
		case "updatedTime":
			c = a.Updated.Compare(b.Updated)
		}
		if c != 0 {
			return k.turn(c)
		}
	}
	return 0
}

// getRole answers GET /roles/{role}.
func (c *call) getRole() (a answer, err error) {
	err = c.view(func(tx *roster.Txn) error {
		org, err := c.within(tx)
		if err == nil {
			err = c.must(tx, org.ID, "GetRole")
		}
		if err != nil {
			return err
		}
		out, err := c.h.writer(tx, false).roleJSON(org.ID, c.ids[0])
		if isNotFound(err) {
			return notFound("role", c.ids[0])
		}
		a = answer{status: http.StatusOK, body: out}
		return err
	})
	return a, err
}

// decodeRole reads a role. Its permissions stand in permissions, or in an acl as
// the API has it, scopes and all.
func decodeRole(body object) (r roster.Role, scopes []invalidScope, err error) {
	o := reader{object: body}
	r.ID, r.Name = o.text("id", maxID), o.text("name", maxItem)
	if r.Permissions = o.texts("permissions", maxItem); !o.has("permissions") {
		r.Permissions, scopes = o.acl()
	}
	if o.has("allowedIps") {
		o.fail("allowedIps", "A role cannot be restricted to addresses here: restrict the membership.")
	}
	if r.ID != "" && !isSegment(r.ID) {
		o.fail("id", "Must not hold a slash, and not be of dots alone.")
	}
	return r, scopes, o.err()
}

// invalidScope is an organisation that an acl is for. Permissions for another than
// that of the role cannot be kept, and must not become ones for this.
type invalidScope struct{ field, organization string }

func (o *reader) acl() (permissions []string, scopes []invalidScope) {
	if !o.has("acl") {
		return nil, nil
	}
	var list []object
	if json.Unmarshal(o.object["acl"], &list) != nil {
		o.fail("acl", "Must be a list of objects.")
		return nil, nil
	}
	if len(list) > maxItems {
		o.fail("acl", "Must have at most %d elements.", maxItems)
		return nil, nil
	}
	for i, item := range list {
		at := fmt.Sprintf("acl.%d", i)
		in := reader{object: item}
		permissions = append(permissions, in.texts("permissions", maxItem)...)
		if in.has("scope") {
			var scope object
			if json.Unmarshal(item["scope"], &scope) != nil {
				in.fail("scope", "Must be an object.")
			}
			inner := reader{object: scope}
			for j, id := range inner.texts("organizationId", maxID) {
				scopes = append(scopes, invalidScope{fmt.Sprintf("%s.scope.organizationId.%d", at, j), id})
			}
			for _, w := range inner.wrong {
				in.fail("scope."+w.Field, "%s", w.Message)
			}
		}
		for _, w := range in.wrong {
			o.fail(at+"."+w.Field, "%s", w.Message)
		}
	}
	return permissions, scopes
}

// postRole answers POST /roles.
func (c *call) postRole() (answer, error) { return c.storeRole("") }

// putRole answers PUT /roles/{role}.
func (c *call) putRole() (answer, error) { return c.storeRole(c.ids[0]) }

func (c *call) storeRole(id string) (a answer, err error) {
	r, scopes, err := decodeRole(c.body)
	if err != nil {
		return a, err
	}
	if id != "" {
		r.ID = id
	}
	if r.ID == "" {
		return a, invalid("id", "Is needed.")
	}
	if err := tooLong("id", r.ID, nil); err != nil {
		return a, err
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	err = c.update(func(tx *roster.Txn) error {
		org, err := c.within(tx)
		if err == nil {
			err = c.mustOwn(tx, org.ID, "change its roles")
		}
		if err != nil {
			return err
		}
		for _, s := range scopes {
			if !strings.EqualFold(s.organization, org.ID) {
				return invalid(s.field, "The role is one of organization %q.", org.ID)
			}
		}
		r.Organization = org.ID
		_, err = tx.Role(org.ID, r.ID)
		created := isNotFound(err)
		switch {
		case err != nil && !created:
			return err
		case id == "" && !created:
			return problemf(http.StatusConflict, "There is a role %q already.", clip(r.ID))
		}
		if _, err := tx.PutRole(r); errors.Is(err, roster.ErrInvalid) {
			return invalid("id", "Cannot be stored: %v.", err)
		} else if err != nil {
			return err
		}
		out, err := c.h.writer(tx, false).roleJSON(org.ID, r.ID)
		a = answer{status: http.StatusOK, body: out}
		if created {
			a.status = http.StatusCreated
			a.set("Location", out.Links[0].Href)
		}
		return err
	})
	return a, err
}

// deleteRole answers DELETE /roles/{role}. A role that somebody holds stays.
func (c *call) deleteRole() (a answer, err error) {
	err = c.update(func(tx *roster.Txn) error {
		org, err := c.within(tx)
		if err == nil {
			err = c.mustOwn(tx, org.ID, "change its roles")
		}
		if err != nil {
			return err
		}
		holders, err := tx.RoleHolders(org.ID, c.ids[0])
		switch {
		case isNotFound(err):
			return notFound("role", c.ids[0])
		case err != nil:
			return err
		case holders.Len() > 0:
			return problemf(http.StatusConflict, "The role is held by %d users: take it from them first.", holders.Len())
		}
		return tx.DeleteRole(org.ID, c.ids[0])
	})
	return answer{status: http.StatusNoContent}, err
}
