package arcgis_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rosterdb/roster/adapter/arcgis"
)

func FuzzForm(f *testing.F) {
	for _, s := range []string{"users=jdoe@domain,aturing@domain&f=pjson&token=T", "a=%5C&b=+&c=;&d", "&&=&=", "%zz=1", "a=%ff", "a=b=c&a=d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		values, err := arcgis.ParseForm(s)
		for k, list := range values {
			for _, v := range append(list, k) {
				if !utf8.ValidString(v) {
					t.Errorf("%q is no UTF-8", v)
				}
			}
		}
		// Where there is nothing special about it, the standard library agrees.
		if std, stdErr := url.ParseQuery(s); err == nil && stdErr == nil && std.Encode() != values.Encode() {
			t.Errorf("%q is %v, not %v", s, values, std)
		}
		if err == nil && values.Encode() != "" {
			again, err := arcgis.ParseForm(values.Encode())
			if err != nil || again.Encode() != values.Encode() {
				t.Errorf("%q: %v, %v", s, again, err)
			}
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add("--B\r\nContent-Disposition: form-data; name=\"users\"\r\n\r\njdoe\r\n--B--\r\n")
	f.Add("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\njson\r\n--B--")
	f.Add("--B\r\n\r\n\r\n--B")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := arcgis.ReadParts(strings.NewReader(s), 1<<20)
		if err != nil && values != nil {
			t.Error("values beside an error")
		}
		total := 0
		for k, list := range values {
			for _, v := range list {
				total += len(v)
				if !utf8.ValidString(v) || !utf8.ValidString(k) {
					t.Errorf("%q=%q is no UTF-8", k, v)
				}
			}
		}
		if total > len(s) {
			t.Errorf("%d bytes of %d", total, len(s))
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{orgs, users + "/refreshMembership/", "/arcgis//admin", "/arcgis/admin/%2e%2e", "/arcgis/../x", "/arcgis/admin/orgs/%2F", "/arcgis/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		segments, ok := arcgis.Segments(path)
		if !ok {
			return
		}
		for _, s := range segments {
			decoded, err := url.PathUnescape(s)
			if err != nil {
				continue // no operation and no organisation is called so
			}
			if s == "" || decoded == "." || decoded == ".." || strings.Contains(decoded, "/") {
				t.Errorf("%q has the segment %q", path, s)
			}
		}
		if got := "/arcgis/" + strings.Join(segments, "/"); got != strings.TrimSuffix(path, "/") {
			t.Errorf("%q became %q", path, got)
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b", "axxb")
	f.Add("**[", "x[")
	f.Add("*.*", "a.b.c")
	f.Add("a", "a")
	f.Add("", "0")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 50 || len(s) > 200 {
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		re, err := regexp.Compile("(?s)^" + strings.Join(parts, ".*") + "$")
		if err != nil || !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			return
		}
		if got := arcgis.MatchGlob(pattern, s); got != re.MatchString(s) {
			t.Errorf("%q fits %q: %v", pattern, s, got)
		}
	})
}

// FuzzNames: what is found in a reference leads back to it. References that are no
// UTF-8 are refused before.
func FuzzNames(f *testing.F) {
	f.Add("domain", "The Domain", `domain\jdoe`)
	f.Add("domain", "x", "jdoe@DOMAIN")
	f.Add("a@b", `c\d`, `c\d\e@a@b`)
	f.Fuzz(func(t *testing.T, domain, name, ref string) {
		local, ok := arcgis.Local(domain, name, ref)
		if !ok || !utf8.ValidString(ref) {
			return
		}
		for _, d := range []string{domain, name} {
			for _, whole := range []string{d + `\` + local, local + "@" + d} {
				if arcgis.Fold(whole) == arcgis.Fold(ref) {
					return
				}
			}
		}
		t.Errorf("%q is %q in %q, %q", ref, local, domain, name)
	})
}

func FuzzNumbersAndLists(f *testing.F) {
	for _, s := range []string{"", "0", "-1", "10", "99999999999999999999", "1e3", " 7 ", "a, b,,a", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := arcgis.Count(s); (err == nil) != (n > 0) {
			t.Errorf("%q is %d, %v", s, n, err)
		}
		list, err := arcgis.List(s, 5)
		if len(list) > 5 || (err == nil) != (len(list) > 0) {
			t.Errorf("%q is %q, %v", s, list, err)
		}
		seen := map[string]bool{}
		for _, name := range list {
			if name == "" || strings.Contains(name, ",") || seen[name] || strings.TrimSpace(name) != name {
				t.Errorf("%q is %q", s, list)
			}
			seen[name] = true
		}
	})
}

// FuzzRequest sends anything to the handler, with and without a token. It answers,
// and changes nothing for those who may not.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	good := w.token(w.admin)
	f.Add("POST", users+"/refreshMembership", "application/x-www-form-urlencoded", "users=jdoe&f=json", true)
	f.Add("GET", groups+"/getUsersWithinEnterpriseGroup?groupName=cartographers&filter=*a*", "", "", true)
	f.Add("POST", users+"/createUser", "application/x-www-form-urlencoded", "username=newuser1&password=abcdefg1", false)
	f.Add("POST", login, "application/x-www-form-urlencoded", "username=a&password=b&next=/", false)
	f.Add("POST", generate, "multipart/form-data; boundary=B", "--B\r\n", false)
	f.Fuzz(func(t *testing.T, method, target, kind, body string, known bool) {
		u, err := url.Parse("http://host" + target)
		if err != nil || !regexp.MustCompile(`^[A-Za-z]{1,10}$`).MatchString(method) || len(body) > 1<<16 {
			return
		}
		r := request(method, "/", body)
		r.URL = u
		r.Header.Set("Content-Type", kind)
		if known {
			r.Header.Set("Authorization", "Bearer "+good)
		}
		before := w.e.Revision()
		rec := w.do(r)
		if rec.Code < 200 || rec.Code == 500 || rec.Code >= 600 || strings.Contains(rec.Body.String(), `"code":500`) {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if !known && w.e.Revision() != before {
			t.Errorf("somebody unknown has changed something: %s", rec.Body)
		}
	})
}
