// Package directorytest holds implementations of directory.Source to what the
// interface says. The test of an implementation is one call of Run.
package directorytest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/roster/directory"
)

// World is what a source is to hold.
type World struct {
	Users  []Person
	Groups []Team
}

// Person is a user of a World.
type Person struct {
	Name, FullName, Email string
	Password              string // "" where the source is not asked for one
}

// Team is a group of a World.
type Team struct {
	Name    string
	Members []string // usernames
	Nested  []string // names of groups
	Strange int      // members besides that are no users or groups of the World
}

// Options say what an implementation cannot do.
type Options struct {
	NoStrange  bool // it cannot hold members that do not exist
	NoEmpty    bool // it cannot hold groups without members
	NoNesting  bool // it cannot hold groups within groups
	PlainNames bool // its names hold ASCII letters, digits and - only
}

// Run tests an implementation. open returns a source that holds a world, and
// arranges for its end with t.Cleanup.
func Run(t *testing.T, o Options, open func(t *testing.T, w World) directory.Source) {
	w := world(o)
	src := open(t, w)
	s := &suite{t: t, w: w, src: src, users: map[string]directory.User{}, byRef: map[string]string{}}
	for u, err := range src.Users(t.Context()) {
		if err != nil {
			t.Fatalf("Users: %v", err)
		}
		if _, twice := s.users[u.Name]; twice {
			t.Errorf("Users yields %q twice", u.Name)
		}
		s.users[u.Name] = u
		s.note("u:"+u.Name, u.Refs)
	}
	s.groups()
	t.Run("users", s.testUsers)
	t.Run("groups", s.testGroups)
	t.Run("find users", s.testFindUsers)
	t.Run("find groups", s.testFindGroups)
	t.Run("groups of", s.testGroupsOf)
	t.Run("closures", s.testClosures)
	t.Run("nothing found", s.testNothing)
	t.Run("early end", s.testEarlyEnd)
	t.Run("cancelled", s.testCancelled)
	t.Run("at once", s.testAtOnce)
	t.Run("login", s.testLogin)
}

// world returns what is held: names that are hard to write, groups in groups, in
// a loop, in themselves, without members.
func world(o Options) World {
	w := World{
		Users: []Person{{"alice", "Alice Liddell", "alice@example.org", "rabbit hole"}, {"bob", "Bob", "bob@example.org", "b"}, {"carol", "Carol", "carol@example.org", ""}, {"lone", "Lone", "lone@example.org", ""}},
		Groups: []Team{
			{Name: "staff", Members: []string{"carol"}, Nested: []string{"sales", "leads"}, Strange: 2},
			{Name: "sales", Members: []string{"alice", "bob"}},
			{Name: "leads", Members: []string{"bob"}},
			{Name: "empty"},
			{Name: "loop-a", Members: []string{"alice"}, Nested: []string{"loop-b"}},
			{Name: "loop-b", Nested: []string{"loop-c", "leads"}},
			{Name: "loop-c", Members: []string{"carol"}, Nested: []string{"loop-a"}},
		},
	}
	if !o.PlainNames {
		for _, name := range []string{`o'neil (x)*`, `comma, + "quoted"; <x>=\y`, "müller", "Straße", "日本", "a  b", "#hash", "*)(uid=*"} {
			w.Users = append(w.Users, Person{name, "Full " + name, "", ""})
			w.Groups[1].Members = append(w.Groups[1].Members, name)
			w.Groups = append(w.Groups, Team{Name: "g " + name, Members: []string{name, "bob"}, Nested: []string{"leads"}})
		}
	}
	for i := range w.Groups {
		g := &w.Groups[i]
		if o.NoStrange {
			g.Strange = 0
		}
		if o.NoNesting {
			g.Nested = nil
		}
	}
	w.Groups = slices.DeleteFunc(w.Groups, func(g Team) bool {
		return o.NoEmpty && len(g.Members)+len(g.Nested)+g.Strange == 0
	})
	return w
}

// suite is a source with what it said first.
type suite struct {
	t      *testing.T
	w      World
	src    directory.Source
	users  map[string]directory.User
	groupX map[string]directory.Group
	has    map[string][]string // members of each group, as u: and g: names, sorted
	byRef  map[string]string   // folded refs: u: or g: and the name
}

func (s *suite) note(who string, refs []string) {
	if len(refs) == 0 {
		s.t.Errorf("%s has no ref", who)
	}
	for _, ref := range refs {
		f := s.src.Fold(ref)
		if other := s.byRef[f]; other != "" && other != who {
			s.t.Errorf("%s and %s are both called %q", who, other, ref)
		}
		if s.src.Fold(ref) != f {
			s.t.Errorf("Fold(%q) is not the same twice", ref)
		}
		s.byRef[f] = who
	}
}

func (s *suite) groups() {
	s.groupX, s.has = map[string]directory.Group{}, map[string][]string{}
	refs := map[string][]string{}
	for g, err := range s.src.Groups(s.t.Context()) {
		if err != nil {
			s.t.Fatalf("Groups: %v", err)
		}
		if _, twice := s.groupX[g.Name]; twice {
			s.t.Errorf("Groups yields %q twice", g.Name)
		}
		refs[g.Name] = s.collect(g)
		s.groupX[g.Name] = g
		s.note("g:"+g.Name, g.Refs)
	}
	for name, list := range refs {
		s.has[name] = s.known(list)
	}
}

func (s *suite) collect(g directory.Group) (refs []string) {
	if g.Members == nil {
		return nil
	}
	for ref, err := range g.Members {
		if err != nil {
			s.t.Fatalf("members of %q: %v", g.Name, err)
		}
		refs = append(refs, ref)
	}
	return refs
}

// known returns whom refs mean, sorted; refs that mean nobody are left out.
func (s *suite) known(refs []string) []string {
	who := map[string]bool{}
	for _, ref := range refs {
		if name := s.byRef[s.src.Fold(ref)]; name != "" {
			who[name] = true
		}
	}
	return slices.Sorted(maps.Keys(who))
}

// want returns the members of a group of the world.
func (g *Team) want() []string {
	var out []string
	for _, u := range g.Members {
		out = append(out, "u:"+u)
	}
	for _, n := range g.Nested {
		out = append(out, "g:"+n)
	}
	slices.Sort(out)
	return out
}

func (s *suite) testUsers(t *testing.T) {
	if len(s.users) != len(s.w.Users) {
		t.Errorf("%d users, want %d", len(s.users), len(s.w.Users))
	}
	for _, p := range s.w.Users {
		u, ok := s.users[p.Name]
		switch {
		case !ok:
			t.Errorf("%q is missing", p.Name)
		case u.Silent&directory.FullName == 0 && u.FullName != p.FullName:
			t.Errorf("%q has the full name %q, want %q", p.Name, u.FullName, p.FullName)
		case u.Silent&directory.Email == 0 && u.Email != p.Email:
			t.Errorf("%q has the email %q, want %q", p.Name, u.Email, p.Email)
		case u.Silent&directory.Active == 0 && !u.Active:
			t.Errorf("%q is not active", p.Name)
		}
	}
}

func (s *suite) testGroups(t *testing.T) {
	if len(s.groupX) != len(s.w.Groups) {
		t.Errorf("groups are %q, want %d", slices.Sorted(maps.Keys(s.groupX)), len(s.w.Groups))
	}
	for _, g := range s.w.Groups {
		if got, want := s.has[g.Name], g.want(); !slices.Equal(got, want) {
			t.Errorf("members of %q are %q, want %q", g.Name, got, want)
		}
	}
}

func names[T any](t *testing.T, all iter.Seq2[T, error], name func(T) string) []string {
	t.Helper()
	found := map[string]bool{}
	for v, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		found[name(v)] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func userName(u directory.User) string   { return u.Name }
func groupName(g directory.Group) string { return g.Name }

func (s *suite) testFindUsers(t *testing.T) {
	var all []directory.Query
	for name, u := range s.users {
		queries := []directory.Query{{Name: name}, {Name: strings.ToUpper(name)}}
		if u.Key != "" {
			queries = append(queries, directory.Query{Key: u.Key})
		}
		for _, ref := range u.Refs {
			queries = append(queries, directory.Query{Ref: ref})
		}
		if strings.ToUpper(name) == "STRASSE" {
			queries = append(queries[:1], queries[2:]...) // a server may fold ß otherwise
		}
		for _, q := range queries {
			if got := names(t, s.src.FindUsers(t.Context(), []directory.Query{q}), userName); !slices.Equal(got, []string{name}) {
				t.Errorf("%+v finds %q", q, got)
			}
		}
		all = append(all, queries[0], queries[len(queries)-1])
	}
	all = append(all, directory.Query{Name: "nobody at all"})
	if got := names(t, s.src.FindUsers(t.Context(), all), userName); len(got) != len(s.users) {
		t.Errorf("all together find %q", got)
	}
}

func (s *suite) testFindGroups(t *testing.T) {
	for name, g := range s.groupX {
		queries := []directory.Query{{Name: name}, {Ref: g.Refs[0]}}
		if g.Key != "" {
			queries = append(queries, directory.Query{Key: g.Key})
		}
		for _, q := range queries {
			found := 0
			for g, err := range s.src.FindGroups(t.Context(), []directory.Query{q}) {
				if err != nil {
					t.Fatal(err)
				}
				found++
				if got := s.known(s.collect(g)); g.Name != name || !slices.Equal(got, s.has[name]) {
					t.Errorf("%+v finds %q of %q, want %q of %q", q, g.Name, got, name, s.has[name])
				}
			}
			if found != 1 {
				t.Errorf("%+v finds %d groups", q, found)
			}
		}
	}
}

// holders returns the groups that have a member, from what Groups said.
func (s *suite) holders(who string) []string {
	var out []string
	for name, has := range s.has {
		if slices.Contains(has, who) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (s *suite) testGroupsOf(t *testing.T) {
	for name, u := range s.users {
		if got, want := names(t, s.src.GroupsOf(t.Context(), u.Refs), groupName), s.holders("u:"+name); !slices.Equal(got, want) {
			t.Errorf("groups of %q are %q, want %q", name, got, want)
		}
	}
	for name, g := range s.groupX {
		if got, want := names(t, s.src.GroupsOf(t.Context(), g.Refs), groupName), s.holders("g:"+name); !slices.Equal(got, want) {
			t.Errorf("groups of group %q are %q, want %q", name, got, want)
		}
	}
}

// reach returns everything that step leads to from a place, without the place
// unless it is led back to.
func reach(from string, step func(string) []string) []string {
	seen := map[string]bool{}
	for next := step(from); len(next) > 0; next = next[1:] {
		if !seen[next[0]] {
			seen[next[0]] = true
			next = append(next, step(next[0])...)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (s *suite) testClosures(t *testing.T) {
	up := func(who string) (out []string) {
		for _, g := range s.holders(who) {
			out = append(out, "g:"+g)
		}
		return out
	}
	down := func(who string) []string { return s.has[strings.TrimPrefix(who, "g:")] }
	for name, u := range s.users {
		got := names(t, directory.GroupsAbove(t.Context(), s.src, u.Refs), func(g directory.Group) string { return "g:" + g.Name })
		if want := reach("u:"+name, up); !slices.Equal(got, want) {
			t.Errorf("groups above %q are %q, want %q", name, got, want)
		}
	}
	for name, g := range s.groupX {
		var refs []string
		for ref, err := range directory.MembersBelow(t.Context(), s.src, directory.Query{Ref: g.Refs[0]}) {
			if err != nil {
				t.Fatal(err)
			}
			refs = append(refs, ref)
		}
		if got, want := s.known(refs), reach("g:"+name, down); !slices.Equal(got, want) {
			t.Errorf("members below %q are %q, want %q", name, got, want)
		}
	}
}

func (s *suite) testNothing(t *testing.T) {
	for _, q := range []directory.Query{{Name: "no such"}, {Name: "*"}, {Name: "ali*"}, {Name: "*)(cn=*"}, {Name: `\2a`}, {Name: "a\x00b"}, {Key: "*"}, {Key: "no such"}, {Ref: "no such"}, {Ref: "uid=no such,dc=nowhere"}, {Ref: "*"}} {
		if got := names(t, s.src.FindUsers(t.Context(), []directory.Query{q}), userName); len(got) > 0 {
			t.Errorf("%+v finds users %q", q, got)
		}
		if got := names(t, s.src.FindGroups(t.Context(), []directory.Query{q}), groupName); len(got) > 0 {
			t.Errorf("%+v finds groups %q", q, got)
		}
	}
	for _, refs := range [][]string{nil, {"*"}, {"no such"}, {"*)(cn=*"}} {
		if got := names(t, s.src.GroupsOf(t.Context(), refs), groupName); len(got) > 0 {
			t.Errorf("%q are in %q", refs, got)
		}
	}
	if got := names(t, s.src.FindUsers(t.Context(), nil), userName); len(got) > 0 {
		t.Errorf("no query finds %q", got)
	}
}

// testEarlyEnd: who stops ranging leaves nothing behind that hinders the next.
func (s *suite) testEarlyEnd(t *testing.T) {
	for range 20 {
		for _, err := range s.src.Users(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		for g, err := range s.src.Groups(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for range g.Members {
				break
			}
			break
		}
	}
	if got := names(t, s.src.Users(t.Context()), userName); len(got) != len(s.users) {
		t.Errorf("afterwards there are %d users, want %d", len(got), len(s.users))
	}
}

func (s *suite) testCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.src.Users(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Users with a cancelled context: %v", err)
		}
		return
	}
	t.Error("Users with a cancelled context yields nothing: that looks like a source without users")
}

func (s *suite) testAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for name, u := range s.users {
		wg.Go(func() {
			for range 3 {
				for got, err := range s.src.FindUsers(t.Context(), []directory.Query{{Name: name}}) {
					if err != nil || got.Name != name {
						t.Errorf("%q: %q, %v", name, got.Name, err)
					}
				}
				n := 0
				for _, err := range s.src.GroupsOf(t.Context(), u.Refs) {
					if n++; err != nil {
						t.Error(err)
					}
				}
				if want := len(s.holders("u:" + name)); n != want {
					t.Errorf("%q is in %d groups, want %d", name, n, want)
				}
			}
		})
	}
	wg.Wait()
}

func (s *suite) testLogin(t *testing.T) {
	a, ok := s.src.(directory.Authenticator)
	if _, err := tryLogin(t, a, "alice", "rabbit hole"); !ok || errors.Is(err, directory.ErrUnsupported) {
		t.Skip("the source knows no passwords")
	}
	for _, p := range s.w.Users {
		if p.Password == "" {
			continue
		}
		if u, err := tryLogin(t, a, p.Name, p.Password); err != nil || u.Name != p.Name {
			t.Errorf("login of %q: %q, %v", p.Name, u.Name, err)
		}
		for _, wrong := range []string{"", p.Password + "x", strings.ToUpper(p.Password), "\x00", "*"} {
			if _, err := tryLogin(t, a, p.Name, wrong); !errors.Is(err, directory.ErrCredentials) {
				t.Errorf("login of %q with %q: %v", p.Name, wrong, err)
			}
		}
	}
	for _, name := range []string{"", "no such", "*", "ali*", "*)(uid=*", "alice)(|(uid=*"} {
		for _, password := range []string{"", "rabbit hole"} {
			if _, err := tryLogin(t, a, name, password); !errors.Is(err, directory.ErrCredentials) {
				t.Errorf("login of %q with %q: %v", name, password, err)
			}
		}
	}
}

func tryLogin(t *testing.T, a directory.Authenticator, name, password string) (directory.User, error) {
	if a == nil {
		return directory.User{}, directory.ErrUnsupported
	}
	return a.Authenticate(t.Context(), name, password)
}
