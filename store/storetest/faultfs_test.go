package storetest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

// open opens or creates a file of a FaultFS in the folder "d", which exists.
func open(t *testing.T, f store.FS, name string) store.File {
	t.Helper()
	if err := f.MkdirAll("d", 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := f.OpenFile(filepath.Join("d", name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func write(t *testing.T, f store.File, s string, off int64) {
	t.Helper()
	if _, err := f.WriteAt([]byte(s), off); err != nil {
		t.Fatal(err)
	}
}

func sync(t *testing.T, f store.FS, file store.File) {
	t.Helper()
	if err := errors.Join(file.Sync(), f.SyncDir("d")); err != nil {
		t.Fatal(err)
	}
}

// contents returns what is in a file, "-" if it does not exist.
func contents(m store.FS, name string) string {
	if _, err := m.Stat(filepath.Join("d", name)); errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	return string(storetest.ReadFile(m, filepath.Join("d", name)))
}

func TestCrashFile(t *testing.T) {
	f := storetest.NewFaultFS()
	file := open(t, f, "x")
	base := bytes.Repeat([]byte("."), 1536)
	write(t, file, string(base), 0)
	sync(t, f, file)
	next := bytes.Repeat([]byte("#"), 1200)
	write(t, file, string(next), 100)

	whole := bytes.Clone(base)
	copy(whole[100:], next)
	if got := contents(f.Kill(), "x"); got != string(whole) {
		t.Fatal("a killed process takes its writes along")
	}
	if got := contents(f.Crash(0), "x"); got != string(base) {
		t.Fatal("seed 0 keeps what was not flushed")
	}
	seen := make(map[string]bool)
	var torn, prefix bool
	for seed := range uint64(300) {
		got := contents(f.Crash(seed), "x")
		if again := contents(f.Crash(seed), "x"); got != again {
			t.Fatal("the same seed, another crash")
		}
		seen[got] = true
		n := 0
		for n < len(next) && got[100+n] == '#' {
			n++
		}
		switch {
		case got == string(base), got == string(whole):
		case got == string(whole[:100+n])+string(base[100+n:]):
			prefix = true
		default: // whole sectors of the one or the other
			for s := 0; s < len(base); s += 512 {
				if part := got[s : s+512]; part != string(base[s:s+512]) && part != string(whole[s:s+512]) {
					t.Fatalf("seed %d: half a sector", seed)
				}
			}
			torn = true
		}
	}
	if !torn || !prefix || !seen[string(base)] || !seen[string(whole)] || len(seen) < 40 {
		t.Fatalf("torn %v, prefix %v, %d different", torn, prefix, len(seen))
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		if contents(f.Crash(seed), "x") != string(whole) {
			t.Fatal("flushed, and lost")
		}
	}
}

func TestCrashNames(t *testing.T) {
	f := storetest.NewFaultFS()
	file := open(t, f, "a")
	write(t, file, "old", 0)
	sync(t, f, file)
	file = open(t, f, "tmp")
	write(t, file, "new", 0)
	if err := errors.Join(file.Sync(), f.Rename("d/tmp", "d/a"), f.Remove("d/a")); err != nil {
		t.Fatal(err)
	}
	seen := make(map[[2]string]bool)
	for seed := range uint64(100) {
		m := f.Crash(seed)
		seen[[2]string{contents(m, "a"), contents(m, "tmp")}] = true
	}
	want := [][2]string{{"old", "-"}, {"old", "new"}, {"new", "-"}, {"-", "-"}}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("%v never happened", w)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%v", seen)
	}
	if err := f.SyncDir("d"); err != nil || contents(f.Crash(0), "a") != "-" {
		t.Fatal("a removal that was flushed did not happen", err)
	}
}

// What a failed flush was to make durable is not made durable by the next one.
func TestFailedSync(t *testing.T) {
	f := storetest.NewFaultFS()
	file := open(t, f, "x")
	write(t, file, "aaaa", 0)
	sync(t, f, file)
	cause := errors.New("no")
	write(t, file, "b", 0)
	f.FailNth(0, cause, false, storetest.OpSync)
	if err := file.Sync(); !errors.Is(err, cause) {
		t.Fatal(err)
	}
	write(t, file, "c", 1)
	sync(t, f, file)
	if got := contents(f.Crash(0), "x"); got != "acaa" {
		t.Fatal(got)
	}
	if got := contents(f.Kill(), "x"); got != "bcaa" {
		t.Fatal(got)
	}
}

func TestHook(t *testing.T) {
	f := storetest.NewFaultFS()
	file := open(t, f, "x")
	write(t, file, "aaaa", 0)
	sync(t, f, file)
	dead := false
	var kinds []storetest.OpKind
	f.Hook(func(op storetest.Op) error {
		kinds = append(kinds, op.Kind)
		if dead {
			return storetest.ErrKilled
		}
		return nil
	})
	write(t, file, "b", 0)
	dead = true
	_, err := file.WriteAt([]byte("c"), 1)
	for _, err := range []error{err, file.Sync(), file.Truncate(1), f.Rename("d/x", "d/y"), f.Remove("d/x"), f.SyncDir("d")} {
		if !errors.Is(err, storetest.ErrKilled) {
			t.Fatal(err)
		}
	}
	f.Hook(nil)
	if got := contents(f, "x"); got != "baaa" {
		t.Fatal(got)
	}
	if err := file.Sync(); err != nil || contents(f.Crash(0), "x") != "baaa" {
		t.Fatal("the next process cannot flush what the last one wrote", err)
	}
	if len(kinds) != 7 || f.Ops() < 10 {
		t.Fatal(kinds, f.Ops())
	}
}

func TestReboot(t *testing.T) {
	f := storetest.NewFaultFS()
	file := open(t, f, "x")
	write(t, file, "aaaa", 0)
	sync(t, f, file)
	g := storetest.Reboot(f.Crash(0))
	if got := contents(g.Crash(0), "x"); got != "aaaa" {
		t.Fatal(got)
	}
	if err := g.Remove("d/x"); err != nil {
		t.Fatal(err)
	}
	if contents(g, "x") != "-" || contents(f, "x") != "aaaa" || contents(g.Crash(0), "x") != "aaaa" {
		t.Fatal("the copy is not one")
	}
}
