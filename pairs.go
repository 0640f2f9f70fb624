package roster

import (
	"hash/maphash"
	"iter"

	"github.com/rosterdb/roster/internal/linhash"
	"github.com/rosterdb/roster/internal/radix"
)

// pairs is a persistent map from two numbers to a text: records of memberships,
// by organisation and user. A pair that was set once stays, with whatever text;
// the whole map is dropped when it has been folded. Like the radix.Tree and the
// linhash.Table that it is made of, copying it takes a snapshot.
type pairs struct {
	texts radix.Tree[pairText]
	index linhash.Table // of positions in texts
	n     uint32
}

type pairText struct {
	a, b uint32
	text string
}

// pairSeed keeps pairs chosen to collide from slowing a map down.
var pairSeed = maphash.MakeSeed()

func hashPair(a, b uint32) uint32 {
	return uint32(maphash.Comparable(pairSeed, uint64(a)<<32|uint64(b)))
}

func (p *pairs) find(a, b uint32) (at uint32, ok bool) {
	h := hashPair(a, b)
	for _, e := range p.index.Bucket(h) {
		if e.Hash() != h {
			continue
		}
		if t := p.texts.At(e.Number()); t.a == a && t.b == b {
			return e.Number(), true
		}
	}
	return 0, false
}

// get returns the text of a pair, "" if it has none.
func (p *pairs) get(a, b uint32) string {
	if at, ok := p.find(a, b); ok {
		return p.texts.At(at).text
	}
	return ""
}

func (p *pairs) set(own *radix.Owner, a, b uint32, text string) {
	at, ok := p.find(a, b)
	if !ok {
		at = p.n
		p.n++
		p.index.Add(own, hashPair(a, b), at)
	}
	p.texts.Set(own, at, pairText{a, b, text})
}

// all yields every pair with its text.
func (p *pairs) all() iter.Seq[pairText] {
	return func(yield func(pairText) bool) {
		for i, t := range p.texts.All() {
			if i >= p.n || !yield(*t) {
				return
			}
		}
	}
}
