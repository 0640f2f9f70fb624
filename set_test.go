package roster

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster/internal/radix"
)

// TestByNameOfEveryDensity reads sets from a handful to everyone in the order of
// names, from the start and from cursors, and holds them to a sort.
func TestByNameOfEveryDensity(t *testing.T) {
	const users = 20_000
	st := newHead(maphash.MakeSeed(), noLimit)
	if err := st.apply(&op{kind: opPutDirectory, rec: encodeDirectory(&Directory{Name: "d"}, 2)}); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	names := make([]string, users)
	for i, k := range rnd.Perm(users) {
		names[i] = fmt.Sprintf("u%05d", k)
		rec := encodeUser(&User{Username: strings.ToUpper(names[i]), Number: uint64(i) + 1})
		if err := st.apply(&op{kind: opPutUser, num: uint32(i), rec: rec}); err != nil {
			t.Fatal(err)
		}
	}
	frozen := st.freeze()
	for _, n := range []int{0, 1, 17, 70, 80, 1000, 1200, 1300, 5000, users} {
		in := map[uint32]bool{}
		for len(in) < n {
			in[uint32(rnd.IntN(users))] = true
		}
		want := slices.SortedFunc(maps.Keys(in), func(a, b uint32) int { return strings.Compare(names[a], names[b]) })
		list := listOf(slices.Sorted(maps.Keys(in)))
		for form, a := range map[string]numbers{
			"list":   list,
			"shards": {big: makeShards(new(radix.Owner), nil, list.list), large: true, n: n},
		} {
			s := Set{numbers: a, st: frozen}
			var got []uint32
			for u := range s.ByName("") {
				got = append(got, uint32(u))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d users as %s: %d in another order", n, form, len(got))
			}
			if n > 0 {
				k := n / 3
				got = got[:0]
				for u := range s.ByName(s.CursorAfter(UserID(want[k]))) {
					got = append(got, uint32(u))
				}
				if !slices.Equal(got, want[k+1:]) {
					t.Fatalf("%d users as %s from behind number %d: %d, want %d", n, form, k, len(got), n-k-1)
				}
			}
		}
	}
}

func TestCursorOfAnything(t *testing.T) {
	c := cursorOf("müller/7", 1<<32-1)
	folded, dir, err := c.parse()
	if err != nil || folded != "müller/7" || dir != 1<<32-1 || c.Validate() != nil {
		t.Fatalf("%q reads as %q, %d, %v", c, folded, dir, err)
	}
	for _, bad := range []Cursor{"?", "MQ", "YQ", "LTEvYQ"} {
		if bad.Validate() == nil {
			t.Errorf("%q is taken for a cursor", bad)
		}
	}
}
