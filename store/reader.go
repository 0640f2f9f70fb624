package store

import "io"

// A frameState says what a frameReader found.
type frameState int

const (
	frameWhole     frameState = iota
	frameNone                 // no valid header of a frame
	frameBroken               // a valid header, but not the body that belongs to it
	frameMisplaced            // a valid header of a frame that cannot come next
)

// frame is a frame as it was read. The bytes are the reader's and change with its next call.
type frame struct {
	frameHeader
	at  int64
	raw []byte // the whole frame
}

// clear turns the body into clear form in place and returns it.
func (f *frame) clear(s *segment) []byte {
	body := f.raw[frameHeaderSize : frameHeaderSize+int(f.length)]
	s.whiten(body, f.at+frameHeaderSize)
	return body
}

// frameReader reads the frames of a segment one after the other and checks everything about them.
type frameReader struct {
	f     io.ReaderAt
	seg   *segmentHeader
	off   int64 // of the next frame
	limit int64 // nothing is read from here on
	next  uint64
	prev  uint32

	buf  []byte
	base int64 // offset of buf in the file
}

// readAhead is how much is read at once where frames are smaller.
const readAhead = 256 << 10

// window returns n bytes of the file from off on, which must lie before the limit. They are valid until the next call.
func (r *frameReader) window(off, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if off < r.base || off+n > r.base+int64(len(r.buf)) {
		want := min(max(n, readAhead), r.limit-off)
		if int64(cap(r.buf)) < want {
			r.buf = make([]byte, want)
		}
		r.buf, r.base = r.buf[:want], off
		if _, err := r.f.ReadAt(r.buf, off); err != nil {
			r.buf = r.buf[:0]
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[off-r.base:][:n:n], nil
}

// read returns the frame at r.off and moves behind it if it is whole. An error is one of reading the file.
func (r *frameReader) read() (frame, frameState, error) {
	fr := frame{at: r.off}
	if r.limit-r.off < frameHeaderSize {
		return fr, frameNone, nil
	}
	b, err := r.window(r.off, frameHeaderSize)
	if err != nil {
		return fr, frameNone, err
	}
	h, ok := r.seg.parseFrameHeader(b)
	if !ok {
		return fr, frameNone, nil
	}
	fr.frameHeader = h
	size := frameSize(int64(h.length))
	if h.prev != r.prev || h.first != r.next || (h.kind == kindRecords) != (h.count > 0) || size > r.limit-r.off {
		return fr, frameMisplaced, nil
	}
	if fr.raw, err = r.window(r.off, size); err != nil {
		return fr, frameNone, err
	}
	if !h.checkBody(fr.raw) {
		return fr, frameBroken, nil
	}
	r.off += size
	r.prev = h.crc
	r.next += uint64(h.count)
	return fr, frameWhole, nil
}

// lastNonZero returns the offset behind the last byte before the limit that is not zero, or off if all are zero from there on.
func (r *frameReader) lastNonZero(off int64) (int64, error) {
	last := off
	for off < r.limit {
		n := min(readAhead, r.limit-off)
		b, err := r.window(off, n)
		if err != nil {
			return 0, err
		}
		if !allZero(b) {
			for b[n-1] == 0 {
				n--
			}
			last = off + n
		}
		off += int64(len(b))
	}
	return last, nil
}
