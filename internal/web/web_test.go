package web_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/web"
)

func TestPrefix(t *testing.T) {
	for given, want := range map[string]string{
		"": "/usual/one", "/": "", "//": "", "/a": "/a", "a": "/a", "/a/": "/a", "a/b/": "/a/b", "/a%20b": "/a%20b",
	} {
		if got := web.Prefix(given, "/usual/one"); got != want {
			t.Errorf("%q is %q, not %q", given, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	for sent, want := range map[string]string{
		"/a/b": "/a/b", "/": "/", "/a%2Fb": "/a%2Fb", "/%61": "/%61", "/a%c3%a9": "/a%c3%a9", "/a[]:;": "/a[]:;", "/%2e%2E/": "/%2e%2E/",
		"/é": "/%C3%A9", "/é%2Fb": "/%C3%A9%2Fb", "/a%2fb<": "/a%2fb%3C", "/a%2Fb#c": "/a%2Fb%23c", "/%61/{}": "/%61/%7B%7D", "/%2e%2e/\"": "/%2e%2e/%22", "/\xff%2F": "/%FF%2F", `/a\%5c|^`: "/a%5C%5c%7C%5E",
	} {
		u, err := url.ParseRequestURI(sent)
		if err != nil {
			t.Fatal(sent, err)
		}
		if got := web.Path(u); got != want {
			t.Errorf("%q is %q, not %q", sent, got, want)
		}
	}
	if got := web.Path(&url.URL{Path: "/other", RawPath: "/a%2Fé"}); got != "/other" {
		t.Errorf("a path that a host has put there is %q", got)
	}
}

// FuzzPath: a path is as it was sent, but that what had to be escaped is; and it says
// what it said.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/a/b", "/a%2Fé", "/%61/{}?q=%2F", "/\xff%2f\"", "http://h/a%2f<", "*", "/%25", "/a%5c|^;[]", "//x//%2e%2E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		u, err := url.ParseRequestURI(sent)
		if err != nil || u.Opaque != "" {
			return
		}
		got := web.Path(u)
		if said, err := url.PathUnescape(got); err != nil || said != u.Path {
			t.Fatalf("%q is %q, which says %q, not %q: %v", sent, got, said, u.Path, err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"#<>?\\^`{|}", r) }) {
			t.Fatalf("%q is %q", sent, got)
		}
		raw := u.RawPath
		if raw == "" { // it was sent as package net/url writes it
			raw = u.EscapedPath()
		}
		for i := 0; i < len(raw); i++ { // byte for byte
			c, rest := raw[i], got
			switch {
			case rest != "" && rest[0] == c:
				got = rest[1:]
			case len(rest) > 2 && rest[:3] == fmt.Sprintf("%%%02X", c):
				got = rest[3:]
			default:
				t.Fatalf("%q: behind %q stands %q", sent, raw[:i], rest)
			}
		}
		if got != "" {
			t.Fatalf("%q: %q is too much", sent, got)
		}
	})
}

func TestLoggedPath(t *testing.T) {
	for _, n := range []int{1, web.MaxLoggedPath, web.MaxLoggedPath + 1, 50_000} {
		path := "/" + strings.Repeat("x", n-1)
		want := path
		if n > web.MaxLoggedPath {
			want = path[:web.MaxLoggedPath] + "..."
		}
		if got := web.LoggedPath(&url.URL{Path: path}); got != want {
			t.Errorf("of %d bytes %d are logged", n, len(got))
		}
	}
}

func TestSegment(t *testing.T) {
	for escaped, want := range map[string]string{"a": "a", "%61": "a", "a+b": "a+b", "a%20b": "a b", "..a": "..a", "%25": "%", `a\b`: `a\b`, "%ff": "\xff", "...": "..."} {
		if got, ok := web.Segment(escaped); got != want || !ok {
			t.Errorf("%q is %q, %v, not %q", escaped, got, ok, want)
		}
	}
	for _, escaped := range []string{"", ".", "..", "%2e", "%2E.", ".%2e", "a%2fb", "%2F", "a/b", "%", "%zz", "a%2"} {
		if got, ok := web.Segment(escaped); ok || got != "" {
			t.Errorf("%q is %q", escaped, got)
		}
	}
}

func TestFields(t *testing.T) {
	for encoded, want := range map[string]string{
		"": "", "&&": "", "a=1&b=2": "a=1 b=2", "a=b;c&d": "a=b;c d=", "a=b=c": "a=b=c", "=": "=", "=v&n=": "=v n=", "a+b=%2B%20": "a b=+ ", "a=1&a=2": "a=1 a=2",
		"%zz=1&b=2": "=1! b=2", "n=%": "n=!", "n=%ff&%fe=": "n=\xff? \xfe=?",
	} {
		var got []string
		for f, err := range web.Fields(encoded) {
			mark := map[error]string{nil: "", web.ErrEscape: "!", web.ErrNotUTF8: "?"}[err]
			got = append(got, f.Name+"="+f.Value+mark)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, not %q", encoded, got, want)
		}
	}
	for f := range web.Fields("a=1&b=2") {
		if f.Name != "a" {
			t.Error("went on")
		}
		break
	}
}

// FuzzFields: pairs are read as the standard library reads them, but that none is
// left out and ";" is a character like others.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a[]=1&a=2", "a=%zz", "a;b=c", "&&=&a", "%5b=1", "a+b=c+d", "n=%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := url.Values{}
		wrong := false
		for f, err := range web.Fields(s) {
			utf8 := utf8.ValidString(f.Name) && utf8.ValidString(f.Value)
			if errors.Is(err, web.ErrNotUTF8) && utf8 || err == nil && !utf8 {
				t.Errorf("%q: %q, %v", s, f, err)
			}
			if wrong = wrong || errors.Is(err, web.ErrEscape); !errors.Is(err, web.ErrEscape) {
				got.Add(f.Name, f.Value)
			}
		}
		want, err := url.ParseQuery(strings.ReplaceAll(s, ";", "%3B"))
		if (err != nil) != wrong || got.Encode() != want.Encode() {
			t.Errorf("%q: %v, %v, not %v, %v", s, got, wrong, want, err)
		}
	})
}

func TestMediaType(t *testing.T) {
	for value, want := range map[string]string{
		"application/json": "application/json", "Application/JSON; charset=UTF-8": "application/json", "a/b;charset=": "", `multipart/form-data; boundary="x"`: "multipart/form-data",
		"": "", "a/b; charset=latin1": "", "a/b; charset=utf-8; charset=latin1": "", "a b": "", "a/b; x": "",
	} {
		kind, params, ok := web.MediaType([]string{value})
		if kind != want || ok != (want != "") || strings.Contains(value, "boundary") && params["boundary"] != "x" {
			t.Errorf("%q: %q, %v, %v", value, kind, params, ok)
		}
	}
	for _, values := range [][]string{nil, {"a/b", "a/b"}} {
		if kind, _, ok := web.MediaType(values); ok {
			t.Errorf("%q: %q", values, kind)
		}
	}
}

func TestBody(t *testing.T) {
	for _, c := range []struct {
		body io.Reader
		want string
		err  error
	}{
		{strings.NewReader(""), "", nil},
		{strings.NewReader("12345"), "12345", nil},
		{strings.NewReader("123456"), "", web.ErrTooLarge},
		{iotest.ErrReader(errors.New("gone")), "", web.ErrUnreadable},
		{io.MultiReader(strings.NewReader("123"), iotest.ErrReader(io.ErrUnexpectedEOF)), "", web.ErrUnreadable},
	} {
		r := httptest.NewRequest("POST", "/", io.NopCloser(c.body))
		got, err := web.Body(httptest.NewRecorder(), r, 5)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q, %v, not %q, %v", got, err, c.want, c.err)
		}
	}
}

func TestSend(t *testing.T) {
	for method, want := range map[string]string{"GET": `{"a":"\u003cb\u003e"}` + "\n", "HEAD": ""} {
		a := httptest.NewRecorder()
		err := web.Send(a, httptest.NewRequest(method, "/", nil), http.StatusTeapot, map[string]string{"a": "<b>"})
		if err != nil || a.Code != http.StatusTeapot || a.Body.String() != want {
			t.Errorf("%s: %v, %d %q", method, err, a.Code, a.Body)
		}
		h := a.Header()
		if !slices.Equal(h["Content-Type"], []string{"application/json"}) || !slices.Equal(h["Content-Length"], []string{"22"}) {
			t.Errorf("%s: %v", method, h)
		}
	}
	a := httptest.NewRecorder()
	if err := web.Send(a, httptest.NewRequest("GET", "/", nil), 200, func() {}); err == nil || a.Code != 500 || a.Body.Len() > 0 {
		t.Errorf("%v, %d %q", err, a.Code, a.Body)
	}
}
