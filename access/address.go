package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParseAddresses reads a list of addresses and networks: 10.1.2.3, 10.1.0.0/16,
// 76.*.*.*, 2001:db8::/32, ::1. Bits behind the length of a network do not
// count, IPv4 within IPv6 is IPv4, and each stands in the result once. An empty
// element, a zone, anything else, and more than 256 of them is ErrInvalid.
func ParseAddresses(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, ok := parseAddress(s)
		if !ok {
			return nil, fmt.Errorf("%w: %.64q is no address: write one, or a network as in 201.54.122.0/24", ErrInvalid, s)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
		if len(out) > maxAddresses {
			return nil, fmt.Errorf("%w: more than %d addresses", ErrInvalid, maxAddresses)
		}
	}
	return out, nil
}

func parseAddress(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return plainPrefix(netip.PrefixFrom(a, a.BitLen())), a.Zone() == ""
	}
	if head, stars, ok := strings.Cut(s, ".*"); ok {
		fixed := 1 + strings.Count(head, ".")
		if fixed > 3 || stars != strings.Repeat(".*", 3-fixed) || strings.ContainsAny(head, ":/") {
			return netip.Prefix{}, false
		}
		s = head + strings.Repeat(".0", 4-fixed) + "/" + strconv.Itoa(8*fixed)
	}
	p, err := netip.ParsePrefix(s)
	return plainPrefix(p), err == nil
}

// plainPrefix masks a network, and makes IPv4 of one that is IPv4 within IPv6.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// FormatAddress writes an element of a list as ParseAddresses reads it, a single
// address without its length.
func FormatAddress(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// comesFrom reports whether an address is in one of the networks.
func comesFrom(a netip.Addr, list []netip.Prefix) bool {
	a = plainAddr(a)
	return a.IsValid() && slices.ContainsFunc(list, func(p netip.Prefix) bool { return plainPrefix(p).Contains(a) })
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// ClientAddr returns where a request comes from: its RemoteAddr, unless that is
// one of the trusted proxies. Then it is the last address in X-Forwarded-For
// that is none of them, each proxy having added who called it. What stands
// before that address was written by the client, and is not looked at. A part
// of the header that is no address ends the search at the proxy that passed it
// on. The result is not valid if RemoteAddr is no address.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := parseHost(r.RemoteAddr)
	if !comesFrom(client, trusted) {
		return client
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			var part string
			if j := strings.LastIndexByte(rest, ','); j >= 0 {
				rest, part = rest[:j], rest[j+1:]
			} else {
				part, more = rest, false
			}
			next := parseHost(strings.Trim(part, " \t"))
			if !next.IsValid() {
				return client
			}
			client = next
			if !comesFrom(client, trusted) {
				return client
			}
		}
	}
	return client
}

// parseHost reads an address with or without a port.
func parseHost(s string) netip.Addr {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return plainAddr(a)
	}
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return plainAddr(a)
}
