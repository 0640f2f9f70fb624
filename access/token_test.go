package access_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one", "p")
	rev := w.e.Revision()
	token, expires, err := w.issue("alice", "one", access.TokenSpec{Audience: "arcgis"})
	is(t, "issue", err, nil)
	equal(t, "the first token makes a key", w.e.Revision()-rev, 1)
	equal(t, "expires", expires, w.clock().Add(time.Hour))
	rev = w.e.Revision()
	for range 5 {
		_, _, err := w.issue("alice", "one", access.TokenSpec{Audience: "arcgis"})
		is(t, "issue", err, nil)
	}
	equal(t, "commits of further tokens", w.e.Revision()-rev, 0)

	check := func(what string, want error) {
		t.Helper()
		p, err := w.s.CheckToken(ctx, token, "arcgis", access.Binding{Referer: "https://x", Client: other})
		is(t, what, err, want)
		if err == nil && (p.User != w.alice || p.By != access.ByToken || p.Client != other || !p.Has("p")) {
			t.Errorf("%s: %+v", what, p)
		}
		if err != nil {
			is(t, what, err, access.ErrDenied)
			equal(t, what+": text", err.Error(), access.ErrInvalidToken.Error())
		}
	}
	check("fresh", nil)
	_, err = w.s.CheckToken(ctx, token, "crowd", access.Binding{})
	is(t, "another API", err, access.ErrInvalidToken)
	w.pass(time.Hour - time.Millisecond)
	check("just before", nil)
	w.pass(time.Millisecond)
	check("expired", access.ErrInvalidToken)
	again := func() {
		t.Helper()
		w.s.Forgive()
		if token, _, err = w.issue("alice", "one", access.TokenSpec{Audience: "arcgis"}); err != nil {
			t.Fatal(err)
		}
		check("issued again", nil)
	}
	again()
	w.active(w.alice, false)
	check("user not active", access.ErrInvalidToken)
	w.active(w.alice, true)
	check("user active again", nil)
	is(t, "revoke", w.s.RevokeTokens(ctx, w.alice), nil)
	check("revoked", access.ErrInvalidToken)
	again()
	w.password(w.alice, "one")
	check("password set", access.ErrInvalidToken)
	again()
	is(t, "new key", w.s.NewTokenKey(ctx, true), nil)
	check("older key", nil)
	for range 3 {
		is(t, "new key", w.s.NewTokenKey(ctx, true), nil)
	}
	check("key too old", access.ErrInvalidToken)
	again()
	is(t, "new key", w.s.NewTokenKey(ctx, false), nil)
	check("key let go", access.ErrInvalidToken)
	again()
	w.update(func(tx *roster.Txn) error { return access.DeleteAccount(tx, w.alice, w.clock()) })
	check("account deleted", access.ErrInvalidToken)
	w.password(w.alice, "one", "p")
	check("account made again", access.ErrInvalidToken)
	again()
	w.update(func(tx *roster.Txn) error { return tx.DeleteUser(w.alice) })
	check("user deleted", access.ErrInvalidToken)

	// A user without an account.
	token, _, err = w.issue("dora", "from the source", access.TokenSpec{})
	is(t, "issue", err, nil)
	_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
	is(t, "check", err, nil)
	is(t, "revoke", w.s.RevokeTokens(ctx, w.dora), nil)
	_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
	is(t, "revoked", err, access.ErrInvalidToken)
	w.view(func(tx *roster.Txn) {
		if _, err := access.GetAccount(tx, w.dora); err == nil {
			t.Error("revoking tokens made an account")
		}
	})
	_, err = w.s.Login(ctx, "dora", "from the source", office)
	is(t, "the identity source", err, nil)

	// The first password is another one than that of the identity source.
	token, _, err = w.issue("dora", "from the source", access.TokenSpec{})
	is(t, "issue", err, nil)
	w.password(w.dora, "one")
	_, err = w.s.CheckToken(ctx, token, "", access.Binding{})
	is(t, "the first password", err, access.ErrInvalidToken)
}

func TestTokenSpec(t *testing.T) {
	w := newWorld(t, func(o *access.Options) { o.TokenLife, o.MaxTokenLife = time.Minute, 2*time.Minute })
	w.password(w.alice, "one")
	p, err := w.s.Login(ctx, "alice", "one", office)
	is(t, "login", err, nil)
	for life, want := range map[time.Duration]time.Duration{0: time.Minute, time.Second: time.Second, time.Hour: 2 * time.Minute} {
		_, expires, err := w.s.IssueToken(ctx, p, access.TokenSpec{Life: life})
		is(t, "issue", err, nil)
		equal(t, fmt.Sprint("life of ", life), expires.Sub(w.clock()), want)
	}
	for what, spec := range map[string]access.TokenSpec{
		"both":          {Binding: access.Binding{Referer: "x", Client: office}},
		"long referer":  {Binding: access.Binding{Referer: strings.Repeat("x", 2049)}},
		"long audience": {Audience: strings.Repeat("x", 65)},
		"negative":      {Life: -1},
	} {
		_, _, err := w.s.IssueToken(ctx, p, spec)
		is(t, what, err, access.ErrInvalid)
	}
	token, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{})
	is(t, "issue", err, nil)
	byToken, err := w.s.CheckToken(ctx, token, "", access.Binding{})
	is(t, "check", err, nil)
	byKey, err := w.s.LoginKey(ctx, "", w.key(access.Key{ID: "k", User: w.alice}), access.KeyUse{})
	is(t, "key", err, nil)
	for _, p := range []access.Principal{{}, byToken, byKey, {User: w.alice, Username: "Alice"}} {
		_, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{})
		is(t, "token for "+p.By.String(), err, access.ErrDenied)
	}
	w.active(w.alice, false)
	_, _, err = w.s.IssueToken(ctx, p, access.TokenSpec{})
	is(t, "token for who is not active any more", err, access.ErrDenied)
}

func TestBinding(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	for _, c := range []struct {
		bound, use access.Binding
		want       bool
	}{
		{access.Binding{}, access.Binding{}, true},
		{access.Binding{Client: office}, access.Binding{Client: office}, true},
		{access.Binding{Client: netip.MustParseAddr("::ffff:192.0.2.7")}, access.Binding{Client: office}, true},
		{access.Binding{Client: office}, access.Binding{Client: other}, false},
		{access.Binding{Client: office}, access.Binding{}, false},
		{access.Binding{Client: office}, access.Binding{Referer: "192.0.2.7"}, false},
		{access.Binding{Referer: "192.0.2.7"}, access.Binding{Client: office}, false},
		{access.Binding{Referer: "https://host"}, access.Binding{Referer: "https://host/app?x=1"}, true},
		{access.Binding{Referer: "https://host"}, access.Binding{}, false},
		{access.Binding{Referer: "https://host"}, access.Binding{Referer: "https://host.evil.example"}, false},
	} {
		token, _, err := w.issue("alice", "one", access.TokenSpec{Binding: c.bound})
		is(t, "issue", err, nil)
		_, err = w.s.CheckToken(ctx, token, "", c.use)
		if (err == nil) != c.want {
			t.Errorf("bound to %+v, used with %+v: %v", c.bound, c.use, err)
		}
	}
	for _, c := range []struct {
		bound, referer string
		want           bool
	}{
		{"https://host", "https://host", true}, {"https://host", "https://host/", true}, {"https://HOST", "HTTPS://host/a", true}, {"https://host/", "https://host", true},
		{"https://host/app", "https://host/app", true}, {"https://host/app", "https://host/app/x", true}, {"https://host/app/", "https://host/app/x", true},
		{"https://host/app", "https://host/apple", false}, {"https://host/app", "https://host/App", false}, {"https://host/app", "https://host/", false},
		{"https://host/app", "https://host/app/../x", false}, {"https://host/app", "https://host/app/%2e%2e/x", false},
		{"https://host", "http://host", false}, {"https://host", "https://host:444", false}, {"https://host:444", "https://host:444/x", true},
		{"https://host", "https://host@evil.example", false}, {"https://host", "https://evil.example/https://host", false},
		{"https://host", "https://user@host/", false}, {"https://host", "https://hos", false}, {"https://host", "host", false}, {"https://host", "", false},
		{"host", "https://host/x", true}, {"host", "https://host.evil.example", false}, {"host", "https://evil.example/host", false}, {"host", "host", true},
		{"@esri/arcgis-rest-js", "@esri/arcgis-rest-js", true}, {"@esri/arcgis-rest-js", "@esri/arcgis-rest", false}, {"", "", false}, {"", "https://host", false},
		{"https://host", "https://host%00.evil.example", false}, {"https://host", ":", false},
	} {
		if got := access.FitsReferer(c.bound, c.referer); got != c.want {
			t.Errorf("%q fits what is bound to %q: %t", c.referer, c.bound, got)
		}
	}
}

// TestTampering: no token but the one that was issued is taken.
func TestTampering(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	w.password(w.bob, "two")
	token, _, err := w.issue("alice", "one", access.TokenSpec{Audience: "a", Binding: access.Binding{Referer: "https://host"}})
	is(t, "issue", err, nil)
	use := access.Binding{Referer: "https://host"}
	_, err = w.s.CheckToken(ctx, token, "a", use)
	is(t, "as issued", err, nil)
	deny := func(what, token string) {
		t.Helper()
		if p, err := w.s.CheckToken(ctx, token, "a", use); err == nil || p.By != 0 {
			t.Errorf("%s: taken, as %v", what, p)
		}
	}
	raw, err := access.TokenText.DecodeString(token)
	is(t, "text", err, nil)
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			deny(fmt.Sprintf("byte %d bit %d", i, bit), access.TokenText.EncodeToString(raw))
			raw[i] ^= 1 << bit
		}
	}
	for i := range token {
		for _, c := range []byte("Aa0-_=.+/ \n\r\x00") {
			if c != token[i] {
				deny(fmt.Sprintf("character %d as %q", i, c), token[:i]+string(c)+token[i+1:])
			}
		}
		deny(fmt.Sprintf("cut off at %d", i), token[:i])
		deny(fmt.Sprintf("without the first %d", i), token[min(i+1, len(token)):])
		deny(fmt.Sprintf("a line end at %d", i), token[:i]+"\n"+token[i:])
	}
	for _, tail := range []string{"A", "AAAA", "=", " ", "\n", token} {
		deny("longer by "+tail, token+tail)
	}
	deny("much longer", token+strings.Repeat("A", 1<<20))

	// Signed in other ways, or with what everybody knows.
	body := raw[:len(raw)-32]
	for what, key := range map[string][]byte{"no key": nil, "zeros": make([]byte, 32), "itself": body} {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		deny("signed with "+what, access.TokenText.EncodeToString(mac.Sum(body[:len(body):len(body)])))
	}
	sum := sha256.Sum256(body)
	deny("hashed, not signed", access.TokenText.EncodeToString(append(body[:len(body):len(body)], sum[:]...)))
	deny("not signed", access.TokenText.EncodeToString(append(body[:len(body):len(body)], make([]byte, 32)...)))
	b64 := base64.RawURLEncoding.EncodeToString
	for _, alg := range []string{"none", "None", "HS256", "RS256", ""} {
		deny("JWT "+alg, b64([]byte(`{"alg":"`+alg+`","typ":"JWT"}`))+"."+b64([]byte(`{"sub":"Alice","exp":99999999999}`))+".")
	}
	deny("a secret", "rsk_"+strings.Repeat("A", 43))

	// The signature of one over the claims of another.
	theirs, _, err := w.issue("bob", "two", access.TokenSpec{Audience: "a", Binding: access.Binding{Referer: "https://host"}})
	is(t, "issue", err, nil)
	raw2, _ := access.TokenText.DecodeString(theirs)
	deny("another's signature", access.TokenText.EncodeToString(append(body[:len(body):len(body)], raw2[len(raw2)-32:]...)))

	// Of another engine with the same users.
	w2 := newWorld(t)
	w2.password(w2.alice, "one")
	foreign, _, err := w2.issue("alice", "one", access.TokenSpec{Audience: "a", Binding: access.Binding{Referer: "https://host"}})
	is(t, "issue", err, nil)
	deny("another engine's", foreign)
	p, err := w.s.CheckToken(ctx, theirs, "a", use)
	is(t, "bob's", err, nil)
	equal(t, "bob's", p.User, w.bob)
}
