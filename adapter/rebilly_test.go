package adapter_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// addresses are where clients come from: memberships may allow the second alone.
var addresses = []string{"203.0.113.9", "198.51.100.7"}

const allowed = "198.51.100.0/24"

// rebilly sends a request with the API key of somebody. Segments of the path are
// escaped here. scope is the organisation that the path is within, "" for none.
func (x *machine) rebilly(as *user, from, method, scope string, segments []string, query, body string) *httptest.ResponseRecorder {
	path := "/rebilly"
	if scope != "" {
		path += "/organizations/" + url.PathEscape(scope)
	}
	for _, s := range segments {
		path += "/" + url.PathEscape(s)
	}
	q := request{method: method, path: path + query, body: body, from: from, header: map[string]string{"REB-APIKEY": x.w.secrets[as.name]}}
	if body != "" {
		q.kind = typeJSON
	}
	if x.rarely("as Bearer", 3) {
		q.header = map[string]string{"Authorization": "Bearer " + x.w.secrets[as.name]}
	}
	return x.w.do(q)
}

// change sends a request and holds its status.
func (x *machine) change(as *user, from, method, scope string, segments []string, body string, want int) string {
	x.t.Helper()
	rec := x.rebilly(as, from, method, scope, segments, "", body)
	what := fmt.Sprintf("%s %q in %q by %s from %s with %s", method, segments, scope, as.name, from, body)
	if rec.Code != want {
		x.t.Fatalf("%s: %d %s, not %d", what, rec.Code, rec.Body, want)
	}
	if want == 201 {
		at := rec.Header().Get("Location")
		if got := x.w.do(request{method: "GET", path: at, header: map[string]string{"REB-APIKEY": x.w.secrets["root"]}}); got.Code != 200 {
			x.t.Fatalf("%s: nothing at Location %s: %d %s", what, at, got.Code, got.Body)
		}
	}
	return fmt.Sprintf("%s: %d", what, want)
}

// place draws who asks, from where, in which organisation.
func (x *machine) place() (as *user, from, scope, id string) {
	as, from, id = x.caller(), x.one("from", addresses...), "nowhere"
	if o := x.orgFor(as); o != nil && !x.rarely("unknown organisation", 15) {
		id = x.written(o.id)
	}
	if x.rarely("within an organisation", 3) {
		if scope = id; x.rarely("another", 4) {
			scope = x.one("scope", orgIDs...)
		}
	}
	return as, from, scope, id
}

// reached returns the organisation of an ID, nil for one that is not reached.
func (x *machine) reached(scope, id string) *org {
	o := x.m.org(id)
	if scope != "" && x.m.org(scope) != o {
		return nil
	}
	return o
}

// uid draws the id of a user, "" for one that no path can name.
func (x *machine) uid() string {
	if x.rarely("unknown user", 15) {
		return "usr_nobody"
	}
	if u := x.anyUser(); !strings.Contains(u.uid, "/") {
		return u.uid
	}
	return "usr_100"
}

// memberUID draws the id of a member, or returns another one if there is none.
func (x *machine) memberUID(o *org, otherwise string) string {
	in := x.m.usersThat(func(u *user) bool { return o.members[u] != nil && !strings.Contains(u.uid, "/") })
	if len(in) == 0 {
		return otherwise
	}
	return pick(x, "member", in).uid
}

func (x *machine) rebillyPut() {
	x.step("rebilly", func() string {
		as, from, scope, id := x.place()
		uid := x.uid()
		if o := x.reached(scope, id); o != nil && x.rarely("a member", 2) {
			uid = x.memberUID(o, uid)
		}
		body := map[string]any{"isOwner": x.rarely("owner", 3), "organization": map[string]any{}, "user": "ignored", "isDefault": true}
		new, bad := &member{owner: body["isOwner"] == true}, false
		if x.rarely("permissions", 3) {
			new.permissions = []string{x.one("permission", "PutMembership", "GetUserCollection", "*", "ü <b>"), "GetMembership"}
			body["permissions"] = new.permissions
		}
		if x.rarely("addresses", 4) {
			list := []string{allowed}
			if bad = x.rarely("private", 4); bad {
				list = append(list, "10.0.0.1")
			}
			new.allowed, body["allowedIps"] = []string{allowed}, list
		}
		if x.rarely("roles", 2) {
			ids := []string{x.written("role_a")}
			if x.rarely("more roles", 3) {
				ids = several(x, func() string { return x.written(x.one("role", roleIDs...)) })
			}
			body["roleIds"] = ids
		}
		want := x.put(as, from, scope, id, uid, new, body, bad)
		return x.change(as, from, "PUT", scope, []string{"memberships", id, uid}, marshal(body), want)
	})
}

// put puts a membership into the model, and returns the status of the answer.
func (x *machine) put(as *user, from, scope, id, uid string, new *member, body map[string]any, bad bool) int {
	o, u := x.reached(scope, id), x.m.byUID(uid)
	switch {
	case !as.active:
		return 401
	case bad:
		return 422
	case o == nil:
		return 404
	case !o.owns(as, from) && !o.may(as, from, "PutMembership"):
		return 403
	case u == nil:
		return 404
	}
	ids, _ := body["roleIds"].([]string)
	for _, id := range ids {
		r := o.role(id)
		if r == nil {
			return 422
		}
		if !slices.Contains(new.roles, r) {
			new.roles = append(new.roles, r)
		}
	}
	slices.SortFunc(new.roles, func(a, b *role) int { return strings.Compare(text.Fold(a.id), text.Fold(b.id)) })
	old := o.members[u]
	switch {
	case !o.owns(as, from) && !o.mayGive(as, u, new, old):
		return 403
	case old != nil && old.owner && !new.owner && o.owners() == 1:
		return 409
	}
	x.m.join(o, u, new)
	if old == nil {
		return 201
	}
	return 200
}

// mayGive reports whether somebody who is no owner may change a membership.
func (o *org) mayGive(as, u *user, new, old *member) bool {
	if old == nil || old.owner || new.owner || as == u && !slices.Equal(old.allowed, new.allowed) {
		return false
	}
	has := o.permissions(o.members[as])
	gives := slices.DeleteFunc(slices.Clone(new.permissions), func(p string) bool { return slices.Contains(old.permissions, p) })
	for _, r := range new.roles {
		if !slices.Contains(old.roles, r) {
			gives = append(gives, r.permissions...)
		}
	}
	return slices.Contains(has, roster.AllPermissions) || !slices.ContainsFunc(gives, func(p string) bool { return !slices.Contains(has, p) })
}

func (x *machine) rebillyDelete() {
	x.step("rebilly", func() string {
		as, from, scope, id := x.place()
		uid := x.uid()
		o := x.reached(scope, id)
		if o != nil {
			uid = x.memberUID(o, uid)
		}
		u, want := x.m.byUID(uid), 204
		switch {
		case !as.active:
			want = 401
		case o == nil:
			want = 404
		case !o.may(as, from, "DeleteMembership"):
			want = 403
		case u == nil || o.members[u] == nil:
			want = 404
		case o.members[u].owner && !o.owns(as, from):
			want = 403
		case o.members[u].owner && o.owners() == 1:
			want = 409
		default:
			x.m.leave(o, u)
		}
		return x.change(as, from, "DELETE", scope, []string{"memberships", id, uid}, "", want)
	})
}

// mayIn reports whether somebody has a permission in the organisation that the path
// is within, or else in one of its own. It returns the status.
func (x *machine) mayIn(as *user, from, scope, permission string) int {
	if scope != "" {
		switch o := x.m.org(scope); {
		case o == nil:
			return 404
		case !o.may(as, from, permission):
			return 403
		}
		return 200
	}
	if as.everything() || slices.ContainsFunc(as.joined, func(o *org) bool { return o.may(as, from, permission) }) {
		return 200
	}
	return 403
}

// rebillyUser creates a user, or changes one.
func (x *machine) rebillyUser() {
	x.step("rebilly", func() string {
		as, from, scope, _ := x.place()
		new := &user{dir: x.m.directory(sourced), active: true, full: "Rebilly <b> User", email: x.one("email", "a@example.org", "")}
		body := map[string]any{"name": new.full, "email": new.email}
		if x.rarely("username", 2) {
			new.name = x.one("username", append([]string{x.made("user"), "a\x00b"}, userNames...)...)
			body["username"] = new.name
		}
		if x.rarely("in parts", 3) {
			body["firstName"], body["lastName"] = "Ré", "B. Illy"
			new.full, new.attributes = "Ré B. Illy", map[string][]string{"firstName": {"Ré"}, "lastName": {"B. Illy"}}
		}
		status := x.one("status", "", "active", "inactive")
		if new.active = status != "inactive"; status != "" {
			body["status"] = status
		}
		bad := strings.Contains(new.name, "\x00")
		segments, method := []string{"users"}, "POST"
		if new.uid = x.one("uid", "", x.made("usr"), x.uid()); new.uid != "" && x.rarely("PUT", 2) {
			segments, method = append(segments, new.uid), "PUT"
		} else if new.uid != "" {
			body["id"] = new.uid
		}
		want := x.putUser(as, from, scope, method, status, new, bad)
		did := x.change(as, from, method, scope, segments, marshal(body), want)
		x.number(did)
		return did
	})
}

func (x *machine) putUser(as *user, from, scope, method, status string, new *user, bad bool) int {
	old := x.m.byUID(new.uid)
	switch {
	case !as.active:
		return 401
	case bad:
		return 422
	case method == "PUT" && old != nil:
		return x.changeUser(as, from, scope, status, old, new)
	}
	if code := x.mayIn(as, from, scope, map[string]string{"POST": "PostUser", "PUT": "PutUser"}[method]); code != 200 {
		return code
	}
	if new.name == "" {
		new.name = new.email
	}
	switch {
	case !new.active && !as.everything():
		return 403
	case new.name == "":
		return 422
	case old != nil || x.m.find(new.dir.id, new.name) != nil:
		return 409
	}
	new.name = text.Normal(new.name)
	x.m.users = append(x.m.users, new)
	return 201
}

func (x *machine) changeUser(as *user, from, scope, status string, old, new *user) int {
	if scope != "" {
		switch o := x.m.org(scope); {
		case o == nil:
			return 404
		case (as != old || o.from(as, from) == nil) && !o.may(as, from, "PutUser"):
			return 403
		case o.members[old] == nil:
			return 404
		}
	}
	in := len(old.joined) > 0 && !slices.ContainsFunc(old.joined, func(o *org) bool { return !o.may(as, from, "PutUser") })
	if len(old.privileges) > 0 || slices.ContainsFunc(x.m.groups, func(g *group) bool { return x.m.administers(old, g) }) {
		in = false
	}
	name, active := old.name, old.active
	if new.name != "" {
		name = new.name
	}
	if status != "" {
		active = new.active
	}
	switch other := x.m.find(old.dir.id, name); {
	case !as.everything() && as != old && !in:
		return 403
	case !as.everything() && (name != old.name || active != old.active):
		return 403
	case other != nil && other != old:
		return 409
	}
	if slices.Contains(staff, old.name) && (text.Normal(name) != old.name || old.name == "root" && !active) {
		x.t.Skip("the staff keep their names, and root can read")
	}
	old.name, old.active, old.full, old.email = text.Normal(name), active, new.full, new.email
	attributes := map[string][]string{}
	for k, v := range old.attributes {
		if k != "firstName" && k != "lastName" {
			attributes[k] = v
		}
	}
	for k, v := range new.attributes {
		attributes[k] = v
	}
	old.attributes = attributes
	return 200
}
