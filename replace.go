package roster

import (
	"fmt"
	"slices"

	"github.com/rosterdb/roster/internal/idlist"
)

// ReplaceGroups makes groups the direct groups of users, in place of all that
// they are direct members of, and returns the memberships that were added and
// those that were dropped, by user. It returns ErrNotFound, having changed
// nothing, if a user or a group does not exist.
func (tx *Txn) ReplaceGroups(users []UserID, groups []GroupID) (added, dropped []Membership, err error) {
	if err := tx.writable(); err != nil {
		return nil, nil, err
	}
	want := make([]uint32, len(groups))
	for i, g := range groups {
		if !tx.st.isGroup(g) {
			return nil, nil, fmt.Errorf("%v: %w", g, ErrNotFound)
		}
		want[i] = uint32(g)
	}
	for _, u := range users {
		if !tx.st.contains(uint32(u), setAll) {
			return nil, nil, fmt.Errorf("%v: %w", u, ErrNotFound)
		}
	}
	want = ascending(want)
	users = slices.Clone(users)
	slices.Sort(users)
	for _, u := range slices.Compact(users) {
		is := tx.st.justGroups(idlist.Decode(nil, tx.st.setsOf(uint32(u))))
		for _, g := range minus(want, is) {
			added = append(added, Membership{u, GroupID(g)})
		}
		for _, g := range minus(is, want) {
			dropped = append(dropped, Membership{u, GroupID(g)})
		}
	}
	if err := tx.byGroup(opRemove, dropped); err != nil {
		return nil, nil, err
	}
	return added, dropped, tx.byGroup(opAdd, added)
}

// DropGroups takes users out of all groups that they are direct members of, and
// returns the memberships that were dropped; see ReplaceGroups.
func (tx *Txn) DropGroups(users ...UserID) (dropped []Membership, err error) {
	_, dropped, err = tx.ReplaceGroups(users, nil)
	return dropped, err
}

// ReplaceMembers makes users the direct members of a group, in place of those it
// has, and returns the memberships that were added and those that were dropped,
// by user. Groups nested in it stay. It returns ErrNotFound, having changed
// nothing, if the group or a user does not exist.
func (tx *Txn) ReplaceMembers(g GroupID, users []UserID) (added, dropped []Membership, err error) {
	want, err := tx.userNumbers(g, users)
	if err != nil {
		return nil, nil, err
	}
	members := tx.st.direct(uint32(g))
	is := members.appendTo(nil)
	join, leave := minus(want, is), minus(is, want)
	for _, u := range join {
		added = append(added, Membership{UserID(u), g})
	}
	for _, u := range leave {
		dropped = append(dropped, Membership{UserID(u), g})
	}
	if err := tx.do(op{kind: opRemove, num: uint32(g), ids: slices.Clone(leave)}); err != nil {
		return nil, nil, err
	}
	return added, dropped, tx.do(op{kind: opAdd, num: uint32(g), ids: slices.Clone(join)})
}

// byGroup does one op of a kind for each group of some memberships, which ascend
// by user.
func (tx *Txn) byGroup(kind opKind, all []Membership) error {
	users := map[uint32][]uint32{}
	var groups []uint32
	for _, m := range all {
		g := uint32(m.Group)
		if users[g] == nil {
			groups = append(groups, g)
		}
		users[g] = append(users[g], uint32(m.User))
	}
	slices.Sort(groups)
	for _, g := range groups {
		if err := tx.do(op{kind: kind, num: g, ids: users[g]}); err != nil {
			return err
		}
	}
	return nil
}
