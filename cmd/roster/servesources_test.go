package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/exchange"
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

// TestLoginWithANameOfBefore: who has got the name of an administrator in the source, who
// is called otherwise there now, is not let in as that administrator.
func TestLoginWithANameOfBefore(t *testing.T) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	people := []directory.User{{Name: "ann", Key: "1", Refs: []string{"1"}, Active: true}}
	l := linkTo(t, e, &people)
	var ann roster.UserID
	_, err = e.Update(t.Context(), func(tx *roster.Txn) error {
		ann, _ = tx.UserByName(l.id, "ann")
		_, err := access.PutAccount(tx, access.Account{User: ann, Privileges: []string{access.AllPrivileges}}, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	doors, err := access.New(e, access.Options{Sources: linkedSources{l}.passwords()})
	if err != nil {
		t.Fatal(err)
	}
	people = []directory.User{{Name: "ann", Key: "2", Refs: []string{"2"}, Active: true}, {Name: "ann.lee", Key: "1", Refs: []string{"1"}, Active: true}}
	if p, err := doors.Login(t.Context(), "ann", "of 2", netip.Addr{}); !errors.Is(err, access.ErrDenied) {
		t.Errorf("at first: %+v, %v", p, err)
	}
	if p, err := doors.Login(t.Context(), "ann", "of 2", netip.Addr{}); err != nil || p.User == ann || len(p.Privileges) > 0 {
		t.Errorf("from then on: %+v, %v", p, err)
	}
	if p, err := doors.Login(t.Context(), "ann.lee", "of 1", netip.Addr{}); err != nil || p.User != ann {
		t.Errorf("the administrator: %+v, %v", p, err)
	}
}

// linkTo returns a source of some people, whose passwords are "of" and their key.
func linkTo(t *testing.T, e *roster.Engine, people *[]directory.User) *linkedSource {
	t.Helper()
	src := &directory.Funcs{
		EachUser: func(context.Context) iter.Seq2[directory.User, error] {
			return func(yield func(directory.User, error) bool) {
				for _, u := range *people {
					if !yield(u, nil) {
						return
					}
				}
			}
		},
		EachGroup: func(context.Context) iter.Seq2[directory.Group, error] {
			return func(func(directory.Group, error) bool) {}
		},
		Password: func(_ context.Context, u directory.User, password string) (bool, error) {
			return password == "of "+u.Key, nil
		},
	}
	link, err := directory.New(e, src, directory.Options{Directory: "corp"})
	if err != nil {
		t.Fatal(err)
	}
	l := &linkedSource{name: "corp", link: link, source: src, log: slog.New(slog.DiscardHandler)}
	if err := l.begin(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestUsersBesideASource: users that are made by the Rebilly API belong to no source if
// there is another directory, and keep nobody there from logging in.
func TestUsersBesideASource(t *testing.T) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l := linkTo(t, e, &[]directory.User{{Name: "ann", Key: "1", Refs: []string{"1"}, Active: true}})
	hasher, err := access.NewHasher(access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	const local = `{"kind":"directory","id":9,"name":"local"}
{"kind":"user","directory":9,"username":"root"}
{"kind":"account","directory":9,"user":"root","password":"secret-root","privileges":["*"]}
{"kind":"organization","id":"org_1"}
{"kind":"orgMembership","organization":"org_1","user":"usr_2","isOwner":true}
{"kind":"user","directory":9,"username":"owner","id":2}
{"kind":"apiKey","id":"owner","secret":"secret-key","directory":9,"user":"owner"}
`
	if _, err := exchange.Import(t.Context(), e, exchange.Options{Format: exchange.JSONLines, Hasher: hasher}, exchange.Input{Name: "local", Reader: strings.NewReader(local)}); err != nil {
		t.Fatal(err)
	}
	s := &server{log: slog.New(slog.DiscardHandler), limits: defaultLimits()}
	h, err := s.handler(e, linkedSources{l})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(status int, method, path, body string, header ...string) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set(header[0], header[1])
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != status {
			t.Errorf("%s %s: %d, not %d: %s", method, path, w.Code, status, w.Body)
		}
	}
	const managed = "/crowd/rest/admin/1.0/directory/managed"
	ask(409, "POST", "/rebilly/users", `{"username":"root"}`, "REB-APIKEY", "secret-key")
	ask(201, "POST", "/rebilly/users", `{"username":"ann"}`, "REB-APIKEY", "secret-key")
	ask(200, "GET", managed, "", "Authorization", basic("root", "secret-root"))
	ask(200, "GET", managed, "", "Authorization", basic("ann", "of 1"))
}

func one(u directory.User, err error) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) { yield(u, err) }
}
