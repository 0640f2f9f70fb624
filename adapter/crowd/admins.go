package crowd

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// mayAppoint returns errForbidden unless somebody may say who administers a group
// that it administers itself.
func (c *call) mayAppoint(who access.Principal) error {
	if c.o.Appoint || everything(who) {
		return nil
	}
	return errForbidden
}

// admins lists who administers the group of the path: groups by name, then users
// by name.
func (c *call) admins() (any, error) {
	_, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[admin]
	err = c.viewInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, _ roster.DirectoryID) error {
		groups, err := tx.AdminGroups(g)
		if err != nil {
			return err
		}
		users, err := tx.DirectAdmins(g)
		if err != nil {
			return err
		}
		out, err = c.pageOfAdmins(tx, slices.Values(groups), users, "", at)
		return err
	})
	return out, err
}

// pageOfAdmins returns a page of groups and, behind them, of users whom a text
// finds. It walks through the groups up to the end of the page.
func (c *call) pageOfAdmins(tx *roster.Txn, groups iter.Seq[roster.GroupID], users roster.Set, text string, at window) (out page[admin], err error) {
	r, n := c.reader(tx), 0
	shown, last := cut(func(yield func(roster.GroupID) bool) {
		for g := range groups {
			if n++; !yield(g) {
				return
			}
		}
	}, at)
	values, err := each(shown, r.adminGroup)
	if err != nil {
		return out, err
	}
	if !last {
		return newPage(values, at, false), nil
	}
	rest := window{max(at.start-n, 0), at.limit - len(values)} // the n groups are all there are
	found, err := c.findUsers(tx, users, text, 0, rest)
	if err != nil {
		return out, err
	}
	for _, u := range found.Values {
		values = append(values, showAdmin(u))
	}
	return newPage(values, at, found.Last), nil
}

// suggestAdmins finds groups and users of the group's directory that could
// administer it and do not.
func (c *call) suggestAdmins() (any, error) {
	params, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[admin]
	err = c.viewInGroup(func(tx *roster.Txn, who access.Principal, g roster.GroupID, d roster.DirectoryID) error {
		if err := c.mayAppoint(who); err != nil {
			return err
		}
		users, err := tx.DirectoryUsers(d)
		if err != nil {
			return err
		}
		are, err := tx.DirectAdmins(g)
		if err != nil {
			return err
		}
		groups, failed, err := c.possibleAdmins(tx, who, g, d, params.Get("search"))
		if err != nil {
			return err
		}
		out, err = c.pageOfAdmins(tx, groups, users.AndNot(are), params.Get("search"), at)
		return cmp.Or(failed(), err)
	})
	return out, err
}

// possibleAdmins yields the groups of a directory that could administer a group
// and do not, of those that somebody sees, as matching does.
func (c *call) possibleAdmins(
	tx *roster.Txn, who access.Principal, g roster.GroupID, d roster.DirectoryID, text string,
) (possible iter.Seq[roster.GroupID], failed func() error, err error) {
	are, err := tx.AdminGroups(g)
	if err != nil {
		return nil, nil, err
	}
	all := tx.GroupsByName()
	if !everything(who) {
		seen, err := tx.Administered(who.User)
		if err != nil {
			return nil, nil, err
		}
		all = slices.Values(seen)
	}
	fit, failed := c.matching(tx, all, &criteria{text: text, directories: []roster.DirectoryID{d}})
	is := among(are)
	return func(yield func(roster.GroupID) bool) {
		for a := range fit {
			if !is[a] && !yield(a) {
				return
			}
		}
	}, failed, nil
}

// decodeEntities reads [{"id","type"}, ...].
func decodeEntities(data []byte) ([]entity, error) {
	const must = "The body must be a list of objects with id and type."
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil || list == nil {
		return nil, badRequest(must)
	}
	if len(list) > maxEntities {
		return nil, errTooLarge
	}
	out := make([]entity, len(list))
	for i, fields := range list {
		if fields == nil || field(fields, "id", "", &out[i].ID) != nil || field(fields, "type", "", &out[i].Type) != nil {
			return nil, badRequest(must)
		}
	}
	return out, nil
}

// handle is what an entity means: a user, or a group.
type handle struct {
	isGroup bool
	user    roster.UserID
	group   roster.GroupID
}

// appoint makes users and groups administrators of the group of the path.
func (c *call) appoint() (any, error) {
	data, err := c.body(false)
	if err != nil {
		return nil, err
	}
	list, err := decodeEntities(data)
	if err != nil {
		return nil, err
	}
	var out outcome[entity]
	err = c.changeInGroup(func(tx *roster.Txn, who access.Principal, g roster.GroupID, d roster.DirectoryID) error {
		if err := c.mayAppoint(who); err != nil {
			return err
		}
		all, err := c.candidates(tx, g, d, list)
		if err != nil {
			return err
		}
		out = all.outcome
		var users []roster.UserID
		var groups []roster.GroupID
		for _, h := range all.good {
			if h.isGroup {
				groups = append(groups, h.group)
			} else {
				users = append(users, h.user)
			}
		}
		if _, err := tx.AddAdmins(g, users...); err != nil {
			return err
		}
		_, err = tx.AddAdminGroups(g, groups...)
		return err
	})
	return out, err
}

// candidates decides who of a list can become an administrator of a group.
func (c *call) candidates(tx *roster.Txn, g roster.GroupID, d roster.DirectoryID, list []entity) (all decided[entity, handle], err error) {
	users, err := tx.DirectAdmins(g)
	if err != nil {
		return all, err
	}
	groups, err := tx.AdminGroups(g)
	if err != nil {
		return all, err
	}
	has := among(groups)
	return decide(c, list, func(e entity) (h handle, known bool, why string) {
		is := false
		switch e.Type {
		case typeUser:
			h.user, known, why = findUser(tx, d, e.ID)
			is = users.Contains(h.user)
		case typeGroup:
			h.isGroup = true
			h.group, known, why = findGroup(tx, d, e.ID)
			is = has[h.group]
		default:
			why = whyType
		}
		if known && is && !c.o.Idempotent {
			why = whyAdmin
		}
		return h, known, why
	})
}

// dismissUser ends that a user itself administers the group of the path.
func (c *call) dismissUser() (any, error) {
	return c.dismiss(errNoUser, func(tx *roster.Txn, g roster.GroupID, d roster.DirectoryID, name string) (int, bool, error) {
		u, ok := tx.UserByName(d, name)
		if !ok {
			return 0, false, nil
		}
		n, err := tx.RemoveAdmins(g, u)
		return n, true, err
	})
}

// dismissGroup ends that the members of a group administer the group of the path.
func (c *call) dismissGroup() (any, error) {
	return c.dismiss(errNoGroup, func(tx *roster.Txn, g roster.GroupID, d roster.DirectoryID, name string) (int, bool, error) {
		by, ok := tx.GroupByName(d, name)
		if !ok {
			return 0, false, nil
		}
		n, err := tx.RemoveAdminGroups(g, by)
		return n, true, err
	})
}

// dismiss takes an administrator away, whose ID stands second in the path.
func (c *call) dismiss(none error, remove func(*roster.Txn, roster.GroupID, roster.DirectoryID, string) (n int, exists bool, err error)) (any, error) {
	d, name, ok := parseID(c.args[1])
	if !ok {
		return nil, badRequest("The ID of the administrator is not valid.")
	}
	err := c.changeInGroup(func(tx *roster.Txn, who access.Principal, g roster.GroupID, _ roster.DirectoryID) error {
		if err := c.mayAppoint(who); err != nil {
			return err
		}
		n, exists, err := remove(tx, g, d, name)
		switch {
		case err != nil:
			return err
		case !exists:
			return none
		case n == 0 && !c.o.Idempotent:
			return errNoAdmin
		}
		return nil
	})
	return nil, err
}
