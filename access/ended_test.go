package access_test

import (
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestEndToken: one token ends, and no other.
func TestEndToken(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	w.password(w.bob, "one")
	issue := func(name string, spec access.TokenSpec) string {
		t.Helper()
		w.pass(time.Millisecond) // tokens that say the same are the same
		token, _, err := w.issue(name, "one", spec)
		is(t, "issue", err, nil)
		return token
	}
	check := func(what, token string, want error) {
		t.Helper()
		_, err := w.s.CheckToken(ctx, token, "x", access.Binding{Client: office})
		is(t, what, err, want)
	}
	spec := access.TokenSpec{Audience: "x"}
	first, second, bobs := issue("alice", spec), issue("alice", spec), issue("bob", spec)
	bound := issue("alice", access.TokenSpec{Audience: "x", Binding: access.Binding{Client: office}})
	p, err := w.s.CheckToken(ctx, first, "x", access.Binding{})
	is(t, "check", err, nil)

	rev := w.e.Revision()
	for what, token := range map[string]string{"none": "", "of another API": issue("alice", access.TokenSpec{Audience: "y"}), "changed": first + "x"} {
		is(t, what, w.s.EndToken(ctx, token, "x", access.Binding{}), access.ErrInvalidToken)
	}
	is(t, "from elsewhere", w.s.EndToken(ctx, bound, "x", access.Binding{Client: other}), access.ErrInvalidToken)
	equal(t, "revisions of what ended nothing", w.e.Revision()-rev, 0)

	is(t, "end", w.s.EndToken(ctx, first, "x", access.Binding{}), nil)
	w.view(func(tx *roster.Txn) { _, err = p.Current(tx) })
	is(t, "who came with it", err, access.ErrInvalidToken)
	check("ended", first, access.ErrInvalidToken)
	is(t, "end again", w.s.EndToken(ctx, first, "x", access.Binding{}), access.ErrInvalidToken)
	check("the second", second, nil)
	check("the bound one", bound, nil)
	check("somebody else's", bobs, nil)
	is(t, "new key", w.s.NewTokenKey(ctx, true), nil)
	check("ended, with another key", first, access.ErrInvalidToken)
	w.service(access.Options{Hash: access.HashOptions{Params: quick}, Now: w.clock})
	check("ended, to another process", first, access.ErrInvalidToken)
	check("the second, to another process", second, nil)
}

// TestManyEnded: what is kept of ended tokens does not grow: those that have
// expired are forgotten, and who ends many ends all.
func TestManyEnded(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "one")
	w.password(w.bob, "one")
	kept := func() (n int) {
		w.view(func(tx *roster.Txn) {
			for range tx.DataKeys(access.Space, "ended/") {
				n++
			}
		})
		return n - 1 // the keys of tokens come behind
	}
	issue := func(name string) string {
		w.pass(time.Millisecond)
		token, _, err := w.issue(name, "one", access.TokenSpec{})
		is(t, "issue", err, nil)
		return token
	}
	bobs, hers := issue("bob"), issue("alice")
	for i := range 64 {
		is(t, "end", w.s.EndToken(ctx, issue("alice"), "", access.Binding{}), nil)
		equal(t, "kept", kept(), i+1)
	}
	_, err := w.s.CheckToken(ctx, hers, "", access.Binding{})
	is(t, "another one", err, nil)
	is(t, "end bob's", w.s.EndToken(ctx, bobs, "", access.Binding{}), nil)
	is(t, "end one more", w.s.EndToken(ctx, issue("alice"), "", access.Binding{}), nil)
	equal(t, "kept", kept(), 1)
	_, err = w.s.CheckToken(ctx, hers, "", access.Binding{})
	is(t, "all are ended", err, access.ErrInvalidToken)
	for range 3 {
		w.pass(2 * time.Hour)
		is(t, "end", w.s.EndToken(ctx, issue("bob"), "", access.Binding{}), nil)
		equal(t, "kept, of what has expired", kept(), 1)
	}
	w.update(func(tx *roster.Txn) error {
		if err := tx.DeleteUser(w.bob); err != nil {
			return err
		}
		return access.Forget(tx, w.bob)
	})
	equal(t, "kept of who is forgotten", kept(), 0)
}
