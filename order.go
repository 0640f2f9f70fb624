package roster

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/internal/text"
)

// An order holds users in the order of their names, and for each user a label:
// a comes before b exactly when label(a) < label(b). So any set of users is
// sorted by name without a look at the names, and the sequence tells what comes
// next. It takes about 10 bytes a user, and one more where names were looked for.
//
// Users stand in chunks, chunks in blocks. Labels leave gaps; where a gap is
// used up, the users around it get new labels. The order knows no names: what
// needs them takes the roll of which it is the order.
//
// An order is a small value and a persistent one: copying it takes a snapshot,
// and a writer that goes on with a new Owner leaves the snapshot as it is.
// Reading a snapshot needs no lock.
type order struct {
	labels radix.Tree[uint32] // by user; 0 is no label
	blocks []*block           // none is empty
	own    *radix.Owner       // who may change blocks in place
	n      int

	version uint64 // another one whenever the sequence is another
}

// A block is a row of chunks.
type block struct {
	own    *radix.Owner
	n      int // users in all chunks
	chunks []chunk
}

// A chunk is a row of users. It is replaced on every change, never edited.
type chunk struct {
	users []uint32
	heads *heads
}

// heads are the first 8 bytes of the folded names in a chunk, of the first user
// and of every headEvery-th one, once somebody has searched there: so a search
// among names reads few cards, each of which is some misses in the processor's
// caches.
type heads struct {
	first atomic.Uint64 // 0 for not yet
	each  atomic.Pointer[[]uint64]
}

// headEvery makes the heads 1 byte a user.
const headEvery = 8

func newChunk(users []uint32) chunk { return chunk{users, new(heads)} }

func (c *chunk) head(r *roll) uint64 {
	h := c.heads.first.Load()
	if h == 0 {
		card, _ := r.get(c.users[0])
		h = headOf(card.key())
		c.heads.first.Store(h)
	}
	return h
}

func (c *chunk) headsOf(r *roll) []uint64 {
	if h := c.heads.each.Load(); h != nil {
		return *h
	}
	each := make([]uint64, 0, (len(c.users)+headEvery-1)/headEvery)
	for i := 0; i < len(c.users); i += headEvery {
		card, _ := r.get(c.users[i])
		each = append(each, headOf(card.key()))
	}
	c.heads.each.Store(&each)
	return each
}

// headOf returns the first 8 bytes of a name, its ASCII letters folded, with
// zero bytes after its end.
func headOf(name string) uint64 {
	k := nameKey{rest: name}
	k.next()
	return k.head
}

// A change copies one chunk, one block and the list of blocks: at 1M users 1,
// 4 and 0.5 KB. The sizes keep the three of one magnitude up to 100M users.
const (
	maxChunk = 256 // users
	maxBlock = 128 // chunks
)

// endLabel is beyond every label.
const endLabel = uint64(1) << 32

// A place is a position in an order: that of a user, or the end. It is good for
// the snapshot that it came from.
type place struct{ block, chunk, i int }

// len returns the number of users.
func (o *order) len() int { return o.n }

// label returns the label of user n, or 0 when the order does not hold n.
// Labels may change with every insert, the order of two users never does.
func (o *order) label(n uint32) uint32 { return o.labels.Get(n) }

// end returns the place after the last user.
func (o *order) end() place { return place{block: len(o.blocks)} }

// at returns the user at p, which is not the end.
func (o *order) at(p place) uint32 { return o.blocks[p.block].chunks[p.chunk].users[p.i] }

// next returns the place after p, which is not the end.
func (o *order) next(p place) place {
	p.i++
	if b := o.blocks[p.block]; p.i == len(b.chunks[p.chunk].users) {
		p.chunk, p.i = p.chunk+1, 0
		if p.chunk == len(b.chunks) {
			p = place{block: p.block + 1}
		}
	}
	return p
}

// prev returns the place before p, and whether there is one.
func (o *order) prev(p place) (place, bool) {
	if p == (place{}) {
		return p, false
	}
	if p.i == 0 {
		if p.chunk == 0 {
			p.block--
			p.chunk = len(o.blocks[p.block].chunks)
		}
		p.chunk--
		p.i = len(o.blocks[p.block].chunks[p.chunk].users)
	}
	p.i--
	return p, true
}

// walk yields the users from p on.
func (o *order) walk(p place) iter.Seq[uint32] {
	blocks := o.blocks
	return func(yield func(uint32) bool) {
		for ; p.block < len(blocks); p = (place{block: p.block + 1}) {
			for _, chunk := range blocks[p.block].chunks[p.chunk:] {
				for _, n := range chunk.users[p.i:] {
					if !yield(n) {
						return
					}
				}
				p.i = 0
			}
		}
	}
}

// walkBits yields the users from p on whose bits are set in words, which has room
// for all.
func (o *order) walkBits(p place, words []uint64) iter.Seq[uint32] {
	blocks := o.blocks
	return func(yield func(uint32) bool) {
		for ; p.block < len(blocks); p = (place{block: p.block + 1}) {
			for _, chunk := range blocks[p.block].chunks[p.chunk:] {
				for _, n := range chunk.users[p.i:] {
					if words[n>>6]>>(n&63)&1 != 0 && !yield(n) {
						return
					}
				}
				p.i = 0
			}
		}
	}
}

// rank returns how many users come before p.
func (o *order) rank(p place) int {
	n := p.i
	for _, b := range o.blocks[:p.block] {
		n += b.n
	}
	if p.chunk > 0 {
		chunks := o.blocks[p.block].chunks[:p.chunk]
		for i := range chunks {
			n += len(chunks[i].users)
		}
	}
	return n
}

// search returns the place of the first user for whom before is false. It must
// be true for a first part of the order and false for the rest.
func (o *order) search(before func(n uint32) bool) place {
	p := place{block: sort.Search(len(o.blocks), func(i int) bool { return !before(o.blocks[i].chunks[0].users[0]) }) - 1}
	if p.block < 0 {
		return place{}
	}
	chunks := o.blocks[p.block].chunks
	p.chunk = sort.Search(len(chunks), func(i int) bool { return !before(chunks[i].users[0]) }) - 1
	users := chunks[p.chunk].users
	p.i = sort.Search(len(users), func(i int) bool { return !before(users[i]) }) - 1
	return o.next(p)
}

// A bound is a point among names: behind all whose heads are lower.
type bound struct {
	head, mask uint64            // the head, and which bytes of it count
	before     func(c card) bool // whether one with the same head stands before it; nil says by same
	same       bool
}

// holds reports whether a user with a head stands before the bound.
func (b *bound) holds(head uint64, r *roll, n uint32) bool {
	switch head &= b.mask; {
	case head != b.head:
		return head < b.head
	case b.before == nil:
		return b.same
	}
	c, _ := r.get(n)
	return b.before(c)
}

// searchName is search for a bound, with few looks at cards.
func (o *order) searchName(r *roll, b bound) place {
	first := func(c *chunk) bool { return b.holds(c.head(r), r, c.users[0]) }
	p := place{block: sort.Search(len(o.blocks), func(i int) bool { return !first(&o.blocks[i].chunks[0]) }) - 1}
	if p.block < 0 {
		return place{}
	}
	chunks := o.blocks[p.block].chunks
	p.chunk = sort.Search(len(chunks), func(i int) bool { return !first(&chunks[i]) }) - 1
	c := &chunks[p.chunk]
	heads := c.headsOf(r)
	p.i = headEvery * (sort.Search(len(heads), func(i int) bool { return !b.holds(heads[i], r, c.users[i*headEvery]) }) - 1)
	users := c.users[p.i:min(p.i+headEvery, len(c.users))]
	p.i += sort.Search(len(users), func(i int) bool {
		c, _ := r.get(users[i])
		return !b.holds(headOf(c.key()), r, users[i])
	}) - 1
	return o.next(p)
}

// seek returns the place of the first user at or after a folded name and
// directory.
func (o *order) seek(r *roll, folded string, dir uint32) place {
	return o.searchName(r, bound{head: headOf(folded), mask: ^uint64(0), before: func(c card) bool {
		return cmp.Or(compareFolded(c.key(), folded), cmp.Compare(c.dir, dir)) < 0
	}})
}

// prefix returns the places between which the users stand whose folded names
// begin with a folded string.
func (o *order) prefix(r *roll, folded string) (from, to place) {
	first := bound{head: headOf(folded), mask: ^uint64(0)}
	last := bound{head: first.head, mask: first.mask, same: true}
	if len(folded) <= 8 && strings.IndexByte(folded, 0) < 0 {
		first.mask <<= 8 * (8 - len(folded))
		last.mask = first.mask
		return o.searchName(r, first), o.searchName(r, last)
	}
	compare := func(c card) int {
		key := c.key()
		return compareFolded(key[:min(len(key), len(folded))], folded)
	}
	first.before = func(c card) bool { return compare(c) < 0 }
	last.before = func(c card) bool { return compare(c) <= 0 }
	return o.searchName(r, first), o.searchName(r, last)
}

// after returns the place of the first user with a label above that one.
func (o *order) after(label uint32) place {
	return o.search(func(n uint32) bool { return o.label(n) <= label })
}

// insert puts users of r into the order; those that it holds already stay where
// they are. It calls relabelled for every user whose label is new or another,
// for some more than once.
func (o *order) insert(own *radix.Owner, r *roll, users []uint32, relabelled func(n uint32)) {
	var fresh []uint32
	for _, n := range users {
		if o.label(n) == 0 {
			fresh = append(fresh, n)
		}
	}
	sortByName(r, fresh)
	fresh = slices.Compact(fresh)
	o.version++
	for len(fresh) > 0 {
		c, _ := r.get(fresh[0])
		p := o.seek(r, c.key(), c.dir)
		run := len(fresh) // how many belong at p, all in a row
		if p != o.end() {
			c, _ := r.get(o.at(p))
			for run = 1; run < len(fresh) && r.compareTo(fresh[run], c.key(), c.dir) < 0; run++ {
			}
		}
		o.giveLabels(own, p, fresh[:run], relabelled)
		o.splice(own, p, fresh[:run])
		fresh = fresh[run:]
	}
}

// remove takes user n out. It reports whether the order held n. The roll may
// know n still, or no longer, or under another name.
func (o *order) remove(own *radix.Owner, n uint32) bool {
	label := o.label(n)
	if label == 0 {
		return false
	}
	p := o.after(label - 1)
	o.labels.Set(own, n, 0)
	o.n--
	o.version++
	b := o.edit(own, p.block)
	b.n--
	users := b.chunks[p.chunk].users
	rest := append(append(make([]uint32, 0, len(users)-1), users[:p.i]...), users[p.i+1:]...)
	from, to := p.chunk, p.chunk+1
	if to < len(b.chunks) && len(rest)+len(b.chunks[to].users) <= maxChunk/2 {
		rest = slices.Concat(rest, b.chunks[to].users)
		to++
	}
	if len(rest) == 0 {
		b.chunks = slices.Delete(b.chunks, from, to)
	} else {
		b.chunks = slices.Replace(b.chunks, from, to, newChunk(rest))
	}
	if len(b.chunks) == 0 {
		o.blocks = slices.Delete(o.blocks, p.block, p.block+1)
	}
	return true
}

// edit returns block i for changing in place.
func (o *order) edit(own *radix.Owner, i int) *block {
	if o.own != own {
		o.own, o.blocks = own, slices.Clone(o.blocks)
	}
	if b := o.blocks[i]; b.own != own {
		o.blocks[i] = &block{own: own, n: b.n, chunks: slices.Clone(b.chunks)}
	}
	return o.blocks[i]
}

// splice puts a run of users before p.
func (o *order) splice(own *radix.Owner, p place, run []uint32) {
	o.n += len(run)
	if len(o.blocks) == 0 {
		o.own, o.blocks = own, blocksOf(own, chunksOf(run))
		return
	}
	if p == o.end() {
		p.block--
		p.chunk = len(o.blocks[p.block].chunks) - 1
		p.i = len(o.blocks[p.block].chunks[p.chunk].users)
	}
	b := o.edit(own, p.block)
	b.n += len(run)
	users := b.chunks[p.chunk].users
	b.chunks = slices.Replace(b.chunks, p.chunk, p.chunk+1, chunksOf(slices.Concat(users[:p.i], run, users[p.i:]))...)
	if len(b.chunks) > maxBlock {
		o.blocks = slices.Replace(o.blocks, p.block, p.block+1, blocksOf(own, b.chunks)...)
	}
}

// blocksOf puts chunks into as few blocks as hold them.
func blocksOf(own *radix.Owner, chunks []chunk) []*block {
	blocks := make([]*block, 0, len(chunks)/maxBlock+1)
	for _, part := range pieces(chunks, maxBlock) {
		b := &block{own: own, chunks: part}
		for _, c := range part {
			b.n += len(c.users)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// chunksOf puts users into as few chunks as hold them.
func chunksOf(users []uint32) []chunk {
	parts := pieces(users, maxChunk)
	chunks := make([]chunk, len(parts))
	for i, part := range parts {
		chunks[i] = newChunk(part)
	}
	return chunks
}

// pieces returns copies of the fewest parts of s that hold at most size each,
// all of about one length.
func pieces[T any](s []T, size int) [][]T {
	count := (len(s) + size - 1) / size
	out := make([][]T, count)
	for i := range out {
		part := s[i*len(s)/count : (i+1)*len(s)/count]
		out[i] = append(make([]T, 0, len(part)), part...)
	}
	return out
}

// giveLabels gives labels to a run of users that will stand before p: evenly
// between their neighbours, or where those leave no room, together with the
// users around them in the smallest window of labels that is thin enough.
//
// A window is 2^i labels from a multiple of 2^i on, and thin enough when it
// holds at most (2n)^(i/32) of n users: the limit grows from a window of one
// label that is full to a whole with room for twice as many users. That is the
// relabelling of Bender and others ("Two simplified algorithms for maintaining
// order in a list", 2002): new labels for O(log n) users for each one inserted.
func (o *order) giveLabels(own *radix.Owner, p place, run []uint32, relabelled func(uint32)) {
	below, above := uint64(0), endLabel // the labels around
	left, more := o.prev(p)
	if more {
		below = uint64(o.label(o.at(left)))
	}
	if p != o.end() {
		above = uint64(o.label(o.at(p)))
	}
	if above-below > uint64(len(run)) {
		below, above = margin(below, above, len(run))
		o.spread(own, run, below, above, relabelled)
		return
	}
	var before, after []uint32 // the users around, nearest first
	full := math.Log2(2 * float64(o.n+len(run)))
	for i := 1; ; i++ {
		first := below &^ (1<<i - 1)
		last := first + 1<<i
		for more && uint64(o.label(o.at(left))) >= first {
			before = append(before, o.at(left))
			left, more = o.prev(left)
		}
		for p != o.end() && uint64(o.label(o.at(p))) < last {
			after = append(after, o.at(p))
			p = o.next(p)
		}
		count := len(before) + len(run) + len(after)
		if i < 32 && (math.Log2(float64(count)) > full*float64(i)/32 || count >= 1<<i) {
			continue
		}
		slices.Reverse(before)
		first, last = inset(first, last, count, !more, p == o.end())
		o.spread(own, slices.Concat(before, run, after), first, last, relabelled)
		return
	}
}

// margin narrows the room for a run of users at either end of the order, which
// is the rest of all labels: names that come in ascending order, as numbered
// ones do, take a millionth of the rest each, where halving would use it up in
// 32 steps. The bounds are exclusive, and are endLabel or 0 at the ends.
func margin(below, above uint64, run int) (uint64, uint64) {
	take := max(1, (above-below)>>20) * uint64(run+1)
	switch {
	case below == 0 && above == endLabel: // the first users of all
	case above == endLabel:
		above = min(above, below+take)
	case below == 0:
		below = above - min(above, take)
	}
	return below, above
}

// inset returns the exclusive bounds between which the count users of a window
// are spread: the window, less a part at each side where the order ends with
// it, so that what comes after or before all others finds room.
func inset(first, last uint64, count int, atStart, atEnd bool) (below, above uint64) {
	below, above = max(first, 1)-1, last
	quarter := (last - first) / 4
	if uint64(count) >= quarter {
		return below, above
	}
	if atStart {
		below += quarter
	}
	if atEnd {
		above -= quarter
	}
	return below, above
}

// spread gives users labels between two others, at equal distances.
func (o *order) spread(own *radix.Owner, users []uint32, below, above uint64, relabelled func(uint32)) {
	for i, n := range users {
		label := uint32(below + uint64(i+1)*(above-below)/uint64(len(users)+1))
		if o.label(n) != label {
			o.labels.Set(own, n, label)
			relabelled(n)
		}
	}
}

// load makes an empty order one of the users whose labels are given: that of
// user n at index n, 0 for those who are not in it. Two users with one label
// are ErrCorrupt. It looks at no name: whether the order is that of the names is
// for check.
func (o *order) load(own *radix.Owner, labels []uint32) error {
	users := make([]uint64, 0, len(labels))
	for n, label := range labels {
		if label != 0 {
			o.labels.Set(own, uint32(n), label)
			users = append(users, uint64(label)<<32|uint64(n))
		}
	}
	users = sortByLabel(users)
	for i := 1; i < len(users); i++ {
		if users[i-1]>>32 == users[i]>>32 {
			return fmt.Errorf("users %d and %d have one place in the order of names: %w", uint32(users[i-1]), uint32(users[i]), ErrCorrupt)
		}
	}
	sorted := make([]uint32, len(users))
	for i, u := range users {
		sorted[i] = uint32(u)
	}
	o.n = len(sorted)
	o.own, o.blocks = own, blocksOf(own, chunksOf(sorted))
	return nil
}

// sortByLabel sorts by the upper 32 bits, least significant digit first.
func sortByLabel(keys []uint64) []uint64 {
	const digit = 11
	other := make([]uint64, len(keys))
	for shift := 32; shift < 64; shift += digit {
		var end [1 << digit]int
		for _, k := range keys {
			end[k>>shift&(1<<digit-1)]++
		}
		for i := 1; i < len(end); i++ {
			end[i] += end[i-1]
		}
		for _, k := range slices.Backward(keys) {
			p := &end[k>>shift&(1<<digit-1)]
			*p--
			other[*p] = k
		}
		keys, other = other, keys
	}
	return keys
}

// check returns an error that names the first thing wrong: users who do not
// stand by name, labels that do not ascend, a user of the roll who is missing
// or one who is not of the roll.
func (o *order) check(r *roll) error {
	seen, last := 0, uint32(0)
	for n := range o.walk(place{}) {
		switch c, ok := r.get(n); {
		case !ok:
			return fmt.Errorf("user %d stands in the order of names and does not exist: %w", n, ErrCorrupt)
		case o.label(n) == 0:
			return fmt.Errorf("user %d has no label in the order of names: %w", n, ErrCorrupt)
		case seen > 0 && o.label(last) >= o.label(n):
			return fmt.Errorf("users %d and %d have labels in the wrong order: %w", last, n, ErrCorrupt)
		case seen > 0 && r.compareTo(last, c.key(), c.dir) >= 0:
			return fmt.Errorf("users %d and %d stand in the wrong order of names: %w", last, n, ErrCorrupt)
		}
		seen, last = seen+1, n
	}
	if seen != o.n || o.n != r.len() || o.rank(o.end()) != o.n {
		return fmt.Errorf("%d users stand in the order of names, it counts %d, and there are %d: %w", seen, o.n, r.len(), ErrCorrupt)
	}
	return nil
}

// sortByName sorts users of r by folded name and directory.
func sortByName(r *roll, users []uint32) {
	keys := make([]nameKey, len(users))
	for i, n := range users {
		c, _ := r.get(n)
		keys[i] = nameKey{rest: c.key(), n: n}
	}
	sortKeys(r, keys)
	for i, k := range keys {
		users[i] = k.n
	}
}

// nameKey is a user, 8 bytes of the folded name, which are compared at once,
// and the bytes after those.
type nameKey struct {
	head uint64
	rest string
	n    uint32
}

// next moves the first 8 bytes of the rest to the head, with zero bytes after
// the end of the name.
func (k *nameKey) next() {
	k.head = 0
	size := min(8, len(k.rest))
	for i := range size {
		k.head = k.head<<8 | uint64(text.Lower(k.rest[i]))
	}
	k.head <<= 8 * (8 - size)
	k.rest = k.rest[size:]
}

// sortKeys sorts users whose folded names agree in what comes before the rest:
// by the next 8 bytes, and each group that agrees in those by what follows.
func sortKeys(r *roll, keys []nameKey) {
	byName := func(a, b nameKey) int { return r.compare(a.n, b.n) }
	if len(keys) <= 8 {
		slices.SortFunc(keys, byName)
		return
	}
	for i := range keys {
		keys[i].next()
	}
	slices.SortFunc(keys, func(a, b nameKey) int { return cmp.Compare(a.head, b.head) })
	for len(keys) > 0 {
		group := 1
		for group < len(keys) && keys[group].head == keys[0].head {
			group++
		}
		switch {
		case group == 1:
		case byte(keys[0].head) == 0: // names that end here, or hold a zero byte
			slices.SortFunc(keys[:group], byName)
		default:
			sortKeys(r, keys[:group])
		}
		keys = keys[group:]
	}
}
