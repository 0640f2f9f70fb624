package exchange

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rosterdb/roster"
)

// jsonReader reads JSON lines into a plan.
type jsonReader struct {
	plan   *Plan
	input  int
	lines  *lineReader
	source bytes.Reader
	object jsontext.Decoder // over a line
	inner  jsontext.Decoder // over a list or the attributes of a line
	fields []jsonField      // of the line at hand
}

// jsonField is one field of a line; value is its JSON as it stands there.
type jsonField struct {
	name  string
	value jsontext.Value
}

func readJSONLines(ctx context.Context, plan *Plan, input int, in *bufio.Reader) error {
	r := &jsonReader{plan: plan, input: input, lines: newLineReader(in, MaxRecord)}
	for {
		line, err := r.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			err = ctx.Err()
		}
		if err == nil {
			err = r.line(line)
		}
		if err != nil {
			return plan.fail(at(input, r.lines.line), err)
		}
	}
}

// line reads one line. Lines of nothing but white space say nothing.
func (r *jsonReader) line(line []byte) error {
	if r.lines.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if err := r.split(line); err != nil {
		return err
	}
	name, err := r.kind()
	if err != nil {
		return err
	}
	switch name {
	case "directory":
		return r.directory()
	case "user":
		return r.user()
	case "group":
		return r.group()
	case "member":
		return r.link(name, "subgroup", memberOf)
	case "admin":
		return r.link(name, "byGroup", adminOf)
	case "organization":
		return r.organization()
	case "role":
		return r.role()
	case "orgMembership":
		return r.orgMembership()
	case "account":
		return r.account()
	case "apiKey":
		return r.apiKey()
	}
	return problemf(ErrMalformed, "kind %q is unknown (directory, user, group, member, admin, organization, role, orgMembership, account, apiKey)", name)
}

// split cuts a line into its fields. The decoder refuses what JSON leaves to
// its readers: a name given twice, text that is not UTF-8.
func (r *jsonReader) split(line []byte) error {
	r.fields = r.fields[:0]
	r.source.Reset(line)
	r.object.Reset(&r.source)
	token, err := r.object.ReadToken()
	if err != nil {
		return jsonError(err)
	}
	if token.Kind() != '{' {
		return problemf(ErrMalformed, "a line must be one JSON object")
	}
	for r.object.PeekKind() != '}' {
		token, err := r.object.ReadToken()
		if err != nil {
			return jsonError(err)
		}
		name := token.String()
		value, err := r.object.ReadValue()
		if err != nil {
			return jsonError(err)
		}
		end := r.object.InputOffset()
		r.fields = append(r.fields, jsonField{name, line[end-int64(len(value)) : end]})
	}
	if _, err := r.object.ReadToken(); err != nil {
		return jsonError(err)
	}
	if rest := bytes.TrimSpace(line[r.object.InputOffset():]); len(rest) > 0 {
		return problemf(ErrMalformed, "there is something behind the object: %s", quoteStart(rest))
	}
	return nil
}

// quoteStart quotes the first bytes of a text for an error.
func quoteStart(b []byte) string {
	if len(b) > 40 {
		return strconv.Quote(strings.ToValidUTF8(string(b[:40]), "?")) + "…"
	}
	return strconv.Quote(string(b))
}

// jsonError words an error of the JSON decoder.
func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return problemf(ErrMalformed, "the JSON object does not end on this line")
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return problemf(ErrMalformed, "a field is given twice: %v", err)
	}
	return problemf(ErrMalformed, "not JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}

// kind takes the field "kind" out of the fields.
func (r *jsonReader) kind() (string, error) {
	i := slices.IndexFunc(r.fields, func(f jsonField) bool { return f.name == "kind" })
	if i < 0 {
		return "", problemf(ErrMalformed, `the field "kind" is missing`)
	}
	name, err := jsonString(r.fields[i])
	r.fields = slices.Delete(r.fields, i, i+1)
	return name, err
}

// each hands every field to one of the setters, found by name. A field with
// none is an error.
func (r *jsonReader) each(kind string, set func(f jsonField) (known bool, err error)) error {
	for _, f := range r.fields {
		known, err := set(f)
		if err != nil {
			return err
		}
		if !known {
			return problemf(ErrMalformed, "the field %q of %s %s is unknown", f.name, article(kind), kind)
		}
	}
	return nil
}

func article(kind string) string {
	if strings.ContainsRune("aeo", rune(kind[0])) {
		return "an"
	}
	return "a"
}

func (r *jsonReader) here() position { return at(r.input, r.lines.line) }

// header is the beginning of the record of the line at hand.
func (r *jsonReader) header(k kind) header { return header{kind: k, at: r.here()} }

func (r *jsonReader) directory() error {
	rec := record{header: r.header(kindDirectory)}
	given := false
	err := r.each("directory", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "id":
			given = true
			rec.directory, err = jsonDirectory(f)
		case "name":
			rec.name, err = jsonString(f)
		case "type":
			rec.has |= hasType
			rec.dirType, err = jsonString(f)
		case "domain":
			rec.has |= hasDomain
			rec.domain, err = jsonString(f)
		default:
			return rec.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case !given || rec.name == "":
		return problemf(ErrMalformed, `a directory needs "id" and "name"`)
	}
	return r.plan.addDirectory(&rec)
}

func (r *jsonReader) user() error {
	rec := record{header: r.header(kindUser)}
	err := r.each("user", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "username":
			rec.name, err = jsonString(f)
		case "fullName":
			rec.has |= hasFullName
			rec.fullName, err = jsonString(f)
		case "email":
			rec.has |= hasEmail
			rec.email, err = jsonString(f)
		case "active":
			rec.has |= hasFlag
			rec.flag, err = jsonBool(f)
		case "attributes":
			rec.has |= hasAttributes
			rec.attributes, err = r.attributes(f)
		default:
			return r.shared(&rec, f)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if rec.name == "" {
		return problemf(ErrMalformed, `a user needs "username"`)
	}
	return r.add(&rec)
}

func (r *jsonReader) group() error {
	rec := record{header: r.header(kindGroup)}
	err := r.each("group", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "name":
			rec.name, err = jsonString(f)
		case "enterprise":
			rec.has |= hasFlag
			rec.flag, err = jsonBool(f)
		case "abilities":
			rec.has |= hasAbilities
			rec.abilities, err = r.strings(f)
		default:
			return r.shared(&rec, f)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if rec.name == "" {
		return problemf(ErrMalformed, `a group needs "name"`)
	}
	return r.add(&rec)
}

// shared sets the fields that users and groups have in common.
func (r *jsonReader) shared(rec *record, f jsonField) (known bool, err error) {
	switch f.name {
	case "directory":
		rec.directory, err = jsonDirectory(f)
	case "id":
		rec.has |= hasNumber
		rec.number, err = jsonUint(f)
	case "uid":
		rec.has |= hasUID
		rec.uid, err = jsonString(f)
	case "description":
		rec.has |= hasDescription
		rec.description, err = jsonString(f)
	default:
		return rec.times(f)
	}
	return true, err
}

// times sets the fields that every kind may carry.
func (h *header) times(f jsonField) (known bool, err error) {
	switch f.name {
	case "createdTime":
		h.has |= hasCreated
		h.created, err = jsonTime(f)
	case "updatedTime":
		h.has |= hasUpdated
		h.updated, err = jsonTime(f)
	default:
		return false, nil
	}
	return true, err
}

// add puts a user or group into the plan.
func (r *jsonReader) add(rec *record) error {
	if !r.given("directory") {
		return problemf(ErrMalformed, `a %s needs "directory"`, rec.kind)
	}
	if rec.has&hasNumber != 0 && rec.number == 0 {
		return problemf(ErrMalformed, `"id" must not be 0; leave it out and one is assigned`)
	}
	if rec.has&hasUID != 0 && rec.uid == "" {
		return problemf(ErrMalformed, `"uid" must not be empty; leave it out and one is made`)
	}
	return r.plan.addRecord(rec, nameKey(rec.kind, rec.directory, rec.name))
}

func (r *jsonReader) given(name string) bool {
	return slices.ContainsFunc(r.fields, func(f jsonField) bool { return f.name == name })
}

// link adds a member or an administrator of a group: a user or, in the field
// that byGroup names, a group. Whoever it is belongs to the group's directory,
// unless userDirectory or, for a group, <byGroup>Directory says otherwise.
func (r *jsonReader) link(kind, byGroup string, relation relation) error {
	var group, member reference
	var times header
	err := r.each(kind, func(f jsonField) (known bool, err error) {
		switch f.name {
		case "directory":
			group.directory, err = jsonDirectory(f)
		case "group":
			group.name, err = jsonString(f)
		case "user", byGroup:
			member.name, err = jsonString(f)
		case "userDirectory", byGroup + "Directory":
			member.directory, err = jsonDirectory(f)
		default:
			return times.times(f)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	user, other := r.given("user"), r.given(byGroup)
	switch {
	case user == other || group.name == "" || member.name == "" || !r.given("directory"):
		return problemf(ErrMalformed, `%s %s needs "directory", "group" and one of "user" and %q`, article(kind), kind, byGroup)
	case r.given("userDirectory") && !user, r.given(byGroup+"Directory") && !other:
		return problemf(ErrMalformed, `"userDirectory" goes with "user", "%[1]sDirectory" with "%[1]s"`, byGroup)
	case !r.given("userDirectory") && !r.given(byGroup+"Directory"):
		member.directory = group.directory
	}
	group.kind, member.kind = kindGroup, kindUser
	if other {
		member.kind = kindGroup
	}
	group.at, member.at = r.here(), r.here()
	return r.plan.addLink(link{relation, r.refer(&group), r.refer(&member)})
}

func (r *jsonReader) refer(ref *reference) symbol {
	return r.plan.symbols.refer(nameKey(ref.kind, ref.directory, ref.name), func() *reference { return ref })
}

func wrongType(f jsonField, want string) error {
	return problemf(ErrMalformed, "the field %q must be %s, not %s", f.name, want, quoteStart(f.value))
}

func jsonString(f jsonField) (string, error) {
	if f.value.Kind() != '"' {
		return "", wrongType(f, "a string")
	}
	out, err := jsontext.AppendUnquote(nil, f.value)
	if err != nil {
		return "", jsonError(err)
	}
	return string(out), nil
}

func jsonBool(f jsonField) (bool, error) {
	switch string(f.value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, wrongType(f, "true or false")
}

func jsonUint(f jsonField) (uint64, error) {
	n, err := strconv.ParseUint(string(f.value), 10, 64)
	if err != nil {
		return 0, wrongType(f, "a whole number from 0 to 18446744073709551615")
	}
	return n, nil
}

func jsonDirectory(f jsonField) (roster.DirectoryID, error) {
	n, err := strconv.ParseUint(string(f.value), 10, 32)
	if err != nil {
		return 0, wrongType(f, "a directory's id, a whole number from 0 to 4294967295")
	}
	return roster.DirectoryID(n), nil
}

// jsonTime reads an RFC 3339 time. The zero time means "now" to the engine and
// is nobody's time of creation.
func jsonTime(f jsonField) (time.Time, error) {
	s, err := jsonString(f)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() {
		return time.Time{}, wrongType(f, "a time as in RFC 3339")
	}
	return t.UTC(), nil
}

// strings reads a list of strings.
func (r *jsonReader) strings(f jsonField) ([]string, error) {
	if f.value.Kind() != '[' {
		return nil, wrongType(f, "a list of strings")
	}
	r.source.Reset(f.value)
	r.inner.Reset(&r.source)
	return r.list(f)
}

// list reads the list that the inner decoder stands before.
func (r *jsonReader) list(f jsonField) ([]string, error) {
	if token, err := r.inner.ReadToken(); err != nil || token.Kind() != '[' {
		return nil, wrongType(f, "made of lists of strings")
	}
	var list []string
	for r.inner.PeekKind() == '"' {
		token, err := r.inner.ReadToken()
		if err != nil {
			return nil, jsonError(err)
		}
		list = append(list, token.String())
	}
	if token, err := r.inner.ReadToken(); err != nil || token.Kind() != ']' {
		return nil, wrongType(f, "made of strings")
	}
	return list, nil
}

// attributes reads an object whose values are lists of strings.
func (r *jsonReader) attributes(f jsonField) (map[string][]string, error) {
	if f.value.Kind() != '{' {
		return nil, wrongType(f, "an object of lists of strings")
	}
	r.source.Reset(f.value)
	r.inner.Reset(&r.source)
	if _, err := r.inner.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	var all map[string][]string
	for r.inner.PeekKind() == '"' {
		token, err := r.inner.ReadToken()
		if err != nil {
			return nil, jsonError(err)
		}
		name := token.String()
		list, err := r.list(f)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		if all == nil {
			all = map[string][]string{}
		}
		all[name] = list
	}
	return all, nil
}
