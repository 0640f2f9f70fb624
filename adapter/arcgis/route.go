package arcgis

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// operation is an address below /admin: a resource, which GET reads, or an
// operation, which POST runs and of which GET shows the form.
type operation struct {
	at     string   // segments below /admin; * is the organisation
	rights []string // one of these privileges; nil: any of this API
	writes bool     // runs for POST only
	title  string
	about  string
	fields []field // of an operation; a resource has none
	run    func(*call) (*result, error)
}

// field is a parameter of an operation, and an input of its form.
type field struct {
	name     string
	label    string
	hint     string
	kind     string // of the input: text unless said otherwise; "choice" is a select, "area" a textarea
	choices  []string
	value    string // until somebody enters another
	required bool
	complete string // what a browser may fill in
}

var (
	forSecurity = []string{access.PrivilegeSecurity}
	forGroups   = []string{access.PrivilegeGroupLinks, access.PrivilegeSecurity}
)

func (op *operation) isResource() bool { return op.fields == nil }

// reads reports whether a request may run the operation without changing anything.
func (op *operation) reads(p *params) bool {
	if op.writes {
		return false
	}
	return op.isResource() || slices.ContainsFunc(op.fields, func(f field) bool { return p.has(f.name) })
}

// below returns the path behind the prefix in segments as they stand in the
// request. A path that could mean another one after cleaning or decoding is none;
// one slash at its end makes no difference.
func (a *api) below(escaped string) ([]string, bool) {
	rest, ok := strings.CutPrefix(escaped, a.o.Prefix+"/")
	if !ok {
		return nil, false
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for _, s := range segments {
		lower := strings.ToLower(s)
		if s == "" || s == "." || s == ".." || strings.Contains(lower, "%2e") || strings.Contains(lower, "%2f") {
			return nil, false
		}
	}
	return segments, true
}

// find returns the operation at a path behind /admin, and the organisation that
// the path names. Capital letters do not count in the names of operations: there
// are clients that write Groups.
func (a *api) find(segments []string) (op *operation, org string) {
	for _, list := range [][]*operation{a.resources, a.operations} {
		for _, op := range list {
			if org, ok := op.match(segments); ok {
				return op, org
			}
		}
	}
	return nil, ""
}

func (op *operation) match(segments []string) (org string, ok bool) {
	rest := op.at
	for _, s := range segments {
		var want string
		want, rest, _ = strings.Cut(rest, "/")
		if want == "*" {
			if org, ok = web.Segment(s); !ok {
				return "", false
			}
		} else if want == "" || !strings.EqualFold(want, s) {
			return "", false
		}
	}
	return org, rest == ""
}

// address returns the path of an operation, for links.
func (a *api) address(at, org string) string {
	if at == "" {
		return a.o.Prefix + "/admin"
	}
	return a.o.Prefix + "/admin/" + strings.Replace(at, "*", url.PathEscape(org), 1)
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{api: a, w: w, r: r, format: formatOf(queryOf(r).Get("f"))}
	a.setHeaders(w)
	segments, ok := a.below(web.Path(r.URL))
	if !ok {
		c.fail(errNoSuchPath)
		return
	}
	serve := func() error { return errNoSuchPath }
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	switch path := strings.ToLower(strings.Join(segments, "/")); {
	case path == "sharing/rest/generatetoken":
		serve = c.generateToken
	case path == "admin/login":
		serve, methods = c.signIn, methods[2:]
	case path == "admin/logout":
		serve, methods = c.signOut, methods[2:]
	case strings.EqualFold(segments[0], "admin"):
		if c.op, c.org = a.find(segments[1:]); c.op != nil {
			serve = c.serve
		}
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		c.fail(errMethod)
		return
	}
	if err := c.read(); err != nil {
		c.fail(err)
		return
	}
	if err := serve(); err != nil {
		c.fail(err)
	}
}

// Endpoints lists every method and path below the prefix, with {} for an organisation.
// HEAD is where GET is.
func (a *api) Endpoints() []string {
	out := []string{"POST /admin/login", "POST /admin/logout", "GET /sharing/rest/generateToken", "POST /sharing/rest/generateToken"}
	for _, op := range slices.Concat(a.resources, a.operations) {
		path := strings.TrimSuffix("/admin/"+strings.Replace(op.at, "*", "{}", 1), "/")
		out = append(out, "GET "+path, "POST "+path)
	}
	return out
}
