package roster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// Records that are kept in memory are those of the fold that a view reads, also
// where views of several folds are open and all records want the same place.
func TestRecordsOfSeveralFolds(t *testing.T) {
	for _, places := range []int{2, 64, 0} {
		t.Run(fmt.Sprint("places=", places), func(t *testing.T) {
			e, err := roster.Open(filepath.Join(t.TempDir(), "db"), roster.Options{FoldEvery: time.Millisecond, NoSearchIndex: true})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			roster.SetRecordPlaces(e, places)
			w := &folds{e: e, r: rand.New(rand.NewPCG(rand.Uint64(), 3))}
			if err := w.deeper(0); err != nil {
				t.Error(err)
			}
			if bases := roster.KeptFolds(e); bases < min(places/2, 2) {
				t.Errorf("records of %d folds are kept", bases)
			}
		})
	}
}

// folds is an engine in which every record says at which depth it was written, and
// the views that are open, one at each depth.
type folds struct {
	e     *roster.Engine
	r     *rand.Rand
	users []roster.UserID
	open  []*roster.Txn
}

// deeper writes all records anew, waits until they are folded, and reads them
// beside those of the views that are open.
func (w *folds) deeper(depth int) error {
	rev, err := w.e.Update(ctx, func(tx *roster.Txn) error { return w.write(tx, depth) })
	if err != nil {
		return err
	}
	for w.e.Stats().Folded < rev {
		time.Sleep(time.Millisecond)
	}
	return w.e.View(ctx, func(tx *roster.Txn) error {
		w.open = append(w.open, tx)
		for range 2000 {
			if err := w.read(); err != nil {
				return err
			}
		}
		if depth == 3 {
			return nil
		}
		return w.deeper(depth + 1)
	})
}

func (w *folds) write(tx *roster.Txn, depth int) error {
	text := fmt.Sprint("depth", depth)
	if depth == 0 {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		for i := range 40 {
			u, e := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint("user", i), FullName: text, Active: true})
			w.users, err = append(w.users, u), errors.Join(err, e)
		}
		if err != nil {
			return err
		}
	}
	_, err := tx.PutOrganization(roster.Organization{ID: "org", Name: text})
	for _, u := range w.users {
		rec, e := tx.User(u)
		rec.FullName = text
		_, e2 := tx.PutUser(rec)
		_, e3 := tx.PutOrgMembership(roster.OrgMembership{Organization: "org", User: u, Owner: true, Permissions: []string{text}})
		err = errors.Join(err, e, e2, e3)
	}
	return err
}

// read reads some record in some view.
func (w *folds) read() error {
	depth := w.r.IntN(len(w.open))
	tx, u := w.open[depth], w.users[w.r.IntN(len(w.users))]
	var got string
	var err error
	switch w.r.IntN(3) {
	case 0:
		var rec roster.User
		rec, err = tx.User(u)
		got = rec.FullName
	case 1:
		var m roster.OrgMembership
		if m, err = tx.OrgMembership("org", u); err == nil {
			got = m.Permissions[0]
		}
		if err == nil && m.User != u {
			return fmt.Errorf("asked for %v, got %v", u, m.User)
		}
	case 2:
		var o roster.Organization
		o, err = tx.Organization("org")
		got = o.Name
	}
	if want := fmt.Sprint("depth", depth); err == nil && got != want {
		err = fmt.Errorf("%q in the view of %q", got, want)
	}
	return err
}
