package arcgis

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// DefaultOrganization is the ID that ArcGIS Enterprise gives to the one
// organisation of a deployment.
const DefaultOrganization = "0123456789ABCDEF"

// Options configure the API. Without Access and Authenticator nobody gets in.
type Options struct {
	// Access checks names and passwords for generateToken and for the sign-in of
	// the directory, and keeps the passwords of users that createUser makes. Nil:
	// these three do not work.
	Access *access.Service

	// Authenticator says who sent a request of the API. Nil means the Door of
	// Access for access.ArcGIS.
	Authenticator access.Authenticator

	// Prefix is the path that the handler is mounted below, as it stands in the
	// requests that the handler sees: before /admin and /sharing. "" means
	// "/arcgis", "/" that nothing stands there, as behind http.StripPrefix. (What has
	// been stripped is said in access.Scheme.Prefix, for the endpoints of API keys.)
	Prefix string

	// Organization is the ID under which all of the engine is one organisation.
	// "" means DefaultOrganization. The organisations of the engine are found
	// under their own IDs beside it.
	Organization string

	// Sources are the identity sources by the names of their directories. Without
	// one the operations refreshMembership answer that there is none. The map must
	// not be changed afterwards.
	Sources map[string]Refresher

	// Store is what the operation config shows.
	Store IdentityStore

	// BuiltIn is the name of the directory in which createUser makes users with a
	// password; it is made when the first of them is. "" means "ArcGIS". It must
	// not be one that has a source.
	BuiltIn string

	// DirectOnly leaves out the members of nested groups, for identity stores that
	// are configured without nesting.
	DirectOnly bool

	// StrictUsers makes refreshMembership fail for names that neither the engine
	// nor a source has, after everybody else has been refreshed.
	StrictUsers bool

	// AuthEnvelope is the form of errors about tokens and rights.
	AuthEnvelope Envelope

	// Statuses gives JSON errors their HTTP status too: 401 for 498 and 499. All
	// of them have the sharing envelope then.
	Statuses bool

	// MaxCount bounds the parameter of that name; more gives as many. 0: no bound.
	MaxCount int

	// MaxBody is the longest body in bytes that is read. 0 means 16 MiB.
	MaxBody int64

	// MaxNames is the most names in one list. 0 means 200,000.
	MaxNames int

	// SessionLife is how long a sign-in to the directory lasts at most; it ends
	// with the browser too. 0 means 8 hours. Access bounds it by MaxTokenLife.
	SessionLife time.Duration

	// Secure says that browsers come by https even where the request does not show
	// it, behind a proxy that ends TLS: the cookie is never sent otherwise then.
	Secure bool

	// Logger is told of changes and of errors that are answered with a fixed text.
	// Nil: nobody is.
	Logger *slog.Logger

	// Now tells the time. Nil means time.Now.
	Now func() time.Time
}

// Envelope is a form of JSON errors.
type Envelope uint8

// The forms of errors about tokens and rights. Errors of operations always have
// the admin envelope.
const (
	// SharingEnvelope is {"error":{"code":498,"message":"…","details":[]}}, the
	// one by which clients know that they need another token.
	SharingEnvelope Envelope = iota
	// AdminEnvelope is {"status":"error","messages":["…"],"code":498}.
	AdminEnvelope
)

// api is the handler.
type api struct {
	e *roster.Engine
	o Options

	operations []*operation
	resources  []*operation
	origins    *http.CrossOriginProtection // for what a cookie lets in
}

// New returns the API of an engine. The handler may be used by any number of
// goroutines and needs no closing.
func New(e *roster.Engine, o Options) http.Handler {
	o.Prefix = web.Prefix(o.Prefix, "/arcgis")
	if o.Organization == "" {
		o.Organization = DefaultOrganization
	}
	if o.BuiltIn == "" {
		o.BuiltIn = "ArcGIS"
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 16 << 20
	}
	if o.MaxNames <= 0 {
		o.MaxNames = 200_000
	}
	if o.SessionLife <= 0 {
		o.SessionLife = 8 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Authenticator == nil {
		o.Authenticator = closed{}
		if o.Access != nil {
			o.Authenticator = o.Access.Door(access.ArcGIS())
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{e: e, o: o, origins: http.NewCrossOriginProtection()}
	a.operations = slices.Concat(userOperations(), groupOperations())
	a.resources = resources()
	return a
}

// closed lets nobody in.
type closed struct{}

func (closed) Authenticate(*http.Request, url.Values) (access.Principal, error) {
	return access.Principal{}, access.ErrNoCredentials
}
