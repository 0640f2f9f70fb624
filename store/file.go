package store

import (
	"io"
	"io/fs"
	"os"
)

// FS is the file system under a store: OS in production, MemFS for a store without a folder, and
// storetest.FaultFS where a test wants writes to fail, tear or vanish. Paths are those of package
// path/filepath, errors those of package os (errors.Is with fs.ErrNotExist and so on work).
// All methods may be called concurrently.
type FS interface {
	// OpenFile is os.OpenFile. The file exists for good only after SyncDir of its folder.
	OpenFile(path string, flag int, perm fs.FileMode) (File, error)
	// Rename moves a file, replacing what has that name. It lasts only after SyncDir of the folder.
	Rename(from, to string) error
	// Remove removes a file or an empty folder. It lasts only after SyncDir of the folder.
	Remove(path string) error
	// ReadDir lists a folder by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// MkdirAll creates a folder and those above it; it does nothing when they exist.
	MkdirAll(path string, perm fs.FileMode) error
	// Stat describes a file or folder.
	Stat(path string) (fs.FileInfo, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
	// Free returns how many bytes can still be written to the file system that holds dir.
	Free(dir string) (int64, error)
	// Lock takes the lock of a folder, shared or exclusive, and returns what releases it.
	// It never waits: ErrLocked says that another holder, in this process or another, is in the way.
	Lock(dir string, shared bool) (io.Closer, error)
}

// File is an open file. ReadAt may be called beside every other method.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes everything written to the file, and the size that reading it back needs, durable
	// (fdatasync). After an error the file must not be trusted: a later Sync may succeed without the data.
	Sync() error
	// Size returns the length of the file in bytes.
	Size() (int64, error)
	// Truncate sets the length of the file; what is added reads as zero.
	Truncate(size int64) error
}

// OS is the file system of the operating system.
type OS struct{}

var _ FS = OS{}

// OpenFile implements FS.
func (OS) OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// ReadDir implements FS.
func (OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// MkdirAll implements FS.
func (OS) MkdirAll(path string, perm fs.FileMode) error { return os.MkdirAll(path, perm) }

// Stat implements FS.
func (OS) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

// SyncDir implements FS.
func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close()
		return err
	}
	return d.Close()
}

// osFile is an *os.File whose Sync leaves out what reading the data back does not need, such as the
// time of the last change: that saves a commit of the file system's own journal on every append.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
