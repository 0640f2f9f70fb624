package adapter_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster/internal/text"
)

// roles returns the organisation whose roles somebody means, or the status.
func (x *machine) rolesOf(as *user, scope string) (*org, int) {
	o := as.chosen
	if scope != "" {
		o = x.m.org(scope)
	}
	switch {
	case !as.active:
		return nil, 401
	case o == nil:
		return nil, 404
	}
	return o, 200
}

func (x *machine) rebillyRole() {
	x.step("rebilly", func() string {
		as, from, scope, _ := x.place()
		id, permissions := x.written(x.one("role", roleIDs...)), []string{x.one("permission", "GetMembershipCollection", "DeleteMembership", "*", "GetUser"), "ü <b>"}
		body := map[string]any{"name": "R " + id, "permissions": permissions}
		segments, method := []string{"roles"}, "POST"
		if body["id"] = id; x.rarely("PUT", 2) {
			segments, method = append(segments, id), "PUT"
		}
		o, want := x.rolesOf(as, scope)
		switch {
		case want != 200:
		case !o.owns(as, from):
			want = 403
		case o.role(id) == nil:
			o.putRole(text.Normal(id), "R "+id, permissions)
			want = 201
		case method == "POST":
			want = 409
		default:
			o.putRole(id, "R "+id, permissions)
		}
		return x.change(as, from, method, scope, segments, marshal(body), want)
	})
}

func (x *machine) rebillyDeleteRole() {
	x.step("rebilly", func() string {
		as, from, scope, _ := x.place()
		id := x.written(x.one("role", roleIDs...))
		o, want := x.rolesOf(as, scope)
		switch {
		case want != 200:
		case !o.owns(as, from):
			want = 403
		case o.role(id) == nil:
			want = 404
		case o.holders(o.role(id)) > 0:
			want = 409
		default:
			want = 204
			r := o.role(id)
			o.roles = slices.DeleteFunc(o.roles, func(other *role) bool { return other == r })
		}
		return x.change(as, from, "DELETE", scope, []string{"roles", id}, "", want)
	})
}

func (x *machine) rebillyOrganization() {
	x.step("rebilly", func() string {
		as, from, scope, _ := x.place()
		id, name := x.written(x.one("organisation", orgIDs...)), x.one("name", "A <b>", "Ünion")
		body := map[string]any{"name": name, "id": id}
		segments, method := []string{"organizations"}, "POST"
		if x.rarely("PUT", 2) {
			segments, method = append(segments, id), "PUT"
		}
		if method == "PUT" && scope == "" {
			delete(body, "id")
		}
		o, want := x.m.org(id), 200
		switch {
		case !as.active:
			want = 401
		case o == nil && scope != "":
			want = 404
		case o == nil && !as.everything():
			want = 403
		case o == nil:
			want = 201
			x.m.addOrg(text.Normal(id), name)
		case x.reached(scope, id) == nil:
			want = 404
		case !o.owns(as, from):
			want = 403
		case method == "POST":
			want = 409
		default:
			o.name = name
		}
		return x.change(as, from, method, scope, segments, marshal(body), want)
	})
}

// membershipJSON is what is looked at of a membership.
type membershipJSON struct {
	Organization         struct{ ID, Name string }
	User                 struct{ ID, Name, Email string }
	IsOwner, IsDefault   bool
	Permissions, RoleIds []string
	AllowedIps           []string
	ACL                  []struct{ Permissions []string }
	Links                []struct{ Href string }               `json:"_links"`
	Embedded             struct{ Roles []struct{ ID string } } `json:"_embedded"`
}

func (j *membershipJSON) line() string {
	acl, roles := []string{}, []string{}
	for _, a := range j.ACL {
		acl = append(acl, a.Permissions...)
	}
	for _, r := range j.Embedded.Roles {
		roles = append(roles, r.ID)
	}
	return fmt.Sprintf("%q %q %q %q %q %v %v %q %q %q %q %q", j.Organization.ID, j.Organization.Name, j.User.ID, j.User.Name, j.User.Email,
		j.IsOwner, j.IsDefault, j.Permissions, j.RoleIds, j.AllowedIps, acl, roles)
}

// readable is what a user is called.
func (u *user) readable() string { return cmp.Or(u.full, u.name) }

func (o *org) line(u *user) string {
	mem := o.members[u]
	roles := []string{}
	for _, r := range mem.roles {
		roles = append(roles, r.id)
	}
	return fmt.Sprintf("%q %q %q %q %q %v %v %q %q %q %q %q", o.id, o.name, u.uid, u.readable(), u.email,
		mem.owner, u.chosen == o, mem.permissions, roles, mem.allowed, o.permissions(mem), roles)
}

// pages reads a list in pages of a random size.
func pages[T any](x *machine, as *user, from, scope, path, query string) (out []T) {
	x.t.Helper()
	limit := 1 + x.below("page", 9)
	for {
		rec := x.rebilly(as, from, "GET", scope, []string{path}, fmt.Sprintf("?limit=%d&offset=%d%s", limit, len(out), query), "")
		var page []T
		if err := json.Unmarshal(rec.Body.Bytes(), &page); rec.Code != 200 || err != nil {
			x.t.Fatalf("rebilly: %s: %d %s", path, rec.Code, rec.Body)
		}
		out = append(out, page...)
		total, err := strconv.Atoi(rec.Header().Get("Pagination-Total"))
		if err != nil || len(page) > limit || len(page) < limit && len(out) != total {
			x.t.Fatalf("rebilly: %s: a page of %d, %d up to there of %d", path, len(page), len(out), total)
		}
		if len(page) < limit {
			return out
		}
	}
}

// orgsByID are the organisations in the order of Rebilly's lists.
func (m *model) orgsByID() []*org {
	list := slices.Clone(m.orgs)
	slices.SortFunc(list, func(a, b *org) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.id), strings.ToLower(b.id)), strings.Compare(a.id, b.id))
	})
	return list
}

func (x *machine) agreeOnRebilly() {
	x.t.Helper()
	root := x.m.find(local, "root")
	x.agreeOnMemberships()
	for _, o := range x.m.orgs {
		for _, u := range x.m.users {
			if strings.Contains(u.uid, "/") {
				continue // which no path can name
			}
			rec := x.rebilly(root, "", "GET", "", []string{"memberships", o.id, u.uid}, "?expand=roles", "")
			if o.members[u] == nil {
				if rec.Code != 404 {
					x.t.Fatalf("rebilly: %v in %q: %d %s", u, o.id, rec.Code, rec.Body)
				}
				continue
			}
			got := decode[membershipJSON](x.t, "membership", rec)
			x.same("rebilly: a membership", []string{got.line()}, []string{o.line(u)})
			if again := x.w.do(request{method: "GET", path: got.Links[0].Href, header: map[string]string{"REB-APIKEY": x.w.secrets["root"]}}); again.Code != 200 {
				x.t.Fatalf("rebilly: nothing at %s", got.Links[0].Href)
			}
		}
	}
	x.agreeOnRebillyUsers(root)
	x.agreeOnRoles(root)
}

// agreeOnMemberships reads the lists that somebody sees, of all organisations and of
// one, with a filter and without.
func (x *machine) agreeOnMemberships() {
	as, from := x.caller(), x.one("from", addresses...)
	if !as.active {
		if rec := x.rebilly(as, from, "GET", "", []string{"memberships"}, "", ""); rec.Code != 401 {
			x.t.Fatalf("rebilly: %s, who is not active: %d %s", as.name, rec.Code, rec.Body)
		}
		return
	}
	var all, owners []string
	for _, o := range x.m.orgsByID() {
		for _, u := range x.m.usersThat(func(u *user) bool { return o.members[u] != nil }) {
			if o.may(as, from, "GetMembershipCollection") || as == u && o.from(u, from) != nil {
				if all = append(all, o.line(u)); o.members[u].owner {
					owners = append(owners, o.line(u))
				}
			}
		}
	}
	lines := func(list []membershipJSON) (out []string) {
		for _, j := range list {
			out = append(out, j.line())
		}
		return out
	}
	x.same("rebilly: memberships for "+as.name, lines(pages[membershipJSON](x, as, from, "", "memberships", "&expand=roles")), all)
	x.same("rebilly: owners for "+as.name, lines(pages[membershipJSON](x, as, from, "", "memberships", "&expand=roles&filter=isOwner:true")), owners)
}

func (x *machine) agreeOnRebillyUsers(root *user) {
	type userJSON struct{ ID, Username, Email, Name, FirstName, LastName, Status string }
	var want, got []string
	line := func(j userJSON) string {
		return fmt.Sprintf("%q", []string{j.ID, j.Username, j.Email, j.Name, j.Status})
	}
	for _, u := range x.m.usersThat(func(*user) bool { return true }) {
		status := map[bool]string{true: "active", false: "inactive"}[u.active]
		want = append(want, line(userJSON{ID: u.uid, Username: u.name, Email: u.email, Name: u.readable(), Status: status}))
		if !strings.Contains(u.uid, "/") {
			one := decode[userJSON](x.t, "user", x.rebilly(root, "", "GET", "", []string{"users", u.uid}, "", ""))
			x.same("rebilly: a user", []string{line(one)}, want[len(want)-1:])
		}
	}
	for _, j := range pages[userJSON](x, root, "", "", "users", "") {
		got = append(got, line(j))
	}
	x.same("rebilly: users", got, want)
}

func (x *machine) agreeOnRoles(root *user) {
	type roleJSON struct {
		ID, Name    string
		Permissions []string
		UsersCount  int
	}
	var orgs, wantOrgs []string
	for _, j := range pages[struct{ ID, Name string }](x, root, "", "", "organizations", "") {
		orgs = append(orgs, fmt.Sprintf("%q %q", j.ID, j.Name))
	}
	for _, o := range x.m.orgsByID() {
		wantOrgs = append(wantOrgs, fmt.Sprintf("%q %q", o.id, o.name))
		var got, want []string
		for _, j := range pages[roleJSON](x, root, "", x.written(o.id), "roles", "") {
			got = append(got, fmt.Sprintf("%q %q %q %d", j.ID, j.Name, j.Permissions, j.UsersCount))
		}
		for _, r := range o.roles {
			want = append(want, fmt.Sprintf("%q %q %q %d", r.id, r.name, r.permissions, o.holders(r)))
		}
		x.same("rebilly: roles of "+o.id, got, want)
	}
	x.same("rebilly: organizations", orgs, wantOrgs)
}
