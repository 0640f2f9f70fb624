package roster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/store/storetest"
)

var ctx = context.Background()

// newPair opens an engine with a directory, 20 users and 5 groups in it.
func newPair(t testing.TB, dir string, o roster.Options) *pair {
	t.Helper()
	p := &pair{t: t, n: newNaive(), clock: &clock{}}
	if o.Now == nil {
		o.Now = p.clock.now
	}
	o.InMemory = dir == ""
	var err error
	if p.e, err = roster.Open(dir, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { within(t, "close", func() { p.e.Close() }) })
	p.update(func(w *writer) {
		w.directory(1, "corp")
		for i := range 20 {
			w.user(roster.User{Directory: 1, Username: fmt.Sprintf("User%02d", i), Active: i%2 == 0})
		}
		for i := range 5 {
			w.group(roster.Group{Directory: 1, Name: fmt.Sprintf("Group%d", i)})
		}
	})
	return p
}

// The handles that newPair gives out: two sets are the engine's own, one is the directory's.
const (
	group0 = roster.GroupID(3) + iota
	group1
	group2
	group3
	group4
)

// within fails the test if fn takes longer than anything here may.
func within(t testing.TB, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("%s hangs\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

func add(g roster.GroupID, users ...roster.UserID) func(*roster.Txn) error {
	return func(tx *roster.Txn) error {
		_, err := tx.Add(g, users...)
		return err
	}
}

// isErr fails the test unless err is want.
func isErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v instead of %v", err, want)
	}
}

func TestNestedUpdate(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	within(t, "a nested update", func() {
		_, err := p.e.Update(ctx, func(tx *roster.Txn) error {
			if _, err := tx.Add(group0, 1); err != nil {
				return err
			}
			_, err := p.e.Update(ctx, add(group0, 2))
			return err
		})
		isErr(t, err, roster.ErrNestedUpdate)
	})
	p.same()
	// An Update of another engine within the closure is none of this one's.
	other := newPair(t, "", roster.Options{})
	p.update(func(w *writer) {
		w.add(group0, 1)
		other.update(func(w *writer) { w.add(group1, 2) })
	})
	p.same()
	other.same()
}

// Somebody who waits long for a slow closure is not taken for one who waits for himself.
func TestSlowUpdate(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	started, errs := make(chan struct{}), make(chan error)
	go func() {
		_, err := p.e.Update(ctx, func(tx *roster.Txn) error {
			close(started)
			time.Sleep(1200 * time.Millisecond)
			return nil
		})
		errs <- err
	}()
	<-started
	if _, err := p.e.Update(ctx, add(group0, 1)); err != nil {
		t.Error(err)
	}
	if err := <-errs; err != nil {
		t.Error(err)
	}
}

func TestUpdateContext(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	held, release := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := p.e.Update(ctx, func(*roster.Txn) error {
			close(held)
			<-release
			return nil
		})
		done <- err
	}()
	<-held
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	called := false
	_, err := p.e.Update(short, func(*roster.Txn) error { called = true; return nil })
	isErr(t, err, context.DeadlineExceeded)
	_, err = p.e.Update(short, func(*roster.Txn) error { called = true; return nil })
	isErr(t, err, context.DeadlineExceeded)
	isErr(t, p.e.Fold(short), context.DeadlineExceeded)
	isErr(t, p.e.Verify(short, nil), context.DeadlineExceeded)
	isErr(t, p.e.View(short, func(*roster.Txn) error { called = true; return nil }), context.DeadlineExceeded)
	if called {
		t.Error("a closure was called under a context that had ended")
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Once the closure has begun, the context does not count.
	over, stop := context.WithCancel(ctx)
	rev, err := p.e.Update(over, func(tx *roster.Txn) error {
		stop()
		return add(group0, 1)(tx)
	})
	if err != nil || rev != p.n.rev+1 || !p.e.Check(1, group0) {
		t.Fatal(rev, err)
	}
}

// everything changes something of every kind.
func everything(tx *roster.Txn) error {
	for _, do := range []func() error{
		func() error { _, err := tx.PutDirectory(roster.Directory{ID: 7, Name: "other"}); return err },
		func() error {
			u, err := tx.CreateUser(roster.User{Directory: 7, Username: "new", Number: 1 << 40, UID: "own"})
			if err != nil {
				return err
			}
			_, err = tx.Add(group0, 1, 2, u)
			return err
		},
		func() error { _, err := tx.Remove(group1, 3); return err },
		func() error { return tx.DeleteUser(4) },
		func() error { return tx.DeleteUser(5) },
		func() error {
			u, err := tx.User(6)
			u.Username, u.Active, u.Description = "AAA renamed", !u.Active, "changed"
			_, err2 := tx.PutUser(u)
			return errors.Join(err, err2)
		},
		func() error {
			g, err := tx.CreateGroup(roster.Group{Directory: 7, Name: "new", Number: 1 << 41})
			_, err2 := tx.Nest(g, group1, group2)
			return errors.Join(err, err2)
		},
		func() error { _, err := tx.Nest(group4, group0); return err },
		func() error { _, err := tx.Unnest(group2, group3); return err },
		func() error { return tx.DeleteGroup(group3) },
		func() error {
			g, err := tx.Group(group1)
			g.Name, g.Abilities = "AAA", []string{"fly"}
			_, err2 := tx.PutGroup(g)
			return errors.Join(err, err2)
		},
		func() error { _, err := tx.Members(group4); return err },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// A closure that fails, panics or exits is undone alone, while others go on.
func TestUndo(t *testing.T) {
	p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{})
	p.update(func(w *writer) {
		w.add(group1, 3, 4, 5)
		w.add(group3, 1, 4)
		w.nest(group2, group3)
		w.nest(group3, group2)
		w.nest(group1, group2)
	})
	if err := p.e.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	stop := make(chan struct{})
	var toggled atomic.Int64
	for k := range 2 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// Users 10 to 19 come and go in group 0, and are all gone in the end.
				u := roster.UserID(10 + 5*k + i%5)
				_, err1 := p.e.Update(ctx, add(group0, u))
				_, err2 := p.e.Update(ctx, func(tx *roster.Txn) error { _, err := tx.Remove(group0, u); return err })
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
				}
				toggled.Add(2)
			}
		})
	}
	cause := errors.New("not today")
	for range 50 {
		_, err := p.e.Update(ctx, func(tx *roster.Txn) error { return errors.Join(everything(tx), cause) })
		isErr(t, err, cause)
		caught := func() (r any) {
			defer func() { r = recover() }()
			p.e.Update(ctx, func(tx *roster.Txn) error {
				if err := everything(tx); err != nil {
					return err
				}
				panic("mine")
			})
			return nil
		}()
		if caught != "mine" {
			t.Fatal(caught)
		}
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			p.e.Update(ctx, func(tx *roster.Txn) error {
				if err := everything(tx); err != nil {
					t.Error(err)
				}
				runtime.Goexit()
				return nil
			})
			t.Error("went on after Goexit")
		}()
		within(t, "the update of a goroutine that exits", func() { <-exited })
	}
	close(stop)
	writers.Wait()
	p.n.rev += roster.Revision(toggled.Load())
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
	// Numbers that an undone closure took are given again.
	p.update(func(w *writer) {
		u := w.user(roster.User{Directory: 1, Username: "next"})
		g := w.group(roster.Group{Directory: 1, Name: "next"})
		if u != 20 || g != group4+1 {
			t.Errorf("%v, %v", u, g)
		}
	})
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
}

// The nesting that an undone closure has changed is whole again when another
// writer's flush publishes the state, right after it.
func TestUndoPublished(t *testing.T) {
	files := storetest.NewFaultFS()
	p := newPair(t, "", roster.WithFS(roster.Options{}, files))
	p.update(func(w *writer) {
		w.nest(group0, group1)
		w.add(group1, 1)
	})
	flushing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	files.Hook(func(op storetest.Op) error {
		if op.Kind == storetest.OpSync {
			once.Do(func() {
				close(flushing)
				<-goOn
			})
		}
		return nil
	})
	var wg sync.WaitGroup
	update := func(fn func(tx *roster.Txn) error) (ran chan struct{}) {
		ran = make(chan struct{})
		wg.Go(func() {
			p.e.Update(ctx, func(tx *roster.Txn) error {
				defer close(ran)
				return fn(tx)
			})
		})
		return ran
	}
	update(add(group2, 1))
	<-flushing
	<-update(add(group3, 1)) // waits for the next flush
	<-update(func(tx *roster.Txn) error {
		_, err := tx.Unnest(group0, group1)
		if tx.Check(1, group0) {
			t.Error("a closure does not see what it did")
		}
		return errors.Join(err, errors.New("no"))
	})
	time.Sleep(10 * time.Millisecond) // it is undone, and waits for that flush too
	close(goOn)
	wg.Wait()
	if !p.e.Check(1, group0) || !p.e.Check(1, group3) {
		t.Error("a nested membership is gone that nobody took away")
	}
}

// A View sees one revision while writers run and folds happen: each user is in
// exactly one of two groups, whichever way it is asked.
func TestViewIsOneRevision(t *testing.T) {
	p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{FoldBytes: 4 << 10})
	p.update(func(w *writer) {
		for u := range roster.UserID(20) {
			w.add(group0, u)
		}
		w.nest(group2, group0)
		w.nest(group2, group1)
	})
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for k := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(k), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				from, to := group0, group1
				if r.IntN(2) == 0 {
					from, to = to, from
				}
				if err := move(p.e, roster.UserID(r.IntN(20)), from, to); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			last := roster.Revision(0)
			for range pick(300, 5000) {
				rev, err := lookAtPartition(p.e)
				if err != nil {
					t.Error(err)
					return
				}
				if rev < last {
					t.Errorf("revision %d after %d", rev, last)
				}
				last = rev
			}
		})
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}

// move moves a user between groups and notes the revision in the user's record.
func move(e *roster.Engine, u roster.UserID, from, to roster.GroupID) error {
	_, err := e.Update(ctx, func(tx *roster.Txn) error {
		n, err1 := tx.Remove(from, u)
		m, err2 := tx.Add(to, u)
		if n != m {
			return fmt.Errorf("left %d groups, joined %d", n, m)
		}
		rec, err3 := tx.User(u)
		rec.Description = fmt.Sprint(to)
		_, err4 := tx.PutUser(rec)
		return errors.Join(err1, err2, err3, err4)
	})
	return err
}

func lookAtPartition(e *roster.Engine) (rev roster.Revision, err error) {
	err = e.View(ctx, func(tx *roster.Txn) error {
		rev = tx.Revision()
		a, err1 := tx.Members(group0)
		b, err2 := tx.Members(group1)
		all, err3 := tx.Members(group2)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		if a.And(b).Len() != 0 || a.Or(b).Len() != 20 || !a.Or(b).Equal(all) {
			return fmt.Errorf("revision %d: %d + %d of %d", rev, a.Len(), b.Len(), all.Len())
		}
		for u := range all.All() {
			rec, err := tx.User(u)
			if err != nil {
				return err
			}
			in := group0
			if b.Contains(u) {
				in = group1
			}
			groups, err := tx.DirectGroups(u)
			if err != nil || !slices.Equal(groups, []roster.GroupID{in}) || !tx.Check(u, group2) ||
				rec.Description != "" && rec.Description != fmt.Sprint(in) {
				return fmt.Errorf("revision %d: user %d in %v and %v, %+v: %v", rev, u, in, groups, rec, err)
			}
		}
		if tx.Revision() != rev {
			return errors.New("the revision of a view changed")
		}
		return nil
	})
	return rev, err
}

func TestClosed(t *testing.T) {
	p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{})
	p.update(func(w *writer) { w.add(group0, 1) })
	var kept roster.Set
	if err := p.e.View(ctx, func(tx *roster.Txn) (err error) { kept, err = tx.Members(group0); return err }); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { waiting <- p.e.Wait(ctx, 1000) }()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := p.e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	within(t, "closing four times at once", wg.Wait)
	within(t, "a wait", func() { isErr(t, <-waiting, roster.ErrClosed) })
	within(t, "an engine that was closed", func() {
		_, err := p.e.Update(ctx, add(group0, 2))
		isErr(t, err, roster.ErrClosed)
		isErr(t, p.e.View(ctx, func(*roster.Txn) error { return nil }), roster.ErrClosed)
		isErr(t, p.e.Fold(ctx), roster.ErrClosed)
		isErr(t, p.e.Verify(ctx, nil), roster.ErrClosed)
		isErr(t, p.e.Wait(ctx, 1000), roster.ErrClosed)
		_, err = p.e.Backup(ctx, &bytes.Buffer{})
		isErr(t, err, roster.ErrClosed)
		_, err = changes(p.e, 1)
		isErr(t, err, roster.ErrClosed)
		p.e.Stats()
	})
	// What is in memory goes on answering.
	if !p.e.Check(1, group0) || p.e.Check(2, group0) || p.e.Revision() != p.n.rev || kept.Len() != 1 || !kept.Contains(1) {
		t.Error("a closed engine forgot what it knew")
	}
	if err := p.e.Wait(ctx, p.n.rev); err != nil {
		t.Error(err)
	}
	if err := p.e.Close(); err != nil {
		t.Error(err)
	}
}

// Close waits for views, which read on to their end.
func TestCloseWaitsForViews(t *testing.T) {
	p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{})
	if err := p.e.Fold(ctx); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	err := p.e.View(ctx, func(tx *roster.Txn) error {
		go func() { closed <- p.e.Close() }()
		for !errors.Is(p.e.View(ctx, func(*roster.Txn) error { return nil }), roster.ErrClosed) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		select {
		case err := <-closed:
			return fmt.Errorf("closed below a view: %v", err)
		default:
		}
		u, err := tx.User(3)
		if err == nil && u.Username != "User03" {
			err = fmt.Errorf("%+v", u)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "close", func() {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// Close comes between writers, folds, views and checks of the disk at any
// moment: nothing hangs, everybody gets ErrClosed or an answer, and what was
// acknowledged is there afterwards.
func TestCloseBesideEverything(t *testing.T) {
	for round := range pick(12, 200) {
		dir := filepath.Join(t.TempDir(), "db")
		p := newPair(t, dir, roster.Options{FoldBytes: 2 << 10})
		var wg sync.WaitGroup
		var newest atomic.Uint64
		until := func(fn func() error) {
			wg.Go(func() {
				for {
					if err := fn(); errors.Is(err, roster.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for k := range 3 {
			until(func() error {
				rev, err := p.e.Update(ctx, func(tx *roster.Txn) error {
					u := roster.UserID(k)
					if n, err := tx.Remove(group0, u); n > 0 || err != nil {
						return err
					}
					return add(group0, u)(tx)
				})
				for old := newest.Load(); err == nil && uint64(rev) > old && !newest.CompareAndSwap(old, uint64(rev)); old = newest.Load() {
				}
				return err
			})
		}
		until(func() error { return p.e.Fold(ctx) })
		until(func() error { _, err := dump(p.e); return err })
		if round%2 == 0 {
			until(func() error { return p.e.Verify(ctx, nil) })
		}
		time.Sleep(time.Duration(round%6) * 3 * time.Millisecond)
		within(t, "close beside everything", func() {
			if err := p.e.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
		e, err := roster.Open(dir, roster.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if e.Revision() < roster.Revision(newest.Load()) {
			t.Errorf("revision %d, %d was acknowledged", e.Revision(), newest.Load())
		}
		e.Close()
		if t.Failed() {
			return
		}
	}
}

// Verify and Fold end while writers never stop.
func TestVerifyBesideWriters(t *testing.T) {
	p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{})
	p.update(func(w *writer) { w.add(group0, 0, 1, 2, 3, 4, 5, 6, 7) })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				g := group0 + roster.GroupID(i%2)
				if err := move(p.e, roster.UserID(k), g, group0+group1-g); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	for range 10 {
		within(t, "verify", func() {
			if err := p.e.Verify(ctx, nil); err != nil {
				t.Error(err)
			}
			if err := p.e.Fold(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWait(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	if err := p.e.Wait(ctx, p.n.rev); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	isErr(t, p.e.Wait(short, p.n.rev+1), context.DeadlineExceeded)
	reached := make(chan error)
	for range 3 {
		go func() {
			err := p.e.Wait(ctx, p.n.rev+2)
			if err == nil && !p.e.Check(2, group0) {
				err = errors.New("woken before the change is visible")
			}
			reached <- err
		}()
	}
	for u := roster.UserID(1); u <= 2; u++ {
		if _, err := p.e.Update(ctx, add(group0, u)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "wait", func() {
		for range 3 {
			if err := <-reached; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCheckMany(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) {
		w.add(group0, 1, 2, 3)
		w.add(group1, 4)
		w.nest(group0, group1)
	})
	var pairs []roster.Membership
	for u := range roster.UserID(30) { // some of them do not exist
		for g := range roster.GroupID(20) {
			pairs = append(pairs, roster.Membership{User: u, Group: g})
		}
	}
	answers := make([]bool, len(pairs)+3)
	p.e.CheckMany(pairs, answers)
	for i, m := range pairs {
		if want := p.n.effective(m.Group)[m.User]; m.Group >= group0 && answers[i] != want {
			t.Errorf("%v: %v", m, answers[i])
		}
		if answers[i] != p.e.Check(m.User, m.Group) {
			t.Errorf("%v: CheckMany and Check differ", m)
		}
		// The engine's own sets are no groups, whatever number somebody makes up.
		if m.Group < group0 && answers[i] {
			t.Errorf("%v is true", m)
		}
	}
	if slices.Contains(answers[len(pairs):], true) {
		t.Error("answers nobody asked for")
	}
}

// methods calls every method of a Txn that can fail, by name.
func methods(tx *roster.Txn) map[string]error {
	errs := map[string]error{}
	note := func(name string, err error) { errs[name] = err }
	_, err := tx.PutDirectory(roster.Directory{ID: 9, Name: "x"})
	note("PutDirectory", err)
	note("DeleteDirectory", tx.DeleteDirectory(1))
	_, err = tx.CreateUser(roster.User{Directory: 1, Username: "x"})
	note("CreateUser", err)
	_, err = tx.PutUser(roster.User{ID: 1, Directory: 1, Username: "x"})
	note("PutUser", err)
	note("DeleteUser", tx.DeleteUser(1))
	_, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "x"})
	note("CreateGroup", err)
	_, err = tx.PutGroup(roster.Group{ID: group0, Directory: 1, Name: "x"})
	note("PutGroup", err)
	note("DeleteGroup", tx.DeleteGroup(group0))
	_, err = tx.Add(group0, 1)
	note("Add", err)
	_, err = tx.Remove(group0, 1)
	note("Remove", err)
	_, err = tx.Nest(group0, group1)
	note("Nest", err)
	_, err = tx.Unnest(group0, group1)
	note("Unnest", err)
	note("Require", tx.Require(1))
	return errs
}

func TestTxnEnds(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	var txs []*roster.Txn
	if err := p.e.View(ctx, func(tx *roster.Txn) error {
		txs = append(txs, tx)
		for name, err := range methods(tx) {
			if !errors.Is(err, roster.ErrReadOnlyTxn) {
				t.Errorf("%s in a View: %v", name, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no")
	p.e.Update(ctx, func(tx *roster.Txn) error { txs = append(txs, tx); return cause })
	p.e.Update(ctx, func(tx *roster.Txn) error { txs = append(txs, tx); return nil })
	for _, tx := range txs {
		for name, err := range methods(tx) {
			if !errors.Is(err, roster.ErrTxnDone) {
				t.Errorf("%s after the closure: %v", name, err)
			}
		}
		_, err1 := tx.User(1)
		_, err2 := tx.Group(group0)
		_, err3 := tx.Members(group0)
		_, err4 := tx.Groups(1)
		_, err5 := tx.Users()
		_, err6 := tx.Subgroups(group0)
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(err, roster.ErrTxnDone) {
				t.Errorf("read %d after the closure: %v", i, err)
			}
		}
		if tx.Check(1, group0) {
			t.Error("Check after the closure")
		}
	}
	p.same()
}

func TestPreconditions(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) { w.add(group0, 1) })
	_, err := p.e.Update(ctx, func(tx *roster.Txn) error { return errors.Join(tx.Require(p.n.rev), add(group0, 2)(tx)) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.e.Update(ctx, func(tx *roster.Txn) error {
		if err := add(group0, 3)(tx); err != nil {
			return err
		}
		return tx.Require(p.n.rev)
	})
	isErr(t, err, roster.ErrConflict)
	if p.e.Check(3, group0) || !p.e.Check(2, group0) {
		t.Error("undone the wrong one")
	}
	var u roster.User
	var g roster.Group
	if err := p.e.View(ctx, func(tx *roster.Txn) error {
		var err1, err2 error
		u, err1 = tx.User(7)
		g, err2 = tx.Group(group1)
		return errors.Join(err1, err2)
	}); err != nil {
		t.Fatal(err)
	}
	u.FullName, g.Description = "one", "one"
	put := func() error {
		_, err := p.e.Update(ctx, func(tx *roster.Txn) error {
			changed, err1 := tx.PutUser(u)
			changedG, err2 := tx.PutGroup(g)
			if err1 == nil && !changed || err2 == nil && !changedG {
				t.Error("not changed")
			}
			return errors.Join(err1, err2)
		})
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	u.FullName, g.Description = "two", "two" // of the revision before
	isErr(t, put(), roster.ErrConflict)
	u.Revision, g.Revision = 0, 0
	if err := put(); err != nil {
		t.Fatal(err)
	}
	// What changes nothing makes no revision.
	before := p.e.Revision()
	rev, err := p.e.Update(ctx, func(tx *roster.Txn) error {
		u.Updated, g.Updated = time.Time{}, time.Time{}
		c1, err1 := tx.PutUser(u)
		c2, err2 := tx.PutGroup(g)
		n, err3 := tx.Add(group0, 1, 2)
		m, err4 := tx.Remove(group0, 9)
		if c1 || c2 || n != 0 || m != 0 {
			t.Error(c1, c2, n, m)
		}
		return errors.Join(err1, err2, err3, err4)
	})
	if err != nil || rev != before || p.e.Revision() != before {
		t.Error(rev, before, err)
	}
}

func TestLimit(t *testing.T) {
	p := newPair(t, "", roster.Options{MaxNesting: 4})
	p.update(func(w *writer) {
		w.nest(group0, group1) // 1 pair
		w.nest(group1, group2) // 3 pairs
		w.add(group2, 5)
	})
	err := p.try(func(w *writer) {
		w.add(group0, 1)
		w.nest(group2, group3) // 6 pairs
		w.add(group0, 2)
	})
	isErr(t, err, roster.ErrLimit)
	p.same()
	p.update(func(w *writer) { w.nest(group0, group3) })
	p.same()
	isErr(t, p.try(func(w *writer) { w.nest(group2, group0) }), roster.ErrLimit) // a cycle
	p.same()
	p.update(func(w *writer) {
		w.unnest(group0, group1)
		w.nest(group3, group4)
	})
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Error(err)
	}
}

func TestAllocations(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) {
		w.add(group2, 1)
		w.nest(group1, group2)
		w.nest(group0, group1)
	})
	pairs := []roster.Membership{{User: 1, Group: group0}, {User: 2, Group: group0}}
	answers := make([]bool, 2)
	for name, fn := range map[string]func(){
		"Check":     func() { p.e.Check(1, group0); p.e.Check(2, group0) },
		"CheckMany": func() { p.e.CheckMany(pairs, answers) },
		"CheckName": func() {
			if ok, err := p.e.CheckName("user01", "group0"); !ok || err != nil {
				t.Error(ok, err)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if !answers[0] || answers[1] {
		t.Error(answers)
	}
}

// Changes goes back as far as RetainRevisions says, and says so beyond that.
func TestRetention(t *testing.T) {
	for _, retain := range []uint64{0, 40, 1 << 40} {
		p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{RetainRevisions: retain, MaxSegmentBytes: 8 << 10})
		want := map[roster.Revision]string{}
		text := string(bytes.Repeat([]byte("x"), 60<<10))
		for i := range 60 {
			p.update(func(w *writer) {
				w.putUser(1, func(u *roster.User) { u.Description = fmt.Sprint(i, text) })
			})
			want[p.n.rev] = fmt.Sprint(i, text)
			if i%10 == 9 {
				if err := p.e.Fold(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		oldest := p.e.Stats().Oldest
		switch {
		case retain == 0 && oldest+20 < p.n.rev-11, retain == 40 && oldest > p.n.rev-39, retain == 40 && oldest == 1, retain > 1000 && oldest != 1:
			t.Errorf("retain %d: the oldest of %d is %d", retain, p.n.rev, oldest)
		}
		for from := range p.n.rev + 3 {
			next := max(from, 1)
			for c, err := range p.e.Changes(ctx, from) {
				if errors.Is(err, roster.ErrTrimmed) && next < oldest {
					next = p.n.rev + 1
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.Revision == 1 {
					next = 2
					continue
				}
				if c.Revision != next || c.UserID != 1 || c.User.Description != want[next] {
					t.Fatalf("from %d: revision %d instead of %d", from, c.Revision, next)
				}
				next++
			}
			if next != max(p.n.rev+1, from) {
				t.Fatalf("retain %d: from %d it ends before %d of %d", retain, from, next, p.n.rev)
			}
		}
		p.e.Close()
	}
}

func TestInMemory(t *testing.T) {
	p := newPair(t, "", roster.Options{FoldBytes: 1 << 10})
	for i := range 30 {
		p.update(func(w *writer) { w.putUser(roster.UserID(i%20), func(u *roster.User) { u.Email = fmt.Sprint(i) }) })
		if i%10 == 0 {
			if err := p.e.Fold(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := p.e.Backup(ctx, &b); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "db")
	if err := roster.Restore(ctx, dir, &b, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.e.Close()
	var err error
	if p.e, err = roster.Open(dir, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.same()
}

// Writers that wait share a flush.
func TestGroupCommit(t *testing.T) {
	files := storetest.NewFaultFS()
	p := newPair(t, "", roster.WithFS(roster.Options{}, files))
	var syncs atomic.Int64
	files.Hook(func(op storetest.Op) error {
		if op.Kind == storetest.OpSync {
			syncs.Add(1)
			time.Sleep(2 * time.Millisecond) // a slow disk
		}
		return nil
	})
	const writers, each = 64, 10
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[roster.Revision]bool{}
	for k := range writers {
		wg.Go(func() {
			for i := range each {
				rev, err := p.e.Update(ctx, func(tx *roster.Txn) error {
					_, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprintf("w%d-%d", k, i)})
					return err
				})
				mu.Lock()
				if err != nil || seen[rev] || p.e.Revision() < rev {
					t.Errorf("revision %d twice, or not visible: %v", rev, err)
				}
				seen[rev] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	files.Hook(nil)
	if n := syncs.Load(); n > writers*each/16 {
		t.Errorf("%d flushes for %d updates by %d writers", n, writers*each, writers)
	} else {
		t.Logf("%d flushes for %d updates by %d writers", n, writers*each, writers)
	}
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Error(err)
	}
}
