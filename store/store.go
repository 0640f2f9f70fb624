package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"sync"
)

// Options says how to open a store. The zero value is right for a program that owns its folder.
type Options struct {
	// ReadOnly opens without changing a byte in the folder. Any number of read-only Stores can be open at
	// once, but none beside one that writes. Everything that writes returns ErrReadOnly.
	ReadOnly bool

	// InMemory keeps the state in memory, and the journal too unless FS is set: for tests, mostly. The
	// folder is then only a name. Since a state in memory is always empty at first, an FS that holds an
	// older store must still have its journal from revision 1 on.
	InMemory bool

	// FS is what the store's own files go through: the journal, STORE and CREATING. Badger's files, those in
	// the folder state, are always the operating system's. Nil means OS{}, or a new MemFS if InMemory is set.
	FS FS

	// SegmentBytes is the largest size of one journal file; 0 means 64 MiB. The first has 1 MiB, each next
	// one is twice as large up to this.
	SegmentBytes int64

	// Logger receives Badger's messages. Nil: they go nowhere.
	Logger *slog.Logger
}

func (o Options) fs() FS {
	switch {
	case o.FS != nil:
		return o.FS
	case o.InMemory:
		return NewMemFS()
	}
	return OS{}
}

// Store is an open store. Its methods may be called concurrently, with the one exception of Append; after
// Close they return ErrClosed, or zero where they return no error.
type Store struct {
	dir      string
	readOnly bool
	uuid     [16]byte
	lock     io.Closer
	journal  *journal
	state    *state
	use      gate
}

// Open opens the store in the folder dir, and creates an empty one if dir is missing or empty and
// Options.ReadOnly is not set.
//
// It returns ErrLocked if the store is open elsewhere, ErrNotStore if the folder holds something else (or
// nothing, with ReadOnly), ErrNewerFormat if a later version wrote it, ErrDiskFull if there is no room to work
// in, and a *CorruptError if a file is damaged in a way that cannot be made good from the others. After any of
// these the folder is as it was. All files of the state are read and checked, but not compared with each
// other: that is what the first Load does.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o, o.fs())
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, o Options, files FS) (_ *Store, err error) {
	if !o.ReadOnly {
		if err := makeFolder(files, dir); err != nil {
			return nil, err
		}
	}
	lock, err := files.Lock(dir, o.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) && o.ReadOnly {
		return nil, fmt.Errorf("%w: %w", ErrNotStore, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	found, err := survey(files, dir)
	if err != nil {
		return nil, err
	}
	if found != whole {
		if o.ReadOnly {
			return nil, fmt.Errorf("%w: the folder is empty, or the store in it was never completed", ErrNotStore)
		}
		if err := create(files, dir, o, 1, nil); err != nil {
			return nil, err
		}
	}
	s := &Store{dir: dir, readOnly: o.ReadOnly, lock: lock}
	if s.uuid, err = readIdentity(files, dir); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := removeMarker(files, dir); err != nil {
			return nil, err
		}
	}
	if err := s.openParts(files, o); err != nil {
		return nil, err
	}
	return s, nil
}

// openParts opens journal and state. Nothing of the state is touched before the journal is known to continue it.
func (s *Store) openParts(files FS, o Options) (err error) {
	f := &folder{}
	if !o.InMemory {
		if f, err = inspectState(s.dir); err != nil {
			return err
		}
	}
	m, err := f.meta()
	if err != nil {
		return err
	}
	s.journal, err = openJournal(files, journalDir(s.dir), s.uuid, journalOptions{readOnly: o.ReadOnly, segmentBytes: o.SegmentBytes})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.journal.opts.readOnly = true // a store that is refused gets no mark of having been closed in order
			err = errors.Join(err, s.journal.close())
		}
	}()
	if err := s.compare(m.rev); err != nil {
		return err
	}
	if o.InMemory {
		s.state, err = newMemoryState(files, o.Logger)
	} else {
		s.state, err = openState(f, files, o.ReadOnly, o.Logger)
	}
	return err
}

// inspectState inspects the folder of the state. That it is gone altogether is damage too.
func inspectState(dir string) (*folder, error) {
	f, err := inspect(context.Background(), stateDir(dir))
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrCorrupt) {
		return nil, &CorruptError{Path: stateDir(dir), What: "it is missing", Err: err}
	}
	return f, err
}

// compare refuses a state and a journal that do not fit together: with a state that has fallen back, because a
// write-ahead file or a change in the MANIFEST was lost, the journal must still have what it is now missing.
func (s *Store) compare(applied uint64) error {
	oldest, head := s.journal.oldest(), s.journal.head()
	switch {
	case applied > head:
		return &CorruptError{Path: journalDir(s.dir), What: fmt.Sprintf(
			"it ends at revision %d, the state is of revision %d: what came between is lost", head, applied)}
	case oldest > applied+1:
		return &CorruptError{Path: stateDir(s.dir), What: fmt.Sprintf(
			"it is of revision %d, the journal begins at %d: revisions %d to %d are lost", applied, oldest, applied+1, oldest-1)}
	}
	return nil
}

// Close flushes, marks the journal as closed in good order and releases the folder. It waits for calls that are
// running, so it must not be called from within one: not by the functions given to Load and Get, and not in the loop of
// a Replay. Closing again does nothing and returns nil.
//
// ErrDiskFull means that there was no room to tidy up. Nothing is lost: the next Open needs the room instead.
func (s *Store) Close() error {
	if !s.use.shut() {
		return nil
	}
	return errors.Join(s.state.close(), s.journal.close(), s.lock.Close())
}

// UUID returns the identity that the store was given when it was created. It may be called after Close.
func (s *Store) UUID() [16]byte { return s.uuid }

// Applied returns the revision of the folded state, 0 if nothing was folded yet.
func (s *Store) Applied() uint64 { return s.state.current.Load().rev }

// Meta returns the caller's bytes of the last Fold, nil if there was none. They must not be changed.
func (s *Store) Meta() []byte { return s.state.current.Load().caller }

// Head returns the newest revision in the journal, or the revision of the state if the journal is empty.
func (s *Store) Head() uint64 { return s.journal.head() }

// Oldest returns the first revision that Replay can still give, Head()+1 if there is none.
func (s *Store) Oldest() uint64 { return s.journal.oldest() }

// JournalBytes returns how many bytes of the journal hold revisions after Applied.
func (s *Store) JournalBytes() int64 { return s.journal.bytesAfter(s.Applied()) }

// Reserve makes sure that records of n bytes altogether can be appended without needing room on disk, or
// returns ErrDiskFull. ErrTooLarge means that no Append can take that much.
func (s *Store) Reserve(n int) error {
	if err := s.enterWrite(); err != nil {
		return err
	}
	defer s.use.leave()
	return s.journal.reserve(n)
}

// Append makes records durable as the revisions first, first+1 and so on; first is Head()+1. They are written
// as one: after a crash all of them are there or none. Only one goroutine may append at a time.
//
// After an error of writing or flushing, which is ErrFailed, it is open whether the records are there after the
// next Open, and every further Append returns ErrFailed.
func (s *Store) Append(first uint64, records [][]byte) error {
	if err := s.enterWrite(); err != nil {
		return err
	}
	defer s.use.leave()
	return s.journal.append(first, records)
}

// Replay yields the records from revision from on, in order, up to what was durable when the loop began. A
// record's bytes are valid until the next one. Its last pair may be an error: ErrTrimmed if from is before
// Oldest, a *CorruptError, ErrClosed.
func (s *Store) Replay(from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if !s.use.enter() {
			yield(Record{}, ErrClosed)
			return
		}
		defer s.use.leave()
		s.journal.replay(from)(yield)
	}
}

// Load calls fn for every value of the folded state as of Applied, from as many goroutines as workers says
// and in no order. Key and value are valid during the call only and must not be changed. An error of fn ends
// it and is returned.
//
// Every value is compared with its checksum, and all together with count and digest of the last Fold:
// a *CorruptError says that something is missing, changed or out of date. The caller must then throw away
// what fn has built. Folds may run beside it.
func (s *Store) Load(workers int, fn func(key, value []byte) error) error {
	if !s.use.enter() {
		return ErrClosed
	}
	defer s.use.leave()
	return s.state.load(context.Background(), workers, fn)
}

// Get calls fn with the value under key as of the fold to revision at, and returns what fn returns. The value
// is valid during fn only. ErrNotFound means that there was none; fn is not called then.
// A revision after Applied stands for Applied. One before the keep of the last Fold may give ErrNotFound or
// the value of a later fold.
func (s *Store) Get(at uint64, key []byte, fn func(value []byte) error) error {
	if !s.use.enter() {
		return ErrClosed
	}
	defer s.use.leave()
	return s.state.get(at, key, fn)
}

// Puts calls put for each value that a Fold or Restore is to write; put copies both slices. An error, its own or
// that of put, ends it, and with it the call that it was given to: nothing is written then.
type Puts func(put func(key, value []byte) error) error

// Fold makes puts, written over the state of Applied, the state of revision rev, with meta beside it, and then
// lets go of journal files that hold nothing but revisions up to the previous Applied and up to retain. The
// last fold's revisions stay, so that a state that lost its newest fold can be made good from the journal.
//
// Revisions keep and later stay readable for Get. The puts are gathered in memory first, so they may
// come from anywhere and in any order; of several with one key the last counts. A key has 1 to MaxKeyBytes bytes
// of which the first is below 0xF0, a value up to MaxValueBytes: others are refused with ErrTooLarge or an error
// of their own. There is no deleting: an empty value is one like others.
//
// ErrDiskFull without ErrFailed says that there is no room, and nothing was written. After ErrFailed no further
// Fold is possible until the store is opened again. In every case of an error Applied stays as it was, with one
// exception: when only letting go of journal files failed.
func (s *Store) Fold(rev uint64, meta []byte, keep, retain uint64, puts Puts) error {
	if err := s.enterWrite(); err != nil {
		return err
	}
	defer s.use.leave()
	if head := s.journal.head(); rev > head {
		return fmt.Errorf("store: fold to revision %d: the journal ends at %d", rev, head)
	}
	previous := s.Applied()
	if err := s.state.fold(rev, meta, keep, puts); err != nil {
		return err
	}
	return s.journal.retire(min(previous, retain))
}

// Verify reads every byte of the store and compares it with its checksum, and all values with the digest of the
// last Fold. It calls report with a line for each part that is found in order, and returns a *CorruptError for
// the first that is not. A Fold waits until it is done.
func (s *Store) Verify(ctx context.Context, report func(string)) error {
	if !s.use.enter() {
		return ErrClosed
	}
	defer s.use.leave()
	if err := s.journal.verify(ctx, report); err != nil {
		return err
	}
	return s.state.verify(ctx, report)
}

// Stats describes a store at one moment.
type Stats struct {
	Applied      uint64 // revision of the folded state
	Head         uint64 // newest revision in the journal
	Oldest       uint64 // oldest revision in the journal
	Values       uint64 // values in the folded state
	JournalBytes int64  // bytes of journal after Applied
	Tables       int    // Badger's tables
	TableBytes   int64  // their size on disk, or in memory
}

// Stats returns the figures of this moment, or none after Close.
func (s *Store) Stats() Stats {
	if !s.use.enter() {
		return Stats{}
	}
	defer s.use.leave()
	m := s.state.current.Load()
	st := Stats{Applied: m.rev, Head: s.Head(), Oldest: s.Oldest(), Values: m.digest.count, JournalBytes: s.journal.bytesAfter(m.rev)}
	st.Tables, st.TableBytes = s.state.size()
	return st
}

// enterWrite is s.use.enter for calls that write.
func (s *Store) enterWrite() error {
	if s.readOnly {
		return ErrReadOnly
	}
	if !s.use.enter() {
		return ErrClosed
	}
	return nil
}

// gate counts the calls that are running, so that Close can wait for them. A call may make further calls;
// they are refused once Close has begun, which ends the first one instead of waiting for each other.
type gate struct {
	mu      sync.Mutex
	running sync.WaitGroup // Add only under mu and while not closed
	closed  bool           // protected by mu
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.running.Add(1)
	}
	return !g.closed
}

func (g *gate) leave() { g.running.Done() }

// shut closes the gate and waits until nobody is inside. It returns false if the gate was closed before.
func (g *gate) shut() bool {
	g.mu.Lock()
	was := g.closed
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
	return !was
}
