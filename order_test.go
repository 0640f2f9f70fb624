package roster

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/internal/text"
	"pgregory.net/rapid"
)

// checkOrder holds every answer of o to a sort of the model's users.
func checkOrder(t *rapid.T, o *order, r *roll, m plainRoll) {
	if err := o.check(r); err != nil {
		t.Fatal(err)
	}
	want := slices.SortedFunc(maps.Keys(m), m.less)
	if got := slices.Collect(o.walk(place{})); !slices.Equal(got, want) {
		t.Fatalf("walk = %v, want %v", got, want)
	}
	if o.len() != len(want) {
		t.Fatalf("len = %d, want %d", o.len(), len(want))
	}
	var back []uint32
	for p, ok := o.prev(o.end()); ok; p, ok = o.prev(p) {
		back = append(back, o.at(p))
	}
	slices.Reverse(back)
	if !slices.Equal(back, want) {
		t.Fatalf("backwards = %v, want %v", back, want)
	}
	p := place{}
	for i, n := range want {
		c := m[n]
		if o.at(p) != n || o.rank(p) != i {
			t.Fatalf("place %d holds user %d and has rank %d, want user %d", i, o.at(p), o.rank(p), n)
		}
		if got := o.seek(r, m.fold(n), c.dir); got != p {
			t.Fatalf("seek(%q, %d) = %v, want %v", c.name, c.dir, got, p)
		}
		p = o.next(p)
		if got := o.after(o.label(n)); got != p {
			t.Fatalf("after the label of %d = %v, want %v", n, got, p)
		}
	}
	for n := range uint32(50) {
		if _, in := m[n]; in != (o.label(n) != 0) {
			t.Fatalf("label(%d) = %d", n, o.label(n))
		}
	}
	if p != o.end() || o.rank(p) != len(want) {
		t.Fatalf("the end is %v with rank %d, want %v", p, o.rank(p), o.end())
	}
}

// checkSeek asks for names that need not be there.
func checkSeek(t *rapid.T, o *order, r *roll, m plainRoll) {
	want := slices.SortedFunc(maps.Keys(m), m.less)
	name := text.Fold(cardNames().Draw(t, "name"))
	name = name[:rapid.IntRange(0, len(name)).Draw(t, "cut")]
	dir := rapid.Uint32Range(0, 2).Draw(t, "dir")
	at := slices.IndexFunc(want, func(n uint32) bool {
		d := strings.Compare(m.fold(n), name)
		return d > 0 || d == 0 && m[n].dir >= dir
	})
	if at < 0 {
		at = len(want)
	}
	p := o.seek(r, name, dir)
	if got := slices.Collect(o.walk(p)); !slices.Equal(got, want[at:]) || o.rank(p) != at {
		t.Fatalf("from seek(%q, %d): %v, want %v", name, dir, got, want[at:])
	}
	var begin []uint32
	for _, n := range want {
		if strings.HasPrefix(m.fold(n), name) {
			begin = append(begin, n)
		}
	}
	from, to := o.prefix(r, name)
	var got []uint32
	for ; from != to; from = o.next(from) {
		got = append(got, o.at(from))
	}
	if !slices.Equal(got, begin) {
		t.Fatalf("prefix(%q) = %v, want %v", name, got, begin)
	}
}

func TestOrderAgainstSort(t *testing.T) {
	type version struct {
		order order
		roll  roll
		want  plainRoll
	}
	rapid.Check(t, func(t *rapid.T) {
		var frozen []version
		now, own := version{roll: newRoll("usr_", maphash.MakeSeed()), want: plainRoll{}}, new(radix.Owner)
		next := uint32(0)
		labels := map[uint32]uint32{} // as reported
		insert := func(cards []card, sure bool) {
			var users []uint32
			for _, c := range cards {
				c.id, c.uid = uint64(next)+1, ""
				if !sure && now.want.collides(next, c) {
					continue
				}
				now.want.put(next, c)
				now.roll.put(own, next, c)
				users = append(users, next)
				next++
			}
			reported := map[uint32]bool{}
			now.order.insert(own, &now.roll, users, func(n uint32) { reported[n] = true })
			for n := range reported {
				if old := labels[n]; old == now.order.label(n) {
					t.Fatalf("user %d reported with label %d as before", n, old)
				}
				labels[n] = now.order.label(n)
			}
		}
		remove := func(n uint32) {
			if now.order.remove(own, n) != (now.want[n].id != 0) {
				t.Fatalf("remove(%d) of a user there: %t", n, now.want[n].id != 0)
			}
			delete(labels, n)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				for n := range now.want {
					if labels[n] != now.order.label(n) {
						t.Fatalf("the label of user %d became %d, not reported", n, now.order.label(n))
					}
				}
			},
			"insert":     func(t *rapid.T) { insert([]card{cardsOf().Draw(t, "card")}, false) },
			"insertMany": func(t *rapid.T) { insert(rapid.SliceOfN(cardsOf(), 0, 40).Draw(t, "cards"), false) },
			"insertAgain": func(t *rapid.T) {
				users := slices.Collect(maps.Keys(now.want))
				now.order.insert(own, &now.roll, users, func(n uint32) { t.Fatalf("user %d was there and is reported", n) })
			},
			"insertRow": func(t *rapid.T) { // more than a chunk, between two others
				stem := rapid.SampledFrom([]string{"m", "n", "a", "z"}).Draw(t, "stem")
				row := make([]card, rapid.IntRange(100, 700).Draw(t, "length"))
				for i := range row {
					row[i].name = fmt.Sprintf("%s%d-%03d", stem, next, i)
				}
				insert(row, true)
			},
			"rename": func(t *rapid.T) {
				if len(now.want) == 0 {
					t.Skip("empty")
				}
				n := rapid.SampledFrom(slices.Sorted(maps.Keys(now.want))).Draw(t, "n")
				c := now.want[n]
				if c.name, c.folded = cardNames().Draw(t, "name"), ""; now.want.collides(n, c) {
					t.Skip("taken")
				}
				remove(n)
				now.want.put(n, c)
				now.roll.put(own, n, c)
				now.order.insert(own, &now.roll, []uint32{n}, func(n uint32) { labels[n] = now.order.label(n) })
			},
			"remove": func(t *rapid.T) {
				n := rapid.Uint32Range(0, next).Draw(t, "n")
				remove(n)
				now.roll.del(own, n)
				delete(now.want, n)
			},
			"removeMany": func(t *rapid.T) {
				first := rapid.Uint32Range(0, next).Draw(t, "first")
				for n := first; n < min(next, first+300); n++ {
					remove(n)
					now.roll.del(own, n)
					delete(now.want, n)
				}
			},
			"load": func(t *rapid.T) {
				stored := make([]uint32, next+3)
				for n := range stored {
					stored[n] = now.order.label(uint32(n))
				}
				own, now.order = new(radix.Owner), order{}
				if err := now.order.load(own, stored); err != nil {
					t.Fatal(err)
				}
			},
			"seek": func(t *rapid.T) { checkSeek(t, &now.order, &now.roll, now.want) },
			"snapshot": func(t *rapid.T) {
				frozen = append(frozen, version{now.order, now.roll, maps.Clone(now.want)})
				own = new(radix.Owner)
			},
			"rollBack": func(t *rapid.T) {
				if len(frozen) == 0 {
					t.Skip("no snapshot")
				}
				v := rapid.SampledFrom(frozen).Draw(t, "snapshot")
				now, own = version{v.order, v.roll, maps.Clone(v.want)}, new(radix.Owner)
				for n := range next {
					labels[n] = now.order.label(n)
				}
			},
		})
		for _, v := range append(frozen, now) {
			checkOrder(t, &v.order, &v.roll, v.want)
		}
	})
}

// TestOrderRelabels counts the labels changed for each user inserted, in the
// sequences that real names come in and in the worst one.
func TestOrderRelabels(t *testing.T) {
	const users = 20_000
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tc := range []struct {
		name string
		key  func(i int) string
		most float64
	}{
		{"random", func(int) string { return fmt.Sprintf("%016x", rng.Uint64()) }, 1.1},
		{"ascending", func(i int) string { return fmt.Sprintf("user%08d", i) }, 1.1},
		{"descending", func(i int) string { return fmt.Sprintf("user%08d", users-i) }, 1.1},
		{"ascending in the middle", func(i int) string {
			return []string{fmt.Sprintf("a%d", i), fmt.Sprintf("m%08d", i), fmt.Sprintf("z%d", i)}[i%3]
		}, 20},
		{"into the middle", func(i int) string {
			return []string{fmt.Sprintf("l%08d", i), fmt.Sprintf("m%08d", users-i)}[i%2]
		}, 20},
	} {
		r, own := newRoll("usr_", maphash.MakeSeed()), new(radix.Owner)
		var o order
		changed := 0
		for i := range uint32(users) {
			r.put(own, i, card{id: uint64(i) + 1, name: tc.key(int(i))})
			o.insert(own, &r, []uint32{i}, func(uint32) { changed++ })
		}
		if err := o.check(&r); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		each := float64(changed) / users
		t.Logf("%s: %.2f labels a user inserted", tc.name, each)
		if each > tc.most {
			t.Errorf("%s: %.2f labels change for a user inserted, more than %.1f", tc.name, each, tc.most)
		}
	}
}

// TestOrderFullWindows inserts where the labels around leave no room at all.
func TestOrderFullWindows(t *testing.T) {
	for _, first := range []uint32{1, 5000, 1 << 31, 1<<32 - 600} {
		r, own := newRoll("usr_", maphash.MakeSeed()), new(radix.Owner)
		labels := make([]uint32, 600)
		for n := range labels {
			labels[n] = first + uint32(n)
			r.put(own, uint32(n), card{id: uint64(n) + 1, name: fmt.Sprintf("m%03d", n)})
		}
		var o order
		if err := o.load(own, labels); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"a", "m300a", "z", "m000a", "m598a", "m300b", "m299a"} {
			n := uint32(600 + i)
			r.put(own, n, card{id: uint64(n) + 1, name: name})
			o.insert(own, &r, []uint32{n}, func(uint32) {})
			if err := o.check(&r); err != nil {
				t.Fatalf("labels from %d on, %q inserted: %v", first, name, err)
			}
		}
	}
}

func TestOrderCheckFindsDamage(t *testing.T) {
	r, own := newRoll("usr_", maphash.MakeSeed()), new(radix.Owner)
	for n, name := range []string{"alice", "bob", "carol"} {
		r.put(own, uint32(n), card{id: uint64(n) + 1, name: name})
	}
	for what, labels := range map[string][]uint32{
		"wrong names": {20, 10, 30}, "one missing": {10, 20, 0}, "one too many": {10, 20, 30, 40}, "same label": {10, 20, 20},
	} {
		var o order
		err := o.load(own, labels)
		if err == nil {
			err = o.check(&r)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	var o order
	if err := o.load(own, []uint32{10, 20, 30}); err != nil || o.check(&r) != nil {
		t.Errorf("a good order: %v, %v", err, o.check(&r))
	}
	o.labels.Set(own, 1, 5)
	if err := o.check(&r); !errors.Is(err, ErrCorrupt) {
		t.Errorf("labels out of order: %v, want ErrCorrupt", err)
	}
}

func TestOrderReadsDoNotAllocate(t *testing.T) {
	r, o := orderOf(5000)
	if n := testing.AllocsPerRun(100, func() {
		p := o.seek(r, "user00000777", 0)
		o.rank(p)
		o.after(o.label(o.at(p)))
		o.prefix(r, "user000012")
	}); n != 0 {
		t.Errorf("seek, rank, after and prefix allocate %v times", n)
	}
}

// TestReadersBesideRollAndOrder is for the race detector: a snapshot of both is
// read, without a lock, while the writer renames users.
func TestReadersBesideRollAndOrder(t *testing.T) {
	const users = 2000
	r, o := orderOf(users)
	var wg sync.WaitGroup
	for round := range uint32(20) {
		rs, os := *r, *o
		wg.Go(func() {
			if err := os.check(&rs); err != nil {
				t.Errorf("snapshot %d: %v", round, err)
			}
			for n, c := range rs.all() {
				if got, ok := rs.find(0, c.fold()); !ok || got != n {
					t.Errorf("snapshot %d: find(%q) = %d, %t, want %d", round, c.name, got, ok, n)
				}
			}
		})
		own := new(radix.Owner)
		for n := round; n < users; n += 40 {
			o.remove(own, n)
			r.put(own, n, card{id: uint64(n) + 1, name: fmt.Sprintf("New%d-%d", n, round)})
			o.insert(own, r, []uint32{n}, func(uint32) {})
		}
	}
	wg.Wait()
}

// orderOf returns users in a random order of names, and their order.
func orderOf(n int) (*roll, *order) {
	own := new(radix.Owner)
	r := newRoll("usr_", maphash.MakeSeed())
	names := rand.New(rand.NewPCG(3, 4)).Perm(n)
	loadRoll(&r, own, func(yield func(uint32, card) bool) {
		for i, k := range names {
			if !yield(uint32(i), card{id: uint64(i) + 1, name: fmt.Sprintf("user%08d", k)}) {
				return
			}
		}
	})
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	var o order
	o.insert(own, &r, all, func(uint32) {})
	return &r, &o
}

func labelsOf(o *order) []uint32 {
	labels := make([]uint32, o.len())
	for n := range labels {
		labels[n] = o.label(uint32(n))
	}
	return labels
}

// TestOrderMemory: 9 bytes a user when loaded, and little more when inserted one
// by one, which leaves chunks half full.
func TestOrderMemory(t *testing.T) {
	const users = 100_000
	r, o := orderOf(users)
	labels := labelsOf(o)
	loaded, size := heapOf(func() *order {
		var o order
		if err := o.load(new(radix.Owner), labels); err != nil {
			t.Fatal(err)
		}
		return &o
	})
	t.Logf("loaded: %.2f bytes a user", float64(size)/users)
	if size > 10*users {
		t.Errorf("%d users take %d bytes, more than 10 each", users, size)
	}
	inserted, size := heapOf(func() *order {
		var o order
		for n := range uint32(users) {
			o.insert(new(radix.Owner), r, []uint32{n}, func(uint32) {})
		}
		return &o
	})
	t.Logf("inserted: %.2f bytes a user", float64(size)/users)
	if size > 23*users/2 {
		t.Errorf("%d users inserted one by one take %d bytes, more than 11.5 each", users, size)
	}
	runtime.KeepAlive([]any{r, o, labels, loaded, inserted})
}

func BenchmarkOrderInsert(b *testing.B) {
	const users = 1_000_000
	r, o := orderOf(users)
	b.Run("one", func(b *testing.B) { // and its removal before
		b.ReportAllocs()
		n := uint32(0)
		for b.Loop() {
			n = (n*1664525 + 1013904223) % users
			o.remove(new(radix.Owner), n)
			o.insert(new(radix.Owner), r, []uint32{n}, func(uint32) {})
		}
	})
	b.Run("all", func(b *testing.B) {
		all := make([]uint32, users)
		for i := range all {
			all[i] = uint32(i)
		}
		for b.Loop() {
			var o order
			o.insert(new(radix.Owner), r, all, func(uint32) {})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
	})
	b.Run("half", func(b *testing.B) { // every other user into the order of the rest
		var odd, even []uint32
		for i := range uint32(users / 2) {
			even, odd = append(even, 2*i), append(odd, 2*i+1)
		}
		var rest order
		rest.insert(new(radix.Owner), r, even, func(uint32) {})
		for b.Loop() {
			o := rest
			o.insert(new(radix.Owner), r, odd, func(uint32) {})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(users/2), "ns/user")
	})
}

func BenchmarkOrderLoad(b *testing.B) {
	const users = 1_000_000
	_, o := orderOf(users)
	labels := labelsOf(o)
	for b.Loop() {
		var o order
		if err := o.load(new(radix.Owner), labels); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
}

func BenchmarkOrderSeek(b *testing.B) {
	const users = 1_000_000
	r, o := orderOf(users)
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n = (n*1664525 + 1013904223) % users
		o.seek(r, r.name(n), 0)
	}
}

func BenchmarkOrderPrefix(b *testing.B) {
	const users = 1_000_000
	r, o := orderOf(users)
	b.ReportAllocs()
	for b.Loop() {
		from, to := o.prefix(r, "user00012")
		if o.rank(to)-o.rank(from) != 1000 {
			b.Fatal("wrong total")
		}
	}
}
