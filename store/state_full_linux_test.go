package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/roster/store"
	"golang.org/x/sys/unix"
)

const fullChild = "ROSTER_TEST_FULL_CHILD"

// TestStateDiskFull works on a small file system that fills up, again and again. Every call must succeed or return
// ErrDiskFull; nothing may be lost; and the process, which is another one, must survive it.
func TestStateDiskFull(t *testing.T) {
	if dir := os.Getenv(fullChild); dir != "" {
		workOnFullDisk(t, dir)
		fmt.Println("all done")
		return
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=60m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	cmd := exec.Command(os.Args[0], "-test.run=^TestStateDiskFull$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), fullChild+"="+disk)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all done") {
		t.Fatalf("the process on the full disk: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func workOnFullDisk(t *testing.T, disk string) {
	dir, filler := filepath.Join(disk, "db"), filepath.Join(disk, "filler")
	r := rand.New(rand.NewPCG(3, 4))
	want, refused, folds := map[string]string{}, 0, 0
	// try runs one step and reports whether it went through.
	try := func(what string, err error) bool {
		if err != nil && !errors.Is(err, store.ErrDiskFull) {
			t.Fatalf("%s: %v", what, err)
		}
		if err != nil {
			refused++
		}
		return err == nil
	}
	for round := range 60 {
		check(t, leaveFree(disk, filler, int64(r.IntN(48<<20))))
		s, err := store.Open(dir, store.Options{SegmentBytes: 4 << 20})
		if !try("open", err) {
			continue
		}
		a := &app{Store: s, head: s.Applied(), now: map[string]string{}, dirty: map[string]bool{}}
		check(t, a.read())
		same(t, fmt.Sprint("round ", round), a.now, want)
		for range r.IntN(12) {
			change := randomChange(r, 1+r.IntN(60))
			if !try("append", a.update(change)) {
				break // a failed write ends it, a refused one may go through later
			}
			if r.IntN(3) == 0 && try("fold", a.fold(a.Applied())) {
				folds++
			}
			if r.IntN(4) == 0 {
				check(t, leaveFree(disk, filler, int64(r.IntN(24<<20))))
			}
		}
		want = a.now
		try("close", a.Close())
	}
	check(t, os.Remove(filler))
	a, err := openApp(dir, store.Options{})
	if errors.Is(err, store.ErrDiskFull) {
		t.Fatalf("the store alone fills the disk: %v", err)
	}
	check(t, err)
	same(t, "at last", a.now, want)
	check(t, a.update(map[string]string{"small": "data"}))
	check(t, a.fold(a.Applied())) // small data must fit in 60 MB
	check(t, a.Verify(t.Context(), func(string) {}))
	check(t, a.Close())
	if refused == 0 || folds == 0 {
		t.Errorf("%d folds, %d refusals: the disk was never full, or always", folds, refused)
	}
	fmt.Printf("%d folds, %d refusals, %d keys\n", folds, refused, len(want))
}

// leaveFree makes the filler as large as it takes for that many bytes to be free. An open store may take room
// at the same moment, for the next segment of its journal: then it looks again.
func leaveFree(disk, filler string, free int64) (err error) {
	for range 100 {
		if err = fill(disk, filler, free); !errors.Is(err, unix.ENOSPC) {
			break
		}
	}
	return err
}

func fill(disk, filler string, free int64) error {
	f, err := os.OpenFile(filler, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		return err
	}
	now, err := (store.OS{}).Free(disk)
	if err != nil || now <= free {
		return err
	}
	return unix.Fallocate(int(f.Fd()), 0, 0, now-free)
}
