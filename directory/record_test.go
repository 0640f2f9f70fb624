package directory_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// TestRecord: which fields of a record are the source's, and which stay.
func TestRecord(t *testing.T) {
	u := directory.User{
		Key: "k", Name: "alice", Refs: []string{"a"}, FullName: "Alice", Email: "a@x", Description: "cn=alice", Active: true,
		Attributes: map[string][]string{"title": {"Dr", "Prof"}, "room": {"1"}, "none": {}},
	}
	src := &directory.Funcs{
		EachUser: func(ctx context.Context) iter.Seq2[directory.User, error] {
			return until(ctx, []directory.User{u, {Key: "k2", Name: "bob", Refs: []string{"b"}, Active: true}})
		},
		EachGroup: func(ctx context.Context) iter.Seq2[directory.Group, error] { return until(ctx, []directory.Group{}) },
	}
	e := open(t)
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	update(t, e, func(tx *roster.Txn) error {
		id, err := tx.FindUser("alice")
		if err != nil {
			return err
		}
		rec, err := tx.User(id)
		if err != nil {
			return err
		}
		rec.Attributes["by hand"] = []string{"kept"}
		rec.FullName = "overruled"
		_, err = tx.PutUser(rec)
		return err
	})
	check := func(step string, want roster.User) {
		t.Helper()
		for range 2 {
			mustSync(t, l, directory.Run{})
		}
		got, _ := user(t, e, "alice")
		if got.FullName != want.FullName || got.Email != want.Email || got.Description != want.Description || got.Active != want.Active || !maps.EqualFunc(got.Attributes, want.Attributes, slices.Equal[[]string]) {
			t.Errorf("%s: %+v, want %+v", step, got, want)
		}
	}
	want := roster.User{FullName: "Alice", Email: "a@x", Description: "cn=alice", Active: true, Attributes: map[string][]string{
		"title": {"Dr", "Prof"}, "room": {"1"}, "by hand": {"kept"}, directory.KeyAttribute: {"k"},
	}}
	check("overruled", want)
	u.Attributes = map[string][]string{"title": {"Dr"}, "room": nil}
	u.Active, want.Active = false, false
	want.Attributes["title"] = []string{"Dr"}
	delete(want.Attributes, "room")
	check("changed", want)
	u.Silent, u.FullName, u.Email, u.Description, u.Active, u.Attributes = directory.FullName|directory.Email|directory.Description|directory.Active, "", "", "", true, nil
	check("silent", want)
	u.Silent, u.Active = 0, true
	want.FullName, want.Email, want.Description, want.Active = "", "", "", true
	check("empty", want)
	u.Attributes = map[string][]string{directory.KeyAttribute: {"forged"}}
	if report := mustSync(t, l, directory.Run{}); len(report.Problems) != 1 || !report.Diff.Empty() {
		t.Errorf("a forged key: %+v", report)
	}
}

// TestTakenNames: who is renamed to a name that somebody else keeps, keeps the old
// one; what is gone gives its name up, users and groups.
func TestTakenNames(t *testing.T) {
	c, e := made(10), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	update(t, e, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("corp")
		if err == nil {
			_, err = tx.CreateUser(roster.User{Directory: d.ID, Username: "root", Active: true})
		}
		return err
	})
	c.users["k1"], c.users["k2"] = "ROOT", "u1" // the second waits for the first
	for _, run := range []func() (*directory.Report, error){
		func() (*directory.Report, error) { return l.Refresh(t.Context(), directory.Run{}, "u1", "u2") },
		func() (*directory.Report, error) { return l.Sync(t.Context(), directory.Run{}) },
	} {
		report, err := run()
		if err != nil || len(report.Problems) != 2 || !errors.Is(report.Problems[0], directory.ErrEntry) {
			t.Errorf("%+v, %v", report, err)
		}
		for _, name := range []string{"u1", "u2", "root"} {
			if rec, _ := user(t, e, name); !rec.Active {
				t.Errorf("%+v", rec)
			}
		}
	}
	c.users["k1"], c.users["k2"] = "u1", "u2"
	delete(c.groups, "gh")
	c.groups["ga"] = "half" // the name of one that is gone
	var before roster.GroupID
	view(t, e, func(tx *roster.Txn) (err error) { before, err = tx.FindGroup("all"); return err })
	report, err := l.RefreshGroups(t.Context(), directory.Run{Force: true}, "half")
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	mustSync(t, l, directory.Run{Force: true})
	view(t, e, func(tx *roster.Txn) error {
		id, err := tx.FindGroup("half")
		if err != nil || id != before {
			t.Errorf("%v was %v: %v", id, before, err)
		}
		gone, err := tx.FindGroup("half~1")
		members, _ := tx.Members(gone)
		if err != nil || members.Len() > 0 {
			t.Errorf("%d members, %v", members.Len(), err)
		}
		return nil
	})
	if report := mustSync(t, l, directory.Run{}); !report.Diff.Empty() {
		t.Errorf("again: %+v", report.Diff)
	}
}
