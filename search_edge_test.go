package roster_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rosterdb/roster"
)

// TestSearchWithinRevisions searches within a set that was combined of sets of
// two revisions, the older of which holds users who are no more.
func TestSearchWithinRevisions(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	for _, n := range []int{100, 3000} {
		e := peopled(t, t.TempDir(), roster.WithIndexAbove(roster.Options{}, 1), r, n)
		indexed(t, e)
		group := func(tx *roster.Txn, name string) roster.Set {
			g, err := tx.FindGroup(name)
			if err != nil {
				t.Fatal(err)
			}
			set, err := tx.Members(g)
			if err != nil {
				t.Fatal(err)
			}
			return set
		}
		var old roster.Set
		view(t, e, func(tx *roster.Txn) error {
			old = group(tx, "group2")
			return nil
		})
		_, err := e.Update(ctx, func(tx *roster.Txn) error {
			for u := range old.All() {
				return tx.DeleteUser(u)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		view(t, e, func(tx *roster.Txn) error {
			all, err := everyone(tx)
			within := group(tx, "group1").Or(old)
			for _, text := range []string{"", "a", "alan", "turing"} {
				for _, fields := range []uint8{0, roster.Username, roster.FullName} {
					if err == nil {
						err = compareSearch(tx, roster.SearchQuery{Text: text, Fields: fields, Within: &within, Limit: 7}, all)
					}
				}
			}
			return err
		})
	}
}
