package rebilly

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// object is a JSON object that was checked, by its fields' exact names. What is not
// known is ignored, as is what the API calls read-only.
type object map[string]json.RawMessage

// Limits of a body.
const (
	maxDepth = 32
	maxID    = 50  // characters
	maxEmail = 100 // characters
	maxItems = 1024
	maxItem  = 200 // characters of a permission
	maxWrong = 100 // fields that an error names
)

// readObject reads a body.
func readObject(w http.ResponseWriter, r *http.Request, most int64) (object, error) {
	if err := checkType(r.Header.Values("Content-Type")); err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, problemf(http.StatusUnsupportedMediaType, "The body must not be encoded.")
	}
	data, err := web.Body(w, r, most)
	switch {
	case errors.Is(err, web.ErrTooLarge):
		return nil, problemf(http.StatusRequestEntityTooLarge, "The body has more than %d bytes.", most)
	case errors.Is(err, access.ErrBusy):
		return nil, err // whoever serves this limits bodies, and has no room for another
	case err != nil:
		return nil, problemf(http.StatusBadRequest, "The body cannot be read.")
	}
	return parseObject(data)
}

// checkType lets JSON pass, and a body that does not say what it is.
func checkType(values []string) error {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return nil
	}
	kind, _, ok := web.MediaType(values)
	json := kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
	if !ok || !json {
		return problemf(http.StatusUnsupportedMediaType, "The body must be application/json in UTF-8.")
	}
	return nil
}

// parseObject reads a text that must be one JSON object in which no name stands
// twice at any depth.
func parseObject(data []byte) (object, error) {
	if fault, ok := errors.AsType[*web.JSONError](web.CheckJSON(data, maxDepth)); ok {
		return nil, problemf(http.StatusBadRequest, "%s", told(fault))
	}
	out, ok := web.Object(data)
	if !ok {
		return nil, problemf(http.StatusBadRequest, "The body must be a JSON object.")
	}
	return out, nil
}

// told says in the words of the API what is wrong with JSON.
func told(e *web.JSONError) string {
	switch e.Fault {
	case web.NotUTF8:
		return "The body is not UTF-8."
	case web.TooDeep:
		return fmt.Sprintf("The body is not JSON: it is nested deeper than %d.", maxDepth)
	case web.Twice:
		return fmt.Sprintf("The body is not JSON: %q stands in an object twice.", clip(e.Detail))
	case web.Trailing:
		return "The body is not JSON: something follows its end."
	}
	return "The body is not JSON: " + e.Detail + "."
}

// reader takes fields out of an object and collects what is wrong with them.
type reader struct {
	object
	wrong []invalidField
}

func (o *reader) fail(field, format string, args ...any) {
	if len(o.wrong) == maxWrong {
		return
	}
	o.wrong = append(o.wrong, invalidField{field, fmt.Sprintf(format, args...)})
}

// err returns a 422 that names the fields that are wrong, the first of them if they
// are very many.
func (o *reader) err() error {
	if len(o.wrong) == 0 {
		return nil
	}
	return invalidFields(o.wrong...)
}

// has reports whether a field is there and not null.
func (o *reader) has(field string) bool {
	raw, ok := o.object[field]
	return ok && string(raw) != "null"
}

func (o *reader) boolean(field string) (v bool) {
	if o.has(field) && json.Unmarshal(o.object[field], &v) != nil {
		o.fail(field, "Must be true or false.")
	}
	return v
}

// text reads a text of at most so many characters, "" for none.
func (o *reader) text(field string, most int) (v string) {
	switch {
	case !o.has(field):
	case json.Unmarshal(o.object[field], &v) != nil:
		o.fail(field, "Must be a text.")
	default:
		o.check(field, v, most)
	}
	return v
}

func (o *reader) check(field, v string, most int) {
	switch {
	case utf8.RuneCountInString(v) > most:
		o.fail(field, "Must have at most %d characters.", most)
	case strings.ContainsFunc(v, unicode.IsControl):
		o.fail(field, "Must not hold control characters.")
	}
}

// texts reads a list of texts that are not empty, nil for none.
func (o *reader) texts(field string, most int) (list []string) {
	if !o.has(field) {
		return nil
	}
	var raw []json.RawMessage
	if json.Unmarshal(o.object[field], &raw) != nil {
		o.fail(field, "Must be a list or null.")
		return nil
	}
	if len(raw) > maxItems {
		o.fail(field, "Must have at most %d elements.", maxItems)
		return nil
	}
	list = make([]string, len(raw))
	for i, r := range raw {
		at := fmt.Sprintf("%s.%d", field, i)
		if string(r) == "null" || json.Unmarshal(r, &list[i]) != nil || list[i] == "" {
			o.fail(at, "Must be a text that is not empty.")
			continue
		}
		o.check(at, list[i], most)
	}
	return list
}
