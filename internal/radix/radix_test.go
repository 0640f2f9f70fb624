package radix_test

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/rosterdb/roster/internal/radix"
	"pgregory.net/rapid"
)

// indexes are drawn close together, around the borders of nodes at every
// level, and anywhere.
func indexes() *rapid.Generator[uint32] {
	return rapid.OneOf(
		rapid.Uint32Range(0, 200),
		rapid.Custom(func(t *rapid.T) uint32 {
			border := uint32(1) << rapid.IntRange(0, 31).Draw(t, "bit")
			return border + rapid.Uint32Range(0, 4).Draw(t, "past") - 2
		}),
		rapid.Uint32(),
	)
}

// branchOf is one line of a history: a tree, what it should hold, its owner.
type branchOf struct {
	tree  radix.Tree[uint64]
	model map[uint32]uint64
	own   *radix.Owner
}

func (b *branchOf) check(t *rapid.T) {
	want := b.model
	for i, v := range want {
		if got := b.tree.Get(i); got != v {
			t.Fatalf("Get(%d) = %d, want %d", i, got, v)
		}
		if at := b.tree.At(i); at == nil || *at != v {
			t.Fatalf("At(%d) = %v, want %d", i, at, v)
		}
	}
	got := map[uint32]uint64{}
	last := int64(-1)
	for i, v := range b.tree.All() {
		if int64(i) <= last {
			t.Fatalf("All yields %d after %d", i, last)
		}
		last = int64(i)
		if *v != 0 {
			got[i] = *v
		}
	}
	for i, v := range want {
		if v == 0 {
			if _, in := got[i]; in {
				t.Fatalf("All yields %d, set to zero", i)
			}
		} else if got[i] != v {
			t.Fatalf("All yields %d for %d, want %d", got[i], i, v)
		}
	}
	for i := range got {
		if _, in := want[i]; !in {
			t.Fatalf("All yields %d, never written", i)
		}
	}
}

// TestTreeAgainstMap writes to several lines of history that share nodes, takes
// snapshots of them, and continues from snapshots.
func TestTreeAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live := []*branchOf{{model: map[uint32]uint64{}, own: new(radix.Owner)}}
		var frozen []*branchOf
		pick := func() *branchOf { return rapid.SampledFrom(live).Draw(t, "line") }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				b, i, v := pick(), indexes().Draw(t, "i"), rapid.Uint64Range(0, 9).Draw(t, "v")
				b.tree.Set(b.own, i, v)
				b.model[i] = v
			},
			"ref": func(t *rapid.T) {
				b, i := pick(), indexes().Draw(t, "i")
				*b.tree.Ref(b.own, i) += 10
				b.model[i] += 10
			},
			"get": func(t *rapid.T) {
				b, i := pick(), indexes().Draw(t, "i")
				if got := b.tree.Get(i); got != b.model[i] {
					t.Fatalf("Get(%d) = %d, want %d", i, got, b.model[i])
				}
				if at := b.tree.At(i); at == nil && b.model[i] != 0 || at != nil && *at != b.model[i] {
					t.Fatalf("At(%d) = %v, want %d", i, at, b.model[i])
				}
			},
			"from": func(t *rapid.T) {
				b, first := pick(), indexes().Draw(t, "first")
				var got, want []uint32
				for i, v := range b.tree.From(first) {
					if i < first {
						t.Fatalf("From(%d) yields %d", first, i)
					}
					if *v != 0 {
						got = append(got, i)
					}
				}
				for _, i := range slices.Sorted(maps.Keys(b.model)) {
					if i >= first && b.model[i] != 0 {
						want = append(want, i)
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("From(%d) = %v, want %v", first, got, want)
				}
			},
			"snapshot": func(t *rapid.T) {
				b := pick()
				frozen = append(frozen, &branchOf{tree: b.tree, model: maps.Clone(b.model)})
				b.own = new(radix.Owner)
			},
			"branch": func(t *rapid.T) {
				b := pick()
				live = append(live, &branchOf{tree: b.tree, model: maps.Clone(b.model), own: new(radix.Owner)})
				b.own = new(radix.Owner)
			},
			"rollBack": func(t *rapid.T) {
				if len(frozen) == 0 {
					t.Skip("no snapshot")
				}
				f := rapid.SampledFrom(frozen).Draw(t, "snapshot")
				*pick() = branchOf{tree: f.tree, model: maps.Clone(f.model), own: new(radix.Owner)}
			},
		})
		for _, b := range slices.Concat(live, frozen) {
			b.check(t)
		}
	})
}

func TestOwnerWritesInPlace(t *testing.T) {
	var tree radix.Tree[int]
	own := new(radix.Owner)
	tree.Set(own, 1_000_000, 1)
	place := tree.At(1_000_000)
	tree.Set(own, 1_000_001, 2)
	if tree.At(1_000_000) != place {
		t.Fatal("a second write by the same owner copied the leaf")
	}
	if n := testing.AllocsPerRun(100, func() { tree.Set(own, 1_000_002, 3) }); n != 0 {
		t.Fatalf("a write by the owner allocates %v times", n)
	}
	tree.Set(new(radix.Owner), 1_000_001, 4)
	if tree.At(1_000_000) == place {
		t.Fatal("a write by another owner did not copy the leaf")
	}
}

func TestOwnersDiffer(t *testing.T) {
	seen := map[*radix.Owner]bool{}
	for range 1000 {
		seen[new(radix.Owner)] = true
	}
	if len(seen) != 1000 {
		t.Fatalf("1000 owners have %d addresses", len(seen))
	}
}

func TestEmptyTree(t *testing.T) {
	var tree radix.Tree[string]
	if got := tree.Get(7); got != "" {
		t.Errorf("Get of an empty tree = %q", got)
	}
	if tree.At(1<<32-1) != nil {
		t.Error("At of an empty tree is not nil")
	}
	for i := range tree.All() {
		t.Errorf("All of an empty tree yields %d", i)
	}
}

func TestIterationStops(t *testing.T) {
	var tree radix.Tree[int]
	own := new(radix.Owner)
	for i := range uint32(10_000) {
		tree.Set(own, i*977, 1)
	}
	for _, stop := range []int{1, 63, 64, 65, 5000} {
		yielded := 0
		for range tree.All() { // going on after a break is a panic
			if yielded++; yielded == stop {
				break
			}
		}
		if yielded != stop {
			t.Errorf("All yields %d places, want %d before the break", yielded, stop)
		}
	}
}

// TestReadersBesideWriter is for the race detector: readers of a snapshot need
// no lock while the writer goes on.
func TestReadersBesideWriter(t *testing.T) {
	var tree radix.Tree[int]
	own := new(radix.Owner)
	for i := range uint32(5000) {
		tree.Set(own, i, 1)
	}
	var wg sync.WaitGroup
	for round := range 20 {
		snapshot := tree
		own = new(radix.Owner)
		wg.Go(func() {
			sum := 0
			for _, v := range snapshot.All() {
				sum += *v
			}
			if want := 5000 + 100*round; sum != want {
				t.Errorf("snapshot %d sums to %d, want %d", round, sum, want)
			}
		})
		for i := range uint32(100) {
			*tree.Ref(own, i*49)++
		}
	}
	wg.Wait()
}

func TestReadsDoNotAllocate(t *testing.T) {
	var tree radix.Tree[uint64]
	tree.Set(new(radix.Owner), 1<<31, 1)
	if n := testing.AllocsPerRun(100, func() { tree.Get(1 << 31); tree.At(1 << 31); tree.Get(5) }); n != 0 {
		t.Fatalf("reads allocate %v times", n)
	}
}

func BenchmarkGet(b *testing.B) {
	var tree radix.Tree[uint64]
	own := new(radix.Owner)
	const n = 1 << 20
	for i := range uint32(n) {
		tree.Set(own, i, uint64(i))
	}
	b.ReportAllocs()
	var i uint32
	for b.Loop() {
		i = i*1664525 + 1013904223
		tree.Get(i % n)
	}
}

func BenchmarkSetNewOwner(b *testing.B) {
	var tree radix.Tree[uint64]
	own := new(radix.Owner)
	const n = 1 << 20
	for i := range uint32(n) {
		tree.Set(own, i, uint64(i))
	}
	b.ReportAllocs()
	var i uint32
	for b.Loop() {
		i = i*1664525 + 1013904223
		tree.Set(new(radix.Owner), i%n, 1)
	}
}
