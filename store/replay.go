package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
)

// replay returns the records from revision from on, as far as they were durable when it was called. If from is before
// oldest(), or the records are retired while they are read, it yields ErrTrimmed; for one after head() nothing.
// The sequence may be used once or more often, beside everything else.
func (j *journal) replay(from uint64) iter.Seq2[Record, error] {
	segs, err := j.snapshot(from)
	return func(yield func(Record, error) bool) {
		if err != nil {
			yield(Record{}, err)
			return
		}
		for i := range segs {
			if !j.replaySegment(&segs[i], from, yield) {
				return
			}
		}
	}
}

// snapshot returns copies of the segments that hold the records from that revision on.
func (j *journal) snapshot(from uint64) ([]segment, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	if first := j.segs[0].first; from < first {
		return nil, fmt.Errorf("%w: revision %d, the first one kept is %d", ErrTrimmed, from, first)
	}
	var segs []segment
	for _, s := range j.segs {
		if s.next > from {
			segs = append(segs, *s)
		}
	}
	return segs, nil
}

// replaySegment yields the records of one segment; false when the iteration is over.
func (j *journal) replaySegment(s *segment, from uint64, yield func(Record, error) bool) bool {
	f, err := j.reopen(s)
	if err != nil {
		yield(Record{}, err)
		return false
	}
	defer f.Close()
	r := s.reader(f, s.seek(from), s.end)
	for r.off < r.limit {
		fr, err := r.must(s)
		if err != nil {
			yield(Record{}, err)
			return false
		}
		if fr.kind != kindRecords || r.next <= from {
			continue
		}
		// One copy for the whole frame: the records are the caller's to keep, the frame is not.
		fr.raw = slices.Clone(fr.raw)
		body := fr.clear(s)
		for i := range uint64(fr.count) {
			var record []byte
			var ok bool
			if record, body, ok = cutRecord(body); !ok {
				yield(Record{}, s.damaged(fr.at, "the records of a frame are not as many as it says"))
				return false
			}
			if rev := fr.first + i; rev >= from && !yield(Record{Revision: rev, Data: record}, nil) {
				return false
			}
		}
	}
	return true
}

// reopen opens a segment for reading, which has to be the one that was opened with the journal.
func (j *journal) reopen(s *segment) (File, error) {
	f, now, err := openSegment(j.fs, s.path, os.O_RDONLY, j.uuid, s.number)
	switch {
	case errors.Is(err, fs.ErrNotExist) && j.oldest() > s.first:
		return nil, fmt.Errorf("%w: revision %d was retired meanwhile", ErrTrimmed, s.first)
	case err != nil:
		return nil, err
	case now.crc != s.crc:
		f.Close()
		return nil, s.damaged(0, "another segment has taken the place of this one")
	}
	return f, nil
}

// must returns the next frame where one was before.
func (r *frameReader) must(s *segment) (frame, error) {
	fr, state, err := r.read()
	if err != nil {
		return fr, fmt.Errorf("read %s: %w", s.path, err)
	}
	if state != frameWhole {
		return fr, s.damaged(fr.at, "a frame that was whole when the journal was opened is not any more")
	}
	return fr, nil
}

// retire removes the segments whose records are all of revisions up to upTo, apart from the current one.
func (j *journal) retire(upTo uint64) error {
	if err := j.writable(); err != nil {
		return err
	}
	j.retireMu.Lock()
	defer j.retireMu.Unlock()
	j.mu.Lock()
	n := 0
	for n < len(j.segs)-1 && j.segs[n].next-1 <= upTo {
		n++
	}
	gone, kept := j.segs[:n], j.segs[n]
	j.mu.Unlock()
	if n == 0 {
		return nil
	}
	// From here on the segments do not count any more; whatever is left of them is removed by the next open.
	if err := writeOldest(j.fs, j.dir, j.uuid, kept.number); err != nil {
		return fmt.Errorf("retire journal segments: %w", diskError(err))
	}
	j.mu.Lock()
	j.segs = slices.Clone(j.segs[n:])
	j.mu.Unlock()
	for _, s := range gone {
		if err := j.fs.Remove(s.path); err != nil {
			return fmt.Errorf("retire journal segments: %w", err)
		}
	}
	return nil
}

// verify reads all that is durable once more and reports a line about each segment. It goes on after damage
// and returns all the errors it met, joined.
func (j *journal) verify(ctx context.Context, report func(string)) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	segs := make([]segment, len(j.segs))
	for i, s := range j.segs {
		segs[i] = *s
	}
	j.mu.Unlock()
	var errs []error
	if first, err := readOldest(j.fs, j.dir, j.uuid); err != nil {
		errs = append(errs, err)
	} else if first < segs[0].number {
		errs = append(errs, &CorruptError{Path: filepath.Join(j.dir, oldestName), What: "names an earlier segment than it did"})
	}
	for i := range segs {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		s := &segs[i]
		name := filepath.Join(filepath.Base(j.dir), filepath.Base(s.path))
		err := j.verifySegment(s)
		switch {
		case errors.Is(err, ErrTrimmed):
			report(name + ": retired meanwhile")
			continue
		case err != nil:
			errs = append(errs, err)
			report(err.Error())
		case s.next == s.first:
			report(fmt.Sprintf("%s: no records, good", name))
		default:
			report(fmt.Sprintf("%s: revisions %d to %d, good", name, s.first, s.next-1))
		}
	}
	return errors.Join(errs...)
}

// verifySegment compares a segment with what the journal knows of it.
func (j *journal) verifySegment(s *segment) error {
	f, err := j.reopen(s)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.sealed {
		now := newSegment(s.path, s.segmentHeader)
		if _, err := now.scan(f); err != nil {
			return err
		}
		if now.end != s.end || now.prev != s.prev || !now.sealed {
			return s.damaged(now.end, "the segment does not end where it did")
		}
		return nil
	}
	// Behind the end of the current segment an append may be going on.
	r := s.reader(f, mark{first: s.first, at: sectorSize, prev: s.crc}, s.end)
	for r.off < r.limit {
		if _, err := r.must(s); err != nil {
			return err
		}
	}
	if r.prev != s.prev || r.next != s.next {
		return s.damaged(r.off, "the segment does not end as it did")
	}
	return nil
}
