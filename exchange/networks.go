package exchange

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster"
)

// parseNetworks reads allowed networks as the engine stores them: masked, IPv4
// as such, each once.
func parseNetworks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, ok := parseNetwork(s)
		if !ok {
			return nil, problemf(ErrMalformed, "the allowed network %s is none: write an address, or a network as in 201.54.122.0/24", quoteStart([]byte(s)))
		}
		p, err := roster.PublicNetwork(p)
		if err != nil {
			return nil, problemf(ErrMalformed, "the allowed network %s is not public: nobody comes from there over the internet", quoteStart([]byte(s)))
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
