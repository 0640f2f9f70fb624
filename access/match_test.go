package access_test

import (
	"errors"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/roster/access"
	"pgregory.net/rapid"
)

func TestEndpoints(t *testing.T) {
	members := "/api/ingress/user_group_members"
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{members, members, true},
		{members, members + "/", true},
		{members, members + "/drop", false},
		{members + "/*", members + "/drop", true},
		{members + "*", members + "/drop", true},
		{"/api/ingress/*", members, true},
		{"/api/ingress/*", members + "/drop", true},
		{"/api/ingress/*", "/api/ingress/", true},
		{"/api/ingress/*", "/api/ingress", false},
		{"/api/ingress/*", "/api/ingresses/x", false},
		{"*", "/anything", true},
		{"*", "/", true},
		{"/", "/", true},
		{"/", "/a", false},
		{"*/drop", members + "/drop", true},
		{"/a*b*c", "/axxbyyc", true},
		{"/a*b*c", "/axxcyyb", false},
		{"/a**", "/a", true},
		{"/a*a*a*a*a*a*b", "/" + strings.Repeat("a", 1000), false},

		// Two ways to read a path are none.
		{"/api/ingress/*", "/api/ingress/%2e%2e/admin", false},
		{"/api/ingress/*", "/api/ingress/%2E%2e/admin", false},
		{"/api/ingress/*", "/api/ingress/../admin", false},
		{"/api/ingress/*", "/api/ingress/..%2fadmin", false},
		{"/api/ingress/*", "/api/ingress/..%5cadmin", false},
		{"/api/ingress/*", `/api/ingress/..\admin`, false},
		{"/api/ingress/*", "/api/ingress//x", false},
		{"/api/ingress/*", "//api/ingress/x", false},
		{"/api/ingress/*", "/api/./ingress/x", false},
		{"/api/ingress/*", "/api/ingress/%252e%252e/x", false},
		{"/api/ingress/*", "/api/ingress/a%00b", false},
		{"/api/ingress/*", "/api/ingress/a%0ab", false},
		{"/api/ingress/*", "/api/ingress/%ff", false},
		{"/api/ingress/*", "/api/ingress/%zz", false},
		{"/api/ingress/*", "/api/ingress/a%2Fb", false},
		{"/api/ingress/*", "/API/ingress/x", false},
		{"/api/ingress/*", "/Api/Ingress/x", false},
		{"/api/ingress/*", "api/ingress/x", false},
		{"/api/ingress/*", "", false},
		{"/api/ingress/*", "/api/ingress/x;a=b", true}, // nothing that routing reads differently
		{"/api/ingress/*", "/api/ingress/...", true},
		{"/api/ingress/*", "/api/ingress/" + strings.Repeat("x", 5000), false},
		{"/api/ingress/x", "/%61pi/ingress/x", true},
		{"/api/größe", "/api/gr%C3%B6%C3%9Fe", true},
		{"*", "/a/../b", false},
		{"*", "//", false},
	} {
		if err := access.CheckEndpoints([]string{c.pattern}); err != nil {
			t.Errorf("pattern %s: %v", c.pattern, err)
		}
		for _, list := range [][]string{{c.pattern}, {"/other", c.pattern}} {
			if got := access.EndpointAllowed(list, c.path); got != c.want {
				t.Errorf("%q matches %.80q: %t", list, c.path, got)
			}
		}
	}
	if !access.EndpointAllowed(nil, "//..%2f") || access.EndpointAllowed([]string{"/a"}, "/b") {
		t.Error("no patterns are everywhere, one is not")
	}
	for _, bad := range []string{"", "api", "http://host/api", "/a//b", "/a/../b", "/a/%2e", "/a\\b", "/a?x=1", "/a#b", "/a\x00", "/\xff", "/" + strings.Repeat("a", 256)} {
		is(t, "pattern "+bad, access.CheckEndpoints([]string{bad}), access.ErrInvalid)
	}
}

// TestEndpointsAgree: the matcher is what a regular expression says.
func TestEndpointsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := "/" + rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 12, -1).Draw(t, "pattern")
		path := "/" + rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 16, -1).Draw(t, "path")
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got := access.EndpointAllowed([]string{pattern}, path); got != re.MatchString(path) {
			t.Fatalf("%q matches %q: %t", pattern, path, got)
		}
	})
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "192.0.2.7/32": "192.0.2.7", "192.0.2.77/24": "192.0.2.0/24", "0.0.0.0/0": "0.0.0.0/0",
		"::1": "::1", "2001:DB8::1/32": "2001:db8::/32", "::ffff:10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1/104": "10.0.0.0/8",
		"76.*.*.*": "76.0.0.0/8", "76.1.*.*": "76.1.0.0/16", "76.1.2.*": "76.1.2.0/24",
	} {
		list, err := access.ParseAddresses([]string{in, in})
		if err != nil || len(list) != 1 || access.FormatAddress(list[0]) != want {
			t.Errorf("%s is %v, %v", in, list, err)
		}
	}
	for _, bad := range []string{
		"", " ", "10.0.0.1 ", "10.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "fe80::1%eth0", "fe80::1%eth0/64", "host", "10.0.0.1,10.0.0.2",
		"*.*.*.*", "*.1.2.3", "76.*.1.*", "76.*", "76.*.*.*.*", "1::.*.*", "76.*.*.*/8", "010.0.0.1", "1.2.3.4/24/24", "[::1]", "10.0.0.1:80",
	} {
		if list, err := access.ParseAddresses([]string{"10.0.0.1", bad}); !errors.Is(err, access.ErrInvalid) || list != nil {
			t.Errorf("%q is %v, %v", bad, list, err)
		}
	}
}

func TestClientAddr(t *testing.T) {
	trusted := prefixes(t, "10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.7:1234", nil, "192.0.2.7"},
		{"192.0.2.7:1234", []string{"1.2.3.4"}, "192.0.2.7"}, // not a proxy of ours
		{"10.0.0.1:1234", nil, "10.0.0.1"},
		{"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		{"10.0.0.1:1234", []string{"1.2.3.4, 192.0.2.7"}, "192.0.2.7"}, // the client wrote 1.2.3.4
		{"10.0.0.1:1234", []string{"1.2.3.4", "192.0.2.7 , 10.9.9.9"}, "192.0.2.7"},
		{"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1234", []string{"192.0.2.7, what, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1234", []string{"192.0.2.7,"}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"192.0.2.7:5555"}, "192.0.2.7"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]:5555"}, "2001:db8::1"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"[fd00::1%eth0]:1", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"[::ffff:10.0.0.1]:1", []string{"192.0.2.7"}, "192.0.2.7"},
		{"@", []string{"192.0.2.7"}, "invalid IP"},
		{"", nil, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		r.Header.Set("X-Real-Ip", "6.6.6.6")
		r.Header.Set("Forwarded", "for=6.6.6.6")
		equal(t, c.remote+" "+strings.Join(c.forwarded, "|"), access.ClientAddr(r, trusted).String(), c.want)
		if want, err := netip.ParseAddrPort(c.remote); err == nil {
			equal(t, "with no trust", access.ClientAddr(r, nil), want.Addr().Unmap().WithZone(""))
		}
	}
}
