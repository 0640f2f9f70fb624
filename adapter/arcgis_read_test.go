package adapter_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// numberOf returns the number and the uid that the engine has given to a user.
func (x *machine) numberOf(u *user) (number uint64, uid string) {
	x.w.view(x.t, func(tx *roster.Txn) {
		if id, ok := tx.UserByName(u.dir.id, u.name); ok {
			rec, err := tx.User(id)
			if err != nil {
				x.t.Fatalf("%v", err)
			}
			number, uid = rec.Number, rec.UID
		}
	})
	return number, uid
}

// arcgisList is a list of users or groups as the API answers it.
type arcgisList struct {
	Users []struct{ Username, Description, Email, Fullname string }
	// Groups are texts, or objects with a rolename.
	Groups  []any
	HasMore bool
}

// list asks for a list that must be there.
func (x *machine) list(operation string, form url.Values) arcgisList {
	x.t.Helper()
	answer, code := x.arcgis(x.m.find(local, "root"), whole, operation, form)
	if code != 200 {
		x.t.Fatalf("%s %v: %s", operation, form, answer)
	}
	return decodeText[arcgisList](x.t, operation, answer)
}

func (l *arcgisList) users() (out []string) {
	for _, u := range l.Users {
		out = append(out, fmt.Sprintf("%q %q %q %q", u.Username, u.Description, u.Email, u.Fullname))
	}
	return out
}

func (l *arcgisList) groups() (out []string) {
	for _, g := range l.Groups {
		if of, ok := g.(map[string]any); ok {
			g = of["rolename"]
		}
		out = append(out, fmt.Sprint(g))
	}
	return out
}

func shownUsers(list []*user) (out []string) {
	for _, u := range list {
		out = append(out, fmt.Sprintf("%q %q %q %q", shown(u.dir, u.name), u.desc, u.email, u.full))
	}
	return out
}

func shownGroups(list []*group) (out []string) {
	for _, g := range list {
		out = append(out, shown(g.dir, g.name))
	}
	return out
}

// firstOf asks for as many of a list as chance has it, and holds what comes to
// the beginning of what is expected.
func (x *machine) firstOf(what, operation string, form url.Values, want []string) {
	x.t.Helper()
	n := 1 + x.below("maxCount", 9)
	if form.Set("maxCount", strconv.Itoa(n)); x.rarely("no maxCount", 4) {
		form.Del("maxCount")
		n = 1000
	}
	got := x.list(operation, form)
	x.same(fmt.Sprintf("arcgis: the first %d of %s", n, what), append(got.users(), got.groups()...), want[:min(n, len(want))])
	if got.HasMore != (len(want) > n) {
		x.t.Fatalf("arcgis: %d of %d of %s, hasMore %v", n, len(want), what, got.HasMore)
	}
}

// fits reports whether a filter fits a name or, for users, a full name.
func fits(filter string, d *directory, name, full string) bool {
	filter, name, full = text.Fold(filter), text.Fold(name), text.Fold(full)
	domain := text.Fold(d.domain)
	match := strings.HasPrefix
	if strings.Contains(filter, "*") && strings.Trim(filter, "*") != "" {
		match = glob
		if glob(full, filter) {
			return true
		}
	}
	if strings.Trim(filter, "*") == "" || match(name, filter) || match(domain+`\`+name, filter) || match(name+"@"+domain, filter) {
		return true
	}
	inWord := false
	for i, r := range full {
		word := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if word && !inWord && strings.HasPrefix(full[i:], filter) {
			return true
		}
		if r != '\'' { // which ends no word
			inWord = word
		}
	}
	return false
}

// glob reports whether a pattern fits a whole text.
func glob(s, pattern string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return glob(s, pattern[1:]) || s != "" && glob(s[1:], pattern)
	}
	return s != "" && s[0] == pattern[0] && glob(s[1:], pattern[1:])
}

// filter draws one of a name that there may be.
func (x *machine) filter(name string) string {
	runes := []rune(name)
	runes = runes[:min(len(runes), 1+x.below("so much of it", 4))]
	switch x.one("filter", "none", "beginning", "beginning", "pattern", "all") {
	case "beginning":
		return strings.TrimSpace(x.written(string(runes)))
	case "pattern":
		return "*" + strings.TrimSpace(x.written(string(runes))) + "*"
	case "all":
		return "**"
	}
	return ""
}

// agreeOnArcGIS holds what this API shows to the model.
func (x *machine) agreeOnArcGIS() {
	x.t.Helper()
	everybody := func(*user) bool { return true }
	x.firstOf("users", "users/searchEnterpriseUsers", url.Values{}, shownUsers(x.m.usersThat(everybody)))
	enterprise := func(g *group) bool { return g.enterprise }
	x.firstOf("groups", "groups/searchEnterpriseGroups", url.Values{}, shownGroups(x.m.groupsThat(enterprise)))
	x.agreeOnTotals()
	x.agreeOnShown()
	for _, g := range x.m.groups {
		ref := x.reference(g.dir, g.name)
		form := url.Values{"groupName": {ref}}
		switch all := typed(ref, func(ref string) []*group { return x.m.meantGroups(ref, true) }); len(all) {
		case 1:
			f := x.filter(x.anyUser().name)
			form.Set("filter", f)
			x.firstOf(fmt.Sprintf("users within %q that %q fits", ref, f), "groups/getUsersWithinEnterpriseGroup", form,
				shownUsers(x.m.usersThat(func(u *user) bool { return x.m.within(u, all[0]) && fits(f, u.dir, u.name, u.full) })))
		default:
			x.refused("groups/getUsersWithinEnterpriseGroup", form, len(all))
		}
	}
	for _, u := range x.m.users {
		ref := x.reference(u.dir, u.name)
		form := url.Values{"username": {ref}}
		switch all := typed(ref, x.m.meantUsers); len(all) {
		case 1:
			f := x.filter(x.anyGroup().name)
			form.Set("filter", f)
			in := x.m.groupsThat(func(g *group) bool { return g.enterprise && x.m.within(all[0], g) && fits(f, g.dir, g.name, "") })
			x.firstOf(fmt.Sprintf("groups of %q that %q fits", ref, f), "groups/getEnterpriseGroupsForUser", form, shownGroups(in))
			one, _ := x.arcgis(x.m.find(local, "root"), whole, "users/getEnterpriseUser", url.Values{"username": {ref}})
			got := decodeText[struct{ Username, Description, Email, Fullname string }](x.t, ref, one)
			x.same("arcgis: user "+ref, []string{fmt.Sprintf("%q %q %q %q", got.Username, got.Description, got.Email, got.Fullname)}, shownUsers(all))
		default:
			x.refused("groups/getEnterpriseGroupsForUser", form, len(all))
		}
	}
}

// agreeOnShown asks for everybody by the name that is shown.
func (x *machine) agreeOnShown() {
	x.t.Helper()
	for _, u := range x.m.users {
		one, _ := x.arcgis(x.m.find(local, "root"), whole, "users/getEnterpriseUser", url.Values{"username": {shown(u.dir, u.name)}})
		got := decodeText[struct{ Username string }](x.t, u.String(), one)
		x.same("arcgis: user "+u.String(), []string{got.Username}, []string{shown(u.dir, u.name)})
	}
	for _, g := range x.m.groupsThat(func(g *group) bool { return g.enterprise }) {
		x.firstOf("users within "+g.String(), "groups/getUsersWithinEnterpriseGroup", url.Values{"groupName": {shown(g.dir, g.name)}},
			shownUsers(x.m.usersThat(func(u *user) bool { return x.m.within(u, g) })))
	}
}

// refused asks with a name that means nothing, or several things.
func (x *machine) refused(operation string, form url.Values, n int) {
	x.t.Helper()
	want := 404
	if n > 1 {
		want = 400
	}
	if answer, code := x.arcgis(x.m.find(local, "root"), whole, operation, form); code != want {
		x.t.Fatalf("%s %v means %d things: %s", operation, form, n, answer)
	}
}

// agreeOnTotals holds the two totals to the model, for a random caller under a
// random organisation.
func (x *machine) agreeOnTotals() {
	x.t.Helper()
	as, organization := x.caller(), x.organization()
	for _, what := range []string{"users", "groups"} {
		rights := []string{access.PrivilegeSecurity}
		if what == "groups" {
			rights = append(rights, access.PrivilegeGroupLinks)
		}
		o, want := x.entitled(as, organization, rights...)
		answer, code := x.arcgis(as, organization, what, url.Values{})
		if code != want {
			x.t.Fatalf("arcgis: %s for %s under %q: %s, not %d", what, as.name, organization, answer, want)
		}
		got := decodeText[struct{ TotalUsers, TotalGroups int }](x.t, what, answer)
		total := map[string]int{"users": len(x.m.users), "groups": len(x.m.groups)}[what]
		if o != nil && what == "users" {
			total = len(o.members)
		}
		if code == 200 && got.TotalUsers+got.TotalGroups != total {
			x.t.Fatalf("arcgis: %d %s, not %d", got.TotalUsers+got.TotalGroups, what, total)
		}
	}
}
