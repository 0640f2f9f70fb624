package directory

import (
	"cmp"
	"slices"

	"github.com/rosterdb/roster"
)

// down compares the members of every group that was gathered with all of them,
// and of those that are gone.
func (p *plan) down(tx *roster.Txn) error {
	from := 0
	for j := range p.groups {
		to := from
		for to < len(p.edges) && int(p.edges[to].group) == j {
			to++
		}
		edges := p.edges[from:to]
		from = to
		if p.groups[j].bad || !p.groups[j].whole {
			continue
		}
		if err := p.groupDown(tx, j, edges); err != nil {
			return err
		}
	}
	for _, g := range p.goneGroup {
		if err := p.compare(tx, g.id, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// groupDown compares the members of group j with those that it is to have.
func (p *plan) groupDown(tx *roster.Txn, j int, edges []edge) error {
	var users []roster.UserID
	var subs []roster.GroupID
	id := p.groupIDs[j]
	for _, e := range edges {
		if !p.usable(e.member) {
			p.unresolved++
			continue
		}
		switch known := p.handle(e.member); {
		case known == absent || id == absent:
			p.join = append(p.join, e)
		case e.member >= 0:
			users = append(users, roster.UserID(known))
			if !tx.CheckDirect(roster.UserID(known), id) {
				p.join = append(p.join, e)
			}
		default:
			subs = append(subs, roster.GroupID(known))
		}
	}
	if id == absent {
		return nil
	}
	children, err := tx.Subgroups(id)
	if err != nil {
		return err
	}
	nested := map[roster.GroupID]bool{}
	for _, c := range children {
		nested[c] = true
	}
	for _, e := range edges {
		if e.member < 0 && p.usable(e.member) && p.handle(e.member) != absent && !nested[roster.GroupID(p.handle(e.member))] {
			p.join = append(p.join, e)
		}
	}
	return p.compare(tx, id, users, subs)
}

// usable reports whether a member is or will be in the engine.
func (p *plan) usable(member int32) bool {
	if member >= 0 {
		return p.ids[member] != absent || !p.unusable[member] && !p.nameless[int(member)]
	}
	return !p.groups[^member].bad
}

// handle returns a member's handle, absent if it is new.
func (p *plan) handle(member int32) uint32 {
	if member >= 0 {
		return uint32(p.ids[member])
	}
	return uint32(p.groupIDs[^member])
}

// compare finds the members of a group that are not among those it is to have.
func (p *plan) compare(tx *roster.Txn, id roster.GroupID, users []roster.UserID, subs []roster.GroupID) error {
	slices.Sort(users)
	slices.Sort(subs)
	set, err := tx.DirectMembers(id)
	if err != nil {
		return err
	}
	for u := range set.All() {
		if _, ok := slices.BinarySearch(users, u); ok {
			p.memberships++
			continue
		}
		owned, err := p.owns(tx, u)
		if err != nil {
			return err
		}
		if owned {
			p.memberships++
			p.leave = append(p.leave, leaving{group: id, user: u})
		}
	}
	children, err := tx.Subgroups(id)
	if err != nil {
		return err
	}
	for _, c := range children {
		if _, ok := slices.BinarySearch(subs, c); ok {
			p.memberships++
			continue
		}
		owned, err := p.ownsGroup(tx, c)
		if err != nil {
			return err
		}
		if owned {
			p.memberships++
			p.leave = append(p.leave, leaving{group: id, sub: c, isSub: true})
		}
	}
	return nil
}

// owns reports whether the link may end memberships of a user.
func (p *plan) owns(tx *roster.Txn, u roster.UserID) (bool, error) {
	owned, ok := p.managed[u]
	if ok || p.managedAll {
		return owned, nil
	}
	rec, err := tx.User(u)
	if err != nil {
		return false, err
	}
	p.managed[u] = rec.Directory == p.dir.ID && linkOf(&rec) != ""
	return p.managed[u], nil
}

// ownsGroup reports whether a group belongs to the link.
func (p *plan) ownsGroup(tx *roster.Txn, g roster.GroupID) (bool, error) {
	owned, ok := p.managedGroup[g]
	if ok || p.managedAll {
		return owned, nil
	}
	rec, err := tx.GroupHead(g)
	if err != nil {
		return false, err
	}
	p.managedGroup[g] = rec.Directory == p.dir.ID && rec.Enterprise
	return p.managedGroup[g], nil
}

// up compares the groups of those about whom that was asked: all groups that hold
// them are among the edges.
func (p *plan) up(tx *roster.Txn) error {
	if !p.upto {
		return nil
	}
	groups := map[int32][]roster.GroupID{} // wanted, by member; those that exist
	for _, e := range p.edges {
		if p.groups[e.group].bad || !p.usable(e.member) {
			p.unresolved++
			continue
		}
		id := p.groupIDs[e.group]
		if id != absent {
			groups[e.member] = append(groups[e.member], id)
		}
		if known := p.handle(e.member); id == absent || known == absent {
			p.join = append(p.join, e)
		} else if held, err := holds(tx, id, e.member, known); err != nil {
			return err
		} else if !held {
			p.join = append(p.join, e)
		}
	}
	done := map[int32]bool{}
	for _, s := range p.ups {
		member := p.stands[s]
		if member == nobody || done[member] || p.handle(member) == absent || member >= 0 && p.unusable[member] {
			continue
		}
		done[member] = true
		if err := p.leaveUp(tx, member, groups[member]); err != nil {
			return err
		}
	}
	return nil
}

// forsake ends the memberships of users that are gone, of a part: of all that a
// source has, down has found them.
func (p *plan) forsake(tx *roster.Txn) error {
	if p.all {
		return nil
	}
	for _, g := range p.gone {
		if err := p.leaveUser(tx, g.id, nil); err != nil {
			return err
		}
	}
	slices.SortFunc(p.leave, func(a, b leaving) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.user, b.user), cmp.Compare(a.sub, b.sub))
	})
	p.leave = slices.Compact(p.leave)
	return nil
}

func holds(tx *roster.Txn, g roster.GroupID, member int32, id uint32) (bool, error) {
	if member >= 0 {
		return tx.CheckDirect(roster.UserID(id), g), nil
	}
	parents, err := tx.Parents(roster.GroupID(id))
	return slices.Contains(parents, g), err
}

// leaveUp ends the memberships of one member in groups of the link that are not
// wanted.
func (p *plan) leaveUp(tx *roster.Txn, member int32, wanted []roster.GroupID) error {
	if member >= 0 {
		return p.leaveUser(tx, p.ids[member], wanted)
	}
	id := p.groupIDs[^member]
	parents, err := tx.Parents(id)
	if err != nil {
		return err
	}
	for _, g := range parents {
		owned, err := p.ownsGroup(tx, g)
		if err != nil {
			return err
		}
		if owned && !slices.Contains(wanted, g) {
			p.leave = append(p.leave, leaving{group: g, sub: id, isSub: true})
		}
	}
	return nil
}

func (p *plan) leaveUser(tx *roster.Txn, u roster.UserID, wanted []roster.GroupID) error {
	groups, err := tx.DirectGroups(u)
	if err != nil {
		return err
	}
	for _, g := range groups {
		owned, err := p.ownsGroup(tx, g)
		if err != nil {
			return err
		}
		if owned && !slices.Contains(wanted, g) {
			p.leave = append(p.leave, leaving{group: g, user: u})
		}
	}
	return nil
}
