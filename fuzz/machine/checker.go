package machine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// checker compares what a transaction reads with a model. It remembers what is
// slow to compute, so it is good for one state of both.
type checker struct {
	tx        *roster.Txn
	want      *model.Model
	effective map[roster.GroupID]model.Set
	everyone  model.Set
	whole     int // large sets of single users that are still to be compared
}

func newChecker(tx *roster.Txn, want *model.Model) *checker {
	return &checker{tx: tx, want: want, effective: map[roster.GroupID]model.Set{}}
}

// all returns all users.
func (c *checker) all() model.Set {
	if c.everyone == nil {
		c.everyone = c.want.All()
	}
	return c.everyone
}

func (c *checker) members(g roster.GroupID) model.Set {
	s, ok := c.effective[g]
	if !ok {
		s = c.want.Effective(g)
		c.effective[g] = s
	}
	return s
}

// Of how many users everything looks at the records one by one. All sets and
// orders are compared whole.
const (
	allUsers  = 1 << 32
	manyUsers = 300
	someUsers = 50
)

// everything compares all that can be asked: of all groups, of the given number
// of users, and pages and sets drawn from src.
func (c *checker) everything(src Source, users int) error {
	c.whole = 4
	for _, g := range c.want.LiveGroups {
		if err := c.group(g); err != nil {
			return err
		}
	}
	live := c.want.Live
	apart := len(live)/users + 1
	for i := src.Intn(apart); i < len(live); i += apart {
		if err := c.user(live[i]); err != nil {
			return err
		}
	}
	return allOf(c.directories, c.groupOrder, c.otherSets,
		func() error { return c.organizations(src) },
		func() error { return c.allData(src) },
		func() error { return c.nobody(c.want.NextUser) },
		func() error { return c.noGroup(c.want.NextGroup) },
		func() error { return c.sets(src) })
}

// user compares what is known of one user, or that nothing is.
func (c *checker) user(id roster.UserID) error {
	want := c.want.Users[id]
	if want == nil {
		return c.nobody(id)
	}
	got, err := c.tx.User(id)
	if err == nil {
		err = sameUser(&got, &want.User)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", id, err)
	}
	byName, ok1 := c.tx.UserByName(want.Directory, strings.ToUpper(want.Username))
	if model.Fold(strings.ToUpper(want.Username)) != want.Folded { // not every capital folds back
		byName, ok1 = c.tx.UserByName(want.Directory, want.Username)
	}
	byNumber, ok2 := c.tx.UserByNumber(want.Number)
	byUID, ok3 := c.tx.UserByUID(want.UID)
	if !ok1 || !ok2 || !ok3 || byName != id || byNumber != id || byUID != id || c.tx.Username(id) != want.Username {
		return fmt.Errorf("%v: is %d %t by name, %d %t by number, %d %t by uid, and called %q", id, byName, ok1, byNumber, ok2, byUID, ok3, c.tx.Username(id))
	}
	for _, check := range []func(roster.UserID) error{c.groupsOf, c.administeredBy, c.organizationsOf} {
		if err := check(id); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
	}
	return nil
}

func (c *checker) groupsOf(id roster.UserID) error {
	direct := c.want.GroupsByName(func(g roster.GroupID) bool { return c.want.Groups[g].Members[id] })
	effective := c.want.GroupsByName(func(g roster.GroupID) bool { return c.members(g)[id] })
	gotDirect, err := c.tx.DirectGroups(id)
	if err != nil {
		return err
	}
	gotEffective, err := c.tx.Groups(id)
	if err != nil {
		return err
	}
	abilities, err := c.tx.Abilities(id)
	if err != nil {
		return err
	}
	byHandle := slices.Sorted(slices.Values(effective))
	for _, g := range c.want.LiveGroups {
		if c.tx.Check(id, g) != c.members(g)[id] || c.tx.CheckDirect(id, g) != c.want.Groups[g].Members[id] {
			return fmt.Errorf("check of %v is %t, direct %t", g, c.tx.Check(id, g), c.tx.CheckDirect(id, g))
		}
	}
	return allOf(
		func() error { return sameList("direct groups", gotDirect, direct) },
		func() error { return sameList("groups", gotEffective, effective) },
		func() error { return sameList("groups by handle", c.tx.AppendGroups(nil, id), byHandle) },
		func() error { return sameList("abilities", abilities, c.want.Abilities(effective)) },
	)
}

// nobody compares the answers for a user that there is not.
func (c *checker) nobody(id roster.UserID) error {
	_, err1 := c.tx.User(id)
	_, err2 := c.tx.Groups(id)
	_, err3 := c.tx.DirectGroups(id)
	_, err4 := c.tx.Abilities(id)
	for _, err := range []error{err1, err2, err3, err4} {
		if err := sameError(err, roster.ErrNotFound); err != nil {
			return fmt.Errorf("%v, who does not exist: %w", id, err)
		}
	}
	if name := c.tx.Username(id); name != "" || len(c.tx.AppendGroups(nil, id)) > 0 {
		return fmt.Errorf("%v, who does not exist, is called %q", id, name)
	}
	for _, g := range c.want.LiveGroups {
		if c.tx.Check(id, g) || c.tx.CheckDirect(id, g) {
			return fmt.Errorf("%v, who does not exist, is in %v", id, g)
		}
	}
	if err := errors.Join(c.nobodyAdministers(id), c.nobodyIsIn(id)); err != nil {
		return fmt.Errorf("%v, who does not exist: %w", id, err)
	}
	return nil
}

// group compares what is known of one group, or that nothing is.
func (c *checker) group(id roster.GroupID) error {
	want := c.want.Groups[id]
	if want == nil {
		return c.noGroup(id)
	}
	got, err := c.tx.Group(id)
	if err == nil {
		err = sameGroup(&got, &want.Group)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", id, err)
	}
	byName, ok1 := c.tx.GroupByName(want.Directory, want.Name)
	byNumber, ok2 := c.tx.GroupByNumber(want.Number)
	byUID, ok3 := c.tx.GroupByUID(want.UID)
	if !ok1 || !ok2 || !ok3 || byName != id || byNumber != id || byUID != id || c.tx.GroupName(id) != want.Name {
		return fmt.Errorf("%v: is %d %t by name, %d %t by number, %d %t by uid, and called %q", id, byName, ok1, byNumber, ok2, byUID, ok3, c.tx.GroupName(id))
	}
	if err := c.content(id, want); err != nil {
		return fmt.Errorf("%v: %w", id, err)
	}
	return nil
}

func (c *checker) content(id roster.GroupID, want *model.Group) error {
	direct, err1 := c.tx.DirectMembers(id)
	effective, err2 := c.tx.Members(id)
	below, err3 := c.tx.Subgroups(id)
	above, err4 := c.tx.Parents(id)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return err
		}
	}
	return allOf(
		func() error { return sameSet("direct members", direct, want.Members) },
		func() error { return sameSet("members", effective, c.members(id)) },
		func() error {
			return sameList("subgroups", below, c.want.GroupsByName(func(g roster.GroupID) bool { return want.Children[g] }))
		},
		func() error { return sameList("parents", above, c.want.GroupsByName(c.want.Parents(id))) },
		func() error { return c.administrators(id, want) },
	)
}

// noGroup compares the answers for a group that there is not.
func (c *checker) noGroup(id roster.GroupID) error {
	_, err1 := c.tx.Group(id)
	_, err2 := c.tx.Members(id)
	_, err3 := c.tx.DirectMembers(id)
	_, err4 := c.tx.Subgroups(id)
	_, err5 := c.tx.Parents(id)
	_, err6 := c.tx.Admins(id)
	_, err7 := c.tx.DirectAdmins(id)
	_, err8 := c.tx.AdminGroups(id)
	for _, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
		if err := sameError(err, roster.ErrNotFound); err != nil {
			return fmt.Errorf("%v, which does not exist: %w", id, err)
		}
	}
	if name := c.tx.GroupName(id); name != "" {
		return fmt.Errorf("%v, which does not exist, is called %q", id, name)
	}
	for _, u := range c.want.Live[:min(len(c.want.Live), 8)] {
		if c.tx.Check(u, id) || c.tx.CheckDirect(u, id) || c.tx.CheckAdmin(u, id) {
			return fmt.Errorf("%v is in %v, which does not exist", u, id)
		}
	}
	return nil
}

func (c *checker) directories() error {
	got := c.tx.Directories()
	if len(got) != len(c.want.Directories) {
		return fmt.Errorf("%d directories, not %d", len(got), len(c.want.Directories))
	}
	for i, d := range got {
		if i > 0 && d.ID <= got[i-1].ID {
			return fmt.Errorf("directory %d follows %d", d.ID, got[i-1].ID)
		}
	}
	for _, id := range directoryIDs {
		if err := c.directory(id); err != nil {
			return fmt.Errorf("directory %d: %w", id, err)
		}
	}
	return nil
}

func (c *checker) directory(id roster.DirectoryID) error {
	want, known := c.want.Directories[id]
	got, err := c.tx.Directory(id)
	users, err2 := c.tx.DirectoryUsers(id)
	if !known {
		if err := sameError(err2, roster.ErrNotFound); err != nil {
			return err
		}
		return sameError(err, roster.ErrNotFound)
	}
	if err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	if err := sameDirectory(got, want); err != nil {
		return err
	}
	if got, err = c.tx.DirectoryByName(strings.ToUpper(want.Name)); err != nil {
		return err
	}
	if err := sameDirectory(got, want); err != nil {
		return err
	}
	return sameSet("its users", users, c.want.InDirectory(id))
}

func (c *checker) groupOrder() error {
	want := c.want.GroupsByName(func(roster.GroupID) bool { return true })
	return sameList("groups by name", slices.Collect(c.tx.GroupsByName()), want)
}
