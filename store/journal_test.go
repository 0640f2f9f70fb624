package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

const journalDir = "db/journal"

var testUUID = [16]byte{0: 0xA1, 7: 0x42, 15: 0x0F}

// newJournal creates and opens a journal of segments of one size.
func newJournal(t testing.TB, fsys store.FS, dir string, size int64) store.Journal {
	t.Helper()
	if err := store.CreateJournal(fsys, dir, testUUID, 1, size); err != nil {
		t.Fatal(err)
	}
	return reopenJournal(t, fsys, dir, size)
}

func reopenJournal(t testing.TB, fsys store.FS, dir string, size int64) store.Journal {
	t.Helper()
	j, err := store.OpenJournal(fsys, dir, testUUID, false, size)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// records makes the records of the revisions first, first+1 …; any two differ.
func records(first uint64, sizes ...int) [][]byte {
	var all [][]byte
	for i, size := range sizes {
		r := rand.New(rand.NewPCG(first+uint64(i), 7))
		b := make([]byte, size)
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		all = append(all, b)
	}
	return all
}

func mustAppend(t testing.TB, j store.Journal, all *[][]byte, sizes ...int) {
	t.Helper()
	first := j.Head() + 1
	batch := records(first, sizes...)
	if err := j.Append(first, batch); err != nil {
		t.Fatal(err)
	}
	*all = append(*all, batch...)
}

// collect returns what replay yields, and its error.
func collect(j store.Journal, from uint64) (got [][]byte, err error) {
	next := from
	for rec, err := range j.Replay(from) {
		if err != nil {
			return got, err
		}
		if rec.Revision != next {
			return got, fmt.Errorf("revision %d after %d", rec.Revision, next-1)
		}
		next++
		got = append(got, rec.Data)
	}
	return got, nil
}

func sameRecords(a, b [][]byte) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d records instead of %d", len(a), len(b))
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return fmt.Errorf("record %d of %d: %x instead of %x", i, len(b), a[i], b[i])
		}
	}
	return nil
}

// holds fails the test unless the journal holds all, the first of which has revision 1, from its oldest on.
func holds(t testing.TB, j store.Journal, all [][]byte) {
	t.Helper()
	if j.Head() != uint64(len(all)) {
		t.Fatalf("head is %d, want %d", j.Head(), len(all))
	}
	got, err := collect(j, j.Oldest())
	if err == nil {
		err = sameRecords(got, all[j.Oldest()-1:])
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestJournalEmpty(t *testing.T) {
	m := store.NewMemFS()
	if err := store.CreateJournal(m, journalDir, testUUID, 78, 4096); err != nil {
		t.Fatal(err)
	}
	j := reopenJournal(t, m, journalDir, 4096)
	if j.Head() != 77 || j.Oldest() != 78 || j.BytesAfter(77) != 0 {
		t.Fatal(j.Head(), j.Oldest(), j.BytesAfter(77))
	}
	if got, err := collect(j, 78); err != nil || got != nil {
		t.Fatal(got, err)
	}
	if _, err := collect(j, 77); !errors.Is(err, store.ErrTrimmed) {
		t.Fatal(err)
	}
	if err := j.Append(77, records(77, 5)); err == nil || errors.Is(err, store.ErrFailed) {
		t.Fatal("a revision that does not follow was taken, or stopped the journal", err)
	}
	if err := j.Append(78, records(78, 5)); err != nil || j.Head() != 78 {
		t.Fatal(err)
	}
}

// The sizes are chosen to leave every amount of room at the end of a segment, and to need larger ones.
func TestJournalReopen(t *testing.T) {
	for _, clean := range []bool{true, false} {
		m := store.NewMemFS()
		j := newJournal(t, m, journalDir, 4096)
		var all [][]byte
		r := rand.New(rand.NewPCG(1, 1))
		for i := range 400 {
			var sizes []int
			for range r.IntN(4) + 1 {
				sizes = append(sizes, r.IntN(1<<r.IntN(12)))
			}
			if i%97 == 0 {
				sizes = append(sizes, 10_000+i)
			}
			mustAppend(t, j, &all, sizes...)
			if i%10 != 0 {
				continue
			}
			holds(t, j, all)
			if clean {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				j.Abandon()
			}
			j = reopenJournal(t, m, journalDir, 4096)
			holds(t, j, all)
			if err := j.Verify(context.Background(), func(string) {}); err != nil {
				t.Fatal(err)
			}
		}
		for from := uint64(1); from <= j.Head()+2; from += 7 {
			got, err := collect(j, from)
			if err != nil || sameRecords(got, all[min(from-1, j.Head()):]) != nil {
				t.Fatal(from, err, sameRecords(got, all[from-1:]))
			}
		}
		if n, _ := j.Segments(); n < 20 {
			t.Fatalf("only %d segments: the test does not test what it should", n)
		}
	}
}

// Segments, frames and the space left over at the end of a segment that are larger than what is read at once.
func TestJournalLargeReads(t *testing.T) {
	m := store.NewMemFS()
	j := newJournal(t, m, journalDir, 1<<20)
	var all [][]byte
	for i := range 12 {
		mustAppend(t, j, &all, 100, 250_000+i*20_000, 7)
		mustAppend(t, j, &all, 90_000)
		j.Abandon()
		j = reopenJournal(t, m, journalDir, 1<<20)
		holds(t, j, all)
	}
	if err := errors.Join(j.Verify(context.Background(), func(string) {}), j.Close()); err != nil {
		t.Fatal(err)
	}
	if n, _ := j.Segments(); n < 5 {
		t.Fatal(n)
	}
	// A large frame that is torn is cleaned up as a small one is.
	b := storetest.ReadFile(m, segmentFile(1))
	used := len(bytes.TrimRight(b, "\x00"))
	for _, cut := range []int{used - 3, used - 100_000, used - 300_000} {
		one := store.NewMemFS()
		if err := one.MkdirAll(journalDir, 0o700); err != nil {
			t.Fatal(err)
		}
		storetest.WriteFile(one, filepath.Join(journalDir, "oldest"), oldestFile(t))
		torn := bytes.Clone(b)
		clear(torn[cut:])
		storetest.WriteFile(one, segmentFile(1), torn)
		j, err := store.OpenJournal(one, journalDir, testUUID, false, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all := all[:j.Head():j.Head()]
		holds(t, j, all)
		mustAppend(t, j, &all, 400_000)
		j.Abandon()
		holds(t, reopenJournal(t, one, journalDir, 1<<20), all)
	}
}

func TestJournalGrowth(t *testing.T) {
	m := store.NewMemFS()
	j := newJournal(t, m, journalDir, 4096)
	j.Abandon()
	j = reopenJournal(t, m, journalDir, 32<<10)
	var all [][]byte
	var sizes []int64
	for range 300 {
		mustAppend(t, j, &all, 700)
		if n, size := j.Segments(); n > len(sizes) {
			sizes = append(sizes, size)
		}
	}
	want := []int64{4096, 8192, 16384, 32768, 32768}
	if fmt.Sprint(sizes[:5]) != fmt.Sprint(want) {
		t.Fatalf("segments of %d bytes, want %d", sizes, want)
	}
}

func TestJournalRetire(t *testing.T) {
	m := store.NewMemFS()
	j := newJournal(t, m, journalDir, 4096)
	var all [][]byte
	for range 40 {
		mustAppend(t, j, &all, 300, 300)
	}
	early := j.Replay(1)
	n, _ := j.Segments()
	for upTo := uint64(0); upTo <= 90; upTo += 3 {
		before := j.Oldest()
		if err := j.Retire(upTo); err != nil {
			t.Fatal(err)
		}
		if j.Oldest() > upTo+1 && j.Oldest() != before {
			t.Fatalf("retire(%d) left only %d on", upTo, j.Oldest())
		}
		holds(t, j, all)
	}
	if left, _ := j.Segments(); left != 1 || n < 8 {
		t.Fatalf("%d segments, then %d", n, left)
	}
	for _, err := range early {
		if !errors.Is(err, store.ErrTrimmed) {
			t.Fatalf("reading what was retired meanwhile: %v", err)
		}
	}
	names, _ := m.ReadDir(journalDir)
	if len(names) > 3 {
		t.Fatalf("left behind: %v", names)
	}
	mustAppend(t, j, &all, 10)
	j.Close()
	holds(t, reopenJournal(t, m, journalDir, 4096), all)
}

func TestJournalBytesAfter(t *testing.T) {
	j := newJournal(t, store.NewMemFS(), journalDir, 1<<20)
	var all [][]byte
	for range 3000 {
		mustAppend(t, j, &all, 1000)
	}
	const frame = 1056 // 32 + 2 + 1000 + end marks
	for rev := uint64(0); rev <= 3000; rev += 100 {
		want := int64(3000-rev) * frame
		if got := j.BytesAfter(rev); got < want || got > want+(64<<10)+frame || rev == 3000 && got != 0 {
			t.Fatalf("%d bytes after revision %d, about %d are right", got, rev, want)
		}
	}
}

func TestJournalReadOnly(t *testing.T) {
	f := storetest.NewFaultFS()
	j := newJournal(t, f, journalDir, 4096)
	var all [][]byte
	mustAppend(t, j, &all, 100, 2000, 5)
	j.Abandon()
	f.Hook(func(op storetest.Op) error {
		if op.Kind != storetest.OpSync {
			t.Errorf("a read-only journal did %v", op)
		}
		return nil
	})
	ro, err := store.OpenJournal(f, journalDir, testUUID, true, 4096)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, ro, all)
	for _, err := range []error{ro.Append(4, records(4, 1)), ro.Reserve(1), ro.Retire(3)} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Fatal(err)
		}
	}
	if err := ro.Verify(context.Background(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestJournalClosed(t *testing.T) {
	f := storetest.NewFaultFS()
	j := newJournal(t, f, journalDir, 4096)
	var all [][]byte
	mustAppend(t, j, &all, 2500)
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	_, replayErr := collect(j, 1)
	for _, err := range []error{j.Append(2, records(2, 1)), j.Reserve(1), j.Retire(1), replayErr,
		j.Verify(context.Background(), func(string) {})} {
		if !errors.Is(err, store.ErrClosed) {
			t.Fatal(err)
		}
	}
	// Opening and closing without a change between leaves the file as it is.
	before := storetest.ReadFile(f, segmentFile(1))
	for range 3 {
		reopenJournal(t, f, journalDir, 4096).Close()
	}
	if !bytes.Equal(before, storetest.ReadFile(f, segmentFile(1))) {
		t.Fatal("closing twice wrote two marks")
	}
	if _, err := f.Stat(filepath.Join(journalDir, "spare")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the spare was left behind", err)
	}
}

func segmentFile(n int) string { return filepath.Join(journalDir, fmt.Sprintf("%010d.log", n)) }

func TestJournalTooLarge(t *testing.T) {
	j := newJournal(t, store.NewMemFS(), journalDir, 4096)
	if err := j.Reserve(store.MaxFrameBytes + 1); !errors.Is(err, store.ErrTooLarge) {
		t.Fatal(err)
	}
	half := make([]byte, store.MaxFrameBytes/2)
	if err := j.Append(1, [][]byte{half, half}); !errors.Is(err, store.ErrTooLarge) {
		t.Fatal(err)
	}
	var all [][]byte
	mustAppend(t, j, &all, 3<<20, 7)
	holds(t, j, all)
}

func TestJournalDiskFull(t *testing.T) {
	f := storetest.NewFaultFS()
	j := newJournal(t, f, journalDir, 4096)
	var all [][]byte
	f.SetFree(4 << 20)
	if err := j.Reserve(100_000); !errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrFailed) {
		t.Fatal(err)
	}
	if err := j.Append(1, records(1, 100_000)); !errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrFailed) {
		t.Fatal(err)
	}
	mustAppend(t, j, &all, 100) // what fits still goes in

	f.SetFree(5 << 20)
	for i := range 6 { // the disk is full in spite of what it said, at any point
		j.Settle()
		f.FailNth(i, syscall.ENOSPC, false, storetest.OpWrite)
		if err := j.Reserve(200_000 + 500_000*i); i < 2 && !errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrFailed) {
			t.Fatal(i, err)
		}
		f.Hook(nil)
		mustAppend(t, j, &all, 100)
	}
	if err := j.Reserve(200_000); err != nil {
		t.Fatal(err)
	}
	// Reserved is reserved: no file may grow or be created from here on.
	f.SetFree(0)
	f.Hook(func(op storetest.Op) error {
		if op.Kind == storetest.OpCreate {
			return syscall.ENOSPC
		}
		return nil
	})
	for range 40 {
		mustAppend(t, j, &all, 1000, 4000)
	}
	j.Close()
	f.Hook(nil)
	holds(t, reopenJournal(t, f, journalDir, 4096), all)
}

// Whatever write or flush fails, the journal stops for good, and what had been taken before is there.
func TestJournalFailure(t *testing.T) {
	cause := errors.New("the disk is on fire")
	for n := 0; ; n++ {
		f := storetest.NewFaultFS()
		j := newJournal(t, f, journalDir, 4096)
		f.FailNth(n, cause, false)
		var all [][]byte
		var failed error
		for range 30 {
			j.Settle()
			first := j.Head() + 1
			batch := records(first, 600)
			if err := j.Append(first, batch); err != nil {
				failed = err
				break
			}
			all = append(all, batch...)
		}
		if failed == nil && f.Ops() > n+200 {
			t.Fatal("nothing failed")
		}
		if errors.Is(failed, store.ErrFailed) {
			if !errors.Is(failed, cause) {
				t.Fatalf("the cause is lost: %v", failed)
			}
			f.Hook(nil)
			next := j.Head() + 1
			for _, err := range []error{j.Append(next, records(next, 1)), j.Reserve(1), j.Retire(1)} {
				if !errors.Is(err, store.ErrFailed) || !errors.Is(err, cause) {
					t.Fatalf("after the failure: %v", err)
				}
			}
			holds(t, j, all)
		}
		j.Close()
		for seed := range uint64(4) {
			again := reopenJournal(t, f.Crash(seed), journalDir, 4096)
			got, err := collect(again, 1)
			if err != nil || len(got) < len(all) || sameRecords(got[:len(all)], all) != nil {
				t.Fatalf("operation %d failed with %v: %d of %d records, %v", n, failed, len(got), len(all), err)
			}
			again.Close()
		}
		if failed == nil && n > 150 {
			return
		}
	}
}

func TestJournalConcurrent(t *testing.T) {
	j := newJournal(t, store.NewMemFS(), journalDir, 16<<10)
	const total = 2000
	var wg sync.WaitGroup
	done := make(chan struct{})
	loop := func(fn func() error) {
		wg.Go(func() {
			for {
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		loop(func() error {
			from, head := j.Oldest(), j.Head()
			got, err := collect(j, from)
			if errors.Is(err, store.ErrTrimmed) {
				return nil
			}
			if err == nil && from+uint64(len(got)) <= head {
				err = fmt.Errorf("%d records from %d on, the head was %d", len(got), from, head)
			}
			return err
		})
	}
	loop(func() error { return j.Verify(context.Background(), func(string) {}) })
	loop(func() error { return j.Reserve(10_000) })
	loop(func() error { return j.Retire(j.Head() - min(j.Head(), 200)) })
	loop(func() error { j.BytesAfter(j.Head() / 2); return nil })
	var all [][]byte
	for len(all) < total {
		mustAppend(t, j, &all, 50, 700, len(all))
	}
	close(done)
	wg.Wait()
	holds(t, j, all)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestJournalVerify(t *testing.T) {
	m := store.NewMemFS()
	j := newJournal(t, m, journalDir, 4096)
	var all [][]byte
	for range 12 {
		mustAppend(t, j, &all, 900)
	}
	b := storetest.ReadFile(m, segmentFile(2))
	b[1000] ^= 4
	storetest.WriteFile(m, segmentFile(2), b)
	var lines []string
	err := j.Verify(context.Background(), func(s string) { lines = append(lines, s) })
	corrupt, ok := errors.AsType[*store.CorruptError](err)
	if !ok || corrupt.Path != segmentFile(2) || !errors.Is(err, store.ErrCorrupt) {
		t.Fatal(err)
	}
	report := strings.Join(lines, "\n")
	if !strings.Contains(report, "0000000001.log: revisions 1 to") || !strings.Contains(report, "0000000003.log: revisions") {
		t.Fatal(report)
	}
	if _, err := collect(j, 1); !errors.Is(err, store.ErrCorrupt) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Verify(ctx, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
