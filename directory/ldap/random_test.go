package ldap_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

// follower is an engine that follows a server, and the model of that.
type follower struct {
	*change
	e    *roster.Engine
	l    *directory.Link
	hand roster.GroupID
	made map[*entry]bool          // who was put into hand
	ids  map[*entry]roster.UserID // as first seen
}

func follow(t *testing.T, o directory.Options, adapt func(*ldap.Config)) *follower {
	file, base := organisation(t)
	s := start(t, slapdtest.Options{Suffix: base, LDIF: file})
	c := config(t, s)
	c.PageSize = 200
	c.UserBase = "ou=people," + base // the reader's own entry is elsewhere
	if adapt != nil {
		adapt(&c)
	}
	e, err := roster.Open(t.TempDir(), roster.Options{})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	o.Directory = "k8s"
	l, err := directory.New(e, source(t, c), o)
	must(t, err)
	return &follower{
		change: &change{model: readModel(t, file, base), t: t, conn: admin(t, s), r: rand.New(rand.NewPCG(7, 7)), touched: map[string]bool{}},
		e:      e, l: l, made: map[*entry]bool{}, ids: map[*entry]roster.UserID{},
	}
}

func (f *follower) sync(run directory.Run) *directory.Report {
	f.t.Helper()
	report, err := f.l.Sync(context.Background(), run)
	must(f.t, err)
	for _, problem := range report.Problems {
		f.t.Errorf("problem: %v", problem)
	}
	return report
}

// check compares users with the model; names that the model does not have must
// be in no enterprise group.
func (f *follower) check(when string, names []string) {
	f.t.Helper()
	byName := map[string]*entry{}
	for _, u := range f.users {
		byName[u.name] = u
	}
	must(f.t, f.e.View(context.Background(), func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("k8s")
		if err != nil {
			return err
		}
		for _, name := range names {
			u := byName[name]
			id, ok := tx.UserByName(d.ID, name)
			if !ok {
				if u != nil {
					f.t.Errorf("%s: %q is missing", when, name)
				}
				continue
			}
			if err := f.checkUser(tx, when, u, id); err != nil {
				return err
			}
		}
		hand, err := tx.DirectMembers(f.hand)
		if err != nil {
			return nil // not made yet
		}
		for u := range f.made {
			if id, seen := f.ids[u]; seen && !hand.Contains(id) {
				f.t.Errorf("%s: %q has lost what was made by hand", when, u.name)
			}
		}
		return nil
	}))
}

func (f *follower) checkUser(tx *roster.Txn, when string, u *entry, id roster.UserID) error {
	rec, err := tx.User(id)
	if err != nil {
		return err
	}
	groups, err := tx.Groups(id)
	if err != nil {
		return err
	}
	got := []string{}
	for _, g := range groups {
		if g != f.hand || f.hand == 0 {
			got = append(got, tx.GroupName(g))
		}
	}
	slices.Sort(got)
	want := []string{}
	if u != nil {
		want = f.above(u)
		if old, seen := f.ids[u]; seen && old != id {
			f.t.Errorf("%s: %q was %v and is %v", when, u.name, old, id)
		}
		f.ids[u] = id
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("%s: %q is in %q, want %q", when, rec.Username, got, want)
	}
	if rec.Active != (u != nil) {
		f.t.Errorf("%s: %q is active: %v", when, rec.Username, rec.Active)
	}
	return nil
}

func (f *follower) all() (names []string) {
	for _, u := range f.users {
		names = append(names, u.name)
	}
	return names
}

// checkGroups compares the effective members of every group.
func (f *follower) checkGroups(when string) {
	f.t.Helper()
	must(f.t, f.e.View(context.Background(), func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("k8s")
		if err != nil {
			return err
		}
		for _, g := range f.groups {
			id, ok := tx.GroupByName(d.ID, g.name)
			if !ok {
				f.t.Errorf("%s: group %q is missing", when, g.name)
				continue
			}
			set, err := tx.Members(id)
			if err != nil {
				return err
			}
			got := map[string]bool{}
			for u := range set.All() {
				got[tx.Username(u)] = true
			}
			want := map[string]bool{}
			for _, u := range f.below(g) {
				want[u.name] = true
			}
			if !maps.Equal(got, want) {
				f.t.Errorf("%s: group %q has %d members, want %d", when, g.name, len(got), len(want))
			}
		}
		return nil
	}))
}

// TestOrganisation: a sync equals the file's own computation for every user and
// group. After each of 220 changes made in the server a refresh of the users that
// it touches equals the model, what is stale is gone, and what was made by hand
// stays; a sync now and then equals it for everybody.
func TestOrganisation(t *testing.T) {
	f := follow(t, directory.Options{MaxRemoved: 0.25}, nil)
	begin := time.Now()
	report := f.sync(directory.Run{})
	t.Logf("first sync: %d users, %d groups, %d memberships in %v", report.Users, report.Groups, report.Memberships, time.Since(begin))
	f.check("first sync", f.all())
	f.checkGroups("first sync")
	if again := f.sync(directory.Run{}); !again.Diff.Empty() {
		t.Errorf("a second sync is not for nothing: %+v", again.Diff)
	}
	_, err := f.e.Update(context.Background(), func(tx *roster.Txn) (err error) {
		d, err := tx.DirectoryByName("k8s")
		if err != nil {
			return err
		}
		f.hand, err = tx.CreateGroup(roster.Group{Directory: d.ID, Name: "by hand"})
		return err
	})
	must(t, err)
	steps := 220
	if testing.Short() {
		steps = 60
	}
	for step := range steps {
		f.byHand()
		f.step()
		if len(f.touched) > 0 {
			names := slices.Sorted(maps.Keys(f.touched))
			_, err := f.l.Refresh(context.Background(), directory.Run{Force: true}, names...)
			must(t, err)
			f.check("refresh", names)
		}
		if step%40 == 39 {
			f.sync(directory.Run{})
			f.check("sync", f.all())
			f.checkGroups("sync")
		}
		if t.Failed() {
			t.Fatalf("step %d, touched %q", step, slices.Sorted(maps.Keys(f.touched)))
		}
	}
	// Each way to look at the server finds the same.
	f.sync(directory.Run{})
	users, groups := f.all()[:100], []string{}
	for _, g := range f.groups[:100] {
		groups = append(groups, g.name)
	}
	report, err = f.l.Refresh(context.Background(), directory.Run{}, users...)
	if err != nil || !report.Diff.Empty() || len(report.Unknown) > 0 {
		t.Errorf("a refresh after a sync: %+v, %v", report, err)
	}
	report, err = f.l.RefreshGroups(context.Background(), directory.Run{}, groups...)
	if err != nil || !report.Diff.Empty() || len(report.Unknown) > 0 {
		t.Errorf("a refresh of groups after a sync: %+v, %v", report, err)
	}
}

// byHand puts a user into a group that is no enterprise group.
func (f *follower) byHand() {
	u := f.user()
	_, err := f.e.Update(context.Background(), func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("k8s")
		if err != nil {
			return err
		}
		id, ok := tx.UserByName(d.ID, u.name)
		if !ok {
			return nil
		}
		f.made[u], f.ids[u] = true, id
		_, err = tx.Add(f.hand, id)
		return err
	})
	must(f.t, err)
}

// TestLargeGroup: a group of 3,000 members, made in the server, and its end.
func TestLargeGroup(t *testing.T) {
	f := follow(t, directory.Options{MaxRemoved: 1}, nil)
	f.sync(directory.Run{})
	for len(f.users) < 3000 {
		f.addUser()
	}
	g := f.addGroup(f.users[:3000]...)
	report, err := f.l.RefreshGroups(context.Background(), directory.Run{}, g.name)
	must(t, err)
	if len(report.Diff.Added) != 3000 {
		t.Errorf("%d memberships were added", len(report.Diff.Added))
	}
	f.checkGroups("refresh of a group")
	f.do(f.conn.Del(ldapv3.NewDelRequest(g.dn, nil)))
	f.groups = slices.DeleteFunc(f.groups, func(x *entry) bool { return x == g })
	_, err = f.l.RefreshGroups(context.Background(), directory.Run{}, g.name)
	must(t, err)
	f.check("group deleted", f.all()[:50])
	f.sync(directory.Run{})
	f.check("sync", f.all()[:50])
}
