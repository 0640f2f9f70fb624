package textindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// verify reads the files of an index before Bleve does. Bleve maps its segments
// and believes what they say: of 200 flipped bits three ended the process and
// one was a wrong answer. The segments end in a checksum, which Bleve writes and
// does not read. The list of segments has none; see boltFile.
func verify(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "root.bolt"))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing
	}
	if err != nil {
		return err
	}
	named, err := checkBolt(b)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !named[e.Name()] {
			continue // left over; Bleve removes it
		}
		if err := verifySegment(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
		delete(named, e.Name())
	}
	for name := range named {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, name)
	}
	return nil
}

// The end of a segment: version and checksum, each in four bytes.
const (
	zapVersion = 17
	zapTail    = 8
)

func verifySegment(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	damaged := fmt.Errorf("%w: %s does not match its checksum", ErrDamaged, filepath.Base(path))
	if info.Size() < zapTail {
		return damaged
	}
	sum := crc32.NewIEEE()
	if _, err := io.CopyN(sum, f, info.Size()-zapTail); err != nil {
		return err
	}
	var tail [zapTail]byte
	if _, err := io.ReadFull(f, tail[:]); err != nil {
		return err
	}
	sum.Write(tail[:4])
	if binary.BigEndian.Uint32(tail[4:]) != sum.Sum32() {
		return damaged
	}
	if v := binary.BigEndian.Uint32(tail[:4]); v != zapVersion {
		return fmt.Errorf("%w: %s is of version %d", ErrDamaged, filepath.Base(path), v)
	}
	return nil
}
