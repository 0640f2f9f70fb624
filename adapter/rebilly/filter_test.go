package rebilly_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/roster/adapter/rebilly"
)

func TestFilterSyntax(t *testing.T) {
	type clauses = []rebilly.Clause
	for text, want := range map[string]clauses{
		"":                        nil,
		"user.id:a":               {{Field: "user.id", Texts: []string{"a"}}},
		" user.id : a , b ":       {{Field: "user.id", Texts: []string{"a", "b"}}},
		"user.id:!a,b":            {{Field: "user.id", Not: true, Texts: []string{"a", "b"}}},
		"user.id:!a,!b":           {{Field: "user.id", Not: true, Texts: []string{"a", "b"}}},
		"isOwner:TRUE,false":      {{Field: "isOwner", Yes: true, No: true}},
		"user.name:a:b;isOwner:0": nil,
		"user.email:x@y;organization.createdTime:2026-02-14T13:30:00Z..,..2020-01-01": {{Field: "user.email", Texts: []string{"x@y"}}, {Field: "organization.createdTime", Spans: 2}},
		"roleIds:a;roleIds:b": {{Field: "roleIds", Texts: []string{"a"}}, {Field: "roleIds", Texts: []string{"b"}}},
	} {
		got, _, err := rebilly.ParseFilter(text)
		if (err != nil) != (want == nil && text != "") || !reflect.DeepEqual(got, []rebilly.Clause(want)) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, field := range map[string]string{
		";": "filter", "user.id": "filter", ":a": "filter", "user..id:a": "filter", "user.id:a;": "filter", "<b>:x": "filter", "user id:x": "filter",
		"user.id:": "user.id", "user.id:a,": "user.id", "user.id:,a": "user.id", "user.id:!": "user.id", "user.id:a,!b": "user.id", "user.id:a..b": "user.id",
		"user.id:@l": "user.id", "user.id:!@l": "user.id", "nobody:1": "nobody", "USER.ID:a": "USER.ID", "isOwner:1": "isOwner", "isOwner:true..false": "isOwner",
		"organization.createdTime:..": "organization.createdTime", "organization.createdTime:1..2": "organization.createdTime", "organization.updatedTime:2020-13-01": "organization.updatedTime",
		"user.id:" + strings.Repeat("a,", 600) + "a":    "user.id",
		strings.Repeat("user.id:a;", 40) + "user.id:a":  "filter",
		"user.id:" + strings.Repeat("a", 17<<10):        "filter",
		strings.Repeat("x", 100) + ":a":                 strings.Repeat("x", 64) + "…",
		"user.id:" + strings.Repeat("!", 3):             "",
		"user.id:\xff" + strings.Repeat("not UTF-8", 1): "user.id",
	} {
		if field == "" {
			continue // "!!" is the text "!": nothing says otherwise
		}
		if _, got, err := rebilly.ParseFilter(text); err == nil || got != field {
			t.Errorf("%.40q: names %q, not %q: %v", text, got, field, err)
		}
	}
}

// TestRawSemicolon: a filter arrives whole however its semicolon was sent.
func TestRawSemicolon(t *testing.T) {
	for _, raw := range []string{"filter=a:b;c:d&limit=1", "limit=1&filter=a:b%3Bc:d", "&&filter=a%3ab%3bc:d&limit=%31"} {
		got, err := rebilly.ParseQuery(raw)
		if err != nil || got["filter"] != "a:b;c:d" || got["limit"] != "1" {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"user.id:!a,b;isOwner:true", "organization.createdTime:2020-01-01..2021-01-01", "a.b:@x", ";:,!..", "user.name:李;roleIds:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, field, err := rebilly.ParseFilter(s)
		if (err != nil) != (field != "") || err != nil && list != nil {
			t.Fatalf("%q: %v, %q, %v", s, list, field, err)
		}
		for _, c := range list {
			if len(c.Texts) == 0 && !c.Yes && !c.No && c.Spans == 0 {
				t.Fatalf("%q: a condition without values", s)
			}
			if len(c.Texts) == 0 {
				continue
			}
			again := c.Field + ":" + map[bool]string{true: "!"}[c.Not] + strings.Join(c.Texts, ","+map[bool]string{true: "!"}[c.Not])
			if back, _, err := rebilly.ParseFilter(again); err != nil && !strings.HasPrefix(c.Texts[0], "!") || err == nil && back[0].Field != c.Field {
				t.Fatalf("%q: %q is read as %+v, %v", s, again, back, err)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"a=b;c&d=%3B", "%zz", "a&a", "=&=", "filter=+%20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := rebilly.ParseQuery(s)
		if err != nil {
			return
		}
		for name, value := range got {
			if !utf8.ValidString(name) || !utf8.ValidString(value) {
				t.Fatalf("%q: %q=%q", s, name, value)
			}
		}
		if want, err := url.ParseQuery(strings.ReplaceAll(s, ";", "%3B")); err == nil {
			for name := range want {
				if got[name] != want.Get(name) {
					t.Fatalf("%q: %q is %q, not %q", s, name, got[name], want.Get(name))
				}
			}
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"isOwner":true,"roleIds":["a"],"permissions":["*"],"allowedIps":["8.8.8.8/24","76.*.*.*",null]}`, `{"a":{"a":[{}]}} `, `{"a":1,"a":2}`, "\ufeff{}", `[[[[`,
		`{"acl":[{"scope":{"organizationId":["x"]},"permissions":["y"]}],"id":"..","email":"a@b"}`, `{"allowedIps":["::ffff:10.0.0.1","fe80::1%eth0"]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		status, err := rebilly.DecodeBody(data)
		if err == nil && !json.Valid(data) || status != 200 && status != 400 && status != 422 {
			t.Fatalf("%q: %d, %v", data, status, err)
		}
	})
}

// FuzzPath asks for any path: nothing is redirected, breaks, or is answered with
// success but what a path of ids can be.
func FuzzPath(f *testing.F) {
	w := newWorld(f, func(o *rebilly.Options) { o.Rate = -1 })
	for _, s := range []string{"memberships/org_1/usr_1", "organizations/org_1/memberships", "memberships/%2e%2e/x", "users//", "users/%00", "roles/a%2Fb"} {
		f.Add("GET", s)
		f.Add("DELETE", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.Parse("http://host/rebilly/" + path)
		if err != nil || strings.ContainsAny(method, " \r\n") || method == "" {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL = method, u
		r.Header.Set("REB-APIKEY", w.secrets["stranger"])
		r.RemoteAddr = w.from
		rec := serveDirect(w, r)
		if rec.Code >= 300 && rec.Code < 400 || rec.Code >= 500 {
			t.Fatalf("%s %q: %d %s", method, path, rec.Code, rec.Body)
		}
		if rec.Code == http.StatusOK && (strings.Contains(u.EscapedPath(), "//") || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f")) {
			t.Fatalf("%s %q is there: %s", method, path, rec.Body)
		}
		if rec.Body.Len() > 0 && !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%q", rec.Body)
		}
	})
}
