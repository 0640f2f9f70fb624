// Package crowd serves an engine by the REST API with which Atlassian Crowd Data
// Center lets administrators of groups change who is in them.
//
//	s, err := access.New(e, access.Options{})
//	...
//	mux.Handle("/crowd/", crowd.New(e, crowd.Options{Authenticator: s.Door(access.Crowd())}))
//
// # Calls
//
// Below [Options.Prefix], "/crowd" unless said otherwise, and /rest/admin/1.0; the
// same below /rest/rest/admin and with "latest" for the version. A slash at the end
// makes no difference:
//
//	POST        users/search?start&limit                      {"search","directoryIds","active","avatarSizeHint"}
//	POST DELETE users/{user}/groups                           {"ids": [group ...]}
//	POST DELETE groups/{group}/users                          {"ids": [user ...]}
//	GET         groups/{group}/users?start&limit              direct members
//	GET         groups/{group}/users/suggestions?search&start&limit
//	GET         groups/{group}
//	POST        groups/query?start&limit                      {"search","directoryIds","active"}
//	GET         group/search/{directory}?term&active&start&limit
//	GET  POST   group/{group}/groups                          {"ids": [group ...]}
//	GET  POST   group-level-admin/{group}/admins              [{"id","type"} ...]
//	GET         group-level-admin/{group}/admins/suggestions?search&start&limit
//	DELETE      group-level-admin/{group}/admins/users/{user}
//	DELETE      group-level-admin/{group}/admins/groups/{group}
//	GET         directory/managed
//
// Users and groups are named by <directory>-<base64url of the name>. Everything
// else is 404, another method of these 405. docs/crowd.md says what answers look
// like and what was decided where Crowd's documentation is silent.
//
// # Who may do what
//
// Nobody without an Authenticator. Then: administrators of a group see it and
// change its members, among the users of its directory; whom they find are the
// users of the directories of their groups. Accounts with all privileges may do
// everything; they alone appoint administrators, unless Options.Appoint says
// otherwise. Within directories in which somebody administers nothing, all names
// are forbidden, whether they exist or not.
//
// Rights are decided in the transaction that reads or changes. A request that
// changes something is one Update, however many of its entities fail.
package crowd

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// Options configure a handler. The zero Options let nobody in.
type Options struct {
	// Authenticator says who asks: a Door for access.Crowd, or one of the host's.
	// Nil denies everybody.
	Authenticator access.Authenticator

	// Prefix is the path that the handler is mounted below, as it stands in the
	// requests that the handler sees: before /rest/admin. "" means
	// "/crowd", "/" that nothing stands there, as behind http.StripPrefix. (What has
	// been stripped is said in access.Scheme.Prefix, for the endpoints of API keys.)
	Prefix string

	// Sessions, a *access.Service, makes sessions: who comes with a password and
	// without a session gets one in the cookie crowd.token_key, for requests that
	// follow. A request with that cookie alone that is not a GET or HEAD needs the
	// header "X-Atlassian-Token: no-check" too. Nil makes none.
	Sessions Sessions
	// SessionLife is how long a session lasts. 0 means what Sessions takes for that.
	SessionLife time.Duration
	// InsecureCookie lets browsers send the cookie without TLS.
	InsecureCookie bool

	// Idempotent makes adding a member, and removing one that is none, a success.
	// By default it is a failure with a reason.
	Idempotent bool

	// Appoint lets administrators of a group appoint and dismiss others.
	Appoint bool

	// Avatar returns where the picture of a user is, about size pixels wide, 0 if
	// that was not said, or "" for none. It must be quick, and safe for concurrent
	// use; what it is given is its own. Nil means that there are none.
	Avatar func(u roster.User, size int) string

	// MaxBody is how many bytes a body may have. 0 means 8 MiB.
	MaxBody int64

	// PageLimit is how many entities a page holds if nobody says how many, and
	// MaxLimit how many at most: who asks for more gets a page of so many, which
	// says so. 0 means 50, and 100,000.
	PageLimit, MaxLimit int

	// Realm is what Basic authentication asks for a password of. "" means Crowd.
	Realm string

	// Logger is told of every change and who made it at level info, and of errors
	// of the program at level error. Nothing that was presented is logged. Nil
	// means nothing is.
	Logger *slog.Logger
}

// Sessions issues tokens. A *access.Service does.
type Sessions interface {
	IssueToken(ctx context.Context, p access.Principal, spec access.TokenSpec) (token string, expires time.Time, err error)
}

// New returns the API over an engine, which must stay open while it is served.
// The handler may be used by any number of goroutines.
func New(engine *roster.Engine, o Options) http.Handler {
	o.Prefix = web.Prefix(o.Prefix, "/crowd")
	if o.MaxBody == 0 {
		o.MaxBody = 8 << 20
	}
	if o.PageLimit == 0 {
		o.PageLimit = 50
	}
	if o.MaxLimit == 0 {
		o.MaxLimit = 100_000
	}
	if o.Realm == "" {
		o.Realm = "Crowd"
	}
	return &api{engine: engine, o: o}
}

type api struct {
	engine *roster.Engine
	o      Options
}

// call is one request of somebody who was let in.
type call struct {
	*api
	w    http.ResponseWriter
	r    *http.Request
	p    access.Principal
	args []string // what stands in the path for {}, unescaped
}

// ServeHTTP finds the call, asks who it is, and answers.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	answer, err := a.serve(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.write(w, r, answer)
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) (any, error) {
	at, args := a.route(web.Path(r.URL))
	if at == nil {
		return nil, errNoCall
	}
	do := at.method(r.Method)
	if do == nil {
		w.Header().Set("Allow", at.allow())
		return nil, errMethod
	}
	if a.o.Authenticator == nil {
		return nil, access.ErrNoCredentials
	}
	p, err := a.o.Authenticator.Authenticate(r, nil)
	if err != nil {
		return nil, err
	}
	if p.By == 0 {
		return nil, access.ErrDenied
	}
	c := &call{api: a, w: w, r: r, p: p, args: args}
	c.session()
	return do(c)
}

// view reads one revision, as somebody who may still do so.
func (c *call) view(fn func(tx *roster.Txn, who access.Principal) error) error {
	return c.engine.View(c.r.Context(), func(tx *roster.Txn) error {
		who, err := c.p.Current(tx)
		if err != nil {
			return err
		}
		return fn(tx, who)
	})
}

// change makes what a request changes one record of the log.
func (c *call) change(fn func(tx *roster.Txn, who access.Principal) error) error {
	rev, err := c.engine.Update(c.r.Context(), func(tx *roster.Txn) error {
		who, err := c.p.Current(tx)
		if err != nil {
			return err
		}
		return fn(tx, who)
	})
	if err == nil && c.o.Logger != nil {
		c.o.Logger.LogAttrs(c.r.Context(), slog.LevelInfo, "crowd: request done",
			slog.String("method", c.r.Method), slog.String("path", web.LoggedPath(c.r.URL)), slog.Uint64("revision", uint64(rev)),
			slog.String("user", c.p.Username), slog.Uint64("directory", uint64(c.p.Directory)), slog.String("by", c.p.By.String()))
	}
	return err
}
