package arcgis

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/rosterdb/roster/access"
)

// A session of the directory is a token of package access in a cookie. Its
// audience is another one than that of the API, so that neither is good for the
// other. The cookie is never sent with what another site asks for (SameSite), and
// it lets in a request that may change something only together with the form
// token below.
const (
	sessionCookie   = "roster_arcgis"
	sessionAudience = "arcgis directory"
	formToken       = "csrf"
)

// authenticate finds out who sent the request: by a token of the API, or by a
// session.
func (c *call) authenticate() error {
	who, err := c.o.Authenticator.Authenticate(c.r, c.p.body)
	if err == nil && who.By == 0 {
		err = access.ErrNoCredentials
	}
	if err == nil {
		c.who = who
		return nil
	}
	if !errors.Is(err, access.ErrNoCredentials) {
		return err
	}
	if c.o.Access == nil || !c.findSession() {
		return err
	}
	if c.r.Method == http.MethodPost {
		if err := c.checkForm(); err != nil {
			c.who, c.session = access.Principal{}, ""
			return err
		}
	}
	return nil
}

// findSession looks for a session and reports whether there is one.
func (c *call) findSession() bool {
	cookies := c.r.CookiesNamed(sessionCookie)
	if c.o.Access == nil || len(cookies) != 1 || cookies[0].Value == "" {
		return false
	}
	token := cookies[0].Value
	who, err := c.o.Access.CheckToken(c.r.Context(), token, sessionAudience, access.Binding{Client: c.o.Access.ClientAddr(c.r)})
	if err != nil {
		return false
	}
	c.who, c.session = who, token
	return true
}

// errForm is told when a session sends what is no form of its pages.
var errForm = &apiError{code: http.StatusForbidden, auth: true, messages: []string{"This form is no longer good. Go back, load the page again and send it once more."}}

// checkForm returns an error unless the request is a form that a page of this
// session has sent. A program gets what it would get without the cookie.
func (c *call) checkForm() error {
	given := c.p.body[formToken]
	if len(given) == 1 && subtle.ConstantTimeCompare([]byte(given[0]), []byte(formTokenOf(c.session))) == 1 && c.origins.Check(c.r) == nil {
		return nil
	}
	if c.format == formatHTML {
		return errForm
	}
	return errTokenRequired
}

// formTokenOf returns what every form of a session carries. It follows from the
// token of the session, which pages cannot read, and does not give that away.
func formTokenOf(session string) string {
	sum := sha256.Sum256([]byte("roster arcgis form\x00" + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// signIn begins a session.
func (c *call) signIn() error {
	c.format = formatHTML
	if c.o.Access == nil {
		return errForbidden
	}
	if c.origins.Check(c.r) != nil {
		return errForm
	}
	name, err := c.p.text("username")
	if err != nil {
		return err
	}
	password := c.p.body.Get("password")
	next := c.nextPage()
	if c.p.body.Get("username") == "" || password == "" {
		return c.signInPage(http.StatusForbidden, next, name, "Enter a username and a password.")
	}
	from := c.o.Access.ClientAddr(c.r)
	who, err := c.o.Access.Login(c.r.Context(), name, password, from)
	if errors.Is(err, access.ErrDenied) {
		return c.signInPage(http.StatusForbidden, next, name, "The username or the password is wrong.")
	}
	if err != nil {
		told := c.told(err)
		return c.signInPage(told.status(), next, name, told.messages[0])
	}
	token, _, err := c.o.Access.IssueToken(c.r.Context(), who, access.TokenSpec{Audience: sessionAudience, Life: c.o.SessionLife})
	if err != nil {
		return err
	}
	c.setCookie(token)
	c.w.Header().Set("Location", next)
	c.w.WriteHeader(http.StatusSeeOther) // so that loading the page again does not send the password again
	return nil
}

// nextPage returns where a sign-in leads: the page that asked for it, if it is one
// of the directory. Its path begins as that of the cookie does: for a browser capital
// letters count.
func (c *call) nextPage() string {
	home, next := c.address("", ""), c.p.body.Get("next")
	if segments, ok := c.below(next); ok && !strings.ContainsFunc(next, notInPath) && strings.EqualFold(segments[0], "admin") {
		if op, _ := c.find(segments[1:]); op != nil {
			return home + next[len(home):]
		}
	}
	return home
}

// notInPath reports whether a character stands in no path that a page links to.
func notInPath(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("?#\\", r) }

// signOut ends a session: the browser forgets it, and its token is no longer good. A
// browser would forget it for another site too, which sends no cookie.
func (c *call) signOut() error {
	c.format = formatHTML
	if c.origins.Check(c.r) != nil {
		return errForm
	}
	if c.findSession() {
		if err := c.checkForm(); err != nil {
			return err
		}
	}
	c.setCookie("")
	if c.session != "" {
		err := c.o.Access.EndToken(c.r.Context(), c.session, sessionAudience, access.Binding{Client: c.o.Access.ClientAddr(c.r)})
		if err != nil && !errors.Is(err, access.ErrDenied) { // it may have ended just now
			return err
		}
	}
	c.w.Header().Set("Location", c.address("", ""))
	c.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// setCookie gives the browser a session, or takes it away.
func (c *call) setCookie(token string) {
	cookie := &http.Cookie{
		Name: sessionCookie, Value: token, Path: c.o.Prefix + "/admin",
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: c.o.Secure || c.r.TLS != nil,
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(c.w, cookie)
}
