package machine

import (
	"fmt"
	"math"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// update is an Update in progress: each verb goes to the transaction and to the
// model that the engine has to be like if the update succeeds.
type update struct {
	*Machine
	tx      *roster.Txn
	want    *model.Model
	users   []roster.UserID // touched
	groups  []roster.GroupID
	orgs    []string
	data    []model.DataName
	overrun bool // the nesting is past its limit: the update has to fail
}

// verbs are what an update is made of, each as often as it stands here.
var verbs = []struct {
	name string
	do   func(*update) error
}{
	{"put directory", (*update).putDirectory},
	{"delete directory", (*update).deleteDirectory},
	{"create user", (*update).createUser},
	{"create user", (*update).createUser},
	{"create user", (*update).createUser},
	{"put user", (*update).putUser},
	{"put user", (*update).putUser},
	{"delete user", (*update).deleteUser},
	{"create group", (*update).createGroup},
	{"create group", (*update).createGroup},
	{"put group", (*update).putGroup},
	{"delete group", (*update).deleteGroup},
	{"add", (*update).add},
	{"add", (*update).add},
	{"add", (*update).add},
	{"remove", (*update).remove},
	{"remove", (*update).remove},
	{"nest", (*update).nest},
	{"nest", (*update).nest},
	{"unnest", (*update).unnest},
	{"replace groups", (*update).replaceGroups},
	{"drop groups", (*update).dropGroups},
	{"replace members", (*update).replaceMembers},
	{"add admins", (*update).addAdmins},
	{"add admins", (*update).addAdmins},
	{"remove admins", (*update).removeAdmins},
	{"add admin groups", (*update).addAdminGroups},
	{"add admin groups", (*update).addAdminGroups},
	{"remove admin groups", (*update).removeAdminGroups},
	{"put organisation", (*update).putOrganization},
	{"put organisation", (*update).putOrganization},
	{"delete organisation", (*update).deleteOrganization},
	{"put role", (*update).putRole},
	{"put role", (*update).putRole},
	{"delete role", (*update).deleteRole},
	{"put membership", (*update).putOrgMembership},
	{"put membership", (*update).putOrgMembership},
	{"put membership", (*update).putOrgMembership},
	{"put membership", (*update).putOrgMembership},
	{"put memberships", (*update).putOrgMemberships},
	{"delete membership", (*update).deleteOrgMembership},
	{"delete membership", (*update).deleteOrgMembership},
	{"put data", (*update).putData},
	{"put data", (*update).putData},
	{"put data", (*update).putData},
	{"delete data", (*update).deleteData},
	{"require", (*update).require},
	{"nothing", func(*update) error { return nil }},
}

// verb does one random thing and reads back what it touched.
func (x *update) verb() error {
	v := verbs[x.src.Intn(len(verbs))]
	x.users, x.groups, x.orgs, x.data = nil, nil, nil, nil
	if err := v.do(x); err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	if x.overrun || !x.chance(3) {
		return nil
	}
	if err := newChecker(x.tx, x.want).touched(x); err != nil {
		return fmt.Errorf("%s, read back: %w", v.name, err)
	}
	return nil
}

// touched compares what the last verb of an update was about.
func (c *checker) touched(x *update) error {
	for _, u := range x.users {
		if err := c.user(u); err != nil {
			return err
		}
	}
	for _, g := range x.groups {
		if err := c.group(g); err != nil {
			return err
		}
	}
	for _, id := range x.orgs {
		if err := c.organization(id); err != nil {
			return err
		}
	}
	for _, name := range x.data {
		if err := c.datum(name); err != nil {
			return err
		}
	}
	return nil
}

// touch notes what a verb was about, to be read back, and what it did.
func (x *update) touch(what string, err error, users []roster.UserID, groups ...roster.GroupID) {
	const most = 3
	x.users = append(x.users, users[:min(len(users), most)]...)
	x.groups = append(x.groups, groups[:min(len(groups), most)]...)
	x.tracef("  %.400s: %v", what, err)
}

func (x *update) putDirectory() error {
	d := roster.Directory{
		ID: oneOf(x.src, directoryIDs...), Name: oneOf(x.src, directoryNames...),
		Type: oneOf(x.src, "", "", "INTERNAL", "LDAP"), Domain: oneOf(x.src, "", "", "corp", "LAB", "mu\u0308ller.example"),
		Created: x.time(), Updated: x.time(),
	}
	if old, ok := x.want.Directories[d.ID]; ok {
		if x.chance(3) {
			d = old
		}
		d.Revision = x.revision(old.Revision)
	}
	if x.chance(20) {
		d.Name = oneOf(x.src, badNames...)
	}
	got, err := x.tx.PutDirectory(d)
	want, wantErr := x.want.PutDirectory(d)
	x.touch(fmt.Sprintf("put directory %+v", d), err, nil)
	return allOf(
		func() error { return sameError(err, wantErr) },
		func() error { return same("changed", got, want) },
		func() error { return newChecker(x.tx, x.want).directory(d.ID) },
	)
}

func (x *update) deleteDirectory() error {
	id := oneOf(x.src, directoryIDs...)
	err := x.tx.DeleteDirectory(id)
	x.touch(fmt.Sprintf("delete directory %d", id), err, nil)
	return sameError(err, x.want.DeleteDirectory(id))
}

func (x *update) createUser() error {
	u := roster.User{
		Directory: x.directoryID(x.want), Username: x.name(), Number: oneOf(x.src, numbers...), UID: oneOf(x.src, uids...),
		FullName: x.text(), Email: x.text(), Description: x.text(), Active: x.chance(2), Attributes: x.attributes(),
		Created: x.time(), Updated: x.time(),
	}
	got, err := x.tx.CreateUser(u)
	want, wantErr := x.want.CreateUser(u)
	x.touch(fmt.Sprintf("create %+v", u), err, []roster.UserID{want})
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("user", got, want)
}

func (x *update) putUser() error {
	u := roster.User{ID: x.userID(x.want), Username: x.name(), Number: oneOf(x.src, numbers...), UID: oneOf(x.src, uids...)}
	if old := x.want.Users[u.ID]; old != nil {
		asked := u
		u = old.User
		x.changeUser(&u, &asked)
		u.Revision = x.revision(old.Revision)
	}
	got, err := x.tx.PutUser(u)
	want, wantErr := x.want.PutUser(u)
	x.touch(fmt.Sprintf("put %+v", u), err, []roster.UserID{u.ID})
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("changed", got, want)
}

// changeUser changes one field of a record, or none.
func (x *update) changeUser(u, asked *roster.User) {
	switch x.src.Intn(13) {
	case 0, 1, 2:
		u.Username = asked.Username
	case 3:
		u.Number = asked.Number
	case 4:
		u.UID = asked.UID
	case 5:
		u.Number, u.UID = asked.Number, ""
	case 6:
		u.FullName, u.Email, u.Description = x.text(), x.text(), x.text()
	case 7:
		u.Active = !u.Active
	case 8:
		u.Attributes = x.attributes()
	case 9:
		u.Created, u.Updated = x.time(), x.time()
	case 10:
		u.Directory = oneOf(x.src, directoryIDs...)
	}
}

func (x *update) deleteUser() error {
	id := x.userID(x.want)
	err := x.tx.DeleteUser(id)
	x.touch(fmt.Sprintf("delete %v", id), err, []roster.UserID{id})
	return sameError(err, x.want.DeleteUser(id))
}

func (x *update) createGroup() error {
	g := roster.Group{
		Directory: x.directoryID(x.want), Name: x.name(), Number: oneOf(x.src, numbers...), UID: oneOf(x.src, uids...),
		Description: x.text(), Enterprise: x.chance(2), Abilities: x.abilities(), Created: x.time(), Updated: x.time(),
	}
	got, err := x.tx.CreateGroup(g)
	want, wantErr := x.want.CreateGroup(g)
	x.touch(fmt.Sprintf("create %+v", g), err, nil, want)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("group", got, want)
}

func (x *update) putGroup() error {
	g := roster.Group{ID: x.groupID(x.want), Name: x.name(), Number: oneOf(x.src, numbers...), UID: oneOf(x.src, uids...)}
	if old := x.want.Groups[g.ID]; old != nil {
		asked := g
		g = old.Group
		x.changeGroup(&g, &asked)
		g.Revision = x.revision(old.Revision)
	}
	got, err := x.tx.PutGroup(g)
	want, wantErr := x.want.PutGroup(g)
	x.touch(fmt.Sprintf("put %+v", g), err, nil, g.ID)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("changed", got, want)
}

// changeGroup changes one field of a record, or none.
func (x *update) changeGroup(g, asked *roster.Group) {
	switch x.src.Intn(10) {
	case 0, 1:
		g.Name = asked.Name
	case 2:
		g.Number = asked.Number
	case 3:
		g.UID = asked.UID
	case 4:
		g.Number, g.UID = asked.Number, ""
	case 5:
		g.Description, g.Enterprise = x.text(), x.chance(2)
	case 6:
		g.Abilities = x.abilities()
	case 7:
		g.Created, g.Updated = x.time(), x.time()
	case 8:
		g.Directory = oneOf(x.src, directoryIDs...)
	}
}

func (x *update) deleteGroup() error {
	id := x.groupID(x.want)
	if n := len(x.want.LiveGroups); n < 6 && x.chance(2) {
		id = math.MaxUint32 // a world without groups is a dull one
	}
	err := x.tx.DeleteGroup(id)
	x.touch(fmt.Sprintf("delete %v", id), err, nil, id)
	return sameError(err, x.want.DeleteGroup(id))
}

func (x *update) add() error {
	g, users := x.groupID(x.want), x.userIDs(x.want)
	got, err := x.tx.Add(g, users...)
	want, wantErr := x.want.Add(g, users...)
	x.touch(fmt.Sprintf("add to %v %v", g, users), err, users, g)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number added", got, want)
}

func (x *update) remove() error {
	g, users := x.groupID(x.want), x.userIDs(x.want)
	got, err := x.tx.Remove(g, users...)
	want, wantErr := x.want.Remove(g, users...)
	x.touch(fmt.Sprintf("remove from %v %v", g, users), err, users, g)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number removed", got, want)
}

func (x *update) nest() error {
	g, children := x.groupID(x.want), x.groupIDs(x.want)
	if x.chance(150) {
		children = tooMany(children)
	}
	got, err := x.tx.Nest(g, children...)
	want, wantErr := x.want.Nest(g, children...)
	x.touch(fmt.Sprintf("nest in %v %v", g, clipped(children)), err, nil, append(children, g)...)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	if err := x.overran(g); err != nil {
		return err
	}
	return same("number nested", got, want)
}

// tooMany repeats groups until they are more than can be in one.
func tooMany(groups []roster.GroupID) []roster.GroupID {
	return slices.Repeat(groups, 200_000/len(groups)+1)
}

// overran notes whether the nesting is past its limit.
func (x *update) overran(g roster.GroupID) error {
	x.overrun = x.want.OverLimit()
	if x.overrun && x.chance(2) {
		// Reading makes the closure of the nesting, and meets the limit first.
		_, err := x.tx.Members(g)
		return sameError(err, roster.ErrLimit)
	}
	return nil
}

func (x *update) unnest() error {
	g, children := x.groupID(x.want), x.groupIDs(x.want)
	got, err := x.tx.Unnest(g, children...)
	want, wantErr := x.want.Unnest(g, children...)
	x.touch(fmt.Sprintf("unnest from %v %v", g, children), err, nil, append(children, g)...)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("number unnested", got, want)
}

func (x *update) require() error {
	rev := x.want.Revision + roster.Revision(x.src.Intn(2))
	err := x.tx.Require(rev)
	x.touch(fmt.Sprintf("require %d", rev), err, nil)
	return sameError(err, x.want.Require(rev))
}
