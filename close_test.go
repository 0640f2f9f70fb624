package roster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

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
