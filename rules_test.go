package roster_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

func TestCheckMany(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) {
		w.add(group0, 1, 2, 3)
		w.add(group1, 4)
		w.nest(group0, group1)
	})
	var pairs []roster.Membership
	for u := range roster.UserID(30) { // some of them do not exist
		for g := range roster.GroupID(20) {
			pairs = append(pairs, roster.Membership{User: u, Group: g})
		}
	}
	answers := make([]bool, len(pairs)+3)
	p.e.CheckMany(pairs, answers)
	for i, m := range pairs {
		if want := p.n.effective(m.Group)[m.User]; m.Group >= group0 && answers[i] != want {
			t.Errorf("%v: %v", m, answers[i])
		}
		if answers[i] != p.e.Check(m.User, m.Group) {
			t.Errorf("%v: CheckMany and Check differ", m)
		}
		// The engine's own sets are no groups, whatever number somebody makes up.
		if m.Group < group0 && answers[i] {
			t.Errorf("%v is true", m)
		}
	}
	if slices.Contains(answers[len(pairs):], true) {
		t.Error("answers nobody asked for")
	}
}

// methods calls every method of a Txn that can fail, by name.
func methods(tx *roster.Txn) map[string]error {
	errs := map[string]error{}
	note := func(name string, err error) { errs[name] = err }
	_, err := tx.PutDirectory(roster.Directory{ID: 9, Name: "x"})
	note("PutDirectory", err)
	note("DeleteDirectory", tx.DeleteDirectory(1))
	_, err = tx.CreateUser(roster.User{Directory: 1, Username: "x"})
	note("CreateUser", err)
	_, err = tx.PutUser(roster.User{ID: 1, Directory: 1, Username: "x"})
	note("PutUser", err)
	note("DeleteUser", tx.DeleteUser(1))
	_, err = tx.CreateGroup(roster.Group{Directory: 1, Name: "x"})
	note("CreateGroup", err)
	_, err = tx.PutGroup(roster.Group{ID: group0, Directory: 1, Name: "x"})
	note("PutGroup", err)
	note("DeleteGroup", tx.DeleteGroup(group0))
	_, err = tx.Add(group0, 1)
	note("Add", err)
	_, err = tx.Remove(group0, 1)
	note("Remove", err)
	_, err = tx.Nest(group0, group1)
	note("Nest", err)
	_, err = tx.Unnest(group0, group1)
	note("Unnest", err)
	note("Require", tx.Require(1))
	return errs
}

func TestTxnEnds(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	var txs []*roster.Txn
	if err := p.e.View(ctx, func(tx *roster.Txn) error {
		txs = append(txs, tx)
		for name, err := range methods(tx) {
			if !errors.Is(err, roster.ErrReadOnlyTxn) {
				t.Errorf("%s in a View: %v", name, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no")
	p.e.Update(ctx, func(tx *roster.Txn) error { txs = append(txs, tx); return cause })
	p.e.Update(ctx, func(tx *roster.Txn) error { txs = append(txs, tx); return nil })
	for _, tx := range txs {
		for name, err := range methods(tx) {
			if !errors.Is(err, roster.ErrTxnDone) {
				t.Errorf("%s after the closure: %v", name, err)
			}
		}
		_, err1 := tx.User(1)
		_, err2 := tx.Group(group0)
		_, err3 := tx.Members(group0)
		_, err4 := tx.Groups(1)
		_, err5 := tx.Users()
		_, err6 := tx.Subgroups(group0)
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(err, roster.ErrTxnDone) {
				t.Errorf("read %d after the closure: %v", i, err)
			}
		}
		if tx.Check(1, group0) {
			t.Error("Check after the closure")
		}
	}
	p.same()
}

func TestPreconditions(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) { w.add(group0, 1) })
	_, err := p.e.Update(ctx, func(tx *roster.Txn) error { return errors.Join(tx.Require(p.n.rev), add(group0, 2)(tx)) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.e.Update(ctx, func(tx *roster.Txn) error {
		if err := add(group0, 3)(tx); err != nil {
			return err
		}
		return tx.Require(p.n.rev)
	})
	isErr(t, err, roster.ErrConflict)
	if p.e.Check(3, group0) || !p.e.Check(2, group0) {
		t.Error("undone the wrong one")
	}
	var u roster.User
	var g roster.Group
	if err := p.e.View(ctx, func(tx *roster.Txn) error {
		var err1, err2 error
		u, err1 = tx.User(7)
		g, err2 = tx.Group(group1)
		return errors.Join(err1, err2)
	}); err != nil {
		t.Fatal(err)
	}
	u.FullName, g.Description = "one", "one"
	put := func() error {
		_, err := p.e.Update(ctx, func(tx *roster.Txn) error {
			changed, err1 := tx.PutUser(u)
			changedG, err2 := tx.PutGroup(g)
			if err1 == nil && !changed || err2 == nil && !changedG {
				t.Error("not changed")
			}
			return errors.Join(err1, err2)
		})
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	u.FullName, g.Description = "two", "two" // of the revision before
	isErr(t, put(), roster.ErrConflict)
	u.Revision, g.Revision = 0, 0
	if err := put(); err != nil {
		t.Fatal(err)
	}
	// What changes nothing makes no revision.
	before := p.e.Revision()
	rev, err := p.e.Update(ctx, func(tx *roster.Txn) error {
		u.Updated, g.Updated = time.Time{}, time.Time{}
		c1, err1 := tx.PutUser(u)
		c2, err2 := tx.PutGroup(g)
		n, err3 := tx.Add(group0, 1, 2)
		m, err4 := tx.Remove(group0, 9)
		if c1 || c2 || n != 0 || m != 0 {
			t.Error(c1, c2, n, m)
		}
		return errors.Join(err1, err2, err3, err4)
	})
	if err != nil || rev != before || p.e.Revision() != before {
		t.Error(rev, before, err)
	}
}

func TestLimit(t *testing.T) {
	p := newPair(t, "", roster.Options{MaxNesting: 4})
	p.update(func(w *writer) {
		w.nest(group0, group1) // 1 pair
		w.nest(group1, group2) // 3 pairs
		w.add(group2, 5)
	})
	err := p.try(func(w *writer) {
		w.add(group0, 1)
		w.nest(group2, group3) // 6 pairs
		w.add(group0, 2)
	})
	isErr(t, err, roster.ErrLimit)
	p.same()
	p.update(func(w *writer) { w.nest(group0, group3) })
	p.same()
	isErr(t, p.try(func(w *writer) { w.nest(group2, group0) }), roster.ErrLimit) // a cycle
	p.same()
	p.update(func(w *writer) {
		w.unnest(group0, group1)
		w.nest(group3, group4)
	})
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Error(err)
	}
}

func TestAllocations(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) {
		w.add(group2, 1)
		w.nest(group1, group2)
		w.nest(group0, group1)
	})
	pairs := []roster.Membership{{User: 1, Group: group0}, {User: 2, Group: group0}}
	answers := make([]bool, 2)
	for name, fn := range map[string]func(){
		"Check":     func() { p.e.Check(1, group0); p.e.Check(2, group0) },
		"CheckMany": func() { p.e.CheckMany(pairs, answers) },
		"CheckName": func() {
			if ok, err := p.e.CheckName("user01", "group0"); !ok || err != nil {
				t.Error(ok, err)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if !answers[0] || answers[1] {
		t.Error(answers)
	}
}

// Changes goes back as far as RetainRevisions says, and says so beyond that.
func TestRetention(t *testing.T) {
	for _, retain := range []uint64{0, 40, 1 << 40} {
		p := newPair(t, filepath.Join(t.TempDir(), "db"), roster.Options{RetainRevisions: retain, MaxSegmentBytes: 8 << 10})
		want := map[roster.Revision]string{}
		text := string(bytes.Repeat([]byte("x"), 60<<10))
		for i := range 60 {
			p.update(func(w *writer) {
				w.putUser(1, func(u *roster.User) { u.Description = fmt.Sprint(i, text) })
			})
			want[p.n.rev] = fmt.Sprint(i, text)
			if i%10 == 9 {
				if err := p.e.Fold(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		oldest := p.e.Stats().Oldest
		switch {
		case retain == 0 && oldest+20 < p.n.rev-11, retain == 40 && oldest > p.n.rev-39, retain == 40 && oldest == 1, retain > 1000 && oldest != 1:
			t.Errorf("retain %d: the oldest of %d is %d", retain, p.n.rev, oldest)
		}
		for from := range p.n.rev + 3 {
			next := max(from, 1)
			for c, err := range p.e.Changes(ctx, from) {
				if errors.Is(err, roster.ErrTrimmed) && next < oldest {
					next = p.n.rev + 1
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.Revision == 1 {
					next = 2
					continue
				}
				if c.Revision != next || c.UserID != 1 || c.User.Description != want[next] {
					t.Fatalf("from %d: revision %d instead of %d", from, c.Revision, next)
				}
				next++
			}
			if next != max(p.n.rev+1, from) {
				t.Fatalf("retain %d: from %d it ends before %d of %d", retain, from, next, p.n.rev)
			}
		}
		p.e.Close()
	}
}

func TestInMemory(t *testing.T) {
	p := newPair(t, "", roster.Options{FoldBytes: 1 << 10})
	for i := range 30 {
		p.update(func(w *writer) { w.putUser(roster.UserID(i%20), func(u *roster.User) { u.Email = fmt.Sprint(i) }) })
		if i%10 == 0 {
			if err := p.e.Fold(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.same()
	if err := p.e.Verify(ctx, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := p.e.Backup(ctx, &b); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "db")
	if err := roster.Restore(ctx, dir, &b, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.e.Close()
	var err error
	if p.e, err = roster.Open(dir, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.same()
}
