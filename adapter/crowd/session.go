package crowd

import (
	"log/slog"
	"net/http"

	"github.com/rosterdb/roster/access"
)

// session gives who came with a password the cookie of a session, unless the
// request brings one: clients that keep cookies get one, not one each time.
func (c *call) session() {
	if c.o.Sessions == nil || c.p.By != access.ByPassword {
		return
	}
	scheme := access.Crowd()
	if len(c.r.CookiesNamed(scheme.Cookie)) > 0 {
		return
	}
	token, expires, err := c.o.Sessions.IssueToken(c.r.Context(), c.p, access.TokenSpec{Audience: scheme.Name, Life: c.o.SessionLife})
	if err != nil {
		if c.o.Logger != nil { // the password is good for this request without a session
			c.o.Logger.LogAttrs(c.r.Context(), slog.LevelWarn, "crowd: no session was made", slog.String("user", c.p.Username), slog.Any("error", err))
		}
		return
	}
	http.SetCookie(c.w, &http.Cookie{
		Name: scheme.Cookie, Value: token, Path: c.o.Prefix + "/", Expires: expires,
		HttpOnly: true, Secure: !c.o.InsecureCookie, SameSite: http.SameSiteStrictMode,
	})
}
