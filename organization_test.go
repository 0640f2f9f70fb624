package roster_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// business is an engine with a directory, four users and an organisation.
type business struct {
	*testing.T
	e     *roster.Engine
	dir   string
	users [4]roster.UserID
	group roster.GroupID
	at    time.Time
}

func newBusiness(t *testing.T) *business {
	c := &business{T: t, dir: filepath.Join(t.TempDir(), "db"), at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.open()
	c.update(func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		for i := range c.users {
			if err == nil {
				c.users[i], err = tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint("user", i), Active: true})
			}
		}
		if err == nil {
			c.group, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "staff"})
		}
		if err == nil {
			_, err = tx.PutOrganization(roster.Organization{ID: "acme", Name: "Acme"})
		}
		if err == nil {
			_, err = tx.PutRole(roster.Role{Organization: "ACME", ID: "clerk", Permissions: []string{"GetCustomer", "GetOrder", "GetOrder"}})
		}
		return err
	})
	return c
}

func (c *business) open() {
	c.Helper()
	e, err := roster.Open(c.dir, roster.Options{Now: func() time.Time { c.at = c.at.Add(time.Second); return c.at }})
	if err != nil {
		c.Fatal(err)
	}
	c.e = e
	c.Cleanup(func() { e.Close() })
}

func (c *business) update(fn func(tx *roster.Txn) error) {
	c.Helper()
	if _, err := c.e.Update(ctx, fn); err != nil {
		c.Fatal(err)
	}
	if err := c.e.Verify(ctx, nil); err != nil {
		c.Fatal(err)
	}
}

func (c *business) fails(want error, fn func(tx *roster.Txn) error) {
	c.Helper()
	before := c.e.Revision()
	_, err := c.e.Update(ctx, fn)
	isErr(c.T, err, want)
	if c.e.Revision() != before {
		c.Fatal("what failed made a revision")
	}
	if err := c.e.Verify(ctx, nil); err != nil {
		c.Fatal(err)
	}
}

func (c *business) view(fn func(tx *roster.Txn) error) {
	c.Helper()
	if err := c.e.View(ctx, fn); err != nil {
		c.Fatal(err)
	}
}

func (c *business) join(m roster.OrgMembership) func(*roster.Txn) error {
	return func(tx *roster.Txn) error {
		_, err := tx.PutOrgMembership(m)
		return err
	}
}

func (c *business) same(what string, got, want any) {
	c.Helper()
	if !reflect.DeepEqual(got, want) {
		c.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// everywhere calls fn with the engine as it is, folded, reopened, and restored
// from a backup.
func (c *business) everywhere(fn func()) {
	c.Helper()
	fn()
	for _, close := range []bool{false, true} {
		if err := c.e.Fold(ctx); err != nil {
			c.Fatal(err)
		}
		if close {
			c.e.Close()
			c.open()
		}
		fn()
	}
	var b bytes.Buffer
	if _, err := c.e.Backup(ctx, &b); err != nil {
		c.Fatal(err)
	}
	c.e.Close()
	c.dir = filepath.Join(c.TempDir(), "restored")
	if err := roster.Restore(ctx, c.dir, &b, roster.Options{}); err != nil {
		c.Fatal(err)
	}
	c.open()
	if err := c.e.Verify(ctx, nil); err != nil {
		c.Fatal(err)
	}
	fn()
}

func TestOrganizationMembership(t *testing.T) {
	c := newBusiness(t)
	networks := []netip.Prefix{netip.MustParsePrefix("153.12.32.33/32"), netip.MustParsePrefix("201.54.122.7/24"), netip.MustParsePrefix("::ffff:201.54.122.9/120")}
	c.update(c.join(roster.OrgMembership{Organization: "acme", User: c.users[0], Owner: true}))
	c.update(c.join(roster.OrgMembership{
		Organization: "Acme", User: c.users[1], Roles: []string{"Clerk", "clerk"}, Permissions: []string{"b", "a", "b"}, AllowedIPs: networks,
	}))
	c.everywhere(func() {
		c.view(func(tx *roster.Txn) error {
			m, err := tx.OrgMembership("ACME", c.users[1])
			want := roster.OrgMembership{
				Organization: "acme", User: c.users[1], Default: true, Roles: []string{"clerk"}, Permissions: []string{"b", "a"},
				AllowedIPs: []netip.Prefix{networks[0], netip.MustParsePrefix("201.54.122.0/24")}, Created: m.Created, Updated: m.Created, Revision: 3,
			}
			c.same("membership", m, want)
			perms, _ := tx.Permissions("acme", c.users[1])
			c.same("permissions", perms, []string{"GetCustomer", "GetOrder", "a", "b"})
			perms, _ = tx.Permissions("acme", c.users[0])
			c.same("an owner's permissions", perms, []string{"*"})
			for text, want := range map[string]int{"org:acme": 2, "owners:ACME": 1, "role:acme/clerk": 1, "org:acme & !owners:acme": 1} {
				x, err := roster.ParseExpr(text)
				if err != nil {
					return err
				}
				s, err := tx.Eval(x)
				if err != nil || s.Len() != want {
					c.Errorf("%s: %d, %v", text, s.Len(), err)
				}
			}
			roles, _ := tx.Roles("acme")
			c.same("roles", roles, []string{"clerk"})
			return err
		})
	})
	c.fails(roster.ErrNotFound, c.join(roster.OrgMembership{Organization: "other", User: c.users[2]}))
	c.fails(roster.ErrNotFound, c.join(roster.OrgMembership{Organization: "acme", User: 99}))
	c.fails(roster.ErrNotFound, c.join(roster.OrgMembership{Organization: "acme", User: c.users[2], Roles: []string{"boss"}}))
	for _, private := range []string{"10.0.0.1/32", "8.0.0.0/5", "192.168.1.0/24", "100.64.3.0/24", "fc00::/8", "0.0.0.0/0", "::/0", "127.0.0.1/32", "::ffff:10.0.0.0/104"} {
		c.fails(roster.ErrInvalid, c.join(roster.OrgMembership{Organization: "acme", User: c.users[2], AllowedIPs: []netip.Prefix{netip.MustParsePrefix(private)}}))
	}
}

// The last owner stays one, whoever tries to change that.
func TestLastOwner(t *testing.T) {
	c := newBusiness(t)
	owner := roster.OrgMembership{Organization: "acme", User: c.users[0], Owner: true}
	c.update(c.join(owner))
	c.fails(roster.ErrLastOwner, c.join(roster.OrgMembership{Organization: "acme", User: c.users[0]}))
	c.fails(roster.ErrLastOwner, func(tx *roster.Txn) error { return tx.DeleteOrgMembership("acme", c.users[0]) })
	c.fails(roster.ErrLastOwner, func(tx *roster.Txn) error { return tx.DeleteUser(c.users[0]) })
	owner.User = c.users[1]
	c.update(c.join(owner))
	c.update(func(tx *roster.Txn) error { return tx.DeleteUser(c.users[0]) })
	c.fails(roster.ErrLastOwner, func(tx *roster.Txn) error { return tx.DeleteOrgMembership("acme", c.users[1]) })
	c.update(func(tx *roster.Txn) error { return tx.DeleteOrganization("acme") })
	c.everywhere(func() {
		s := c.e.Stats()
		c.same("what is left", []int{s.Organizations, s.Roles, s.OrgMemberships}, []int{0, 0, 0})
	})
}

// What is undone leaves nothing to be folded: its number may go to a group.
func TestUndoneOrganization(t *testing.T) {
	c := newBusiness(t)
	cause := errors.New("on purpose")
	c.fails(cause, func(tx *roster.Txn) error {
		if _, err := tx.PutOrganization(roster.Organization{ID: "new"}); err != nil {
			return err
		}
		for _, u := range c.users[:2] {
			if _, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "new", User: u}); err != nil {
				return err
			}
		}
		return cause
	})
	var g roster.GroupID
	c.update(func(tx *roster.Txn) (err error) {
		if g, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "new"}); err == nil {
			_, err = tx.Add(g, c.users[1:]...)
		}
		return err
	})
	c.everywhere(func() {
		if !c.e.Check(c.users[1], g) || !c.e.Check(c.users[2], g) {
			c.Error("the group has lost its members")
		}
	})
}

// The default moves to the oldest membership when it goes, and where it is sent.
func TestDefaultOrganization(t *testing.T) {
	c := newBusiness(t)
	u := c.users[0]
	standard := func(want string) {
		c.Helper()
		c.everywhere(func() {
			c.view(func(tx *roster.Txn) error {
				got, err := tx.DefaultOrganization(u)
				c.same("default", got, want)
				all, _ := tx.OrganizationsOf(u)
				n := 0
				for _, id := range all {
					m, err := tx.OrgMembership(id, u)
					if err != nil {
						return err
					}
					if m.Default {
						n++
						c.same("flag", m.Organization, want)
					}
				}
				if want != "" {
					c.same("defaults", n, 1)
				}
				return err
			})
		})
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	c.update(func(tx *roster.Txn) error {
		for _, id := range []string{"b", "a", "young", "old"} {
			if _, err := tx.PutOrganization(roster.Organization{ID: id}); err != nil {
				return err
			}
		}
		for _, m := range []roster.OrgMembership{
			{Organization: "young", User: u}, {Organization: "b", User: u, Created: old.Add(time.Hour)},
			{Organization: "a", User: u, Created: old.Add(time.Hour)}, {Organization: "old", User: u, Created: old},
		} {
			if _, err := tx.PutOrgMembership(m); err != nil {
				return err
			}
		}
		return nil
	})
	standard("young")
	c.view(func(tx *roster.Txn) error {
		all, err := tx.OrganizationsOf(u)
		c.same("by age", all, []string{"old", "a", "b", "young"})
		return err
	})
	leave := func(id string) {
		c.update(func(tx *roster.Txn) error { return tx.DeleteOrgMembership(id, u) })
	}
	leave("young")
	standard("old")
	c.update(c.join(roster.OrgMembership{Organization: "b", User: u, Default: true}))
	standard("b")
	c.update(c.join(roster.OrgMembership{Organization: "b", User: u})) // does not take it away
	standard("b")
	c.update(c.join(roster.OrgMembership{Organization: "a", User: u, Created: old.Add(-time.Hour)}))
	c.update(func(tx *roster.Txn) error { return tx.DeleteOrganization("b") })
	standard("a")
	leave("a")
	leave("old")
	standard("")
}

func TestAdministrators(t *testing.T) {
	c := newBusiness(t)
	var leads, other roster.GroupID
	c.update(func(tx *roster.Txn) error {
		var err error
		if _, err = tx.PutDirectory(roster.Directory{ID: 2, Name: "lab"}); err != nil {
			return err
		}
		if leads, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "leads"}); err != nil {
			return err
		}
		if other, err = tx.CreateGroup(roster.Group{Directory: 2, Name: "other"}); err != nil {
			return err
		}
		if _, err = tx.CreateUser(roster.User{Directory: 2, Username: "lab"}); err != nil {
			return err
		}
		if _, err = tx.Add(c.group, c.users[3]); err != nil {
			return err
		}
		if n, err := tx.AddAdmins(c.group, c.users[0], c.users[0]); err != nil || n != 1 {
			return fmt.Errorf("%d %w", n, err)
		}
		if n, err := tx.AddAdminGroups(c.group, leads); err != nil || n != 1 {
			return fmt.Errorf("%d %w", n, err)
		}
		_, err = tx.Add(leads, c.users[1])
		return err
	})
	c.everywhere(func() {
		c.view(func(tx *roster.Txn) error {
			for i, want := range []bool{true, true, false, false} {
				c.same(fmt.Sprint("administers ", i), tx.CheckAdmin(c.users[i], c.group), want)
			}
			got, err := tx.Administered(c.users[1])
			c.same("administered", got, []roster.GroupID{c.group})
			groups, _ := tx.Groups(c.users[1])
			c.same("groups", groups, []roster.GroupID{leads})
			direct, _ := tx.DirectGroups(c.users[0])
			c.same("direct groups", len(direct), 0)
			parents, _ := tx.Parents(leads)
			c.same("parents", len(parents), 0)
			assignable, _ := tx.Assignable(c.users[1])
			c.same("assignable", assignable.Len(), 4)
			members, _ := tx.AdministeredMembers(c.users[0])
			c.same("members of what is administered", slices.Collect(members.All()), []roster.UserID{c.users[3]})
			nobody, _ := tx.Assignable(c.users[2])
			c.same("assignable by nobody", nobody.Len(), 0)
			admins, _ := tx.Admins(c.group)
			c.same("admins", slices.Collect(admins.All()), c.users[:2])
			byGroup, _ := tx.AdminGroups(c.group)
			c.same("by group", byGroup, []roster.GroupID{leads})
			return err
		})
		if c.e.Check(c.users[0], c.group+3) || c.e.Check(c.users[0], c.group+4) || c.e.Check(c.users[0], c.group+5) {
			c.Error("a set of administrators answers as a group")
		}
	})
	c.update(func(tx *roster.Txn) error {
		if _, err := tx.AddAdmins(other, c.users[1]); err != nil {
			return err
		}
		return tx.DeleteUser(c.users[0])
	})
	c.view(func(tx *roster.Txn) error {
		all, err := tx.Assignable(c.users[1])
		c.same("assignable in both", all.Len(), 4)
		return err
	})
	c.update(func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 3, Name: "guests"}); err != nil {
			return err
		}
		_, err := tx.CreateUser(roster.User{Directory: 3, Username: "guest"})
		return err
	})
	c.view(func(tx *roster.Txn) error {
		all, err := tx.Assignable(c.users[1])
		c.same("assignable after a directory has come", all.Len(), 4)
		return err
	})
	c.update(func(tx *roster.Txn) error { return tx.DeleteGroup(leads) })
	c.everywhere(func() {
		c.same("administrators", c.e.Stats().Administrators, 1)
	})
	c.update(func(tx *roster.Txn) error { return tx.DeleteGroup(other) })
	c.same("administrators", c.e.Stats().Administrators, 0)
}

// A verb that is refused for its length has not begun.
func TestTooManyAdminGroups(t *testing.T) {
	c := newBusiness(t)
	before := c.e.Revision()
	c.update(func(tx *roster.Txn) error {
		_, err := tx.AddAdminGroups(c.group, slices.Repeat([]roster.GroupID{c.group}, 200_001)...)
		isErr(t, err, roster.ErrLimit)
		return nil
	})
	c.same("revision", c.e.Revision(), before)
}

func TestReplace(t *testing.T) {
	c := newBusiness(t)
	var b roster.GroupID
	c.update(func(tx *roster.Txn) error {
		var err error
		if b, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "b"}); err != nil {
			return err
		}
		if _, err = tx.AddAdmins(b, c.users[0]); err != nil { // no membership: it stays
			return err
		}
		_, err = tx.Add(c.group, c.users[0], c.users[1])
		return err
	})
	u := c.users
	c.update(func(tx *roster.Txn) error {
		added, dropped, err := tx.ReplaceGroups([]roster.UserID{u[2], u[0], u[2]}, []roster.GroupID{b, b})
		c.same("added", added, []roster.Membership{{User: u[0], Group: b}, {User: u[2], Group: b}})
		c.same("dropped", dropped, []roster.Membership{{User: u[0], Group: c.group}})
		return err
	})
	c.update(func(tx *roster.Txn) error {
		added, dropped, err := tx.ReplaceMembers(c.group, []roster.UserID{u[3], u[0], u[3]})
		c.same("added", added, []roster.Membership{{User: u[0], Group: c.group}, {User: u[3], Group: c.group}})
		c.same("dropped", dropped, []roster.Membership{{User: u[1], Group: c.group}})
		return err
	})
	before := c.e.Revision()
	c.update(func(tx *roster.Txn) error {
		added, dropped, err := tx.ReplaceMembers(c.group, []roster.UserID{u[3], u[0]})
		c.same("nothing", len(added)+len(dropped), 0)
		return err
	})
	c.same("revision", c.e.Revision(), before)
	c.update(func(tx *roster.Txn) error {
		dropped, err := tx.DropGroups(u[0], u[3])
		c.same("dropped", dropped, []roster.Membership{{User: u[0], Group: c.group}, {User: u[0], Group: b}, {User: u[3], Group: c.group}})
		return err
	})
	c.fails(roster.ErrNotFound, func(tx *roster.Txn) error {
		_, _, err := tx.ReplaceGroups([]roster.UserID{u[2], 77}, nil)
		return err
	})
	c.view(func(tx *roster.Txn) error {
		if !tx.CheckAdmin(u[0], b) || !tx.CheckDirect(u[2], b) {
			c.Error("more was dropped than memberships")
		}
		return nil
	})
}

// A user may be a member of so many organisations that the list of them is
// longer than 64 KiB.
func TestManyOrganizations(t *testing.T) {
	c := newBusiness(t)
	const many = 6000
	u := c.users[0]
	c.update(func(tx *roster.Txn) error {
		for i := range many {
			id := fmt.Sprintf("org_%05d", i)
			if _, err := tx.PutOrganization(roster.Organization{ID: id}); err != nil {
				return err
			}
			if _, err := tx.PutOrgMembership(roster.OrgMembership{Organization: id, User: u, Owner: true}); err != nil {
				return err
			}
		}
		_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: c.users[1]})
		return err
	})
	c.update(func(tx *roster.Txn) error { return tx.DeleteOrganization("org_00000") })
	c.everywhere(func() {
		c.view(func(tx *roster.Txn) error {
			all, err := tx.OrganizationsOf(u)
			c.same("organisations", len(all), many-1)
			standard, _ := tx.DefaultOrganization(u)
			c.same("default", standard, "org_00001")
			next, _ := tx.OrganizationsOf(c.users[1])
			c.same("the neighbour's", next, []string{"acme"})
			return err
		})
	})
	c.fails(roster.ErrLastOwner, func(tx *roster.Txn) error { return tx.DeleteUser(u) })
}

// The first members of an organisation by name are kept, and stay right.
func TestFirstOrgMembers(t *testing.T) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	names := make([]string, 0, 200)
	join := func(name string) {
		t.Helper()
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			u, err := tx.CreateUser(roster.User{Directory: 1, Username: name, Active: true})
			if err == nil {
				_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "org", User: u, Owner: true})
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		slices.Sort(names)
	}
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		_, err2 := tx.PutOrganization(roster.Organization{ID: "org", Name: "org"})
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		join(fmt.Sprintf("user%03d", (i*77)%200))
		err := e.View(ctx, func(tx *roster.Txn) error {
			members, err := tx.OrgMembers("org")
			n := 0
			for u := range members.ByName("") {
				if n == 10 {
					break
				}
				if got := tx.Username(u); got != names[n] {
					t.Fatalf("of %d members number %d is %s, want %s", members.Len(), n, got, names[n])
				}
				n++
			}
			if members.Len() != i+1 || n != min(i+1, 10) {
				t.Fatalf("%d members, %d on the page, want %d", members.Len(), n, i+1)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
