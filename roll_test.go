package roster

import (
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/internal/text"
	"pgregory.net/rapid"
)

// plainRoll is the model of a roll: cards by number, everything else by search.
type plainRoll map[uint32]card

// collides reports whether c may not be given to n.
func (m plainRoll) collides(n uint32, c card) bool {
	folded := text.Fold(c.name)
	for k, o := range m {
		if k != n && (o.dir == c.dir && m.fold(k) == folded || o.id == c.id || plainUID(o) == plainUID(c)) {
			return true
		}
	}
	return false
}

// fold returns the folded name of n, which put has made if it takes any time.
func (m plainRoll) fold(n uint32) string {
	if c := m[n]; c.folded != "" {
		return c.folded
	}
	return strings.ToLower(m[n].name)
}

func plainUID(c card) string {
	if c.uid == "" {
		return fmt.Sprintf("usr_%d", c.id)
	}
	return c.uid
}

// put fills in what the roll works out for itself.
func (m plainRoll) put(n uint32, c card) {
	if c.folded = text.Fold(c.name); text.IsASCII(c.name) {
		c.folded = ""
	}
	if c.uid == fmt.Sprintf("usr_%d", c.id) {
		c.uid = ""
	}
	m[n] = c
}

func (m plainRoll) less(a, b uint32) int {
	if d := strings.Compare(m.fold(a), m.fold(b)); d != 0 {
		return d
	}
	return int(m[a].dir) - int(m[b].dir)
}

// check holds every answer of r to the model.
func (m plainRoll) check(t *rapid.T, r *roll) {
	if r.len() != len(m) {
		t.Fatalf("len = %d, want %d", r.len(), len(m))
	}
	if got := maps.Collect(r.all()); !maps.Equal(got, m) {
		t.Fatalf("all = %v, want %v", got, m)
	}
	numbers := slices.Sorted(maps.Keys(m))
	for _, n := range numbers {
		c := m[n]
		if got, ok := r.get(n); !ok || got != c || r.name(n) != c.name || r.uid(&got) != plainUID(c) {
			t.Fatalf("get(%d) = %+v, %t, want %+v", n, got, ok, c)
		}
		folded := text.Fold(c.name)
		if got := c.fold(); got != folded {
			t.Fatalf("fold of %q = %q", c.name, got)
		}
		if got, ok := r.find(c.dir, folded); !ok || got != n {
			t.Fatalf("find(%d, %q) = %d, %t, want %d", c.dir, c.name, got, ok, n)
		}
		if got, ok := r.byID(c.id); !ok || got != n {
			t.Fatalf("byID(%d) = %d, %t, want %d", c.id, got, ok, n)
		}
		if got, ok := r.byUID(plainUID(c)); !ok || got != n {
			t.Fatalf("byUID(%q) = %d, %t, want %d", plainUID(c), got, ok, n)
		}
		var same []uint32
		for _, k := range numbers {
			if m.fold(k) == folded {
				same = append(same, k)
			}
			if got, want := r.compare(n, k), m.less(n, k); sign(got) != sign(want) {
				t.Fatalf("compare(%+v, %+v) = %d, want %d", c, m[k], got, want)
			}
		}
		slices.SortFunc(same, m.less)
		if got := findAll(r, folded); !r.scoped && !slices.Equal(got, same) {
			t.Fatalf("findAll(%q) = %v, want %v", c.name, got, same)
		}
	}
	m.checkMissing(t, r)
}

// checkMissing asks for what is not there.
func (m plainRoll) checkMissing(t *rapid.T, r *roll) {
	for _, n := range []uint32{0, 1, 5, 15, 16, 1 << 31, 1<<32 - 1} {
		_, want := m[n]
		if _, ok := r.get(n); ok != want {
			t.Fatalf("get(%d) = %t", n, ok)
		}
	}
	ids, uids, names := map[uint64]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range m {
		ids[c.id], uids[plainUID(c)], names[fmt.Sprint(c.dir, text.Fold(c.name))] = true, true, true
	}
	for _, id := range []uint64{0, 1, 7, 16, 1 << 32, 1<<32 + 1, 1<<64 - 1} {
		if _, ok := r.byID(id); ok != ids[id] {
			t.Fatalf("byID(%d) = %t", id, ok)
		}
	}
	for _, uid := range []string{"", "usr_", "usr_0", "usr_1", "usr_01", "usr_+1", "usr_7", "usr_x", "grp_1", "usr_99999999999999999999", "ext"} {
		if _, ok := r.byUID(uid); ok != uids[uid] {
			t.Fatalf("byUID(%q) = %t", uid, ok)
		}
	}
	for _, name := range []string{"", "a", "alice", "nobody"} {
		for dir := range uint32(3) {
			if _, ok := r.find(dir, name); ok != names[fmt.Sprint(dir, name)] {
				t.Fatalf("find(%d, %q) = %t", dir, name, ok)
			}
		}
	}
	if r.name(1<<30) != "" || findAll(r, "nobody") != nil {
		t.Fatal("something under a number or name that was never given")
	}
}

func sign(d int) int { return min(1, max(-1, d)) }

func cardNames() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"alice", "Alice", "a", "B", "müller", "MÜLLER", "muller", "ß", "SS", "Zoë", "北京", "a[", "a_", "A`"}),
		rapid.StringMatching(`[a-cA-C]{1,3}`),
		rapid.Custom(func(t *rapid.T) string { // pages longer than 64 KiB
			return strings.Repeat(rapid.SampledFrom([]string{"x", "Y", "é", "É"}).Draw(t, "c"), rapid.SampledFrom([]int{127, 128, 5000}).Draw(t, "times"))
		}),
	)
}

func cardsOf() *rapid.Generator[card] {
	return rapid.Custom(func(t *rapid.T) card {
		return card{
			dir:   rapid.SampledFrom([]uint32{0, 1, 2, 300, 1<<32 - 1}).Draw(t, "dir"),
			id:    rapid.OneOf(rapid.Uint64Range(1, 40), rapid.Uint64Min(1)).Draw(t, "id"),
			name:  cardNames().Draw(t, "name"),
			uid:   rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"usr_1", "usr_7", "usr_01", "ext", "e\x00"})).Draw(t, "uid"),
			flags: rapid.Byte().Draw(t, "flags"),
		}
	})
}

func TestRollAgainstMap(t *testing.T) {
	type version struct {
		roll roll
		want plainRoll
	}
	rapid.Check(t, func(t *rapid.T) {
		scoped := rapid.Bool().Draw(t, "scoped")
		empty := func() roll {
			r := newRoll("usr_", maphash.MakeSeed())
			r.scoped = scoped
			return r
		}
		var frozen []version
		now, own := version{empty(), plainRoll{}}, new(radix.Owner)
		numbers := rapid.OneOf(rapid.Uint32Range(0, 40), rapid.SampledFrom([]uint32{1000, 1 << 31, 1<<32 - 1}))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n, c := numbers.Draw(t, "n"), cardsOf().Draw(t, "card")
				if rapid.Bool().Draw(t, "default id") {
					c.id = uint64(n) + 1
				}
				if old, ok := now.want[n]; ok && rapid.Bool().Draw(t, "same name") {
					c.dir, c.name = old.dir, old.name
				}
				if now.want.collides(n, c) {
					t.Skip("taken")
				}
				now.want.put(n, c)
				now.roll.put(own, n, c)
			},
			"del": func(t *rapid.T) {
				n := numbers.Draw(t, "n")
				_, want := now.want[n]
				if got := now.roll.del(own, n); got != want {
					t.Fatalf("del(%d) = %t, want %t", n, got, want)
				}
				delete(now.want, n)
			},
			"load": func(t *rapid.T) {
				own = new(radix.Owner)
				now.roll = empty()
				loadRoll(&now.roll, own, func(yield func(uint32, card) bool) {
					for _, n := range slices.Sorted(maps.Keys(now.want)) {
						if !yield(n, now.want[n]) {
							return
						}
					}
				})
			},
			"snapshot": func(t *rapid.T) {
				frozen = append(frozen, version{now.roll, maps.Clone(now.want)})
				own = new(radix.Owner)
			},
			"rollBack": func(t *rapid.T) {
				if len(frozen) == 0 {
					t.Skip("no snapshot")
				}
				v := rapid.SampledFrom(frozen).Draw(t, "snapshot")
				now, own = version{v.roll, maps.Clone(v.want)}, new(radix.Owner)
			},
		})
		for _, v := range append(frozen, now) {
			v.want.check(t, &v.roll)
		}
	})
}

// TestRollLayout holds the page format to the example in its description.
func TestRollLayout(t *testing.T) {
	r := newRoll("usr_", maphash.MakeSeed())
	r.put(new(radix.Owner), 4, card{dir: 1, id: 5, name: "Bob", uid: "usr_5", flags: 1})
	if got, want := string(r.pages.Get(0)), "\x10\x00\x07\x00\x00\x01\x01\x03Bob"; got != want {
		t.Fatalf("page = % x, want % x", got, want)
	}
}

// TestRollStringsStay: strings returned earlier do not change with the page.
func TestRollStringsStay(t *testing.T) {
	r, own := newRoll("usr_", maphash.MakeSeed()), new(radix.Owner)
	r.put(own, 1, card{id: 2, name: "alice", uid: "u"})
	name, c := r.name(1), r.pages.Get(0)
	r.put(own, 1, card{id: 2, name: "carol", uid: "v"})
	r.put(own, 2, card{id: 3, name: "bob"})
	r.del(own, 1)
	if name != "alice" || !strings.Contains(string(c), "alice") {
		t.Fatalf("name has become %q", name)
	}
}

func TestRollDoesNotAllocate(t *testing.T) {
	r := rollOf(1000)
	r.put(new(radix.Owner), 5, card{id: 1 << 40, name: "Müller", uid: "ext"})
	for what, fn := range map[string]func(){
		"get":     func() { r.get(77) },
		"name":    func() { r.name(77) },
		"find":    func() { r.find(0, "user00000077"); r.find(0, "müller"); r.find(0, "nobody") },
		"byID":    func() { r.byID(78); r.byID(1 << 40); r.byID(5000) },
		"byUID":   func() { r.byUID("usr_78"); r.byUID("ext"); r.byUID("none") },
		"compare": func() { r.compare(77, 78) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
}

// userCards yields n cards with names of 12 bytes, all else at its default.
func userCards(n int) func(func(uint32, card) bool) {
	return func(yield func(uint32, card) bool) {
		for i := range uint32(n) {
			if !yield(i, card{id: uint64(i) + 1, name: fmt.Sprintf("user%08d", i), flags: 1}) {
				return
			}
		}
	}
}

func rollOf(n int) *roll {
	r := newRoll("usr_", maphash.MakeSeed())
	loadRoll(&r, new(radix.Owner), userCards(n))
	return &r
}

// heapOf returns what make makes, and how many bytes of heap it holds.
func heapOf[T any](make func() T) (T, uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return v, after.HeapAlloc - before.HeapAlloc
}

// TestRollMemory: 36 bytes a user with names of 12 bytes, loaded or put.
func TestRollMemory(t *testing.T) {
	const users = 200_000
	loaded, size := heapOf(func() *roll { return rollOf(users) })
	t.Logf("loaded: %.1f bytes a user", float64(size)/users)
	if size > 36*users {
		t.Errorf("%d users take %d bytes, more than 36 each", users, size)
	}
	put, size := heapOf(func() *roll {
		r := newRoll("usr_", maphash.MakeSeed())
		for n, c := range userCards(users) {
			r.put(new(radix.Owner), n, c)
		}
		return &r
	})
	t.Logf("put: %.1f bytes a user", float64(size)/users)
	if size > 36*users {
		t.Errorf("%d users put one by one take %d bytes, more than 36 each", users, size)
	}
	runtime.KeepAlive([]*roll{loaded, put})
}

func BenchmarkRollFind(b *testing.B) {
	const users = 1_000_000
	r := rollOf(users)
	for _, tc := range []struct {
		name string
		span int
	}{{"hot", 16}, {"random", users}} {
		b.Run(tc.name, func(b *testing.B) {
			asked := make([]string, 1<<16)
			for i := range asked {
				asked[i] = r.name(uint32(rand.IntN(tc.span)))
				asked[i] = strings.Clone(asked[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := r.find(0, asked[i&(1<<16-1)]); !ok {
					b.Fatal("not found")
				}
				i++
			}
		})
	}
}

func BenchmarkRollGet(b *testing.B) {
	const users = 1_000_000
	r := rollOf(users)
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n = n*1664525 + 1013904223
		r.get(n % users)
	}
}

func BenchmarkRollPut(b *testing.B) {
	for _, tc := range []struct {
		name  string
		batch uint32 // puts by one owner
	}{{"single", 1}, {"batch", 1000}} {
		b.Run(tc.name, func(b *testing.B) {
			r, own := newRoll("usr_", maphash.MakeSeed()), new(radix.Owner)
			b.ReportAllocs()
			n := uint32(0)
			for b.Loop() {
				if n%tc.batch == 0 {
					own = new(radix.Owner)
				}
				r.put(own, n, card{id: uint64(n) + 1, name: fmt.Sprintf("user%08d", n)})
				n++
			}
		})
	}
}

func BenchmarkRollLoad(b *testing.B) {
	const users = 1_000_000
	for b.Loop() {
		_, size := heapOf(func() *roll { return rollOf(users) })
		b.ReportMetric(float64(size)/users, "B/user")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
}

// loadRoll gives an empty roll its cards, in ascending order, as opening a store does.
func loadRoll(r *roll, own *radix.Owner, all iter.Seq2[uint32, card]) {
	var f filing
	pages := map[uint32]*[pageCards]*card{}
	for n, c := range all {
		if pages[n/pageCards] == nil {
			pages[n/pageCards] = new([pageCards]*card)
		}
		pages[n/pageCards][n%pageCards] = &c
	}
	for page, cs := range pages {
		r.pages.Set(own, page, r.encode(page*pageCards, cs, &f))
	}
	r.adopt(own, &f)
}

// findAll returns the numbers of a folded name in all directories, in the order
// of those, or nil.
func findAll(r *roll, folded string) []uint32 {
	var found []uint32
	for n := range r.named(0, folded) {
		found = append(found, n)
	}
	slices.SortFunc(found, r.compare)
	return found
}
