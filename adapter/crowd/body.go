package crowd

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// maxDepth is how deeply JSON may be nested; no body of the API needs more than 3.
const maxDepth = 16

// body reads the body of a request, which must be JSON. Optional allows none at
// all, which is nil then.
func (c *call) body(optional bool) ([]byte, error) {
	data, err := web.Body(c.w, c.r, c.o.MaxBody)
	switch {
	case errors.Is(err, web.ErrTooLarge):
		return nil, errTooLarge
	case errors.Is(err, access.ErrBusy):
		return nil, err // whoever serves this limits bodies, and has no room for another
	case err != nil:
		return nil, badRequest("The body could not be read.")
	case len(data) == 0 && optional:
		return nil, nil
	}
	if kind, _, ok := web.MediaType(c.r.Header.Values("Content-Type")); !ok || kind != "application/json" {
		return nil, errContentType
	}
	if len(data) == 0 {
		return nil, badRequest("The body is missing.")
	}
	return data, checkJSON(data)
}

// faults are what can be wrong with JSON, in words of the API.
var faults = map[web.Fault]string{
	web.NotUTF8:  "The body is not UTF-8.",
	web.NotJSON:  "The body is not JSON.",
	web.TooDeep:  "The body is nested too deeply.",
	web.Twice:    "A name stands twice in an object of the body.",
	web.Trailing: "Something follows the JSON of the body.",
}

func checkJSON(data []byte) error {
	if fault, ok := errors.AsType[*web.JSONError](web.CheckJSON(data, maxDepth)); ok {
		return badRequest(faults[fault.Fault])
	}
	return nil
}

// object takes an object apart. What it holds beside what is asked for does not
// matter.
func object(data []byte) (map[string]json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	fields, ok := web.Object(data)
	if !ok {
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

// maxEntities is how many entities a request may name: nobody else changes anything
// while it is found out what they mean.
const maxEntities = 200_000

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
	if len(list) > maxEntities {
		return nil, errTooLarge
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

// criteria reads criteria; nothing at all asks for everybody.
func (c *call) criteria() (criteria, error) {
	data, err := c.body(true)
	if err != nil {
		return criteria{}, err
	}
	return decodeCriteria(data)
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
