package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestValueExamples holds the examples at the top of value.go to the code.
func TestValueExamples(t *testing.T) {
	if got, want := appendEnvelope(nil, []byte{1, 7}, []byte("hi"), 5), unhex(t, "6869 0500000000000000 ca7c9b8a"); !bytes.Equal(got, want) {
		t.Errorf("the envelope of the example is %x, not %x", got, want)
	}
	m := meta{rev: 5, digest: digest{count: 3, sum: 0x1122334455667788}, caller: []byte("ab")}
	got := appendEnvelope(nil, metaKey, appendMeta(nil, m), 5)
	want := unhex(t, "01 0300000000000000 8877665544332211 6162 0500000000000000 db5bd0e7")
	if !bytes.Equal(got, want) {
		t.Errorf("the meta value of the example is %x, not %x", got, want)
	}
	back, err := decodeMeta(got)
	if err != nil || back.rev != m.rev || back.digest != m.digest || string(back.caller) != "ab" {
		t.Errorf("the example decodes to %+v, %v", back, err)
	}
}

// TestValueBits flips every bit of an envelope, of its key, and of the two small values.
func TestValueBits(t *testing.T) {
	key := []byte{1, 7}
	env := appendEnvelope(nil, key, []byte("payload"), 5)
	both := append(bytes.Clone(key), env...)
	flipAll(both, func(bit int) {
		if _, _, ok := openEnvelope(both[:2], both[2:]); ok {
			t.Errorf("bit %d of key and envelope makes no difference", bit)
		}
	})
	m := appendEnvelope(nil, metaKey, appendMeta(nil, meta{rev: 5}), 5)
	flipAll(m, func(bit int) {
		if _, err := decodeMeta(m); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d of a meta value: %v", bit, err)
		}
	})
	id := encodeIdentity([16]byte{1, 2, 3})
	flipAll(id, func(bit int) {
		if _, err := decodeIdentity("STORE", id); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d of STORE: %v", bit, err)
		}
	})
	for n := range id {
		if _, err := decodeIdentity("STORE", id[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("STORE cut to %d bytes: %v", n, err)
		}
	}
}

// flipAll calls fn with each single bit of b flipped.
func flipAll(b []byte, fn func(bit int)) {
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		fn(i)
		b[i/8] ^= 1 << (i % 8)
	}
}

// TestDigest holds the digest to what it is for: order does not matter, anything else does.
func TestDigest(t *testing.T) {
	sum := func(pairs ...string) (d digest) {
		for i := 0; i < len(pairs); i += 2 {
			d.add([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return d
	}
	if sum("a", "1", "b", "2") != sum("b", "2", "a", "1") {
		t.Error("the order of values changes the digest")
	}
	for _, other := range []digest{sum("a", "1"), sum("a", "2", "b", "1"), sum("a", "1", "b", "3"), sum("a1", "", "b", "2"), sum("a", "1", "a", "1")} {
		if other == sum("a", "1", "b", "2") {
			t.Error("different values have the same digest")
		}
	}
	d := sum("a", "1", "b", "2")
	d.subtract([]byte("b"), []byte("2"))
	if d != sum("a", "1") {
		t.Error("subtract does not undo add")
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("key"), []byte("payload"), uint64(5), []byte{})
	f.Add([]byte{}, []byte{}, uint64(0), appendEnvelope(nil, []byte("k"), []byte("v"), 1))
	f.Fuzz(func(t *testing.T, key, payload []byte, rev uint64, raw []byte) {
		env := appendEnvelope([]byte("before"), key, payload, rev)[len("before"):]
		got, gotRev, ok := openEnvelope(key, env)
		if !ok || !bytes.Equal(got, payload) || gotRev != rev {
			t.Fatalf("%x at %d came back as %x at %d, %v", payload, rev, got, gotRev, ok)
		}
		if got, rev, ok := openEnvelope(key, raw); ok && !bytes.Equal(appendEnvelope(nil, key, got, rev), raw) {
			t.Fatalf("%x is taken for an envelope and is none", raw)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(appendMeta(nil, meta{rev: 5, digest: digest{3, 4}, caller: []byte("ab")}), uint64(5))
	f.Add([]byte{2}, uint64(1))
	f.Add([]byte{}, uint64(1))
	f.Fuzz(func(t *testing.T, payload []byte, rev uint64) {
		m, err := decodeMeta(appendEnvelope(nil, metaKey, payload, rev))
		switch {
		case err == nil:
			if m.rev != rev || !bytes.Equal(appendMeta(nil, m), payload) {
				t.Fatalf("%x at %d decodes to %+v", payload, rev, m)
			}
		case !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerFormat):
			t.Fatalf("%x: %v", payload, err)
		}
		if _, err := decodeMeta(payload); err == nil && len(payload) < metaBytes+envelopeBytes {
			t.Fatalf("%x is too short for a meta value", payload)
		}
	})
}

// FuzzTable gives arbitrary bytes to the reader of Badger's tables, which may only refuse them. What the flatbuffers
// of an index with the right checksum make of it is left to a recover, as it is in checkFile.
func FuzzTable(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, offsets, err := openBlock(b)
		if err == nil {
			_ = findMeta(entries, offsets, new(sighting))
		}
		_ = findMeta(b, b[:len(b)&^3], new(sighting))
		if _, err := readIndex(bytes.NewReader(b), int64(len(b))); err == nil && len(b) < 16 {
			t.Fatal("an index in too few bytes")
		}
	})
}

func FuzzWAL(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(make([]byte, walHeaderBytes), 0x40, 0, 8, 0, 0, 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := checkWAL(bytes.NewReader(b), int64(len(b)))
		if err != nil && err != errWALHeader {
			t.Fatal(err)
		}
		if facts.end > int64(len(b)) {
			t.Fatalf("%d bytes of %d are to be kept", facts.end, len(b))
		}
		if err == nil {
			again, err := checkWAL(bytes.NewReader(b[:facts.end]), facts.end)
			if err != nil || again.end != facts.end || again.newest.ts != facts.newest.ts {
				t.Fatalf("what is kept is read differently: %+v, then %+v, %v", facts, again, err)
			}
		}
	})
}
