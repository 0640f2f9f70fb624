package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A store comes into being like this, with a flush of the folder after each step:
//
//	1. CREATING is written
//	2. journal/ and state/ are made, with all their files
//	3. STORE is written under another name, flushed, and renamed
//	4. CREATING is removed
//
// A crash before the rename leaves CREATING without STORE: nobody was ever told that there is a store, so the next
// Open clears away what there is and starts again. A crash after it leaves both: the store is whole.
// journal/ or state/ without either is a store that has lost its identity, and is refused.

const (
	identityName = "STORE"
	identityTemp = "STORE.tmp"
	markerName   = "CREATING"
	markerText   = "a store is being created in this folder\n"
)

// condition is what survey makes of a folder.
type condition int

const (
	empty  condition = iota // nothing in it
	unborn                  // a store whose creation was interrupted
	whole                   // a store
)

// survey looks at the names in the folder. ErrNotStore and *CorruptError say that it is to be left alone.
func survey(files FS, dir string) (condition, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	has := map[string]bool{}
	for _, e := range entries {
		has[e.Name()] = true
	}
	ours := has[filepath.Base(journalDir(""))] || has[filepath.Base(stateDir(""))]
	delete(has, "lost+found") // of a file system of its own
	switch {
	case has[identityName] && !ours:
		if _, err := readIdentity(files, dir); errors.Is(err, ErrCorrupt) {
			return 0, fmt.Errorf("%w: its file STORE is something else", ErrNotStore)
		}
		return whole, nil // one that has lost both its folders
	case has[identityName]:
		return whole, nil
	case has[markerName]:
		return surveyMarker(files, dir, len(has) == 1)
	case ours:
		return 0, &CorruptError{Path: filepath.Join(dir, identityName), What: "it is missing"}
	case len(has) > 0:
		return 0, ErrNotStore
	}
	return empty, nil
}

// surveyMarker tells our CREATING from somebody else's file of that name. A crash while it was being written
// leaves a part of it, and then nothing beside it.
func surveyMarker(files FS, dir string, alone bool) (condition, error) {
	b, err := readFile(files, filepath.Join(dir, markerName), 1<<10)
	if err != nil {
		return 0, err
	}
	if string(b) == markerText || alone && strings.HasPrefix(markerText, strings.TrimRight(string(b), "\x00")) {
		return unborn, nil
	}
	return 0, fmt.Errorf("%w: its file %s is something else", ErrNotStore, markerName)
}

// makeFolder creates dir, and what is missing above it, and makes that last.
func makeFolder(files FS, dir string) error {
	var missing []string
	for path := filepath.Clean(dir); ; path = filepath.Dir(path) {
		_, err := files.Stat(path)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return err
		}
		missing = append(missing, path)
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return diskError(err)
	}
	for _, path := range missing {
		if err := files.SyncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// create makes a store in an empty folder, or over what an interrupted creation left. Its journal begins with
// revision first. The new state is given to fill, unless that is nil.
func create(files FS, dir string, o Options, first uint64, fill func(*state) error) error {
	marker := filepath.Join(dir, markerName)
	if err := writeFile(files, marker, []byte(markerText)); err != nil {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	if err := clearFolder(files, dir, o); err != nil {
		return err
	}
	var uuid [16]byte
	rand.Read(uuid[:]) // never fails
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80
	if err := files.MkdirAll(journalDir(dir), 0o700); err != nil {
		return diskError(err)
	}
	if err := createJournal(files, journalDir(dir), uuid, first); err != nil {
		return err
	}
	if !o.InMemory {
		if err := fillState(files, dir, o, fill); err != nil {
			return err
		}
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	temp := filepath.Join(dir, identityTemp)
	if err := writeFile(files, temp, encodeIdentity(uuid)); err != nil {
		return err
	}
	if err := files.Rename(temp, filepath.Join(dir, identityName)); err != nil {
		return diskError(err)
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	return removeMarker(files, dir)
}

// fillState makes the folder of the state, lets fill write to it and closes it again.
func fillState(files FS, dir string, o Options, fill func(*state) error) error {
	s, err := createState(stateDir(dir), files, o.Logger)
	if err != nil {
		return err
	}
	if fill != nil {
		err = fill(s)
	}
	return errors.Join(err, s.close())
}

// clearFolder removes journal/ and state/, and a STORE that has not got its name yet.
func clearFolder(files FS, dir string, o Options) error {
	entries, err := files.ReadDir(journalDir(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := files.Remove(filepath.Join(journalDir(dir), e.Name())); err != nil {
			return err
		}
	}
	for _, path := range []string{journalDir(dir), filepath.Join(dir, identityTemp)} {
		if err := files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if o.InMemory {
		return nil
	}
	return os.RemoveAll(stateDir(dir)) // Badger's files are always the operating system's
}

// removeMarker removes CREATING if it is there.
func removeMarker(files FS, dir string) error {
	err := files.Remove(filepath.Join(dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return files.SyncDir(dir)
}

// writeFile creates or replaces a small file and flushes it, but not its folder.
func writeFile(files FS, path string, content []byte) (err error) {
	f, err := files.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return diskError(err)
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	return diskError(errors.Join(err, f.Close()))
}

// readIdentity reads the file STORE.
func readIdentity(files FS, dir string) (uuid [16]byte, err error) {
	path := filepath.Join(dir, identityName)
	b, err := readFile(files, path, 1<<10)
	if err != nil {
		return uuid, err
	}
	return decodeIdentity(path, b)
}

// readFile returns the first limit bytes of a file, or all it has.
func readFile(files FS, path string, limit int64) ([]byte, error) {
	f, err := files.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(size, limit))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}

// Restore creates a store in the folder dir, which must be missing or empty, that holds puts as the state of
// revision rev with meta beside it; its journal begins at rev+1. It is also the way to load a lot of data at once:
// as long as the keys ascend, values are written straight into tables. Keys that come later than a greater one
// are gathered in memory. Keys and values are bound as in Fold; of several puts with one key the last counts.
//
// The store exists when Restore returns nil, and not before: after an error, ErrDiskFull among them, what was
// written is removed, and after a crash the next Restore or Open removes it. ErrNotStore says that the folder
// is not empty. Options.InMemory and Options.ReadOnly make no sense here and are an error.
func Restore(dir string, o Options, rev uint64, meta []byte, puts Puts) error {
	if o.InMemory || o.ReadOnly {
		return errors.New("store: restore: a store that can be written to in a folder is needed")
	}
	if err := restore(dir, o, rev, meta, puts); err != nil {
		return fmt.Errorf("restore store %s: %w", dir, err)
	}
	return nil
}

func restore(dir string, o Options, rev uint64, meta []byte, puts Puts) error {
	files := o.fs()
	if err := makeFolder(files, dir); err != nil {
		return err
	}
	lock, err := files.Lock(dir, false)
	if err != nil {
		return err
	}
	defer lock.Close()
	found, err := survey(files, dir)
	if err != nil {
		return err
	}
	if found == whole {
		return fmt.Errorf("%w: there is a store in the folder already", ErrNotStore)
	}
	err = create(files, dir, o, rev+1, func(s *state) error { return s.fill(rev, meta, puts) })
	if err != nil {
		if found, serr := survey(files, dir); serr == nil && found == unborn {
			err = errors.Join(err, clearFolder(files, dir, o), removeMarker(files, dir))
		}
	}
	return err
}
