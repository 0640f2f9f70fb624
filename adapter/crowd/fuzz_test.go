package crowd_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
)

// FuzzID: an ID that is understood names one thing, and is found again by the ID
// that is made of it.
func FuzzID(f *testing.F) {
	for _, s := range []string{"1900-dXNlcjE", "0-YXJpZWw=", "-", "1-", "1--", "01-YQ", "4294967296-YQ", "1-Y_-Q", "1-Pj4-Pz8_", "1-YQ\n", "+1-YQ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, name, ok := crowd.ParseID(s)
		if !ok {
			if name != "" || d != 0 {
				t.Errorf("%q: %v %q with no success", s, d, name)
			}
			return
		}
		if name == "" || !utf8.ValidString(name) || strings.ContainsAny(s, "\r\n+ ") {
			t.Errorf("%q: name %q", s, name)
		}
		d2, name2, ok := crowd.ParseID(crowd.FormatID(d, name))
		if d2 != d || name2 != name || !ok {
			t.Errorf("%q: %v %q, again %v %q", s, d, name, d2, name2)
		}
	})
}

// FuzzBody: what is taken for JSON is that for encoding/json too, and the decoders
// never panic and read what encoding/json reads.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"ids":["1-YQ",null]}`, `[{"id":"1-YQ","type":"USER"}]`, `{"search":"x","directoryIds":["1",2],"active":null,"avatarSizeHint":1}`,
		`{"a":{"b":[1,{"c":null}]},"a":1}`, `[[[]]] `, "\"\\ud800\"", `nul`, `1e999`, `{"a":1,}`, `{} {}`, "\ufeff{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if crowd.CheckJSON(data) != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is no JSON", data)
		}
		if ids, err := crowd.DecodeObjectIDs(data); err == nil {
			var want map[string]any
			if json.Unmarshal(data, &want) != nil {
				t.Errorf("%q is no object", data)
			}
			list, _ := want["ids"].([]any)
			if !slices.EqualFunc(ids, list, func(a string, b any) bool { return a == b }) {
				t.Errorf("%q: %q, not %v", data, ids, list)
			}
		}
		_, _ = crowd.DecodeCriteria(data)
		if list, err := crowd.DecodeEntities(data); err == nil && list == nil {
			t.Errorf("%q is no list", data)
		}
	})
}

// FuzzRequest: no request makes an error of the program, a redirect or an answer
// that is not JSON, and none of somebody without rights changes anything.
func FuzzRequest(f *testing.F) {
	for route, line := range table {
		method, _, _ := strings.Cut(route, " ")
		f.Add(method, base+line.path, "start=0&limit=5&search=user", line.body, false)
		f.Add(method, base+line.path+"/", "term=u;x", line.body, true)
	}
	w := newWorld(f)
	h := host{}
	w.view(func(tx *roster.Txn) {
		h.p = access.Principal{User: w.user(tx, 1900, "root"), Username: "root", By: access.ByHost, Privileges: []string{"*"}}
	})
	root := crowd.New(w.e, crowd.Options{Authenticator: h})
	w.view(func(tx *roster.Txn) {
		h.p = access.Principal{User: w.user(tx, 1900, "clerk"), Username: "clerk", By: access.ByHost}
	})
	clerk := crowd.New(w.e, crowd.Options{Authenticator: h})
	f.Fuzz(func(t *testing.T, method, path, query, body string, may bool) {
		plain, err := url.PathUnescape(path)
		if err != nil {
			return
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: plain, RawPath: path, RawQuery: query}
		r.Header.Set("Content-Type", "application/json")
		a := httptest.NewRecorder()
		before := w.e.Revision()
		if may {
			root.ServeHTTP(a, r)
		} else if clerk.ServeHTTP(a, r); w.e.Revision() != before {
			t.Errorf("%s %s changed something", method, path)
		}
		if a.Code >= 500 || a.Code >= 300 && a.Code < 400 {
			t.Errorf("%s %s?%s %q: %d %s", method, path, query, body, a.Code, a.Body)
		}
		if a.Code != http.StatusNoContent && method != http.MethodHead && !json.Valid(a.Body.Bytes()) {
			t.Errorf("%s %s: %s", method, path, a.Body)
		}
	})
}
