package roster

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
	"pgregory.net/rapid"
)

// naive is the index as one would write it on the first day.
type naive struct {
	members  map[uint32]map[uint32]bool // set → users
	children map[uint32]map[uint32]bool // set → sets
}

func newNaive() *naive {
	return &naive{members: map[uint32]map[uint32]bool{}, children: map[uint32]map[uint32]bool{}}
}

func (m *naive) clone() *naive {
	c := newNaive()
	for s, u := range m.members {
		c.members[s] = maps.Clone(u)
	}
	for s, u := range m.children {
		c.children[s] = maps.Clone(u)
	}
	return c
}

func (m *naive) below(set uint32, seen map[uint32]bool) map[uint32]bool {
	if !seen[set] {
		seen[set] = true
		for c := range m.children[set] {
			m.below(c, seen)
		}
	}
	return seen
}

func (m *naive) effective(set uint32) []uint32 {
	all := map[uint32]bool{}
	for s := range m.below(set, map[uint32]bool{}) {
		maps.Copy(all, m.members[s])
	}
	return slices.Sorted(maps.Keys(all))
}

const testSets, testUsers = 8, 140_000 // users in three shards

// userRange draws users that lie close together, far apart, or in long rows
// that carry a set over the border between list and shards.
func userRange(t *rapid.T) []uint32 {
	first := rapid.SampledFrom([]uint32{0, 3, 65_530, 131_070}).Draw(t, "first")
	n := rapid.SampledFrom([]uint32{1, 1, 1, 2, 7, 40, 600, 1100}).Draw(t, "n")
	step := rapid.SampledFrom([]uint32{1, 1, 3}).Draw(t, "step")
	var out []uint32
	for i := range n {
		out = append(out, first+i*step)
	}
	return out
}

func TestIndexAgainstMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		own := new(radix.Owner)
		x.ours = ours{}
		for s := range uint32(testSets) {
			x.create(own, s, slotListed)
		}
		m := newNaive()
		for s := range uint32(testSets) {
			m.members[s], m.children[s] = map[uint32]bool{}, map[uint32]bool{}
		}
		var cache effectiveCache
		cache.init(rapid.SampledFrom([]int64{0, 4000, 1 << 30}).Draw(t, "cache"))
		type kept struct {
			x index
			m *naive
		}
		var old []kept
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			set := rapid.Uint32Range(0, testSets-1).Draw(t, "set")
			switch rapid.SampledFrom([]string{"add", "add", "remove", "link", "link", "unlink", "freeze", "look"}).Draw(t, "step") {
			case "add":
				users := userRange(t)
				fresh := x.add(own, set, slices.Clone(users))
				var want []uint32
				for _, u := range users {
					if !m.members[set][u] {
						want = append(want, u)
						m.members[set][u] = true
					}
				}
				if !slices.Equal(fresh, want) {
					t.Fatalf("add reported %v, want %v", fresh, want)
				}
			case "remove":
				users := userRange(t)
				left := x.remove(own, set, slices.Clone(users))
				var want []uint32
				for _, u := range users {
					if m.members[set][u] {
						want = append(want, u)
						delete(m.members[set], u)
					}
				}
				if !slices.Equal(left, want) {
					t.Fatalf("remove reported %v, want %v", left, want)
				}
			case "link":
				child := rapid.Uint32Range(0, testSets-1).Filter(func(c uint32) bool { return c != set }).Draw(t, "child")
				if got := x.link(own, set, child); got == m.children[set][child] {
					t.Fatalf("link(%d, %d) = %v", set, child, got)
				}
				m.children[set][child] = true
			case "unlink":
				child := rapid.Uint32Range(0, testSets-1).Draw(t, "child")
				if got := x.unlink(own, set, child); got != m.children[set][child] {
					t.Fatalf("unlink(%d, %d) = %v", set, child, got)
				}
				delete(m.children[set], child)
			case "freeze":
				if err := x.nest.settle(own, noLimit); err != nil {
					t.Fatal(err)
				}
				old = append(old, kept{x, m.clone()})
				own = new(radix.Owner)
				x.ours = ours{}
			case "look":
				if err := x.nest.settle(own, noLimit); err != nil {
					t.Fatal(err)
				}
				own = new(radix.Owner) // what is looked at is shared
				x.ours = ours{}
				compareIndex(t, &x, m, &cache, set)
			}
		}
		if err := x.nest.settle(own, noLimit); err != nil {
			t.Fatal(err)
		}
		for i := range old {
			compareIndex(t, &old[i].x, old[i].m, &cache, uint32(i%testSets))
		}
		for s := range uint32(testSets) {
			compareIndex(t, &x, m, &cache, s)
		}
		compareDerived(t, &x)
	})
}

// compareIndex holds one set of x to the model, and the users around it.
func compareIndex(t *rapid.T, x *index, m *naive, cache *effectiveCache, set uint32) {
	want := slices.Sorted(maps.Keys(m.members[set]))
	direct := x.direct(set)
	if got := slices.Collect(direct.all()); !slices.Equal(got, want) || direct.n != len(want) || x.len(set) != len(want) {
		t.Fatalf("set %d holds %d users, want %d", set, direct.n, len(want))
	}
	effective := m.effective(set)
	got := cache.get(x, &order{}, set, false)
	if ids := slices.Collect(got.all()); !slices.Equal(ids, effective) || got.n != len(effective) {
		t.Fatalf("set %d has %d (%d) effective users, want %d", set, len(ids), got.n, len(effective))
	}
	for _, u := range []uint32{0, 1, 5, 65_535, 65_536, 131_072, 139_999} {
		_, in := slices.BinarySearch(effective, u)
		if x.check(u, set) != in || x.contains(u, set) != m.members[set][u] {
			t.Fatalf("check(%d, %d) = %v, want %v", u, set, !in, in)
		}
		var sets, all []uint32
		for s := range uint32(testSets) {
			if m.members[s][u] {
				sets = append(sets, s)
			}
			if _, in := slices.BinarySearch(m.effective(s), u); in {
				all = append(all, s)
			}
		}
		if got := idlist.Decode(nil, x.setsOf(u)); !slices.Equal(got, sets) {
			t.Fatalf("user %d lists %v, want %v", u, got, sets)
		}
		if got := x.appendEffective(nil, u); !slices.Equal(got, all) {
			t.Fatalf("user %d is in %v, want %v", u, got, all)
		}
	}
}

// compareDerived makes the reverse direction anew and compares it.
func compareDerived(t *rapid.T, x *index) {
	again := *x
	again.pages = radix.Tree[page]{}
	if err := again.derive(new(radix.Owner), testUsers); err != nil {
		t.Fatal(err)
	}
	for u := range uint32(testUsers) {
		if x.setsOf(u) != again.setsOf(u) {
			t.Fatalf("user %d lists %x, derived %x", u, x.setsOf(u), again.setsOf(u))
		}
	}
}

func TestNumbersAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (numbers, map[uint32]bool) {
			in := map[uint32]bool{}
			for range rapid.IntRange(0, 4).Draw(t, name) {
				for _, u := range userRange(t) {
					in[u] = true
				}
			}
			list := slices.Sorted(maps.Keys(in))
			if rapid.Bool().Draw(t, name+" large") {
				return numbers{big: makeShards(new(radix.Owner), nil, list), large: true, n: len(list)}, in
			}
			return listOf(list), in
		}
		a, inA := draw("a")
		b, inB := draw("b")
		want := func(keep func(x, y bool) bool) []uint32 {
			var out []uint32
			for u := range uint32(testUsers) {
				if keep(inA[u], inB[u]) {
					out = append(out, u)
				}
			}
			return out
		}
		for name, c := range map[string]struct {
			got  numbers
			want []uint32
		}{
			"and":     {a.and(b), want(func(x, y bool) bool { return x && y })},
			"or":      {a.or(b), want(func(x, y bool) bool { return x || y })},
			"and not": {a.andNot(b), want(func(x, y bool) bool { return x && !y })},
			"a":       {a, want(func(x, y bool) bool { return x })}, // unharmed
			"b":       {b, want(func(x, y bool) bool { return y })},
		} {
			if got := c.got.appendTo(nil); !slices.Equal(got, c.want) || c.got.n != len(c.want) {
				t.Fatalf("%s: %d users, counted %d, want %d", name, len(got), c.got.n, len(c.want))
			}
		}
		if a.equal(b) != maps.Equal(inA, inB) {
			t.Fatalf("equal = %v", a.equal(b))
		}
	})
}

func TestNestingLimit(t *testing.T) {
	var x index
	own := new(radix.Owner)
	for s := range uint32(100) {
		x.create(own, s, slotListed)
		if s > 0 {
			x.link(own, s-1, s)
		}
	}
	if err := x.nest.settle(own, 99*100/2-1); err == nil {
		t.Fatal("a chain of 100 has 4950 pairs and fitted into fewer")
	}
	for s := uint32(99); s > 50; s-- {
		x.unlink(own, s-1, s)
	}
	if err := x.nest.settle(own, 51*50/2); err != nil || x.nest.pairs != 51*50/2 {
		t.Fatalf("a chain of 51: %v, %d pairs", err, x.nest.pairs)
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	var x index
	own := new(radix.Owner)
	for s := range uint32(5) {
		x.create(own, s, slotListed)
	}
	x.add(own, 3, []uint32{1, 2, 3})
	x.link(own, 2, 3)
	x.link(own, 1, 2)
	if err := x.nest.settle(own, noLimit); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if !x.check(2, 1) || x.check(9, 1) || !x.check(2, 3) {
			t.Fatal("wrong answer")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// TestPagesOfManySets fills the lists of neighbours until their page takes its
// wide form, and empties it again.
func TestPagesOfManySets(t *testing.T) {
	var x index
	own := new(radix.Owner)
	want := map[uint32][]uint32{}
	for set := range uint32(8_000) {
		x.create(own, set<<17, slotListed) // deltas of three bytes
		for _, u := range []uint32{0, 3 + set%3, 15} {
			x.add(own, set<<17, []uint32{u})
			want[u] = append(want[u], set<<17)
		}
		if set%999 == 0 || set > 7_990 {
			for u := range uint32(pageUsers) {
				if got := idlist.Decode(nil, x.setsOf(u)); !slices.Equal(got, want[u]) {
					t.Fatalf("after set %d user %d lists %d sets, want %d", set, u, len(got), len(want[u]))
				}
			}
		}
	}
	if p := x.pages.Get(0); p.ends != [pageUsers]uint16{} {
		t.Fatalf("a page of %d bytes is not wide", len(p.lists))
	}
	again := x
	again.pages = radix.Tree[page]{}
	if err := again.derive(new(radix.Owner), pageUsers); err != nil {
		t.Fatal(err)
	}
	if again.pages.Get(0) != x.pages.Get(0) {
		t.Fatal("the derived page differs")
	}
	for set := range uint32(8_000) {
		for _, u := range []uint32{0, 3 + set%3, 15} {
			x.remove(own, set<<17, []uint32{u})
		}
	}
	if p := x.pages.Get(0); p != (page{}) {
		t.Fatalf("%d bytes are left of an empty page", len(p.lists))
	}
}

// TestDeriveRefusesStrangers: a set may not hold users beyond those that exist,
// whatever its checksum says.
func TestDeriveRefusesStrangers(t *testing.T) {
	for _, users := range [][]uint32{{1 << 16}, {1, 1 << 20}} {
		var x index
		own := new(radix.Owner)
		x.create(own, 5, slotListed)
		x.forwardOnly = true
		x.add(own, 5, users)
		if err := x.derive(own, 1000); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a set of %v among 1000 users: %v", users, err)
		}
	}
}
