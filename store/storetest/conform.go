package storetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rosterdb/roster/store"
)

// TestFS holds a store.FS to what its methods promise. dir does not exist; its parent does.
func TestFS(t *testing.T, fsys store.FS, dir string) {
	t.Run("files", func(t *testing.T) { testFiles(t, fsys, filepath.Join(dir, "a", "b")) })
	t.Run("errors", func(t *testing.T) { testErrors(t, fsys, filepath.Join(dir, "c")) })
	t.Run("lock", func(t *testing.T) { testLock(t, fsys, filepath.Join(dir, "d")) })
}

// testFiles does random things to a few files and compares them with a map of byte slices.
func testFiles(t *testing.T, fsys store.FS, dir string) {
	if err := errors.Join(fsys.MkdirAll(dir, 0o700), fsys.MkdirAll(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	model := make(map[string][]byte)
	names := []string{"one", "two", "three", "four"}
	for range 600 {
		name := names[r.IntN(len(names))]
		path := filepath.Join(dir, name)
		switch r.IntN(6) {
		case 0:
			if err := fsys.Remove(path); (err == nil) != (model[name] != nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			delete(model, name)
		case 1:
			to := names[r.IntN(len(names))]
			err := fsys.Rename(path, filepath.Join(dir, to))
			if (err == nil) != (model[name] != nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if b := model[name]; b != nil {
				delete(model, name)
				model[to] = b
			}
		default:
			model[name] = changeFile(t, fsys, path, model[name], r)
		}
		compareFolder(t, fsys, dir, model)
	}
}

// changeFile writes to a file, or changes its length, and returns what is to be in it.
func changeFile(t *testing.T, fsys store.FS, path string, want []byte, r *rand.Rand) []byte {
	flag := os.O_RDWR | os.O_CREATE
	if want == nil || r.IntN(8) == 0 {
		flag |= os.O_TRUNC
		want = []byte{}
	}
	f, err := fsys.OpenFile(path, flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		if r.IntN(4) == 0 {
			size := r.IntN(60_000)
			if err := f.Truncate(int64(size)); err != nil {
				t.Fatal(err)
			}
			want = append(want[:min(size, len(want))], make([]byte, max(0, size-len(want)))...)
			continue
		}
		b, off := make([]byte, r.IntN(20_000)), r.IntN(50_000)
		if r.IntN(3) > 0 {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		if n, err := f.WriteAt(b, int64(off)); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
		if len(b) > 0 {
			want = append(want, make([]byte, max(0, off+len(b)-len(want)))...)
			copy(want[off:], b)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil || size != int64(len(want)) {
		t.Fatalf("size %d, want %d: %v", size, len(want), err)
	}
	off, b := r.IntN(60_000), make([]byte, 1+r.IntN(20_000))
	n, err := f.ReadAt(b, int64(off))
	left := want[min(off, len(want)):]
	if !bytes.Equal(b[:n], left[:min(len(b), len(left))]) || (n < len(b)) != (err == io.EOF) || err != nil && err != io.EOF {
		t.Fatalf("reading %d bytes from %d of %d: %d, %v", len(b), off, len(want), n, err)
	}
	return want
}

func compareFolder(t *testing.T, fsys store.FS, dir string, model map[string][]byte) {
	if err := fsys.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := fsys.Stat(filepath.Join(dir, e.Name()))
		if err != nil || info.IsDir() || e.IsDir() || info.Size() != int64(len(model[e.Name()])) || info.Name() != e.Name() {
			t.Fatal(e, info, err)
		}
	}
	if !slices.Equal(names, slices.Sorted(maps.Keys(model))) {
		t.Fatalf("%v instead of %v", names, slices.Sorted(maps.Keys(model)))
	}
	for name, want := range model {
		if !bytes.Equal(ReadFile(fsys, filepath.Join(dir, name)), want) {
			t.Fatalf("%s: not what was written", name)
		}
	}
}

func testErrors(t *testing.T, fsys store.FS, dir string) {
	path := filepath.Join(dir, "file")
	_, openErr := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // no folder yet
	_, statErr := fsys.Stat(dir)
	_, readErr := fsys.ReadDir(dir)
	for i, err := range []error{openErr, statErr, readErr, fsys.SyncDir(dir), fsys.Remove(dir), fsys.Rename(dir, path)} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.OpenFile(path, os.O_RDWR, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	WriteFile(fsys, path, []byte("x"))
	if _, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := fsys.MkdirAll(path, 0o700); err == nil {
		t.Error("a folder in the place of a file")
	}
	if err := fsys.Remove(dir); err == nil {
		t.Error("removed a folder with a file in it")
	}
	if info, err := fsys.Stat(dir); err != nil || !info.IsDir() {
		t.Error(info, err)
	}
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("y"), 0); err == nil {
		t.Error("wrote to a file opened for reading")
	}
	if err := errors.Join(fsys.Remove(path), fsys.Remove(dir)); err != nil {
		t.Error(err)
	}
	b := make([]byte, 1)
	if n, err := f.ReadAt(b, 0); n != 1 || err != nil || b[0] != 'x' {
		t.Error("an open file went with its name", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) || !errors.Is(f.Close(), fs.ErrClosed) {
		t.Error(err)
	}
	if free, err := fsys.Free(filepath.Dir(dir)); err != nil || free <= 0 {
		t.Error(free, err)
	}
}

func testLock(t *testing.T, fsys store.FS, dir string) {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	try := func(shared bool) io.Closer {
		t.Helper()
		l, err := fsys.Lock(dir, shared)
		if err != nil && !errors.Is(err, store.ErrLocked) {
			t.Fatal(err)
		}
		if err != nil {
			return nil
		}
		return l
	}
	alone := try(false)
	if alone == nil || try(false) != nil || try(true) != nil {
		t.Fatal("an exclusive lock")
	}
	alone.Close()
	one, two := try(true), try(true)
	if one == nil || two == nil || try(false) != nil {
		t.Fatal("shared locks")
	}
	one.Close()
	if try(false) != nil {
		t.Fatal("a shared lock was let go of with another one")
	}
	two.Close()
	if alone = try(false); alone == nil {
		t.Fatal("not released")
	}
	alone.Close()
}
