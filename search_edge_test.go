package roster_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// TestSearchWithinRevisions searches within a set that was combined of sets of
// two revisions, the older of which holds users who are no more.
func TestSearchWithinRevisions(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	for _, n := range []int{100, 3000} {
		e := peopled(t, t.TempDir(), roster.WithIndexAbove(roster.Options{}, 1), r, n)
		indexed(t, e)
		group := func(tx *roster.Txn, name string) roster.Set {
			g, err := tx.FindGroup(name)
			if err != nil {
				t.Fatal(err)
			}
			set, err := tx.Members(g)
			if err != nil {
				t.Fatal(err)
			}
			return set
		}
		var old roster.Set
		view(t, e, func(tx *roster.Txn) error {
			old = group(tx, "group2")
			return nil
		})
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			for u := range old.All() {
				return tx.DeleteUser(u)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		view(t, e, func(tx *roster.Txn) error {
			all, err := everyone(tx)
			within := group(tx, "group1").Or(old)
			for _, text := range []string{"", "a", "alan", "turing"} {
				for _, fields := range []uint8{0, roster.Username, roster.FullName} {
					if err == nil {
						err = compareSearch(tx, roster.SearchQuery{Text: text, Fields: fields, Within: &within, Limit: 7}, all)
					}
				}
			}
			return err
		})
	}
}

// reopened closes an engine that peopled has made, and opens it again. It fails
// if the index was not good enough to go on with.
func reopened(t *testing.T, e *roster.Engine, dir string) *roster.Engine {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := roster.Options{SearchAttributes: []string{"title"}, FoldEvery: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	e, err := roster.Open(dir, roster.WithIndexAbove(o, 1))
	if err != nil {
		t.Fatal(err)
	}
	indexed(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); strings.Contains(s, "search index") {
		t.Error(s)
	}
	if e, err = roster.Open(dir, roster.WithIndexAbove(roster.Options{SearchAttributes: []string{"title"}}, 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// TestSearchNothing opens the index of a store in which there is nothing to find
// of a user: search folding leaves nothing of an apostrophe.
func TestSearchNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAbove(roster.Options{}, 1), r, 100)
	update := func(fn func(*roster.Txn) error) {
		t.Helper()
		if _, err := e.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
		indexed(t, e)
	}
	var u roster.UserID
	update(func(tx *roster.Txn) (err error) {
		u, err = tx.CreateUser(roster.User{Directory: 1, Username: "'"})
		return err
	})
	if err := e.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	e = reopened(t, e, dir)
	indexed(t, e)
	searchWell(t, e, r, 30)
	update(func(tx *roster.Txn) error { return tx.DeleteUser(u) })
	reopened(t, e, dir)
}

// TestSearchBehindLog has a writer who edits no users and never rests, while
// the log is folded and cut. The index must not be left behind by the log.
func TestSearchBehindLog(t *testing.T) {
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAbove(roster.Options{FoldEvery: -1, MaxSegmentBytes: 1 << 16}, 1), rand.New(rand.NewPCG(33, 34)), 300)
	indexed(t, e)
	was := e.Revision()
	for i, end := 0, time.Now().Add(4*time.Second); time.Now().Before(end); i++ {
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			_, err := tx.PutData("test", "key", bytes.Repeat([]byte{byte(i)}, 20_000))
			return err
		})
		if err == nil && i%100 == 99 {
			err = e.Fold(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if st := e.Stats(); st.Oldest <= was+1 {
		t.Skipf("the log was not cut: %+v", st)
	}
	reopened(t, e, dir)
}

// TestSearchTextBytes lets the texts of users grow beyond what may be kept of
// them.
func TestSearchTextBytes(t *testing.T) {
	const users, limit = 2000, 400_000
	e, err := roster.Open(t.TempDir(), roster.WithIndexAbove(roster.Options{SearchTextBytes: limit}, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	put := func(size int) {
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			for i := range roster.UserID(users) {
				u := roster.User{ID: i, Directory: 1, Username: fmt.Sprint("user", i), FullName: strings.Repeat("x", size), Description: fmt.Sprint("number ", size)}
				if _, err := tx.PutUser(u); err != nil {
					if _, err = tx.CreateUser(u); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		indexed(t, e)
		view(t, e, func(tx *roster.Txn) error {
			for _, text := range []string{"umbe", fmt.Sprint("umber ", size), "user1999", "xxxxxxx"} {
				q := roster.SearchQuery{Text: text, Fields: roster.FullName | roster.Description, Limit: -1}
				res, err := tx.Search(q)
				want := users
				if text == "user1999" {
					want = 0
				}
				if err != nil || res.Total != want {
					t.Errorf("size %d: %q finds %d, %v", size, text, res.Total, err)
				}
			}
			return nil
		})
	}
	if _, err := e.Update(ctx, func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "one"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	put(10)
	for end := time.Now().Add(10 * time.Second); e.Stats().SearchMemory == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	for _, size := range []int{900, 10, 300, 900} {
		put(size)
		m := e.Stats().SearchMemory
		t.Logf("with names of %d bytes %d bytes are kept", size, m)
		if m > limit+1<<16 {
			t.Errorf("%d bytes of texts, %d are allowed", m, limit)
		}
	}
}

// TestSearchReadOnlySmall opens a store that is too small for an index, which is
// nothing to complain about.
func TestSearchReadOnlySmall(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(35, 36))
	if err := peopled(t, dir, roster.Options{}, r, 100).Close(); err != nil {
		t.Fatal(err)
	}
	e, err := roster.Open(dir, roster.Options{ReadOnly: true, SearchAttributes: []string{"title"}})
	if err != nil {
		t.Fatal(err)
	}
	searchWell(t, e, r, 10)
	time.Sleep(100 * time.Millisecond)
	if p := e.Stats().SearchProblem; p != "" {
		t.Error(p)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSearchDomains searches where a thousand directories have one domain.
func TestSearchDomains(t *testing.T) {
	e, err := roster.Open(t.TempDir(), roster.WithIndexAbove(roster.Options{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const dirs, users = 1000, 10_000
	_, err = e.Update(ctx, func(tx *roster.Txn) error {
		for i := range dirs {
			d := roster.Directory{ID: roster.DirectoryID(i + 1), Name: fmt.Sprint("dir", i), Domain: "corp"}
			if i == 0 {
				d.Domain = "other"
			}
			if _, err := tx.PutDirectory(d); err != nil {
				return err
			}
		}
		for i := range users {
			if _, err := tx.CreateUser(roster.User{Directory: roster.DirectoryID(i%dirs + 1), Username: fmt.Sprint("user", i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	indexed(t, e)
	for _, c := range []struct {
		text string
		want int
	}{
		{`corp\user`, users - users/dirs}, {`other\user`, users / dirs}, {`dir0\user`, users / dirs}, {"user1@corp", 1}, {"user0@corp", 0},
		{strings.Repeat(`corp\user `, 32), users - users/dirs},
	} {
		for try := range 5 { // a busy machine is no failure
			begin := time.Now()
			view(t, e, func(tx *roster.Txn) error {
				res, err := tx.Search(roster.SearchQuery{Text: c.text})
				if err != nil || res.Total != c.want {
					t.Errorf("%q finds %d, %v, want %d", c.text, res.Total, err, c.want)
				}
				return nil
			})
			d := time.Since(begin)
			if d < 200*time.Millisecond {
				break
			}
			if try == 4 {
				t.Errorf("%q: %v", c.text, d)
			}
		}
	}
}
