package directory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// made returns a company of n users, u0 and so on, all in the group "all", half of
// them in "half", which is in "all" too.
func made(n int) *company {
	c := newCompany(true)
	c.groups["ga"], c.groups["gh"] = "all", "half"
	c.has["ga"], c.has["gh"] = map[string]bool{"gh": true}, map[string]bool{}
	for i := range n {
		k := fmt.Sprintf("k%d", i)
		c.users[k] = fmt.Sprintf("u%d", i)
		c.has["ga"][k] = true
		if i%2 == 0 {
			c.has["gh"][k] = true
		}
	}
	return c
}

func mustSync(t *testing.T, l *directory.Link, run directory.Run) *directory.Report {
	t.Helper()
	report, err := l.Sync(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func user(t *testing.T, e *roster.Engine, name string) (rec roster.User, groups []string) {
	t.Helper()
	view(t, e, func(tx *roster.Txn) error {
		id, err := tx.FindUser(name)
		if err != nil {
			return err
		}
		if rec, err = tx.User(id); err != nil {
			return err
		}
		all, err := tx.Groups(id)
		for _, g := range all {
			groups = append(groups, tx.GroupName(g))
		}
		return err
	})
	return rec, groups
}

// TestGuard: too much is refused and changes nothing, unless it is forced; a dry
// run says so and what it would be.
func TestGuard(t *testing.T) {
	for name, change := range map[string]func(c *company){
		"users": func(c *company) {
			for i := range 30 {
				delete(c.users, fmt.Sprintf("k%d", i))
			}
		},
		"all users":   func(c *company) { c.users = map[string]string{} },
		"memberships": func(c *company) { c.has["ga"] = map[string]bool{} },
		"groups":      func(c *company) { c.groups = map[string]string{} },
	} {
		t.Run(name, func(t *testing.T) {
			c, e := made(100), open(t)
			l := newLink(t, e, c.source(), directory.Options{})
			mustSync(t, l, directory.Run{})
			change(c)
			before := e.Revision()
			var guard *directory.GuardError
			if _, err := l.Sync(t.Context(), directory.Run{}); !errors.As(err, &guard) || !errors.Is(err, directory.ErrTooMuch) || guard.Removed == 0 {
				t.Errorf("%v", err)
			}
			dry := mustSync(t, l, directory.Run{DryRun: true})
			if !errors.Is(dry.Refused, directory.ErrTooMuch) || dry.Diff.Empty() || e.Revision() != before {
				t.Errorf("dry run: %+v", dry)
			}
			forced := mustSync(t, l, directory.Run{Force: true})
			if !slices.Equal(forced.Diff.Removed, dry.Diff.Removed) || !slices.Equal(forced.Diff.Users, dry.Diff.Users) || e.Revision() == before {
				t.Errorf("forced: %+v, dry: %+v", forced.Diff, dry.Diff)
			}
		})
	}
}

// TestGuardRefresh: a refresh of many is guarded too, of few it is not.
func TestGuardRefresh(t *testing.T) {
	c, e := made(100), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("u%d", i))
		delete(c.users, fmt.Sprintf("k%d", i))
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, names...); !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("%v", err)
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, names[:2]...); err != nil {
		t.Error(err)
	}
}

// TestVoid: a source that has nobody at all is not believed about one user either.
func TestVoid(t *testing.T) {
	c, e := made(10), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	before := e.Revision()
	c.users, c.groups = map[string]string{}, map[string]string{}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "u1"); !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("%v", err)
	}
	if _, err := l.RefreshGroups(t.Context(), directory.Run{}, "half"); !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("%v", err)
	}
	if e.Revision() != before {
		t.Error("something was changed")
	}
	if _, err := l.Refresh(t.Context(), directory.Run{Force: true}, "u1"); err != nil {
		t.Error(err)
	}
}

// TestVanished: what becomes of users that are gone, and of their names.
func TestVanished(t *testing.T) {
	c, e := made(20), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	first, _ := user(t, e, "u3")
	delete(c.users, "k3")
	report := mustSync(t, l, directory.Run{})
	if rec, groups := user(t, e, "u3"); rec.Active || rec.ID != first.ID || len(groups) > 0 || directory.Count(report.Diff.Users, directory.Gone) != 1 {
		t.Errorf("gone: %+v in %q, %+v", rec, groups, report.Diff)
	}
	// Whoever activates it again by hand is not overruled at each sync.
	update(t, e, func(tx *roster.Txn) error {
		rec, err := tx.User(first.ID)
		rec.Active = true
		if err == nil {
			_, err = tx.PutUser(rec)
		}
		return err
	})
	if report := mustSync(t, l, directory.Run{}); !report.Diff.Empty() {
		t.Errorf("again: %+v", report.Diff)
	}
	c.users["k3"] = "u3"
	mustSync(t, l, directory.Run{})
	if rec, groups := user(t, e, "u3"); !rec.Active || rec.ID != first.ID || !slices.Equal(groups, []string{"all"}) {
		t.Errorf("back: %+v in %q", rec, groups)
	}
	// Somebody else under the name of one who is gone is somebody else.
	delete(c.users, "k3")
	c.users["other"] = "u3"
	for _, run := range []func() (*directory.Report, error){
		func() (*directory.Report, error) { return l.Refresh(t.Context(), directory.Run{}, "u3") },
		func() (*directory.Report, error) { return l.Sync(t.Context(), directory.Run{}) },
	} {
		if _, err := run(); err != nil {
			t.Fatal(err)
		}
		if rec, _ := user(t, e, "u3"); rec.ID == first.ID || !rec.Active {
			t.Errorf("another user under the name: %+v", rec)
		}
		if rec, _ := user(t, e, "u3~1"); rec.ID != first.ID || rec.Active {
			t.Errorf("the old one: %+v", rec)
		}
	}
}

// TestSameUser: after a move to another server all keys are others.
func TestSameUser(t *testing.T) {
	c, e := made(20), open(t)
	mustSync(t, newLink(t, e, c.source(), directory.Options{}), directory.Run{})
	before, _ := user(t, e, "u3")
	moved := newCompany(true)
	for k, name := range c.users {
		moved.users["new "+k] = name
	}
	moved.groups = c.groups
	if _, err := newLink(t, e, moved.source(), directory.Options{}).Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrTooMuch) {
		t.Errorf("%v", err)
	}
	report := mustSync(t, newLink(t, e, moved.source(), directory.Options{Reused: directory.SameUser}), directory.Run{Force: true})
	if after, _ := user(t, e, "u3"); after.ID != before.ID || directory.Count(report.Diff.Users, directory.Created|directory.Gone) > 0 {
		t.Errorf("%+v was %+v: %+v", after, before, report.Diff.Users)
	}
}

// TestDelete: the policies that delete, and the last owner of an organisation.
func TestDelete(t *testing.T) {
	c, e := made(20), open(t)
	l := newLink(t, e, c.source(), directory.Options{Vanished: directory.Delete, VanishedGroups: directory.Delete})
	mustSync(t, l, directory.Run{})
	rec, _ := user(t, e, "u1")
	update(t, e, func(tx *roster.Txn) error {
		if _, err := tx.PutOrganization(roster.Organization{ID: "acme"}); err != nil {
			return err
		}
		_, err := tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: rec.ID, Owner: true})
		return err
	})
	delete(c.users, "k1")
	delete(c.users, "k2")
	delete(c.groups, "gh")
	report := mustSync(t, l, directory.Run{Force: true})
	if after, groups := user(t, e, "u1"); after.Active || len(groups) > 0 || len(report.Problems) != 1 || !errors.Is(report.Problems[0], roster.ErrLastOwner) {
		t.Errorf("the last owner: %+v in %q, %v", after, groups, report.Problems)
	}
	view(t, e, func(tx *roster.Txn) error {
		if _, err := tx.FindUser("u2"); !errors.Is(err, roster.ErrNotFound) {
			t.Errorf("u2: %v", err)
		}
		if _, err := tx.FindGroup("half"); !errors.Is(err, roster.ErrNotFound) {
			t.Errorf("half: %v", err)
		}
		return nil
	})
}

// TestByHand: what was made by hand stays, whatever it looks like.
func TestByHand(t *testing.T) {
	c, e := made(10), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	var admin, guest roster.UserID
	var all, plain, club roster.GroupID
	update(t, e, func(tx *roster.Txn) (err error) {
		d, err := tx.DirectoryByName("corp")
		if err != nil {
			return err
		}
		if _, err := tx.PutDirectory(roster.Directory{ID: 9, Name: "guests"}); err != nil {
			return err
		}
		admin, _ = tx.CreateUser(roster.User{Directory: d.ID, Username: "admin", Active: true})
		guest, _ = tx.CreateUser(roster.User{Directory: 9, Username: "guest", Active: true})
		plain, _ = tx.CreateGroup(roster.Group{Directory: d.ID, Name: "plain"})
		club, _ = tx.CreateGroup(roster.Group{Directory: 9, Name: "club", Enterprise: true})
		all, _ = tx.GroupByName(d.ID, "all")
		u1, _ := tx.UserByName(d.ID, "u1")
		for _, step := range []func() (int, error){
			func() (int, error) { return tx.Add(all, admin, guest) }, // into an enterprise group
			func() (int, error) { return tx.Add(club, u1) },          // of another directory
			func() (int, error) { return tx.Nest(plain, all) },
			func() (int, error) { return tx.Nest(all, club) },
			func() (int, error) { return tx.AddAdmins(all, admin) },
		} {
			if _, err := step(); err != nil {
				return err
			}
		}
		g, err := tx.Group(all)
		g.Abilities = []string{"export"}
		if err == nil {
			_, err = tx.PutGroup(g)
		}
		return err
	})
	c.groups["gp"], c.has["gp"] = "Plain", map[string]bool{"k1": true} // a name that is taken
	c.groups["ga"] = "everybody"
	delete(c.has["ga"], "k5")
	report := mustSync(t, l, directory.Run{})
	if len(report.Problems) != 1 || !errors.Is(report.Problems[0], directory.ErrEntry) || len(report.Diff.Removed) != 1 {
		t.Errorf("%+v", report)
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "u1", "admin", "guest"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.RefreshGroups(t.Context(), directory.Run{}, "everybody", "plain"); err != nil {
		t.Fatal(err)
	}
	view(t, e, func(tx *roster.Txn) error {
		g, err := tx.Group(all)
		if err != nil || g.Name != "everybody" || !slices.Equal(g.Abilities, []string{"export"}) || !tx.CheckAdmin(admin, all) {
			t.Errorf("%+v, %v", g, err)
		}
		members, err := tx.DirectMembers(plain)
		subs, _ := tx.Subgroups(all)
		if err != nil || members.Len() > 0 || !tx.CheckDirect(admin, all) || !tx.CheckDirect(guest, all) || !tx.Check(guest, plain) || !slices.Contains(subs, club) {
			t.Errorf("%d members, %v", members.Len(), subs)
		}
		u1, err := tx.FindUser("u1")
		if !tx.CheckDirect(u1, club) {
			t.Error("u1 has left the club")
		}
		return err
	})
}

// TestBadEntries: entries that cannot be stored are left out and told, and take
// nothing from those that they stand for.
func TestBadEntries(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	each := src.EachUser
	src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
		return func(yield func(directory.User, error) bool) {
			for u, err := range each(ctx) {
				switch u.Name {
				case "u1":
					u.Name = strings.Repeat("x", 300)
				case "u2":
					u.Name = "a\x00b"
				case "u3":
					u.Name = "U4"
				case "u5":
					err = &directory.EntryError{Entry: "u5", Err: errors.New("it has no name")}
				case "u6":
					u.FullName = "\xff"
				case "u7":
					u.FullName = strings.Repeat("long ", 50_000)
				}
				if !yield(u, err) {
					return
				}
			}
			yield(directory.User{Key: "n1", Name: "u8", Refs: []string{"n1"}}, nil)
			yield(directory.User{Key: "n2", Name: "n2"}, nil)
		}
	}
	report := mustSync(t, l, directory.Run{})
	if len(report.Problems) != 8 || len(report.Diff.Removed) > 1 {
		t.Errorf("%d problems: %v; %+v", len(report.Problems), report.Problems, report.Diff)
	}
	for _, name := range []string{"u1", "u2", "u5", "u6", "u7"} {
		if rec, groups := user(t, e, name); !rec.Active || !slices.Contains(groups, "all") {
			t.Errorf("%q: %+v in %q", name, rec, groups)
		}
	}
}

// TestEvery: syncs by the clock until it is told to stop, failures or not.
func TestEvery(t *testing.T) {
	c, e := made(3), open(t)
	var log bytes.Buffer
	l, err := directory.New(e, c.source(), directory.Options{Directory: "corp", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Every(ctx, time.Millisecond, time.Millisecond, directory.Run{Actor: "clock"}) }()
	for l.Stats().Runs < 4 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s := l.Stats()
	if s.LastSuccess.IsZero() || s.Changes.Users != 3 || s.Changes.Added != 6 || !strings.Contains(log.String(), "actor=clock") {
		t.Errorf("%+v\n%s", s, log.String())
	}
	view(t, e, func(tx *roster.Txn) error {
		last, err := directory.Last(tx, "CORP")
		if err != nil || last.Actor != "clock" || last.Run != "sync" || last.Added != 6 {
			t.Errorf("%+v, %v", last, err)
		}
		return nil
	})
	if err := l.Every(t.Context(), 0, 0, directory.Run{}); !errors.Is(err, directory.ErrConfig) {
		t.Error(err)
	}
}

// TestAtOnce: logins, refreshes of groups and syncs at once end in what the source
// says.
func TestAtOnce(t *testing.T) {
	c, e := made(30), open(t)
	src := c.source()
	src.Password = func(context.Context, directory.User, string) (bool, error) { return true, nil }
	l := newLink(t, e, src, directory.Options{})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 10 {
				name := fmt.Sprintf("u%d", (n+i)%30)
				switch i % 4 {
				case 0:
					if _, err := l.Sync(t.Context(), directory.Run{}); err != nil {
						t.Error(err)
					}
				case 1:
					if _, err := l.RefreshGroups(t.Context(), directory.Run{}, "all"); err != nil {
						t.Error(err)
					}
				case 2:
					if _, err := l.Login(t.Context(), name+"@corp", "x"); err != nil {
						t.Errorf("login of %s: %v", name, err)
					}
				default:
					if _, err := l.Refresh(t.Context(), directory.Run{}, name, "u1"); err != nil {
						t.Error(err)
					}
				}
				_ = l.Stats()
			}
		})
	}
	// Somebody else writes all the while, so that what was worked out on a view is
	// worked out again.
	stop := make(chan struct{})
	writer := make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				writer <- nil
				return
			default:
			}
			_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
				_, err := tx.PutData("test", "key", []byte{byte(i), byte(i >> 8)})
				return err
			})
			if err != nil {
				writer <- err
				return
			}
		}
	}()
	wg.Wait()
	close(stop)
	if err := <-writer; err != nil {
		t.Error(err)
	}
	if report := mustSync(t, l, directory.Run{}); !report.Diff.Empty() || len(report.Problems) > 0 {
		t.Errorf("%+v", report)
	}
	if _, groups := user(t, e, "u2"); !slices.Equal(groups, []string{"all", "half"}) {
		t.Errorf("%q", groups)
	}
}

// TestNames: the forms of a name that Refresh takes, and those it does not know.
func TestNames(t *testing.T) {
	c, e := made(3), open(t)
	c.users["odd"] = "u0@corp"
	l := newLink(t, e, c.source(), directory.Options{Domain: "corp.example"})
	for _, name := range []string{"u0", "U0@corp.example", `CORP\u0`, "u0@corp", "u1@elsewhere", "nobody"} {
		report, err := l.Refresh(t.Context(), directory.Run{}, name)
		unknown := name == "u1@elsewhere" || name == "nobody"
		if err != nil || (len(report.Unknown) == 1) != unknown {
			t.Errorf("%q: %+v, %v", name, report, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []directory.Options{{}, {Directory: "a\x00"}, {Directory: "a", MaxRemoved: 2}, {Directory: "a", MaxRemoved: -1}, {Directory: "a", MaxRemoved: math.NaN()}} {
		if _, err := directory.New(open(t), made(1).source(), o); !errors.Is(err, directory.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	l := newLink(t, open(t), made(1).source(), directory.Options{})
	if _, err := l.Login(t.Context(), "u0", "x"); !errors.Is(err, directory.ErrUnsupported) {
		t.Error(err)
	}
}
