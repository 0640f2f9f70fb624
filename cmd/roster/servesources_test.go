package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/directory"
)

// TestLoginThatCannotBeFinished: a password that the source has found right is not
// called wrong because the user could not be refreshed, and counts against nobody.
func TestLoginThatCannotBeFinished(t *testing.T) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var broken error
	ann := directory.User{Name: "ann", Key: "1", Refs: []string{"ann"}, Active: true}
	src := &directory.Funcs{
		EachUser: func(context.Context) iter.Seq2[directory.User, error] { return one(ann, nil) },
		EachGroup: func(context.Context) iter.Seq2[directory.Group, error] {
			return func(func(directory.Group, error) bool) {}
		},
		UsersBy: func(context.Context, []directory.Query) iter.Seq2[directory.User, error] {
			return one(ann, nil)
		},
		GroupsBy: func(context.Context, []directory.Query) iter.Seq2[directory.Group, error] {
			return func(func(directory.Group, error) bool) {}
		},
		Holding: func(context.Context, []string) iter.Seq2[directory.Group, error] {
			return func(yield func(directory.Group, error) bool) {
				if broken != nil {
					yield(directory.Group{}, broken)
				}
			}
		},
		Password: func(_ context.Context, _ directory.User, password string) (bool, error) {
			return password == "right", nil
		},
	}
	link, err := directory.New(e, src, directory.Options{Directory: "corp"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.Sync(t.Context(), sourceRun()); err != nil {
		t.Fatal(err)
	}
	l := &linkedSource{name: "corp", link: link, source: src, log: slog.New(slog.DiscardHandler)}
	login := func(what, password string, want func(error) bool) {
		t.Helper()
		if err := l.Authenticate(t.Context(), "ann", password); !want(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied := func(err error) bool { return err != nil && !errors.Is(err, access.ErrUnavailable) }
	login("right", "right", func(err error) bool { return err == nil })
	login("wrong", "wrong", denied)
	broken = errors.New("the source has lost its groups")
	login("right, without groups", "right", func(err error) bool { return errors.Is(err, access.ErrUnavailable) })
	login("wrong, without groups", "wrong", denied)
	broken = nil
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	login("right, while the engine is closed", "right", func(err error) bool { return errors.Is(err, access.ErrUnavailable) })
}

func one(u directory.User, err error) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) { yield(u, err) }
}
