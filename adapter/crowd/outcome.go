package crowd

import (
	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// Why an entity of a list fails. The others do not.
const (
	whyNone      = "The entity does not exist"
	whyMalformed = "The identifier is not valid"
	whyElsewhere = "The entity belongs to another directory"
	whyForbidden = "You do not administer the group"
	whyMember    = "The entity is a member already"
	whyNoMember  = "The entity is not a member"
	whyItself    = "A group cannot be a member of itself"
	whyAdmin     = "The entity is an administrator already"
	whyType      = "The type must be USER or GROUP"
)

// outcome is what became of a list of entities, in the order of the request.
type outcome[T any] struct {
	Successes []T          `json:"successes"`
	Failures  []failing[T] `json:"failures"`
}

type failing[T any] struct {
	Entity T      `json:"entity"`
	Reason string `json:"reason"`
}

// decided says of a list which of its entities a change can be made with. It
// decides on all of them before anything changes, so that no entity's change
// decides another one's, and names each once, however often and in whatever form
// of its ID it was asked for.
type decided[T, H comparable] struct {
	outcome[T]
	good []H // handles of the successes
}

// decide asks of each entity what it means, known if that is anything, and why it
// fails, "" if it does not.
func decide[T, H comparable](c *call, asked []T, find func(T) (h H, known bool, why string)) (d decided[T, H], err error) {
	d.Successes, d.Failures = []T{}, []failing[T]{}
	named, meant := make(map[T]bool, len(asked)), map[H]bool{}
	for i, t := range asked {
		if i%patience == 0 && c.r.Context().Err() != nil {
			return d, c.r.Context().Err()
		}
		if named[t] {
			continue
		}
		named[t] = true
		h, known, why := find(t)
		if known && meant[h] {
			continue
		}
		if known {
			meant[h] = true
		}
		if why != "" {
			d.Failures = append(d.Failures, failing[T]{t, why})
			continue
		}
		d.Successes = append(d.Successes, t)
		d.good = append(d.good, h)
	}
	return d, nil
}

// inside takes an ID apart that must be of a directory, or says why it cannot be.
func inside(d roster.DirectoryID, id string) (name, why string) {
	in, name, ok := parseID(id)
	switch {
	case !ok:
		return "", whyMalformed
	case in != d:
		return "", whyElsewhere
	}
	return name, ""
}

// findUser returns the user of an ID within a directory, or why there is none.
func findUser(tx *roster.Txn, d roster.DirectoryID, id string) (u roster.UserID, known bool, why string) {
	name, why := inside(d, id)
	if why != "" {
		return 0, false, why
	}
	if u, known = tx.UserByName(d, name); !known {
		why = whyNone
	}
	return u, known, why
}

// findGroup is findUser for groups.
func findGroup(tx *roster.Txn, d roster.DirectoryID, id string) (g roster.GroupID, known bool, why string) {
	name, why := inside(d, id)
	if why != "" {
		return 0, false, why
	}
	if g, known = tx.GroupByName(d, name); !known {
		why = whyNone
	}
	return g, known, why
}

// among returns groups as a set.
func among(groups []roster.GroupID) map[roster.GroupID]bool {
	is := make(map[roster.GroupID]bool, len(groups))
	for _, g := range groups {
		is[g] = true
	}
	return is
}

// membership returns why a membership cannot come or go, "" if it can.
func (c *call) membership(is, add bool) string {
	switch {
	case is != add || c.o.Idempotent:
		return ""
	case add:
		return whyMember
	}
	return whyNoMember
}

func (c *call) joinGroups() (any, error)  { return c.changeGroups(true) }
func (c *call) leaveGroups() (any, error) { return c.changeGroups(false) }

// changeGroups puts the user of the path into groups, or takes it out of them.
func (c *call) changeGroups(add bool) (any, error) {
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var out outcome[string]
	err = c.change(func(tx *roster.Txn, who access.Principal) error {
		u, d, err := c.pathUser(tx, who)
		if err != nil {
			return err
		}
		all, err := decide(c, ids, func(id string) (roster.GroupID, bool, string) {
			g, known, why := findGroup(tx, d, id)
			if known && !who.Administers(tx, g) {
				why = whyForbidden
			} else if known {
				why = c.membership(tx.CheckDirect(u, g), add)
			}
			return g, known, why
		})
		if err != nil {
			return err
		}
		for _, g := range all.good {
			if err := setMembers(tx, add, g, u); err != nil {
				return err
			}
		}
		out = all.outcome
		return nil
	})
	return out, err
}

func setMembers(tx *roster.Txn, add bool, g roster.GroupID, users ...roster.UserID) (err error) {
	if add {
		_, err = tx.Add(g, users...)
	} else {
		_, err = tx.Remove(g, users...)
	}
	return err
}

func (c *call) addMembers() (any, error)    { return c.changeMembers(true) }
func (c *call) removeMembers() (any, error) { return c.changeMembers(false) }

// changeMembers puts users into the group of the path, or takes them out of it.
func (c *call) changeMembers(add bool) (any, error) {
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var out outcome[string]
	err = c.changeInGroup(func(tx *roster.Txn, _ access.Principal, g roster.GroupID, d roster.DirectoryID) error {
		all, err := decide(c, ids, func(id string) (roster.UserID, bool, string) {
			u, known, why := findUser(tx, d, id)
			if known {
				why = c.membership(tx.CheckDirect(u, g), add)
			}
			return u, known, why
		})
		if err != nil {
			return err
		}
		out = all.outcome
		return setMembers(tx, add, g, all.good...)
	})
	return out, err
}

// nest puts groups of the same directory into the group of the path.
func (c *call) nest() (any, error) {
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var out outcome[string]
	err = c.changeInGroup(func(tx *roster.Txn, who access.Principal, g roster.GroupID, d roster.DirectoryID) error {
		nested, err := tx.Subgroups(g)
		if err != nil {
			return err
		}
		is := among(nested)
		all, err := decide(c, ids, func(id string) (roster.GroupID, bool, string) {
			sub, known, why := findGroup(tx, d, id)
			switch {
			case !known:
			case sub == g:
				why = whyItself
			case !who.Administers(tx, sub):
				why = whyForbidden
			default:
				why = c.membership(is[sub], true)
			}
			return sub, known, why
		})
		if err != nil {
			return err
		}
		out = all.outcome
		_, err = tx.Nest(g, all.good...)
		return err
	})
	return out, err
}
