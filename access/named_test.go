package access_test

import (
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// TestNamesOfOthersKeepNobodyOut: a name with a directory in front is good for its
// user, whatever others are called; those are found by their own.
func TestNamesOfOthersKeepNobodyOut(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "alice's")
	like := map[string]roster.UserID{"alice": 0, `corp\alice`: 0, `CORP.example\Alice`: 0, `corp.example\nobody`: 0}
	w.update(func(tx *roster.Txn) (err error) {
		for name := range like {
			if like[name], err = tx.CreateUser(roster.User{Directory: 2, Username: name, Active: true}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, u := range like {
		w.password(u, "another's")
	}
	for _, c := range []struct {
		name, password string
		want           roster.UserID
		ok             bool
	}{
		{`corp\alice`, "alice's", w.alice, true}, {`Corp.Example\ALICE`, "alice's", w.alice, true}, {`corp\alice`, "another's", 0, false},
		{`ldap\corp\alice`, "another's", like[`corp\alice`], true}, {`ldap\corp\alice`, "alice's", 0, false},
		{`corp.example\nobody`, "another's", like[`corp.example\nobody`], true}, {"alice", "alice's", 0, false},
	} {
		p, err := w.s.Login(ctx, c.name, c.password, office)
		if !c.ok {
			is(t, c.name, err, access.ErrDenied)
		} else if err != nil || p.User != c.want {
			t.Errorf("%s with %s is %v, not %v: %v", c.name, c.password, p.User, c.want, err)
		}
		w.s.Forgive()
	}
}
