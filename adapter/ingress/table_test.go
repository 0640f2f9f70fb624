package ingress_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/ingress"
)

// table is all that there is, with what somebody entitled gets on it.
var table = []struct{ method, path, want string }{
	{"POST", path, `{"message":"1 User Groups were Added for 1 Users.","added":1}`},
	{"PUT", path, `{"message":"1 User Groups were Added and 0 User Groups were Dropped for 1 Users.","added":1,"dropped":0}`},
	{"DELETE", path, `{"message":"No User Groups were Removed.","removed":0}`},
	{"DELETE", path + "/drop", `{"message":"No User Groups were Dropped.","dropped":0}`},
}

const salesOfAnn = `{"user_id":15,"group_id":10}`

// TestTable asks every endpoint without a key, with a wrong one, an expired one,
// one of somebody without the right, and with it: of lead and of root.
func TestTable(t *testing.T) {
	for _, line := range table {
		w := newWorld(t)
		before := w.e.Revision()
		w.expectKey(0, line.method, line.path, js, salesOfAnn, 400, failed("No API ID Provided"))
		wrong := request(line.method, line.path, 1, js, salesOfAnn)
		wrong.Header.Set("tld-api-key", "k2")
		if a := w.send(wrong); a.Code != 400 || !strings.Contains(a.Body.String(), "Invalid API Key") {
			t.Errorf("%s %s with a wrong key: %d %s", line.method, line.path, a.Code, a.Body)
		}
		w.expectKey(5, line.method, line.path, js, salesOfAnn, 400, failed("Invalid API Key"))
		w.expectKey(4, line.method, line.path, js, salesOfAnn, 400, failed("Invalid API Key"))
		w.expectKey(7, line.method, line.path, js, salesOfAnn, 400, failed("API Key is not permitted for this Endpoint or IP"))
		w.expectKey(3, line.method, line.path, js, salesOfAnn, 400, failed("Could not Find Users"))
		if strings.HasSuffix(line.path, "/drop") {
			w.expectKey(6, line.method, line.path, js, salesOfAnn, 400, failed("API Key is not permitted for this Endpoint or IP"))
		}
		if w.e.Revision() != before {
			t.Errorf("%s %s: somebody without the right changed something", line.method, line.path)
		}
		for _, key := range []int{1, 2} {
			w = newWorld(t)
			w.expectKey(key, line.method, line.path, js, salesOfAnn, 200, line.want)
			w = newWorld(t)
			w.expectKey(key, line.method, line.path+"/", js, salesOfAnn, 200, line.want)
		}
	}
	w := newWorld(t)
	w.expectKey(6, "POST", path, js, salesOfAnn, 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
	w.api = ingress.New(w.e, ingress.Options{})
	for _, line := range table {
		w.expect(line.method, line.path, js, salesOfAnn, 400, failed("No API ID Provided"))
	}
}

// TestNothingElse looks for methods and paths outside of the table.
func TestNothingElse(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", ""} {
		for _, p := range []string{path, path + "/drop"} {
			known := false
			for _, line := range table {
				known = known || line.method == method && line.path == p
			}
			if a := w.send(request(method, p, 1, "", "")); !known && (a.Code != 405 || a.Header().Get("Allow") == "" || method == "HEAD" && a.Body.Len() > 0) {
				t.Errorf("%s %s: %d", method, p, a.Code)
			}
		}
	}
	for _, p := range []string{
		"/", "", "/api/ingress", "/api/ingress/", path + "//", "/" + path, path + "/x", path + "/drop/x", path + "/drop//", path + "//drop", path + "/./drop", path + "/%64rop",
		path + "%2Fdrop", path + "/../user_group_members", "/api/ingress/x/../user_group_members", "/api//ingress/user_group_members", "/api/ingress/user%5Fgroup_members",
		"/api/ingress/User_Group_Members", "/api/ingress/users", path + ";x", path + "%00", path + "\\drop", "/api/ingress/tags/leads/drop", path + "/Drop",
	} {
		for _, method := range []string{"POST", "DELETE"} {
			if a := w.send(request(method, p, 1, js, salesOfAnn)); a.Code != 404 || a.Header().Get("Location") != "" {
				t.Errorf("%s %s: %d %v", method, p, a.Code, a.Header())
			}
		}
	}
	if got := w.in(15); got != nil {
		t.Errorf("something was changed: %v", got)
	}
}

// TestCredentials: headers in any case, parameters, and contradictions.
func TestCredentials(t *testing.T) {
	ok := `{"message":"1 User Groups were Added for 1 Users.","added":1}`
	for what, c := range map[string]struct {
		header     http.Header
		target     string
		kind, body string
		want       string
		wantStatus int
	}{
		"headers, small letters":        {http.Header{"Tld-Api-Id": {"1"}, "Tld-Api-Key": {"k1"}}, path, js, salesOfAnn, ok, 200},
		"header twice the same":         {http.Header{"Tld-Api-Id": {"1", "1"}, "Tld-Api-Key": {"k1"}}, path, js, salesOfAnn, ok, 200},
		"header twice":                  {http.Header{"Tld-Api-Id": {"1", "2"}, "Tld-Api-Key": {"k1"}}, path, js, salesOfAnn, failed("Invalid API Key"), 400},
		"JSON, api and apikey":          {nil, path, js, `{"api":1,"apikey":"k1","user_id":15,"group_id":10}`, ok, 200},
		"JSON, api_id, api_key":         {nil, path, js, `{"api_id":"1","api_key":"k1","user_id":15,"group_id":10}`, ok, 200},
		"JSON, mixed":                   {nil, path, js, `{"api":"1","api_key":"k1","user_id":15,"group_id":10}`, failed("No API Key Provided"), 400},
		"JSON, arrays":                  {nil, path, js, `{"api_id":["1"],"api_key":["k1"],"user_id":15,"group_id":10}`, failed("No API ID Provided"), 400},
		"form":                          {nil, path, form, `api_id=1&api_key=k1&user_id=15&group_id=10`, ok, 200},
		"form, twice":                   {nil, path, form, `api_id=1&api_id=2&api_key=k1&user_id=15&group_id=10`, failed("Invalid API Key"), 400},
		"address":                       {nil, path + "?api=1&apikey=k1", js, salesOfAnn, ok, 200},
		"address, body wins":            {nil, path + "?api=1&apikey=k2", form, `api=1&apikey=k1&user_id=15&group_id=10`, ok, 200},
		"wrong header, right body":      {http.Header{"Tld-Api-Id": {"1"}, "Tld-Api-Key": {"x"}}, path, form, `api=1&apikey=k1&user_id=15&group_id=10`, failed("Invalid API Key"), 400},
		"basic":                         {http.Header{"Authorization": {"Basic MTprMQ=="}}, path, js, salesOfAnn, failed("No API ID Provided"), 400},
		"no body that is read":          {nil, path, js, `{"api":"1","apikey":"k1"`, failed("No API ID Provided"), 400},
		"key, and no body that is read": {http.Header{"Tld-Api-Id": {"1"}, "Tld-Api-Key": {"k1"}}, path, js, `{"api":"1"`, failed("Invalid JSON"), 400},
		"forwarded":                     {http.Header{"Tld-Api-Id": {"7"}, "Tld-Api-Key": {"k7"}, "X-Forwarded-For": {"198.51.100.1"}}, path, js, salesOfAnn, failed("API Key is not permitted for this Endpoint or IP"), 400},
	} {
		w := newWorld(t)
		r := request("POST", c.target, 0, c.kind, c.body)
		for name, values := range c.header {
			r.Header[name] = values
		}
		if a := w.send(r); a.Code != c.wantStatus || strings.TrimSpace(a.Body.String()) != c.want {
			t.Errorf("%s: %d %s", what, a.Code, a.Body)
		}
	}
}

// lists are parameters, and what adding answers.
func lists() []struct{ kind, body, want string } {
	ok := added
	some, none := failed("User Groups Found does not match User Groups Requested"), failed("Could not Find User Groups")
	someUsers, noUsers := failed("Users Found does not match Users Requested"), failed("Could not Find Users")
	return []struct{ kind, body, want string }{
		{js, `{"user_id":15,"group_id":10}`, ok(1, 1)},
		{js, `{"user_id":"15, 248 ,","group_id":" 10 , 11,"}`, ok(4, 2)},
		{js, `{"user_id":["15",248,15,"15"],"group_id":["sales",10,"SALES"]}`, ok(2, 2)},
		{js, `{"user_id":[15,null,""],"group_id":[10,null," "]}`, ok(1, 1)},
		{js, `{"user_id":15.0,"group_id":1e1}`, ok(1, 1)},
		{js, `{"user_id":1.5e1,"group_id":[1.0E1]}`, ok(1, 1)},
		{js, `{"user_id":15.5,"group_id":10}`, noUsers},
		{js, `{"user_id":[15,-248],"group_id":10}`, someUsers},
		{js, `{"user_id":[15,0],"group_id":10}`, someUsers},
		{js, `{"user_id":"0","group_id":10}`, noUsers},
		{js, `{"user_id":[15,18446744073709551615],"group_id":10}`, someUsers},
		{js, `{"user_id":[15,99999999999999999999999],"group_id":10}`, someUsers},
		{js, `{"user_id":1e400,"group_id":10}`, noUsers},
		{js, `{"user_id":[[15]],"group_id":10}`, noUsers},
		{js, `{"user_id":{"0":15},"group_id":10}`, noUsers},
		{js, `{"user_id":true,"group_id":10}`, noUsers},
		{js, `{"user_id":[15,false],"group_id":10}`, someUsers},
		{js, `{"user_id":"ann","group_id":10}`, noUsers},
		{js, `{"user_id":"015","group_id":10}`, noUsers},
		{js, `{"user_id":"+15","group_id":10}`, noUsers},
		{js, `{"user_id":"#15","group_id":10}`, noUsers},
		{js, `{"user_id":15,"group_id":"North, East"}`, none},
		{js, `{"user_id":15,"group_id":["North, East"]}`, ok(1, 1)},
		{js, `{"user_id":15,"group_id":["north, east",11]}`, ok(1, 1)},
		{js, `{"user_id":15,"group_id":["Twin"]}`, some},
		{js, `{"user_id":15,"group_id":["corp:Twin"]}`, none},
		{js, `{"user_id":15,"group_id":["Sales","#11"]}`, some},
		{js, `{"user_id":15,"group_id":["Sales",[11]]}`, some},
		{js, `{"user_id":[],"user_ids":" ","users":15,"group_ids":null,"groups":10}`, ok(1, 1)},
		{js, `{"user_id":15,"users":[248,99],"group_id":10,"groups":99}`, ok(1, 1)},
		{js, `{"USER_ID":15,"group_id":10}`, failed("Missing User IDs")},
		{form, `user_id=15,248&group_id=10,11`, ok(4, 2)},
		{form, `user_id[]=15&user_id[]=248&group_id[0]=10&group_id[7]=11`, ok(4, 2)},
		{form, `user_id%5B%5D=15&group_id%5B%5D=North%2C+East`, ok(1, 1)},
		{form, `user_id=15&user_id=248&group_id=10`, ok(2, 2)},
		{form, `user_id[a][b]=15&group_id=10`, noUsers},
		{form, `user_id=15;248&group_id=10`, noUsers},
		{form, `user_id=15&group_id=Sales;Ops`, none},
		{form, `user_ids=15&groups=sales`, ok(1, 1)},
		{form + "; charset=UTF-8", `users=15&group_ids=Ops&&`, ok(1, 1)},
	}
}

func added(n, of int) string {
	return fmt.Sprintf(`{"message":"%d User Groups were Added for %d Users.","added":%d}`, n, of, n)
}

// TestLists: everything that names users and groups, and what it means.
func TestLists(t *testing.T) {
	ok, none := added, failed("Could not Find User Groups")
	for _, c := range lists() {
		w := newWorld(t)
		status := 200
		if strings.HasPrefix(c.want, `{"error`) {
			status = 400
		}
		w.expect("POST", path, c.kind, c.body, status, c.want)
		var b bytes.Buffer
		if m := multipart.NewWriter(&b); strings.HasPrefix(c.kind, form) { // the same as form-data
			for pair := range strings.SplitSeq(c.body, "&") {
				k, v, _ := strings.Cut(pair, "=")
				k, _ = url.QueryUnescape(k)
				v, _ = url.QueryUnescape(v)
				if k != "" {
					_ = m.WriteField(k, v)
				}
			}
			_ = m.Close()
			w = newWorld(t)
			w.expect("POST", path, m.FormDataContentType(), b.String(), status, c.want)
		}
	}
	w := newWorld(t)
	w.expect("POST", path+"?user_id=248&group_id=11", js, `{"user_id":15,"group_id":10}`, 200, ok(1, 1)) // the body wins
	w.expect("POST", path+"?user_id=248&groups=11", js, `{"user_id":[15]}`, 200, ok(1, 1))
	w.expect("PUT", path+"?user_id=249&group_id=12;13", "", ``, 400, none)
	w.expect("POST", path, js, `{"user_id":249,"group_id":["10"]}`, 200, ok(1, 1)) // the number, not the name
	if got := fmt.Sprint(w.in(15), w.in(248), w.in(249)); got != "[10 11] [] [10]" {
		t.Error(got)
	}
	w.update(func(tx *roster.Txn) error { return tx.DeleteGroup(w.group(tx, 10)) })
	w.expect("POST", path, js, `{"user_id":249,"group_id":["10"]}`, 200, ok(1, 1)) // the name
	if got := fmt.Sprint(w.in(249)); got != "[12]" {
		t.Error(got)
	}
}

// TestDelegates: a key of somebody who administers some groups sees no others, and
// leaves memberships in them alone.
func TestDelegates(t *testing.T) {
	w := newWorld(t)
	w.expectKey(1, "POST", path, js, `{"user_id":[15,300],"group_id":[10,11,30]}`, 200, `{"message":"6 User Groups were Added for 2 Users.","added":6}`)
	w.expectKey(2, "POST", path, js, `{"user_id":15,"group_id":11}`, 400, failed("Could not Find User Groups"))
	w.expectKey(2, "POST", path, js, `{"user_id":15,"group_id":[13,"North, East"]}`, 400, failed("User Groups Found does not match User Groups Requested"))
	w.expectKey(2, "POST", path, js, `{"user_id":300,"group_id":10}`, 400, failed("Could not Find Users"))
	w.expectKey(2, "PUT", path, js, `{"user_id":15,"group_id":13}`, 200, `{"message":"1 User Groups were Added and 1 User Groups were Dropped for 1 Users.","added":1,"dropped":1}`)
	if got := fmt.Sprint(w.in(15)); got != "[11 13 30]" {
		t.Error(got)
	}
	w.expectKey(2, "DELETE", path+"/drop", js, `{"user_id":15}`, 200, `{"message":"1 User Groups were Dropped for 1 Users.","dropped":1}`)
	if got := fmt.Sprint(w.in(15)); got != "[11 30]" {
		t.Error(got)
	}
	w.expectKey(1, "DELETE", path+"/drop", js, `{"user_id":15}`, 200, `{"message":"2 User Groups were Dropped for 1 Users.","dropped":2}`)
}

// host is an Authenticator of a host program.
type host struct {
	p   access.Principal
	err error
}

func (h host) Authenticate(*http.Request, url.Values) (access.Principal, error) { return h.p, h.err }

// TestAuthenticators of a host, and what their errors look like.
func TestAuthenticators(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		host
		status int
		want   string
	}{
		{host{}, 400, "Invalid API Key"},
		{host{err: access.ErrInvalidToken}, 400, "Invalid API Key"},
		{host{err: &access.ThrottledError{After: 1500 * time.Millisecond}}, 429, "Too many failed Requests"},
		{host{err: access.ErrBusy}, 503, "Service Unavailable"},
		{host{err: roster.ErrClosed}, 503, "Service Unavailable"},
		{host{err: errors.New("secret of the host")}, 500, "Internal Error"},
	} {
		w.api = ingress.New(w.e, ingress.Options{Authenticator: c.host})
		w.expectKey(0, "POST", path, js, salesOfAnn, c.status, failed(c.want))
	}
	w.view(func(tx *roster.Txn) {
		u := w.user(tx, 3)
		w.api = ingress.New(w.e, ingress.Options{Authenticator: host{p: access.Principal{User: u, Username: tx.Username(u), By: access.ByHost, Privileges: []string{"*"}}},
			Message: func(r ingress.Result) string { return fmt.Sprint(r.Action, r.Users, r.Added, r.Dropped) }})
	})
	w.expectKey(0, "POST", path, js, salesOfAnn, 200, `{"message":"add1 1 0","added":1}`)
}

// TestPrefixes: another one, none, and one that is taken away before.
func TestPrefixes(t *testing.T) {
	w := newWorld(t)
	scheme := access.Ingress()
	scheme.Prefix = "/tld"
	mux := http.NewServeMux()
	mux.Handle("/api/ingress/", w.api)
	mux.Handle("/tld/", http.StripPrefix("/tld", ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(scheme)})))
	mux.Handle("/x/", ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(access.Ingress()), Prefix: "/x/"}))
	mux.Handle("/y/", http.StripPrefix("/y", ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(access.Ingress()), Prefix: "/"})))
	w.api = mux
	w.expectKey(6, "POST", path, js, salesOfAnn, 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
	w.expectKey(1, "DELETE", "/tld"+path+"/drop", js, salesOfAnn, 200, `{"message":"1 User Groups were Dropped for 1 Users.","dropped":1}`)
	w.expectKey(6, "POST", "/tld"+path, js, salesOfAnn, 400, failed("API Key is not permitted for this Endpoint or IP"))
	w.expectKey(1, "POST", "/x/user_group_members/", js, salesOfAnn, 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
	w.expectKey(1, "DELETE", "/y/user_group_members/drop", js, salesOfAnn, 200, `{"message":"1 User Groups were Dropped for 1 Users.","dropped":1}`)
}

// TestSpacesOfNames: white space around a name makes it another one where a group is
// called so, in arrays.
func TestSpacesOfNames(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for n, name := range map[uint64]string{40: " Ops", 41: "Ops "} {
			if _, err := tx.CreateGroup(roster.Group{Directory: 1, Name: name, Number: n}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		group string
		want  uint64
	}{{`["Ops"]`, 13}, {`[" Ops"]`, 40}, {`["ops "]`, 41}, {`["  Ops  "]`, 13}, {`"Ops "`, 13}, {`[" 13 "]`, 13}} {
		w.expect("PUT", path, js, `{"user_id":15,"group_id":`+c.group+`}`, 200, `{"message":"1 User Groups were Added and 0 User Groups were Dropped for 1 Users.","added":1,"dropped":0}`)
		if got := w.in(15); !slices.Equal(got, []uint64{c.want}) {
			t.Errorf("%s is group %d, not %d", c.group, got, c.want)
		}
		w.expect("DELETE", path+"/drop", js, `{"user_id":15}`, 200, `{"message":"1 User Groups were Dropped for 1 Users.","dropped":1}`)
	}
}
