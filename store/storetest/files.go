package storetest

import (
	"io"
	"os"

	"github.com/rosterdb/roster/store"
)

// ReadFile returns the contents of a file that has to exist.
func ReadFile(fsys store.FS, path string) []byte {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	check(err)
	defer f.Close()
	size, err := f.Size()
	check(err)
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != io.EOF {
		check(err)
	}
	return b
}

// WriteFile makes a file have these contents and flushes it. Its folder has to exist.
func WriteFile(fsys store.FS, path string, b []byte) {
	f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	check(err)
	defer f.Close()
	_, err = f.WriteAt(b, 0)
	check(err)
	check(f.Sync())
}

// check panics on an error that a file system in memory has no reason to return.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
