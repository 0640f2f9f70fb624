package arcgis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/internal/apitest"
)

var ctx = context.Background()

// quick are parameters of hashing that cost nothing.
var quick = access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}

const (
	orgs     = "/arcgis/admin/orgs/0123456789ABCDEF"
	users    = orgs + "/security/users"
	groups   = orgs + "/security/groups"
	generate = "/arcgis/sharing/rest/generateToken"
)

// world is an engine with the users and groups of the API's examples: domain is
// the directory of an identity source; admin1, helper and nobody1 have passwords
// in the directory ArcGIS: all privileges, those for groups, none.
type world struct {
	testing.TB
	e      *roster.Engine
	s      *access.Service
	h      http.Handler
	source *source
	log    *apitest.Log
	*apitest.Clock

	admin, helper, nobody roster.UserID
}

const (
	aDN = "CN=Alan Turing,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com"
	jDN = "CN=John Doe,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com"
)

func newWorld(t testing.TB, change ...func(*arcgis.Options)) *world {
	t.Helper()
	w := &world{TB: t, log: &apitest.Log{}, Clock: apitest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))}
	var err error
	if w.e, err = roster.Open("", roster.Options{InMemory: true, Now: w.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.e.Close() })
	w.source = &source{e: w.e, directory: "domain", groups: map[string][]string{
		"cartographers": {"aturing", "jdoe"}, "surveyors": {"jdoe"},
	}, users: map[string]bool{"aturing": true, "jdoe": true}}
	w.update(w.fill)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if w.s, err = access.New(w.e, access.Options{Hash: access.HashOptions{Params: quick}, Now: w.Now, Logger: log}); err != nil {
		t.Fatal(err)
	}
	for id, password := range map[roster.UserID]string{w.admin: "admin's password", w.helper: "helper's password", w.nobody: "nobody's password"} {
		if err := w.s.SetPassword(ctx, id, password); err != nil {
			t.Fatal(err)
		}
	}
	w.update(func(tx *roster.Txn) error {
		return errors.Join(w.privileges(tx, w.admin, access.AllPrivileges), w.privileges(tx, w.helper, access.PrivilegeGroupLinks))
	})
	o := arcgis.Options{Access: w.s, Sources: map[string]arcgis.Refresher{"domain": w.source}, Logger: log, Now: w.Now}
	for _, c := range change {
		c(&o)
	}
	w.h = arcgis.New(w.e, o)
	w.token(w.admin) // the first one makes the key that all are signed with
	return w
}

func (w *world) privileges(tx *roster.Txn, u roster.UserID, list ...string) error {
	a, err := access.GetAccount(tx, u)
	if err == nil {
		a.Privileges = list
		_, err = access.PutAccount(tx, a, w.Now())
	}
	return err
}

func (w *world) fill(tx *roster.Txn) error {
	for _, d := range []roster.Directory{{ID: 1, Name: "ArcGIS"}, {ID: 2, Name: "domain"}} {
		if _, err := tx.PutDirectory(d); err != nil {
			return err
		}
	}
	if _, err := tx.PutOrganization(roster.Organization{ID: "org_1", Name: "Acme"}); err != nil {
		return err
	}
	for _, u := range []struct {
		to   *roster.UserID
		name string
	}{{&w.admin, "admin1"}, {&w.helper, "helper"}, {&w.nobody, "nobody1"}} {
		var err error
		if *u.to, err = tx.CreateUser(roster.User{Directory: 1, Username: u.name, Active: true}); err != nil {
			return err
		}
	}
	turing := roster.User{Directory: 2, Username: "aturing", FullName: "Alan Turing", Email: "aturing@domain.com", Description: aDN, Active: true}
	doe := roster.User{Directory: 2, Username: "jdoe", FullName: "John Doe", Email: "jdoe@domain.com", Description: jDN, Active: true}
	a, err1 := tx.CreateUser(turing)
	j, err2 := tx.CreateUser(doe)
	g, err3 := tx.CreateGroup(roster.Group{Directory: 2, Name: "cartographers", Enterprise: true})
	_, err4 := tx.CreateGroup(roster.Group{Directory: 2, Name: "surveyors", Enterprise: true})
	hand, err5 := tx.CreateGroup(roster.Group{Directory: 2, Name: "by hand"})
	_, err6 := tx.Add(g, a, j)
	_, err7 := tx.Add(hand, a)
	return errors.Join(err1, err2, err3, err4, err5, err6, err7)
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

// token returns a token of the API, bound to nothing.
func (w *world) token(u roster.UserID) string {
	return w.tokenFor(u, access.TokenSpec{Audience: "arcgis"})
}

func (w *world) tokenFor(u roster.UserID, spec access.TokenSpec) string {
	w.Helper()
	token, _, err := w.s.IssueToken(ctx, w.host(u), spec)
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// host is a user as a host program says it.
func (w *world) host(u roster.UserID, privileges ...string) access.Principal {
	w.Helper()
	p := access.Principal{User: u, By: access.ByHost, Privileges: privileges}
	if err := w.e.View(ctx, func(tx *roster.Txn) error { p.Username = tx.Username(u); return nil }); err != nil {
		w.Fatal(err)
	}
	return p
}

// do sends a request to the handler.
func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

// request makes one with a form as its body, none for GET.
func request(method, target, form string, headers ...string) *http.Request {
	var body io.Reader
	if form != "" {
		body = strings.NewReader(form)
	}
	r := httptest.NewRequest(method, target, body)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// post sends a form with the token of a user and returns the body of the answer.
func (w *world) post(u roster.UserID, target string, pairs ...string) string {
	w.Helper()
	form := url.Values{"f": {"json"}, "token": {w.token(u)}}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	rec := w.do(request("POST", target, form.Encode()))
	if rec.Code != http.StatusOK {
		w.Errorf("%s: status %d", target, rec.Code)
	}
	return rec.Body.String()
}

// inGroups returns the direct groups of a user of directory 2.
func (w *world) inGroups(name string) string {
	w.Helper()
	var out []string
	w.view(func(tx *roster.Txn) error {
		id, ok := tx.UserByName(2, name)
		if !ok {
			return nil
		}
		list, err := tx.DirectGroups(id)
		for _, g := range list {
			out = append(out, tx.GroupName(g))
		}
		return err
	})
	return strings.Join(out, ",")
}

// source is an identity source in memory that writes as a directory.Link does: one
// Update, of enterprise groups of its directory only.
type source struct {
	e         *roster.Engine
	directory string

	mu     sync.Mutex
	groups map[string][]string // guarded by mu
	users  map[string]bool     // guarded by mu
	err    error               // guarded by mu
	calls  []string            // guarded by mu
}

func (s *source) Refresh(ctx context.Context, actor string, names ...string) (unknown []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf("%s: users %s", actor, strings.Join(names, ",")))
	if s.err != nil {
		return nil, s.err
	}
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		unknown = nil
		d, err := tx.DirectoryByName(s.directory)
		if err != nil {
			return err
		}
		for _, name := range names {
			id, ok := tx.UserByName(d.ID, name)
			if !ok {
				unknown = append(unknown, name)
				continue
			}
			if err := s.place(tx, d.ID, id, strings.ToLower(name)); err != nil {
				return err
			}
		}
		return nil
	})
	return unknown, err
}

// place makes the enterprise groups of a user those of the source.
func (s *source) place(tx *roster.Txn, d roster.DirectoryID, id roster.UserID, name string) error {
	for g := range tx.GroupsByName() {
		rec, err := tx.Group(g)
		if err != nil {
			return err
		}
		if !rec.Enterprise || rec.Directory != d {
			continue
		}
		change := tx.Remove
		for _, m := range s.groups[rec.Name] {
			if m == name {
				change = tx.Add
			}
		}
		if _, err := change(g, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) RefreshGroups(ctx context.Context, actor string, names ...string) (unknown []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf("%s: groups %s", actor, strings.Join(names, ",")))
	if s.err != nil {
		return nil, s.err
	}
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName(s.directory)
		if err != nil {
			return err
		}
		for _, name := range names {
			g, ok := tx.GroupByName(d.ID, name)
			if !ok {
				unknown = append(unknown, name)
				continue
			}
			var members []roster.UserID
			for _, m := range s.groups[strings.ToLower(name)] {
				if id, ok := tx.UserByName(d.ID, m); ok {
					members = append(members, id)
				}
			}
			if _, _, err := tx.ReplaceMembers(g, members); err != nil {
				return err
			}
		}
		return nil
	})
	return unknown, err
}

func (s *source) set(group string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[group] = members
}

func (s *source) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.calls
	s.calls = nil
	return out
}
