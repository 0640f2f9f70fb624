package directory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// TestLoginOther: whoever has a name in the source that somebody else keeps here
// does not log in as that one.
func TestLoginOther(t *testing.T) {
	c, e := made(10), open(t)
	src := c.source()
	src.Password = func(_ context.Context, u directory.User, password string) (bool, error) {
		return password == u.Key, nil
	}
	l := newLink(t, e, src, directory.Options{})
	mustSync(t, l, directory.Run{})
	update(t, e, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("corp")
		if err == nil {
			_, err = tx.CreateUser(roster.User{Directory: d.ID, Username: "root", Active: true})
		}
		return err
	})
	c.users["k1"] = "root"
	if id, err := l.Login(t.Context(), "root", "k1"); !errors.Is(err, directory.ErrCredentials) {
		rec, _ := user(t, e, "root")
		t.Errorf("logged in as %v, %v; root is %v", id, err, rec.ID)
	}
}

// TestBackInactive: a user deactivated by hand is not activated by vanishing and
// coming back.
func TestBackInactive(t *testing.T) {
	c, e := made(10), open(t)
	l := newLink(t, e, c.source(), directory.Options{})
	mustSync(t, l, directory.Run{})
	rec, _ := user(t, e, "u3")
	update(t, e, func(tx *roster.Txn) error {
		rec.Active = false
		_, err := tx.PutUser(rec)
		return err
	})
	delete(c.users, "k3")
	mustSync(t, l, directory.Run{})
	c.users["k3"] = "u3"
	mustSync(t, l, directory.Run{})
	if rec, _ := user(t, e, "u3"); rec.Active || len(rec.Attributes[directory.GoneAttribute]) > 0 {
		t.Errorf("back: %+v", rec)
	}
}
