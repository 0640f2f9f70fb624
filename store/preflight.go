package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// Badger trusts its folder. Of what it does on opening one that was damaged, it
//
//   - takes a missing MANIFEST for a new database and deletes every table, read-only or not;
//   - drops everything behind the first damaged byte of a MANIFEST's last change or of a write-ahead file;
//   - deletes tables that the MANIFEST does not name;
//   - refuses for ever a write-ahead file of length zero, which its own way of deleting one can leave behind;
//   - ends the process when the lengths inside a table lead beyond its end, or DISCARD cannot be opened;
//   - asks for as much memory as a damaged length says.
//
// So the folder is read here first, by code that cannot be led astray, and without changing anything. What comes
// out is what Badger will make of the folder: above all the revision of the state. Only when that is right
// (Open compares it with the journal) is the folder made ready for Badger, with admit or mirror.

const manifestName = "MANIFEST"

// folder is what inspect found in the folder of the state.
type folder struct {
	dir         string
	manifestEnd int64       // where the last whole change in the MANIFEST ends
	tables      []tableFile // those the MANIFEST names
	wals        []walFile   // by age
	newest      sighting    // the newest meta value
	maxTs       uint64      // the newest timestamp of anything
	drops       bool        // there is something that Badger will cut off or delete
	splits      [][]byte    // keys that divide the values into parts of roughly equal size, ascending
}

type tableFile struct {
	name string
	size int64
}

type walFile struct {
	name      string
	size, end int64 // its length, and how much of it Badger will keep
}

// meta decodes the newest meta value; there is none in a store that was never folded.
func (f *folder) meta() (meta, error) {
	if f.newest.ts == 0 {
		return meta{}, nil
	}
	m, err := decodeMeta(f.newest.env)
	if err == nil && timestamp(m.rev) != f.newest.ts {
		err = fmt.Errorf("%w: the meta value of revision %d is stored at revision %d", ErrCorrupt, m.rev, f.newest.ts-1)
	}
	return m, inFile(f.dir, err)
}

// unflushed returns the bytes in write-ahead files that Badger will write to tables when it opens the folder.
func (f *folder) unflushed() (n int64) {
	for _, w := range f.wals {
		n += w.end - min(w.end, walHeaderBytes)
	}
	return n
}

// inspect reads the whole folder of the state and changes nothing. What is wrong with a file is a *CorruptError.
func inspect(ctx context.Context, dir string) (f *folder, err error) {
	defer func() {
		// The files are checked before they are decoded; still, damage must never be able to end the process.
		if r := recover(); r != nil {
			f, err = nil, &CorruptError{Path: dir, What: fmt.Sprintf("reading it ended in a panic: %v", r)}
		}
	}()
	f = &folder{dir: dir}
	wanted, err := f.readManifest()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	present := map[string]bool{}
	for _, e := range entries {
		present[e.Name()] = true
		switch filepath.Ext(e.Name()) {
		case ".mem":
			if err := f.addWAL(e); err != nil {
				return nil, err
			}
		case ".sst":
			id, ok := table.ParseFileID(e.Name())
			if _, named := wanted[id]; !ok || !named {
				f.drops = true
			}
		}
	}
	for id := range wanted {
		name := table.IDToFilename(id)
		if !present[name] {
			return nil, &CorruptError{Path: filepath.Join(dir, name), What: "it is missing, the MANIFEST names it"}
		}
		f.tables = append(f.tables, tableFile{name: name})
	}
	slices.SortFunc(f.tables, func(a, b tableFile) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(f.wals, func(a, b walFile) int { return walNumber(a.name) - walNumber(b.name) })
	if err := f.checkFiles(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(f.splits, bytes.Compare)
	f.splits = slices.CompactFunc(f.splits, bytes.Equal)
	return f, nil
}

// readManifest returns the numbers of the tables that the MANIFEST names.
func (f *folder) readManifest() (map[uint64]badger.TableManifest, error) {
	path := filepath.Join(f.dir, manifestName)
	fp, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &CorruptError{Path: path, What: "it is missing"}
	}
	if err != nil {
		return nil, err
	}
	defer fp.Close()
	m, end, err := badger.ReplayManifestFile(fp, 0, badger.DefaultOptions("").WithLogger(nil))
	if err != nil {
		return nil, &CorruptError{Path: path, What: "it cannot be read", Err: err}
	}
	if len(m.Levels) > maxLevels {
		return nil, &CorruptError{Path: path, What: fmt.Sprintf("it names %d levels", len(m.Levels))}
	}
	info, err := fp.Stat()
	if err != nil {
		return nil, err
	}
	f.manifestEnd, f.drops = end, end < info.Size()
	return m.Tables, nil
}

func (f *folder) addWAL(e fs.DirEntry) error {
	if walNumber(e.Name()) < 0 {
		return &CorruptError{Path: filepath.Join(f.dir, e.Name()), What: "its name is not one of Badger's"}
	}
	f.wals = append(f.wals, walFile{name: e.Name()})
	return nil
}

// walNumber returns the number in the name of a write-ahead file, -1 when there is none.
func walNumber(name string) int {
	n, err := strconv.ParseUint(strings.TrimSuffix(name, ".mem"), 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

// checkFiles reads all tables and write-ahead files, two at a time, and gathers what they say.
func (f *folder) checkFiles(ctx context.Context) error {
	var (
		mu    sync.Mutex // protects f and first
		first error
		wg    sync.WaitGroup
		slots = make(chan struct{}, 2)
	)
	check := func(name string, read func(r io.ReaderAt, size int64) error) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := checkFile(ctx, filepath.Join(f.dir, name), read)
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		})
	}
	gather := func(newest sighting, maxTs uint64, splits [][]byte) {
		f.newest.offer(newest.ts, newest.env)
		f.maxTs = max(f.maxTs, maxTs)
		f.splits = append(f.splits, splits...)
	}
	for i := range f.tables {
		check(f.tables[i].name, func(r io.ReaderAt, size int64) error {
			facts, err := checkTable(r, size)
			mu.Lock()
			defer mu.Unlock()
			f.tables[i].size = size
			gather(facts.newest, facts.maxTs, facts.splits)
			return err
		})
	}
	for i := range f.wals {
		check(f.wals[i].name, func(r io.ReaderAt, size int64) error {
			facts, err := checkWAL(r, size)
			if err == nil && size > walBytes {
				err = fmt.Errorf("it has %d bytes, more than was ever written to one", size)
			}
			mu.Lock()
			defer mu.Unlock()
			f.wals[i].size, f.wals[i].end = size, facts.end
			f.drops = f.drops || facts.drops
			gather(facts.newest, facts.maxTs, nil)
			return err
		})
	}
	wg.Wait()
	return first
}

// checkFile runs read over one file. What read finds wrong is damage, not being able to open the file is not.
func checkFile(ctx context.Context, path string, read func(r io.ReaderAt, size int64) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &CorruptError{Path: path, What: fmt.Sprintf("reading it ended in a panic: %v", r)}
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	fp, err := os.Open(path)
	if err != nil {
		return err
	}
	defer fp.Close()
	info, err := fp.Stat()
	if err != nil {
		return err
	}
	return inFile(path, read(fp, info.Size()))
}

// inFile makes err, found in the file at path, a *CorruptError, unless it says that the file is too new.
func inFile(path string, err error) error {
	var corrupt *CorruptError
	if err == nil || errors.Is(err, ErrNewerFormat) || errors.As(err, &corrupt) {
		return err
	}
	return &CorruptError{Path: path, What: "it does not check", Err: err}
}

// admit makes the inspected folder ready for Badger to open: it takes away what Badger would stumble over, and
// only that. Interrupted anywhere, it is simply done again at the next Open.
func (f *folder) admit() error {
	for _, w := range f.wals {
		path := filepath.Join(f.dir, w.name)
		var err error
		if w.end <= walHeaderBytes {
			err = os.Remove(path)
		} else if w.end < w.size {
			err = os.Truncate(path, w.end)
		}
		if err != nil {
			return err
		}
	}
	// These hold nothing: values are never large enough for the value log (MaxValueBytes), and nothing is
	// encrypted. Badger makes them anew, so that damage to them cannot matter.
	for _, pattern := range []string{"DISCARD", "KEYREGISTRY", "*.vlog"} {
		paths, err := filepath.Glob(filepath.Join(escapeGlob(f.dir), pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// mirror builds a folder for a read-only Badger: links to the tables, and copies of the MANIFEST and the
// write-ahead files without what Badger would cut off. Badger itself cannot open a folder read-only as a
// process that was killed leaves it, and deletes files even then. The caller removes the folder.
func (f *folder) mirror() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "roster-state-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if err := f.copyPrefix(dir, manifestName, f.manifestEnd); err != nil {
		return "", err
	}
	for _, w := range f.wals {
		if w.end > walHeaderBytes {
			if err := f.copyPrefix(dir, w.name, w.end); err != nil {
				return "", err
			}
		}
	}
	source, err := filepath.Abs(f.dir)
	if err != nil {
		return "", err
	}
	for _, t := range f.tables {
		if err := os.Symlink(filepath.Join(source, t.name), filepath.Join(dir, t.name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// copyPrefix copies the first n bytes of a file of the folder to the folder dir.
func (f *folder) copyPrefix(dir, name string, n int64) error {
	src, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if _, err := io.CopyN(dst, src, n); err != nil {
		dst.Close()
		return diskError(err)
	}
	return diskError(dst.Close())
}
