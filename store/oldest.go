package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// The file `oldest` of a journal holds the number of its first segment, so that a segment lost at that end is told
// from one that was retired: magic 8, format u32, zero u32, uuid 16, number u64, crc32c of these 40 bytes u32.
const (
	oldestName   = "oldest"
	oldestTemp   = "oldest.tmp"
	oldestMagic  = "ROSTEROL"
	oldestLength = 44
)

// writeOldest replaces the file, in one step.
func writeOldest(fsys FS, dir string, uuid [16]byte, number uint64) error {
	b := make([]byte, 0, oldestLength)
	b = append(b, oldestMagic...)
	b = binary.LittleEndian.AppendUint32(b, journalFormat)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, uuid[:]...)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))

	temp := filepath.Join(dir, oldestTemp)
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := fsys.Rename(temp, filepath.Join(dir, oldestName)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// readOldest returns the number in the file, or a *CorruptError.
func readOldest(fsys FS, dir string, uuid [16]byte) (uint64, error) {
	path := filepath.Join(dir, oldestName)
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &CorruptError{Path: path, What: "missing", Err: err}
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	if size != oldestLength {
		return 0, &CorruptError{Path: path, What: fmt.Sprintf("%d bytes long instead of %d", size, oldestLength)}
	}
	b := make([]byte, oldestLength)
	if _, err := f.ReadAt(b, 0); err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case string(b[:8]) != oldestMagic, binary.LittleEndian.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli):
		return 0, &CorruptError{Path: path, What: "checksum does not match"}
	case binary.LittleEndian.Uint32(b[8:]) > journalFormat:
		return 0, fmt.Errorf("%s: %w", path, ErrNewerFormat)
	case [16]byte(b[16:32]) != uuid:
		return 0, &CorruptError{Path: path, What: "belongs to another store"}
	}
	return binary.LittleEndian.Uint64(b[32:]), nil
}
