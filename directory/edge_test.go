package directory_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// TestLoginOther: whoever has a name in the source that somebody else keeps here
// does not log in as that one.
func TestLoginOther(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	src.Password = func(_ context.Context, u directory.User, password string) (bool, error) {
		return password == u.Key, nil
	}
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	update(t, e, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("corp")
		if err == nil {
			_, err = tx.CreateUser(roster.User{Directory: d.ID, Username: "root", Active: true})
		}
		return err
	})
	c.users["k1"] = "root"
	if id, err := l.Login(t.Context(), "root", "k1"); !errors.Is(err, directory.ErrCredentials) {
		rec, _ := user(t, e, "root")
		t.Errorf("logged in as %v, %v; root is %v", id, err, rec.ID)
	}
}

// TestBackInactive: a user deactivated by hand is not activated by vanishing and
// coming back.
func TestBackInactive(t *testing.T) {
	c, e := made(10), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	rec, _ := user(t, e, "u3")
	update(t, e, func(tx *roster.Txn) error {
		rec.Active = false
		_, err := tx.PutUser(rec)
		return err
	})
	delete(c.users, "k3")
	mustSync(t, l, directory.Run{})
	c.users["k3"] = "u3"
	mustSync(t, l, directory.Run{})
	if rec, _ := user(t, e, "u3"); rec.Active || len(rec.Attributes[directory.GoneAttribute]) > 0 {
		t.Errorf("back: %+v", rec)
	}
}

// TestBadGroups: a group that cannot be stored takes nothing from the one that it
// stands for.
func TestBadGroups(t *testing.T) {
	for _, keys := range []bool{true, false} {
		c, e := made(4), open(t)
		c.keys = keys
		src := c.source()
		l := newLink(t, e, src, directory.Options{VanishedGroups: directory.Delete})
		mustSync(t, l, directory.Run{})
		each := src.EachGroup
		src.EachGroup = func(ctx context.Context) iter.Seq2[directory.Group, error] {
			return func(yield func(directory.Group, error) bool) {
				for g, err := range each(ctx) {
					if g.Name == "half" {
						g.Description = strings.Repeat("long ", 50_000)
					}
					if !yield(g, err) {
						return
					}
				}
			}
		}
		report := mustSync(t, l, directory.Run{})
		if len(report.Problems) != 1 || !report.Diff.Empty() {
			t.Errorf("keys %v: %v; %+v", keys, report.Problems, report.Diff)
		}
		view(t, e, func(tx *roster.Txn) error {
			u0, err := tx.FindUser("u0")
			if err != nil {
				return err
			}
			half, err := tx.FindGroup("half")
			if err != nil || !tx.CheckDirect(u0, half) {
				t.Errorf("keys %v: half has lost u0: %v", keys, err)
				return nil
			}
			all, _ := tx.FindGroup("all")
			if subs, _ := tx.Subgroups(all); len(subs) != 1 {
				t.Errorf("keys %v: all has %v", keys, subs)
			}
			return nil
		})
	}
}

// TestBadWithKeys: a source that begins to tell keys does not lose whom it knew by
// name, though it says of one what cannot be stored.
func TestBadWithKeys(t *testing.T) {
	c, e := made(4), open(t)
	c.keys = false
	src := c.source()
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	c.keys = true
	each := src.EachUser
	src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
		return func(yield func(directory.User, error) bool) {
			for u, err := range each(ctx) {
				if u.Name == "u1" {
					u.FullName = "\xff"
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
	report := mustSync(t, l, directory.Run{})
	if rec, groups := user(t, e, "u1"); !rec.Active || len(groups) != 1 || len(report.Problems) != 1 {
		t.Errorf("%+v in %q: %v", rec, groups, report.Problems)
	}
}

// TestTakenOver: a group that somebody takes over by hand and renames leaves its
// name to the source's.
func TestTakenOver(t *testing.T) {
	c, e := made(4), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	update(t, e, func(tx *roster.Txn) error {
		id, err := tx.FindGroup("half")
		if err != nil {
			return err
		}
		rec, err := tx.Group(id)
		rec.Enterprise, rec.Name = false, "my half"
		if err == nil {
			_, err = tx.PutGroup(rec)
		}
		return err
	})
	for _, run := range []func() (*directory.Report, error){
		func() (*directory.Report, error) { return l.Refresh(t.Context(), directory.Run{}, "u0") },
		func() (*directory.Report, error) { return l.Sync(t.Context(), directory.Run{}) },
	} {
		if _, err := run(); err != nil {
			t.Error(err)
		}
	}
	if _, groups := user(t, e, "u0"); len(groups) != 3 {
		t.Errorf("u0 is in %q", groups)
	}
	if again := mustSync(t, l, directory.Run{}); !again.Diff.Empty() {
		t.Errorf("again: %+v", again.Diff)
	}
}

// TestForeignOrder: a group renamed to the name of one that is no enterprise group
// goes on having the source's members, whatever the names are.
func TestForeignOrder(t *testing.T) {
	for _, name := range []string{"aaa", "zzz"} {
		c, e := made(4), open(t)
		l := newLink(t, e, c.source(), directory.Options{})
		mustSync(t, l, directory.Run{})
		update(t, e, func(tx *roster.Txn) error {
			_, err := tx.CreateGroup(roster.Group{Directory: 1, Name: name})
			return err
		})
		c.groups["gh"] = name
		c.has["gh"]["k1"] = true
		report := mustSync(t, l, directory.Run{})
		if _, groups := user(t, e, "u1"); len(groups) != 2 || len(report.Problems) != 1 {
			t.Errorf("%s: u1 is in %q: %v", name, groups, report.Problems)
		}
	}
}

// TestLastOwner: the last owner of an organisation is deactivated and not deleted;
// that is said beforehand, and done once.
func TestLastOwner(t *testing.T) {
	c, e := made(20), open(t)
	l := newLink(t, e, c.source(), directory.Options{Vanished: directory.Delete})
	mustSync(t, l, directory.Run{})
	u1, _ := user(t, e, "u1")
	u2, _ := user(t, e, "u2")
	update(t, e, func(tx *roster.Txn) error {
		_, err := tx.PutOrganization(roster.Organization{ID: "acme"})
		for _, id := range []roster.UserID{u1.ID, u2.ID} {
			if err == nil {
				_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: id, Owner: true})
			}
		}
		return err
	})
	delete(c.users, "k1")
	delete(c.users, "k2")
	dry := mustSync(t, l, directory.Run{DryRun: true})
	if directory.Count(dry.Diff.Users, directory.Deleted) != 1 || directory.Count(dry.Diff.Users, directory.Deactivated) != 1 || len(dry.Problems) != 1 {
		t.Errorf("dry run: %+v, %v", dry.Diff.Users, dry.Problems)
	}
	mustSync(t, l, directory.Run{})
	before := e.Revision()
	again := mustSync(t, l, directory.Run{})
	if !again.Diff.Empty() || e.Revision() != before || len(again.Problems) != 1 || !errors.Is(again.Problems[0], roster.ErrLastOwner) {
		t.Errorf("again: %+v, %v", again.Diff, again.Problems)
	}
	update(t, e, func(tx *roster.Txn) error { return tx.DeleteOrganization("acme") })
	if last := mustSync(t, l, directory.Run{}); directory.Count(last.Diff.Users, directory.Deleted) != 1 {
		t.Errorf("no owner any more: %+v", last.Diff)
	}
}

// TestNoPlace: who cannot be made because of a name is not said to join anything.
func TestNoPlace(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	each, eachGroup := src.EachUser, src.EachGroup
	src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
		return func(yield func(directory.User, error) bool) {
			for u, err := range each(ctx) {
				if u.Key == "k1" {
					u.Name = "a\x00b" // the engine's u1 stays what it is
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
	src.EachGroup = func(ctx context.Context) iter.Seq2[directory.Group, error] {
		return func(yield func(directory.Group, error) bool) {
			for g, err := range eachGroup(ctx) {
				if g.Key == "gh" {
					g.Name = "a\x00b"
				}
				if !yield(g, err) {
					return
				}
			}
		}
	}
	c.users["new"] = "u1"
	c.has["ga"]["new"] = true
	c.groups["gn"], c.has["gn"] = "half", map[string]bool{"k2": true}
	for range 2 {
		report := mustSync(t, l, directory.Run{})
		if !report.Diff.Empty() || len(report.Problems) != 4 {
			t.Errorf("%+v, %v", report.Diff, report.Problems)
		}
	}
}

// TestGuardTakeover: users who were there before the first sync count.
func TestGuardTakeover(t *testing.T) {
	c, e := made(100), open(t)
	update(t, e, func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		for _, name := range c.users {
			if err == nil {
				_, err = tx.CreateUser(roster.User{Directory: 1, Username: name, Active: true})
			}
		}
		return err
	})
	src := c.source()
	each := src.EachUser
	src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
		return func(yield func(directory.User, error) bool) {
			for u, err := range each(ctx) {
				u.Silent, u.Active = 0, len(u.Name) > 2 || u.Name > "u4"
				if !yield(u, err) {
					return
				}
			}
		}
	}
	if _, err := newLink(t, e, src, directory.Options{}).Sync(t.Context(), directory.Run{}); err != nil {
		t.Error(err)
	}
}

// TestWaiting: who waits for another sync may give up.
func TestWaiting(t *testing.T) {
	c, e := made(3), open(t)
	src := c.source()
	each := src.EachUser
	reading, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
		once.Do(func() { close(reading) })
		<-release
		return each(ctx)
	}
	l := newLink(t, e, src, directory.Options{})
	first := make(chan error, 1)
	go func() { _, err := l.Sync(context.Background(), directory.Run{}); first <- err }()
	<-reading
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	done := make(chan error, 2)
	go func() { _, err := l.Sync(ctx, directory.Run{}); done <- err }()
	go func() { _, err := l.RefreshGroups(ctx, directory.Run{}, "all"); done <- err }()
	for range 2 {
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("still waits")
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestOvertaken: what a sync has read earlier than a refresh does not last, though
// it is written before the refresh returns.
func TestOvertaken(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	mustSync(t, newLink(t, e, src, directory.Options{}), directory.Run{})
	c.users["k10"] = "u10" // so that the sync has something to write
	var old []directory.Group
	for g, err := range src.EachGroup(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, g)
	}
	first := true
	reading, release, each := make(chan struct{}), make(chan struct{}), src.EachGroup
	src.EachGroup = func(ctx context.Context) iter.Seq2[directory.Group, error] {
		if !first {
			return each(ctx)
		}
		first = false
		close(reading)
		<-release
		return until(ctx, old)
	}
	var calls atomic.Int64
	var now func() time.Time
	l := newLink(t, e, src, directory.Options{Now: func() time.Time { return now() }})
	now = time.Now
	synced := make(chan error, 1)
	go func() { _, err := l.Sync(context.Background(), directory.Run{}); synced <- err }()
	<-reading
	c.has["ga"] = map[string]bool{"gh": true, "k0": true, "k2": true, "k3": true, "k4": true, "k5": true}
	delete(c.has["gh"], "k2")
	now = func() time.Time {
		if calls.Add(1) == 3 { // the refresh has begun, written, and is done
			written := e.Revision()
			close(release)
			for range 5000 {
				if e.Revision() != written {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		return time.Now()
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "u1", "u2"); err != nil {
		t.Error(err)
	}
	if err := <-synced; err != nil {
		t.Error(err)
	}
	if _, groups := user(t, e, "u1"); len(groups) > 0 {
		t.Errorf("u1 is in %q again", groups)
	}
}

// TestEmptied: a source that has had nobody for long, which was forced, is no error
// each time.
func TestEmptied(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	asked := 0 // about how many users
	each := src.EachUser
	src.UsersBy = func(ctx context.Context, queries []directory.Query) iter.Seq2[directory.User, error] {
		asked += len(queries)
		return only(each(ctx), func(u directory.User) bool { return asksFor(queries, u.Key, u.Name, u.Refs) })
	}
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	delete(c.users, "k9")
	mustSync(t, l, directory.Run{})
	if asked == 0 {
		t.Error("asked about nobody, though one is gone")
	}
	asked = 0
	c.users, c.groups = map[string]string{}, map[string]string{}
	var guard *directory.GuardError
	if _, err := l.Sync(t.Context(), directory.Run{}); !errors.As(err, &guard) || guard.Removed != 9 || guard.Of != 9 {
		t.Error(err)
	}
	mustSync(t, l, directory.Run{Force: true})
	if asked > 0 {
		t.Errorf("asked about %d users of a source that lists nobody", asked)
	}
	if report := mustSync(t, l, directory.Run{}); !report.Diff.Empty() {
		t.Errorf("again: %+v", report.Diff)
	}
}

// TestEveryClosed: syncs by the clock end with the engine, and do not go on reading
// the source for nothing.
func TestEveryClosed(t *testing.T) {
	c := made(3)
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(t, e, c.source(), directory.Options{})
	done := make(chan error, 1)
	go func() { done <- l.Every(t.Context(), time.Millisecond, 0, directory.Run{}) }()
	for l.Stats().Runs < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, roster.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("goes on")
	}
}

// TestGuardGroups: groups that would be deleted count, whoever is in them.
func TestGuardGroups(t *testing.T) {
	c, e := made(4), open(t)
	for _, key := range []string{"g1", "g2", "g3", "g4"} {
		c.groups[key], c.has[key] = "group "+key, map[string]bool{}
	}
	l := newLink(t, e, c.source(), directory.Options{VanishedGroups: directory.Delete})
	mustSync(t, l, directory.Run{})
	names := make([]string, 0, 4)
	for _, key := range []string{"g1", "g2", "g3", "g4"} {
		names = append(names, c.groups[key])
		delete(c.groups, key)
	}
	if _, err := l.Sync(t.Context(), directory.Run{}); !errors.Is(err, directory.ErrTooMuch) {
		t.Error(err)
	}
	if _, err := l.RefreshGroups(t.Context(), directory.Run{}, names...); !errors.Is(err, directory.ErrTooMuch) {
		t.Error(err)
	}
	mustSync(t, l, directory.Run{Force: true})
}
