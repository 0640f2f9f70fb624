package access_test

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/rosterdb/roster/access"
)

// FuzzParseHash: a hash that is taken is its own text, and small enough to be
// checked.
func FuzzParseHash(f *testing.F) {
	f.Add(reference)
	f.Add("$sha256$" + strings.Repeat("A", 43))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 22))
	f.Fuzz(func(t *testing.T, s string) {
		h, err := access.ParseHash(s)
		if err != nil {
			if !errors.Is(err, access.ErrInvalid) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if h.Text() != s || h.IsZero() {
			t.Fatalf("%q is %q", s, h.Text())
		}
	})
}

// FuzzToken: whatever is read as a token is the one text of what it says, also
// when it is signed; and nothing is without the key.
func FuzzToken(f *testing.F) {
	key := make([]byte, 32)
	f.Add("", []byte(nil))
	f.Add(strings.Repeat("A", 100), []byte("\x01\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x01\x9c\x00\x00\x00\x00\x01x\x01\x00\x01h"))
	f.Fuzz(func(t *testing.T, s string, body []byte) {
		for _, text := range []string{s, access.SealToken(body, key)} {
			again, err := access.DecodeToken(text, key)
			if err == nil && again != text {
				t.Fatalf("%q reads as %q", text, again)
			}
			if _, err := access.DecodeToken(text, nil); err == nil {
				t.Fatalf("%q is taken without a key", text)
			}
			access.LooksLikeToken(text)
		}
	})
}

// FuzzEndpoint: no path gets through that is another one once it is cleaned.
func FuzzEndpoint(f *testing.F) {
	for _, p := range []string{"/api/ingress/x", "/api/ingress/%2e%2e/x", "/api//ingress", "/api/ingress/..%2fx", "/a\\b", "/%zz"} {
		f.Add("/api/ingress/*", p)
	}
	f.Add("*", "/a/./b")
	f.Fuzz(func(t *testing.T, pattern, escaped string) {
		if access.CheckEndpoints([]string{pattern}) != nil {
			return
		}
		if !access.EndpointAllowed([]string{pattern}, escaped) {
			return
		}
		decoded, err := url.PathUnescape(escaped)
		if err != nil {
			t.Fatalf("%q is let through, and is no path", escaped)
		}
		clean := path.Clean(decoded)
		if clean != decoded && clean+"/" != decoded {
			t.Fatalf("%q is let through, and is %q", escaped, clean)
		}
		if prefix, _, _ := strings.Cut(pattern, "*"); !strings.HasPrefix(decoded, prefix) && decoded != prefix+"/" {
			t.Fatalf("%q is let through by %q", escaped, pattern)
		}
	})
}

// FuzzAddresses: an element of a list reads the same from its own text.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "10.0.0.0/8", "76.*.*.*", "::ffff:1.2.3.4/100", "fe80::1%x", "2001:db8::/32"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := access.ParseAddresses([]string{s})
		if err != nil {
			return
		}
		again, err := access.ParseAddresses([]string{access.FormatAddress(list[0])})
		if err != nil || again[0] != list[0] || list[0].Masked() != list[0] {
			t.Fatalf("%q is %v, and that %v, %v", s, list, again, err)
		}
	})
}

// FuzzClientAddr: who is not a trusted proxy is believed nothing, and whatever a
// client writes before what a proxy adds changes nothing.
func FuzzClientAddr(f *testing.F) {
	f.Add("192.0.2.7:1", "1.2.3.4, 5.6.7.8")
	f.Add("10.0.0.1:1", "[::1]:80,x")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header["X-Forwarded-For"] = []string{forwarded}
		if a, b := access.ClientAddr(r, nil), access.ClientAddr(r, trusted); a != b && !trusted[0].Contains(a) {
			t.Fatalf("%q is %v, and with %q %v", remote, a, forwarded, b)
		}
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{forwarded + ",192.0.2.7"}
		if a := access.ClientAddr(r, trusted); a.String() != "192.0.2.7" {
			t.Fatalf("behind a proxy and %q it is %v", forwarded, a)
		}
	})
}
