package roster

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/text"
)

// UserID is the handle of a user within one engine: opaque, never reused, and
// not a number to show; that is User.Number.
type UserID uint32

// GroupID is the handle of a group within one engine; see UserID.
type GroupID uint32

// DirectoryID is the number of a directory, chosen by whoever creates it.
type DirectoryID uint32

// Revision counts the changes of an engine: each Update that changes something
// makes one. 0 is the empty engine.
type Revision uint64

func (u UserID) String() string      { return "user " + strconv.FormatUint(uint64(u), 10) }
func (g GroupID) String() string     { return "group " + strconv.FormatUint(uint64(g), 10) }
func (d DirectoryID) String() string { return strconv.FormatUint(uint64(d), 10) }
func (r Revision) String() string    { return strconv.FormatUint(uint64(r), 10) }

// Directory is a named source of users and groups.
type Directory struct {
	ID      DirectoryID
	Name    string // unique among names, under identity folding
	Type    string // INTERNAL when left out
	Domain  string // as in name@domain and domain\name; the name when left out
	Created time.Time
	Updated time.Time

	// Revision is the one that changed this record last.
	Revision Revision
}

// User is a person or account of one directory.
type User struct {
	ID          UserID // given by the engine
	Directory   DirectoryID
	Username    string // unique in its directory, under identity folding
	Number      uint64 // the id in APIs that speak integers, unique; assigned when 0 in CreateUser
	UID         string // the id in APIs that speak strings, unique; usr_<Number> when left out
	FullName    string
	Email       string
	Description string
	Active      bool
	Attributes  map[string][]string
	Created     time.Time
	Updated     time.Time

	// Revision is the one that changed this record last. In PutUser, a value
	// other than 0 must be that, or the call is ErrConflict. Joining and
	// leaving groups does not change the record.
	Revision Revision
}

// Group is a set of users with a name.
type Group struct {
	ID          GroupID // given by the engine
	Directory   DirectoryID
	Name        string // unique in its directory, under identity folding
	Number      uint64 // see User.Number
	UID         string // see User.UID; grp_<Number> when left out
	Description string
	Enterprise  bool     // its members come from an identity source
	Abilities   []string // what it grants its effective members
	Created     time.Time
	Updated     time.Time

	// Revision is the one that changed this record last; see User.Revision.
	Revision Revision
}

// Limits of one record and of what is stored under one key.
const (
	maxText       = 63_000 // bytes of any one text
	maxRecord     = 64_000 // bytes: a page of them stays below store.MaxValueBytes
	maxAttributes = 1024
	maxChildren   = 200_000 // groups nested directly in one, for the same reason
)

// Default uids are made from the number, and need no room in memory.
const (
	userUIDPrefix  = "usr_"
	groupUIDPrefix = "grp_"
)

// A stored record is a version byte and fields: tag, length as uvarint, bytes.
// Fields that are empty, false or at their default are left out. Tags ascend;
// those of repeated fields repeat. A tag that this version does not know makes
// the record ErrNewerFormat rather than a record with something missing.
const recordVersion = 1

const (
	tagDirectory    = 1 + iota // uvarint; of a role, the number of the organisation
	tagNumber                  // uvarint
	tagName                    // text; of an organisation or a role, its ID
	tagFolded                  // text; only when the name is not ASCII
	tagUID                     // text; only when it is not the default
	tagFlags                   // uvarint of flag bits
	tagFullName                // text
	tagEmail                   // text
	tagDescription             // text
	tagAttribute               // key and values, each with its length; repeated, keys ascend
	tagAbility                 // text; repeated
	tagCreated                 // seconds as varint, nanoseconds as uvarint
	tagUpdated                 // likewise
	tagRevision                // uvarint
	tagType                    // text
	tagDomain                  // text
	tagSet                     // uvarint: the set of a directory's users
	tagOrganization            // text: the ID of what a role or membership belongs to
	tagPermission              // text; repeated
	tagRole                    // uvarint and text: number and ID; repeated
	tagAllowed                 // text: a network; repeated
	tagSpace                   // text: the space of data, whose key is the name
	tagValue                   // bytes: what is stored there
)

const (
	flagActive     = 1 << iota // of a user
	flagEnterprise             // of a group
	flagAbilities              // of a group: it has some
)

func appendField(b []byte, tag byte, v string) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendText(b []byte, tag byte, v string) []byte {
	if v == "" {
		return b
	}
	return appendField(b, tag, v)
}

func appendNumber(b []byte, tag byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	var buf [binary.MaxVarintLen64]byte
	return appendField(b, tag, string(binary.AppendUvarint(buf[:0], v)))
}

func appendTime(b []byte, tag byte, t time.Time) []byte {
	return appendField(b, tag, string(encodeTime(nil, t)))
}

func encodeTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

func decodeTime(s string) (time.Time, error) {
	sec, n := binary.Varint([]byte(s))
	if n <= 0 {
		return time.Time{}, errMalformed
	}
	nano, m := binary.Uvarint([]byte(s[n:]))
	if m <= 0 || n+m != len(s) || nano > 999_999_999 {
		return time.Time{}, errMalformed
	}
	return time.Unix(sec, int64(nano)).UTC(), nil
}

// field is one decoded field of a record.
type field struct {
	tag byte
	val string
}

func (f field) number() (uint64, error) {
	v, n := binary.Uvarint([]byte(f.val))
	if n <= 0 || n != len(f.val) {
		return 0, errMalformed
	}
	return v, nil
}

// errMalformed is the cause inside a *CorruptError for bytes that passed their
// checksum and still are no record: written by a program with a defect.
var errMalformed = fmt.Errorf("malformed record: %w", ErrCorrupt)

// fields calls fn for each field of a record.
func fields(rec string, fn func(field) error) error {
	if rec == "" {
		return errMalformed
	}
	if rec[0] != recordVersion {
		return fmt.Errorf("record version %d: %w", rec[0], ErrNewerFormat)
	}
	for rec = rec[1:]; rec != ""; {
		tag := rec[0]
		n, size := uvarint(rec[1:])
		if size <= 0 || n > uint64(len(rec)-1-size) {
			return errMalformed
		}
		end := 1 + size + int(n)
		if err := fn(field{tag, rec[1+size : end]}); err != nil {
			return err
		}
		rec = rec[end:]
	}
	return nil
}

// uvarint is binary.Uvarint for a string.
func uvarint(s string) (uint64, int) {
	var v uint64
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		v |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

func unknownField(f field) error {
	return fmt.Errorf("record field %d: %w", f.tag, ErrNewerFormat)
}

func encodeDirectory(d *Directory, set uint32) string {
	b := appendNumber([]byte{recordVersion}, tagDirectory, uint64(d.ID))
	b = appendText(b, tagName, d.Name)
	b = appendText(b, tagFolded, foldedUnlessASCII(d.Name))
	b = appendTime(b, tagCreated, d.Created)
	b = appendTime(b, tagUpdated, d.Updated)
	b = appendNumber(b, tagRevision, uint64(d.Revision))
	b = appendText(b, tagType, d.Type)
	b = appendText(b, tagDomain, d.Domain)
	return string(appendNumber(b, tagSet, uint64(set)))
}

func decodeDirectory(rec string) (d Directory, set uint32, err error) {
	err = fields(rec, func(f field) (err error) {
		var n uint64
		switch f.tag {
		case tagDirectory:
			n, err = f.number()
			d.ID = DirectoryID(n)
		case tagName:
			d.Name = f.val
		case tagFolded:
		case tagCreated:
			d.Created, err = decodeTime(f.val)
		case tagUpdated:
			d.Updated, err = decodeTime(f.val)
		case tagRevision:
			n, err = f.number()
			d.Revision = Revision(n)
		case tagType:
			d.Type = f.val
		case tagDomain:
			d.Domain = f.val
		case tagSet:
			n, err = f.number()
			set = uint32(n)
		default:
			err = unknownField(f)
		}
		return err
	})
	return d, set, err
}

// foldedUnlessASCII is the folded form of a name where it has to be stored: of
// an ASCII name it is the lower case, of any other it depends on Unicode's
// tables, and what a record says must not change with them.
func foldedUnlessASCII(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return text.Fold(name)
		}
	}
	return ""
}

func encodeUser(u *User) string {
	b := appendNumber([]byte{recordVersion}, tagDirectory, uint64(u.Directory))
	b = appendNumber(b, tagNumber, u.Number)
	b = appendText(b, tagName, u.Username)
	b = appendText(b, tagFolded, foldedUnlessASCII(u.Username))
	b = appendText(b, tagUID, uidUnlessDefault(userUIDPrefix, u.Number, u.UID))
	if u.Active {
		b = appendNumber(b, tagFlags, flagActive)
	}
	b = appendText(b, tagFullName, u.FullName)
	b = appendText(b, tagEmail, u.Email)
	b = appendText(b, tagDescription, u.Description)
	for _, key := range slices.Sorted(maps.Keys(u.Attributes)) {
		v := appendStrings(nil, append([]string{key}, u.Attributes[key]...))
		b = appendField(b, tagAttribute, string(v))
	}
	b = appendTime(b, tagCreated, u.Created)
	b = appendTime(b, tagUpdated, u.Updated)
	return string(appendNumber(b, tagRevision, uint64(u.Revision)))
}

func appendStrings(b []byte, list []string) []byte {
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func splitStrings(s string) (list []string, err error) {
	for s != "" {
		n, size := uvarint(s)
		if size <= 0 || n > uint64(len(s)-size) {
			return nil, errMalformed
		}
		list = append(list, s[size:size+int(n)])
		s = s[size+int(n):]
	}
	return list, nil
}

func uidUnlessDefault(prefix string, number uint64, uid string) string {
	if uid == defaultUID(prefix, number) {
		return ""
	}
	return uid
}

func decodeUser(id UserID, rec string) (User, error) {
	u := User{ID: id}
	err := fields(rec, func(f field) (err error) {
		var n uint64
		switch f.tag {
		case tagDirectory:
			n, err = f.number()
			u.Directory = DirectoryID(n)
		case tagNumber:
			u.Number, err = f.number()
		case tagName:
			u.Username = f.val
		case tagFolded:
		case tagUID:
			u.UID = f.val
		case tagFlags:
			n, err = f.number()
			u.Active = n&flagActive != 0
		case tagFullName:
			u.FullName = f.val
		case tagEmail:
			u.Email = f.val
		case tagDescription:
			u.Description = f.val
		case tagAttribute:
			err = u.decodeAttribute(f.val)
		case tagCreated:
			u.Created, err = decodeTime(f.val)
		case tagUpdated:
			u.Updated, err = decodeTime(f.val)
		case tagRevision:
			n, err = f.number()
			u.Revision = Revision(n)
		default:
			err = unknownField(f)
		}
		return err
	})
	if u.UID == "" {
		u.UID = defaultUID(userUIDPrefix, u.Number)
	}
	return u, err
}

func (u *User) decodeAttribute(val string) error {
	list, err := splitStrings(val)
	if err != nil || len(list) == 0 {
		return errMalformed
	}
	if u.Attributes == nil {
		u.Attributes = map[string][]string{}
	}
	u.Attributes[list[0]] = list[1:]
	return nil
}

func encodeGroup(g *Group) string {
	b := appendNumber([]byte{recordVersion}, tagDirectory, uint64(g.Directory))
	b = appendNumber(b, tagNumber, g.Number)
	b = appendText(b, tagName, g.Name)
	b = appendText(b, tagFolded, foldedUnlessASCII(g.Name))
	b = appendText(b, tagUID, uidUnlessDefault(groupUIDPrefix, g.Number, g.UID))
	flags := uint64(0)
	if g.Enterprise {
		flags |= flagEnterprise
	}
	if len(g.Abilities) > 0 {
		flags |= flagAbilities
	}
	b = appendNumber(b, tagFlags, flags)
	b = appendText(b, tagDescription, g.Description)
	for _, a := range g.Abilities {
		b = appendField(b, tagAbility, a)
	}
	b = appendTime(b, tagCreated, g.Created)
	b = appendTime(b, tagUpdated, g.Updated)
	return string(appendNumber(b, tagRevision, uint64(g.Revision)))
}

func decodeGroup(id GroupID, rec string) (Group, error) {
	g := Group{ID: id}
	err := fields(rec, func(f field) (err error) {
		var n uint64
		switch f.tag {
		case tagDirectory:
			n, err = f.number()
			g.Directory = DirectoryID(n)
		case tagNumber:
			g.Number, err = f.number()
		case tagName:
			g.Name = f.val
		case tagFolded:
		case tagUID:
			g.UID = f.val
		case tagFlags:
			n, err = f.number()
			g.Enterprise = n&flagEnterprise != 0
		case tagDescription:
			g.Description = f.val
		case tagAbility:
			g.Abilities = append(g.Abilities, f.val)
		case tagCreated:
			g.Created, err = decodeTime(f.val)
		case tagUpdated:
			g.Updated, err = decodeTime(f.val)
		case tagRevision:
			n, err = f.number()
			g.Revision = Revision(n)
		default:
			err = unknownField(f)
		}
		return err
	})
	if g.UID == "" {
		g.UID = defaultUID(groupUIDPrefix, g.Number)
	}
	return g, err
}

// cardOf reads from a user's or group's record what the index keeps in memory.
func cardOf(rec string) (c card, err error) {
	err = fields(rec, func(f field) (err error) {
		var n uint64
		switch f.tag {
		case tagDirectory:
			n, err = f.number()
			c.dir = uint32(n)
		case tagNumber:
			c.id, err = f.number()
		case tagName:
			c.name = f.val
		case tagFolded:
			c.folded = f.val
		case tagUID:
			c.uid = f.val
		case tagFlags:
			n, err = f.number()
			c.flags = uint8(n)
		}
		return err
	})
	return c, err
}
