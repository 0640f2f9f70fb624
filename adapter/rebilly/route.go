package rebilly

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/web"
)

// operation is what a method of a path does. Body says that it reads one.
type operation struct {
	op   func(*call) (answer, error)
	body bool
}

// methods are the operations of a path. HEAD is GET, and OPTIONS says which there are.
type methods map[string]operation

// routes are the paths, with "*" for an id.
var routes = map[string]methods{
	"memberships":     {"GET": {op: (*call).listMemberships}},
	"memberships/*/*": {"GET": {op: (*call).getMembership}, "PUT": {(*call).putMembership, true}, "DELETE": {op: (*call).deleteMembership}},
	"users":           {"GET": {op: (*call).listUsers}, "POST": {(*call).postUser, true}},
	"users/*":         {"GET": {op: (*call).getUser}, "PUT": {(*call).putUser, true}},
	"roles":           {"GET": {op: (*call).listRoles}, "POST": {(*call).postRole, true}},
	"roles/*":         {"GET": {op: (*call).getRole}, "PUT": {(*call).putRole, true}, "DELETE": {op: (*call).deleteRole}},
	"organizations":   {"GET": {op: (*call).listOrganizations}, "POST": {(*call).postOrganization, true}},
	"organizations/*": {"GET": {op: (*call).getOrganization}, "PUT": {(*call).putOrganization, true}},
}

// route finds what the path of a request means. The path is taken as it was sent:
// an empty or dot segment, an encoded slash and a trailing slash are part of no
// path that there is.
func (c *call) route() (methods, error) {
	rest, ok := strings.CutPrefix(web.Path(c.r.URL), c.h.o.Prefix+"/")
	if !ok {
		return nil, noPath()
	}
	var parts, sent []string // unescaped, and as they are: only ids may be escaped
	for part := range strings.SplitSeq(rest, "/") {
		id, ok := web.Segment(part)
		if !ok || !isSegment(id) || len(parts) == 5 {
			return nil, noPath()
		}
		parts, sent = append(parts, id), append(sent, part)
	}
	if len(parts) > 2 && sent[0] == "organizations" {
		c.scope, parts, sent = parts[1], parts[2:], sent[2:]
	}
	to, ok := routes[sent[0]+strings.Repeat("/*", len(parts)-1)]
	if !ok {
		return nil, noPath()
	}
	c.ids = parts[1:]
	return to, nil
}

func noPath() error { return problemf(http.StatusNotFound, "There is nothing at this path.") }

// isSegment reports whether a text can be an id, which stands in paths.
func isSegment(s string) bool {
	return web.IsSegment(s) && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// method returns the operation of a method: the zero one for OPTIONS, an error for one
// that there is not.
func (m methods) method(name string, header http.Header) (operation, error) {
	if name == http.MethodHead {
		name = http.MethodGet
	}
	if do, ok := m[name]; ok {
		return do, nil
	}
	allow := []string{"OPTIONS"}
	for name := range m {
		if allow = append(allow, name); name == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	header.Set("Allow", strings.Join(allow, ", "))
	if name == http.MethodOptions {
		return operation{}, nil
	}
	return operation{}, problemf(http.StatusMethodNotAllowed, "The method is not one of those that Allow names.")
}

// Endpoints lists every method and path below the prefix, with {} for an id, as they
// stand outside of an organisation and within one. HEAD is where GET is.
func (h *handler) Endpoints() (out []string) {
	for path, all := range routes {
		path = strings.ReplaceAll(path, "*", "{}")
		for method := range all {
			out = append(out, method+" /"+path, method+" /organizations/{}/"+path)
		}
	}
	slices.Sort(out)
	return out
}
