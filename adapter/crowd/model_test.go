package crowd_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/crowd"
	"pgregory.net/rapid"
)

// model is what should be the case, in maps: who is in which group, who
// administers it, and which groups are nested in it. Everything stands in
// directory 1900 but for ariel and ldap-users.
type model struct {
	members, admins, nested map[string]map[string]bool
}

func (m *model) administers(who, group string) bool {
	return who == "root" && slices.Contains(groups[1900], group) || m.admins[group][who]
}

func (m *model) administersAny(who string) bool {
	return slices.ContainsFunc(groups[1900], func(g string) bool { return m.administers(who, g) })
}

// operation is a random change: users into groups, or groups into a group.
type operation struct {
	who, method, kind, name string
	ids                     []string
}

func drawOperation(t *rapid.T) operation {
	group := rapid.SampledFrom(append([]string{"none", "USER1"}, groups[1900]...))
	user := rapid.SampledFrom([]string{"user1", "User2", "user3", "nobody", "clerk"})
	o := operation{
		who:    rapid.SampledFrom([]string{"boss", "boss", "root", "clerk", "user1"}).Draw(t, "who"),
		method: rapid.SampledFrom([]string{"POST", "DELETE"}).Draw(t, "method"),
		kind:   rapid.SampledFrom([]string{"users", "groups", "group", "group-level-admin"}).Draw(t, "kind"),
	}
	ids, name := group, user
	if o.kind != "users" {
		ids, name = user, group
	}
	if o.kind == "group" {
		ids, o.method = group, "POST"
	}
	if o.kind == "group-level-admin" {
		o.method = "POST"
	}
	o.name = name.Draw(t, "name")
	for range rapid.IntRange(0, 4).Draw(t, "n") {
		o.ids = append(o.ids, ids.Draw(t, "id"))
	}
	return o
}

// do sends an operation, and returns the status and the names of what succeeded.
func (w *world) do(o operation) (status int, good []string, bad int) {
	path := map[string]string{"users": "groups", "groups": "users", "group": "groups", "group-level-admin": "admins"}[o.kind]
	var body any
	list := []string{}
	entities := []map[string]string{}
	for _, name := range o.ids {
		list = append(list, id(1900, name))
		entities = append(entities, map[string]string{"id": id(1900, name), "type": "USER"})
	}
	if body = any(map[string]any{"ids": list}); o.kind == "group-level-admin" {
		body = entities
	}
	data, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	status, answer := w.ask(o.method, base+o.kind+"/"+id(1900, o.name)+"/"+path, o.who, string(data))
	if status != 200 {
		return status, nil, 0
	}
	var got struct {
		Successes []any
		Failures  []any
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		w.Fatal(err, answer)
	}
	for _, s := range got.Successes {
		if e, ok := s.(map[string]any); ok {
			s = e["id"]
		}
		_, name, _ := crowd.ParseID(s.(string))
		good = append(good, strings.ToLower(name))
	}
	return status, good, len(got.Failures)
}

// expect returns what an operation should give, and carries it out.
func (m *model) expect(o operation) (status int, good []string, bad int) {
	name := strings.ToLower(o.name)
	isUser := slices.Contains(people[1900], name)
	switch {
	case o.kind == "users" && !m.administersAny(o.who):
		return 403, nil, 0
	case o.kind == "users" && !isUser:
		return 404, nil, 0
	case o.kind != "users" && !m.administers(o.who, name):
		if m.administersAny(o.who) && !slices.Contains(groups[1900], name) {
			return 404, nil, 0
		}
		return 403, nil, 0
	case o.kind == "group-level-admin" && o.who != "root":
		return 403, nil, 0
	}
	var seen []string
	type change struct {
		of           map[string]map[string]bool
		group, thing string
	}
	var changes []change
	for _, id := range o.ids {
		id = strings.ToLower(id)
		if slices.Contains(seen, id) {
			continue
		}
		seen = append(seen, id)
		c, ok := change{of: m.members, group: name, thing: id}, slices.Contains(people[1900], id)
		switch o.kind {
		case "users":
			c.group, c.thing = id, name
			ok = m.administers(o.who, id)
		case "group":
			c.of = m.nested
			ok = m.administers(o.who, id) && id != name
		case "group-level-admin":
			c.of = m.admins
		}
		if !ok || c.of[c.group][c.thing] == (o.method == "POST") {
			bad++
			continue
		}
		good = append(good, id)
		changes = append(changes, c)
	}
	for _, c := range changes {
		if o.method == "POST" {
			if c.of[c.group] == nil {
				c.of[c.group] = map[string]bool{}
			}
			c.of[c.group][c.thing] = true
		} else {
			delete(c.of[c.group], c.thing)
		}
	}
	return 200, good, bad
}

// agree holds the engine's own API to the model, and the API's lists to both.
func (m *model) agree(t *rapid.T, w *world) {
	names := func(in map[string]bool) string {
		var out []string
		for name, is := range in {
			if is {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return fmt.Sprint(out)
	}
	w.view(func(tx *roster.Txn) {
		for _, name := range groups[1900] {
			g := w.group(tx, 1900, name)
			of := func(s roster.Set, err error) string {
				if err != nil {
					t.Fatal(err)
				}
				in := map[string]bool{}
				for u := range s.All() {
					in[tx.Username(u)] = true
				}
				return names(in)
			}
			nested := map[string]bool{}
			subs, err := tx.Subgroups(g)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range subs {
				nested[tx.GroupName(s)] = true
			}
			for _, c := range [][2]string{
				{of(tx.DirectMembers(g)), names(m.members[name])}, {of(tx.DirectAdmins(g)), names(m.admins[name])}, {names(nested), names(m.nested[name])},
			} {
				if c[0] != c[1] {
					t.Fatalf("%s: %s, not %s", name, c[0], c[1])
				}
			}
			if got := names(w.list(t, "GET", "groups/"+id(1900, name)+"/users", "", 2)); got != names(m.members[name]) {
				t.Fatalf("pages of members of %s: %s, not %s", name, got, names(m.members[name]))
			}
		}
	})
	m.agreeOnWhatIsSeen(t, w, names)
}

// agreeOnWhatIsSeen holds the lists that people without all rights see to the model.
func (m *model) agreeOnWhatIsSeen(t *rapid.T, w *world, names func(map[string]bool) string) {
	for _, who := range []string{"boss", "clerk", "user1"} {
		want := map[string]bool{}
		for _, g := range groups[1900] {
			want[g] = m.administers(who, g)
		}
		if got := names(w.listAs(t, who, "POST", "groups/query", `{}`, 2)); got != names(want) {
			t.Fatalf("groups of %s: %s, not %s", who, got, names(want))
		}
		found := map[string]bool{}
		for _, u := range people[1900] {
			found[u] = m.administersAny(who)
		}
		if got := names(w.listAs(t, who, "POST", "users/search", `{"search":null}`, 3)); got != names(found) {
			t.Fatalf("users of %s: %s, not %s", who, got, names(found))
		}
		for u := range found {
			found[u] = found[u] && strings.Contains(u+"@some.domain.com", "ser")
		}
		if got := names(w.listAs(t, who, "POST", "users/search", `{"search":"SER"}`, 1)); got != names(found) {
			t.Fatalf("users of %s that hold SER: %s, not %s", who, got, names(found))
		}
	}
}

func (w *world) list(t *rapid.T, method, path, body string, limit int) map[string]bool {
	return w.listAs(t, "root", method, path, body, limit)
}

// listAs reads all pages and returns the names in them. Nobody stands on two.
func (w *world) listAs(t *rapid.T, who, method, path, body string, limit int) map[string]bool {
	all := map[string]bool{}
	var before string
	for start := 0; ; start += limit {
		status, answer := w.ask(method, fmt.Sprintf("%s%s?start=%d&limit=%d", base, path, start, limit), who, body)
		var page struct {
			Values             []struct{ ID, Username, Name string }
			Size, Start, Limit int
			IsLastPage         bool
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != 200 || page.Size != len(page.Values) || page.Start != start || page.Limit != limit {
			t.Fatalf("%s: %d %s %v", path, status, answer, err)
		}
		if !page.IsLastPage && page.Size != limit {
			t.Fatalf("%s: a page that is not full, and not the last: %s", path, answer)
		}
		for _, v := range page.Values {
			name := v.Username + v.Name
			if all[name] || name <= before || v.ID != id(1900, name) {
				t.Fatalf("%s: %s after %s", path, name, before)
			}
			before, all[name] = name, true
		}
		if page.IsLastPage {
			return all
		}
	}
}

// TestAgainstAModel holds random requests of random people to the model.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		m := &model{map[string]map[string]bool{}, map[string]map[string]bool{"user1": {"boss": true}, "badgers": {"boss": true}}, map[string]map[string]bool{}}
		for range rapid.IntRange(1, 12).Draw(r, "operations") {
			o := drawOperation(r)
			before := w.e.Revision()
			status, good, bad := w.do(o)
			wantStatus, wantGood, wantBad := m.expect(o)
			if status != wantStatus || fmt.Sprint(good) != fmt.Sprint(wantGood) || bad != wantBad {
				r.Fatalf("%v: %d %v and %d failures, not %d %v and %d", o, status, good, bad, wantStatus, wantGood, wantBad)
			}
			if changed := w.e.Revision() - before; (changed == 1) != (len(good) > 0) || changed > 1 {
				r.Fatalf("%v: %d revisions", o, changed)
			}
		}
		m.agree(r, w)
	})
}
