// Bench measures the engine on an organisation that it makes, beside the floors
// of the same run: what the disk and the memory of the machine do without us.
//
//	go run ./bench                              1M users, 20M memberships
//	go run ./bench -users 100000                100k users, 2M memberships
//	go run ./bench search                       one group of rows
//	go run ./bench http                         the HTTP APIs under load; kept as bench/results/http-1m.txt
//	go run ./bench -report bench/results        the table of the README
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
	"slices"
	"time"

	"github.com/rosterdb/roster"
)

func main() {
	users := flag.Int("users", 1_000_000, "number of users")
	groups := flag.Int("groups", 0, "number of groups; 0: a tenth of the users")
	memberships := flag.Int("memberships", 0, "number of direct memberships; 0: 20 a user")
	seed := flag.Uint64("seed", 1, "seed of the generated organisation")
	folder := flag.String("dir", "", "existing folder on the disk to be measured; empty: the one for temporary files")
	keep := flag.String("keep", "", "make the organisation in this folder and keep it, or take the one that is there")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the rows to this file")
	conns := flag.Int("conns", 8, "http: number of connections")
	span := flag.Duration("span", 2*time.Second, "http: length of a round")
	operations := flag.String("operations", "", "http: only operations with this in their names")
	results := flag.String("report", "", "print a Markdown table of the runs kept in this folder, and measure nothing")
	flag.Usage = usage
	if os.Getenv(loadRole) != "" {
		makeLoad(os.Stdin, os.Stdout)
		return
	}
	flag.Parse()
	only := flag.Arg(0)
	if flag.NArg() > 1 || only != "" && only != "http" && !slices.ContainsFunc(rowGroups, func(g rowGroup) bool { return g.name == only }) {
		usage()
		os.Exit(2)
	}
	if *results != "" {
		if err := report(os.Stdout, *results); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	s := shape{users: *users, groups: *groups, memberships: *memberships}
	if s.groups == 0 {
		s.groups = max(s.users/10, 20)
	}
	if s.memberships == 0 {
		s.memberships = 20 * s.users
	}
	ctx := context.Background()
	var err error
	if only == "http" {
		w := web{shape: s, seed: *seed, callers: 64, conns: *conns, rounds: 5, span: *span, only: *operations, profile: *profile, out: os.Stdout}
		err = w.run(ctx, *folder, *keep)
	} else {
		err = run(ctx, s, *folder, *keep, *profile, *seed, only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// rowGroup is a part of the table that can be asked for alone.
type rowGroup struct {
	name string
	rows func(*bench, context.Context) error
}

var rowGroups = []rowGroup{
	{"floors", (*bench).floors}, {"checks", (*bench).checks}, {"lists", (*bench).lists}, {"commits", (*bench).commits},
	{"beside", (*bench).beside}, {"load", (*bench).load}, {"organisations", (*bench).organisations}, {"search", (*bench).search},
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] [floors | checks | lists | commits | beside | load | organisations | search | http]")
	flag.PrintDefaults()
}

func run(ctx context.Context, s shape, folder, keep, profile string, seed uint64, only string) error {
	tmp, err := os.MkdirTemp(folder, "roster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	t := &table{only: only}
	t.head(s)

	dir := filepath.Join(tmp, "data")
	_, err = os.Stat(keep)
	if keep != "" && err != nil {
		dir = keep
	}
	start := time.Now()
	o, err := s.build(ctx, dir, seed)
	if err != nil {
		return err
	}
	if keep != "" {
		dir = keep // the same, if it was there
	}
	t.text("organisation", fmt.Sprintf("%d users, %d groups, %d memberships, %d nestings, made in %.1f s",
		len(o.userIDs), len(o.groupIDs), o.made, o.linked, time.Since(start).Seconds()))

	if only != "search" {
		if err := measureSpace(ctx, t, s, o, dir, filepath.Join(tmp, "names"), seed); err != nil {
			return err
		}
	}
	e, err := measureOpen(t, dir)
	if err != nil {
		return err
	}
	stop, err := startProfile(profile)
	if err != nil {
		return err
	}
	defer stop()
	b := &bench{t: t, o: o, e: e, dir: dir, tmp: tmp, seed: seed}
	defer func() { b.e.Close() }()
	for _, g := range rowGroups {
		if !t.wants(g.name) {
			continue
		}
		if err := g.rows(b, ctx); err != nil {
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

// measureOpen opens the folder some times and keeps it open, without a search
// index: none of the rows but its own is disturbed by one in the making.
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
		if e, err = roster.Open(dir, roster.Options{NoSearchIndex: true}); err != nil {
			return nil, err
		}
		e.Check(0, 0)
		times = append(times, time.Since(start))
	}
	t.row("open to first answer", median(times), "")
	return e, nil
}

// measureSpace prints the heap and the disk that the engine takes, and what of it
// is memberships: the difference to an engine of the same users and groups
// without any.
func measureSpace(ctx context.Context, t *table, s shape, o *organisation, dir, names string, seed uint64) error {
	whole, disk, err := space(dir)
	if err != nil {
		return err
	}
	s.memberships = 0
	if _, err := s.build(ctx, names, seed); err != nil {
		return err
	}
	without, diskWithout, err := space(names)
	if err != nil {
		return err
	}
	made := float64(o.made)
	t.text("heap of memberships, both directions", fmt.Sprintf("%.2f B a membership", float64(whole-without)/made))
	t.text("heap of the rest: names, order, Badger", fmt.Sprintf("%.1f B a user; in all %.2f B a membership", float64(without)/float64(s.users), float64(whole)/made))
	t.text("disk of memberships", fmt.Sprintf("%.2f B a membership; records: %.1f B a user", float64(disk-diskWithout)/made, float64(diskWithout)/float64(s.users)))
	return nil
}

// space returns the heap that an engine takes, and its disk.
func space(dir string) (heap, disk int64, err error) {
	before := heapNow()
	e, err := roster.Open(dir, roster.Options{NoSearchIndex: true})
	if err != nil {
		return 0, 0, err
	}
	heap = heapNow() - before
	disk = e.Stats().DiskBytes
	return heap, disk, e.Close()
}

func heapNow() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
