package exchange

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool is a temporary file that is written once, from front to back, and then
// read as often as need be. Nothing of it stays: where the system allows it, the
// file has no name from the beginning, so not even after a kill.
type spool struct {
	file *os.File
	name string // to be removed by Close; "" if it is gone already
	out  *bufio.Writer
	size int64
}

// newSpool creates a spool in dir, "" for the system's folder for such files.
func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "roster-import-*")
	if err != nil {
		return nil, fmt.Errorf("temporary file for the import: %w", err)
	}
	s := &spool{file: f, name: f.Name(), out: bufio.NewWriterSize(f, 1<<16)}
	if os.Remove(s.name) == nil {
		s.name = ""
	}
	return s, nil
}

// write appends bytes. An error leaves the spool unusable.
func (s *spool) write(b []byte) error {
	n, err := s.out.Write(b)
	s.size += int64(n)
	if err != nil {
		return fmt.Errorf("temporary file for the import (TMPDIR names another folder for it): %w", err)
	}
	return nil
}

// writeFramed appends bytes with their length before them.
func (s *spool) writeFramed(b []byte) error {
	var head [binary.MaxVarintLen64]byte
	if err := s.write(head[:binary.PutUvarint(head[:], uint64(len(b)))]); err != nil {
		return err
	}
	return s.write(b)
}

// reader returns a reader from the front. Nothing may be written any more.
func (s *spool) reader() (*bufio.Reader, error) {
	if err := s.out.Flush(); err != nil {
		return nil, fmt.Errorf("temporary file for the import: %w", err)
	}
	return bufio.NewReaderSize(io.NewSectionReader(s.file, 0, s.size), 1<<16), nil
}

// eachFrame calls fn for everything that writeFramed wrote, in that order. The
// bytes are fn's until it returns.
func (s *spool) eachFrame(ctx context.Context, fn func(frame []byte) error) error {
	in, err := s.reader()
	if err != nil {
		return err
	}
	var buf []byte
	for {
		if buf, err = readFramed(in, buf); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = fn(buf)
		}
		if err != nil {
			return err
		}
	}
}

// readFramed reads one frame into buf, grown as need be; io.EOF at the end.
func readFramed(in *bufio.Reader, buf []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	switch {
	case errors.Is(err, io.EOF):
		return buf, io.EOF
	case err != nil, n > 4*MaxRecord:
		return buf, errSpool
	}
	if uint64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(in, buf); err != nil {
		return buf, errSpool
	}
	return buf, nil
}

// Close removes the file; what it held is gone.
func (s *spool) Close() error {
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
	}
	return err
}
