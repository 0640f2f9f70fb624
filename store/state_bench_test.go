package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rosterdb/roster/store"
)

// stateSizes are shapes of a state: many small values, and fewer of the size of a page of members.
var stateSizes = []struct{ n, size int }{{1_000_000, 60}, {100_000, 800}}

func BenchmarkStateRestore(b *testing.B) {
	for _, c := range stateSizes {
		b.Run(fmt.Sprintf("values=%d,bytes=%d", c.n, c.size), func(b *testing.B) {
			b.SetBytes(int64(c.n * c.size))
			for i := range b.N {
				check(b, store.Restore(filepath.Join(b.TempDir(), fmt.Sprint(i)), store.Options{}, 1, nil, all(pairs(c.n, c.size, 1))))
			}
			b.ReportMetric(float64(b.N*c.n)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

func BenchmarkState(b *testing.B) {
	for _, c := range stateSizes {
		dir := filepath.Join(b.TempDir(), fmt.Sprint(c.n))
		check(b, store.Restore(dir, store.Options{}, 1, nil, all(pairs(c.n, c.size, 1))))
		name := func(what string) string { return fmt.Sprintf("%s/values=%d,bytes=%d", what, c.n, c.size) }
		b.Run(name("open"), func(b *testing.B) {
			for range b.N {
				s, err := store.Open(dir, store.Options{})
				check(b, err)
				check(b, s.Close())
			}
		})
		before := heap()
		s, err := store.Open(dir, store.Options{})
		check(b, err)
		held := heap() - before
		b.Run(name("load"), func(b *testing.B) {
			b.SetBytes(int64(c.n * c.size))
			for range b.N {
				check(b, s.Load(2, func(_, _ []byte) error { return nil }))
			}
			b.ReportMetric(float64(b.N*c.n)/b.Elapsed().Seconds(), "values/s")
			b.ReportMetric(float64(held), "heap-bytes")
		})
		b.Run(name("get"), func(b *testing.B) {
			b.ReportAllocs()
			r := rand.New(rand.NewPCG(1, 2))
			key := make([]byte, 9)
			key[0] = 'u'
			for range b.N {
				binary.BigEndian.PutUint64(key[1:], uint64(r.IntN(c.n)))
				check(b, s.Get(s.Applied(), key, func([]byte) error { return nil }))
			}
		})
		b.Run(name("fold a tenth"), func(b *testing.B) {
			for range b.N {
				rev := s.Head() + 1
				check(b, s.Append(rev, [][]byte{nil}))
				some := func(yield func(k, v []byte) bool) {
					n := 0
					for k, v := range pairs(c.n, c.size, byte(rev)) {
						if n++; n%10 == 0 && !yield(k, v) {
							return
						}
					}
				}
				check(b, s.Fold(rev, nil, rev, rev, all(some)))
			}
			b.ReportMetric(float64(b.N*c.n/10)/b.Elapsed().Seconds(), "values/s")
		})
		check(b, s.Close())
	}
}

// heap returns the bytes of heap in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
