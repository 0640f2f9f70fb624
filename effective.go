package roster

import (
	"container/list"
	"math/bits"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
	"github.com/rosterdb/roster/internal/radix"
)

// Effective members are not kept for every set: a user who joins a group with
// a hundred sets above it would then change a hundred sets. They are built when
// somebody lists, counts or combines them, and cached. A cached set is brought
// up to date from the list of recent changes, so that a writer beside the
// reader does not make the cache cold.

// recent holds the last changes of the index, in a ring of blocks. A snapshot
// has its own copy of the ring's pointers and its own end; the writer fills the
// places behind that end.
type recent struct {
	blocks [recentBlocks]*[recentBlock]change
	seq    uint64 // number of changes ever noted
}

const (
	recentBlock  = 512
	recentBlocks = 16
)

// change says that user joined or left set. A change of more than one user, or
// of the sets nested in set, is noted as anyUser: what is made of the set has
// to be built again.
type change struct{ set, user uint32 }

const anyUser = ^uint32(0)

// noteMaxUsers is how many single changes are noted of one operation; checking
// each again costs about a microsecond, building again some milliseconds.
const noteMaxUsers = 256

func (r *recent) note(c change) {
	block := r.seq / recentBlock % recentBlocks
	if r.seq%recentBlock == 0 {
		r.blocks[block] = new([recentBlock]change)
	}
	r.blocks[block][r.seq%recentBlock] = c
	r.seq++
}

func (r *recent) noteMembers(set uint32, users []uint32) {
	if len(users) > noteMaxUsers {
		r.note(change{set, anyUser})
		return
	}
	for _, u := range users {
		r.note(change{set, u})
	}
}

func (r *recent) noteShape(parent uint32) { r.note(change{parent, anyUser}) }

// since appends to users everyone whose membership in a set, or in one nested in
// it unless only direct members count, changed after seq. It returns false when that cannot be told: too long
// ago, or the nesting itself changed.
//
// Whether a set is nested in the one asked about is read from the newest
// nesting. A change of a set that has been taken out from below since is then
// passed over, but the link that took it out is itself a change of a set that
// still lies below, or that a still nearer link took out, and so is not.
func (x *index) since(key cacheKey, seq uint64, users []uint32) ([]uint32, bool) {
	if x.seq-seq > recentBlock*(recentBlocks-1) {
		return nil, false
	}
	for ; seq < x.seq; seq++ {
		c := x.blocks[seq/recentBlock%recentBlocks][seq%recentBlock]
		if c.set != key.set && (key.direct || !x.nest.within(c.set, key.set)) {
			continue
		}
		if c.user == anyUser {
			return nil, false
		}
		users = append(users, c.user)
	}
	slices.Sort(users)
	return slices.Compact(users), true
}

// union builds the effective members of sets from everything nested in them.
func (x *index) union(sets ...uint32) numbers {
	u := union{own: new(radix.Owner), bits: bitArrays.Get().(*[]uint64), mine: ours{}}
	defer bitArrays.Put(u.bits)
	*u.bits = (*u.bits)[:0]
	for s := range x.nest.below(sets) {
		if sl := x.sets.At(s); sl != nil {
			u.add(sl)
		}
	}
	return u.numbers()
}

// union gathers sets: numbers from lists are set in one dense array, which costs
// no search and no merge, shards are or-ed shard by shard.
type union struct {
	bits  *[]uint64 // whole shards, as far as a list has needed them
	lists int       // numbers that were set there, some more than once
	big   shards
	own   *radix.Owner
	mine  ours // shards of big that are no other set's
}

func (u *union) add(sl *slot) {
	words := *u.bits
	for id := range idlist.All(sl.list) {
		if w := int(id >> 6); w >= len(words) {
			words = extend(words, (int(id>>16)+1)<<10)
		}
		words[id>>6] |= 1 << (id & 63)
		u.lists++
	}
	*u.bits = words
	for hi, b := range sl.big.All() {
		if *b == nil {
			continue
		}
		have := u.big.Get(hi)
		if have == nil {
			u.big.Set(u.own, hi, *b)
			continue
		}
		have = u.mine.editable(have)
		have.Or(*b)
		u.big.Set(u.own, hi, have)
	}
}

// extend returns words with zeros added up to a length.
func extend(words []uint64, n int) []uint64 {
	if cap(words) < n {
		return append(words, make([]uint64, n-len(words))...)
	}
	clear(words[len(words):n])
	return words[:n]
}

func (u *union) numbers() numbers {
	if u.lists <= listMax && u.big.IsEmpty() {
		return listOf(u.list())
	}
	for hi := range uint32(len(*u.bits) >> 10) {
		part := (*u.bits)[hi<<10 : (hi+1)<<10]
		if !slices.ContainsFunc(part, func(w uint64) bool { return w != 0 }) {
			continue
		}
		b := roaring.FromDense(part, true)
		if have := u.big.Get(hi); have != nil {
			b.Or(have)
		}
		u.big.Set(u.own, hi, b)
	}
	return shardsOf(u.big).compact()
}

// list returns the numbers whose bits are set.
func (u *union) list() []uint32 {
	out := make([]uint32, 0, u.lists)
	for i, w := range *u.bits {
		for ; w != 0; w &= w - 1 {
			out = append(out, uint32(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return out
}

// compact turns few numbers into a list.
func (a numbers) compact() numbers {
	if a.large && a.n <= listMax {
		return listOf(appendShards(make([]uint32, 0, a.n), &a.big))
	}
	return a
}

// effectiveCache keeps sets that somebody asked for, with their first users by
// name, up to a budget of bytes, the least recently used going first. It is safe
// for concurrent use.
type effectiveCache struct {
	mu    sync.Mutex
	max   int64
	bytes int64
	byKey map[cacheKey]*list.Element // of *cached
	used  list.List                  // front: most recently used
}

// cacheKey names a set, with what is nested in it or without.
type cacheKey struct {
	set    uint32
	direct bool
}

type cached struct {
	cacheKey
	seq   uint64
	bytes int64
	numbers
}

func (c *effectiveCache) init(max int64) {
	c.max = max
	c.byKey = map[cacheKey]*list.Element{}
}

// keepAbove is the size of the direct sets that are kept: the first users of a
// smaller one are found as quickly as the cache is asked.
const keepAbove = 64

// get returns the effective members of a set, or the direct ones, as of x and
// with the order of names there.
func (c *effectiveCache) get(x *index, names *order, set uint32, direct bool) numbers {
	direct = direct || len(x.nest.at(set).children) == 0
	if direct && x.len(set) <= keepAbove {
		return x.direct(set)
	}
	key := cacheKey{set, direct}
	old, found := c.find(key)
	if found && old.seq == x.seq {
		return old.numbers
	}
	if found && old.seq < x.seq {
		if touched, ok := x.since(key, old.seq, nil); ok {
			next := old.numbers
			if len(touched) > 0 {
				next = x.patch(old.numbers, key, touched)
				next.first = old.first.without(names, touched)
			}
			return c.put(x, key, next)
		}
	}
	all := x.made(key)
	all.first = new(firstPage)
	return c.put(x, key, all)
}

// made returns the set of a key.
func (x *index) made(key cacheKey) numbers {
	if key.direct {
		return x.direct(key.set)
	}
	return x.union(key.set)
}

// patch returns old, the set of a key some changes ago, with the membership of
// the touched users decided anew.
func (x *index) patch(old numbers, key cacheKey, touched []uint32) numbers {
	if key.direct {
		return x.direct(key.set)
	}
	var in, out []uint32
	for _, u := range touched {
		if x.check(u, key.set) {
			in = append(in, u)
		} else {
			out = append(out, u)
		}
	}
	return old.or(listOf(in)).andNot(listOf(out))
}

func (c *effectiveCache) find(key cacheKey) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return cached{}, false
	}
	c.used.MoveToFront(e)
	return *e.Value.(*cached), true
}

// put stores what was computed as of x, unless the cache already has it as of a
// later change, and returns it.
func (c *effectiveCache) put(x *index, key cacheKey, a numbers) numbers {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		e = c.used.PushFront(&cached{cacheKey: key})
		c.byKey[key] = e
	}
	v := e.Value.(*cached)
	if v.seq > x.seq {
		return a
	}
	size := int64(keptBytes)
	if a.n <= sortedMax {
		size += 4 * int64(a.n)
	}
	if !key.direct {
		size += a.bytes()
	}
	c.bytes += size - v.bytes
	*v = cached{cacheKey: key, seq: x.seq, bytes: size, numbers: a}
	for c.bytes > c.max && c.used.Len() > 0 {
		last := c.used.Back()
		v := c.used.Remove(last).(*cached)
		delete(c.byKey, v.cacheKey)
		c.bytes -= v.bytes
	}
	return a
}

// keptBytes is about what the cache takes for a set beside its numbers.
const keptBytes = 4*pageLength + 512

// bytes estimates the memory of a, shards that other sets share included.
func (a *numbers) bytes() int64 {
	n := int64(128 + 4*len(a.list))
	for _, b := range a.big.All() {
		if *b != nil {
			n += 128 + int64((*b).GetSizeInBytes())
		}
	}
	return n
}
