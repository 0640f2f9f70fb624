package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Sizes of Badger's parts. A memtable costs its size in heap from the moment the store is open, so it is as
// small as a transaction of a few values of the greatest size allows.
const (
	memTableBytes = 8 << 20
	walBytes      = 2 * memTableBytes // the length Badger gives a write-ahead file; most of it is never written
	tableBytes    = 16 << 20
	maxLevels     = 7
)

// MaxKeyBytes and MaxValueBytes bound what Fold and Restore take. A value with its envelope stays below
// Badger's threshold for the value log, so that nothing of ours is ever in that.
const (
	MaxKeyBytes   = 1 << 10
	MaxValueBytes = 1<<20 - 64
)

// spareBytes is the room on disk that is left alone by everything the state writes: the journal, the MANIFEST
// and whatever else is writing to the same disk need some while a fold runs.
const spareBytes = 4 << 20

// state is the folded state: Badger, opened so that it never does anything by itself. There are no compactors
// (NumCompactors 0); compaction happens inside fold, after a look at the free space, because Badger writes
// through memory maps and a full disk kills the process. Fold, load and verify may run beside get.
type state struct {
	dir      string // "" for a state in memory
	fs       FS
	db       *badger.DB
	readOnly bool
	splits   [][]byte

	current atomic.Pointer[meta] // what was folded last; never nil

	foldMu    sync.Mutex          // one fold or verify at a time; it protects the fields below
	leftovers map[string]struct{} // keys with values newer than current, of a fold that did not end
	unflushed int64               // about how much was written since the opening and may not be in tables yet
	failed    error               // a write to Badger failed; nothing more is written
	onCommit  func() error        // when not nil, called before every transaction; tests end folds with it

	pinMu sync.Mutex
	pins  map[uint64]int // revisions that a running load reads, with how many do
}

func badgerOptions(dir string, logger *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = nil
	if logger != nil {
		o.Logger = badgerLog{logger}
	}
	o.MetricsEnabled = false
	o.BypassLockGuard = true // the store's own lock covers this folder
	o.SyncWrites = true
	o.DetectConflicts = false
	o.Compression = options.None
	o.BlockCacheSize = 0
	// Every block is verified by inspect, before the folder is opened and before a compaction, and every value has a
	// checksum that covers its key. Badger's own verification would make things worse: it takes a block that
	// does not check for one that does not have the key, and goes on to older values.
	o.ChecksumVerificationMode = options.NoVerification
	o.NumVersionsToKeep = 1
	o.MemTableSize = memTableBytes
	o.BaseTableSize = tableBytes
	o.TableSizeMultiplier = 1
	o.MaxLevels = maxLevels
	o.ValueLogFileSize = 1 << 20 // never written
	o.NumCompactors = 0
	// Without compactors a stall would never end. Two tables at level 0 are enough for Flatten to merge them.
	o.NumLevelZeroTables = 1
	o.NumLevelZeroTablesStall = math.MaxInt32
	return o
}

// openState opens the state that inspect described. Nothing in the folder is changed when readOnly is set.
func openState(f *folder, files FS, readOnly bool, logger *slog.Logger) (*state, error) {
	m, err := f.meta()
	if err != nil {
		return nil, err
	}
	if f.drops && !readOnly {
		if err := f.rehearse(files, logger); err != nil {
			return nil, err
		}
	}
	o := badgerOptions(f.dir, logger)
	if readOnly {
		mirror, err := f.mirror()
		if err != nil {
			return nil, fmt.Errorf("prepare a read-only view of %s: %w", f.dir, err)
		}
		// Badger has every file open from here on, so nothing is left behind however the process ends.
		defer os.RemoveAll(mirror)
		o.Dir, o.ValueDir, o.ReadOnly = mirror, mirror, true
	} else {
		// Badger turns write-ahead files into tables on opening.
		if err := checkSpace(files, f.dir, tableSize(f.unflushed())); err != nil {
			return nil, err
		}
		if err := f.admit(); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", f.dir, err)
		}
	}
	db, err := badger.OpenManaged(o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.dir, diskError(err))
	}
	s := newState(f.dir, files, db, m)
	s.readOnly, s.splits = readOnly, f.splits
	if f.maxTs > timestamp(m.rev) {
		s.findLeftovers()
	}
	return s, nil
}

// rehearse reads the whole state as Badger will see it, before Badger removes for good what it makes no sense of:
// after a crash that is what nobody was told is there, but it may be what was damaged.
func (f *folder) rehearse(files FS, logger *slog.Logger) error {
	s, err := openState(f, files, true, logger)
	if err != nil {
		return err
	}
	err = s.load(context.Background(), 2, func(_, _ []byte) error { return nil })
	return errors.Join(err, s.close())
}

// newMemoryState opens an empty state that lives in memory.
func newMemoryState(files FS, logger *slog.Logger) (*state, error) {
	o := badgerOptions("", logger)
	o.InMemory = true
	db, err := badger.OpenManaged(o)
	if err != nil {
		return nil, fmt.Errorf("open a state in memory: %w", err)
	}
	return newState("", files, db, meta{}), nil
}

// createState makes a new, empty state in the missing or empty folder dir and leaves Badger open.
func createState(dir string, files FS, logger *slog.Logger) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diskError(err)
	}
	if err := checkSpace(files, dir, 0); err != nil {
		return nil, err
	}
	db, err := badger.OpenManaged(badgerOptions(dir, logger))
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", dir, diskError(err))
	}
	return newState(dir, files, db, meta{}), nil
}

func newState(dir string, files FS, db *badger.DB, m meta) *state {
	s := &state{dir: dir, fs: files, db: db, leftovers: map[string]struct{}{}, pins: map[uint64]int{}}
	s.current.Store(&m)
	return s
}

// findLeftovers collects the keys of an unfinished fold: those with a version newer than the current revision.
func (s *state) findLeftovers() {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	o := badger.IteratorOptions{AllVersions: true, SinceTs: timestamp(s.current.Load().rev)}
	it := txn.NewIterator(o)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if key := it.Item().Key(); key[0] < firstOwnKind {
			s.leftovers[string(key)] = struct{}{}
		}
	}
}

// close flushes what is not in tables yet and closes Badger.
func (s *state) close() error {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	if s.dir != "" && !s.readOnly {
		if err := checkSpace(s.fs, s.dir, tableSize(min(s.unflushed, memTableBytes))); err != nil && s.unflushed > 0 {
			// Flushing would kill the process. Nothing is lost without it: all of it is in the write-ahead
			// file, and the next Open reads that. What Badger holds in memory is left to the garbage
			// collector as far as it can be.
			return fmt.Errorf("close %s: its last flush is left to the next opening: %w", s.dir, err)
		}
	}
	err := s.db.Close()
	if s.readOnly {
		return nil // there was nothing to write, and the mirror that Badger wants to sync is gone
	}
	if err != nil {
		return fmt.Errorf("close %s: %w", s.dir, diskError(err))
	}
	return nil
}

// get calls fn with the value that key had in the folded state of revision at, which is valid during fn only.
func (s *state) get(at uint64, key []byte, fn func(value []byte) error) (err error) {
	return s.getEnvelope(timestamp(min(at, s.current.Load().rev)), key, func(payload, _ []byte) error { return fn(payload) })
}

// getEnvelope calls fn with the payload under key at timestamp ts, and with the envelope around it.
func (s *state) getEnvelope(ts uint64, key []byte, fn func(payload, env []byte) error) (err error) {
	inCaller := false
	defer s.guard(&inCaller, &err)()
	txn := s.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return s.damaged("a value cannot be read", err)
	}
	return item.Value(func(env []byte) error {
		payload, err := s.open(item, env)
		if err != nil {
			return err
		}
		inCaller = true // not reset in a defer: guard has to see it when fn panics
		err = fn(payload, env)
		inCaller = false
		return err
	})
}

// open checks an envelope and returns its payload.
func (s *state) open(item *badger.Item, env []byte) ([]byte, error) {
	payload, rev, ok := openEnvelope(item.Key(), env)
	if !ok {
		return nil, s.damaged(fmt.Sprintf("the value of key %x does not match its checksum", item.Key()), nil)
	}
	if timestamp(rev) != item.Version() {
		return nil, s.damaged(fmt.Sprintf("the value of key %x is of revision %d, not %d", item.Key(), rev, item.Version()-1), nil)
	}
	return payload, nil
}

func (s *state) damaged(what string, cause error) error {
	dir := s.dir
	if dir == "" {
		dir = "memory"
	}
	return &CorruptError{Path: dir, What: what, Err: cause}
}

// guard returns a function to defer around reads of Badger. It turns a panic of Badger over a damaged block,
// and the fault that a failing disk causes in a memory map, into *err; one of the caller's own function, while
// *inCaller is set, goes on.
func (s *state) guard(inCaller *bool, err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if *inCaller {
			return
		}
		if r := recover(); r != nil {
			*err = s.damaged(fmt.Sprintf("reading it ended in a panic: %v", r), nil)
		}
	}
}

// load calls fn for every live value of the current revision, from as many goroutines as workers says, and
// compares count and digest of what it read with the meta value.
func (s *state) load(ctx context.Context, workers int, fn func(key, value []byte) error) error {
	m := s.pin()
	defer s.unpin(m.rev)
	ranges := s.ranges(workers)
	var (
		mu    sync.Mutex // protects total and first
		total digest
		first error
		next  atomic.Int64
		wg    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(workers, len(ranges)) {
		wg.Go(func() {
			var d digest
			var err error
			for i := next.Add(1) - 1; i < int64(len(ranges)) && err == nil; i = next.Add(1) - 1 {
				err = s.loadRange(ctx, timestamp(m.rev), ranges[i], &d, fn)
			}
			mu.Lock()
			defer mu.Unlock()
			total.merge(d)
			if first == nil && err != nil {
				first = err
				cancel()
			}
		})
	}
	wg.Wait()
	if first != nil {
		return first
	}
	if total != m.digest {
		return s.mismatch(m, total)
	}
	return nil
}

// mismatch says what a load that did not find what was folded looks like, naming a file where one can be blamed.
func (s *state) mismatch(m *meta, got digest) error {
	if s.dir != "" {
		if _, err := s.inspect(context.Background()); errors.Is(err, ErrCorrupt) {
			return err
		}
	}
	what := fmt.Sprintf("revision %d has %d values, %d were found", m.rev, m.digest.count, got.count)
	if got.count == m.digest.count {
		what = fmt.Sprintf("revision %d has %d values, of which some are not the newest", m.rev, m.digest.count)
	}
	return s.damaged(what, nil)
}

// keyRange is the keys from left, including it, to right. An empty right is the first of our own keys.
type keyRange struct{ left, right []byte }

// ranges divides the keys so that each worker gets several parts: they are only roughly of the same size.
func (s *state) ranges(workers int) []keyRange {
	parts := min(max(workers, 1)*8, len(s.splits)+1)
	ranges := make([]keyRange, 0, parts)
	var left []byte
	for i := 1; i < parts; i++ {
		right := s.splits[i*len(s.splits)/parts]
		if !bytes.Equal(left, right) {
			ranges = append(ranges, keyRange{left, right})
			left = right
		}
	}
	return append(ranges, keyRange{left, []byte{firstOwnKind}})
}

// loadRange calls fn for the values of one range and adds them to d.
func (s *state) loadRange(ctx context.Context, ts uint64, r keyRange, d *digest, fn func(key, value []byte) error) (err error) {
	inCaller := false
	defer s.guard(&inCaller, &err)()
	txn := s.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	n := 0
	for it.Seek(r.left); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if bytes.Compare(key, r.right) >= 0 {
			break
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := item.Value(func(env []byte) error {
			payload, err := s.open(item, env)
			if err != nil {
				return err
			}
			d.add(key, env)
			inCaller = true
			err = fn(key, payload)
			inCaller = false
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pin keeps the current revision readable until unpin, whatever folds happen meanwhile.
func (s *state) pin() *meta {
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	m := s.current.Load()
	s.pins[m.rev]++
	return m
}

func (s *state) unpin(rev uint64) {
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	if s.pins[rev]--; s.pins[rev] == 0 {
		delete(s.pins, rev)
	}
}

// verify checks every byte of the folder against its checksum, and every value against the digest.
func (s *state) verify(ctx context.Context, report func(string)) error {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	if s.dir != "" {
		f, err := s.inspect(ctx)
		if err != nil {
			return err
		}
		m, err := f.meta()
		if err != nil {
			return err
		}
		if cur := s.current.Load(); m.rev != cur.rev {
			return s.damaged(fmt.Sprintf("its files hold revision %d, not %d", m.rev, cur.rev), nil)
		}
		var bytes int64
		for _, t := range f.tables {
			bytes += t.size
		}
		report(fmt.Sprintf("%s: %d tables, %d bytes, %d write-ahead files", s.dir, len(f.tables), bytes, len(f.wals)))
	}
	if err := s.load(ctx, 2, func(_, _ []byte) error { return nil }); err != nil {
		return err
	}
	m := s.current.Load()
	report(fmt.Sprintf("state of revision %d: %d values", m.rev, m.digest.count))
	return nil
}

// inspect inspects the folder while Badger has it open. Badger may be making a table of a write-ahead file
// meanwhile: it adds to the MANIFEST, then cuts the file to nothing, then removes it. Whatever looks wrong is
// therefore looked at again, and believed once it has stayed wrong for a while.
func (s *state) inspect(ctx context.Context) (*folder, error) {
	const looks = 10
	for look := 1; ; look++ {
		f, err := inspect(ctx, s.dir)
		if err == nil {
			err = s.manifestIs(f.manifestEnd)
		}
		if err == nil || look == looks || ctx.Err() != nil {
			return f, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// manifestIs returns an error unless the MANIFEST is as long as what was read of it.
func (s *state) manifestIs(end int64) error {
	path := filepath.Join(s.dir, manifestName)
	info, err := os.Stat(path)
	if err == nil && !s.readOnly && info.Size() != end {
		err = &CorruptError{Path: path, What: "its last change is cut off"}
	}
	return err
}

// size returns the number and length of Badger's tables.
func (s *state) size() (tables int, bytes int64) {
	for _, l := range s.db.Levels() {
		tables += l.NumTables
		bytes += l.Size
	}
	return tables, bytes
}

// checkSpace returns ErrDiskFull unless n bytes, and spareBytes more, can be written in dir.
func checkSpace(files FS, dir string, n int64) error {
	free, err := files.Free(dir)
	if err != nil {
		return err
	}
	if free < n+spareBytes {
		return fmt.Errorf("%s: %d bytes are needed, %d are free: %w", dir, n+spareBytes, free, ErrDiskFull)
	}
	return nil
}

// tableSize estimates the size of the tables that n bytes of a write-ahead file become, generously.
func tableSize(n int64) int64 { return n + n/4 }

// badgerLog passes Badger's messages to the host's logger.
type badgerLog struct{ l *slog.Logger }

func (b badgerLog) Errorf(f string, a ...any)   { b.log(slog.LevelError, f, a) }
func (b badgerLog) Warningf(f string, a ...any) { b.log(slog.LevelWarn, f, a) }
func (b badgerLog) Infof(f string, a ...any)    { b.log(slog.LevelDebug, f, a) }
func (b badgerLog) Debugf(f string, a ...any)   { b.log(slog.LevelDebug, f, a) }

func (b badgerLog) log(level slog.Level, format string, args []any) {
	if ctx := context.Background(); b.l.Enabled(ctx, level) {
		b.l.Log(ctx, level, "badger: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

// stateDir and journalDir are the two folders of a store.
func stateDir(dir string) string   { return filepath.Join(dir, "state") }
func journalDir(dir string) string { return filepath.Join(dir, "journal") }
