package roster

import (
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/rosterdb/roster/internal/idlist"
)

// What a fold writes: keys, and the values under them before the store puts its
// envelope of revision and checksum around each. Numbers in keys are big-endian,
// so that neighbours are neighbours on disk.
//
//	'a' group:u32            the set of the group's administrators; "" for none
//	'd' directory:u32        the directory's record; "" once deleted
//	'u' page:u32             records of 16 users, with their labels in the order of names
//	'g' page:u32             records of those of 16 sets that are groups, likewise
//	'k' page:u32             records of data, by numbers that no set has
//	'o' page:u32             records of organisations, by the number of the set of members
//	'r' page:u32             records of roles, by the number of the set of holders
//	'm' org:u32 page:u32     records of the memberships of 16 users, labels 0
//	's' set:u32              the head of a set: form, count, and a small set's members
//	's' set:u32 shard:u16    the members of a large set in one shard; "" for none
//	'n' set:u32              the sets nested directly in a set, as a list
//
// Nothing is deleted: what is gone is overwritten with an empty value, which
// cannot be mistaken for an older one that came back.
const (
	keyAdmins        = 'a'
	keyDirectories   = 'd'
	keyGroups        = 'g'
	keyData          = 'k'
	keyMemberships   = 'm'
	keyNests         = 'n'
	keyOrganizations = 'o'
	keyRoles         = 'r'
	keySets          = 's'
	keyUsers         = 'u'
)

// The forms of a set's head.
const (
	formDead  = 0 // no such set any more
	formList  = 1 // members follow as a list
	formLarge = 2 // members stand under the keys of the shards
)

// recordPageSize is how many records share a value: what an Open spends on a
// key of Badger it then spends once for 16 users.
const recordPageSize = 16

func pageKey(kind byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, n)
}

func (k shardKey) key() []byte {
	return binary.BigEndian.AppendUint16(pageKey(keySets, k.set), uint16(k.hi))
}

func (p pageOf) key() []byte {
	return binary.BigEndian.AppendUint32(pageKey(keyMemberships, p.org), p.page)
}

// stateKey is a key in its parts.
type stateKey struct {
	kind  byte
	n     uint32
	m     uint32 // of a shard, its number; of memberships, the page
	shard bool
}

// parseKey splits a key. A kind that this version does not know is
// ErrNewerFormat.
func parseKey(key []byte) (k stateKey, err error) {
	malformed := fmt.Errorf("key %x: %w", key, errMalformed)
	if len(key) < 5 {
		return k, malformed
	}
	k.kind, k.n = key[0], binary.BigEndian.Uint32(key[1:])
	rest := key[5:]
	switch k.kind {
	case keyAdmins, keyData, keyDirectories, keyGroups, keyNests, keyOrganizations, keyRoles, keyUsers:
		if len(rest) != 0 {
			return k, malformed
		}
	case keyMemberships:
		if len(rest) != 4 {
			return k, malformed
		}
		k.m = binary.BigEndian.Uint32(rest)
	case keySets:
		switch len(rest) {
		case 0:
		case 2:
			k.m, k.shard = uint32(binary.BigEndian.Uint16(rest)), true
		default:
			return k, malformed
		}
	default:
		return k, fmt.Errorf("key %x: %w", key, ErrNewerFormat)
	}
	return k, nil
}

// appendRecord adds record k of a page: its place in the page, its label in the
// order of names, the record with its length. Records ascend.
func appendRecord(b []byte, k, label uint32, rec string) []byte {
	b = append(b, byte(k))
	b = binary.LittleEndian.AppendUint32(b, label)
	b = binary.AppendUvarint(b, uint64(len(rec)))
	return append(b, rec...)
}

// eachRecord calls fn for the records of a page.
func eachRecord(page string, fn func(k, label uint32, rec string) error) error {
	for page != "" {
		if len(page) < 5 {
			return errMalformed
		}
		k := uint32(page[0])
		label := uint32(page[1]) | uint32(page[2])<<8 | uint32(page[3])<<16 | uint32(page[4])<<24
		page = page[5:]
		n, size := uvarint(page)
		if k >= recordPageSize || size <= 0 || n > uint64(len(page)-size) {
			return errMalformed
		}
		if err := fn(k, label, page[size:size+int(n)]); err != nil {
			return err
		}
		page = page[size+int(n):]
	}
	return nil
}

// encodeHead returns the value of a set's head.
func encodeHead(s *slot) []byte {
	switch {
	case s == nil || s.flags&slotLive == 0:
		return []byte{formDead}
	case s.flags&slotLarge != 0:
		return binary.AppendUvarint([]byte{formLarge}, uint64(s.n))
	}
	b := binary.AppendUvarint([]byte{formList}, uint64(s.n))
	return append(b, s.list...)
}

// decodeHead returns a slot without its shards.
func decodeHead(value string) (s slot, err error) {
	if value == "" {
		return s, errMalformed
	}
	if value[0] == formDead && len(value) == 1 {
		return s, nil
	}
	n, size := uvarint(value[1:])
	if size <= 0 || n > 1<<32-1 {
		return s, errMalformed
	}
	rest := value[1+size:]
	s.n, s.flags = uint32(n), slotLive
	switch value[0] {
	case formList:
		if have, err := idlist.Check(rest); err != nil || have != int(n) {
			return s, errMalformed
		}
		s.list = rest
	case formLarge:
		if rest != "" {
			return s, errMalformed
		}
		s.flags |= slotLarge
	default:
		return s, fmt.Errorf("form %d of a set: %w", value[0], ErrNewerFormat)
	}
	return s, nil
}

// encodeShard returns the value of one shard: roaring's portable format, values
// below 2^16.
func encodeShard(b *roaring.Bitmap) ([]byte, error) {
	if b == nil || b.IsEmpty() {
		return nil, nil
	}
	return b.ToBytes()
}

// decodeShard returns nil for an empty shard. It validates: a bitmap of wrong
// bytes does not fail, it corrupts memory.
func decodeShard(value []byte) (*roaring.Bitmap, error) {
	if len(value) == 0 {
		return nil, nil
	}
	b := roaring.New()
	if err := b.UnmarshalBinary(value); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if err := b.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if b.IsEmpty() || b.Maximum() > 0xffff {
		return nil, errMalformed
	}
	return b, nil
}

// encodeMeta returns what is stored beside the revision of a fold.
func (st *state) encodeMeta() []byte {
	b := encodeTime([]byte{recordVersion}, st.time)
	for _, v := range []uint64{uint64(st.nextUser), uint64(st.nextSet), st.maxUser, st.maxGroup} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (st *state) decodeMeta(meta []byte) (err error) {
	s := string(meta)
	if s == "" {
		return nil // a store that has never been folded
	}
	if s[0] != recordVersion {
		return fmt.Errorf("meta version %d: %w", s[0], ErrNewerFormat)
	}
	s = s[1:]
	end := timeLen(s)
	if st.time, err = decodeTime(s[:end]); err != nil {
		return err
	}
	s = s[end:]
	var v [4]uint64
	for i := range v {
		n, size := uvarint(s)
		if size <= 0 {
			return errMalformed
		}
		v[i], s = n, s[size:]
	}
	if s != "" || v[0] > 1<<32-1 || v[1] > 1<<32-1 {
		return errMalformed
	}
	st.counters = counters{uint32(v[0]), uint32(v[1]), v[2], v[3]}
	return nil
}
