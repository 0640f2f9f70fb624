package directory

import (
	"encoding/binary"
	"maps"
	"slices"
)

// packed holds users one behind another in one piece of memory: a hundred
// thousand of them as Go values are a million objects.
type packed struct {
	bytes []byte
	ends  []int
}

func (p *packed) len() int { return len(p.ends) }

// add appends a user. Refs and groups are not kept: they are symbols by then.
func (p *packed) add(u *User) {
	b := p.bytes
	for _, s := range []string{u.Name, u.Key, u.FullName, u.Email, u.Description} {
		b = appendString(b, s)
	}
	active := byte(0)
	if u.Active {
		active = 1
	}
	b = append(b, active, byte(u.Silent))
	b = binary.AppendUvarint(b, uint64(len(u.Attributes)))
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		b = appendString(b, name)
		b = binary.AppendUvarint(b, uint64(len(u.Attributes[name])))
		for _, v := range u.Attributes[name] {
			b = appendString(b, v)
		}
	}
	p.bytes, p.ends = b, append(p.ends, len(b))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (p *packed) at(i int) []byte {
	from := 0
	if i > 0 {
		from = p.ends[i-1]
	}
	return p.bytes[from:p.ends[i]]
}

// name returns the name of user i.
func (p *packed) name(i int) string {
	r := unpacker{p.at(i)}
	return r.string()
}

// get returns user i.
func (p *packed) get(i int) User {
	r := unpacker{p.at(i)}
	u := User{Name: r.string(), Key: r.string(), FullName: r.string(), Email: r.string(), Description: r.string()}
	u.Active, u.Silent = r.rest[0] == 1, Fields(r.rest[1])
	r.rest = r.rest[2:]
	if n := r.uvarint(); n > 0 {
		u.Attributes = make(map[string][]string, n)
		for range n {
			name := r.string()
			values := make([]string, r.uvarint())
			for i := range values {
				values[i] = r.string()
			}
			u.Attributes[name] = values
		}
	}
	return u
}

// unpacker takes values off the front of bytes that packed wrote.
type unpacker struct{ rest []byte }

func (r *unpacker) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.rest = r.rest[size:]
	return n
}

func (r *unpacker) string() string {
	n := r.uvarint()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
