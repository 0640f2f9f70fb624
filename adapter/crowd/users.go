package crowd

import (
	"errors"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// searchUsers finds users that may be assigned to a group which who asks
// administers.
func (c *call) searchUsers() (any, error) {
	q, err := c.criteria()
	if err != nil {
		return nil, err
	}
	_, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[user]
	err = c.view(func(tx *roster.Txn, who access.Principal) error {
		within, err := assignable(tx, who)
		if err != nil {
			return err
		}
		if within, err = q.narrow(tx, within); err != nil {
			return err
		}
		out, err = c.findUsers(tx, within, q.text, q.avatar, at)
		return err
	})
	return out, err
}

// narrow leaves those who are asked for. A directory that does not exist is an
// error; one in which nobody may be assigned adds nobody.
func (q *criteria) narrow(tx *roster.Txn, within roster.Set) (roster.Set, error) {
	if len(q.directories) > 0 {
		var of roster.Set
		for _, d := range q.directories {
			users, err := tx.DirectoryUsers(d)
			if errors.Is(err, roster.ErrNotFound) {
				return of, errNoDirectory
			}
			if err != nil {
				return of, err
			}
			of = of.Or(users)
		}
		within = within.And(of)
	}
	if q.active == nil {
		return within, nil
	}
	active, err := tx.Active()
	if err != nil {
		return within, err
	}
	if !*q.active {
		return within.AndNot(active), nil
	}
	return within.And(active), nil
}

// findUsers returns a page of the users of a set whom a text finds, by name. It
// looks at no more of them than the engine does for a page: without a text it
// walks along the names up to the end of the window.
func (c *call) findUsers(tx *roster.Txn, within roster.Set, text string, avatar int, at window) (out page[user], err error) {
	var found []roster.UserID
	last := true
	switch {
	case at.start >= within.Len():
	case strings.TrimSpace(text) == "":
		last = within.Len() <= at.end()
		i := 0
		for u := range within.ByName("") {
			if i++; i > at.end() {
				break
			}
			if i > at.start {
				found = append(found, u)
			}
			if i%patience == 0 && c.r.Context().Err() != nil {
				return out, c.r.Context().Err()
			}
		}
	default:
		q := roster.SearchQuery{Text: text, Fields: roster.Username | roster.FullName | roster.Email, Within: &within, Limit: min(at.end(), within.Len()), NoTotal: true}
		if at.end() == 0 {
			q.Limit = -1 // the number alone
		}
		r, err := tx.Search(q)
		if err != nil {
			return out, err
		}
		found = r.Users[min(at.start, len(r.Users)):]
		last = r.Next == "" && (at.end() > 0 || r.Total == 0)
	}
	r := c.reader(tx)
	r.avatar = avatar
	values, err := each(found, r.user)
	return newPage(values, at, last), err
}

// members lists the direct members of a group that are users, by name.
func (c *call) members() (any, error) {
	_, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[user]
	err = c.viewInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, _ roster.DirectoryID) error {
		members, err := tx.DirectMembers(g)
		if err != nil {
			return err
		}
		out, err = c.findUsers(tx, members, "", 0, at)
		return err
	})
	return out, err
}

// suggestMembers finds users of the group's directory that are not in it.
func (c *call) suggestMembers() (any, error) {
	return c.suggest(func(tx *roster.Txn, g roster.GroupID) (roster.Set, error) { return tx.DirectMembers(g) })
}

// suggest finds users of the directory of the path's group, but for some.
func (c *call) suggest(not func(*roster.Txn, roster.GroupID) (roster.Set, error)) (any, error) {
	params, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[user]
	err = c.viewInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, d roster.DirectoryID) error {
		all, err := tx.DirectoryUsers(d)
		if err != nil {
			return err
		}
		has, err := not(tx, g)
		if err != nil {
			return err
		}
		out, err = c.findUsers(tx, all.AndNot(has), params.Get("search"), 0, at)
		return err
	})
	return out, err
}
