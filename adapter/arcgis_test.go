package adapter_test

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/internal/text"
)

// whole is the organisation that is all of the engine.
const whole = arcgis.DefaultOrganization

// arcgis sends a form with the token of somebody and returns the answer and its
// code, 200 for no error.
func (x *machine) arcgis(as *user, organization, operation string, form url.Values) (answer string, code int) {
	x.t.Helper()
	form.Set("f", x.one("f", "json", "json", "pjson"))
	q := request{method: "POST", path: "/arcgis/admin/orgs/" + url.PathEscape(organization) + "/security/" + operation, kind: typeForm}
	q.header = map[string]string{"Referer": "https://client.example/app"}
	if x.rarely("token in a header", 2) {
		q.header["X-Esri-Authorization"] = "Bearer " + x.w.tokens[as.name]
	} else {
		form.Set("token", x.w.tokens[as.name])
	}
	q.body = form.Encode()
	rec := x.w.do(q)
	failed := decode[struct {
		Code  int
		Error struct{ Code int }
	}](x.t, operation, rec)
	if rec.Code != 200 {
		x.t.Fatalf("%s: status %d", operation, rec.Code)
	}
	if code = failed.Code + failed.Error.Code; code == 0 {
		code = 200
	}
	return rec.Body.String(), code
}

// entitled returns the code that somebody gets for a lack of rights, or that the
// organisation gets, 200 if there is nothing wrong.
func (x *machine) entitled(as *user, organization string, privileges ...string) (*org, int) {
	if !as.active {
		return nil, 498
	}
	if !slices.ContainsFunc(append(privileges, access.AllPrivileges), func(p string) bool { return slices.Contains(as.privileges, p) }) {
		return nil, 403
	}
	if organization == whole {
		return nil, 200
	}
	if o := x.m.org(organization); o != nil {
		return o, 200
	}
	return nil, 404
}

func (x *machine) organization() string {
	if o := x.anyOrg(); o != nil && x.rarely("an organisation of the engine", 3) {
		return x.written(o.id)
	}
	if x.rarely("unknown organisation", 20) {
		return "nowhere"
	}
	return whole
}

// shown is how the API shows a name.
func shown(d *directory, name string) string { return d.domain + `\` + name }

// called reports whether text is the name or the domain of a directory.
func (d *directory) called(name string) bool { return same(name, d.domain) || same(name, d.name) }

// local returns the name in the directory that a reference names too.
func (d *directory) local(ref string) (string, bool) {
	if domain, name, ok := strings.Cut(ref, `\`); ok && name != "" && d.called(domain) {
		return name, true
	}
	if i := strings.LastIndexByte(ref, '@'); i > 0 && d.called(ref[i+1:]) {
		return ref[:i], true
	}
	return "", false
}

// meant returns what a reference means by a function that finds a whole name.
func meant[T comparable](m *model, ref string, find func(*directory, string) T) (out []T) {
	var none T
	take := func(d *directory, name string) {
		if v := find(d, name); v != none {
			out = append(out, v)
		}
	}
	for _, d := range m.dirs {
		if domain, name, ok := strings.Cut(ref, `\`); ok && name != "" && same(domain, d.domain) {
			take(d, name)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, d := range m.dirs {
		take(d, ref)
	}
	if len(out) > 0 {
		return out
	}
	for _, d := range m.dirs {
		if name, ok := d.local(ref); ok {
			take(d, name)
		}
	}
	return out
}

// typed is meant for what may have been typed with white space around it.
func typed[T any](ref string, find func(string) []T) []T {
	if all := find(ref); len(all) > 0 {
		return all
	}
	return find(strings.TrimSpace(ref))
}

func (m *model) meantUsers(ref string) []*user {
	return meant(m, ref, func(d *directory, name string) *user { return m.find(d.id, name) })
}

func (m *model) meantGroups(ref string, enterprise bool) []*group {
	return meant(m, ref, func(d *directory, name string) *group {
		if g := m.findGroup(d.id, name); g != nil && (g.enterprise || !enterprise) {
			return g
		}
		return nil
	})
}

// sourceSays changes what the identity source says, which changes nothing else.
func (x *machine) sourceSays() {
	groups := x.m.groupsThat(func(g *group) bool { return g.dir.id == sourced && g.enterprise })
	if len(groups) == 0 {
		return
	}
	g, users := pick(x, "group of the source", groups), several(x, x.anyUser)
	for _, u := range x.m.users {
		if x.w.source.says[u.number] == nil {
			x.w.source.says[u.number] = map[uint64]bool{}
		}
		set(x.w.source.says[u.number], g.number, slices.Contains(users, u))
	}
}

// arcgisRefresh refreshes users or groups.
func (x *machine) arcgisRefresh() {
	x.step("arcgis", func() string {
		x.sourceSays()
		as, organization := x.caller(), x.organization()
		param, right := "users", []string{access.PrivilegeSecurity}
		if x.rarely("groups", 3) {
			param, right = "groups", append(right, access.PrivilegeGroupLinks)
		}
		list := several(x, func() string {
			if x.rarely("unknown", 10) {
				return "nobody"
			}
			if param == "groups" {
				g := x.anyGroup()
				return x.reference(g.dir, g.name)
			}
			u := x.anyUser()
			if in := x.m.usersThat(func(u *user) bool { return u.dir.id == sourced }); len(in) > 0 && !x.rarely("of any directory", 3) {
				u = pick(x, "user of the source", in)
			}
			return x.reference(u.dir, u.name)
		})
		_, want := x.entitled(as, organization, right...)
		if want == 200 {
			for ref := range strings.SplitSeq(strings.Join(list, ","), ",") {
				if param == "users" {
					x.refreshed(strings.TrimSpace(ref))
				} else {
					x.refreshedGroup(strings.TrimSpace(ref))
				}
			}
		}
		answer, code := x.arcgis(as, organization, param+"/refreshMembership", url.Values{param: {strings.Join(list, ",")}})
		what := fmt.Sprintf("refresh %q by %s", list, as.name)
		if code != want || code == 200 && !strings.Contains(answer, `"success"`) {
			x.t.Fatalf("%s: %s, not %d", what, answer, want)
		}
		return fmt.Sprintf("%s: %d", what, want)
	})
}

// reference writes the name of a user or group in one of the forms there are.
func (x *machine) reference(d *directory, name string) string {
	name = x.written(name)
	switch x.one("reference", `d\n`, "n@d", "n") {
	case `d\n`:
		return x.one("domain", d.domain, d.name, strings.ToUpper(d.domain)) + `\` + name
	case "n@d":
		return name + "@" + d.domain
	}
	return name
}

// refreshed does to the model what the source does for a user.
func (x *machine) refreshed(ref string) {
	users := x.m.meantUsers(ref)
	if name, ok := x.m.directory(sourced).local(ref); ok && !slices.ContainsFunc(users, func(u *user) bool { return u.dir.id == sourced }) {
		if u := x.m.find(sourced, name); u != nil {
			users = append(users, u) // somebody else is called like the whole of it
		}
	}
	for _, u := range users {
		for _, g := range x.m.groups {
			if u.dir.id == sourced && g.dir.id == sourced && g.enterprise {
				set(g.members, u, x.w.source.says[u.number][g.number])
			}
		}
	}
}

func (x *machine) refreshedGroup(ref string) {
	groups := x.m.meantGroups(ref, false)
	if name, ok := x.m.directory(sourced).local(ref); ok && !slices.ContainsFunc(groups, func(g *group) bool { return g.dir.id == sourced }) {
		if g := x.m.findGroup(sourced, name); g != nil {
			groups = append(groups, g)
		}
	}
	for _, g := range groups {
		if g.dir.id != sourced || !g.enterprise {
			continue
		}
		clear(g.members)
		for _, u := range x.m.users {
			if u.dir.id == sourced && x.w.source.says[u.number][g.number] {
				g.members[u] = true
			}
		}
	}
}

// arcgisCreate makes a user with a password, or takes one of a directory into an
// organisation.
func (x *machine) arcgisCreate() {
	x.step("arcgis", func() string {
		as, organization := x.caller(), x.organization()
		form := url.Values{
			"username": {x.one("name", newNames...)}, "firstname": {"Fi <b>"}, "lastname": {"Rst"}, "email": {x.one("email", "", "new@example.org")},
			"description": {"d"}, "role": {x.one("role", "org_user", "org_admin", "org_chief")},
		}
		if x.rarely("enterprise", 2) {
			form.Set("provider", "enterprise")
			form.Set("idpUsername", x.one("domain", "lab", "corp.example", "lab <b>", "nowhere", builtIn)+`\`+x.one("as", form.Get("username"), strings.ToUpper(form.Get("username")), "another"))
		} else {
			form.Set("password", x.one("password", "correct horse 1", "correct horse 1", "short1"))
		}
		code := x.createdBy(as, organization, form)
		answer, got := x.arcgis(as, organization, "users/createUser", form)
		if got != code {
			x.t.Fatalf("createUser %v by %s under %q: %s, not %d", form, as.name, organization, answer, code)
		}
		x.number(form)
		return fmt.Sprintf("createUser %v by %s under %q: %d", form, as.name, organization, code)
	})
}

// createdBy does createUser to the model and returns its code.
func (x *machine) createdBy(as *user, organization string, form url.Values) int {
	name, enterprise := form.Get("username"), form.Get("provider") == "enterprise"
	o, code := x.entitled(as, organization, access.PrivilegeSecurity)
	switch {
	case code == 498:
		return code
	case form.Get("role") == "org_chief" || strings.Contains(name, ".") || !enterprise && len(form.Get("password")) < 8:
		return 400
	case code != 200:
		return code
	}
	var d *directory
	if enterprise {
		if d, name = x.home(name, form.Get("idpUsername")); d == nil {
			return 400
		}
	} else if len(x.m.meantUsers(name)) > 0 {
		return 400
	}
	attributes := map[string][]string{arcgis.RoleAttribute: form["role"]}
	var u *user
	if enterprise {
		u = x.m.find(d.id, name)
	}
	switch {
	case u != nil && (o == nil || o.members[u] != nil):
		return 400
	case u != nil:
		if u.attributes == nil {
			u.attributes = map[string][]string{}
		}
		u.attributes[arcgis.RoleAttribute] = form["role"]
	default:
		if d == nil {
			d = x.builtIn()
		}
		u = &user{dir: d, name: text.Normal(name), full: "Fi <b> Rst", email: form.Get("email"), desc: "d", active: true, attributes: attributes, password: !enterprise}
		x.m.users = append(x.m.users, u)
	}
	if form.Get("role") == "org_admin" && !slices.Contains(u.privileges, access.PrivilegeSecurity) {
		u.privileges = append(u.privileges, access.PrivilegeSecurity)
		slices.Sort(u.privileges)
	}
	if o != nil {
		x.m.join(o, u, &member{})
	}
	return 200
}

// home returns where an enterprise user belongs, nil if nowhere.
func (x *machine) home(username, idp string) (*directory, string) {
	for _, d := range x.m.dirs {
		name, ok := d.local(idp)
		if !ok || d.called(builtIn) {
			continue
		}
		if as, ok := d.local(username); same(name, username) || ok && same(as, name) {
			return d, name
		}
		return nil, ""
	}
	return nil, ""
}

// builtIn returns the directory of users with a password, which the first makes.
func (x *machine) builtIn() *directory {
	for _, d := range x.m.dirs {
		if d.name == builtIn {
			return d
		}
	}
	d := &directory{x.m.dirs[len(x.m.dirs)-1].id + 1, builtIn, builtIn}
	x.m.dirs = append(x.m.dirs, d)
	return d
}

// number takes the number that the engine has given to a new user, which must be one
// that nobody has.
func (x *machine) number(what any) {
	x.t.Helper()
	i := slices.IndexFunc(x.m.users, func(u *user) bool { return u.number == 0 })
	if i < 0 {
		return
	}
	u := x.m.users[i]
	n, uid := x.numberOf(u)
	if n == 0 || slices.ContainsFunc(x.m.users, func(other *user) bool { return other != u && (other.number == n || other.uid == uid) }) {
		x.t.Fatalf("%v: %v has number %d and uid %q", what, u, n, uid)
	}
	u.number = n
	u.uid = cmp.Or(u.uid, fmt.Sprintf("usr_%d", n))
}
