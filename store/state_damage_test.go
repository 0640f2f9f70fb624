package store_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/store"
)

// These environment variables make the test binary the process that damages stores, or the one that is killed.
const (
	damageChild = "ROSTER_TEST_DAMAGE_CHILD"
	killChild   = "ROSTER_TEST_KILL_CHILD"
)

// damageFlips is how many bits are flipped in each file of each store, one at a time. The environment can ask for more.
func damageFlips() int {
	if n, err := strconv.Atoi(os.Getenv("ROSTER_TEST_FLIPS")); err == nil {
		return n
	}
	if testing.Short() {
		return 1
	}
	return 2
}

// randomChange is a few keys of 300 with values of various sizes, none of zeros.
func randomChange(r *rand.Rand, scale int) map[string]string {
	change := map[string]string{}
	for range 1 + r.IntN(40) {
		value := make([]byte, r.IntN(400)*scale)
		for i := range value {
			value[i] = byte(1 + r.IntN(255))
		}
		change[fmt.Sprintf("k%03d", r.IntN(300))] = string(value)
	}
	return change
}

// damageVictims builds stores in the states in which damage can find one, and returns what each holds.
func damageVictims(t *testing.T, root string) map[string]map[string]string {
	contents := map[string]map[string]string{}
	build := func(name string, scale int, session func(a *app, n int), sessions int, kill bool) {
		dir := filepath.Join(root, "live "+name)
		if strings.HasPrefix(name, "restored") {
			check(t, store.Restore(dir, store.Options{}, 5, nil, all(pairs(3000, 100, 1))))
		}
		for i := range sessions {
			a, err := openApp(dir, store.Options{})
			check(t, err)
			session(a, scale)
			contents[name] = maps.Clone(a.now)
			if kill && i == sessions-1 {
				copyStore(t, dir, filepath.Join(root, name))
			}
			check(t, a.Close())
		}
		if !kill {
			check(t, os.Rename(dir, filepath.Join(root, name)))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	work := func(folds int) func(a *app, scale int) {
		return func(a *app, scale int) {
			for i := range 4*folds + 2 {
				check(t, a.update(randomChange(r, scale)))
				if i%4 == 3 {
					check(t, a.fold(a.Applied()))
				}
			}
		}
	}
	build("killed again", 1, work(1), 3, true)
	build("large and killed", 200, work(3), 1, true)
	if testing.Short() {
		return contents
	}
	build("closed", 1, work(1), 5, false)
	build("killed", 1, work(3), 1, true)
	build("killed in a fold", 1, func(a *app, scale int) {
		work(2)(a, scale)
		a.FailCommit(2)
		if err := a.fold(a.Applied()); !errors.Is(err, store.ErrTest) {
			t.Fatal(err)
		}
	}, 1, true)
	build("compacted", 1, func(a *app, scale int) {
		work(1)(a, scale)
		check(t, a.Flatten(a.Applied()))
	}, 3, false)
	build("restored", 1, work(1), 1, false)
	return contents
}

// TestStateDamage damages one file of the state, or STORE, at a time. What is read afterwards must be what was
// written, or a *CorruptError. Another process does it, so that one that dies of it is noticed.
func TestStateDamage(t *testing.T) {
	if os.Getenv(damageChild) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStateDamage$", "-test.timeout=10m", "-test.v", "-test.short="+strconv.FormatBool(testing.Short()))
		cmd.Env = append(os.Environ(), damageChild+"=1")
		out, err := cmd.CombinedOutput()
		if len(out) > 20_000 {
			out = append([]byte("...\n"), out[len(out)-20_000:]...)
		}
		if err != nil || !strings.Contains(string(out), "all done") {
			t.Fatalf("the process that damages stores: %v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	root := t.TempDir()
	contents := damageVictims(t, root)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for name, content := range contents {
		v := damageVictim{t: t, dir: filepath.Join(root, name), content: content, counts: map[string]int{}}
		files, err := filepath.Glob(filepath.Join(v.dir, "state", "*"))
		check(t, err)
		for _, path := range append(files, filepath.Join(v.dir, "STORE")) {
			v.damageFile(path, r, damageFlips())
		}
		fmt.Printf("%-18s %v\n", name, v.counts)
	}
	fmt.Println("all done")
}

type damageVictim struct {
	t       *testing.T
	dir     string
	content map[string]string
	counts  map[string]int
	copies  int
}

func (v *damageVictim) damageFile(path string, r *rand.Rand, flips int) {
	original, err := os.ReadFile(path)
	check(v.t, err)
	name, err := filepath.Rel(v.dir, path)
	check(v.t, err)
	if len(original) > 10<<20 && filepath.Ext(path) == ".sst" || len(v.content["k000"]) > 10_000 {
		flips = (flips + 3) / 4
	}
	var full []int // positions of bytes that are not zero
	for i, b := range original {
		if b != 0 {
			full = append(full, i)
		}
	}
	for range min(flips, len(full)) {
		at, bit := full[r.IntN(len(full))], r.IntN(8)
		v.try(fmt.Sprintf("flip of bit %d of byte %d of %s", bit, at, name), func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte{original[at] ^ 1<<bit}, int64(at))
			return err
		})
	}
	used := 0
	if len(full) > 0 {
		used = full[len(full)-1] + 1
	}
	cuts := []int{0, r.IntN(used + 1), max(used-1, 0), used / 3, 1, (len(original) + used) / 2}
	if flips < 10 {
		cuts = cuts[:3]
	}
	for _, n := range cuts {
		v.try(fmt.Sprintf("truncation to %d of %s", n, name), func(dir string) error {
			return os.Truncate(filepath.Join(dir, name), int64(n))
		})
	}
	v.try("deletion of "+name, func(dir string) error { return os.Remove(filepath.Join(dir, name)) })
}

// try damages a copy, reads it read-only, then opens it to write and goes on as if nothing had happened.
func (v *damageVictim) try(what string, damage func(dir string) error) {
	v.copies++
	dir := fmt.Sprint(v.dir, " copy ", v.copies)
	copyStore(v.t, v.dir, dir)
	defer os.RemoveAll(dir)
	check(v.t, damage(dir))
	before := snapshotSums(v.t, dir)
	kind := strings.Fields(what)[0]

	a, err := openApp(dir, store.Options{ReadOnly: true})
	v.judge("read-only after "+what, kind, a, err)
	if err == nil {
		check(v.t, a.Close())
	}
	if paths := changed(before, snapshotSums(v.t, dir)); len(paths) > 0 {
		v.t.Errorf("a read-only open after %s has changed %q", what, paths)
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		v.judge(what, kind, nil, err)
		if paths := changed(before, snapshotSums(v.t, dir)); len(paths) > 0 {
			v.t.Errorf("a refused open after %s has changed %q", what, paths)
		}
		return
	}
	check(v.t, s.Close())
	a, err = openApp(dir, store.Options{})
	v.judge(what, kind, a, err)
	if err != nil {
		v.counts["late"]++ // refused by Load, after Badger had the folder
		return
	}
	check(v.t, a.update(map[string]string{"k000": "after the damage"}))
	check(v.t, a.fold(a.Applied()))
	check(v.t, a.Verify(v.t.Context(), func(string) {}))
	want := a.now
	check(v.t, a.Close())
	if a, err = openApp(dir, store.Options{}); err != nil {
		v.t.Errorf("%s was overcome, and then: %v", what, err)
		return
	}
	same(v.t, "after "+what, a.now, want)
	check(v.t, a.Close())
}

func (v *damageVictim) judge(what, kind string, a *app, err error) {
	var corrupt *store.CorruptError
	switch {
	case err == nil:
		same(v.t, what, a.now, v.content)
		v.counts[kind+" right"]++
	case errors.As(err, &corrupt) && errors.Is(err, store.ErrCorrupt):
		v.counts[kind+" refused"]++
	default:
		v.t.Errorf("%s: %v", what, err)
	}
}

// snapshotSums is snapshotDir with lengths and sums in place of contents, and without the spare segment of the
// journal, which holds nothing.
func snapshotSums(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums, buf := map[string]string{}, make([]byte, 1<<18)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
		sums[path] = fmt.Sprint(n, " ", h.Sum32())
		return err
	})
	check(t, err)
	delete(sums, filepath.Join(dir, "journal", "spare"))
	return sums
}

// changed names the files in which two snapshots differ.
func changed(before, after map[string]string) (paths []string) {
	for path := range before {
		if before[path] != after[path] {
			paths = append(paths, path)
		}
		delete(after, path)
	}
	return slices.AppendSeq(paths, maps.Keys(after))
}
