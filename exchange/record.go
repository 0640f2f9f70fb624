package exchange

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/roster"
)

// kind says what a record is; the names are those of JSON lines.
type kind byte

const (
	kindDirectory kind = iota + 1
	kindUser
	kindGroup
	kindOrganization
	kindRole
	kindOrgMembership
	kindAccount
	kindKey
	kinds = iota + 1
)

func (k kind) String() string {
	switch k {
	case kindDirectory:
		return "directory"
	case kindUser:
		return "user"
	case kindGroup:
		return "group"
	case kindOrganization:
		return "organization"
	case kindRole:
		return "role"
	case kindOrgMembership:
		return "orgMembership"
	case kindAccount:
		return "account"
	case kindKey:
		return "apiKey"
	}
	return "record"
}

// fields says which fields a record was given. One that it was not given keeps
// the value in the store.
type fields uint32

const (
	hasNumber fields = 1 << iota
	hasUID
	hasFullName
	hasEmail
	hasDescription
	hasFlag
	hasAbilities
	hasAttributes
	hasType
	hasDomain
	hasCreated
	hasUpdated
	hasName
	hasPermissions
	hasRoles
	hasNetworks
	hasOwner
	hasSecret // a password or a secret, hashed or not
	hasPrivileges
	hasEndpoints
	hasExpires

	// onlyNew: the record is there because something named it. One that exists
	// stays as it is.
	onlyNew
)

// header is what records of every kind have.
type header struct {
	kind    kind
	at      position
	has     fields
	created time.Time
	updated time.Time
}

// record is one directory, user or group of an input.
type record struct {
	header
	directory   roster.DirectoryID // a directory's own id; of a user or group, where it belongs
	name        string
	number      uint64
	uid         string
	fullName    string
	email       string
	description string
	flag        bool // a user's active, a group's enterprise
	dirType     string
	domain      string
	abilities   []string
	attributes  map[string][]string
	identity    string // of an LDIF entry: what its server calls it for ever; not stored

	size int    // its bytes in the spool; set by decode
	slot uint32 // its number in the plan; set by eachRecord
}

// ownUID returns the uid that the record brings, itself or by its number.
func (r *record) ownUID() (string, bool) {
	switch {
	case r.has&hasUID != 0:
		return r.uid, true
	case r.has&hasNumber == 0:
		return "", false
	case r.kind == kindUser:
		return "usr_" + strconv.FormatUint(r.number, 10), true
	}
	return "grp_" + strconv.FormatUint(r.number, 10), true
}

// encode appends the record's bytes for the spool: fixed order, every field.
func (r *record) encode(dst []byte) []byte {
	dst = r.header.encode(dst)
	for _, n := range []uint64{uint64(r.directory), r.number} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, s := range []string{r.name, r.uid, r.fullName, r.email, r.description, r.dirType, r.domain, r.identity} {
		dst = appendString(dst, s)
	}
	dst = appendStrings(appendBool(dst, r.flag), r.abilities)
	dst = binary.AppendUvarint(dst, uint64(len(r.attributes)))
	for _, name := range slices.Sorted(maps.Keys(r.attributes)) {
		dst = appendStrings(appendString(dst, name), r.attributes[name])
	}
	return dst
}

// encode appends the header; its first byte is the kind.
func (h *header) encode(dst []byte) []byte {
	dst = append(dst, byte(h.kind))
	dst = binary.AppendUvarint(dst, uint64(h.at))
	dst = binary.AppendUvarint(dst, uint64(h.has))
	for _, t := range []time.Time{h.created, h.updated} {
		dst = binary.AppendVarint(dst, t.Unix())
		dst = binary.AppendUvarint(dst, uint64(t.Nanosecond()))
	}
	return dst
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}

// errSpool: a temporary file holds something else than what was written to it.
var errSpool = errors.New("the temporary file of the import was changed by somebody else: run the import again")

// decode reads what encode wrote.
func (r *record) decode(src []byte) error {
	d := decoder{src: src}
	*r = record{header: d.header(), size: len(src)}
	r.directory, r.number = roster.DirectoryID(d.uvarint()), d.uvarint()
	for _, s := range []*string{&r.name, &r.uid, &r.fullName, &r.email, &r.description, &r.dirType, &r.domain, &r.identity} {
		*s = d.string()
	}
	r.flag = d.bool()
	r.abilities = d.strings()
	if n := d.uvarint(); n > 0 {
		r.attributes = make(map[string][]string, min(n, uint64(len(d.src))))
		for range n {
			name := d.string()
			r.attributes[name] = d.strings()
			if d.bad {
				break
			}
		}
	}
	return d.end()
}

// decoder takes values off the front of src; bad says that one was not there.
type decoder struct {
	src []byte
	bad bool
}

// end returns errSpool unless everything was there and nothing is left.
func (d *decoder) end() error {
	if d.bad || len(d.src) > 0 {
		return errSpool
	}
	return nil
}

func (d *decoder) header() header {
	h := header{kind: kind(d.byte())}
	h.at, h.has = position(d.uvarint()), fields(d.uvarint())
	for _, t := range []*time.Time{&h.created, &h.updated} {
		seconds := d.varint()
		*t = time.Unix(seconds, int64(d.uvarint())).UTC()
	}
	return h
}

func (d *decoder) bool() bool { return d.byte() == 1 }

func (d *decoder) byte() byte {
	if len(d.src) == 0 {
		d.bad = true
		return 0
	}
	b := d.src[0]
	d.src = d.src[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	return taken(d, v, n)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.src)
	return taken(d, v, n)
}

func taken[T int64 | uint64](d *decoder, v T, n int) T {
	if n <= 0 {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.src)) {
		d.bad, d.src = true, nil
		return ""
	}
	s := string(d.src[:n])
	d.src = d.src[n:]
	return s
}

func (d *decoder) strings() []string {
	n := d.uvarint()
	if n == 0 || n > uint64(len(d.src)) {
		d.bad = d.bad || n > 0
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.string()
	}
	return list
}
