package roster

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rosterdb/roster/store"
)

// Errors about what was asked for. Every error of the package can be told with
// errors.Is from one of these or of the next group; its text names what it is
// about.
var (
	// ErrNotFound is returned when a user, group, directory, organisation, role or data that the call names does not exist.
	ErrNotFound = errors.New("roster: not found")
	// ErrExists is returned when a name, number or uid is taken already.
	ErrExists = errors.New("roster: exists already")
	// ErrConflict is returned when a precondition does not hold: the record or the engine has changed since.
	ErrConflict = errors.New("roster: changed in the meantime")
	// ErrInvalid is returned for values that cannot be stored: a name with control characters, say.
	ErrInvalid = errors.New("roster: invalid value")
	// ErrAmbiguous is what every *AmbiguousError wraps.
	ErrAmbiguous = errors.New("roster: ambiguous name")
	// ErrNotEmpty is returned when a directory that still has users or groups is deleted.
	ErrNotEmpty = errors.New("roster: directory is not empty")
	// ErrLastOwner is returned when an organisation would lose its last owner: make another member an owner first, or delete the organisation.
	ErrLastOwner = errors.New("roster: last owner of an organisation")
	// ErrLimit is returned by an Update whose nesting of groups would pass Options.MaxNesting, for more groups in one than fit, and for an organisation with too many roles.
	ErrLimit = errors.New("roster: limit exceeded")
	// ErrReadOnlyTxn is returned by writing methods of a Txn of View.
	ErrReadOnlyTxn = errors.New("roster: transaction is read-only")
	// ErrSearchNotReady is returned by Search while the search index is being built, or in a View that is older than very many edits, when there are too many users to look at. Ask again later, in a new View, or within a smaller set.
	ErrSearchNotReady = errors.New("roster: search index is not ready")
	// ErrTxnDone is returned by methods of a Txn whose closure has returned.
	ErrTxnDone = errors.New("roster: transaction has ended")
	// ErrNestedUpdate is returned by an Update called from within the closure of an Update of the same engine.
	ErrNestedUpdate = errors.New("roster: Update within an Update")
)

// Errors about the data folder and the engine as a whole.
var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = store.ErrClosed
	// ErrCorrupt is returned when what is on disk is not what was written; a *CorruptError says where.
	ErrCorrupt = store.ErrCorrupt
	// ErrLocked is returned by Open while another process has the folder open.
	ErrLocked = store.ErrLocked
	// ErrNotStore is returned by Open for a folder that holds something else, and by Restore and Build for one that is not empty.
	ErrNotStore = store.ErrNotStore
	// ErrNewerFormat is returned by Open for a folder, and by Restore for a backup, that a later version wrote.
	ErrNewerFormat = store.ErrNewerFormat
	// ErrReadOnly is returned by Update on an engine opened with Options.ReadOnly.
	ErrReadOnly = store.ErrReadOnly
	// ErrDiskFull is returned when there is no room on disk for what is about to be written. Nothing was changed, and the same call succeeds once there is room.
	ErrDiskFull = store.ErrDiskFull
	// ErrTooLarge is returned for an Update that changes more than one record can hold (256 MiB). Split it.
	ErrTooLarge = store.ErrTooLarge
	// ErrTrimmed is returned by Changes for revisions that are no longer kept; see Options.RetainRevisions.
	ErrTrimmed = store.ErrTrimmed
	// ErrFailed is returned by every Update after a write or flush has failed. Whether the change that met the failure is durable is known only after the next Open.
	ErrFailed = store.ErrFailed
)

// CorruptError names the damaged file and says what is wrong with it. It wraps
// ErrCorrupt.
type CorruptError = store.CorruptError

// AmbiguousError is returned by FindUser and FindGroup for a reference that
// fits more than one. It wraps ErrAmbiguous.
type AmbiguousError struct {
	Ref        string   // what was asked for
	Candidates []string // a reference to each that it fits, good to be used instead
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("roster: %q is ambiguous: it may be %s", e.Ref, strings.Join(e.Candidates, " or "))
}

// Unwrap returns ErrAmbiguous.
func (e *AmbiguousError) Unwrap() error { return ErrAmbiguous }
