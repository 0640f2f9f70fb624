package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// endpointRow is an endpoint: a request that does something there, and what clerk gets,
// who may do nothing, and root, who may do everything. An answer is a status, and a text
// that is in the body, which does not name ann for clerk.
type endpointRow struct {
	method, path, body string
	clerk, root        reply
}

type reply struct {
	status int
	text   string
}

func (r reply) is(status int, body string) bool {
	return status == r.status && strings.Contains(body, r.text)
}

func crowdID(name string) string { return "1-" + base64.RawURLEncoding.EncodeToString([]byte(name)) }

// crowdRows are in an order in which all of them can be done.
func crowdRows() map[string][]endpointRow {
	ann, boss, sales, staff := crowdID("ann"), crowdID("boss"), crowdID("sales"), crowdID("staff")
	no, none, ok := reply{403, "PERMISSION_DENIED"}, reply{200, `"values":[],"size":0`}, reply{200, ""}
	admin := "/group-level-admin/" + sales + "/admins"
	out := map[string][]endpointRow{}
	for route, r := range map[string]endpointRow{
		"POST /users/search":                            {"", "/users/search", `{}`, none, reply{200, `"ann"`}},
		"POST /users/{}/groups":                         {"", "/users/" + ann + "/groups", `{"ids":["` + sales + `"]}`, no, ok},
		"DELETE /users/{}/groups":                       {"", "/users/" + ann + "/groups", `{"ids":["` + staff + `"]}`, no, ok},
		"POST /groups/query":                            {"", "/groups/query", `{}`, none, reply{200, `"sales"`}},
		"GET /groups/{}":                                {"", "/groups/" + sales, "", no, reply{200, `"sales"`}},
		"GET /groups/{}/users":                          {"", "/groups/" + sales + "/users", "", no, ok},
		"POST /groups/{}/users":                         {"", "/groups/" + sales + "/users", `{"ids":["` + ann + `"]}`, no, ok},
		"DELETE /groups/{}/users":                       {"", "/groups/" + sales + "/users", `{"ids":["` + ann + `"]}`, no, ok},
		"GET /groups/{}/users/suggestions":              {"", "/groups/" + sales + "/users/suggestions", "", no, ok},
		"GET /group/search/{}":                          {"", "/group/search/1", "", no, reply{200, `"sales"`}},
		"GET /group/{}/groups":                          {"", "/group/" + sales + "/groups", "", no, ok},
		"POST /group/{}/groups":                         {"", "/group/" + sales + "/groups", `{"ids":["` + staff + `"]}`, no, ok},
		"GET /group-level-admin/{}/admins":              {"", admin, "", no, ok},
		"POST /group-level-admin/{}/admins":             {"", admin, `[{"id":"` + ann + `","type":"USER"}]`, no, ok},
		"GET /group-level-admin/{}/admins/suggestions":  {"", admin + "/suggestions", "", no, ok},
		"DELETE /group-level-admin/{}/admins/users/{}":  {"", admin + "/users/" + boss, "", no, reply{204, ""}},
		"DELETE /group-level-admin/{}/admins/groups/{}": {"", admin + "/groups/" + staff, "", no, reply{404, "ADMIN_NOT_FOUND"}},
		"GET /directory/managed":                        {"", "/directory/managed", "", reply{200, `[]`}, reply{200, `"main"`}},
	} {
		method, path, _ := strings.Cut(route, " ")
		r.method, r.path = method, "/crowd/rest/admin/1.0"+r.path
		out[method+" /rest/admin/1.0"+path] = []endpointRow{r}
	}
	return out
}

func rebillyRows() map[string][]endpointRow {
	no, ok, made := reply{403, ""}, reply{200, ""}, reply{201, ""}
	member := "/memberships/org_1/usr_ann"
	rows := map[string]endpointRow{
		"GET /memberships":             {"GET", "/memberships", "", reply{200, "[]"}, reply{200, "usr_ann"}},
		"GET /memberships/{}/{}":       {"GET", member, "", no, reply{200, "usr_ann"}},
		"PUT /memberships/{}/{}":       {"PUT", member, `{"isOwner":true}`, no, ok},
		"DELETE /memberships/{}/{}":    {"DELETE", member, "", no, reply{204, ""}},
		"GET /users":                   {"GET", "/users", "", reply{200, "usr_clerk"}, reply{200, "usr_ann"}},
		"POST /users":                  {"POST", "/users", `{"username":"new"}`, no, made},
		"GET /users/{}":                {"GET", "/users/usr_ann", "", no, reply{200, "usr_ann"}},
		"PUT /users/{}":                {"PUT", "/users/usr_new", `{"username":"newer"}`, no, made},
		"GET /roles":                   {"GET", "/roles", "", reply{404, ""}, reply{404, ""}}, // neither has a default organisation
		"POST /roles":                  {"POST", "/roles", `{"id":"x"}`, reply{404, ""}, reply{404, ""}},
		"GET /roles/{}":                {"GET", "/roles/role_a", "", reply{404, ""}, reply{404, ""}},
		"PUT /roles/{}":                {"PUT", "/roles/role_a", `{}`, reply{404, ""}, reply{404, ""}},
		"DELETE /roles/{}":             {"DELETE", "/roles/role_a", "", reply{404, ""}, reply{404, ""}},
		"GET /organizations":           {"GET", "/organizations", "", reply{200, "[]"}, reply{200, "org_1"}},
		"POST /organizations":          {"POST", "/organizations", `{"id":"org_new"}`, no, made},
		"GET /organizations/{}":        {"GET", "/organizations/org_1", "", no, reply{200, "Acme"}},
		"PUT /organizations/{}":        {"PUT", "/organizations/org_1", `{"name":"Acme"}`, no, ok},
		"GET of /roles":                {"GET", "/roles", "", no, reply{200, "role_a"}}, // within an organisation
		"POST of /roles":               {"POST", "/roles", `{"id":"role_b"}`, no, made},
		"GET of /roles/{}":             {"GET", "/roles/role_a", "", no, reply{200, "role_a"}},
		"PUT of /roles/{}":             {"PUT", "/roles/role_a", `{"name":"AA"}`, no, ok},
		"DELETE of /roles/{}":          {"DELETE", "/roles/role_a", "", no, reply{204, ""}},
		"GET of /memberships":          {"GET", "/memberships", "", no, reply{200, "usr_boss"}},
		"GET of /users":                {"GET", "/users", "", no, reply{200, "usr_boss"}},
		"POST of /users":               {"POST", "/users", `{"username":"new2"}`, no, made},
		"PUT of /users/{}":             {"PUT", "/users/usr_new2", `{"username":"newer2"}`, no, made},
		"POST of /organizations":       {"POST", "/organizations", `{"id":"org_new2"}`, reply{404, ""}, reply{404, ""}},
		"GET of /organizations":        {"GET", "/organizations", "", no, reply{200, "org_1"}},
		"GET of /organizations/{}":     {"GET", "/organizations/org_1", "", no, reply{200, "Acme"}},
		"PUT of /memberships/{}/{}":    {"PUT", "/memberships/org_1/usr_ann", `{}`, no, reply{0, ""}}, // made or changed
		"DELETE of /memberships/{}/{}": {"DELETE", "/memberships/org_1/usr_bob", "", no, reply{204, ""}},
		"GET of /memberships/{}/{}":    {"GET", "/memberships/org_1/usr_boss", "", no, reply{200, "usr_boss"}},
		"GET of /users/{}":             {"GET", "/users/usr_boss", "", no, reply{200, "usr_boss"}},
		"PUT of /organizations/{}":     {"PUT", "/organizations/org_1", `{"name":"Acme"}`, no, ok},
	}
	out := map[string][]endpointRow{}
	for route, r := range rows {
		method, path, _ := strings.Cut(route, " ")
		if within, ok := strings.CutPrefix(path, "of "); ok {
			r.path = "/rebilly/organizations/org_1" + r.path
			out[method+" /organizations/{}"+within] = append(out[method+" /organizations/{}"+within], r)
			continue
		}
		if _, other := rows[method+" of "+path]; !other {
			within := r
			within.path = "/rebilly/organizations/org_1" + r.path
			out[method+" /organizations/{}"+path] = append(out[method+" /organizations/{}"+path], within)
		}
		r.path = "/rebilly" + r.path
		out[route] = append(out[route], r)
	}
	return out
}

const arcgisOrg = "/arcgis/admin/orgs/0123456789ABCDEF"

func arcgisRows() map[string][]endpointRow {
	out := map[string][]endpointRow{}
	add := func(at, form, text string, writes bool) {
		path := "/arcgis/admin" + strings.Replace(at, "{}", "0123456789ABCDEF", 1)
		post := endpointRow{"POST", path, form, reply{200, `"code":403`}, reply{200, text}}
		get := post
		if get.method = "GET"; writes {
			get.clerk, get.root = reply{200, `"code":405`}, reply{200, `"code":405`}
		}
		out["POST /admin"+at], out["GET /admin"+at] = []endpointRow{post}, []endpointRow{get}
	}
	add("", "", `"resources"`, false)
	add("/orgs", "", `"orgs"`, false)
	add("/orgs/{}", "", `"resources"`, false)
	security := "/orgs/{}/security"
	add(security, "", `"resources"`, false)
	add(security+"/users", "", `"totalUsers"`, false)
	add(security+"/groups", "", `"totalGroups"`, false)
	add(security+"/config", "", `"userStoreConfig"`, false)
	success := `"status":"success"`
	add(security+"/users/refreshMembership", "users=carol@hr", success, true)
	add(security+"/users/createUser", "username=newuser1&password=secret-new1", success, true)
	add(security+"/users/getEnterpriseUser", "username=carol@hr", `"username"`, false)
	add(security+"/users/searchEnterpriseUsers", "filter=car", "carol", false)
	add(security+"/groups/getUsersWithinEnterpriseGroup", "groupName=crew", "carol", false)
	add(security+"/groups/searchEnterpriseGroups", "filter=crew", "crew", false)
	add(security+"/groups/getEnterpriseGroupsForUser", "username=carol@hr", "crew", false)
	add(security+"/groups/refreshMembership", "groups=crew", success, true)
	return out
}

func ingressRows() map[string][]endpointRow {
	const at = "/api/ingress/user_group_members"
	body, no := `{"user_id":15,"group_id":10}`, reply{400, "Could not Find Users"}
	return map[string][]endpointRow{
		"POST /user_group_members":        {{"POST", at, body, no, reply{200, `"added":`}}},
		"PUT /user_group_members":         {{"PUT", at, body, no, reply{200, `"dropped":`}}},
		"DELETE /user_group_members":      {{"DELETE", at, body, no, reply{200, `"removed":`}}},
		"DELETE /user_group_members/drop": {{"DELETE", at + "/drop", body, no, reply{200, `"dropped":`}}},
	}
}

// openRows need no credentials, or bring theirs in the body.
var openRows = map[string]bool{
	"GET /sharing/rest/generateToken": true, "POST /sharing/rest/generateToken": true, "POST /admin/login": true, "POST /admin/logout": true,
}

// served APIs with their rows, and what each says to whom it does not know.
type tableAPI struct {
	name, prefix string
	rows         map[string][]endpointRow
	none, bad    reply
	credentials  func(r *http.Request, form url.Values, of string)
}

func (w *tableWorld) apis() []tableAPI {
	return []tableAPI{
		{"arcgis", "/arcgis", arcgisRows(), reply{200, `"code":499`}, reply{200, `"code":498`}, func(_ *http.Request, form url.Values, of string) { form.Set("token", w.token("arcgis", of)) }},
		{"rebilly", "/rebilly", rebillyRows(), reply{401, `"status":401`}, reply{401, `"status":401`}, func(r *http.Request, _ url.Values, of string) {
			secret := map[string]string{"wrong": "secret-wrong", "expired": "secret-key-late"}[of]
			r.Header.Set("REB-APIKEY", cmp.Or(secret, "secret-key-"+of))
		}},
		{"crowd", "/crowd", crowdRows(), reply{401, "UNAUTHORIZED"}, reply{401, "UNAUTHORIZED"}, func(r *http.Request, _ url.Values, of string) {
			switch of {
			case "expired":
				r.Header.Set("Authorization", "Bearer "+w.token("crowd", of))
			case "wrong":
				name := "root"
				if w.wrong++; w.wrong > 5 { // so many failures at one name are slowed
					name = fmt.Sprint("root", w.wrong)
				}
				r.SetBasicAuth(name, "secret-wrong")
			default:
				r.SetBasicAuth(of, "secret-"+of)
			}
		}},
		{"ingress", "/api/ingress", ingressRows(), reply{400, "No API ID Provided"}, reply{400, "Invalid API Key"}, func(r *http.Request, _ url.Values, of string) {
			id, secret := of, "secret-key-"+of
			switch of {
			case "wrong":
				id, secret = "root", "secret-wrong"
			case "expired":
				id, secret = "late", "secret-key-late"
			}
			r.Header.Set("tld-api-id", id)
			r.Header.Set("tld-api-key", secret)
		}},
	}
}

// tableWorld is a server with a world, and tokens for it.
type tableWorld struct {
	*process
	tokens map[string]string
	asked  int // requests
	wrong  int // wrong passwords
}

func (w *tableWorld) token(api, of string) string {
	if of == "wrong" {
		return "secret-wrong"
	}
	return w.tokens[api+" "+of]
}

func newTableWorld(t *testing.T) *tableWorld {
	w := &tableWorld{tokens: map[string]string{}}
	data := newServeWorld(t, 0)
	people := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(people, []byte("username,fullName,groups\ncarol,Carol,crew\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cli(t, data, "", "source", "add", "file", "--name", "hr", people)
	e, err := roster.Open(data, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"root", "clerk", "expired"} {
		back, user := time.Duration(0), of
		if of == "expired" {
			back, user = 3*time.Hour, "root"
		}
		s, err := access.New(e, access.Options{Now: func() time.Time { return time.Now().Add(-back) }})
		if err != nil {
			t.Fatal(err)
		}
		id, err := findUser(e, user)
		if err != nil {
			t.Fatal(err)
		}
		for _, api := range []string{"arcgis", "crowd"} {
			token, _, err := s.IssueToken(t.Context(), access.Principal{User: id, Directory: 1, Username: user, By: access.ByHost}, access.TokenSpec{Audience: api, Life: 2 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			w.tokens[api+" "+of] = token
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.process = startServe(t, data, "--trusted-proxy", "127.0.0.1")
	return w
}

func findUser(e *roster.Engine, name string) (id roster.UserID, err error) {
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		id, err = tx.FindUser(name)
		return err
	})
	return id, err
}

// as asks at an endpoint as somebody, "" for nobody.
func (w *tableWorld) as(a tableAPI, row endpointRow, of string) (int, string) {
	w.Helper()
	r, err := http.NewRequest(row.method, w.url+row.path, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.asked++ // each from an address of its own: who fails often is slowed
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", w.asked%250))
	form := url.Values{}
	if a.name == "arcgis" {
		if form, err = url.ParseQuery(row.body); err != nil {
			w.Fatal(err)
		}
		form.Set("f", "json")
	}
	if of != "" {
		a.credentials(r, form, of)
	}
	body, kind := row.body, "application/json"
	if a.name == "arcgis" {
		body, kind = form.Encode(), "application/x-www-form-urlencoded"
		if row.method == "GET" {
			r.URL.RawQuery, body = body, ""
		}
	}
	if body != "" {
		r.Header.Set("Content-Type", kind)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	res, err := w.client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res.StatusCode, string(text)
}

var revisionOf = regexp.MustCompile(`(?m)^roster_revision (\S+)$`)

func (p *process) revision() string {
	p.Helper()
	_, text := p.ask("GET", "/metrics", nil, "")
	found := revisionOf.FindStringSubmatch(text)
	if found == nil {
		p.Fatalf("no revision in %s", text)
	}
	return found[1]
}

// endpointsOf returns what the handlers of the APIs say that there is.
func endpointsOf(t *testing.T) map[string][]string {
	t.Helper()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := &server{log: slog.New(slog.DiscardHandler), limits: defaultLimits()}
	h, err := s.handler(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, a := range h.(*gate).apis {
		if has, ok := a.handler.(interface{ Endpoints() []string }); ok {
			out[a.name] = has.Endpoints()
		} else if !a.alone {
			t.Errorf("%s does not say what endpoints it has", a.name)
		}
	}
	return out
}

// TestServeTable asks every endpoint of every API without a credential, with a wrong
// one, an expired one, the right one of somebody who may not, and of somebody who may.
func TestServeTable(t *testing.T) {
	w := newTableWorld(t)
	apis := w.apis()
	there := endpointsOf(t)
	rows := 0
	before := w.revision()
	for _, a := range apis {
		for _, e := range there[a.name] {
			if a.rows[e] == nil && !openRows[e] {
				t.Errorf("%s: there is no row for %q", a.name, e)
			}
		}
		for e, list := range a.rows {
			if !slices.Contains(there[a.name], e) {
				t.Errorf("%s: a row for %q, which there is not", a.name, e)
			}
			for _, row := range list {
				rows++
				w.refused(a, row)
			}
		}
	}
	w.open()
	if now := w.revision(); now != before {
		t.Errorf("revision %s after all that was refused, %s before", now, before)
	}
	for _, a := range apis {
		for _, e := range slices.Backward(there[a.name]) { // what reads comes after what deletes otherwise
			for _, row := range a.rows[e] {
				if row.method != "DELETE" {
					w.entitled(a, row)
				}
			}
		}
		for _, e := range there[a.name] {
			for _, row := range a.rows[e] {
				if row.method == "DELETE" {
					w.entitled(a, row)
				}
			}
		}
	}
	t.Logf("%d rows", rows)
	for of, token := range w.tokens {
		if strings.Contains(w.log(), token) {
			t.Errorf("the token of %s is in the log", of)
		}
	}
	w.verified()
}

// namesAnybody finds what is known of somebody, but for the ID that was asked for.
var namesAnybody = regexp.MustCompile(`"ann"|Ann Example|ann@|"bob"|carol`)

func (w *tableWorld) refused(a tableAPI, row endpointRow) {
	w.Helper()
	for of, want := range map[string]reply{"": a.none, "wrong": a.bad, "expired": a.bad, "clerk": row.clerk} {
		status, body := w.as(a, row, of)
		if !want.is(status, body) || namesAnybody.MatchString(body) {
			w.Errorf("%s %s as %q: %d %.300s, want %v", row.method, row.path, of, status, body, want)
		}
	}
}

func (w *tableWorld) entitled(a tableAPI, row endpointRow) {
	w.Helper()
	status, body := w.as(a, row, "root")
	want := row.root
	if want.status == 0 {
		want.status = status / 100 * 100
		if status == 201 {
			want.status = 201
		}
	}
	if !want.is(status, body) || a.name == "arcgis" && !strings.HasPrefix(want.text, `"code"`) && strings.Contains(body, `"code":`) {
		w.Errorf("%s %s as root: %d %.300s, want %v", row.method, row.path, status, body, want)
	}
}

// open asks what needs no credentials, or brings them itself.
func (w *tableWorld) open() {
	w.Helper()
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		method, path, body string
		want               reply
	}{
		{"GET", "/arcgis/sharing/rest/generateToken", "", reply{200, "<form"}},
		{"GET", "/arcgis/sharing/rest/generateToken?f=json", "", reply{200, `"code":405`}},
		{"POST", "/arcgis/sharing/rest/generateToken", "f=json", reply{200, `"code":400`}},
		{"POST", "/arcgis/sharing/rest/generateToken", "f=json&username=root&password=secret-wrong&client=requestip", reply{200, "Unable to generate token."}},
		{"POST", "/arcgis/sharing/rest/generateToken", "f=json&username=gone&password=secret-gone&client=requestip", reply{200, "Unable to generate token."}},
		{"POST", "/arcgis/sharing/rest/generateToken", "f=json&username=root&password=secret-root&client=requestip", reply{200, `{"token":"`}},
		{"POST", "/arcgis/admin/login", "", reply{403, "<form"}},
		{"POST", "/arcgis/admin/login", "username=root&password=secret-wrong", reply{403, "is wrong"}},
		{"POST", "/arcgis/admin/login", "username=root&password=secret-root", reply{303, ""}},
		{"POST", "/arcgis/admin/logout", "", reply{303, ""}},
		{"GET", "/healthz", "", reply{200, "ok"}},
		{"POST", "/healthz", "", reply{405, ""}},
		{"GET", "/metrics", "", reply{200, "roster_revision"}},
		{"DELETE", "/metrics", "", reply{405, ""}},
	} {
		header := form
		if c.body == "" && c.method != "POST" {
			header = nil
		}
		if status, body := w.ask(c.method, c.path, header, c.body); !c.want.is(status, body) {
			w.Errorf("%s %s %s: %d %.300s, want %v", c.method, c.path, c.body, status, body, c.want)
		}
	}
}

// TestServeNothingElse walks over paths and methods, with the credentials of root for
// all APIs at once: what is not in the table is 404 or 405.
func TestServeNothingElse(t *testing.T) {
	w := newTableWorld(t)
	there := endpointsOf(t)
	known := w.known(there)
	var paths []string
	for _, a := range w.apis() {
		for _, list := range a.rows {
			for _, row := range list {
				paths = append(paths, row.path)
			}
		}
	}
	slices.Sort(paths)
	paths = append(slices.Compact(paths), "/arcgis/sharing/rest/generateToken", "/healthz", "/metrics", "/arcgis/admin/login")
	random := rand.New(rand.NewPCG(1, 2))
	asked, found := 0, 0
	c := w.walker()
	for _, path := range paths {
		for _, tricky := range trickyPaths(random, path) {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post", "X"} {
				asked++
				status, body := c.ask(method, tricky)
				if status == 404 || status == 405 || status == 400 && body == "400 Bad Request" || strings.Contains(body, `"code":404`) || strings.Contains(body, `"code":405`) {
					continue
				}
				if !known(method, tricky) {
					t.Errorf("%s %s: %d %.200s", method, tricky, status, body)
				} else {
					found++
				}
			}
		}
	}
	t.Logf("%d requests, %d of them for endpoints", asked, found)
	if found == 0 || found > asked/4 {
		t.Errorf("%d of %d requests found something", found, asked)
	}
	w.verified()
}

// trickyPaths are a path written in other ways, and paths that are like it.
func trickyPaths(random *rand.Rand, path string) []string {
	out := []string{
		path + "/", path + "//", "/" + path, path + "/.", path + "/..", path + "/%2e", path + "/%2e%2e", path + "/../..", path + "%2f", path + "/%2F", path + "%00", path + "%0a",
		path + ";x", path + ";jsessionid=1", path + ".json", path + "%20", path + "\\", path + "%5c..", path + "*", path + "%3f", path + "%23", path + "/x", path + "/drop", "/x/.." + path,
		"/%2e" + path, "/." + path, "/healthz/.." + path, "/crowd/.." + path, "/arcgis/%2e%2e" + path, strings.ToUpper(path), path[1:] + "/", strings.TrimRight(path, "abcdefghijklmnopqrstuvwxyz") + "zzz",
	}
	at := strings.LastIndexByte(path, '/')
	out = append(out, path[:at], path[:at]+"//"+path[at+1:], path[:at]+"/./"+path[at+1:], path[:at]+"/x/../"+path[at+1:], path[:at]+"%2f"+path[at+1:], path[:at]+"\\"+path[at+1:])
	out[30] = "/" + strings.TrimPrefix(out[30], "/")
	for i := 1; i < len(path); i++ { // a slash in a code, beside what should be in one and is not
		if path[i] == '/' {
			out = append(out, path[:i]+"%2f"+path[i+1:]+"<", path[:i]+"%2F"+path[i+1:at+1]+"é")
		}
	}
	times := 2
	if *long {
		times = 20
	}
	for range times { // a letter in a code
		i := 1 + random.IntN(len(path)-1)
		if path[i] != '/' {
			out = append(out, path[:i]+fmt.Sprintf("%%%02x", path[i])+path[i+1:], path[:i]+fmt.Sprintf("%%25%02x", path[i])+path[i+1:], path[:i]+path[i+1:], path[:i]+fmt.Sprintf("%%%02x", path[i])+path[i+1:]+"|")
		}
	}
	words := strings.Split("admin rest crowd users groups security org_1 memberships sharing metrics debug pprof vars .. . %2e%2e %2f usr_ann", " ")
	for range times {
		next := ""
		for range 1 + random.IntN(6) {
			next += "/" + words[random.IntN(len(words))]
		}
		out = append(out, next)
	}
	return out
}

// known returns a function that tells whether a path, as it was sent, is one of the
// endpoints: with everything escaped that may be in an ID, and a slash at the end where
// an API allows that.
func (w *tableWorld) known(there map[string][]string) func(method, path string) bool {
	var all []*regexp.Regexp
	for _, a := range w.apis() {
		for _, e := range there[a.name] {
			method, path, _ := strings.Cut(e, " ")
			pattern := strings.ReplaceAll(regexp.QuoteMeta(path), `\{\}`, `[^/]+`)
			switch a.name {
			case "arcgis":
				pattern = `(?i:` + pattern + `)/?`
			case "crowd":
				pattern = strings.Replace(pattern, "/rest/", "/rest/(?:rest/)?", 1) + "/?"
			case "ingress":
				pattern += "/?"
			}
			all = append(all, regexp.MustCompile(`^`+method+" "+a.prefix+pattern+`$`))
			if a.name == "rebilly" { // which says what methods there are
				all = append(all, regexp.MustCompile(`^OPTIONS `+a.prefix+pattern+`$`))
			}
		}
	}
	all = append(all, regexp.MustCompile(`^GET /(healthz|metrics)$`))
	return func(method, path string) bool {
		return slices.ContainsFunc(all, func(r *regexp.Regexp) bool { return r.MatchString(method + " " + path) })
	}
}

// walker sends requests over one connection, with targets as they are.
type walker struct {
	*tableWorld
	head string
	c    net.Conn
	r    *bufio.Reader
}

func (w *tableWorld) walker() *walker {
	head := "Host: x\r\nREB-APIKEY: secret-key-root\r\ntld-api-id: root\r\ntld-api-key: secret-key-root\r\nX-Esri-Authorization: Bearer " + w.tokens["arcgis root"] +
		"\r\nCookie: crowd.token_key=" + w.tokens["crowd root"] + "\r\nX-Atlassian-Token: no-check\r\nAccept: application/json\r\nContent-Length: 0\r\n\r\n"
	return &walker{tableWorld: w, head: head}
}

func (c *walker) ask(method, path string) (int, string) {
	c.Helper()
	for try := 0; ; try++ {
		if c.c == nil {
			c.c = c.dial()
			c.r = bufio.NewReader(c.c)
		}
		_ = c.c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err := io.WriteString(c.c, method+" "+path+" HTTP/1.1\r\n"+c.head)
		var res *http.Response
		if err == nil {
			res, err = http.ReadResponse(c.r, &http.Request{Method: method})
		}
		if err != nil {
			c.c.Close()
			if c.c = nil; try == 1 {
				c.Fatalf("%s %s: %v", method, path, err)
			}
			continue
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			c.Fatal(err)
		}
		if res.Close {
			c.c.Close()
			c.c = nil
		}
		if res.Header.Get("Location") != "" && res.StatusCode != 201 && res.StatusCode != 303 {
			c.Errorf("%s %s leads to %s", method, path, res.Header.Get("Location"))
		}
		return res.StatusCode, string(body)
	}
}
