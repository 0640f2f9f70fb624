package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/apitest"
)

// The transcripts of an adapter are played in a world that its tests make. These are
// the same worlds, as what is imported.

// jsonLine is a line of an import.
func jsonLine(kind string, pairs ...any) string {
	fields := map[string]any{"kind": kind}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func crowdTranscripts() string {
	var out strings.Builder
	people := map[int]string{0: "ariel carie clarita john libby", 1: "magdalena naomi patricia starwars winona zoe", 1900: "user1 user2 user3 boss root clerk gone"}
	groups := map[int]string{0: "ldap-users", 1: "ad-users", 1900: "user1 user2 user3 badgers crowd-users"}
	for id, name := range map[int]string{0: "Open LDAP", 1: "Active Directory", 1900: "Internal", 2000: "Empty"} {
		kind := "INTERNAL"
		if id == 2000 {
			kind = "CUSTOM"
		}
		out.WriteString(jsonLine("directory", "id", id, "name", name, "type", kind))
		for name := range strings.FieldsSeq(people[id]) {
			out.WriteString(jsonLine("user", "directory", id, "username", name, "email", name+"@some.domain.com", "active", name != "gone"))
		}
		for name := range strings.FieldsSeq(groups[id]) {
			out.WriteString(jsonLine("group", "directory", id, "name", name))
		}
	}
	for _, name := range []string{"user1", "badgers"} {
		out.WriteString(jsonLine("admin", "directory", 1900, "group", name, "user", "boss"))
	}
	for name, privileges := range map[string][]string{"boss": {}, "root": {"*"}, "clerk": {}, "gone": {}, "user1": {}} {
		out.WriteString(jsonLine("account", "directory", 1900, "user", name, "password", "pw-"+name, "privileges", privileges))
	}
	out.WriteString(jsonLine("account", "directory", 1, "user", "zoe", "password", "pw-zoe"))
	return out.String()
}

func ingressTranscripts() string {
	var out strings.Builder
	in := func(second bool) int { return map[bool]int{false: 1, true: 2}[second] }
	out.WriteString(jsonLine("directory", "id", 1, "name", "corp") + jsonLine("directory", "id", 2, "name", "other"))
	for n, name := range map[int]string{1: "root", 2: "lead", 3: "clerk", 4: "gone", 15: "ann", 248: "ben", 249: "cid", 300: "other"} {
		out.WriteString(jsonLine("user", "directory", in(n == 300), "username", name, "id", n, "active", n != 4))
	}
	for n, name := range map[int]string{10: "Sales", 11: "North, East", 12: "10", 13: "Ops", 20: "Twin", 30: "Twin"} {
		out.WriteString(jsonLine("group", "directory", in(n == 30), "name", name, "id", n))
	}
	for _, name := range []string{"Sales", "Ops"} {
		out.WriteString(jsonLine("admin", "directory", 1, "group", name, "user", "lead"))
	}
	for id, user := range map[string]string{"1": "root", "2": "lead", "3": "clerk", "4": "gone"} {
		out.WriteString(jsonLine("apiKey", "id", id, "secret", "k"+id, "directory", 1, "user", user))
	}
	out.WriteString(jsonLine("apiKey", "id", "5", "secret", "k5", "directory", 1, "user", "root", "expiresTime", "2026-03-04T05:06:06Z"))
	out.WriteString(jsonLine("apiKey", "id", "6", "secret", "k6", "directory", 1, "user", "root", "endpoints", []string{"/api/ingress/user_group_members"}))
	out.WriteString(jsonLine("apiKey", "id", "7", "secret", "k7", "directory", 1, "user", "root", "ips", []string{"198.51.100.0/24"}))
	out.WriteString(jsonLine("account", "directory", 1, "user", "root", "privileges", []string{"*"}))
	return out.String()
}

func rebillyTranscripts() string {
	var out strings.Builder
	out.WriteString(jsonLine("directory", "id", 1, "name", "corp", "domain", "corp.example"))
	full := map[string][]string{"ada": {"Ada L", "ada@example.com"}, "owner": {"Olga Owner", "olga@example.com"}, "clerk": {"Carl Clerk", "carl@example.com"}}
	for _, name := range strings.Fields("ada root owner clerk plain remote stranger gone") {
		uid, about := "usr_"+name, append(full[name], "", "")
		if name == "ada" {
			uid = "usr_1"
		}
		out.WriteString(jsonLine("user", "directory", 1, "username", name, "uid", uid, "fullName", about[0], "email", about[1], "active", name != "gone"))
		out.WriteString(jsonLine("apiKey", "id", name, "secret", "sk_"+name, "directory", 1, "user", name))
	}
	out.WriteString(jsonLine("account", "directory", 1, "user", "root", "privileges", []string{"*"}))
	out.WriteString(jsonLine("apiKey", "id", "expired", "secret", "sk_expired", "directory", 1, "user", "root", "expiresTime", "2026-01-01T00:01:00Z"))
	out.WriteString(jsonLine("apiKey", "id", "elsewhere", "secret", "sk_elsewhere", "directory", 1, "user", "root", "ips", []string{"198.51.100.0/24"}))
	out.WriteString(jsonLine("apiKey", "id", "narrow", "secret", "sk_narrow", "directory", 1, "user", "root", "endpoints", []string{"/rebilly/users"}))
	out.WriteString(jsonLine("organization", "id", "org_1", "name", "Acme") + jsonLine("organization", "id", "org_2", "name", "Other & <Sons>"))
	out.WriteString(jsonLine("role", "organization", "org_1", "id", "role_a", "name", "Admin", "permissions", []string{"GetCustomer"}))
	out.WriteString(jsonLine("role", "organization", "org_1", "id", "role_all", "name", "Everything", "permissions", []string{"*"}))
	clerks := strings.Fields("GetMembershipCollection GetMembership PutMembership DeleteMembership GetUserCollection GetUser PostUser PutUser GetRoleCollection GetRole")
	member := func(org, user string, owner bool, permissions, ips []string) {
		out.WriteString(jsonLine("orgMembership", "organization", org, "user", "usr_"+user, "isOwner", owner, "isDefault", true, "roleIds", []string{}, "permissions", append([]string{}, permissions...), "allowedIps", ips))
	}
	member("org_1", "owner", true, nil, nil)
	member("org_1", "clerk", false, clerks, nil)
	member("org_1", "plain", false, nil, nil)
	member("org_1", "gone", false, []string{"*"}, nil)
	member("org_1", "remote", false, clerks, []string{"198.51.100.0/24"})
	member("org_2", "stranger", true, nil, nil)
	return out.String()
}

// asInTranscript gives a request the headers that a transcript has, with the
// credentials that some of them stand for.
func asInTranscript(r *http.Request, api string, in apitest.Sent) {
	for _, h := range in.Header {
		if api == "crowd" && h[0] == "As" {
			r.SetBasicAuth(h[1], "pw-"+h[1])
			continue
		}
		if api == "rebilly" && h[0] == "REB-APIKEY" {
			h[1] = "sk_" + h[1]
		}
		r.Header.Add(h[0], strings.ReplaceAll(h[1], "{owner}", "sk_owner"))
	}
}

// TestServeTranscripts plays the transcripts of adapters below the mounts of the
// program: the same requests, and the same answers but for what the program adds.
func TestServeTranscripts(t *testing.T) {
	for api, world := range map[string]func() string{"crowd": crowdTranscripts, "ingress": ingressTranscripts, "rebilly": rebillyTranscripts} {
		t.Run(api, func(t *testing.T) {
			hasher, err := access.NewHasher(access.HashOptions{Params: access.Params{MemoryKiB: 8, Passes: 1, Lanes: 1}})
			if err != nil {
				t.Fatal(err)
			}
			apitest.Play(t, filepath.Join("..", "..", "adapter", api, "testdata", "*.txt"), func(t *testing.T, comment string) apitest.Player {
				for _, option := range []string{"Idempotent", "Appoint", "Avatar", "StrictDrop", "address of the server in front", "Rate: 2"} {
					if strings.Contains(comment, option) {
						t.Skipf("it is of a handler with options that roster serve does not give: %q", option)
					}
				}
				clock := apitest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
				if api == "rebilly" {
					clock = apitest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
				}
				e, err := roster.Open("", roster.Options{InMemory: true, Now: clock.Now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { e.Close() })
				if _, err := exchange.Import(t.Context(), e, exchange.Options{Format: exchange.JSONLines, Hasher: hasher}, exchange.Input{Name: "world", Reader: strings.NewReader(world())}); err != nil {
					t.Fatal(err)
				}
				if api == "crowd" {
					zoeAdministers(t, e)
				}
				s := &server{log: slog.New(slog.DiscardHandler), limits: defaultLimits(), now: clock.Now}
				h, err := s.handler(e, nil)
				if err != nil {
					t.Fatal(err)
				}
				return func(section apitest.Section) (string, bool) {
					in := apitest.ParseRequest(section.Text)
					r := apitest.Request(in.Method, in.Target, in.Body)
					if api == "rebilly" {
						r = httptest.NewRequest(in.Method, in.Target, strings.NewReader(in.Body))
						r.RemoteAddr = "203.0.113.9:4711"
					}
					asInTranscript(r, api, in)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					withoutOwn(t, w)
					if api == "rebilly" {
						return rebillyAnswer(w), true
					}
					return apitest.Answer(w), true
				}
			})
		})
	}
}

// withoutOwn is an answer without what the program adds to that of the adapter, and
// checks that it does.
func withoutOwn(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Header().Get("X-Request-Id") == "" {
		t.Error("an answer without an ID")
	}
	w.Header().Del("X-Request-Id")
	for _, c := range w.Result().Cookies() { // of a session, which an adapter has only if it is given what makes one
		if c.Name != "crowd.token_key" || !c.HttpOnly {
			t.Errorf("a cookie %v", c)
		}
	}
	w.Header().Del("Set-Cookie")
}

// rebillyAnswer is an answer as the transcripts of that adapter have it.
func rebillyAnswer(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintln(&b, w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(w.Header()[name], "; "))
	}
	if w.Body.Len() > 0 {
		fmt.Fprintf(&b, "\n%s\n", w.Body)
	}
	return b.String()
}

// zoeAdministers makes zoe an administrator in two directories, which no line of an
// import says.
func zoeAdministers(t *testing.T, e *roster.Engine) {
	t.Helper()
	_, err := e.Update(t.Context(), func(tx *roster.Txn) error {
		zoe, _ := tx.UserByName(1, "zoe")
		for d, name := range map[roster.DirectoryID]string{0: "ldap-users", 1: "ad-users"} {
			g, _ := tx.GroupByName(d, name)
			if _, err := tx.AddAdmins(g, zoe); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
