package roster

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"github.com/rosterdb/roster/internal/idlist"
)

// op is one change of the state: what verbs make, what a record of the log
// holds, and what apply carries out. Everything that needs a clock, a choice or
// Unicode's tables has been decided when an op is made, so that carrying it out
// again after a crash gives the same state.
type op struct {
	kind opKind
	num  uint32   // the directory, user, group, organisation, role or data that changes
	user uint32   // of a membership, its user; of a group's administrators, their set
	rec  string   // put*: the new record; delete* of what has an ID: that, for those who read the log
	ids  []uint32 // users, or groups that are nested or administer, ascending

	old string // put*, delete*: the record before, "" for none; to take the op back, not logged
}

type opKind uint8

// The kinds of op. They are written in the log: never renumber.
const (
	opPutDirectory    opKind = 1
	opDeleteDirectory opKind = 2
	opPutUser         opKind = 3
	opDeleteUser      opKind = 4
	opPutGroup        opKind = 5
	opDeleteGroup     opKind = 6
	opAdd             opKind = 7
	opRemove          opKind = 8
	opNest            opKind = 9
	opUnnest          opKind = 10

	opPutOrganization    opKind = 11
	opDeleteOrganization opKind = 12
	opPutRole            opKind = 13
	opDeleteRole         opKind = 14
	opPutMembership      opKind = 15 // of an organisation
	opDeleteMembership   opKind = 16
	opCreateAdmins       opKind = 17 // the set that holds a group's administrators
	opDropAdmins         opKind = 18
	opAddAdmins          opKind = 19
	opRemoveAdmins       opKind = 20
	opAddAdminGroups     opKind = 21
	opRemoveAdminGroups  opKind = 22
	opPutData            opKind = 23
	opDeleteData         opKind = 24
)

// hasIDs reports whether an op of the kind is about a list of users or groups:
// without any it does nothing.
func (k opKind) hasIDs() bool {
	return k >= opAdd && k <= opUnnest || k >= opAddAdmins && k <= opRemoveAdminGroups
}

// hasUser reports whether an op of the kind has a second number.
func (k opKind) hasUser() bool { return k >= opPutMembership && k <= opDropAdmins }

// A record of the log is one Update: a version byte, the time, then the ops.
// Each op is its kind, the length of the rest as uvarint, its number as
// uvarint, for some kinds a second one, and a stored record or a list of
// numbers. The length lets a reader name an op that it does not know.
const logVersion = 1

// appendRecordHead begins a record.
func appendRecordHead(b []byte, t time.Time) []byte {
	return encodeTime(append(b, logVersion), t)
}

// appendOp adds one op to a record.
func appendOp(b []byte, o *op) []byte {
	b = append(b, byte(o.kind))
	body := len(o.rec)
	if o.ids != nil {
		prev := uint32(0)
		for _, id := range o.ids {
			body += idlist.UvarintLen(id - prev)
			prev = id
		}
	}
	if o.kind.hasUser() {
		body += idlist.UvarintLen(o.user)
	}
	b = binary.AppendUvarint(b, uint64(idlist.UvarintLen(o.num)+body))
	b = idlist.AppendUvarint(b, o.num)
	if o.kind.hasUser() {
		b = idlist.AppendUvarint(b, o.user)
	}
	b = append(b, o.rec...)
	return idlist.Append(b, o.ids)
}

// decodeRecord returns the time of a record and its ops, which alias data.
func decodeRecord(data []byte) (t time.Time, ops []op, err error) {
	if len(data) == 0 {
		return t, nil, errMalformed
	}
	if data[0] != logVersion {
		return t, nil, fmt.Errorf("log record version %d: %w", data[0], ErrNewerFormat)
	}
	s := unsafe.String(unsafe.SliceData(data), len(data))[1:]
	end := timeLen(s)
	if t, err = decodeTime(s[:end]); err != nil {
		return t, nil, err
	}
	for s = s[end:]; s != ""; {
		kind := opKind(s[0])
		n, size := uvarint(s[1:])
		if size <= 0 || n > uint64(len(s)-1-size) {
			return t, nil, errMalformed
		}
		body := s[1+size : 1+size+int(n)]
		s = s[1+size+int(n):]
		o, err := decodeOp(kind, body)
		if err != nil {
			return t, nil, err
		}
		ops = append(ops, o)
	}
	return t, ops, nil
}

// timeLen is the length of the two varints that s begins with.
func timeLen(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < 0x80 {
			if n++; n == 2 {
				return i + 1
			}
		}
	}
	return len(s)
}

func decodeOp(kind opKind, body string) (op, error) {
	num, size := uvarint(body)
	if size <= 0 || num > 1<<32-1 {
		return op{}, errMalformed
	}
	o := op{kind: kind, num: uint32(num)}
	body = body[size:]
	if kind.hasUser() {
		user, size := uvarint(body)
		if size <= 0 || user > 1<<32-1 {
			return op{}, errMalformed
		}
		o.user, body = uint32(user), body[size:]
	}
	switch kind {
	case opPutDirectory, opPutUser, opPutGroup, opPutOrganization, opDeleteOrganization,
		opPutRole, opDeleteRole, opPutMembership, opDeleteMembership, opPutData, opDeleteData:
		o.rec = body
	case opAdd, opRemove, opNest, opUnnest, opAddAdmins, opRemoveAdmins, opAddAdminGroups, opRemoveAdminGroups:
		n, err := idlist.Check(body)
		if err != nil {
			return op{}, errMalformed
		}
		o.ids = idlist.Decode(make([]uint32, 0, n), body)
	case opDeleteDirectory, opDeleteUser, opDeleteGroup, opCreateAdmins, opDropAdmins:
		if body != "" {
			return op{}, errMalformed
		}
	default:
		return op{}, fmt.Errorf("log operation %d: %w", kind, ErrNewerFormat)
	}
	return o, nil
}

// inverse returns the op that takes o back, given that o was carried out and
// had an effect on everything it names.
func (o *op) inverse() op {
	inv := op{num: o.num, user: o.user, rec: o.old, old: o.rec, ids: o.ids}
	switch o.kind {
	case opAdd:
		inv.kind = opRemove
	case opRemove:
		inv.kind = opAdd
	case opNest:
		inv.kind = opUnnest
	case opUnnest:
		inv.kind = opNest
	case opPutDirectory, opDeleteDirectory:
		inv.kind = putOrDelete(o.old, opPutDirectory, opDeleteDirectory)
	case opPutUser, opDeleteUser:
		inv.kind = putOrDelete(o.old, opPutUser, opDeleteUser)
	case opPutGroup, opDeleteGroup:
		inv.kind = putOrDelete(o.old, opPutGroup, opDeleteGroup)
	case opPutOrganization, opDeleteOrganization:
		inv.kind = putOrDelete(o.old, opPutOrganization, opDeleteOrganization)
	case opPutRole, opDeleteRole:
		inv.kind = putOrDelete(o.old, opPutRole, opDeleteRole)
	case opPutMembership, opDeleteMembership:
		inv.kind = putOrDelete(o.old, opPutMembership, opDeleteMembership)
	case opPutData, opDeleteData:
		inv.kind = putOrDelete(o.old, opPutData, opDeleteData)
	case opCreateAdmins:
		inv.kind = opDropAdmins
	case opDropAdmins:
		inv.kind = opCreateAdmins
	case opAddAdmins:
		inv.kind = opRemoveAdmins
	case opRemoveAdmins:
		inv.kind = opAddAdmins
	case opAddAdminGroups:
		inv.kind = opRemoveAdminGroups
	case opRemoveAdminGroups:
		inv.kind = opAddAdminGroups
	}
	return inv
}

func putOrDelete(old string, put, del opKind) opKind {
	if old == "" {
		return del
	}
	return put
}
