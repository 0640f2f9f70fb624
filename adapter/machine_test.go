package adapter_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// TestMain makes the run short unless rapid's flags say how long it is to be.
func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if !said {
		if err := flag.Set("rapid.checks", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// machine makes random changes through random APIs to an engine and to the model of
// it, and reads both.
type machine struct {
	t *rapid.T
	w *world
	m *model
	n int // of names that are made up

	steps, changes *int       // so many, over all checks, and so many of them changed something
	dice           *rand.Rand // of what is read, which need not be shrunk; nil while something changes
}

// userNames and groupNames are what some of the users and groups are called.
var (
	userNames = []string{
		"ann", "Ünal", "o'brien", `say "hi"`, "<script>alert(1)</script>", "a@b", `d\n`, "x/y", "50%", "..", "two words", "a,b", "#1",
		"日本", "ann@lab", `lab\ann`, " lead", "trail ", "10", "a;b&c=d", "%2e%2e", "İ", "Straße", "null", "a+b", "-1",
		`corp.example\root`, "root@corp.example",
	}
	groupNames = []string{
		"sales", "Straße", "a@b", `d\n`, "<b>&amp;", "10", "x/y%2F", "..", "two, three", "#7", "'; drop --", "ΣΊΣΥΦΟΣ", `lab\sales`, "sales@lab",
		" lead", "trail ", "+", "a*b", "null", "ann",
	}
	uids     = []string{"usr 1", `u"<b>`, "ü%2F", "u;v,w", "u+v&x", "ID:7", "a/b", "u..v", "日本"}
	newNames = []string{"newcomer", "new,comer", "ann@lab", "ben@corp", "not.good", "a_user-1", "NEWCOMER", "someone@else", "Lab_User"}
	orgIDs   = []string{"org_1", "Ünion & <Söhne>", "o%2Fp", "50% off", "org 3"}
	// permissions are those of the API's operations that are looked for.
	permissions = []string{"GetMembershipCollection", "PutMembership", "DeleteMembership", "PostUser", "PutUser", "*"}
	roleIDs     = []string{"role_a", "rôle <b>", "r;x,y"}
)

// newModel draws who and what there is at first.
func newModel(t *rapid.T) *model {
	m := &model{}
	corp, lab := &directory{local, "corp", "corp.example"}, &directory{sourced, "lab <b>", "lab"}
	m.dirs = []*directory{corp, lab}
	add := func(d *directory, name string) *user {
		n := uint64(100 + len(m.users))
		u := &user{dir: d, name: norm.NFC.String(name), number: n, uid: fmt.Sprintf("usr_%d", n), full: "Full " + name, email: fmt.Sprintf("mail%d@example.org", n), active: true}
		m.users = append(m.users, u)
		return u
	}
	for _, name := range staff {
		u := add(corp, name)
		u.active, u.password, u.privileges = name != "gone", true, privileges[name]
	}
	for _, d := range m.dirs {
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(userNames), 2, 4, rapid.ID[string]).Draw(t, "users of "+d.domain) {
			u := add(d, name)
			if i := len(m.users) - len(staff) - 1; i < len(uids) && i%2 == 0 {
				u.uid = uids[i]
			}
			u.desc = "cn=" + name
		}
		for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(groupNames), 2, 4, rapid.ID[string]).Draw(t, "groups of "+d.domain) {
			m.addGroup(&group{dir: d, name: norm.NFC.String(name), number: uint64(7 + len(m.groups)), enterprise: i != 1, desc: "d " + name})
		}
	}
	for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom(orgIDs), 1, 2, rapid.ID[string]).Draw(t, "organisations") {
		o := m.addOrg(norm.NFC.String(id), "Name of "+id)
		o.putRole("role_a", "A", []string{"GetMembership", "PutMembership"})
	}
	m.fill(t)
	return m
}

// fill draws who belongs to what at first.
func (m *model) fill(t *rapid.T) {
	users, groups := rapid.SampledFrom(m.users), rapid.SampledFrom(m.groups)
	for range rapid.IntRange(0, 16).Draw(t, "memberships") {
		groups.Draw(t, "group").members[users.Draw(t, "member")] = true
	}
	for range rapid.IntRange(0, 4).Draw(t, "administrators") {
		groups.Draw(t, "group").admins[rapid.SampledFrom(m.users[1:len(staff)]).Draw(t, "administrator")] = true
	}
	for range rapid.IntRange(0, 3).Draw(t, "nestings") {
		if g, sub := groups.Draw(t, "group"), groups.Draw(t, "in it"); g != sub {
			g.nested[sub] = true
		}
	}
	for _, o := range m.orgs {
		for i := range rapid.IntRange(0, 7).Draw(t, "members") {
			if u := rapid.SampledFrom(m.users[:2*len(staff)-1]).Draw(t, "member"); o.members[u] == nil {
				permissions := rapid.SliceOfNDistinct(rapid.SampledFrom(permissions), 0, 4, rapid.ID[string]).Draw(t, "permissions")
				m.join(o, u, &member{owner: i%3 == 0, permissions: permissions})
			}
		}
	}
}

// pick draws one of a list.
func pick[T any](x *machine, label string, list []T) T {
	if x.dice != nil {
		return list[x.dice.IntN(len(list))]
	}
	return rapid.SampledFrom(list).Draw(x.t, label)
}

func (x *machine) one(label string, list ...string) string { return pick(x, label, list) }

// below draws a number.
func (x *machine) below(label string, n int) int {
	if x.dice != nil {
		return x.dice.IntN(n)
	}
	return rapid.IntRange(0, n-1).Draw(x.t, label)
}

// rarely is true one time in n.
func (x *machine) rarely(label string, n int) bool { return x.below(label, n) == n-1 }

// caller draws who makes a request. Most are made by who may, everything or what it
// administers or owns.
func (x *machine) caller() *user {
	who := x.one("caller", "root", "root", "root", "delegate", "delegate", "delegate", "boss", "owner", "clerk", "gone")
	if who != "delegate" {
		return x.m.find(local, who)
	}
	some := x.m.usersThat(func(u *user) bool {
		return u.active && !u.everything() && slices.Contains(staff, u.name) && u.dir.id == local && (len(x.groupsOf(u)) > 0 || len(u.joined) > 0)
	})
	if len(some) == 0 {
		return x.m.find(local, "boss")
	}
	return pick(x, "delegate", some)
}

func (x *machine) groupsOf(as *user) []*group {
	return x.m.groupsThat(func(g *group) bool { return x.m.administers(as, g) })
}

// groupFor draws a group, mostly one that somebody administers, orgFor an
// organisation, mostly one of its own; nil if there is none.
func (x *machine) groupFor(as *user) *group {
	if own := x.groupsOf(as); len(own) > 0 && !x.rarely("any group", 3) {
		return pick(x, "own group", own)
	}
	return x.anyGroup()
}

// userFor draws a user, mostly one that somebody may assign.
func (x *machine) userFor(as *user) *user {
	if own := x.m.usersThat(func(u *user) bool { return x.m.manages(as, u.dir) }); len(own) > 0 && !x.rarely("any user", 12) {
		return pick(x, "user to assign", own)
	}
	return x.anyUser()
}

func (x *machine) orgFor(as *user) *org {
	if len(as.joined) > 0 && !x.rarely("any organisation", 3) {
		return pick(x, "own organisation", as.joined)
	}
	return x.anyOrg()
}

// memberOf draws a member of a group, or anybody if it has none.
func (x *machine) memberOf(g *group) (*user, *group) {
	if in := x.m.usersThat(func(u *user) bool { return g.members[u] }); len(in) > 0 {
		return pick(x, "member", in), g
	}
	return x.anyUser(), g
}

func (x *machine) anyUser() *user     { return pick(x, "user", x.m.users) }
func (x *machine) anyGroup() *group   { return pick(x, "group", x.m.groups) }
func (x *machine) anyDir() *directory { return pick(x, "directory", x.m.dirs) }

// anyOrg returns an organisation, nil if there is none.
func (x *machine) anyOrg() *org {
	if len(x.m.orgs) == 0 {
		return nil
	}
	return pick(x, "organisation", x.m.orgs)
}

// written returns a name as somebody else may write it.
func (x *machine) written(name string) string {
	for _, v := range []string{strings.ToUpper(name), norm.NFD.String(name)} {
		if v != name && text.Fold(v) == text.Fold(name) && x.rarely("written otherwise", 4) {
			return v
		}
	}
	return name
}

// made returns a name that nobody has had.
func (x *machine) made(prefix string) string {
	x.n++
	return fmt.Sprintf("%s %d", prefix, x.n)
}

// step makes one change. How many revisions it makes is what the model says: one
// if it changes anything, however much, and none if it does not.
func (x *machine) step(what string, change func() string) {
	x.t.Helper()
	x.w.clock.Pass(time.Minute) // more than a login is slowed down for
	before, rev := fmt.Sprint(x.m.lines()), x.w.e.Revision()
	did := change()
	want := roster.Revision(0)
	if *x.steps++; fmt.Sprint(x.m.lines()) != before {
		*x.changes++
		want = 1
	}
	x.t.Logf("%s: %s", what, did)
	if got := x.w.e.Revision() - rev; got != want {
		x.agreeOnGo() // which may say more
		x.t.Fatalf("%s: %s: %d revisions, not %d", what, did, got, want)
	}
}

// agree reads through everything, which changes nothing.
func (x *machine) agree() {
	x.t.Helper()
	x.dice = rand.New(rand.NewPCG(rapid.Uint64().Draw(x.t, "seed of what is read"), 0))
	defer func() { x.dice = nil }()
	rev := x.w.e.Revision()
	x.agreeOnGo()
	x.agreeOnCrowd()
	x.agreeOnArcGIS()
	x.agreeOnRebilly()
	x.agreeOnIngress()
	if now := x.w.e.Revision(); now != rev {
		x.t.Fatalf("reading made %d revisions", now-rev)
	}
}

// TestAPIsAgree: changes by the four APIs and by the engine's own methods, of people
// with all rights and with few, good ones and such that are refused, are answered
// as the model says, make one revision or none, and are read by all the APIs.
func TestAPIsAgree(t *testing.T) {
	steps, changes := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		x := &machine{t: r, m: newModel(r), steps: &steps, changes: &changes}
		x.w = newWorld(r, "", x.m)
		defer x.w.e.Close()
		actions := map[string]func(*rapid.T){"": func(r *rapid.T) {
			x.t = r
			x.agree()
		}}
		for name, fn := range map[string]func(){
			"crowd: groups of a user": x.crowdUserGroups, "crowd: users of a group": x.crowdGroupUsers, "crowd: nest": x.crowdNest,
			"crowd: appoint": x.crowdAppoint, "crowd: dismiss": x.crowdDismiss,
			"ingress": x.ingressChange, "ingress again": x.ingressChange,
			"rebilly: put membership": x.rebillyPut, "rebilly: put another": x.rebillyPut, "rebilly: put a third": x.rebillyPut, "rebilly: delete membership": x.rebillyDelete, "rebilly: user": x.rebillyUser,
			"rebilly: role": x.rebillyRole, "rebilly: delete role": x.rebillyDeleteRole, "rebilly: organization": x.rebillyOrganization,
			"arcgis: create user": x.arcgisCreate, "arcgis: refresh": x.arcgisRefresh, "arcgis: refresh again": x.arcgisRefresh,
			"go: members": x.goMembers, "go: groups of users": x.goGroupsOf, "go: nesting and administrators": x.goGroups,
			"go: users": x.goUsers, "go: groups": x.goGroupRecords, "go: organisations": x.goOrgs,
		} {
			actions[name] = func(r *rapid.T) {
				x.t = r
				fn()
			}
		}
		r.Repeat(actions)
	})
	t.Logf("%d steps, %d of which changed something", steps, changes)
}
