package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/internal/apitest"
)

// TestHugeBodies: limited, deep, long, repeated.
func TestHugeBodies(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	w.expect("POST", path, js, `{"user_id":"`+strings.Repeat("1,", 3<<20)+`"}`, 413, failed("Request is too large"))
	w.expectKey(0, "POST", path, js, `{"api":1,"apikey":"k1","user_id":"`+strings.Repeat("1,", 3<<20)+`"}`, 413, failed("Request is too large"))
	w.expect("POST", path, js, strings.Repeat("[", 1<<20), 400, failed("Invalid JSON"))
	w.expect("POST", path, js, `{"user_id":`+strings.Repeat(`{"a":`, 1<<18), 400, failed("Invalid JSON"))
	w.expect("POST", path, js, `{"user_id":15,"user\u005fid":248,"group_id":10}`, 400, failed("Invalid JSON"))
	w.expect("POST", path, js, `{"user_id":15,"group_id":10}{}`, 400, failed("Invalid JSON"))
	w.expect("POST", path, js, "\ufeff"+salesOfAnn, 400, failed("Invalid JSON"))
	w.expect("POST", path, js, "{\"user_id\":15,\"group_id\":\"\xff\"}", 400, failed("Invalid JSON"))
	w.expect("POST", path, form, "user_id=15&group_id=%ff", 400, failed("Invalid Form Parameters"))
	w.expect("POST", path+"?a=%zz", js, salesOfAnn, 400, failed("Invalid Form Parameters"))
	for _, body := range []string{"", "--x", "--x\r\n", "--x\r\n\r\n15\r\n--x--", "--x\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n15",
		"--x\r\nContent-Disposition: form-data; name=\"user_id\"; filename=\"a\"\r\n\r\n15\r\n--x--\r\n"} {
		want := failed("Invalid Form Parameters")
		if body == "" {
			want = failed("Missing User IDs")
		}
		w.expect("POST", path, "multipart/form-data; boundary=x", body, 400, want)
	}
	many := make([]string, 60_000)
	for i := range many {
		many[i] = fmt.Sprint(i + 1000)
	}
	begin := time.Now()
	w.expect("POST", path, form, "user_id="+strings.Join(many, ","), 400, failed("Too many Users or User Groups Requested"))
	w.expect("POST", path, form, "user_id="+strings.Join(many[:50_000], ",")+"&group_id=10", 400, failed("Could not Find Users"))
	w.expect("POST", path, form, "user_id="+strings.Repeat("15,", 1_000_000)+"&group_id=99", 400, failed("Could not Find User Groups"))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("long lists took %v", took)
	}
	w.api = ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(access.Ingress()), MaxPairs: 4})
	w.expect("POST", path, js, `{"user_id":[15,248,249],"group_id":[10,11]}`, 400, failed("Too many Users or User Groups Requested"))
	w.expect("POST", path, js, `{"user_id":[15],"group_id":[10,11,13]}`, 400, failed("Too many Users or User Groups Requested")) // names in two directories
	if w.e.Revision() != before {
		t.Error("something was changed")
	}
}

// TestBodiesOfNobody: what takes long to take apart is not taken apart for whoever
// sends it, with the key in the body or without one.
func TestBodiesOfNobody(t *testing.T) {
	w := newWorld(t)
	names := func(format string) string {
		var b strings.Builder
		for i := range 300_000 {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for what, c := range map[string]struct{ kind, body string }{
		"elements":          {js, `{"user_id":[1` + strings.Repeat(",1", 2_000_000) + `],"api":1}`},
		"texts":             {js, `{"user_id":[""` + strings.Repeat(`,""`, 1_300_000) + `]}`},
		"fields":            {js, "{" + names(`"%x":1,`) + `"api":1}`},
		"values of a form":  {form, strings.Repeat("a&", 2_000_000) + "api=1"},
		"names of a form":   {form, names("%x&") + "api=1"},
		"more than allowed": {js, `{"user_id":[1` + strings.Repeat(",1", 210_000) + `]}`},
	} {
		a := testing.AllocsPerRun(1, func() {
			rec := w.send(request("POST", path, 0, c.kind, c.body))
			if rec.Code != 400 || !strings.Contains(rec.Body.String(), "Too many Users") {
				t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
			}
		})
		if a > 100_000 {
			t.Errorf("%s: %v allocations", what, a)
		}
	}
	w.expect("POST", path, js, "{"+names(`"%x":1,`)[:20_000]+`"":1}`, 400, failed("Invalid JSON"))
	w.expect("POST", path, form, names("%x&")[:20_000], 400, failed("Invalid Form Parameters"))
	// As much as there may be.
	w.expect("POST", path, js, `{"group_id":10,"user_id":[15`+strings.Repeat(",15", 190_000)+`]}`, 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
	w.expect("POST", path, form, "group_id=11"+strings.Repeat("&user_id[]=15", 190_000), 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
}

// TestBodyBeforeAddress: users and groups of the body count, whatever they are called
// there and in the address.
func TestBodyBeforeAddress(t *testing.T) {
	w := newWorld(t)
	one := func(action string) string {
		return `{"message":"1 User Groups were ` + action + ` for 1 Users.","` + strings.ToLower(action) + `":1}`
	}
	w.expect("POST", path+"?user_id=248&group_id=11", js, `{"users":15,"groups":10}`, 200, one("Added"))
	if got := fmt.Sprint(w.in(15), w.in(248)); got != "[10] []" {
		t.Errorf("in groups %s", got)
	}
	w.expect("POST", path+"?users=248&user_id=248", form, "user_ids=15&user_id=&groups=13", 200, one("Added"))
	w.expect("DELETE", path+"?user_ids=15&groups=10", js, `{"users":[],"user_id":null,"group_id":""}`, 200, one("Removed")) // nothing in the body
	if got := fmt.Sprint(w.in(15), w.in(248)); got != "[13] []" {
		t.Errorf("in groups %s", got)
	}
	w.expect("POST", path+"?user_id=15&group_id=10", js, `{"user_id":"","group_id":" , "}`, 200, one("Added"))
	w.expect("DELETE", path+"?user_id=15&group_id=10", form, "user_id=&group_id=", 200, one("Removed"))
	w.expectKey(0, "POST", path+"?api=1&apikey=k1", form, "api=&apikey=&user_id=15&group_id=10", 200, one("Added"))
	w.expect("DELETE", path+"?user_id=15&group_id=10", js, `{"group_id":[[]]}`, 400, failed("Could not Find User Groups")) // not nothing
}

// TestHeaderTricks: types that contradict each other, methods in headers.
func TestHeaderTricks(t *testing.T) {
	w := newWorld(t)
	for _, kind := range [][]string{{js, form}, {"application/json;charset=latin1"}, {"application/jsonx"}, {"text/plain"}, {"application/json, text/plain"}, {";"}} {
		r := request("POST", path, 1, "", salesOfAnn)
		r.Header["Content-Type"] = kind
		if a := w.send(r); a.Code != 400 || !strings.Contains(a.Body.String(), "Unsupported Content-Type") {
			t.Errorf("%v: %d %s", kind, a.Code, a.Body)
		}
	}
	r := request("POST", path, 1, js, `{"user_id":15,"_method":"DELETE","group_id":10}`)
	r.Header.Set("X-HTTP-Method-Override", "DELETE")
	if a := w.send(r); !strings.Contains(a.Body.String(), `"added":1`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}

// TestMarkup: what comes from outside is never markup, and never in an error.
func TestMarkup(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{`{"user_id":"<script>","group_id":"<script>"}`, `{"user_id":15,"group_id":"<script>"}`, `{"<script>":1}`, `<script>`} {
		a := w.send(request("POST", path, 1, js, body))
		if a.Code != 400 || strings.ContainsAny(a.Body.String(), "<>") || a.Header().Get("Content-Type") != js || a.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
		}
	}
	w.api = ingress.New(w.e, ingress.Options{Authenticator: w.s.Door(access.Ingress()), Message: func(ingress.Result) string { return "<b>" }})
	w.expect("POST", path, js, salesOfAnn, 200, `{"message":"\u003cb\u003e","added":1}`)
}

// TestSecretsAreNotLogged looks for what was presented in the log.
func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t)
	w.expectKey(0, "POST", path+"?api=1&apikey=k1", form, "user_id=15&group_id=10", 200, `{"message":"1 User Groups were Added for 1 Users.","added":1}`)
	w.expectKey(0, "POST", path, js, `{"api":1,"apikey":"a-typo","user_id":15}`, 400, failed("Invalid API Key"))
	log := w.log.String()
	if strings.Contains(log, "k1") || strings.Contains(log, "a-typo") || !strings.Contains(log, "ingress: request done") || !strings.Contains(log, "user=root") {
		t.Error(log)
	}
}

// TestRightsOfTheMoment: what was true at the door is asked again inside.
func TestRightsOfTheMoment(t *testing.T) {
	for what, c := range map[string]struct {
		key  int
		take func(w *world, tx *roster.Txn) error
		want string
	}{
		"administrator": {2, func(w *world, tx *roster.Txn) error {
			_, err := tx.RemoveAdmins(w.group(tx, 10), w.user(tx, 2))
			return err
		}, "Could not Find User Groups"},
		"privileged": {1, func(w *world, tx *roster.Txn) error {
			_, err := access.PutAccount(tx, access.Account{User: w.user(tx, 1)}, clock())
			return err
		}, "Could not Find Users"},
		"active": {1, func(w *world, tx *roster.Txn) error {
			u, err := tx.User(w.user(tx, 1))
			if err != nil {
				return err
			}
			u.Active = false
			_, err = tx.PutUser(u)
			return err
		}, "Invalid API Key"},
		"a key": {1, func(w *world, tx *roster.Txn) error { return access.DeleteKey(tx, "1") }, "Invalid API Key"},
	} {
		w := newWorld(t)
		w.api = ingress.New(w.e, ingress.Options{Authenticator: apitest.Between{Authenticator: w.s.Door(access.Ingress()), Then: func() { w.update(func(tx *roster.Txn) error { return c.take(w, tx) }) }}})
		w.expectKey(c.key, "POST", path, js, salesOfAnn, 400, failed(c.want))
		if got := w.in(15); got != nil {
			t.Errorf("no longer %s: %v", what, got)
		}
	}
}

// TestBodyThatEnds and a request that is given up change nothing.
func TestBodyThatEnds(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	r := request("POST", path, 1, js, "x")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(salesOfAnn), broken{}))
	if a := w.send(r); a.Code != 400 || !strings.Contains(a.Body.String(), "Incomplete Request") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	r = request("POST", path, 2, js, "x")
	r.Header.Set("tld-api-key", "k1") // nobody: its body is not read
	r.Body = io.NopCloser(unread{t})
	if a := w.send(r); a.Code != 400 || !strings.Contains(a.Body.String(), "Invalid API Key") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	given, up := context.WithCancel(ctx)
	w.api = ingress.New(w.e, ingress.Options{Authenticator: apitest.Between{Authenticator: w.s.Door(access.Ingress()), Then: up}})
	if a := w.send(request("POST", path, 1, js, salesOfAnn).WithContext(given)); a.Code != 503 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if w.e.Revision() != before {
		t.Error("something was changed")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestExactlyOne: of many who add the same at once one is told that it did, and
// the same for removing.
func TestExactlyOne(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		for _, method := range []string{"POST", "DELETE"} {
			var wg sync.WaitGroup
			var mu sync.Mutex
			changed := 0
			for range 8 {
				wg.Go(func() {
					a := w.send(request(method, path, 1, js, salesOfAnn))
					mu.Lock()
					defer mu.Unlock()
					if a.Code != 200 {
						t.Errorf("%d %s", a.Code, a.Body)
					}
					if !strings.Contains(a.Body.String(), "No User Groups") {
						changed++
					}
				})
			}
			wg.Wait()
			if changed != 1 {
				t.Errorf("%s changed %d times", method, changed)
			}
		}
	}
}

// TestReplaceRace: of two who replace a user's groups at once one set is left,
// never a mixture.
func TestReplaceRace(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		var wg sync.WaitGroup
		for _, set := range []string{"10,11", "12,13"} {
			wg.Go(func() {
				if a := w.send(request("PUT", path, 1, form, "user_id=15,248&group_id="+set)); a.Code != 200 {
					t.Errorf("%d %s", a.Code, a.Body)
				}
			})
		}
		wg.Wait()
		if a, b := w.in(15), w.in(248); !slices.Equal(a, b) || !slices.Equal(a, []uint64{10, 11}) && !slices.Equal(a, []uint64{12, 13}) {
			t.Errorf("%v %v", a, b)
		}
	}
}

// TestAbilities: what groups grant follows at once.
func TestAbilities(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		g, err := tx.Group(w.group(tx, 10))
		if err != nil {
			return err
		}
		g.Abilities = []string{"export"}
		_, err = tx.PutGroup(g)
		return err
	})
	for _, c := range []struct {
		method string
		want   int
	}{{"POST", 1}, {"DELETE", 0}} {
		w.send(request(c.method, path, 1, js, salesOfAnn))
		w.view(func(tx *roster.Txn) {
			if got, err := tx.Abilities(w.user(tx, 15)); err != nil || len(got) != c.want {
				t.Errorf("after %s: %v %v", c.method, got, err)
			}
		})
	}
}
