package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/web"
)

// fault returns what CheckJSON finds, 0 for nothing.
func fault(t *testing.T, data string, depth int) (web.Fault, string) {
	t.Helper()
	err := web.CheckJSON([]byte(data), depth)
	if err == nil {
		return 0, ""
	}
	var f *web.JSONError
	if !errors.As(err, &f) || f.Fault == 0 || strings.ContainsFunc(f.Error(), func(r rune) bool { return r < ' ' }) {
		t.Fatalf("%q: %v", data, err)
	}
	return f.Fault, f.Detail
}

func TestCheckJSON(t *testing.T) {
	for _, c := range []struct {
		data   string
		want   web.Fault
		detail string
	}{
		{data: `{"a":[1,{"b":null}],"b":{"a":"x"}}`},
		{data: ` [[[]]] `}, {data: `[[],[[]],{}]`}, {data: `"\ud800"`}, {data: `1e999`}, {data: `true`},
		{data: `[{"a":1},{"a":1}]`}, {data: `{"a":"a","b":"a"}`}, {data: `{"a":{"a":1},"A":2}`},
		{`{"a":1,"b":[{}],"a":1}`, web.Twice, "a"}, {`[{"x":{"\u0061":1,"a":2}}]`, web.Twice, "a"}, {`{"":{},"":{}}`, web.Twice, ""},
		{`[[[[]]]]`, web.TooDeep, ""}, {`{"a":[{"b":{}}]}`, web.TooDeep, ""}, {strings.Repeat("[", 1<<20), web.TooDeep, ""},
		{"\"\xff\"", web.NotUTF8, ""},
		{``, web.NotJSON, "it ends too early"}, {` `, web.NotJSON, "it ends too early"}, {`{"a":[1`, web.NotJSON, "it ends too early"}, {`"a`, web.NotJSON, "it ends too early"},
		{`nul`, web.NotJSON, "it ends too early"}, {"\ufeff{}", web.NotJSON, "invalid character 'ï' looking for beginning of value"},
		{`{"a":1,}`, web.NotJSON, "invalid character '}' looking for beginning of object key string"}, {`[1 2]`, web.NotJSON, "invalid character '2' after array element"},
		{`[}`, web.NotJSON, "invalid character '}' looking for beginning of value"}, {`{1:2}`, web.NotJSON, "invalid character '1'"},
		{`{} {}`, web.Trailing, ""}, {`1 x`, web.Trailing, ""}, {`{}}`, web.Trailing, ""}, {`"a",`, web.Trailing, ""},
	} {
		got, detail := fault(t, c.data, 3)
		if got != c.want || !strings.HasPrefix(detail, c.detail) || c.detail == "" && detail != "" {
			t.Errorf("%.40q: %d %q, not %d %q", c.data, got, detail, c.want, c.detail)
		}
	}
}

// FuzzCheckJSON: a text is taken exactly if encoding/json takes it, it is UTF-8, and
// neither its depth nor the number of its names says otherwise.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":{"b":[1,{"c":null}]},"a":1}`, `[[[]]] `, "\"\\ud800\"", `nul`, `1e999`, `{"a":1,}`, `{} {}`, "\ufeff{}", `{"a":"b:c","b":{"a":1,"a":{"x":1}}}`,
		`[1 2]`, `{"a" 1}`, `{"a":}`, `{:1}`, `[,]`, `-`, `01`, `{"\u0061":1,"a":2}`, `[}`, `"` + "\x00" + `"`, "[\xff]",
	} {
		f.Add([]byte(s), 3)
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, depth int) {
		if depth < 0 || depth > 1000 || len(data) > 1<<16 {
			return
		}
		got, _ := fault(t, string(data), depth)
		if want := !utf8.Valid(data); (got == web.NotUTF8) != want {
			t.Fatalf("%q: fault %d", data, got)
		}
		if got == web.NotUTF8 {
			return
		}
		if !json.Valid(data) {
			if got == 0 {
				t.Fatalf("%q is no JSON", data)
			}
			return
		}
		nested, names := shape(t, data)
		var v any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		deep, twice := nested > depth, names != members(v)
		if (got == 0) != (!deep && !twice) || got == web.TooDeep && !deep || got == web.Twice && !twice || got > web.Twice || got == web.NotJSON {
			t.Fatalf("%q: fault %d; %d deep of %d, %d names, %d different", data, got, nested, depth, names, members(v))
		}
	})
}

// shape returns how deeply JSON is nested, and how many names stand in its objects.
func shape(t *testing.T, data []byte) (deepest, names int) {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		case c == ':':
			names++
		}
	}
	if depth != 0 || text {
		t.Fatalf("%q does not end", data)
	}
	return deepest, names
}

// members returns how many names a decoded value holds. Of a name that stands twice
// only one is left.
func members(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, v := range v {
			n += members(v)
		}
	case []any:
		for _, v := range v {
			n += members(v)
		}
	}
	return n
}

func TestObject(t *testing.T) {
	got, ok := web.Object([]byte(`{"ids":[1, 2],"IDS":null}`))
	if !ok || len(got) != 2 || string(got["ids"]) != "[1, 2]" || string(got["IDS"]) != "null" {
		t.Errorf("%q, %v", got, ok)
	}
	if got, ok := web.Object([]byte(`{}`)); !ok || len(got) != 0 {
		t.Errorf("%q, %v", got, ok)
	}
	for _, s := range []string{`null`, `[]`, `"a"`, `1`, ``, `{`, `{} {}`} {
		if got, ok := web.Object([]byte(s)); ok {
			t.Errorf("%q is %q", s, got)
		}
	}
}
