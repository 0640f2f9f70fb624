package adapter_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

const base = "/crowd/rest/admin/1.0/"

func crowdID(d roster.DirectoryID, name string) string {
	return d.String() + "-" + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// named is what an ID of Crowd says.
type named struct {
	id        string
	malformed bool
	dir       roster.DirectoryID
	name      string
}

func (x *machine) named(d *directory, name string) named {
	n := named{dir: d.id, name: x.written(name)}
	if !x.rarely("odd", 8) {
		n.id = crowdID(n.dir, n.name)
		return n
	}
	switch x.one("id", "none", "elsewhere", "nowhere", "malformed") {
	case "none":
		n.name = "nobody"
	case "elsewhere":
		n.dir = x.anyDir().id
	case "nowhere":
		n.dir = 4711
	case "malformed":
		return named{id: x.one("malformed", "x", "7-", "7-!", "-1-YQ", "7-YQ=a"), malformed: true}
	}
	n.id = crowdID(n.dir, n.name)
	return n
}

func (x *machine) namedUser() named { u := x.anyUser(); return x.named(u.dir, u.name) }
func (x *machine) namedGroup() named {
	g := x.anyGroup()
	return x.named(g.dir, g.name)
}

func (x *machine) namedFor(as *user) named {
	g := x.groupFor(as)
	return x.named(g.dir, g.name)
}

// several draws a list in which some may stand twice.
func several[T any](x *machine, draw func() T) (out []T) {
	for range 1 + x.below("so many", 4) {
		out = append(out, draw())
	}
	if x.rarely("one twice", 4) {
		out = append(out, out[0])
	}
	return out
}

// crowd sends a request as somebody, by a password or a session.
func (x *machine) crowd(as *user, method, path, body string) (status int, answer string) {
	q := request{method: method, path: base + path, body: body}
	if body != "" {
		q.kind = typeJSON
	}
	if x.rarely("by session", 2) {
		q.header = map[string]string{"Cookie": "crowd.token_key=" + x.w.cookies[as.name], "X-Atlassian-Token": "no-check"}
	} else {
		q.basic = as.name
	}
	rec := x.w.do(q)
	return rec.Code, rec.Body.String()
}

// pathGroup returns the group that a path names, or the status of the answer.
func (x *machine) pathGroup(as *user, n named) (*group, int) {
	switch {
	case !as.active:
		return nil, 401
	case n.malformed:
		return nil, 400
	}
	d, g := x.m.directory(n.dir), x.m.findGroup(n.dir, n.name)
	switch {
	case d == nil:
		return nil, 404
	case g != nil && x.m.mayChange(as, g):
		return g, 200
	case g == nil && x.m.manages(as, d):
		return nil, 404
	}
	return nil, 403
}

func (x *machine) pathUser(as *user, n named) (*user, int) {
	switch {
	case !as.active:
		return nil, 401
	case n.malformed:
		return nil, 400
	}
	d, u := x.m.directory(n.dir), x.m.find(n.dir, n.name)
	switch {
	case d == nil:
		return nil, 404
	case !x.m.manages(as, d):
		return nil, 403
	case u == nil:
		return nil, 404
	}
	return u, 200
}

// outcome says what became of a list: which succeeded, in order, and how many not.
type outcome struct {
	good []string
	bad  int
}

// decide decides on a list, each entry once: what it means, nil for nothing, and
// whether it can be changed.
func decide[T comparable](list []named, in *directory, find func(named) T, can func(T) bool) (out outcome, good []T) {
	var none T
	seen, meant := map[string]bool{}, map[T]bool{}
	for _, n := range list {
		if seen[n.id] {
			continue
		}
		seen[n.id] = true
		if n.malformed || n.dir != in.id || find(n) == none {
			out.bad++
			continue
		}
		v := find(n)
		if meant[v] {
			continue
		}
		if meant[v] = true; !can(v) {
			out.bad++
			continue
		}
		out.good = append(out.good, n.id)
		good = append(good, v)
	}
	return out, good
}

func (x *machine) findUser(n named) *user   { return x.m.find(n.dir, n.name) }
func (x *machine) findGroup(n named) *group { return x.m.findGroup(n.dir, n.name) }

// send sends a list and holds the answer to what is expected.
func (x *machine) sendList(as *user, method, path string, list []named, status int, want outcome) string {
	ids := []string{}
	for _, n := range list {
		ids = append(ids, n.id)
	}
	return x.sendBody(as, method, path, marshal(map[string][]string{"ids": ids}), status, want)
}

func (x *machine) sendBody(as *user, method, path, body string, status int, want outcome) string {
	x.t.Helper()
	got, answer := x.crowd(as, method, path, body)
	what := fmt.Sprintf("%s %s by %s with %s", method, path, as.name, body)
	if got != status {
		x.t.Fatalf("%s: %d %s, not %d", what, got, answer, status)
	}
	if status == 200 {
		var successes []string
		failures := 0
		type entity struct{ ID string }
		if strings.HasPrefix(body, "[") {
			of := decodeText[struct {
				Successes []entity
				Failures  []any
			}](x.t, what, answer)
			for _, e := range of.Successes {
				successes = append(successes, e.ID)
			}
			failures = len(of.Failures)
		} else {
			of := decodeText[struct {
				Successes []string
				Failures  []any
			}](x.t, what, answer)
			successes, failures = of.Successes, len(of.Failures)
		}
		if !slices.Equal(successes, want.good) || failures != want.bad {
			x.t.Fatalf("%s: %s, not %v and %d failures", what, answer, want.good, want.bad)
		}
	}
	return fmt.Sprintf("%s: %d, %d of %d", what, got, len(want.good), len(want.good)+want.bad)
}

func (x *machine) crowdUserGroups() {
	x.step("crowd", func() string {
		as, of, add := x.caller(), x.namedUser(), x.rarely("add", 2)
		list := several(x, func() named { return x.namedFor(as) })
		if !add {
			u, g := x.memberOf(x.groupFor(as))
			of, list = x.named(u.dir, u.name), append(list, x.named(g.dir, g.name))
		}
		var want outcome
		var good []*group
		u, status := x.pathUser(as, of)
		if status == 200 {
			want, good = decide(list, u.dir, x.findGroup, func(g *group) bool { return x.m.mayChange(as, g) && g.members[u] != add })
		}
		for _, g := range good {
			set(g.members, u, add)
		}
		return x.sendList(as, methodTo(add), "users/"+of.id+"/groups", list, status, want)
	})
}

func methodTo(add bool) string {
	if add {
		return "POST"
	}
	return "DELETE"
}

func set[T comparable](of map[T]bool, v T, is bool) {
	if is {
		of[v] = true
	} else {
		delete(of, v)
	}
}

func (x *machine) crowdGroupUsers() {
	x.step("crowd", func() string {
		as, list, add := x.caller(), several(x, x.namedUser), x.rarely("add", 2)
		of := x.namedFor(as)
		if !add {
			u, g := x.memberOf(x.groupFor(as))
			of, list = x.named(g.dir, g.name), append(list, x.named(u.dir, u.name))
		}
		var want outcome
		var good []*user
		g, status := x.pathGroup(as, of)
		if status == 200 {
			want, good = decide(list, g.dir, x.findUser, func(u *user) bool { return g.members[u] != add })
		}
		for _, u := range good {
			set(g.members, u, add)
		}
		return x.sendList(as, methodTo(add), "groups/"+of.id+"/users", list, status, want)
	})
}

func (x *machine) crowdNest() {
	x.step("crowd", func() string {
		as, list := x.caller(), several(x, x.namedGroup)
		of := x.namedFor(as)
		var want outcome
		var good []*group
		g, status := x.pathGroup(as, of)
		if status == 200 {
			want, good = decide(list, g.dir, x.findGroup, func(sub *group) bool { return sub != g && x.m.mayChange(as, sub) && !g.nested[sub] })
		}
		for _, sub := range good {
			g.nested[sub] = true
		}
		return x.sendList(as, "POST", "group/"+of.id+"/groups", list, status, want)
	})
}

func (x *machine) crowdAppoint() {
	x.step("crowd", func() string {
		as := x.caller()
		of := x.namedFor(as)
		users, groups := several(x, x.namedUser), several(x, x.namedGroup)
		entities := []map[string]string{}
		for _, n := range users {
			entities = append(entities, map[string]string{"id": n.id, "type": "USER"})
		}
		for _, n := range groups {
			entities = append(entities, map[string]string{"id": n.id, "type": "GROUP"})
		}
		g, status := x.pathGroup(as, of)
		if status == 200 && !as.everything() {
			status = 403
		}
		var want outcome
		if status == 200 {
			byUsers, goodUsers := decide(users, g.dir, x.findUser, func(u *user) bool { return !g.admins[u] })
			byGroups, goodGroups := decide(groups, g.dir, x.findGroup, func(by *group) bool { return !g.adminGroups[by] })
			want = outcome{append(byUsers.good, byGroups.good...), byUsers.bad + byGroups.bad}
			for _, u := range goodUsers {
				g.admins[u] = true
			}
			for _, by := range goodGroups {
				g.adminGroups[by] = true
			}
		}
		return x.sendBody(as, "POST", "group-level-admin/"+of.id+"/admins", marshal(entities), status, want)
	})
}

func (x *machine) crowdDismiss() {
	x.step("crowd", func() string {
		as, at := x.caller(), x.anyGroup()
		of, kind, who := x.named(at.dir, at.name), "users", x.namedUser()
		if users := x.m.usersThat(func(u *user) bool { return at.admins[u] }); len(users) > 0 {
			u := pick(x, "administrator", users)
			who = x.named(u.dir, u.name)
		}
		if x.rarely("a group", 2) {
			kind, who = "groups", x.namedGroup()
			if groups := x.m.groupsThat(func(g *group) bool { return at.adminGroups[g] }); len(groups) > 0 {
				g := pick(x, "administrators", groups)
				who = x.named(g.dir, g.name)
			}
		}
		g, status := x.pathGroup(as, of)
		switch {
		case status == 401:
		case who.malformed:
			status = 400
		case status != 200:
		case !as.everything():
			status = 403
		case kind == "users" && g.admins[x.findUser(who)]:
			status = 204
			delete(g.admins, x.findUser(who))
		case kind == "groups" && g.adminGroups[x.findGroup(who)]:
			status = 204
			delete(g.adminGroups, x.findGroup(who))
		default:
			status = 404
		}
		return x.sendBody(as, "DELETE", "group-level-admin/"+of.id+"/admins/"+kind+"/"+who.id, "", status, outcome{})
	})
}
