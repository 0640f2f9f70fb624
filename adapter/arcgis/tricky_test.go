package arcgis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
)

const success = `{"status":"success"}`

// list is what the operations on users answer.
type list struct {
	Users   []struct{ Username, Fullname, Email, Description string }
	Groups  []any
	HasMore bool
}

func (w *world) list(target string, pairs ...string) (names string, more bool) {
	w.Helper()
	var out list
	text := w.post(w.admin, target, pairs...)
	if err := json.Unmarshal([]byte(text), &out); err != nil || out.Users == nil && out.Groups == nil {
		w.Fatalf("%s %q: %s", target, pairs, text)
	}
	var all []string
	for _, u := range out.Users {
		all = append(all, u.Username)
	}
	for _, g := range out.Groups {
		if m, ok := g.(map[string]any); ok {
			g = m["rolename"]
		}
		all = append(all, g.(string))
	}
	return strings.Join(all, " "), out.HasMore
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func TestUsersInEveryForm(t *testing.T) {
	w := newWorld(t)
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", ` aturing@domain , ,aturing@DOMAIN,domain\aturing,ATuring,`), success)
	equal(t, "asked", strings.Join(w.source.called(), ";"), `ArcGIS\admin1: users aturing`)
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", "jdoe", "users", "new@domain,jdoe@domain"), success)
	equal(t, "asked", strings.Join(w.source.called(), ";"), `ArcGIS\admin1: users jdoe,new`)
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", "admin1,nobody@ArcGIS"), success)
	equal(t, "asked", strings.Join(w.source.called(), ";"), "")
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", "unknown,x@elsewhere"), success)
	equal(t, "asked", strings.Join(w.source.called(), ";"), `ArcGIS\admin1: users unknown,x@elsewhere`)
}

// An account whose name holds the domain of its directory is itself, and not the
// account of the part before the @.
func TestNameWithDomainInIt(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		_, err := tx.CreateUser(roster.User{Directory: 2, Username: "jdoe@domain", FullName: "Other Doe", Active: true})
		return err
	})
	if got := w.post(w.admin, users+"/getEnterpriseUser", "username", "jdoe@domain"); !strings.Contains(got, "Other Doe") {
		t.Error(got)
	}
	if got := w.post(w.admin, users+"/getEnterpriseUser", "username", `domain\jdoe`); !strings.Contains(got, "John Doe") {
		t.Error(got)
	}
	w.post(w.admin, users+"/refreshMembership", "users", `jdoe@domain,domain\jdoe`)
	equal(t, "asked", strings.Join(w.source.called(), ";"), `ArcGIS\admin1: users jdoe@domain,jdoe`)
}

// Whoever is called like the whole of it, in a directory without a source, does not keep
// the user of a source from being refreshed.
func TestRefreshBesideAnAlias(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for _, name := range []string{"aturing@domain", "nobody@domain"} {
			if _, err := tx.CreateUser(roster.User{Directory: 1, Username: name, Active: true}); err != nil {
				return err
			}
		}
		return nil
	})
	w.source.set("cartographers", "jdoe")
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", "aturing@domain,nobody@domain"), success)
	equal(t, "asked", strings.Join(w.source.called(), ";"), `ArcGIS\admin1: users aturing`)
	equal(t, "after", w.inGroups("aturing"), "by hand")
}

func TestRefreshRemovesWhatIsStale(t *testing.T) {
	w := newWorld(t)
	w.source.set("cartographers", "jdoe")
	w.source.set("surveyors", "aturing")
	equal(t, "before", w.inGroups("aturing"), "by hand,cartographers")
	before := w.e.Revision()
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", "aturing@domain"), success)
	equal(t, "revisions", w.e.Revision()-before, 1)
	equal(t, "after", w.inGroups("aturing"), "by hand,surveyors")
	names, _ := w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", "surveyors")
	equal(t, "members", names, `domain\aturing`)
	w.source.set("surveyors", "jdoe", "aturing")
	equal(t, "answer", w.post(w.helper, groups+"/refreshMembership", "groups", `domain\surveyors,surveyors,surveyors@domain`), success)
	equal(t, "asked", w.source.called()[1], `ArcGIS\helper: groups surveyors`)
	equal(t, "after", w.inGroups("jdoe"), "cartographers,surveyors")
}

func TestSourceThatFails(t *testing.T) {
	w := newWorld(t)
	w.source.err = fmt.Errorf("bind of cn=admin with secret123 failed: %w", access.ErrUnavailable)
	got := w.post(w.admin, users+"/refreshMembership", "users", "jdoe")
	equal(t, "unreachable", got, `{"status":"error","messages":["The identity source cannot be asked. Try again later."],"code":503}`)
	w.source.err = errors.New("secret123")
	got = w.post(w.admin, users+"/refreshMembership", "users", "jdoe")
	equal(t, "broken", got, `{"status":"error","messages":["The operation failed. The log of the server says why."],"code":500}`)
	if !strings.Contains(w.log.String(), "secret123") {
		t.Error("the log does not say why")
	}
	w.source.err = fmt.Errorf("would remove 9 of 10 secret789: %w", arcgis.ErrTooMuch)
	got = w.post(w.admin, users+"/refreshMembership", "users", "jdoe")
	equal(t, "a guard", got, `{"status":"error","messages":["The identity source would take away so much that nothing was changed. Somebody who runs the server has to look at it and force it."],"code":409}`)
	if !strings.Contains(w.log.String(), "9 of 10 secret789") {
		t.Error("the log does not say what would go")
	}
}

// TestFailedEngine: an engine that can no longer write says so, and keeps why to itself.
func TestFailedEngine(t *testing.T) {
	w := newWorld(t)
	w.source.err = fmt.Errorf("disk secret: %w", roster.ErrFailed)
	got := w.post(w.admin, users+"/refreshMembership", "users", "jdoe")
	equal(t, "failed", got, `{"status":"error","messages":["Nothing can be changed at the moment."],"code":503}`)
}

// TestCreateUserOfACase: where capital letters count, they still do not for logging in.
func TestCreateUserOfACase(t *testing.T) {
	w := newWorld(t, func(o *arcgis.Options) {
		o.Store.Users.Properties = map[string]string{"caseSensitive": "true"}
	})
	before := w.e.Revision()
	got := w.post(w.admin, users+"/createUser", "username", "ATURING", "password", "a password 1", "role", "org_user")
	equal(t, "of another case", got, `{"status":"error","messages":["User 'ATURING' already exists."],"code":400}`)
	equal(t, "revision", w.e.Revision(), before)
}

// TestWhereTokensAreGood: a token that was issued is good where and as long as it was
// asked for.
func TestWhereTokensAreGood(t *testing.T) {
	const here, there = "192.0.2.7:1234", "198.51.100.9:1234"
	const invalid = `{"error":{"code":498,"message":"Invalid token.","details":[]}}`
	for _, c := range []struct {
		issued        string // parameters of generateToken
		referer, from string
		after         time.Duration
		want          string
	}{
		{"client=referer&referer=https%3A%2F%2Fmaps.example%2Fapp", "https://MAPS.example/app/x?y", there, 0, success},
		{"client=referer&referer=https%3A%2F%2Fmaps.example%2Fapp", "https://maps.example/", here, 0, invalid},
		{"referer=https%3A%2F%2Fmaps.example", "https://maps.example/", there, 0, success},
		{"referer=https%3A%2F%2Fmaps.example", "https://maps.example.org/", there, 0, invalid},
		{"referer=https%3A%2F%2Fmaps.example", "", here, 0, invalid},
		{"referer=%40esri%2Farcgis-rest-js", "@esri/arcgis-rest-js", there, 0, success},
		{"client=ip&ip=198.51.100.9", "", there, 0, success},
		{"client=ip&ip=198.51.100.9", "https://maps.example/", here, 0, invalid},
		{"client=requestip", "", here, 0, success},
		{"client=requestip&ip=198.51.100.9", "", there, 0, invalid},
		{"client=requestip", "", here, time.Hour - time.Second, success},
		{"client=requestip", "", here, time.Hour + time.Second, invalid},
		{"client=requestip&expiration=1", "", here, 59 * time.Second, success},
		{"client=requestip&expiration=1", "", here, 61 * time.Second, invalid},
		{"client=requestip&expiration=9999999", "", here, 14*24*time.Hour + time.Second, invalid},
	} {
		w := newWorld(t)
		send := func(target, form, from, referer string) string {
			r := request("POST", target, form+"&f=json", "Referer", referer)
			r.RemoteAddr = from
			return w.do(r).Body.String()
		}
		var issued struct{ Token string }
		text := send(generate, "username=admin1&password=admin's+password&"+c.issued, here, "")
		if err := json.Unmarshal([]byte(text), &issued); err != nil || issued.Token == "" {
			t.Fatalf("%s: %s", c.issued, text)
		}
		w.Pass(c.after)
		got := send(users+"/refreshMembership", "users=jdoe&token="+issued.Token, c.from, c.referer)
		equal(t, fmt.Sprintf("%s from %s, Referer %q, after %v", c.issued, c.from, c.referer, c.after), got, c.want)
	}
}

// TestWhatIsTooLong: passwords and Referers that cannot be kept are refused in words.
func TestWhatIsTooLong(t *testing.T) {
	w := newWorld(t)
	got := w.post(w.admin, users+"/createUser", "username", "newuser1", "password", "1"+strings.Repeat("a", access.MaxPassword))
	equal(t, "password", got, `{"status":"error","messages":["The password is too long."],"code":400}`)
	form := "f=json&username=admin1&password=admin's+password&referer=https://" + strings.Repeat("a", 3000)
	equal(t, "Referer", w.do(request("POST", generate, form)).Body.String(), `{"error":{"code":400,"message":"Unable to generate token.","details":["'referer' cannot be used."]}}`)
	got = w.post(w.admin, users+"/getEnterpriseUser", "username", strings.Repeat("é", 300))
	equal(t, "name", got, `{"status":"error","messages":["User '`+strings.Repeat("é", 200)+`…' does not exist."],"code":404}`)
	w.h = arcgis.New(w.e, arcgis.Options{Authenticator: host{w.host(w.nobody, access.PrivilegeSecurity)}})
	got = w.post(w.admin, users+"/createUser", "username", "newuser1", "password", "abcdefg1")
	equal(t, "without Access", got, `{"status":"error","messages":["Users with a password cannot be made here."],"code":400}`)
}

func TestHasMoreIsExact(t *testing.T) {
	w := newWorld(t)
	for most, want := range map[int]string{1: `domain\aturing true`, 2: `domain\aturing domain\jdoe false`, 3: `domain\aturing domain\jdoe false`} {
		names, more := w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", "cartographers", "maxCount", fmt.Sprint(most))
		equal(t, fmt.Sprint(most), fmt.Sprint(names, " ", more), want)
	}
	for most, want := range map[int]string{1: `domain\cartographers true`, 2: `domain\cartographers domain\surveyors false`} {
		names, more := w.list(groups+"/searchEnterpriseGroups", "maxCount", fmt.Sprint(most))
		equal(t, fmt.Sprint(most), fmt.Sprint(names, " ", more), want)
	}
	capped := newWorld(t, func(o *arcgis.Options) { o.MaxCount = 1 })
	names, more := capped.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", "cartographers", "maxCount", "99999999999999999999999")
	equal(t, "bound", fmt.Sprint(names, " ", more), `domain\aturing true`)
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		g, _ := tx.GroupByName(2, "cartographers")
		for _, u := range []roster.User{
			{Username: "a[b", FullName: "Bracket (x|y)"}, {Username: "a;b", FullName: "Semi; Colon"}, {Username: "zoé", FullName: "ZOÉ Über"},
			{Username: "axxb", FullName: "O'Brien-Smith"}, {Username: "dot.name", FullName: ""},
		} {
			u.Directory = 2
			id, err := tx.CreateUser(u)
			if err == nil {
				_, err = tx.Add(g, id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for filter, want := range map[string]string{
		"a":              `domain\a;b domain\a[b domain\aturing domain\axxb`,
		"*":              `domain\a;b domain\a[b domain\aturing domain\axxb domain\dot.name domain\jdoe domain\zoé`,
		"a*b":            `domain\a;b domain\a[b domain\axxb`,
		"a[":             `domain\a[b`,
		"[":              ``,
		".":              ``,
		"a?turing":       ``,
		"*(x|y)":         `domain\a[b`,
		"A;":             `domain\a;b`,
		"TURING":         `domain\aturing`,
		"turi":           `domain\aturing`,
		"uring":          ``,
		"*uring":         `domain\aturing`,
		"*uri*":          `domain\aturing`,
		"alan t":         `domain\aturing`,
		`domain\j`:       `domain\jdoe`,
		"dom":            `domain\a;b domain\a[b domain\aturing domain\axxb domain\dot.name domain\jdoe domain\zoé`,
		`dom*\*doe`:      `domain\jdoe`,
		`*main\j*`:       `domain\jdoe`,
		"jdoe@dom":       `domain\jdoe`,
		"j*@*main":       `domain\jdoe`,
		"ZOÉ":            `domain\zoé`,
		"über":           `domain\zoé`,
		"smi":            `domain\axxb`,
		"o'b":            `domain\axxb`,
		"%":              ``,
		"a+":             ``,
		`\`:              ``,
		"jdoe@elsewhere": ``,
	} {
		names, _ := w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", "cartographers", "filter", filter)
		equal(t, filter, names, want)
	}
	long := w.post(w.admin, users+"/searchEnterpriseUsers", "filter", strings.Repeat("a", 300))
	equal(t, "long", long, `{"status":"error","messages":["Parameter 'filter' is longer than 256 bytes."],"code":400}`)
	words := w.post(w.admin, users+"/searchEnterpriseUsers", "filter", strings.Repeat("a ", 100))
	equal(t, "words", words, `{"status":"error","messages":["Parameter 'filter' has too many words."],"code":400}`)
}

func TestDecoding(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		_, err := tx.CreateUser(roster.User{Directory: 2, Username: "a+b;ç <i>", Active: true})
		return err
	})
	target := users + "/getEnterpriseUser"
	for _, form := range []string{"username=a%2Bb;%C3%A7+%3Ci%3E", "username=domain%5Ca%2Bb;%c3%a7%20<i>", "x=1&&username=a%2bb%3B%C3%A7+<i>"} {
		rec := w.do(request("POST", target, form+"&f=json&token="+w.token(w.admin)))
		if got := rec.Body.String(); !strings.Contains(got, `"username":"domain\\a+b;ç \u003ci\u003e"`) {
			t.Errorf("%s: %s", form, got)
		}
	}
	page := w.do(request("POST", target, "username=a%2Bb;%C3%A7+%3Ci%3E&token="+w.token(w.admin))).Body.String()
	if !strings.Contains(page, `domain\<wbr>a&#43;b;ç &lt;i&gt;`) || strings.Contains(page, "<i>") {
		t.Error(page)
	}
}

func TestNestedCycle(t *testing.T) {
	for _, direct := range []bool{false, true} {
		w := newWorld(t, func(o *arcgis.Options) { o.DirectOnly = direct })
		w.update(func(tx *roster.Txn) error {
			c, _ := tx.GroupByName(2, "cartographers")
			s, _ := tx.GroupByName(2, "surveyors")
			_, err1 := tx.Nest(c, s)
			_, err2 := tx.Nest(s, c)
			return errors.Join(err1, err2)
		})
		names, _ := w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", "surveyors")
		of, _ := w.list(groups+"/getEnterpriseGroupsForUser", "username", "jdoe")
		if direct {
			equal(t, "direct members", names, "")
			equal(t, "direct groups", of, `domain\cartographers`)
		} else {
			equal(t, "members", names, `domain\aturing domain\jdoe`)
			equal(t, "groups", of, `domain\cartographers domain\surveyors`)
		}
	}
}

func TestLongList(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "user%d@domain,", i)
	}
	equal(t, "answer", w.post(w.admin, users+"/refreshMembership", "users", b.String()+"jdoe"), success)
	equal(t, "jdoe", w.inGroups("jdoe"), "cartographers,surveyors")
	short := newWorld(t, func(o *arcgis.Options) { o.MaxNames = 2 })
	equal(t, "two", short.post(w.admin, users+"/refreshMembership", "users", "a,b,a"), success)
	got := short.post(w.admin, users+"/refreshMembership", "users", "a,b,c")
	equal(t, "three", got, `{"status":"error","messages":["Parameter 'users' has more than 2 names."],"code":400}`)
}

func TestConcurrentRefresh(t *testing.T) {
	w := newWorld(t)
	before := w.e.Revision()
	form := url.Values{"f": {"json"}, "users": {"jdoe"}, "token": {w.token(w.admin)}}.Encode()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if got := w.do(request("POST", users+"/refreshMembership", form)).Body.String(); got != success {
				t.Error(got)
			}
		})
		wg.Go(func() {
			rec := w.do(request("POST", groups+"/getUsersWithinEnterpriseGroup", form+"&groupName=surveyors&filter=j"))
			if rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), "error") {
				t.Error(rec.Body.String())
			}
		})
	}
	wg.Wait()
	equal(t, "revisions", w.e.Revision()-before, 1)
	equal(t, "groups", w.inGroups("jdoe"), "cartographers,surveyors")
}

// Of many who make the same account one does, and it has that one's password.
func TestConcurrentCreate(t *testing.T) {
	w := newWorld(t)
	token := w.token(w.admin)
	answers := make([]string, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			form := url.Values{"f": {"json"}, "token": {token}, "username": {"newuser1"}, "password": {fmt.Sprintf("password%d", i)}}
			answers[i] = w.do(request("POST", users+"/createUser", form.Encode())).Body.String()
		})
	}
	wg.Wait()
	winner := slices.Index(answers, success)
	if winner < 0 || slices.Contains(answers[winner+1:], success) {
		t.Fatal(answers)
	}
	form := url.Values{"f": {"json"}, "client": {"requestip"}, "username": {"newuser1"}, "password": {fmt.Sprintf("password%d", winner)}}
	if got := w.do(request("POST", generate, form.Encode())).Body.String(); !strings.HasPrefix(got, `{"token":`) {
		t.Error(got)
	}
}

func TestCreateUserWritesOneRecord(t *testing.T) {
	w := newWorld(t, func(o *arcgis.Options) { o.BuiltIn = "Portal" })
	before := w.e.Revision()
	got := w.post(w.admin, strings.Replace(users, "0123456789ABCDEF", "org_1", 1)+"/createUser",
		"username", "boss_1", "password", "abcdefg1", "role", "org_admin", "firstname", "Big", "lastname", "Boss")
	equal(t, "answer", got, success)
	equal(t, "revisions", w.e.Revision()-before, 1)
	w.view(func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName("Portal")
		if err != nil {
			return err
		}
		id, _ := tx.UserByName(d.ID, "boss_1")
		u, err := tx.User(id)
		if err != nil {
			return err
		}
		equal(t, "name", u.FullName, "Big Boss")
		equal(t, "role", u.Attributes[arcgis.RoleAttribute][0], "org_admin")
		a, err1 := access.GetAccount(tx, id)
		_, err2 := tx.OrgMembership("org_1", id)
		equal(t, "privileges", strings.Join(a.Privileges, ","), access.PrivilegeSecurity)
		return errors.Join(err1, err2)
	})
	if strings.Contains(w.log.String(), "abcdefg1") {
		t.Error("the password was logged")
	}
}

// TestNamesThatAreNotClear: a name that several have is refused, with their names.
func TestNamesThatAreNotClear(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for d := roster.DirectoryID(3); d < 9; d++ {
			_, err1 := tx.PutDirectory(roster.Directory{ID: d, Name: fmt.Sprint("other", d)})
			_, err2 := tx.CreateUser(roster.User{Directory: d, Username: "jdoe"})
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
		}
		_, err := tx.CreateGroup(roster.Group{Directory: 3, Name: "cartographers", Enterprise: true})
		return err
	})
	got := w.post(w.admin, users+"/getEnterpriseUser", "username", "jdoe")
	equal(t, "user", got, `{"status":"error","messages":["User 'jdoe' is not clear: it may be domain\\jdoe, other3\\jdoe, other4\\jdoe, other5\\jdoe, other6\\jdoe, …."],"code":400}`)
	got = w.post(w.admin, groups+"/getUsersWithinEnterpriseGroup", "groupName", "cartographers")
	equal(t, "group", got, `{"status":"error","messages":["Enterprise group 'cartographers' is not clear: it may be domain\\cartographers, other3\\cartographers."],"code":400}`)
	names, _ := w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", `domain\cartographers`)
	equal(t, "members", names, `domain\aturing domain\jdoe`)
}

// TestGenerateTokenPage: the page shows the token that was issued, and what was wrong.
func TestGenerateTokenPage(t *testing.T) {
	w := newWorld(t)
	const form = "username=admin1&client=requestip&password="
	page := w.do(request("POST", generate, form+"admin's+password")).Body.String()
	if !strings.Contains(page, "2026-03-04 06:06:07 UTC") || !strings.Contains(page, "The token is shown this once.") {
		t.Error(page)
	}
	rec := w.do(request("POST", generate, form+"wrong"))
	if page := rec.Body.String(); rec.Code != 400 || !strings.Contains(page, "Invalid username or password.") || strings.Contains(page, "wrong") {
		t.Errorf("%d %s", rec.Code, page)
	}
}

// TestShownNamesMeanWhoTheyShow: somebody who is called like the shown name of another
// one, or like another one but for white space, is not taken for it.
func TestShownNamesMeanWhoTheyShow(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *roster.Txn) error {
		for _, u := range []roster.User{{Directory: 1, Username: `domain\jdoe`}, {Directory: 2, Username: "jdoe "}, {Directory: 2, Username: " jdoe"}} {
			if _, err := tx.CreateUser(u); err != nil {
				return err
			}
		}
		g, err := tx.CreateGroup(roster.Group{Directory: 1, Name: `domain\surveyors`, Enterprise: true})
		if err == nil {
			_, err = tx.Add(g, w.nobody)
		}
		return err
	})
	for asked, want := range map[string]string{
		`domain\jdoe`: `domain\jdoe`, `Domain\JDOE`: `domain\jdoe`, `ArcGIS\domain\jdoe`: `ArcGIS\domain\jdoe`,
		`domain\jdoe `: `domain\jdoe `, `domain\ jdoe`: `domain\ jdoe`, `  domain\jdoe  `: `domain\jdoe`,
	} {
		got := w.post(w.admin, users+"/getEnterpriseUser", "username", asked)
		if !strings.Contains(got, marshalled(want)) {
			t.Errorf("%q: %s, not %s", asked, got, want)
		}
	}
	if got := w.post(w.admin, groups+"/getUsersWithinEnterpriseGroup", "groupName", `domain\surveyors`); strings.Contains(got, "nobody1") {
		t.Errorf(`domain\surveyors: %s`, got)
	}
	if got := w.post(w.admin, groups+"/getUsersWithinEnterpriseGroup", "groupName", `ArcGIS\domain\surveyors`); !strings.Contains(got, "nobody1") {
		t.Errorf(`ArcGIS\domain\surveyors: %s`, got)
	}
}

// marshalled is the field username of an answer.
func marshalled(name string) string {
	text, err := json.Marshal(name)
	if err != nil {
		panic(err)
	}
	return `"username":` + string(text) + `,`
}
