package roster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/store"
	"github.com/rosterdb/roster/store/storetest"
)

func TestChildOpen(t *testing.T) { serve(t, openJob) }

// opening is a folder that a child is to open and keep open.
type opening struct {
	Dir      string
	ReadOnly bool
}

// openJob opens a folder and leaves it open until the process ends.
func openJob(raw json.RawMessage) any {
	var o opening
	if err := json.Unmarshal(raw, &o); err != nil {
		return err.Error()
	}
	_, err := roster.Open(o.Dir, roster.Options{ReadOnly: o.ReadOnly})
	switch {
	case err == nil:
		return "open"
	case errors.Is(err, roster.ErrLocked):
		return "locked"
	}
	return err.Error()
}

func TestLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	p := newPair(t, dir, roster.Options{})
	var children []*child
	defer func() {
		for _, c := range children {
			c.kill()
		}
	}()
	elsewhere := func(readOnly bool, want string) {
		t.Helper()
		c := newChild(t, "TestChildOpen")
		children = append(children, c)
		var got string
		if err := c.do(opening{dir, readOnly}, &got); err != nil || got != want {
			t.Fatalf("%q instead of %q: %v", got, want, err)
		}
	}
	elsewhere(false, "locked")
	elsewhere(true, "locked")
	for _, o := range []roster.Options{{}, {ReadOnly: true}} { // in this process too
		_, err := roster.Open(dir, o)
		isErr(t, err, roster.ErrLocked)
	}
	isErr(t, roster.Build(ctx, dir, roster.Options{}, func(*roster.Builder) error { return nil }), roster.ErrLocked)
	p.same()
	if err := p.e.Close(); err != nil {
		t.Fatal(err)
	}
	// Readers share the folder, and keep writers out.
	elsewhere(true, "open")
	elsewhere(true, "open")
	_, err := roster.Open(dir, roster.Options{})
	isErr(t, err, roster.ErrLocked)
	if p.e, err = roster.Open(dir, roster.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	p.same()
	_, err = p.e.Update(ctx, add(group0, 1))
	isErr(t, err, roster.ErrReadOnly)
	isErr(t, p.e.Fold(ctx), roster.ErrReadOnly)
	if err := errors.Join(p.e.Verify(ctx, nil), p.e.Close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range children { // the lock of a process that was killed is gone with it
		c.kill()
	}
	children = nil
	elsewhere(false, "open")
}

// contents writes down every file of a folder.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			fmt.Fprintln(&b, path)
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %q\n", path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A folder of something else is left alone, whatever it is.
func TestForeignFolder(t *testing.T) {
	var backup bytes.Buffer
	if _, err := newPair(t, "", roster.Options{}).e.Backup(ctx, &backup); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{
		"text":     {"thesis.txt"},
		"hidden":   {".git/config"},
		"similar":  {"STORES", "journals/0000000001.log"},
		"marker":   {"CREATING"},
		"identity": {"STORE"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			for _, f := range files {
				path := filepath.Join(dir, f)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("mine, "+name), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			before := contents(t, dir)
			_, err := roster.Open(dir, roster.Options{})
			isErr(t, err, roster.ErrNotStore)
			_, err = roster.Open(dir, roster.Options{ReadOnly: true})
			isErr(t, err, roster.ErrNotStore)
			isErr(t, roster.Build(ctx, dir, roster.Options{}, func(*roster.Builder) error { return nil }), roster.ErrNotStore)
			isErr(t, roster.Restore(ctx, dir, bytes.NewReader(backup.Bytes()), roster.Options{}), roster.ErrNotStore)
			if after := contents(t, dir); after != before {
				t.Errorf("changed from\n%s to\n%s", before, after)
			}
		})
	}
	// What is not there is not made by a reader.
	dir := filepath.Join(t.TempDir(), "db")
	_, err := roster.Open(dir, roster.Options{ReadOnly: true})
	isErr(t, err, roster.ErrNotStore)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("a read-only Open made a folder")
	}
	// Nor does a file pass for a folder.
	if err := os.WriteFile(dir, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []roster.Options{{}, {ReadOnly: true}} {
		if _, err := roster.Open(dir, o); err == nil {
			t.Error("opened a file")
		}
	}
	if b, err := os.ReadFile(dir); string(b) != "mine" {
		t.Error(string(b), err)
	}
}

// A write or flush that fails fails everyone who waits for it, and everyone
// after. Reading goes on. The next Open finds the change whole or not at all.
func TestFailedFlush(t *testing.T) {
	cause := errors.New("the disk is on fire")
	for _, kind := range []storetest.OpKind{storetest.OpSync, storetest.OpWrite} {
		for seed := range uint64(pick(6, 100)) {
			files := storetest.NewFaultFS()
			o := roster.WithFS(roster.Options{}, files)
			p := newPair(t, "", o)
			p.update(func(w *writer) { w.add(group0, 1, 2, 3) })
			failAt(t, p, files, kind, cause)
			p.same()
			if err := p.e.Verify(ctx, nil); err != nil {
				t.Error(err)
			}
			_, err := p.e.Update(ctx, add(group0, 19))
			isErr(t, err, roster.ErrFailed)
			_, err = p.e.Update(ctx, func(*roster.Txn) error { return nil })
			isErr(t, err, roster.ErrFailed)
			isErr(t, p.e.Fold(ctx), roster.ErrFailed)
			p.same()
			within(t, "closing an engine that has failed", func() { p.e.Close() })
			p.reopenAs(o, files.Crash(seed))
		}
	}
}

// failAt makes the flush of several writers fail.
func failAt(t *testing.T, p *pair, files *storetest.FaultFS, kind storetest.OpKind, cause error) {
	t.Helper()
	files.FailNth(0, cause, false, kind)
	var wg sync.WaitGroup
	for k := range 5 {
		wg.Go(func() {
			_, err := p.e.Update(ctx, add(group1, roster.UserID(k), roster.UserID(k+5)))
			if !errors.Is(err, roster.ErrFailed) || errors.Is(err, roster.ErrDiskFull) {
				t.Errorf("%v instead of %v", err, roster.ErrFailed)
			}
		})
	}
	within(t, "writers whose flush failed", wg.Wait)
}

// reopenAs opens what a disk holds: the pair's record, and perhaps some of the
// updates of failAt, each whole.
func (p *pair) reopenAs(o roster.Options, m *store.MemFS) {
	p.t.Helper()
	o = roster.WithFS(o, m)
	o.InMemory = true
	e, err := roster.Open("", o)
	if err != nil {
		p.t.Fatal(err)
	}
	defer e.Close()
	for k := range roster.UserID(5) {
		if e.Check(k, group1) {
			p.n.members[group1][k], p.n.members[group1][k+5] = true, true
			p.n.rev++
		}
	}
	p.e = e
	p.same()
	if err := e.Verify(ctx, nil); err != nil {
		p.t.Error(err)
	}
}

// A backup that was damaged or cut off is refused, and leaves nothing behind.
func TestDamagedBackup(t *testing.T) {
	p := newPair(t, "", roster.Options{})
	p.update(func(w *writer) { w.add(group0, 1, 2, 3) })
	var b bytes.Buffer
	if _, err := p.e.Backup(ctx, &b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	dir := filepath.Join(t.TempDir(), "db")
	refused := func(data []byte, what string) {
		t.Helper()
		err := roster.Restore(ctx, dir, bytes.NewReader(data), roster.Options{})
		if !errors.Is(err, roster.ErrCorrupt) && !errors.Is(err, roster.ErrNewerFormat) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := roster.Open(dir, roster.Options{ReadOnly: true}); !errors.Is(err, roster.ErrNotStore) {
			t.Fatalf("%s: Open of what is left: %v", what, err)
		}
	}
	step := max(1, len(whole)/pick(16, 2000))
	for at := 0; at < len(whole); at += step {
		data := bytes.Clone(whole)
		data[at] ^= 1 << (at % 8)
		refused(data, fmt.Sprintf("bit %d of byte %d flipped", at%8, at))
		refused(whole[:at], fmt.Sprintf("cut off at byte %d of %d", at, len(whole)))
	}
	refused(append(bytes.Clone(whole), 0), "one byte more")
	if err := roster.Restore(ctx, dir, bytes.NewReader(whole), roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.e.Close()
	var err error
	if p.e, err = roster.Open(dir, roster.Options{}); err != nil {
		t.Fatal(err)
	}
	p.same()
}

// What ends a Build or a Restore is what they return.
func TestGivenUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	cause := errors.New("changed my mind")
	isErr(t, roster.Build(ctx, dir, roster.Options{}, func(*roster.Builder) error { return cause }), cause)
	over, stop := context.WithCancel(ctx)
	isErr(t, roster.Build(over, dir, roster.Options{}, func(b *roster.Builder) error {
		stop()
		return b.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
	}), context.Canceled)
	var b bytes.Buffer
	if _, err := newPair(t, "", roster.Options{}).e.Backup(ctx, &b); err != nil {
		t.Fatal(err)
	}
	isErr(t, roster.Restore(over, dir, &b, roster.Options{}), context.Canceled)
	_, err := roster.Open(dir, roster.Options{ReadOnly: true})
	isErr(t, err, roster.ErrNotStore)
}
