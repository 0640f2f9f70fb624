package rebilly_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/rebilly"
	"pgregory.net/rapid"
)

// naive is a membership as a list without any engine has it.
type naive struct {
	org, orgName             string
	created                  time.Time
	user, name, email, login string
	owner, standard          bool
	roles, permissions       []string
}

var (
	someNames = []string{"", "Ada L", "ada l", "Müller", "-x", "(a) b", "O'Neil", "李", "J. R.", "Ada"}
	someMails = []string{"", "ada@example.com", "ADA@example.com", "b@x", "a.b+c@example.org"}
	someRoles = []string{"Role_a", "role_b"}
	somePerms = []string{"GetOrder", "*", "getorder"}
)

// populate fills three organisations at random and returns what is in them, in the
// order of lists.
func populate(t *rapid.T, w *world) (all []naive) {
	users, err := 0, error(nil)
	w.update(func(tx *roster.Txn) error {
		for i, org := range []string{"org_A", "org_b", "org_C"} {
			created := w.Now().Add(time.Duration(i) * time.Hour)
			if _, err := tx.PutOrganization(roster.Organization{ID: org, Name: []string{"Same", "same", "Other"}[i], Created: created}); err != nil {
				return err
			}
			for _, role := range someRoles {
				if _, err := tx.PutRole(roster.Role{Organization: org, ID: role, Permissions: []string{"x"}}); err != nil {
					return err
				}
			}
		}
		for users = range rapid.IntRange(0, 12).Draw(t, "users") {
			n := naive{
				user: "u" + strconv.Itoa(users), login: rapid.SampledFrom([]string{"a", "B", "ä", "c"}).Draw(t, "login") + strconv.Itoa(users),
				name: rapid.SampledFrom(someNames).Draw(t, "name"), email: rapid.SampledFrom(someMails).Draw(t, "email"),
			}
			id, err := tx.CreateUser(roster.User{Directory: 1, UID: n.user, Username: n.login, FullName: n.name, Email: n.email, Active: true})
			if err != nil {
				return err
			}
			n.name = cmp.Or(n.name, n.login)
			for i, org := range []string{"org_A", "org_b", "org_C"} {
				if !rapid.Bool().Draw(t, "joins") {
					continue
				}
				m := n
				m.org, m.orgName, m.created = org, []string{"Same", "same", "Other"}[i], w.Now().Add(time.Duration(i)*time.Hour)
				m.owner = rapid.Bool().Draw(t, "owner")
				m.roles = rapid.SliceOfNDistinct(rapid.SampledFrom(someRoles), 0, 2, rapid.ID).Draw(t, "roles")
				m.permissions = rapid.SliceOfNDistinct(rapid.SampledFrom(somePerms), 0, 2, rapid.ID).Draw(t, "permissions")
				m.standard = !slices.ContainsFunc(all, func(o naive) bool { return o.user == m.user })
				if _, err = tx.PutOrgMembership(roster.OrgMembership{Organization: org, User: id, Owner: m.owner, Roles: m.roles, Permissions: m.permissions}); err != nil {
					return err
				}
				all = append(all, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(all, func(a, b naive) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.org), strings.ToLower(b.org)), strings.Compare(strings.ToLower(a.login), strings.ToLower(b.login)))
	})
	return all
}

// condition is a clause of a filter and what it means.
type condition struct {
	text  string
	holds func(naive) bool
}

func drawCondition(t *rapid.T) condition {
	not := rapid.Bool().Draw(t, "not")
	bang := map[bool]string{true: "!"}[not]
	texts := func(field string, from []string, of func(naive) []string) condition {
		values := rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, "values")
		return condition{field + ":" + bang + strings.Join(values, ","), func(n naive) bool {
			return slices.ContainsFunc(of(n), func(v string) bool {
				return slices.ContainsFunc(values, func(want string) bool { return strings.EqualFold(v, want) })
			}) != not
		}}
	}
	yesNo := func(field string, of func(naive) bool) condition {
		v := rapid.SampledFrom([]string{"true", "FALSE"}).Draw(t, "bool")
		return condition{field + ":" + bang + v, func(n naive) bool { return of(n) == (v == "true") != not }}
	}
	switch rapid.IntRange(0, 8).Draw(t, "field") {
	case 0:
		return texts("organization.id", []string{"org_A", "ORG_B", "none"}, func(n naive) []string { return []string{n.org} })
	case 1:
		return texts("organization.name", []string{"same", "other", "x"}, func(n naive) []string { return []string{n.orgName} })
	case 2:
		return texts("user.id", []string{"u0", "U1", "u5", "U5", "nobody"}, func(n naive) []string { return []string{n.user} })
	case 3:
		return texts("user.name", slices.Concat(someNames[1:], []string{"a1", "B0"}), func(n naive) []string { return []string{n.name} })
	case 4:
		return texts("user.email", someMails[1:], func(n naive) []string { return []string{n.email} })
	case 5:
		return texts("roleIds", append(someRoles, "nothing"), func(n naive) []string { return n.roles })
	case 6:
		return texts("permissions", somePerms, func(n naive) []string { return n.permissions })
	case 7:
		return yesNo("isOwner", func(n naive) bool { return n.owner })
	}
	return yesNo("isDefault", func(n naive) bool { return n.standard })
}

func compareNaive(field string, a, b naive) int {
	text := func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	}
	number := map[bool]int{true: 1}
	switch field {
	case "organization.id":
		return text(a.org, b.org)
	case "organization.name":
		return text(a.orgName, b.orgName)
	case "organization.createdTime":
		return a.created.Compare(b.created)
	case "isOwner":
		return number[a.owner] - number[b.owner]
	case "isDefault":
		return number[a.standard] - number[b.standard]
	case "user.id":
		return text(a.user, b.user)
	case "user.name":
		return text(a.name, b.name)
	}
	return text(a.email, b.email)
}

// TestListsAgree: any filter, order and page is what going through all memberships
// gives.
func TestListsAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		all := populate(r, w)
		var filter []string
		for range rapid.IntRange(0, 3).Draw(r, "conditions") {
			c := drawCondition(r)
			filter = append(filter, c.text)
			all = slices.DeleteFunc(all, func(n naive) bool { return !c.holds(n) })
		}
		var keys []string
		for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"organization.id", "organization.name", "organization.createdTime", "isOwner", "isDefault", "user.id", "user.name", "user.email"}), 0, 3, rapid.ID).Draw(r, "sort") {
			keys = append(keys, map[bool]string{true: "-"}[rapid.Bool().Draw(r, "down")]+f)
		}
		slices.SortStableFunc(all, func(a, b naive) int {
			for _, k := range keys {
				field, down := strings.CutPrefix(k, "-")
				if c := compareNaive(field, a, b); c != 0 {
					return map[bool]int{true: -c, false: c}[down]
				}
			}
			return 0
		})
		var want []string
		for _, n := range all {
			want = append(want, n.org+"/"+n.user)
		}
		limit, raw := rapid.IntRange(1, 7).Draw(r, "limit"), rapid.Bool().Draw(r, "raw")
		query := "filter=" + url.QueryEscape(strings.Join(append(filter, "organization.id:org_A,org_B,org_C"), ";"))
		if raw {
			query = strings.NewReplacer("%3B", ";", "%3A", ":", "%2C", ",").Replace(query)
		}
		var got []string
		for offset := 0; ; offset += limit {
			page, total := w.list("root", fmt.Sprintf("/memberships?%s&sort=%s&limit=%d&offset=%d", query, strings.Join(keys, ","), limit, offset))
			if total != strconv.Itoa(len(want)) {
				r.Fatalf("%s: total %s, not %d", query, total, len(want))
			}
			if got = append(got, page...); len(page) < limit {
				break
			}
		}
		if !slices.Equal(got, want) {
			r.Fatalf("%s sort %v:\n%v, not\n%v", query, keys, got, want)
		}
	})
}

// TestTimesInFilters: ranges of times hold their ends, in full seconds.
func TestTimesInFilters(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for i, at := range []string{"2020-01-01T00:00:00Z", "2020-01-01T12:00:00.9Z", "2020-01-02T00:00:00Z"} {
			created, _ := time.Parse(time.RFC3339, at)
			if _, err := tx.PutOrganization(roster.Organization{ID: "t" + strconv.Itoa(i), Created: created}); err != nil {
				return err
			}
		}
		return nil
	})
	for filter, want := range map[string]string{
		"2020-01-01":                       "t0",
		"2020-01-01..2020-01-02":           "t0 t1 t2",
		"..2020-01-01T12:00:00Z":           "t0 t1",
		"2020-01-01T12:00:00Z":             "t1",
		"2020-01-01T13:00:00%2B01:00":      "t1",
		"2020-01-01T12:00:01Z..2020-02-01": "t2",
		"!..2020-01-01,2020-01-02..":       "t1",
	} {
		var got []string
		for _, o := range decode[[]struct{ ID string }](t, w.want(200, "root", "GET", "/organizations?filter=id:t0,t1,t2;createdTime:"+filter, "")) {
			got = append(got, o.ID)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %q, not %q", filter, s, want)
		}
	}
}

// TestTooMany: what would read more records than is allowed is refused by name, and
// what sets answer is not.
func TestTooMany(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.MaxScan = 3 })
	for query, field := range map[string]string{
		"sort=user.email": "user.email", "filter=isDefault:true": "isDefault", "filter=permissions:*": "permissions", "sort=-isOwner,user.id": "user.id",
	} {
		p := decode[problem](t, w.want(422, "owner", "GET", "/memberships?"+query, ""))
		if len(p.InvalidFields) != 1 || p.InvalidFields[0].Field != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
	w.want(200, "owner", "GET", "/memberships?sort=-isOwner&filter=isOwner:false", "")
	w.want(200, "owner", "GET", "/memberships?sort=user.id&filter=user.id:usr_owner,usr_plain", "")
	w.update(func(tx *roster.Txn) error {
		for i := range 3 {
			if _, err := tx.PutOrganization(roster.Organization{ID: strconv.Itoa(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	w.want(422, "root", "GET", "/memberships", "")
	w.want(422, "root", "GET", "/organizations", "")
	w.want(200, "root", "GET", "/memberships?filter=organization.id:org_1", "")
}

// TestTooManyNames: records that are read to tell who is called so are counted over
// all of a request, and only of those who can be on the list.
func TestTooManyNames(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.MaxScan = 4 })
	w.update(func(tx *roster.Txn) error {
		for i := range 9 {
			u, err := tx.CreateUser(roster.User{Directory: 1, Username: fmt.Sprint("u", i), FullName: fmt.Sprint("Same ", i), Email: fmt.Sprintf("u%d@same.example", i), UID: fmt.Sprint("same_", i)})
			if err == nil && i < 3 {
				_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: u})
			}
			if i > 0 && err == nil {
				_, err1 := tx.PutOrganization(roster.Organization{ID: fmt.Sprint("other_", i)})
				_, err2 := tx.PutOrgMembership(roster.OrgMembership{Organization: fmt.Sprint("other_", i), User: u})
				err = errors.Join(err1, err2)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("Same%%20%d", i))
		}
		return strings.Join(all, ",")
	}
	for query, status := range map[string]int{
		"filter=user.name:" + names(3):                                                 200,
		"filter=user.name:" + names(9):                                                 200, // six of them are in nothing that the owner sees
		"filter=user.name:Same":                                                        200,
		"filter=user.name:" + strings.Repeat("Same%200,", 20) + "Same%200":             200,
		"filter=user.name:" + names(3) + ";user.email:u0@same.example":                 200,
		"filter=user.name:" + names(3) + ";user.email:u0@same.example,u1@same.example": 422,
		"filter=user.name:!" + names(2) + ";user.name:" + names(3):                     422,
	} {
		for _, path := range []string{"/memberships?", "/organizations/org_1/memberships?", "/memberships?filter=organization.id:org_1;" /* and the filter */} {
			if strings.HasSuffix(path, ";") {
				query = strings.TrimPrefix(query, "filter=")
			}
			w.want(status, "owner", "GET", path+query, "")
		}
	}
	if _, total := w.list("owner", "/memberships?filter=user.name:"+names(9)); total != "3" {
		t.Error(total)
	}
	if _, total := w.list("owner", "/memberships?filter=user.name:!Same%200"); total != "7" {
		t.Error(total)
	}
	rec := w.want(200, "owner", "GET", "/users?filter=name:"+names(9), "")
	if total := rec.Header().Get("Pagination-Total"); total != "3" {
		t.Error(total)
	}
	w.want(422, "root", "GET", "/users?filter=name:"+names(9), "")
	// Of whom somebody does not see nothing is told, not even that they are too many.
	many := "user.name:" + names(3) + ";user.email:u0@same.example,u1@same.example"
	for _, who := range []string{"plain", "stranger"} {
		w.want(200, who, "GET", "/memberships?filter=organization.id:org_1;"+many, "")
		w.want(403, who, "GET", "/organizations/org_1/memberships?filter="+many, "")
	}
	w.want(422, "root", "GET", "/memberships?filter=user.id:same_1,same_2,same_3,same_4,same_5", "")
	w.want(200, "root", "GET", "/memberships?filter=user.id:same_0,same_1,same_2,usr_owner,usr_plain", "")
}

// TestTooManyOrganizations: who asks for users is not told in how many organisations of
// others they are.
func TestTooManyOrganizations(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.MaxScan = 1 })
	for _, ids := range []string{"usr_owner,usr_stranger", "usr_owner,usr_clerk", "USR_PLAIN,usr_stranger", "usr_remote,usr_stranger,usr_owner"} {
		w.want(200, "plain", "GET", "/memberships?filter=user.id:"+ids, "")
	}
	if got, total := w.list("stranger", "/memberships?filter=user.id:usr_owner,usr_stranger"); len(got) != 1 || got[0] != "org_2/usr_stranger" || total != "1" {
		t.Error(got, total)
	}
	w.want(422, "root", "GET", "/memberships?filter=user.id:usr_owner,usr_stranger", "")
}

// TestSortByDefault: false comes before true, and "-" turns that around.
func TestSortByDefault(t *testing.T) {
	w := newWorld(t)
	w.want(201, "stranger", "PUT", "/memberships/org_2/usr_plain", `{}`)
	for sort, want := range map[string]string{"isDefault": "org_2/usr_plain org_1/usr_plain", "-isDefault": "org_1/usr_plain org_2/usr_plain"} {
		if pairs, _ := w.list("root", "/memberships?filter=user.id:usr_plain&sort="+sort); strings.Join(pairs, " ") != want {
			t.Errorf("%s: %v", sort, pairs)
		}
	}
}

// TestDeepPages: the documented limits, and a host that lifts that of offset.
func TestDeepPages(t *testing.T) {
	w := newWorld(t)
	w.want(200, "root", "GET", "/memberships?offset=1000&limit=1000", "")
	w.want(422, "root", "GET", "/memberships?offset=1001", "")
	w.serve(func(o *rebilly.Options) { o.MaxOffset = -1 })
	w.want(200, "root", "GET", "/memberships?offset=123456", "")
	w.want(422, "root", "GET", "/memberships?offset=99999999999999999999", "")
}

// TestIDsInOtherLetters: capital letters do not count in the ids of a filter, but where
// somebody has the id just so; and nobody sees more by that.
func TestIDsInOtherLetters(t *testing.T) {
	w := newWorld(t)
	total := func(who, path, want string) {
		t.Helper()
		if _, got := w.list(who, path); got != want {
			t.Errorf("%s of %s: %s in all, not %s", path, who, got, want)
		}
	}
	users := func(who, id, want string) {
		t.Helper()
		rec := w.want(200, who, "GET", "/users?filter=id:"+id, "")
		if got := rec.Header().Get("Pagination-Total"); got != want {
			t.Errorf("users %s of %s: %s in all, not %s", id, who, got, want)
		}
	}
	for _, form := range []string{"/memberships?filter=user.id:", "/organizations/org_1/memberships?filter=user.id:", "/memberships?filter=organization.id:ORG_1;user.id:"} {
		total("root", form+"USR_PLAIN", "1")
		total("owner", form+"Usr_Plain,usr_OWNER", "2")
		total("owner", form+"!Usr_Plain,nobody", "4")
		total("root", form+"usr_plai,USR_PLAINS", "0")
	}
	total("root", "/memberships?filter=user.id:USR_STRANGER", "1")
	total("stranger", "/memberships?filter=user.id:USR_PLAIN", "0")
	total("stranger", "/memberships?filter=user.id:USR_STRANGER", "1")
	users("root", "Usr_Stranger", "1")
	users("owner", "Usr_Stranger", "0")
	users("owner", "USR_CLERK,usr_gone", "2")

	w.update(func(tx *roster.Txn) error {
		u, err := tx.CreateUser(roster.User{Directory: 1, Username: "double", UID: "USR_PLAIN", Active: true})
		if err == nil {
			_, err = tx.PutOrgMembership(roster.OrgMembership{Organization: "org_1", User: u})
		}
		return err
	})
	for id, want := range map[string]string{"usr_plain": "1", "USR_PLAIN": "1", "usr_plain,USR_PLAIN": "2", "Usr_plain": "2"} {
		total("owner", "/memberships?filter=user.id:"+id, want)
	}
}
