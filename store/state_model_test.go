package store_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster/store"
	"pgregory.net/rapid"
)

// app is what a program makes of a store: a map that is loaded from the state and the journal, changed by records of
// keys and values, and folded from time to time. The map itself is the model.
type app struct {
	*store.Store
	head  uint64
	now   map[string]string
	dirty map[string]bool // keys changed since Applied
}

// openApp opens the store and reads all of it.
func openApp(dir string, o store.Options) (*app, error) {
	s, err := store.Open(dir, o)
	if err != nil {
		return nil, err
	}
	a := &app{Store: s, head: s.Applied(), now: map[string]string{}, dirty: map[string]bool{}}
	if err := a.read(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return a, nil
}

func (a *app) read() error {
	var mu sync.Mutex
	err := a.Load(2, func(k, v []byte) error {
		mu.Lock()
		defer mu.Unlock()
		a.now[string(k)] = string(v)
		return nil
	})
	if err != nil {
		return err
	}
	for r, err := range a.Replay(a.Applied() + 1) {
		if err != nil {
			return err
		}
		if r.Revision != a.head+1 {
			return fmt.Errorf("revision %d after %d", r.Revision, a.head)
		}
		a.head = r.Revision
		for k, v := range decodeChange(r.Data) {
			a.now[k], a.dirty[k] = v, true
		}
	}
	return nil
}

// update appends one record.
func (a *app) update(change map[string]string) error {
	if err := a.Append(a.head+1, [][]byte{encodeChange(change)}); err != nil {
		return err
	}
	a.head++
	for k, v := range change {
		a.now[k], a.dirty[k] = v, true
	}
	return nil
}

// fold folds everything there is. keep is the oldest revision still to be read.
func (a *app) fold(keep uint64) error {
	puts := func(yield func(k, v []byte) bool) {
		for k := range a.dirty {
			if !yield([]byte(k), []byte(a.now[k])) {
				return
			}
		}
	}
	err := a.Fold(a.head, []byte(fmt.Sprint("meta of ", a.head)), keep, a.head, all(puts))
	if err == nil {
		clear(a.dirty)
	}
	return err
}

func encodeChange(change map[string]string) []byte {
	var b []byte
	for k, v := range change {
		b = append(b, byte(len(k)))
		b = append(b, k...)
		b = append(b, byte(len(v)>>16), byte(len(v)>>8), byte(len(v)))
		b = append(b, v...)
	}
	return b
}

func decodeChange(b []byte) iter.Seq2[string, string] {
	return func(yield func(k, v string) bool) {
		for len(b) > 0 {
			k := string(b[1 : 1+b[0]])
			b = b[1+b[0]:]
			n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
			v := string(b[3 : 3+n])
			b = b[3+n:]
			if !yield(k, v) {
				return
			}
		}
	}
}

// copyStore copies the folder of a store, which may be open, as a kill of the process would leave it, once Badger is
// done with turning older write-ahead files into tables. Blocks of zeros, of which the files have many, are left out.
func copyStore(t rapid.TB, from, to string) {
	t.Helper()
	for {
		wals, err := filepath.Glob(filepath.Join(from, "state", "*.mem"))
		check(t, err)
		if len(wals) <= 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copySparse(path, filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	var off int64
	zero, buf := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := src.Read(buf)
		if n > 0 && string(buf[:n]) != string(zero[:n]) {
			if _, err := dst.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		if err == io.EOF {
			return dst.Truncate(off)
		}
		if err != nil {
			return err
		}
	}
}

// modelView is a revision that is being read while folds go on.
type modelView struct {
	at      uint64
	content map[string]string
}

// modelMachine drives a store and the maps it must agree with.
type modelMachine struct {
	root   string // folders for copies
	copies int
	dir    string
	opts   store.Options
	app    *app
	folded map[string]string // the content as of Applied
	views  []modelView
	broken bool // a fold has failed on purpose
}

func (m *modelMachine) keep() uint64 {
	keep := m.app.Applied()
	for _, v := range m.views {
		keep = min(keep, v.at)
	}
	return keep
}

// drawChange is a few keys out of not many, so that most values have several versions. Some are large.
func drawChange(t *rapid.T) map[string]string {
	change := map[string]string{}
	for range rapid.IntRange(1, 12).Draw(t, "keys") {
		key := fmt.Sprintf("k%02d", rapid.IntRange(0, 40).Draw(t, "key"))
		size := rapid.SampledFrom([]int{0, 1, 40, 300, 5000, 300_000}).Draw(t, "size")
		value := make([]byte, size)
		for i := range value {
			value[i] = byte(i*7 + size)
		}
		change[key] = string(value) + fmt.Sprint(rapid.Uint16().Draw(t, "value"))
	}
	return change
}

func (m *modelMachine) Update(t *rapid.T) { check(t, m.app.update(drawChange(t))) }

func (m *modelMachine) Fold(t *rapid.T) {
	if m.broken {
		t.Skip("the last fold failed")
	}
	check(t, m.app.fold(m.keep()))
	m.folded = maps.Clone(m.app.now)
}

// FoldFails ends a fold before its values, or before its meta value.
func (m *modelMachine) FoldFails(t *rapid.T) {
	if m.broken || len(m.app.dirty) == 0 {
		t.Skip("nothing to fold")
	}
	m.app.FailCommit(rapid.IntRange(1, 2).Draw(t, "commit"))
	if err := m.app.fold(m.keep()); !errors.Is(err, store.ErrFailed) || !errors.Is(err, store.ErrTest) {
		t.Fatalf("a fold that was made to fail: %v", err)
	}
	if err := m.app.fold(m.keep()); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("a fold after one that failed: %v", err)
	}
	m.broken = true
}

func (m *modelMachine) OpenView(t *rapid.T) {
	m.views = append(m.views, modelView{m.app.Applied(), m.folded})
}

func (m *modelMachine) CloseView(t *rapid.T) {
	if len(m.views) == 0 {
		t.Skip("no view")
	}
	i := rapid.IntRange(0, len(m.views)-1).Draw(t, "view")
	m.views = slices.Delete(m.views, i, i+1)
}

func (m *modelMachine) Flatten(t *rapid.T) { check(t, m.app.Flatten(m.keep())) }

func (m *modelMachine) ReadOnly(t *rapid.T) {
	if m.opts.InMemory {
		t.Skip("nothing to open")
	}
	dir := m.copy(t)
	before := snapshotDir(t, dir)
	a, err := openApp(dir, store.Options{ReadOnly: true})
	check(t, err)
	same(t, "read-only", a.now, m.app.now)
	check(t, a.Verify(t.Context(), func(string) {}))
	check(t, a.Close())
	if after := snapshotDir(t, dir); !maps.Equal(before, after) {
		t.Fatal("a read-only open has changed the folder")
	}
	check(t, os.RemoveAll(dir))
}

// Reopen closes in good order and opens again; views end with that.
func (m *modelMachine) Reopen(t *rapid.T) {
	if m.opts.InMemory {
		t.Skip("it would be gone")
	}
	check(t, m.app.Close())
	m.open(t)
}

// Crash goes on with a copy of the folder as a killed process would have left it.
func (m *modelMachine) Crash(t *rapid.T) {
	if m.opts.InMemory {
		t.Skip("it would be gone")
	}
	dir := m.copy(t)
	check(t, m.app.Close())
	m.dir = dir
	m.open(t)
}

func (m *modelMachine) copy(t *rapid.T) string {
	m.copies++
	dir := filepath.Join(m.root, fmt.Sprint("copy", m.copies))
	copyStore(t, m.dir, dir)
	return dir
}

func (m *modelMachine) open(t *rapid.T) {
	want := m.app.now
	a, err := openApp(m.dir, m.opts)
	check(t, err)
	same(t, "reopened", a.now, want)
	m.app, m.views, m.broken = a, nil, false
}

// Check compares every reader with its map.
func (m *modelMachine) Check(t *rapid.T) {
	for _, v := range append(m.views, modelView{m.app.Applied(), m.folded}) {
		for i := range 41 {
			key := fmt.Sprintf("k%02d", i)
			var got string
			err := m.app.Get(v.at, []byte(key), func(b []byte) error { got = string(b); return nil })
			want, ok := v.content[key]
			if ok != (err == nil) || !ok && !errors.Is(err, store.ErrNotFound) || got != want {
				t.Fatalf("key %s at %d: %d bytes, %v, want %d bytes, %v", key, v.at, len(got), err, len(want), ok)
			}
		}
	}
	loaded, mu := map[string]string{}, sync.Mutex{}
	check(t, m.app.Load(2, func(k, v []byte) error {
		mu.Lock()
		defer mu.Unlock()
		loaded[string(k)] = string(v)
		return nil
	}))
	same(t, "loaded", loaded, m.folded)
	if applied := m.app.Applied(); applied > 0 && string(m.app.Meta()) != fmt.Sprint("meta of ", applied) {
		t.Fatalf("meta %q at %d", m.app.Meta(), applied)
	}
}

func check(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t rapid.TB, what string, got, want map[string]string) {
	t.Helper()
	for k := range want {
		if got[k] != want[k] {
			t.Fatalf("%s: key %s has %d bytes, want %d bytes", what, k, len(got[k]), len(want[k]))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d keys, want %d", what, len(got), len(want))
	}
}

// snapshotDir returns the content of every file below dir.
func snapshotDir(t rapid.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			files[path] = "folder"
			return nil
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func testStateModel(t *testing.T, o store.Options) {
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "roster-model-")
		check(t, err)
		m := &modelMachine{root: root, dir: filepath.Join(root, "db"), opts: o, folded: map[string]string{}}
		m.app, err = openApp(m.dir, o)
		check(t, err)
		defer func() {
			check(t, m.app.Close())
			check(t, os.RemoveAll(root))
		}()
		t.Repeat(rapid.StateMachineActions(m))
	})
}

// TestStateModel runs random operations on a store and on maps, which must agree after each.
func TestStateModel(t *testing.T) {
	// Each run opens and copies a store many times, so that the usual hundred take minutes.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		check(t, f.Value.Set("10"))
		defer f.Value.Set(f.DefValue)
	}
	t.Run("folder", func(t *testing.T) { testStateModel(t, store.Options{}) })
	t.Run("memory", func(t *testing.T) { testStateModel(t, store.Options{InMemory: true}) })
}
