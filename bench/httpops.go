package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/arcgis"
)

// operation is a kind of request.
type operation struct {
	name   string
	status int
	holds  string // stands in every answer that is not a refusal
	writes bool   // each request changes something, so that none is sent twice

	// request makes one, of random users, groups and callers.
	request func(m *maker) (*http.Request, error)
}

// maker makes requests.
type maker struct {
	*site
	tx     *roster.Txn
	active roster.Set
	rnd    *rand.Rand
	asked  int // callers so far
}

// caller takes turns, so that as many requests as there are callers are of each of them.
func (m *maker) caller() *caller {
	m.asked++
	return &m.callers[m.asked%len(m.callers)]
}

// user is one who is active.
func (m *maker) user() roster.UserID {
	for {
		if u := m.users[m.rnd.IntN(len(m.users))]; m.active.Contains(u) {
			return u
		}
	}
}

// large is one of the groups that hold much of everyone.
func (m *maker) large() roster.GroupID { return m.groups[m.rnd.IntN(len(large))] }

// small is one of the many others that callers administer.
func (m *maker) small() roster.GroupID {
	all := m.administered()
	return all[len(large)+m.rnd.IntN(len(all)-len(large))]
}

const security = "/arcgis/admin/orgs/" + arcgis.DefaultOrganization + "/security/"

// operations are those that clients ask for most, each with a credential that its
// clients bring.
var operations = []operation{
	{name: "healthz", status: 200, holds: "ok", request: func(m *maker) (*http.Request, error) {
		return http.NewRequest("GET", "/healthz", nil)
	}},
	{name: "ArcGIS: 10 users within a large group", status: 200, holds: `"hasMore":true`, request: func(m *maker) (*http.Request, error) {
		return m.arcgis("groups/getUsersWithinEnterpriseGroup", "groupName", m.tx.GroupName(m.large()), "maxCount", "10")
	}},
	{name: "ArcGIS: 10 users within any group", status: 200, holds: `"users":[`, request: func(m *maker) (*http.Request, error) {
		return m.arcgis("groups/getUsersWithinEnterpriseGroup", "groupName", m.tx.GroupName(m.groups[m.rnd.IntN(len(m.groups))]), "maxCount", "10")
	}},
	{name: "ArcGIS: search for users, 10 by a prefix", status: 200, holds: `"users":[`, request: func(m *maker) (*http.Request, error) {
		return m.arcgis("users/searchEnterpriseUsers", "filter", m.beginning(), "maxCount", "10")
	}},
	{name: "ArcGIS: groups of a user", status: 200, holds: `"groups":[`, request: func(m *maker) (*http.Request, error) {
		return m.arcgis("groups/getEnterpriseGroupsForUser", "username", m.tx.Username(m.user())+"@corp.example")
	}},
	{name: "Crowd: members of a large group, 10, session", status: 200, holds: `"size":10,`, request: func(m *maker) (*http.Request, error) {
		r, err := http.NewRequest("GET", "/crowd/rest/admin/1.0/groups/"+crowdID(m.tx.GroupName(m.large()))+"/users?limit=10", nil)
		return m.inSession(r), err
	}},
	{name: "Crowd: members of a large group, 10, Basic", status: 200, holds: `"size":10,`, request: func(m *maker) (*http.Request, error) {
		r, err := http.NewRequest("GET", "/crowd/rest/admin/1.0/groups/"+crowdID(m.tx.GroupName(m.large()))+"/users?limit=10", nil)
		return m.withPassword(r), err
	}},
	{name: "Crowd: users/search, 10, without a text, session", status: 200, holds: `"size":10,`, request: func(m *maker) (*http.Request, error) {
		return m.search("")
	}},
	{name: "Crowd: users/search, 10, a username, session", status: 200, holds: `"values":[{`, request: func(m *maker) (*http.Request, error) {
		return m.search(m.tx.Username(m.user()))
	}},
	{name: "Crowd: users/search, 10, two names, session", status: 200, holds: `"values":[{`, request: func(m *maker) (*http.Request, error) {
		u, err := m.tx.User(m.user())
		if err != nil {
			return nil, err
		}
		return m.search(u.FullName)
	}},
	{name: "Crowd: users/search, 10, a prefix, session", status: 200, holds: `"values":[{`, request: func(m *maker) (*http.Request, error) {
		return m.search(m.beginning())
	}},
	{name: "Rebilly: a membership", status: 200, holds: `"isOwner":`, request: func(m *maker) (*http.Request, error) {
		return m.membership("GET", "")
	}},
	{name: "Rebilly: memberships of an organisation, 10", status: 200, holds: `"isOwner":`, request: func(m *maker) (*http.Request, error) {
		c := m.caller()
		r, err := http.NewRequest("GET", "/rebilly/organizations/"+c.org+"/memberships?limit=10", nil)
		return withKey(r, c), err
	}},
	{name: "Rebilly: PUT of a membership", writes: true, status: 200, holds: `"isOwner":`, request: func(m *maker) (*http.Request, error) {
		return m.membership("PUT", fmt.Sprintf(`{"permissions":["GetCustomer","Get%d"],"roleIds":["clerk"]}`, m.rnd.Uint32()))
	}},
	{name: "Ingress: POST of a user into a group", writes: true, status: 200, holds: `"added":`, request: func(m *maker) (*http.Request, error) {
		return m.ingress()
	}},
	{name: "ArcGIS: generateToken, password known", status: 200, holds: `"token":`, request: func(m *maker) (*http.Request, error) {
		return m.generateToken("/arcgis")
	}},
	{name: "ArcGIS: generateToken, password hashed", status: 200, holds: `"token":`, request: func(m *maker) (*http.Request, error) {
		return m.generateToken(forgetful)
	}},
}

// arcgis asks for an operation with a token in the form.
func (m *maker) arcgis(operation string, fields ...string) (*http.Request, error) {
	f := form(append(fields, "f", "json", "token", m.caller().token)...)
	r, err := http.NewRequest("POST", security+operation, strings.NewReader(f))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}

func (m *maker) generateToken(prefix string) (*http.Request, error) {
	c := m.caller()
	r, err := http.NewRequest("POST", prefix+"/sharing/rest/generateToken",
		strings.NewReader(form("username", c.name, "password", c.password, "client", "requestip", "f", "json")))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}

func form(fields ...string) string {
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	return v.Encode()
}

// beginning is what somebody types first: three letters of a name.
func (m *maker) beginning() string { return m.tx.Username(m.user())[:3] }

func (m *maker) search(text string) (*http.Request, error) {
	r, err := http.NewRequest("POST", "/crowd/rest/admin/1.0/users/search?limit=10", strings.NewReader(fmt.Sprintf(`{"search":%q,"active":true}`, text)))
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return m.inSession(r), err
}

// crowdID is what Crowd calls a group of the one directory.
func crowdID(name string) string { return "1-" + base64.RawURLEncoding.EncodeToString([]byte(name)) }

func (m *maker) inSession(r *http.Request) *http.Request {
	if r != nil {
		r.AddCookie(&http.Cookie{Name: "crowd.token_key", Value: m.caller().session})
		r.Header.Set("X-Atlassian-Token", "no-check")
	}
	return r
}

func (m *maker) withPassword(r *http.Request) *http.Request {
	if r != nil {
		c := m.caller()
		r.SetBasicAuth(c.name, c.password)
	}
	return r
}

func withKey(r *http.Request, c *caller) *http.Request {
	if r != nil {
		r.Header.Set("REB-APIKEY", c.key[1])
	}
	return r
}

// membership asks for that of a member of a caller's organisation who is no owner
// of it, with a body if there is one.
func (m *maker) membership(method, body string) (*http.Request, error) {
	c := m.caller()
	members, err := m.tx.OrgMembers(c.org)
	if err != nil {
		return nil, err
	}
	// Members have neighbouring handles, and the owner the lowest.
	u, err := m.tx.User(c.user + 1 + roster.UserID(m.rnd.IntN(members.Len()-1)))
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, "/rebilly/memberships/"+c.org+"/"+u.UID, strings.NewReader(body))
	if err == nil && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return withKey(r, c), err
}

func (m *maker) ingress() (*http.Request, error) {
	u, err := m.tx.User(m.user())
	if err != nil {
		return nil, err
	}
	g, err := m.tx.Group(m.small())
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest("POST", "/api/ingress/user_group_members", strings.NewReader(fmt.Sprintf(`{"user_id":%d,"group_id":%d}`, u.Number, g.Number)))
	if err == nil {
		c := m.caller()
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("tld-api-id", c.key[0])
		r.Header.Set("tld-api-key", c.key[1])
	}
	return r, err
}
