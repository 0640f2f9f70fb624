package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rosterdb/roster"
)

// bench runs the rows on one open engine.
type bench struct {
	t    *table
	o    *organisation
	e    *roster.Engine
	dir  string // of the engine
	tmp  string
	seed uint64

	flush time.Duration // the floor of a durable commit
}

// queries is how many random queries a row goes through: enough that they miss
// the caches as a busy program's do.
const queries = 1 << 19

func (b *bench) random() *rand.Rand { return rand.New(rand.NewPCG(b.seed, 2)) }

// floors measures what nobody can be faster than.
func (b *bench) floors(context.Context) error {
	f, err := os.Create(filepath.Join(b.tmp, "flush"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 4<<20)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	page := make([]byte, 512)
	d, err := times(1000, func(i int) error {
		page[0]++
		if _, err := f.WriteAt(page, int64(i)*512); err != nil {
			return err
		}
		return syscall.Fdatasync(int(f.Fd()))
	})
	if err != nil {
		return err
	}
	b.flush = percentile(d, 50)
	b.t.row("floor: write 512 B + fdatasync, p50", b.flush, "file zeroed ahead, as the log is")

	m := make(map[roster.UserID]uint32, b.o.users)
	for i, u := range b.o.userIDs {
		m[u] = uint32(i)
	}
	rnd := b.random()
	ask := make([]roster.UserID, queries)
	for i := range ask {
		ask[i] = b.o.userIDs[rnd.IntN(len(b.o.userIDs))]
	}
	var sink uint32
	b.t.row("floor: one Go map lookup, random user", each(queries, func(i int) { sink += m[ask[i%queries]] }), "")

	chain := make([]uint32, 16<<20)
	for i, p := range rnd.Perm(len(chain)) {
		chain[i] = uint32(p)
	}
	at := uint32(0)
	b.t.row("floor: one dependent memory miss (64 MB)", each(queries, func(int) { at = chain[at] }), "")
	_ = sink
	return nil
}

// checks measures membership checks.
func (b *bench) checks(context.Context) error {
	rnd := b.random()
	pairs, nested := make([]roster.Membership, queries), make([]roster.Membership, queries)
	names := make([][2]string, queries)
	for i := range pairs {
		u, g := rnd.IntN(b.o.users), rnd.IntN(len(b.o.groupIDs))
		pairs[i] = roster.Membership{User: b.o.userIDs[u], Group: b.o.groupIDs[g]}
		names[i] = [2]string{b.o.usernames[u], b.o.groupNames[g]}
		nested[i] = roster.Membership{User: b.o.userIDs[u], Group: b.o.parents[rnd.IntN(len(b.o.parents))]}
	}
	inARow(names)
	yes := 0
	count := func(ok bool) {
		if ok {
			yes++
		}
	}
	b.t.row("check by number, random", each(queries, func(i int) { p := pairs[i%queries]; count(b.e.Check(p.User, p.Group)) }), "")
	b.t.row("check by number, hot (256 pairs)", each(queries, func(i int) { p := pairs[i%256]; count(b.e.Check(p.User, p.Group)) }), "")
	answers := make([]bool, 1024)
	b.t.row("check by number, CheckMany of 1024, each", each(queries/1024, func(i int) {
		at := i * 1024 % queries
		b.e.CheckMany(pairs[at:at+1024], answers)
	})/1024, "")
	b.t.row("check through nesting, random", each(queries, func(i int) { p := nested[i%queries]; count(b.e.Check(p.User, p.Group)) }), "groups with others nested in them, depth 1 to 8")
	byName := func(mask int) func(i int) {
		return func(i int) {
			n := &names[i%mask]
			ok, err := b.e.CheckName(n[0], n[1])
			if err != nil {
				panic(err)
			}
			count(ok)
		}
	}
	b.t.row("check by name, random", each(queries, byName(queries)), "")
	b.t.row("check by name, hot (256 pairs)", each(queries, byName(256)), "")
	b.t.text("", fmt.Sprintf("(%d of the answers were yes)", yes))
	return nil
}

// inARow lays the names out one behind the other in memory, in the order in which
// they are asked for: whoever asks has just read them, and what is measured is
// not how long a random string takes to come from memory.
func inARow(names [][2]string) {
	var all strings.Builder
	for _, n := range names {
		all.WriteString(n[0])
		all.WriteString(n[1])
	}
	rest := all.String()
	for i := range names {
		for k, name := range names[i] {
			names[i][k], rest = rest[:len(name)], rest[len(name):]
		}
	}
}

// lists measures what lists, counts and combines.
func (b *bench) lists(ctx context.Context) error {
	return b.e.View(ctx, func(tx *roster.Txn) error {
		rnd := b.random()
		who := make([]roster.UserID, queries)
		for i := range who {
			who[i] = b.o.userIDs[rnd.IntN(b.o.users)]
		}
		var buf []roster.GroupID
		n := 0
		d := each(queries/8, func(i int) { buf = tx.AppendGroups(buf[:0], who[i%queries]); n += len(buf) })
		b.t.row("effective groups of a user, as handles", d, fmt.Sprintf("%.1f groups", float64(n)/float64(5*(queries/8))))
		var err error
		d = each(queries/32, func(i int) {
			groups, e := tx.Groups(who[i%queries])
			for _, g := range groups {
				n += len(tx.GroupName(g))
			}
			err = e
		})
		if err != nil {
			return err
		}
		b.t.row("effective groups of a user, as names", d, "")

		page := func(s roster.Set) int {
			k := 0
			for range s.ByName("") {
				if k++; k == 100 {
					break
				}
			}
			return s.Len()
		}
		big := func(i int) roster.Set {
			s, e := tx.DirectMembers(b.o.groupIDs[i%len(large)])
			if e != nil {
				err = e
			}
			return s
		}
		b.t.row("first 100 by name and count: big group", each(200, func(i int) { page(big(i)) }), "")
		for _, kind := range []struct {
			name   string
			groups []roster.GroupID
			of     func(roster.GroupID) (roster.Set, error)
		}{
			{"middling group", b.o.groupIDs[len(large) : len(large)+min(400, len(b.o.groupIDs)-len(large))], tx.DirectMembers},
			{"effective members", distinct(b.o.parents, 400), tx.Members},
		} {
			for _, again := range []string{"cold", "warm"} {
				d, e := times(len(kind.groups), func(i int) error {
					s, err := kind.of(kind.groups[i])
					page(s)
					return err
				})
				if e != nil {
					return e
				}
				b.t.row("first 100 by name and count: "+kind.name+", "+again, percentile(d, 50), "p99 "+show(percentile(d, 99)))
			}
		}
		b.t.row("intersection of two big groups: count, 100", each(200, func(i int) { page(big(1 + i%2).And(big(2 + i%3))) }), "")
		return err
	})
}

// distinct returns the first n different groups of a list.
func distinct(all []roster.GroupID, n int) []roster.GroupID {
	var out []roster.GroupID
	for _, g := range all {
		if len(out) < n && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// commits measures durable changes.
func (b *bench) commits(ctx context.Context) error {
	rnd := b.random()
	// Groups of everyone are of no use here: joining must change something.
	groups := b.o.groupIDs[len(large):]
	add := func(tx *roster.Txn) error {
		for {
			n, err := tx.Add(groups[rnd.IntN(len(groups))], b.o.userIDs[rnd.IntN(b.o.users)])
			if n > 0 || err != nil {
				return err
			}
		}
	}
	d, err := times(2000, func(int) error { _, err := b.e.Update(ctx, add); return err })
	if err != nil {
		return err
	}
	p50 := percentile(d, 50)
	b.t.row("durable add, p50", p50, fmt.Sprintf("%.2f × the flush; p99 %s", float64(p50)/float64(b.flush), show(percentile(d, 99))))
	d, err = times(200, func(int) error {
		_, err := b.e.Update(ctx, func(tx *roster.Txn) error {
			for range 1000 {
				if err := add(tx); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	b.t.row("1000 adds in one Update, p50", percentile(d, 50), "p99 "+show(percentile(d, 99)))
	return b.writers(ctx, 64, 3*time.Second)
}

// writers measures n goroutines that each add one membership at a time.
func (b *bench) writers(ctx context.Context, n int, span time.Duration) error {
	groups := b.o.groupIDs[len(large):]
	var done atomic.Int64
	var failed atomic.Value
	end := time.Now().Add(span)
	var wg sync.WaitGroup
	all := make([][]time.Duration, n)
	for w := range n {
		rnd := rand.New(rand.NewPCG(b.seed, uint64(100+w)))
		wg.Go(func() {
			for time.Now().Before(end) {
				start := time.Now()
				_, err := b.e.Update(ctx, func(tx *roster.Txn) error {
					_, err := tx.Add(groups[rnd.IntN(len(groups))], b.o.userIDs[rnd.IntN(b.o.users)])
					return err
				})
				if err != nil {
					failed.Store(err)
					return
				}
				all[w] = append(all[w], time.Since(start))
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return err.(error)
	}
	var d []time.Duration
	for _, w := range all {
		d = append(d, w...)
	}
	b.t.rate(fmt.Sprintf("durable adds, %d writers", n), float64(done.Load())/span.Seconds(),
		fmt.Sprintf("p50 %s, p99 %s", show(percentile(d, 50)), show(percentile(d, 99))))
	return nil
}

// beside measures checks on all cores while another goroutine commits.
func (b *bench) beside(ctx context.Context) error {
	for _, perSecond := range []int{0, 1000} {
		var stop atomic.Bool
		var checks atomic.Int64
		var wg sync.WaitGroup
		const span = 3 * time.Second
		for w := range 2 {
			rnd := rand.New(rand.NewPCG(b.seed, uint64(200+w)))
			pairs := make([]roster.Membership, queries)
			for i := range pairs {
				pairs[i] = roster.Membership{User: b.o.userIDs[rnd.IntN(b.o.users)], Group: b.o.groupIDs[rnd.IntN(len(b.o.groupIDs))]}
			}
			wg.Go(func() {
				n := int64(0)
				for !stop.Load() {
					for range 1024 {
						p := pairs[n%queries]
						b.e.Check(p.User, p.Group)
						n++
					}
				}
				checks.Add(n)
			})
		}
		commits, err := b.pace(ctx, perSecond, span)
		stop.Store(true)
		wg.Wait()
		if err != nil {
			return err
		}
		b.t.rate(fmt.Sprintf("checks on 2 cores beside %d commits/s", perSecond), float64(checks.Load())/span.Seconds(),
			fmt.Sprintf("%.0f commits/s reached", float64(commits)/span.Seconds()))
	}
	return nil
}

// pace commits so many times a second for a while.
func (b *bench) pace(ctx context.Context, perSecond int, span time.Duration) (int, error) {
	end := time.Now().Add(span)
	if perSecond == 0 {
		time.Sleep(span)
		return 0, nil
	}
	rnd := b.random()
	groups := b.o.groupIDs[len(large):]
	n := 0
	for next := time.Now(); next.Before(end); next = next.Add(time.Second / time.Duration(perSecond)) {
		time.Sleep(time.Until(next))
		_, err := b.e.Update(ctx, func(tx *roster.Txn) error {
			_, err := tx.Add(groups[rnd.IntN(len(groups))], b.o.userIDs[rnd.IntN(b.o.users)])
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// load measures the bulk import of sorted memberships: how much longer it takes
// to build an engine with them than one of the same users and groups without.
func (b *bench) load(ctx context.Context) error {
	sizes := b.o.sizes()
	var without, with []time.Duration
	for run := range min(9, max(1, 1_000_000/b.o.users)) { // what is over soon is measured more often
		a, err := b.timeBuild(ctx, fmt.Sprintf("load-names-%d", run), nil)
		if err != nil {
			return err
		}
		z, err := b.timeBuild(ctx, fmt.Sprintf("load-%d", run), sizes)
		if err != nil {
			return err
		}
		without, with = append(without, a), append(with, z)
	}
	made := 0
	for _, n := range sizes {
		made += n
	}
	if more := median(with) - median(without); more < 50*time.Millisecond {
		b.t.text("bulk import of sorted memberships", "too short to tell")
	} else {
		b.t.rate("bulk import of sorted memberships", float64(made)/more.Seconds(), "on top of users and groups; the writing to disk included")
	}
	b.t.text("bulk import of everything", fmt.Sprintf("%.2f s: %d users with names only, %d groups, %d memberships", median(with).Seconds(), b.o.users, len(b.o.groupIDs), made))
	return nil
}

// timeBuild builds an engine of the organisation's users and groups, and with
// members if sizes are given. Choosing the members is not part of the time.
func (b *bench) timeBuild(ctx context.Context, name string, sizes []int) (spent time.Duration, err error) {
	rnd := b.random()
	runtime.GC()
	start := time.Now()
	err = roster.Build(ctx, filepath.Join(b.tmp, name), roster.Options{}, func(l *roster.Builder) error {
		if err := l.PutDirectory(roster.Directory{ID: 1, Name: "Corp"}); err != nil {
			return err
		}
		for _, name := range b.o.usernames {
			if _, err := l.CreateUser(roster.User{Directory: 1, Username: name}); err != nil {
				return err
			}
		}
		for i, name := range b.o.groupNames {
			g, err := l.CreateGroup(roster.Group{Directory: 1, Name: name})
			if err != nil {
				return err
			}
			if sizes == nil {
				continue
			}
			picking := time.Now()
			users := b.o.pick(rnd, sizes[i])
			spent -= time.Since(picking)
			if err := l.AddMembers(g, users); err != nil {
				return err
			}
		}
		return nil
	})
	return spent + time.Since(start), err
}
