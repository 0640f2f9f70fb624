package idlist_test

import (
	"slices"
	"testing"

	"github.com/rosterdb/roster/internal/idlist"
	"pgregory.net/rapid"
)

// numbers draws ids that lie close together as often as far apart, so that
// varints of every length come up.
var numbers = rapid.Custom(func(t *rapid.T) uint32 {
	return rapid.Uint32().Draw(t, "n") >> rapid.IntRange(0, 31).Draw(t, "shift")
})

func sorted(ids []uint32) []uint32 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestListAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := sorted(rapid.SliceOf(numbers).Draw(t, "ids"))
		l := idlist.Make(want)
		for range rapid.IntRange(0, 20).Draw(t, "edits") {
			x := numbers.Draw(t, "x")
			if len(want) > 0 && rapid.Bool().Draw(t, "known") {
				x = rapid.SampledFrom(want).Draw(t, "member")
			}
			at, in := slices.BinarySearch(want, x)
			if got := idlist.Contains(l, x); got != in {
				t.Fatalf("Contains(%v, %d) = %v", want, x, got)
			}
			if rapid.Bool().Draw(t, "insert") {
				s, ok := idlist.Insert(l, x)
				if ok == in {
					t.Fatalf("Insert(%v, %d): %v", want, x, ok)
				}
				if ok {
					l, want = s.Apply(l), slices.Insert(want, at, x)
				}
			} else {
				s, ok := idlist.Remove(l, x)
				if ok != in {
					t.Fatalf("Remove(%v, %d): %v", want, x, ok)
				}
				if ok {
					l, want = s.Apply(l), slices.Delete(want, at, at+1)
				}
			}
			if got := idlist.Decode(nil, l); !slices.Equal(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			if got := slices.Collect(idlist.All(l)); !slices.Equal(got, want) {
				t.Fatalf("All: got %v, want %v", got, want)
			}
			if l != idlist.Make(want) {
				t.Fatalf("edited list differs in bytes from the encoded one: %x", l)
			}
			if n, err := idlist.Check(l); err != nil || n != len(want) {
				t.Fatalf("Check = %d, %v; want %d", n, err, len(want))
			}
		}
	})
}

// FuzzCheck holds Check to its word: what it accepts is canonical.
func FuzzCheck(f *testing.F) {
	f.Add("\x03\x02\xa7\x02")
	f.Add("\x80\x00")
	f.Add("\xff\xff\xff\xff\x0f\x01")
	f.Fuzz(func(t *testing.T, l string) {
		n, err := idlist.Check(l)
		ids := idlist.Decode(nil, l) // must not panic on anything
		if idlist.Contains(l, 7) != slices.Contains(ids, 7) && err == nil {
			t.Fatalf("Contains(%x, 7) is wrong", l)
		}
		if err != nil {
			return
		}
		if len(ids) != n || idlist.Make(ids) != l {
			t.Fatalf("accepted %x, which decodes to %v", l, ids)
		}
	})
}

func BenchmarkContains20(b *testing.B) {
	ids := make([]uint32, 20)
	for i := range ids {
		ids[i] = uint32(i*5000 + 17)
	}
	l := idlist.Make(ids)
	for b.Loop() {
		idlist.Contains(l, 99999)
	}
}
