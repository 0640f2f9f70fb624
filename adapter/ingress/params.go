package ingress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
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
// text once, in the order of the request.
func (p params) list(aliases ...string) (out []value) {
	for _, name := range aliases {
		seen := map[value]bool{}
		add := func(v value) {
			v.text, v.element = strings.TrimSpace(v.text), true
			if (v.text != "" || v.bad) && !seen[v] {
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
				add(value{text: part})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// params reads the parameters of a request: those of the body, and those of the
// address that are not in the body.
func (a *api) params(w http.ResponseWriter, r *http.Request) (params, error) {
	all, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.o.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return all, errTooLarge
	case err != nil:
		return all, errBody
	case len(data) == 0:
		return all, nil
	}
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return all, errType
	}
	body, err := parseBody(types[0], data)
	for name, values := range body {
		if len(values) > 0 {
			all[name] = values
		}
	}
	return all, err
}

// parseBody reads a body of one of the three types.
func parseBody(contentType string, data []byte) (params, error) {
	kind, options, err := mime.ParseMediaType(contentType)
	if charset := options["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errType
	}
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

// parseForm reads pairs parted by "&", as in a query or an urlencoded body. Unlike
// url.ParseQuery it takes ";" for a character like others.
func parseForm(s string) (params, error) {
	out := params{}
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(k)
		text, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return out, errForm
		}
		if err := out.add(name, text); err != nil {
			return out, err
		}
	}
	return out, nil
}

// add adds a field of a form. user_id[] and user_id[0] are elements of user_id.
func (p params) add(name, text string) error {
	if !utf8.ValidString(name) || !utf8.ValidString(text) {
		return errForm
	}
	v := value{text: text}
	if open := strings.IndexByte(name, '['); open > 0 && strings.HasSuffix(name, "]") {
		v.bad = strings.Contains(name[open+1:len(name)-1], "[") // an array in an array
		name, v.element = name[:open], true
	}
	p[name] = append(p[name], v)
	return nil
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
		if err != nil || part.FormName() == "" || part.FileName() != "" {
			return out, errForm
		}
		if err := out.add(part.FormName(), string(text)); err != nil {
			return out, err
		}
	}
}

// maxDepth is how deeply JSON may be nested; 2 is all that the API needs.
const maxDepth = 8

// parseJSON reads an object. A name that stands twice in an object, which another
// reader may understand in another way, makes it none.
func parseJSON(data []byte) (params, error) {
	if !utf8.Valid(data) || checkJSON(data) != nil {
		return nil, errJSON
	}
	var fields map[string]json.RawMessage // names mean what they are, capital letters included
	if json.Unmarshal(data, &fields) != nil || fields == nil {
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
	var any any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&any) != nil {
		return value{bad: true, text: string(raw)}, true
	}
	switch x := any.(type) {
	case nil:
		return v, false
	case string:
		return value{text: x}, true
	case json.Number:
		text := x.String()
		if strings.ContainsAny(text, ".eE") {
			f, err := x.Float64()
			if err != nil || f != math.Trunc(f) || f < 0 || f > 1<<53 {
				return value{bad: true, text: text}, true
			}
			text = strconv.FormatUint(uint64(f), 10)
		}
		return value{text: text}, true
	}
	return value{bad: true, text: string(raw)}, true
}

// checkJSON returns an error for what is not one JSON value, for one that is nested
// deeply, and for objects with the same name twice.
func checkJSON(data []byte) error {
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
			return errJSON
		}
		at := len(open) - 1
		switch text, isText := t.(string); {
		case t == json.Delim('{') || t == json.Delim('['):
			if len(open) == maxDepth {
				return errJSON
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
				return errJSON
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
		return errJSON
	}
	return nil
}
