package arcgis

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// maxParams is the most parameters that one request may have.
const maxParams = 1000

// params are the parameters of a request.
type params struct {
	body, query url.Values
}

// read takes the request apart. The query and a form are read by our own rules: a
// semicolon is a character like others, and what cannot be decoded is an error
// and not left out.
func (c *call) read() error {
	var err1, err2 error
	c.p.query, err1 = parseForm(c.r.URL.RawQuery)
	c.p.body, err2 = c.readBody()
	f, err3 := c.p.one("f")
	c.format = formatOf(f)
	switch {
	case err3 != nil:
		c.format = formatUnknown
	case c.format == formatUnknown:
		err3 = badRequest("Parameter 'f' must be html, json or pjson.")
	case f == "" && err2 != nil && !strings.Contains(c.r.Header.Get("Accept"), "text/html"):
		c.format = formatUnknown // the format may be in what could not be read
	}
	return cmp.Or(err1, err2, err3)
}

func (c *call) readBody() (url.Values, error) {
	if c.r.Body == nil || c.r.Body == http.NoBody || c.r.ContentLength == 0 {
		return nil, nil
	}
	body := http.MaxBytesReader(c.w, c.r.Body, c.o.MaxBody)
	kind, detail, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, unreadable(err)
		}
		return parseForm(string(text))
	case "multipart/form-data":
		return readParts(multipart.NewReader(body, detail["boundary"]), c.o.MaxBody)
	}
	return nil, &apiError{code: http.StatusUnsupportedMediaType, messages: []string{"The body must be application/x-www-form-urlencoded or multipart/form-data."}}
}

// unreadable says why a body could not be read.
func unreadable(err error) error {
	if errors.Is(err, access.ErrBusy) {
		return err // whoever serves this limits bodies, and has no room for another
	}
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &apiError{code: http.StatusRequestEntityTooLarge, messages: []string{fmt.Sprintf("The body is longer than %d bytes.", tooLong.Limit)}}
	}
	return badRequest("The body cannot be read.")
}

// parseForm reads what a form sends. With an error it returns what could be read.
func parseForm(text string) (url.Values, error) {
	values := url.Values{}
	var wrong error
	n := 0
	for f, err := range web.Fields(text) {
		if n++; n > maxParams {
			return values, badRequest(fmt.Sprintf("There are more than %d parameters.", maxParams))
		}
		switch err {
		case nil:
			values.Add(f.Name, f.Value)
		case web.ErrNotUTF8:
			wrong = cmp.Or(wrong, errNotUTF8)
		default:
			wrong = cmp.Or(wrong, badRequest("A parameter is not encoded as a form encodes it."))
		}
	}
	return values, wrong
}

var errNotUTF8 = badRequest("A parameter is not UTF-8.")

// readParts reads the fields of a multipart form; files are passed over.
func readParts(form *multipart.Reader, most int64) (url.Values, error) {
	values := url.Values{}
	for n := 0; ; n++ {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, unreadable(err)
		}
		if n == maxParams {
			return nil, badRequest(fmt.Sprintf("There are more than %d parameters.", maxParams))
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, most))
		if err != nil {
			return nil, unreadable(err)
		}
		if !utf8.ValidString(part.FormName()) || !utf8.Valid(value) {
			return nil, errNotUTF8
		}
		values.Add(part.FormName(), string(value))
	}
}

// queryOf reads a query as far as it can be read.
func queryOf(r *http.Request) url.Values {
	values, _ := parseForm(r.URL.RawQuery)
	return values
}

// all returns the values of a parameter: those of the body, or of the query.
func (p *params) all(name string) []string {
	if v := p.body[name]; len(v) > 0 {
		return v
	}
	return p.query[name]
}

func (p *params) has(name string) bool { return len(p.all(name)) > 0 }

// one returns the value of a parameter, "" for none. Two that contradict each
// other are an error: which of them was meant must not be guessed.
func (p *params) one(name string) (string, error) {
	all := p.all(name)
	for _, v := range all {
		if v != all[0] {
			return "", badRequest(fmt.Sprintf("Parameter '%s' is given twice.", name))
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return all[0], nil
}

// text is one for a parameter of which white space around it is no part.
func (p *params) text(name string) (string, error) {
	v, err := p.one(name)
	return strings.TrimSpace(v), err
}

// needed is one for a parameter that must not be left out or blank.
func (p *params) needed(name string) (string, error) {
	v, err := p.one(name)
	if err == nil && strings.TrimSpace(v) == "" {
		err = badRequest(fmt.Sprintf("Parameter '%s' not specified.", name))
	}
	return v, err
}

// list returns the names of a comma-separated list, each once, in their order. A
// parameter that is given several times is one list.
func (p *params) list(name string, most int) ([]string, error) {
	var names []string
	seen := map[string]bool{}
	for _, v := range p.all(name) {
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s == "" || seen[s] {
				continue
			}
			if len(names) == most {
				return nil, badRequest(fmt.Sprintf("Parameter '%s' has more than %d names.", name, most))
			}
			seen[s] = true
			names = append(names, s)
		}
	}
	if names == nil {
		return nil, badRequest(fmt.Sprintf("Parameter '%s' not specified.", name))
	}
	return names, nil
}

// count returns a parameter that is a number above zero, and otherwise when it is
// left out. A number that no list is as long as is the longest.
func (p *params) count(name string, otherwise int) (int, error) {
	v, err := p.text(name)
	if err != nil || v == "" {
		return otherwise, err
	}
	n, digits := 0, len(v) > 0
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			digits = false
			break
		}
		n = min(10*n+int(c-'0'), math.MaxInt32)
	}
	if !digits || n == 0 {
		return 0, badRequest(fmt.Sprintf("Parameter '%s' must be a whole number above zero.", name))
	}
	return n, nil
}
