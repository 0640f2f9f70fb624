package adapter_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// The changes that the engine's own methods make.

// update runs fn and holds its error to what is expected, nil for none.
func (x *machine) update(what string, want error, fn func(*roster.Txn) error) string {
	x.t.Helper()
	if _, err := x.w.e.Update(ctx, fn); !errors.Is(err, want) {
		x.t.Fatalf("%s: %v, not %v", what, err, want)
	}
	return fmt.Sprintf("%s: %v", what, want)
}

func (x *machine) userID(tx *roster.Txn, u *user) roster.UserID {
	id, ok := tx.UserByNumber(u.number)
	if !ok {
		x.t.Fatalf("no user %d", u.number)
	}
	return id
}

func (x *machine) groupID(tx *roster.Txn, g *group) roster.GroupID {
	id, ok := tx.GroupByNumber(g.number)
	if !ok {
		x.t.Fatalf("no group %d", g.number)
	}
	return id
}

func (x *machine) userIDs(tx *roster.Txn, list []*user) (out []roster.UserID) {
	for _, u := range list {
		out = append(out, x.userID(tx, u))
	}
	return out
}

func (x *machine) groupIDs(tx *roster.Txn, list []*group) (out []roster.GroupID) {
	for _, g := range list {
		out = append(out, x.groupID(tx, g))
	}
	return out
}

// nobody and nothing are handles that are given to none.
const (
	nobody  = roster.UserID(1 << 31)
	nothing = roster.GroupID(1 << 31)
)

func (x *machine) goMembers() {
	x.step("go", func() string {
		g, users, add, unknown := x.anyGroup(), several(x, x.anyUser), x.rarely("add", 2), x.rarely("nobody", 10)
		want, n := error(nil), 0
		if unknown {
			want = roster.ErrNotFound
		} else {
			for _, u := range users {
				if g.members[u] != add {
					n++
				}
				set(g.members, u, add)
			}
		}
		return x.update(fmt.Sprintf("members of %v, add %v: %v", g, add, users), want, func(tx *roster.Txn) error {
			ids, do := x.userIDs(tx, users), tx.Remove
			if add {
				do = tx.Add
			}
			if unknown {
				ids = append(ids, nobody)
			}
			got, err := do(x.groupID(tx, g), ids...)
			if err == nil && got != n {
				x.t.Fatalf("%d memberships changed, not %d", got, n)
			}
			return err
		})
	})
}

func (x *machine) goGroupsOf() {
	x.step("go", func() string {
		users, groups, drop := several(x, x.anyUser), several(x, x.anyGroup), x.rarely("drop", 3)
		if drop {
			groups = nil
		}
		added, dropped := 0, 0
		for i, u := range users {
			if slices.Contains(users[:i], u) {
				continue
			}
			for _, g := range x.m.groups {
				switch is := slices.Contains(groups, g); {
				case is && !g.members[u]:
					added++
				case !is && g.members[u]:
					dropped++
				}
				set(g.members, u, slices.Contains(groups, g))
			}
		}
		return x.update(fmt.Sprintf("groups of %v: %v", users, groups), nil, func(tx *roster.Txn) error {
			gone, err := []roster.Membership(nil), error(nil)
			var new []roster.Membership
			if drop {
				gone, err = tx.DropGroups(x.userIDs(tx, users)...)
			} else {
				new, gone, err = tx.ReplaceGroups(x.userIDs(tx, users), x.groupIDs(tx, groups))
			}
			if err == nil && (len(new) != added || len(gone) != dropped) {
				x.t.Fatalf("%d added and %d dropped, not %d and %d", len(new), len(gone), added, dropped)
			}
			return err
		})
	})
}

func (x *machine) goGroups() {
	x.step("go", func() string {
		g, list, add := x.anyGroup(), several(x, x.anyGroup), !x.rarely("remove", 3)
		users := several(x, x.anyUser)
		what := x.one("what", "nest", "admins", "admin groups", "nothing")
		want := error(nil)
		switch {
		case what == "nothing":
			want = roster.ErrNotFound
		case what == "nest" && slices.Contains(list, g):
			want = roster.ErrInvalid
		case what == "nest":
			for _, sub := range list {
				set(g.nested, sub, add)
			}
		case what == "admins":
			for _, u := range users {
				set(g.admins, u, add)
			}
		default:
			for _, by := range list {
				set(g.adminGroups, by, add)
			}
		}
		return x.update(fmt.Sprintf("%s of %v, add %v: %v %v", what, g, add, list, users), want, func(tx *roster.Txn) (err error) {
			nest, admins, groups := tx.Nest, tx.AddAdmins, tx.AddAdminGroups
			if !add {
				nest, admins, groups = tx.Unnest, tx.RemoveAdmins, tx.RemoveAdminGroups
			}
			id := x.groupID(tx, g)
			switch what {
			case "nest":
				_, err = nest(id, x.groupIDs(tx, list)...)
			case "admins":
				_, err = admins(id, x.userIDs(tx, users)...)
			case "nothing":
				_, err = nest(id, append(x.groupIDs(tx, slices.DeleteFunc(list, func(l *group) bool { return l == g })), nothing)...)
			default:
				_, err = groups(id, x.groupIDs(tx, list)...)
			}
			return err
		})
	})
}

// goUsers creates, changes and deletes users, not the staff.
func (x *machine) goUsers() {
	x.step("go", func() string {
		u := x.anyUser()
		do := x.one("do", "create", "rename", "rename", "describe", "delete")
		if slices.Contains(staff, u.name) && do != "create" {
			x.t.Skip("the staff stay as they are")
		}
		name, desc := x.one("name", append([]string{x.made("user")}, userNames...)...), x.made("described")
		d, n := x.anyDir(), uint64(1000+x.n)
		want := error(nil)
		switch other := x.m.find(u.dir.id, name); {
		case do == "create" && x.m.find(d.id, name) != nil || do == "rename" && other != nil && other != u:
			want = roster.ErrExists
		case do == "create":
			u = &user{dir: d, name: text.Normal(name), number: n, uid: fmt.Sprintf("usr_%d", n), desc: desc, email: desc + "@example.org"}
			x.m.users = append(x.m.users, u)
		case do == "rename":
			u.name = text.Normal(name)
		case do == "describe":
			u.desc, u.full, u.active = desc, "Full "+name, !u.active
		case slices.ContainsFunc(u.joined, func(o *org) bool { return o.members[u].owner && o.owners() == 1 }):
			want = roster.ErrLastOwner
		default:
			x.m.deleteUser(u)
		}
		return x.update(fmt.Sprintf("%s user %v: %q", do, u, name), want, func(tx *roster.Txn) error {
			if do == "create" {
				_, err := tx.CreateUser(roster.User{Directory: d.id, Username: name, Number: n, Description: desc, Email: desc + "@example.org"})
				return err
			}
			rec, err := tx.User(x.userID(tx, u))
			switch {
			case err != nil:
				return err
			case do == "delete":
				return tx.DeleteUser(rec.ID)
			case do == "rename":
				rec.Username = name
			default:
				rec.Description, rec.FullName, rec.Active = u.desc, u.full, u.active
			}
			_, err = tx.PutUser(rec)
			return err
		})
	})
}

func (x *machine) goGroupRecords() {
	x.step("go", func() string {
		g, d := x.anyGroup(), x.anyDir()
		do := x.one("do", "create", "rename", "rename", "describe", "delete")
		if do == "delete" && len(x.m.groups) < 3 {
			do = "create"
		}
		name, desc := x.one("name", append([]string{x.made("group")}, groupNames...)...), x.made("described")
		n := uint64(2000 + x.n)
		want := error(nil)
		switch other := x.m.findGroup(g.dir.id, name); {
		case do == "create" && x.m.findGroup(d.id, name) != nil || do == "rename" && other != nil && other != g:
			want = roster.ErrExists
		case do == "create":
			x.m.addGroup(&group{dir: d, name: text.Normal(name), number: n, enterprise: true})
		case do == "rename":
			g.name = text.Normal(name)
		case do == "describe":
			g.desc, g.enterprise = desc, !g.enterprise
		default:
			x.m.deleteGroup(g)
		}
		return x.update(fmt.Sprintf("%s group %v: %q", do, g, name), want, func(tx *roster.Txn) error {
			if do == "create" {
				_, err := tx.CreateGroup(roster.Group{Directory: d.id, Name: name, Number: n, Enterprise: true})
				return err
			}
			rec, err := tx.Group(x.groupID(tx, g))
			switch {
			case err != nil:
				return err
			case do == "delete":
				return tx.DeleteGroup(rec.ID)
			case do == "rename":
				rec.Name = name
			default:
				rec.Description, rec.Enterprise = g.desc, g.enterprise
			}
			_, err = tx.PutGroup(rec)
			return err
		})
	})
}

// goOrgs changes organisations, their roles and their memberships.
func (x *machine) goOrgs() {
	x.step("go", func() string {
		u, o := x.anyUser(), x.anyOrg()
		do := x.one("do", "create", "member", "member", "member", "leave", "delete role", "delete")
		if o == nil || do == "create" {
			id := x.one("id", orgIDs...)
			if o = x.m.org(id); o == nil {
				x.m.addOrg(text.Normal(id), "N")
			} else {
				o.name = "N"
			}
			return x.update("organisation "+id, nil, func(tx *roster.Txn) error {
				_, err := tx.PutOrganization(roster.Organization{ID: id, Name: "N"})
				return err
			})
		}
		id, rid := x.written(o.id), x.written(x.one("role", roleIDs...))
		new := &member{owner: x.rarely("owner", 2)}
		standard := x.rarely("default", 3)
		if x.rarely("from one network", 6) {
			new.allowed = []string{allowed}
		}
		want := x.changeOrg(do, o, u, rid, new, standard)
		return x.update(fmt.Sprintf("%s of %q: %v %+v %s", do, o.id, u, new, rid), want, func(tx *roster.Txn) error {
			switch do {
			case "member":
				m := roster.OrgMembership{Organization: id, User: x.userID(tx, u), Owner: new.owner, Default: standard}
				for _, p := range new.allowed {
					m.AllowedIPs = append(m.AllowedIPs, netip.MustParsePrefix(p))
				}
				_, err := tx.PutOrgMembership(m)
				return err
			case "leave":
				return tx.DeleteOrgMembership(id, x.userID(tx, u))
			case "delete role":
				return tx.DeleteRole(id, rid)
			}
			return tx.DeleteOrganization(id)
		})
	})
}

func (x *machine) changeOrg(do string, o *org, u *user, rid string, new *member, standard bool) error {
	old := o.members[u]
	last := old != nil && old.owner && o.owners() == 1
	switch {
	case do == "leave" && old == nil || do == "delete role" && o.role(rid) == nil:
		return roster.ErrNotFound
	case do == "leave" && last || do == "member" && last && !new.owner:
		return roster.ErrLastOwner
	case do == "leave":
		x.m.leave(o, u)
	case do == "delete role":
		r := o.role(rid)
		o.roles = slices.DeleteFunc(o.roles, func(other *role) bool { return other == r })
		for _, mem := range o.members {
			mem.roles = slices.DeleteFunc(mem.roles, func(other *role) bool { return other == r })
		}
	case do == "delete":
		x.m.deleteOrg(o)
	default:
		if x.m.join(o, u, new); standard {
			u.chosen = o
		}
	}
	return nil
}
