package access

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Endpoints of an API key are patterns of paths, without scheme and host, as in
// /api/ingress/user_group_members or /api/ingress/*. An asterisk stands for any
// characters, slashes and none included; everything else for itself, capital
// letters too. A key without patterns may go everywhere.

const (
	maxPattern  = 256 // bytes
	maxPatterns = 64  // of one key
	maxPath     = 4096
)

// CheckEndpoints returns ErrInvalid for patterns that no key can have: one that
// does not begin with a slash or an asterisk, or that holds what no path can that
// endpoints are matched with, so that it would never let anything through.
func CheckEndpoints(patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%w: more than %d endpoints", ErrInvalid, maxPatterns)
	}
	for _, p := range patterns {
		switch {
		case p == "" || p[0] != '/' && p[0] != '*' || len(p) > maxPattern:
			return fmt.Errorf("%w: endpoint %.64q: must begin with a slash or an asterisk and be at most %d bytes long", ErrInvalid, p, maxPattern)
		case !plainPath(p):
			return fmt.Errorf("%w: endpoint %.64q: must be the plain form of a path: no %%, \\, ?, # or control characters, no empty, . or .. between slashes", ErrInvalid, p)
		}
	}
	return nil
}

// endpointAllowed reports whether one of the patterns matches a path in its
// escaped form, as it stands in a request. A path that can be read in two ways,
// by us and by whoever routes it, is matched by none: with an escaped slash or
// percent sign, a backslash, an empty segment, "." or "..", escaped or not. A
// slash at the end does not count.
func endpointAllowed(patterns []string, escaped string) bool {
	if len(patterns) == 0 {
		return true
	}
	if len(escaped) > maxPath {
		return false
	}
	lower := strings.ToLower(escaped)
	if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") {
		return false
	}
	path, err := url.PathUnescape(escaped)
	if err != nil || path == "" || path[0] != '/' || !plainPath(path) {
		return false
	}
	short := path
	if len(path) > 1 {
		short = strings.TrimSuffix(path, "/")
	}
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) || matches(p, short) })
}

// plainPath reports whether there is one way to read a path.
func plainPath(path string) bool {
	if !utf8.ValidString(path) || strings.ContainsAny(path, `\%?#`) || strings.ContainsFunc(path, unicode.IsControl) {
		return false
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		first, last := i == 0, i == len(segments)-1
		if s == "." || s == ".." || s == "" && !first && !last {
			return false
		}
	}
	return true
}

// matches reports whether a pattern with asterisks fits all of a text. It goes
// back to the last asterisk only, so it takes the product of the lengths at most.
func matches(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
