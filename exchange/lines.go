package exchange

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// MaxLine is the largest line of an LDIF file in bytes, as it stands in the
	// file. Writers fold at 76.
	MaxLine = 1 << 20
	// MaxRecord is the largest record in bytes: one JSON line, one row of CSV, or
	// one LDIF entry apart from its members, of which there may be any number.
	MaxRecord = 16 << 20
)

// lineReader reads the lines of an input and counts them. It holds one line.
type lineReader struct {
	in   *bufio.Reader
	buf  []byte
	max  int
	line int64 // number of the line that next returned last
}

func newLineReader(in *bufio.Reader, limit int) *lineReader {
	return &lineReader{in: in, max: limit}
}

// next returns the next line without its end (LF or CR LF), io.EOF after the
// last. The bytes are valid until the following call.
func (r *lineReader) next() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(part) > 0 && len(r.buf) == 0 {
			r.line++
		}
		if len(r.buf)+len(part) > r.max+2 {
			return nil, problemf(ErrTooLong, "the line is longer than %d bytes", r.max)
		}
		whole := err == nil || errors.Is(err, io.EOF)
		if whole && len(r.buf) == 0 {
			if len(part) == 0 {
				return nil, io.EOF
			}
			return trimEnd(part), nil
		}
		r.buf = append(r.buf, part...)
		switch {
		case whole:
			return trimEnd(r.buf), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// peek returns the first byte of the next line, false at the end of the input.
func (r *lineReader) peek() (byte, bool) {
	b, err := r.in.Peek(1)
	if err != nil {
		return 0, false
	}
	return b[0], true
}

func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}
