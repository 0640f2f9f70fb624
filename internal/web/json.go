package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// that decoded. It takes time and memory in proportion to the text.
func CheckJSON(data []byte, depth int) error {
	if !utf8.Valid(data) {
		return &JSONError{Fault: NotUTF8}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := checkValue(d, depth); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return &JSONError{Fault: Trailing}
	}
	return nil
}

// level is a list or an object that has begun and not ended.
type level struct {
	names map[string]bool // of an object, nil for a list
	named bool            // of an object: its name has been read, and the value comes
}

// checkValue reads one value. It keeps what is open itself, so that no text makes the
// stack grow.
func checkValue(d *json.Decoder, depth int) error {
	var open []level
	for {
		t, err := d.Token()
		if err != nil {
			return &JSONError{NotJSON, plain(err)}
		}
		var in *level
		if len(open) > 0 {
			in = &open[len(open)-1]
		}
		switch {
		case t == json.Delim('{') || t == json.Delim('['):
			if len(open) == depth {
				return &JSONError{Fault: TooDeep}
			}
			next := level{}
			if t == json.Delim('{') {
				next.names = map[string]bool{}
			}
			open = append(open, next)
			continue
		case t == json.Delim('}') || t == json.Delim(']'):
			open = open[:len(open)-1]
		case in != nil && in.names != nil && !in.named:
			name := t.(string)
			if in.names[name] {
				return &JSONError{Twice, name}
			}
			in.names[name], in.named = true, true
			continue
		}
		if len(open) == 0 { // a value has ended: that of the text
			return nil
		}
		open[len(open)-1].named = false
	}
}

// plain says what is wrong in words that hide how package encoding/json says that
// there is no more.
func plain(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return err.Error()
}

// Object takes a JSON object apart by its fields' exact names: decoding it into a
// struct would take "IDS" for "ids". Ok is false for anything else, null too.
func Object(data []byte) (fields map[string]json.RawMessage, ok bool) {
	err := json.Unmarshal(data, &fields)
	return fields, err == nil && fields != nil
}
