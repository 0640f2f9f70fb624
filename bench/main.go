// Bench measures the engine on an organisation that it makes, beside the floors
// of the same run: what the disk and the memory of the machine do without us.
//
//	go run ./bench                              1M users, 20M memberships
//	go run ./bench -users 100000                100k users, 2M memberships
//
// It prints a table. Each figure is a median of several rounds; the ratios to
// the floors say more than the absolute figures, which move with the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/rosterdb/roster"
)

func main() {
	users := flag.Int("users", 1_000_000, "number of users")
	groups := flag.Int("groups", 0, "number of groups; 0: a tenth of the users")
	memberships := flag.Int("memberships", 0, "number of direct memberships; 0: 20 a user")
	seed := flag.Uint64("seed", 1, "seed of the generated organisation")
	folder := flag.String("dir", "", "existing folder on the disk to be measured; empty: the one for temporary files")
	keep := flag.String("keep", "", "make the organisation in this folder and keep it")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the rows to this file")
	only := flag.String("only", "", "run one group of rows: floors, checks, lists, commits, beside or load")
	flag.Parse()
	s := shape{users: *users, groups: *groups, memberships: *memberships}
	if s.groups == 0 {
		s.groups = max(s.users/10, 20)
	}
	if s.memberships == 0 {
		s.memberships = 20 * s.users
	}
	if err := run(context.Background(), s, *folder, *keep, *profile, *seed, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s shape, folder, keep, profile string, seed uint64, only string) error {
	tmp, err := os.MkdirTemp(folder, "roster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	t := &table{only: only}
	t.head(s)

	dir := keep
	if dir == "" {
		dir = filepath.Join(tmp, "data")
	}
	start := time.Now()
	o, err := s.build(ctx, dir, seed)
	if err != nil {
		return err
	}
	t.text("organisation", fmt.Sprintf("%d users, %d groups, %d memberships, %d nestings, made in %.1f s",
		len(o.userIDs), len(o.groupIDs), o.made, o.linked, time.Since(start).Seconds()))

	e, err := measureOpen(t, dir)
	if err != nil {
		return err
	}
	defer e.Close()
	measureSpace(t, e, o, dir)
	stop, err := startProfile(profile)
	if err != nil {
		return err
	}
	defer stop()
	b := &bench{t: t, o: o, e: e, tmp: tmp, seed: seed}
	for _, group := range []struct {
		name string
		rows func(context.Context) error
	}{{"floors", b.floors}, {"checks", b.checks}, {"lists", b.lists}, {"commits", b.commits}, {"beside", b.beside}, {"load", b.load}} {
		if !t.wants(group.name) {
			continue
		}
		if err := group.rows(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startProfile profiles until stop is called; with no file named it does nothing.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// measureOpen opens the folder some times and keeps it open.
func measureOpen(t *table, dir string) (*roster.Engine, error) {
	var e *roster.Engine
	var times []time.Duration
	for range 3 {
		if e != nil {
			if err := e.Close(); err != nil {
				return nil, err
			}
			e = nil
			runtime.GC()
		}
		start := time.Now()
		var err error
		if e, err = roster.Open(dir, roster.Options{}); err != nil {
			return nil, err
		}
		e.Check(0, 0)
		times = append(times, time.Since(start))
	}
	t.row("open to first answer", median(times), "")
	return e, nil
}

// measureSpace prints heap and disk for each membership.
func measureSpace(t *table, e *roster.Engine, o *organisation, dir string) {
	debug.FreeOSMemory()
	var with runtime.MemStats
	runtime.ReadMemStats(&with)
	names := uint64(0) // what the benchmark itself holds of names and handles
	for _, n := range append(o.usernames, o.groupNames...) {
		names += uint64(len(n)) + 24
	}
	heap := float64(with.HeapAlloc-min(names, with.HeapAlloc)) / float64(o.made)
	t.text("heap", fmt.Sprintf("%.2f B a membership, names and everything else included; %d objects", heap, with.HeapObjects))
	st := e.Stats()
	t.text("disk", fmt.Sprintf("%.2f B a membership, user records included (%.1f MB)", float64(st.DiskBytes)/float64(o.made), float64(st.DiskBytes)/1e6))
}
