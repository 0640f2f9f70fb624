package crash

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/rosterdb/roster"
)

// look reads the world of a writer from the engine.
func look(e *roster.Engine, writer int) (*world, error) {
	w := newWorld()
	err := e.View(context.Background(), func(tx *roster.Txn) error {
		return w.read(tx, roster.DirectoryID(writer+1))
	})
	return w, err
}

func (w *world) read(tx *roster.Txn, dir roster.DirectoryID) error {
	users, err := tx.DirectoryUsers(dir)
	if err != nil {
		return err
	}
	for u := range users.All() {
		rec, err := tx.User(u)
		if err != nil {
			return err
		}
		if rec.Username != progress {
			w.users[rec.Username] = rec.Description
		} else if w.done, err = strconv.Atoi(rec.Description); err != nil {
			return err
		}
	}
	for i := range groups {
		name := fmt.Sprint("group ", i)
		if g, ok := tx.GroupByName(dir, name); ok {
			if err := w.readGroup(tx, g, name); err != nil {
				return err
			}
		}
	}
	for i := range orgs {
		if err := w.readOrg(tx, dir, fmt.Sprint("org ", i)); err != nil {
			return err
		}
	}
	space := dataSpace(dir)
	for key := range tx.DataKeys(space, "") {
		value, err := tx.Data(space, key)
		if err != nil {
			return err
		}
		w.data[key] = string(value)
	}
	return nil
}

func (w *world) readOrg(tx *roster.Txn, dir roster.DirectoryID, name string) error {
	id := orgID(dir, name)
	members, err := tx.OrgMembers(id)
	if errors.Is(err, roster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	w.orgs[name] = map[string]seat{}
	for u := range members.All() {
		m, err := tx.OrgMembership(id, u)
		if err != nil {
			return err
		}
		w.orgs[name][tx.Username(u)] = seat{owner: m.Owner, standard: m.Default, since: int(m.Created.Unix())}
	}
	return nil
}

func (w *world) readGroup(tx *roster.Txn, g roster.GroupID, name string) error {
	w.in[name], w.under[name] = map[string]bool{}, map[string]bool{}
	members, err := tx.DirectMembers(g)
	if err != nil {
		return err
	}
	for u := range members.All() {
		w.in[name][tx.Username(u)] = true
	}
	children, err := tx.Subgroups(g)
	for _, c := range children {
		w.under[name][tx.GroupName(c)] = true
	}
	return err
}

// checkTokens makes sure that each token is in one of the two groups.
func checkTokens(e *roster.Engine) error {
	return e.View(context.Background(), func(tx *roster.Txn) error {
		l, ok1 := tx.GroupByName(common, left)
		r, ok2 := tx.GroupByName(common, right)
		if !ok1 || !ok2 {
			return fmt.Errorf("the groups of the tokens are gone")
		}
		for i := range tokens {
			u, ok := tx.UserByName(common, fmt.Sprint("token ", i))
			if !ok || tx.CheckDirect(u, l) == tx.CheckDirect(u, r) {
				return fmt.Errorf("token %d is half moved", i)
			}
		}
		return nil
	})
}
