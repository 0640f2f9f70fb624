package access_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

var (
	ctx    = context.Background()
	office = netip.MustParseAddr("192.0.2.7")
	other  = netip.MustParseAddr("198.51.100.9")
)

// quick are parameters that cost nothing.
var quick = access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}

// world is an engine with users: alice and bob are active, carl is not; dora
// belongs to a directory with an identity source; two are called twin.
type world struct {
	*testing.T
	e      *roster.Engine
	s      *access.Service
	count  *access.Counter
	log    *bytes.Buffer
	source *source

	mu  sync.Mutex
	now time.Time

	alice, bob, carl, dora, twin roster.UserID
}

// source is an identity source that knows one password.
type source struct {
	password string
	err      error
	asked    int
	refresh  func() // what else is done for who has logged in
}

func (s *source) Authenticate(_ context.Context, user, password string) error {
	s.asked++
	if s.err != nil {
		return s.err
	}
	if password != s.password {
		return errors.New("invalid credentials for " + user + " and " + password)
	}
	if s.refresh != nil {
		s.refresh()
	}
	return nil
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T, change ...func(*access.Options)) *world {
	t.Helper()
	w := &world{T: t, log: &bytes.Buffer{}, source: &source{password: "from the source"}, now: time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC)}
	var err error
	if w.e, err = roster.Open("", roster.Options{InMemory: true, Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.e.Close() })
	w.update(func(tx *roster.Txn) error {
		for id, name := range []string{1: "corp", 2: "ldap"} {
			if id > 0 {
				if _, err := tx.PutDirectory(roster.Directory{ID: roster.DirectoryID(id), Name: name, Domain: name + ".example"}); err != nil {
					return err
				}
			}
		}
		for _, u := range []struct {
			to        *roster.UserID
			name      string
			directory roster.DirectoryID
		}{{&w.alice, "Alice", 1}, {&w.bob, "bob", 1}, {&w.carl, "carl", 1}, {&w.dora, "dora", 2}, {&w.twin, "twin", 1}, {new(roster.UserID), "twin", 2}} {
			if *u.to, err = tx.CreateUser(roster.User{Directory: u.directory, Username: u.name, Active: u.name != "carl"}); err != nil {
				return err
			}
		}
		return nil
	})
	o := access.Options{
		Hash: access.HashOptions{Params: quick}, Now: w.clock, Sources: map[roster.DirectoryID]access.PasswordSource{2: w.source},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	w.service(o)
	return w
}

// service makes the service anew, with other options perhaps.
func (w *world) service(o access.Options) {
	w.Helper()
	var err error
	if w.s, err = access.New(w.e, o); err != nil {
		w.Fatal(err)
	}
	w.count = w.s.Hasher().Count()
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

func (w *world) password(u roster.UserID, password string, privileges ...string) {
	w.Helper()
	if err := w.s.SetPassword(ctx, u, password); err != nil {
		w.Fatal(err)
	}
	if len(privileges) == 0 {
		return
	}
	w.update(func(tx *roster.Txn) error {
		a, err := access.GetAccount(tx, u)
		if err == nil {
			a.Privileges = privileges
			_, err = access.PutAccount(tx, a, w.clock())
		}
		return err
	})
}

func (w *world) active(u roster.UserID, active bool) {
	w.Helper()
	w.update(func(tx *roster.Txn) error {
		rec, err := tx.User(u)
		if err == nil {
			rec.Active = active
			_, err = tx.PutUser(rec)
		}
		return err
	})
}

func (w *world) key(k access.Key) (secret string) {
	w.Helper()
	secret, err := w.s.CreateKey(ctx, k)
	if err != nil {
		w.Fatal(err)
	}
	return secret
}

// stretched stores a key with a secret that somebody chose.
func (w *world) stretched(k access.Key, secret string) {
	w.Helper()
	var way access.Stretching
	w.view(func(tx *roster.Txn) {
		var err error
		if way, err = w.s.Hasher().Stretching(tx); err != nil {
			w.Fatal(err)
		}
	})
	var err error
	if k.Secret, err = way.Hash(ctx, secret); err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *roster.Txn) error { _, err := access.PutKey(tx, k, w.clock()); return err })
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, not %v", what, err, want)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}
