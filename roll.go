package roster

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/rosterdb/roster/internal/linhash"
	"github.com/rosterdb/roster/internal/radix"
	"github.com/rosterdb/roster/internal/text"
)

// A roll is the register of one kind of thing, users or groups: what there is
// under which number, and the number of each name, id and uid. It takes about
// 32 bytes a user with names of 12 bytes.
//
// A roll is a small value and a persistent one, like the radix.Tree and the
// linhash.Table it is made of: copying it takes a snapshot, and a writer that
// goes on with a new Owner leaves the snapshot as it is. Reading a snapshot
// needs no lock.
//
// The strings that it returns stay valid and unchanged for ever, but each keeps
// the page it lies in alive, 16 cards of a few dozen bytes: clone what is kept.
type roll struct {
	pages  radix.Tree[cards]
	names  linhash.Table // by folded name, whatever the directory unless the roll is scoped
	ids    linhash.Table // ids other than the default
	uids   linhash.Table // uids other than the default
	prefix string        // of default uids
	seed   maphash.Seed
	scoped bool // names are asked for with their directory only, and many share one
	n      int
}

// A card is what a roll knows of one user or group.
type card struct {
	dir    uint32 // the directory
	id     uint64 // the number shown outside; the default, also when it is 0, is the own number + 1
	name   string // in normal form
	folded string // the name folded, "" when the name is ASCII: see fold
	uid    string // "" for the default: see roll.uid
	flags  uint8
}

// fold returns the folded name. It allocates when the name is ASCII with upper
// case letters.
func (c *card) fold() string {
	if c.folded != "" {
		return c.folded
	}
	return text.Fold(c.name)
}

// key is the folded name up to the case of ASCII letters, for compareFolded.
func (c *card) key() string {
	if c.folded != "" {
		return c.folded
	}
	return c.name
}

// compareFolded orders by folded name. Its arguments are ASCII or folded.
func compareFolded(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if x, y := text.Lower(a[i]), text.Lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func equalFolded(a, b string) bool { return len(a) == len(b) && compareFolded(a, b) == 0 }

// newRoll returns an empty roll. The seed keeps names chosen to collide from
// slowing it down; nothing else depends on it. Default uids are prefix and id.
func newRoll(prefix string, seed maphash.Seed) roll { return roll{prefix: prefix, seed: seed} }

// newScopedRoll returns an empty roll of things that are found by name within
// what they belong to: roles, thousands of which have one name.
func newScopedRoll(seed maphash.Seed) roll { return roll{seed: seed, scoped: true} }

// len returns how many cards there are.
func (r *roll) len() int { return r.n }

// get returns the card of n, and whether there is one.
func (r *roll) get(n uint32) (c card, ok bool) {
	p := r.pages.At(n / pageCards)
	if p == nil {
		return c, false
	}
	body, ok := p.body(n % pageCards)
	if ok {
		c.decode(body, n)
	}
	return c, ok
}

// name returns the name of n, or "" when there is no such card.
func (r *roll) name(n uint32) string {
	p := r.pages.At(n / pageCards)
	if p == nil {
		return ""
	}
	body, ok := p.body(n % pageCards)
	if !ok {
		return ""
	}
	_, rest := cutUvarint(body[2:])
	if body[0]&hasID != 0 {
		_, rest = cutUvarint(rest)
	}
	size, rest := cutUvarint(rest)
	return rest[:size]
}

// uid returns the string id of a card: its own, or the default.
func (r *roll) uid(c *card) string {
	if c.uid != "" {
		return c.uid
	}
	return r.prefix + strconv.FormatUint(c.id, 10)
}

// all yields the cards in the order of their numbers.
func (r *roll) all() iter.Seq2[uint32, card] {
	return func(yield func(uint32, card) bool) {
		for page, p := range r.pages.All() {
			for k := range uint32(pageCards) {
				body, ok := p.body(k)
				if !ok {
					continue
				}
				n := page*pageCards + k
				var c card
				if c.decode(body, n); !yield(n, c) {
					return
				}
			}
		}
	}
}

// compare orders two numbers that have cards by folded name, then directory.
func (r *roll) compare(a, b uint32) int {
	c, _ := r.get(b)
	return r.compareTo(a, c.key(), c.dir)
}

// compareTo compares n, which has a card, with a folded name and a directory.
func (r *roll) compareTo(n uint32, folded string, dir uint32) int {
	c, _ := r.get(n)
	if d := compareFolded(c.key(), folded); d != 0 {
		return d
	}
	return cmp.Compare(c.dir, dir)
}

// named yields the numbers that have a folded name, each with its directory: of
// a scoped roll those in one directory, and no others for certain.
func (r *roll) named(dir uint32, folded string) iter.Seq2[uint32, uint32] {
	return func(yield func(n, dir uint32) bool) {
		h := r.hashName(dir, folded)
		for _, e := range r.names.Bucket(h) {
			if e.Hash() != h {
				continue
			}
			if c, _ := r.get(e.Number()); equalFolded(c.key(), folded) && !yield(e.Number(), c.dir) {
				return
			}
		}
	}
}

// find returns the number of a folded name in a directory. It does not allocate.
func (r *roll) find(dir uint32, folded string) (n uint32, ok bool) {
	for n, d := range r.named(dir, folded) {
		if d == dir {
			return n, true
		}
	}
	return 0, false
}

// byID returns the number with that id.
func (r *roll) byID(id uint64) (n uint32, ok bool) {
	if n = uint32(id - 1); uint64(n) == id-1 {
		if c, ok := r.get(n); ok && c.id == id {
			return n, true
		}
	}
	h := r.hashID(id)
	for _, e := range r.ids.Bucket(h) {
		if e.Hash() != h {
			continue
		}
		if c, _ := r.get(e.Number()); c.id == id {
			return e.Number(), true
		}
	}
	return 0, false
}

// byUID returns the number with that uid, its own or the default.
func (r *roll) byUID(uid string) (n uint32, ok bool) {
	if id, ok := r.defaultUID(uid); ok {
		if n, ok := r.byID(id); ok {
			if c, _ := r.get(n); c.uid == "" {
				return n, true
			}
		}
	}
	h := r.hashUID(uid)
	for _, e := range r.uids.Bucket(h) {
		if e.Hash() != h {
			continue
		}
		if c, _ := r.get(e.Number()); c.uid == uid {
			return e.Number(), true
		}
	}
	return 0, false
}

// defaultUID returns the id that has uid as its default.
func (r *roll) defaultUID(uid string) (id uint64, ok bool) {
	digits, ok := strings.CutPrefix(uid, r.prefix)
	if !ok || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}

func (r *roll) hashName(dir uint32, folded string) uint32 {
	h := maphash.String(r.seed, folded)
	if r.scoped {
		h ^= maphash.Comparable(r.seed, dir)
	}
	return uint32(h)
}

func (r *roll) hashUID(uid string) uint32 { return uint32(maphash.String(r.seed, uid)) }
func (r *roll) hashID(id uint64) uint32   { return uint32(maphash.Comparable(r.seed, id)) }

// put gives n a card, in place of the one it may have. The caller makes sure
// that no other number has the same directory and folded name, id or uid.
func (r *roll) put(own *radix.Owner, n uint32, c card) {
	c = r.normal(n, c)
	page := r.pages.Ref(own, n/pageCards)
	if body, ok := page.body(n % pageCards); ok {
		var old card
		old.decode(body, n)
		r.unfile(own, n, &old, &c)
		r.file(own, n, &c, &old)
	} else {
		r.file(own, n, &c, nil)
		r.n++
	}
	*page = page.with(n%pageCards, string(c.encode(nil, n)))
}

// del removes the card of n. It reports whether there was one.
func (r *roll) del(own *radix.Owner, n uint32) bool {
	c, ok := r.get(n)
	if !ok {
		return false
	}
	r.unfile(own, n, &c, nil)
	r.n--
	page := r.pages.Ref(own, n/pageCards)
	*page = page.with(n%pageCards, "")
	return true
}

// normal returns c, of number n, with what is at its default left out, and with
// its id.
func (r *roll) normal(n uint32, c card) card {
	if c.id == 0 {
		c.id = uint64(n) + 1
	}
	if text.IsASCII(c.name) {
		c.folded = ""
	} else if c.folded == "" {
		c.folded = text.Fold(c.name)
	}
	if id, ok := r.defaultUID(c.uid); ok && id == c.id {
		c.uid = ""
	}
	return c
}

// file enters c, the card of n, into the tables where it differs from other,
// which may be nil. unfile is the reverse.
func (r *roll) file(own *radix.Owner, n uint32, c, other *card) {
	if other == nil || !r.sameKey(c, other) {
		r.names.Add(own, r.hashName(c.dir, c.fold()), n)
	}
	if c.id != uint64(n)+1 && (other == nil || c.id != other.id) {
		r.ids.Add(own, r.hashID(c.id), n)
	}
	if c.uid != "" && (other == nil || c.uid != other.uid) {
		r.uids.Add(own, r.hashUID(c.uid), n)
	}
}

func (r *roll) unfile(own *radix.Owner, n uint32, c, other *card) {
	if other == nil || !r.sameKey(c, other) {
		r.names.Remove(own, r.hashName(c.dir, c.fold()), n)
	}
	if c.id != uint64(n)+1 && (other == nil || c.id != other.id) {
		r.ids.Remove(own, r.hashID(c.id), n)
	}
	if c.uid != "" && (other == nil || c.uid != other.uid) {
		r.uids.Remove(own, r.hashUID(c.uid), n)
	}
}

// sameKey reports whether two cards stand under the same hash of names.
func (r *roll) sameKey(a, b *card) bool {
	return equalFolded(a.key(), b.key()) && (!r.scoped || a.dir == b.dir)
}

// filing is what the tables of a roll will hold, gathered card by card while a
// store is opened.
type filing struct{ names, ids, uids []linhash.Entry }

// encode returns the page of the cards from number first on, nil for those that
// do not exist, and adds them to f. It does not change the roll.
func (r *roll) encode(first uint32, page *[pageCards]*card, f *filing) cards {
	var bodies [pageCards][]byte
	for k, p := range page {
		if p == nil {
			continue
		}
		n := first + uint32(k)
		c := r.normal(n, *p)
		bodies[k] = c.encode(nil, n)
		f.names = append(f.names, linhash.Make(r.hashName(c.dir, c.fold()), n))
		if c.id != uint64(n)+1 {
			f.ids = append(f.ids, linhash.Make(r.hashID(c.id), n))
		}
		if c.uid != "" {
			f.uids = append(f.uids, linhash.Make(r.hashUID(c.uid), n))
		}
	}
	return makeCards(&bodies)
}

// adopt gives a roll, whose pages encode has made, its tables. That takes a
// fraction of the time of putting card by card.
func (r *roll) adopt(own *radix.Owner, f *filing) {
	r.n = len(f.names)
	r.names = linhash.Fill(own, f.names)
	r.ids = linhash.Fill(own, f.ids)
	r.uids = linhash.Fill(own, f.uids)
}

// pageCards is how many cards a page holds. A change rewrites a page, 300 bytes
// or so; half as many would cost a byte a user more for the pages' headers.
const pageCards = 16

// cards are up to 16 cards in a row, in a string because its bytes never change:
// the strings of a card are parts of it. "" is a page without cards.
//
//	present  uint16         bit k: card k is there
//	ends     uint16 or 32   of each present card: where its body ends, counted
//	                        from the end of this table
//	bodies
//
// The ends are uint16 unless the page is longer than that can say, which its
// length tells. A body is
//
//	shape    byte           which of the optional parts follow
//	flags    byte
//	dir      uvarint
//	id       uvarint        unless it is the number + 1
//	name     uvarint length, bytes
//	folded   uvarint length, bytes   unless the name is ASCII or folded
//	uid      bytes                   unless it is the default
//
// The card of number 4 named Bob, in directory 1, with flags 1, alone on its
// page, is 10 00 07 00 | 00 01 01 03 42 6f 62.
type cards string

const (
	hasID     = 1 << iota // the id is not the default
	hasUID                // the uid is not the default
	isFolded              // the name is not ASCII and is its own folding
	hasFolded             // the name is not ASCII and its folding follows
)

// body returns the encoded card k, and whether there is one.
func (p cards) body(k uint32) (body string, ok bool) {
	if len(p) == 0 {
		return "", false
	}
	present := uint(p[0]) | uint(p[1])<<8
	if present>>k&1 == 0 {
		return "", false
	}
	rank := bits.OnesCount(present & (1<<k - 1))
	bodies := 2 + p.endSize()*bits.OnesCount(present)
	start := 0
	if rank > 0 {
		start = p.end(rank - 1)
	}
	return string(p[bodies+start : bodies+p.end(rank)]), true
}

// endSize returns the size of the ends of this page.
func (p cards) endSize() int {
	if len(p) <= longPage {
		return 2
	}
	return 4
}

// longPage is the length of the longest page with ends of 2 bytes.
const longPage = 1<<16 - 1

func (p cards) end(rank int) int {
	if len(p) <= longPage {
		i := 2 + 2*rank
		return int(p[i]) | int(p[i+1])<<8
	}
	i := 2 + 4*rank
	return int(p[i]) | int(p[i+1])<<8 | int(p[i+2])<<16 | int(p[i+3])<<24
}

// with returns the page with body in the place of card k, or without card k
// when body is "".
func (p cards) with(k uint32, body string) cards {
	var bodies [pageCards]string
	for i := range bodies {
		bodies[i], _ = p.body(uint32(i))
	}
	bodies[k] = body
	return makeCards(&bodies)
}

// makeCards returns a page of encoded cards; an empty one stands for none.
func makeCards[T string | []byte](bodies *[pageCards]T) cards {
	present, size := uint16(0), 0
	for k, body := range bodies {
		if len(body) > 0 {
			present |= 1 << k
			size += len(body)
		}
	}
	count := bits.OnesCount16(present)
	if count == 0 {
		return ""
	}
	long := 2+2*count+size > longPage
	if long {
		size += 2 * count
	}
	p := make([]byte, 0, 2+2*count+size)
	p = binary.LittleEndian.AppendUint16(p, present)
	end := 0
	for _, body := range bodies {
		end += len(body)
		switch {
		case len(body) == 0:
		case long:
			p = binary.LittleEndian.AppendUint32(p, uint32(end))
		default:
			p = binary.LittleEndian.AppendUint16(p, uint16(end))
		}
	}
	for _, body := range bodies {
		p = append(p, body...)
	}
	return cards(unsafe.String(unsafe.SliceData(p), len(p))) // p is not written again
}

// encode appends the card of number n to b.
func (c *card) encode(b []byte, n uint32) []byte {
	var shape byte
	if c.id != uint64(n)+1 {
		shape |= hasID
	}
	if c.uid != "" {
		shape |= hasUID
	}
	switch c.folded {
	case "":
	case c.name:
		shape |= isFolded
	default:
		shape |= hasFolded
	}
	b = slices.Grow(b, 6*binary.MaxVarintLen32+len(c.name)+len(c.folded)+len(c.uid))
	b = append(b, shape, c.flags)
	b = binary.AppendUvarint(b, uint64(c.dir))
	if shape&hasID != 0 {
		b = binary.AppendUvarint(b, c.id)
	}
	b = binary.AppendUvarint(b, uint64(len(c.name)))
	b = append(b, c.name...)
	if shape&hasFolded != 0 {
		b = binary.AppendUvarint(b, uint64(len(c.folded)))
		b = append(b, c.folded...)
	}
	return append(b, c.uid...)
}

// decode sets c to the card of number n that encode has written. Its strings
// are parts of body.
func (c *card) decode(body string, n uint32) {
	shape := body[0]
	c.flags = body[1]
	dir, rest := cutUvarint(body[2:])
	c.dir = uint32(dir)
	c.id = uint64(n) + 1
	if shape&hasID != 0 {
		c.id, rest = cutUvarint(rest)
	}
	size, rest := cutUvarint(rest)
	c.name, rest = rest[:size], rest[size:]
	if shape&isFolded != 0 {
		c.folded = c.name
	}
	if shape&hasFolded != 0 {
		size, rest = cutUvarint(rest)
		c.folded, rest = rest[:size], rest[size:]
	}
	if shape&hasUID != 0 {
		c.uid = rest
	}
}

// cutUvarint returns the number that s begins with and what follows it.
func cutUvarint(s string) (v uint64, rest string) {
	if s[0] < 0x80 {
		return uint64(s[0]), s[1:]
	}
	return cutLongUvarint(s)
}

func cutLongUvarint(s string) (v uint64, rest string) {
	for i := 0; ; i++ {
		v |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return v, s[i+1:]
		}
	}
}
