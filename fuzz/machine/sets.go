package machine

import (
	"errors"
	"fmt"
	"maps"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// sets compares the sets of all users and of the active ones, the algebra of
// two random sets, pages of one, and references.
func (c *checker) sets(src Source) error {
	all, err := c.tx.Users()
	if err != nil {
		return err
	}
	active, err := c.tx.Active()
	if err != nil {
		return err
	}
	if err := sameSet("all users", all, c.all()); err != nil {
		return err
	}
	if err := sameSet("active users", active, c.want.Active()); err != nil {
		return err
	}
	if err := c.pages(all, c.all(), src); err != nil {
		return fmt.Errorf("all users: %w", err)
	}
	a, wantA, err := c.someSet(src)
	if err != nil {
		return err
	}
	b, wantB, err := c.someSet(src)
	if err != nil {
		return err
	}
	if err := c.algebra(a, b, wantA, wantB); err != nil {
		return err
	}
	return c.pages(a.Or(b), union(wantA, wantB), src)
}

// someSet draws a set of one kind or another.
func (c *checker) someSet(src Source) (roster.Set, model.Set, error) {
	kind := src.Intn(16)
	groups, orgs := c.want.LiveGroups, c.want.OrganizationsByID("")
	switch {
	case kind < 11 && len(groups) > 0:
		g := groups[src.Intn(len(groups))]
		switch {
		case kind < 5:
			s, err := c.tx.Members(g)
			return s, c.members(g), err
		case kind < 9:
			s, err := c.tx.DirectMembers(g)
			return s, c.want.Groups[g].Members, err
		}
		s, err := c.tx.Admins(g)
		return s, c.adminsOf(g), err
	case kind < 14 && len(orgs) > 0:
		o := orgs[src.Intn(len(orgs))]
		if kind == 13 {
			s, err := c.tx.OrgOwners(o.ID)
			return s, o.Owners(), err
		}
		s, err := c.tx.OrgMembers(o.ID)
		return s, o.All(), err
	case kind < 15:
		s, err := c.tx.Active()
		return s, c.want.Active(), err
	}
	s, err := c.tx.Users()
	return s, c.all(), err
}

func union(a, b model.Set) model.Set {
	out := maps.Clone(a)
	if out == nil {
		out = model.Set{}
	}
	maps.Copy(out, b)
	return out
}

// pick returns the users of a for whom the answer to "also in b" is in.
func pick(a, b model.Set, in bool) model.Set {
	out := model.Set{}
	for u := range a {
		if b[u] == in {
			out[u] = true
		}
	}
	return out
}

func (c *checker) algebra(a, b roster.Set, wantA, wantB model.Set) error {
	all := c.all()
	return allOf(
		func() error { return sameSet("and", a.And(b), pick(wantA, wantB, true)) },
		func() error { return sameSet("or", a.Or(b), union(wantA, wantB)) },
		func() error { return sameSet("and not", a.AndNot(b), pick(wantA, wantB, false)) },
		func() error { return sameSet("not", b.Not(), pick(all, wantB, false)) },
		func() error { return same("equal", a.Equal(b), maps.Equal(wantA, wantB)) },
		func() error { return same("equal to itself", a.Or(b).Equal(b.Or(a)), true) },
	)
}

// pages walks a set by name in pages of random size.
func (c *checker) pages(s roster.Set, want model.Set, src Source) error {
	order := c.want.UsersByName(func(u roster.UserID) bool { return want[u] })
	size := 1 + src.Intn(len(order)+2)
	if len(order) > 200 {
		size = max(size, len(order)/8)
	}
	var cursor roster.Cursor
	var got []roster.UserID
	for {
		n := 0
		for u := range s.ByName(cursor) {
			got = append(got, u)
			if n++; n == size {
				break
			}
		}
		if n == 0 {
			break
		}
		cursor = s.CursorAfter(got[len(got)-1])
		if err := cursor.Validate(); err != nil {
			return err
		}
		if len(got) > len(order) {
			break
		}
	}
	return sameList("users by name", got, order)
}

// references compares what random references mean.
func (c *checker) references(m *Machine) error {
	user, group := m.userRef(c.want), m.groupRef(c.want)
	users, groups := c.want.FindUser(user), c.want.FindGroup(group)
	wantU, wantErr := model.Answer(users)
	gotU, err := c.tx.FindUser(user)
	if err := found(gotU, wantU, err, wantErr, model.Refs(users, c.want.UserRef)); err != nil {
		return fmt.Errorf("user %q: %w", user, err)
	}
	wantG, wantErr := model.Answer(groups)
	gotG, err := c.tx.FindGroup(group)
	if err := found(gotG, wantG, err, wantErr, model.Refs(groups, c.want.GroupRef)); err != nil {
		return fmt.Errorf("group %q: %w", group, err)
	}
	return nil
}

func found[T comparable](got, want T, err, wantErr error, refs []string) error {
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	if ambiguous, ok := errors.AsType[*roster.AmbiguousError](err); ok {
		return sameList("candidates", ambiguous.Candidates, refs)
	}
	if err != nil {
		return nil
	}
	return same("what was found", got, want)
}
