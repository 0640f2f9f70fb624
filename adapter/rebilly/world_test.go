package rebilly_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/rebilly"
	"github.com/rosterdb/roster/internal/apitest"
)

var ctx = context.Background()

// world is an engine with two organisations, mounted in a mux:
//
//	org_1  owner owns it; clerk may list, read, change and end memberships; plain
//	       is in it; remote is like clerk, from 198.51.100.0/24 alone
//	org_2  stranger owns it
//
// and root, who has all privileges, ada (usr_1), who is in nothing, and gone, who
// is not active. Each has an API key, whose name in a test is that of its user.
type world struct {
	testing.TB
	e       *roster.Engine
	s       *access.Service
	mux     *http.ServeMux
	log     bytes.Buffer
	users   map[string]roster.UserID
	secrets map[string]string
	from    string // address of the client
	*apitest.Clock
}

func newWorld(t testing.TB, change ...func(*rebilly.Options)) *world {
	t.Helper()
	w := &world{
		TB: t, mux: http.NewServeMux(), users: map[string]roster.UserID{}, secrets: map[string]string{},
		from: "203.0.113.9:4711", Clock: apitest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	var err error
	if w.e, err = roster.Open("", roster.Options{InMemory: true, Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.e.Close() })
	quick := access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}
	if w.s, err = access.New(w.e, access.Options{Hash: quick, Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	w.update(w.fill)
	for name, u := range w.users {
		if w.secrets[name], err = w.s.CreateKey(ctx, access.Key{ID: name, User: u}); err != nil {
			t.Fatal(err)
		}
	}
	w.key("expired", access.Key{User: w.users["root"], Expires: w.Now().Add(time.Minute)})
	w.key("elsewhere", access.Key{User: w.users["root"], Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	w.key("narrow", access.Key{User: w.users["root"], Endpoints: []string{"/rebilly/users"}})
	w.update(func(tx *roster.Txn) error {
		u, err := tx.User(w.users["gone"])
		if err == nil {
			u.Active = false
			_, err = tx.PutUser(u)
		}
		return err
	})
	w.secrets["wrong"] = "sk_wrong"
	w.serve(change...)
	return w
}

func (w *world) key(name string, k access.Key) {
	w.Helper()
	var err error
	if k.ID = name; w.secrets[name] == "" {
		if w.secrets[name], err = w.s.CreateKey(ctx, k); err != nil {
			w.Fatal(err)
		}
	}
}

// serve mounts the handler anew, with other options perhaps.
func (w *world) serve(change ...func(*rebilly.Options)) {
	o := rebilly.Options{Authenticator: w.s.Door(access.Rebilly()), Now: w.Now, Logger: slog.New(slog.NewTextHandler(&w.log, nil))}
	for _, c := range change {
		c(&o)
	}
	w.mux = http.NewServeMux()
	w.mux.Handle("/rebilly/", rebilly.New(w.e, o))
}

func (w *world) fill(tx *roster.Txn) error {
	if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp", Domain: "corp.example"}); err != nil {
		return err
	}
	for _, u := range []roster.User{
		{Username: "ada", UID: "usr_1", FullName: "Ada L", Email: "ada@example.com"},
		{Username: "root", UID: "usr_root"}, {Username: "owner", UID: "usr_owner", FullName: "Olga Owner", Email: "olga@example.com"},
		{Username: "clerk", UID: "usr_clerk", FullName: "Carl Clerk", Email: "carl@example.com"},
		{Username: "plain", UID: "usr_plain"}, {Username: "remote", UID: "usr_remote"},
		{Username: "stranger", UID: "usr_stranger"}, {Username: "gone", UID: "usr_gone"},
	} {
		u.Directory, u.Active = 1, true
		id, err := tx.CreateUser(u)
		if err != nil {
			return err
		}
		w.users[u.Username] = id
	}
	_, err1 := access.PutAccount(tx, access.Account{User: w.users["root"], Privileges: []string{access.AllPrivileges}}, w.Now())
	_, err2 := tx.PutOrganization(roster.Organization{ID: "org_1", Name: "Acme"})
	_, err3 := tx.PutOrganization(roster.Organization{ID: "org_2", Name: "Other & <Sons>"})
	_, err4 := tx.PutRole(roster.Role{Organization: "org_1", ID: "role_a", Name: "Admin", Permissions: []string{"GetCustomer"}})
	_, err5 := tx.PutRole(roster.Role{Organization: "org_1", ID: "role_all", Name: "Everything", Permissions: []string{"*"}})
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return err
		}
	}
	clerks := []string{"GetMembershipCollection", "GetMembership", "PutMembership", "DeleteMembership", "GetUserCollection", "GetUser", "PostUser", "PutUser", "GetRoleCollection", "GetRole"}
	for _, m := range []roster.OrgMembership{
		{Organization: "org_1", User: w.users["owner"], Owner: true},
		{Organization: "org_1", User: w.users["clerk"], Permissions: clerks},
		{Organization: "org_1", User: w.users["plain"]},
		{Organization: "org_1", User: w.users["gone"], Permissions: []string{"*"}},
		{Organization: "org_1", User: w.users["remote"], Permissions: clerks, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{Organization: "org_2", User: w.users["stranger"], Owner: true},
	} {
		if _, err := tx.PutOrgMembership(m); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) update(fn func(*roster.Txn) error) {
	w.Helper()
	if _, err := w.e.Update(ctx, fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) view(fn func(*roster.Txn) error) {
	w.Helper()
	if err := w.e.View(ctx, fn); err != nil {
		w.Fatal(err)
	}
}

// send sends a request that was made.
func (w *world) send(r *http.Request, as string) *httptest.ResponseRecorder {
	if as != "" {
		r.Header.Set("REB-APIKEY", w.secrets[as])
	}
	r.RemoteAddr = w.from
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

// do sends a request to a path below the prefix, with JSON if body is not "".
func (w *world) do(as, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/rebilly"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.send(r, as)
}

// want sends a request and holds its status.
func (w *world) want(status int, as, method, path, body string) *httptest.ResponseRecorder {
	w.Helper()
	rec := w.do(as, method, path, body)
	if rec.Code != status {
		w.Fatalf("%s %s by %q: %d, not %d: %s", method, path, as, rec.Code, status, rec.Body)
	}
	return rec
}

// membership is what the tests look at of one.
type membership struct {
	Organization struct{ ID, Name string }
	User         struct{ ID, Name, Email string }
	IsOwner      bool
	IsDefault    bool
	Permissions  []string
	RoleIds      []string
	AllowedIps   []string
	Embedded     struct{ Roles []struct{ ID string } } `json:"_embedded"`
}

// problem is the body of an error.
type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	InvalidFields                 []struct{ Field, Message string }
}

func decode[T any](t testing.TB, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	return v
}

// list returns the pairs of a list, as organization/user, and its total.
func (w *world) list(as, path string) (pairs []string, total string) {
	w.Helper()
	rec := w.want(200, as, "GET", path, "")
	for _, m := range decode[[]membership](w, rec) {
		pairs = append(pairs, m.Organization.ID+"/"+m.User.ID)
	}
	return pairs, rec.Header().Get("Pagination-Total")
}

// serveDirect asks the handler without the mux, which has rules for paths of its own.
func serveDirect(w *world, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h, _ := w.mux.Handler(httptest.NewRequest("GET", "/rebilly/x", nil))
	h.ServeHTTP(rec, r)
	return rec
}
