package linhash_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/rosterdb/roster/internal/linhash"
	"github.com/rosterdb/roster/internal/radix"
	"pgregory.net/rapid"
)

// entries is the model of a table.
type entries map[linhash.Entry]bool

func (want entries) check(t *rapid.T, tab *linhash.Table) {
	if tab.Len() != len(want) {
		t.Fatalf("Len = %d, want %d", tab.Len(), len(want))
	}
	for e := range want {
		if !slices.Contains(tab.Bucket(e.Hash()), e) {
			t.Fatalf("number %d is not under hash %#x", e.Number(), e.Hash())
		}
		seen := map[linhash.Entry]bool{}
		for _, other := range tab.Bucket(e.Hash()) {
			if seen[other] || !want[other] {
				t.Fatalf("number %d under hash %#x is twice there, or should not be", other.Number(), other.Hash())
			}
			seen[other] = true
		}
	}
}

func hashes() *rapid.Generator[uint32] {
	return rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 3), rapid.Map(rapid.Uint32Range(0, 7), func(h uint32) uint32 { return h << 29 }))
}

func TestTableAgainstMap(t *testing.T) {
	type version struct {
		tab  linhash.Table
		want entries
	}
	rapid.Check(t, func(t *rapid.T) {
		var frozen []version
		now, own := version{want: entries{}}, new(radix.Owner)
		next := uint32(0)
		add := func(h uint32) {
			now.tab.Add(own, h, next)
			now.want[linhash.Make(h, next)] = true
			next++
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) { add(hashes().Draw(t, "h")) },
			"addMany": func(t *rapid.T) {
				for _, h := range rapid.SliceOfN(hashes(), 0, 200).Draw(t, "hashes") {
					add(h)
				}
			},
			"remove": func(t *rapid.T) {
				if len(now.want) == 0 {
					t.Skip("empty")
				}
				e := rapid.SampledFrom(slices.Sorted(maps.Keys(now.want))).Draw(t, "e")
				if !now.tab.Remove(own, e.Hash(), e.Number()) {
					t.Fatalf("Remove(%#x, %d) = false", e.Hash(), e.Number())
				}
				delete(now.want, e)
			},
			"removeMissing": func(t *rapid.T) {
				if h := hashes().Draw(t, "h"); now.tab.Remove(own, h, next) {
					t.Fatalf("Remove(%#x, %d) = true, was never added", h, next)
				}
			},
			"fill": func(t *rapid.T) {
				own = new(radix.Owner)
				now.tab = linhash.Fill(own, slices.Collect(maps.Keys(now.want)))
			},
			"snapshot": func(t *rapid.T) {
				frozen = append(frozen, version{now.tab, maps.Clone(now.want)})
				own = new(radix.Owner)
			},
			"rollBack": func(t *rapid.T) {
				if len(frozen) == 0 {
					t.Skip("no snapshot")
				}
				v := rapid.SampledFrom(frozen).Draw(t, "snapshot")
				now, own = version{v.tab, maps.Clone(v.want)}, new(radix.Owner)
			},
		})
		for _, v := range append(frozen, now) {
			v.want.check(t, &v.tab)
		}
	})
}

func TestEmptyTable(t *testing.T) {
	tab := linhash.Fill(new(radix.Owner), nil)
	for _, tab := range []linhash.Table{{}, tab} {
		if b := tab.Bucket(5); len(b) != 0 || tab.Len() != 0 || tab.Remove(new(radix.Owner), 5, 5) {
			t.Errorf("an empty table holds %v", b)
		}
		tab.Add(new(radix.Owner), 5, 7)
		if b := tab.Bucket(5); len(b) != 1 || b[0] != linhash.Make(5, 7) {
			t.Errorf("Bucket = %v after Add", b)
		}
	}
}

// TestBucketsStayShort: growth by one bucket at a time keeps buckets near the
// mean; the longest not yet split holds twice as many, and a Poisson tail.
func TestBucketsStayShort(t *testing.T) {
	var tab linhash.Table
	own := new(radix.Owner)
	for i := range uint32(100_000) {
		tab.Add(own, i*2654435761, i)
	}
	longest := 0
	for i := range uint32(100_000) {
		longest = max(longest, len(tab.Bucket(i*2654435761)))
	}
	if longest > 60 {
		t.Fatalf("the longest bucket holds %d entries", longest)
	}
}
