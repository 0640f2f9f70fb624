package arcgis_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

const (
	login  = "/arcgis/admin/login"
	logout = "/arcgis/admin/logout"
)

// signIn begins a session and returns its cookie.
func (w *world) signIn(name, password string) *http.Cookie {
	w.Helper()
	rec := w.do(request("POST", login, url.Values{"username": {name}, "password": {password}}.Encode()))
	cookies := rec.Result().Cookies()
	if rec.Code != http.StatusSeeOther || len(cookies) != 1 {
		w.Fatalf("sign-in: %d %s", rec.Code, rec.Body)
	}
	return cookies[0]
}

// with sends a request with a cookie.
func (w *world) with(c *http.Cookie, r *http.Request) *httptest.ResponseRecorder {
	if c != nil {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return w.do(r)
}

var formField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (w *world) formToken(c *http.Cookie, target string) string {
	w.Helper()
	found := formField.FindStringSubmatch(w.with(c, request("GET", target, "")).Body.String())
	if found == nil {
		w.Fatal("no form token at " + target)
	}
	return found[1]
}

func TestSession(t *testing.T) {
	w := newWorld(t)
	refresh := users + "/refreshMembership"
	cookie := w.signIn("admin1", "admin's password")
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure || cookie.Path != "/arcgis/admin" || cookie.MaxAge != 0 || !cookie.Expires.IsZero() {
		t.Errorf("cookie %v", cookie)
	}
	form := w.formToken(cookie, refresh)
	other := w.formToken(w.signIn("helper", "helper's password"), groups)

	for name, c := range map[string]struct {
		r    *http.Request
		want string
		code int
	}{
		"form":                {request("POST", refresh, "users=jdoe&csrf="+form), "Refreshed: 1 user.", 200},
		"form, json":          {request("POST", refresh, "users=jdoe&f=json&csrf="+form), success, 200},
		"same origin":         {request("POST", refresh, "users=jdoe&csrf="+form, "Sec-Fetch-Site", "same-origin"), "Refreshed: 1 user.", 200},
		"no form token":       {request("POST", refresh, "users=jdoe"), "no longer good", 403},
		"no form token, json": {request("POST", refresh, "users=jdoe&f=json"), `"code":499`, 200},
		"in the query":        {request("POST", refresh+"?csrf="+form, "users=jdoe"), "no longer good", 403},
		"twice":               {request("POST", refresh, "users=jdoe&csrf="+form+"&csrf="+form), "no longer good", 403},
		"of somebody else":    {request("POST", refresh, "users=jdoe&csrf="+other), "no longer good", 403},
		"another site":        {request("POST", refresh, "users=jdoe&csrf="+form, "Sec-Fetch-Site", "cross-site"), "no longer good", 403},
		"another origin":      {request("POST", refresh, "users=jdoe&csrf="+form, "Origin", "https://evil.example"), "no longer good", 403},
		"cookie as token":     {request("POST", refresh, "users=jdoe&f=json&token="+cookie.Value), `"code":498`, 200},
		"get":                 {request("GET", refresh+"?users=jdoe&csrf="+form, ""), `<form class="card"`, 200},
		"get, json":           {request("GET", users+"?f=json", ""), `{"totalUsers":5}`, 200},
		"get, page":           {request("GET", groups+"/getUsersWithinEnterpriseGroup?groupName=cartographers", ""), `domain\<wbr>jdoe`, 200},
		"no such group":       {request("POST", groups+"/getUsersWithinEnterpriseGroup", "groupName=ghosts&csrf="+form), "does not exist", 404},
	} {
		w.source.called()
		rec := w.with(cookie, c.r)
		called := len(w.source.called())
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.want) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if done := strings.Contains(rec.Body.String(), "success") || strings.Contains(rec.Body.String(), "Refreshed"); done != (called > 0) {
			t.Errorf("%s: the source was asked %d times", name, called)
		}
	}
}

// TestSignOutOfAnotherSite: browsers send no cookie with what another site asks for,
// and would still do what an answer says about it.
func TestSignOutOfAnotherSite(t *testing.T) {
	w := newWorld(t)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		rec := w.do(request("POST", "/arcgis/admin/logout", "", header...))
		if rec.Code != 403 || rec.Header().Get("Set-Cookie") != "" {
			t.Errorf("%v: %d %v", header, rec.Code, rec.Header())
		}
	}
	rec := w.do(request("POST", "/arcgis/admin/logout", "", "Sec-Fetch-Site", "same-origin"))
	if rec.Code != 303 || !strings.Contains(rec.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("a session that has ended: %d %v", rec.Code, rec.Header())
	}
}

func TestSessionEnds(t *testing.T) {
	w := newWorld(t)
	cookie := w.signIn("admin1", "admin's password")
	isIn := func(c *http.Cookie) bool {
		return strings.Contains(w.with(c, request("GET", users, "")).Body.String(), "Total users")
	}
	equal(t, "signed in", isIn(cookie), true)
	equal(t, "another cookie", isIn(&http.Cookie{Name: cookie.Name, Value: cookie.Value + "x"}), false)
	equal(t, "token of the API", isIn(&http.Cookie{Name: cookie.Name, Value: w.token(w.admin)}), false)

	rec := w.with(cookie, request("POST", logout, "csrf=wrong"))
	equal(t, "sign-out by another site", rec.Code, http.StatusForbidden)
	rec = w.with(cookie, request("POST", logout, "csrf="+w.formToken(cookie, users)))
	if c := rec.Result().Cookies(); rec.Code != http.StatusSeeOther || len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
		t.Errorf("sign-out: %d %v", rec.Code, rec.Header())
	}
	equal(t, "the cookie after the sign-out", isIn(cookie), false)
	equal(t, "sign-out of a session that has ended", w.with(cookie, request("POST", logout, "")).Code, http.StatusSeeOther)
	cookie = w.signIn("admin1", "admin's password")
	equal(t, "sign-out by GET", w.with(cookie, request("GET", logout, "")).Code, http.StatusMethodNotAllowed)

	w.Pass(8*60*60*1e9 + 1)
	equal(t, "after 8 hours", isIn(cookie), false)
	cookie = w.signIn("admin1", "admin's password")
	if err := w.s.SetPassword(ctx, w.admin, "another password"); err != nil {
		t.Fatal(err)
	}
	equal(t, "after another password", isIn(cookie), false)
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	try := func(form string, headers ...string) *httptest.ResponseRecorder {
		return w.do(request("POST", login, form, headers...))
	}
	right := "username=admin1&password=admin%27s+password"
	for name, c := range map[string]struct {
		rec  *httptest.ResponseRecorder
		code int
		want string
	}{
		"wrong":         {try("username=admin1&password=x"), 403, "The username or the password is wrong."},
		"unknown":       {try("username=%3Cb%3E&password=x"), 403, `value="&lt;b&gt;"`},
		"empty":         {try("username=&password="), 403, "Enter a username and a password."},
		"in the query":  {w.do(request("POST", login+"?"+right, "next=x")), 403, "Enter a username"},
		"another site":  {try(right, "Origin", "https://evil.example"), 403, "no longer good"},
		"another site2": {try(right, "Sec-Fetch-Site", "cross-site"), 403, "no longer good"},
		"wrong, json":   {try("username=admin1&password=x&f=json"), 403, "The username or the password is wrong."},
	} {
		if c.rec.Code != c.code || !strings.Contains(c.rec.Body.String(), c.want) || len(c.rec.Result().Cookies()) > 0 {
			t.Errorf("%s: %d %s", name, c.rec.Code, c.rec.Body)
		}
	}
	for next, want := range map[string]string{
		"": "/arcgis/admin", "/arcgis/admin/orgs": "/arcgis/admin/orgs", users: users, "https://evil.example/": "/arcgis/admin",
		"//evil.example/arcgis/admin": "/arcgis/admin", `/arcgis/admin\x`: "/arcgis/admin", "/arcgis/admin/../../x": "/arcgis/admin",
		"/arcgis/admin/orgs?x": "/arcgis/admin", "/arcgis/admin/nothing": "/arcgis/admin", "/arcgis/admin/orgs/x#y": "/arcgis/admin", "/arcgis/admin/orgs/x\r\nX: y": "/arcgis/admin", "javascript:alert(1)": "/arcgis/admin",
		"/arcgis/Admin": "/arcgis/admin", "/arcgis/ADMIN/Orgs": "/arcgis/admin/Orgs", "/arcgis/Admin/": "/arcgis/admin/",
		"/arcgis/admin/orgs\r\nX: y": "/arcgis/admin", "/arcgis/sharing/rest/generateToken": "/arcgis/admin",
	} {
		rec := try(right + "&next=" + url.QueryEscape(next))
		if got := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || got != want {
			t.Errorf("next %q: %d %q", next, rec.Code, got)
		}
	}
	secure := newWorld(t, func(o *arcgis.Options) { o.Secure = true })
	equal(t, "secure", secure.signIn("admin1", "admin's password").Secure, true)
	for range 50 { // guessing is slowed down, and the page says so
		if rec := try("username=helper&password=x"); rec.Code == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("guessing goes on and on")
}

// TestLongLists: a page shows so many results that a browser can show them, JSON all.
func TestLongLists(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for i := range 1100 {
			name := fmt.Sprintf("many%04d", i)
			_, err := tx.CreateUser(roster.User{Directory: 2, Username: name, Active: true})
			if err == nil {
				_, err = tx.CreateGroup(roster.Group{Directory: 2, Name: name, Enterprise: true})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	cookie := w.signIn("admin1", "admin's password")
	for _, target := range []string{users + "/searchEnterpriseUsers", groups + "/searchEnterpriseGroups"} {
		for _, most := range []string{"2000", "99999999999"} {
			body := w.with(cookie, request("GET", target+"?filter=many&maxCount="+most, "")).Body.String()
			if rows := strings.Count(body, `<tr role="row">`); rows != 1001 || !strings.Contains(body, "to see the others.") {
				t.Errorf("%s: %d rows of %s", target, rows, most)
			}
			if names, more := w.list(target, "filter", "many", "maxCount", most); strings.Count(names, "many") != 1100 || more {
				t.Errorf("%s: %d of %s in JSON, more: %v", target, strings.Count(names, "many"), most, more)
			}
		}
		if names, more := w.list(target, "filter", "many"); strings.Count(names, "many") != 1000 || !more {
			t.Errorf("%s: %d in JSON if nobody says how many, more: %v", target, strings.Count(names, "many"), more)
		}
	}
}

var inStyle = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// Every page is held to its policy, which lets in nothing but its style.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for _, name := range []string{`<img src=x onerror=alert(1)>`, `"><script>alert(2)</script>`, `'javascript:alert(3)`} {
			g, err := tx.CreateGroup(roster.Group{Directory: 2, Name: name, Enterprise: true})
			if err != nil {
				return err
			}
			u, err := tx.CreateUser(roster.User{Directory: 2, Username: name, FullName: name, Email: name, Description: name, Active: true})
			if err == nil {
				_, err = tx.Add(g, u)
			}
			if err != nil {
				return err
			}
		}
		_, err := tx.PutOrganization(roster.Organization{ID: `<b>&"'/x`, Name: "<b>bold</b>"})
		return err
	})
	cookie := w.signIn("admin1", "admin's password")
	for _, target := range []string{
		"/arcgis/admin", "/arcgis/admin/orgs", orgs, orgs + "/security", users, groups, orgs + "/security/config", "/arcgis/nothing", generate,
		"/arcgis/admin/orgs/%3Cb%3E&%22'", users + "/createUser", users + "/refreshMembership?users=%3Cscript%3E",
		users + "/searchEnterpriseUsers?filter=*", groups + "/searchEnterpriseGroups?filter=*", groups + "/getEnterpriseGroupsForUser?username=%22%3E%3Cscript%3Ealert(2)%3C/script%3E",
		groups + "/getUsersWithinEnterpriseGroup?groupName=%3Cscript%3E",
	} {
		rec := w.with(cookie, request("GET", target, ""))
		body, policy := rec.Body.String(), rec.Header().Get("Content-Security-Policy")
		sum := sha256.Sum256([]byte(inStyle.FindStringSubmatch(body)[1]))
		if !strings.Contains(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") {
			t.Errorf("%s: policy %q", target, policy)
		}
		for _, bad := range []string{"<script", "<img", "<b>", `href="javascript`, "onerror=alert(1)>", "ZgotmplZ", " style=", "http://", "https://"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: has %s", target, bad)
			}
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"} {
			equal(t, target+" "+header, rec.Header().Get(header), want)
		}
	}
}

// A password that was typed is never sent back.
func TestPasswordIsNotShown(t *testing.T) {
	w := newWorld(t)
	for _, r := range []*http.Request{
		request("POST", login, "username=admin1&password=hush1234"),
		request("POST", generate, "username=admin1&password=hush1234&client=requestip"),
		request("POST", users+"/createUser", "username=x&password=hush1234&token="+w.token(w.admin)),
		request("POST", users+"/createUser?password=hush1234", "username=newuser1&f=json&token="+w.token(w.admin)),
	} {
		if body := w.do(r).Body.String(); strings.Contains(body, "hush1234") || strings.Contains(body, "success") {
			t.Errorf("%s: %s", r.URL, body)
		}
	}
	if strings.Contains(w.log.String(), "hush1234") {
		t.Error("it was logged")
	}
}

// A host's own Authenticator lets into the pages too, but not by forms of a browser.
func TestWithoutAccess(t *testing.T) {
	w := newWorld(t)
	p := w.host(w.admin, access.AllPrivileges)
	w.h = arcgis.New(w.e, arcgis.Options{Authenticator: host{p}})
	equal(t, "page", w.do(request("GET", users, "")).Code, 200)
	equal(t, "sign-in", w.do(request("POST", login, "username=admin1&password=x")).Code, 403)
	w.h = arcgis.New(w.e, arcgis.Options{})
	equal(t, "nobody", w.do(request("GET", users, "")).Code, 401)
}
