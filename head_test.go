package roster_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
)

// TestHeads: what is told from memory is that of the state that is asked, and of
// nobody who does not exist. The model tests hold it to the records.
func TestHeads(t *testing.T) {
	e := openEmpty(t)
	var u roster.UserID
	var g roster.GroupID
	change(t, e, func(tx *roster.Txn) (err error) {
		if _, err = tx.PutDirectory(roster.Directory{ID: 3, Name: "corp"}); err != nil {
			return err
		}
		if u, err = tx.CreateUser(roster.User{Directory: 3, Username: "Ünal", FullName: "not in memory", UID: "u-1", Active: true}); err == nil {
			g, err = tx.CreateGroup(roster.Group{Directory: 3, Name: "Staff", Number: 77, Description: "nor this", Enterprise: true})
		}
		return err
	})
	user := roster.User{ID: u, Directory: 3, Username: "Ünal", Number: uint64(u) + 1, UID: "u-1", Active: true}
	group := roster.Group{ID: g, Directory: 3, Name: "Staff", Number: 77, UID: "grp_77", Enterprise: true}
	same := func(what string, tx *roster.Txn, user roster.User, group roster.Group) {
		t.Helper()
		gotUser, err1 := tx.UserHead(u)
		gotGroup, err2 := tx.GroupHead(g)
		if err := errors.Join(err1, err2); err != nil || fmt.Sprint(gotUser) != fmt.Sprint(user) || fmt.Sprint(gotGroup) != fmt.Sprint(group) {
			t.Errorf("%s: %+v, %+v, %v", what, gotUser, gotGroup, err)
		}
	}
	var done *roster.Txn
	view(t, e, func(tx *roster.Txn) error {
		done = tx
		same("at first", tx, user, group)
		change(t, e, func(tx *roster.Txn) error {
			changed, renamed := user, group
			changed.Active, renamed.Name, renamed.Enterprise = false, "all", false
			_, err1 := tx.PutUser(changed)
			_, err2 := tx.PutGroup(renamed)
			same("in the update that changes it", tx, changed, renamed)
			return errors.Join(err1, err2)
		})
		same("in a view from before that", tx, user, group)
		for _, n := range []uint32{uint32(u) + 1000, uint32(g) + 1000, 1<<32 - 1} {
			_, err1 := tx.UserHead(roster.UserID(n))
			_, err2 := tx.GroupHead(roster.GroupID(n))
			if !errors.Is(err1, roster.ErrNotFound) || !errors.Is(err2, roster.ErrNotFound) {
				t.Errorf("%d: %v, %v", n, err1, err2)
			}
		}
		return nil
	})
	_, err1 := done.UserHead(u)
	_, err2 := done.GroupHead(g)
	_, err3 := done.SetOf(u)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, roster.ErrTxnDone) {
			t.Errorf("after its end: %v", err)
		}
	}
}

// TestSetOf: a set of given users, few or many, as any other.
func TestSetOf(t *testing.T) {
	const n = 70_000 // they do not go into one shard
	e := openEmpty(t)
	var users []roster.UserID
	change(t, e, func(tx *roster.Txn) error {
		if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"}); err != nil {
			return err
		}
		for i := range n {
			u, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprintf("u%05d", i)})
			if err != nil {
				return err
			}
			users = append(users, u)
		}
		return nil
	})
	view(t, e, func(tx *roster.Txn) error {
		for _, some := range [][]roster.UserID{nil, users[:1], users[5:9], users[:n/2], users[n/3:], users} {
			given := append(slices.Clone(some), some[:len(some)/2]...)
			slices.Reverse(given)
			set, err := tx.SetOf(given...)
			if err != nil || set.Len() != len(some) || !slices.Equal(slices.Collect(set.All()), some) || !slices.Equal(slices.Collect(set.ByName("")), some) {
				t.Errorf("of %d users: %d, %v", len(some), set.Len(), err)
			}
			if rest := set.Not(); rest.Len() != n-len(some) {
				t.Errorf("all but %d users: %d", len(some), rest.Len())
			}
		}
		if set, err := tx.SetOf(users[3], n+7); !errors.Is(err, roster.ErrNotFound) || set.Len() > 0 {
			t.Errorf("with somebody unknown: %d, %v", set.Len(), err)
		}
		return nil
	})
	_, err := e.Update(t.Context(), func(tx *roster.Txn) error {
		if err := tx.DeleteUser(users[2]); err != nil {
			return err
		}
		if _, err := tx.SetOf(users[1:4]...); !errors.Is(err, roster.ErrNotFound) {
			t.Errorf("with somebody deleted: %v", err)
		}
		set, err := tx.SetOf(users[1], users[3])
		if err != nil || set.Len() != 2 {
			t.Errorf("in an update: %d, %v", set.Len(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// change calls fn with an update, and fails with its error.
func change(t *testing.T, e *roster.Engine, fn func(*roster.Txn) error) {
	t.Helper()
	if _, err := e.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}
