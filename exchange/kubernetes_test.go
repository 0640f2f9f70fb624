package exchange_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// naive is what a directory says, taken from the file by means that have
// nothing in common with the importer: lines cut at the first colon and space.
type naive struct {
	users   map[string]bool
	members map[string][]string // of each group, by name: users as "u name", groups as "g name"
	lines   int
}

func readNaive(t *testing.T, file string) naive {
	t.Helper()
	n := naive{users: map[string]bool{}, members: map[string][]string{}}
	var dn, class string
	for line := range strings.Lines(file) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "dn":
			dn, class = value, ""
		case "objectClass":
			class = value
			if class == "inetOrgPerson" {
				n.users[rdn(dn)] = true
			}
			if class == "groupOfNames" {
				n.members[rdn(dn)] = nil
			}
		case "member":
			kind := "u "
			if strings.HasPrefix(value, "cn=") {
				kind = "g "
			}
			n.members[rdn(dn)] = append(n.members[rdn(dn)], kind+rdn(value))
			n.lines++
		}
	}
	return n
}

// rdn returns the value of the first part of a DN: a#,b=… has none escaped here.
func rdn(dn string) string {
	first, _, _ := strings.Cut(dn, ",")
	_, value, _ := strings.Cut(first, "=")
	return value
}

// effective adds all users under a group.
func (n naive) effective(group string, seen, into map[string]bool) {
	if seen[group] {
		return
	}
	seen[group] = true
	for _, m := range n.members[group] {
		if m[0] == 'u' {
			into[m[2:]] = true
		} else {
			n.effective(m[2:], seen, into)
		}
	}
}

func sortedFold(names map[string]bool) []string {
	return slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	})
}

// TestKubernetes imports a real directory and compares every group and every
// user with what the file alone says.
func TestKubernetes(t *testing.T) {
	file, err := os.ReadFile("../../shared/data/kubernetes.ldif")
	if err != nil {
		t.Skip("the data of the Kubernetes project is not here: ", err)
	}
	want := readNaive(t, string(file))
	e := open(t)
	sum := mustLoad(t, e, exchange.Options{Strict: true}, string(file))
	if sum.Users != int64(len(want.users)) || sum.Groups != int64(len(want.members)) || sum.Memberships != int64(want.lines) || sum.Unresolved != 0 {
		t.Errorf("imported %+v, the file holds %d users, %d groups, %d members", sum, len(want.users), len(want.members), want.lines)
	}
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		compareKubernetes(t, tx, want)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, e, exchange.Options{}, string(file))
	if again.Revision != sum.Revision {
		t.Errorf("a second import made revision %d, the first %d", again.Revision, sum.Revision)
	}

	// Out as LDIF and in again: the same, with the DNs that the users came with.
	other := open(t)
	mustLoad(t, other, exchange.Options{Strict: true}, export(t, e, exchange.LDIF))
	if a, b := withoutTimes(export(t, e, exchange.JSONLines)), withoutTimes(export(t, other, exchange.JSONLines)); a != b {
		t.Error("an export as LDIF gives another store than the one exported")
	}
}

func compareKubernetes(t *testing.T, tx *roster.Txn, want naive) {
	groupsOf := map[string]map[string]bool{}
	for group := range want.members {
		id, err := tx.FindGroup(group)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		want.effective(group, map[string]bool{}, all)
		for user := range all {
			if groupsOf[user] == nil {
				groupsOf[user] = map[string]bool{}
			}
			groupsOf[user][group] = true
		}
		set, err := tx.Members(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, tx, set); !slices.Equal(got, sortedFold(all)) {
			t.Errorf("members of %s are %q, want %q", group, got, sortedFold(all))
		}
		direct := map[string]bool{}
		for _, m := range want.members[group] {
			if m[0] == 'u' {
				direct[m[2:]] = true
			}
		}
		if set, err = tx.DirectMembers(id); err != nil {
			t.Fatal(err)
		}
		if got := names(t, tx, set); !slices.Equal(got, sortedFold(direct)) {
			t.Errorf("direct members of %s are %q, want %q", group, got, sortedFold(direct))
		}
	}
	for user := range want.users {
		id, err := tx.FindUser(user)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := tx.Groups(id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range groups {
			got = append(got, tx.GroupName(g))
		}
		if !slices.Equal(got, sortedFold(groupsOf[user])) {
			t.Errorf("groups of %s are %q, want %q", user, got, sortedFold(groupsOf[user]))
		}
	}
}

// TestKubernetesSearch finds every login by its beginning, a part of it and one
// typo, and within the groups of its user.
func TestKubernetesSearch(t *testing.T) {
	file, err := os.ReadFile("../../shared/data/kubernetes.ldif")
	if err != nil {
		t.Skip("the data of the Kubernetes project is not here: ", err)
	}
	e, err := roster.Open(t.TempDir(), roster.Options{}) // with an index, which none in memory has
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	mustLoad(t, e, exchange.Options{}, string(file))
	for end := time.Now().Add(time.Minute); e.Stats().SearchRevision != e.Revision(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no search index: %+v", e.Stats())
		}
	}
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		all, err := tx.Users()
		if err != nil {
			return err
		}
		for u := range all.All() {
			for _, q := range searchesFor(tx.Username(u)) {
				if groups, err := tx.Groups(u); err != nil {
					return err
				} else if len(groups) > 0 && len(q.Text)%2 == 0 {
					set, err := tx.Members(groups[0])
					if err != nil {
						return err
					}
					q.Within = &set
				}
				q.Limit = 10_000
				res, err := tx.Search(q)
				if err != nil {
					return err
				}
				if !slices.Contains(res.Users, u) || res.Total != len(res.Users) {
					t.Errorf("%q, fuzzy %v, does not find %q", q.Text, q.Fuzzy, tx.Username(u))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// searchesFor are what must find a login.
func searchesFor(login string) []roster.SearchQuery {
	n := len(login)
	out := []roster.SearchQuery{{Text: login}, {Text: login[:1]}, {Text: login[:(n+1)/2]}, {Text: strings.ToUpper(login)}, {Text: login[:1], Fields: roster.Username}}
	if n >= 5 {
		out = append(out, roster.SearchQuery{Text: login[1 : n-1]}, roster.SearchQuery{Text: login[:2] + login[3:], Fuzzy: true},
			roster.SearchQuery{Text: login[:2] + "~" + login[3:], Fuzzy: true}, roster.SearchQuery{Text: login[:2] + "q" + login[2:], Fuzzy: true})
	}
	return out
}

// withoutTimes takes the times out of JSON lines.
func withoutTimes(lines string) string {
	var out strings.Builder
	for line := range strings.Lines(lines) {
		line, _, _ = strings.Cut(line, `,"createdTime"`)
		out.WriteString(line + "\n")
	}
	return out.String()
}
