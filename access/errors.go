package access

import (
	"errors"
	"fmt"
	"time"
)

// Why somebody is not let in. Each can be told with errors.Is; the texts hold
// nothing that was presented.
var (
	// ErrNoCredentials is returned when a request brings none of the credentials that its API takes.
	ErrNoCredentials = errors.New("access: no credentials")
	// ErrNoKeyID is returned when an API that asks for the ID of an API key gets none. It wraps ErrNoCredentials.
	ErrNoKeyID = fmt.Errorf("%w: the ID of the API key is missing", ErrNoCredentials)
	// ErrNoKeySecret is returned when the secret of an API key is missing. It wraps ErrNoCredentials.
	ErrNoKeySecret = fmt.Errorf("%w: the secret of the API key is missing", ErrNoCredentials)
	// ErrDenied is returned for credentials that are wrong, and for those of nobody: which of the two is not told.
	ErrDenied = errors.New("access: denied")
	// ErrInvalidToken is returned for a token that was not issued here, has expired, was revoked or is used elsewhere than it was issued for: log in again. It wraps ErrDenied.
	ErrInvalidToken = fmt.Errorf("%w: the token is not valid or no longer", ErrDenied)
	// ErrForbidden is returned for an API key that is right and may not be used at this address or for this endpoint.
	ErrForbidden = errors.New("access: the API key is not for this endpoint or this address")
	// ErrThrottled is what every *ThrottledError wraps.
	ErrThrottled = errors.New("access: too many failed logins")
	// ErrBusy is returned when more passwords wait to be checked than Options.Hash.Queue: try again later.
	ErrBusy = errors.New("access: too many logins at once")
	// ErrUnavailable is returned when an identity source that says so with it cannot be asked.
	ErrUnavailable = errors.New("access: the identity source cannot be asked")
	// ErrInvalid is returned for what cannot be stored: a hash of unknown form, a pattern that no path can match.
	ErrInvalid = errors.New("access: invalid value")
)

// ThrottledError is returned after failed logins, right credentials or not. It
// wraps ErrThrottled.
type ThrottledError struct {
	After time.Duration // how long to wait, at least
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrThrottled, max(e.After.Round(time.Second), time.Second))
}

// Unwrap returns ErrThrottled.
func (e *ThrottledError) Unwrap() error { return ErrThrottled }
