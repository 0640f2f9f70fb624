package exchange

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// Format is a file format.
type Format string

const (
	Auto      Format = "auto" // import only: told from the input
	JSONLines Format = "jsonl"
	LDIF      Format = "ldif"
	CSV       Format = "csv"
)

// ParseFormat returns the format of a name, "" being Auto. ErrUnsupported for
// any other.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case "":
		return Auto, nil
	case Auto, JSONLines, LDIF, CSV:
		return f, nil
	}
	return "", problemf(ErrUnsupported, "format %q is not one that this version knows (jsonl, ldif, csv)", name)
}

// Input is something to import: its name for errors, and its bytes, which are
// read once.
type Input struct {
	Name   string
	Reader io.Reader
}

// Stage is a part of an import or export that takes time.
type Stage string

const (
	Reading Stage = "reading" // counts bytes of the input; the total is not known
	Hashing Stage = "hashing" // counts passwords and secrets of accounts and API keys
	Storing Stage = "storing" // counts records and memberships
	Writing Stage = "writing" // likewise
)

// Options configure an import. The zero value reads any format into the
// directory "default".
type Options struct {
	// Format of the inputs. Auto tells each from its content, CSV also from the
	// ending of its name. All inputs of one import must have the same.
	Format Format

	// Directory is the name of the directory that an LDIF or a CSV file goes to,
	// created if need be. "" means "default". JSON lines name the directory of
	// each record.
	Directory string

	// Strict makes a member, an administrator or the user of an organisation
	// membership that names nobody an error. Otherwise it is left out and counted.
	Strict bool

	// Hasher hashes the passwords and secrets of accounts and API keys. Nil: one
	// with the defaults of package access.
	Hasher *access.Hasher

	// TempDir is where what was read is spooled. "" means the system's folder.
	// It takes about as much as the input, and nothing stays.
	TempDir string

	// Warn is given sentences about what was left out. Nil: nobody is told.
	Warn func(string)

	// Progress is called now and then with how much is done, and out of how
	// much, 0 if that is not known. Nil: nobody is told.
	Progress func(s Stage, done, total int64)
}

// Summary says what an import found in its input.
type Summary struct {
	Users          int64 // records, new or not; of CSV, groups that a row names too
	Groups         int64
	Memberships    int64 // resolved members of groups, users and nested groups
	Admins         int64 // resolved administrators of groups, users and groups
	Organizations  int64
	Roles          int64
	OrgMemberships int64 // those whose user is resolved
	Accounts       int64
	Keys           int64           // API keys
	Unresolved     int64           // members, administrators and users of organisation memberships that name nobody
	Revision       roster.Revision // the store's newest, in which all of it is
}

// Plan is an input that was read and found to be right in itself. It is used by
// one goroutine. Close removes its temporary files.
type Plan struct {
	opts    Options
	inputs  []string // names, by number
	format  Format   // of what has been read; Auto before that
	symbols *symbols

	records       *spool // users and groups, framed
	organizations *spool // organisations, roles and their memberships, framed
	credentials   *spool // accounts and API keys, framed
	edges         *spool // memberships and administrators of groups, edgeBytes each

	sealer      *sealer // of what is secret in the spool of credentials
	secrets     int64   // passwords and secrets that are still to be hashed
	directories []record
	kindOf      []kind       // of each user and group, by number; 0: an LDIF entry that is neither
	positions   []position   // where each stands
	count       [kinds]int64 // of records, by kind
	links       int64        // in the spool of edges
	bytes       int64        // read so far
	oversized   int64        // attribute values of an LDIF that are too long to be stored
	buf         []byte
}

// relation is what a line says of a group and somebody.
type relation byte

const (
	memberOf relation = iota
	adminOf
)

// link is a line that relates somebody to a group, in symbols.
type link struct {
	relation relation
	group    symbol
	member   symbol
}

// edgeBytes is the size of a link in the spool of edges: a byte and two symbols.
const edgeBytes = 9

// Read reads inputs and checks them against themselves: syntax, names, numbers
// and distinguished names given twice. A *LineError names the line. Whether
// members exist, and what the store has to say, is checked by Apply.
func Read(ctx context.Context, o Options, inputs ...Input) (*Plan, error) {
	p := &Plan{opts: o, format: Auto, symbols: newSymbols()}
	var err error
	for _, s := range []**spool{&p.records, &p.organizations, &p.credentials, &p.edges} {
		if *s, err = newSpool(o.TempDir); err != nil {
			p.Close()
			return nil, err
		}
	}
	for i, in := range inputs {
		p.inputs = append(p.inputs, in.Name)
		if err := p.read(ctx, i, in); err != nil {
			p.Close()
			return nil, err
		}
	}
	if p.format == JSONLines && o.Directory != "" {
		p.warn("JSON lines name the directory of each record: %q is not used", o.Directory)
	}
	if p.oversized > 0 {
		p.warn("%d attribute values longer than %d bytes left out", p.oversized, maxText)
	}
	return p, nil
}

// Close removes the temporary files of the plan.
func (p *Plan) Close() error {
	var err error
	for _, s := range []*spool{p.records, p.organizations, p.credentials, p.edges} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// Len returns how many records and memberships the plan holds, resolved or not.
func (p *Plan) Len() int64 {
	n := p.links
	for _, of := range p.count {
		n += of
	}
	return n
}

func (p *Plan) read(ctx context.Context, i int, in Input) error {
	r := bufio.NewReaderSize(&countingReader{in: in.Reader, plan: p}, 1<<16)
	format := p.opts.Format
	if format == "" || format == Auto {
		var err error
		if format, err = detect(r, in.Name); err != nil {
			return fmt.Errorf("%s: %w", in.Name, err)
		}
	}
	if p.format != Auto && p.format != format {
		return fmt.Errorf("%s: %w", in.Name, problemf(ErrUnsupported, "the file is %s and the one before it %s: import one format at a time", format, p.format))
	}
	p.format = format
	switch format {
	case LDIF:
		return readLDIF(ctx, p, i, r)
	case CSV:
		return readCSV(ctx, p, i, r)
	}
	return readJSONLines(ctx, p, i, r)
}

// detect tells the format of an input from its name or its first bytes.
func detect(r *bufio.Reader, name string) (Format, error) {
	head, err := r.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if strings.EqualFold(filepath.Ext(name), ".csv") {
		return CSV, nil
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	switch {
	case len(head) > 0 && head[0] == '{':
		return JSONLines, nil
	case beginsCSV(head):
		return CSV, nil
	}
	return LDIF, nil
}

// countingReader reports how much of all inputs has been read.
type countingReader struct {
	in   io.Reader
	plan *Plan
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.plan.bytes += int64(n)
	if c.plan.opts.Progress != nil {
		c.plan.opts.Progress(Reading, c.plan.bytes, 0)
	}
	return n, err
}

// fail says where an error is. One that says so already, and nil, are returned
// as they are.
func (p *Plan) fail(where position, err error) error {
	var line *LineError
	if err == nil || errors.As(err, &line) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &LineError{Input: p.inputs[where.input()], Line: where.line(), Err: err}
}

// place words a position beside an error that names another.
func (p *Plan) place(where, other position) string {
	line := "line " + strconv.FormatInt(where.line(), 10)
	if where.input() != other.input() {
		return p.inputs[where.input()] + " " + line
	}
	return line
}

func (p *Plan) warn(format string, args ...any) {
	if p.opts.Warn != nil {
		p.opts.Warn(fmt.Sprintf(format, args...))
	}
}

// addDirectory adds a directory of JSON lines.
func (p *Plan) addDirectory(rec *record) error {
	if err := checkRecord(rec); err != nil {
		return err
	}
	id := strconv.FormatUint(uint64(rec.directory), 10)
	if old, ok := p.symbols.claim("directory "+id, rec.at); !ok {
		return problemf(ErrDuplicate, "directory %s is in the input twice, first in %s", id, p.place(old, rec.at))
	}
	if old, ok := p.symbols.claim("directory name "+text.Fold(rec.name), rec.at); !ok {
		return problemf(ErrDuplicate, "a directory %q is in the input twice, first in %s", rec.name, p.place(old, rec.at))
	}
	p.directories = append(p.directories, *rec)
	p.count[kindDirectory]++
	return nil
}

// addRecord adds a user or group that the given names stand for.
func (p *Plan) addRecord(rec *record, names ...string) error {
	if err := checkRecord(rec); err != nil {
		return err
	}
	if rec.has&hasNumber != 0 {
		if old, ok := p.symbols.claim(rec.kind.String()+" "+strconv.FormatUint(rec.number, 10), rec.at); !ok {
			return problemf(ErrDuplicate, "another %s has the id %d, in %s", rec.kind, rec.number, p.place(old, rec.at))
		}
	}
	if uid, ok := rec.ownUID(); ok {
		names = append(names, uidKey(rec.kind, uid))
	}
	if err := p.define(rec.kind, rec.at, rec.name, names); err != nil {
		return err
	}
	p.count[rec.kind]++
	p.buf = rec.encode(p.buf[:0])
	return p.records.writeFramed(p.buf)
}

// addOther notes an LDIF entry that is neither user nor group, so that its DN
// is not given twice.
func (p *Plan) addOther(where position, key string) error {
	return p.define(0, where, "", []string{key})
}

// define gives a record its number and makes names stand for it.
func (p *Plan) define(k kind, where position, name string, names []string) error {
	number := uint32(len(p.kindOf))
	if number == nobody {
		return problemf(ErrUnsupported, "the input has more than %d records", nobody)
	}
	for _, key := range names {
		old, ok := p.symbols.define(key, number)
		uid, byUID := strings.CutPrefix(key, uidKey(k, ""))
		switch {
		case ok:
		case byUID:
			return problemf(ErrDuplicate, "another %s has the uid %q, in %s", k, uid, p.place(p.positions[old], where))
		case strings.HasPrefix(key, "dn "):
			return problemf(ErrDuplicate, "the entry's DN is in the input twice, first in %s", p.place(p.positions[old], where))
		default:
			return problemf(ErrDuplicate, "the %s %q is in the input twice, first in %s", k, name, p.place(p.positions[old], where))
		}
	}
	p.kindOf = append(p.kindOf, k)
	p.positions = append(p.positions, where)
	return nil
}

// addMember adds a membership of a group.
func (p *Plan) addMember(group, member symbol) error {
	return p.addLink(link{memberOf, group, member})
}

func (p *Plan) addLink(l link) error {
	p.links++
	p.buf = binary.LittleEndian.AppendUint32(append(p.buf[:0], byte(l.relation)), uint32(l.group))
	p.buf = binary.LittleEndian.AppendUint32(p.buf, uint32(l.member))
	return p.edges.write(p.buf)
}

// eachRecord calls fn for every user and group in the order of the input. An
// error of fn is returned with the record's line.
func (p *Plan) eachRecord(ctx context.Context, fn func(rec *record) error) error {
	slot := uint32(0)
	return p.records.eachFrame(ctx, func(frame []byte) error {
		var rec record
		if err := rec.decode(frame); err != nil {
			return err
		}
		for p.kindOf[slot] == 0 {
			slot++ // an LDIF entry that is neither user nor group has a number and no record
		}
		rec.slot = slot
		slot++
		return p.fail(rec.at, fn(&rec))
	})
}

// eachLink calls fn for every link in the order of the input.
func (p *Plan) eachLink(ctx context.Context, fn func(link) error) error {
	in, err := p.edges.reader()
	if err != nil {
		return err
	}
	var b [edgeBytes]byte
	for n := p.links; n > 0; n-- {
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return errSpool
		}
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		l := link{relation(b[0]), symbol(binary.LittleEndian.Uint32(b[1:5])), symbol(binary.LittleEndian.Uint32(b[5:]))}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}
