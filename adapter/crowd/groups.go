package crowd

import (
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// group shows the group of the path.
func (c *call) group() (any, error) {
	var out group
	err := c.viewInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, _ roster.DirectoryID) (err error) {
		out, err = c.reader(tx).group(g)
		return err
	})
	return out, err
}

// queryGroups lists the groups that who asks administers.
func (c *call) queryGroups() (any, error) {
	q, err := c.criteria()
	if err != nil {
		return nil, err
	}
	_, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[group]
	err = c.view(func(tx *roster.Txn, who access.Principal) (err error) {
		out, err = c.listGroups(tx, who, &q, at)
		return err
	})
	return out, err
}

// searchGroups lists those of them that belong to the directory of the path.
func (c *call) searchGroups() (any, error) {
	d, ok := parseDirectory(c.args[0])
	if !ok {
		return nil, badRequest("The ID of the directory is not valid.")
	}
	params, err := c.query()
	if err != nil {
		return nil, err
	}
	q := criteria{text: params.Get("term"), directories: []roster.DirectoryID{d}}
	if q.active, err = activeParam(params); err != nil {
		return nil, err
	}
	at, err := c.windowOf(params)
	if err != nil {
		return nil, err
	}
	var out page[group]
	err = c.view(func(tx *roster.Txn, who access.Principal) error {
		may, err := manages(tx, who, d)
		if err != nil {
			return err
		}
		if !may {
			return errForbidden
		}
		out, err = c.listGroups(tx, who, &q, at)
		return err
	})
	return out, err
}

func activeParam(params url.Values) (*bool, error) {
	s := params.Get("active")
	if s == "" {
		return nil, nil
	}
	v, err := strconv.ParseBool(s)
	if err != nil {
		return nil, badRequest("active must be true or false.")
	}
	return &v, nil
}

// listGroups returns a page of the groups that somebody administers, by name.
// Without criteria it walks no further than the page. With some it compares names
// in memory: the engine has no search for groups.
func (c *call) listGroups(tx *roster.Txn, who access.Principal, q *criteria, at window) (out page[group], err error) {
	for _, d := range q.directories {
		if _, err := tx.DirectoryUsers(d); err != nil {
			return out, errNoDirectory
		}
	}
	if q.active != nil && !*q.active {
		return newPage[group](nil, at, true), nil // all groups are active
	}
	all := tx.GroupsByName()
	if !everything(who) {
		groups, err := tx.Administered(who.User)
		if err != nil {
			return out, err
		}
		all = slices.Values(groups)
	}
	matching, failed := c.matching(tx, all, q)
	found, last := cut(matching, at)
	if err := failed(); err != nil { // the walk may have ended early
		return out, err
	}
	values, err := each(found, c.reader(tx).group)
	return newPage(values, at, last), err
}

// matching yields the groups that fit, and ends when the request is given up or a
// record cannot be read, which failed tells.
func (c *call) matching(tx *roster.Txn, all iter.Seq[roster.GroupID], q *criteria) (fit iter.Seq[roster.GroupID], failed func() error) {
	part := text.Fold(strings.TrimSpace(q.text))
	r := c.reader(tx)
	var err error
	return func(yield func(roster.GroupID) bool) {
		for g := range all {
			if err = r.step(); err != nil {
				return
			}
			fits := part == "" || strings.Contains(text.Fold(tx.GroupName(g)), part)
			if fits {
				fits, err = q.holds(tx, g)
			}
			if err != nil || fits && !yield(g) {
				return
			}
		}
	}, func() error { return err }
}

// holds reports whether a group belongs to one of the directories that are asked
// for.
func (q *criteria) holds(tx *roster.Txn, id roster.GroupID) (bool, error) {
	if len(q.directories) == 0 {
		return true, nil
	}
	g, err := tx.GroupHead(id)
	_, is := slices.BinarySearch(q.directories, g.Directory)
	return is, err
}

// subgroups lists the groups nested directly in the group of the path, by name.
func (c *call) subgroups() (any, error) {
	_, at, err := c.window()
	if err != nil {
		return nil, err
	}
	var out page[group]
	err = c.viewInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, _ roster.DirectoryID) error {
		nested, err := tx.Subgroups(g)
		if err != nil {
			return err
		}
		found, last := cut(slices.Values(nested), at)
		values, err := each(found, c.reader(tx).group)
		out = newPage(values, at, last)
		return err
	})
	return out, err
}
