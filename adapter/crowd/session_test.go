package crowd_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/adapter/crowd"
)

func (w *world) clientless() netip.Addr { return netip.Addr{} }

// TestSessions: a password makes a cookie, the cookie a session, which needs a
// header for what may change something.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	if a := w.send(request("GET", base+"directory/managed", "boss", "")); len(a.Result().Cookies()) != 0 {
		t.Error("a session that nobody asked for")
	}
	w.api = crowd.New(w.e, crowd.Options{Authenticator: w.s.Door(scheme()), Sessions: w.s, SessionLife: 10 * time.Minute})
	a := w.send(request("GET", base+"directory/managed", "boss", ""))
	cookies := a.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if c.Name != "crowd.token_key" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/crowd/" || !c.Expires.Equal(w.Now().Add(10*time.Minute)) {
		t.Errorf("cookie: %v", c)
	}
	with := func(method, path, body string, header ...string) int {
		r := request(method, base+path, "", body)
		r.AddCookie(c)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		a := w.send(r)
		if len(a.Result().Cookies()) != 0 {
			t.Error("a session makes a session")
		}
		return a.Code
	}
	body := `{"ids":["` + bad + `"]}`
	for _, step := range []struct {
		what      string
		got, want int
	}{
		{"read", with("GET", "directory/managed", ""), 200},
		{"head", with("HEAD", "directory/managed", ""), 200},
		{"search from another site", with("POST", "users/search", `{}`), 401},
		{"search", with("POST", "users/search", `{}`, "X-Atlassian-Token", "no-check"), 200},
		{"change from another site", with("POST", "users/"+u1+"/groups", body), 401},
		{"change with another header", with("POST", "users/"+u1+"/groups", body, "X-Atlassian-Token", "check"), 401},
		{"change", with("POST", "users/"+u1+"/groups", body, "x-atlassian-token", "no-check"), 200},
	} {
		if step.got != step.want {
			t.Errorf("%s: %d, not %d", step.what, step.got, step.want)
		}
	}
	if got := w.members(1900, "badgers"); len(got) != 1 {
		t.Errorf("members: %v", got)
	}
	w.Pass(11 * time.Minute)
	if got := with("GET", "directory/managed", ""); got != 401 {
		t.Errorf("expired: %d", got)
	}
	r := request("GET", base+"directory/managed", "boss", "") // a client that keeps the old cookie
	r.AddCookie(c)
	if a := w.send(r); a.Code != 200 || len(a.Result().Cookies()) != 0 {
		t.Errorf("password beside an old cookie: %d", a.Code)
	}
}

// TestSecretsAreNotLogged looks for passwords and cookies in the log.
func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t, func(o *crowd.Options) {})
	w.expect("POST", base+"users/"+u1+"/groups", "boss", `{"ids":["`+bad+`"]}`, 200, "")
	r := request("GET", base+"groups/"+bad, "", "")
	r.SetBasicAuth("boss", "typo-of-a-password")
	r.Header.Set("Cookie", "crowd.token_key=stolen")
	w.send(r)
	log := w.log.String()
	for _, secret := range []string{"pw-boss", "typo-of", "stolen", "Ym9zczpw"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if !strings.Contains(log, "crowd: request done") || !strings.Contains(log, "user=boss") {
		t.Errorf("nothing of the change in %s", log)
	}
}
