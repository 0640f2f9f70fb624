package adapter_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const memberPath = "/api/ingress/user_group_members"

// ingress sends a request with the API key of somebody. The parameters are arrays,
// in one of the forms that the API reads.
func (x *machine) ingress(as *user, method, path string, users, groups []string) (status int, answer string) {
	q := request{method: method, path: path, header: map[string]string{"tld-api-id": as.name, "tld-api-key": x.w.secrets[as.name]}}
	u, g := x.one("alias", "user_id", "user_ids", "users"), x.one("alias", "group_id", "group_ids", "groups")
	form := url.Values{u + "[]": users, g + "[]": groups}
	switch x.one("form", "JSON", "form", "multipart", "address") {
	case "JSON":
		q.kind, q.body = typeJSON, marshal(map[string]any{u: numbers(users), g: groups})
	case "form":
		q.kind, q.body = typeForm, form.Encode()
	case "multipart":
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, name := range []string{u + "[]", g + "[]"} {
			for _, v := range form[name] {
				if err := w.WriteField(name, v); err != nil {
					x.t.Fatalf("%v", err)
				}
			}
		}
		w.Close()
		q.kind, q.body = w.FormDataContentType(), b.String()
	case "address":
		q.path += "?" + form.Encode()
	}
	rec := x.w.do(q)
	return rec.Code, rec.Body.String()
}

// numbers makes JSON numbers of those that are some.
func numbers(list []string) (out []any) {
	for _, s := range list {
		if n, ok := byNumber(s); ok {
			out = append(out, n)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// userNumber draws how a user is named, mostly well.
func (x *machine) userNumber(as *user) string {
	if x.rarely("unknown", 15) {
		return x.one("junk", "999", "nobody", "-1", "0105")
	}
	return strconv.FormatUint(x.userFor(as).number, 10)
}

// groupRef draws how a group is named: by number or by name.
func (x *machine) groupRef(as *user) string {
	if x.rarely("unknown", 15) {
		return x.one("junk", "999", "nobody", "-1", "007")
	}
	g := x.groupFor(as)
	if x.rarely("by name", 2) {
		return x.written(g.name)
	}
	return strconv.FormatUint(g.number, 10)
}

// byNumber returns what a text means as a number, written plainly.
func byNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == s
}

// ingressUsers finds the users that are asked for, or the error.
func (x *machine) ingressUsers(as *user, list []string) (found []*user, problem string) {
	missing := false
	for _, s := range list {
		n, ok := byNumber(s)
		i := slices.IndexFunc(x.m.users, func(u *user) bool { return ok && u.number == n && x.m.manages(as, u.dir) })
		if i < 0 {
			missing = true
		} else if !slices.Contains(found, x.m.users[i]) {
			found = append(found, x.m.users[i])
		}
	}
	switch {
	case len(found) == 0:
		return nil, "Could not Find Users"
	case missing:
		return nil, "Users Found does not match Users Requested"
	}
	return found, ""
}

func (x *machine) ingressGroups(as *user, list []string) (found []*group, problem string) {
	wrong := false
	for _, s := range list {
		all := x.ingressGroup(as, s)
		wrong = wrong || len(all) != 1
		for _, g := range all {
			if !slices.Contains(found, g) {
				found = append(found, g)
			}
		}
	}
	switch {
	case len(list) > 0 && len(found) == 0:
		return nil, "Could not Find User Groups"
	case wrong:
		return nil, "User Groups Found does not match User Groups Requested"
	}
	return found, ""
}

// ingressGroup returns the groups that a number or a name means to somebody.
func (x *machine) ingressGroup(as *user, ref string) []*group {
	n, ok := byNumber(strings.TrimSpace(ref))
	if out := x.m.groupsThat(func(g *group) bool { return ok && g.number == n && x.m.mayChange(as, g) }); len(out) > 0 {
		return out
	}
	return typed(ref, func(s string) []*group {
		return x.m.groupsThat(func(g *group) bool { return same(g.name, s) && x.m.mayChange(as, g) })
	})
}

func (x *machine) ingressChange() {
	x.step("ingress", func() string {
		as, do := x.caller(), x.one("action", "POST", "POST", "PUT", "DELETE", "DROP")
		users := several(x, func() string { return x.userNumber(as) })
		var groups []string
		if do != "DROP" && !x.rarely("no groups", 10) || do == "DROP" && x.rarely("groups", 4) {
			groups = several(x, func() string { return x.groupRef(as) })
		}
		if do == "DELETE" || do == "DROP" {
			u, g := x.memberOf(x.groupFor(as))
			if users[0] = strconv.FormatUint(u.number, 10); len(groups) > 0 {
				groups[0] = strconv.FormatUint(g.number, 10)
			}
		}
		want := x.expectIngress(as, do, users, groups)
		method, path := do, memberPath
		if do == "DROP" {
			method, path = "DELETE", path+"/drop"
		}
		status, answer := x.ingress(as, method, path, users, groups)
		what := fmt.Sprintf("%s by %s of %q and %q", do, as.name, users, groups)
		if got := strings.TrimSpace(answer); got != want || (status == 200) != !strings.Contains(want, `"error"`) || status != 200 && status != 400 {
			x.t.Fatalf("%s: %d %s, not %s", what, status, got, want)
		}
		return what + ": " + want
	})
}

// expectIngress changes the model and returns the answer.
func (x *machine) expectIngress(as *user, do string, userRefs, groupRefs []string) string {
	fail := func(text string) string { return marshal(map[string]string{"error": text}) }
	if !as.active {
		return fail("Invalid API Key")
	}
	users, problem := x.ingressUsers(as, userRefs)
	if problem != "" {
		return fail(problem)
	}
	if len(groupRefs) == 0 && do != "DROP" {
		return fail("Missing User Group IDs")
	}
	groups, problem := x.ingressGroups(as, groupRefs)
	if problem != "" {
		return fail(problem)
	}
	var may []*group // whose memberships can be dropped: looked at before anything changes
	for _, g := range x.m.groups {
		if x.m.mayChange(as, g) {
			may = append(may, g)
		}
	}
	added, dropped := 0, 0
	for _, u := range users {
		for _, g := range groups {
			switch {
			case (do == "POST" || do == "PUT") && !g.members[u]:
				g.members[u] = true
				added++
			case do == "DELETE" && g.members[u]:
				delete(g.members, u)
				dropped++
			}
		}
		for _, g := range may {
			if g.members[u] && (do == "DROP" || do == "PUT" && !slices.Contains(groups, g)) {
				delete(g.members, u)
				dropped++
			}
		}
	}
	return ingressAnswer(do, len(users), added, dropped)
}

func ingressAnswer(do string, users, added, dropped int) string {
	past := map[string]string{"POST": "Added", "PUT": "Replaced", "DELETE": "Removed", "DROP": "Dropped"}[do]
	text := fmt.Sprintf("%d User Groups were %s for %d Users.", added+dropped, past, users)
	if do == "PUT" {
		text = fmt.Sprintf("%d User Groups were Added and %d User Groups were Dropped for %d Users.", added, dropped, users)
	}
	if added+dropped == 0 {
		text = fmt.Sprintf("No User Groups were %s.", past)
	}
	switch do {
	case "POST":
		return fmt.Sprintf(`{"message":"%s","added":%d}`, text, added)
	case "PUT":
		return fmt.Sprintf(`{"message":"%s","added":%d,"dropped":%d}`, text, added, dropped)
	case "DELETE":
		return fmt.Sprintf(`{"message":"%s","removed":%d}`, text, dropped)
	}
	return fmt.Sprintf(`{"message":"%s","dropped":%d}`, text, dropped)
}

// agreeOnIngress asks what this API can tell without changing anything: who is in a
// group cannot be added to it, and who is not cannot be removed.
func (x *machine) agreeOnIngress() {
	x.t.Helper()
	root := x.m.find(local, "root")
	g := x.anyGroup()
	var in, out []string
	for _, u := range x.m.users {
		n := strconv.FormatUint(u.number, 10)
		if g.members[u] {
			in = append(in, n)
		} else {
			out = append(out, n)
		}
	}
	number := []string{strconv.FormatUint(g.number, 10)}
	for do, list := range map[string][]string{"POST": in, "DELETE": out} {
		if len(list) == 0 {
			continue
		}
		q := request{
			method: do, path: memberPath, kind: typeJSON, body: marshal(map[string]any{"user_id": list, "group_id": number}),
			header: map[string]string{"tld-api-id": root.name, "tld-api-key": x.w.secrets[root.name]},
		}
		if rec := x.w.do(q); strings.TrimSpace(rec.Body.String()) != ingressAnswer(do, len(list), 0, 0) {
			x.t.Fatalf("ingress: %s of %q and %s changes something: %s", do, list, g, rec.Body)
		}
	}
}
