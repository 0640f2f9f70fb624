package rebilly

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// Finding the users that a filter means, as sets.

// usersByID returns the users of some ids, those that there are. Where nobody has an id
// just so, capital letters do not count: then all users are looked at among whom it
// makes a difference, in memory.
func (c *call) usersByID(tx *roster.Txn, ids []string, among func() (roster.Set, error)) (out []roster.UserID, err error) {
	folded := map[string]bool{}
	for _, id := range ids {
		if u, ok := tx.UserByUID(id); ok {
			out = append(out, u)
		} else {
			folded[text.Fold(id)] = true
		}
	}
	if len(folded) == 0 {
		return out, nil
	}
	users, err := among()
	if err != nil {
		return nil, err
	}
	step := 0
	for u := range users.All() {
		if step++; step%1024 == 0 && c.ctx.Err() != nil {
			return nil, c.ctx.Err()
		}
		head, err := tx.UserHead(u)
		if err != nil {
			return nil, err
		}
		if folded[text.Fold(head.UID)] {
			out = append(out, u)
		}
	}
	return out, nil
}

// neighbours returns the users in whose memberships the caller may have a part.
func (c *call) neighbours(tx *roster.Txn) (out roster.Set, err error) {
	if c.all() {
		return tx.Users()
	}
	orgs, err := c.reachable(tx, "user.id")
	if err != nil {
		return out, err
	}
	for _, id := range orgs {
		members, err := tx.OrgMembers(id)
		if err != nil {
			return out, err
		}
		out = out.Or(members)
	}
	return out, nil
}

// usersByText returns the users of a set, nil for all, one of whose texts is one of
// those of a condition. The search finds them, and some more, whose records are read
// to tell.
func (c *call) usersByText(tx *roster.Txn, within *roster.Set, cl *clause, fields uint8, of func(*roster.User) string) (roster.Set, error) {
	var found []roster.UserID
	positive := *cl
	positive.not = false
	for _, value := range slices.Compact(slices.Sorted(slices.Values(cl.texts))) {
		q := roster.SearchQuery{Text: value, Fields: fields, Within: within, Limit: 1000}
		for {
			page, err := tx.Search(q)
			if errors.Is(err, roster.ErrInvalid) {
				return roster.Set{}, invalid(cl.field, "%q cannot be looked for: it is too long or has too many words.", clip(value))
			}
			if err != nil {
				return roster.Set{}, err
			}
			if c.read += len(page.Users); c.read > c.h.o.MaxScan || c.read == c.h.o.MaxScan && page.Next != "" {
				return roster.Set{}, tooMany(cl.field, c.h.o.MaxScan)
			}
			for _, u := range page.Users {
				rec, err := tx.User(u)
				if err != nil {
					return roster.Set{}, err
				}
				if positive.holdsText(of(&rec)) {
					found = append(found, u)
				}
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			if err := c.ctx.Err(); err != nil {
				return roster.Set{}, err
			}
		}
	}
	return tx.SetOf(found...)
}

// findUsers finds who matches the conditions on users. They are looked for among
// those whose memberships the caller sees: of others nothing is told, not even that
// they are too many. Who sees everybody looks among all users if the organisations are
// not a few.
func (l *lister) findUsers(orgs []string) error {
	const few = 100
	onUsers := func(f clause) bool { return strings.HasPrefix(f.field, "user.") }
	if !slices.ContainsFunc(l.filters, onUsers) {
		return nil
	}
	var within *roster.Set
	if len(orgs) <= few || !l.all() {
		within = new(roster.Set)
		for _, id := range orgs {
			may, err := l.p.MayIn(l.tx, id, "GetMembershipCollection")
			if err != nil {
				return err
			}
			seen, err := l.seen(id, may)
			if err != nil {
				return err
			}
			*within = within.Or(seen)
		}
	}
	l.users = make([]roster.Set, len(l.filters))
	for i := range l.filters {
		if f := &l.filters[i]; onUsers(*f) {
			var err error
			if l.users[i], err = l.matching(l.tx, within, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// tooMany is the answer to what would have to read more records than is allowed.
func tooMany(field string, most int) error {
	return invalid(field, "More than %d records would have to be read for this: narrow the list by organization.id, user.id, isOwner or roleIds.", most)
}

// matching returns the users that a condition on users means, whether or not it is
// negated: that is for the caller to apply. Whoever is outside of a set, nil for all,
// may be left out.
func (c *call) matching(tx *roster.Txn, within *roster.Set, cl *clause) (roster.Set, error) {
	switch cl.field {
	case "user.id", "id":
		users, err := c.usersByID(tx, cl.texts, func() (roster.Set, error) {
			if within != nil {
				return *within, nil
			}
			return c.neighbours(tx)
		})
		if err != nil {
			return roster.Set{}, err
		}
		return tx.SetOf(users...)
	case "user.email", "email":
		return c.usersByText(tx, within, cl, roster.Email, func(u *roster.User) string { return u.Email })
	case "user.name", "name":
		return c.usersByText(tx, within, cl, roster.FullName|roster.Username, nameOf)
	case "status":
		return activeness(tx, cl)
	}
	return roster.Set{}, problemf(http.StatusInternalServerError, fault)
}

// activeness returns the users of some states.
func activeness(tx *roster.Txn, cl *clause) (out roster.Set, err error) {
	active, err := tx.Active()
	if err != nil {
		return out, err
	}
	for _, v := range cl.texts {
		switch strings.ToLower(v) {
		case "active":
			out = out.Or(active)
		case "inactive":
			out = out.Or(active.Not())
		default:
			return out, invalid(cl.field, "Must be active or inactive.")
		}
	}
	return out, nil
}

// narrow leaves those in a set that a condition holds for.
func narrow(set, matching roster.Set, not bool) roster.Set {
	if not {
		return set.AndNot(matching)
	}
	return set.And(matching)
}
