package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// A fold writes values at the timestamp of its revision, in as many transactions as they need, each flushed to
// disk, and the meta value in the last one. Until that is durable every reader reads at the timestamp of the
// revision before and sees nothing of the fold. What an interrupted fold left behind is invisible for the same
// reason, but would show up once the current revision has passed it: so the next fold writes each such key
// again, with the value that it has now.

const (
	// compactAt and compactLimit are the numbers of level 0 tables from which on a fold compacts first: from
	// compactAt on when they hold at least half of what the other levels hold, so that a value is written again
	// about three times in its life; from compactLimit on always, because each table slows down every read.
	compactAt    = 4
	compactLimit = 24

	// inFlight is how many transactions may be on their way to the disk at once, of up to 2.4 MiB each.
	inFlight = 4

	// entryBytes is what Badger adds to a key and a value in its write-ahead file, at most.
	entryBytes = 22 + tsBytes + 4
)

// batch is what one fold writes, in memory and sorted by key.
type batch struct {
	rev     uint64
	entries []entry
	chunk   []byte // where the next entry goes; entries share its memory
	bytes   int64  // of all keys and envelopes
}

type entry struct {
	key, env []byte
	// gone marks a key that is deleted: one that only an unfinished fold wrote.
	gone bool
}

// add copies a value into the batch, after checking that it may be stored.
func (b *batch) add(key, value []byte) error {
	switch {
	case len(key) == 0 || key[0] >= firstOwnKind || bytes.HasPrefix(key, []byte("!badger!")):
		return fmt.Errorf("store: %q is not a key that can be used", key)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("a key of %d bytes: %w", len(key), ErrTooLarge)
	case len(value) > MaxValueBytes:
		return fmt.Errorf("a value of %d bytes under key %x: %w", len(value), key, ErrTooLarge)
	}
	b.append(key, value)
	return nil
}

// append is add for keys that need no check.
func (b *batch) append(key, value []byte) {
	need := len(key) + len(value) + envelopeBytes
	if cap(b.chunk)-len(b.chunk) < need {
		b.chunk = make([]byte, 0, max(need, 1<<18))
	}
	at := len(b.chunk)
	b.chunk = append(b.chunk, key...)
	mid := len(b.chunk)
	b.chunk = appendEnvelope(b.chunk, key, value, b.rev)
	end := len(b.chunk)
	b.entries = append(b.entries, entry{key: b.chunk[at:mid:mid], env: b.chunk[mid:end:end]})
	b.bytes += int64(need)
}

// sort puts the entries in order of their keys and keeps the last one of each.
func (b *batch) sort() {
	byKey := func(x, y entry) int { return bytes.Compare(x.key, y.key) }
	if !slices.IsSortedFunc(b.entries, byKey) {
		slices.SortStableFunc(b.entries, byKey)
	}
	kept := b.entries[:0]
	for i, e := range b.entries {
		if i+1 == len(b.entries) || !bytes.Equal(e.key, b.entries[i+1].key) {
			kept = append(kept, e)
		}
	}
	b.entries = kept
}

// walSize estimates what writing the batch adds to write-ahead files.
func (b *batch) walSize() int64 {
	return b.bytes + int64(len(b.entries)+1)*entryBytes + 64<<10
}

// fold makes puts, applied to the current state, the state of revision rev, and caller the bytes beside it.
// Values that readers of revision keep and later ones see stay readable.
func (s *state) fold(rev uint64, caller []byte, keep uint64, puts Puts) error {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("%w: %w", ErrFailed, s.failed)
	}
	cur := s.current.Load()
	if rev < cur.rev {
		return fmt.Errorf("store: fold to revision %d: the state is at %d", rev, cur.rev)
	}
	if len(caller) > MaxValueBytes-metaBytes {
		return fmt.Errorf("%d bytes to store beside the revision: %w", len(caller), ErrTooLarge)
	}
	b := &batch{rev: rev}
	if err := puts(b.add); err != nil {
		return err
	}
	if rev == cur.rev && s.hasMeta() {
		if len(b.entries) > 0 || !bytes.Equal(caller, cur.caller) {
			return fmt.Errorf("store: fold to revision %d: the state of that revision is written already", rev)
		}
		return nil
	}
	if err := s.compact(keep); err != nil {
		return fmt.Errorf("compact before the fold to revision %d: %w", rev, err)
	}
	b.sort()
	if err := s.addLeftovers(b); err != nil {
		return err
	}
	d, err := s.nextDigest(cur.digest, timestamp(cur.rev), b)
	if err != nil {
		return err
	}
	if err := s.checkFoldSpace(b); err != nil {
		return err
	}
	return s.commit(b, &meta{rev: rev, digest: d, caller: bytes.Clone(caller)}, keep)
}

// commit writes the batch and then the meta value m, and makes m the current one.
func (s *state) commit(b *batch, m *meta, keep uint64) error {
	s.unflushed += b.walSize() + int64(len(m.caller))
	if err := s.write(b.entries, m.rev); err != nil {
		return fmt.Errorf("fold to revision %d: %w", m.rev, err)
	}
	env := appendEnvelope(nil, metaKey, appendMeta(nil, *m), m.rev)
	if err := s.write([]entry{{key: metaKey, env: env}}, m.rev); err != nil {
		return fmt.Errorf("fold to revision %d: %w", m.rev, err)
	}
	clear(s.leftovers)
	s.current.Store(m)
	s.discard(keep)
	return nil
}

// hasMeta says whether the current revision was written by a fold; revision 0 need not be.
func (s *state) hasMeta() bool {
	cur := s.current.Load()
	return cur.rev > 0 || s.getEnvelope(timestamp(0), metaKey, func(_, _ []byte) error { return nil }) == nil
}

// addLeftovers adds the keys of an unfinished fold that b does not write anyway, with the values that they
// have in the current revision.
func (s *state) addLeftovers(b *batch) error {
	if len(s.leftovers) == 0 {
		return nil
	}
	if newest := s.db.MaxVersion(); newest > timestamp(b.rev) {
		return fmt.Errorf("store: fold to revision %d: an unfinished fold reached revision %d", b.rev, newest-1)
	}
	missing := make(map[string]struct{}, len(s.leftovers))
	for key := range s.leftovers {
		missing[key] = struct{}{}
	}
	for _, e := range b.entries {
		delete(missing, string(e.key))
	}
	ts := timestamp(s.current.Load().rev)
	for k := range missing {
		key := []byte(k)
		err := s.getEnvelope(ts, key, func(payload, _ []byte) error {
			b.append(key, payload)
			return nil
		})
		if err == ErrNotFound {
			b.entries = append(b.entries, entry{key: key, gone: true})
		} else if err != nil {
			return err
		}
	}
	b.sort()
	return nil
}

// nextDigest returns the digest d of the state at ts after b is written over it.
func (s *state) nextDigest(d digest, ts uint64, b *batch) (digest, error) {
	empty := d.count == 0
	for _, e := range b.entries {
		if e.gone {
			continue
		}
		if !empty {
			err := s.getEnvelope(ts, e.key, func(_, env []byte) error {
				d.subtract(e.key, env)
				return nil
			})
			if err != nil && err != ErrNotFound {
				return d, err
			}
		}
		d.add(e.key, e.env)
	}
	return d, nil
}

// checkFoldSpace returns ErrDiskFull unless there is room for the batch in write-ahead files and in tables,
// for the table that is made of what is in memory already, and for some more.
func (s *state) checkFoldSpace(b *batch) error {
	if s.dir == "" {
		return nil
	}
	wal := b.walSize()
	return checkSpace(s.fs, s.dir, wal+tableSize(wal)+tableSize(min(s.unflushed, memTableBytes)))
}

// write commits entries at the timestamp of rev, in as many transactions as needed, and returns when all are
// on disk. After an error nothing is written to Badger any more.
func (s *state) write(entries []entry, rev uint64) error {
	w := writer{s: s, ts: timestamp(rev), slots: make(chan struct{}, inFlight)}
	err := w.run(entries)
	for range inFlight {
		w.slots <- struct{}{} // wait for those on their way
	}
	if err = errors.Join(err, w.err); err != nil {
		s.failed = err
		return fmt.Errorf("%w: %w", ErrFailed, diskError(err))
	}
	// Badger does not flush the folder after it has started another write-ahead file.
	if s.dir != "" {
		if err := (OS{}).SyncDir(s.dir); err != nil {
			s.failed = err
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
	return nil
}

// writer fills one transaction after the other.
type writer struct {
	s     *state
	ts    uint64
	slots chan struct{}

	mu  sync.Mutex
	err error // of the first transaction that failed; protected by mu until all are done
}

func (w *writer) run(entries []entry) error {
	txn := w.s.db.NewTransactionAt(w.ts, true)
	defer func() { txn.Discard() }()
	for _, e := range entries {
		err := w.set(txn, e)
		if err == badger.ErrTxnTooBig {
			if err := w.commit(txn); err != nil {
				return err
			}
			txn = w.s.db.NewTransactionAt(w.ts, true)
			err = w.set(txn, e)
		}
		if err != nil {
			return err
		}
	}
	return w.commit(txn)
}

func (w *writer) set(txn *badger.Txn, e entry) error {
	if e.gone {
		return txn.Delete(e.key)
	}
	return txn.SetEntry(badger.NewEntry(e.key, e.env))
}

// commit sends a transaction on its way once there is a slot for it.
func (w *writer) commit(txn *badger.Txn) error {
	w.slots <- struct{}{}
	if w.s.onCommit != nil {
		if err := w.s.onCommit(); err != nil {
			<-w.slots
			return err
		}
	}
	w.mu.Lock()
	err := w.err
	w.mu.Unlock()
	if err != nil {
		<-w.slots
		return nil // reported by write
	}
	return txn.CommitAt(w.ts, func(err error) {
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
		w.mu.Unlock()
		<-w.slots
	})
}

// discard lets compactions drop what nobody who reads at keep or later can see.
func (s *state) discard(keep uint64) {
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	keep = min(keep, s.current.Load().rev)
	for rev := range s.pins {
		keep = min(keep, rev)
	}
	// Badger keeps, of the versions up to this timestamp, the newest of each key, and all later ones.
	s.db.SetDiscardTs(timestamp(keep))
}

// compact merges all tables into one level when enough have piled up. Without room for that it does nothing:
// reads get slower, and that is all.
func (s *state) compact(keep uint64) error {
	var top, rest int64
	levels := s.db.Levels()
	for _, l := range levels[1:] {
		rest += l.Size
	}
	top, n := levels[0].Size, levels[0].NumTables
	if n < compactAt || n < compactLimit && 2*top < rest {
		return nil
	}
	if s.dir != "" {
		if err := checkSpace(s.fs, s.dir, tableSize(top+rest)+tableSize(min(s.unflushed, memTableBytes))); err != nil {
			if errors.Is(err, ErrDiskFull) {
				return nil
			}
			return err
		}
		// A compaction would write what is damaged into new tables, with checksums that are right.
		if _, err := s.inspect(context.Background()); err != nil {
			return err
		}
	}
	s.discard(keep)
	if err := s.db.Flatten(1); err != nil {
		return diskError(err)
	}
	return nil
}
