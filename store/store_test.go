package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

// all puts what a sequence yields.
func all(seq iter.Seq2[[]byte, []byte]) store.Puts {
	return func(put func(key, value []byte) error) error {
		for k, v := range seq {
			if err := put(k, v); err != nil {
				return err
			}
		}
		return nil
	}
}

// pairs yields n keys in ascending order, with values of size bytes that differ by version.
func pairs(n, size int, version byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		key, value := make([]byte, 9), make([]byte, max(size, 9))
		key[0] = 'u'
		for i := range n {
			binary.BigEndian.PutUint64(key[1:], uint64(i))
			binary.LittleEndian.PutUint64(value, uint64(i)*0x9E3779B97F4A7C15)
			value[8] = version
			if !yield(key, value) {
				return
			}
		}
	}
}

func none(func(k, v []byte) bool) {}

// get returns a value, and whether there is one.
func get(t testing.TB, s *store.Store, at uint64, key string) (value string, ok bool) {
	t.Helper()
	err := s.Get(at, []byte(key), func(b []byte) error { value = string(b); return nil })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return value, err == nil
}

func mustOpen(t testing.TB, dir string, o store.Options) *app {
	t.Helper()
	a, err := openApp(dir, o)
	check(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func TestStoreLife(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "db")
	a := mustOpen(t, dir, store.Options{})
	if a.Applied() != 0 || a.Head() != 0 || a.Oldest() != 1 || a.Meta() != nil || a.JournalBytes() != 0 {
		t.Errorf("a new store: %+v, meta %q", a.Stats(), a.Meta())
	}
	uuid := a.UUID()
	if uuid == [16]byte{} {
		t.Error("a new store has no uuid")
	}
	check(t, a.update(map[string]string{"a": "1", "b": "2"}))
	check(t, a.fold(0))
	check(t, a.update(map[string]string{"b": "3", "c": ""}))
	check(t, a.Close())
	check(t, a.Close())
	if err := a.Append(3, [][]byte{nil}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("append after Close: %v", err)
	}
	if err := a.Load(1, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("load after Close: %v", err)
	}
	if err := a.fold(0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("fold after Close: %v", err)
	}
	for _, err := range a.Replay(1) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("replay after Close: %v", err)
		}
	}

	a = mustOpen(t, dir, store.Options{})
	same(t, "reopened", a.now, map[string]string{"a": "1", "b": "3", "c": ""})
	if a.UUID() != uuid || a.Applied() != 1 || a.Head() != 2 || string(a.Meta()) != "meta of 1" || a.JournalBytes() == 0 {
		t.Errorf("reopened: %+v, meta %q", a.Stats(), a.Meta())
	}
	if v, ok := get(t, a.Store, 1, "c"); ok {
		t.Errorf("key c has %q before it was folded", v)
	}
	check(t, a.fold(1))
	if v, ok := get(t, a.Store, 2, "c"); !ok || v != "" {
		t.Errorf("key c has %q, %v after it was folded", v, ok)
	}
	if v, _ := get(t, a.Store, 1, "b"); v != "2" {
		t.Errorf("key b has %q at the revision before", v)
	}
	if v, _ := get(t, a.Store, 99, "b"); v != "3" {
		t.Errorf("key b has %q at a revision to come", v)
	}
	var lines []string
	check(t, a.Verify(t.Context(), func(l string) { lines = append(lines, l) }))
	if len(lines) < 3 {
		t.Errorf("verify says only %q", lines)
	}
}

func TestStoreRefusesArguments(t *testing.T) {
	a := mustOpen(t, t.TempDir(), store.Options{})
	check(t, a.update(map[string]string{"a": "1"}))
	put := func(key, value string) error {
		return a.Fold(1, nil, 0, 0, func(put func(k, v []byte) error) error { return put([]byte(key), []byte(value)) })
	}
	for _, key := range []string{"", "\xf0m", "\xff", "!badger!x"} {
		if err := put(key, "v"); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
	long := strings.Repeat("x", store.MaxValueBytes+1)
	for key, value := range map[string]string{"k": long, long[:store.MaxKeyBytes+1]: "v"} {
		if err := put(key, value); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("key of %d bytes, value of %d: %v", len(key), len(value), err)
		}
	}
	if err := a.Fold(1, []byte(long), 0, 0, all(none)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("meta of %d bytes: %v", len(long), err)
	}
	if err := a.Fold(2, nil, 0, 0, all(none)); err == nil {
		t.Error("a fold beyond the journal was taken")
	}
	check(t, put(long[:store.MaxKeyBytes], long[:store.MaxValueBytes]))
	if v, _ := get(t, a.Store, 1, long[:store.MaxKeyBytes]); v != long[:store.MaxValueBytes] {
		t.Errorf("the largest value came back with %d bytes", len(v))
	}
	if err := put("k", "v"); err == nil {
		t.Error("a second fold to one revision was taken")
	}
	check(t, a.Fold(1, nil, 0, 0, all(none)))
	if err := a.Fold(0, nil, 0, 0, all(none)); err == nil {
		t.Error("a fold to an earlier revision was taken")
	}
	fail := errors.New("of the caller")
	if err := a.Get(1, []byte(long[:store.MaxKeyBytes]), func([]byte) error { return fail }); err != fail {
		t.Errorf("an error of the function became %v", err)
	}
	if err := a.Load(2, func(_, _ []byte) error { return fail }); err != fail {
		t.Errorf("an error of the function became %v", err)
	}
	func() {
		defer func() {
			if recover() != "of the caller" {
				t.Error("a panic of the function was swallowed")
			}
		}()
		_ = a.Get(1, []byte(long[:store.MaxKeyBytes]), func([]byte) error { panic("of the caller") })
	}()
}

func TestStoreLock(t *testing.T) {
	dir := t.TempDir()
	a := mustOpen(t, dir, store.Options{})
	for _, o := range []store.Options{{}, {ReadOnly: true}} {
		if _, err := store.Open(dir, o); !errors.Is(err, store.ErrLocked) {
			t.Errorf("a second open with %+v: %v", o, err)
		}
	}
	if err := store.Restore(dir, store.Options{}, 1, nil, all(none)); !errors.Is(err, store.ErrLocked) {
		t.Errorf("restore over an open store: %v", err)
	}
	check(t, a.Close())
	r1, r2 := mustOpen(t, dir, store.Options{ReadOnly: true}), mustOpen(t, dir, store.Options{ReadOnly: true})
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("an open beside read-only ones: %v", err)
	}
	for _, err := range []error{r1.Append(1, [][]byte{nil}), r1.Reserve(1), r1.Fold(0, nil, 0, 0, all(none))} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("a write to a read-only store: %v", err)
		}
	}
	check(t, r1.Close())
	check(t, r2.Close())
	check(t, mustOpen(t, dir, store.Options{}).Close())
}

// TestStoreForeign opens folders that are no store. They must be refused and stay as they are.
func TestStoreForeign(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"a text":                      {"notes.txt": "hello"},
		"a folder":                    {"x/y": "hello"},
		"a STORE of somebody else":    {"STORE": "a department store"},
		"a CREATING of somebody else": {"CREATING": "a to-do list\n", "state/x": "y"},
		"one more":                    {"CREATING": "a", "x": "y"},
	} {
		dir := t.TempDir()
		for path, content := range files {
			check(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700))
			check(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600))
		}
		before := snapshotDir(t, dir)
		for _, o := range []store.Options{{}, {ReadOnly: true}} {
			if _, err := store.Open(dir, o); !errors.Is(err, store.ErrNotStore) {
				t.Errorf("%s: open with %+v: %v", name, o, err)
			}
		}
		if err := store.Restore(dir, store.Options{}, 1, nil, all(none)); !errors.Is(err, store.ErrNotStore) {
			t.Errorf("%s: restore: %v", name, err)
		}
		if !maps.Equal(before, snapshotDir(t, dir)) {
			t.Errorf("%s: the folder was changed", name)
		}
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if _, err := store.Open(dir, store.Options{ReadOnly: true}); !errors.Is(err, store.ErrNotStore) {
			t.Errorf("read-only open of nothing: %v", err)
		}
	}
}

func TestStoreNewer(t *testing.T) {
	dir := t.TempDir()
	a := mustOpen(t, dir, store.Options{})
	uuid := a.UUID()
	check(t, a.Close())
	check(t, os.WriteFile(filepath.Join(dir, "STORE"), append(store.NewerIdentity(uuid), "and more"...), 0o600))
	before := snapshotDir(t, dir)
	for _, o := range []store.Options{{}, {ReadOnly: true}} {
		if _, err := store.Open(dir, o); !errors.Is(err, store.ErrNewerFormat) {
			t.Errorf("open with %+v: %v", o, err)
		}
	}
	if !maps.Equal(before, snapshotDir(t, dir)) {
		t.Error("the folder was changed")
	}
}

// TestStoreLostParts takes away what makes a folder a store, or one of its two halves.
func TestStoreLostParts(t *testing.T) {
	dir := t.TempDir()
	a := mustOpen(t, dir, store.Options{})
	check(t, a.update(map[string]string{"a": "1"}))
	check(t, a.fold(0))
	check(t, a.Close())
	for _, part := range []string{"STORE", "state", "journal"} {
		damaged := filepath.Join(t.TempDir(), "db")
		copyStore(t, dir, damaged)
		check(t, os.RemoveAll(filepath.Join(damaged, part)))
		before := snapshotDir(t, damaged)
		_, err := store.Open(damaged, store.Options{})
		var corrupt *store.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Path, part) {
			t.Errorf("without %s: %v", part, err)
		}
		if !maps.Equal(before, snapshotDir(t, damaged)) {
			t.Errorf("without %s: the folder was changed", part)
		}
	}
}

// TestStoreGap lets the state and the journal fall apart, in both directions.
func TestStoreGap(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "db")
	big := strings.Repeat("x", 100_000)
	a := mustOpen(t, dir, store.Options{SegmentBytes: 1 << 20})
	copyStore(t, dir, filepath.Join(root, "old"))
	for i := range 40 {
		check(t, a.update(map[string]string{"k": fmt.Sprint(i, big)}))
		if i%10 == 9 {
			check(t, a.fold(a.Applied()))
		}
	}
	check(t, a.Close())
	if a := mustOpen(t, dir, store.Options{}); a.Oldest() == 1 {
		t.Fatal("the journal was never trimmed, so there is no gap to be had")
	} else {
		check(t, a.Close())
	}
	for from, to := range map[string]string{"old": "db", "db": "old"} { // the state of one, the journal of the other
		mixed := filepath.Join(root, "state of "+from)
		copyStore(t, filepath.Join(root, to), mixed)
		check(t, os.RemoveAll(filepath.Join(mixed, "state")))
		copyStore(t, filepath.Join(root, from, "state"), filepath.Join(mixed, "state"))
		before := snapshotDir(t, filepath.Join(mixed, "state"))
		_, err := store.Open(mixed, store.Options{})
		var corrupt *store.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(corrupt.What, "lost") {
			t.Errorf("the state of %s with the journal of %s: %v", from, to, err)
		}
		if !maps.Equal(before, snapshotDir(t, filepath.Join(mixed, "state"))) {
			t.Errorf("the state of %s with the journal of %s: the folder was changed", from, to)
		}
	}
}

// TestStoreCreationCrash loses power at every step of the creation of a store.
func TestStoreCreationCrash(t *testing.T) {
	steps := 0
	for n := 0; ; n++ {
		files := storetest.NewFaultFS()
		check(t, files.MkdirAll("db", 0o700))
		check(t, files.SyncDir("."))
		files.FailNth(n, errors.New("power is lost"), true)
		s, err := store.Open("db", store.Options{InMemory: true, FS: files})
		if err == nil {
			_ = s.Close() // the failure may have hit the mark that it writes
			break
		}
		steps++
		for seed := range uint64(4) {
			again := storetest.Reboot(files.Crash(seed))
			s, err := store.Open("db", store.Options{InMemory: true, FS: again})
			if err != nil {
				t.Fatalf("after step %d, crash %d: %v", n, seed, err)
			}
			check(t, s.Append(1, [][]byte{[]byte("x")}))
			check(t, s.Close())
			s, err = store.Open("db", store.Options{InMemory: true, FS: again})
			if err != nil || s.Head() != 1 {
				t.Fatalf("after step %d, crash %d: reopened: %v", n, seed, err)
			}
			check(t, s.Close())
		}
	}
	if steps < 10 {
		t.Errorf("creation took only %d steps", steps)
	}
}

// TestStoreUnborn opens a folder whose creation was interrupted with files of Badger in it.
func TestStoreUnborn(t *testing.T) {
	dir := t.TempDir()
	a := mustOpen(t, dir, store.Options{})
	check(t, a.update(map[string]string{"a": "1"}))
	check(t, a.fold(0))
	check(t, a.Close())
	check(t, os.Remove(filepath.Join(dir, "STORE")))
	check(t, os.WriteFile(filepath.Join(dir, "CREATING"), []byte("a store is being created in this folder\n"), 0o600))
	if _, err := store.Open(dir, store.Options{ReadOnly: true}); !errors.Is(err, store.ErrNotStore) {
		t.Errorf("read-only: %v", err)
	}
	a = mustOpen(t, dir, store.Options{})
	if a.Applied() != 0 || a.Head() != 0 {
		t.Errorf("it began with %+v", a.Stats())
	}
	if _, err := os.Stat(filepath.Join(dir, "CREATING")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the marker is still there: %v", err)
	}
}

func TestRestore(t *testing.T) {
	shuffled := func(yield func(k, v []byte) bool) {
		for _, i := range []int{5, 6, 7, 3, 900, 4, 7, 1, 5} {
			if !yield(fmt.Appendf(nil, "k%03d", i), fmt.Appendf(nil, "value %d", i)) {
				return
			}
		}
		yield([]byte("k900"), []byte("newer"))
	}
	for name, c := range map[string]struct {
		rev  uint64
		puts iter.Seq2[[]byte, []byte]
	}{
		"nothing at 0":     {0, none},
		"nothing":          {9, none},
		"a few at 0":       {0, pairs(10, 20, 1)},
		"several tables":   {9, pairs(60_000, 700, 1)},
		"large values":     {9, pairs(40, 1_000_000, 1)},
		"in any order":     {9, shuffled},
		"one, out of many": {1 << 50, pairs(1, 1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			check(t, store.Restore(dir, store.Options{}, c.rev, []byte("meta"), all(c.puts)))
			want := map[string]string{}
			for k, v := range c.puts {
				want[string(k)] = string(v)
			}
			a := mustOpen(t, dir, store.Options{})
			same(t, "restored", a.now, want)
			if a.Applied() != c.rev || a.Head() != c.rev || a.Oldest() != c.rev+1 || string(a.Meta()) != "meta" || a.Stats().Values != uint64(len(want)) {
				t.Errorf("restored: %+v, meta %q", a.Stats(), a.Meta())
			}
			check(t, a.update(map[string]string{"zzz": "new", "k005": "changed"}))
			check(t, a.fold(c.rev))
			want["zzz"], want["k005"] = "new", "changed"
			check(t, a.Flatten(c.rev+1))
			check(t, a.Verify(t.Context(), func(string) {}))
			check(t, a.Close())
			same(t, "reopened", mustOpen(t, dir, store.Options{}).now, want)
		})
	}
}

func TestRestoreFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	bad := func(yield func(k, v []byte) bool) {
		for k, v := range pairs(1000, 10_000, 1) {
			yield(k, v)
		}
		yield([]byte{0xF0}, nil)
	}
	if err := store.Restore(dir, store.Options{}, 1, nil, all(bad)); err == nil {
		t.Fatal("a key of the store's own was taken")
	}
	if files := snapshotDir(t, dir); len(files) != 1 {
		t.Errorf("a restore that failed left %d files", len(files))
	}
	check(t, store.Restore(dir, store.Options{}, 1, nil, all(pairs(10, 10, 1))))
	if err := store.Restore(dir, store.Options{}, 1, nil, all(none)); !errors.Is(err, store.ErrNotStore) {
		t.Errorf("restore over a store: %v", err)
	}
	if len(mustOpen(t, dir, store.Options{}).now) != 10 {
		t.Error("the store that was there is not as it was")
	}
	if err := store.Restore(dir, store.Options{InMemory: true}, 1, nil, all(none)); err == nil {
		t.Error("a restore into memory that is gone at once was taken")
	}
}

// fullFS says what is free as a test wants it.
type fullFS struct {
	store.OS
	free atomic.Int64
}

func (f *fullFS) Free(string) (int64, error) { return f.free.Load(), nil }

// TestStoreSpaceGuard lets the disk seem full. What is refused must have changed nothing, and go through later.
func TestStoreSpaceGuard(t *testing.T) {
	dir := t.TempDir()
	files := &fullFS{}
	files.free.Store(1 << 40)
	a := mustOpen(t, dir, store.Options{FS: files})
	check(t, a.update(map[string]string{"a": "1"}))
	files.free.Store(3 << 20)
	if err := a.fold(0); !errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrFailed) {
		t.Fatalf("fold without room: %v", err)
	}
	if a.Applied() != 0 || a.Leftovers() != 0 {
		t.Errorf("a refused fold has left %+v", a.Stats())
	}
	files.free.Store(1 << 40)
	check(t, a.fold(0))
	files.free.Store(0)
	if err := a.Close(); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("close without room: %v", err)
	}
	if _, err := store.Open(dir, store.Options{FS: files}); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("open without room: %v", err)
	}
	r := mustOpen(t, dir, store.Options{FS: files, ReadOnly: true})
	same(t, "read-only on a full disk", r.now, map[string]string{"a": "1"})
	check(t, r.Close())
	files.free.Store(1 << 40)
	same(t, "with room again", mustOpen(t, dir, store.Options{FS: files}).now, map[string]string{"a": "1"})
	files.free.Store(1 << 20)
	fresh := filepath.Join(t.TempDir(), "db")
	if err := store.Restore(fresh, store.Options{FS: files}, 1, nil, all(pairs(1000, 1000, 1))); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("restore without room: %v", err)
	}
}

// TestStoreCompaction opens, folds and closes often, each time leaving a table or more.
func TestStoreCompaction(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{}
	for i := range 40 {
		a, err := openApp(dir, store.Options{})
		check(t, err)
		same(t, fmt.Sprint("after session ", i), a.now, want)
		check(t, a.update(map[string]string{"same": fmt.Sprint(i), fmt.Sprint("own", i): strings.Repeat("x", 1000)}))
		check(t, a.fold(a.Applied()))
		if n := a.Stats().Tables; n > 12 {
			t.Fatalf("%d tables after %d sessions", n, i)
		}
		want = a.now
		check(t, a.Close())
	}
}

// TestStoreDamageWhileOpen changes a table under an open store. A compaction would drop what comes after the damage,
// so a fold that wants one must refuse; and every read says so or is right.
func TestStoreDamageWhileOpen(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 { // as many tables as make the next fold compact
		a, err := openApp(dir, store.Options{})
		check(t, err)
		change := map[string]string{}
		for k := range 200 {
			change[fmt.Sprintf("k%03d", k)] = fmt.Sprint(i, strings.Repeat("y", 100))
		}
		check(t, a.update(change))
		check(t, a.fold(a.Applied()))
		check(t, a.Close())
	}
	a := mustOpen(t, dir, store.Options{})
	tables, err := filepath.Glob(filepath.Join(dir, "state", "*.sst"))
	check(t, err)
	for _, path := range tables {
		b, err := os.ReadFile(path)
		check(t, err)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		check(t, err)
		for from := 5000; from < 20_000; from += 5000 {
			at := from + bytes.Index(b[from:], bytes.Repeat([]byte("y"), 20)) // inside a value
			_, err = f.WriteAt([]byte("damage"), int64(at))
			check(t, err)
		}
		check(t, f.Close())
	}
	for what, err := range map[string]error{
		"verify": a.Verify(t.Context(), func(string) {}),
		"load":   a.Load(2, func(_, _ []byte) error { return nil }),
	} {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	found := 0
	for k := range 200 {
		err := a.Get(a.Applied(), fmt.Appendf(nil, "k%03d", k), func(v []byte) error {
			found++
			if string(v) != a.now[fmt.Sprintf("k%03d", k)] {
				return errors.New("a wrong value")
			}
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("key %d: %v", k, err)
		}
	}
	if found == 0 || found == 200 {
		t.Errorf("%d of 200 values can be read", found)
	}
	applied := a.Applied()
	check(t, a.update(map[string]string{"k": "v"}))
	if err := a.fold(applied); !errors.Is(err, store.ErrCorrupt) || a.Applied() != applied {
		t.Errorf("a fold that wants to compact damage: %v, at revision %d", err, a.Applied())
	}
	check(t, a.Close())
}

// TestStoreConcurrency reads in every way while folds go on, with views that outlive several of them.
func TestStoreConcurrency(t *testing.T) {
	a := mustOpen(t, t.TempDir(), store.Options{SegmentBytes: 1 << 20})
	const keys = 200
	change := func(rev int) map[string]string {
		m := map[string]string{}
		for i := range keys {
			m[fmt.Sprintf("k%03d", i)] = fmt.Sprintf("%d %s", rev, strings.Repeat("x", 500))
		}
		return m
	}
	check(t, a.update(change(1)))
	check(t, a.fold(0))
	ctx, stop := context.WithCancel(t.Context())
	var viewed atomic.Uint64 // oldest revision that the reader may ask for
	viewed.Store(1)
	errs := make(chan error, 3)
	go func() { // a view that moves on every few reads
		at := uint64(1)
		for n := 0; ctx.Err() == nil; n++ {
			err := a.Get(at, fmt.Appendf(nil, "k%03d", n%keys), func(v []byte) error {
				if !bytes.HasPrefix(v, fmt.Appendf(nil, "%d ", at)) {
					return fmt.Errorf("at %d: %.10q", at, v)
				}
				return nil
			})
			if err != nil {
				errs <- err
				return
			}
			if n%500 == 499 {
				at = a.Applied()
				viewed.Store(at)
			}
		}
		errs <- nil
	}()
	go func() {
		for ctx.Err() == nil {
			if err := a.Load(2, func(_, _ []byte) error { return nil }); err != nil {
				errs <- err
				return
			}
		}
		errs <- nil
	}()
	go func() {
		for ctx.Err() == nil {
			if err := a.Verify(ctx, func(string) {}); err != nil && ctx.Err() == nil {
				errs <- err
				return
			}
		}
		errs <- nil
	}()
	for rev := 2; rev < 40; rev++ {
		check(t, a.update(change(rev)))
		check(t, a.fold(viewed.Load()))
		if rev%8 == 0 {
			check(t, a.Flatten(viewed.Load()))
		}
	}
	stop()
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestStoreLeaksNothing opens and closes a few times and counts goroutines.
func TestStoreLeaksNothing(t *testing.T) {
	dir := t.TempDir()
	open := func(o store.Options) {
		a, err := openApp(dir, o)
		check(t, err)
		check(t, a.Close())
	}
	open(store.Options{})
	before := runtime.NumGoroutine()
	for range 3 {
		open(store.Options{})
		open(store.Options{ReadOnly: true})
		open(store.Options{InMemory: true})
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// TestStoreLogger checks that Badger's messages go to the host's logger, and nowhere else without one.
func TestStoreLogger(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := store.Open(t.TempDir(), store.Options{Logger: l})
	check(t, err)
	check(t, s.Close())
	if !strings.Contains(b.String(), "badger: ") {
		t.Error("nothing of Badger's in the log")
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if err := s.Append(s.Head()+1, [][]byte{[]byte("set a to 1"), []byte("set a to 2")}); err != nil {
		panic(err)
	}
	// The caller knows what the two records amount to.
	puts := func(yield func(key, value []byte) bool) { yield([]byte("a"), []byte("2")) }
	if err := s.Fold(s.Head(), nil, 0, s.Head(), all(puts)); err != nil {
		panic(err)
	}
	err = s.Get(s.Applied(), []byte("a"), func(value []byte) error {
		fmt.Printf("a is %s as of revision %d\n", value, s.Applied())
		return nil
	})
	if err != nil {
		panic(err)
	}
	// Output: a is 2 as of revision 2
}
