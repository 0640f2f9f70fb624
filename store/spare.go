package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// reserve makes sure that frames with n bytes of records in all can be appended without needing more disk space.
// n counts everything that has not come back from append. It allows for the overhead of records of eight bytes
// and more in up to some sixty frames. ErrDiskFull if there is no room, ErrTooLarge for more than
// MaxFrameBytes; then nothing has changed.
func (j *journal) reserve(n int) error {
	if err := j.writable(); err != nil {
		return err
	}
	if n > MaxFrameBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, n)
	}
	need := frameSize(int64(n) + int64(n)/8 + 4096)
	if _, fits := j.fits(need); fits {
		return nil
	}
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	// All of it has to fit in one place: what is left over in a segment when the next frame is too large is lost.
	size, fits := j.fits(need) // once more: the current segment may have become another one while we waited
	if fits {
		return nil
	}
	return j.prepare(size, need)
}

// fits reports whether a frame of that size fits in the current segment, and how large the segment is.
func (j *journal) fits(frame int64) (size int64, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	cur := j.current()
	return cur.size, frame <= cur.room()
}

// prepare makes sure that there is a spare segment in which a frame of that size fits, to follow a segment of size
// bytes. A spare that is too small grows. On an error what was there is as before. The caller holds spareMu.
func (j *journal) prepare(size, frame int64) error {
	need := sectorSize + frame + markSize
	if j.spare != nil && j.spareSize >= need {
		return nil
	}
	need = max(need, min(2*size, j.opts.segmentBytes))
	need = (need + segmentUnit - 1) / segmentUnit * segmentUnit
	free, err := j.fs.Free(j.dir)
	if err != nil {
		return fmt.Errorf("make room in the journal: %w", err)
	}
	if free-freeMargin < need-j.spareSize {
		return fmt.Errorf("%w: the journal needs %d bytes, %d are free", ErrDiskFull, need-j.spareSize+freeMargin, free)
	}
	if j.spare == nil {
		j.spare, err = j.fs.OpenFile(filepath.Join(j.dir, spareName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("make room in the journal: %w", diskError(err))
		}
	}
	err = writeZeros(j.spare, j.spareSize, need, j.stop)
	if err == nil {
		err = j.spare.Sync()
	}
	if err == nil {
		j.spareSize = need
		return nil
	}
	if j.spareSize == 0 || j.spare.Truncate(j.spareSize) != nil {
		j.dropSpare()
	}
	return fmt.Errorf("make room in the journal: %w", diskError(err))
}

// stop ends the making of a spare when the journal is closed.
func (j *journal) stop() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	return nil
}

// prepareInBackground makes the spare that is to follow the segment cur. If that fails, nobody is told:
// whoever needs the space will try again and get the error.
func (j *journal) prepareInBackground(cur *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	j.background.Go(func() {
		j.spareMu.Lock()
		defer j.spareMu.Unlock()
		if j.last() == cur { // else a rotation was faster, and has made what it needed
			j.prepare(cur.size, 0)
		}
	})
}

// dropSpare removes the spare. The caller holds spareMu.
func (j *journal) dropSpare() error {
	if j.spare == nil {
		return nil
	}
	err := j.spare.Close()
	if e := j.fs.Remove(filepath.Join(j.dir, spareName)); err == nil {
		err = e
	}
	j.spare, j.spareSize = nil, 0
	return err
}

// rotate makes a segment with room for a frame of that size the current one. When the spare cannot be made the
// journal is as it was; any later error stops it. The caller holds appendMu.
func (j *journal) rotate(frame int64) error {
	j.spareMu.Lock()
	defer j.spareMu.Unlock()
	cur := j.last()
	if err := j.prepare(cur.size, frame); err != nil {
		return err
	}
	h := segmentHeader{uuid: j.uuid, number: cur.number + 1, first: cur.next, size: j.spareSize, chain: cur.prev}
	path := segmentPath(j.dir, h.number)
	if _, err := j.spare.WriteAt(h.encode(), 0); err != nil {
		return j.fail(err)
	}
	if err := j.spare.Sync(); err != nil {
		return j.fail(err)
	}
	if err := j.fs.Rename(filepath.Join(j.dir, spareName), path); err != nil {
		return j.fail(err)
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return j.fail(err)
	}
	if err := cur.writeSeal(j.file, &h); err != nil {
		return j.fail(err)
	}
	j.file.Close() // flushed; closing it has nothing left to report
	j.file, j.spare, j.spareSize = j.spare, nil, 0
	j.mu.Lock()
	defer j.mu.Unlock()
	cur.sealed = true
	j.segs = append(j.segs, newSegment(path, h))
	return nil
}
