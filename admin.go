package roster

import (
	"fmt"
	"slices"
)

// The administrators of a group are a set like any other: users stand in it, and
// groups are nested in it, whose effective members administer. So who may
// administer what is a membership check, and the groups that a user administers
// stand among the sets that hold the user.

// AddAdmins makes users administrators of a group and returns how many were not
// themselves. It returns ErrNotFound, having changed nothing, if the group or a
// user does not exist.
func (tx *Txn) AddAdmins(g GroupID, users ...UserID) (n int, err error) {
	return tx.editAdmins(opAddAdmins, g, users)
}

// RemoveAdmins is the reverse of AddAdmins. Who administers through a group goes
// on to.
func (tx *Txn) RemoveAdmins(g GroupID, users ...UserID) (n int, err error) {
	return tx.editAdmins(opRemoveAdmins, g, users)
}

func (tx *Txn) editAdmins(kind opKind, g GroupID, users []UserID) (int, error) {
	ids, err := tx.userNumbers(g, users)
	if err != nil {
		return 0, err
	}
	set, err := tx.adminsOf(g, kind == opAddAdmins && len(ids) > 0)
	if err != nil || set == 0 {
		return 0, err
	}
	before := tx.st.len(set)
	err = tx.do(op{kind: kind, num: uint32(g), ids: ids})
	return distance(before, tx.st.len(set)), err
}

// AddAdminGroups makes groups administrators of a group: their effective members
// administer it. It returns how many were not directly. A group may administer
// itself. It returns ErrNotFound, having changed nothing, if a group does not
// exist; an Update past Options.MaxNesting fails with ErrLimit.
func (tx *Txn) AddAdminGroups(g GroupID, admins ...GroupID) (n int, err error) {
	return tx.editAdminGroups(opAddAdminGroups, g, admins)
}

// RemoveAdminGroups is the reverse of AddAdminGroups.
func (tx *Txn) RemoveAdminGroups(g GroupID, admins ...GroupID) (n int, err error) {
	return tx.editAdminGroups(opRemoveAdminGroups, g, admins)
}

func (tx *Txn) editAdminGroups(kind opKind, g GroupID, admins []GroupID) (int, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	ids := make([]uint32, len(admins))
	for i, a := range append(admins[:len(admins):len(admins)], g) {
		if !tx.st.isGroup(a) {
			return 0, fmt.Errorf("%v: %w", a, ErrNotFound)
		}
		if i < len(ids) {
			ids[i] = uint32(a)
		}
	}
	before := len(tx.st.nest.at(tx.st.adminSet.Get(uint32(g))).children)
	if kind == opAddAdminGroups && before+len(ids) > maxChildren {
		return 0, fmt.Errorf("more than %d groups that administer group %q: %w", maxChildren, tx.GroupName(g), ErrLimit)
	}
	set, err := tx.adminsOf(g, kind == opAddAdminGroups && len(ids) > 0)
	if err != nil || set == 0 {
		return 0, err
	}
	err = tx.do(op{kind: kind, num: uint32(g), ids: ascending(ids)})
	return distance(before, len(tx.st.nest.at(set).children)), err
}

func distance(a, b int) int { return max(a-b, b-a) }

// adminsOf returns the set of a group's administrators, 0 if it has none and
// none is to be made.
func (tx *Txn) adminsOf(g GroupID, create bool) (uint32, error) {
	set := tx.st.adminSet.Get(uint32(g))
	if set != 0 || !create {
		return set, nil
	}
	set, err := tx.freeSets(1)
	if err != nil {
		return 0, err
	}
	return set, tx.do(op{kind: opCreateAdmins, num: uint32(g), user: set})
}

// dropAdmins deletes the set of a group's administrators, if it has one.
func (tx *Txn) dropAdmins(g uint32) error {
	set := tx.st.adminSet.Get(g)
	if set == 0 {
		return nil
	}
	members := tx.st.direct(set)
	for _, o := range []op{
		{kind: opRemoveAdminGroups, num: g, ids: slices.Clone(tx.st.nest.at(set).children)},
		{kind: opRemoveAdmins, num: g, ids: members.appendTo(nil)},
		{kind: opDropAdmins, num: g, user: set},
	} {
		if err := tx.do(o); err != nil {
			return err
		}
	}
	return nil
}

// Admins returns the administrators of a group, those through groups included,
// or ErrNotFound.
func (tx *Txn) Admins(g GroupID) (Set, error) {
	return tx.members(g, func(st *state) numbers { return st.admins(tx.e, uint32(g)) })
}

// admins returns the effective administrators of a group.
func (st *state) admins(e *Engine, g uint32) numbers {
	if set := st.adminSet.Get(g); set != 0 {
		return st.effective(&e.cache, set)
	}
	return numbers{}
}

// DirectAdmins returns the users that are administrators of a group themselves,
// or ErrNotFound.
func (tx *Txn) DirectAdmins(g GroupID) (Set, error) {
	return tx.members(g, func(st *state) numbers {
		if set := st.adminSet.Get(uint32(g)); set != 0 {
			return st.direct(set)
		}
		return numbers{}
	})
}

// AdminGroups returns the groups whose effective members administer a group, by
// name, or ErrNotFound.
func (tx *Txn) AdminGroups(g GroupID) ([]GroupID, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.st.isGroup(g) {
		return nil, fmt.Errorf("%v: %w", g, ErrNotFound)
	}
	set := tx.st.adminSet.Get(uint32(g))
	if set == 0 {
		return nil, nil
	}
	return tx.st.asGroups(tx.st.nest.at(set).children), nil
}

// CheckAdmin reports whether a user administers a group, itself or through a
// group. It is false when either does not exist.
func (tx *Txn) CheckAdmin(user UserID, group GroupID) bool {
	if tx.ready() != nil || !tx.st.isGroup(group) {
		return false
	}
	set := tx.st.adminSet.Get(uint32(group))
	return set != 0 && tx.st.check(uint32(user), set)
}

// Administered returns the groups that a user administers, itself or through
// groups, by name, or ErrNotFound.
func (tx *Txn) Administered(u UserID) ([]GroupID, error) {
	if err := tx.ready(); err != nil {
		return nil, err
	}
	if !tx.st.contains(uint32(u), setAll) {
		return nil, fmt.Errorf("%v: %w", u, ErrNotFound)
	}
	return tx.st.asGroups(tx.st.administered(uint32(u))), nil
}

// administered returns the groups that a user administers, in no order.
func (st *state) administered(u uint32) []uint32 {
	var out []uint32
	st.eachAdmin(u, func(g adminGroup) { out = append(out, g.group) })
	return ascending(out)
}

// AdministeredMembers returns the effective members of all groups that a user
// administers, or ErrNotFound.
func (tx *Txn) AdministeredMembers(u UserID) (Set, error) {
	return tx.delegated(u, (*state).administeredMembers)
}

func (st *state) administeredMembers(u uint32) numbers {
	return st.union(st.administered(u)...)
}

// Assignable returns the users that may be made members of the groups that a
// user administers: those of the directories that these groups belong to. It
// returns ErrNotFound if there is no such user. It looks at no other user: at first
// its cost is that of passing over the user's groups, and then next to nothing
// until the user's groups change.
func (tx *Txn) Assignable(u UserID) (Set, error) {
	return tx.delegated(u, tx.e.delegates.assignable)
}

func (tx *Txn) delegated(u UserID, of func(*state, uint32) numbers) (Set, error) {
	st, err := tx.snapshot()
	if err != nil {
		return Set{}, err
	}
	if !st.contains(uint32(u), setAll) {
		return Set{}, fmt.Errorf("%v: %w", u, ErrNotFound)
	}
	return Set{numbers: of(st, uint32(u)), st: st}, nil
}
