package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

const slapdPeople = `dn: uid=alice,dc=example
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: secret-alice

dn: uid=dora,dc=example
objectClass: inetOrgPerson
uid: dora
cn: Dora
sn: D
userPassword: secret-dora

dn: cn=cartographers,dc=example
objectClass: groupOfNames
cn: cartographers
member: uid=alice,dc=example

dn: cn=surveyors,dc=example
objectClass: groupOfNames
cn: surveyors
member: uid=dora,dc=example

dn: cn=everybody,dc=example
objectClass: groupOfNames
cn: everybody
member: cn=surveyors,dc=example
`

// slapdWorld is a server with an LDAP server behind it.
type slapdWorld struct {
	*process
	ldap  *slapdtest.Server
	token string
}

func newSlapdWorld(t *testing.T, args ...string) *slapdWorld {
	t.Helper()
	w, data := linkSlapd(t)
	w.serve(t, data, args...)
	return w
}

// linkSlapd starts an LDAP server, and links a folder to it that knows nobody of it yet.
func linkSlapd(t *testing.T) (w *slapdWorld, data string) {
	t.Helper()
	if !slapdtest.Installed() {
		t.Skip(slapdtest.ErrMissing)
	}
	w = &slapdWorld{}
	var err error
	if w.ldap, err = slapdtest.Start(t.Context(), t.TempDir(), slapdtest.Options{Suffix: "dc=example"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.ldap.Kill)
	if err := w.ldap.Tool("ldapadd", slapdPeople); err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(slapdtest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	data = newServeWorld(t, 0)
	cli(t, data, "", "source", "add", "ldap", "--name", "corp", "--url", w.ldap.TLSURL, "--tls-ca", w.ldap.CAFile, "--base", "dc=example",
		"--bind-dn", w.ldap.Reader, "--password-file", password)
	return w, data
}

// serve starts the server, and asks for a token.
func (w *slapdWorld) serve(t *testing.T, data string, args ...string) {
	t.Helper()
	w.process = startServe(t, data, args...)
	status, body := w.form("/arcgis/sharing/rest/generateToken", "username", "root", "password", "secret-root", "client", "requestip")
	_, rest, ok := strings.Cut(body, `"token":"`)
	if w.token, _, _ = strings.Cut(rest, `"`); !ok {
		t.Fatalf("no token: %d %s", status, body)
	}
}

// login returns what Crowd answers to a name and a password.
func (w *slapdWorld) login(name, password string) int {
	w.Helper()
	status, body := w.ask("GET", "/crowd/rest/admin/1.0/directory/managed", map[string]string{"Authorization": basic(name, password)}, "")
	if status != 200 && strings.Contains(body, "corp") {
		w.Errorf("%d %s", status, body)
	}
	return status
}

// form posts a form with the token, and with f=json.
func (w *slapdWorld) form(path string, pairs ...string) (int, string) {
	w.Helper()
	form := url.Values{"f": {"json"}}
	if w.token != "" {
		form.Set("token", w.token)
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return w.ask("POST", path, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, form.Encode())
}

// in returns what getUsersWithinEnterpriseGroup says of a user and a group.
func (w *slapdWorld) in(user, group string) bool {
	w.Helper()
	status, body := w.form(arcgisOrg+"/security/groups/getUsersWithinEnterpriseGroup", "groupName", group)
	if status != 200 || !strings.Contains(body, `"users":[`) {
		w.Fatalf("%d %s", status, body)
	}
	return strings.Contains(body, `\\`+user+`"`)
}

// expect checks who of some groups a user is in.
func (w *slapdWorld) expect(when, user string, groups ...string) {
	w.Helper()
	for _, g := range []string{"cartographers", "surveyors", "everybody"} {
		want := false
		for _, in := range groups {
			want = want || in == g
		}
		if got := w.in(user, g); got != want {
			w.Errorf("%s: %s in %s: %v", when, user, g, got)
		}
	}
}

// move takes a user out of one group of the LDAP server and puts it into another. A
// groupOfNames has a member at least, so the new one comes first.
func (w *slapdWorld) move(user, from, to string) {
	w.Helper()
	dn := "uid=" + user + ",dc=example"
	change := "dn: cn=" + to + ",dc=example\nchangetype: modify\nadd: member\nmember: " + dn + "\n\n" +
		"dn: cn=" + from + ",dc=example\nchangetype: modify\nreplace: member\nmember: " + w.ldap.Manager + "\n\n"
	if err := w.ldap.Tool("ldapmodify", change); err != nil {
		w.Fatal(err)
	}
}

// TestServeLDAP moves people in a real LDAP server: the APIs know right after somebody
// asked for it, or has logged in, and not before.
func TestServeLDAP(t *testing.T) {
	w := newSlapdWorld(t, "--sync-every", "0")
	w.expect("at first", "alice", "cartographers")
	w.expect("at first", "dora", "surveyors", "everybody")

	w.move("alice", "cartographers", "surveyors")
	w.expect("before a refresh", "alice", "cartographers")
	if status, body := w.form(arcgisOrg+"/security/users/refreshMembership", "users", "alice@corp,root"); status != 200 || body != `{"status":"success"}` {
		t.Errorf("refresh: %d %s", status, body)
	}
	w.expect("after a refresh", "alice", "surveyors", "everybody")
	w.expect("after a refresh of somebody else", "dora", "surveyors", "everybody")

	w.move("alice", "surveyors", "cartographers")
	for _, c := range []struct {
		name, password string
		want           int
	}{{"alice@corp", "secret-dora", 401}, {"alice@corp", "", 401}, {"nobody@corp", "secret-alice", 401}, {"*", "secret-alice", 401}, {"alice)(uid=*@corp", "secret-alice", 401}} {
		if got := w.login(c.name, c.password); got != c.want {
			t.Errorf("login of %s: %d", c.name, got)
		}
	}
	w.expect("after logins that failed", "alice", "surveyors", "everybody")
	if got := w.login("alice@corp", "secret-alice"); got != 200 {
		t.Errorf("login: %d", got)
	}
	w.expect("after a login", "alice", "cartographers")

	if err := w.ldap.Tool("ldapmodify", "dn: uid=dora,dc=example\nchangetype: modify\nreplace: userPassword\nuserPassword: secret-dora-2\n"); err != nil {
		t.Fatal(err)
	}
	if old, now := w.login("dora@corp", "secret-dora"), w.login("dora@corp", "secret-dora-2"); old != 401 || now != 200 {
		t.Errorf("after a change of the password: the old one %d, the new one %d", old, now)
	}

	w.ldap.Kill()
	if got := w.login("alice@corp", "secret-other"); got != 503 {
		t.Errorf("a login while the LDAP server is away: %d", got)
	}
	if status, body := w.form(arcgisOrg+"/security/users/refreshMembership", "users", "alice@corp"); status != 200 || !strings.Contains(body, `"code":503`) {
		t.Errorf("a refresh while the LDAP server is away: %d %s", status, body)
	}
	w.expect("while the LDAP server is away", "alice", "cartographers")
	w.healthy()
	if err := w.ldap.Run(); err != nil {
		t.Fatal(err)
	}
	if status, body := w.form(arcgisOrg+"/security/groups/refreshMembership", "groups", "cartographers,surveyors"); status != 200 || body != `{"status":"success"}` {
		t.Errorf("a refresh of groups: %d %s", status, body)
	}
	if log := w.log(); strings.Contains(log, slapdtest.Password) || strings.Contains(log, w.token) {
		t.Error("a password or a token is in the log")
	}
	w.verified()
}

// TestServeLDAPByTheClock: nobody asks, and the APIs know in the end.
func TestServeLDAPByTheClock(t *testing.T) {
	w := newSlapdWorld(t, "--sync-every", "300ms")
	w.expect("at first", "alice", "cartographers")
	w.move("alice", "cartographers", "surveyors")
	for end := time.Now().Add(20 * time.Second); !w.in("alice", "everybody") || w.in("alice", "cartographers"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not synced: %s", tail(w.log()))
		}
	}
	w.verified()
}

// TestServeLDAPAwayAtFirst: the server begins while its LDAP server is away, of which it
// knows nobody yet, and takes it up when it is there, without being started again.
func TestServeLDAPAwayAtFirst(t *testing.T) {
	w, data := linkSlapd(t)
	w.ldap.Kill()
	w.serve(t, data, "--sync-every", "0")
	w.healthy()
	if got := w.login("alice@corp", "secret-alice"); got != 401 {
		t.Errorf("a login of somebody who is not known yet: %d", got)
	}
	refresh := func() (int, string) {
		return w.form(arcgisOrg+"/security/users/refreshMembership", "users", "alice@corp")
	}
	if status, body := refresh(); status != 200 || !strings.Contains(body, `"code":503`) {
		t.Errorf("a refresh while the LDAP server is away: %d %s", status, body)
	}
	if err := w.ldap.Run(); err != nil {
		t.Fatal(err)
	}
	if status, body := refresh(); status != 200 || body != `{"status":"success"}` {
		t.Errorf("a refresh: %d %s", status, body)
	}
	if !w.in("alice", "cartographers") {
		t.Error("alice is not in cartographers")
	}
	if wrong, right := w.login("alice@corp", "secret-dora"), w.login("alice@corp", "secret-alice"); wrong != 401 || right != 200 {
		t.Errorf("logins: the wrong password %d, the right one %d", wrong, right)
	}
	w.verified()
}
