package roster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/roster"
)

// TestSearchFolderReadOnly searches while nothing can be written in the folder of
// the index, and when that is over.
func TestSearchFolderReadOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAlways(roster.Options{}), r, 400)
	indexed(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	writable := forbidWriting(t, filepath.Join(dir, "search"))
	e, err := roster.Open(dir, roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 10 {
		if err := comeAndGo(e, r, 1000+i); err != nil {
			t.Fatal(err)
		}
		searchWell(t, e, r, 5)
	}
	if rev, ok := roster.SearchedTo(e); ok && rev == e.Revision() {
		t.Error("an index that cannot be written has come up with the engine")
	}
	writable()
	indexed(t, e)
	searchWell(t, e, r, 30)
}

// forbidWriting makes a folder read-only, by its modes and for root by mounting
// it so, until what it returns is called.
func forbidWriting(t *testing.T, dir string) (writable func()) {
	t.Helper()
	modes := func(folder, file fs.FileMode) {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				t.Error(err)
				return nil
			}
			if d.IsDir() {
				return os.Chmod(path, folder)
			}
			return os.Chmod(path, file)
		})
	}
	if os.Geteuid() != 0 {
		modes(0o500, 0o400)
		writable = func() { modes(0o700, 0o600) }
		t.Cleanup(writable)
		return writable
	}
	for _, flags := range []uintptr{syscall.MS_BIND, syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY} {
		if err := syscall.Mount(dir, dir, "", flags, ""); err != nil {
			t.Skipf("mounting a folder read-only: %v", err)
		}
	}
	mounted := true
	writable = func() {
		if mounted {
			mounted = false
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(writable)
	return writable
}

// comeAndGo edits some users.
func comeAndGo(e *roster.Engine, r *rand.Rand, i int) error {
	_, err := e.Update(context.Background(), func(tx *roster.Txn) error {
		if _, err := tx.CreateUser(person(r, i)); err != nil {
			return err
		}
		u, err := tx.User(roster.UserID(r.IntN(200)))
		if err != nil {
			return err
		}
		u.FullName, u.Description = person(r, i).FullName, fmt.Sprintf("Edit %d %0500d", i, i)
		_, err = tx.PutUser(u)
		return err
	})
	return err
}

func TestChildSearchDiskFull(t *testing.T) { serve(t, searchDiskFull) }

// searchDiskFull searches and edits while the disk fills up, and when there is
// room again. It answers "" or what went wrong.
func searchDiskFull(raw json.RawMessage) any {
	var j fullDisk
	err := json.Unmarshal(raw, &j)
	if err == nil {
		err = j.search()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (j *fullDisk) search() error {
	if err := errors.Join(j.empty(), os.RemoveAll(j.db())); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(j.Left), 26))
	e, err := roster.Open(j.db(), roster.WithIndexAlways(roster.Options{SearchAttributes: []string{"title"}, FoldEvery: 200 * time.Millisecond}))
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Update(context.Background(), func(tx *roster.Txn) error {
		_, err1 := tx.PutDirectory(roster.Directory{ID: 1, Name: "one", Domain: "corp"})
		_, err2 := tx.PutDirectory(roster.Directory{ID: 2, Name: "Two.example"})
		for i := range 300 {
			if _, err := tx.CreateUser(person(r, i)); err != nil {
				return err
			}
		}
		return errors.Join(err1, err2)
	})
	if err != nil {
		return err
	}
	search := func() error {
		return e.View(context.Background(), func(tx *roster.Txn) error { return agree(r, tx, 2) })
	}
	awaitIndex := func() error {
		for end := time.Now().Add(90 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if rev, ok := roster.SearchedTo(e); ok && rev == e.Revision() {
				return nil
			}
			if time.Now().After(end) {
				return fmt.Errorf("no search index: %+v", e.Stats())
			}
		}
	}
	if err := errors.Join(awaitIndex(), search(), j.leave(j.Left)); err != nil {
		return err
	}
	for i := range 40 {
		if err := comeAndGo(e, r, 1000+i); err != nil && !errors.Is(err, roster.ErrDiskFull) {
			return fmt.Errorf("edit %d: %w", i, err)
		}
		if err := search(); err != nil {
			return fmt.Errorf("after edit %d: %w", i, err)
		}
		time.Sleep(10 * time.Millisecond) // for the index to meet the full disk, too
		if i%10 == 9 {
			if err := j.leave(j.Left / 2); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(j.empty(), comeAndGo(e, r, 5000)); err != nil {
		return fmt.Errorf("once there was room: %w", err)
	}
	return errors.Join(awaitIndex(), search(), e.Close())
}

// TestSearchDiskFull lets the index meet a full disk. Searches stay right, and the
// process lives: Bleve maps its files.
func TestSearchDiskFull(t *testing.T) {
	s := mountSmall(t)
	c := newChild(t, "TestChildSearchDiskFull")
	defer func() { c.end() }()
	for left := int64(0); left < 14<<20; left += pick[int64](5<<20, 512<<10+4096) {
		var said string
		if err := c.do(fullDisk{s, "search", left}, &said); err != nil || said != "" {
			t.Fatalf("with %d bytes left: %v %s", left, err, said)
		}
	}
}

// TestSearchInUse opens an engine while something else, a backup or a process
// that does not end, still has the files of the index. They are waited for, not
// thrown away.
func TestSearchInUse(t *testing.T) {
	dir := t.TempDir()
	e := peopled(t, dir, roster.WithIndexAbove(roster.Options{}, 1), rand.New(rand.NewPCG(37, 38)), 200)
	indexed(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "search", "store", "root.bolt")
	was, err := os.Stat(list)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	e, err = roster.Open(dir, roster.WithIndexAbove(roster.Options{SearchAttributes: []string{"title"}}, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for end := time.Now().Add(20 * time.Second); e.Stats().SearchProblem == ""; time.Sleep(10 * time.Millisecond) {
		if _, ok := roster.SearchedTo(e); ok || time.Now().After(end) {
			t.Fatal("nothing is wrong with files that are in use")
		}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	indexed(t, e)
	if now, err := os.Stat(list); err != nil || !os.SameFile(was, now) {
		t.Errorf("the index was built anew, %v", err)
	}
}
