//go:build linux

package roster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rosterdb/roster"
)

func TestChildDiskFull(t *testing.T) { serve(t, diskFullJob) }

// small is a file system of 60 MB with some ballast in it.
type small struct{ Dir string }

const smallBytes = 60 << 20

// mountSmall mounts one, and skips the test where that is not allowed.
func mountSmall(t *testing.T) small {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallBytes)); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return small{dir}
}

func (s small) ballast() string { return filepath.Join(s.Dir, "ballast") }
func (s small) db() string      { return filepath.Join(s.Dir, "db") }

// leave fills the file system until so many bytes are left.
func (s small) leave(bytes int64) error {
	f, err := os.OpenFile(s.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(s.Dir, &st); err != nil {
			return err
		}
		n := int64(st.Bavail)*st.Bsize - bytes
		if n <= 0 {
			return nil
		}
		if _, err := f.Write(chunk[:min(n, int64(len(chunk)))]); err != nil {
			return err
		}
	}
}

// empty removes the ballast.
func (s small) empty() error {
	if err := os.Remove(s.ballast()); !os.IsNotExist(err) {
		return err
	}
	return nil
}

// fullDisk is what a child does on a small file system with so many bytes left.
type fullDisk struct {
	small
	What string // commit, fold, open, close, build
	Left int64
}

// fullAnswer is how that went.
type fullAnswer struct {
	Full bool   // ErrDiskFull was met
	Err  string // what should not have been
}

func diskFullJob(raw json.RawMessage) any {
	var j fullDisk
	err := json.Unmarshal(raw, &j)
	if err != nil {
		return fullAnswer{Err: err.Error()}
	}
	var full bool
	err = errors.Join(j.empty(), os.RemoveAll(j.db()))
	if err == nil {
		full, err = map[string]func() (bool, error){
			"commit": j.commit, "fold": j.fold, "open": j.open, "close": j.close, "build": j.build,
		}[j.What]()
	}
	if err != nil {
		return fullAnswer{full, err.Error()}
	}
	return fullAnswer{full, ""}
}

// TestDiskFull lets everything that writes meet a full disk. The refusal is
// ErrDiskFull and changes nothing, the process lives (Badger maps its files: it
// would die of SIGBUS), and once there is room everything goes on.
func TestDiskFull(t *testing.T) {
	s := mountSmall(t)
	lefts := []int64{0, 1 << 20, 4<<20 - 4096, 4 << 20, 5 << 20, 8 << 20, 12 << 20, 20 << 20}
	if *full {
		for left := int64(0); left < 24<<20; left += 256<<10 + 4096 {
			lefts = append(lefts, left)
		}
	}
	c := newChild(t, "TestChildDiskFull")
	defer func() { c.end() }()
	for _, what := range []string{"commit", "fold", "open", "close", "build"} {
		met := 0
		for _, left := range lefts {
			var a fullAnswer
			if err := c.do(fullDisk{s, what, left}, &a); err != nil {
				t.Fatalf("%s with %d bytes left: %v", what, left, err)
			}
			if a.Err != "" {
				t.Errorf("%s with %d bytes left: %s", what, left, a.Err)
			}
			if a.Full {
				met++
			}
		}
		t.Logf("%s: the disk was full in %d of %d cases", what, met, len(lefts))
		if met == 0 && what != "close" {
			t.Errorf("%s never met a full disk", what)
		}
	}
}

// engine opens an engine with a few users, and waits with folding.
func (j *fullDisk) engine() (p *pair, err error) {
	p = &pair{n: newNaive(), clock: &clock{}}
	if err := p.openIn(j.db()); err != nil {
		return nil, err
	}
	return p, p.try(func(w *writer) {
		w.directory(1, "corp")
		for i := range 50 {
			w.user(roster.User{Directory: 1, Username: fmt.Sprintf("user%d", i)})
		}
		w.add(w.group(roster.Group{Directory: 1, Name: "group"}), 1, 2, 3)
	})
}

func (p *pair) openIn(dir string) (err error) {
	p.e, err = roster.Open(dir, roster.Options{FoldEvery: -1, Now: p.clock.now})
	return err
}

// grow writes 100 KB.
func (p *pair) grow(i int) error {
	text := strings.Repeat("x", 50<<10)
	return p.try(func(w *writer) {
		for _, u := range []roster.UserID{roster.UserID(i % 50), roster.UserID((i + 25) % 50)} {
			w.putUser(u, func(u *roster.User) { u.Description = fmt.Sprint(w.n.rev) + text })
		}
	})
}

// holds compares the engine with its record, by what it answers and by its own check.
func (p *pair) holds(verify bool) error {
	got, err := dump(p.e)
	if err != nil {
		return err
	}
	if want := p.n.dump(); got != want {
		return errors.New(differ(got, want))
	}
	if verify {
		return p.e.Verify(ctx, nil)
	}
	return nil
}

// lasts is holds after the engine was closed and opened again.
func (p *pair) lasts(dir string) error {
	if err := errors.Join(p.holds(true), p.e.Close(), p.openIn(dir)); err != nil {
		return err
	}
	return errors.Join(p.holds(true), p.e.Close())
}

// refusedFor tells a full disk from no error and from other errors.
func refusedFor(err error) (full bool, other error) {
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, roster.ErrDiskFull) && !errors.Is(err, roster.ErrFailed):
		return true, nil
	}
	return false, err
}

// commit writes until the disk is full.
func (j *fullDisk) commit() (full bool, err error) {
	p, err := j.engine()
	if err != nil {
		return false, err
	}
	if err := j.leave(j.Left); err != nil {
		return false, err
	}
	for i := 0; i < 120 && !full; i++ {
		if full, err = refusedFor(p.grow(i)); err != nil {
			return full, err
		}
	}
	if err := p.holds(true); err != nil {
		return full, fmt.Errorf("on a full disk: %w", err)
	}
	// What needs no room still works or is refused as cleanly.
	for i := range 3 {
		if _, err := refusedFor(p.try(func(w *writer) { w.add(3, roster.UserID(10+i)) })); err != nil {
			return full, err
		}
	}
	if err := errors.Join(p.holds(false), j.empty()); err != nil {
		return full, err
	}
	for i := range 5 {
		if err := p.grow(i); err != nil {
			return full, fmt.Errorf("once there was room: %w", err)
		}
	}
	return full, p.lasts(j.db())
}

// fold folds 5 MB of log.
func (j *fullDisk) fold() (full bool, err error) {
	p, err := j.engine()
	if err != nil {
		return false, err
	}
	for i := range 50 {
		if err := p.grow(i); err != nil {
			return false, err
		}
	}
	if err := j.leave(j.Left); err != nil {
		return false, err
	}
	if full, err = refusedFor(p.e.Fold(ctx)); err != nil {
		return full, err
	}
	if err := p.holds(true); err != nil {
		return full, fmt.Errorf("on a full disk: %w", err)
	}
	if _, err := refusedFor(p.try(func(w *writer) { w.add(3, 10) })); err != nil {
		return full, err
	}
	if err := errors.Join(j.empty(), p.e.Fold(ctx), p.holds(false)); err != nil {
		return full, fmt.Errorf("once there was room: %w", err)
	}
	if st := p.e.Stats(); st.Folded != p.n.rev {
		return full, fmt.Errorf("folded to %d of %d", st.Folded, p.n.rev)
	}
	if err := p.grow(1); err != nil {
		return full, err
	}
	return full, p.lasts(j.db())
}

// open opens what a killed engine leaves: write-ahead files and a log to replay.
func (j *fullDisk) open() (full bool, err error) {
	p, err := j.engine()
	if err != nil {
		return false, err
	}
	for i := range 40 {
		if err := p.grow(i); err != nil {
			return false, err
		}
	}
	if err := errors.Join(p.e.Fold(ctx), p.grow(7)); err != nil {
		return false, err
	}
	killed := j.db() + "-killed"
	if err := errors.Join(copyLive(filepath.Join(j.db(), "state"), filepath.Join(killed, "state")), copyTree(j.db(), killed), p.e.Close(), os.RemoveAll(j.db()), os.Rename(killed, j.db()), j.leave(j.Left)); err != nil {
		return false, err
	}
	if full, err = refusedFor(p.openIn(j.db())); err != nil {
		return full, err
	}
	if !full {
		if err := errors.Join(p.holds(true), p.e.Close()); err != nil {
			if _, other := refusedFor(err); other != nil {
				return full, err
			}
		}
	}
	// A reader needs no room.
	reader := &pair{n: p.n, clock: p.clock}
	if reader.e, err = roster.Open(j.db(), roster.Options{ReadOnly: true}); err != nil {
		return full, fmt.Errorf("read-only: %w", err)
	}
	if err := errors.Join(reader.holds(true), reader.e.Close()); err != nil {
		return full, fmt.Errorf("read-only: %w", err)
	}
	if err := errors.Join(j.empty(), p.openIn(j.db())); err != nil {
		return full, fmt.Errorf("once there was room: %w", err)
	}
	return full, errors.Join(p.grow(3), p.lasts(j.db()))
}

// close closes an engine that has folded, and has more to fold.
func (j *fullDisk) close() (full bool, err error) {
	p, err := j.engine()
	if err != nil {
		return false, err
	}
	for i := range 100 {
		if err := p.grow(i); err != nil {
			return false, err
		}
		if i == 45 {
			if err := p.e.Fold(ctx); err != nil {
				return false, err
			}
		}
	}
	if err := j.leave(j.Left); err != nil {
		return false, err
	}
	if full, err = refusedFor(p.e.Close()); err != nil {
		return full, err
	}
	if err := errors.Join(j.empty(), p.openIn(j.db())); err != nil {
		return full, fmt.Errorf("once there was room: %w", err)
	}
	return full, p.lasts(j.db())
}

// build builds an engine of 8 MB, and restores a backup of it.
func (j *fullDisk) build() (full bool, err error) {
	if err := j.leave(j.Left); err != nil {
		return false, err
	}
	build := func() error {
		return roster.Build(ctx, j.db(), roster.Options{}, func(b *roster.Builder) error {
			err := b.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
			text := strings.Repeat("x", 50<<10)
			for i := 0; i < 160 && err == nil; i++ {
				_, err = b.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint(i), Description: text})
			}
			return err
		})
	}
	if full, err = refusedFor(build()); err != nil {
		return full, err
	}
	if full {
		if err := j.nothingLeft(); err != nil {
			return full, err
		}
		if err := errors.Join(j.empty(), build()); err != nil {
			return full, fmt.Errorf("once there was room: %w", err)
		}
	}
	var backup bytes.Buffer
	if err := j.backup(&backup); err != nil {
		return full, err
	}
	if err := errors.Join(os.RemoveAll(j.db()), j.leave(j.Left)); err != nil {
		return full, err
	}
	refused, err := refusedFor(roster.Restore(ctx, j.db(), bytes.NewReader(backup.Bytes()), roster.Options{}))
	if err != nil {
		return full, err
	}
	if refused {
		err := errors.Join(j.nothingLeft(), j.empty(), roster.Restore(ctx, j.db(), bytes.NewReader(backup.Bytes()), roster.Options{}))
		if err != nil {
			return full, err
		}
	}
	var again bytes.Buffer
	if err := errors.Join(j.empty(), j.backup(&again)); err != nil {
		return full, err
	}
	if !bytes.Equal(backup.Bytes(), again.Bytes()) {
		return full, errors.New("the restored engine is another")
	}
	return full, nil
}

// nothingLeft checks that a refused build left no engine.
func (j *fullDisk) nothingLeft() error {
	e, err := roster.Open(j.db(), roster.Options{ReadOnly: true})
	if err == nil {
		e.Close()
	}
	if !errors.Is(err, roster.ErrNotStore) {
		return fmt.Errorf("what a refused build left opens with %v", err)
	}
	return nil
}

// backup copies the engine, read-only, to w.
func (j *fullDisk) backup(w io.Writer) error {
	e, err := roster.Open(j.db(), roster.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if n := e.Stats().Users; n != 160 {
		return fmt.Errorf("%d users", n)
	}
	_, err = e.Backup(ctx, w)
	return errors.Join(err, e.Verify(ctx, nil), e.Close())
}

// A folder on a file system that cannot be written is refused, and can be read.
func TestReadOnlyMount(t *testing.T) {
	s := mountSmall(t)
	for _, folded := range []bool{false, true} {
		p := newPair(t, s.db(), roster.Options{})
		p.update(func(w *writer) { w.add(group0, 1, 2, 3) })
		if folded {
			if err := p.e.Fold(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.e.Close(); err != nil {
			t.Fatal(err)
		}
		remount := func(flags uintptr) {
			t.Helper()
			if err := syscall.Mount("", s.Dir, "", syscall.MS_REMOUNT|flags, fmt.Sprintf("size=%d", smallBytes)); err != nil {
				t.Fatal(err)
			}
		}
		remount(syscall.MS_RDONLY)
		_, err := roster.Open(s.db(), roster.Options{})
		if !errors.Is(err, syscall.EROFS) || errors.Is(err, roster.ErrCorrupt) {
			t.Errorf("opened for writing: %v", err)
		} else {
			t.Log(err)
		}
		if p.e, err = roster.Open(s.db(), roster.Options{ReadOnly: true}); err != nil {
			t.Fatal(err)
		}
		p.same()
		if err := errors.Join(p.e.Verify(ctx, nil), p.e.Close()); err != nil {
			t.Error(err)
		}
		remount(0)
		if p.e, err = roster.Open(s.db(), roster.Options{}); err != nil {
			t.Fatal(err)
		}
		p.update(func(w *writer) { w.add(group0, 4) })
		p.same()
		if err := errors.Join(p.e.Close(), os.RemoveAll(s.db())); err != nil {
			t.Fatal(err)
		}
	}
}
