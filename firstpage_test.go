package roster_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster"
)

// The first users by name of groups of all sizes stay right while members come
// and go, users are made, renamed and deleted; sets that are kept stay as they
// were.
func TestFirstPage(t *testing.T) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	names := map[roster.UserID]string{}
	members := map[roster.GroupID]map[roster.UserID]bool{}
	var users []roster.UserID
	var groups []roster.GroupID
	update := func(fn func(tx *roster.Txn) error) {
		t.Helper()
		if _, err := e.Update(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	name := func() string { return fmt.Sprintf("%08x", r.Uint32()) }
	create := func(tx *roster.Txn) error {
		n := name()
		u, err := tx.CreateUser(roster.User{Directory: 1, Username: n})
		names[u] = n
		users = append(users, u)
		return err
	}
	update(func(tx *roster.Txn) error {
		_, err := tx.PutDirectory(roster.Directory{ID: 1, Name: "corp"})
		for range 3000 {
			if err == nil {
				err = create(tx)
			}
		}
		for i, size := range []int{10, 65, 127, 128, 129, 200, 700, 1500, 2500} {
			g, e := tx.CreateGroup(roster.Group{Directory: 1, Name: fmt.Sprint("group", i)})
			groups, members[g] = append(groups, g), map[roster.UserID]bool{}
			if err = cmp.Or(err, e); err == nil {
				for _, k := range r.Perm(len(users))[:size] {
					members[g][users[k]] = true
				}
				_, err = tx.Add(g, keys(members[g])...)
			}
		}
		for i := 2; i < len(groups) && err == nil; i += 3 { // groups with some nested in them
			_, err = tx.Nest(groups[i], groups[i-1])
		}
		return err
	})
	effective := func(i int) []roster.UserID {
		all := map[roster.UserID]bool{}
		for u := range members[groups[i]] {
			all[u] = true
		}
		if i%3 == 2 {
			for u := range members[groups[i-1]] {
				all[u] = true
			}
		}
		return byName(keys(all), names)
	}
	type kept struct {
		set   roster.Set
		users []roster.UserID
	}
	var old []kept
	for step := range pick(400, 20_000) {
		update(func(tx *roster.Txn) error {
			u, g := users[r.IntN(len(users))], groups[r.IntN(len(groups))]
			switch k := r.IntN(12); {
			case k < 5:
				members[g][u] = true
				_, err := tx.Add(g, u)
				return err
			case k < 9:
				delete(members[g], u)
				_, err := tx.Remove(g, u)
				return err
			case k < 10:
				return create(tx)
			case k < 11:
				rec, err := tx.User(u)
				if err != nil {
					return err
				}
				rec.Username = name()
				names[u] = rec.Username
				_, err = tx.PutUser(rec)
				return err
			}
			delete(names, u)
			users = slices.DeleteFunc(users, func(o roster.UserID) bool { return o == u })
			for _, m := range members {
				delete(m, u)
			}
			return tx.DeleteUser(u)
		})
		err := e.View(ctx, func(tx *roster.Txn) error {
			i := r.IntN(len(groups))
			set, err := tx.Members(groups[i])
			want := effective(i)
			if r.IntN(2) == 0 {
				set, err = tx.DirectMembers(groups[i])
				want = byName(keys(members[groups[i]]), names)
			}
			if err != nil {
				return err
			}
			if name := names[users[r.IntN(len(users))]]; name != "" {
				prefix := name[:1+r.IntN(len(name))]
				begins := slices.DeleteFunc(slices.Clone(want), func(u roster.UserID) bool { return !strings.HasPrefix(names[u], prefix) })
				res, err := tx.Search(roster.SearchQuery{Text: prefix, Fields: roster.Username, Within: &set, Limit: 7})
				if err != nil || res.Total != len(begins) || !slices.Equal(res.Users, begins[:min(7, len(begins))]) {
					return fmt.Errorf("step %d: %q finds %v of %d in group %d, %w, want %v", step, prefix, res.Users, res.Total, i, err, begins)
				}
			}
			most := []int{1, 100, 128, 129, 5000}[r.IntN(5)]
			var got []roster.UserID
			for u := range set.ByName("") {
				if got = append(got, u); len(got) == most {
					break
				}
			}
			old = append(old, kept{set, slices.Sorted(slices.Values(want))})
			if k := old[0]; len(old) > 8 {
				if old = old[1:]; !slices.Equal(slices.Collect(k.set.All()), k.users) {
					return fmt.Errorf("step %d: a set of some steps ago has changed", step)
				}
			}
			if want = want[:min(len(want), most)]; !slices.Equal(got, want) {
				return fmt.Errorf("step %d: the first %d of group %d are %v, want %v", step, most, i, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func byName(users []roster.UserID, names map[roster.UserID]string) []roster.UserID {
	slices.SortFunc(users, func(a, b roster.UserID) int { return cmp.Compare(names[a], names[b]) })
	return users
}
