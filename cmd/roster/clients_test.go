package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// script runs a script of clienttest, which says what a published client of an API
// has to see of it. Without node, or the clients, the test is skipped, unless .ci/run
// has seen to it that they are there.
func script(t *testing.T, name string, env ...string) {
	t.Helper()
	missing := ""
	if _, err := os.Stat("clienttest/node_modules/rebilly-js-sdk/package.json"); err != nil {
		missing = "the clients are not installed: npm ci in cmd/roster/clienttest"
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing = "node is not in PATH"
	}
	if missing != "" && strings.Contains(os.Getenv("ROSTER_TESTS_NEED"), "npm") {
		t.Fatal(missing)
	} else if missing != "" {
		t.Skip(missing)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, name)
	cmd.Dir = "clienttest"
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	cmd.Env = append(cmd.Env, env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if out, err := cmd.Output(); err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s%s", err, out, errs.String())
	}
}

// TestEsriClient has Esri's client for JavaScript use the program: tokens, their
// renewal when they expire, and both operations over an identity source.
func TestEsriClient(t *testing.T) {
	data, people := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "people.csv")
	err := os.WriteFile(people, []byte(`username,fullName,email,description,groups
aturing,Alan Turing,aturing@domain.com,"CN=Alan Turing,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com",cartographers
jdoe,John Doe,jdoe@domain.com,"CN=John Doe,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com",cartographers
ghopper,Grace Hopper,,,surveyors
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"admin1", "nobody1"} {
		cli(t, data, "", "user", "put", user)
	}
	cli(t, data, "admin password", "passwd", "admin1", "--privilege", access.PrivilegeSecurity)
	cli(t, data, "nobody password", "passwd", "nobody1")
	cli(t, data, "", "source", "add", "file", "--name", "domain", people)
	s := serve(t, data, "--sync-every", "0", "--token-life", "2s")
	script(t, "arcgis.mjs", "BASE="+s.url, "PEOPLE="+people)
}

// acme are two organisations: org_1, which olga owns and plain belongs to, and org_2,
// which stranger owns. Ada belongs to none.
const acme = `{"kind":"directory","id":1,"name":"corp","domain":"corp.example"}
{"kind":"organization","id":"org_1","name":"Acme"}
{"kind":"organization","id":"org_2","name":"Other & <Sons>"}
{"kind":"role","organization":"org_1","id":"role_a","name":"Admin","permissions":["GetCustomer"]}
{"kind":"user","directory":1,"username":"ada","uid":"usr_1","fullName":"Ada L","email":"ada@example.com"}
{"kind":"user","directory":1,"username":"olga","uid":"usr_owner","fullName":"Olga Owner","email":"olga@example.com"}
{"kind":"user","directory":1,"username":"plain","uid":"usr_plain"}
{"kind":"user","directory":1,"username":"stranger","uid":"usr_stranger"}
{"kind":"orgMembership","organization":"org_1","user":"usr_owner","isOwner":true}
{"kind":"orgMembership","organization":"org_1","user":"usr_plain"}
{"kind":"orgMembership","organization":"org_2","user":"usr_stranger","isOwner":true}
`

// keyOf makes an API key and returns its secret.
func keyOf(t *testing.T, data, user string) string {
	t.Helper()
	var key struct{ Secret string }
	if err := json.Unmarshal([]byte(cli(t, data, "", "--json", "key", "create", user)), &key); err != nil || key.Secret == "" {
		t.Fatal("no key: ", err)
	}
	return key.Secret
}

// TestRebillyClient has rebilly-js-sdk do with the program what its users do: get,
// list, upsert and delete memberships, and what goes with them.
func TestRebillyClient(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cli(t, data, acme, "import", "--format", "jsonl", "-")
	owner, plain := keyOf(t, data, "olga"), keyOf(t, data, "plain")
	s := serve(t, data)
	script(t, "rebilly.mjs", "BASE="+s.url+"/rebilly", "KEY="+owner, "PLAIN="+plain)
	s.end()
	if got := cli(t, data, "", "members", "org:org_1"); got != "olga\nplain\n" {
		t.Errorf("in the organisation are now\n%s", got)
	}
}

// TestRebillyClientLimit has rebilly-js-sdk make more requests than the API allows,
// which is too many to make of the program.
func TestRebillyClientLimit(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cli(t, data, acme, "import", "--format", "jsonl", "-")
	key := keyOf(t, data, "olga")
	e, err := roster.Open(data, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	doors, err := access.New(e, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(rebilly.New(e, rebilly.Options{Authenticator: doors.Door(access.Rebilly()), Rate: 3, RatePer: time.Hour}))
	defer server.Close()
	script(t, "limit.mjs", "BASE="+server.URL+"/rebilly", "KEY="+key)
}
