package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	firstSegmentBytes   = 1 << 20  // size of the first segment of a journal
	defaultSegmentBytes = 64 << 20 // largest size that segments grow to unless a frame needs more
	segmentUnit         = 4 << 10  // segments are multiples of this
	freeMargin          = 4 << 20  // a segment is only made if this much is left free after it
	keepBuffer          = 1 << 20  // a buffer larger than this is not kept after the frame that needed it
	spareName           = "spare"
)

// Record is one record of the journal. Data is the reader's to keep.
type Record struct {
	Revision uint64
	Data     []byte
}

// journalOptions says how openJournal opens.
type journalOptions struct {
	readOnly     bool  // write nothing, not even to repair what a crash left
	segmentBytes int64 // largest segment; 0: defaultSegmentBytes. Taken when the next segment is made.
}

// A journal is the log of a store: records with consecutive revisions, in a folder of segment files.
//
// A segment is zeroed and flushed before it is used, so that an append is one write into blocks that the file
// already has and one fdatasync that has no metadata to carry. While one segment fills up, the next is made
// under the name `spare`. When a frame does not fit any more, the spare gets its header, is flushed, gets its
// number for a name, and a seal is written into the old segment, in this order: at every moment between, what
// is on disk is one unbroken journal.
//
// One goroutine appends. Everything else may be called from any goroutine beside it.
type journal struct {
	fs   FS
	dir  string
	uuid [16]byte
	opts journalOptions

	appendMu sync.Mutex // held during append and close: guards the fields that they alone use
	file     File       // the last segment; guarded by appendMu
	buf      []byte     // the frame being written; guarded by appendMu
	asked    uint64     // the segment for which a spare was asked for in the background; guarded by appendMu

	spareMu   sync.Mutex // held while the spare is made or put to use, which may take long. Taken before mu.
	spare     File       // zeroed and flushed; nil if there is none; guarded by spareMu
	spareSize int64      // guarded by spareMu

	retireMu   sync.Mutex     // one retire at a time
	background sync.WaitGroup // the goroutine that makes the spare; waited for in close

	mu     sync.Mutex // never held during a read or write of a file
	segs   []*segment // oldest first, at least one; guarded by mu, and what it points to too
	failed error      // why the journal stopped; guarded by mu
	closed bool       // guarded by mu
}

// createJournal makes the journal of a new store: the folder and a first segment, ready for the record of
// revision first. All of it is durable when it returns; a call that was cut short is repeated in an empty folder.
func createJournal(fsys FS, dir string, uuid [16]byte, first uint64) error {
	return createJournalSize(fsys, dir, uuid, first, firstSegmentBytes)
}

func createJournalSize(fsys FS, dir string, uuid [16]byte, first uint64, size int64) error {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create journal: %w", diskError(err))
	}
	h := segmentHeader{uuid: uuid, number: 1, first: first, size: size}
	if err := createSegment(fsys, segmentPath(dir, h.number), h); err != nil {
		return fmt.Errorf("create journal: %w", diskError(err))
	}
	if err := writeOldest(fsys, dir, uuid, h.number); err != nil { // flushes the folder too
		return fmt.Errorf("create journal: %w", diskError(err))
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("create journal: %w", err)
	}
	return nil
}

// openJournal opens the journal in dir after reading and checking all of it. The torn last frame of a crash, which
// nobody was told is durable, is dropped; any other difference from what was written is a *CorruptError.
// What was written by a process that was killed before its flush is kept, and flushed now.
func openJournal(fsys FS, dir string, uuid [16]byte, o journalOptions) (*journal, error) {
	if o.segmentBytes <= 0 {
		o.segmentBytes = defaultSegmentBytes
	}
	j := &journal{fs: fsys, dir: dir, uuid: uuid, opts: o}
	numbers, stale, err := j.list()
	if err != nil {
		return nil, err
	}
	if err := j.load(numbers); err != nil {
		j.closeFile()
		return nil, err
	}
	if o.readOnly {
		return j, nil
	}
	for _, name := range stale {
		if err := fsys.Remove(filepath.Join(dir, name)); err != nil {
			j.closeFile()
			return nil, err
		}
	}
	return j, nil
}

// list returns the numbers of the segments, which it has found to be complete as far as names can tell, and the
// names of files that an interrupted operation left behind.
func (j *journal) list() (numbers []uint64, stale []string, err error) {
	entries, err := j.fs.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &CorruptError{Path: j.dir, What: "the journal is missing", Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	oldest, err := readOldest(j.fs, j.dir, j.uuid)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		n, ok := segmentNumber(e.Name())
		switch {
		case ok && n >= oldest:
			numbers = append(numbers, n)
		case ok, e.Name() == spareName, e.Name() == oldestTemp:
			stale = append(stale, e.Name())
		}
	}
	slices.Sort(numbers)
	for i := range max(len(numbers), 1) {
		if want := oldest + uint64(i); i == len(numbers) || numbers[i] != want {
			return nil, nil, &CorruptError{Path: segmentPath(j.dir, want), What: "a segment of the journal is missing"}
		}
	}
	return numbers, stale, nil
}

// load reads the segments and checks that each continues the one before. It leaves the last one open in j.file,
// with everything repaired and flushed, unless the journal is read-only.
func (j *journal) load(numbers []uint64) error {
	flag := os.O_RDWR
	if j.opts.readOnly {
		flag = os.O_RDONLY
	}
	var seal seal
	for i, n := range numbers {
		mode := os.O_RDONLY
		if i >= len(numbers)-2 { // the last two are the only ones that may need a repair
			mode = flag
		}
		f, s, err := openSegment(j.fs, segmentPath(j.dir, n), mode, j.uuid, n)
		if err != nil {
			return err
		}
		before, beforeSeal := j.file, seal
		j.file = f
		if seal, err = s.scan(f); err == nil && i > 0 {
			err = j.link(before, j.segs[i-1], beforeSeal, s, i == len(numbers)-1)
		}
		if before != nil {
			before.Close()
		}
		if err != nil {
			return err
		}
		j.segs = append(j.segs, s)
	}
	last := j.current()
	if last.sealed {
		return &CorruptError{Path: segmentPath(j.dir, last.number+1), What: "a segment of the journal is missing"}
	}
	return j.repair(last)
}

// link checks that segment s continues a. A crash after s got its name and before a was sealed is made good.
func (j *journal) link(file File, a *segment, seal seal, s *segment, isLast bool) error {
	if a.sealed {
		if seal.number != s.number || seal.crc != s.crc {
			return &CorruptError{Path: s.path, What: "not the segment that the one before names"}
		}
	} else if !isLast || !s.blank() {
		return a.damaged(a.end, "the segment is not sealed, and yet the journal goes on in the next one")
	}
	if s.first != a.next || s.chain != a.prev {
		return &CorruptError{Path: a.path, What: fmt.Sprintf("ends before revision %d, the next segment begins with %d", a.next, s.first)}
	}
	if !isLast || j.opts.readOnly {
		return nil
	}
	// The name of s and the seal may have been read from memory only. They become durable in the order in which
	// they were made, and before anything is written to s.
	if err := j.fs.SyncDir(j.dir); err != nil {
		return err
	}
	if a.sealed {
		return file.Sync()
	}
	if err := a.eraseTorn(file); err != nil {
		return err
	}
	a.sealed = true
	return a.writeSeal(file, &s.segmentHeader)
}

// repair makes what was read from the last segment the durable truth.
func (j *journal) repair(last *segment) error {
	if j.opts.readOnly {
		j.file.Sync() // best effort: read-only media need none, and may not allow it
		return nil
	}
	if err := last.eraseTorn(j.file); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	return j.fs.SyncDir(j.dir)
}

func (j *journal) closeFile() {
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
}

// current returns the last segment. The caller holds mu.
func (j *journal) current() *segment { return j.segs[len(j.segs)-1] }

// last returns the last segment. Only the holder of appendMu may look into it without holding mu: nobody else changes it.
func (j *journal) last() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current()
}

// head returns the last revision held; if none is, the one before that of the next record.
func (j *journal) head() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current().next - 1
}

// oldest returns the first revision held, head()+1 if none is.
func (j *journal) oldest() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segs[0].first
}

// bytesAfter returns about how many bytes of the journal follow the record of revision rev: up to markEvery
// more than it is, exactly 0 after the last one. It reads nothing from disk.
func (j *journal) bytesAfter(rev uint64) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	var n int64
	for i := len(j.segs) - 1; i >= 0; i-- {
		s := j.segs[i]
		if rev+1 >= s.next {
			break
		}
		n += s.end - s.seek(rev+1).at
	}
	return n
}

// writable returns why nothing can be written, or nil.
func (j *journal) writable() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return ErrClosed
	case j.opts.readOnly:
		return ErrReadOnly
	case j.failed != nil:
		return fmt.Errorf("%w: %w", ErrFailed, j.failed)
	}
	return nil
}

// fail stops the journal for good.
func (j *journal) fail(err error) error {
	err = diskError(err)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// append writes the records of the revisions first, first+1 … as one frame and returns when they are durable. The
// slices are only read. It makes room itself if reserve was not called: then ErrDiskFull is possible, with
// nothing changed, as it is with ErrTooLarge. After a write or flush has failed this and every later call is ErrFailed.
func (j *journal) append(first uint64, records [][]byte) error {
	j.appendMu.Lock()
	defer j.appendMu.Unlock()
	if err := j.writable(); err != nil {
		return err
	}
	body := recordsSize(records)
	cur := j.last()
	switch {
	case len(records) == 0:
		return nil
	case body > MaxFrameBytes:
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, body)
	case first != cur.next:
		return fmt.Errorf("store: revision %d cannot follow %d", first, cur.next-1)
	}
	if frameSize(body) > cur.room() {
		if err := j.rotate(frameSize(body)); err != nil {
			return err
		}
		cur = j.last()
	}
	j.buf = slices.Grow(j.buf[:0], int(frameSize(body)))[:frameHeaderSize]
	j.buf = appendRecords(j.buf, records)
	h := frameHeader{kind: kindRecords, first: first, count: uint32(len(records))}
	if err := j.write(cur, &h); err != nil {
		return err
	}
	if cap(j.buf) > keepBuffer {
		j.buf = nil
	}
	if cur.end > cur.size/2 && j.asked != cur.number {
		j.asked = cur.number
		j.prepareInBackground(cur)
	}
	return nil
}

// write finishes the frame in j.buf, writes it to the end of the last segment and flushes it.
func (j *journal) write(cur *segment, h *frameHeader) error {
	h.prev = cur.prev
	j.buf = cur.finishFrame(j.buf, cur.end, h)
	if _, err := j.file.WriteAt(j.buf, cur.end); err != nil {
		return j.fail(err)
	}
	if err := j.file.Sync(); err != nil {
		return j.fail(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	cur.add(h)
	return nil
}

// close ends the journal. Unless it is read-only or has failed, it notes that it ended in order. A second call does nothing.
func (j *journal) close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true // makes the background goroutine stop early, and every call from here on fail
	broken := j.failed != nil
	j.mu.Unlock()
	j.background.Wait()
	j.appendMu.Lock()
	defer j.appendMu.Unlock()

	var err error
	// A mark takes the place of a frame. Where there is none left, the next open does without.
	if cur := j.last(); !broken && !j.opts.readOnly && !cur.closed && cur.room() >= markSize {
		j.buf = slices.Grow(j.buf[:0], markSize)[:frameHeaderSize]
		err = j.write(cur, &frameHeader{kind: kindClose, first: cur.next})
	}
	if e := j.file.Close(); err == nil {
		err = e
	}
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	if e := j.dropSpare(); err == nil {
		err = e
	}
	return err
}
