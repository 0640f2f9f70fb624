package roster

import (
	"fmt"
	"slices"

	"github.com/rosterdb/roster/internal/radix"
)

// nesting knows which sets are nested in which, and for every nested set all
// the sets above it. A check through any depth is then one search in a sorted
// list, and nothing has to be done when a user joins. Cycles are legal: real
// directories hold them, and every set of a cycle has the same effective
// members.
//
// Links may be changed many at a time; settle brings the closure up to date
// with all of them at once. Its work is bounded by the sets below the changed
// links, whatever the number of users.
type nesting struct {
	nodes  radix.Tree[*node]
	bits   radix.Tree[uint64] // bit set&63 of word set>>6: the set has a parent
	pairs  int                // (set, set above it), over all sets
	unsure []uint32           // sets whose parents changed since settle; nil in a snapshot

	version uint64 // another one whenever a link is
}

// node is one set that takes part in nesting. Nodes are immutable.
type node struct {
	parents, children []uint32 // direct, ascending
	above             []uint32 // every set above, ascending; holds the set itself if it lies in a cycle
}

var noNode node

func (n *nesting) at(set uint32) *node {
	if p := n.nodes.Get(set); p != nil {
		return p
	}
	return &noNode
}

// nested reports whether set has a parent. It is asked of every set of a user
// in a nested check, so it is a bit, not a node.
func (n *nesting) nested(set uint32) bool {
	return n.bits.Get(set>>6)>>(set&63)&1 != 0
}

// within reports whether set is nested, at any depth, in above.
func (n *nesting) within(set, above uint32) bool {
	if !n.nested(set) {
		return false
	}
	_, ok := slices.BinarySearch(n.nodes.Get(set).above, above)
	return ok
}

// link nests child in parent and reports whether it was not.
func (n *nesting) link(own *radix.Owner, parent, child uint32) bool {
	return n.relink(own, parent, child, insertSorted)
}

// unlink is the reverse of link.
func (n *nesting) unlink(own *radix.Owner, parent, child uint32) bool {
	return n.relink(own, parent, child, deleteSorted)
}

func (n *nesting) relink(own *radix.Owner, parent, child uint32, edit func([]uint32, uint32) ([]uint32, bool)) bool {
	up, down := *n.at(parent), *n.at(child)
	var changed bool
	if up.children, changed = edit(up.children, child); !changed {
		return false
	}
	down.parents, _ = edit(down.parents, parent)
	n.nodes.Set(own, parent, up.orNil())
	n.nodes.Set(own, child, down.orNil())
	n.unsure = append(n.unsure, child)
	n.version++
	return true
}

// orNil drops nodes that nest nothing: most sets never do. A node that still
// has sets above it stays until settle has taken them off.
func (p *node) orNil() *node {
	if len(p.parents)+len(p.children)+len(p.above) == 0 {
		return nil
	}
	return p
}

func insertSorted(ids []uint32, id uint32) ([]uint32, bool) {
	i, found := slices.BinarySearch(ids, id)
	if found {
		return ids, false
	}
	return slices.Insert(slices.Clone(ids), i, id), true
}

func deleteSorted(ids []uint32, id uint32) ([]uint32, bool) {
	i, found := slices.BinarySearch(ids, id)
	if !found {
		return ids, false
	}
	return slices.Delete(slices.Clone(ids), i, i+1), true
}

// settle recomputes what lies above each set below the changed links. When the
// closure would pass limit pairs it returns ErrLimit and keeps the old closure;
// the links stay, and it is for the caller to take them back.
func (n *nesting) settle(own *radix.Owner, limit int) error {
	if len(n.unsure) == 0 {
		return nil
	}
	r := rise{n: n, seen: make(map[uint32]*riser), limit: limit - n.pairs}
	for set := range n.below(n.unsure) {
		r.seen[set] = &riser{set: set}
		r.limit += len(n.at(set).above)
	}
	for _, v := range r.seen {
		if v.order == 0 && !r.visit(v) {
			return fmt.Errorf("nesting of more than %d set pairs: %w", limit, ErrLimit)
		}
	}
	for set, v := range r.seen {
		old := n.at(set)
		n.pairs += len(v.above) - len(old.above)
		p := &node{parents: old.parents, children: old.children, above: v.above}
		n.nodes.Set(own, set, p.orNil())
		word := n.bits.Ref(own, set>>6)
		*word &^= 1 << (set & 63)
		if len(p.parents) > 0 {
			*word |= 1 << (set & 63)
		}
	}
	n.unsure = nil
	return nil
}

// below returns sets and everything nested in them at any depth.
func (n *nesting) below(sets []uint32) map[uint32]struct{} {
	seen := make(map[uint32]struct{}, len(sets))
	todo := slices.Clone(sets)
	for len(todo) > 0 {
		set := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := seen[set]; !ok {
			seen[set] = struct{}{}
			todo = append(todo, n.at(set).children...)
		}
	}
	return seen
}

// rise is Tarjan's algorithm over the affected sets, following parents: it
// completes a strongly connected component only after everything above it, so
// what lies above the component is the union over its parents, already known.
type rise struct {
	n     *nesting
	seen  map[uint32]*riser
	stack []*riser
	order int
	limit int // pairs that may still be made
}

type riser struct {
	set        uint32
	order, low int // order is 1 for the first set visited; 0: not yet
	done       bool
	above      []uint32
}

func (r *rise) visit(v *riser) bool {
	r.order++
	v.order, v.low = r.order, r.order
	r.stack = append(r.stack, v)
	for _, p := range r.n.at(v.set).parents {
		w := r.seen[p]
		switch {
		case w == nil || w.done:
		case w.order == 0:
			if !r.visit(w) {
				return false
			}
			v.low = min(v.low, w.low)
		default:
			v.low = min(v.low, w.order)
		}
	}
	if v.low != v.order {
		return true
	}
	at := len(r.stack) - 1
	for r.stack[at] != v {
		at--
	}
	cycle := r.stack[at:]
	r.stack = r.stack[:at:at]
	return r.complete(cycle)
}

// complete gives all sets of a component the same list of sets above them.
func (r *rise) complete(cycle []*riser) bool {
	var above []uint32
	for _, v := range cycle {
		for _, p := range r.n.at(v.set).parents {
			above = append(above, p)
			if w := r.seen[p]; w == nil {
				above = append(above, r.n.at(p).above...)
			} else if w.done {
				above = append(above, w.above...)
			}
		}
		if len(above) > r.limit+1<<20 {
			slices.Sort(above)
			above = slices.Compact(above)
		}
	}
	slices.Sort(above)
	above = slices.Clip(slices.Compact(above))
	if r.limit -= len(above) * len(cycle); r.limit < 0 {
		return false
	}
	for _, v := range cycle {
		v.above, v.done = above, true
	}
	return true
}
