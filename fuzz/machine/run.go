package machine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
)

// Run makes a machine and does steps with it, all decided by the seed. The same
// arguments do the same again, except for what depends on when the engine folds
// in the background. Trace may be nil.
func Run(mode Mode, seed uint64, steps int, base string, trace func(format string, args ...any)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	src := random{rand.New(rand.NewPCG(seed, 0))}
	m, err := New(mode, base, src)
	if err != nil {
		return err
	}
	m.Trace = trace
	for range steps {
		if err := m.Step(src); err != nil {
			return errors.Join(err, m.abandon())
		}
	}
	if err := m.Check(); err != nil {
		return errors.Join(err, m.abandon())
	}
	return m.Close()
}

// random is a Source of pseudo-random numbers.
type random struct{ *rand.Rand }

func (r random) Intn(n int) int { return r.IntN(n) }

// abandon closes a machine that has gone wrong.
func (m *Machine) abandon() error {
	m.Trace = nil
	return m.Close()
}
