package directory_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// TestRandom: after random changes of a source, a refresh of the users that they
// touch, and a sync of everything, give what the source says. What was made by
// hand stays, and who was renamed is the same.
func TestRandom(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		for _, keys := range []bool{true, false} {
			r := newRandomRun(t, seed, keys)
			for step := range 60 {
				r.step(step)
				if t.Failed() {
					t.Fatalf("seed %d, keys %v, step %d", seed, keys, step)
				}
			}
		}
	}
}

// randomRun is a company and an engine that follows it.
type randomRun struct {
	t    *testing.T
	p    *player
	e    *roster.Engine
	l    *directory.Link
	hand roster.GroupID
	made map[roster.UserID]bool   // members of hand
	ids  map[string]roster.UserID // by key, as first seen
}

func newRandomRun(t *testing.T, seed uint64, keys bool) *randomRun {
	r := &randomRun{t: t, p: &player{newCompany(keys), rand.New(rand.NewPCG(seed, 1)), 0}, e: open(t), made: map[roster.UserID]bool{}, ids: map[string]roster.UserID{}}
	r.l = newLink(t, r.e, r.p.source(), directory.Options{MaxRemoved: 1})
	for range 10 {
		r.p.step()
	}
	r.p.users["k0"] = "user-0"
	if _, err := r.l.Sync(context.Background(), directory.Run{Force: true}); err != nil {
		t.Fatal(err)
	}
	update(t, r.e, func(tx *roster.Txn) (err error) {
		d, err := tx.DirectoryByName("corp")
		if err != nil {
			return err
		}
		r.hand, err = tx.CreateGroup(roster.Group{Directory: d.ID, Name: "by hand"})
		return err
	})
	return r
}

func (r *randomRun) step(n int) {
	r.byHand()
	touched := r.p.step()
	// Sometimes other changes go by before anybody is told.
	for r.p.r.IntN(3) == 0 {
		touched = append(touched, r.p.step()...)
	}
	if len(r.p.users) == 0 {
		r.p.users["k0"] = "user-0"
		touched = append(touched, "user-0")
	}
	ctx := context.Background()
	if len(touched) > 0 {
		dry, err := r.l.Refresh(ctx, directory.Run{DryRun: true}, touched...)
		if err != nil {
			r.t.Fatal(err)
		}
		real, err := r.l.Refresh(ctx, directory.Run{}, touched...)
		if err != nil {
			r.t.Fatal(err)
		}
		if !slices.Equal(dry.Diff.Added, real.Diff.Added) || !slices.Equal(dry.Diff.Users, real.Diff.Users) {
			r.t.Errorf("a dry run says %+v, the run does %+v", dry.Diff, real.Diff)
		}
		r.check("refresh", touched)
	}
	if r.p.r.IntN(3) == 0 && len(r.p.groups) > 0 {
		r.refreshGroup(r.p.pick(r.p.groups))
	}
	if n%5 == 4 {
		r.sync()
	}
}

// refreshGroup refreshes a group and compares all its members, at any depth.
func (r *randomRun) refreshGroup(key string) {
	if _, err := r.l.RefreshGroups(context.Background(), directory.Run{Force: true}, r.p.groups[key]); err != nil {
		r.t.Fatal(err)
	}
	want := []string{}
	for _, k := range r.p.below(key) {
		want = append(want, r.p.users[k])
	}
	slices.Sort(want)
	view(r.t, r.e, func(tx *roster.Txn) error {
		g, err := tx.FindGroup(r.p.groups[key])
		if err != nil {
			return err
		}
		set, err := tx.Members(g)
		got := []string{}
		for u := range set.All() {
			got = append(got, tx.Username(u))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			r.t.Errorf("refresh of group %q: it has %q, want %q", r.p.groups[key], got, want)
		}
		return err
	})
}

// byHand puts somebody into a group that is no enterprise group.
func (r *randomRun) byHand() {
	update(r.t, r.e, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("corp")
		if err != nil {
			return err
		}
		id, ok := tx.UserByName(d.ID, r.p.users[r.p.pick(r.p.users)])
		if !ok {
			return nil
		}
		r.made[id] = true
		_, err = tx.Add(r.hand, id)
		return err
	})
}

func (r *randomRun) sync() {
	ctx := context.Background()
	report, err := r.l.Sync(ctx, directory.Run{Force: true})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		r.t.Errorf("problems: %v", report.Problems)
	}
	var all []string
	for _, name := range r.p.users {
		all = append(all, name)
	}
	r.check("sync", all)
	before := r.e.Revision()
	again, err := r.l.Sync(ctx, directory.Run{})
	if err != nil || !again.Diff.Empty() || r.e.Revision() != before {
		r.t.Errorf("a second sync is not for nothing: %+v, %v", again, err)
	}
	view(r.t, r.e, func(tx *roster.Txn) error {
		active, err := tx.Active()
		if err != nil || active.Len() != len(r.p.users) {
			r.t.Errorf("%d are active, want %d", active.Len(), len(r.p.users))
		}
		return err
	})
}

// check compares users with the model.
func (r *randomRun) check(when string, names []string) {
	keyOf := map[string]string{}
	for k, name := range r.p.users {
		keyOf[name] = k
	}
	view(r.t, r.e, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("corp")
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ok := tx.UserByName(d.ID, name)
			key := keyOf[name]
			if !ok {
				if key != "" {
					r.t.Errorf("%s: user %q is missing", when, name)
				}
				continue
			}
			got, err := enterprise(tx, id)
			if err != nil {
				return err
			}
			if want := r.p.above(key); !slices.Equal(got, want) {
				r.t.Errorf("%s: %q is in %q, want %q", when, name, got, want)
			}
			if rec, err := tx.User(id); err != nil || rec.Active != (key != "") {
				r.t.Errorf("%s: %q is active: %v, %v", when, name, rec.Active, err)
			}
			if old, seen := r.ids[key]; key != "" && seen && old != id && r.p.keys {
				r.t.Errorf("%s: %q was %v and is %v", when, name, old, id)
			}
			r.ids[key] = id
		}
		hand, err := tx.DirectMembers(r.hand)
		if err != nil {
			return err
		}
		for u := range r.made {
			if !hand.Contains(u) {
				r.t.Errorf("%s: %q has lost what was made by hand", when, tx.Username(u))
			}
		}
		return nil
	})
}

// TestUnreachable: a source that ends in an error changes nothing.
func TestUnreachable(t *testing.T) {
	r := newRandomRun(t, 3, true)
	r.sync()
	before := r.e.Revision()
	r.p.users = map[string]string{"k0": "user-0", "k1": "other"}
	r.p.broken = directory.ErrUnreachable
	if _, err := r.l.Sync(t.Context(), directory.Run{Force: true}); !errors.Is(err, directory.ErrUnreachable) {
		t.Errorf("sync: %v", err)
	}
	if _, err := r.l.Refresh(t.Context(), directory.Run{Force: true}, "user-0", "other"); !errors.Is(err, directory.ErrUnreachable) {
		t.Errorf("refresh: %v", err)
	}
	if r.e.Revision() != before {
		t.Error("something was changed")
	}
	s := r.l.Stats()
	if s.Failures != 2 || !errors.Is(s.LastError, directory.ErrUnreachable) || s.LastSuccess.IsZero() {
		t.Errorf("stats: %+v", s)
	}
	r.p.broken = nil
	if _, err := r.l.Sync(t.Context(), directory.Run{Force: true}); err != nil {
		t.Error(err)
	}
}

// TestDirectoryBefore: the directory is there before the source was read, once, and the
// first Sync takes it.
func TestDirectoryBefore(t *testing.T) {
	c, e := made(3), open(t)
	update(t, e, func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "other"})
		return err
	})
	l := newLink(t, e, c.source(), directory.Options{Domain: "corp.example", Type: "test"})
	for range 2 {
		if id, err := l.Directory(t.Context()); err != nil || id != 2 || e.Revision() != 2 {
			t.Fatalf("directory %d, %v, at revision %d", id, err, e.Revision())
		}
	}
	mustSync(t, l, directory.Run{})
	err := e.View(t.Context(), func(tx *roster.Txn) error {
		d, err := tx.Directory(2)
		users, _ := tx.DirectoryUsers(2)
		if d.Domain != "corp.example" || d.Type != "test" || len(tx.Directories()) != 2 || users.Len() != 3 {
			t.Errorf("%+v of %d, with %d users", d, len(tx.Directories()), users.Len())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if id, err := l.Directory(t.Context()); !errors.Is(err, roster.ErrClosed) {
		t.Errorf("after the engine was closed: %d, %v", id, err)
	}
}
