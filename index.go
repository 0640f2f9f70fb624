package roster

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
)

// index answers who is in which set. It knows sets of users, sets nested in
// sets, and for each user the sets that hold it; it does not know what a group
// is. It is pure memory: no I/O, no errors on lookups.
//
// An index value is a snapshot in the sense of package radix: copying the
// struct is free and keeps the copy as it is; the one writer edits with an
// owner token. Reading needs no lock.
type index struct {
	sets  radix.Tree[slot]
	pages radix.Tree[page] // by user/pageUsers: the listed sets of 16 users
	nest  nesting
	recent

	ours             // of a snapshot nil
	forwardOnly bool // pages are not kept: nobody will read this index
}

// slot is what the index holds of one set: either a list or shards.
type slot struct {
	list  string // delta varints, while the set is small
	big   shards // one bitmap for each 2^16 user numbers, once it is large
	n     uint32
	flags uint8
}

// shards hold a large set as one small bitmap for each 2^16 user numbers, the
// values being the low 16 bits. A change clones one shard, 8 KiB at most, and not
// the whole bitmap.
type shards = radix.Tree[*roaring.Bitmap]

const (
	slotLive   = 1 << iota // the set exists
	slotListed             // the set stands in its users' lists
	slotLarge              // held as shards
	slotParent             // other sets are nested in this one
	slotGroup              // a listed set that is a group's: whoever asks for groups means these
)

// A set turns into shards above listMax members and back into a list below
// listMin. 1024 is where copying the list for one change starts to cost more
// than cloning a shard; the distance keeps a set at the border from flapping.
const (
	listMax = 1024
	listMin = 512
)

// create makes an empty set. Sets with the flag slotListed are found from their
// users as well as from their number; sets that nobody looks for from their
// users, or that hold almost everyone, are not listed.
func (x *index) create(own *radix.Owner, set uint32, flags uint8) {
	*x.sets.Ref(own, set) = slot{flags: slotLive | flags}
}

// destroy forgets a set that has no members and no nesting any more.
func (x *index) destroy(own *radix.Owner, set uint32) {
	*x.sets.Ref(own, set) = slot{}
}

// link nests the set child in the set parent and reports whether it was not.
func (x *index) link(own *radix.Owner, parent, child uint32) bool {
	if !x.nest.link(own, parent, child) {
		return false
	}
	x.sets.Ref(own, parent).flags |= slotParent
	x.noteShape(parent)
	return true
}

// unlink is the reverse of link.
func (x *index) unlink(own *radix.Owner, parent, child uint32) bool {
	if !x.nest.unlink(own, parent, child) {
		return false
	}
	if len(x.nest.at(parent).children) == 0 {
		x.sets.Ref(own, parent).flags &^= slotParent
	}
	x.noteShape(parent)
	return true
}

// len returns the number of direct members of a set, 0 if there is no such set.
func (x *index) len(set uint32) int {
	if s := x.sets.At(set); s != nil {
		return int(s.n)
	}
	return 0
}

// isLarge reports whether a set is held as shards.
func (x *index) isLarge(set uint32) bool {
	s := x.sets.At(set)
	return s != nil && s.flags&slotLarge != 0
}

func (x *index) exists(set uint32) bool {
	s := x.sets.At(set)
	return s != nil && s.flags&slotLive != 0
}

// contains reports whether u is a direct member of set.
func (x *index) contains(u, set uint32) bool {
	s := x.sets.At(set)
	return s != nil && x.holds(s, u, set)
}

// holds is contains for a slot in hand. A small set can be asked from either
// side; the shorter list is the cheaper one, and a list within a cache line is
// not worth looking for a shorter.
func (x *index) holds(s *slot, u, set uint32) bool {
	switch {
	case s.flags&slotLarge != 0:
		return shardsContain(&s.big, u)
	case s.flags&slotListed == 0 || len(s.list) <= 64 || x.forwardOnly:
		return idlist.Contains(s.list, u)
	}
	return idlist.Contains(x.setsOf(u), set)
}

func shardsContain(t *shards, u uint32) bool {
	b := t.Get(u >> 16)
	return b != nil && b.Contains(u&0xffff)
}

// check reports whether u is a member of the listed set, directly or through
// any nesting.
func (x *index) check(u, set uint32) bool {
	s := x.sets.At(set)
	return s != nil && s.flags&slotListed != 0 && x.checkIn(s, u, set)
}

// checkGroup is check for a set that must be a group's.
func (x *index) checkGroup(u, set uint32) bool {
	s := x.sets.At(set)
	return s != nil && s.flags&slotGroup != 0 && x.checkIn(s, u, set)
}

func (x *index) checkIn(s *slot, u, set uint32) bool {
	if s.flags&slotParent == 0 {
		return x.holds(s, u, set)
	}
	if s.flags&slotLarge != 0 && shardsContain(&s.big, u) {
		return true
	}
	for held := range idlist.All(x.setsOf(u)) {
		if held == set || x.nest.within(held, set) {
			return true
		}
	}
	return false
}

// setsOf returns the listed sets that hold u directly, as a list.
func (x *index) setsOf(u uint32) string {
	if p := x.pages.At(u / pageUsers); p != nil {
		return p.list(u % pageUsers)
	}
	return ""
}

// appendEffective appends to dst the listed sets that hold u directly or
// through nesting, ascending.
func (x *index) appendEffective(dst []uint32, u uint32) []uint32 {
	start := len(dst)
	for set := range idlist.All(x.setsOf(u)) {
		dst = append(dst, set)
		if x.nest.nested(set) {
			dst = append(dst, x.nest.at(set).above...)
		}
	}
	out := dst[start:]
	slices.Sort(out)
	return dst[:start+len(slices.Compact(out))]
}

// add makes users, which must ascend strictly, direct members of set, and
// returns those that were not. The result may share memory with users.
func (x *index) add(own *radix.Owner, set uint32, users []uint32) []uint32 {
	s := x.sets.Ref(own, set)
	if s.flags&slotLarge != 0 {
		users = addShards(own, x.ours, &s.big, users)
	} else {
		users = s.addList(users)
		if s.n+uint32(len(users)) > listMax {
			s.big = makeShards(own, x.ours, idlist.Decode(nil, s.list))
			s.list, s.flags = "", s.flags|slotLarge
		}
	}
	s.n += uint32(len(users))
	x.changed(own, s, set, users, idlist.Insert)
	return users
}

// remove takes users, which must ascend strictly, out of set, and returns those
// that were direct members. The result may share memory with users.
func (x *index) remove(own *radix.Owner, set uint32, users []uint32) []uint32 {
	s := x.sets.Ref(own, set)
	if s.flags&slotLarge != 0 {
		users = removeShards(own, x.ours, &s.big, users)
		if s.n-uint32(len(users)) < listMin {
			s.list = idlist.Make(appendShards(nil, &s.big))
			s.big, s.flags = shards{}, s.flags&^slotLarge
		}
	} else {
		users = s.removeList(users)
	}
	s.n -= uint32(len(users))
	x.changed(own, s, set, users, idlist.Remove)
	return users
}

// changed brings what depends on a set's members in step with their change.
func (x *index) changed(own *radix.Owner, s *slot, set uint32, users []uint32, edit func(string, uint32) (idlist.Splice, bool)) {
	if s.flags&slotListed != 0 && !x.forwardOnly {
		for _, u := range users {
			p := x.pages.Ref(own, u/pageUsers)
			if sp, ok := edit(p.list(u%pageUsers), set); ok {
				p.splice(u%pageUsers, &sp)
			}
		}
	}
	x.noteMembers(set, users)
}

func (s *slot) addList(users []uint32) []uint32 {
	if len(users) == 1 {
		sp, ok := idlist.Insert(s.list, users[0])
		if !ok {
			return nil
		}
		s.list = sp.Apply(s.list)
		return users
	}
	old := idlist.Decode(make([]uint32, 0, int(s.n)+len(users)), s.list)
	fresh := minus(users, old)
	if len(fresh) > 0 {
		s.list = idlist.Make(merge(old, fresh))
	}
	return fresh
}

func (s *slot) removeList(users []uint32) []uint32 {
	if len(users) == 1 {
		sp, ok := idlist.Remove(s.list, users[0])
		if !ok {
			return nil
		}
		s.list = sp.Apply(s.list)
		return users
	}
	old := idlist.Decode(make([]uint32, 0, s.n), s.list)
	kept := minus(old, users)
	if len(kept) == len(old) {
		return nil
	}
	gone := minus(old, kept)
	s.list = idlist.Make(kept)
	return gone
}

// ours are the bitmaps that a writer has made since it last gave a snapshot away:
// nobody else has seen them, so it may edit them in place. Creating a thousand
// users between two snapshots then clones the last shard of all users once.
type ours map[*roaring.Bitmap]struct{}

// editable returns a bitmap that may be edited in place of old, which may be nil.
func (o ours) editable(old *roaring.Bitmap) *roaring.Bitmap {
	if _, mine := o[old]; mine {
		return old
	}
	b := roaring.New()
	if old != nil {
		b = old.Clone()
	}
	if o != nil {
		o[b] = struct{}{}
	}
	return b
}

// addShards adds users to t and returns those that were not there. Each touched
// bitmap is cloned once, unless it is one of ours, which may be nil.
func addShards(own *radix.Owner, mine ours, t *shards, users []uint32) []uint32 {
	var fresh []uint32
	for hi, part := range byShard(users) {
		old := t.Get(hi)
		low := make([]uint32, 0, len(part))
		first := len(fresh)
		for _, u := range part {
			if old == nil || !old.Contains(u&0xffff) {
				low = append(low, u&0xffff)
				fresh = append(fresh, u)
			}
		}
		if len(fresh) == first {
			continue
		}
		b := mine.editable(old)
		b.AddMany(low)
		t.Set(own, hi, b)
	}
	return fresh
}

// removeShards takes users out of t and returns those that were there; see
// addShards.
func removeShards(own *radix.Owner, mine ours, t *shards, users []uint32) []uint32 {
	var gone []uint32
	for hi, part := range byShard(users) {
		old := t.Get(hi)
		if old == nil {
			continue
		}
		first := len(gone)
		for _, u := range part {
			if old.Contains(u & 0xffff) {
				gone = append(gone, u)
			}
		}
		if len(gone) == first {
			continue
		}
		b := mine.editable(old)
		for _, u := range gone[first:] {
			b.Remove(u & 0xffff)
		}
		if b.IsEmpty() {
			b = nil
		}
		t.Set(own, hi, b)
	}
	return gone
}

// makeShards builds shards of ascending users.
func makeShards(own *radix.Owner, mine ours, users []uint32) (t shards) {
	addShards(own, mine, &t, users)
	return t
}

// appendShards appends the users of t in ascending order.
func appendShards(dst []uint32, t *shards) []uint32 {
	for hi, b := range t.All() {
		if *b == nil {
			continue
		}
		start := len(dst)
		dst = slices.Grow(dst, int((*b).GetCardinality()))
		(*b).Iterate(func(low uint32) bool {
			dst = append(dst, low)
			return true
		})
		for i := start; i < len(dst); i++ {
			dst[i] |= hi << 16
		}
	}
	return dst
}

// byShard yields the runs of ascending users that share a shard.
func byShard(users []uint32) func(yield func(uint32, []uint32) bool) {
	return func(yield func(uint32, []uint32) bool) {
		for len(users) > 0 {
			hi := users[0] >> 16
			n, _ := slices.BinarySearchFunc(users, uint64(hi+1)<<16, func(u uint32, end uint64) int {
				if uint64(u) < end {
					return -1
				}
				return 1
			})
			if !yield(hi, users[:n]) {
				return
			}
			users = users[n:]
		}
	}
}

// merge returns the union of two ascending lists without common numbers. It
// may use the spare capacity of a.
func merge(a, b []uint32) []uint32 {
	i, j := len(a), len(b)
	a = append(a, b...)
	for k := len(a) - 1; i > 0 && j > 0; k-- {
		if a[i-1] > b[j-1] {
			i--
			a[k] = a[i]
		} else {
			j--
			a[k] = b[j]
		}
	}
	copy(a, b[:j])
	return a
}

// minus returns the numbers of a that are not in b, both ascending. The result
// is a itself when that is all of them.
func minus(a, b []uint32) []uint32 {
	if len(a) == 0 || len(b) == 0 || a[len(a)-1] < b[0] || b[len(b)-1] < a[0] {
		return a
	}
	out := make([]uint32, 0, len(a))
	for _, id := range a {
		for len(b) > 0 && b[0] < id {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == id {
			continue
		}
		out = append(out, id)
	}
	return out
}

// pageUsers neighbours share one page: few enough that a change copies 0.6 KB,
// enough that the pages' pointers do not weigh on the collector.
const pageUsers = 16

// A page holds one list for each of 16 neighbouring users, the sets that list
// the user say, one list behind the other in one allocation. Where each ends stands beside the
// pointer, not in front of the lists: finding a list is one cache miss then, not
// two. Where the lists together pass 64 KiB, all of ends is 0, and 16 ends of 32
// bits stand in front of the lists. The zero page is one of empty lists.
type page struct {
	lists string
	ends  [pageUsers]uint16
}

const wideHead = 4 * pageUsers

// list returns the sets of user k.
func (p *page) list(k uint32) string {
	from, to := uint16(0), p.ends[k]
	if k > 0 {
		from = p.ends[k-1]
	}
	if p.ends[pageUsers-1] == 0 {
		return p.wideList(k)
	}
	return p.lists[from:to]
}

func (p *page) wideList(k uint32) string {
	if p.lists == "" {
		return ""
	}
	b := unsafe.Slice(unsafe.StringData(p.lists), len(p.lists))
	from := uint32(0)
	if k > 0 {
		from = binary.LittleEndian.Uint32(b[4*k-4:])
	}
	return p.lists[wideHead:][from:binary.LittleEndian.Uint32(b[4*k:])]
}

// splice changes the list of user k.
func (p *page) splice(k uint32, s *idlist.Splice) { p.edit(k, s.From, s.To, s.Mid()) }

// replace makes the list of user k another.
func (p *page) replace(k uint32, list string) {
	p.edit(k, 0, len(p.list(k)), unsafe.Slice(unsafe.StringData(list), len(list)))
}

// edit puts mid in the place of the bytes from from to to of the list of user k.
func (p *page) edit(k uint32, from, to int, mid []byte) {
	var ends [pageUsers]int
	at := 0
	for i := range ends {
		at += len(p.list(uint32(i)))
		ends[i] = at
	}
	body := p.lists[len(p.lists)-at:]
	if k > 0 {
		from, to = from+ends[k-1], to+ends[k-1]
	}
	for i := k; i < pageUsers; i++ {
		ends[i] += len(mid) - (to - from)
	}
	b := p.layOut(&ends)
	b = append(b, body[:from]...)
	b = append(b, mid...)
	b = append(b, body[to:]...)
	p.lists = unsafe.String(unsafe.SliceData(b), len(b))
}

// makePage returns the page of some lists.
func makePage[T ~string](lists *[pageUsers]T) (p page) {
	var ends [pageUsers]int
	total := 0
	for k, l := range lists {
		total += len(l)
		ends[k] = total
	}
	b := p.layOut(&ends)
	for _, l := range lists {
		b = append(b, l...)
	}
	p.lists = unsafe.String(unsafe.SliceData(b), len(b))
	return p
}

// layOut makes p a page of lists that end there, and returns what its lists
// begin with, in a slice that has room for them.
func (p *page) layOut(ends *[pageUsers]int) []byte {
	p.ends = [pageUsers]uint16{}
	total := ends[pageUsers-1]
	if total <= 0xffff {
		for i, e := range ends {
			p.ends[i] = uint16(e)
		}
		if total == 0 {
			return nil
		}
		return make([]byte, 0, total)
	}
	b := make([]byte, 0, wideHead+total)
	for _, e := range ends {
		b = binary.LittleEndian.AppendUint32(b, uint32(e))
	}
	return b
}
