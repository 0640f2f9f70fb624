package arcgis_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

// parameters are such that each operation does something.
var parameters = map[string]string{
	"users/refreshMembership": "users=jdoe", "users/createUser": "username=newuser1&password=abcdefg1",
	"users/getEnterpriseUser": "username=jdoe", "groups/getUsersWithinEnterpriseGroup": "groupName=cartographers",
	"groups/getEnterpriseGroupsForUser": "username=jdoe", "groups/refreshMembership": "groups=surveyors",
}

// ways are all ways to come, and the code of the error that each meets.
func (w *world) ways(at arcgis.Address) map[string]struct {
	token string
	code  string
} {
	type way = struct{ token, code string }
	helper := "403"
	if slices.Contains(at.Rights, access.PrivilegeGroupLinks) {
		helper = ""
	}
	return map[string]way{
		"none": {"", "499"}, "wrong": {"wrong", "498"}, "expired": {w.expired(), "498"},
		"not entitled": {w.token(w.nobody), "403"}, "for groups": {w.token(w.helper), helper}, "entitled": {w.token(w.admin), ""},
		"of a session":   {w.tokenFor(w.admin, access.TokenSpec{Audience: "arcgis directory"}), "498"},
		"of another API": {w.tokenFor(w.admin, access.TokenSpec{Audience: "crowd"}), "498"},
	}
}

// TestEveryAddress asks every address of the handler in every way, and everything
// that is answered without an error is right.
func TestEveryAddress(t *testing.T) {
	all := arcgis.Addresses(newWorld(t).h)
	if len(all) != 15 {
		t.Errorf("there are %d addresses", len(all))
	}
	for _, at := range all {
		t.Run(at.At, func(t *testing.T) {
			w := newWorld(t)
			target := strings.TrimSuffix("/arcgis/admin/"+strings.Replace(at.At, "*", "0123456789ABCDEF", 1), "/")
			var form string
			for name, p := range parameters {
				if strings.HasSuffix(at.At, "security/"+name) {
					form = p + "&"
				}
			}
			for name, way := range w.ways(at) {
				before := w.e.Revision()
				w.source.called()
				for _, r := range []*http.Request{
					request("POST", target, form+"f=json&token="+way.token),
					request("GET", target+"?"+form+"f=json&token="+way.token, ""),
					request("POST", target, form+"f=json", "X-Esri-Authorization", "Bearer "+way.token),
					request("POST", target, form+"token="+way.token),
				} {
					w.judge(r, at, name, way.code)
				}
				if way.code != "" && (w.e.Revision() != before || len(w.source.called()) > 0) {
					t.Errorf("%s: something was done", name)
				}
			}
		})
	}
}

// judge sends a request and looks whether its answer is the error of a code, or is
// none for "".
func (w *world) judge(r *http.Request, at arcgis.Address, name, code string) {
	w.Helper()
	if name == "none" && r.Header.Get("X-Esri-Authorization") != "" {
		code = "498" // a header without a token is a wrong one
	}
	got := w.do(r)
	body := got.Body.String()
	if strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
		want := map[string]int{"": 200, "403": 403, "498": 403, "499": 403}[code]
		if strings.HasSuffix(at.At, "createUser") && got.Code == 400 {
			return // it has been made before
		}
		if got.Code != want || (code == "498" || code == "499") != strings.Contains(body, `action="/arcgis/admin/login"`) {
			w.Errorf("%s %s as %s: page with status %d", r.Method, r.URL, name, got.Code)
		}
		return
	}
	switch {
	case at.Writes && r.Method == "GET" && code != "498" && code != "499": // whoever it is
		if !strings.Contains(body, `"code":405`) {
			w.Errorf("%s %s as %s: %s", r.Method, r.URL, name, body)
		}
	case code != "":
		if !strings.Contains(body, `"code":`+code) || strings.Contains(body, "jdoe") {
			w.Errorf("%s %s as %s: %s", r.Method, r.URL, name, body)
		}
	case strings.Contains(body, `"code"`) && !strings.Contains(body, "already exists"):
		w.Errorf("%s %s as %s: %s", r.Method, r.URL, name, body)
	}
}

// Nothing is found at an address that could mean another one.
func TestPaths(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		_, err := tx.PutOrganization(roster.Organization{ID: "x/y"})
		return err
	})
	for _, path := range []string{
		"/", "/arcgis", "/arcgis/", "//arcgis/admin", "/arcgis//admin", "/arcgis/admin//", "/arcgis/admin/./orgs", "/arcgis/admin/../admin",
		"/arcgis/admin/%2e%2e/admin", "/arcgis/x/%2E%2E/admin", "/arcgis/admin%2forgs", "/arcgis/admin/orgs%2F0123456789ABCDEF", "/arcgis/%61dmin",
		"/arcgis/admin/orgs/0123456789ABCDEF/security/users/refreshMembership/", "/arcgis/admin/orgs/0123456789ABCDEF/security/users/refreshMembership/x",
		"/arcgis/admin/orgs/0123456789ABCDEF/security/users%5CrefreshMembership", "/arcgis/admin/orgs/0123456789ABCDEF/users", "/arcgis/adminx",
		"/arcgis/admin/orgs/0123456789ABCDEF/security/users/updateUser", "/arcgis/admin/orgs/*/security", "/arcgis/admin/orgs/%00/security", "/arcgis/sharing/rest",
		"/arcgis/admin/orgs//security", "/arcgis/admin/orgs/x%2Fy/security", "/arcgis/admin/orgs/x%2fy", "/ARCGIS/admin", "/admin/orgs",
	} {
		r := request("GET", "/?f=json&token="+w.token(w.admin), "")
		u, err := url.Parse("http://host" + path)
		if err != nil {
			t.Fatal(path, err)
		}
		r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
		rec := w.do(r)
		found := strings.HasSuffix(path, "refreshMembership/")
		if got := rec.Body.String(); rec.Code != 200 || rec.Header().Get("Location") != "" || strings.Contains(got, `"code":404`) == found {
			t.Errorf("%s: %d %s", path, rec.Code, got)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X"} {
		rec := w.do(request(method, users+"?f=json", ""))
		if !strings.Contains(rec.Body.String(), `"code":405`) || rec.Header().Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: %s", method, rec.Body)
		}
	}
	head := w.do(request("HEAD", users+"?f=json&token="+w.token(w.admin), ""))
	equal(t, "HEAD", head.Body.Len(), 0)
	equal(t, "HEAD", head.Code, 200)
}

// Rights that end count at once, those of tokens and sessions that exist too.
func TestRightsThatEnd(t *testing.T) {
	w := newWorld(t)
	form := "f=json&groupName=cartographers&token=" + w.token(w.helper)
	answer := func() string {
		return w.do(request("POST", groups+"/getUsersWithinEnterpriseGroup", form)).Body.String()
	}
	if got := answer(); !strings.Contains(got, "jdoe") {
		t.Fatal(got)
	}
	w.update(func(tx *roster.Txn) error { return w.privileges(tx, w.helper) })
	if got := answer(); !strings.Contains(got, `"code":403`) {
		t.Error(got)
	}
	w.update(func(tx *roster.Txn) error {
		u, err := tx.User(w.helper)
		if err == nil {
			u.Active = false
			_, err = tx.PutUser(u)
		}
		return err
	})
	if got := answer(); !strings.Contains(got, `"code":498`) {
		t.Error(got)
	}
}

// host is an Authenticator of a host program.
type host struct{ p access.Principal }

func (h host) Authenticate(*http.Request, url.Values) (access.Principal, error) { return h.p, nil }

// A host may say itself who somebody is; somebody must be an active user.
func TestAuthenticatorOfTheHost(t *testing.T) {
	for name, h := range map[string]struct {
		user  func(*world) roster.UserID
		by    access.By
		privs []string
		want  string
	}{
		"nobody":      {func(*world) roster.UserID { return 0 }, 0, []string{"*"}, `"code":499`},
		"unknown":     {func(*world) roster.UserID { return 4_000_000_000 }, access.ByHost, []string{"*"}, `"code":403`},
		"no right":    {func(w *world) roster.UserID { return w.admin }, access.ByHost, nil, `"code":403`},
		"right":       {func(w *world) roster.UserID { return w.nobody }, access.ByHost, []string{access.PrivilegeSecurity}, `"totalUsers":5`},
		"stale right": {func(w *world) roster.UserID { return w.nobody }, access.ByToken, []string{"*"}, `"code":403`},
	} {
		w := newWorld(t)
		auth := host{w.host(h.user(w), h.privs...)}
		auth.p.By = h.by
		w.h = arcgis.New(w.e, arcgis.Options{Authenticator: auth})
		if got := w.do(request("GET", users+"?f=json", "")).Body.String(); !strings.Contains(got, h.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The handler stands behind the prefix that it is told, and its pages lead there.
func TestPrefix(t *testing.T) {
	for prefix, base := range map[string]string{"": "/arcgis", "/arcgis/": "/arcgis", "portal": "/portal", "/a/b": "/a/b", "/": ""} {
		w := newWorld(t, func(o *arcgis.Options) { o.Prefix = prefix })
		mux := http.NewServeMux()
		mux.Handle(base+"/", w.h)
		w.h = mux
		page := w.do(request("GET", base+"/admin/orgs", "", "Authorization", "Bearer "+w.token(w.admin)))
		if page.Code != 200 || !strings.Contains(page.Body.String(), `href="`+base+`/admin/orgs/0123456789ABCDEF"`) {
			t.Errorf("%q: %d %s", prefix, page.Code, page.Body)
		}
		in := w.do(request("POST", base+"/admin/login", "username=admin1&password=admin%27s+password"))
		equal(t, prefix, in.Header().Get("Location"), base+"/admin")
		equal(t, prefix, in.Result().Cookies()[0].Path, base+"/admin")
	}
}
