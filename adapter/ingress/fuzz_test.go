package ingress_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/ingress"
)

const boundary = "multipart/form-data; boundary=x"

// FuzzBody: the decoders never panic; JSON that they take is JSON; and what a list
// names is trimmed, not empty, and there once.
func FuzzBody(f *testing.F) {
	for _, c := range [][2]string{
		{js, salesOfAnn}, {js, `{"user_id":[15,"248",null,1e1,[1]],"groups":"10, 11"}`}, {js, `{"a":{"b":[{}]},"users":1.5}`}, {form, "user_id[]=15&user_id=1,2;3&group_id=a%2Cb"},
		{boundary, "--x\r\nContent-Disposition: form-data; name=\"user_id[]\"\r\n\r\n15\r\n--x--\r\n"}, {"text/plain", "x"}, {form + ";charset=utf-8", "=&[]=1&a[=2&a]=3"},
	} {
		f.Add(c[0], []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		p, err := ingress.ParseBody([]string{kind}, data)
		if err != nil {
			return
		}
		if strings.HasPrefix(kind, js) && !json.Valid(data) {
			t.Errorf("%q is no JSON", data)
		}
		for name := range p {
			seen := map[ingress.Value]bool{}
			for _, v := range p.List("nothing", name) {
				if strings.TrimSpace(v.Text()) == "" && !v.Bad() || !utf8.ValidString(v.Text()) || seen[v] {
					t.Errorf("%q names %q", data, v.Text())
				}
				if n, ok := v.Number(); ok && strconv.FormatUint(n, 10) != strings.TrimSpace(v.Text()) {
					t.Errorf("%q is %d", v.Text(), n)
				}
				seen[v] = true
			}
		}
	})
}

// FuzzForm: pairs without ";" are read as the standard library reads them.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a[]=1&a=2", "a=%zz", "a;b=c", "&&=&a", "%5b=1", "a+b=c+d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ingress.ParseForm(s)
		want, wantErr := url.ParseQuery(s)
		if strings.ContainsAny(s, ";[") || strings.Contains(strings.ToLower(s), "%5b") {
			return
		}
		if wantErr != nil && err == nil {
			t.Fatalf("%q: %v, but %v", s, got, wantErr)
		}
		if err != nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %v, not %v", s, got, want)
		}
		for name, values := range want {
			for i, v := range values {
				if got[name][i].Text() != v {
					t.Errorf("%q: %v, not %v", s, got, want)
				}
			}
		}
	})
}

// FuzzRequest: no request makes an error of the program or a redirect, and none of
// somebody without rights changes anything.
func FuzzRequest(f *testing.F) {
	for i, line := range table {
		f.Add(line.method, line.path, "group_id=11", js, salesOfAnn, i%2 == 0)
		f.Add(line.method, line.path+"/", "", form, "users=15&groups[]=Sales", i%2 == 1)
	}
	f.Add("POST", path, "user_id=0;", js, `{"user_id":[[15]],"group_id":1e400}`, false)
	w := newWorld(f)
	var root, clerk host
	w.view(func(tx *roster.Txn) {
		root.p = access.Principal{User: w.user(tx, 1), Username: tx.Username(w.user(tx, 1)), By: access.ByHost, Privileges: []string{"*"}}
		clerk.p = access.Principal{User: w.user(tx, 3), Username: tx.Username(w.user(tx, 3)), By: access.ByHost}
	})
	may, mayNot := ingress.New(w.e, ingress.Options{Authenticator: root}), ingress.New(w.e, ingress.Options{Authenticator: clerk})
	f.Fuzz(func(t *testing.T, method, path, query, kind, body string, entitled bool) {
		plain, err := url.PathUnescape(path)
		if err != nil {
			return
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: plain, RawPath: path, RawQuery: query}
		r.Header.Set("Content-Type", kind)
		a := httptest.NewRecorder()
		before := w.e.Revision()
		if entitled {
			may.ServeHTTP(a, r)
		} else if mayNot.ServeHTTP(a, r); w.e.Revision() != before || a.Code == 200 {
			t.Errorf("%s %s %q of somebody without rights: %d", method, path, body, a.Code)
		}
		if a.Code >= 500 || a.Code >= 300 && a.Code < 400 {
			t.Errorf("%s %s?%s %q: %d %s", method, path, query, body, a.Code, a.Body)
		}
		if method != "HEAD" && !json.Valid(a.Body.Bytes()) {
			t.Errorf("%s %s: %s", method, path, a.Body)
		}
	})
}
