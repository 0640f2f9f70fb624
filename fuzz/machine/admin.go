package machine

import (
	"fmt"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// The verbs on administrators, what is read of them, and the verbs that replace
// memberships.

func (x *update) addAdmins() error {
	g, users := x.groupID(x.want), x.userIDs(x.want)
	got, err := x.tx.AddAdmins(g, users...)
	want, wantErr := x.want.AddAdmins(g, users...)
	x.touch(fmt.Sprintf("add admins to %v %v", g, users), err, users, g)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number added", got, want)
}

func (x *update) removeAdmins() error {
	g, users := x.groupID(x.want), x.userIDs(x.want)
	got, err := x.tx.RemoveAdmins(g, users...)
	want, wantErr := x.want.RemoveAdmins(g, users...)
	x.touch(fmt.Sprintf("remove admins from %v %v", g, users), err, users, g)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number removed", got, want)
}

func (x *update) addAdminGroups() error {
	g, admins := x.groupID(x.want), x.groupIDs(x.want)
	if x.chance(150) {
		admins = tooMany(admins)
	}
	got, err := x.tx.AddAdminGroups(g, admins...)
	want, wantErr := x.want.AddAdminGroups(g, admins...)
	x.touch(fmt.Sprintf("add admin groups to %v %v", g, clipped(admins)), err, nil, append(admins, g)...)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	if err := x.overran(g); err != nil {
		return err
	}
	return same("number added", got, want)
}

func (x *update) removeAdminGroups() error {
	g, admins := x.groupID(x.want), x.groupIDs(x.want)
	got, err := x.tx.RemoveAdminGroups(g, admins...)
	want, wantErr := x.want.RemoveAdminGroups(g, admins...)
	x.touch(fmt.Sprintf("remove admin groups from %v %v", g, admins), err, nil, append(admins, g)...)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number removed", got, want)
}

func (x *update) replaceGroups() error {
	users, groups := x.userIDs(x.want), x.groupIDs(x.want)
	added, dropped, err := x.tx.ReplaceGroups(users, groups)
	wantAdded, wantDropped, wantErr := x.want.ReplaceGroups(users, groups)
	x.touch(fmt.Sprintf("replace groups of %v by %v", users, groups), err, users, groups...)
	return allOf(
		func() error { return sameError(err, wantErr) },
		func() error { return sameList("added", added, wantAdded) },
		func() error { return sameList("dropped", dropped, wantDropped) },
	)
}

func (x *update) dropGroups() error {
	users := x.userIDs(x.want)
	dropped, err := x.tx.DropGroups(users...)
	want, wantErr := x.want.DropGroups(users...)
	x.touch(fmt.Sprintf("drop groups of %v", users), err, users)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return sameList("dropped", dropped, want)
}

func (x *update) replaceMembers() error {
	g, users := x.groupID(x.want), x.userIDs(x.want)
	added, dropped, err := x.tx.ReplaceMembers(g, users)
	wantAdded, wantDropped, wantErr := x.want.ReplaceMembers(g, users)
	x.touch(fmt.Sprintf("replace members of %v by %v", g, users), err, users, g)
	return allOf(
		func() error { return sameError(err, wantErr) },
		func() error { return sameList("added", added, wantAdded) },
		func() error { return sameList("dropped", dropped, wantDropped) },
	)
}

// adminsOf returns the administrators of a group, those through groups included.
func (c *checker) adminsOf(g roster.GroupID) model.Set {
	out := union(nil, c.want.Groups[g].Admins)
	for admin := range c.want.Groups[g].AdminGroups {
		out = union(out, c.members(admin))
	}
	return out
}

// administers reports whether a user is among adminsOf.
func (c *checker) administers(u roster.UserID, g roster.GroupID) bool {
	for admin := range c.want.Groups[g].AdminGroups {
		if c.members(admin)[u] {
			return true
		}
	}
	return c.want.Groups[g].Admins[u]
}

// administered returns the groups that a user administers, by name.
func (c *checker) administered(u roster.UserID) []roster.GroupID {
	return c.want.GroupsByName(func(g roster.GroupID) bool { return c.administers(u, g) })
}

// administeredMembers returns the members of groups.
func (c *checker) administeredMembers(groups []roster.GroupID) model.Set {
	out := model.Set{}
	for _, g := range groups {
		out = union(out, c.members(g))
	}
	return out
}

// administrators compares who administers a group.
func (c *checker) administrators(id roster.GroupID, want *model.Group) error {
	all, err1 := c.tx.Admins(id)
	direct, err2 := c.tx.DirectAdmins(id)
	groups, err3 := c.tx.AdminGroups(id)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return err
		}
	}
	return allOf(
		func() error { return sameSet("administrators", all, c.adminsOf(id)) },
		func() error { return sameSet("direct administrators", direct, want.Admins) },
		func() error {
			return sameList("groups that administer it", groups, c.want.GroupsByName(func(g roster.GroupID) bool { return want.AdminGroups[g] }))
		},
	)
}

// administeredBy compares what a user administers.
func (c *checker) administeredBy(id roster.UserID) error {
	for _, g := range c.want.LiveGroups {
		if c.tx.CheckAdmin(id, g) != c.administers(id, g) {
			return fmt.Errorf("administers %v is %t", g, c.tx.CheckAdmin(id, g))
		}
	}
	want := c.administered(id)
	groups, err1 := c.tx.Administered(id)
	members, err2 := c.tx.AdministeredMembers(id)
	assignable, err3 := c.tx.Assignable(id)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return err
		}
	}
	return allOf(
		func() error { return sameList("administered groups", groups, want) },
		func() error {
			return c.sameOfUser("administered members", members, want, c.administeredMembers)
		},
		func() error { return c.sameOfUser("assignable", assignable, want, c.want.Assignable) },
	)
}

// sameOfUser compares a set that depends on the groups that a user administers.
// In a crowd many users have the same large one: of these only some are compared.
func (c *checker) sameOfUser(what string, got roster.Set, groups []roster.GroupID, want func([]roster.GroupID) model.Set) error {
	const large = 200
	if len(c.want.Live) > large && len(groups) > 0 {
		if c.whole == 0 {
			return nil
		}
		c.whole--
	}
	return sameSet(what, got, want(groups))
}

// nobodyAdministers compares the answers for a user that there is not.
func (c *checker) nobodyAdministers(id roster.UserID) error {
	_, err1 := c.tx.Administered(id)
	_, err2 := c.tx.AdministeredMembers(id)
	_, err3 := c.tx.Assignable(id)
	for _, g := range c.want.LiveGroups {
		if c.tx.CheckAdmin(id, g) {
			return fmt.Errorf("administers %v", g)
		}
	}
	return allAre(roster.ErrNotFound, err1, err2, err3)
}

// otherSets makes sure that what holds users and is no group does not answer as
// one.
func (c *checker) otherSets() error {
	var sets []roster.GroupID
	for _, g := range c.want.LiveGroups {
		if set := c.want.Groups[g].AdminSet; set != 0 {
			sets = append(sets, set)
		}
	}
	for _, o := range c.want.Organizations {
		sets = append(sets, o.Set, o.Set+1)
		for _, r := range o.Roles {
			sets = append(sets, r.Set)
		}
	}
	for _, set := range sets {
		if err := c.noGroup(set); err != nil {
			return err
		}
	}
	return nil
}
