package access_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterdb/roster/access"
)

// ask is a request to be let in.
type ask struct {
	method string // GET if ""
	target string
	header []string // name, value, name, value
	body   url.Values
	from   string
	cookie string
}

func (a ask) request() *http.Request {
	if a.method == "" {
		a.method = "GET"
	}
	if a.target == "" {
		a.target = "/"
	}
	r := httptest.NewRequest(a.method, a.target, strings.NewReader("unread"))
	for i := 0; i < len(a.header); i += 2 {
		r.Header.Add(a.header[i], a.header[i+1])
	}
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "crowd.token_key", Value: a.cookie})
	}
	r.RemoteAddr = "192.0.2.7:999"
	if a.from != "" {
		r.RemoteAddr = a.from
	}
	return r
}

func TestDoors(t *testing.T) {
	w := newWorld(t, func(o *access.Options) { o.TrustedProxies = prefixes(t, "10.0.0.0/8") })
	w.password(w.alice, "one")
	token := func(audience string, b access.Binding) string {
		text, _, err := w.issue("alice", "one", access.TokenSpec{Audience: audience, Binding: b})
		is(t, "issue", err, nil)
		return text
	}
	tok := token("arcgis", access.Binding{})
	session := token("crowd", access.Binding{})
	jwt := token("rebilly", access.Binding{})
	secret := w.key(access.Key{ID: "free", User: w.bob})
	bound := w.key(access.Key{ID: "7", User: w.bob, Endpoints: []string{"/api/ingress/*"}, Addresses: prefixes(t, "192.0.2.0/24")})
	w.stretched(access.Key{ID: "1", User: w.bob}, "sk_test")
	basic := func(name, password string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	in := func(k string, v ...string) url.Values { return url.Values{k: v} }
	arcgis, rebilly, crowd, ingress := access.ArcGIS(), access.Rebilly(), access.Crowd(), access.Ingress()
	strict, mounted := arcgis, ingress
	strict.BodyOnly = true
	mounted.Prefix = "/tld"
	members := "/api/ingress/user_group_members"

	for _, c := range []struct {
		what   string
		scheme access.Scheme
		ask    ask
		want   error
		user   string
	}{
		{"nothing", arcgis, ask{}, access.ErrNoCredentials, ""},
		{"body", arcgis, ask{method: "POST", body: in("token", tok)}, nil, "Alice"},
		{"body twice the same", arcgis, ask{method: "POST", body: in("token", tok, tok)}, nil, "Alice"},
		{"body twice", arcgis, ask{method: "POST", body: in("token", tok, session)}, access.ErrInvalidToken, ""},
		{"header", arcgis, ask{method: "POST", header: []string{"Authorization", "Bearer " + tok}}, nil, "Alice"},
		{"header of Esri", arcgis, ask{method: "POST", header: []string{"x-esri-authorization", "bearer " + tok}}, nil, "Alice"},
		{"query of a GET", arcgis, ask{target: "/?token=" + tok}, nil, "Alice"},
		{"query of a HEAD", arcgis, ask{method: "HEAD", target: "/?token=" + tok}, nil, "Alice"},
		{"query of a POST", arcgis, ask{method: "POST", target: "/?token=" + tok}, access.ErrNoCredentials, ""},
		{"query of a DELETE", arcgis, ask{method: "DELETE", target: "/?token=" + tok}, access.ErrNoCredentials, ""},
		{"cookie", arcgis, ask{cookie: tok}, access.ErrNoCredentials, ""},
		{"basic", arcgis, ask{header: []string{"Authorization", basic("alice", "one")}}, access.ErrNoCredentials, ""},
		{"wrong body, right header", arcgis, ask{method: "POST", body: in("token", "x"), header: []string{"Authorization", "Bearer " + tok}}, access.ErrInvalidToken, ""},
		{"right body, wrong header", arcgis, ask{method: "POST", body: in("token", tok), header: []string{"Authorization", "Bearer x"}}, nil, "Alice"},
		{"wrong header, right query", arcgis, ask{target: "/?token=" + tok, header: []string{"X-Esri-Authorization", "Bearer x"}}, access.ErrInvalidToken, ""},
		{"right header, wrong query", arcgis, ask{target: "/?token=x", header: []string{"X-Esri-Authorization", "Bearer " + tok}}, nil, "Alice"},
		{"header of Esri beside that of a proxy", arcgis, ask{header: []string{"Authorization", basic("alice", "one"), "X-Esri-Authorization", "Bearer " + tok}}, nil, "Alice"},
		{"two headers", arcgis, ask{header: []string{"Authorization", "Bearer " + tok, "Authorization", "Bearer x"}}, access.ErrInvalidToken, ""},
		{"header without a token", arcgis, ask{header: []string{"Authorization", "Bearer"}}, access.ErrInvalidToken, ""},
		{"another API's", arcgis, ask{body: in("token", session)}, access.ErrInvalidToken, ""},
		{"an API key", arcgis, ask{body: in("token", secret)}, access.ErrInvalidToken, ""},
		{"strict, body", strict, ask{method: "POST", body: in("token", tok)}, nil, "Alice"},
		{"strict, header", strict, ask{header: []string{"Authorization", "Bearer " + tok}}, access.ErrNoCredentials, ""},
		{"strict, query", strict, ask{target: "/?token=" + tok}, access.ErrNoCredentials, ""},

		{"nothing", rebilly, ask{}, access.ErrNoCredentials, ""},
		{"key", rebilly, ask{header: []string{"reb-apikey", secret}}, nil, "bob"},
		{"chosen key", rebilly, ask{header: []string{"REB-APIKEY", "sk_test"}}, nil, "bob"},
		{"wrong key", rebilly, ask{header: []string{"REB-APIKEY", "sk_live"}}, access.ErrDenied, ""},
		{"two keys", rebilly, ask{header: []string{"REB-APIKEY", secret, "REB-APIKEY", "sk_test"}}, access.ErrDenied, ""},
		{"token", rebilly, ask{header: []string{"Authorization", "Bearer " + jwt}}, nil, "Alice"},
		{"key as Bearer", rebilly, ask{header: []string{"Authorization", "Bearer " + secret}}, nil, "bob"},
		{"chosen key as Bearer", rebilly, ask{header: []string{"Authorization", "Bearer sk_test"}}, nil, "bob"},
		{"another API's token", rebilly, ask{header: []string{"Authorization", "Bearer " + tok}}, access.ErrInvalidToken, ""},
		{"basic", rebilly, ask{header: []string{"Authorization", basic("alice", "one")}}, access.ErrNoCredentials, ""},

		{"nothing", crowd, ask{}, access.ErrNoCredentials, ""},
		{"basic", crowd, ask{header: []string{"Authorization", basic("alice@corp", "one")}}, nil, "Alice"},
		{"basic, wrong", crowd, ask{header: []string{"Authorization", basic("alice", "two")}}, access.ErrDenied, ""},
		{"basic, colons", crowd, ask{header: []string{"Authorization", basic("alice", "one:two")}}, access.ErrDenied, ""},
		{"basic, broken", crowd, ask{header: []string{"Authorization", "Basic !!!"}}, access.ErrDenied, ""},
		{"basic, twice", crowd, ask{header: []string{"Authorization", basic("alice", "one"), "Authorization", basic("alice", "two")}}, access.ErrInvalidToken, ""},
		{"something else", crowd, ask{header: []string{"Authorization", "Negotiate abc"}}, access.ErrDenied, ""},
		{"bearer", crowd, ask{header: []string{"Authorization", "Bearer " + session}}, nil, "Alice"},
		{"session", crowd, ask{cookie: session}, nil, "Alice"},
		{"session, changing", crowd, ask{method: "POST", cookie: session}, access.ErrInvalidToken, ""},
		{"session, changing, from another site", crowd, ask{method: "DELETE", cookie: session, header: []string{"X-Atlassian-Token", "yes"}}, access.ErrInvalidToken, ""},
		{"session, changing, from this site", crowd, ask{method: "POST", cookie: session, header: []string{"X-Atlassian-Token", "no-check"}}, nil, "Alice"},
		{"session of another API", crowd, ask{cookie: tok}, access.ErrInvalidToken, ""},

		{"nothing", ingress, ask{}, access.ErrNoKeyID, ""},
		{"no ID", ingress, ask{header: []string{"tld-api-key", secret}}, access.ErrNoKeyID, ""},
		{"no secret", ingress, ask{header: []string{"tld-api-id", "free"}}, access.ErrNoKeySecret, ""},
		{"empty", ingress, ask{header: []string{"tld-api-id", "", "tld-api-key", ""}}, access.ErrNoKeyID, ""},
		{"headers", ingress, ask{method: "POST", target: members, header: []string{"TLD-API-ID", "7", "Tld-Api-Key", bound}}, nil, "bob"},
		{"headers twice", ingress, ask{target: members, header: []string{"tld-api-id", "7", "tld-api-id", "free", "tld-api-key", bound}}, access.ErrDenied, ""},
		{"body", ingress, ask{method: "POST", target: members, body: url.Values{"api": {"7"}, "apikey": {bound}}}, nil, "bob"},
		{"body, other names", ingress, ask{method: "POST", target: members, body: url.Values{"api_id": {"7"}, "api_key": {bound}}}, nil, "bob"},
		{"query", ingress, ask{method: "POST", target: members + "?api=7&apikey=" + bound}, nil, "bob"},
		{"half in a header", ingress, ask{method: "POST", target: members + "?apikey=" + bound, header: []string{"tld-api-id", "7"}}, access.ErrNoKeySecret, ""},
		{"right headers, wrong body", ingress, ask{method: "POST", target: members, header: []string{"tld-api-id", "7", "tld-api-key", bound}, body: url.Values{"api": {"x"}, "apikey": {"x"}}}, nil, "bob"},
		{"wrong headers, right body", ingress, ask{method: "POST", target: members, header: []string{"tld-api-id", "7", "tld-api-key", "x"}, body: url.Values{"api": {"7"}, "apikey": {bound}}}, access.ErrDenied, ""},
		{"right names, wrong other ones", ingress, ask{method: "POST", target: members, body: url.Values{"api": {"7"}, "apikey": {bound}, "api_id": {"x"}, "api_key": {"x"}}}, nil, "bob"},
		{"right body, wrong query", ingress, ask{method: "POST", target: members + "?api=x&apikey=x", body: url.Values{"api": {"7"}, "apikey": {bound}}}, nil, "bob"},
		{"names mixed", ingress, ask{method: "POST", target: members, body: url.Values{"api": {"7"}, "api_key": {bound}}}, access.ErrNoKeySecret, ""},
		{"chosen", ingress, ask{target: members, header: []string{"tld-api-id", "1", "tld-api-key", "sk_test"}}, nil, "bob"},
		{"wrong", ingress, ask{target: members, header: []string{"tld-api-id", "7", "tld-api-key", secret}}, access.ErrDenied, ""},
		{"other endpoint", ingress, ask{target: "/rebilly/memberships", header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"dots", ingress, ask{target: "/api/ingress/%2e%2e/%2e%2e/rebilly", header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"a slash that is escaped", ingress, ask{target: "/api/ingress/a%2Fb", header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"and a letter that is not", ingress, ask{target: "/api/ingress/a%2Fé", header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"elsewhere", ingress, ask{target: members, from: "198.51.100.9:1", header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"elsewhere, saying otherwise", ingress, ask{target: members, from: "198.51.100.9:1", header: []string{"tld-api-id", "7", "tld-api-key", bound, "X-Forwarded-For", "192.0.2.7"}}, access.ErrForbidden, ""},
		{"through a proxy", ingress, ask{target: members, from: "10.0.0.1:1", header: []string{"tld-api-id", "7", "tld-api-key", bound, "X-Forwarded-For", "1.1.1.1, 192.0.2.7"}}, nil, "bob"},
		{"through a proxy, from elsewhere", ingress, ask{target: members, from: "10.0.0.1:1", header: []string{"tld-api-id", "7", "tld-api-key", bound, "X-Forwarded-For", "192.0.2.7, 198.51.100.9"}}, access.ErrForbidden, ""},
		{"mounted", mounted, ask{target: members, header: []string{"tld-api-id", "7", "tld-api-key", bound}}, access.ErrForbidden, ""},
		{"token", ingress, ask{target: members + "?token=" + tok}, access.ErrNoKeyID, ""},
	} {
		what := c.scheme.Name + ", " + c.what
		var door access.Authenticator = w.s.Door(c.scheme)
		r := c.ask.request()
		p, err := door.Authenticate(r, c.ask.body)
		is(t, what, err, c.want)
		equal(t, what+": user", p.Username, c.user)
		if (err == nil) != (p.By != 0) {
			t.Errorf("%s: %v with %v", what, p, err)
		}
		if b := make([]byte, 6); r.Body != nil {
			if n, _ := r.Body.Read(b); string(b[:n]) != "unread" {
				t.Errorf("%s: the body was read", what)
			}
		}
		w.s.Forgive()
	}

	here := token("arcgis", access.Binding{Referer: "https://host/app"})
	d := w.s.Door(arcgis)
	for referer, want := range map[string]error{"https://host/app/map": nil, "https://host.evil.example/app": access.ErrInvalidToken, "": access.ErrInvalidToken} {
		_, err := d.Authenticate(ask{header: []string{"Referer", referer}}.request(), in("token", here))
		is(t, "bound to a referer, from "+referer, err, want)
	}
	mine := token("arcgis", access.Binding{Client: office})
	for from, want := range map[string]error{"192.0.2.7:5": nil, "192.0.2.8:5": access.ErrInvalidToken} {
		_, err := d.Authenticate(ask{from: from}.request(), in("token", mine))
		is(t, "bound to an address, from "+from, err, want)
	}
	for range 60 {
		w.s.Door(crowd).Authenticate(ask{header: []string{"Authorization", basic("alice", "guess")}}.request(), nil)
	}
	_, err := w.s.Door(crowd).Authenticate(ask{header: []string{"Authorization", basic("alice", "guess")}}.request(), nil)
	is(t, "guessing", err, access.ErrThrottled)
}
