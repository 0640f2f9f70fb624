package access_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// entrant is a way in, and what ends it.
type entrant struct {
	what string
	in   func(*world) (access.Principal, error)
}

func byPassword(w *world) (access.Principal, error) { return w.s.Login(ctx, "alice", "one", office) }

func byToken(w *world) (access.Principal, error) {
	token, _, err := w.issue("alice", "one", access.TokenSpec{Audience: "x"})
	if err != nil {
		return access.Principal{}, err
	}
	return w.s.CheckToken(ctx, token, "x", access.Binding{Client: office})
}

func byKey(id, secret string) func(w *world) (access.Principal, error) {
	return func(w *world) (access.Principal, error) {
		if secret == "" {
			secret := w.key(access.Key{ID: "r", User: w.alice})
			return w.s.LoginKey(ctx, id, secret, access.KeyUse{Path: "/a", Client: office})
		}
		w.stretched(access.Key{ID: "r", User: w.alice}, secret)
		return w.s.LoginKey(ctx, id, secret, access.KeyUse{Path: "/a", Client: office})
	}
}

// changeKey puts another key in the place of the one called r.
func changeKey(change func(w *world, k *access.Key)) func(*world, *roster.Txn) error {
	return func(w *world, tx *roster.Txn) error {
		k, err := access.GetKey(tx, "r")
		if err == nil {
			change(w, &k)
			_, err = access.PutKey(tx, k, w.clock())
		}
		return err
	}
}

// TestCurrent: between the door and the transaction what let somebody in may end. The
// transaction that ends it is the first to know.
func TestCurrent(t *testing.T) {
	password, token := entrant{"password", byPassword}, entrant{"token", byToken}
	key, alone, chosen := entrant{"key", byKey("r", "")}, entrant{"key, by its secret", byKey("", "")}, entrant{"chosen secret", byKey("", "chosen")}
	all := []entrant{password, token, key, alone, chosen}
	hash, err := access.ParseHash(reference)
	is(t, "hash", err, nil)
	inactive := func(w *world, tx *roster.Txn) error {
		u, err := tx.User(w.alice)
		u.Active = false
		if err == nil {
			_, err = tx.PutUser(u)
		}
		return err
	}
	another := func(w *world, tx *roster.Txn) error {
		_, err := access.PutAccount(tx, access.Account{User: w.alice, Password: hash}, w.clock())
		return err
	}
	for _, c := range []struct {
		what string
		who  []entrant
		do   func(*world, *roster.Txn) error
		want error
	}{
		{"nothing", all, func(*world, *roster.Txn) error { return nil }, nil},
		{"locked", all, inactive, access.ErrDenied},
		{"deleted", all, func(w *world, tx *roster.Txn) error { return tx.DeleteUser(w.alice) }, access.ErrDenied},
		{"another password", []entrant{password, token}, another, access.ErrDenied},
		{"another password", []entrant{key, alone, chosen}, another, nil},
		{"no account", []entrant{password, token}, func(w *world, tx *roster.Txn) error { return access.DeleteAccount(tx, w.alice, w.clock()) }, access.ErrDenied},
		{"tokens revoked", []entrant{password, token}, func(w *world, tx *roster.Txn) error { return access.RevokeTokens(tx, w.alice) }, access.ErrDenied},
		{"keys of tokens gone", []entrant{token}, func(w *world, tx *roster.Txn) error { return access.NewTokenKey(tx, false, w.clock(), nil) }, access.ErrInvalidToken},
		{"another key of tokens", []entrant{token}, func(w *world, tx *roster.Txn) error { return access.NewTokenKey(tx, true, w.clock(), nil) }, nil},
		{"expired", []entrant{token}, func(w *world, _ *roster.Txn) error { w.pass(time.Hour); return nil }, access.ErrInvalidToken},
		{"key revoked", []entrant{key, alone, chosen}, func(w *world, tx *roster.Txn) error { return access.DeleteKey(tx, "r") }, access.ErrDenied},
		{"another secret", []entrant{key, alone, chosen}, changeKey(func(_ *world, k *access.Key) { _, k.Secret, _ = access.MakeSecret(nil) }), access.ErrDenied},
		{"key of somebody else", []entrant{key, alone, chosen}, changeKey(func(w *world, k *access.Key) { k.User = w.bob }), access.ErrDenied},
		{"key expired", []entrant{key, alone, chosen}, changeKey(func(w *world, k *access.Key) { k.Expires = w.clock() }), access.ErrDenied},
		{"another endpoint", []entrant{key, alone, chosen}, changeKey(func(_ *world, k *access.Key) { k.Endpoints = []string{"/b"} }), access.ErrForbidden},
		{"another address", []entrant{key, alone, chosen}, changeKey(func(_ *world, k *access.Key) { k.Addresses = prefixes(t, "10.0.0.0/8") }), access.ErrForbidden},
		{"a second key of that secret", []entrant{alone, chosen}, changeKey(func(_ *world, k *access.Key) { k.ID = "r2" }), access.ErrDenied},
		{"a second key of that secret", []entrant{key}, changeKey(func(_ *world, k *access.Key) { k.ID = "r2" }), nil},
	} {
		for _, who := range c.who {
			w := newWorld(t)
			w.password(w.alice, "one", "p")
			p, err := who.in(w)
			is(t, who.what, err, nil)
			w.update(func(tx *roster.Txn) error {
				if err := c.do(w, tx); err != nil {
					return err
				}
				now, err := p.Current(tx)
				is(t, who.what+", "+c.what, err, c.want)
				if err == nil && (now.User != p.User || now.By != p.By || now.Client != p.Client || now.Key != p.Key) || err != nil && now.By != 0 {
					t.Errorf("%s, %s: %+v was %+v", who.what, c.what, now, p)
				}
				again, err2 := now.Current(tx)
				if (err == nil) != (err2 == nil) || again.By != now.By {
					t.Errorf("%s, %s: the second time %v", who.what, c.what, err2)
				}
				return nil
			})
		}
	}
}

// TestCurrentPrivileges: privileges that were taken away or given in the meantime.
func TestCurrentPrivileges(t *testing.T) {
	for _, who := range []entrant{{"password", byPassword}, {"token", byToken}, {"key", byKey("r", "")}} {
		w := newWorld(t)
		w.password(w.alice, "one", "p", "q")
		p, err := who.in(w)
		is(t, who.what, err, nil)
		p.User = w.bob // whoever changes it is not let be somebody else
		w.update(func(tx *roster.Txn) error {
			_, err := p.Current(tx)
			is(t, who.what+", as somebody else", err, access.ErrDenied)
			p.User = w.alice
			a, err := access.GetAccount(tx, w.alice)
			is(t, "account", err, nil)
			a.Privileges = []string{"q", "r"}
			_, err = access.PutAccount(tx, a, w.clock())
			is(t, "account", err, nil)
			now, err := p.Current(tx)
			is(t, who.what, err, nil)
			if now.Has("p") || !now.Has("q") || !now.Has("r") || !p.Has("p") {
				t.Errorf("%s: %v was %v", who.what, now.Privileges, p.Privileges)
			}
			return nil
		})
	}
}

// TestHostNames: a host says who somebody is by handle and name. Zero is a handle:
// who is left out must be nobody.
func TestHostNames(t *testing.T) {
	w := newWorld(t)
	equal(t, "alice's handle", w.alice, 0)
	var g roster.GroupID
	w.update(func(tx *roster.Txn) (err error) {
		if g, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "g"}); err == nil {
			_, err = tx.AddAdmins(g, w.alice)
		}
		if err == nil {
			_, err = tx.PutOrganization(roster.Organization{ID: "acme"})
		}
		if err == nil {
			_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "acme", User: w.alice, Owner: true})
		}
		return err
	})
	for what, c := range map[string]struct {
		p    access.Principal
		good bool
	}{
		"nobody":         {access.Principal{}, false},
		"nobody named":   {access.Principal{By: access.ByHost}, false},
		"privileges":     {access.Principal{By: access.ByHost, Privileges: []string{"*"}}, false},
		"another's name": {access.Principal{By: access.ByHost, Username: "bob"}, false},
		"not shown":      {access.Principal{Username: "Alice"}, false},
		"alice":          {access.Principal{By: access.ByHost, Username: "Alice"}, true},
		"not active":     {access.Principal{By: access.ByHost, User: w.carl, Username: "carl"}, false},
		"no such user":   {access.Principal{By: access.ByHost, User: 1 << 20, Username: ""}, false},
		"no password":    {access.Principal{By: access.ByPassword, Username: "Alice"}, false},
		"no token":       {access.Principal{By: access.ByToken, Username: "Alice"}, false},
	} {
		want := access.ErrDenied
		if c.good {
			want = nil
		}
		w.view(func(tx *roster.Txn) {
			_, err := c.p.Current(tx)
			is(t, what, err, want)
			if c.p.By == access.ByHost {
				owns, err := c.p.Owns(tx, "acme")
				is(t, what, err, nil)
				if owns != c.good || c.p.Administers(tx, g) != c.good {
					t.Errorf("%s: rights are not %t", what, c.good)
				}
			}
		})
		_, _, err := w.s.IssueToken(ctx, c.p, access.TokenSpec{})
		is(t, what+": a token", err, want)
	}
}

// TestTokenForAnOldPassword: a password that is changed between a login and the
// token for it makes no token, which would be one of the new password's.
func TestTokenForAnOldPassword(t *testing.T) {
	w := newWorld(t)
	for name, u := range map[string]roster.UserID{"alice": w.alice, "dora": w.dora} {
		old := "from the source"
		if name == "alice" {
			old = "one"
			w.password(u, old)
		}
		p, err := w.s.Login(ctx, name, old, office)
		is(t, "login of "+name, err, nil)
		w.password(u, "two")
		token, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{})
		is(t, "token of "+name, err, access.ErrDenied)
		_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
		is(t, "check of "+name, err, access.ErrInvalidToken)
	}
}

// TestCurrentBesideUpgrade: a hash that is made anew is the same password.
func TestCurrentBesideUpgrade(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	p, err := byPassword(w)
	is(t, "login", err, nil)
	w.service(access.Options{Hash: access.HashOptions{Params: access.Params{MemoryKiB: 16, Passes: 2, Lanes: 1}}, Now: w.clock})
	rev := w.e.Revision()
	_, err = byPassword(w)
	is(t, "login", err, nil)
	equal(t, "hashed anew", w.e.Revision()-rev, 1)
	w.view(func(tx *roster.Txn) { _, err = p.Current(tx) })
	is(t, "who came before", err, nil)
}

// TestCurrentAfterTheEnd: errors are those of the engine, not a denial.
func TestCurrentAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	p, err := byPassword(w)
	is(t, "login", err, nil)
	var kept *roster.Txn
	w.view(func(tx *roster.Txn) { kept = tx })
	for _, p := range []access.Principal{p, {By: access.ByHost, Username: "Alice"}} {
		if _, err = p.Current(kept); err == nil || errors.Is(err, access.ErrDenied) {
			t.Errorf("%v in a transaction that has ended: %v", p.By, err)
		}
	}
}
