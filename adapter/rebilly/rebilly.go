// Package rebilly serves memberships of organisations by the REST API of Rebilly,
// as its published client rebilly-js-sdk speaks it, with as much of users, roles
// and organisations as that needs to be used alone.
//
//	s, err := access.New(e, access.Options{})
//	...
//	mux.Handle("/rebilly/", rebilly.New(e, rebilly.Options{Authenticator: s.Door(access.Rebilly())}))
//
// # Paths
//
// Below the prefix, as they stand or within an organisation
// (/organizations/{organization}/memberships and so on):
//
//	/memberships                        GET
//	/memberships/{organization}/{user}  GET PUT DELETE
//	/users                              GET POST
//	/users/{user}                       GET PUT
//	/roles                              GET POST
//	/roles/{role}                       GET PUT DELETE
//	/organizations                      GET POST
//	/organizations/{organization}       GET PUT
//
// A user's id is roster.User.UID; an organisation's and a role's is its ID. Within
// an organisation nothing of another is reached. Roles outside of one are those of
// the caller's default organisation.
//
// # Rights
//
// An owner of an organisation, and who has all privileges, may do everything there.
// Who has the permission of an operation (GetMembershipCollection, GetMembership,
// PutMembership, DeleteMembership, GetUserCollection, GetUser, PostUser, PutUser,
// GetRoleCollection, GetRole: the API's own names) may do that, but
//
//   - only an owner makes somebody a member, changes who is an owner, changes or
//     ends the membership of an owner, and changes roles;
//   - nobody else gives permissions that it does not have itself, or changes from
//     where it may come itself.
//
// A membership that allows some networks gives no right from elsewhere. Everybody
// may read its own membership and user record. Rights are looked up in the
// transaction that needs them.
//
// # Lists
//
// Memberships come by organisation and then by username; sort puts something
// before that. Filters by organisation, user, owner and role are computed on the
// engine's sets, so that a page of a million costs what a page of a set costs.
// What needs each record to be read (isDefault, permissions, sorting by fields of
// users) is done for Options.MaxScan memberships, and refused with 422 for more.
package rebilly

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// Options configure the API. The zero value lets nobody in.
type Options struct {
	// Authenticator says who sends a request, as access.Service.Door does with
	// access.Rebilly(). Nil means that nobody gets in.
	Authenticator access.Authenticator

	// Prefix is the path that the handler is mounted below, as it stands in the
	// requests that the handler sees: before /memberships. "" means
	// "/rebilly", "/" that nothing stands there, as behind http.StripPrefix. (What has
	// been stripped is said in access.Scheme.Prefix, for the endpoints of API keys.)
	Prefix string

	// BaseURL stands before the paths in links and in Location, as in
	// "https://api.example.org/rebilly". "" means the prefix: references within
	// the server that was asked. The Host of a request is never used.
	BaseURL string

	// MaxBody is how many bytes a body may have. 0 means 1 MiB.
	MaxBody int64

	// MaxOffset is the largest offset of a list. 0 means 1000, as the API
	// documents it; negative means without limit. A page costs time in proportion
	// to its offset.
	MaxOffset int

	// MaxScan is how many records one list may read to filter or sort by what no
	// set says, and how many organisations it may go through. 0 means 10,000.
	MaxScan int

	// Directory is where new users are made. If there is none of that number, it
	// is the one with the lowest.
	Directory roster.DirectoryID

	// Rate is how many requests a user may make in RatePer, at once or spread. 0
	// means 60,000, negative no limit. RatePer 0 means one minute.
	Rate    int
	RatePer time.Duration

	// RateUsers is for how many users that is remembered; of more, whoever asked
	// least recently is forgotten, and may make all its requests again. 0 means
	// 65,536, of about 150 bytes each.
	RateUsers int

	// Now tells the time for the limit of requests. Nil means time.Now.
	Now func() time.Time

	// Logger is told errors whose cause the caller is not: those answered with
	// status 500 and above. Nil means nothing is logged.
	Logger *slog.Logger
}

// New returns the API over an engine. The handler may be used by any number of
// goroutines, and needs no closing.
func New(e *roster.Engine, o Options) http.Handler {
	o.Prefix = web.Prefix(o.Prefix, "/rebilly")
	if o.BaseURL = strings.TrimRight(o.BaseURL, "/"); o.BaseURL == "" {
		o.BaseURL = o.Prefix
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 1 << 20
	}
	if o.MaxOffset == 0 {
		o.MaxOffset = 1000
	}
	if o.MaxScan <= 0 {
		o.MaxScan = 10_000
	}
	if o.Rate == 0 {
		o.Rate = 60_000
	}
	if o.RatePer <= 0 {
		o.RatePer = time.Minute
	}
	if o.RateUsers <= 0 {
		o.RateUsers = 1 << 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &handler{e: e, o: o, limit: newLimiter(o.Rate, o.RatePer, o.RateUsers)}
}

type handler struct {
	e     *roster.Engine
	o     Options
	limit *limiter
}

// call is one request under way.
type call struct {
	h     *handler
	r     *http.Request
	ctx   context.Context
	p     access.Principal
	scope string   // the organisation that the path is within, "" for none
	ids   []string // of the path
	query params
	body  object
	read  int // records of users, for what no set says
}

// answer is what is sent back. A nil body is none.
type answer struct {
	status int
	header http.Header
	body   any
}

func (a *answer) set(name, value string) {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := http.Header{}
	a, err := h.serve(w, r, header)
	if err != nil {
		a = h.fail(r, err)
	}
	for name, values := range a.header {
		header[name] = values
	}
	var body []byte
	if a.body != nil {
		if body, err = json.Marshal(a.body); err != nil {
			a = h.fail(r, err)
			body, _ = json.Marshal(a.body)
		}
	}
	to := w.Header()
	for name, values := range header {
		to[name] = values
	}
	to.Set("Cache-Control", "no-store")
	to.Set("X-Content-Type-Options", "nosniff")
	if a.body != nil {
		if to.Get("Content-Type") == "" {
			to.Set("Content-Type", "application/json")
		}
		to.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// serve answers a request. Header is for what belongs to errors too.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, header http.Header) (answer, error) {
	c := call{h: h, r: r, ctx: r.Context()}
	to, err := c.route()
	if err != nil {
		return answer{}, err
	}
	do, err := to.method(r.Method, header)
	if err != nil || do.op == nil {
		return answer{status: http.StatusNoContent}, err
	}
	if h.o.Authenticator == nil {
		return answer{}, access.ErrNoCredentials
	}
	if c.p, err = h.o.Authenticator.Authenticate(r, nil); err != nil {
		return answer{}, err
	}
	if c.p.By == 0 {
		return answer{}, access.ErrDenied
	}
	if err := h.limit.take(c.p.User, h.o.Now(), header); err != nil {
		return answer{}, err
	}
	if c.query, err = parseQuery(r.URL.RawQuery); err != nil {
		return answer{}, err
	}
	if do.body {
		if c.body, err = readObject(w, r, h.o.MaxBody); err != nil {
			return answer{}, err
		}
	}
	return do.op(&c)
}

// view runs fn on one revision.
func (c *call) view(fn func(tx *roster.Txn) error) error { return c.h.e.View(c.ctx, c.asNow(fn)) }

// update runs fn in the one transaction of the request.
func (c *call) update(fn func(tx *roster.Txn) error) error {
	_, err := c.h.e.Update(c.ctx, c.asNow(fn))
	return err
}

// asNow is fn for the caller as the transaction knows it.
func (c *call) asNow(fn func(tx *roster.Txn) error) func(tx *roster.Txn) error {
	return func(tx *roster.Txn) (err error) {
		if c.p, err = c.p.Current(tx); err != nil {
			return err
		}
		return fn(tx)
	}
}
