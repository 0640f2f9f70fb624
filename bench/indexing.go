package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/roster"
)

// indexing opens the engine with a search index, waits until it is built and
// merged and has the texts of users, and prints what that takes.
func (b *bench) indexing(ctx context.Context) error {
	if err := b.reopen(roster.Options{NoSearchIndex: true}); err != nil {
		return err
	}
	time.Sleep(time.Second) // for Badger to let go of what the last one had
	heap, resident := heapNow(), residentNow()
	if err := b.reopen(roster.Options{}); err != nil {
		return err
	}
	start, begun := time.Now(), b.e.Stats().SearchUsers
	var peak, peakResident int64
	for {
		st := b.e.Stats()
		peak, peakResident = max(peak, heapInUse()-heap), max(peakResident, residentNow()-resident)
		if st.SearchRevision > 0 && st.SearchRevision == st.Revision {
			took := time.Since(start).Seconds()
			b.t.text("search index", fmt.Sprintf("%d users in %.1f s, %.0f/s; heap up to %d MB more, resident up to %d MB more",
				st.SearchUsers, took, float64(st.SearchUsers-begun)/took, peak>>20, peakResident>>20))
			break
		}
		if st.SearchProblem != "" {
			return fmt.Errorf("search index: %s", st.SearchProblem)
		}
		time.Sleep(20 * time.Millisecond)
	}
	start = time.Now()
	b.still(func(st roster.Stats) int64 { return int64(st.SearchSegments) })
	st := b.e.Stats()
	b.t.text("search index, merged", fmt.Sprintf("%d segments, %.0f B a user on disk, %.0f s later", st.SearchSegments, float64(st.SearchBytes)/float64(st.Users), time.Since(start).Seconds()-quiet.Seconds()))

	without := heapNow() - heap
	err := b.e.View(ctx, func(tx *roster.Txn) error {
		_, err := tx.Search(roster.SearchQuery{Text: "first"})
		return err
	})
	start = time.Now()
	b.still(func(st roster.Stats) int64 { return st.SearchMemory })
	st = b.e.Stats()
	b.t.text("heap of searches", fmt.Sprintf("%.1f B a user without texts, %.1f with those of %d MB, kept %.1f s after the first search",
		float64(without)/float64(st.Users), float64(heapNow()-heap)/float64(st.Users), st.SearchMemory>>20, time.Since(start).Seconds()-quiet.Seconds()))
	return err
}

// reopen opens the engine anew with other options.
func (b *bench) reopen(o roster.Options) error {
	err := b.e.Close()
	if err != nil {
		return err
	}
	b.e, err = roster.Open(b.dir, o)
	return err
}

// quiet is how long a figure stands still before it is taken as final.
const quiet = 4 * time.Second

// still waits until a figure stands still, and nothing is done to the search index.
func (b *bench) still(figure func(roster.Stats) int64) {
	last, since := figure(b.e.Stats()), time.Now()
	for time.Since(since) < quiet {
		time.Sleep(50 * time.Millisecond)
		st := b.e.Stats()
		if now := figure(st); now != last || st.SearchBusy {
			last, since = now, time.Now()
		}
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// residentNow returns how much memory the process has, files that are mapped
// included; 0 where the system does not say.
func residentNow() int64 {
	var size, pages int64
	stat, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(stat), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// importing measures Updates that create users, without a search index and with
// one that runs after them.
func (b *bench) importing(ctx context.Context) error {
	const batch = 1000
	var took [2]time.Duration
	for i, o := range []roster.Options{{NoSearchIndex: true}, {}} {
		e, err := roster.Open(filepath.Join(b.tmp, fmt.Sprintf("import-%d", i)), o)
		if err != nil {
			return err
		}
		rnd := b.random()
		start := time.Now()
		for from := 0; from < b.o.users/5 && err == nil; from += batch {
			_, err = e.Update(ctx, func(tx *roster.Txn) error {
				if from == 0 {
					if _, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "Corp"}); err != nil {
						return err
					}
				}
				for u := range batch {
					given, family := word(rnd), word(rnd)
					name := fmt.Sprintf("%s.%s%d", given, family, from+u)
					if _, err := tx.CreateUser(roster.User{Directory: 1, Username: name, FullName: title(given) + " " + title(family), Email: name + "@corp.example"}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		took[i] = time.Since(start)
		if err := errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
	n := (b.o.users/5 + batch - 1) / batch * batch
	b.t.text("users created beside the indexer", fmt.Sprintf("%d in Updates of %d: %.2f s, without a search index %.2f s", n, batch, took[1].Seconds(), took[0].Seconds()))
	return nil
}

// editing measures the engine while users are edited: without a search index and
// with one that runs after the edits, in turn.
func (b *bench) editing(ctx context.Context) error {
	var without, with, ratios []float64
	var commits float64
	most := 0
	for range 3 {
		checks, _, _, err := b.besideEdits(ctx, roster.Options{NoSearchIndex: true})
		if err != nil {
			return err
		}
		beside, edits, segments, err := b.besideEdits(ctx, roster.Options{})
		if err != nil {
			return err
		}
		without, with, ratios = append(without, checks), append(with, beside), append(ratios, beside/checks)
		commits, most = edits, max(most, segments)
	}
	middle := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)/2]
	}
	b.t.rate("checks beside 1000 edits of users/s, no search index", middle(without), "")
	b.t.rate("checks beside 1000 edits of users/s and the indexer", middle(with),
		fmt.Sprintf("%.0f edits/s reached, %.2f × those without (%.2f to %.2f); at most %d segments", commits, middle(ratios), ratios[0], ratios[2], most))
	return nil
}

// besideEdits opens the engine and measures it.
func (b *bench) besideEdits(ctx context.Context, o roster.Options) (checks, edits float64, segments int, err error) {
	if err := b.reopen(o); err != nil {
		return 0, 0, 0, err
	}
	b.still(func(st roster.Stats) int64 { return int64(st.SearchRevision) })
	return b.checkBesideEdits(ctx)
}

// checkBesideEdits checks on all cores while users get other names, some seconds.
// It returns the checks and the edits in a second, and the most segments that
// the search index had.
func (b *bench) checkBesideEdits(ctx context.Context) (checks, edits float64, segments int, err error) {
	const span, perSecond = 5 * time.Second, 1000
	var stop atomic.Bool
	var count atomic.Int64
	var wg sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		rnd := rand.New(rand.NewPCG(b.seed, uint64(300+w)))
		pairs := make([]roster.Membership, queries)
		for i := range pairs {
			pairs[i] = roster.Membership{User: b.o.userIDs[rnd.IntN(b.o.users)], Group: b.o.groupIDs[rnd.IntN(len(b.o.groupIDs))]}
		}
		wg.Go(func() {
			for n := 0; !stop.Load(); n += 1024 {
				for i := range 1024 {
					p := pairs[(n+i)%queries]
					b.e.Check(p.User, p.Group)
				}
				count.Add(1024)
			}
		})
	}
	rnd := b.random()
	done := 0
	start := time.Now()
	for next := start; time.Since(start) < span && err == nil; next = next.Add(time.Second / perSecond) {
		time.Sleep(time.Until(next))
		_, err = b.e.Update(ctx, func(tx *roster.Txn) error {
			u, err := tx.User(b.o.userIDs[rnd.IntN(b.o.users)])
			if err != nil {
				return err
			}
			u.FullName = title(word(rnd)) + " " + title(word(rnd))
			_, err = tx.PutUser(u)
			return err
		})
		if done++; done%perSecond == 0 {
			segments = max(segments, b.e.Stats().SearchSegments)
		}
	}
	took := time.Since(start).Seconds()
	stop.Store(true)
	wg.Wait()
	return float64(count.Load()) / took, float64(done) / took, segments, err
}

// stockCopy copies the folder of the search index, once Bleve has written what
// it writes in the background.
func (b *bench) stockCopy() (string, error) {
	dir := filepath.Join(b.tmp, "stock")
	b.still(func(st roster.Stats) int64 { return st.SearchBytes })
	return dir, os.CopyFS(dir, os.DirFS(filepath.Join(b.dir, "search")))
}
