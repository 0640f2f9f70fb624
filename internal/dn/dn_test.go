package dn

import "testing"

func TestNormal(t *testing.T) {
	for _, same := range [][]string{
		{"uid=alice,ou=people,dc=example", "UID=Alice , OU = People ; dc=EXAMPLE", " uid=alice,ou=people,dc=example ", "uid=\\61lice,ou=people,dc=example"},
		{`cn=Bob\, Jr.,dc=x`, `cn="bob, jr.",dc=x`, `cn=bob\2C jr.,dc=x`},
		{"cn=a+uid=b,dc=x", "UID=B+CN=A,dc=x"},
		{"2.5.4.3=a", "OID.2.5.4.3=a"},
		{"cn=a  b", "cn=a b"},
		{"cn=Stra\\C3\\9Fe", "cn=STRASSE", "cn=straße"},
		{"cn=", "cn= "},
		{`cn=a\ `, `cn=a\20`},
		{"cn=a=b", "cn=a\\=b"},
	} {
		want, ok := Normal(same[0])
		if !ok {
			t.Errorf("%s is refused", same[0])
		}
		for _, dn := range same {
			if got, ok := Normal(dn); !ok || got != want {
				t.Errorf("%s is %q, %v; want %q as %s", dn, got, ok, want, same[0])
			}
		}
	}
	seen := map[string]string{}
	for _, dn := range []string{
		"cn=a,dc=x", "cn=a+dc=x", `cn=a\,dc=x`, "cn=müller", "cn=muller", `cn=a\ `, "cn=a", `cn=a\00dc=x`, `cn=a\01dc=x`, `cn=a\02\30dc=x`, "cn=a,cn=b", "cn=b,cn=a",
	} {
		normal, ok := Normal(dn)
		if !ok {
			t.Errorf("%s is refused", dn)
		}
		if other, ok := seen[normal]; ok {
			t.Errorf("%s and %s are the same", dn, other)
		}
		seen[normal] = dn
	}
	for _, bad := range []string{"", "a", "=a", "cn=a,", "cn=a,b", `cn=a\`, `cn=a\x`, `cn="a`, `cn="a"b`, `cn=a"b`, "c n=a", "cn=a++cn=b"} {
		if normal, ok := Normal(bad); ok {
			t.Errorf("%q is taken for a DN, %q", bad, normal)
		}
	}
}

func TestWithoutBits(t *testing.T) {
	for in, want := range map[string]string{
		"cn=a#'0101'B": "cn=a", "cn=a#''B": "cn=a", "cn=a#'2'B": "cn=a#'2'B", "cn=a": "cn=a", "#'B": "#'B", "cn=a#'0'": "cn=a#'0'",
	} {
		if got := WithoutBits(in); got != want {
			t.Errorf("WithoutBits(%q) is %q, want %q", in, got, want)
		}
	}
}
