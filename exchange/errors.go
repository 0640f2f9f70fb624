package exchange

import (
	"errors"
	"fmt"
)

var (
	// ErrMalformed: the input is not what its format allows.
	ErrMalformed = errors.New("malformed input")
	// ErrTooLong: a line or a record of the input is longer than the limits
	// MaxLine and MaxRecord.
	ErrTooLong = errors.New("too long")
	// ErrUnsupported: the input is well formed and asks for something that an
	// import does not do: a change record, a value by URL.
	ErrUnsupported = errors.New("not supported")
	// ErrDuplicate: two records of the input claim the same name, number or
	// distinguished name, or one claims what another record of the store has.
	ErrDuplicate = errors.New("duplicate")
	// ErrUnresolved: a reference names nothing, and the import is strict or
	// cannot do without it.
	ErrUnresolved = errors.New("unresolved reference")
)

// LineError is an error in one line of an input. It unwraps to its cause,
// which is one of the errors of this package or the engine's.
type LineError struct {
	Input string // the name the input was given, a file's path for example
	Line  int64  // counted from 1; the first line of the value or record that is wrong
	Err   error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s: line %d: %v", e.Input, e.Line, e.Err)
}

func (e *LineError) Unwrap() error { return e.Err }

// problem is an error with its own words and one of the sentinels above behind
// it: the words of a sentinel alone would say too little, and beside other
// words too much.
type problem struct {
	kind error
	text string
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.kind }

func problemf(kind error, format string, args ...any) error {
	return &problem{kind: kind, text: fmt.Sprintf(format, args...)}
}
