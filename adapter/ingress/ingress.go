// Package ingress serves an engine by the API of the TLDCRM with which other
// systems put users into groups: Ingress User Group Members, version 1.
//
//	s, err := access.New(e, access.Options{})
//	...
//	mux.Handle("/api/ingress/", ingress.New(e, ingress.Options{Authenticator: s.Door(access.Ingress())}))
//
// # Calls
//
// Below [Options.Prefix], "/api/ingress" unless said otherwise:
//
//	POST   /user_group_members        add users to groups
//	PUT    /user_group_members        groups in place of those that users are in
//	DELETE /user_group_members        remove users from groups
//	DELETE /user_group_members/drop   remove users from all groups
//
// Everything else is 404, another method of these 405; a slash at the end makes no
// difference. The parameters are user_id, user_ids or users, and group_id, group_ids
// or groups: the first of each that is not empty counts. They stand in the body,
// JSON, form-data or urlencoded, that of a DELETE too, or in the address. Each is a
// number, a list of numbers parted by commas, or an array; groups may be named by
// name as well. docs/ingress.md says what was decided where the documentation is
// silent.
//
// # Who may do what
//
// Nobody without an Authenticator. An API key has the rights of its user, within the
// endpoints and addresses that it is for. With all privileges that is every group and
// user. Otherwise the groups that there are, are those that the user administers,
// and the users those that may be assigned to these; to replace or drop leaves
// memberships in other groups alone.
//
// A request finds all users and groups that it asks for or changes nothing, and what
// it changes is one Update in which its rights are decided.
package ingress

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// Options configure a handler. The zero Options let nobody in.
type Options struct {
	// Authenticator says who asks: a Door for access.Ingress, or one of the host's.
	// It is given the parameters of the body. Nil denies everybody.
	Authenticator access.Authenticator

	// Prefix is the path that the handler is mounted below, as it stands in the
	// requests that the handler sees: before /user_group_members. "" means
	// "/api/ingress", "/" that nothing stands there, as behind http.StripPrefix. (What has
	// been stripped is said in access.Scheme.Prefix, for the endpoints of API keys.)
	Prefix string

	// StrictDrop makes the groups of a drop required. They do not narrow it.
	StrictDrop bool

	// Message returns the text of an answer, "" for the usual one. It must be quick,
	// and safe for concurrent use. Nil means the usual ones.
	Message func(Result) string

	// MaxBody is how many bytes a body may have. 0 means 4 MiB.
	MaxBody int64

	// MaxList is how many users, and how many groups, a request may name, and
	// MaxPairs how many pairs of a user and a group these may make. 0 means 50,000,
	// and 1,000,000.
	MaxList, MaxPairs int

	// Logger is told of every change and who made it at level info, and of errors of
	// the program at level error. Nothing that was presented is logged. Nil means
	// nothing is.
	Logger *slog.Logger
}

// Action is what a request does.
type Action string

// The four there are.
const (
	Add     Action = "add"
	Replace Action = "replace"
	Remove  Action = "remove"
	Drop    Action = "drop"
)

// Result is what a request has done.
type Result struct {
	Action  Action
	Users   int // whom it named, each once
	Added   int // memberships that there were not before
	Dropped int // memberships that there are no more
}

// New returns the API over an engine, which must stay open while it is served.
// The handler may be used by any number of goroutines.
func New(engine *roster.Engine, o Options) http.Handler {
	o.Prefix = web.Prefix(o.Prefix, "/api/ingress")
	if o.MaxBody == 0 {
		o.MaxBody = 4 << 20
	}
	if o.MaxList == 0 {
		o.MaxList = 50_000
	}
	if o.MaxPairs == 0 {
		o.MaxPairs = 1_000_000
	}
	return &api{engine, o}
}

type api struct {
	engine *roster.Engine
	o      Options
}

// ServeHTTP finds the action, asks who it is, and answers.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	result, err := a.serve(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.send(w, r, http.StatusOK, a.answer(result))
}

// endpoint is a path below the prefix, and what its methods do.
type endpoint struct {
	path  string
	does  map[string]Action
	allow string
}

var endpoints = []endpoint{
	{"/user_group_members", map[string]Action{http.MethodPost: Add, http.MethodPut: Replace, http.MethodDelete: Remove}, "POST, PUT, DELETE"},
	{"/user_group_members/drop", map[string]Action{http.MethodDelete: Drop}, "DELETE"},
}

// Endpoints lists every method and path below the prefix.
func (a *api) Endpoints() (out []string) {
	for _, e := range endpoints {
		for method := range e.does {
			out = append(out, method+" "+e.path)
		}
	}
	slices.Sort(out)
	return out
}

// action returns what a request asks for. Paths are compared as they were sent: one
// that could be read in two ways is none of ours.
func (a *api) action(w http.ResponseWriter, r *http.Request) (Action, error) {
	path := strings.TrimSuffix(web.Path(r.URL), "/")
	for _, e := range endpoints {
		if path != a.o.Prefix+e.path {
			continue
		}
		do, ok := e.does[r.Method]
		if !ok {
			w.Header().Set("Allow", e.allow)
			return "", errMethod
		}
		return do, nil
	}
	return "", errNoPath
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) (Result, error) {
	do, err := a.action(w, r)
	if err != nil {
		return Result{}, err
	}
	p, in, err := a.authenticate(w, r)
	if err != nil {
		return Result{}, err
	}
	q, err := a.request(do, in)
	if err != nil {
		return Result{}, err
	}
	var result Result
	rev, err := a.engine.Update(r.Context(), func(tx *roster.Txn) error {
		who, err := p.Current(tx)
		if err != nil {
			return err
		}
		result, err = q.do(r.Context(), tx, who)
		return err
	})
	if err == nil && a.o.Logger != nil {
		a.o.Logger.LogAttrs(r.Context(), slog.LevelInfo, "ingress: request done", slog.String("action", string(do)),
			slog.Int("users", result.Users), slog.Int("added", result.Added), slog.Int("dropped", result.Dropped), slog.Uint64("revision", uint64(rev)),
			slog.String("user", p.Username), slog.Uint64("directory", uint64(p.Directory)), slog.String("by", p.By.String()), slog.String("key", p.Key))
	}
	return result, err
}

// authenticate asks who sent a request, and returns its parameters. The body is
// not read for somebody whose headers are wrong. What is wrong with a body is told
// after what is wrong with the key.
func (a *api) authenticate(w http.ResponseWriter, r *http.Request) (access.Principal, params, error) {
	if a.o.Authenticator == nil {
		return access.Principal{}, nil, access.ErrNoKeyID
	}
	scheme := access.Ingress()
	var p access.Principal
	var in params
	var unread error
	known := false
	ask := func(body url.Values) (err error) {
		p, err = a.o.Authenticator.Authenticate(r, body)
		if err == nil && p.By == 0 {
			err = access.ErrDenied
		}
		return err
	}
	if r.Header.Get(scheme.KeyHeaders[0]) != "" || r.Header.Get(scheme.KeyHeaders[1]) != "" {
		if err := ask(nil); err != nil {
			return p, nil, err
		}
		known = true
	}
	in, unread = a.params(w, r)
	if !known {
		if err := ask(in.texts()); err != nil {
			if errors.Is(unread, errTooLarge) || errors.Is(unread, errTooMany) || errors.Is(unread, access.ErrBusy) {
				err = unread // what it holds is not known
			}
			return p, nil, err
		}
	}
	return p, in, unread
}
