package ingress_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"pgregory.net/rapid"
)

// model is which users are in which groups, by number.
type model map[uint64]map[uint64]bool

// allGroups are those that a name or number in a request may mean.
var allGroups = []uint64{10, 11, 12, 13, 20, 30}

// operation is a random request.
type operation struct {
	key           int
	method, path  string
	users, groups []string // as they are asked for
	kind          int
}

func drawOperation(t *rapid.T) operation {
	line := rapid.SampledFrom(table).Draw(t, "endpoint")
	o := operation{key: rapid.SampledFrom([]int{1, 1, 1, 2, 2, 3}).Draw(t, "key"), method: line.method, path: line.path, kind: rapid.IntRange(0, 2).Draw(t, "kind")}
	someone, something := []string{"15", "248", "249"}, []string{"10", "11", "sales", "Ops", "13", "North, East"}
	if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
		someone, something = append(someone, "300", "99", "ann"), append(something, "30", "Twin", "77")
	}
	o.users = rapid.SliceOfN(rapid.SampledFrom(someone), 0, 3).Draw(t, "users")
	o.groups = rapid.SliceOfN(rapid.SampledFrom(something), 0, 3).Draw(t, "groups")
	return o
}

// send sends an operation as JSON, as a form with arrays, or in the address.
func (o operation) send(w *world) (int, string) {
	v := url.Values{}
	for _, u := range o.users {
		v.Add("user_ids[]", u)
	}
	for _, g := range o.groups {
		v.Add("groups[]", g)
	}
	target, kind, body := o.path, js, ""
	switch o.kind {
	case 0:
		data, err := json.Marshal(map[string]any{"user_id": o.users, "group_ids": o.groups})
		if err != nil {
			w.Fatal(err)
		}
		body = string(data)
	case 1:
		kind, body = form, v.Encode()
	case 2:
		target += "?" + v.Encode()
	}
	a := w.send(request(o.method, target, o.key, kind, body))
	return a.Code, strings.TrimSpace(a.Body.String())
}

// resolve returns what texts mean to a key, each once, or the error of two.
func resolve(asked []string, mean func(string) []uint64, noneFound, someFound string) (out []uint64, err string) {
	missing := false
	for _, s := range asked {
		found := mean(s)
		missing = missing || len(found) != 1
		out = append(out, found...)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return nil, noneFound
	}
	if missing {
		return nil, someFound
	}
	return out, ""
}

func (o operation) administers(g uint64) bool {
	return o.key == 1 || o.key == 2 && (g == 10 || g == 13)
}

func (o operation) usersOf(s string) []uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if _, ok := users[n]; err != nil || !ok || o.key == 3 || o.key == 2 && n == 300 {
		return nil
	}
	return []uint64{n}
}

func (o operation) groupsOf(s string) (out []uint64) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && slices.Contains(allGroups, n) && o.administers(n) {
		return []uint64{n}
	}
	for _, g := range allGroups {
		if strings.EqualFold(groups[g], s) && o.administers(g) {
			out = append(out, g)
		}
	}
	return out
}

// expect returns what an operation should give, and carries it out.
func (m model) expect(o operation) (int, string) {
	if len(o.users) == 0 {
		return 400, failed("Missing User IDs")
	}
	us, err := resolve(o.users, o.usersOf, "Could not Find Users", "Users Found does not match Users Requested")
	if err != "" {
		return 400, failed(err)
	}
	drop := strings.HasSuffix(o.path, "/drop")
	var gs []uint64
	switch {
	case len(o.groups) > 0:
		if gs, err = resolve(o.groups, o.groupsOf, "Could not Find User Groups", "User Groups Found does not match User Groups Requested"); err != "" {
			return 400, failed(err)
		}
	case !drop:
		return 400, failed("Missing User Group IDs")
	}
	added, dropped := 0, 0
	for _, u := range us {
		if m[u] == nil {
			m[u] = map[uint64]bool{}
		}
		for _, g := range allGroups {
			is, want := m[u][g], m[u][g]
			named := slices.Contains(gs, g)
			switch {
			case drop:
				want = want && !o.administers(g)
			case o.method == "POST":
				want = want || named
			case o.method == "DELETE":
				want = want && !named
			case o.method == "PUT":
				want = named || want && !o.administers(g)
			}
			if m[u][g] = want; want && !is {
				added++
			} else if is && !want {
				dropped++
			}
		}
	}
	return 200, o.answer(len(us), added, dropped)
}

// answer returns what a request that changed that much answers.
func (o operation) answer(n, added, dropped int) string {
	drop := strings.HasSuffix(o.path, "/drop")
	switch {
	case o.method == "PUT" && added+dropped == 0:
		return `{"message":"No User Groups were Replaced.","added":0,"dropped":0}`
	case o.method == "PUT":
		return fmt.Sprintf(`{"message":"%d User Groups were Added and %d User Groups were Dropped for %d Users.","added":%d,"dropped":%d}`, added, dropped, n, added, dropped)
	case o.method == "POST" && added == 0:
		return `{"message":"No User Groups were Added.","added":0}`
	case o.method == "POST":
		return fmt.Sprintf(`{"message":"%d User Groups were Added for %d Users.","added":%d}`, added, n, added)
	}
	word, field := "Removed", "removed"
	if drop {
		word, field = "Dropped", "dropped"
	}
	if dropped == 0 {
		return fmt.Sprintf(`{"message":"No User Groups were %s.","%s":0}`, word, field)
	}
	return fmt.Sprintf(`{"message":"%d User Groups were %s for %d Users.","%s":%d}`, dropped, word, n, field, dropped)
}

// TestAgainstAModel holds random requests with random keys to the model, and the
// engine's own API to it after each.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w, m := newWorld(t), model{}
		w.update(func(tx *roster.Txn) error { // some memberships to begin with
			for _, u := range []uint64{15, 248, 249} {
				m[u] = map[uint64]bool{}
				for _, g := range allGroups {
					if m[u][g] = rapid.Bool().Draw(r, "member"); !m[u][g] {
						continue
					}
					if _, err := tx.Add(w.group(tx, g), w.user(tx, u)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for range rapid.IntRange(1, 12).Draw(r, "operations") {
			o := drawOperation(r)
			before := w.e.Revision()
			status, got := o.send(w)
			wantStatus, want := m.expect(o)
			if status != wantStatus || got != want {
				r.Fatalf("%v: %d %s, not %d %s", o, status, got, wantStatus, want)
			}
			changed := status == 200 && !strings.Contains(got, "No User Groups")
			if n := w.e.Revision() - before; n > 1 || (n == 1) != changed {
				r.Fatalf("%v: %d revisions, %s", o, n, got)
			}
			for _, u := range []uint64{15, 248, 249, 300} {
				var is []uint64
				for _, g := range allGroups {
					if m[u][g] {
						is = append(is, g)
					}
				}
				if in := w.in(u); !slices.Equal(in, is) {
					r.Fatalf("%v: user %d is in %v, not %v", o, u, in, is)
				}
			}
		}
	})
}
