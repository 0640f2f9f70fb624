package exchange

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldif"
)

// pieceBytes is how much of an entry is handed to the parser at a time. A group
// of a million members comes in sixty pieces of this size instead of in one
// that is as large as the group.
const pieceBytes = 1 << 20

// piece says where a part of an entry stands in the input.
type piece struct {
	dn    int64   // line of the entry's dn
	lines []int64 // line of each attribute handed on
	text  []byte  // those attributes, one a line, unfolded
	last  bool    // the entry ends with it
}

// ldifFramer turns an LDIF input into what the parser is given to read: entries
// cut into pieces that repeat the dn, lines unfolded, comments and what
// ldapsearch prints around a result taken out.
//
// It stands before the parser for what must not reach it: values by URL (the
// parser would open the file and take in what it holds), lines and entries
// without bound, change records.
type ldifFramer struct {
	ctx    context.Context
	lines  *lineReader
	value  []byte // the logical line at hand
	at     int64  // its first line
	dn     []byte // the rest of the line `dn:`, nil between entries
	dnLine int64
	out    []byte   // framed, not yet read by the parser
	queue  []*piece // handed to the parser, its entry not yet returned
	err    error    // what ended the input, except io.EOF
}

// Read implements io.Reader for the parser. It makes one piece at a time.
func (f *ldifFramer) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if err := f.frame(); err != nil {
			if !errors.Is(err, io.EOF) {
				f.err = err
			}
			return 0, err
		}
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

// frame reads up to the end of an entry or of a piece. It may frame nothing:
// for a block that is not an entry, and an entry that has only a dn.
func (f *ldifFramer) frame() error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if f.dn == nil {
		if err := f.start(); err != nil || f.dn == nil {
			return err
		}
	}
	p := &piece{dn: f.dnLine}
	for len(p.text) < pieceBytes {
		more, err := f.logical()
		if err != nil {
			return err
		}
		if !more {
			p.last = true
			break
		}
		if err := f.attribute(p); err != nil {
			return err
		}
	}
	f.out = fmt.Appendf(f.out[:0], "dn:%s\n", f.dn)
	if len(p.lines) == 0 {
		// The parser refuses a dn alone. It is an entry of which an export was
		// told to write no attribute, or the end of one cut at a piece.
		f.out = append(f.out, "x: \n"...)
	}
	f.out = append(append(f.out, p.text...), '\n')
	if p.last {
		f.dn = nil
	}
	f.queue = append(f.queue, p)
	return nil
}

// start reads up to the dn of the next entry, io.EOF when there is none. It
// leaves f.dn nil for a block that is to be skipped and has been.
func (f *ldifFramer) start() error {
	for {
		more, err := f.logical()
		if err != nil {
			return err
		}
		if !more {
			if _, ok := f.lines.peek(); !ok {
				return f.end()
			}
			continue
		}
		name, value, err := f.split()
		if err != nil {
			return err
		}
		switch strings.ToLower(string(name)) {
		case "version":
			if string(bytes.TrimSpace(value)) != "1" {
				return problemf(ErrUnsupported, "LDIF version %s: only version 1 exists", quoteStart(bytes.TrimSpace(value)))
			}
		case "dn":
			f.dn, f.dnLine = bytes.Clone(value), f.at
			return nil
		case "search", "result", "ref":
			return f.skipResult(name, value)
		default:
			return problemf(ErrMalformed, "an entry must begin with dn:, not with %s", quoteStart(name))
		}
	}
}

// end tells the end of the input from a failure to read on.
func (f *ldifFramer) end() error {
	_, err := f.lines.next()
	return err
}

// skipResult skips what ldapsearch prints after the entries, and references to
// other servers. A search that did not succeed gave an incomplete list.
func (f *ldifFramer) skipResult(name, value []byte) error {
	for {
		result := strings.TrimSpace(string(value))
		if strings.EqualFold(string(name), "result") && result != "0" && !strings.HasPrefix(result, "0 ") {
			return problemf(ErrMalformed, "the search that wrote this file ended early (result: %s): its list is incomplete", result)
		}
		more, err := f.logical()
		if err != nil || !more {
			return err
		}
		if name, value, err = f.split(); err != nil {
			return err
		}
	}
}

// attribute adds the logical line at hand to a piece.
func (f *ldifFramer) attribute(p *piece) error {
	name, value, err := f.split()
	if err != nil {
		return err
	}
	switch lower := strings.ToLower(string(name)); lower {
	case "changetype":
		if how := strings.ToLower(string(bytes.TrimSpace(value))); how != "add" {
			return problemf(ErrUnsupported, "a change record (changetype: %s): an import reads entries, not changes", strings.ToValidUTF8(how, "?"))
		}
		return nil // ldifde writes every entry as one to add
	case "control":
		return problemf(ErrUnsupported, "a change record (control): an import reads entries, not changes")
	case "dn":
		return problemf(ErrMalformed, "a second dn: in one entry: an empty line must stand between entries")
	default:
		if option := strings.Index(lower, ";range="); option >= 0 {
			if lower[option:] != ";range=0-*" {
				return problemf(ErrUnsupported, "%s holds only a part of the values: export them whole (ldapsearch against the global catalogue's limit reads ranges until *)", quoteStart(name))
			}
			name = name[:option]
		}
	}
	p.lines = append(p.lines, f.at)
	p.text = append(append(p.text, name...), ':')
	if len(value) == 0 {
		value = []byte{' '} // the parser takes `name:` for an error
	}
	p.text = append(append(p.text, value...), '\n')
	return nil
}

// split cuts the logical line at its first colon. What follows the name is
// returned with the second colon of a base64 value and the spaces.
func (f *ldifFramer) split() (name, value []byte, err error) {
	name, value, ok := bytes.Cut(f.value, []byte{':'})
	switch {
	case !ok:
		return nil, nil, problemf(ErrMalformed, "a line must read `name: value`, not %s", quoteStart(f.value))
	case len(value) > 0 && value[0] == '<':
		return nil, nil, problemf(ErrUnsupported, "%s is given by URL (`:<`): an import opens no other files; write the value into this one", quoteStart(name))
	case !utf8.Valid(f.value):
		return nil, nil, problemf(ErrMalformed, "the line is not valid UTF-8; a binary value must be base64 behind `::`")
	}
	return name, value, nil
}

// logical reads a line with its continuations into f.value and skips comments.
// False: an empty line or the end of the input.
func (f *ldifFramer) logical() (bool, error) {
	for {
		line, err := f.lines.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			f.at = f.lines.line
			return false, err
		}
		f.at = f.lines.line
		if f.at == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
			if bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff")) {
				return false, problemf(ErrUnsupported, "the file is UTF-16: convert it to UTF-8")
			}
		}
		if len(line) == 0 {
			return false, nil
		}
		comment := line[0] == '#'
		if line[0] == ' ' {
			return false, problemf(ErrMalformed, "a continuation line with nothing before it")
		}
		f.value = append(f.value[:0], line...)
		if err := f.unfold(comment); err != nil {
			return false, err
		}
		if !comment {
			return true, nil
		}
	}
}

// unfold appends the continuations of a line, or skips those of a comment.
func (f *ldifFramer) unfold(skip bool) error {
	for {
		if c, ok := f.lines.peek(); !ok || c != ' ' {
			return nil
		}
		line, err := f.lines.next()
		switch {
		case err != nil:
			f.at = f.lines.line
			return err
		case skip:
		case len(f.value)+len(line) > MaxRecord:
			return problemf(ErrTooLong, "the value is longer than %d bytes", MaxRecord)
		default:
			f.value = append(f.value, line[1:]...)
		}
	}
}

// readLDIF reads one LDIF input into a plan.
func readLDIF(ctx context.Context, plan *Plan, input int, in *bufio.Reader) error {
	f := &ldifFramer{ctx: ctx, lines: newLineReader(in, MaxLine)}
	entry := newLDIFEntry(plan, input)
	for parsed, err := range ldif.UnmarshalEntries(f, &ldif.LDIF{}) {
		if len(f.queue) == 0 { // the parser has had all pieces, and the error is the framer's
			if f.err == nil {
				f.err = err
			}
			break
		}
		p := f.queue[0]
		f.queue = f.queue[1:]
		if err != nil {
			return plan.fail(at(input, p.failing(f.ctx)), problemf(ErrMalformed, "%s", parserWords(err)))
		}
		if err := entry.take(parsed.Entry, p); err != nil {
			return err
		}
	}
	if f.err != nil {
		return plan.fail(at(input, f.at), f.err)
	}
	return nil
}

// parserWords takes the line off an error of the parser: it counts those that
// it was given.
func parserWords(err error) string {
	var parse *ldif.ParseError
	if errors.As(err, &parse) {
		return parse.Message
	}
	return err.Error()
}

// failing returns the line that the parser refuses: it names only entries, so
// it is asked about each line alone.
func (p *piece) failing(ctx context.Context) int64 {
	for i, line := range bytes.SplitAfter(p.text, []byte{'\n'}) {
		if i >= len(p.lines) || ctx.Err() != nil {
			break
		}
		if _, err := ldif.Parse("dn: x\n" + string(line) + "\n"); err != nil {
			return p.lines[i]
		}
	}
	return p.dn
}
