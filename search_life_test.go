package roster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
)

// heldView is a View that is open until it is told to end.
type heldView struct {
	ask  chan func(*roster.Txn)
	done chan struct{}
}

func hold(t *rapid.T, e *roster.Engine) *heldView {
	h := &heldView{ask: make(chan func(*roster.Txn)), done: make(chan struct{})}
	begun := make(chan struct{})
	go func() {
		defer close(h.done)
		err := e.View(context.Background(), func(tx *roster.Txn) error {
			close(begun)
			for fn := range h.ask {
				fn(tx)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	return h
}

// do has fn run in the view.
func (h *heldView) do(fn func(*roster.Txn) error) error {
	err := make(chan error)
	h.ask <- func(tx *roster.Txn) { err <- fn(tx) }
	return <-err
}

func (h *heldView) end() {
	close(h.ask)
	<-h.done
}

// life is an engine that changes, with views that stay behind.
type life struct {
	dir   string
	o     roster.Options
	e     *roster.Engine
	r     *rand.Rand
	views []*heldView
	next  int
}

// TestSearchLife searches at every step of a life of changes: within the update,
// right after it, and in views that were open before; while the index runs after
// it all, is thrown away, and is opened again.
func TestSearchLife(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each life takes half a second
		defer f.Value.Set(f.DefValue)
		f.Value.Set(pick("40", "400"))
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "roster-search-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l := &life{dir: dir, r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
		l.o = roster.Options{SearchAttributes: []string{"title"}, FoldEvery: -1}
		if rapid.IntRange(0, 2).Draw(t, "index always") > 0 {
			l.o = roster.WithIndexAlways(l.o)
		} else {
			l.o = roster.WithIndexAbove(l.o, 1)
		}
		l.o.SearchTextBytes = rapid.SampledFrom([]int64{0, -1, 2000}).Draw(t, "text bytes")
		l.open(t)
		defer func() { l.close(t) }()
		t.Repeat(map[string]func(*rapid.T){
			"update": l.update, "update again": l.update, "hold": l.holdOne, "end": l.endOne, "fold": l.fold, "reopen": l.reopen, "wait": l.wait, "": l.check,
		})
	})
}

func (l *life) open(t *rapid.T) {
	var err error
	if l.e, err = roster.Open(l.dir, l.o); err != nil {
		t.Fatal(err)
	}
	_, err = l.e.Update(context.Background(), func(tx *roster.Txn) error {
		_, err1 := tx.PutDirectory(roster.Directory{ID: 1, Name: "one", Domain: "corp"})
		_, err2 := tx.PutDirectory(roster.Directory{ID: 2, Name: "Two.example"})
		var err3 error
		if _, err := tx.FindGroup("g"); err != nil {
			_, err3 = tx.CreateGroup(roster.Group{Directory: 1, Name: "g"})
		}
		return errors.Join(err1, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *life) close(t *rapid.T) {
	for _, h := range l.views {
		h.end()
	}
	l.views = nil
	if err := l.e.Close(); err != nil {
		t.Error(err)
	}
}

func (l *life) reopen(t *rapid.T) {
	l.close(t)
	if rapid.IntRange(0, 3).Draw(t, "without index") == 0 {
		if err := os.RemoveAll(filepath.Join(l.dir, "search")); err != nil {
			t.Fatal(err)
		}
	}
	l.open(t)
}

func (l *life) fold(t *rapid.T) {
	if err := l.e.Fold(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// wait lets the index come up with the engine.
func (l *life) wait(t *rapid.T) {
	if l.e.Stats().Users > 0 {
		indexed(t, l.e)
	}
}

func (l *life) holdOne(t *rapid.T) {
	if len(l.views) < 4 {
		l.views = append(l.views, hold(t, l.e))
	}
}

func (l *life) endOne(t *rapid.T) {
	if len(l.views) == 0 {
		t.Skip("no view is open")
	}
	i := l.r.IntN(len(l.views))
	l.views[i].end()
	l.views = slices.Delete(l.views, i, i+1)
}

var errUndone = errors.New("undone")

// update makes some changes, and searches among them.
func (l *life) update(t *rapid.T) {
	_, err := l.e.Update(context.Background(), func(tx *roster.Txn) error {
		for range 1 + l.r.IntN(8) {
			if err := l.change(tx); err != nil {
				return err
			}
		}
		if err := agree(l.r, tx, 3); err != nil {
			return err
		}
		if l.r.IntN(5) == 0 {
			return errUndone
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
}

func (l *life) change(tx *roster.Txn) error {
	set, err := tx.Users()
	if err != nil {
		return err
	}
	users := slices.Collect(set.All())
	if len(users) < 60 || l.r.IntN(4) == 0 && len(users) < 150 {
		l.next++
		_, err := tx.CreateUser(person(l.r, l.next))
		return err
	}
	id := pickOne(l.r, users...)
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	g, err := tx.FindGroup("g")
	if err != nil {
		return err
	}
	switch l.r.IntN(5) {
	case 0:
		return tx.DeleteUser(id)
	case 1:
		_, err = tx.Add(g, id)
	case 2:
		_, err = tx.Remove(g, id)
	default:
		l.next++
		other := person(l.r, l.next)
		u.Username, u.FullName, u.Email, u.Active = other.Username, other.FullName, other.Email, other.Active
		_, err = tx.PutUser(u)
	}
	return err
}

// check searches in every view, and in a new one.
func (l *life) check(t *rapid.T) {
	search := func(tx *roster.Txn) error { return agree(l.r, tx, 3) }
	if err := l.e.View(context.Background(), search); err != nil {
		t.Fatal(err)
	}
	for _, h := range l.views {
		if err := h.do(search); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSearchBesideWriters searches in views of many goroutines while others edit
// users and the index runs after them.
func TestSearchBesideWriters(t *testing.T) {
	dir := t.TempDir()
	o := roster.WithIndexAlways(roster.Options{FoldEvery: 100 * time.Millisecond})
	e := peopled(t, dir, o, rand.New(rand.NewPCG(29, 30)), 150)
	indexed(t, e)
	if _, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		_, err := tx.CreateGroup(roster.Group{Directory: 1, Name: "g"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	for w := range 2 {
		l := life{e: e, r: rand.New(rand.NewPCG(31, uint64(w))), next: 10_000 * (w + 1)}
		writers.Go(func() {
			for !stop.Load() {
				if _, err := e.Update(context.Background(), l.change); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(l.r.IntN(3)) * time.Millisecond)
			}
		})
	}
	for w := range 3 {
		r := rand.New(rand.NewPCG(32, uint64(w)))
		readers.Go(func() {
			for range pick(15, 300) {
				if err := e.View(context.Background(), func(tx *roster.Txn) error { return agree(r, tx, 4) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	stop.Store(true)
	writers.Wait()
}

// TestSearchPagesUnderChange reads the pages of a search in a view each, while
// users come, go and get other names. Those who stay are found once, in order.
func TestSearchPagesUnderChange(t *testing.T) {
	for _, q := range []roster.SearchQuery{{Text: "same"}, {Text: "same person"}, {Text: "ame"}, {Text: "c", Fields: roster.Username}, {Text: "samee", Fuzzy: true}} {
		r := rand.New(rand.NewPCG(33, uint64(len(q.Text))))
		e, err := roster.Open(t.TempDir(), roster.WithIndexAlways(roster.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		change := func(fn func(tx *roster.Txn) error) {
			t.Helper()
			if _, err := e.Update(context.Background(), fn); err != nil {
				t.Fatal(err)
			}
		}
		var stay []roster.UserID
		var others []roster.UserID
		made := 0
		name := func() string {
			made++
			return fmt.Sprintf("c%04d.%d", r.IntN(10_000), made)
		}
		change(func(tx *roster.Txn) error {
			for i, d := range []string{"same", "other"} { // who is called so goes first
				id := roster.DirectoryID(i + 1)
				if _, err := tx.PutDirectory(roster.Directory{ID: id, Name: d}); err != nil {
					return err
				}
				if _, err := tx.CreateUser(roster.User{Directory: id, Username: "same", FullName: "Same Person c"}); err != nil {
					return err
				}
			}
			for i := range 400 {
				u, err := tx.CreateUser(roster.User{Directory: 1, Username: name(), FullName: "Same Person"})
				if err != nil {
					return err
				}
				if i%2 == 0 {
					stay = append(stay, u)
				} else {
					others = append(others, u)
				}
			}
			return nil
		})
		indexed(t, e)
		seen := map[roster.UserID]int{}
		q.Limit = 7
		for {
			var res roster.SearchResult
			view(t, e, func(tx *roster.Txn) (err error) {
				res, err = tx.Search(q)
				return err
			})
			for _, u := range res.Users {
				seen[u]++
			}
			if q.After = res.Next; q.After == "" {
				break
			}
			change(func(tx *roster.Txn) error {
				for range 5 {
					i := r.IntN(len(others))
					u, err := tx.User(others[i])
					if err != nil {
						return err
					}
					if r.IntN(2) == 0 {
						u.Username = name()
						if _, err := tx.PutUser(u); err != nil {
							return err
						}
						continue
					}
					if err := tx.DeleteUser(u.ID); err != nil {
						return err
					}
					if others[i], err = tx.CreateUser(roster.User{Directory: 1, Username: name(), FullName: "Same Person"}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, u := range stay {
			if seen[u] != 1 {
				t.Errorf("%+v: user %v is on %d pages", q, u, seen[u])
			}
		}
	}
}
