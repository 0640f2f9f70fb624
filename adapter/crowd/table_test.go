package crowd_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
)

// endpoint is a line of the table: what somebody without rights (clerk) and an
// administrator (boss, root where only that one may) get.
type endpoint struct {
	path, body       string
	notEntitled      int
	entitled         string
	entitledStatus   int
	notEntitledShows string
}

var (
	g1  = id(1900, "user1")
	bad = id(1900, "badgers")
	u1  = id(1900, "user1")
)

// table is what there is, by method and path. TestTable fails when it is not all
// of crowd.Routes.
var table = map[string]endpoint{
	"POST users/search":                            {"users/search", `{}`, 200, "boss", 200, `"values":[]`},
	"POST users/{}/groups":                         {"users/" + u1 + "/groups", `{"ids":["` + bad + `"]}`, 403, "boss", 200, ""},
	"DELETE users/{}/groups":                       {"users/" + u1 + "/groups", `{"ids":["` + bad + `"]}`, 403, "boss", 200, ""},
	"POST groups/query":                            {"groups/query", `{}`, 200, "boss", 200, `"values":[]`},
	"GET groups/{}":                                {"groups/" + bad, ``, 403, "boss", 200, ""},
	"GET groups/{}/users":                          {"groups/" + bad + "/users", ``, 403, "boss", 200, ""},
	"POST groups/{}/users":                         {"groups/" + bad + "/users", `{"ids":["` + u1 + `"]}`, 403, "boss", 200, ""},
	"DELETE groups/{}/users":                       {"groups/" + bad + "/users", `{"ids":["` + u1 + `"]}`, 403, "boss", 200, ""},
	"GET groups/{}/users/suggestions":              {"groups/" + bad + "/users/suggestions", ``, 403, "boss", 200, ""},
	"GET group/search/{}":                          {"group/search/1900", ``, 403, "boss", 200, ""},
	"GET group/{}/groups":                          {"group/" + bad + "/groups", ``, 403, "boss", 200, ""},
	"POST group/{}/groups":                         {"group/" + bad + "/groups", `{"ids":["` + g1 + `"]}`, 403, "boss", 200, ""},
	"GET group-level-admin/{}/admins":              {"group-level-admin/" + bad + "/admins", ``, 403, "boss", 200, ""},
	"POST group-level-admin/{}/admins":             {"group-level-admin/" + bad + "/admins", `[{"id":"` + u1 + `","type":"USER"}]`, 403, "root", 200, ""},
	"GET group-level-admin/{}/admins/suggestions":  {"group-level-admin/" + bad + "/admins/suggestions", ``, 403, "root", 200, ""},
	"DELETE group-level-admin/{}/admins/users/{}":  {"group-level-admin/" + bad + "/admins/users/" + id(1900, "boss"), ``, 403, "root", 204, ""},
	"DELETE group-level-admin/{}/admins/groups/{}": {"group-level-admin/" + bad + "/admins/groups/" + g1, ``, 403, "root", 404, ""},
	"GET directory/managed":                        {"directory/managed", ``, 200, "boss", 200, `[]`},
}

// TestTable asks every endpoint without credentials, with wrong ones, with expired
// ones, without the right and with it.
func TestTable(t *testing.T) {
	routes := crowd.Routes()
	if len(routes) != len(table) {
		t.Errorf("%d routes, %d in the table", len(routes), len(table))
	}
	for _, route := range routes {
		line, ok := table[route]
		if !ok {
			t.Errorf("%s is not in the table", route)
			continue
		}
		t.Run(strings.ReplaceAll(route, "/", "_"), func(t *testing.T) {
			w := newWorld(t)
			method, _, _ := strings.Cut(route, " ")
			late := w.expired(line, method)
			before := w.e.Revision()
			denied := func(what string, r *http.Request) {
				t.Helper()
				a := w.send(r)
				if a.Code != 401 || a.Header().Get("WWW-Authenticate") != `Basic realm="Crowd", charset="UTF-8"` || w.e.Revision() != before {
					t.Errorf("%s: %d %v %s", what, a.Code, a.Header(), a.Body)
				}
			}
			denied("nobody", request(method, base+line.path, "", line.body))
			wrong := request(method, base+line.path, "", line.body)
			wrong.SetBasicAuth(line.entitled, "wrong")
			denied("wrong password", wrong)
			denied("without a password", func() *http.Request {
				r := request(method, base+line.path, "", line.body)
				r.SetBasicAuth(line.entitled, "")
				return r
			}())
			denied("not active", request(method, base+line.path, "gone", line.body))
			denied("expired", late)

			a := w.send(request(method, base+line.path, "clerk", line.body))
			if a.Code != line.notEntitled || !strings.Contains(a.Body.String(), line.notEntitledShows) || w.e.Revision() != before {
				t.Errorf("not entitled: %d %s", a.Code, a.Body)
			}
			w.expect(method, base+line.path, line.entitled, line.body, line.entitledStatus, "")
			if method == http.MethodGet {
				head := w.send(request(http.MethodHead, base+line.path, line.entitled, ""))
				if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "0" {
					t.Errorf("HEAD: %d %v %s", head.Code, head.Header(), head.Body)
				}
			}
		})
	}
}

// expired returns a request with a token that was good until a moment ago.
func (w *world) expired(line endpoint, method string) *http.Request {
	p, err := w.s.Login(ctx, line.entitled, "pw-"+line.entitled, w.clientless())
	if err != nil {
		w.Fatal(err)
	}
	token, _, err := w.s.IssueToken(ctx, p, access.TokenSpec{Audience: "crowd", Life: time.Minute})
	if err != nil {
		w.Fatal(err)
	}
	w.Pass(time.Hour)
	r := request(method, base+line.path, "", line.body)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// TestNothingElse looks for methods and paths outside of the table.
func TestNothingElse(t *testing.T) {
	w := newWorld(t)
	for route, line := range table {
		_, path, _ := strings.Cut(route, " ")
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "post", "X"} {
			as := method
			if as == "HEAD" {
				as = "GET"
			}
			if _, ok := table[as+" "+path]; ok {
				continue
			}
			a := w.send(request(method, base+line.path, "root", ""))
			if a.Code != 405 || a.Header().Get("Allow") == "" {
				t.Errorf("%s %s: %d", method, line.path, a.Code)
			}
		}
		for _, extra := range []string{"/x", "//", "/.", "/..", "/%2e", "/%2e%2e", "%2f", "/%2f", "\\", "%5c", "%00", ";x", ".json"} {
			method, _, _ := strings.Cut(route, " ")
			a := w.send(request(method, base+line.path+extra, "boss", line.body))
			if a.Code != 404 && a.Code != 400 && a.Code != 405 {
				t.Errorf("%s %s: %d %s", method, line.path+extra, a.Code, a.Body)
			}
		}
	}
	for _, path := range []string{
		"/", "", "/crowd", "/crowd/", "/rest/admin/1.0/users/search", "/crowd/rest/admin/1.0", base, "/crowd/rest/admin/1.0/users/search/x",
		"/crowd/rest//admin/1.0/users/search", "/crowd//rest/admin/1.0/users/search", base + "/users/search", base + "users//search", base + "users/search//",
		"/crowd/rest/rest/rest/admin/1.0/users/search", "/crowd/rest/admin/1.1/users/search", "/crowd/rest/admin/1.0/Users/search",
		"/crowd/x/../rest/admin/1.0/users/search", base + "x/../users/search", base + "users/%73earch", base + "users%2Fsearch", "/crowd/rest/usermanagement/1/session",
		base + "users/../groups", base + "groups/%2e%2e/users", base + "groups/./users", base + "group/search/",
	} {
		a := w.send(request("POST", path, "root", `{}`))
		if a.Code != 404 || a.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", path, a.Code, a.Header())
		}
	}
}

// host is an Authenticator of a host program.
type host struct {
	p   access.Principal
	err error
}

func (h host) Authenticate(*http.Request, url.Values) (access.Principal, error) { return h.p, h.err }

// TestAuthenticators: none, and those of a host.
func TestAuthenticators(t *testing.T) {
	var w *world
	with := func(a access.Authenticator) {
		w = newWorld(t, func(o *crowd.Options) { o.Authenticator = a })
	}
	with(nil)
	for route, line := range table {
		method, _, _ := strings.Cut(route, " ")
		w.expect(method, base+line.path, "root", line.body, 401, "UNAUTHORIZED")
	}
	for _, c := range []struct {
		host
		want int
	}{
		{host{}, 401}, // nobody
		{host{err: access.ErrNoCredentials}, 401},
		{host{err: access.ErrInvalidToken}, 401},
		{host{err: access.ErrForbidden}, 403},
		{host{err: &access.ThrottledError{After: 1500 * time.Millisecond}}, 429},
		{host{err: access.ErrBusy}, 503},
		{host{err: access.ErrUnavailable}, 503},
		{host{err: context.DeadlineExceeded}, 503},
		{host{err: roster.ErrClosed}, 503},
		{host{err: errors.New("secret of the host")}, 500},
	} {
		with(c.host)
		a := w.send(request("POST", base+"users/search", "", `{}`))
		if a.Code != c.want || strings.Contains(a.Body.String(), "secret") {
			t.Errorf("%v: %d %s", c.host, a.Code, a.Body)
		}
		if after := a.Header().Get("Retry-After"); (c.want == 429) != (after == "2") || c.want == 503 && after != "1" {
			t.Errorf("%v: Retry-After %q", c.host, after)
		}
	}
	with(host{})
	h := host{}
	w.view(func(tx *roster.Txn) {
		h.p = access.Principal{User: w.user(tx, 1900, "clerk"), Username: "clerk", By: access.ByHost, Privileges: []string{"*"}}
	})
	w.api = crowd.New(w.e, crowd.Options{Authenticator: h})
	w.expect("GET", base+"groups/"+bad, "", "", 200, "badgers")
	h.p.By = access.ByPassword // which no host can say
	w.api = crowd.New(w.e, crowd.Options{Authenticator: h})
	w.expect("GET", base+"groups/"+bad, "", "", 401, "")
}

// TestPrefixes: below another prefix, and with the prefix taken away.
func TestPrefixes(t *testing.T) {
	w := newWorld(t)
	o := crowd.Options{Authenticator: w.s.Door(access.Crowd())}
	mux := http.NewServeMux()
	mux.Handle("/crowd/", w.api)
	o.Prefix = "/"
	mux.Handle("/a/", http.StripPrefix("/a", crowd.New(w.e, o)))
	o.Prefix = "b/c/"
	mux.Handle("/b/c/", crowd.New(w.e, o))
	w.api = mux
	for _, prefix := range []string{"/crowd", "/a", "/b/c"} {
		w.expect("POST", prefix+"/rest/admin/1.0/users/search/", "boss", `{"search":"user2"}`, 200, `"username":"user2"`)
	}
}

// TestWhatIsShown: what is known of users and groups beside their names.
func TestWhatIsShown(t *testing.T) {
	w := newWorld(t, func(o *crowd.Options) { o.Appoint = true })
	w.update(func(tx *roster.Txn) error {
		u, err1 := tx.User(w.user(tx, 1900, "user2"))
		u.FullName, u.Email = "Two, User", ""
		_, err2 := tx.PutUser(u)
		g, err3 := tx.Group(w.group(tx, 1900, "badgers"))
		g.Description = "Those who dig"
		_, err4 := tx.PutGroup(g)
		_, err5 := tx.AddAdmins(w.group(tx, 1900, "badgers"), w.user(tx, 1900, "user2"))
		return errors.Join(err1, err2, err3, err4, err5)
	})
	const internal = `"directory":{"id":1900,"displayName":"Internal","directoryType":"INTERNAL"}`
	const user2 = `{"id":"1900-dXNlcjI","username":"user2","displayName":"Two, User","active":true,` + internal + `}`
	const badgers = `{"id":"1900-YmFkZ2Vycw","active":true,"name":"badgers","description":"Those who dig",` + internal + `}`
	w.expect("POST", base+"users/search", "boss", `{"search":"two"}`, 200, `{"values":[`+user2+`],"size":1,"start":0,"limit":50,"isLastPage":true}`)
	w.expect("GET", base+"groups/"+bad+"/users/suggestions?search=two", "boss", ``, 200, `{"values":[`+user2+`],"size":1,"start":0,"limit":50,"isLastPage":true}`)
	w.expect("GET", base+"groups/"+bad, "boss", ``, 200, badgers+"\n")
	w.expect("GET", base+"group/search/1900?term=adg", "boss", ``, 200, `{"values":[`+badgers+`],"size":1,"start":0,"limit":50,"isLastPage":true}`)
	w.expect("GET", base+"group-level-admin/"+bad+"/admins?start=1", "boss", ``, 200,
		`{"values":[{"entity":{"id":"1900-dXNlcjI","type":"USER"},"name":"user2","displayName":"Two, User",`+internal+`,"email":null,"active":true}],"size":1,"start":1,"limit":50,"isLastPage":true}`)
	w.expect("GET", base+"group-level-admin/"+g1+"/admins/suggestions?limit=1", "boss", ``, 200, // of the groups that boss sees
		`{"values":[{"entity":{"id":"1900-YmFkZ2Vycw","type":"GROUP"},"name":"badgers","displayName":null,`+internal+`,"email":null,"active":null}],"size":1,"start":0,"limit":1,"isLastPage":false}`)
}

// TestNobodyIsThere: a page of nothing says whether anybody would be on another one, and
// who administers a group manages its directory though nobody is in it.
func TestNobodyIsThere(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		g, err := tx.CreateGroup(roster.Group{Directory: 2000, Name: "nobody"})
		if err == nil {
			_, err = tx.AddAdmins(g, w.user(tx, 1900, "boss"))
		}
		return err
	})
	for body, last := range map[string]bool{`{"search":"user"}`: false, `{"search":"zebra"}`: true, `{}`: false, `{"directoryIds":[2000]}`: true} {
		w.expect("POST", base+"users/search?limit=0", "boss", body, 200, fmt.Sprintf(`{"values":[],"size":0,"start":0,"limit":0,"isLastPage":%v}`, last))
	}
	w.expect("GET", base+"directory/managed", "boss", ``, 200, `[{"id":1900,"displayName":"Internal","directoryType":"INTERNAL"},{"id":2000,"displayName":"Empty","directoryType":"CUSTOM"}]`)
	w.expect("GET", base+"group/search/2000", "boss", ``, 200, `"name":"nobody"`)
	w.expect("GET", base+"groups/"+id(2000, "nothing"), "boss", ``, 404, "GROUP_NOT_FOUND")
	w.expect("POST", base+"users/"+id(2000, "ariel")+"/groups", "boss", `{}`, 404, "USER_NOT_FOUND")
	w.expect("POST", base+"users/"+id(2000, "ariel")+"/groups", "clerk", `{}`, 403, "PERMISSION_DENIED")
}
