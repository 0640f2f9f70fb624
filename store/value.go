package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// This file codes what is stored under a key of the state, and the two small values that describe the
// whole: the meta value inside Badger and the file STORE. All integers are little-endian; crc is CRC-32C.
//
// # A value
//
// Every value is an envelope:
//
//	payload | revision u64 | crc u32 of (key, payload, revision)
//
// The revision is that of the fold that wrote the value. The crc binds the three together, so that a value
// that turns up under another key, or with a bit changed anywhere, is not taken for data.
// The payload "hi" (68 69) under the key 01 07, written by the fold to revision 5:
//
//	68 69  05 00 00 00 00 00 00 00  ca 7c 9b 8a
//
// Badger holds it at the timestamp 6. Timestamps are revisions plus one, because Badger has no timestamp 0
// and an empty store is at revision 0.
//
// # The meta value
//
// Under the key f0 'm', written by the last transaction of each fold, in an envelope like every other:
//
//	version u8 = 1 | count u64 | digest u64 | the caller's bytes, to the end
//
// Count is the number of live keys other than this one. The digest is the sum modulo 2^64 of
// xxhash64(key, envelope), seeded with the length of the key, over the same keys: it finds what no crc can,
// a value that is missing, or is an older one of the same key. The revision of the envelope is the revision of
// the folded state. Three keys with the digest 0x1122334455667788 and the caller's bytes "ab", at revision 5:
//
//	01  03 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11  61 62  05 00 00 00 00 00 00 00  db 5b d0 e7
//
// A store that was never folded has no meta value: it is at revision 0 and holds nothing.
//
// # The file STORE
//
//	"ROSTERST" | format u32 = 1 | uuid 16 bytes | crc u32 of the 28 bytes before
//
// These 32 bytes keep their meaning in every later format, which may add more behind them.

const (
	envelopeBytes = 8 + 4     // what an envelope adds to a payload
	metaVersion   = 1         // first byte of the meta value
	metaBytes     = 1 + 8 + 8 // the meta value without the caller's bytes

	storeMagic  = "ROSTERST"
	storeFormat = 1
	storeBytes  = 32

	// firstOwnKind is the first byte from which on keys belong to this package.
	firstOwnKind = 0xF0
)

// metaKey is the key of the meta value. It sorts behind every key of the caller.
var metaKey = []byte{firstOwnKind, 'm'}

// timestamp is the Badger timestamp of what the fold to rev writes.
func timestamp(rev uint64) uint64 { return rev + 1 }

// appendEnvelope appends the envelope of payload to dst.
func appendEnvelope(dst, key, payload []byte, rev uint64) []byte {
	dst = append(dst, payload...)
	dst = binary.LittleEndian.AppendUint64(dst, rev)
	return binary.LittleEndian.AppendUint32(dst, envelopeCRC(key, dst[len(dst)-len(payload)-8:]))
}

func envelopeCRC(key, payloadAndRev []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, payloadAndRev)
}

// openEnvelope returns the payload, which shares env's memory, and the revision that wrote it.
// An envelope that does not check is reported with ok false.
func openEnvelope(key, env []byte) (payload []byte, rev uint64, ok bool) {
	n := len(env) - envelopeBytes
	if n < 0 || envelopeCRC(key, env[:n+8]) != binary.LittleEndian.Uint32(env[n+8:]) {
		return nil, 0, false
	}
	return env[:n:n], binary.LittleEndian.Uint64(env[n:]), true
}

// digest is the running count and digest of a set of values. The zero digest is that of no value.
type digest struct {
	count uint64
	sum   uint64
}

func (d *digest) add(key, env []byte)      { d.count++; d.sum += hashValue(key, env) }
func (d *digest) subtract(key, env []byte) { d.count--; d.sum -= hashValue(key, env) }
func (d *digest) merge(o digest)           { d.count += o.count; d.sum += o.sum }

// hashValue is xxhash64 of the key and the envelope, seeded with the length of the key so that moving the
// border between the two makes a difference.
func hashValue(key, env []byte) uint64 {
	var h xxhash.Digest
	h.ResetWithSeed(uint64(len(key)))
	h.Write(key)
	h.Write(env)
	return h.Sum64()
}

// meta is the decoded meta value.
type meta struct {
	rev    uint64 // the revision of the folded state
	digest digest
	caller []byte // the caller's bytes
}

// appendMeta appends the payload of the meta value; its revision goes into the envelope around it.
func appendMeta(dst []byte, m meta) []byte {
	dst = append(dst, metaVersion)
	dst = binary.LittleEndian.AppendUint64(dst, m.digest.count)
	dst = binary.LittleEndian.AppendUint64(dst, m.digest.sum)
	return append(dst, m.caller...)
}

// decodeMeta opens the envelope of the meta value and decodes it. The caller's bytes are a copy.
func decodeMeta(env []byte) (meta, error) {
	payload, rev, ok := openEnvelope(metaKey, env)
	switch {
	case !ok:
		return meta{}, fmt.Errorf("%w: the meta value does not match its checksum", ErrCorrupt)
	case len(payload) > 0 && payload[0] > metaVersion:
		return meta{}, fmt.Errorf("meta value of version %d: %w", payload[0], ErrNewerFormat)
	case len(payload) < metaBytes || payload[0] != metaVersion:
		return meta{}, fmt.Errorf("%w: the meta value is malformed", ErrCorrupt)
	}
	return meta{
		rev: rev,
		digest: digest{
			count: binary.LittleEndian.Uint64(payload[1:]),
			sum:   binary.LittleEndian.Uint64(payload[9:]),
		},
		caller: append([]byte(nil), payload[metaBytes:]...),
	}, nil
}

// encodeIdentity returns the content of the file STORE.
func encodeIdentity(uuid [16]byte) []byte { return encodeIdentityFormat(uuid, storeFormat) }

func encodeIdentityFormat(uuid [16]byte, format uint32) []byte {
	b := append(make([]byte, 0, storeBytes), storeMagic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = append(b, uuid[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeIdentity reads the content of the file STORE at path.
func decodeIdentity(path string, b []byte) (uuid [16]byte, err error) {
	if len(b) < storeBytes {
		return uuid, &CorruptError{Path: path, What: fmt.Sprintf("it has %d bytes of %d", len(b), storeBytes)}
	}
	if string(b[:8]) != storeMagic || crc32.Checksum(b[:28], castagnoli) != binary.LittleEndian.Uint32(b[28:]) {
		return uuid, &CorruptError{Path: path, What: "it does not match its checksum"}
	}
	if format := binary.LittleEndian.Uint32(b[8:]); format > storeFormat {
		return uuid, fmt.Errorf("%s: format %d: %w", path, format, ErrNewerFormat)
	} else if format != storeFormat || len(b) != storeBytes {
		return uuid, &CorruptError{Path: path, What: "it has the wrong length or format"}
	}
	copy(uuid[:], b[12:28])
	return uuid, nil
}
