package access_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/rosterdb/roster/access"
)

// TestLives: tokens that have expired when they are issued are a mistake.
func TestLives(t *testing.T) {
	w := newWorld(t)
	for what, o := range map[string]access.Options{"token": {TokenLife: -1}, "longest": {MaxTokenLife: -1}} {
		_, err := access.New(w.e, o)
		is(t, what, err, access.ErrInvalid)
	}
}

// TestMappedProxy: a proxy that is written as IPv4 within IPv6 is that of IPv4.
func TestMappedProxy(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}
	for remote, want := range map[string]string{"10.1.2.3:1": "192.0.2.7", "[::ffff:10.1.2.3]:1": "192.0.2.7", "11.1.2.3:1": "11.1.2.3"} {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {"192.0.2.7"}}}
		equal(t, remote, access.ClientAddr(r, trusted).String(), want)
	}
}
