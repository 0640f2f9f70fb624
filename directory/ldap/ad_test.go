package ldap_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/ldap"
)

const adBase = "DC=corp,DC=example"

func guid(n int) string {
	return string(binary.BigEndian.AppendUint32([]byte("\x00(*)\\ab\xffguid"), uint32(n)))[:16]
}

func sidOf(rid int) string {
	b := []byte{1, 5, 0, 0, 0, 0, 0, 5}
	for _, n := range []int{21, 111, 222, 333, rid} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return string(b)
}

func adUser(n int, name string, control int) *object {
	return &object{fmt.Sprintf("CN=%s,OU=Staff,%s", name, adBase), map[string][]string{
		"objectclass": {"top", "person", "user"}, "objectcategory": {"person"},
		"samaccountname": {name}, "cn": {name}, "displayname": {"Full " + name}, "mail": {name + "@corp.example"},
		"objectguid": {guid(n)}, "objectsid": {sidOf(1000 + n)}, "primarygroupid": {"513"}, "useraccountcontrol": {strconv.Itoa(control)},
	}}
}

func adGroup(n int, name string, members ...*object) *object {
	g := &object{fmt.Sprintf("CN=%s,OU=Groups,%s", name, adBase), map[string][]string{
		"objectclass": {"top", "group"}, "samaccountname": {name}, "cn": {name}, "objectguid": {guid(100_000 + n)}, "objectsid": {sidOf(n)},
	}}
	for _, m := range members {
		join(g, m)
	}
	return g
}

// join makes a member, on both sides as Active Directory does.
func join(g, m *object) {
	g.attrs["member"] = append(g.attrs["member"], m.dn)
	m.attrs["memberof"] = append(m.attrs["memberof"], g.dn)
}

// forest is a directory of 900 users: a group of 700, in two others, one of them
// in a loop; everybody's primary group; some who are disabled; a member with a DN
// that is none.
func forest(t testing.TB) (*scripted, []*object) {
	var users []*object
	for i := range 900 {
		control := 512
		if i%10 == 9 {
			control |= 2
		}
		users = append(users, adUser(i, fmt.Sprintf("user%d", i), control))
	}
	root := &object{"", map[string][]string{"objectclass": {"top"}, "supportedcapabilities": {"1.2.840.113556.1.4.800"}}}
	everybody := adGroup(513, "Domain Users")
	big := adGroup(2000, "big", users[:700]...)
	over := adGroup(2001, "over", big)
	loop := adGroup(2002, "loop", over)
	join(big, loop)
	join(adGroup(2003, "elsewhere"), users[0])
	over.attrs["member"] = append(over.attrs["member"], "this is no DN", "CN=gone,"+adBase)
	s := script(t, append([]*object{root, everybody, big, over, loop}, users...)...)
	s.set(func() { s.refer = true })
	return s, users
}

func adSource(t testing.TB, s *scripted) *ldap.Source {
	return source(t, ldap.Config{URL: s.url(), BaseDN: adBase, Schema: ldap.ActiveDirectory(), PageSize: 100, Timeout: 5 * time.Second, Retries: -1})
}

func adLink(t testing.TB, src directory.Source) (*roster.Engine, *directory.Link) {
	e, err := roster.Open("", roster.Options{InMemory: true})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	l, err := directory.New(e, src, directory.Options{Directory: "ad"})
	must(t, err)
	return e, l
}

func adGroups(t testing.TB, e *roster.Engine, name string) (names []string, rec roster.User) {
	must(t, e.View(t.Context(), func(tx *roster.Txn) error {
		id, err := tx.FindUser(name)
		if err != nil {
			return err
		}
		if rec, err = tx.User(id); err != nil {
			return err
		}
		groups, err := tx.Groups(id)
		for _, g := range groups {
			names = append(names, tx.GroupName(g))
		}
		return err
	}))
	slices.Sort(names)
	return names, rec
}

// TestActiveDirectory: pages, ranges, primary groups, disabled users, references
// that stay away, groups at any depth by one search, and a rename.
func TestActiveDirectory(t *testing.T) {
	s, users := forest(t)
	e, l := adLink(t, adSource(t, s))
	report, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	if report.Users != 900 || report.Groups != 4 || report.Memberships != 900+700+3 || report.Unresolved != 2 || len(report.Problems) > 0 {
		t.Errorf("report: %+v", report)
	}
	for i, u := range users {
		name := u.attrs["samaccountname"][0]
		want := []string{"Domain Users"}
		if i < 700 {
			want = []string{"Domain Users", "big", "loop", "over"}
		}
		got, rec := adGroups(t, e, name)
		if !slices.Equal(got, want) || rec.Active != (i%10 != 9) || rec.FullName != "Full "+name || rec.Description != u.dn {
			t.Fatalf("%q is in %q and %+v, want %q", name, got, rec, want)
		}
	}
	if again, err := l.Sync(t.Context(), directory.Run{}); err != nil || !again.Diff.Empty() {
		t.Errorf("again: %+v, %v", again, err)
	}

	_, old := adGroups(t, e, "user5")
	s.mu.Lock()
	users[5].attrs["samaccountname"] = []string{"renamed5"}
	big := s.objects[2]
	big.attrs["member"] = slices.DeleteFunc(big.attrs["member"], func(m string) bool { return m == users[5].dn })
	users[5].attrs["memberof"] = nil
	s.mu.Unlock()
	before, searches := s.chained.Load(), s.search.Load()
	if _, err := l.Refresh(t.Context(), directory.Run{}, "user5"); err != nil {
		t.Fatal(err)
	}
	if got, rec := adGroups(t, e, "renamed5"); !slices.Equal(got, []string{"Domain Users"}) || rec.ID != old.ID {
		t.Errorf("renamed: %q, %+v", got, rec)
	}
	if s.chained.Load() == before || s.search.Load()-searches > 12 {
		t.Errorf("a refresh took %d searches, %d in chain", s.search.Load()-searches, s.chained.Load()-before)
	}
	if _, err := l.Refresh(t.Context(), directory.Run{}, "user6"); err != nil {
		t.Fatal(err)
	}
	if got, _ := adGroups(t, e, "user6"); !slices.Equal(got, []string{"Domain Users", "big", "loop", "over"}) {
		t.Errorf("user6: %q", got)
	}
	if _, err := l.RefreshGroups(t.Context(), directory.Run{}, "Domain Users", "big"); err != nil {
		t.Fatal(err)
	}
	if report, err := l.Sync(t.Context(), directory.Run{}); err != nil || !report.Diff.Empty() {
		t.Errorf("after refreshes a sync finds %+v, %v", report, err)
	}
}

// TestMisbehaviour: a server that gives less than there is changes nothing, and
// what it did is told; when it behaves again the next sync is right.
func TestMisbehaviour(t *testing.T) {
	for name, x := range map[string]struct {
		bad    func(*scripted)
		schema func(*ldap.Schema)
		want   error
	}{
		"size limit on a later page":   {bad: func(s *scripted) { s.limit = 450 }, want: directory.ErrLimit},
		"connection cut between pages": {bad: func(s *scripted) { s.hangUp = int(s.pages.Load()) + 4 }, want: directory.ErrUnreachable},
		"cut while groups are read":    {bad: func(s *scripted) { s.hangUp = int(s.pages.Load()) + 12 }, want: directory.ErrUnreachable},
		"a gap between ranges":         {bad: func(s *scripted) { s.broken = true }, want: directory.ErrRefused},
		"references":                   {schema: func(s *ldap.Schema) { s.DomainScope = false }, want: directory.ErrReferral},
	} {
		t.Run(name, func(t *testing.T) {
			s, users := forest(t)
			c := ldap.Config{URL: s.url(), BaseDN: adBase, Schema: ldap.ActiveDirectory(), PageSize: 100, Timeout: 5 * time.Second, Retries: -1}
			e, l := adLink(t, source(t, c))
			if _, err := l.Sync(t.Context(), directory.Run{}); err != nil {
				t.Fatal(err)
			}
			before := e.Revision()
			s.mu.Lock()
			users[1].attrs["mail"] = []string{"new@corp.example"}
			s.mu.Unlock()
			if x.schema != nil {
				x.schema(&c.Schema)
				var err error
				l, err = directory.New(e, source(t, c), directory.Options{Directory: "ad"})
				must(t, err)
			} else {
				s.set(func() { x.bad(s) })
			}
			if _, err := l.Sync(t.Context(), directory.Run{Force: true}); !errors.Is(err, x.want) {
				t.Errorf("%v, want %v", err, x.want)
			}
			if e.Revision() != before {
				t.Error("something was changed")
			}
			s.set(func() { s.limit, s.hangUp, s.broken = 0, 0, false })
			c.IgnoreReferrals = true
			l, err := directory.New(e, source(t, c), directory.Options{Directory: "ad"})
			must(t, err)
			report, err := l.Sync(t.Context(), directory.Run{})
			if err != nil || len(report.Diff.Users) != 1 || len(report.Diff.Removed) > 0 {
				t.Errorf("afterwards: %+v, %v", report, err)
			}
		})
	}
}

// TestKeys: bytes of a GUID that mean something in a filter find the user.
func TestKeys(t *testing.T) {
	s, users := forest(t)
	src := adSource(t, s)
	for u, err := range src.Users(t.Context()) {
		must(t, err)
		if !strings.Contains(u.Key, "-") {
			t.Fatalf("key %q", u.Key)
		}
		n := 0
		for found, err := range src.FindUsers(t.Context(), []directory.Query{{Key: u.Key}}) {
			must(t, err)
			if n++; found.Name != u.Name {
				t.Errorf("%q finds %q", u.Key, found.Name)
			}
		}
		if n != 1 {
			t.Errorf("%q finds %d", u.Key, n)
		}
		if u.Name == users[20].attrs["samaccountname"][0] {
			break
		}
	}
}

// TestCutBetweenRanges: a connection that dies between two ranges of values is
// replaced, and the rest is asked for again.
func TestCutBetweenRanges(t *testing.T) {
	s, _ := forest(t)
	src := source(t, ldap.Config{URL: s.url(), BaseDN: adBase, Schema: ldap.ActiveDirectory(), PageSize: 100, Timeout: 5 * time.Second})
	s.set(func() { s.cutRange = 1 })
	for g, err := range src.FindGroups(t.Context(), []directory.Query{{Name: "big"}}) {
		must(t, err)
		n := 0
		for _, err := range g.Members {
			must(t, err)
			n++
		}
		if n != 701 {
			t.Errorf("%d members", n)
		}
	}
	if s.cutRange > 0 {
		t.Error("nothing was cut")
	}
}

// TestManyGroups: a user whose own list of groups comes in ranges keeps them all in
// a refresh.
func TestManyGroups(t *testing.T) {
	s, users := forest(t)
	s.set(func() {
		for i := range 40 {
			s.objects = append(s.objects, adGroup(3000+i, fmt.Sprintf("team%d", i), users[1]))
		}
	})
	e, l := adLink(t, adSource(t, s))
	_, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	before, _ := adGroups(t, e, "user1")
	s.set(func() { s.ranges = 15 })
	report, err := l.Refresh(t.Context(), directory.Run{}, "user1")
	if err != nil || !report.Diff.Empty() || s.chained.Load() == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if after, _ := adGroups(t, e, "user1"); len(after) != len(before) || len(after) != 44 {
		t.Errorf("%d groups were %d", len(after), len(before))
	}
}

// TestHiddenMemberOf: where a user's own list of groups may not be read, or leaves
// groups of other domains out, the groups are asked.
func TestHiddenMemberOf(t *testing.T) {
	s, users := forest(t)
	e, l := adLink(t, adSource(t, s))
	_, err := l.Sync(t.Context(), directory.Run{})
	must(t, err)
	s.set(func() { users[1].attrs["memberof"] = nil })
	report, err := l.Refresh(t.Context(), directory.Run{}, "user1")
	if err != nil || !report.Diff.Empty() {
		t.Errorf("%+v, %v", report, err)
	}
	if groups, _ := adGroups(t, e, "user1"); !slices.Equal(groups, []string{"Domain Users", "big", "loop", "over"}) {
		t.Errorf("%q", groups)
	}
}
