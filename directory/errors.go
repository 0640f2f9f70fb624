package directory

import (
	"errors"
	"fmt"
)

// Errors of sources and links, to be told with errors.Is.
var (
	// ErrUnreachable is returned when a source cannot be asked, or stops answering. Nothing was changed; try again later.
	ErrUnreachable = errors.New("directory: source cannot be reached")
	// ErrUntrusted is returned when a server does not prove who it is: its certificate has expired, is of another name or of an unknown authority. Nothing was sent to it but the handshake.
	ErrUntrusted = errors.New("directory: server is not trusted")
	// ErrCredentials is returned by a source for a login that is wrong: that of the Link itself, or that of a user in Authenticate.
	ErrCredentials = errors.New("directory: wrong name or password")
	// ErrLimit is returned when a source gives less than there is: a size or time limit on its side. Raise it there, or make the pages smaller.
	ErrLimit = errors.New("directory: limit of the source")
	// ErrReferral is returned when a source points to another server for a part of the answer.
	ErrReferral = errors.New("directory: source refers to another server")
	// ErrRefused is returned when a source does not allow what was asked.
	ErrRefused = errors.New("directory: source refuses")
	// ErrConfig is returned for settings that cannot be right; the text says which.
	ErrConfig = errors.New("directory: wrong settings")
	// ErrEntry is what every *EntryError wraps.
	ErrEntry = errors.New("directory: entry is of no use")
	// ErrTooMuch is what every *GuardError wraps.
	ErrTooMuch = errors.New("directory: would remove too much")
	// ErrUnsupported is returned by Login when the source knows no passwords.
	ErrUnsupported = errors.New("directory: not supported by the source")
)

// EntryError says why one entry of a source is left out. It wraps ErrEntry and
// the cause.
type EntryError struct {
	Entry string // what the source calls it
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry %q: %v", clip(e.Entry), e.Err) }

// Unwrap returns ErrEntry and the cause.
func (e *EntryError) Unwrap() []error { return []error{ErrEntry, e.Err} }

func isEntryError(err error) bool {
	var e *EntryError
	return errors.As(err, &e)
}

// GuardError says what a run would remove and does not. It wraps ErrTooMuch.
type GuardError struct {
	What    string  // "users", "memberships" or "groups"
	Removed int     // would be
	Of      int     // there are
	Share   float64 // that may go, Options.MaxRemoved
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("this would remove %d of %d %s, more than a share of %g: if that is right, force it", e.Removed, e.Of, e.What, e.Share)
}

// Unwrap returns ErrTooMuch.
func (e *GuardError) Unwrap() error { return ErrTooMuch }

// clip shortens a text from outside for an error message.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
