package crowd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/internal/apitest"
)

func scheme() access.Scheme { return access.Crowd() }

// TestHugeBodies: limited, deep, wide, repeated.
func TestHugeBodies(t *testing.T) {
	w := newWorld(t)
	groups := base + "users/" + u1 + "/groups"
	w.expect("POST", groups, "boss", `{"ids":["`+strings.Repeat("x", 9<<20)+`"]}`, 413, "REQUEST_TOO_LARGE")
	w.expect("POST", groups, "boss", strings.Repeat("[", 100_000), 400, "deeply")
	w.expect("POST", groups, "boss", `{"x":`+strings.Repeat(`{"a":`, 100_000), 400, "deeply")
	w.expect("POST", groups, "boss", `{"ids":[],"ids":["`+bad+`"]}`, 400, "twice")
	w.expect("POST", groups, "boss", `{"ids":[],"\u0069ds":["`+bad+`"]}`, 400, "twice")
	w.expect("POST", groups, "boss", `{"IDS":["`+bad+`"],"Ids":["`+bad+`"]}`, 200, `{"successes":[],"failures":[]}`)
	w.expect("POST", groups, "boss", `{"other":{"a":1,"a":2}}`, 400, "twice")
	w.expect("POST", groups, "boss", "\ufeff{}", 400, "not JSON")
	w.expect("POST", groups, "boss", "{\"ids\":[\"\xff\"]}", 400, "UTF-8")
	w.expect("POST", base+"users/search", "boss", `{"search":"`+strings.Repeat("a", 1025)+`"}`, 400, "not valid")
	w.expect("POST", base+"users/search", "boss", `{"search":"`+strings.Repeat("a ", 40)+`"}`, 400, "not valid")
	w.expect("POST", base+"users/search?limit=99999", "boss", `{}`, 200, `"limit":99999`)
	w.expect("POST", base+"users/search?limit=9999999", "boss", `{}`, 200, `"limit":100000`)
	w.expect("POST", base+"users/search?start=1099511627776&limit=10", "boss", `{}`, 200, `"isLastPage":true`)
	w.expect("POST", base+"users/search?limit=9223372036854775807", "boss", `{}`, 200, `"limit":100000,"isLastPage":true`)
	w.expect("POST", base+"users/search?start=9223372036854775807&limit=9223372036854775807", "boss", `{}`, 200, `"start":9223372036854775807,"limit":100000,"isLastPage":true`)
	w.expect("GET", base+"group-level-admin/"+bad+"/admins?start=9223372036854775807", "boss", ``, 200, `"values":[],"size":0,"start":9223372036854775807,"limit":50,"isLastPage":true`)
	w.expect("POST", base+"groups/query?start=9223372036854775807", "boss", `{}`, 200, `"isLastPage":true`)
	w.expect("POST", base+"users/search?start=99999999999999999999", "boss", `{}`, 400, "start is too large.")
	w.expect("POST", base+"users/search?a=1;b=2", "boss", `{}`, 400, "address")
	w.expect("POST", base+"users/search", "boss", `{"directoryIds":[4294967296]}`, 404, "DIRECTORY")
	w.expect("POST", base+"users/search", "boss", `{"directoryIds":[-1]}`, 404, "DIRECTORY")

	begin := time.Now()
	w.expect("POST", base+"users/search", "boss", `{"directoryIds":[1900`+strings.Repeat(",1900", 1_000_000)+`]}`, 200, "user1")
	many := make([]string, 100_000)
	for i := range many {
		many[i] = id(1900, fmt.Sprint("nobody-", i%90_000))
	}
	many[99_999] = bad
	body, err := json.Marshal(map[string]any{"ids": many})
	if err != nil {
		t.Fatal(err)
	}
	_, answer := w.ask("POST", groups, "boss", string(body))
	var got struct{ Successes, Failures []any }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || len(got.Successes) != 1 || len(got.Failures) != 90_000 {
		t.Errorf("%d successes, %d failures, %v", len(got.Successes), len(got.Failures), err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("long lists took %v", took)
	}
}

// TestHeaderTricks: contradictory headers deny.
func TestHeaderTricks(t *testing.T) {
	w := newWorld(t)
	for what, c := range map[string]struct {
		header http.Header
		want   int
	}{
		"two passwords":        {http.Header{"Authorization": {basic("boss"), basic("root")}}, 401},
		"twice the same":       {http.Header{"Authorization": {basic("boss"), basic("boss")}}, 200},
		"another scheme":       {http.Header{"Authorization": {"Digest x"}}, 401},
		"no scheme":            {http.Header{"Authorization": {"boss:pw-boss"}}, 401},
		"a user by number":     {http.Header{"Authorization": {"Basic " + b64("#1:pw-boss")}}, 401},
		"another name of user": {http.Header{"Authorization": {"Basic " + b64("BOSS@internal:pw-boss")}}, 200},
		"two cookies":          {http.Header{"Cookie": {"crowd.token_key=a; crowd.token_key=b"}}, 401},
		"said by a proxy":      {http.Header{"X-Forwarded-User": {"root"}, "X-Remote-User": {"root"}}, 401},
	} {
		r := request("GET", base+"directory/managed", "", "")
		r.Header = c.header
		if a := w.send(r); a.Code != c.want {
			t.Errorf("%s: %d, not %d", what, a.Code, c.want)
		}
	}
	override := request("POST", base+"groups/"+bad, "boss", "")
	override.Header.Set("X-HTTP-Method-Override", "GET")
	if a := w.send(override); a.Code != 405 {
		t.Errorf("a method in a header: %d", a.Code)
	}
	two := request("POST", base+"users/search", "boss", `{}`)
	two.Header["Content-Type"] = []string{"application/json", "text/plain"}
	if a := w.send(two); a.Code != 415 {
		t.Errorf("two types: %d", a.Code)
	}
}

func basic(name string) string { return "Basic " + b64(name+":pw-"+name) }

// TestMarkup: names with markup are never that in an answer.
func TestMarkup(t *testing.T) {
	w := newWorld(t)
	const name = `<script>alert("x")</script>&???>>>???`
	w.update(func(tx *roster.Txn) error {
		_, err := tx.CreateUser(roster.User{Directory: 1900, Username: name, FullName: name, Email: name})
		return err
	})
	a := w.send(request("POST", base+"users/search", "boss", `{"search":"script"}`))
	if text := a.Body.String(); strings.ContainsAny(text, "<>&") || !strings.Contains(text, `\u003cscript`) || a.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v %s", a.Header(), text)
	}
	w.expect("POST", base+"groups/"+bad+"/users", "boss", `{"ids":["`+id(1900, name)+`","<b>"]}`, 200, `"entity":"\u003cb\u003e"`)
	var found struct {
		Values []struct{ Username, ID string }
	}
	if err := json.Unmarshal(a.Body.Bytes(), &found); err != nil || len(found.Values) != 1 || found.Values[0].Username != name || found.Values[0].ID != id(1900, name) {
		t.Errorf("%v %v", found, err)
	}
}

// TestRightsOfTheMoment: what was true at the door is asked again inside.
func TestRightsOfTheMoment(t *testing.T) {
	for what, take := range map[string]struct {
		fn   func(w *world, tx *roster.Txn) error
		want int
	}{
		"administrator": {func(w *world, tx *roster.Txn) error {
			_, err := tx.RemoveAdmins(w.group(tx, 1900, "badgers"), w.user(tx, 1900, "boss"))
			return err
		}, 403},
		"active": {func(w *world, tx *roster.Txn) error {
			u, err := tx.User(w.user(tx, 1900, "boss"))
			if err != nil {
				return err
			}
			u.Active = false
			_, err = tx.PutUser(u)
			return err
		}, 401},
		"of that password": {func(w *world, tx *roster.Txn) error {
			return access.RevokeTokens(tx, w.user(tx, 1900, "boss"))
		}, 401},
		"there": {func(w *world, tx *roster.Txn) error { return tx.DeleteUser(w.user(tx, 1900, "boss")) }, 401},
	} {
		w := newWorld(t)
		door := w.s.Door(scheme())
		w.api = crowd.New(w.e, crowd.Options{Authenticator: apitest.Between{Authenticator: door, Then: func() { w.update(func(tx *roster.Txn) error { return take.fn(w, tx) }) }}})
		before := w.members(1900, "badgers")
		w.expect("POST", base+"groups/"+bad+"/users", "boss", `{"ids":["`+u1+`"]}`, take.want, "")
		if after := w.members(1900, "badgers"); len(after) != len(before) {
			t.Errorf("no longer %s: %v", what, after)
		}
	}
	w := newWorld(t)
	door := w.s.Door(scheme())
	w.api = crowd.New(w.e, crowd.Options{Authenticator: apitest.Between{Authenticator: door, Then: func() {
		w.update(func(tx *roster.Txn) error {
			a, err := access.GetAccount(tx, w.user(tx, 1900, "root"))
			if err == nil {
				a.Privileges = nil
				_, err = access.PutAccount(tx, a, w.Now())
			}
			return err
		})
	}}})
	w.expect("POST", base+"groups/"+bad+"/users", "root", `{"ids":["`+u1+`"]}`, 403, "")
}

// TestBodyThatEnds: a body that breaks off changes nothing.
func TestBodyThatEnds(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	r := request("POST", base+"groups/"+bad+"/users", "boss", "x")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"ids":["`+u1+`"]}`), broken{}))
	if a := w.send(r); a.Code != 400 || w.e.Revision() != before {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// TestContext: a request that is given up changes nothing.
func TestContext(t *testing.T) {
	w := newWorld(t)
	given, up := context.WithCancel(ctx)
	w.api = crowd.New(w.e, crowd.Options{Authenticator: apitest.Between{Authenticator: w.s.Door(scheme()), Then: up}})
	before := w.e.Revision()
	a := w.send(request("POST", base+"groups/"+bad+"/users", "boss", `{"ids":["`+u1+`"]}`).WithContext(given))
	if a.Code != 503 || w.e.Revision() != before {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

// TestOneRecord: a request is one revision, whatever becomes of its entities, and
// none if nothing changed.
func TestOneRecord(t *testing.T) {
	w := newWorld(t)
	body := `{"ids":["` + g1 + `","` + bad + `","` + id(1900, "user2") + `","x"]}`
	for i, want := range []roster.Revision{1, 0} {
		before := w.e.Revision()
		w.expect("POST", base+"users/"+u1+"/groups", "boss", body, 200, "failures")
		if got := w.e.Revision() - before; got != want {
			t.Errorf("request %d made %d revisions", i, got)
		}
	}
}

// TestExactlyOne: of many who do the same at once one is told that it changed
// something.
func TestExactlyOne(t *testing.T) {
	w := newWorld(t)
	for round := range 10 {
		for _, method := range []string{"POST", "DELETE"} {
			var wg sync.WaitGroup
			var mu sync.Mutex
			changed := 0
			for i := range 8 {
				wg.Go(func() {
					path, body := "users/"+u1+"/groups", `{"ids":["`+bad+`"]}`
					if i%2 == 0 {
						path, body = "groups/"+bad+"/users", `{"ids":["`+u1+`"]}`
					}
					status, answer := w.ask(method, base+path, "boss", body)
					mu.Lock()
					defer mu.Unlock()
					if status != 200 {
						t.Errorf("%d %s", status, answer)
					}
					if !strings.Contains(answer, `"successes":[]`) {
						changed++
					}
				})
			}
			wg.Wait()
			if changed != 1 {
				t.Errorf("round %d: %s changed %d times", round, method, changed)
			}
		}
	}
}

// TestStoppedEngine: after Close every call is 503, without details.
func TestStoppedEngine(t *testing.T) {
	w := newWorld(t)
	h := host{}
	w.view(func(tx *roster.Txn) {
		h.p = access.Principal{User: w.user(tx, 1900, "boss"), Username: "boss", By: access.ByHost, Privileges: []string{"*"}}
	})
	w.api = crowd.New(w.e, crowd.Options{Authenticator: h})
	w.e.Close()
	for route, line := range table {
		method, _, _ := strings.Cut(route, " ")
		w.expect(method, base+line.path, "", line.body, 503, "being stopped")
	}
}
