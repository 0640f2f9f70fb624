package roster

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
)

// derive makes the pages of all users from the sets. The reverse direction is
// not stored: every fold would have to write it again for each user that joined
// or left something, to save an Open a part of its time (see the row "open to
// first answer" of bench).
//
// Going from set to set touches the users' lists in no order, a cache miss for
// each membership. So memberships are first dealt out into one bucket for each
// 2^16 users, in order; the lists of one bucket's users then fit into a cache.
//
// A set that holds a number from the shard behind that of users on is an error:
// no such user can exist.
func (x *index) derive(own *radix.Owner, users uint32) error {
	for set, s := range x.sets.All() {
		if last, ok := s.last(); ok && last>>16 > users>>16 {
			return fmt.Errorf("set %d holds user %d, which was never created: %w", set, last, errMalformed)
		}
	}
	workers := runtime.GOMAXPROCS(0)
	dealt := make([][]bucket, workers)
	var wg sync.WaitGroup
	for w, span := range x.spans(workers) {
		wg.Go(func() { dealt[w] = x.deal(span[0], span[1], users) })
	}
	wg.Wait()
	made := make([][]page, len(dealt[0]))
	for w := range workers {
		wg.Go(func() {
			var p pager
			for shard := w; shard < len(made); shard += workers {
				var runs []bucket
				for _, d := range dealt {
					runs = append(runs, d[shard])
					d[shard] = nil
				}
				made[shard] = p.pages(runs)
			}
		})
	}
	wg.Wait()
	for shard, pages := range made {
		for k, p := range pages {
			if p.lists != "" {
				x.pages.Set(own, uint32(shard)<<16/pageUsers+uint32(k), p)
			}
		}
	}
	return nil
}

// last returns the highest member of a set, false if it has none.
func (s *slot) last() (u uint32, ok bool) {
	for id := range idlist.All(s.list) {
		u, ok = id, true
	}
	for hi, b := range s.big.All() {
		if *b != nil {
			u, ok = hi<<16|(*b).Maximum(), true
		}
	}
	return u, ok
}

// spans cuts the sets into parts of about equal numbers of members.
func (x *index) spans(parts int) [][2]uint32 {
	total, end := uint64(0), uint32(0)
	for set, s := range x.sets.All() {
		total += uint64(s.n)
		end = set + 1
	}
	out := make([][2]uint32, parts)
	at, sum := uint32(0), uint64(0)
	i := 0
	for set, s := range x.sets.All() {
		sum += uint64(s.n)
		if i < parts-1 && sum >= total/uint64(parts)*uint64(i+1) {
			out[i] = [2]uint32{at, set + 1}
			at = set + 1
			i++
		}
	}
	out[i] = [2]uint32{at, max(at, end)}
	for i++; i < parts; i++ {
		out[i] = [2]uint32{end, end}
	}
	return out
}

// bucket holds the listed memberships of 2^16 users in runs, a set's members
// each: the set in two halves, the number of members less one, the members.
type bucket []uint16

// run begins the run of a set and returns where its count is.
func (b *bucket) run(set uint32) int {
	*b = append(*b, uint16(set>>16), uint16(set), 0)
	return len(*b) - 1
}

// each calls fn for each membership.
func (b bucket) each(fn func(set uint32, low uint16)) {
	for len(b) > 0 {
		set, n := uint32(b[0])<<16|uint32(b[1]), int(b[2])+1
		for _, low := range b[3 : 3+n] {
			fn(set, low)
		}
		b = b[3+n:]
	}
}

// deal puts the members of the listed sets from first to before end into buckets.
func (x *index) deal(first, end, users uint32) []bucket {
	buckets := make([]bucket, uint64(users)>>16+1)
	n := 0
	for set, s := range x.sets.From(first) {
		if set >= end {
			break
		}
		n += int(s.n)
	}
	for i := range buckets { // what most of them will take, short of some growth
		buckets[i] = make(bucket, 0, n/len(buckets)*9/8)
	}
	for set, s := range x.sets.From(first) {
		if set >= end {
			break
		}
		if s.flags&slotListed == 0 {
			continue
		}
		for hi, b := range s.big.All() {
			if *b != nil {
				at := &buckets[hi]
				count := at.run(set)
				(*b).Iterate(func(low uint32) bool {
					*at = append(*at, uint16(low))
					return true
				})
				(*at)[count] = uint16(len(*at) - count - 2)
			}
		}
		dealList(buckets, set, s.list)
	}
	return buckets
}

func dealList(buckets []bucket, set uint32, list string) {
	var at *bucket
	shard, count := ^uint32(0), 0
	for u := range idlist.All(list) {
		if u>>16 != shard {
			shard = u >> 16
			at = &buckets[shard]
			count = at.run(set)
		} else {
			(*at)[count]++
		}
		*at = append(*at, uint16(u))
	}
}

// pager makes the pages of one shard after another in the same memory.
type pager struct {
	last [1 << 16]uint32 // the set that each user's list ends with
	at   [1 << 16]uint32 // the length of each list, then where in its page to write
}

func (p *pager) pages(runs []bucket) []page {
	clear(p.last[:])
	clear(p.at[:])
	for _, b := range runs {
		b.each(func(set uint32, low uint16) {
			p.at[low] += uint32(idlist.UvarintLen(set - p.last[low]))
			p.last[low] = set
		})
	}
	pages := make([]page, len(p.at)/pageUsers)
	bodies := make([][]byte, len(pages))
	for i := range pages {
		bodies[i] = pages[i].begin(p.at[i*pageUsers : (i+1)*pageUsers])
	}
	clear(p.last[:])
	for _, b := range runs {
		b.each(func(set uint32, low uint16) {
			body, at := bodies[low/pageUsers], p.at[low]
			p.at[low] += uint32(len(idlist.AppendUvarint(body[at:at], set-p.last[low])))
			p.last[low] = set
		})
	}
	for i, b := range bodies {
		pages[i].lists = unsafe.String(unsafe.SliceData(b), len(b))
	}
	return pages
}

// begin makes p a page for lists of the given lengths, which turn into where in
// the result each list begins.
func (p *page) begin(at []uint32) []byte {
	var ends [pageUsers]int
	total := 0
	for k, n := range at {
		total += int(n)
		ends[k] = total
	}
	b := p.layOut(&ends)
	start := uint32(len(b))
	for k := range at {
		at[k], start = start, start+at[k]
	}
	return b[:start]
}
