package access

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/rosterdb/roster/internal/web"
)

// Authenticator says who sent a request. A *Door is one; a host program may bring
// its own, whose principals are ByHost and name their user; see Principal.
type Authenticator interface {
	// Authenticate returns who sent r, or an error: one that wraps
	// ErrNoCredentials when there are none, ErrDenied, ErrForbidden, ErrThrottled
	// or ErrBusy as it may be; any other is the program's fault. Body holds the
	// parameters of the body as the adapter has read them, nil if there are none;
	// the body itself must not be read. It must be safe for concurrent use.
	Authenticate(r *http.Request, body url.Values) (Principal, error)
}

// Scheme says where an API looks for which credentials. The fields that are not
// zero are tried in the order in which they stand here, and the first credential
// that is found is the one that counts: a wrong one is not made good by another.
// The same field given twice with different values is ErrDenied.
type Scheme struct {
	Name string // of the API: the audience of its tokens

	// TokenParam is the parameter that holds a token: in the body, and after the
	// headers in the query of a GET or HEAD. In the query of anything that
	// changes something it does not count, so that no other site can make a
	// browser send it.
	TokenParam string
	// BodyOnly makes the body the only place for a token.
	BodyOnly bool
	// TokenHeaders hold "Bearer" and a token.
	TokenHeaders []string
	// BearerKeys makes the secret of an API key good in place of a token.
	BearerKeys bool

	// KeyHeader holds the secret of an API key.
	KeyHeader string
	// KeyHeaders, and then each of KeyParams, name what holds the ID and the secret
	// of an API key: headers, and parameters of the body or the query.
	KeyHeaders [2]string
	KeyParams  [][2]string

	// Basic takes a name and a password by HTTP Basic.
	Basic bool

	// Cookie holds a token. A browser sends it whoever asked for that, so a
	// request that may change something must bring CookieHeader with CookieValue
	// too.
	Cookie, CookieHeader, CookieValue string

	// Prefix is what has been taken away from the path before the handler sees it,
	// as http.StripPrefix does: endpoints of API keys are held to the whole path, so
	// it is put back for them. "" means nothing. It is not the Prefix of an
	// adapter's Options, which says what stands in the path that the handler sees.
	Prefix string
}

// ArcGIS is a token in the body, in a header, or in the query of a GET.
func ArcGIS() Scheme {
	return Scheme{Name: "arcgis", TokenParam: "token", TokenHeaders: []string{"Authorization", "X-Esri-Authorization"}}
}

// Rebilly is an API key in the header REB-APIKEY, or a token or an API key as
// Bearer.
func Rebilly() Scheme {
	return Scheme{Name: "rebilly", TokenHeaders: []string{"Authorization"}, BearerKeys: true, KeyHeader: "REB-APIKEY"}
}

// Crowd is Basic, a token as Bearer, or one in the cookie of a session.
func Crowd() Scheme {
	return Scheme{
		Name: "crowd", TokenHeaders: []string{"Authorization"}, Basic: true,
		Cookie: "crowd.token_key", CookieHeader: "X-Atlassian-Token", CookieValue: "no-check",
	}
}

// Ingress is the ID and the secret of an API key, in headers or in parameters.
func Ingress() Scheme {
	return Scheme{
		Name: "ingress", KeyHeaders: [2]string{"tld-api-id", "tld-api-key"},
		KeyParams: [][2]string{{"api", "apikey"}, {"api_id", "api_key"}},
	}
}

// Door is the way into one API.
type Door struct {
	s      *Service
	scheme Scheme
}

// Door returns an Authenticator that takes the credentials of a scheme, whose
// lists must not be changed afterwards.
func (s *Service) Door(scheme Scheme) *Door { return &Door{s, scheme} }

// ClientAddr returns where a request comes from; see the function of that name.
func (s *Service) ClientAddr(r *http.Request) netip.Addr { return ClientAddr(r, s.o.TrustedProxies) }

// Authenticate implements Authenticator. Its errors are those of Login, LoginKey
// and CheckToken, and ErrNoCredentials, ErrNoKeyID and ErrNoKeySecret.
func (d *Door) Authenticate(r *http.Request, body url.Values) (Principal, error) {
	q := question{Door: d, r: r, body: body, client: d.s.ClientAddr(r)}
	for _, try := range []func() (Principal, bool, error){q.token, q.keyHeader, q.keyPair, q.basic, q.cookie} {
		if p, found, err := try(); found {
			return p, err
		}
	}
	if d.scheme.takesPairs() {
		return Principal{}, ErrNoKeyID
	}
	return Principal{}, ErrNoCredentials
}

func (s *Scheme) takesPairs() bool { return s.KeyHeaders[0] != "" || len(s.KeyParams) > 0 }

// question is a request at a door.
type question struct {
	*Door
	r      *http.Request
	body   url.Values
	query  url.Values // once asked for
	client netip.Addr
}

// one returns the value of a field, "" for none. A field that is given twice with
// different values is contradictory.
func one(values []string) (value string, ok bool) {
	for _, v := range values {
		switch v = strings.TrimSpace(v); {
		case v == "" || v == value:
		case value != "":
			return "", false
		default:
			value = v
		}
	}
	return value, true
}

// header returns the value of a header, whose name may be written in any way.
func (q *question) header(name string) (string, bool) {
	return one(q.r.Header.Values(name))
}

// param returns a parameter of the body, or of the query.
func (q *question) param(name string) (string, bool) {
	if v, ok := one(q.body[name]); !ok || v != "" {
		return v, ok
	}
	return one(q.queryValues()[name])
}

func (q *question) queryValues() url.Values {
	if q.query == nil {
		q.query, _ = url.ParseQuery(q.r.URL.RawQuery) // what cannot be read is no credential
	}
	return q.query
}

// safe reports whether a request changes nothing.
func (q *question) safe() bool {
	return q.r.Method == http.MethodGet || q.r.Method == http.MethodHead
}

func (q *question) token() (Principal, bool, error) {
	s := &q.scheme
	if s.TokenParam != "" {
		if v, ok := one(q.body[s.TokenParam]); !ok || v != "" {
			return q.checkToken(v, ok, false)
		}
	}
	if s.BodyOnly {
		return Principal{}, false, nil
	}
	for _, name := range s.TokenHeaders {
		v, ok := q.header(name)
		scheme, token, _ := strings.Cut(v, " ")
		if !ok || strings.EqualFold(scheme, "Bearer") {
			return q.checkToken(strings.TrimSpace(token), ok, s.BearerKeys)
		}
	}
	if s.TokenParam != "" && q.safe() {
		if v, ok := one(q.queryValues()[s.TokenParam]); !ok || v != "" {
			return q.checkToken(v, ok, false)
		}
	}
	return Principal{}, false, nil
}

func (q *question) checkToken(token string, ok, keys bool) (Principal, bool, error) {
	if !ok || token == "" {
		return Principal{}, true, ErrInvalidToken
	}
	ctx := q.r.Context()
	if keys && isRandom(token) {
		p, err := q.s.LoginKey(ctx, "", token, q.use())
		return p, true, err
	}
	p, err := q.s.CheckToken(ctx, token, q.scheme.Name, Binding{Referer: q.r.Referer(), Client: q.client})
	if err != nil && keys && !looksLikeToken(token) {
		p, err = q.s.LoginKey(ctx, "", token, q.use())
	}
	return p, true, err
}

// looksLikeToken reports whether a text has the form of a token, whoever signed
// it. Such a text is not tried as a secret.
func looksLikeToken(text string) bool {
	b, err := tokenText.DecodeString(text)
	if err != nil || len(b) < 1+4+macBytes || b[0] != tokenVersion {
		return false
	}
	_, err = decodeClaims(b[:len(b)-macBytes])
	return err == nil
}

// use is what API keys are limited by.
func (q *question) use() KeyUse {
	return KeyUse{Path: q.scheme.Prefix + web.Path(q.r.URL), Client: q.client}
}

func (q *question) keyHeader() (Principal, bool, error) {
	if q.scheme.KeyHeader == "" {
		return Principal{}, false, nil
	}
	secret, ok := q.header(q.scheme.KeyHeader)
	if !ok {
		return Principal{}, true, ErrDenied
	}
	if secret == "" {
		return Principal{}, false, nil
	}
	p, err := q.s.LoginKey(q.r.Context(), "", secret, q.use())
	return p, true, err
}

// keyPair looks for the ID and the secret of a key in one place after the other.
// Both have to be in the same.
func (q *question) keyPair() (Principal, bool, error) {
	var id, secret string
	ok := true
	if n := q.scheme.KeyHeaders; n[0] != "" {
		id, secret, ok = pair(q.header, n)
	}
	for _, n := range q.scheme.KeyParams {
		if !ok || id != "" || secret != "" {
			break
		}
		id, secret, ok = pair(q.param, n)
	}
	switch {
	case !ok:
		return Principal{}, true, ErrDenied
	case id == "" && secret == "":
		return Principal{}, false, nil
	case id == "":
		return Principal{}, true, ErrNoKeyID
	case secret == "":
		return Principal{}, true, ErrNoKeySecret
	}
	p, err := q.s.LoginKey(q.r.Context(), id, secret, q.use())
	return p, true, err
}

func pair(of func(string) (string, bool), names [2]string) (id, secret string, ok bool) {
	id, ok1 := of(names[0])
	secret, ok2 := of(names[1])
	return id, secret, ok1 && ok2
}

func (q *question) basic() (Principal, bool, error) {
	if !q.scheme.Basic {
		return Principal{}, false, nil
	}
	v, ok := q.header("Authorization")
	if ok && v == "" {
		return Principal{}, false, nil
	}
	name, password, readable := q.r.BasicAuth()
	if !ok || !readable {
		return Principal{}, true, ErrDenied
	}
	p, err := q.s.Login(q.r.Context(), name, password, q.client)
	return p, true, err
}

func (q *question) cookie() (Principal, bool, error) {
	if q.scheme.Cookie == "" {
		return Principal{}, false, nil
	}
	var values []string
	for _, c := range q.r.CookiesNamed(q.scheme.Cookie) {
		values = append(values, c.Value)
	}
	token, ok := one(values)
	if ok && token == "" {
		return Principal{}, false, nil
	}
	if n := q.scheme.CookieHeader; !q.safe() && n != "" {
		if v, _ := q.header(n); !strings.EqualFold(v, q.scheme.CookieValue) {
			return Principal{}, true, ErrInvalidToken
		}
	}
	return q.checkToken(token, ok, false)
}
