package machine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// The most of each that a machine holds at a time.
const (
	maxViews   = 4
	maxKept    = 6
	maxCursors = 12
)

// view is a View that stays open, in a goroutine, and answers as of its revision
// whatever happens meanwhile.
type view struct {
	want *model.Model
	ask  chan func(*roster.Txn) error
	said chan error
	done chan error // what View returned
}

// openView opens a view that stays open.
func (m *Machine) openView() error {
	if len(m.views) == maxViews {
		return m.endView()
	}
	v := &view{want: m.now, ask: make(chan func(*roster.Txn) error), said: make(chan error), done: make(chan error, 1)}
	started := make(chan struct{})
	go func() {
		v.done <- m.e.View(context.Background(), func(tx *roster.Txn) error {
			close(started)
			for question := range v.ask {
				v.said <- question(tx)
			}
			return nil
		})
	}()
	select {
	case <-started:
	case err := <-v.done:
		return fmt.Errorf("view ended at once: %w", err)
	}
	m.views = append(m.views, v)
	return nil
}

// endView checks one of the open views and ends it.
func (m *Machine) endView() error {
	if len(m.views) == 0 {
		return nil
	}
	i := m.src.Intn(len(m.views))
	v := m.views[i]
	err := v.check(m.src)
	m.views = append(m.views[:i:i], m.views[i+1:]...)
	return errors.Join(err, v.end())
}

func (v *view) end() error {
	close(v.ask)
	return <-v.done
}

// check compares everything that a view answers with the model of its revision.
func (v *view) check(src Source) error {
	v.ask <- func(tx *roster.Txn) error {
		if err := same("revision", tx.Revision(), v.want.Revision); err != nil {
			return err
		}
		return newChecker(tx, v.want).everything(src, someUsers)
	}
	if err := <-v.said; err != nil {
		return fmt.Errorf("view of revision %d: %w", v.want.Revision, err)
	}
	return nil
}

func (m *Machine) checkViews() error {
	for _, v := range m.views {
		if err := v.check(m.src); err != nil {
			return err
		}
	}
	return nil
}

// endViews ends all views.
func (m *Machine) endViews() error {
	var errs []error
	for _, v := range m.views {
		errs = append(errs, v.end())
	}
	m.views = nil
	return errors.Join(errs...)
}

// checkViewsBeside lets one of the open views, now and then, compare itself
// while the caller goes on. The function that it returns waits for that and
// returns what was found.
func (m *Machine) checkViewsBeside() (wait func() error) {
	if len(m.views) == 0 || !m.chance(8+m.mode.Built/50) {
		return func() error { return nil }
	}
	v := m.views[m.src.Intn(len(m.views))]
	src := &fixed{n: m.src.Intn(1 << 20)} // the machine's own is in use
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { err = v.check(src) })
	return func() error {
		wg.Wait()
		return err
	}
}

// fixed is a Source for whoever cannot share the machine's: a small linear
// congruence.
type fixed struct{ n int }

func (f *fixed) Intn(n int) int {
	f.n = (f.n*1103515245 + 12345) & (1<<31 - 1)
	return f.n >> 8 % n
}

// keptSet is a set that outlives its view, and its engine.
type keptSet struct {
	want *model.Model
	set  roster.Set
	has  model.Set
}

// keepSet keeps a set of the newest revision.
func (m *Machine) keepSet() error {
	return m.view(func(tx *roster.Txn) error {
		set, has, err := newChecker(tx, m.now).someSet(m.src)
		if len(m.kept) == maxKept {
			m.kept = append([]keptSet(nil), m.kept[1:]...)
		}
		m.kept = append(m.kept, keptSet{m.now, set, has})
		return err
	})
}

func (k *keptSet) check() error {
	if err := sameSet("users", k.set, k.has); err != nil {
		return err
	}
	if err := sameSet("others", k.set.Not(), pick(k.want.All(), k.has, false)); err != nil {
		return err
	}
	order := k.want.UsersByName(func(u roster.UserID) bool { return k.has[u] })
	i := 0
	for u := range k.set.ByName("") {
		if i == len(order) || u != order[i] {
			return fmt.Errorf("user %d by name is %v", i, u)
		}
		i++
	}
	return same("number of users by name", i, len(order))
}

// keptCursor is a cursor with the place that it stands for.
type keptCursor struct {
	cursor roster.Cursor
	place  model.Place
}

// oldCursors continues lists from where earlier ones were left: users may have
// been renamed and deleted since.
func (m *Machine) oldCursors() error {
	return m.view(func(tx *roster.Txn) error {
		c := newChecker(tx, m.now)
		set, has, err := c.someSet(m.src)
		if err != nil {
			return err
		}
		for _, k := range m.cursors {
			want := m.now.UsersByName(func(u roster.UserID) bool { return has[u] && m.now.UserPlace(u).Compare(k.place) > 0 })
			i := 0
			for u := range set.ByName(k.cursor) {
				if i == len(want) || u != want[i] {
					return fmt.Errorf("user %d behind %q, %d is %v, in %v", i, k.place.Folded, k.place.Dir, u, clipped(want))
				}
				i++
			}
			if i != len(want) {
				return fmt.Errorf("%d users behind %q, %d, not %d", i, k.place.Folded, k.place.Dir, len(want))
			}
		}
		m.keepCursor(set, m.userID(m.now))
		return nil
	})
}

func (m *Machine) keepCursor(set roster.Set, u roster.UserID) {
	if m.now.Users[u] == nil {
		return
	}
	if len(m.cursors) == maxCursors {
		m.cursors = append([]keptCursor(nil), m.cursors[1:]...)
	}
	m.cursors = append(m.cursors, keptCursor{set.CursorAfter(u), m.now.UserPlace(u)})
}
