package access_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"pgregory.net/rapid"
)

// model is what should be let in, so plainly that it can be checked by reading.
type model struct {
	accounts map[roster.UserID]*modelAccount
	keys     map[string]*modelKey
	tokens   []modelToken
	active   map[roster.UserID]bool
}

type modelAccount struct {
	password   string
	privileges []string
	epoch      int // counts on when the account is deleted
	exists     bool
}

type modelKey struct {
	secret   string
	user     roster.UserID
	endpoint string // "" everywhere
	address  string // "" from anywhere
	expires  time.Time
}

type modelToken struct {
	text     string
	user     roster.UserID
	epoch    int
	expires  time.Time
	audience string
	client   netip.Addr // valid if the token is bound to it
}

// TestModel: random accounts, keys, tokens, locks and clocks; everybody knocks
// with everything, and is let in exactly when the model says so.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		m := &model{accounts: map[roster.UserID]*modelAccount{}, keys: map[string]*modelKey{}, active: map[roster.UserID]bool{w.alice: true, w.bob: true}}
		users := []roster.UserID{w.alice, w.bob, w.carl}
		for _, u := range users {
			m.accounts[u] = &modelAccount{}
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			m.step(rt, w, users)
			w.s.Forgive()
			m.knock(rt, w, users)
		}
	})
}

var (
	modelNames     = map[int]string{0: "alice", 1: "bob@corp", 2: `corp\carl`}
	modelPasswords = []string{"one", "two", "three"}
	modelPaths     = []string{"/a", "/b", "/a/c"}
	modelClients   = []netip.Addr{office, other, netip.MustParseAddr("2001:db8::1")}
)

func (m *model) step(rt *rapid.T, w *world, users []roster.UserID) {
	u := rapid.SampledFrom(users).Draw(rt, "user")
	a := m.accounts[u]
	switch rapid.IntRange(0, 9).Draw(rt, "step") {
	case 0, 1:
		a.password = rapid.SampledFrom(modelPasswords).Draw(rt, "password")
		a.epoch++
		a.exists = true
		w.password(u, a.password)
	case 2:
		a.privileges = rapid.SampledFrom([][]string{{"*"}, {"a"}, {"a", "b"}}).Draw(rt, "privileges")
		w.update(func(tx *roster.Txn) error {
			old, err := access.GetAccount(tx, u)
			if err != nil && !errors.Is(err, roster.ErrNotFound) {
				return err
			}
			old.User, old.Privileges, old.Created, old.Updated = u, a.privileges, time.Time{}, time.Time{}
			_, err = access.PutAccount(tx, old, w.clock())
			return err
		})
		a.exists = true
	case 3:
		w.update(func(tx *roster.Txn) error {
			err := access.DeleteAccount(tx, u, w.clock())
			if errors.Is(err, roster.ErrNotFound) != !a.exists {
				return fmt.Errorf("delete of an account: %w", err)
			}
			return nil
		})
		if a.exists {
			*a = modelAccount{epoch: a.epoch + 1}
		}
	case 4:
		a.epoch++
		if err := w.s.RevokeTokens(ctx, u); err != nil {
			rt.Fatal(err)
		}
	case 5:
		m.active[u] = !m.active[u]
		w.active(u, m.active[u])
	case 6, 7:
		m.putKey(rt, w, u)
	case 8:
		w.pass(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
	case 9:
		if users[2] != w.carl {
			break // gone already
		}
		w.update(func(tx *roster.Txn) error { return tx.DeleteUser(users[2]) })
		m.active[users[2]] = false
		m.accounts[users[2]].exists = false
		w.update(func(tx *roster.Txn) (err error) { // another of that name, who is not active
			_, err = tx.CreateUser(roster.User{Directory: 1, Username: "carl"})
			return err
		})
		users[2] = w.bob
	}
	if a.exists && a.password != "" && m.active[u] && rapid.Bool().Draw(rt, "token") {
		m.issue(rt, w, u, a)
	}
}

func (m *model) putKey(rt *rapid.T, w *world, u roster.UserID) {
	id := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "key")
	if m.keys[id] != nil && rapid.Bool().Draw(rt, "revoke") {
		delete(m.keys, id)
		w.update(func(tx *roster.Txn) error { return access.DeleteKey(tx, id) })
		return
	}
	if !m.active[u] && u != w.alice && u != w.bob {
		u = w.alice
	}
	k := &modelKey{user: u, endpoint: rapid.SampledFrom([]string{"", "/a", "/a*", "/b"}).Draw(rt, "endpoint"), address: rapid.SampledFrom([]string{"", "192.0.2.0/24", "2001:db8::1"}).Draw(rt, "address")}
	if rapid.Bool().Draw(rt, "expires") {
		k.expires = w.clock().Add(time.Hour)
	}
	key := access.Key{ID: id, User: u, Expires: k.expires}
	if k.endpoint != "" {
		key.Endpoints = []string{k.endpoint}
	}
	if k.address != "" {
		key.Addresses = prefixes(w.T, k.address)
	}
	if rapid.Bool().Draw(rt, "chosen") {
		k.secret = rapid.SampledFrom([]string{"k", "l"}).Draw(rt, "secret")
		w.stretched(key, k.secret)
	} else {
		secret, hash, err := access.MakeSecret(nil)
		if err != nil {
			rt.Fatal(err)
		}
		k.secret, key.Secret = secret, hash
		w.update(func(tx *roster.Txn) error { _, err := access.PutKey(tx, key, w.clock()); return err })
	}
	m.keys[id] = k
}

func (m *model) issue(rt *rapid.T, w *world, u roster.UserID, a *modelAccount) {
	p := access.Principal{User: u, By: access.ByHost}
	w.view(func(tx *roster.Txn) { p.Username = tx.Username(u) })
	tok := modelToken{user: u, epoch: a.epoch, audience: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "audience")}
	spec := access.TokenSpec{Audience: tok.audience}
	if rapid.Bool().Draw(rt, "bound") {
		tok.client = rapid.SampledFrom(modelClients).Draw(rt, "client")
		spec.Client = tok.client
	}
	var err error
	if tok.text, tok.expires, err = w.s.IssueToken(ctx, p, spec); err != nil {
		rt.Fatal(err)
	}
	m.tokens = append(m.tokens, tok)
}

// knock tries everything, and compares.
func (m *model) knock(rt *rapid.T, w *world, users []roster.UserID) {
	client := rapid.SampledFrom(modelClients).Draw(rt, "from")
	path := rapid.SampledFrom(modelPaths).Draw(rt, "path")
	now := w.clock()
	for i, u := range []roster.UserID{w.alice, w.bob, w.carl} {
		a := m.accounts[u]
		for _, password := range append(modelPasswords, "") {
			want := a.exists && m.active[u] && password != "" && password == a.password
			p, err := w.s.Login(ctx, modelNames[i], password, client)
			if (err == nil) != want || err == nil && (p.User != u || !slices.Equal(p.Privileges, a.privileges)) {
				rt.Fatalf("%s with %q: %+v, %v; let in: %t, %q", modelNames[i], password, p, err, want, a.privileges)
			}
			w.s.Forgive()
		}
	}
	for _, tok := range m.tokens {
		for _, audience := range []string{"x", "y"} {
			want := m.active[tok.user] && m.accounts[tok.user].epoch == tok.epoch && now.Before(tok.expires) && audience == tok.audience &&
				(!tok.client.IsValid() || tok.client == client)
			p, err := w.s.CheckToken(ctx, tok.text, audience, access.Binding{Client: client})
			if (err == nil) != want || err == nil && p.User != tok.user {
				rt.Fatalf("token %+v for %q from %v: %+v, %v; let in: %t", tok, audience, client, p, err, want)
			}
		}
	}
	secrets := []string{"k", "l", "m"}
	for _, k := range m.keys {
		secrets = append(secrets, k.secret)
	}
	for _, secret := range secrets {
		for _, id := range []string{"1", "2", "3", "4", ""} {
			m.knockKey(rt, w, id, secret, access.KeyUse{Path: path, Client: client})
			w.s.Forgive()
		}
	}
}

func (m *model) knockKey(rt *rapid.T, w *world, id, secret string, use access.KeyUse) {
	var with []string
	for other, k := range m.keys {
		if k.secret == secret && (id == "" || id == other) {
			with = append(with, other)
		}
	}
	want := access.ErrDenied
	if len(with) == 1 {
		k := m.keys[with[0]]
		switch {
		case !m.active[k.user] || !k.expires.IsZero() && !w.clock().Before(k.expires):
		case k.address != "" && !(k.address == "192.0.2.0/24" && use.Client == office) && k.address != use.Client.String():
			want = access.ErrForbidden
		case k.endpoint != "" && k.endpoint != use.Path && !(k.endpoint == "/a*" && strings.HasPrefix(use.Path, "/a")):
			want = access.ErrForbidden
		default:
			want = nil
		}
	}
	p, err := w.s.LoginKey(ctx, id, secret, use)
	if !errors.Is(err, want) || err == nil && (p.User != m.keys[with[0]].user || p.Key != with[0]) {
		rt.Fatalf("key %q with %q for %+v: %+v, %v; not %v", id, secret, use, p, err, want)
	}
}
