package exchange

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// privateNetworks are those that the engine refuses among allowed ones, for the
// same reason: nobody comes from there over the internet.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/128"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("::ffff:0:0/96"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// parseNetworks reads allowed networks as the engine stores them: masked, IPv4
// as such, each once.
func parseNetworks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, ok := parseNetwork(s)
		if !ok {
			return nil, problemf(ErrMalformed, "the allowed network %s is none: write an address, or a network as in 201.54.122.0/24", quoteStart([]byte(s)))
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		p = p.Masked()
		for _, private := range privateNetworks {
			if p.Overlaps(private) {
				return nil, problemf(ErrMalformed, "the allowed network %s is not public: nobody comes from %v over the internet", quoteStart([]byte(s)), private)
			}
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
		if len(out) > maxListed {
			break // check refuses that many
		}
	}
	return out, nil
}

// parseNetwork reads an address, a prefix, or four numbers of which the last are
// asterisks (76.*.*.*).
func parseNetwork(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	if head, stars, ok := strings.Cut(s, ".*"); ok {
		fixed := 1 + strings.Count(head, ".")
		if fixed > 3 || stars != strings.Repeat(".*", 3-fixed) || strings.Contains(head, ":") {
			return netip.Prefix{}, false
		}
		s = head + strings.Repeat(".0", 4-fixed) + "/" + strconv.Itoa(8*fixed)
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// formatNetwork writes a network; a single address without its length.
func formatNetwork(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
