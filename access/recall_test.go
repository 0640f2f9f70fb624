package access_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestRecall: what is remembered of an account is that of the transaction that asks,
// whoever asked before, and nobody can change it from outside.
func TestRecall(t *testing.T) {
	w := newWorld(t)
	privileges := func(to string) func(*roster.Txn) error {
		return func(tx *roster.Txn) error {
			a, err := access.GetAccount(tx, w.alice)
			if err == nil {
				a.Privileges = []string{to}
				_, err = access.PutAccount(tx, a, w.clock())
			}
			return err
		}
	}
	has := func(what string, p access.Principal, err error, want string) {
		t.Helper()
		is(t, what, err, nil)
		if !slices.Equal(p.Privileges, []string{want}) {
			t.Errorf("%s: %q, not %q", what, p.Privileges, want)
		}
	}
	w.password(w.alice, "one", "first")
	token, _, err := w.issue("alice", "one", access.TokenSpec{Audience: "x"})
	is(t, "token", err, nil)
	check := func() (access.Principal, error) {
		return w.s.CheckToken(ctx, token, "x", access.Binding{Client: office})
	}

	p, err := check()
	has("at first", p, err, "first")
	p.Privileges[0] = access.AllPrivileges
	again, err := check()
	has("after a host has written into its own", again, err, "first")

	w.view(func(tx *roster.Txn) {
		for i := range 3 {
			name := fmt.Sprint("then ", i)
			w.update(privileges(name))
			p, err := check()
			has("after a change", p, err, name)
			p, err = p.Current(tx)
			has("in a view from before it", p, err, "first")
		}
	})
	refused := errors.New("refused")
	_, err = w.e.Update(ctx, func(tx *roster.Txn) error {
		if err := privileges("never")(tx); err != nil {
			return err
		}
		p, err := p.Current(tx)
		has("in the update that changes it", p, err, "never")
		return refused
	})
	is(t, "update", err, refused)
	p, err = check()
	has("after one that was refused", p, err, "then 2")

	// The same name, and what stands under it cannot be read, and then can again.
	var good []byte
	name := fmt.Sprintf("account/%08x", uint32(w.alice))
	put := func(data []byte) {
		w.update(func(tx *roster.Txn) (err error) {
			if good == nil {
				good, err = tx.Data(access.Space, name)
			}
			if err == nil {
				_, err = tx.PutData(access.Space, name, data)
			}
			return err
		})
	}
	put([]byte(`{"v":1,"epoch":"many"}`))
	for range 2 {
		_, err = check()
		is(t, "damaged", err, roster.ErrCorrupt)
	}
	put(good)
	p, err = check()
	has("made good", p, err, "then 2")
}
