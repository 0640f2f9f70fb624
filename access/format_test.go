package access_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// zeros is where nothing random comes from.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestFormatExamples holds the records shown in docs/format.md to what is written.
func TestFormatExamples(t *testing.T) {
	doc, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	s, err := access.New(e, access.Options{Hash: access.HashOptions{Params: quick}, Rand: zeros{}, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	var u roster.UserID
	_, err = e.Update(ctx, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err == nil {
			u, err = tx.CreateUser(roster.User{Directory: 1, Username: "alice", Active: true})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword(ctx, u, "password"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateKey(ctx, access.Key{ID: "1", User: u, Endpoints: []string{"/api/ingress/*"}, Addresses: prefixes(t, "192.0.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	way, err := s.Hasher().Stretching(nil)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := way.Hash(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Update(ctx, func(tx *roster.Txn) error {
		_, err := access.PutKey(tx, access.Key{ID: "2", User: u, Secret: hash, Expires: at.Add(time.Hour)}, at)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p := access.Principal{User: u, Username: "alice", By: access.ByHost}
	token, _, err := s.IssueToken(ctx, p, access.TokenSpec{Audience: "arcgis", Binding: access.Binding{Referer: "https://maps.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EndToken(ctx, token, "arcgis", access.Binding{Referer: "https://maps.example"}); err != nil {
		t.Fatal(err)
	}
	var shown []string
	err = e.View(ctx, func(tx *roster.Txn) error {
		for k := range tx.DataKeys(access.Space, "") {
			v, err := tx.Data(access.Space, k)
			if err != nil {
				return err
			}
			shown = append(shown, strings.TrimSpace(k+" "+string(v))+"\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shown = append(shown, token+"\n")
	if slices.ContainsFunc(shown, func(s string) bool { return !bytes.Contains(doc, []byte(s)) }) {
		t.Errorf("docs/format.md does not show:\n%s", strings.Join(shown, ""))
	}
}
