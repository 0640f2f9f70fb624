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
)

func prefixes(t *testing.T, list ...string) []netip.Prefix {
	t.Helper()
	out, err := access.ParseAddresses(list)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "x", "p")
	free := w.key(access.Key{ID: "free", User: w.alice})
	ended := w.key(access.Key{ID: "ended", User: w.alice, Expires: w.clock().Add(time.Hour)})
	locked := w.key(access.Key{ID: "locked", User: w.carl})
	bound := w.key(access.Key{ID: "bound", User: w.bob, Endpoints: []string{"/api/ingress/user_group_members"}, Addresses: prefixes(t, "192.0.2.0/24", "2001:db8::/32")})
	w.stretched(access.Key{ID: "1", User: w.bob}, "k")
	w.stretched(access.Key{ID: "2", User: w.bob}, "same")
	w.stretched(access.Key{ID: "3", User: w.bob}, "same")
	w.pass(time.Hour)
	v6, mapped := netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("::ffff:192.0.2.9")
	endpoint := "/api/ingress/user_group_members"
	for _, c := range []struct {
		what, id, secret string
		use              access.KeyUse
		want             error
		user             string
	}{
		{"by ID", "free", free, access.KeyUse{}, nil, "Alice"},
		{"by secret alone", "", free, access.KeyUse{Path: "/any/%2e%2e//where", Client: other}, nil, "Alice"},
		{"another's secret", "bound", free, access.KeyUse{}, access.ErrDenied, ""},
		{"other ID", "Free", free, access.KeyUse{}, access.ErrDenied, ""},
		{"no secret", "free", "", access.KeyUse{}, access.ErrDenied, ""},
		{"cut off", "free", free[:len(free)-1], access.KeyUse{}, access.ErrDenied, ""},
		{"capitals", "free", strings.ToUpper(free), access.KeyUse{}, access.ErrDenied, ""},
		{"long ID", strings.Repeat("x", 4000), free, access.KeyUse{}, access.ErrDenied, ""},
		{"ID of another record", "../account/00000000", free, access.KeyUse{}, access.ErrDenied, ""},
		{"control characters", "a\nb\x00", free, access.KeyUse{}, access.ErrDenied, ""},
		{"expired", "ended", ended, access.KeyUse{}, access.ErrDenied, ""},
		{"expired, by secret", "", ended, access.KeyUse{}, access.ErrDenied, ""},
		{"user not active", "locked", locked, access.KeyUse{}, access.ErrDenied, ""},
		{"from there", "bound", bound, access.KeyUse{Path: endpoint, Client: office}, nil, "bob"},
		{"IPv6", "bound", bound, access.KeyUse{Path: endpoint, Client: v6}, nil, "bob"},
		{"IPv4 in IPv6", "bound", bound, access.KeyUse{Path: endpoint, Client: mapped}, nil, "bob"},
		{"with a zone", "bound", bound, access.KeyUse{Path: endpoint, Client: v6.WithZone("eth0")}, nil, "bob"},
		{"slash at the end", "bound", bound, access.KeyUse{Path: endpoint + "/", Client: office}, nil, "bob"},
		{"from elsewhere", "bound", bound, access.KeyUse{Path: endpoint, Client: other}, access.ErrForbidden, ""},
		{"from nowhere", "bound", bound, access.KeyUse{Path: endpoint}, access.ErrForbidden, ""},
		{"other endpoint", "bound", bound, access.KeyUse{Path: endpoint + "/drop", Client: office}, access.ErrForbidden, ""},
		{"no path", "bound", bound, access.KeyUse{Client: office}, access.ErrForbidden, ""},
		{"chosen secret by ID", "1", "k", access.KeyUse{Client: office}, nil, "bob"},
		{"chosen secret alone", "", "k", access.KeyUse{Client: office}, nil, "bob"},
		{"chosen secret, wrong", "1", "K", access.KeyUse{Client: office}, access.ErrDenied, ""},
		{"chosen secret, unknown ID", "4", "k", access.KeyUse{Client: office}, access.ErrDenied, ""},
		{"two keys of one secret", "2", "same", access.KeyUse{Client: office}, nil, "bob"},
		{"two keys of one secret, no ID", "", "same", access.KeyUse{Client: office}, access.ErrDenied, ""},
	} {
		for range 2 {
			p, err := w.s.LoginKey(ctx, c.id, c.secret, c.use)
			is(t, c.what, err, c.want)
			equal(t, c.what+": user", p.Username, c.user)
			if err == nil && (p.By != access.ByKey || p.Key == "" || c.id != "" && p.Key != c.id) {
				t.Errorf("%s: %+v", c.what, p)
			}
			w.s.Forgive()
		}
	}
	p, _ := w.s.LoginKey(ctx, "free", free, access.KeyUse{})
	equal(t, "a key has the privileges of its user", p.Has("P"), true)
}

// TestKeyCost: a random secret is never hashed slowly, a chosen one once in a
// minute, and an unknown ID costs as much as a known one.
func TestKeyCost(t *testing.T) {
	w := newWorld(t)
	random := w.key(access.Key{ID: "r", User: w.alice})
	cost := func(what, id, secret string, want int64) {
		t.Helper()
		before := w.count.Calls.Load()
		w.s.LoginKey(ctx, id, secret, access.KeyUse{Client: office})
		equal(t, what, w.count.Calls.Load()-before, want)
	}
	cost("a chosen secret, where there is none", "r", "guess", 0)
	w.stretched(access.Key{ID: "1", User: w.alice}, "chosen")
	cost("random", "r", random, 0)
	cost("random, alone", "", random, 0)
	cost("random, of nobody", "", "rsk_"+strings.Repeat("A", 43), 0)
	cost("chosen", "1", "chosen", 1)
	cost("chosen, again", "1", "chosen", 0)
	cost("chosen, alone", "", "chosen", 1)
	cost("chosen, alone, again", "", "chosen", 0)
	cost("wrong", "1", "guess", 1)
	cost("unknown ID", "9", "guess", 1)
	cost("ID of a random key", "r", "guess", 1)
	cost("alone and wrong", "", "guess", 1)
	w.s.Forgive()
	looked := 0
	for i := range 100 {
		if _, err := w.s.LoginKey(ctx, "1", fmt.Sprint("guess ", i), access.KeyUse{Client: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}); !errors.Is(err, access.ErrThrottled) {
			looked++
		}
	}
	equal(t, "guesses at one key", looked, 10)
}

// TestKeyLife: what is revoked or changed is that with the next request.
func TestKeyLife(t *testing.T) {
	w := newWorld(t)
	w.stretched(access.Key{ID: "1", User: w.alice}, "chosen")
	secret := w.key(access.Key{ID: "2", User: w.alice})
	use := access.KeyUse{Path: "/a", Client: office}
	login := func(what string, want error) {
		t.Helper()
		for id, secret := range map[string]string{"1": "chosen", "2": secret} {
			for _, id := range []string{id, ""} {
				_, err := w.s.LoginKey(ctx, id, secret, use)
				is(t, fmt.Sprintf("%s, key %q", what, id), err, want)
			}
		}
		w.s.Forgive()
	}
	change := func(fn func(*access.Key)) {
		t.Helper()
		w.update(func(tx *roster.Txn) error {
			for _, id := range []string{"1", "2"} {
				k, err := access.GetKey(tx, id)
				if err != nil {
					return err
				}
				k.Updated = time.Time{} // now, if anything changes
				fn(&k)
				if changed, err := access.PutKey(tx, k, w.clock()); err != nil || !changed {
					return fmt.Errorf("changed %t, %w", changed, err)
				}
				if changed, err := access.PutKey(tx, k, w.clock()); err != nil || changed {
					return fmt.Errorf("changed again %t, %w", changed, err)
				}
			}
			return nil
		})
	}
	login("fresh", nil)
	change(func(k *access.Key) { k.Endpoints = []string{"/b*"} })
	login("for another endpoint", access.ErrForbidden)
	change(func(k *access.Key) { k.Endpoints = []string{"/b", "/a"} })
	login("for this one too", nil)
	change(func(k *access.Key) { k.Addresses = prefixes(t, "10.0.0.1") })
	login("from another address", access.ErrForbidden)
	change(func(k *access.Key) { k.Addresses = nil })
	login("from everywhere", nil)
	w.active(w.alice, false)
	login("user not active", access.ErrDenied)
	w.active(w.alice, true)
	login("user active again", nil)
	change(func(k *access.Key) { k.Expires = w.clock().Add(time.Minute) })
	login("expires soon", nil)
	w.pass(time.Minute)
	login("expired", access.ErrDenied)
	change(func(k *access.Key) { k.Expires = time.Time{} })
	login("no more", nil)
	change(func(k *access.Key) { k.User = w.carl })
	login("of who is not active", access.ErrDenied)
	change(func(k *access.Key) { k.User = w.alice })
	w.update(func(tx *roster.Txn) error { return errors.Join(access.DeleteKey(tx, "1"), access.DeleteKey(tx, "2")) })
	login("revoked", access.ErrDenied)
	w.view(func(tx *roster.Txn) {
		for key := range tx.DataKeys(access.Space, "") {
			if key != "stretch" {
				t.Errorf("%q is left", key)
			}
		}
	})

	// The secret of another key under the old ID.
	w.stretched(access.Key{ID: "1", User: w.bob}, "chosen")
	w.stretched(access.Key{ID: "1", User: w.bob}, "other")
	_, err := w.s.LoginKey(ctx, "", "chosen", use)
	is(t, "a secret that was replaced", err, access.ErrDenied)
	_, err = w.s.LoginKey(ctx, "", "other", use)
	is(t, "its successor", err, nil)
	_, err = w.s.CreateKey(ctx, access.Key{ID: "1", User: w.bob})
	is(t, "an ID that is taken", err, roster.ErrExists)
	_, err = w.e.Update(ctx, func(tx *roster.Txn) error { return access.Forget(tx, w.bob) })
	is(t, "forget who is there", err, roster.ErrExists)
	w.update(func(tx *roster.Txn) error {
		if err := tx.DeleteUser(w.bob); err != nil {
			return err
		}
		return access.Forget(tx, w.bob)
	})
	w.view(func(tx *roster.Txn) {
		if ids := slices.Collect(access.Keys(tx)); len(ids) > 0 {
			t.Errorf("keys of a user who was forgotten: %q", ids)
		}
	})
}

func TestKeyLimits(t *testing.T) {
	w := newWorld(t)
	many := func(n int, format string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for what, k := range map[string]access.Key{
		"no ID": {}, "long ID": {ID: strings.Repeat("x", 129)}, "control": {ID: "a\n"}, "not UTF-8": {ID: "\xff"},
		"pattern": {ID: "x", Endpoints: []string{"api"}}, "patterns": {ID: "x", Endpoints: many(65, "/%d")},
		"address": {ID: "x", Addresses: make([]netip.Prefix, 1)}, "addresses": {ID: "x", Addresses: prefixes(t, many(250, "10.0.0.%d")...)},
	} {
		if what == "addresses" {
			k.Addresses = append(k.Addresses, prefixes(t, many(7, "10.0.1.%d")...)...)
		}
		k.User = w.alice
		rev := w.e.Revision()
		_, err := w.s.CreateKey(ctx, k)
		is(t, what, err, access.ErrInvalid)
		equal(t, what+" changed something", w.e.Revision() != rev, false)
	}
	_, err := w.s.CreateKey(ctx, access.Key{ID: "x", User: 1 << 20})
	is(t, "no such user", err, roster.ErrNotFound)
	is(t, "password of no such user", w.s.SetPassword(ctx, 1<<20, "x"), roster.ErrNotFound)
	is(t, "tokens of no such user", w.s.RevokeTokens(ctx, 1<<20), roster.ErrNotFound)
	is(t, "empty password", w.s.SetPassword(ctx, w.alice, ""), access.ErrInvalid)
	_, err = w.e.Update(ctx, func(tx *roster.Txn) error {
		_, err := access.PutKey(tx, access.Key{ID: "x", User: w.alice}, w.clock())
		return err
	})
	is(t, "no secret", err, access.ErrInvalid)
	for what, list := range map[string][]string{"empty": {""}, "long": {strings.Repeat("x", 201)}, "control": {"a\tb"}, "not UTF-8": {"\xff"}, "many": many(257, "p%d")} {
		_, err := access.CheckPrivileges(list)
		is(t, what+" privileges", err, access.ErrInvalid)
	}
	list, err := access.CheckPrivileges([]string{"b", "a", "b"})
	if err != nil || !slices.Equal(list, []string{"a", "b"}) {
		t.Errorf("privileges are %q, %v", list, err)
	}
	random, _, _ := access.MakeSecret(nil)
	fast, _ := access.ParseHash("$sha256$" + strings.Repeat("A", 43))
	_, err = w.e.Update(ctx, func(tx *roster.Txn) error {
		_, err := access.PutAccount(tx, access.Account{User: w.alice, Password: fast}, w.clock())
		return err
	})
	is(t, "a password in SHA-256", err, access.ErrInvalid)
	way, err := w.s.Hasher().Stretching(nil)
	is(t, "stretching", err, nil)
	for secret, form := range map[string]string{random: "$sha256$", random + "x": "$argon2id$", "k": "$argon2id$"} {
		hash, err := way.Hash(ctx, secret)
		if err != nil || !strings.HasPrefix(hash.Text(), form) {
			t.Errorf("a secret of %d characters is kept as %.10s, %v", len(secret), hash.Text(), err)
		}
	}
	for _, secret := range []string{"", strings.Repeat("x", access.MaxPassword+1)} {
		_, err := way.Hash(ctx, secret)
		is(t, fmt.Sprintf("a secret of %d characters", len(secret)), err, access.ErrInvalid)
	}
	if len(random) != 47 || !strings.HasPrefix(random, "rsk_") {
		t.Errorf("secret of %d characters", len(random))
	}
}

// TestLargest: what is within the limits can be stored.
func TestLargest(t *testing.T) {
	w := newWorld(t)
	var privileges, endpoints []string
	for i := range 80 {
		privileges = append(privileges, fmt.Sprintf("%03d", i)+strings.Repeat(`"`, 197))
	}
	for i := range 64 {
		endpoints = append(endpoints, fmt.Sprintf("/%02d", i)+strings.Repeat(`"`, 253))
	}
	var addresses []netip.Prefix
	for i := range 256 {
		addresses = append(addresses, prefixes(t, fmt.Sprintf("1111:2222:3333:4444:5555:6666:7777:%x/127", 0x8000+2*i))...)
	}
	w.password(w.alice, "x", privileges...)
	w.key(access.Key{ID: strings.Repeat(`"`, 128), User: w.alice, Endpoints: endpoints, Addresses: addresses})
	w.update(func(tx *roster.Txn) error {
		_, hash, err := access.MakeSecret(nil)
		for i := range 1000 {
			if err == nil {
				_, err = access.PutKey(tx, access.Key{ID: strings.Repeat("x", 120) + fmt.Sprint(i), User: w.bob, Secret: hash}, w.clock())
			}
		}
		for i := range 1000 {
			if err == nil {
				err = access.DeleteKey(tx, strings.Repeat("x", 120)+fmt.Sprint(i))
			}
		}
		return err
	})
	_, err := access.CheckPrivileges(append(privileges, strings.Repeat("x", 200), strings.Repeat("y", 200)))
	is(t, "more bytes than fit", err, access.ErrInvalid)
}

// TestSharedSecrets: a secret that several keys have finds none of them alone,
// random or chosen, stretched with one salt or with several.
func TestSharedSecrets(t *testing.T) {
	w := newWorld(t)
	random, hash, err := access.MakeSecret(nil)
	is(t, "secret", err, nil)
	foreign, err := access.NewHasher(access.HashOptions{Params: quick})
	is(t, "hasher", err, nil)
	foreign.Count()
	way, err := foreign.Stretching(nil)
	is(t, "stretching", err, nil)
	elsewhere, err := way.Hash(ctx, "chosen")
	is(t, "hash", err, nil)
	put := func(id string, hash access.Hash) {
		t.Helper()
		w.update(func(tx *roster.Txn) error {
			_, err := access.PutKey(tx, access.Key{ID: id, User: w.bob, Secret: hash}, w.clock())
			return err
		})
	}
	alone := func(what, secret string, want error) {
		t.Helper()
		_, err := w.s.LoginKey(ctx, "", secret, access.KeyUse{Client: office})
		is(t, what, err, want)
		w.pass(2 * time.Minute) // nothing is remembered
	}
	put("r1", hash)
	alone("one random", random, nil)
	put("r2", hash)
	alone("two random", random, access.ErrDenied)
	for _, id := range []string{"r1", "r2"} {
		_, err := w.s.LoginKey(ctx, id, random, access.KeyUse{})
		is(t, "random by ID "+id, err, nil)
	}
	put("c1", elsewhere)
	alone("stretched in another store", "chosen", nil)
	w.stretched(access.Key{ID: "own", User: w.alice}, "other")
	alone("after a key of this one", "chosen", nil)
	w.stretched(access.Key{ID: "c2", User: w.alice}, "chosen")
	// Both were stretched with what this store took over.
	alone("two chosen", "chosen", access.ErrDenied)
	second, err := foreign.Stretching(nil)
	is(t, "stretching", err, nil)
	elsewhere, err = second.Hash(ctx, "chosen")
	is(t, "hash", err, nil)
	put("c2", elsewhere)
	alone("two chosen, of two salts", "chosen", access.ErrDenied)
	w.update(func(tx *roster.Txn) error { return access.DeleteKey(tx, "c1") })
	alone("one again, of the second salt", "chosen", nil)
}

// TestForeignStretching: a store stretches as its own options say, however cheap
// or dear the hashes are that were imported before it had a key of its own.
func TestForeignStretching(t *testing.T) {
	own := access.Params{MemoryKiB: 64, Passes: 2, Lanes: 1}
	for what, params := range map[string]access.Params{"cheap": quick, "dear": {MemoryKiB: 256, Passes: 4, Lanes: 4}} {
		w := newWorld(t, func(o *access.Options) { o.Hash.Params = own })
		foreign, err := access.NewHasher(access.HashOptions{Params: params})
		is(t, "hasher", err, nil)
		foreign.Count()
		for i := range 6 { // more than are tried without an ID
			way, err := foreign.Stretching(nil)
			is(t, "stretching", err, nil)
			hash, err := way.Hash(ctx, "imported")
			is(t, "hash", err, nil)
			w.update(func(tx *roster.Txn) error {
				_, err := access.PutKey(tx, access.Key{ID: fmt.Sprint("imported ", i), User: w.bob, Secret: hash}, w.clock())
				return err
			})
			if i > 0 {
				continue
			}
			for _, id := range []string{"1", "2"} {
				w.stretched(access.Key{ID: id, User: w.alice}, "chosen "+id)
			}
		}
		w.stretched(access.Key{ID: "3", User: w.alice}, "chosen 3")
		salts := map[string]bool{}
		for _, id := range []string{"1", "2", "3"} {
			_, err := w.s.LoginKey(ctx, "", "chosen "+id, access.KeyUse{Client: office})
			is(t, what+": key "+id, err, nil)
			w.view(func(tx *roster.Txn) {
				k, err := access.GetKey(tx, id)
				is(t, what, err, nil)
				stretch := k.Secret.Text()[:strings.LastIndex(k.Secret.Text(), "$")]
				if salts[stretch] = true; !strings.HasPrefix(stretch, "$argon2id$v=19$m=64,t=2,p=1$") {
					t.Errorf("%s: key %s is stretched with %s", what, id, stretch)
				}
			})
		}
		equal(t, what+": salts", len(salts), 1)
		_, err = w.s.LoginKey(ctx, "imported 5", "imported", access.KeyUse{Client: office})
		is(t, what+": an imported key by ID", err, nil)
	}
}
