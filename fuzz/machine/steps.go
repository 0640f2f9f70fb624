package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

type action struct {
	name   string
	often  int
	onDisk bool // only for engines on disk
	do     func(*Machine) error
}

// actions are the steps. How often each is done is balanced by what it costs: a
// reopening costs as much as some hundred updates.
var actions = []action{
	{"update", 1600, false, (*Machine).update},
	{"read", 200, false, (*Machine).read},
	{"changes", 80, false, (*Machine).changes},
	{"open a view", 40, false, (*Machine).openView},
	{"end a view", 30, false, (*Machine).endView},
	{"keep a set", 40, false, (*Machine).keepSet},
	{"old cursors", 60, false, (*Machine).oldCursors},
	{"refusals", 20, false, (*Machine).refusals},
	{"fold", 20, false, (*Machine).fold},
	{"verify", 5, false, (*Machine).verify},
	{"reopen", 5, true, (*Machine).reopen},
	{"open read-only", 2, true, (*Machine).openReadOnly},
	{"back up and restore", 3, true, (*Machine).restore},
}

// choose draws an action.
func (m *Machine) choose() action {
	total := 0
	for _, a := range actions {
		if !a.onDisk || m.mode.Disk {
			total += a.often
		}
	}
	n := m.src.Intn(total)
	for _, a := range actions {
		if a.onDisk && !m.mode.Disk {
			continue
		}
		if n -= a.often; n < 0 {
			return a
		}
	}
	panic("no action")
}

// ending is how the closure of an update ends.
type ending int

const (
	endWell ending = iota
	endInError
	endInPanic
	endInGoexit
)

var errOnPurpose = errors.New("on purpose")

// update does one to five verbs in one Update, and lets some of its closures
// fail after they have done their part.
func (m *Machine) update() error {
	end := endWell
	if m.chance(6) {
		end = endInError + ending(m.src.Intn(3))
	}
	count := 1
	if m.chance(2) {
		count += m.src.Intn(5)
	}
	x := &update{Machine: m, want: m.now.Begin(m.clock)}
	var wrong error
	stop := m.checkViewsBeside()
	rev, err, panicked := call(m.e, end == endInGoexit, func(tx *roster.Txn) error {
		x.tx = tx
		for range count {
			if wrong = x.verb(); wrong != nil || x.overrun {
				break
			}
		}
		switch {
		case wrong != nil || end == endInError:
			return errOnPurpose
		case end == endInPanic:
			panic(errOnPurpose)
		case end == endInGoexit:
			runtime.Goexit()
		}
		return nil
	})
	if wrong == nil {
		wrong = m.outcome(x, end, rev, err, panicked)
	}
	return errors.Join(wrong, stop())
}

// call calls Update, in a goroutine of its own if that is going to exit. It
// reports whether the closure panicked on purpose, and lets any other panic
// through: a property tester ends runs with one.
func call(e *roster.Engine, apart bool, fn func(*roster.Txn) error) (rev roster.Revision, err error, panicked bool) {
	var what any
	run := func() {
		defer func() { what = recover() }()
		rev, err = e.Update(context.Background(), fn)
	}
	if apart {
		var wg sync.WaitGroup
		wg.Go(run)
		wg.Wait()
	} else {
		run()
	}
	if what != nil && what != any(errOnPurpose) {
		panic(what)
	}
	return rev, err, what != nil
}

// outcome compares how an update ended, and makes its model the current one if
// it succeeded.
func (m *Machine) outcome(x *update, end ending, rev roster.Revision, err error, panicked bool) error {
	m.tracef("  ends %d: revision %d, %v", end, rev, err)
	switch {
	case panicked != (end == endInPanic):
		return fmt.Errorf("the closure panicked, the update returned %v", err)
	case panicked:
	case end == endInError:
		if !errors.Is(err, errOnPurpose) {
			return fmt.Errorf("the closure failed, the update with %v", err)
		}
	case end == endWell && x.overrun:
		if !errors.Is(err, roster.ErrLimit) {
			return fmt.Errorf("nesting is %d pairs, the update ended with %v", x.want.Pairs(), err)
		}
	case end == endWell:
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if x.want.Changed() {
			x.want.Commit()
			m.now = x.want
		}
		if err := same("revision", rev, m.now.Revision); err != nil {
			return err
		}
	}
	return m.touched(x)
}

// touched compares, in a view, what the last verb of an update was about.
func (m *Machine) touched(x *update) error {
	return m.view(func(tx *roster.Txn) error {
		if err := same("revision", tx.Revision(), m.now.Revision); err != nil {
			return err
		}
		return newChecker(tx, m.now).touched(x)
	})
}

// read compares things drawn at random.
func (m *Machine) read() error {
	if err := m.checkPairs(); err != nil {
		return err
	}
	return m.view(func(tx *roster.Txn) error {
		c := newChecker(tx, m.now)
		c.whole = 2
		return allOf(
			func() error { return c.user(m.userID(m.now)) },
			func() error { return c.group(m.groupID(m.now)) },
			func() error { return c.organization(m.orgID(m.now)) },
			func() error { return c.noMembership(m.orgID(m.now), m.userID(m.now)) },
			func() error { return c.references(m) },
			func() error { return c.expressions(m) },
			func() error { return c.sets(m.src) },
		)
	})
}

// checkPairs compares the engine's own checks.
func (m *Machine) checkPairs() error {
	pairs := make([]roster.Membership, m.src.Intn(20))
	for i := range pairs {
		pairs[i] = roster.Membership{User: m.userID(m.now), Group: m.groupID(m.now)}
	}
	answers := make([]bool, len(pairs)+m.src.Intn(2))
	m.e.CheckMany(pairs, answers)
	for i, p := range pairs {
		want := m.now.Groups[p.Group] != nil && m.now.Effective(p.Group)[p.User]
		if answers[i] != want || m.e.Check(p.User, p.Group) != want {
			return fmt.Errorf("check of %v in %v is not %t", p.User, p.Group, want)
		}
	}
	user, group := m.userRef(m.now), m.groupRef(m.now)
	u, wantErr := model.Answer(m.now.FindUser(user))
	g, groupErr := model.Answer(m.now.FindGroup(group))
	if wantErr == nil {
		wantErr = groupErr
	}
	got, err := m.e.CheckName(user, group)
	if err := sameError(err, wantErr); err != nil {
		return fmt.Errorf("check of %q in %q: %w", user, group, err)
	}
	return same("check by name", got, wantErr == nil && m.now.Effective(g)[u])
}

// changes compares the log from a random revision on.
func (m *Machine) changes() error {
	from := roster.Revision(m.src.Intn(int(m.now.Revision) + 3))
	if m.chance(2) {
		from = m.now.Revision - min(m.now.Revision, roster.Revision(m.src.Intn(20)))
	}
	before := m.e.Stats()
	var got []roster.Change
	for c, err := range m.e.Changes(context.Background(), from) {
		if errors.Is(err, roster.ErrTrimmed) && len(got) == 0 && max(from, 1) < m.e.Stats().Oldest {
			return m.trimmed(from, before.Folded)
		}
		if err != nil {
			return fmt.Errorf("changes from %d: %w", from, err)
		}
		got = append(got, c)
	}
	want := m.now.Since(from)
	if max(from, 1) < m.now.LogStart && from <= m.now.Revision {
		return fmt.Errorf("changes from %d, which no log holds, are %d", from, len(got))
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d changes from %d, not %d", len(got), from, len(want))
	}
	for i := range got {
		if err := sameChange(&got[i], &want[i]); err != nil {
			return fmt.Errorf("changes from %d: %w", from, err)
		}
	}
	return nil
}

// trimmed returns an error if the log has to reach back to a revision from which
// the engine says it does not.
func (m *Machine) trimmed(from, folded roster.Revision) error {
	kept := roster.Revision(m.options.RetainRevisions)
	if from = max(from, 1); from >= max(m.now.LogStart, m.oldest) && (from > folded || from+kept > m.now.Revision) {
		return fmt.Errorf("the log is trimmed behind %d, with %d folded and %d to be kept of %d", from, folded, kept, m.now.Revision)
	}
	return nil
}

// fold folds the log.
func (m *Machine) fold() error {
	if err := m.e.Fold(context.Background()); err != nil {
		return err
	}
	if s := m.e.Stats(); s.Folded != m.now.Revision {
		return fmt.Errorf("folded is %d of %d", s.Folded, m.now.Revision)
	}
	return m.check(manyUsers)
}

// verify lets the engine check itself.
func (m *Machine) verify() error { return m.e.Verify(context.Background(), nil) }

// refusals does what must always be refused.
func (m *Machine) refusals() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.e.Update(ctx, func(*roster.Txn) error { return errors.New("ran") }); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("update with a context that has ended: %w", err)
	}
	var ended *roster.Txn
	err := m.view(func(tx *roster.Txn) error {
		ended = tx
		return m.refused(tx, roster.ErrReadOnlyTxn)
	})
	if err != nil {
		return fmt.Errorf("in a view: %w", err)
	}
	if err := errors.Join(m.refused(ended, roster.ErrTxnDone), m.unread(ended)); err != nil {
		return fmt.Errorf("after a view: %w", err)
	}
	if _, err := ended.Users(); !errors.Is(err, roster.ErrTxnDone) {
		return fmt.Errorf("users after a view: %w", err)
	}
	return m.cursorRefusals()
}

// refused makes sure that each verb returns the error.
func (m *Machine) refused(tx *roster.Txn, want error) error {
	u, g := m.userID(m.now), m.groupID(m.now)
	_, err1 := tx.PutDirectory(roster.Directory{Name: "d"})
	_, err2 := tx.CreateUser(roster.User{Username: "u"})
	_, err3 := tx.PutUser(roster.User{ID: u})
	_, err4 := tx.CreateGroup(roster.Group{Name: "g"})
	_, err5 := tx.PutGroup(roster.Group{ID: g})
	_, err6 := tx.Add(g, u)
	_, err7 := tx.Remove(g, u)
	_, err8 := tx.Nest(g, g)
	_, err9 := tx.Unnest(g, g)
	return allAre(want, append(m.refusedMore(tx),
		err1, err2, err3, err4, err5, err6, err7, err8, err9,
		tx.DeleteDirectory(0), tx.DeleteUser(u), tx.DeleteGroup(g), tx.Require(0),
	)...)
}

// allAre makes sure that each call returned the error.
func allAre(want error, got ...error) error {
	for i, err := range got {
		if err := sameError(err, want); err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
	}
	return nil
}

func (m *Machine) cursorRefusals() error {
	for _, c := range []roster.Cursor{"!", "bm90IG9uZQ", "eC94"} { // no base64; "not one"; "x/x"
		if err := c.Validate(); !errors.Is(err, roster.ErrInvalid) {
			return fmt.Errorf("cursor %q: %w", c, err)
		}
		err := m.view(func(tx *roster.Txn) error {
			all, err := tx.Users()
			for u := range all.ByName(c) {
				return fmt.Errorf("%v stands behind cursor %q", u, c)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
