//go:build linux || darwin || freebsd || dragonfly

package store

import (
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Free implements FS.
func (OS) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
		}
	}
	// Bavail is signed on some systems and below zero when only the superuser has room left.
	blocks, size := int64(st.Bavail), int64(st.Bsize)
	switch {
	case blocks <= 0 || size <= 0:
		return 0, nil
	case blocks > math.MaxInt64/size:
		return math.MaxInt64, nil
	}
	return blocks * size, nil
}

// Lock implements FS with flock on the folder itself: there is no lock file to lose or to copy along, it
// works on read-only media, and the system releases it when the process ends, however it ends.
func (OS) Lock(dir string, shared bool) (io.Closer, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		err = unix.Flock(int(d.Fd()), how|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	switch err {
	case nil:
		return d, nil
	case unix.EWOULDBLOCK:
		err = fmt.Errorf("%w: %s", ErrLocked, dir)
	default:
		err = &os.PathError{Op: "flock", Path: dir, Err: err}
	}
	d.Close()
	return nil, err
}
