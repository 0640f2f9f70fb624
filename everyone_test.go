package roster_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
)

// What is combined with everybody is what it was, but for users who are not there
// any more.
func TestSetAndEveryone(t *testing.T) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var users []roster.UserID
	var old roster.Set
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		for i := range 5 {
			u, e := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint("user", i), Active: i%2 == 0})
			users, err = append(users, u), errors.Join(err, e)
		}
		return err
	})
	if err == nil {
		err = e.View(ctx, func(tx *roster.Txn) (err error) { old, err = tx.Active(); return err })
	}
	if err == nil {
		_, err = e.Update(ctx, func(tx *roster.Txn) error { return tx.DeleteUser(users[0]) })
	}
	if err != nil {
		t.Fatal(err)
	}
	err = e.View(ctx, func(tx *roster.Txn) error {
		all, err := tx.Users()
		if err != nil {
			return err
		}
		active, err := tx.Active()
		if err != nil {
			return err
		}
		for what, s := range map[string]roster.Set{
			"active": active, "of before": old, "of both": active.Or(old), "of both, turned": old.Or(active),
		} {
			for _, got := range []roster.Set{all.And(s), s.And(all)} {
				if want := users[2:]; !slices.Equal(slices.Collect(got.All()), []roster.UserID{want[0], want[2]}) {
					t.Errorf("%s and everyone: %v", what, slices.Collect(got.All()))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
