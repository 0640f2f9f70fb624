package roster_test

import (
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

// endBadly has a closure that changed everything fail, one panic and one exit.
func endBadly(t *testing.T, e *roster.Engine) {
	t.Helper()
	cause := errors.New("not today")
	_, err := e.Update(ctx, func(tx *roster.Txn) error { return errors.Join(everything(tx), cause) })
	isErr(t, err, cause)
	caught := func() (r any) {
		defer func() { r = recover() }()
		e.Update(ctx, func(tx *roster.Txn) error {
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
		e.Update(ctx, func(tx *roster.Txn) error {
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
	for k := range roster.UserID(2) {
		writers.Go(func() {
			for i := roster.UserID(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				u := 10 + 5*k + i%5 // they come and go, and are all gone in the end
				_, err1 := p.e.Update(ctx, add(group0, u))
				_, err2 := p.e.Update(ctx, func(tx *roster.Txn) error { _, err := tx.Remove(group0, u); return err })
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
				}
				toggled.Add(2)
			}
		})
	}
	for range 50 {
		endBadly(t, p.e)
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

// Nothing is visible before it is durable, and nobody is told of it: not even who
// finds that there is nothing left to do, or that it cannot be done.
func TestDurableFirst(t *testing.T) {
	files := storetest.NewFaultFS()
	p := newPair(t, "", roster.WithFS(roster.Options{}, files))
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
	var returned atomic.Int32
	var wg sync.WaitGroup
	update := func(fn func(*roster.Txn) error) {
		wg.Go(func() {
			rev, _ := p.e.Update(ctx, fn)
			if returned.Add(1); rev != p.n.rev+1 {
				t.Errorf("revision %d", rev)
			}
		})
	}
	update(add(group0, 1))
	<-flushing
	seen := make(chan bool, 3)
	update(func(tx *roster.Txn) error { // nothing left to do
		seen <- tx.CheckDirect(1, group0)
		return add(group0, 1)(tx)
	})
	update(func(tx *roster.Txn) error { // it cannot be done
		seen <- tx.CheckDirect(1, group0)
		return roster.ErrExists
	})
	for range 2 {
		if !<-seen {
			t.Error("a closure does not see the newest state")
		}
	}
	time.Sleep(10 * time.Millisecond)
	if p.e.Check(1, group0) || p.e.Revision() != p.n.rev || returned.Load() != 0 {
		t.Errorf("told of revision %d before it is durable", p.n.rev+1)
	}
	p.same()
	close(goOn)
	wg.Wait()
	if !p.e.Check(1, group0) || p.e.Revision() != p.n.rev+1 {
		t.Error("durable, and not visible")
	}
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
