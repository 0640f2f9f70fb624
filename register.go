package roster

import "github.com/rosterdb/roster/internal/radix"

// register is what the engine keeps in memory of one kind of thing, users or
// groups: a roll of them, and their order by name. Like its parts it is a
// persistent value.
type register struct {
	roll
	byName order

	// unplaced are those that byName does not hold yet; nil in a snapshot.
	// Placing many at once costs one sort.
	unplaced []uint32
}

// has reports whether there is a card of n.
func (g *register) has(n uint32) bool {
	_, ok := g.pages.Get(n / pageCards).body(n % pageCards)
	return ok
}

// enter gives n a card, in place of the one that it may have, and returns that.
func (g *register) enter(own *radix.Owner, n uint32, c card, relabelled func(uint32)) (old card, known bool) {
	old, known = g.get(n)
	renamed := old.name != c.name || old.folded != c.folded
	if known && renamed {
		g.arrange(own, relabelled)
		g.byName.remove(own, n)
	}
	g.put(own, n, c)
	if !known || renamed {
		g.unplaced = append(g.unplaced, n)
	}
	return old, known
}

// leave removes n and returns its card.
func (g *register) leave(own *radix.Owner, n uint32, relabelled func(uint32)) (old card, known bool) {
	if old, known = g.get(n); known {
		g.arrange(own, relabelled)
		g.byName.remove(own, n)
		g.del(own, n)
	}
	return old, known
}

// arrange places all that entered since the last call, and reports whose label
// in the order is new or another.
func (g *register) arrange(own *radix.Owner, relabelled func(uint32)) {
	if len(g.unplaced) > 0 {
		g.byName.insert(own, &g.roll, g.unplaced, relabelled)
		g.unplaced = nil
	}
}

// behind returns the first place in the order behind a folded name in a
// directory.
func (g *register) behind(folded string, dir uint32) place {
	p := g.byName.seek(&g.roll, folded, dir)
	if p != g.byName.end() && g.compareTo(g.byName.at(p), folded, dir) == 0 {
		p = g.byName.next(p)
	}
	return p
}
