package roster

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/text"
)

func fold(name string) string { return text.Fold(name) }

// writable reports whether the transaction may change anything.
func (tx *Txn) writable() error {
	switch {
	case tx.done:
		return ErrTxnDone
	case !tx.write:
		return ErrReadOnlyTxn
	}
	return tx.err
}

// do carries out an op and keeps it for the record and for undoing.
func (tx *Txn) do(o op) error {
	if err := tx.st.apply(&o); err != nil {
		tx.err = err
		return err
	}
	if o.kind.hasIDs() && len(o.ids) == 0 {
		return nil
	}
	tx.ops = append(tx.ops, o)
	tx.taken = nil
	return nil
}

// Require makes the Update fail with ErrConflict unless rev is the newest
// revision before it: the caller decides on what it read then.
func (tx *Txn) Require(rev Revision) error {
	if err := tx.writable(); err != nil {
		return err
	}
	if tx.st.rev != rev {
		return fmt.Errorf("revision is %d, not %d: %w", tx.st.rev, rev, ErrConflict)
	}
	return nil
}

// PutDirectory creates a directory, or changes the one of that ID, and reports
// whether anything changed. Names are unique, under identity folding: ErrExists.
func (tx *Txn) PutDirectory(d Directory) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	d.Name, d.Domain = text.Normal(d.Name), text.Normal(d.Domain)
	d.Type = orDefault(d.Type, "INTERNAL")
	d.Domain = orDefault(d.Domain, d.Name)
	if err := firstInvalid("directory", d.Name, labelled{"type", d.Type}, labelled{"domain", d.Domain}); err != nil {
		return false, err
	}
	if other, err := tx.DirectoryByName(d.Name); err == nil && other.ID != d.ID {
		return false, fmt.Errorf("directory %q: %w", d.Name, ErrExists)
	}
	o := op{kind: opPutDirectory, num: uint32(d.ID)}
	set := tx.st.nextSet
	if old := tx.st.dir(d.ID); old != nil {
		set = old.set
		o.old = encodeDirectory(&old.Directory, set)
		if err := checkRevision(d.Revision, old.Revision); err != nil {
			return false, fmt.Errorf("directory %q: %w", d.Name, err)
		}
		d.Created = timeOr(d.Created, old.Created)
		d.Revision = old.Revision
		same := d
		same.Updated = timeOr(d.Updated, old.Updated)
		if encodeDirectory(&same, set) == o.old {
			return false, nil
		}
		if d.Updated.Equal(old.Updated) {
			d.Updated = tx.now()
		}
	}
	d.Created, d.Updated = timeOr(d.Created, tx.now()), timeOr(d.Updated, tx.now())
	d.Revision = tx.st.rev + 1
	o.rec = encodeDirectory(&d, set)
	return true, tx.do(o)
}

// DeleteDirectory deletes a directory. It returns ErrNotFound, and ErrNotEmpty
// while users or groups belong to it.
func (tx *Txn) DeleteDirectory(id DirectoryID) error {
	if err := tx.writable(); err != nil {
		return err
	}
	d := tx.st.dir(id)
	if d == nil {
		return fmt.Errorf("directory %d: %w", id, ErrNotFound)
	}
	if tx.st.len(d.set) > 0 {
		return fmt.Errorf("directory %q has users: %w", d.Name, ErrNotEmpty)
	}
	for n, s := range tx.st.sets.All() {
		if s.flags&slotGroup == 0 {
			continue
		}
		if c, _ := tx.st.groups.get(n); DirectoryID(c.dir) == id {
			return fmt.Errorf("directory %q has groups: %w", d.Name, ErrNotEmpty)
		}
	}
	return tx.do(op{kind: opDeleteDirectory, num: uint32(id), old: encodeDirectory(&d.Directory, d.set)})
}

// CreateUser creates a user and returns its handle. The directory must exist
// (ErrNotFound); username, number and uid must be free (ErrExists). Number,
// UID, Created and Updated are assigned where they are zero.
func (tx *Txn) CreateUser(u User) (UserID, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	if tx.st.nextUser == math.MaxUint32 {
		return 0, fmt.Errorf("user numbers are used up: %w", ErrLimit)
	}
	u.ID = UserID(tx.st.nextUser)
	if u.Number == 0 {
		u.Number = freeNumber(&tx.st.users.roll, uint32(u.ID), tx.st.maxUser)
	}
	u.Created, u.Updated = timeOr(u.Created, tx.now()), timeOr(u.Updated, tx.now())
	u.Revision = tx.st.rev + 1
	if err := tx.checkUser(&u); err != nil {
		return 0, err
	}
	return u.ID, tx.do(op{kind: opPutUser, num: uint32(u.ID), rec: encodeUser(&u)})
}

// PutUser changes the user u.ID to what u says, every field of it, and reports
// whether that changed anything. A new Username renames the user; its groups do
// not change. The directory cannot change (ErrInvalid). PutUser returns
// ErrNotFound if there is no such user, ErrExists if a name, number or uid is
// taken, and ErrConflict if u.Revision is neither 0 nor that of the record.
// Zero Number, UID and Created keep what is there; Updated becomes now unless u
// says another time than before.
func (tx *Txn) PutUser(u User) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	old, err := tx.User(u.ID)
	if err != nil {
		return false, err
	}
	if err := checkRevision(u.Revision, old.Revision); err != nil {
		return false, fmt.Errorf("user %q: %w", old.Username, err)
	}
	if u.Directory != old.Directory {
		return false, fmt.Errorf("user %q: directory cannot change: %w", old.Username, ErrInvalid)
	}
	u.Number, u.UID = keepIDs(u.Number, old.Number, u.UID, old.UID, userUIDPrefix)
	u.Created = timeOr(u.Created, old.Created)
	if err := tx.checkUser(&u); err != nil {
		return false, err
	}
	o := op{kind: opPutUser, num: uint32(u.ID), old: encodeUser(&old)}
	same := u
	same.Revision, same.Updated = old.Revision, timeOr(u.Updated, old.Updated)
	if encodeUser(&same) == o.old {
		return false, nil
	}
	if u.Updated.IsZero() || u.Updated.Equal(old.Updated) {
		u.Updated = tx.now()
	}
	u.Revision = tx.st.rev + 1
	o.rec = encodeUser(&u)
	return true, tx.do(o)
}

// checkUser normalises a user's texts and returns ErrInvalid, ErrNotFound or
// ErrExists if it cannot be stored like this.
func (tx *Txn) checkUser(u *User) error {
	u.Username = text.Normal(u.Username)
	err := firstInvalid("user", u.Username, labelled{"uid", u.UID}, labelled{"full name", u.FullName},
		labelled{"email", u.Email}, labelled{"description", u.Description})
	if err != nil {
		return err
	}
	if len(u.Attributes) > maxAttributes {
		return fmt.Errorf("user %q: more than %d attributes: %w", u.Username, maxAttributes, ErrInvalid)
	}
	for key, values := range u.Attributes {
		for _, v := range append([]string{key}, values...) {
			if err := invalidText(v); err != nil {
				return fmt.Errorf("user %q: attribute %q: %w", u.Username, key, err)
			}
		}
	}
	if tx.st.dir(u.Directory) == nil {
		return fmt.Errorf("user %q: directory %d: %w", u.Username, u.Directory, ErrNotFound)
	}
	if len(encodeUser(u)) > maxRecord {
		return fmt.Errorf("user %q: record of more than %d bytes: %w", u.Username, maxRecord, ErrInvalid)
	}
	if err := taken(&tx.st.users.roll, uint32(u.ID), u.Directory, u.Username, u.Number, u.UID); err != nil {
		return fmt.Errorf("user %w", err)
	}
	return nil
}

// DeleteUser deletes a user, who leaves every group and organisation with that
// and administers nothing any more. It returns ErrNotFound, and ErrLastOwner
// for the last owner of an organisation. The handle is never given to another.
func (tx *Txn) DeleteUser(id UserID) error {
	if err := tx.writable(); err != nil {
		return err
	}
	old, err := tx.User(id)
	if err != nil {
		return err
	}
	if err := tx.leaveAll(uint32(id)); err != nil {
		return err
	}
	groups, err := tx.DirectGroups(id)
	if err != nil {
		return err
	}
	var leave []op
	for _, g := range groups {
		leave = append(leave, op{kind: opRemove, num: uint32(g), ids: []uint32{uint32(id)}})
	}
	for _, g := range tx.st.asGroups(tx.st.administeredDirectly(uint32(id))) {
		leave = append(leave, op{kind: opRemoveAdmins, num: uint32(g), ids: []uint32{uint32(id)}})
	}
	for _, o := range leave {
		if err := tx.do(o); err != nil {
			return err
		}
	}
	return tx.do(op{kind: opDeleteUser, num: uint32(id), old: encodeUser(&old)})
}

// CreateGroup creates a group without members and returns its handle; see
// CreateUser.
func (tx *Txn) CreateGroup(g Group) (GroupID, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	if tx.st.nextSet == math.MaxUint32 {
		return 0, fmt.Errorf("group numbers are used up: %w", ErrLimit)
	}
	g.ID = GroupID(tx.st.nextSet)
	if g.Number == 0 {
		g.Number = freeNumber(&tx.st.groups.roll, uint32(g.ID), tx.st.maxGroup)
	}
	g.Created, g.Updated = timeOr(g.Created, tx.now()), timeOr(g.Updated, tx.now())
	g.Revision = tx.st.rev + 1
	if err := tx.checkGroup(&g); err != nil {
		return 0, err
	}
	return g.ID, tx.do(op{kind: opPutGroup, num: uint32(g.ID), rec: encodeGroup(&g)})
}

// PutGroup changes the record of the group g.ID; see PutUser. Its members do
// not change.
func (tx *Txn) PutGroup(g Group) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	old, err := tx.Group(g.ID)
	if err != nil {
		return false, err
	}
	if err := checkRevision(g.Revision, old.Revision); err != nil {
		return false, fmt.Errorf("group %q: %w", old.Name, err)
	}
	if g.Directory != old.Directory {
		return false, fmt.Errorf("group %q: directory cannot change: %w", old.Name, ErrInvalid)
	}
	g.Number, g.UID = keepIDs(g.Number, old.Number, g.UID, old.UID, groupUIDPrefix)
	g.Created = timeOr(g.Created, old.Created)
	if err := tx.checkGroup(&g); err != nil {
		return false, err
	}
	o := op{kind: opPutGroup, num: uint32(g.ID), old: encodeGroup(&old)}
	same := g
	same.Revision, same.Updated = old.Revision, timeOr(g.Updated, old.Updated)
	if encodeGroup(&same) == o.old {
		return false, nil
	}
	if g.Updated.IsZero() || g.Updated.Equal(old.Updated) {
		g.Updated = tx.now()
	}
	g.Revision = tx.st.rev + 1
	o.rec = encodeGroup(&g)
	return true, tx.do(o)
}

func (tx *Txn) checkGroup(g *Group) error {
	g.Name = text.Normal(g.Name)
	if err := firstInvalid("group", g.Name, labelled{"uid", g.UID}, labelled{"description", g.Description}); err != nil {
		return err
	}
	for _, a := range g.Abilities {
		if a == "" {
			return fmt.Errorf("group %q: empty ability: %w", g.Name, ErrInvalid)
		}
		if err := invalidText(a); err != nil {
			return fmt.Errorf("group %q: ability: %w", g.Name, err)
		}
	}
	if tx.st.dir(g.Directory) == nil {
		return fmt.Errorf("group %q: directory %d: %w", g.Name, g.Directory, ErrNotFound)
	}
	if len(encodeGroup(g)) > maxRecord {
		return fmt.Errorf("group %q: record of more than %d bytes: %w", g.Name, maxRecord, ErrInvalid)
	}
	if err := taken(&tx.st.groups.roll, uint32(g.ID), g.Directory, g.Name, g.Number, g.UID); err != nil {
		return fmt.Errorf("group %w", err)
	}
	return nil
}

// DeleteGroup deletes a group with its memberships and administrators, takes it
// out of the groups that it is nested in and the groups nested in it out of it,
// and it administers nothing any more. It returns ErrNotFound. Its handle is
// never given to another.
func (tx *Txn) DeleteGroup(id GroupID) error {
	if err := tx.writable(); err != nil {
		return err
	}
	old, err := tx.Group(id)
	if err != nil {
		return err
	}
	set := uint32(id)
	n := tx.st.nest.at(set)
	for _, parent := range n.parents {
		o := op{kind: opUnnest, num: parent, ids: []uint32{set}}
		if g := tx.st.adminOf.Get(parent); g.group != 0 {
			o.kind, o.num = opRemoveAdminGroups, g.group
		}
		if err := tx.do(o); err != nil {
			return err
		}
	}
	if err := tx.dropAdmins(set); err != nil {
		return err
	}
	if err := tx.do(op{kind: opUnnest, num: set, ids: slices.Clone(tx.st.nest.at(set).children)}); err != nil {
		return err
	}
	members := tx.st.direct(set)
	if err := tx.do(op{kind: opRemove, num: set, ids: members.appendTo(nil)}); err != nil {
		return err
	}
	return tx.do(op{kind: opDeleteGroup, num: set, old: encodeGroup(&old)})
}

// Add makes users direct members of a group and returns how many were not. It
// returns ErrNotFound, having changed nothing, if the group or a user does not
// exist. Naming a user twice counts once.
func (tx *Txn) Add(g GroupID, users ...UserID) (n int, err error) {
	ids, err := tx.userNumbers(g, users)
	if err != nil {
		return 0, err
	}
	before := tx.st.len(uint32(g))
	err = tx.do(op{kind: opAdd, num: uint32(g), ids: ids})
	return tx.st.len(uint32(g)) - before, err
}

// Remove ends the direct membership of users in a group and returns how many
// had one; see Add.
func (tx *Txn) Remove(g GroupID, users ...UserID) (n int, err error) {
	ids, err := tx.userNumbers(g, users)
	if err != nil {
		return 0, err
	}
	before := tx.st.len(uint32(g))
	err = tx.do(op{kind: opRemove, num: uint32(g), ids: ids})
	return before - tx.st.len(uint32(g)), err
}

// userNumbers returns existing users' numbers, ascending, for a change of an
// existing group.
func (tx *Txn) userNumbers(g GroupID, users []UserID) ([]uint32, error) {
	if err := tx.writable(); err != nil {
		return nil, err
	}
	if !tx.st.isGroup(g) {
		return nil, fmt.Errorf("%v: %w", g, ErrNotFound)
	}
	ids := make([]uint32, len(users))
	for i, u := range users {
		if !tx.st.contains(uint32(u), setAll) {
			return nil, fmt.Errorf("%v: %w", u, ErrNotFound)
		}
		ids[i] = uint32(u)
	}
	return ascending(ids), nil
}

func ascending(ids []uint32) []uint32 {
	if !slices.IsSorted(ids) {
		slices.Sort(ids)
	}
	return slices.Compact(ids)
}

// Nest makes groups members of a group: their members become effective members
// of it. It returns how many were not nested directly before. Groups of
// different directories may be nested in each other, and in a cycle; a group in
// itself is ErrInvalid. It returns ErrNotFound, having changed nothing, if a
// group does not exist. An Update whose nesting passes Options.MaxNesting fails
// with ErrLimit.
func (tx *Txn) Nest(parent GroupID, children ...GroupID) (n int, err error) {
	return tx.relink(opNest, parent, children)
}

// Unnest is the reverse of Nest and returns how many were nested directly.
func (tx *Txn) Unnest(parent GroupID, children ...GroupID) (n int, err error) {
	return tx.relink(opUnnest, parent, children)
}

func (tx *Txn) relink(kind opKind, parent GroupID, children []GroupID) (int, error) {
	if err := tx.writable(); err != nil {
		return 0, err
	}
	ids := make([]uint32, len(children))
	for i, c := range append([]GroupID{parent}, children...) {
		if !tx.st.isGroup(c) {
			return 0, fmt.Errorf("%v: %w", c, ErrNotFound)
		}
		if i > 0 && c == parent {
			return 0, fmt.Errorf("group %q nested in itself: %w", tx.GroupName(c), ErrInvalid)
		}
		if i > 0 {
			ids[i-1] = uint32(c)
		}
	}
	before := len(tx.st.nest.at(uint32(parent)).children)
	if kind == opNest && before+len(ids) > maxChildren {
		return 0, fmt.Errorf("more than %d groups in group %q: %w", maxChildren, tx.GroupName(parent), ErrLimit)
	}
	err := tx.do(op{kind: kind, num: uint32(parent), ids: ascending(ids)})
	after := len(tx.st.nest.at(uint32(parent)).children)
	return max(after-before, before-after), err
}

func checkRevision(asked, is Revision) error {
	if asked != 0 && asked != is {
		return fmt.Errorf("record is of revision %d, not %d: %w", is, asked, ErrConflict)
	}
	return nil
}

// keepIDs returns the number and uid of a changed record: zero values keep what
// was there, and a default uid follows its number.
func keepIDs(number, oldNumber uint64, uid, oldUID, prefix string) (uint64, string) {
	if number == 0 {
		number = oldNumber
	}
	if uid == "" {
		uid = uidUnlessDefault(prefix, oldNumber, oldUID)
	}
	return number, uid
}

// freeNumber returns the number to give to thing n: its own plus one, which
// needs no room in memory, unless somebody has that or the default uid of it.
func freeNumber(r *roll, n uint32, highest uint64) uint64 {
	free := func(id uint64) bool {
		_, number := r.byID(id)
		_, uid := r.byUID(defaultUID(r.prefix, id))
		return !number && !uid && id != 0 // 0 asks for a number
	}
	id := uint64(n) + 1
	if !free(id) && highest < math.MaxUint64 {
		id = highest + 1
	}
	for !free(id) {
		id++
	}
	return id
}

func defaultUID(prefix string, number uint64) string {
	return prefix + strconv.FormatUint(number, 10)
}

// taken returns ErrExists if somebody other than n has the name, number or uid.
func taken(r *roll, n uint32, d DirectoryID, name string, number uint64, uid string) error {
	if other, ok := r.find(uint32(d), fold(name)); ok && other != n {
		return fmt.Errorf("%q: %w", name, ErrExists)
	}
	if other, ok := r.byID(number); ok && other != n {
		return fmt.Errorf("%q: number %d is that of %q: %w", name, number, r.name(other), ErrExists)
	}
	if uid == "" {
		uid = defaultUID(r.prefix, number)
	}
	if other, ok := r.byUID(uid); ok && other != n {
		return fmt.Errorf("%q: uid %q is that of %q: %w", name, uid, r.name(other), ErrExists)
	}
	return nil
}

// firstInvalid returns ErrInvalid for a name that ValidName refuses or texts
// that cannot be stored.
func firstInvalid(what, name string, texts ...labelled) error {
	if err := text.ValidName(name); err != nil {
		return fmt.Errorf("name of %s %q %w: %w", what, clip(name), err, ErrInvalid)
	}
	for _, t := range texts {
		if err := invalidText(t.text); err != nil {
			return fmt.Errorf("%s %q: %s: %w", what, name, t.label, err)
		}
	}
	return nil
}

// labelled is a text with what an error calls it.
type labelled struct{ label, text string }

func invalidText(s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("longer than %d bytes: %w", maxText, ErrInvalid)
	case !utf8.ValidString(s):
		return fmt.Errorf("not valid UTF-8: %w", ErrInvalid)
	}
	return nil
}

// clip shortens a text from outside for an error message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// timeOr returns t, or def if t is the zero time, of whatever time zone.
func timeOr(t, def time.Time) time.Time {
	if t.IsZero() {
		return def
	}
	return t
}
