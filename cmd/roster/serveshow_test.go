package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// hostile is a name that is markup, ends attributes and scripts, and breaks lines of
// headers where those are put together carelessly.
const hostile = `</script></style><script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.}}${7*7}&lt;b&gt;`

// hostileWorld has that name wherever there is one.
func hostileWorld(t *testing.T) string {
	t.Helper()
	name := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	h := name(hostile)
	text := serveWorld +
		`{"kind":"directory","id":2,"name":` + h + `,"domain":` + name("d"+hostile) + "}\n" +
		`{"kind":"user","directory":2,"username":` + h + `,"uid":"usr_h","fullName":` + h + `,"email":` + h + `,"description":` + h + "}\n" +
		`{"kind":"group","directory":2,"name":` + h + `,"description":` + h + `,"enterprise":true}` + "\n" +
		`{"kind":"member","directory":2,"group":` + h + `,"user":` + h + "}\n" +
		`{"kind":"organization","id":` + name("org<b>"+`"'`) + `,"name":` + h + "}\n" +
		`{"kind":"role","organization":"org_1","id":"role_h","name":` + h + `,"permissions":[` + h + "]}\n"
	data := t.TempDir() + "/data"
	cli(t, data, text, "import", "--format", "jsonl", "-")
	return data
}

// TestServeNames: no name becomes markup in a page, and no answer that is no page is
// one to a browser.
func TestServeNames(t *testing.T) {
	p := startServe(t, hostileWorld(t))
	_, answer := p.ask("POST", "/arcgis/sharing/rest/generateToken", asRoot("arcgis"), "f=json&username=root&password=secret-root&client=requestip")
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.Token == "" {
		t.Fatalf("no token: %s", answer)
	}
	bearer := map[string]string{"X-Esri-Authorization": "Bearer " + token.Token}
	h := url.QueryEscape(hostile)
	pages := []string{
		"/arcgis/admin", "/arcgis/admin/orgs", arcgisOrg, arcgisOrg + "/security", arcgisOrg + "/security/users", arcgisOrg + "/security/groups", arcgisOrg + "/security/config",
		"/arcgis/admin/orgs/" + url.PathEscape("org<b>\"'"), "/arcgis/admin/orgs/" + url.PathEscape(strings.ReplaceAll(hostile, "/", "")),
		arcgisOrg + "/security/users/searchEnterpriseUsers?filter=&x=" + h, arcgisOrg + "/security/users/searchEnterpriseUsers?filter=" + h, arcgisOrg + "/security/users/getEnterpriseUser?username=" + h,
		arcgisOrg + "/security/users/getEnterpriseUser?username=nobody" + h, arcgisOrg + "/security/groups/searchEnterpriseGroups?filter=", arcgisOrg + "/security/groups/searchEnterpriseGroups?filter=" + h + "&maxCount=" + h,
		arcgisOrg + "/security/groups/getUsersWithinEnterpriseGroup?groupName=" + h, arcgisOrg + "/security/groups/getUsersWithinEnterpriseGroup?groupName=no" + h, arcgisOrg + "/security/groups/getEnterpriseGroupsForUser?username=" + h,
		arcgisOrg + "/security/users/createUser?username=" + h, arcgisOrg + "/security/users/refreshMembership?users=" + h, "/arcgis/sharing/rest/generateToken?username=" + h, "/arcgis/" + h, "/arcgis/admin?f=" + h,
		"/crowd/rest/admin/1.0/group/search/2?term=" + h, "/crowd/rest/admin/1.0/" + h, "/crowd/rest/admin/1.0/groups/" + h, "/rebilly/users?filter=" + h, "/rebilly/users/" + h, "/rebilly/" + h, "/rebilly/organizations", "/rebilly/organizations/org_1/roles",
		"/api/ingress/user_group_members?user_id=" + h, "/api/ingress/" + h, "/" + h, "/healthz?" + h, "/metrics?" + h,
	}
	shown := 0
	for _, path := range pages {
		for _, headers := range []map[string]string{bearer, asRoot("crowd"), asRoot("rebilly"), {}} {
			r, err := http.NewRequest("GET", p.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Referer", "http://x/"+h)
			for name, value := range headers {
				r.Header.Set(name, value)
			}
			shown += p.page(r)
		}
	}
	for _, form := range []string{"username=" + h + "&password=x&next=" + h, "username=root&password=" + h + "&next=/arcgis/admin/" + h, "username=root&password=secret-root&next=//elsewhere.example/" + h} {
		r, err := http.NewRequest("POST", p.url+"/arcgis/admin/login", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		shown += p.page(r)
	}
	if shown < 8 {
		t.Errorf("only %d pages show the name at all", shown)
	}
	p.verified()
}

// page sends a request and looks at the answer as a browser does. It returns 1 if it is
// a page that shows the name.
func (p *process) page(r *http.Request) int {
	p.Helper()
	res, err := p.client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if err := res.Write(&b); err != nil {
		p.Fatal(err)
	}
	head, body, _ := strings.Cut(b.String(), "\r\n\r\n")
	what := fmt.Sprintf("%s %.120s: %d", r.Method, r.URL, res.StatusCode)
	if strings.Contains(head, "alert(1)") || strings.Contains(head, "elsewhere.example") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		p.Errorf("%s: %s", what, head)
	}
	kind := res.Header.Get("Content-Type")
	page := strings.HasPrefix(kind, "text/html")
	if strings.Contains(body, "<script") || strings.Contains(body, "<img") || strings.Contains(body, "<b>") {
		p.Errorf("%s is markup: %s", what, body)
	}
	if page && (!strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") || res.Header.Get("Cache-Control") == "") {
		p.Errorf("%s: a page with %s", what, head)
	}
	if !page && kind != "" && !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/plain") {
		p.Errorf("%s is %s", what, kind)
	}
	if page && strings.Contains(body, "alert(1)") {
		return 1
	}
	return 0
}

// TestServeFigures: the figures name nobody, and nobody makes up series of them.
func TestServeFigures(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	ask := func(n int) {
		for i := range n {
			for _, line := range []string{
				fmt.Sprintf("METHOD%d /healthz", i), fmt.Sprintf("GET /nowhere%d", i), fmt.Sprintf("GET http://host%d/crowd/x%d", i, i), fmt.Sprintf("X%d /rebilly/y", i),
				fmt.Sprintf("GET /arcgis/admin/orgs/o%d", i), fmt.Sprintf("DELETE /api/ingress/user_group_members/z%d", i), fmt.Sprintf("CONNECT host%d:1", i),
			} {
				p.raw(line + fmt.Sprintf(" HTTP/1.1\r\nHost: host%d\r\nUser-Agent: agent%d\r\nConnection: close\r\n\r\n", i, i))
			}
		}
	}
	figures := func() string {
		_, text := p.ask("GET", "/metrics", nil, "")
		return text
	}
	p.healthy()
	p.ask("POST", "/crowd/rest/admin/1.0/users/search", asRoot("crowd"), `{"search":"ann"}`)
	figures()
	ask(1)
	before := figures()
	ask(40)
	after := figures()
	if a, b := strings.Count(before, "\n"), strings.Count(after, "\n"); a != b {
		t.Errorf("%d lines of figures before requests of all kinds, and %d after", a, b)
	}
	for _, secret := range []string{"ann", "root", "corp", "sales", "host", "agent", "nowhere", "METHOD", "127.0.0.1", "org_1"} {
		if strings.Contains(after, secret) {
			t.Errorf("%q is in the figures", secret)
		}
	}
	for _, want := range []string{`roster_requests_total{api="none",code="404",method="GET"}`, `method="other"`, `roster_request_seconds_bucket{api="crowd"`, "roster_requests_in_flight 1"} {
		if !strings.Contains(after, want) {
			t.Errorf("%s is not in the figures", want)
		}
	}
	long := "/" + strings.Repeat("x", 50_000)
	p.ask("GET", long, nil, "")
	if log := p.log(); strings.Contains(log, long) || !strings.Contains(log, "xxx...") {
		t.Error("a long path fills the log")
	}
	p.verified()
}
