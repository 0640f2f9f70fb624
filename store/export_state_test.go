package store

import "errors"

// ErrTest is the error that tests make a fold fail with.
var ErrTest = errors.New("failed by a test")

// FailCommit makes the n-th transaction from here on, counted from 1, and all after it fail before they are written.
func (s *Store) FailCommit(n int) {
	s.state.onCommit = func() error {
		if n--; n <= 0 {
			return ErrTest
		}
		return nil
	}
}

// Flatten compacts everything now, letting go of what is older than keep.
func (s *Store) Flatten(keep uint64) error {
	s.state.discard(keep)
	return s.state.db.Flatten(1)
}

// Leftovers returns the number of keys known to be left from an unfinished fold.
func (s *Store) Leftovers() int { return len(s.state.leftovers) }

// NewerIdentity returns the content of a file STORE of the next format.
func NewerIdentity(uuid [16]byte) []byte { return encodeIdentityFormat(uuid, storeFormat+1) }
