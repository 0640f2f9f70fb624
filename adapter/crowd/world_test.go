package crowd_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/internal/apitest"
)

var ctx = context.Background()

const base = "/crowd/rest/admin/1.0/"

// person is a user of the world.
type person struct {
	directory roster.DirectoryID
	name      string
}

// people by directory. In Internal, boss administers user1 and badgers, root may do
// everything, clerk nothing, and gone is not active. zoe administers a group of
// Open LDAP and one of Active Directory. Passwords are pw- and the name.
var people = map[roster.DirectoryID][]string{
	0:    {"ariel", "carie", "clarita", "john", "libby"},
	1:    {"magdalena", "naomi", "patricia", "starwars", "winona", "zoe"},
	1900: {"user1", "user2", "user3", "boss", "root", "clerk", "gone"},
}

var groups = map[roster.DirectoryID][]string{
	0:    {"ldap-users"},
	1:    {"ad-users"},
	1900: {"user1", "user2", "user3", "badgers", "crowd-users"},
}

type world struct {
	testing.TB
	e   *roster.Engine
	s   *access.Service
	api http.Handler
	log *apitest.Log
	*apitest.Clock
}

func newWorld(t testing.TB, change ...func(*crowd.Options)) *world {
	t.Helper()
	w := &world{TB: t, log: &apitest.Log{}, Clock: apitest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))}
	var err error
	if w.e, err = roster.Open("", roster.Options{InMemory: true, Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.e.Close() })
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.s, err = access.New(w.e, access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}, Now: w.Now, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	w.update(w.fill)
	o := crowd.Options{Authenticator: w.s.Door(access.Crowd()), Logger: logger}
	for _, c := range change {
		c(&o)
	}
	w.api = crowd.New(w.e, o)
	return w
}

func (w *world) fill(tx *roster.Txn) error {
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	for _, d := range []roster.Directory{{ID: 0, Name: "Open LDAP"}, {ID: 1, Name: "Active Directory"}, {ID: 1900, Name: "Internal"}, {ID: 2000, Name: "Empty", Type: "CUSTOM"}} {
		_, err := tx.PutDirectory(d)
		check(err)
		for _, name := range people[d.ID] {
			_, err := tx.CreateUser(roster.User{Directory: d.ID, Username: name, Email: name + "@some.domain.com", Active: name != "gone"})
			check(err)
		}
		for _, name := range groups[d.ID] {
			_, err := tx.CreateGroup(roster.Group{Directory: d.ID, Name: name})
			check(err)
		}
	}
	for g, admin := range map[person]person{{1900, "user1"}: {1900, "boss"}, {1900, "badgers"}: {1900, "boss"}, {0, "ldap-users"}: {1, "zoe"}, {1, "ad-users"}: {1, "zoe"}} {
		_, err := tx.AddAdmins(w.group(tx, g.directory, g.name), w.user(tx, admin.directory, admin.name))
		check(err)
	}
	for _, name := range []string{"boss", "root", "clerk", "zoe", "gone", "user1"} {
		d := roster.DirectoryID(1900)
		if name == "zoe" {
			d = 1
		}
		a := access.Account{User: w.user(tx, d, name)}
		var err error
		if a.Password, err = w.s.Hasher().Hash(ctx, "pw-"+name); err != nil {
			return err
		}
		if name == "root" {
			a.Privileges = []string{access.AllPrivileges}
		}
		_, err = access.PutAccount(tx, a, w.Now())
		check(err)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) user(tx *roster.Txn, d roster.DirectoryID, name string) roster.UserID {
	u, ok := tx.UserByName(d, name)
	if !ok {
		w.Fatalf("no user %s in %v", name, d)
	}
	return u
}

func (w *world) group(tx *roster.Txn, d roster.DirectoryID, name string) roster.GroupID {
	g, ok := tx.GroupByName(d, name)
	if !ok {
		w.Fatalf("no group %s in %v", name, d)
	}
	return g
}

func (w *world) update(fn func(*roster.Txn) error) {
	w.Helper()
	if _, err := w.e.Update(ctx, fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) view(fn func(*roster.Txn)) {
	w.Helper()
	if err := w.e.View(ctx, func(tx *roster.Txn) error { fn(tx); return nil }); err != nil {
		w.Fatal(err)
	}
}

// members returns the direct members of a group by name.
func (w *world) members(d roster.DirectoryID, name string) (out []string) {
	w.view(func(tx *roster.Txn) {
		s, err := tx.DirectMembers(w.group(tx, d, name))
		if err != nil {
			w.Fatal(err)
		}
		for u := range s.ByName("") {
			out = append(out, tx.Username(u))
		}
	})
	return out
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func id(d roster.DirectoryID, name string) string {
	return fmt.Sprintf("%d-%s", d, base64.RawURLEncoding.EncodeToString([]byte(name)))
}

// request makes a request as somebody, "" for nobody.
func request(method, target, as, body string) *http.Request {
	r := apitest.Request(method, target, body)
	if as != "" {
		r.SetBasicAuth(as, "pw-"+as)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// ask sends a request and returns the status and the body of the answer.
func (w *world) ask(method, target, as, body string) (int, string) {
	a := w.send(request(method, target, as, body))
	return a.Code, a.Body.String()
}

func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	w.api.ServeHTTP(a, r)
	return a
}

func (w *world) expect(method, target, as, body string, status int, want string) {
	w.Helper()
	got, text := w.ask(method, target, as, body)
	if got != status || !strings.Contains(text, want) {
		w.Errorf("%s %s of %q as %q: %d %s, not %d %s", method, target, clip(body), as, got, clip(text), status, want)
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
