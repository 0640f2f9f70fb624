package rebilly_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// TestHostileBodies: none is read further than allowed, breaks anything or changes
// anything.
func TestHostileBodies(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.MaxBody = 64 << 10 })
	before := w.e.Revision()
	for what, c := range map[string]struct {
		body   string
		status int
	}{
		"deep":           {strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), 400},
		"deep lists":     {`{"roleIds":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + "}", 400},
		"huge":           {`{"permissions":["` + strings.Repeat("x", 1<<20) + `"]}`, 413},
		"huge number":    {`{"isOwner":1` + strings.Repeat("0", 50_000) + `}`, 422},
		"many":           {`{"permissions":["a"` + strings.Repeat(`,"a"`, 2000) + `]}`, 422},
		"long":           {`{"permissions":["` + strings.Repeat("x", 201) + `"]}`, 422},
		"twice":          {`{"isOwner":false,"isOwner":true}`, 400},
		"twice, escaped": {`{"isOwner":false,"is\u004fwner":true}`, 400},
		"twice, deep":    {`{"organization":{"id":1,"id":2}}`, 400},
		"byte order":     {"\ufeff{}", 400},
		"not UTF-8":      {"{\"permissions\":[\"\xff\"]}", 400},
		"NaN":            {`{"isOwner":NaN}`, 400},
		"comment":        {`{/**/}`, 400},
		"trailing":       {`{},`, 400},
		"space":          {" \n ", 400},
		"a text":         {`"isOwner"`, 400},
	} {
		if rec := w.do("owner", "PUT", "/memberships/org_1/usr_1", c.body); rec.Code != c.status {
			t.Errorf("%s: %d, not %d: %.200s", what, rec.Code, c.status, rec.Body)
		}
	}
	// Another field than the one that is meant is ignored: names are exact.
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{"IsOwner":true,"isowner":true,"isOwner" : null , "user":{"id":"usr_root"}}`)
	if m := decode[membership](t, w.want(200, "owner", "GET", "/memberships/org_1/usr_1", "")); m.IsOwner || m.User.ID != "usr_1" {
		t.Errorf("%+v", m)
	}
	if n := w.e.Revision() - before; n != 1 {
		t.Errorf("%d revisions", n)
	}
}

// TestManyMistakes: a body with very many mistakes is not answered with a text that is
// many times as long.
func TestManyMistakes(t *testing.T) {
	w := newWorld(t)
	list := "[1" + strings.Repeat(",1", 1000) + "]"
	for _, body := range []string{
		`{"acl":[{"permissions":` + list + "}" + strings.Repeat(`,{"permissions":`+list+"}", 400) + `]}`,
		`{"acl":[{"permissions":1}` + strings.Repeat(`,{"permissions":1}`, 40_000) + `]}`,
		`{"permissions":` + list + `,"roleIds":` + list + `,"allowedIps":` + list + `}`,
	} {
		for _, path := range []string{"/roles/new", "/memberships/org_1/usr_1"} {
			rec := w.do("owner", "PUT", path, body)
			if p := decode[problem](t, rec); rec.Code/100 == 4 && (len(p.InvalidFields) > 100 || rec.Body.Len() > 64<<10) {
				t.Errorf("%s %.30s: %d fields, %d bytes", path, body, len(p.InvalidFields), rec.Body.Len())
			}
		}
	}
}

// TestHostileBodyIsNotRead: who is not let in sends nothing that is looked at.
func TestHostileBodyIsNotRead(t *testing.T) {
	w := newWorld(t)
	for _, as := range []string{"", "wrong", "gone"} {
		body := &counted{}
		if rec := w.send(httptest.NewRequest("PUT", "/rebilly/memberships/org_1/usr_1", body), as); rec.Code != 401 || body.n > 0 {
			t.Errorf("%q: %d, %d bytes read", as, rec.Code, body.n)
		}
	}
	body := &counted{}
	if rec := w.send(httptest.NewRequest("PUT", "/rebilly/memberships/org_1/usr_1", body), "owner"); rec.Code != 413 || body.n > 2<<20 {
		t.Errorf("%d, %d bytes read", rec.Code, body.n)
	}
}

// counted is a body without end.
type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n += len(p)
	return len(p), nil
}

func TestContentTypes(t *testing.T) {
	w := newWorld(t)
	put := func(values ...string) int {
		r := httptest.NewRequest("PUT", "/rebilly/memberships/org_1/usr_1", strings.NewReader("{}"))
		for _, v := range values {
			name, value, _ := strings.Cut(v, ": ")
			r.Header.Add(name, value)
		}
		return w.send(r, "owner").Code
	}
	for _, ok := range []string{"", "application/json", "Application/JSON; Charset=UTF-8", "application/merge-patch+json"} {
		if code := put("Content-Type: " + ok); code/100 != 2 {
			t.Errorf("%q: %d", ok, code)
		}
	}
	for _, bad := range []string{"text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "application/jsonp", "json", "application/json; charset", "+json"} {
		if code := put("Content-Type: " + bad); code != 415 {
			t.Errorf("%q: %d", bad, code)
		}
	}
	if code := put("Content-Type: application/json", "Content-Type: text/plain"); code != 415 {
		t.Errorf("two types: %d", code)
	}
	if code := put("Content-Encoding: gzip"); code != 415 {
		t.Errorf("gzip: %d", code)
	}
}

// TestHeaderTricks: headers that claim what they cannot know change nothing.
func TestHeaderTricks(t *testing.T) {
	w := newWorld(t)
	send := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/rebilly"+path, strings.NewReader("{}"))
		for _, v := range header {
			name, value, _ := strings.Cut(v, ": ")
			r.Header.Add(name, value)
		}
		return w.send(r, "")
	}
	owner, plain := "REB-APIKEY: "+w.secrets["owner"], "REB-APIKEY: "+w.secrets["plain"]
	for what, c := range map[string]struct {
		header []string
		status int
	}{
		"two keys":         {[]string{owner, plain}, 401},
		"method override":  {[]string{plain, "X-HTTP-Method-Override: PUT", "X-Method-Override: PUT"}, 403},
		"forwarded":        {[]string{"REB-APIKEY: " + w.secrets["remote"], "X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7", "X-Real-IP: 198.51.100.7"}, 403},
		"original URL":     {[]string{plain, "X-Original-URL: /rebilly/memberships", "X-Rewrite-URL: /rebilly/memberships"}, 403},
		"basic":            {[]string{"Authorization: Basic cm9vdDpyb290"}, 401},
		"key as a cookie":  {[]string{"Cookie: REB-APIKEY=" + w.secrets["owner"]}, 401},
		"empty key":        {[]string{"REB-APIKEY: "}, 401},
		"bearer of nobody": {[]string{"Authorization: Bearer "}, 401},
		"consumer":         {[]string{owner, "REB-API-CONSUMER: SDK/62"}, 200},
	} {
		if rec := send("GET", "/memberships/org_1/usr_clerk", c.header...); rec.Code != c.status {
			t.Errorf("%s: %d, not %d: %s", what, rec.Code, c.status, rec.Body)
		}
	}
	for _, query := range []string{"REB-APIKEY=", "apiKey=", "token=", "access_token="} {
		if rec := send("GET", "/memberships?"+query+w.secrets["owner"]); rec.Code != 401 {
			t.Errorf("a key in the query, %s: %d", query, rec.Code)
		}
	}
	r := httptest.NewRequest("PUT", "/rebilly/memberships/org_1/usr_1", strings.NewReader("{}"))
	r.Host = "evil.example"
	if rec := w.send(r, "owner"); rec.Code != 201 || strings.Contains(rec.Body.String()+rec.Header().Get("Location"), "evil") {
		t.Errorf("the Host shows: %s", rec.Body)
	}
}

// TestMarkup: what somebody calls things stays text, and of the declared type.
func TestMarkup(t *testing.T) {
	w := newWorld(t)
	const script = `</script><script>alert(1)</script>`
	w.want(200, "root", "PUT", "/users/usr_plain", `{"name":"`+script+`"}`)
	w.want(200, "owner", "PUT", "/organizations/org_1", `{"name":"`+script+`"}`)
	for _, path := range []string{"/memberships", "/users", "/organizations", "/memberships?filter=%3Cscript%3E:1", "/memberships?sort=%3Cscript%3E", "/%3Cscript%3E"} {
		rec := w.do("owner", "GET", path, "")
		if strings.Contains(rec.Body.String(), "<") || rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v %s", path, rec.Header(), rec.Body)
		}
	}
}

// TestSecretsAreNotLogged: nothing that was presented stands in a log or an answer.
func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t)
	w.want(401, "wrong", "GET", "/memberships?token=hunter2", "")
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	rec := w.do("owner", "GET", "/memberships?secret=hunter2", "")
	if rec.Code != 503 || w.log.Len() == 0 {
		t.Fatalf("%d %s, %s", rec.Code, rec.Body, w.log.String())
	}
	for _, s := range []string{"hunter2", w.secrets["owner"], "sk_wrong"} {
		if strings.Contains(w.log.String()+rec.Body.String(), s) {
			t.Errorf("%q is told", s)
		}
	}
}

// TestFaults: what is nobody's business is a 500 with a text that says nothing.
func TestFaults(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.Authenticator = broken{} })
	rec := w.want(500, "root", "GET", "/memberships", "")
	if strings.Contains(rec.Body.String(), "hunter2") || !strings.Contains(w.log.String(), "hunter2") {
		t.Errorf("%s, logged: %s", rec.Body, w.log.String())
	}
}

type broken struct{}

func (broken) Authenticate(*http.Request, url.Values) (access.Principal, error) {
	return access.Principal{}, errors.New("hunter2 is the password")
}

// TestContext: a request that was given up changes nothing.
func TestContext(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		c, cancel := context.WithCancel(ctx)
		cancel()
		r := httptest.NewRequestWithContext(c, method, "/rebilly/memberships/org_1/usr_plain", strings.NewReader("{}"))
		if rec := w.send(r, "owner"); rec.Code != 503 {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
	}
	if w.e.Revision() != before {
		t.Error("something was changed")
	}
}

// TestReadOnly: an engine that cannot be changed says so.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	e, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := access.New(e, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var secret string
	if _, err = e.Update(ctx, func(tx *roster.Txn) error {
		_, err1 := tx.PutDirectory(roster.Directory{ID: 1, Name: "d"})
		u, err2 := tx.CreateUser(roster.User{Directory: 1, Username: "root", Active: true})
		_, err3 := access.PutAccount(tx, access.Account{User: u, Privileges: []string{"*"}}, time.Now())
		for _, err := range []error{err1, err2, err3} {
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var u roster.UserID
	e.View(ctx, func(tx *roster.Txn) error { u, err = tx.FindUser("root"); return err })
	if secret, err = s.CreateKey(ctx, access.Key{ID: "k", User: u}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = roster.Open(dir, roster.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if s, err = access.New(e, access.Options{}); err != nil {
		t.Fatal(err)
	}
	h := rebilly.New(e, rebilly.Options{Authenticator: s.Door(access.Rebilly()), Prefix: "/"})
	for method, want := range map[string]int{"PUT": 503, "GET": 404} {
		r := httptest.NewRequest(method, "/organizations/new", strings.NewReader("{}"))
		r.Header.Set("REB-APIKEY", secret)
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
	}
}
