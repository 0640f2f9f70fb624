package crowd

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/rosterdb/roster/internal/web"
)

// route is a path of the API, "" standing for any segment, and what may be done
// there.
type route struct {
	path []string
	on   []on
}

type on struct {
	method string
	do     func(*call) (any, error)
}

// routes are all there are. Of two that fit the first one counts.
func routes() []route {
	at := func(path string, does ...on) route { return route{strings.Split(path, "/"), does} }
	get := func(do func(*call) (any, error)) on { return on{http.MethodGet, do} }
	post := func(do func(*call) (any, error)) on { return on{http.MethodPost, do} }
	remove := func(do func(*call) (any, error)) on { return on{http.MethodDelete, do} }
	return []route{
		at("users/search", post((*call).searchUsers)),
		at("users//groups", post((*call).joinGroups), remove((*call).leaveGroups)),
		at("groups/query", post((*call).queryGroups)),
		at("groups/", get((*call).group)),
		at("groups//users", get((*call).members), post((*call).addMembers), remove((*call).removeMembers)),
		at("groups//users/suggestions", get((*call).suggestMembers)),
		at("group/search/", get((*call).searchGroups)),
		at("group//groups", get((*call).subgroups), post((*call).nest)),
		at("group-level-admin//admins", get((*call).admins), post((*call).appoint)),
		at("group-level-admin//admins/suggestions", get((*call).suggestAdmins)),
		at("group-level-admin//admins/users/", remove((*call).dismissUser)),
		at("group-level-admin//admins/groups/", remove((*call).dismissGroup)),
		at("directory/managed", get((*call).managedDirectories)),
	}
}

var allRoutes = routes()

// route returns what stands at a path in its escaped form, and the segments that
// vary, unescaped. Nothing stands at a path that could be read in two ways.
func (a *api) route(escaped string) (*route, []string) {
	rest, ok := strings.CutPrefix(escaped, a.o.Prefix+"/rest/")
	if !ok {
		return nil, nil
	}
	rest = strings.TrimPrefix(rest, "rest/") // of a base address that ends in /rest already
	rest, ok = strings.CutPrefix(rest, "admin/")
	if !ok {
		return nil, nil
	}
	version, rest, _ := strings.Cut(rest, "/")
	if version != "1.0" && version != "latest" {
		return nil, nil
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i := range allRoutes {
		if args, ok := allRoutes[i].match(segments); ok {
			return &allRoutes[i], args
		}
	}
	return nil, nil
}

func (r *route) match(segments []string) (args []string, ok bool) {
	if len(segments) != len(r.path) {
		return nil, false
	}
	for i, want := range r.path {
		if want != "" {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		arg, ok := web.Segment(segments[i])
		if !ok || strings.Contains(arg, `\`) {
			return nil, false
		}
		args = append(args, arg)
	}
	return args, true
}

// method returns what a method does, nil for nothing. HEAD is GET, whose body
// write leaves out.
func (r *route) method(name string) func(*call) (any, error) {
	if name == http.MethodHead {
		name = http.MethodGet
	}
	i := slices.IndexFunc(r.on, func(o on) bool { return o.method == name })
	if i < 0 {
		return nil
	}
	return r.on[i].do
}

func (r *route) allow() string {
	var all []string
	for _, o := range r.on {
		if all = append(all, o.method); o.method == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	return strings.Join(all, ", ")
}

// Endpoints lists every method and path below the prefix, with {} for what varies.
// HEAD is where GET is.
func (a *api) Endpoints() (out []string) {
	for _, r := range allRoutes {
		path := "/rest/admin/1.0"
		for _, segment := range r.path {
			path += "/" + cmp.Or(segment, "{}")
		}
		for _, o := range r.on {
			out = append(out, o.method+" "+path)
		}
	}
	return out
}
