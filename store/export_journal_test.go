package store

import (
	"context"
	"iter"
)

// Journal opens the journal to the tests, which cannot be in this package: storetest imports it.
type Journal struct{ j *journal }

const FrameHeaderSize = frameHeaderSize

func CreateJournal(fsys FS, dir string, uuid [16]byte, first uint64, size int64) error {
	return createJournalSize(fsys, dir, uuid, first, size)
}

func OpenJournal(fsys FS, dir string, uuid [16]byte, readOnly bool, segmentBytes int64) (Journal, error) {
	j, err := openJournal(fsys, dir, uuid, journalOptions{readOnly: readOnly, segmentBytes: segmentBytes})
	return Journal{j}, err
}

func (j Journal) Head() uint64                                { return j.j.head() }
func (j Journal) Oldest() uint64                              { return j.j.oldest() }
func (j Journal) Reserve(n int) error                         { return j.j.reserve(n) }
func (j Journal) Append(first uint64, records [][]byte) error { return j.j.append(first, records) }
func (j Journal) Replay(from uint64) iter.Seq2[Record, error] { return j.j.replay(from) }
func (j Journal) BytesAfter(rev uint64) int64                 { return j.j.bytesAfter(rev) }
func (j Journal) Retire(upTo uint64) error                    { return j.j.retire(upTo) }
func (j Journal) Close() error                                { return j.j.close() }
func (j Journal) Verify(ctx context.Context, report func(string)) error {
	return j.j.verify(ctx, report)
}

// Settle waits for the goroutine that makes the spare.
func (j Journal) Settle() { j.j.background.Wait() }

// Abandon leaves the journal as the death of the process would, but for the goroutine, which ends.
func (j Journal) Abandon() {
	j.j.mu.Lock()
	j.j.closed = true
	j.j.mu.Unlock()
	j.j.background.Wait()
	j.j.closeFile()
}

// Segments returns the number of segments, and the size of the last.
func (j Journal) Segments() (n int, size int64) {
	j.j.mu.Lock()
	defer j.j.mu.Unlock()
	return len(j.j.segs), j.j.current().size
}

// NewerFormat returns a segment header like b, but of the next format.
func NewerFormat(b []byte) []byte {
	h, err := parseSegmentHeader(b)
	if err != nil {
		panic(err)
	}
	return h.encodeFormat(journalFormat + 1)
}
