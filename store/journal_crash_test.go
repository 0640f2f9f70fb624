package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

// promise is what the model knows of a journal at a moment: what must be in it and what may be.
type promise struct {
	mu        sync.Mutex
	submitted [][]byte // passed to append; the first has revision 1
	acked     int      // how many of them append returned for
	retired   uint64   // the largest revision passed to retire
}

func (p *promise) bounds() (acked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked
}

// check opens what a crash left behind and compares. depth is how many more crashes may happen while it is opened.
func (p *promise) check(m *store.MemFS, acked, depth int, seed uint64) error {
	f := storetest.Reboot(m)
	var inner error
	if depth > 0 {
		f.Hook(func(op storetest.Op) error {
			for k := range uint64(3) {
				if err := p.check(f.Crash(seed+k), acked, depth-1, seed+k); err != nil && inner == nil {
					inner = fmt.Errorf("second crash before %v: %w", op, err)
				}
			}
			return nil
		})
	}
	j, err := store.OpenJournal(f, journalDir, testUUID, false, 4096)
	if err != nil {
		return err
	}
	f.Hook(nil)
	if inner != nil {
		return inner
	}
	defer j.Close()
	got, err := collect(j, j.Oldest())
	if err != nil {
		return err
	}
	p.mu.Lock()
	submitted, retired := p.submitted, p.retired
	p.mu.Unlock()
	head := j.Head()
	switch {
	case head < uint64(acked) || head > uint64(len(submitted)):
		return fmt.Errorf("head is %d, %d were acknowledged and %d submitted", head, acked, len(submitted))
	case j.Oldest() > retired+1:
		return fmt.Errorf("oldest is %d, and only those up to %d were retired", j.Oldest(), retired)
	}
	if err := sameRecords(got, submitted[j.Oldest()-1:head]); err != nil {
		return err
	}
	// It goes on from there, and what is written now survives too.
	more := records(head+1, 200, 3000)
	if err := j.Append(head+1, more); err != nil {
		return err
	}
	again, err := store.OpenJournal(f.Crash(0), journalDir, testUUID, true, 4096)
	if err != nil {
		return fmt.Errorf("after one more append: %w", err)
	}
	got, err = collect(again, head+1)
	return errors.Join(err, sameRecords(got, more), again.Close())
}

// Before every single operation that changes something the power fails, in several ways, and again during recovery.
func TestJournalCrash(t *testing.T) {
	runs := 6
	if testing.Short() {
		runs = 2
	}
	for seed := range uint64(runs) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { crashRun(t, seed) })
	}
}

func crashRun(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 99))
	p := &promise{}
	f := storetest.NewFaultFS()
	if err := store.CreateJournal(f, journalDir, testUUID, 1, 4096); err != nil {
		t.Fatal(err)
	}
	c := &crasher{promise: p, t: t, n: seed * 1_000_003, killIn: -1}
	watch := func(f *storetest.FaultFS) {
		f.Hook(func(op storetest.Op) error { return c.before(f, op) })
	}
	watch(f)
	var j store.Journal
	open := func() {
		for {
			var err error
			j, err = store.OpenJournal(f, journalDir, testUUID, false, 4096)
			if err == nil {
				break
			}
			if !errors.Is(err, storetest.ErrKilled) {
				t.Fatal(err)
			}
			c.revive(r.IntN(20) - 5)
		}
		p.opened(j.Head())
	}
	open()
	defer func() { f.Hook(nil); j.Abandon() }()
	for range 60 {
		if t.Failed() {
			return
		}
		var err error
		switch k := r.IntN(20); {
		case k < 14:
			err = appendToModel(j, p, r)
		case k == 14:
			err = j.Retire(p.retire(r))
		case k == 15:
			err = j.Reserve(r.IntN(20_000))
		case k == 16:
			if err = j.Close(); err == nil {
				open()
			}
		case k == 17: // will be killed soon, and what was not flushed stays so for the next process
			c.revive(r.IntN(30))
		default:
			f.Hook(nil)
			j.Abandon()
			f = storetest.Reboot(f.Crash(r.Uint64()))
			watch(f)
			open()
		}
		if errors.Is(err, storetest.ErrKilled) {
			j.Abandon()
			c.revive(r.IntN(20) - 10)
			open()
		} else if err != nil {
			t.Fatal(err)
		}
	}
	j.Settle()
	if c.images < 200 {
		t.Fatalf("only %d crashes", c.images)
	}
}

// crasher is the hook of a crashRun.
type crasher struct {
	*promise
	t *testing.T

	mu     sync.Mutex
	n      uint64 // guarded by mu; the last seed used
	images int    // guarded by mu
	killIn int    // guarded by mu; operations until the process dies; below 0: it lives
}

func (c *crasher) revive(killIn int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killIn = killIn
}

// before checks what is left if the machine, or only the process, stops before the operation.
func (c *crasher) before(f *storetest.FaultFS, op storetest.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killIn == 0 {
		return storetest.ErrKilled
	}
	c.killIn = max(c.killIn-1, -1)
	acked := c.bounds()
	for k := range 4 {
		c.n++
		crash := c.n * uint64(min(k, 1)) // one of them is seed 0
		if err := c.check(f.Crash(crash), acked, k%2, c.n); err != nil {
			c.t.Errorf("power cut (seed %d) before %v: %v", crash, op, err)
		}
		c.images++
	}
	if err := c.check(f.Kill(), acked, 0, c.n); err != nil {
		c.t.Errorf("killed before %v: %v", op, err)
	}
	return nil
}

// opened takes note that a journal was opened, and showed these many records to its readers.
func (p *promise) opened(head uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = int(head)
	p.submitted = p.submitted[:head:head]
}

func (p *promise) retire(r *rand.Rand) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = max(p.retired, uint64(r.IntN(p.acked+1)))
	return p.retired
}

func appendToModel(j store.Journal, p *promise, r *rand.Rand) error {
	var sizes []int
	for range r.IntN(3) + 1 {
		sizes = append(sizes, r.IntN(1<<r.IntN(12)))
	}
	if r.IntN(15) == 0 {
		sizes = append(sizes, 5000+r.IntN(5000))
	}
	first := j.Head() + 1
	batch := records(first, sizes...)
	p.mu.Lock()
	p.submitted = append(p.submitted[:first-1:first-1], batch...)
	p.mu.Unlock()
	if err := j.Append(first, batch); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = len(p.submitted)
	return nil
}

// The process dies before each operation of a short life that rotates and retires; while the next process opens
// what is in the cache of the system, and goes on, the power fails.
func TestJournalKilled(t *testing.T) {
	for n, over := 0, false; !over; n++ {
		f := storetest.NewFaultFS()
		if err := store.CreateJournal(f, journalDir, testUUID, 1, 4096); err != nil {
			t.Fatal(err)
		}
		c := &crasher{promise: &promise{}, t: t, killIn: n}
		f.Hook(func(op storetest.Op) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.killIn--
			if c.killIn < 0 {
				return storetest.ErrKilled
			}
			return nil
		})
		j, err := store.OpenJournal(f, journalDir, testUUID, false, 4096)
		if err == nil {
			r := rand.New(rand.NewPCG(5, 5))
			for i := 0; i < 16 && err == nil; i++ {
				if err = appendToModel(j, c.promise, r); err == nil && i%6 == 5 {
					err = j.Retire(c.retire(r))
				}
			}
			j.Abandon()
		}
		over = err == nil
		c.revive(-1)
		c.n = uint64(n) * 1000
		f.Hook(func(op storetest.Op) error { return c.before(f, op) })
		j = reopenJournal(t, f, journalDir, 4096)
		c.opened(j.Head())
		if err := appendToModel(j, c.promise, rand.New(rand.NewPCG(uint64(n), 0))); err != nil {
			t.Fatal(err)
		}
		f.Hook(nil)
		j.Abandon()
	}
}

// A frame that was in flight is torn in every possible way: each subset of its sectors, and each number of its bytes.
func TestJournalTorn(t *testing.T) {
	for _, size := range []int{1, 27, 300, 460, 1200, 2000} {
		for _, offset := range []int{100, 333, 460, 500} {
			tornRun(t, offset, size)
		}
	}
}

func tornRun(t *testing.T, offset, size int) {
	m := store.NewMemFS()
	j := newJournal(t, m, journalDir, 4096)
	var all [][]byte
	mustAppend(t, j, &all, offset)
	before := storetest.ReadFile(m, segmentFile(1))
	mustAppend(t, j, &all, size)
	after := storetest.ReadFile(m, segmentFile(1))
	j.Abandon()
	from, to := difference(before, after)
	check := func(how string, image []byte, whole bool) {
		t.Helper()
		m := store.NewMemFS()
		if err := m.MkdirAll(journalDir, 0o700); err != nil {
			t.Fatal(err)
		}
		storetest.WriteFile(m, journalDir+"/oldest", oldestFile(t))
		storetest.WriteFile(m, segmentFile(1), image)
		want := all[:1]
		if whole {
			want = all
		}
		j, err := store.OpenJournal(m, journalDir, testUUID, false, 4096)
		if err != nil {
			t.Fatalf("record of %d bytes after one of %d, %s: %v", size, offset, how, err)
		}
		holds(t, j, want)
		j.Abandon()
		if !whole && string(storetest.ReadFile(m, segmentFile(1))) != string(before) {
			t.Fatalf("record of %d bytes after one of %d, %s: not cleaned up", size, offset, how)
		}
	}
	for n := from; n <= to; n++ {
		image := append(append([]byte{}, after[:n]...), before[n:]...)
		check(fmt.Sprintf("%d bytes of it", n-from), image, n == to)
	}
	first, last := from/512, (to-1)/512
	for set := range 1 << (last - first + 1) {
		image := append([]byte{}, before...)
		for s := first; s <= last; s++ {
			if set>>(s-first)&1 == 1 {
				copy(image[s*512:(s+1)*512], after[s*512:])
			}
		}
		check(fmt.Sprintf("sectors %b", set), image, set == 1<<(last-first+1)-1)
	}
}

// oldestFile returns the file `oldest` of a journal that begins with segment 1.
func oldestFile(t *testing.T) []byte {
	m := store.NewMemFS()
	newJournal(t, m, journalDir, 4096).Abandon()
	return storetest.ReadFile(m, journalDir+"/oldest")
}

// difference returns the range of bytes in which a and b, equally long, differ.
func difference(a, b []byte) (from, to int) {
	for a[from] == b[from] {
		from++
	}
	for to = len(a); a[to-1] == b[to-1]; to-- {
	}
	return from, to
}
