package exchange

import (
	"hash/maphash"
	"math"
	"strconv"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// position is a line of one of the inputs: the number of the input in the upper
// 16 bits, the line in the lower 48.
type position uint64

const positionBits = 48

func at(input int, line int64) position {
	return position(uint64(input)<<positionBits | uint64(line))
}

func (p position) input() int  { return int(p >> positionBits) }
func (p position) line() int64 { return int64(p & (1<<positionBits - 1)) }

// symbol is the number of a name that the input defines or refers to. Member
// lines are kept as pairs of symbols, so a name may be used before its record.
type symbol uint32

// nobody is what a symbol stands for until a record defines it.
const nobody = math.MaxUint32

// key is a name as the symbol table knows it: two hashes of 64 bits under seeds
// of this process. Two different names meet with a probability of 2^-128 and
// nobody can choose them, and a name of any length costs 16 bytes.
type key [2]uint64

// hasher makes keys.
type hasher [2]maphash.Seed

func newHasher() hasher { return hasher{maphash.MakeSeed(), maphash.MakeSeed()} }

func (h hasher) key(s string) key { return key{maphash.String(h[0], s), maphash.String(h[1], s)} }

// reference is a name that was used and not defined so far.
type reference struct {
	at        position
	kind      kind               // 0: a DN, which only a record of the input can define
	directory roster.DirectoryID // when kind is not 0
	name      string
	byUID     bool // name is a uid, which no directory divides
}

// symbols maps names to symbols and symbols to the records that define them.
type symbols struct {
	hasher
	byKey   map[key]symbol
	stands  []uint32              // by symbol: the number of its record, or nobody
	pending map[symbol]*reference // used, not defined: gone as soon as a record defines it
	claims  map[key]position      // what only one record may have: a number, say
}

func newSymbols() *symbols {
	return &symbols{
		hasher:  newHasher(),
		byKey:   map[key]symbol{},
		pending: map[symbol]*reference{},
		claims:  map[key]position{},
	}
}

// nameKey is the key of a user's or group's name in its directory.
func nameKey(k kind, d roster.DirectoryID, name string) string {
	return k.String() + " " + strconv.FormatUint(uint64(d), 10) + " " + text.Fold(name)
}

// uidKey is the key of a user's or group's uid.
func uidKey(k kind, uid string) string { return k.String() + " uid " + uid }

// organizationKey is the key of an organisation.
func organizationKey(id string) string { return "organization " + text.Fold(id) }

// roleKey is the key of a role. The ID of its organisation is a valid name, so
// it holds no control character.
func roleKey(organization, id string) string {
	return "role " + text.Fold(organization) + "\x00" + text.Fold(id)
}

// dnKey is the key of a distinguished name in its normal form.
func dnKey(normal string) string { return "dn " + normal }

// lookup returns the symbol of a key, made if it is new.
func (t *symbols) lookup(s string) symbol {
	k := t.key(s)
	sym, ok := t.byKey[k]
	if !ok {
		sym = symbol(len(t.stands))
		t.byKey[k] = sym
		t.stands = append(t.stands, nobody)
	}
	return sym
}

// refer returns the symbol of a name that a member line uses. make is called
// for a name that nothing defines so far.
func (t *symbols) refer(s string, ref func() *reference) symbol {
	sym := t.lookup(s)
	if t.stands[sym] == nobody && t.pending[sym] == nil {
		t.pending[sym] = ref()
	}
	return sym
}

// define makes the key stand for a record. It returns the number of the record
// that the key stands for already, false: that one stays.
func (t *symbols) define(s string, number uint32) (uint32, bool) {
	sym := t.lookup(s)
	if old := t.stands[sym]; old != nobody {
		return old, false
	}
	t.stands[sym] = number
	delete(t.pending, sym)
	return number, true
}

// claim takes what only one record may have for the record at p. It returns
// where it was taken before, false: that claim stays.
func (t *symbols) claim(s string, p position) (position, bool) {
	k := t.key(s)
	if old, ok := t.claims[k]; ok {
		return old, false
	}
	t.claims[k] = p
	return p, true
}

// claimed reports whether a record has taken that.
func (t *symbols) claimed(s string) bool {
	_, ok := t.claims[t.key(s)]
	return ok
}
