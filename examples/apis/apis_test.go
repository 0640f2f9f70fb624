package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// program is the program under way, with the secret of boss's API key.
type program struct {
	*httptest.Server
	key    string
	client http.Client
	e      *roster.Engine
}

func start() *program {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	s, err := access.New(e, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	key, err := company(e, s)
	if err != nil {
		log.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	return &program{httptest.NewServer(routes(e, s)), key, http.Client{Jar: jar}, e}
}

func (p *program) stop() {
	p.Close()
	if err := p.e.Close(); err != nil {
		log.Fatal(err)
	}
}

// send sends a request with headers, and returns the status and the body of the
// answer, or where something was made.
func (p *program) send(method, path, body string, header ...string) (int, string) {
	r, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := p.client.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		log.Fatal(err)
	}
	if at := a.Header.Get("Location"); at != "" {
		return a.StatusCode, at
	}
	return a.StatusCode, strings.TrimSpace(string(text))
}

// ask sends a request and prints the answer.
func (p *program) ask(method, path, body string, header ...string) {
	status, text := p.send(method, path, body, header...)
	fmt.Println(strings.TrimSpace(fmt.Sprint(status, " ", text)))
}

// token asks the ArcGIS API for a token.
func (p *program) token() string {
	in := url.Values{"username": {"boss"}, "password": {password}, "client": {"requestip"}, "f": {"json"}}
	_, text := p.send("POST", "/arcgis/sharing/rest/generateToken", in.Encode(), "Content-Type", form)
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Token == "" {
		log.Fatal(text)
	}
	return answer.Token
}

const form = "application/x-www-form-urlencoded"

// The four APIs and the program's own page stand in one mux, over the same data: who
// comes into the group by one API is in it by another.
func Example() {
	p := start()
	defer p.stop()
	p.ask("GET", "/", "")

	p.ask("POST", "/api/ingress/user_group_members", "user_id=15&group_id=10",
		"tld-api-id", "crm", "tld-api-key", p.key, "Content-Type", form)

	p.ask("GET", "/crowd/rest/admin/1.0/groups/1-c2FsZXM/users?limit=1", "",
		"Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("boss:"+password)))

	p.ask("POST", "/arcgis/admin/orgs/0123456789ABCDEF/security/groups/getUsersWithinEnterpriseGroup",
		url.Values{"groupName": {`corp.example\sales`}, "f": {"json"}, "token": {p.token()}}.Encode(), "Content-Type", form)

	p.ask("PUT", "/rebilly/memberships/acme/usr_ann", `{"isOwner":true}`, "REB-APIKEY", p.key)
	// Output:
	// 200 the program's own page
	// 200 {"message":"1 User Groups were Added for 1 Users.","added":1}
	// 200 {"values":[{"id":"1-YW5u","username":"ann","displayName":"Ann Archer","active":true,"directory":{"id":1,"displayName":"Corp","directoryType":"INTERNAL"}}],"size":1,"start":0,"limit":1,"isLastPage":true}
	// 200 {"users":[{"username":"corp.example\\ann","description":"","email":"","fullname":"Ann Archer"}],"hasMore":false}
	// 201 /rebilly/memberships/acme/usr_ann
}

// A program with a login of its own is its own Authenticator: who is logged in needs
// no other credentials, and may do what the data say. lead administers the group.
func Example_authenticator() {
	p := start()
	defer p.stop()
	const path = "/people/rest/admin/1.0/groups/1-c2FsZXM/users"
	p.ask("POST", path, `{"ids":["1-YW5u"]}`, "Content-Type", "application/json")
	p.ask("POST", "/login", "user=lead&password="+url.QueryEscape(password), "Content-Type", form)
	p.ask("POST", path, `{"ids":["1-YW5u"]}`, "Content-Type", "application/json")
	p.ask("POST", path, `{"ids":["1-Ym9zcw"]}`, "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")
	// Output:
	// 401 {"reason":"UNAUTHORIZED","message":"You have to log in.","errorMessages":["You have to log in."]}
	// 204
	// 200 {"successes":["1-YW5u"],"failures":[]}
	// 401 {"reason":"UNAUTHORIZED","message":"The login is not valid.","errorMessages":["The login is not valid."]}
}
