package adapter_test

import (
	"fmt"
	"slices"
	"strings"
)

// crowdPages reads a list in pages of a random size, as somebody, and holds the IDs
// in it to the model's.
func (x *machine) crowdPages(what string, as *user, method, path, body string, want []string) {
	x.t.Helper()
	var ids []string
	limit := 1 + x.below("page", 4)
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for start := 0; ; start += limit {
		status, answer := x.crowd(as, method, fmt.Sprintf("%s%sstart=%d&limit=%d", path, join, start, limit), body)
		if status != 200 {
			x.t.Fatalf("%s %s by %s: %d %s", method, path, as.name, status, answer)
		}
		page := decodeText[struct {
			Values []struct {
				ID     string
				Entity struct{ ID, Type string }
			}
			Size, Start, Limit int
			IsLastPage         bool
		}](x.t, path, answer)
		if page.Size != len(page.Values) || page.Start != start || page.Limit != limit || page.Size > limit || page.IsLastPage != (start+limit >= len(want)) {
			x.t.Fatalf("%s: a page of %d from %d: %s", path, limit, start, answer)
		}
		for _, v := range page.Values {
			ids = append(ids, v.ID+v.Entity.Type+v.Entity.ID)
		}
		if page.IsLastPage {
			x.same("crowd: "+what, ids, want)
			return
		}
	}
}

func idsOfUsers(prefix string, list []*user) (out []string) {
	for _, u := range list {
		out = append(out, prefix+crowdID(u.dir.id, u.name))
	}
	return out
}

func idsOfGroups(prefix string, list []*group) (out []string) {
	for _, g := range list {
		out = append(out, prefix+crowdID(g.dir.id, g.name))
	}
	return out
}

// same holds a list to the model's.
func (x *machine) same(what string, got, want []string) {
	x.t.Helper()
	if !slices.Equal(got, want) {
		x.t.Fatalf("%s: %q, not %q", what, got, want)
	}
}

// agreeOnCrowd holds the lists of Crowd to the model, those that everybody sees
// and those of who has all rights.
func (x *machine) agreeOnCrowd() {
	x.t.Helper()
	root := x.m.find(local, "root")
	for _, g := range x.m.groups {
		id := crowdID(g.dir.id, x.written(g.name))
		x.crowdPages("members of "+g.String(), root, "GET", "groups/"+id+"/users", "", idsOfUsers("", x.m.usersThat(func(u *user) bool { return g.members[u] })))
		x.crowdPages("groups in "+g.String(), root, "GET", "group/"+id+"/groups", "", idsOfGroups("", x.m.groupsThat(func(sub *group) bool { return g.nested[sub] })))
		admins := append(idsOfGroups("GROUP", x.m.groupsThat(func(by *group) bool { return g.adminGroups[by] })), idsOfUsers("USER", x.m.usersThat(func(u *user) bool { return g.admins[u] }))...)
		x.crowdPages("administrators of "+g.String(), root, "GET", "group-level-admin/"+id+"/admins", "", admins)
		x.crowdPages("suggestions for "+g.String(), root, "GET", "groups/"+id+"/users/suggestions", "", idsOfUsers("", x.m.usersThat(func(u *user) bool { return u.dir == g.dir && !g.members[u] })))
	}
	as := x.caller()
	if !as.active {
		if status, answer := x.crowd(as, "POST", "users/search", `{}`); status != 401 {
			x.t.Fatalf("crowd: %s, who is not active: %d %s", as.name, status, answer)
		}
		return
	}
	x.crowdPages("groups of "+as.name, as, "POST", "groups/query", `{}`, idsOfGroups("", x.m.groupsThat(func(g *group) bool { return x.m.mayChange(as, g) })))
	x.crowdPages("users for "+as.name, as, "POST", "users/search", `{"search":null}`, idsOfUsers("", x.m.usersThat(func(u *user) bool { return x.m.manages(as, u.dir) })))
	found := func(u *user) bool {
		return x.m.manages(as, u.dir) && u.dir.id == local && u.active && strings.Contains(text3(u), "mail1")
	}
	body := fmt.Sprintf(`{"search":"MAIL1","directoryIds":[%d],"active":true}`, local)
	x.crowdPages("active users with mail1 for "+as.name, as, "POST", "users/search", body, idsOfUsers("", x.m.usersThat(found)))
}

// text3 is what a search looks into, folded.
func text3(u *user) string { return strings.ToLower(u.name + "\n" + u.full + "\n" + u.email) }
