package arcgis_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/arcgis"
)

// model is what the API should know, in maps: enterprise users and groups of two
// directories. Names are folded already.
type model struct {
	users  map[string]string          // domain\name: full name
	groups map[string]map[string]bool // domain\name: direct members
	nested map[string]map[string]bool // group: groups in it
	store  map[string][]string        // of the identity source: group name: members
}

var (
	domains    = []string{"domain", "corp"}
	modelNames = []string{"a", "ab", "abc", "b-c", "anna.b", "béa", "x@domain", "zoë smith", "[a]", "abc;d", "ünal", "smithson"}
	fullNames  = []string{"", "Anna Béa", "Abc Def-Ghi", "Zoë Smith", "O'Neil, Abc", "*star*", "ÜNAL abc"}
	filters    = []string{"", "*", "a", "ab", "A*", "*b*", "*abc*", "dom", `corp\a`, `*\a*`, "béa", "zoë s", "smi", "def", "[", "ab*c*", "x@", "a@dom", "o'n", "*smith", "c*p\\*", "ghi", "ünal", ";", "**", "un", "*mit*", "a@corp", `dom*`}
)

func (m *model) members(group string, seen map[string]bool) map[string]bool {
	out := map[string]bool{}
	if seen[group] {
		return out
	}
	seen[group] = true
	for u := range m.groups[group] {
		out[u] = true
	}
	for sub := range m.nested[group] {
		for u := range m.members(sub, seen) {
			out[u] = true
		}
	}
	return out
}

// page is the first of some users by username, that a filter fits.
func (m *model) page(among map[string]bool, filter string, most int) string {
	var out []string
	for u := range among {
		d, name, _ := strings.Cut(u, `\`)
		if arcgis.Fits(filter, d, name, m.users[u]) {
			out = append(out, u)
		}
	}
	byName(out)
	more := len(out) > most
	return fmt.Sprint(strings.Join(out[:min(most, len(out))], " "), " ", more)
}

// byName sorts by name and then by directory, in the order of their numbers.
func byName(list []string) {
	slices.SortFunc(list, func(a, b string) int {
		d1, n1, _ := strings.Cut(a, `\`)
		d2, n2, _ := strings.Cut(b, `\`)
		return cmp.Or(cmp.Compare(n1, n2), cmp.Compare(slices.Index(domains, d1), slices.Index(domains, d2)))
	})
}

// TestModel lets random operations run through the API and the engine, and compares
// what the API says with maps.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSystem(t)
		defer s.w.e.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"user": s.addUser, "nest": s.nest, "source": s.changeSource, "refresh users": s.refreshUsers,
			"refresh groups": s.refreshGroups, "within": s.within, "search": s.search, "groups of": s.groupsOf, "search groups": s.searchGroups,
		})
	})
}

type system struct {
	w *world
	m *model
}

func newSystem(t *testing.T) *system {
	w := newWorld(t)
	s := &system{w, &model{map[string]string{}, map[string]map[string]bool{}, map[string]map[string]bool{}, map[string][]string{}}}
	s.m.users = map[string]string{`domain\aturing`: "Alan Turing", `domain\jdoe`: "John Doe"}
	s.m.groups[`domain\cartographers`] = map[string]bool{`domain\aturing`: true, `domain\jdoe`: true}
	s.m.groups[`domain\surveyors`] = map[string]bool{}
	s.m.store = map[string][]string{"cartographers": {"aturing", "jdoe"}, "surveyors": {"jdoe"}}
	w.update(func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 3, Name: "The Corporation", Domain: "corp"})
		for _, name := range []string{"cartographers", "abc"} {
			if _, err2 := tx.CreateGroup(roster.Group{Directory: 3, Name: name, Enterprise: true}); err2 != nil {
				err = err2
			}
			s.m.groups[`corp\`+name] = map[string]bool{}
		}
		return err
	})
	return s
}

func keys(m map[string]map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *system) userNames() []string {
	var out []string
	for k := range s.m.users {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *system) addUser(t *rapid.T) {
	d := rapid.IntRange(0, 1).Draw(t, "directory")
	name, full := rapid.SampledFrom(modelNames).Draw(t, "name"), rapid.SampledFrom(fullNames).Draw(t, "full name")
	shown := domains[d] + `\` + name
	if _, ok := s.m.users[shown]; ok {
		return
	}
	group := rapid.SampledFrom(keys(s.m.groups)).Draw(t, "group")
	s.w.update(func(tx *roster.Txn) error {
		u, err := tx.CreateUser(roster.User{Directory: roster.DirectoryID(d + 2), Username: name, FullName: full, Active: true})
		if err == nil {
			_, err = tx.Add(s.group(tx, group), u)
		}
		return err
	})
	s.m.users[shown], s.m.groups[group][shown] = full, true
}

func (s *system) group(tx *roster.Txn, shown string) roster.GroupID {
	d, name, _ := strings.Cut(shown, `\`)
	id, _ := tx.GroupByName(roster.DirectoryID(slices.Index(domains, d)+2), name)
	return id
}

func (s *system) nest(t *rapid.T) {
	parent := rapid.SampledFrom(keys(s.m.groups)).Draw(t, "parent")
	child := rapid.SampledFrom(keys(s.m.groups)).Draw(t, "child")
	if parent == child {
		return
	}
	s.w.update(func(tx *roster.Txn) error {
		_, err := tx.Nest(s.group(tx, parent), s.group(tx, child))
		return err
	})
	if s.m.nested[parent] == nil {
		s.m.nested[parent] = map[string]bool{}
	}
	s.m.nested[parent][child] = true
}

func (s *system) changeSource(t *rapid.T) {
	group := rapid.SampledFrom([]string{"cartographers", "surveyors"}).Draw(t, "group")
	var members []string
	for _, u := range s.userNames() {
		if name, ok := strings.CutPrefix(u, `domain\`); ok && rapid.Bool().Draw(t, u) {
			members = append(members, name)
		}
	}
	s.w.source.set(group, members...)
	s.m.store[group] = members
}

func (s *system) refreshUsers(t *rapid.T) {
	list := rapid.SliceOfN(rapid.SampledFrom(s.userNames()), 1, 4).Draw(t, "users")
	var given []string
	for _, u := range list {
		d, name, _ := strings.Cut(u, `\`)
		given = append(given, rapid.SampledFrom([]string{u, strings.ToUpper(d) + `\` + name, name + "@" + d}).Draw(t, "form"))
		if d != "domain" || strings.Contains(u, ",") {
			continue
		}
		for group, members := range s.m.store {
			delete(s.m.groups[`domain\`+group], u)
			if slices.Contains(members, name) {
				s.m.groups[`domain\`+group][u] = true
			}
		}
	}
	if got := s.w.post(s.w.admin, users+"/refreshMembership", "users", strings.Join(given, ",")); got != success {
		t.Fatalf("%q: %s", given, got)
	}
	s.everything(t)
}

func (s *system) refreshGroups(t *rapid.T) {
	group := rapid.SampledFrom([]string{"cartographers", "surveyors"}).Draw(t, "group")
	if got := s.w.post(s.w.admin, groups+"/refreshMembership", "groups", group+"@domain"); got != success {
		t.Fatal(got)
	}
	members := map[string]bool{}
	for _, name := range s.m.store[group] {
		members[`domain\`+name] = true
	}
	s.m.groups[`domain\`+group] = members
	s.everything(t)
}

// everything compares the members of all groups, by the engine itself.
func (s *system) everything(t *rapid.T) {
	s.w.view(func(tx *roster.Txn) error {
		for g, members := range s.m.groups {
			set, err := tx.DirectMembers(s.group(tx, g))
			if err != nil || set.Len() != len(members) {
				t.Fatalf("%s has %d members, not %d (%v)", g, set.Len(), len(members), err)
			}
		}
		return nil
	})
}

func (s *system) query(t *rapid.T) (filter string, most int) {
	return rapid.SampledFrom(filters).Draw(t, "filter"), rapid.IntRange(1, 6).Draw(t, "maxCount")
}

func (s *system) within(t *rapid.T) {
	group := rapid.SampledFrom(keys(s.m.groups)).Draw(t, "group")
	filter, most := s.query(t)
	names, more := s.w.list(groups+"/getUsersWithinEnterpriseGroup", "groupName", group, "filter", filter, "maxCount", fmt.Sprint(most))
	want := s.m.page(s.m.members(group, map[string]bool{}), filter, most)
	if got := fmt.Sprint(names, " ", more); got != want {
		t.Fatalf("%s, %q, %d: %s, not %s", group, filter, most, got, want)
	}
}

func (s *system) search(t *rapid.T) {
	filter, most := s.query(t)
	filter = rapid.SampledFrom([]string{"domain", "corp"}).Draw(t, "domain") + `\` + strings.ReplaceAll(filter, `\`, "")
	if strings.Contains(filter, "*") {
		filter += "*"
	}
	names, more := s.w.list(users+"/searchEnterpriseUsers", "filter", filter, "maxCount", fmt.Sprint(most))
	all := map[string]bool{}
	for u := range s.m.users {
		all[u] = true
	}
	if got, want := fmt.Sprint(names, " ", more), s.m.page(all, filter, most); got != want {
		t.Fatalf("%q, %d: %s, not %s", filter, most, got, want)
	}
}

func (s *system) groupsOf(t *rapid.T) {
	user := rapid.SampledFrom(s.userNames()).Draw(t, "user")
	var in []string
	for g := range s.m.groups {
		if s.m.members(g, map[string]bool{})[user] {
			in = append(in, g)
		}
	}
	s.compareGroups(t, in, groups+"/getEnterpriseGroupsForUser", "username", user)
}

func (s *system) searchGroups(t *rapid.T) {
	s.compareGroups(t, keys(s.m.groups), groups+"/searchEnterpriseGroups")
}

func (s *system) compareGroups(t *rapid.T, all []string, target string, pairs ...string) {
	filter, most := s.query(t)
	var want []string
	for _, g := range all {
		d, name, _ := strings.Cut(g, `\`)
		if arcgis.Fits(filter, d, name, "") {
			want = append(want, g)
		}
	}
	byName(want)
	names, more := s.w.list(target, append(pairs, "filter", filter, "maxCount", fmt.Sprint(most))...)
	if got := fmt.Sprint(names, " ", more); got != fmt.Sprint(strings.Join(want[:min(most, len(want))], " "), " ", len(want) > most) {
		t.Fatalf("%q of %q: %s, not the first %d of %q", filter, pairs, got, most, want)
	}
}
