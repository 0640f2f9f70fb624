package exchange

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The columns of the two forms of CSV: a user a row, or a membership a row.
var (
	csvUsers = []string{"username", "fullName", "email", "description", "active", "groups"}
	csvEdges = []string{"group", "member"}
)

// csvGroup stands before a member that is a group.
const csvGroup = "group:"

// csvReader reads a CSV file into a plan.
type csvReader struct {
	plan    *Plan
	input   int
	source  csvSource
	rows    *csv.Reader
	columns []string // by position, as they are called in csvUsers or csvEdges
	at      position // of the row at hand
}

func readCSV(ctx context.Context, plan *Plan, input int, in *bufio.Reader) error {
	r := &csvReader{plan: plan, input: input, source: csvSource{ctx: ctx, in: in}}
	r.rows = csv.NewReader(&r.source)
	r.rows.ReuseRecord = true
	err := r.header()
	row := r.user
	if err == nil && slices.Contains(r.columns, "group") {
		row = r.edge
	}
	for err == nil {
		var fields []string
		if fields, err = r.next(); err == nil {
			err = row(fields)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return plan.fail(r.at, err)
}

// header reads the row that names the columns.
func (r *csvReader) header() error {
	r.at = at(r.input, 1)
	if head, _ := r.source.in.Peek(3); string(head) == "\ufeff" {
		_, _ = r.source.in.Discard(len(head)) // they are in the buffer
	} else if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return problemf(ErrUnsupported, "the file is UTF-16: convert it to UTF-8")
	}
	names, err := r.next()
	if errors.Is(err, io.EOF) {
		return problemf(ErrMalformed, "the header row is missing: it names the columns (%s)", csvForms())
	}
	if err == nil {
		r.columns, err = csvHeader(names)
	}
	return err
}

func csvForms() string {
	return strings.Join(csvUsers, ", ") + ", or " + strings.Join(csvEdges, ", ")
}

// beginsCSV reports whether a file that begins like that has a header row.
func beginsCSV(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	names, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err == nil {
		_, err = csvHeader(names)
	}
	return err == nil
}

// csvHeader returns what the columns of a header row are called here. Programs
// that write tables are free with capital letters and spaces.
func csvHeader(names []string) (columns []string, err error) {
	known := append(slices.Clone(csvUsers), csvEdges...)
	for _, name := range names {
		trimmed := strings.TrimSpace(name)
		i := slices.IndexFunc(known, func(c string) bool { return strings.EqualFold(c, trimmed) })
		switch {
		case i < 0 && len(names) == 1 && strings.ContainsAny(name, ";\t"):
			return nil, problemf(ErrMalformed, "the column %s is unknown: a comma must stand between columns", quoteStart([]byte(name)))
		case i < 0:
			return nil, problemf(ErrMalformed, "the column %s is unknown (%s)", quoteStart([]byte(name)), csvForms())
		case slices.Contains(columns, known[i]):
			return nil, problemf(ErrMalformed, "the column %q is there twice", known[i])
		}
		columns = append(columns, known[i])
	}
	edges := slices.Contains(columns, "group") || slices.Contains(columns, "member")
	for _, need := range [...]struct {
		name string
		form bool
	}{{"username", !edges}, {"group", edges}, {"member", edges}} {
		if need.form && !slices.Contains(columns, need.name) {
			return nil, problemf(ErrMalformed, "the column %q is missing", need.name)
		}
	}
	if edges && len(columns) > len(csvEdges) {
		return nil, problemf(ErrMalformed, `the columns "group" and "member" go with no others`)
	}
	return columns, nil
}

// next returns the fields of the next row, io.EOF after the last. They are
// overwritten by the following call, the strings are not.
func (r *csvReader) next() ([]string, error) {
	r.source.begin()
	fields, err := r.rows.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.As(err, &parse):
		r.at = at(r.input, int64(parse.StartLine))
		return nil, problemf(ErrMalformed, "%s", csvWords(parse, len(fields), r.rows.FieldsPerRecord))
	case err != nil:
		r.at = at(r.input, r.source.start)
		return nil, err
	}
	line, _ := r.rows.FieldPos(0)
	r.at = at(r.input, int64(line))
	for _, f := range fields {
		if !utf8.ValidString(f) {
			return nil, problemf(ErrMalformed, "the row is not valid UTF-8")
		}
	}
	return fields, nil
}

// csvWords words an error of the CSV reader.
func csvWords(err *csv.ParseError, has, want int) string {
	switch {
	case errors.Is(err, csv.ErrFieldCount) && has < want:
		return "the row has fewer fields than the header"
	case errors.Is(err, csv.ErrFieldCount):
		return "the row has more fields than the header: a field with a comma must stand in quotes"
	case errors.Is(err, csv.ErrBareQuote):
		return `a quote (") stands in a field without quotes: put the field into quotes and write the quote twice`
	case errors.Is(err, csv.ErrQuote):
		return `a field in quotes does not end with one, or something stands behind it: a quote (") in it is written twice`
	}
	return err.Err.Error()
}

// user adds the row of a user, and of the groups that it names.
func (r *csvReader) user(fields []string) error {
	rec := record{header: header{kind: kindUser, at: r.at}}
	groups := ""
	for i, column := range r.columns {
		value := fields[i]
		switch column {
		case "username":
			rec.name = value
		case "fullName":
			rec.has |= hasFullName
			rec.fullName = value
		case "email":
			rec.has |= hasEmail
			rec.email = value
		case "description":
			rec.has |= hasDescription
			rec.description = value
		case "active":
			given, active, err := csvBool(value)
			if err != nil {
				return err
			}
			if given {
				rec.has |= hasFlag
				rec.flag = active
			}
		case "groups":
			groups = value
		}
	}
	key := nameKey(kindUser, 0, rec.name)
	if err := r.plan.addRecord(&rec, key); err != nil {
		return err
	}
	user := r.plan.symbols.lookup(key)
	for name := range strings.SplitSeq(groups, ";") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		group, err := r.group(name)
		if err != nil {
			return err
		}
		if err := r.plan.addMember(group, user); err != nil {
			return err
		}
	}
	return nil
}

// csvBool reads what spreadsheets write for true and false.
func csvBool(s string) (given, value bool, err error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "":
		return false, false, nil
	case "true", "yes", "1":
		return true, true, nil
	case "false", "no", "0":
		return true, false, nil
	}
	return false, false, problemf(ErrMalformed, "active must be true, false, yes, no, 1, 0 or empty, not %s", quoteStart([]byte(s)))
}

// edge adds the row of a membership.
func (r *csvReader) edge(fields []string) error {
	name, member := fields[0], fields[1]
	if r.columns[0] == "member" {
		name, member = member, name
	}
	if name == "" || member == "" {
		return problemf(ErrMalformed, "a row needs a group and a member")
	}
	group, err := r.group(name)
	if err != nil {
		return err
	}
	if nested, ok := strings.CutPrefix(member, csvGroup); ok {
		sub, err := r.group(nested)
		if err != nil {
			return err
		}
		return r.plan.addMember(group, sub)
	}
	where := r.at
	user := r.plan.symbols.refer(nameKey(kindUser, 0, member), func() *reference {
		return &reference{at: where, kind: kindUser, name: strings.Clone(member)}
	})
	return r.plan.addMember(group, user)
}

// group returns the symbol of a group that a row names. It is created unless
// the store has it.
func (r *csvReader) group(name string) (symbol, error) {
	key := nameKey(kindGroup, 0, name)
	sym := r.plan.symbols.lookup(key)
	if r.plan.symbols.stands[sym] != nobody {
		return sym, nil
	}
	return sym, r.plan.addRecord(&record{header: header{kind: kindGroup, at: r.at, has: onlyNew}, name: name}, key)
}

// csvSource stands before the CSV reader, which would hold a row of any length
// and does not say where one begins that it could not read.
type csvSource struct {
	ctx   context.Context
	in    *bufio.Reader
	rest  []byte // read from in, not yet handed on
	lines int64  // whose first byte has been read
	inner bool   // the line at hand goes on
	start int64  // first line of the row at hand, apart from empty ones
	size  int    // bytes of the row so far
}

// begin starts a row: everything before it has been taken.
func (s *csvSource) begin() { s.start, s.size = s.lines+1, 0 }

// Read hands on a line or a part of one, so that the reader is never ahead of
// the row that it returns.
func (s *csvSource) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *csvSource) fill() error {
	part, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	if len(part) == 0 {
		return err
	}
	if !s.inner {
		s.lines++
	}
	s.inner = part[len(part)-1] != '\n'
	if s.size == 0 && len(trimEnd(part)) == 0 {
		s.start = s.lines + 1
	} else if s.size += len(part); s.size > MaxRecord {
		return problemf(ErrTooLong, "the row is longer than %d bytes", MaxRecord)
	}
	s.rest = part
	return s.ctx.Err()
}
