package arcgis

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster/access"
)

// tokenForm is what generateToken asks for.
var tokenForm = &operation{
	title: "Generate token",
	about: "Issues a token for programs that use this API. A token is good where it was asked for only: for requests with that Referer, or from that address.",
	fields: []field{
		{name: "username", label: "Username", required: true, complete: "username", hint: "Capital letters count."},
		{name: "password", label: "Password", kind: "password", required: true, complete: "current-password"},
		{name: "client", label: "Client", kind: "choice", choices: []string{"referer", "ip", "requestip"}, value: "referer"},
		{name: "referer", label: "Referer", hint: "For the client “referer”: what requests will have as their Referer, or its beginning."},
		{name: "ip", label: "IP address", hint: "For the client “ip”: the address that requests will come from."},
		{name: "expiration", label: "Expiration", hint: "In minutes. More than the longest that is allowed gives the longest.", value: "60"},
	},
}

type tokenAnswer struct {
	Token   string `json:"token"`
	Expires int64  `json:"expires"` // ms since 1970
	SSL     bool   `json:"ssl"`
}

// generateToken answers the operation of that name.
func (c *call) generateToken() error {
	c.op = tokenForm
	if c.r.Method != http.MethodPost {
		if c.format == formatHTML {
			return c.formPage()
		}
		c.w.Header().Set("Allow", http.MethodPost)
		return sharing(errMethod)
	}
	answer, err := c.issueToken()
	switch {
	case err != nil && c.format == formatHTML:
		return c.refusedPage(c.told(err))
	case err != nil:
		return sharing(c.told(err))
	case c.format == formatHTML:
		expires := time.UnixMilli(answer.Expires).UTC().Format("2006-01-02 15:04:05 MST")
		return c.resultPage(&result{note: "The token is shown this once.", facts: []fact{{"Token", answer.Token}, {"Expires", expires}}})
	}
	c.writeJSON(http.StatusOK, answer)
	return nil
}

// sharing returns an error in the envelope of the sharing API.
func sharing(err *apiError) *apiError {
	told := *err
	told.sharing = true
	return &told
}

// noToken is the answer to a token that is not issued, whatever the reason.
func noToken(detail string) error {
	return &apiError{code: http.StatusBadRequest, sharing: true, messages: []string{"Unable to generate token.", detail}}
}

// issueToken reads its parameters from the body alone: a password must not be in
// an address, which is logged.
func (c *call) issueToken() (*tokenAnswer, error) {
	if c.o.Access == nil {
		return nil, noToken("Tokens are not issued here.")
	}
	p := params{body: c.p.body}
	name, err := p.text("username")
	if err != nil {
		return nil, err
	}
	password, err := p.one("password")
	if err != nil {
		return nil, err
	}
	if name == "" || password == "" {
		return nil, noToken("'username' and 'password' must be specified.")
	}
	spec, err := c.tokenSpec(&p)
	if err != nil {
		return nil, err
	}
	ctx := c.r.Context()
	who, err := c.o.Access.Login(ctx, name, password, c.o.Access.ClientAddr(c.r))
	if err == nil && !hasCase(name, who.Username) {
		err = access.ErrDenied
	}
	if errors.Is(err, access.ErrDenied) {
		return nil, noToken("Invalid username or password.")
	}
	if err != nil {
		return nil, err
	}
	token, expires, err := c.o.Access.IssueToken(ctx, who, *spec)
	if errors.Is(err, access.ErrInvalid) {
		return nil, noToken("'referer' cannot be used.")
	}
	if err != nil {
		return nil, err
	}
	return &tokenAnswer{token, expires.UnixMilli(), true}, nil
}

// tokenSpec says what the token is to be good for.
func (c *call) tokenSpec(p *params) (*access.TokenSpec, error) {
	minutes, err := p.count("expiration", 60)
	if err != nil {
		return nil, noToken("'expiration' must be a number of minutes.")
	}
	const century = 100 * 365 * 24 * 60 // longer than any token, and not too long for a Duration
	spec := &access.TokenSpec{Audience: access.ArcGIS().Name, Life: time.Duration(min(minutes, century)) * time.Minute}
	client, err := p.text("client")
	if err != nil {
		return nil, err
	}
	referer, err := p.text("referer")
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(client) {
	case "", "referer":
		if referer == "" {
			return nil, noToken("'referer' must be specified.")
		}
		spec.Referer = referer
	case "ip":
		text, err := p.text("ip")
		if err != nil {
			return nil, err
		}
		if spec.Client, err = netip.ParseAddr(text); err != nil {
			return nil, noToken("'ip' must be an IP address.")
		}
	case "requestip":
		if spec.Client = c.o.Access.ClientAddr(c.r); !spec.Client.IsValid() {
			return nil, noToken("The address of the request is not known.")
		}
	default:
		return nil, noToken("'client' must be referer, ip or requestip, not " + strconv.Quote(clip(client)) + ".")
	}
	return spec, nil
}

// hasCase reports whether a name that found a user is written as the user is,
// capital letters included.
func hasCase(given, username string) bool {
	return given == username || strings.HasSuffix(given, `\`+username) || strings.HasPrefix(given, username+"@")
}
