package store

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/ristretto/v2/z"
	"google.golang.org/protobuf/proto"
)

const (
	// streamBytes is how much is handed to Badger's stream writer at a time.
	streamBytes = 4 << 20

	// tableFill is how much goes into one table, so far below its capacity that Badger never ends one itself.
	tableFill = tableBytes * 3 / 4
)

// fill writes puts and caller as the state of revision rev into a state that is empty and in use by nobody
// else. As long as the keys ascend, values go straight into tables at the lowest level, without a write-ahead
// file; from the first key that does not, they are gathered in memory and folded over the others.
func (s *state) fill(rev uint64, caller []byte, puts Puts) error {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	if len(caller) > MaxValueBytes-metaBytes {
		return fmt.Errorf("%d bytes to store beside the revision: %w", len(caller), ErrTooLarge)
	}
	stream, err := s.newStream(rev)
	if err != nil {
		return err
	}
	defer stream.cancel()
	rest := &batch{rev: rev}
	err = puts(func(key, value []byte) error {
		if len(rest.entries) == 0 && bytes.Compare(key, stream.last) > 0 {
			return stream.add(key, value)
		}
		return rest.add(key, value)
	})
	if err != nil {
		return err
	}
	if err := stream.finish(); err != nil {
		return err
	}
	rest.sort()
	d, err := s.nextDigest(stream.digest, timestamp(rev), rest)
	if err != nil {
		return err
	}
	if err := s.checkFoldSpace(rest); err != nil {
		return err
	}
	return s.commit(rest, &meta{rev: rev, digest: d, caller: bytes.Clone(caller)}, rev)
}

// stream feeds Badger's stream writer, which panics in its own goroutine on keys out of order, and on the error
// of writing a table when it goes on to the next of the same stream. So keys are compared before, and each table
// is a stream of its own: the error of ending a stream is returned.
type stream struct {
	s      *state
	rev    uint64
	w      *badger.StreamWriter
	buf    *z.Buffer
	kv     pb.KV
	one    batch // checks and seals one entry at a time
	coded  []byte
	last   []byte // the last key
	table  int64  // bytes in the current table
	total  int64  // bytes handed over
	free   int64  // on disk when the stream began
	digest digest
}

func (s *state) newStream(rev uint64) (*stream, error) {
	st := &stream{s: s, rev: rev, w: s.db.NewStreamWriter(), buf: z.NewBuffer(streamBytes+MaxValueBytes, "store"), one: batch{rev: rev}}
	var err error
	if st.free, err = s.fs.Free(s.dir); err != nil {
		return nil, err
	}
	if err := st.w.Prepare(); err != nil {
		st.w.Cancel()
		return nil, fmt.Errorf("prepare %s: %w", s.dir, diskError(err))
	}
	return st, nil
}

// add hands one value over; key must be greater than all before.
func (st *stream) add(key, value []byte) error {
	st.one.entries, st.one.chunk = st.one.entries[:0], st.one.chunk[:0]
	if err := st.one.add(key, value); err != nil {
		return err
	}
	e := st.one.entries[0]
	st.last = append(st.last[:0], key...)
	st.digest.add(e.key, e.env)
	size := int64(len(e.key) + len(e.env) + entryBytes)
	if st.table += size; st.table > tableFill {
		if err := st.put(&pb.KV{StreamId: st.kv.StreamId, StreamDone: true}); err != nil {
			return err
		}
		st.kv.StreamId++
		st.table = size
	}
	st.kv.Key, st.kv.Value, st.kv.Version = e.key, e.env, timestamp(st.rev)
	if err := st.put(&st.kv); err != nil {
		return err
	}
	if st.buf.LenNoPadding() >= streamBytes {
		return st.flush()
	}
	return nil
}

// put appends kv to the buffer.
func (st *stream) put(kv *pb.KV) (err error) {
	if st.coded, err = (proto.MarshalOptions{}).MarshalAppend(st.coded[:0], kv); err == nil {
		copy(st.buf.SliceAllocate(len(st.coded)), st.coded)
	}
	return err
}

// flush gives the buffer to Badger, if there is room on disk for what it becomes.
func (st *stream) flush() error {
	if st.buf.LenNoPadding() == 0 {
		return nil
	}
	st.total += int64(st.buf.LenNoPadding())
	// Tables are written some time after their content is handed over, so what is free now is not enough to know.
	if need := tableSize(st.total) + spareBytes; need > st.free {
		return fmt.Errorf("%s: %d bytes are needed, %d were free: %w", st.s.dir, need, st.free, ErrDiskFull)
	}
	if err := checkSpace(st.s.fs, st.s.dir, min(tableSize(st.total), 2*tableBytes)); err != nil {
		return err
	}
	if err := st.w.Write(st.buf); err != nil {
		return diskError(err)
	}
	st.buf.Reset()
	return nil
}

// finish makes everything handed over durable.
func (st *stream) finish() error {
	err := st.flush()
	if err == nil {
		err = st.w.Flush()
		st.w = nil
	}
	return diskError(err)
}

// cancel ends a stream that finish has not ended, and releases the buffer.
func (st *stream) cancel() {
	if st.w != nil {
		st.w.Cancel()
	}
	_ = st.buf.Release() // memory only; it cannot fail
}
