// Campaign runs the machine of package machine, in turns in each mode, from new
// seeds until it has done the steps or used the time it was given, and adds what
// it did to a file of totals.
//
//	go run ./cmd/campaign -steps 1000000 -totals TOTALS.md
//
// A disagreement is printed with its seed and ends the campaign; what it printed
// does it again:
//
//	go run ./cmd/campaign -mode disk -seed 17 -steps 400 -trace
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/rosterdb/roster/fuzz/machine"
)

type campaign struct {
	mode    string
	seed    uint64
	steps   int
	run     int
	time    time.Duration
	workers int
	totals  string
	trace   bool
}

func main() {
	var c campaign
	flag.StringVar(&c.mode, "mode", "", "run only the `mode` of that name")
	flag.Uint64Var(&c.seed, "seed", 0, "do one run, from this `seed`")
	flag.IntVar(&c.steps, "steps", 100_000, "end after this `number` of steps")
	flag.IntVar(&c.run, "run", 2000, "`steps` of one run from one seed")
	flag.DurationVar(&c.time, "time", 0, "end after this `time`, if not 0")
	flag.IntVar(&c.workers, "workers", runtime.GOMAXPROCS(0), "`number` of runs at a time")
	flag.StringVar(&c.totals, "totals", "", "add what was done to this `file`")
	flag.BoolVar(&c.trace, "trace", false, "print each step of a run from one seed")
	flag.Parse()
	if err := c.do(); err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		os.Exit(1)
	}
}

func (c *campaign) modes() ([]machine.Mode, error) {
	if c.mode == "" {
		return machine.Modes(), nil
	}
	mode, ok := machine.ModeNamed(c.mode)
	if !ok {
		return nil, fmt.Errorf("no mode %q", c.mode)
	}
	return []machine.Mode{mode}, nil
}

func (c *campaign) do() error {
	modes, err := c.modes()
	if err != nil {
		return err
	}
	if c.seed != 0 {
		return c.once(modes[0])
	}
	totals, err := readTotals(c.totals)
	if err != nil {
		return err
	}
	p := progress{totals: totals, file: c.totals, begun: time.Now(), left: c.steps, modes: modes, run: c.run}
	if c.time > 0 {
		p.until = p.begun.Add(c.time)
	}
	var wg sync.WaitGroup
	for range c.workers {
		wg.Go(func() { p.work() })
	}
	wg.Wait()
	return errors.Join(p.failed, p.tell())
}

// once does one run.
func (c *campaign) once(mode machine.Mode) error {
	dir, err := os.MkdirTemp("", "campaign")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var trace func(string, ...any)
	if c.trace {
		trace = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	}
	return machine.Run(mode, c.seed, c.steps, dir, trace)
}

// progress is what the workers of a campaign share.
type progress struct {
	mu     sync.Mutex
	totals totals
	file   string // where totals are kept; "": nowhere
	begun  time.Time
	until  time.Time // zero: no end
	left   int       // steps not handed out yet
	did    int
	failed error
	told   time.Time
	next   int // mode
	modes  []machine.Mode
	run    int
}

// take hands out the next run; steps is 0 when there is none.
func (p *progress) take() (mode machine.Mode, steps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil || !p.until.IsZero() && time.Now().After(p.until) {
		return mode, 0
	}
	mode = p.modes[p.next%len(p.modes)]
	p.next++
	steps = min(p.run, p.left)
	p.left -= steps
	return mode, steps
}

func (p *progress) work() {
	for {
		mode, steps := p.take()
		if steps == 0 {
			return
		}
		seed := rand.Uint64() | 1 // 0 means none
		dir, err := os.MkdirTemp("", "campaign")
		if err == nil {
			err = machine.Run(mode, seed, steps, dir, nil)
			os.RemoveAll(dir)
		}
		p.done(mode, seed, steps, err)
	}
}

// done counts a run.
func (p *progress) done(mode machine.Mode, seed uint64, steps int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did += steps
	p.totals.add(mode.Name, steps, err != nil)
	if err != nil && p.failed == nil {
		p.failed = fmt.Errorf("%w\nagain: go run ./cmd/campaign -mode %s -seed %d -steps %d -trace", err, mode.Name, seed, steps)
	}
	if time.Since(p.told) > 5*time.Second {
		p.told = time.Now()
		if err := p.tell(); err != nil && p.failed == nil {
			p.failed = err
		}
	}
}

// tell prints how far the campaign is, and saves the totals: one that is
// interrupted loses some seconds.
func (p *progress) tell() error {
	took := time.Since(p.begun)
	fmt.Printf("%d steps in %v, %.0f a second\n", p.did, took.Round(time.Second), float64(p.did)/took.Seconds())
	if p.file == "" {
		return nil
	}
	return p.totals.write(p.file)
}
