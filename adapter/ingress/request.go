package ingress

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// request is what a request asks for, before anybody has looked whom that means.
type request struct {
	action        Action
	users, groups []value
	needGroups    bool
	most          int // pairs
}

// What users and groups are called in a request: the first that is not empty counts.
var (
	userNames  = []string{"user_id", "user_ids", "users"}
	groupNames = []string{"group_id", "group_ids", "groups"}
)

func (a *api) request(do Action, in params) (q request, err error) {
	q = request{
		action: do, needGroups: do != Drop || a.o.StrictDrop, most: a.o.MaxPairs,
		users:  in.list(userNames...),
		groups: in.list(groupNames...),
	}
	if len(q.users) > a.o.MaxList || len(q.groups) > a.o.MaxList {
		return q, errTooMany
	}
	return q, nil
}

// patience is how many users or groups are looked at between looks at the context.
const patience = 256

// do carries out a request. What is wrong is told in the order of the published
// list: users before groups, none before some.
func (q *request) do(ctx context.Context, tx *roster.Txn, who access.Principal) (Result, error) {
	users, err := q.findUsers(ctx, tx, who)
	if err != nil {
		return Result{}, err
	}
	if len(q.groups) == 0 && q.needGroups {
		return Result{}, errMissingGroups
	}
	groups, err := q.findGroups(ctx, tx, who)
	if err != nil {
		return Result{}, err
	}
	if len(groups) > 0 && len(users) > q.most/len(groups) {
		return Result{}, errTooMany
	}
	out := Result{Action: q.action, Users: len(users)}
	switch q.action {
	case Add:
		out.Added, err = each(ctx, groups, func(g roster.GroupID) (int, error) { return tx.Add(g, users...) })
	case Remove:
		out.Dropped, err = each(ctx, groups, func(g roster.GroupID) (int, error) { return tx.Remove(g, users...) })
	case Replace:
		if out.Dropped, err = dropOthers(ctx, tx, who, users, groups); err == nil {
			out.Added, err = each(ctx, groups, func(g roster.GroupID) (int, error) { return tx.Add(g, users...) })
		}
	case Drop:
		out.Dropped, err = dropOthers(ctx, tx, who, users, nil)
	}
	return out, err
}

// each sums up what a change of each group changes.
func each(ctx context.Context, groups []roster.GroupID, change func(roster.GroupID) (int, error)) (sum int, err error) {
	for i, g := range groups {
		if i%patience == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		n, err := change(g)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// dropOthers takes users out of all groups but some, as far as somebody
// administers them, and returns how many memberships that were.
func dropOthers(ctx context.Context, tx *roster.Txn, who access.Principal, users []roster.UserID, but []roster.GroupID) (int, error) {
	keep := map[roster.GroupID]bool{} // whether a group is left alone, of those that were looked at
	for _, g := range but {
		keep[g] = true
	}
	leave := map[roster.GroupID][]roster.UserID{}
	var order []roster.GroupID
	for i, u := range users {
		if i%patience == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		is, err := tx.DirectGroups(u)
		if err != nil {
			return 0, err
		}
		for _, g := range is {
			left, known := keep[g]
			if !known {
				left = !who.Administers(tx, g)
				keep[g] = left
			}
			if left {
				continue
			}
			if leave[g] == nil {
				order = append(order, g)
			}
			leave[g] = append(leave[g], u)
		}
	}
	return each(ctx, order, func(g roster.GroupID) (int, error) { return tx.Remove(g, leave[g]...) })
}

// findUsers returns the users that are asked for, each once, of those that
// somebody may assign.
func (q *request) findUsers(ctx context.Context, tx *roster.Txn, who access.Principal) ([]roster.UserID, error) {
	if len(q.users) == 0 {
		return nil, errMissingUsers
	}
	var within roster.Set
	var err error
	if who.Has(access.AllPrivileges) {
		within, err = tx.Users()
	} else {
		within, err = tx.Assignable(who.User)
	}
	if err != nil {
		return nil, err
	}
	var users []roster.UserID
	missing := false
	for i, v := range q.users {
		if i%patience == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, ok := v.number()
		u, found := tx.UserByNumber(n)
		if !ok || !found || !within.Contains(u) {
			missing = true
			continue
		}
		users = append(users, u)
	}
	switch {
	case len(users) == 0:
		return nil, errNoUsers
	case missing:
		return nil, errOtherUsers
	}
	return once(users), nil
}

// findGroups returns the groups that are asked for, each once, of those that
// somebody administers. A number is that of a group, or its name if no group has it.
func (q *request) findGroups(ctx context.Context, tx *roster.Txn, who access.Principal) ([]roster.GroupID, error) {
	if len(q.groups) == 0 {
		return nil, nil
	}
	directories := tx.Directories()
	if len(q.groups)*len(directories) > q.most { // lookups of names
		return nil, errTooMany
	}
	var groups []roster.GroupID
	missing := false
	for i, v := range q.groups {
		if i%patience == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		found := groupsOf(tx, who, directories, v)
		missing = missing || len(found) != 1
		groups = append(groups, found...)
	}
	switch {
	case len(groups) == 0:
		return nil, errNoGroups
	case missing:
		return nil, errOtherGroups
	}
	return once(groups), nil
}

// groupsOf returns the groups that a number or a name may mean: of a name, one for
// each directory that has it. White space around a name counts if a group is called
// so.
func groupsOf(tx *roster.Txn, who access.Principal, directories []roster.Directory, v value) (out []roster.GroupID) {
	if v.bad {
		return nil
	}
	if n, ok := v.number(); ok {
		if g, ok := tx.GroupByNumber(n); ok && who.Administers(tx, g) {
			return []roster.GroupID{g}
		}
	}
	for _, name := range []string{v.text, strings.TrimSpace(v.text)} {
		for _, d := range directories {
			if g, ok := tx.GroupByName(d.ID, name); ok && who.Administers(tx, g) {
				out = append(out, g)
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

// number returns the number that a value is, written plainly: "010" is a name.
func (v value) number() (uint64, bool) {
	text := strings.TrimSpace(v.text)
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && !v.bad && strconv.FormatUint(n, 10) == text
}

func once[T roster.UserID | roster.GroupID](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}
