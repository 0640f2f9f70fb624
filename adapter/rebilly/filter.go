package rebilly

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The filter language:
//
//	filter  clause { ";" clause }              all of them hold
//	clause  field ":" value { "," value }      one of the values holds
//	      | field ":" "!" value { "," ["!"] value }   none of them holds
//	value   text | from ".." to | from ".." | ".." to
//	field   letters and digits, parts of it separated by "."
//
// Texts are compared without regard to capital letters. A text holds neither ";"
// nor "," nor ".."; white space around it does not count. Ranges, which hold
// their ends, are of times: RFC 3339, or a date, which is its first moment. Lists
// of values (@name) are kept nowhere here and are refused.

// Limits of a filter.
const (
	maxFilter  = 16 << 10 // bytes
	maxClauses = 32
	maxValues  = 500 // of all clauses
)

// kind is what a field holds.
type kind uint8

const (
	aText kind = iota
	aBool
	aTime
)

// clause is one condition on a field.
type clause struct {
	field  string
	not    bool
	texts  []string // of aText
	yes    bool     // of aBool: is true among the values
	no     bool     // of aBool: is false
	ranges []span   // of aTime
}

// span is a range of times in full seconds; a zero end is open.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool {
	t = t.Truncate(time.Second)
	return (s.from.IsZero() || !t.Before(s.from)) && (s.to.IsZero() || !t.After(s.to))
}

// parseFilter reads a filter on the fields that there are. Its errors are a 422 that
// names the field, or the parameter if there is no field to name.
func parseFilter(text string, fields map[string]kind) ([]clause, error) {
	switch {
	case text == "":
		return nil, nil
	case len(text) > maxFilter:
		return nil, invalid("filter", "Must have at most %d bytes.", maxFilter)
	}
	var out []clause
	values := 0
	for part := range strings.SplitSeq(text, ";") {
		c, n, err := parseClause(part, fields)
		if err != nil {
			return nil, err
		}
		out, values = append(out, c), values+n
		if len(out) > maxClauses || values > maxValues {
			return nil, invalid("filter", "Must have at most %d conditions and %d values.", maxClauses, maxValues)
		}
	}
	return out, nil
}

func parseClause(text string, fields map[string]kind) (c clause, n int, err error) {
	field, values, ok := strings.Cut(text, ":")
	c.field = strings.TrimSpace(field)
	if !ok || !isField(c.field) {
		return c, 0, invalid("filter", "%q is no condition: write field:value.", clip(text))
	}
	of, ok := fields[c.field]
	if !ok {
		return c, 0, invalid(clip(c.field), "Cannot be filtered by.")
	}
	for value := range strings.SplitSeq(values, ",") {
		value, not := strings.CutPrefix(strings.TrimSpace(value), "!")
		switch {
		case n == 0:
			c.not = not
		case not && !c.not:
			return c, 0, invalid(c.field, "Either all values are negated or none is.")
		}
		if n++; n > maxValues {
			return c, 0, invalid(c.field, "Too many values: %d are allowed.", maxValues)
		}
		if err := c.add(strings.TrimSpace(value), of); err != nil {
			return c, 0, invalid(c.field, "%s", err)
		}
	}
	return c, n, nil
}

func isField(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		for _, r := range part {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return true
}

// valueError says what is wrong with a value, in a sentence.
type valueError string

func (e valueError) Error() string { return string(e) }

// add takes a value for a field of a kind.
func (c *clause) add(v string, of kind) error {
	switch {
	case v == "":
		return valueError("A value is empty.")
	case v[0] == '@':
		return valueError("Lists of values are not supported.")
	case !utf8.ValidString(v):
		return valueError("A value is not UTF-8.")
	case of == aTime:
		s, err := parseSpan(v)
		c.ranges = append(c.ranges, s)
		return err
	case strings.Contains(v, ".."):
		return valueError("Only times have ranges.")
	case of == aBool:
		switch strings.ToLower(v) {
		case "true":
			c.yes = true
		case "false":
			c.no = true
		default:
			return valueError("Must be true or false.")
		}
		return nil
	}
	c.texts = append(c.texts, v)
	return nil
}

func parseSpan(v string) (s span, err error) {
	from, to, ranged := strings.Cut(v, "..")
	if !ranged {
		s.from, err = parseTime(v)
		s.to = s.from
		return s, err
	}
	if from == "" && to == "" {
		return s, valueError("A range needs one of its ends.")
	}
	if from != "" {
		if s.from, err = parseTime(from); err != nil {
			return s, err
		}
	}
	if to != "" {
		s.to, err = parseTime(to)
	}
	return s, err
}

func parseTime(v string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, valueError(fmt.Sprintf("%q is no time: write it as in 2026-02-14T13:30:00Z.", clip(v)))
}

// Whether a condition holds for a value of its kind.

func (c *clause) holdsText(values ...string) bool {
	for _, v := range values {
		for _, want := range c.texts {
			if strings.EqualFold(v, want) {
				return !c.not
			}
		}
	}
	return c.not
}

func (c *clause) holdsBool(v bool) bool {
	return (v && c.yes || !v && c.no) != c.not
}

func (c *clause) holdsTime(t time.Time) bool {
	for _, s := range c.ranges {
		if s.holds(t) {
			return !c.not
		}
	}
	return c.not
}
