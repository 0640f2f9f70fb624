package ingress_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/internal/apitest"
)

var ctx = context.Background()

const (
	path = "/api/ingress/user_group_members"
	form = "application/x-www-form-urlencoded"
	js   = "application/json"
)

// users and groups of the world by number. Directory 2 has a group Twin too, and
// user 300 and group 30 belong to it.
var (
	users  = map[uint64]string{1: "root", 2: "lead", 3: "clerk", 4: "gone", 15: "ann", 248: "ben", 249: "cid", 300: "other"}
	groups = map[uint64]string{10: "Sales", 11: "North, East", 12: "10", 13: "Ops", 20: "Twin", 30: "Twin"}
)

// The keys: 1 of root, who may do everything; 2 of lead, who administers Sales and
// Ops; 3 of clerk, who administers nothing; 4 of gone, who is not active; 5 has
// expired; 6 is for the endpoint without /drop, 7 for an address. Secrets are k and
// the ID.
type world struct {
	testing.TB
	e   *roster.Engine
	s   *access.Service
	api http.Handler
	log *apitest.Log
}

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func newWorld(t testing.TB, change ...func(*ingress.Options)) *world {
	t.Helper()
	w := &world{TB: t, log: &apitest.Log{}}
	var err error
	if w.e, err = roster.Open("", roster.Options{InMemory: true, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.e.Close() })
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.s, err = access.New(w.e, access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}, Now: clock, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	w.update(w.fill)
	var way access.Stretching
	w.view(func(tx *roster.Txn) { way, err = w.s.Hasher().Stretching(tx) })
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *roster.Txn) error {
		for id, user := range map[string]uint64{"1": 1, "2": 2, "3": 3, "4": 4, "5": 1, "6": 1, "7": 1} {
			k := access.Key{ID: id, User: w.user(tx, user)}
			if k.Secret, err = way.Hash(ctx, "k"+id); err != nil {
				return err
			}
			switch id {
			case "5":
				k.Expires = clock().Add(-time.Second)
			case "6":
				k.Endpoints = []string{path}
			case "7":
				k.Addresses = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			}
			if _, err = access.PutKey(tx, k, clock()); err != nil {
				return err
			}
		}
		_, err := access.PutAccount(tx, access.Account{User: w.user(tx, 1), Privileges: []string{access.AllPrivileges}}, clock())
		return err
	})
	o := ingress.Options{Authenticator: w.s.Door(access.Ingress()), Logger: logger}
	for _, c := range change {
		c(&o)
	}
	w.api = ingress.New(w.e, o)
	return w
}

func (w *world) fill(tx *roster.Txn) error {
	for id, name := range []string{1: "corp", 2: "other"} {
		if id == 0 {
			continue
		}
		if _, err := tx.PutDirectory(roster.Directory{ID: roster.DirectoryID(id), Name: name}); err != nil {
			return err
		}
	}
	in := func(n uint64, second uint64) roster.DirectoryID {
		if n >= second {
			return 2
		}
		return 1
	}
	for n, name := range users {
		if _, err := tx.CreateUser(roster.User{Directory: in(n, 300), Username: name, Number: n, Active: name != "gone"}); err != nil {
			return err
		}
	}
	for n, name := range groups {
		if _, err := tx.CreateGroup(roster.Group{Directory: in(n, 30), Name: name, Number: n}); err != nil {
			return err
		}
	}
	for _, n := range []uint64{10, 13} {
		if _, err := tx.AddAdmins(w.group(tx, n), w.user(tx, 2)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) user(tx *roster.Txn, n uint64) roster.UserID {
	u, ok := tx.UserByNumber(n)
	if !ok {
		w.Fatalf("no user %d", n)
	}
	return u
}

func (w *world) group(tx *roster.Txn, n uint64) roster.GroupID {
	g, ok := tx.GroupByNumber(n)
	if !ok {
		w.Fatalf("no group %d", n)
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

// in returns the numbers of the groups that a user is a direct member of.
func (w *world) in(user uint64) (out []uint64) {
	w.view(func(tx *roster.Txn) {
		all, err := tx.DirectGroups(w.user(tx, user))
		if err != nil {
			w.Fatal(err)
		}
		for _, g := range all {
			rec, err := tx.Group(g)
			if err != nil {
				w.Fatal(err)
			}
			out = append(out, rec.Number)
		}
	})
	slices.Sort(out)
	return out
}

// request makes a request with a key, 0 for none.
func request(method, target string, key int, contentType, body string) *http.Request {
	r := apitest.Request(method, target, body)
	if key != 0 {
		r.Header.Set("tld-api-id", strconv.Itoa(key))
		r.Header.Set("tld-api-key", "k"+strconv.Itoa(key))
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	w.api.ServeHTTP(a, r)
	return a
}

// expect sends a request with key 1 and compares the answer.
func (w *world) expect(method, target, contentType, body string, status int, want string) {
	w.Helper()
	w.expectKey(1, method, target, contentType, body, status, want)
}

func (w *world) expectKey(key int, method, target, contentType, body string, status int, want string) {
	w.Helper()
	a := w.send(request(method, target, key, contentType, body))
	if got := strings.TrimSpace(a.Body.String()); a.Code != status || got != want {
		w.Errorf("%s %s %q with key %d: %d %s, not %d %s", method, target, clip(body), key, a.Code, got, status, want)
	}
}

func failed(text string) string { return `{"error":"` + text + `"}` }

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
