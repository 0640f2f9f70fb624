package ldap

import (
	"bytes"
	"testing"

	ldapv3 "github.com/go-ldap/ldap/v3"
)

// FuzzIdentifiers: bytes that are an identifier are the same bytes again, and no
// text makes the readers panic.
func FuzzIdentifiers(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), "member;range=0-1499")
	f.Add([]byte{1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 2, 3, 4}, "member;range=1500-*")
	f.Add([]byte("S-1-5-21-1"), "member;range=-")
	f.Fuzz(func(t *testing.T, b []byte, attribute string) {
		if s := formatGUID(b); s != "" {
			if back, ok := parseGUID(s); !ok || !bytes.Equal(back, b) {
				t.Errorf("GUID %x is %q, which is %x", b, s, back)
			}
		}
		if s := sid(b); s != "" && b[1] > 0 && b[1] <= 15 {
			if back, ok := parseSID(s); !ok || !bytes.Equal(back, b) {
				t.Errorf("SID %x is %q, which is %x", b, s, back)
			}
		}
		if back, ok := parseSID(string(b)); ok && sid(back) == "" {
			t.Errorf("%q is SID %x", b, back)
		}
		parseGUID(string(b))
		e := &ldapv3.Entry{Attributes: []*ldapv3.EntryAttribute{{Name: attribute, Values: []string{"a", "b"}}}}
		values, next, more, err := rangeOf(e, "member", 0)
		if err == nil && more && next != len(values) {
			t.Errorf("%q: %d values, the next is %d", attribute, len(values), next)
		}
	})
}
