package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// segment is what the journal knows of one of its files. All but the last one of a journal never change.
type segment struct {
	segmentHeader
	path   string
	end    int64  // where the frames end; the seal stands there in a sealed segment
	next   uint64 // revision of the record that comes next
	prev   uint32 // crc of the last frame before end
	torn   int64  // only while opening: end of what a torn frame left behind after end; 0 if there is none
	sealed bool
	closed bool // the last frame is a close mark
	marks  []mark
}

// mark is a place in a segment where a frame of records begins. One is kept for every markEvery bytes, so that a
// reader need not start at the beginning of the segment.
type mark struct {
	first uint64 // revision of the frame's first record
	at    int64
	prev  uint32 // crc of the frame before
}

const markEvery = 64 << 10

const segmentSuffix = ".log"

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%010d%s", number, segmentSuffix))
}

// segmentNumber returns the number in the name of a segment file; false for any other name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) < 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && filepath.Base(segmentPath("", n)) == name
}

func newSegment(path string, h segmentHeader) *segment {
	return &segment{segmentHeader: h, path: path, end: sectorSize, next: h.first, prev: h.crc}
}

// blank reports whether no frame was ever begun in the segment.
func (s *segment) blank() bool { return s.end == sectorSize && s.torn == 0 && !s.sealed }

// room returns the size of the largest frame that fits, a seal after it.
func (s *segment) room() int64 { return s.size - s.end - markSize }

// add takes note of the frame that was written at s.end.
func (s *segment) add(h *frameHeader) {
	if h.kind == kindRecords && (len(s.marks) == 0 || s.end-s.marks[len(s.marks)-1].at >= markEvery) {
		s.marks = append(s.marks, mark{first: h.first, at: s.end, prev: s.prev})
	}
	s.end += frameSize(int64(h.length))
	s.next += uint64(h.count)
	s.prev = h.crc
	s.closed = h.kind == kindClose
}

// seek returns a place at or before the frame that holds the revision rev, and as near to it as the marks allow.
func (s *segment) seek(rev uint64) mark {
	best := mark{first: s.first, at: sectorSize, prev: s.crc}
	for lo, hi := 0, len(s.marks); lo < hi; {
		mid := int(uint(lo+hi) / 2)
		if s.marks[mid].first <= rev {
			best, lo = s.marks[mid], mid+1
		} else {
			hi = mid
		}
	}
	return best
}

// reader returns a reader of the frames from m to limit.
func (s *segment) reader(f io.ReaderAt, m mark, limit int64) *frameReader {
	return &frameReader{f: f, seg: &s.segmentHeader, off: m.at, next: m.first, prev: m.prev, limit: limit}
}

func (s *segment) damaged(at int64, what string) error {
	return &CorruptError{Path: s.path, What: fmt.Sprintf("byte %d: %s", at, what)}
}

// openSegment opens the file of a segment and reads its header, which has to be that of segment number of journal uuid.
func openSegment(fsys FS, path string, flag int, uuid [16]byte, number uint64) (File, *segment, error) {
	f, err := fsys.OpenFile(path, flag, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &CorruptError{Path: path, What: "a segment of the journal is missing", Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := readSegmentHeader(f, path, uuid, number)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, s, nil
}

func readSegmentHeader(f File, path string, uuid [16]byte, number uint64) (*segment, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size < sectorSize {
		return nil, &CorruptError{Path: path, What: fmt.Sprintf("cut off: %d bytes long", size)}
	}
	b := make([]byte, sectorSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	h, err := parseSegmentHeader(b)
	if errors.Is(err, ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	what := ""
	switch {
	case err != nil:
		what = "byte 0: " + err.Error()
	case h.uuid != uuid:
		what = "belongs to another store"
	case h.number != number:
		what = fmt.Sprintf("is segment %d under the name of %d", h.number, number)
	case h.size != size:
		what = fmt.Sprintf("%d bytes long instead of %d", size, h.size)
	default:
		return newSegment(path, h), nil
	}
	return nil, &CorruptError{Path: path, What: what}
}

// seal is what the last frame of a segment says: where the journal goes on. It is zero if there is none.
type seal struct {
	number uint64 // of the next segment
	crc    uint32 // of its header
}

// scan reads every byte after the header. It sets end, next, prev, sealed, closed, torn and marks, and returns the
// seal, or a *CorruptError.
func (s *segment) scan(f io.ReaderAt) (seal, error) {
	r := s.reader(f, mark{first: s.first, at: sectorSize, prev: s.crc}, s.size)
	for {
		fr, state, err := r.read()
		switch {
		case err != nil:
			return seal{}, fmt.Errorf("read %s: %w", s.path, err)
		case state != frameWhole:
			return seal{}, s.scanTail(r, fr, state)
		case fr.kind == kindSeal:
			body := fr.clear(s)
			if len(body) != 12 {
				return seal{}, s.damaged(s.end, "a seal of an impossible length")
			}
			s.sealed = true
			next := seal{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint32(body[8:])}
			if end, err := r.lastNonZero(r.off); err != nil {
				return seal{}, fmt.Errorf("read %s: %w", s.path, err)
			} else if end > r.off {
				return seal{}, s.damaged(r.off, "data after the seal")
			}
			return next, nil
		}
		s.add(&fr.frameHeader)
		if s.room() < 0 {
			return seal{}, s.damaged(fr.at, "a frame that leaves no room for a seal")
		}
	}
}

// scanTail decides what to make of the bytes from s.end on, which are not a whole frame: nothing (the frames end
// here), the torn last write of a crash (s.torn is set), or damage. See the top of frame.go for the reasoning.
func (s *segment) scanTail(r *frameReader, fr frame, state frameState) error {
	after := s.end + frameHeaderSize // where there has to be nothing
	torn := true
	switch state {
	case frameMisplaced:
		return s.damaged(s.end, "a frame that does not continue the one before it")
	case frameBroken:
		after = s.end + int64(len(fr.raw))
		torn = fr.raw[len(fr.raw)-1] == 0 || hasZeroSector(fr.raw, s.end)
	}
	end, err := r.lastNonZero(after)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	switch {
	case state == frameBroken && !torn:
		return s.damaged(s.end, "checksum of a frame does not match")
	case state == frameBroken && end > after:
		return s.damaged(s.end, "checksum of a frame does not match, and there is data after it")
	case end > after:
		return s.scanHeadless(r, end)
	}
	head, err := r.window(s.end, min(after, s.size)-s.end)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	if !allZero(head) {
		s.torn = after
	}
	return nil
}

// scanHeadless is scanTail where no frame begins at s.end and yet there is data, up to end. That is a torn
// frame if the sector with its header was not written, and with it nothing after it was.
func (s *segment) scanHeadless(r *frameReader, end int64) error {
	sector := (s.end/sectorSize + 1) * sectorSize
	b, err := r.window(s.end, min(sector, s.size)-s.end)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	if !allZero(b) {
		return s.damaged(s.end, "not a frame")
	}
	for at := sector; at+frameHeaderSize <= end; at += frameAlign {
		b, err := r.window(at, frameHeaderSize)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.path, err)
		}
		if _, ok := s.parseFrameHeader(b); ok {
			return s.damaged(s.end, fmt.Sprintf("zeros, and a frame after them at byte %d", at))
		}
	}
	s.torn = end
	return nil
}

// hasZeroSector reports whether a sector of the file, or as much of it as belongs to the frame at offset at,
// reads as zero: it was never written, since no part of a frame that falls in a sector is all zero.
func hasZeroSector(raw []byte, at int64) bool {
	for len(raw) > 0 {
		n := min(int64(len(raw)), sectorSize-at%sectorSize)
		if allZero(raw[:n]) {
			return true
		}
		raw, at = raw[n:], at+n
	}
	return false
}

// eraseTorn zeroes what a torn frame left behind, so that the space can be used again. The header of the frame goes
// last: a crash in between leaves a frame that is as torn as before, and never one that looks damaged.
func (s *segment) eraseTorn(f File) error {
	if s.torn == 0 {
		return nil
	}
	body := min(s.end+frameHeaderSize, s.torn)
	for _, part := range [][2]int64{{body, s.torn}, {s.end, body}} {
		if part[0] == part[1] {
			continue
		}
		if err := writeZeros(f, part[0], part[1], nil); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	s.torn = 0
	return nil
}

// writeSeal writes the frame that ends s, naming the segment that the journal goes on in, and flushes it.
func (s *segment) writeSeal(f File, next *segmentHeader) error {
	h := frameHeader{kind: kindSeal, first: s.next, prev: s.prev}
	b := s.finishFrame(appendSeal(make([]byte, frameHeaderSize, markSize), next), s.end, &h)
	if _, err := f.WriteAt(b, s.end); err != nil {
		return err
	}
	return f.Sync()
}

// writeZeros writes zeros to a range of a file. It asks stop, if that is not nil, from time to time whether to give up.
func writeZeros(f File, from, to int64, stop func() error) error {
	// Flushed in pieces: appends to the journal go on beside this, and their flush waits for what is in the queue.
	const piece, flushEvery = 256 << 10, 4 << 20
	zeros := make([]byte, min(piece, to-from))
	for start := from; from < to; {
		if stop != nil {
			if err := stop(); err != nil {
				return err
			}
		}
		n := min(piece, to-from)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		if from += n; from < to && (from-start)%flushEvery == 0 {
			if err := f.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// createSegment writes and flushes the file of an empty segment under a name that must not be in use.
func createSegment(fsys FS, path string, h segmentHeader) error {
	f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := writeZeros(f, sectorSize, h.size, nil); err != nil {
		f.Close()
		return err
	}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
