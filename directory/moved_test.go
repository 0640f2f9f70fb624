package directory_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// TestMoved: entries that are not there when all are read, and are there when they
// are asked for, went from one page to another: they lose nothing.
func TestMoved(t *testing.T) {
	for _, policy := range []directory.Policy{directory.Deactivate, directory.Delete} {
		c, e := made(8), open(t)
		src := c.source()
		moved := map[string]bool{}
		each, eachGroup := src.EachUser, src.EachGroup
		src.UsersBy = func(ctx context.Context, queries []directory.Query) iter.Seq2[directory.User, error] {
			return only(each(ctx), func(u directory.User) bool { return asksFor(queries, u.Key, u.Name, u.Refs) })
		}
		src.GroupsBy = func(ctx context.Context, queries []directory.Query) iter.Seq2[directory.Group, error] {
			return only(eachGroup(ctx), func(g directory.Group) bool { return asksFor(queries, g.Key, g.Name, g.Refs) })
		}
		src.EachUser = func(ctx context.Context) iter.Seq2[directory.User, error] {
			return only(each(ctx), func(u directory.User) bool { return !moved[u.Key] })
		}
		src.EachGroup = func(ctx context.Context) iter.Seq2[directory.Group, error] {
			return only(eachGroup(ctx), func(g directory.Group) bool { return !moved[g.Key] })
		}
		l := newLink(t, e, src, directory.Options{Vanished: policy, VanishedGroups: policy})
		mustSync(t, l, directory.Run{})
		before, groups := user(t, e, "u2")

		moved["k2"], moved["gh"] = true, true
		delete(c.has["ga"], "k2") // so that nothing but its key leads to the user
		delete(c.has["gh"], "k2")
		delete(c.users, "k3") // this one is gone
		report := mustSync(t, l, directory.Run{})
		rec, now := user(t, e, "u2")
		if !rec.Active || rec.ID != before.ID || !slices.Equal(now, groups) {
			t.Errorf("policy %d: %+v is in %q, was in %q", policy, rec, now, groups)
		}
		if _, now := user(t, e, "u4"); !slices.Equal(now, groups) {
			t.Errorf("policy %d: u4 is in %q, was in %q", policy, now, groups)
		}
		if len(report.Problems) != 2 || !strings.Contains(errors.Join(report.Problems...).Error(), "moved") {
			t.Errorf("policy %d: %v", policy, report.Problems)
		}
		if gone := directory.Count(report.Diff.Users, directory.Gone); gone != 1 {
			t.Errorf("policy %d: %d users are gone, not one: %+v", policy, gone, report.Diff)
		}

		clear(moved)
		mustSync(t, l, directory.Run{})
		if _, now := user(t, e, "u2"); len(now) > 0 {
			t.Errorf("policy %d: the next run leaves u2 in %q", policy, now)
		}
		if again := mustSync(t, l, directory.Run{}); !again.Diff.Empty() {
			t.Errorf("policy %d: again: %+v", policy, again.Diff)
		}
	}
}

// only yields what is wanted.
func only[T any](all iter.Seq2[T, error], wanted func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range all {
			if (err != nil || wanted(v)) && !yield(v, err) {
				return
			}
		}
	}
}

func asksFor(queries []directory.Query, key, name string, refs []string) bool {
	return slices.ContainsFunc(queries, func(q directory.Query) bool {
		return q.Key != "" && q.Key == key || q.Name != "" && strings.EqualFold(q.Name, name) || slices.Contains(refs, q.Ref)
	})
}

// TestAdopt: who was made by hand and is not to be adopted keeps name and record,
// and nobody logs in as them through the source.
func TestAdopt(t *testing.T) {
	c, e := made(3), open(t)
	update(t, e, func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err != nil {
			return err
		}
		for _, name := range []string{"u0", "u1"} {
			if _, err := tx.CreateUser(roster.User{Directory: 1, Username: name, FullName: "by hand", Active: true}); err != nil {
				return err
			}
		}
		return nil
	})
	src := c.source()
	src.Password = func(context.Context, directory.User, string) (bool, error) { return true, nil }
	l := newLink(t, e, src, directory.Options{Adopt: func(tx *roster.Txn, u roster.User) bool {
		if tx.Username(u.ID) != u.Username {
			t.Errorf("asked about %+v", u)
		}
		return u.Username != "u0"
	}})
	for range 2 {
		report := mustSync(t, l, directory.Run{})
		if len(report.Problems) != 1 || !errors.Is(report.Problems[0], directory.ErrEntry) {
			t.Errorf("problems: %v", report.Problems)
		}
	}
	if rec, groups := user(t, e, "u0"); rec.FullName != "by hand" || len(groups) > 0 || len(rec.Attributes) > 0 {
		t.Errorf("u0 was taken over: %+v in %q", rec, groups)
	}
	if rec, groups := user(t, e, "u1"); rec.FullName != "Full u1" || len(groups) != 1 {
		t.Errorf("u1 was not taken over: %+v in %q", rec, groups)
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "u0"); err != nil {
		t.Error(err)
	}
	if _, err := l.Login(t.Context(), "u0", "x"); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("login as u0: %v", err)
	}
	if _, err := l.Login(t.Context(), "u1", "x"); err != nil {
		t.Errorf("login as u1: %v", err)
	}
}
