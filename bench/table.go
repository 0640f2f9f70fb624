package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table prints rows as they are measured.
type table struct {
	only string
}

func (t *table) head(s shape) {
	fmt.Printf("roster bench: commit %s, %s, %d CPUs (%s), %s/%s\n\n", commit(), runtime.Version(), runtime.GOMAXPROCS(0), processor(), runtime.GOOS, runtime.GOARCH)
	fmt.Printf("| %-58s | %12s | %s\n|%s|%s|---\n", "what", "median", "beside", strings.Repeat("-", 60), strings.Repeat("-", 14))
}

// commit returns what was measured, as far as git knows.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// processor returns what the system calls the processor.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // elsewhere there is none
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// wants reports whether rows of that name are asked for.
func (t *table) wants(name string) bool { return strings.Contains(name, t.only) }

func (t *table) row(name string, d time.Duration, note string) {
	fmt.Printf("| %-58s | %12s | %s\n", name, show(d), note)
}

func (t *table) rate(name string, perSecond float64, note string) {
	fmt.Printf("| %-58s | %10.2fM/s | %s\n", name, perSecond/1e6, note)
}

func (t *table) text(name, value string) {
	fmt.Printf("| %-58s | %s\n", name, value)
}

func show(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3)
	case d < 10*time.Second:
		return fmt.Sprintf("%.0f ms", float64(d.Nanoseconds())/1e6)
	}
	return d.Round(time.Millisecond).String()
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[min(len(d)*p/100, len(d)-1)]
}

// each measures a call by the mean of n calls, and returns the median of five
// such rounds. Calls are too short to be timed one by one.
func each(n int, call func(i int)) time.Duration {
	var rounds []time.Duration
	for round := range 5 {
		start := time.Now()
		for i := range n {
			call(round*n + i)
		}
		rounds = append(rounds, time.Since(start)/time.Duration(n))
	}
	return median(rounds)
}

// times measures n calls one by one.
func times(n int, call func(i int) error) ([]time.Duration, error) {
	var out []time.Duration
	for i := range n {
		start := time.Now()
		if err := call(i); err != nil {
			return nil, err
		}
		out = append(out, time.Since(start))
	}
	return out, nil
}
