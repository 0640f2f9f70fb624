package roster_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

// An image is what a disk holds after the power failed at one moment.
type image struct {
	what  string
	dir   string       // the folder of the engine that it was taken of
	files *store.MemFS // our own files
	state string       // a copy of Badger's folder
	acked roster.Revision
	asked roster.Revision // the newest that anybody had asked for

	second bool // taken during the recovery from another one
}

// powerRun is a run of an engine that is photographed at every flush.
type powerRun struct {
	*pair
	dir    string
	files  *storetest.FaultFS
	o      roster.Options
	rand   *rand.Rand
	dumps  []string // by revision, from the naive record
	acked  atomic.Uint64
	asked  atomic.Uint64
	before string // a copy of the state of before the last fold; "" before the first
	album  album
}

// album takes the images. While one is taken no other flush begins.
type album struct {
	mu     sync.Mutex
	closed bool // no images are taken
	folder string
	n      int
	images []image
}

// photograph crashes the disk at a flush that is about to happen, in several ways.
func (r *powerRun) photograph(op storetest.Op) {
	a := &r.album
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	// Another flush, whose image has been taken, may end at any time and acknowledge
	// what the image here has not got: what counts is what was acknowledged before.
	acked := roster.Revision(r.acked.Load())
	state, err := a.copyState(filepath.Join(r.dir, "state"))
	if err != nil {
		r.t.Error(err)
		return
	}
	moment := fmt.Sprintf("before %s %s (operation %d)", op.Kind, filepath.Base(op.Path), op.N)
	take := func(seed uint64, state, which string) {
		a.images = append(a.images, image{
			what: fmt.Sprintf("%s, seed %d, %s", moment, seed, which),
			dir:  r.dir, files: r.files.Crash(seed), state: state,
			acked: acked, asked: roster.Revision(r.asked.Load()),
		})
	}
	take(0, state, "state as it was")
	for range pick(1, 6) {
		take(r.rand.Uint64(), state, "state as it was")
	}
	if r.before == "" {
		return
	}
	for range pick(1, 3) {
		take(r.rand.Uint64()>>1*uint64(op.N%2), r.before, "state as before the last fold")
	}
}

func (a *album) pause(closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = closed
}

// copyState copies Badger's folder.
func (a *album) copyState(state string) (dir string, err error) {
	a.n++
	dir = filepath.Join(a.folder, fmt.Sprint(a.n))
	if _, err := os.Stat(state); os.IsNotExist(err) {
		return dir, nil // the store is only being made
	}
	return dir, copyLive(state, dir)
}

func (r *powerRun) open() {
	r.t.Helper()
	var err error
	if r.e, err = roster.Open(r.dir, r.o); err != nil {
		r.t.Fatal(err)
	}
}

// step makes one Update.
func (r *powerRun) step(fn func(w *writer)) {
	r.t.Helper()
	r.asked.Add(1)
	r.update(fn)
	r.acked.Store(uint64(r.n.rev))
	r.dumps = append(r.dumps, r.n.dump())
}

func (r *powerRun) fold() {
	r.t.Helper()
	files, before := r.files.Crash(0), r.copyState()
	r.album.mu.Lock()
	r.before = before
	r.album.mu.Unlock()
	if err := r.e.Fold(ctx); err != nil {
		r.t.Fatal(err)
	}
	// Badger's flushes are not ours to catch, but a power failure among them
	// leaves a first part of what it wrote, and our own files as they were.
	for range pick(3, 20) {
		state := r.copyState()
		if r.tear(before, state) {
			img := image{what: "within a fold", dir: r.dir, files: files, state: state, acked: r.n.rev, asked: r.n.rev}
			r.album.mu.Lock()
			r.album.images = append(r.album.images, img)
			r.album.mu.Unlock()
		}
	}
}

func (r *powerRun) copyState() string {
	r.t.Helper()
	r.album.mu.Lock()
	defer r.album.mu.Unlock()
	dir, err := r.album.copyState(filepath.Join(r.dir, "state"))
	if err != nil {
		r.t.Fatal(err)
	}
	return dir
}

// tear cuts off the end of what was added to a write-ahead file since before,
// and reports whether anything was.
func (r *powerRun) tear(before, state string) bool {
	logs, err := filepath.Glob(filepath.Join(state, "*.mem"))
	if err != nil || len(logs) == 0 {
		return false
	}
	path := logs[len(logs)-1]
	end, err := lastByte(path)
	if err != nil {
		r.t.Fatal(err)
	}
	start, err := lastByte(filepath.Join(before, filepath.Base(path)))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	if start >= end {
		return false
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	cut := start + r.rand.Int64N(end-start)
	if _, err := f.WriteAt(make([]byte, end-cut), cut); err != nil {
		r.t.Fatal(err)
	}
	return true
}

// lastByte returns the length of a file without the zeros at its end.
func lastByte(path string) (int64, error) {
	b, err := os.ReadFile(path)
	return int64(len(bytes.TrimRight(b, "\x00"))), err
}

func (r *powerRun) reopen() {
	r.t.Helper()
	if err := r.e.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
	r.same()
}

// fill makes the first segment of the log, which is of 1 MiB, full, so that the
// small ones begin.
func (r *powerRun) fill() {
	text := strings.Repeat("long ", 12<<10)
	for i := 0; ; i++ {
		entries, err := r.files.ReadDir(filepath.Join(r.dir, "journal"))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() == "0000000002.log" {
				r.album.pause(false)
				r.step(func(w *writer) { w.putUser(0, func(u *roster.User) { u.Description = "" }) })
				return
			}
		}
		size := len(text)
		if i >= 15 {
			size = 4 << 10
		}
		r.album.pause(i%8 != 7) // these are all alike, and large
		r.step(func(w *writer) { w.putUser(0, func(u *roster.User) { u.Description = fmt.Sprint(i) + text[:size] }) })
	}
}

// populate makes more users than fit in a small set, and groups.
func (r *powerRun) populate() (large roster.GroupID) {
	r.step(func(w *writer) {
		w.directory(1, "corp")
		w.directory(2, "guests")
		w.directory(3, "empty")
	})
	r.step(func(w *writer) {
		for i := range 1100 {
			w.user(roster.User{Directory: roster.DirectoryID(1 + i%2), Username: fmt.Sprintf("User%04d", i*7919%1100), Active: i%3 > 0})
		}
	})
	r.step(func(w *writer) {
		for i := range 8 {
			w.group(roster.Group{Directory: 1, Name: fmt.Sprintf("Group%d", i)})
		}
		large = w.group(roster.Group{Directory: 2, Name: "large"})
		for u := range roster.UserID(1020) {
			w.add(large, u)
		}
	})
	return large
}

// change makes a random change, or some.
func (r *powerRun) change(large roster.GroupID) {
	users, groups := keys(r.n.users), keys(r.n.groups)
	u, g, h := users[r.rand.IntN(len(users))], groups[r.rand.IntN(len(groups))], groups[r.rand.IntN(len(groups))]
	text := strings.Repeat("x", r.rand.IntN(1500))
	r.step(func(w *writer) {
		switch r.rand.IntN(11) {
		case 0:
			id := w.user(roster.User{Directory: 1, Username: fmt.Sprintf("New%d", w.n.rev), Description: text, Attributes: map[string][]string{"a": {text}}})
			w.add(g, id)
		case 1:
			w.putUser(u, func(rec *roster.User) {
				rec.Username, rec.Active, rec.Email = fmt.Sprintf("Renamed%d", w.n.rev), !rec.Active, text
			})
		case 2:
			w.deleteUser(u)
		case 3:
			id := w.group(roster.Group{Directory: 2, Name: fmt.Sprintf("New%d", w.n.rev), Abilities: []string{"see", text + "!"}})
			w.nest(id, g)
			w.add(id, u)
		case 4:
			if g != large {
				w.deleteGroup(g)
			}
			w.directory(roster.DirectoryID(w.n.rev)+10, fmt.Sprintf("dir%d", w.n.rev))
		case 5:
			if g != h {
				w.nest(g, h) // cycles too
			}
			w.add(h, u)
			w.putUser(u, func(rec *roster.User) { rec.FullName = text + "." })
		case 6:
			for c := range w.n.nested[g] {
				w.unnest(g, c)
			}
			w.user(roster.User{Directory: 2, Username: fmt.Sprintf("Other%d", w.n.rev), FullName: text})
		case 7: // the large set becomes small and large again
			for i, m := range keys(w.n.members[large])[:20] {
				if i%2 == int(w.n.rev)%2 {
					w.remove(large, m)
				}
			}
			w.add(large, users[len(users)-20:]...)
		case 9:
			id := fmt.Sprintf("org_%d", w.n.rev)
			w.organization(id)
			w.role(id, "clerk")
			w.keep("source", "last", id+text)
			w.keep("access", id, text)
			w.join(id, u, false, "clerk")
			if v := users[r.rand.IntN(100)]; v != u {
				w.join(id, v, false)
			}
		case 10:
			w.admin(g, u)
			for k := range w.n.data {
				if w.n.rev%2 == 0 {
					w.drop(k[0], k[1])
				}
				break
			}
			w.adminGroup(g, h)
			for k := range w.n.memberships {
				if w.n.rev%3 == 0 {
					w.leave(k.org, k.user)
				}
				break
			}
		case 8:
			w.add(g, users[:20]...)
			w.remove(h, users[10:20]...)
			if d := roster.DirectoryID(3); w.n.dirs[d].ID == d {
				w.deleteDirectory(d)
			} else {
				w.directory(d, "empty")
			}
		}
	})
}

// burst has several writers share flushes. What they change is noted afterwards
// in the order of the revisions that they got.
func (r *powerRun) burst(g roster.GroupID) {
	const writers = 5
	got := make([]roster.Revision, writers)
	var wg sync.WaitGroup
	r.asked.Add(writers)
	for k := range writers {
		wg.Go(func() {
			rev, err := r.e.Update(ctx, func(tx *roster.Txn) error {
				_, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprintf("Burst%d-%d", r.n.rev, k)})
				return err
			})
			if err != nil {
				r.t.Error(err)
			}
			got[k] = rev
			for old := r.acked.Load(); uint64(rev) > old && !r.acked.CompareAndSwap(old, uint64(rev)); old = r.acked.Load() {
			}
		})
	}
	wg.Wait()
	first := r.n.rev
	for range writers {
		r.n = r.n.clone()
		r.n.rev++
		for k, rev := range got {
			if rev == r.n.rev {
				id := roster.UserID(r.n.everUsers)
				u := roster.User{ID: id, Directory: 1, Username: fmt.Sprintf("Burst%d-%d", first, k), Number: uint64(id) + 1, UID: fmt.Sprintf("usr_%d", id+1)}
				u.Created, u.Updated, u.Revision = r.clock.now(), r.clock.now(), rev
				r.n.users[id] = u
				r.n.everUsers++
			}
		}
		r.dumps = append(r.dumps, r.n.dump())
	}
}

// TestPowerLoss runs an engine through everything that writes to disk, and at
// each flush of its own files lets the power fail: what was not flushed is lost,
// or torn. Badger's folder is as it was at that moment, or even as it was before
// the last fold. Whatever was acknowledged must be there afterwards, whole, and
// nothing else but what was being written.
func TestPowerLoss(t *testing.T) {
	for seed := range uint64(pick(1, 4)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { testPowerLoss(t, seed) })
	}
}

func testPowerLoss(t *testing.T, seed uint64) {
	r := &powerRun{
		pair: &pair{t: t, n: newNaive(), clock: &clock{}}, dir: filepath.Join(t.TempDir(), "db"),
		files: storetest.NewFaultFS(), rand: rand.New(rand.NewPCG(seed, 1)), dumps: []string{newNaive().dump()},
	}
	r.album.folder = t.TempDir()
	r.o = roster.WithFS(roster.Options{FoldEvery: -1, MaxSegmentBytes: 4 << 10, Now: r.clock.now}, r.files)
	r.files.Hook(func(op storetest.Op) error {
		if op.Kind == storetest.OpSync || op.Kind == storetest.OpSyncDir {
			r.photograph(op)
		}
		return nil
	})
	r.open()
	large := r.populate()
	r.fold()
	r.fill()
	for i := range pick(30, 150) {
		r.change(large)
		switch i % 12 {
		case 2, 7:
			r.fold()
		case 5:
			r.burst(large)
		case 9:
			r.reopen()
		}
	}
	r.same()
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
	r.files.Hook(nil)
	r.develop()
}

// develop opens every image, with as many at a time as there are processors.
func (r *powerRun) develop() {
	var wg sync.WaitGroup
	var next, lost, kept atomic.Int64
	began := time.Now()
	for range 2 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(r.album.images) || r.t.Failed() {
					return
				}
				rev, err := r.developOne(&r.album.images[i], i)
				if err != nil {
					r.t.Errorf("%s: %v", r.album.images[i].what, err)
				} else if rev == r.album.images[i].acked {
					lost.Add(1)
				} else {
					kept.Add(1)
				}
			}
		})
	}
	wg.Wait()
	r.t.Logf("%d revisions, %d moments, %d images in %v: what was in flight was kept in %d", r.n.rev, r.album.n, len(r.album.images), time.Since(began).Round(time.Millisecond), kept.Load())
}

func (r *powerRun) developOne(img *image, i int) (rev roster.Revision, err error) {
	dir := filepath.Join(r.t.TempDir(), "db")
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if _, err := os.Stat(img.state); err == nil {
		if err := copyTree(img.state, filepath.Join(dir, "state")); err != nil {
			return 0, err
		}
	}
	files := storetest.Reboot(moved(img.files, img.dir, dir))
	var again []image
	if i%5 == 0 && !img.second {
		files.Hook(func(op storetest.Op) error {
			if op.Kind == storetest.OpSync || op.Kind == storetest.OpSyncDir {
				next, err := r.fade(img, files, dir, len(again))
				again = append(again, next)
				return err
			}
			return nil
		})
	}
	e, err := roster.Open(dir, roster.WithFS(r.o, files))
	if err != nil {
		return 0, err
	}
	files.Hook(nil)
	for k := range again {
		if _, err := r.developOne(&again[k], i+1); err != nil {
			return 0, fmt.Errorf("%s: %w", again[k].what, err)
		}
	}
	defer func() { e.Close() }()
	if rev, err = r.judge(img, e); err != nil {
		return 0, err
	}
	if i%3 == 0 {
		if err := e.Verify(ctx, nil); err != nil {
			return 0, fmt.Errorf("verify: %w", err)
		}
	}
	return rev, r.goOn(e, files, dir, rev, i)
}

// fade is a second loss of power, at the nth flush of the recovery from the first.
func (r *powerRun) fade(img *image, files *storetest.FaultFS, dir string, n int) (again image, err error) {
	again = *img
	again.what, again.second = fmt.Sprintf("again at flush %d", n), true
	again.dir, again.files = dir, files.Crash(uint64(n))
	r.album.mu.Lock()
	defer r.album.mu.Unlock()
	again.state, err = r.album.copyState(filepath.Join(dir, "state"))
	return again, err
}

// judge compares a recovered engine with the record.
func (r *powerRun) judge(img *image, e *roster.Engine) (roster.Revision, error) {
	rev := e.Revision()
	if rev < img.acked || rev > img.asked {
		return 0, fmt.Errorf("revision %d, %d was acknowledged and %d asked for", rev, img.acked, img.asked)
	}
	got, err := dump(e)
	if err != nil {
		return 0, err
	}
	if got != r.dumps[rev] {
		return 0, fmt.Errorf("revision %d (%d was acknowledged): %s", rev, img.acked, differ(got, r.dumps[rev]))
	}
	return rev, nil
}

// goOn writes to a recovered engine, and finds it again after another loss of power.
func (r *powerRun) goOn(e *roster.Engine, files *storetest.FaultFS, dir string, rev roster.Revision, i int) error {
	if rev == 0 {
		return nil
	}
	rename := func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "afterwards"})
		return err
	}
	if next, err := e.Update(ctx, rename); err != nil || next != rev+1 {
		return fmt.Errorf("revision %d after %d: %w", next, rev, err)
	}
	if i%4 != 0 {
		return nil
	}
	if err := e.Fold(ctx); err != nil {
		return err
	}
	want, err := dump(e)
	if err != nil {
		return err
	}
	again := filepath.Join(r.t.TempDir(), "db")
	defer os.RemoveAll(again)
	if err := copyLive(filepath.Join(dir, "state"), filepath.Join(again, "state")); err != nil {
		return err
	}
	e2, err := roster.Open(again, roster.WithFS(r.o, moved(files.Crash(uint64(i)), dir, again)))
	if err != nil {
		return fmt.Errorf("after a second loss: %w", err)
	}
	defer e2.Close()
	if got, err := dump(e2); err != nil || got != want {
		return fmt.Errorf("after a second loss: %w %s", err, differ(got, want))
	}
	if err := e2.Verify(ctx, nil); err != nil {
		return fmt.Errorf("after a second loss: %w", err)
	}
	return nil
}

// moved returns a copy of a file system in which one folder has another path.
func moved(m *store.MemFS, from, to string) *store.MemFS {
	out := store.NewMemFS()
	var walk func(string)
	walk = func(rel string) {
		if err := out.MkdirAll(filepath.Join(to, rel), 0o700); err != nil {
			panic(err)
		}
		entries, err := m.ReadDir(filepath.Join(from, rel))
		if err != nil {
			panic(err)
		}
		for _, e := range entries {
			path := filepath.Join(rel, e.Name())
			if e.IsDir() {
				walk(path)
			} else {
				storetest.WriteFile(out, filepath.Join(to, path), storetest.ReadFile(m, filepath.Join(from, path)))
			}
		}
	}
	if _, err := m.Stat(from); err == nil {
		walk(".")
	}
	return out
}
