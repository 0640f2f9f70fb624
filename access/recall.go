package access

import (
	"hash/maphash"
	"sync/atomic"
)

// records remembers what records say that are asked for with every request: the
// account of whoever asks, the keys that tokens are signed with. To decode one takes
// longer than the rest of letting somebody in. The record itself is read all the
// same, from the transaction that asks, and what is remembered counts for the same
// bytes only: nothing has to be forgotten when something changes.
//
// It is safe for concurrent use.
type records struct {
	seed  maphash.Seed
	slots [rememberedRecords]atomic.Pointer[remembered]
}

type remembered struct {
	key, data string
	value     any // a pointer
}

const (
	rememberedRecords   = 1 << 11
	maxRememberedRecord = 2 << 10 // bytes: 4 MiB in all at worst, and what they say
)

func newRecords() *records { return &records{seed: maphash.MakeSeed()} }

// recall returns what a record says, or roster.ErrNotFound. What it points to is
// others' too and must not be changed. Nil remembers nothing.
func recall[T any](r *records, in Values, key string, decode func(key string, data []byte) (T, error)) (*T, error) {
	data, err := in.Data(Space, key)
	if err != nil {
		return nil, err
	}
	var slot *atomic.Pointer[remembered]
	if r != nil && len(data) <= maxRememberedRecord {
		slot = &r.slots[maphash.String(r.seed, key)%rememberedRecords]
		if old := slot.Load(); old != nil && old.key == key && old.data == string(data) {
			return old.value.(*T), nil // the key says what kind of record it is
		}
	}
	value, err := decode(key, data)
	if err != nil {
		return nil, err
	}
	if slot != nil {
		slot.Store(&remembered{key, string(data), &value})
	}
	return &value, nil
}
