package roster

import (
	"fmt"
	"slices"

	"github.com/rosterdb/roster/internal/idlist"
)

// What operations on organisations, roles and administrators change in the
// state; see apply. Those on data stand in data.go.

func (st *state) applyMore(o *op) error {
	switch o.kind {
	case opPutOrganization:
		return st.putOrganization(o)
	case opDeleteOrganization:
		st.deleteOrganization(o)
	case opPutRole:
		return st.putRole(o)
	case opDeleteRole:
		st.deleteRole(o)
	case opPutMembership:
		return st.putMembership(o)
	case opDeleteMembership:
		st.deleteMembership(o)
	case opPutData:
		return st.putData(o)
	case opDeleteData:
		st.deleteData(o)
	case opCreateAdmins:
		return st.createAdmins(o)
	case opDropAdmins:
		st.dropAdmins(o)
	case opAddAdmins:
		o.ids = st.edit(st.adminSet.Get(o.num), o.ids, st.add)
	case opRemoveAdmins:
		o.ids = st.edit(st.adminSet.Get(o.num), o.ids, st.remove)
	case opAddAdminGroups:
		o.ids = st.relink(st.adminSet.Get(o.num), o.ids, st.link)
	case opRemoveAdminGroups:
		o.ids = st.relink(st.adminSet.Get(o.num), o.ids, st.unlink)
	}
	return nil
}

// organization returns the number of the organisation of an ID.
func (st *state) organization(id string) (uint32, bool) { return st.orgs.find(0, fold(id)) }

// role returns the number of the role of an ID in an organisation.
func (st *state) role(org uint32, id string) (uint32, bool) { return st.roles.find(org, fold(id)) }

// makeSets makes sets that are not listed, unless they are there.
func (st *state) makeSets(sets ...uint32) {
	for _, set := range sets {
		if !st.exists(set) {
			st.create(st.own, set, 0)
			st.dirty.sets.Add(set)
			st.nextSet = max(st.nextSet, set+1)
		}
	}
}

func (st *state) dropSets(sets ...uint32) {
	for _, set := range sets {
		st.destroy(st.own, set)
		st.dirty.sets.Add(set)
	}
}

func (st *state) putOrganization(o *op) error {
	c, err := cardOf(o.rec)
	if err != nil {
		return err
	}
	st.makeSets(o.num, ownersOf(o.num))
	st.enter(keyOrganizations, o.num, c, o.rec)
	return nil
}

func (st *state) deleteOrganization(o *op) {
	if _, known := st.leave(keyOrganizations, o.num); known {
		st.dropSets(o.num, ownersOf(o.num))
	}
}

func (st *state) putRole(o *op) error {
	c, err := cardOf(o.rec)
	if err != nil {
		return err
	}
	if !st.orgs.has(c.dir) {
		return fmt.Errorf("role %d in no organisation: %w", o.num, errMalformed)
	}
	st.makeSets(o.num)
	st.enter(keyRoles, o.num, c, o.rec)
	list := st.rolesOf.Ref(st.own, c.dir)
	if sp, ok := idlist.Insert(*list, o.num); ok {
		*list = sp.Apply(*list)
	}
	return nil
}

func (st *state) deleteRole(o *op) {
	c, known := st.leave(keyRoles, o.num)
	if !known {
		return
	}
	st.dropSets(o.num)
	list := st.rolesOf.Ref(st.own, c.dir)
	if sp, ok := idlist.Remove(*list, o.num); ok {
		*list = sp.Apply(*list)
	}
}

func (st *state) putMembership(o *op) error {
	m, err := factsOf(o.num, o.rec)
	if err != nil {
		return err
	}
	if !st.orgs.has(o.num) || !st.contains(o.user, setAll) {
		return fmt.Errorf("membership of user %d in organisation %d: %w", o.user, o.num, errMalformed)
	}
	one := []uint32{o.user}
	st.toggle(o.num, one, true)
	st.toggle(ownersOf(o.num), one, m.owner)
	for role := range idlist.All(st.rolesOf.Get(o.num)) {
		st.toggle(role, one, slices.Contains(m.roles, role))
	}
	st.join(o.user, m.since, m.standard)
	st.noteMembership(o, o.rec)
	return nil
}

func (st *state) deleteMembership(o *op) {
	if !st.contains(o.user, o.num) {
		return
	}
	one := []uint32{o.user}
	for role := range idlist.All(st.rolesOf.Get(o.num)) {
		st.toggle(role, one, false)
	}
	st.toggle(ownersOf(o.num), one, false)
	st.toggle(o.num, one, false)
	st.part(o.user, o.num)
	st.noteMembership(o, gone)
}

// noteMembership keeps the record of a membership for the next fold.
func (st *state) noteMembership(o *op, rec string) {
	st.fresh.memberships.set(st.own, o.num, o.user, rec)
	st.dirty.memberships[pageOf{o.num, o.user / recordPageSize}] = struct{}{}
}

func (st *state) createAdmins(o *op) error {
	c, known := st.groups.get(o.num)
	if !known {
		return fmt.Errorf("administrators of group %d, which there is not: %w", o.num, errMalformed)
	}
	st.create(st.own, o.user, slotListed)
	st.nextSet = max(st.nextSet, o.user+1)
	st.dirty.sets.Add(o.user)
	st.bindAdmins(o.num, o.user, adminGroup{group: o.num, dir: c.dir})
	st.dirty.admins.Add(o.num)
	return nil
}

func (st *state) dropAdmins(o *op) {
	st.dropSets(o.user)
	st.adminVersion++
	st.adminSet.Set(st.own, o.num, 0)
	st.adminOf.Set(st.own, o.user, adminGroup{})
	st.dirty.admins.Add(o.num)
}

// bindAdmins makes a set that of a group's administrators.
func (st *state) bindAdmins(group, set uint32, of adminGroup) {
	st.adminVersion++
	st.adminSet.Set(st.own, group, set)
	st.adminOf.Set(st.own, set, of)
}

// justGroups takes the sets that are not groups out of a list of listed sets,
// in place.
func (st *state) justGroups(sets []uint32) []uint32 {
	if st.adminOf.IsEmpty() {
		return sets
	}
	return slices.DeleteFunc(sets, func(s uint32) bool { return st.adminOf.Get(s).group != 0 })
}

// administeredDirectly returns the groups that a user administers itself.
func (st *state) administeredDirectly(u uint32) (groups []uint32) {
	for set := range idlist.All(st.setsOf(u)) {
		if g := st.adminOf.Get(set); g.group != 0 {
			groups = append(groups, g.group)
		}
	}
	return groups
}
