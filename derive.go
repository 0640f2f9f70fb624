package roster

import (
	"runtime"
	"sync"
	"unsafe"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
)

// derive makes the pages of all users from the sets. The reverse direction is
// not stored: making it costs some 15 ns a membership on each of the cores,
// less than reading as much again from disk and checking that it agrees.
func (x *index) derive(own *radix.Owner, users uint32) {
	const shard = 1 << 16
	span := users/uint32(runtime.GOMAXPROCS(0))/shard*shard + shard
	var wg sync.WaitGroup
	made := make([][]string, (uint64(users)+uint64(span)-1)/uint64(span))
	for i := range made {
		lo := uint32(i) * span
		wg.Go(func() { made[i] = x.derivePages(lo, min(span, users-lo)) })
	}
	wg.Wait()
	for i, pages := range made {
		for k, p := range pages {
			if p != "" {
				x.pages.Set(own, uint32(i)*span/pageUsers+uint32(k), p)
			}
		}
	}
}

// derivePages makes the pages of the n users from lo on. It passes over all
// sets twice: once to measure each user's list, once to write it.
func (x *index) derivePages(lo, n uint32) []string {
	last := make([]uint32, n)
	at := make([]int32, n) // the length of each list, then where to write next
	x.each(lo, n, func(set uint32, u uint32) {
		at[u] += int32(idlist.UvarintLen(set - last[u]))
		last[u] = set
	})
	bodies := make([][]byte, (n+pageUsers-1)/pageUsers)
	for p := range bodies {
		var ends [pageUsers]int
		total := 0
		for k := range ends {
			if u := p*pageUsers + k; u < int(n) {
				total += int(at[u])
			}
			ends[k] = total
		}
		if total == 0 {
			continue
		}
		head := appendPageHead(make([]byte, 0, wideHead+total), &ends)
		start := len(head)
		for k := range ends {
			if u := p*pageUsers + k; u < int(n) {
				at[u], start = int32(start), start+int(at[u])
			}
		}
		bodies[p] = head[:start:start]
	}
	clear(last)
	x.each(lo, n, func(set uint32, u uint32) {
		body := bodies[u/pageUsers]
		at[u] += int32(len(idlist.AppendUvarint(body[at[u]:at[u]], set-last[u])))
		last[u] = set
	})
	pages := make([]string, len(bodies))
	for p, b := range bodies {
		pages[p] = unsafe.String(unsafe.SliceData(b), len(b))
	}
	return pages
}

// each calls fn for every listed membership of the n users from lo on, set by
// set in ascending order; u counts from lo.
func (x *index) each(lo, n uint32, fn func(set, u uint32)) {
	for set, s := range x.sets.All() {
		if s.flags&slotListed == 0 {
			continue
		}
		if s.flags&slotLarge == 0 {
			for u := range idlist.All(s.list) {
				if u >= lo && u-lo < n {
					fn(set, u-lo)
				}
			}
			continue
		}
		for hi, b := range s.big.From(lo >> 16) {
			if hi<<16-lo >= n {
				break
			}
			if *b == nil {
				continue
			}
			base := hi<<16 - lo
			(*b).Iterate(func(low uint32) bool {
				if u := base + low; u < n {
					fn(set, u)
				}
				return true
			})
		}
	}
}
