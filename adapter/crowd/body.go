package crowd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster"
)

// maxDepth is how deeply JSON may be nested; no body of the API needs more than 3.
const maxDepth = 16

// body reads the body of a request, which must be JSON. Optional allows none at
// all, which is nil then.
func (c *call) body(optional bool) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, c.o.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, badRequest("The body could not be read.")
	case len(data) == 0 && optional:
		return nil, nil
	}
	types := c.r.Header.Values("Content-Type")
	if len(types) != 1 {
		return nil, errContentType
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if charset := params["charset"]; err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errContentType
	}
	if len(data) == 0 {
		return nil, badRequest("The body is missing.")
	}
	return data, checkJSON(data)
}

// checkJSON returns an error for what is not one JSON value in UTF-8, for one
// that is nested deeply, and for objects with the same name twice, which another
// reader may understand in another way.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return badRequest("The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		names map[string]bool // of an object
		name  bool            // a name comes next
	}
	var open []level
	for {
		t, err := d.Token()
		if err != nil {
			return badRequest("The body is not JSON.")
		}
		at := len(open) - 1
		switch text, isText := t.(string); {
		case t == json.Delim('{') || t == json.Delim('['):
			if len(open) == maxDepth {
				return badRequest("The body is nested too deeply.")
			}
			next := level{}
			if t == json.Delim('{') {
				next = level{map[string]bool{}, true}
			}
			open = append(open, next)
			continue
		case t == json.Delim('}') || t == json.Delim(']'):
			open = open[:at]
			at--
		case isText && at >= 0 && open[at].name:
			if open[at].names[text] {
				return badRequest("A name stands twice in an object of the body.")
			}
			open[at].names[text], open[at].name = true, false
			continue
		}
		if at < 0 {
			break
		}
		open[at].name = open[at].names != nil
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("Something follows the JSON of the body.")
	}
	return nil
}

// object takes an object apart. What it holds beside what is asked for does not
// matter, and names mean what they are: encoding/json would take "IDS" for "ids".
func object(data []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if data == nil {
		return nil, nil
	}
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, badRequest("The body must be an object.")
	}
	return fields, nil
}

// field reads a field that may be left out or null.
func field[T any](fields map[string]json.RawMessage, name, must string, to *T) error {
	if raw, ok := fields[name]; ok && json.Unmarshal(raw, to) != nil {
		return badRequest(name + " must be " + must + ".")
	}
	return nil
}

// ids reads {"ids": ["...", ...]}.
func (c *call) ids() ([]string, error) {
	data, err := c.body(false)
	if err != nil {
		return nil, err
	}
	fields, err := object(data)
	if err != nil {
		return nil, err
	}
	return decodeIDs(fields)
}

func decodeIDs(fields map[string]json.RawMessage) ([]string, error) {
	var list []*string
	if err := field(fields, "ids", "a list of texts", &list); err != nil {
		return nil, err
	}
	ids := make([]string, len(list))
	for i, id := range list {
		if id == nil {
			return nil, badRequest("ids must be a list of texts.")
		}
		ids[i] = *id
	}
	return ids, nil
}

// criteria say whom or what to look for.
type criteria struct {
	text        string
	directories []roster.DirectoryID // none: all
	active      *bool                // nil: whether or not
	avatar      int
}

func decodeCriteria(data []byte) (q criteria, err error) {
	fields, err := object(data)
	if err != nil {
		return q, err
	}
	var text *string
	var directories []json.RawMessage
	var avatar *int
	for _, err := range []error{
		field(fields, "search", "a text", &text),
		field(fields, "active", "true, false or null", &q.active),
		field(fields, "directoryIds", "a list of numbers", &directories),
		field(fields, "avatarSizeHint", "a number", &avatar),
	} {
		if err != nil {
			return q, err
		}
	}
	if text != nil {
		q.text = *text
	}
	if avatar != nil {
		q.avatar = max(*avatar, 0)
	}
	for _, raw := range directories {
		s := string(raw)
		if strings.HasPrefix(s, `"`) { // a number in quotes is one for Crowd
			if err := json.Unmarshal(raw, &s); err != nil {
				return q, badRequest("directoryIds must be a list of numbers.")
			}
		}
		if n, err := strconv.ParseInt(s, 10, 64); err != nil {
			return q, badRequest("directoryIds must be a list of numbers.")
		} else if n < 0 || n > 1<<32-1 {
			return q, errNoDirectory // a number, but no directory has it
		}
		d, _ := parseDirectory(strings.TrimPrefix(s, "+"))
		q.directories = append(q.directories, d)
	}
	slices.Sort(q.directories)
	q.directories = slices.Compact(q.directories) // each costs time
	return q, nil
}
