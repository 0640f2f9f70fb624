package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Fault is why a text is not taken for JSON.
type Fault uint8

const (
	NotUTF8  Fault = iota + 1
	NotJSON        // not JSON, or not all of it
	TooDeep        // nested more deeply than allowed
	Twice          // a name stands twice in an object
	Trailing       // something follows
)

// JSONError says why a text is not taken for JSON.
type JSONError struct {
	Fault Fault
	// Detail is what is wrong in words for NotJSON, the name for Twice, and ""
	// otherwise. It may hold what the text holds.
	Detail string
}

func (e *JSONError) Error() string {
	what := map[Fault]string{
		NotUTF8: "not UTF-8", NotJSON: "not JSON", TooDeep: "nested too deeply", Twice: "a name stands twice in an object", Trailing: "something follows",
	}[e.Fault]
	if e.Detail == "" {
		return "web: " + what
	}
	return fmt.Sprintf("web: %s: %q", what, e.Detail)
}

// CheckJSON returns a *JSONError unless a text is one JSON value in UTF-8 in which
// lists and objects are nested at most depth deep and no object holds a name twice,
// which another reader may understand in another way. Names are the same if they are
// that decoded. Of several faults it is the first in the text. It takes time and
// memory in proportion to the text.
func CheckJSON(data []byte, depth int) error {
	if !utf8.Valid(data) {
		return &JSONError{Fault: NotUTF8}
	}
	if json.Valid(data) {
		return checkShape(data, depth)
	}
	// Only the first value is looked at from here on, up to what is wrong with it.
	d := json.NewDecoder(bytes.NewReader(data))
	err := d.Decode(new(json.RawMessage))
	good, fault := data, &JSONError{NotJSON, "it ends too early"}
	var at *json.SyntaxError
	switch {
	case err == nil:
		good, fault = data[:d.InputOffset()], &JSONError{Fault: Trailing}
	case errors.As(err, &at):
		good, fault = data[:at.Offset-1], &JSONError{NotJSON, at.Error()}
	}
	if err := checkShape(good, depth); err != nil {
		return err
	}
	return fault
}

// level is a list or an object that has begun and not ended.
type level struct {
	object bool
	named  bool                // of an object: a name has been read, and its value comes
	names  map[string]struct{} // of an object that has some
}

// checkShape looks at the depth and the names of JSON, or of the beginning of some.
// It keeps what is open itself, so that no text makes the stack grow.
func checkShape(data []byte, depth int) error {
	var open []level
	for i := 0; i < len(data); {
		var in *level
		if len(open) > 0 {
			in = &open[len(open)-1]
		}
		c := data[i]
		switch {
		case c == '"':
			text := data[i : i+textLen(data[i:])]
			i += len(text)
			if in == nil || !in.object || in.named {
				continue
			}
			name, whole := decodeText(text)
			if !whole {
				return nil // the beginning of one, and the end of data
			}
			if _, twice := in.names[name]; twice {
				return &JSONError{Twice, name}
			}
			if in.names == nil {
				in.names = map[string]struct{}{}
			}
			in.names[name], in.named = struct{}{}, true
			continue
		case c == '{' || c == '[':
			if len(open) == depth {
				return &JSONError{Fault: TooDeep}
			}
			open = append(open, level{object: c == '{'})
		case c == '}' || c == ']':
			open = open[:len(open)-1]
		case c == ',':
			in.named = false
		}
		i++
	}
	return nil
}

// textLen returns how many bytes a text in JSON takes that data begins with, quotes
// and all.
func textLen(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// decodeText returns what a text in JSON says, and false for the beginning of one.
func decodeText(text []byte) (s string, whole bool) {
	if len(text) > 1 && text[len(text)-1] == '"' && !bytes.ContainsRune(text, '\\') {
		return string(text[1 : len(text)-1]), true
	}
	err := json.Unmarshal(text, &s)
	return s, err == nil
}

// Object takes a JSON object apart by its fields' exact names: decoding it into a
// struct would take "IDS" for "ids". Ok is false for anything else, null too.
func Object(data []byte) (fields map[string]json.RawMessage, ok bool) {
	err := json.Unmarshal(data, &fields)
	return fields, err == nil && fields != nil
}
