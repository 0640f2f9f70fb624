package access_test

import (
	"testing"
	"time"

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

// TestNamesWithoutPasswords: a name is good for the one user of that name who has a
// password or an identity source, whoever else is made of that name.
func TestNamesWithoutPasswords(t *testing.T) {
	w := newWorld(t)
	w.password(w.alice, "alice's")
	names := []string{"alice", "alice@corp", "alice@corp.example", "dora", "dora@ldap", "nobody"}
	w.update(func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 3, Name: "third"}); err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.CreateUser(roster.User{Directory: 3, Username: name, Active: true}); err != nil {
				return err
			}
		}
		return nil
	})
	login := func(name, password string, want error) access.Principal {
		t.Helper()
		p, err := w.s.Login(ctx, name, password, office)
		is(t, name+" with "+password, err, want)
		w.s.Forgive()
		return p
	}
	for _, name := range []string{"alice", "Alice", "alice@corp", "ALICE@corp.example", `corp\alice`} {
		equal(t, name, login(name, "alice's", nil).User, w.alice)
		login(name, "another's", access.ErrDenied)
	}
	for _, name := range []string{"dora", "dora@ldap"} {
		equal(t, name, login(name, "from the source", nil).User, w.dora)
	}
	login("nobody", "alice's", access.ErrDenied)
	w.update(func(tx *roster.Txn) error {
		_, err := tx.CreateUser(roster.User{Directory: 2, Username: "alice", Active: true})
		return err
	})
	w.pass(2 * time.Minute) // what was right is known for one
	login("alice@corp", "alice's", nil)
	login("alice", "alice's", access.ErrDenied) // two can log in by that name
}

// TestNameOfBefore: a source that finds, while it is asked, that a name has passed to
// somebody else lets nobody in as the user who had it.
func TestNameOfBefore(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		_, err := access.PutAccount(tx, access.Account{User: w.dora, Privileges: []string{access.AllPrivileges}}, w.clock())
		return err
	})
	var heir roster.UserID
	w.source.refresh = func() {
		w.source.refresh = nil
		w.update(func(tx *roster.Txn) error {
			rec, err := tx.User(w.dora)
			if err != nil {
				return err
			}
			rec.Username = "dora.smith"
			if _, err := tx.PutUser(rec); err != nil {
				return err
			}
			heir, err = tx.CreateUser(roster.User{Directory: 2, Username: "dora", Active: true})
			return err
		})
	}
	p, err := w.s.Login(ctx, "dora", "from the source", office)
	is(t, "while the name passes on", err, access.ErrDenied)
	equal(t, "nobody", p.User, 0)
	for name, u := range map[string]roster.UserID{"dora": heir, "dora.smith": w.dora} {
		p, err := w.s.Login(ctx, name, "from the source", office)
		is(t, name, err, nil)
		equal(t, name, p.User, u)
	}
}
