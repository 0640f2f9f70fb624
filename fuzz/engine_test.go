package fuzz_test

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/rosterdb/roster/fuzz/machine"
	"pgregory.net/rapid"
)

// drawn is a Source whose numbers are drawn, and made smaller, by rapid.
type drawn struct{ t *rapid.T }

func (d drawn) Intn(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "n") }

// steps of a run from one seed in each mode: 11 modes make 22,000.
const (
	steps      = 2000
	shortSteps = 250 // for the race detector
)

// TestMachine lets rapid look for the shortest run in which the engine and the
// model disagree, in a small world in memory.
func TestMachine(t *testing.T) {
	mode, _ := machine.ModeNamed("memory-fold")
	rapid.Check(t, func(t *rapid.T) {
		m, err := machine.New(mode, os.TempDir(), drawn{t})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.Trace = t.Logf
		t.Repeat(map[string]func(*rapid.T){
			"step": func(t *rapid.T) {
				if err := m.Step(drawn{t}); err != nil {
					t.Fatal(err)
				}
			},
		})
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestModes runs the machine in each of its modes, each time from other seeds;
// cmd/campaign does the same for longer.
func TestModes(t *testing.T) {
	n := steps
	if testing.Short() {
		n = shortSteps
	}
	for _, mode := range machine.Modes() {
		t.Run(mode.Name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64() | 1
			if err := machine.Run(mode, seed, n, t.TempDir(), nil); err != nil {
				t.Fatalf("%v\nagain: go run ./cmd/campaign -mode %s -seed %d -steps %d -trace", err, mode.Name, seed, n)
			}
		})
	}
}
