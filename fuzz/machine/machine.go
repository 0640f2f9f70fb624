// Package machine does random things to an engine and the same things to a
// model, and compares what the two then answer. Whatever decides on what comes
// next is drawn from a Source, so that a run can be repeated from its seed, or
// made shorter by a property tester.
package machine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// Source decides. Intn returns a number from 0 to n-1.
type Source interface{ Intn(n int) int }

// Machine is an engine with its model. Its methods must not be called
// concurrently. Each error that they return is a disagreement of the two, or an
// engine that failed where it must not.
type Machine struct {
	// Trace, if not nil, is told what is done.
	Trace func(format string, args ...any)

	mode    Mode
	options roster.Options // of the engine as it is open now
	base    string         // folder for the engine's folders
	folders int
	e       *roster.Engine
	now     *model.Model    // as of the newest revision
	oldest  roster.Revision // that Changes could give when the engine was opened: other options let go of the rest
	clock   time.Time       // what Options.Now tells
	src     Source

	views   []*view
	kept    []keptSet
	cursors []keptCursor
	steps   int
}

// New makes a machine whose folders are made in base, which must exist. A
// machine must be closed.
func New(mode Mode, base string, src Source) (*Machine, error) {
	m := &Machine{mode: mode, base: base, src: src, clock: time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)}
	m.options = m.variant()
	m.now = model.New(m.maxNesting())
	err := m.begin()
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Steps returns how many steps were done.
func (m *Machine) Steps() int { return m.steps }

// Step does one random thing and compares what it touched; now and then it
// compares everything.
func (m *Machine) Step(src Source) error {
	m.src = src
	m.steps++
	m.clock = m.clock.Add(time.Duration(1+src.Intn(1e9)) * time.Nanosecond)
	a := m.choose()
	m.tracef("%d %s", m.steps, a.name)
	if err := a.do(m); err != nil {
		return fmt.Errorf("step %d, %s: %w", m.steps, a.name, err)
	}
	if m.steps%m.mode.CheckEvery == 0 {
		if err := m.check(manyUsers); err != nil {
			return fmt.Errorf("after step %d, %s: %w", m.steps, a.name, err)
		}
	}
	return nil
}

// Close ends all views and closes the engine.
func (m *Machine) Close() error {
	err := m.endViews()
	if m.e != nil {
		err = errors.Join(err, m.e.Close())
	}
	return err
}

func (m *Machine) tracef(format string, args ...any) {
	if m.Trace != nil {
		m.Trace(format, args...)
	}
}

// chance is true once in n times.
func (m *Machine) chance(n int) bool { return m.src.Intn(n) == 0 }

// variant returns options for an open: those of the mode, some changed at random.
func (m *Machine) variant() roster.Options {
	o := m.mode.Options
	o.FoldEvery = -1 // folds of the clock cannot be repeated from a seed
	o.InMemory = !m.mode.Disk
	o.Now = func() time.Time { return m.clock }
	if m.mode.Vary {
		o.CacheBytes = oneOf(m.src, int64(-1), 1, 4096, 0)
		o.FoldBytes = oneOf(m.src, int64(1), 4096, 64<<10, 0)
		o.RetainRevisions = oneOf(m.src, uint64(0), 1, 50, 1<<40)
		o.MaxSegmentBytes = oneOf(m.src, int64(64<<10), 1<<20, 0)
	}
	return o
}

func oneOf[T any](src Source, of ...T) T { return of[src.Intn(len(of))] }

// folder returns the name of the current folder.
func (m *Machine) folder() string { return filepath.Join(m.base, strconv.Itoa(m.folders)) }

func (m *Machine) open() (err error) {
	m.e, err = roster.Open(m.folder(), m.options)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	m.now = m.now.Reopened(m.maxNesting())
	m.oldest = m.e.Stats().Oldest
	return nil
}

func (m *Machine) maxNesting() int {
	if m.options.MaxNesting == 0 {
		return 1 << 24
	}
	return m.options.MaxNesting
}

// view calls fn in a View.
func (m *Machine) view(fn func(*roster.Txn) error) error {
	return m.e.View(context.Background(), fn)
}

// Check compares everything that the engine answers with the model.
func (m *Machine) Check() error { return m.check(allUsers) }

// check is Check with the records of a number of users.
func (m *Machine) check(users int) error {
	if err := m.view(func(tx *roster.Txn) error { return newChecker(tx, m.now).everything(m.src, users) }); err != nil {
		return err
	}
	if err := m.checkStats(); err != nil {
		return err
	}
	for i := range m.kept {
		if err := m.kept[i].check(); err != nil {
			return fmt.Errorf("set of revision %d: %w", m.kept[i].want.Revision, err)
		}
	}
	return m.checkViews()
}

func (m *Machine) checkStats() error {
	got := m.e.Stats()
	// The search index follows in its own time.
	got.SearchRevision, got.SearchUsers, got.SearchSegments, got.SearchBytes, got.SearchProblem = 0, 0, 0, 0, ""
	want := roster.Stats{
		Revision: m.now.Revision, Folded: got.Folded, Oldest: got.Oldest,
		Directories: len(m.now.Directories), Users: len(m.now.Users), ActiveUsers: len(m.now.Active()),
		Groups: len(m.now.Groups), Memberships: m.now.Memberships(), Nestings: m.now.Nestings(), NestingPairs: m.now.Pairs(),
		Organizations: len(m.now.Organizations), Roles: m.now.RoleCount(), OrgMemberships: m.now.OrgMemberships(),
		Administrators: m.now.Administrators(), Data: len(m.now.Data),
		JournalBytes: got.JournalBytes, DiskBytes: got.DiskBytes,
	}
	if got != want {
		return fmt.Errorf("stats are %+v, not %+v", got, want)
	}
	if got.Folded > got.Revision || got.Oldest > got.Revision+1 || got.Oldest < m.now.LogStart {
		return fmt.Errorf("stats do not fit each other: %+v", got)
	}
	if rev := m.e.Revision(); rev != m.now.Revision {
		return fmt.Errorf("revision is %d, not %d", rev, m.now.Revision)
	}
	return nil
}
