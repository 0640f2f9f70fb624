// Package web reads what the HTTP APIs read alike: the prefix that they stand
// below, segments of paths, fields of forms, bodies and JSON; and it says alike what
// they say alike when they answer. What is wrong is told by errors that each API puts
// into its own words. Its functions may be called by any number of goroutines.
package web

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Prefix returns the path that a handler is mounted below as it stands before the
// paths of requests: without a slash at its end, and "" if nothing stands before
// them. Given is what a host says, "" standing for the usual prefix and "/" for
// none; slashes around it make no difference.
func Prefix(given, usual string) string {
	if given == "" {
		given = usual
	}
	if given = strings.Trim(given, "/"); given == "" {
		return ""
	}
	return "/" + given
}

// Path returns the path of a request in its escaped form, as it was sent. What should
// have been escaped and was not is. URL.EscapedPath decodes all of such a path and
// escapes it anew: %2F has become a slash then, and %61 an "a".
func Path(u *url.URL) string {
	if strings.IndexFunc(u.RawPath, unescaped) < 0 {
		return u.EscapedPath()
	}
	var b strings.Builder
	for i := range len(u.RawPath) {
		if c := u.RawPath[i]; unescaped(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	as := &url.URL{Path: u.Path, RawPath: b.String()}
	return as.EscapedPath() // which goes by Path if a host has changed that alone
}

// unescaped reports whether a character has to be escaped in a path.
func unescaped(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\"#<>?\\^`{|}", c) }

// MaxLoggedPath is how many bytes of a path are logged.
const MaxLoggedPath = 512

// LoggedPath returns what is logged of the path of a request: not what somebody fills
// the log with.
func LoggedPath(u *url.URL) string {
	path := Path(u)
	if len(path) > MaxLoggedPath {
		return path[:MaxLoggedPath] + "..."
	}
	return path
}

// Segment decodes one segment of a path in its escaped form. One that somebody else
// could read in another way is none: an empty one, "." and "..", and one that holds
// an escaped slash.
func Segment(escaped string) (string, bool) {
	s, err := url.PathUnescape(escaped)
	if err != nil || !IsSegment(s) {
		return "", false
	}
	return s, true
}

// IsSegment reports whether a text can be a segment of a path that is read in one way.
func IsSegment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.Contains(s, "/")
}

// What can be wrong with a field of a form.
var (
	ErrEscape  = errors.New("web: not encoded as a form encodes it")
	ErrNotUTF8 = errors.New("web: not UTF-8")
)

// Field is a field of a form. Beside an error it holds what could be decoded.
type Field struct{ Name, Value string }

// Fields yields the fields of a query or of an urlencoded body, and with each of
// them ErrEscape or ErrNotUTF8 if it is wrong. Unlike url.ParseQuery it takes ";" for
// a character like others, and leaves nothing out.
func Fields(encoded string) iter.Seq2[Field, error] {
	return func(yield func(Field, error) bool) {
		for pair := range strings.SplitSeq(encoded, "&") {
			if pair != "" && !yield(decodeField(pair)) {
				return
			}
		}
	}
}

func decodeField(pair string) (f Field, err error) {
	name, value, _ := strings.Cut(pair, "=")
	var err1, err2 error
	f.Name, err1 = url.QueryUnescape(name)
	f.Value, err2 = url.QueryUnescape(value)
	switch {
	case err1 != nil || err2 != nil:
		err = ErrEscape
	case !utf8.ValidString(f.Name) || !utf8.ValidString(f.Value):
		err = ErrNotUTF8
	}
	return f, err
}

// MediaType returns what the values of the header Content-Type say: the type in
// small letters and its parameters. Ok is false unless there is one value, which
// can be read and names no charset but UTF-8.
func MediaType(values []string) (kind string, params map[string]string, ok bool) {
	if len(values) != 1 {
		return "", nil, false
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset := params["charset"]
	if err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", nil, false
	}
	return kind, params, true
}

// What can be wrong with a body.
var (
	ErrTooLarge   = errors.New("web: the body is too large")
	ErrUnreadable = errors.New("web: the body cannot be read")
)

// Body reads the body of a request of at most so many bytes. Of a longer one it
// reads no more, lets the server close the connection, and returns ErrTooLarge. If
// the client breaks off it returns ErrUnreadable with the cause. There is no data beside
// an error.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, ErrTooLarge
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return data, nil
}
