package access_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestNothingLeaks: no password, secret, token or hash is in an error, in the
// log, in what is printed, in Changes, or in what is stored.
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	const password, wrong, chosen = "correct horse battery", "Tr0ub4dor and three", "sk_live_chosen_by_somebody"
	w.password(w.alice, password, "p")
	random := w.key(access.Key{ID: "r", User: w.alice, Endpoints: []string{"/a"}})
	w.stretched(access.Key{ID: "c", User: w.alice}, chosen)
	token, _, err := w.issue("alice", password, access.TokenSpec{Audience: "crowd"})
	is(t, "issue", err, nil)
	var account access.Account
	var key access.Key
	w.view(func(tx *roster.Txn) {
		account, _ = access.GetAccount(tx, w.alice)
		key, _ = access.GetKey(tx, "c")
	})
	secrets := []string{password, wrong, chosen, random, token, account.Password.Text(), key.Secret.Text(), w.source.password}
	var said []string
	say := func(v ...any) {
		for _, v := range v {
			said = append(said, fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v))
			if b, err := json.Marshal(v); err == nil {
				said = append(said, string(b))
			}
		}
	}
	say(account, &account, key, &key, []access.Key{key}, w.s.Hasher(), access.Options{})
	for _, name := range []string{"alice", "nobody", "dora", "carl", password, wrong} {
		for _, pw := range append(secrets, "", strings.Repeat(wrong, 100)) {
			p, err := w.s.Login(ctx, name, pw, office)
			say(p, err)
			w.s.Forgive()
		}
	}
	for range 12 {
		_, err := w.s.Login(ctx, "alice", wrong, office)
		say(err)
	}
	for _, id := range []string{"", "r", "c", "x", wrong} {
		for _, s := range secrets {
			p, err := w.s.LoginKey(ctx, id, s, access.KeyUse{Path: "/b", Client: office})
			say(p, err)
		}
	}
	for _, s := range secrets {
		p, err := w.s.CheckToken(ctx, s, "rebilly", access.Binding{Referer: s})
		say(p, err)
		_, err = access.ParseHash(s + "x")
		say(err)
		_, err = access.ParseHash("$argon2id$v=19$m=8,t=1,p=1$" + s)
		say(err)
		for _, scheme := range []access.Scheme{access.ArcGIS(), access.Rebilly(), access.Crowd(), access.Ingress()} {
			door := w.s.Door(scheme)
			r := ask{method: "GET", header: []string{"Authorization", "Bearer " + s, "REB-APIKEY", s, "tld-api-id", s, "tld-api-key", s}}.request()
			p, err := door.Authenticate(r, url.Values{"token": {s}})
			say(p, err)
		}
	}
	say(w.s.SetPassword(ctx, 1<<20, password), w.s.SetPassword(ctx, w.alice, strings.Repeat(password, 100)))
	for c, err := range w.e.Changes(ctx, 1) {
		say(c, err)
	}
	said = append(said, w.log.String())
	for _, text := range said {
		for i, s := range secrets {
			for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s)), hex.EncodeToString([]byte(s)), url.QueryEscape(s)} {
				if strings.Contains(text, form) || strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
					t.Fatalf("secret %d shows in %.300s", i, text)
				}
			}
		}
	}
	if !strings.Contains(w.log.String(), "wrong password") || !strings.Contains(w.log.String(), "user=Alice") {
		t.Errorf("the log tells too little: %.500s", w.log)
	}

	w.view(func(tx *roster.Txn) {
		for k := range tx.DataKeys(access.Space, "") {
			v, err := tx.Data(access.Space, k)
			is(t, k, err, nil)
			for i, s := range []string{password, chosen, random, token} {
				if strings.Contains(k+string(v), s) {
					t.Errorf("secret %d is stored under %q", i, k)
				}
			}
		}
	})
}

// TestDamagedRecords: what is stored and cannot be read is an error of the engine,
// lets nobody in and shows nothing.
func TestDamagedRecords(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	secret := w.key(access.Key{ID: "1", User: w.alice})
	p, err := w.s.Login(ctx, "alice", "one", office)
	is(t, "login", err, nil)
	token, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{})
	is(t, "issue", err, nil)
	accountKey := fmt.Sprintf("account/%08x", uint32(w.alice))
	for _, c := range []struct {
		value string
		want  error
	}{
		{"", roster.ErrCorrupt}, {"null", roster.ErrCorrupt}, {"{}", roster.ErrCorrupt}, {"[]", roster.ErrCorrupt}, {`{"v":0}`, roster.ErrCorrupt},
		{`{"v":1,"secret-thing":"hush"}`, roster.ErrCorrupt}, {`{"v":1,"hash":"hush","secret":"hush","keys":"hush"}`, roster.ErrCorrupt},
		{`{"v":1}{"v":1}`, roster.ErrCorrupt}, {`{"v":2,"new":"hush"}`, roster.ErrNewerFormat},
	} {
		for _, key := range []string{accountKey, "key/1", "token"} {
			var old []byte
			w.update(func(tx *roster.Txn) (err error) {
				if old, err = tx.Data(access.Space, key); err == nil {
					_, err = tx.PutData(access.Space, key, []byte(c.value))
				}
				return err
			})
			var err error
			switch key {
			case accountKey:
				_, err = w.s.Login(ctx, "alice", "one", office)
			case "key/1":
				_, err = w.s.LoginKey(ctx, "1", secret, access.KeyUse{})
			case "token":
				_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
			}
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "hush") || errors.Is(err, access.ErrDenied) {
				t.Errorf("%s of %s: %v", key, c.value, err)
			}
			w.update(func(tx *roster.Txn) error { _, err := tx.PutData(access.Space, key, old); return err })
		}
		w.pass(time.Minute)
	}
	_, err = w.s.Login(ctx, "alice", "one", office)
	is(t, "made good", err, nil)
}

// TestShortTokenKey: a key that is too short to be one signs nothing and vouches
// for nothing.
func TestShortTokenKey(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	p, err := w.s.Login(ctx, "alice", "one", office)
	is(t, "login", err, nil)
	token, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{})
	is(t, "issue", err, nil)
	raw, err := access.TokenText.DecodeString(token)
	is(t, "text", err, nil)
	for _, key := range [][]byte{nil, {}, {0}, make([]byte, 31)} {
		rec, err := json.Marshal(map[string]any{"v": 1, "keys": []any{map[string]any{"id": 1, "key": key, "created": w.clock()}}})
		is(t, "record", err, nil)
		w.update(func(tx *roster.Txn) error { _, err := tx.PutData(access.Space, "token", rec); return err })
		_, err = w.s.CheckToken(ctx, access.SealToken(raw[:len(raw)-32], key), "", access.Binding{})
		is(t, fmt.Sprintf("signed with %d bytes", len(key)), err, access.ErrInvalidToken)
		_, _, err = w.s.IssueToken(ctx, p, access.TokenSpec{})
		is(t, fmt.Sprintf("to be signed with %d bytes", len(key)), err, roster.ErrCorrupt)
	}
}
