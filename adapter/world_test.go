// Package adapter_test holds the four HTTP APIs to one model: whatever is written
// through one of them, or by the engine's own methods, is read through all.
package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/adapter/rebilly"
	"github.com/rosterdb/roster/internal/apitest"
)

var ctx = context.Background()

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// staff are who calls the APIs, all of the directory corp: root has all privileges,
// boss those of ArcGIS for security, owner those for groups, clerk and gone none,
// and gone is not active at first. What else they may do follows from the data.
var staff = []string{"root", "boss", "owner", "clerk", "gone"}

var privileges = map[string][]string{
	"root": {access.AllPrivileges}, "boss": {access.PrivilegeSecurity}, "owner": {access.PrivilegeGroupLinks},
}

// world is an engine with the four APIs mounted in one mux, and the credentials of
// the staff.
type world struct {
	e      *roster.Engine
	s      *access.Service
	mux    *http.ServeMux
	source *source
	clock  *apitest.Clock

	secrets map[string]string // of API keys, whose ID is who it belongs to
	cookies map[string]string // sessions of Crowd
	tokens  map[string]string // of ArcGIS
}

const (
	sourced = roster.DirectoryID(7) // the directory that has an identity source
	local   = roster.DirectoryID(0) // that of the staff
	builtIn = "ArcGIS"              // is made when it is needed
	life    = 14 * 24 * time.Hour   // of all that the staff logs in with
)

// newWorld makes an engine in a folder, "" for one in memory, that holds what a model
// says.
func newWorld(t failer, dir string, m *model) *world {
	t.Helper()
	w := &world{
		secrets: map[string]string{}, cookies: map[string]string{}, tokens: map[string]string{},
		clock: apitest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)),
	}
	var err error
	if w.e, err = roster.Open(dir, roster.Options{InMemory: dir == "", Now: w.clock.Now}); err != nil {
		t.Fatalf("%v", err)
	}
	quick := access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}}
	if w.s, err = access.New(w.e, access.Options{Hash: quick, Now: w.clock.Now}); err != nil {
		t.Fatalf("%v", err)
	}
	w.source = &source{e: w.e, says: map[uint64]map[uint64]bool{}}
	w.mount()
	w.update(t, m.store)
	for _, name := range staff {
		w.admit(t, m.find(local, name))
	}
	return w
}

func (w *world) mount() {
	w.mux = http.NewServeMux()
	w.mux.Handle("/arcgis/", arcgis.New(w.e, arcgis.Options{
		Access: w.s, Sources: map[string]arcgis.Refresher{"lab <b>": w.source}, BuiltIn: builtIn, Now: w.clock.Now,
	}))
	w.mux.Handle("/crowd/", crowd.New(w.e, crowd.Options{Authenticator: w.s.Door(access.Crowd()), Sessions: w.s, SessionLife: life}))
	w.mux.Handle("/rebilly/", rebilly.New(w.e, rebilly.Options{Authenticator: w.s.Door(access.Rebilly()), Directory: sourced, Now: w.clock.Now}))
	w.mux.Handle("/api/ingress/", ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(access.Ingress())}))
}

// admit gives somebody a password, an API key, a session and a token, as clients
// get them.
func (w *world) admit(t failer, u *user) {
	t.Helper()
	var id roster.UserID
	w.view(t, func(tx *roster.Txn) { id, _ = tx.UserByNumber(u.number) })
	hash, err := w.s.Hasher().Hash(ctx, "pw-"+u.name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	w.update(t, func(tx *roster.Txn) error {
		_, err := access.PutAccount(tx, access.Account{User: id, Password: hash, Privileges: privileges[u.name]}, w.clock.Now())
		return errors.Join(err, setActive(tx, id, true))
	})
	if w.secrets[u.name], err = w.s.CreateKey(ctx, access.Key{ID: u.name, User: id}); err != nil {
		t.Fatalf("%v", err)
	}
	login := w.do(request{method: "POST", path: base + "users/search", kind: typeJSON, body: `{}`, basic: u.name})
	if cookies := login.Result().Cookies(); login.Code == 200 && len(cookies) == 1 {
		w.cookies[u.name] = cookies[0].Value
	} else {
		t.Fatalf("%s gets no session: %d %s", u.name, login.Code, login.Body)
	}
	form := url.Values{"username": {`corp.example\` + u.name}, "password": {"pw-" + u.name}, "referer": {"https://client.example"}, "expiration": {"20160"}, "f": {"json"}}
	issued := w.do(request{method: "POST", path: "/arcgis/sharing/rest/generateToken", kind: typeForm, body: form.Encode()})
	var token struct{ Token string }
	if err := json.Unmarshal(issued.Body.Bytes(), &token); err != nil || token.Token == "" {
		t.Fatalf("%s gets no token: %s", u.name, issued.Body)
	}
	w.tokens[u.name] = token.Token
	w.update(t, func(tx *roster.Txn) error { return setActive(tx, id, u.active) })
}

func setActive(tx *roster.Txn, id roster.UserID, active bool) error {
	u, err := tx.User(id)
	if err == nil {
		u.Active = active
		_, err = tx.PutUser(u)
	}
	return err
}

func (w *world) update(t failer, fn func(*roster.Txn) error) {
	t.Helper()
	if _, err := w.e.Update(ctx, fn); err != nil {
		t.Fatalf("%v", err)
	}
}

func (w *world) view(t failer, fn func(*roster.Txn)) {
	t.Helper()
	if err := w.e.View(ctx, func(tx *roster.Txn) error { fn(tx); return nil }); err != nil {
		t.Fatalf("%v", err)
	}
}

const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// request is an HTTP request. Its path is as it is sent, escaped.
type request struct {
	method, path, kind, body string
	basic                    string // who logs in by Basic, "" for nobody
	from                     string // address of the client, "" for any
	header                   map[string]string
}

// do sends a request to the mux.
func (w *world) do(q request) *httptest.ResponseRecorder {
	r := apitest.Request(q.method, q.path, q.body)
	if q.kind != "" {
		r.Header.Set("Content-Type", q.kind)
	}
	if q.basic != "" {
		r.SetBasicAuth(`corp.example\`+q.basic, "pw-"+q.basic)
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if r.RemoteAddr = "203.0.113.9:4711"; q.from != "" {
		r.RemoteAddr = q.from + ":4711"
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

func decode[T any](t failer, what string, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %d %v: %s", what, rec.Code, err, rec.Body)
	}
	return v
}

func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// source is an identity source that says what a script says: by the numbers of
// users of its directory, the numbers of the enterprise groups that they are in.
type source struct {
	e    *roster.Engine
	says map[uint64]map[uint64]bool
}

func (s *source) Refresh(ctx context.Context, actor string, names ...string) (unknown []string, err error) {
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		unknown = nil
		for _, name := range names {
			id, ok := tx.UserByName(sourced, name)
			if !ok {
				unknown = append(unknown, name)
				continue
			}
			if err := s.each(tx, func(g roster.GroupID, number uint64) error { return s.place(tx, id, g, number) }); err != nil {
				return err
			}
		}
		return nil
	})
	return unknown, err
}

// each calls fn for the enterprise groups of the directory.
func (s *source) each(tx *roster.Txn, fn func(roster.GroupID, uint64) error) error {
	for g := range tx.GroupsByName() {
		rec, err := tx.Group(g)
		if err == nil && rec.Enterprise && rec.Directory == sourced {
			err = fn(g, rec.Number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *source) place(tx *roster.Txn, id roster.UserID, g roster.GroupID, number uint64) error {
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	change := tx.Remove
	if s.says[u.Number][number] {
		change = tx.Add
	}
	_, err = change(g, id)
	return err
}

func (s *source) RefreshGroups(ctx context.Context, actor string, names ...string) (unknown []string, err error) {
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		unknown = nil
		for _, name := range names {
			g, ok := tx.GroupByName(sourced, name)
			if !ok {
				unknown = append(unknown, name)
				continue
			}
			rec, err := tx.Group(g)
			if err == nil && rec.Enterprise {
				err = s.fill(tx, g, rec.Number)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return unknown, err
}

// fill makes the members of a group those that the script says.
func (s *source) fill(tx *roster.Txn, g roster.GroupID, number uint64) error {
	all, err := tx.DirectoryUsers(sourced)
	if err != nil {
		return err
	}
	var members []roster.UserID
	for id := range all.All() {
		u, err := tx.User(id)
		if err != nil {
			return err
		}
		if s.says[u.Number][number] {
			members = append(members, id)
		}
	}
	if _, _, err = tx.ReplaceMembers(g, members); err != nil {
		return fmt.Errorf("refresh group %d: %w", number, err)
	}
	return nil
}

func decodeText[T any](t failer, what, answer string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%s: %v: %s", what, err, answer)
	}
	return v
}
