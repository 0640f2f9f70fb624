package access_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestDurable: what was decided before a process ended is decided after it, from
// the log, from Badger and from a backup.
func TestDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	o := access.Options{Hash: access.HashOptions{Params: quick}}
	open := func(dir string) (*roster.Engine, *access.Service) {
		t.Helper()
		e, err := roster.Open(dir, roster.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := access.New(e, o)
		if err != nil {
			t.Fatal(err)
		}
		return e, s
	}
	e, s := open(dir)
	var alice, bob roster.UserID
	_, err := e.Update(ctx, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err == nil {
			alice, err = tx.CreateUser(roster.User{Directory: 1, Username: "alice", Active: true})
		}
		if err == nil {
			bob, err = tx.CreateUser(roster.User{Directory: 1, Username: "bob", Active: true})
		}
		return err
	})
	is(t, "users", err, nil)
	is(t, "password", errors.Join(s.SetPassword(ctx, alice, "one"), s.SetPassword(ctx, bob, "two")), nil)
	key, err := s.CreateKey(ctx, access.Key{ID: "1", User: alice})
	is(t, "key", err, nil)
	gone, err := s.CreateKey(ctx, access.Key{ID: "2", User: alice})
	is(t, "key", err, nil)
	token := func(name, password string) string {
		p, err := s.Login(ctx, name, password, office)
		is(t, "login", err, nil)
		text, _, err := s.IssueToken(ctx, p, access.TokenSpec{})
		is(t, "token", err, nil)
		return text
	}
	mine, theirs := token("alice", "one"), token("bob", "two")
	_, err = e.Update(ctx, func(tx *roster.Txn) error { return access.DeleteKey(tx, "2") })
	is(t, "revoke the key", err, nil)
	is(t, "revoke bob's", s.RevokeTokens(ctx, bob), nil)

	check := func(what string) {
		t.Helper()
		_, err1 := s.Login(ctx, "alice", "one", office)
		_, err2 := s.LoginKey(ctx, "1", key, access.KeyUse{})
		_, err3 := s.CheckToken(ctx, mine, "", access.Binding{})
		is(t, what, errors.Join(err1, err2, err3), nil)
		_, err = s.LoginKey(ctx, "2", gone, access.KeyUse{})
		is(t, what+": revoked key", err, access.ErrDenied)
		_, err = s.CheckToken(ctx, theirs, "", access.Binding{})
		is(t, what+": revoked token", err, access.ErrInvalidToken)
		is(t, what+": verify", e.Verify(ctx, nil), nil)
	}
	check("before")
	is(t, "close", e.Close(), nil)
	e, s = open(dir)
	check("from the log")
	is(t, "fold", e.Fold(ctx), nil)
	check("folded")
	is(t, "close", e.Close(), nil)
	e, s = open(dir)
	check("from Badger")
	var backup bytes.Buffer
	_, err = e.Backup(ctx, &backup)
	is(t, "backup", errors.Join(err, e.Close()), nil)
	copied := filepath.Join(t.TempDir(), "data")
	is(t, "restore", roster.Restore(ctx, copied, &backup, roster.Options{}), nil)
	e, s = open(copied)
	check("restored")
	is(t, "close", e.Close(), nil)
	_, err = s.Login(ctx, "alice", "three", office)
	is(t, "closed", err, roster.ErrClosed)
}

// TestConcurrent: everybody knocks while everything changes. Whoever is let in is
// who it says; who never was right is never let in.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	secret := w.key(access.Key{ID: "1", User: w.bob})
	w.stretched(access.Key{ID: "2", User: w.bob}, "chosen")
	token, _, err := w.issue("alice", "one", access.TokenSpec{})
	is(t, "issue", err, nil)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if p, err := w.s.Login(ctx, "alice", "one", office); err == nil && p.User != w.alice {
					t.Errorf("alice is %v", p)
				}
				if _, err := w.s.Login(ctx, "alice", fmt.Sprint("wrong ", i), other); err == nil {
					t.Error("a wrong password is right")
				}
				for id, secret := range map[string]string{"1": secret, "2": "chosen"} {
					if p, err := w.s.LoginKey(ctx, id, secret, access.KeyUse{}); err == nil && p.User != w.bob {
						t.Errorf("bob is %v", p)
					}
				}
				if p, err := w.s.CheckToken(ctx, token, "", access.Binding{}); err == nil && p.User != w.alice {
					t.Errorf("alice is %v", p)
				}
				if _, err := w.s.CheckToken(ctx, token+"x", "", access.Binding{}); err == nil {
					t.Error("another token is good")
				}
			}
		})
	}
	for i := range 60 {
		w.active(w.bob, i%2 == 1)
		w.password(w.alice, []string{"two", "one"}[i%2])
		is(t, "key of tokens", w.s.NewTokenKey(ctx, i%3 > 0), nil)
	}
	close(stop)
	wg.Wait()
	w.pass(time.Hour)
	_, err = w.s.Login(ctx, "alice", "one", office)
	is(t, "in the end", err, nil)
	_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
	is(t, "the token, in the end", err, access.ErrInvalidToken)
}

func BenchmarkAccess(b *testing.B) {
	e, err := roster.Open(filepath.Join(b.TempDir(), "data"), roster.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	s, err := access.New(e, access.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var alice roster.UserID
	_, err = e.Update(ctx, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err == nil {
			alice, err = tx.CreateUser(roster.User{Directory: 1, Username: "alice", Active: true})
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	secret, err := s.CreateKey(ctx, access.Key{ID: "1", User: alice, Endpoints: []string{"/api/*"}})
	err = errors.Join(err, s.SetPassword(ctx, alice, "one"), e.Fold(ctx))
	if err != nil {
		b.Fatal(err)
	}
	p, err := s.Login(ctx, "alice", "one", office)
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := s.IssueToken(ctx, p, access.TokenSpec{})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"password, remembered", func() error { _, err := s.Login(ctx, "alice", "one", office); return err }},
		{"key with ID", func() error { _, err := s.LoginKey(ctx, "1", secret, access.KeyUse{Path: "/api/x"}); return err }},
		{"key by secret", func() error { _, err := s.LoginKey(ctx, "", secret, access.KeyUse{Path: "/api/x"}); return err }},
		{"token", func() error { _, err := s.CheckToken(ctx, token, "", access.Binding{}); return err }},
		{"password, hashed", func() error { _, err := s.Hasher().Hash(ctx, "one"); return err }},
	} {
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
