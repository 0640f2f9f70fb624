package rebilly_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/rebilly"
	"github.com/rosterdb/roster/internal/apitest"
)

// endpoint is one row of the table of everything that can be asked, with who may.
// Each other of the callers is answered 403.
type endpoint struct {
	method, path, body string
	status             int
	may                []string
}

var everybody = []string{"root", "owner", "clerk", "plain", "remote", "stranger"}

func endpoints() []endpoint {
	clerks := []string{"root", "owner", "clerk"}
	owners := []string{"root", "owner"}
	all := []endpoint{
		{"GET", "/memberships", "", 200, everybody},
		{"GET", "/users", "", 200, everybody},
		{"GET", "/organizations", "", 200, everybody},
		{"GET", "/organizations/org_1", "", 200, []string{"root", "owner", "clerk", "plain"}},
		{"GET", "/users/usr_plain", "", 200, []string{"root", "owner", "clerk", "plain"}},
		{"GET", "/users/usr_1", "", 200, []string{"root"}},
		{"PUT", "/organizations/org_1", `{"name":"A"}`, 200, owners},
		{"PUT", "/organizations/org_new", `{}`, 201, []string{"root"}},
		{"POST", "/organizations", `{"id":"org_new"}`, 201, []string{"root"}},
		{"POST", "/users", `{"username":"new"}`, 201, []string{"root", "owner", "clerk", "stranger"}},
		{"PUT", "/users/usr_new", `{"username":"new"}`, 201, []string{"root", "owner", "clerk", "stranger"}},
		{"PUT", "/users/usr_plain", `{"name":"P"}`, 200, []string{"root", "owner", "clerk", "plain"}},
		{"PUT", "/users/usr_plain", `{"username":"p"}`, 200, []string{"root"}},
		{"PUT", "/users/usr_plain", `{"status":"inactive"}`, 200, []string{"root"}},
		{"PUT", "/users/usr_1", `{"name":"P"}`, 200, []string{"root"}},
	}
	for _, form := range []string{"", "/organizations/org_1"} {
		all = append(all,
			endpoint{"GET", form + "/memberships/org_1/usr_plain", "", 200, []string{"root", "owner", "clerk", "plain"}},
			endpoint{"GET", form + "/memberships/org_1/usr_owner", "", 200, clerks},
			endpoint{"PUT", form + "/memberships/org_1/usr_1", `{}`, 201, owners},
			endpoint{"PUT", form + "/memberships/org_1/usr_gone", `{}`, 200, clerks},
			endpoint{"PUT", form + "/memberships/org_1/usr_gone", `{"isOwner":true}`, 200, owners},
			endpoint{"PUT", form + "/memberships/org_1/usr_gone", `{"permissions":["GetUser"]}`, 200, clerks},
			endpoint{"PUT", form + "/memberships/org_1/usr_plain", `{"permissions":["GetOrder"]}`, 200, owners},
			endpoint{"PUT", form + "/memberships/org_1/usr_plain", `{"roleIds":["role_all"]}`, 200, owners},
			endpoint{"PUT", form + "/memberships/org_1/usr_clerk", `{"allowedIps":["203.0.113.0/24"]}`, 200, owners},
			endpoint{"PUT", form + "/memberships/org_1/usr_owner", `{"isOwner":true}`, 200, owners},
			endpoint{"DELETE", form + "/memberships/org_1/usr_plain", "", 204, clerks},
		)
	}
	in := "/organizations/org_1"
	return append(all,
		endpoint{"GET", in + "/memberships", "", 200, clerks},
		endpoint{"GET", in + "/users", "", 200, clerks},
		endpoint{"GET", in + "/users/usr_plain", "", 200, []string{"root", "owner", "clerk", "plain"}},
		endpoint{"POST", in + "/users", `{"username":"new"}`, 201, clerks},
		endpoint{"PUT", in + "/users/usr_new", `{"username":"new"}`, 201, clerks},
		endpoint{"GET", in + "/organizations", "", 200, []string{"root", "owner", "clerk", "plain"}},
		endpoint{"GET", in + "/organizations/org_1", "", 200, []string{"root", "owner", "clerk", "plain"}},
		endpoint{"PUT", in + "/organizations/org_1", `{"name":"A"}`, 200, owners},
		endpoint{"GET", in + "/roles", "", 200, clerks},
		endpoint{"GET", in + "/roles/role_a", "", 200, clerks},
		endpoint{"POST", in + "/roles", `{"id":"new"}`, 201, owners},
		endpoint{"PUT", in + "/roles/role_a", `{"permissions":["*"]}`, 200, owners},
		endpoint{"DELETE", in + "/roles/role_a", "", 204, owners},
	)
}

// TestEveryEndpoint: who is let in where. Each row is asked in a world of its own.
func TestEveryEndpoint(t *testing.T) {
	for _, e := range endpoints() {
		t.Run(strings.ReplaceAll(e.method+" "+e.path+" "+e.body, "/", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.Pass(2 * time.Minute)
			for _, as := range []string{"", "wrong", "expired", "gone"} {
				before := w.e.Revision()
				rec := w.do(as, e.method, e.path, e.body)
				if rec.Code != 401 || rec.Header().Get("WWW-Authenticate") == "" || w.e.Revision() != before {
					t.Errorf("%q: %d %s", as, rec.Code, rec.Body)
				}
			}
			for _, as := range append([]string{"elsewhere", "narrow"}, everybody...) {
				w := newWorld(t)
				before := w.e.Revision()
				rec := w.do(as, e.method, e.path, e.body)
				want := 403
				if slices.Contains(e.may, as) || as == "narrow" && e.path == "/users" {
					want = e.status
				}
				if rec.Code != want {
					t.Errorf("%s: %d, not %d: %s", as, rec.Code, want, rec.Body)
				}
				if changed := w.e.Revision() - before; want == 403 && changed != 0 || changed > 1 {
					t.Errorf("%s: %d revisions", as, changed)
				}
			}
		})
	}
}

// TestNothingElse: what is not in the table is nowhere.
func TestNothingElse(t *testing.T) {
	w := newWorld(t)
	known := map[string]bool{}
	for _, e := range endpoints() {
		known[e.method+" "+e.path] = true
	}
	parts := []string{"memberships", "users", "roles", "organizations", "org_1", "usr_plain", "role_a", "", ".", "..", "%2e%2e", "a%2Fb", "%00", "%ff", "Memberships", "v1", "keys", "*"}
	paths := []string{"", "/"}
	for _, a := range parts {
		paths = append(paths, "/"+a)
		for _, b := range parts {
			paths = append(paths, "/"+a+"/"+b)
			for _, c := range parts {
				paths = append(paths, "/"+a+"/"+b+"/"+c)
			}
		}
	}
	reached := 0
	for _, path := range paths {
		for _, method := range []string{"GET", "PATCH", "TRACE", "CONNECT", "PROPFIND"} {
			r, err := http.NewRequest(method, "http://host/rebilly"+path, nil)
			if err != nil {
				continue
			}
			r.Header.Set("REB-APIKEY", w.secrets["root"])
			r.RemoteAddr = w.from
			rec := serveDirect(w, r)
			segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
			odd := slices.ContainsFunc(segments, func(s string) bool { return s == "" || strings.ContainsAny(s, ".%") })
			switch {
			case rec.Code >= 300 && rec.Code < 400 || rec.Code >= 500:
				t.Errorf("%s %s: %d", method, path, rec.Code)
			case rec.Code < 300 && (method != "GET" || odd):
				t.Errorf("%s %s is there: %d", method, path, rec.Code)
			case rec.Code < 300:
				reached++
			}
		}
	}
	if reached < 10 {
		t.Errorf("only %d paths are there", reached)
	}
}

// TestDeniesByDefault: without an Authenticator, or with one that knows nobody.
func TestDeniesByDefault(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.Authenticator = nil })
	w.want(401, "root", "GET", "/memberships", "")
	w.serve(func(o *rebilly.Options) { o.Authenticator = lenient{} })
	w.want(401, "root", "GET", "/memberships", "")
	w.serve(func(o *rebilly.Options) {
		o.Authenticator = lenient{access.Principal{By: access.ByHost, User: 1 << 30, Privileges: []string{"*"}}}
	})
	w.want(401, "", "GET", "/memberships", "")
	w.serve(func(o *rebilly.Options) {
		o.Authenticator = lenient{access.Principal{By: access.ByHost, Privileges: []string{"*"}}} // whoever has handle 0
	})
	w.want(401, "", "GET", "/memberships", "")
}

// TestRightsOfTheMoment: what was true at the door is asked again inside.
func TestRightsOfTheMoment(t *testing.T) {
	for what, c := range map[string]struct {
		status int
		take   func(w *world, tx *roster.Txn) error
	}{
		"nothing taken": {200, func(*world, *roster.Txn) error { return nil }},
		"privileges": {403, func(w *world, tx *roster.Txn) error {
			_, err := access.PutAccount(tx, access.Account{User: w.users["root"]}, w.Clock.Now())
			return err
		}},
		"the key": {401, func(_ *world, tx *roster.Txn) error { return access.DeleteKey(tx, "root") }},
		"active": {401, func(w *world, tx *roster.Txn) error {
			u, err := tx.User(w.users["root"])
			if u.Active = false; err == nil {
				_, err = tx.PutUser(u)
			}
			return err
		}},
	} {
		w := newWorld(t)
		w.serve(func(o *rebilly.Options) {
			o.Authenticator = apitest.Between{Authenticator: w.s.Door(access.Rebilly()), Then: func() { w.update(func(tx *roster.Txn) error { return c.take(w, tx) }) }}
		})
		if got := w.do("root", "PUT", "/organizations/org_1/roles/role_a", `{"permissions":["GetMembershipCollection"]}`); got.Code != c.status {
			t.Errorf("%s: %d, not %d: %s", what, got.Code, c.status, got.Body)
		}
	}
}

type lenient struct{ p access.Principal }

func (l lenient) Authenticate(*http.Request, url.Values) (access.Principal, error) { return l.p, nil }

// TestAllowedNetworks: a membership that allows some networks gives no right from
// elsewhere, and the right is that of the transaction.
func TestAllowedNetworks(t *testing.T) {
	w := newWorld(t)
	const path = "/organizations/org_1/memberships"
	w.want(403, "remote", "GET", path, "")
	w.from = "198.51.100.7:1"
	w.want(200, "remote", "GET", path, "")
	w.want(200, "remote", "GET", "/memberships/org_1/usr_remote", "")
	w.want(403, "remote", "PUT", "/memberships/org_1/usr_remote", `{"allowedIps":null}`)
	w.want(200, "owner", "PUT", "/memberships/org_1/usr_remote", `{"allowedIps":["2001:db8::/64"],"permissions":["GetMembership"]}`)
	w.want(403, "remote", "GET", "/memberships/org_1/usr_remote", "")
	w.from = "[2001:db8::1]:1"
	w.want(200, "remote", "GET", "/memberships/org_1/usr_remote", "")
	w.want(403, "remote", "GET", path, "")
	w.want(200, "owner", "PUT", "/memberships/org_1/usr_owner", `{"isOwner":true,"allowedIps":["198.51.100.0/24"]}`)
	w.want(403, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
	w.from = "198.51.100.9:1"
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
}

// TestRightsOfTheData: rights end with what they follow from, at once.
func TestRightsOfTheData(t *testing.T) {
	w := newWorld(t)
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{"isOwner":true}`)
	w.want(204, "owner", "DELETE", "/memberships/org_1/usr_owner", "")
	w.want(403, "owner", "PUT", "/memberships/org_1/usr_stranger", `{}`)
	w.want(403, "owner", "GET", "/organizations/org_1/memberships", "")
	w.want(200, "root", "PUT", "/organizations/org_1/roles/role_a", `{"permissions":["GetMembershipCollection"]}`)
	w.want(403, "plain", "GET", "/organizations/org_1/memberships", "")
	w.want(200, "root", "PUT", "/memberships/org_1/usr_plain", `{"roleIds":["ROLE_A"]}`)
	w.want(200, "plain", "GET", "/organizations/org_1/memberships", "")
	w.want(409, "root", "DELETE", "/organizations/org_1/roles/role_a", "")
	w.update(func(tx *roster.Txn) error { return tx.DeleteRole("org_1", "role_a") })
	w.want(403, "plain", "GET", "/organizations/org_1/memberships", "")
}

// TestWhoIsInAnOrganization: who may not look at the members of an organisation is told
// the same of everybody, in it or not.
func TestWhoIsInAnOrganization(t *testing.T) {
	w := newWorld(t)
	for _, as := range []string{"plain", "stranger", "ada"} {
		for _, request := range [][2]string{{"GET", ""}, {"PUT", `{"name":"x"}`}} {
			told := map[string]string{}
			for _, user := range []string{"usr_clerk", "usr_root", "usr_stranger", "usr_nobody"} {
				if user == "usr_"+as {
					continue
				}
				path := "/organizations/org_1/users/" + user
				rec := w.want(403, as, request[0], path, request[1])
				told[strings.ReplaceAll(rec.Body.String(), user, "")] = user
			}
			if request[0] == "GET" && len(told) != 1 {
				t.Errorf("%s learns: %v", as, told)
			}
		}
		for _, user := range []string{"usr_clerk", "usr_root", "usr_nobody"} {
			w.want(403, as, "GET", "/memberships/org_1/"+user, "")
			w.want(403, as, "DELETE", "/memberships/org_1/"+user, "")
			w.want(403, as, "PUT", "/memberships/org_1/"+user, "{}")
		}
	}
	w.want(404, "clerk", "GET", "/organizations/org_1/users/usr_root", "")
	w.want(200, "plain", "GET", "/organizations/org_1/users/usr_plain", "")
	w.want(200, "plain", "PUT", "/organizations/org_1/users/usr_plain", `{"name":"Plain"}`)
	w.want(403, "stranger", "GET", "/organizations/org_1/users/usr_stranger", "")
	w.want(403, "remote", "GET", "/organizations/org_1/users/usr_remote", "") // from where it may not come
	w.want(403, "remote", "PUT", "/organizations/org_1/users/usr_remote", `{"name":"x"}`)
	w.from = "198.51.100.7:1"
	w.want(200, "remote", "GET", "/organizations/org_1/users/usr_remote", "")
}

// TestSomebodyElsesUser: who may change users in one organisation does not change
// one who is in another too.
func TestSomebodyElsesUser(t *testing.T) {
	w := newWorld(t)
	w.want(200, "owner", "PUT", "/users/usr_plain", `{"name":"Paul"}`)
	w.want(201, "stranger", "PUT", "/memberships/org_2/usr_plain", `{}`)
	for _, path := range []string{"/users/usr_plain", "/organizations/org_1/users/usr_plain"} {
		w.want(403, "owner", "PUT", path, `{"email":"thief@example.com"}`)
	}
	w.want(403, "stranger", "PUT", "/users/usr_plain", `{"email":"thief@example.com"}`)
	w.want(404, "owner", "PUT", "/organizations/org_1/users/usr_stranger", `{}`)
	w.want(404, "owner", "GET", "/organizations/org_1/users/usr_stranger", "")
	w.want(200, "plain", "PUT", "/users/usr_plain", `{"email":"paul@example.com"}`)
	if got, total := w.list("owner", "/memberships?filter=user.email:PAUL@example.com"); len(got) != 1 || got[0] != "org_1/usr_plain" || total != "1" {
		t.Error(got, total)
	}
}

// TestUserWithPrivileges: an owner can take anybody into its organisation, and does not
// change by that what administrators are called.
func TestUserWithPrivileges(t *testing.T) {
	w := newWorld(t)
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
	w.want(200, "owner", "PUT", "/users/usr_1", `{"name":"Ada"}`)
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_root", `{}`)
	for _, path := range []string{"/users/usr_root", "/organizations/org_1/users/usr_root"} {
		w.want(403, "owner", "PUT", path, `{"email":"thief@example.com"}`)
		w.want(200, "root", "PUT", path, `{"email":"root@example.com"}`)
	}
	w.update(func(tx *roster.Txn) error {
		staff, err1 := tx.CreateGroup(roster.Group{Directory: 1, Name: "staff"})
		admins, err2 := tx.CreateGroup(roster.Group{Directory: 1, Name: "admins"})
		_, err3 := tx.AddAdminGroups(staff, admins)
		_, err4 := tx.Add(admins, w.users["ada"])
		return errors.Join(err1, err2, err3, err4)
	})
	w.want(403, "owner", "PUT", "/users/usr_1", `{"email":"thief@example.com"}`)
	w.want(200, "ada", "PUT", "/users/usr_1", `{"email":"ada@example.com"}`)
	w.want(200, "root", "PUT", "/users/usr_1", `{"email":"ada@example.com"}`)
}

// TestLockedFromTheStart: only who may lock a user makes one that is locked. A source of
// its directory would take it over as that.
func TestLockedFromTheStart(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/users", "/organizations/org_1/users"} {
		w.want(403, "owner", "POST", path, `{"username":"new","status":"inactive"}`)
		w.want(403, "owner", "PUT", path+"/usr_new", `{"username":"new","status":"inactive"}`)
	}
	w.want(201, "owner", "POST", "/users", `{"username":"new","status":"active"}`)
	w.want(201, "root", "POST", "/users", `{"username":"locked","status":"inactive"}`)
}

// TestOddIDs: what is no segment of a path makes nothing, whoever asks.
func TestOddIDs(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	for _, id := range []string{".", "..", "%2e", "%2E%2e", "a%2Fb", "%00", "a%0ab", "%ff", ""} {
		for _, what := range []string{"organizations/", "users/", "organizations/org_1/roles/"} {
			r := httptest.NewRequest("PUT", "/", strings.NewReader(`{"username":"x"}`))
			u, err := url.Parse("http://host/rebilly/" + what + id)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.RemoteAddr = u, w.from
			r.Header.Set("REB-APIKEY", w.secrets["root"])
			if rec := serveDirect(w, r); rec.Code != 404 {
				t.Errorf("%s%s: %d", what, id, rec.Code)
			}
		}
	}
	for path, body := range map[string]string{"/users": `{"id":"..","username":"x"}`, "/organizations": `{"id":"a/b"}`, "/organizations/org_1/roles": `{"id":"a\n"}`} {
		w.want(422, "root", "POST", path, body)
	}
	if w.e.Revision() != before {
		t.Error("something was made")
	}
}

// TestEscapedPaths: an id may be escaped, the words of a path may not: whoever stands
// in front of the handler and looks at paths would see other ones.
func TestEscapedPaths(t *testing.T) {
	w := newWorld(t)
	for path, status := range map[string]int{
		"/users/usr%5Fplain": 200, "/organizations/org%5f1/users/usr%5Fplain": 200, "/memberships/org%5F1/usr_plain": 200,
		"/%75sers/usr_plain": 404, "/user%73": 404, "/organization%73/org_1/users": 404, "/organizations/org_1/%75sers": 404, "/Users": 404,
	} {
		w.want(status, "root", "GET", path, "")
	}
}
