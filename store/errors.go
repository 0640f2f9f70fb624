package store

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrNotFound is returned by Get when no value was stored under the key at the revision asked for.
	ErrNotFound = errors.New("store: not found")

	// ErrNotStore is returned by Open for a folder that holds files but is not a store, and by Restore
	// for a folder that is not empty. Nothing in the folder was touched.
	ErrNotStore = errors.New("store: not a store")

	// ErrLocked is returned by Open while another process, or another Store of this one, has the folder open.
	ErrLocked = errors.New("store: already open elsewhere")

	// ErrNewerFormat is returned by Open for files that a later version of this package wrote. They are left as they are.
	ErrNewerFormat = errors.New("store: written by a newer version")

	// ErrReadOnly is returned by everything that writes when the store was opened with Options.ReadOnly.
	ErrReadOnly = errors.New("store: opened read-only")

	// ErrDiskFull is returned when there is no room for what is about to be written. Unless it comes
	// together with ErrFailed nothing was written, and the same call succeeds once there is room.
	ErrDiskFull = errors.New("store: no room on disk")

	// ErrTooLarge is returned for records that do not fit in one frame of the journal (MaxFrameBytes). Nothing was written.
	ErrTooLarge = errors.New("store: too large for one journal frame")

	// ErrTrimmed is returned when reading records that are no longer kept in the journal.
	ErrTrimmed = errors.New("store: no longer in the journal")

	// ErrFailed is returned by every write after one write or flush has failed, starting with that one. What
	// the failed write held may or may not be there after the next Open; it is never tried again, because a
	// second flush can report success for data that the first one lost.
	ErrFailed = errors.New("store: stopped after a failed write")

	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("store: closed")

	// ErrCorrupt is what every *CorruptError wraps.
	ErrCorrupt = errors.New("store: damaged")
)

// CorruptError says that a file does not hold what was written to it, or is not there.
// It is ErrCorrupt for errors.Is, and its cause too when there is one.
type CorruptError struct {
	Path string // the file or folder
	What string // what is wrong with it, and at which byte where that is known
	Err  error  // the cause; nil when there is none beside What
}

func (e *CorruptError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("store: %s is damaged: %s: %v", e.Path, e.What, e.Err)
	}
	return fmt.Sprintf("store: %s is damaged: %s", e.Path, e.What)
}

// Unwrap returns ErrCorrupt and the cause.
func (e *CorruptError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrCorrupt, e.Err}
	}
	return []error{ErrCorrupt}
}

// diskError adds ErrDiskFull to an error of the operating system that says there is no room left
// (on the device, or in the quota of the user), and returns every other error as it is.
func diskError(err error) error {
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, ErrDiskFull) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
