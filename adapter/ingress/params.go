package ingress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// value is what a parameter holds: a text, which may be a list parted by commas,
// or one element of an array, which is taken as it is.
type value struct {
	text    string
	element bool
	bad     bool // neither text nor number: it names nothing
}

// params are the parameters of a request. One that is given several times holds
// all that it was given.
type params map[string][]value

// texts are the parameters that are no arrays, for an Authenticator.
func (p params) texts() url.Values {
	out := url.Values{}
	for name, all := range p {
		for _, v := range all {
			if !v.element && !v.bad {
				out.Add(name, v.text)
			}
		}
	}
	return out
}

// list returns what the first of some parameters that is not empty names, each
// text once, in the order of the request. White space around the parts of a list
// that commas part is no part of them; elements of arrays are as they were sent.
func (p params) list(aliases ...string) (out []value) {
	for _, name := range aliases {
		seen := map[value]bool{}
		add := func(v value) {
			v.element = true
			if (strings.TrimSpace(v.text) != "" || v.bad) && !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
		for _, v := range p[name] {
			if v.element || v.bad {
				add(v)
				continue
			}
			for part := range strings.SplitSeq(v.text, ",") {
				add(value{text: strings.TrimSpace(part)})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// params reads the parameters of a request: those of the body, and those of the
// address that are not in the body, or empty there.
func (a *api) params(w http.ResponseWriter, r *http.Request) (params, error) {
	all, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	data, err := web.Body(w, r, a.o.MaxBody)
	switch {
	case errors.Is(err, web.ErrTooLarge):
		return all, errTooLarge
	case errors.Is(err, access.ErrBusy):
		return all, err // whoever serves this limits bodies, and has no room for another
	case err != nil:
		return all, errBody
	case len(data) == 0:
		return all, nil
	}
	kind := r.Header.Values("Content-Type")
	if a.tooMany(kind, data) {
		return all, errTooMany
	}
	body, err := parseBody(kind, data)
	for _, names := range [][]string{userNames, groupNames} {
		inAddress := slices.ContainsFunc(names, func(name string) bool { return all[name] != nil })
		if inAddress && len(body.list(names...)) > 0 { // by whatever name
			for _, name := range names {
				delete(all, name)
			}
		}
	}
	for name, values := range body {
		if all[name] == nil || len(body.list(name)) > 0 { // what is empty hides nothing
			all[name] = values
		}
	}
	return all, err
}

// tooMany reports whether a body holds more values than any request needs. It is
// taken apart before anybody knows who sent it, and each value takes many times its
// length.
func (a *api) tooMany(contentType []string, data []byte) bool {
	between := ","
	switch kind, _, _ := web.MediaType(contentType); kind {
	case "application/json":
	case "application/x-www-form-urlencoded":
		between = "&"
	default:
		return false
	}
	return bytes.Count(data, []byte(between)) > 4*a.o.MaxList
}

// maxNames is how many parameters a request may have, by their names.
const maxNames = 1000

// parseBody reads a body of one of the three types.
func parseBody(contentType []string, data []byte) (params, error) {
	kind, options, _ := web.MediaType(contentType)
	switch kind {
	case "application/json":
		return parseJSON(data)
	case "application/x-www-form-urlencoded":
		return parseForm(string(data))
	case "multipart/form-data":
		return parseMultipart(data, options["boundary"])
	}
	return nil, errType
}

// parseForm reads pairs parted by "&", as in a query or an urlencoded body.
func parseForm(s string) (params, error) {
	out := params{}
	for f, err := range web.Fields(s) {
		if err != nil || !out.add(f.Name, f.Value) {
			return out, errForm
		}
	}
	return out, nil
}

// add adds a field of a form, unless there are too many. user_id[] and user_id[0] are
// elements of user_id.
func (p params) add(name, text string) bool {
	v := value{text: text}
	if open := strings.IndexByte(name, '['); open > 0 && strings.HasSuffix(name, "]") {
		v.bad = strings.Contains(name[open+1:len(name)-1], "[") // an array in an array
		name, v.element = name[:open], true
	}
	if _, known := p[name]; !known && len(p) == maxNames {
		return false
	}
	p[name] = append(p[name], v)
	return true
}

func parseMultipart(data []byte, boundary string) (params, error) {
	out := params{}
	if boundary == "" {
		return out, errForm
	}
	for r := multipart.NewReader(bytes.NewReader(data), boundary); ; {
		part, err := r.NextRawPart()
		if err == io.EOF && bytes.Contains(data, []byte("--"+boundary+"--")) { // else it broke off between two parts
			return out, nil
		}
		if err != nil {
			return out, errForm
		}
		text, err := io.ReadAll(part)
		name := part.FormName()
		if err != nil || name == "" || part.FileName() != "" || !utf8.ValidString(name) || !utf8.Valid(text) {
			return out, errForm
		}
		if !out.add(name, string(text)) {
			return out, errForm
		}
	}
}

// maxDepth is how deeply JSON may be nested; 2 is all that the API needs.
const maxDepth = 8

// parseJSON reads an object. A name that stands twice in an object, which another
// reader may understand in another way, makes it none.
func parseJSON(data []byte) (params, error) {
	if web.CheckJSON(data, maxDepth) != nil {
		return nil, errJSON
	}
	fields, ok := web.Object(data)
	if !ok || len(fields) > maxNames {
		return nil, errJSON
	}
	out := params{}
	for name, raw := range fields {
		if raw[0] != '[' {
			if v, is := scalar(raw); is {
				out[name] = []value{v}
			}
			continue
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, errJSON
		}
		for _, raw := range elements {
			if v, is := scalar(raw); is {
				v.element = true
				out[name] = append(out[name], v)
			}
		}
	}
	return out, nil
}

// scalar reads a text or a number; null is nothing. A number that is whole is
// written as such.
func scalar(raw json.RawMessage) (v value, is bool) {
	text := string(raw)
	switch raw[0] {
	case 'n':
		return v, false
	case '{', '[', 't', 'f':
		return value{bad: true, text: text}, true
	case '"':
		bad := json.Unmarshal(raw, &text) != nil
		return value{bad: bad, text: text}, true
	}
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != math.Trunc(f) || f < 0 || f > 1<<53 {
			return value{bad: true, text: text}, true
		}
		text = strconv.FormatUint(uint64(f), 10)
	}
	return value{text: text}, true
}
