//go:build !linux && !darwin && !freebsd && !dragonfly

package store

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Free implements FS. The free space is not known here, so that only a failing write tells of a full disk.
func (OS) Free(dir string) (int64, error) { return math.MaxInt64, nil }

// Lock implements FS. Without a lock two processes would destroy each other's writes, so a store in a
// folder is refused on systems where none is at hand.
func (OS) Lock(dir string, shared bool) (io.Closer, error) {
	return nil, fmt.Errorf("store: lock %s: %w", dir, errors.ErrUnsupported)
}
