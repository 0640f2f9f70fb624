package rebilly

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// problem is an error that the caller is told, in the form of RFC 9457.
type problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance"`
	Fields   []invalidField `json:"invalidFields,omitempty"`

	header http.Header
}

// invalidField says what is wrong with a field of the body, or with a parameter.
type invalidField struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (p *problem) Error() string {
	text := "rebilly: " + strconv.Itoa(p.Status) + ": " + p.Detail
	for _, f := range p.Fields {
		text += "; " + f.Field + ": " + f.Message
	}
	return text
}

func problemf(status int, format string, args ...any) *problem {
	return &problem{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// invalid is a 422 about one field.
func invalid(field, format string, args ...any) *problem {
	return invalidFields(invalidField{field, fmt.Sprintf(format, args...)})
}

func invalidFields(fields ...invalidField) *problem {
	return &problem{Status: http.StatusUnprocessableEntity, Detail: "Some of the values cannot be taken: see invalidFields.", Fields: fields}
}

func forbidden(format string, args ...any) *problem {
	return problemf(http.StatusForbidden, format, args...)
}

func notFound(what, id string) *problem {
	return problemf(http.StatusNotFound, "There is no %s %q.", what, clip(id))
}

// clip shortens what the caller sent for a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// known says how errors are answered. The first that fits counts. An empty text
// stands for that of the error itself.
var known = []struct {
	is     error
	status int
	text   string
}{
	{access.ErrNoCredentials, 401, "Send an API key in REB-APIKEY, or a token as Bearer in Authorization."},
	{access.ErrForbidden, 403, "The API key is not for this endpoint or this address."},
	{access.ErrThrottled, 429, "Too many failed logins."},
	{access.ErrBusy, 503, "Too many requests at once: try again later."},
	{access.ErrUnavailable, 503, "The identity source cannot be asked: try again later."},
	{access.ErrDenied, 401, "The credentials are not valid."},
	{roster.ErrCorrupt, 500, fault},
	{roster.ErrLastOwner, 409, "The organization would lose its last owner: make another member an owner first."},
	{roster.ErrExists, 409, ""},
	{roster.ErrConflict, 409, ""},
	{roster.ErrLimit, 409, ""},
	{roster.ErrTooLarge, 413, "The change is too large."},
	{roster.ErrInvalid, 422, ""},
	{roster.ErrNotFound, 404, ""},
	{roster.ErrSearchNotReady, 503, "The search index is being built: try again later."},
	{roster.ErrDiskFull, 507, "There is no room to store the change."},
	{roster.ErrReadOnly, 503, "Nothing can be changed at this time."},
	{roster.ErrFailed, 503, "Nothing can be changed at this time."},
	{roster.ErrClosed, 503, "The service is shutting down."},
	{context.Canceled, 503, "The request was given up."},
	{context.DeadlineExceeded, 503, "The request took too long."},
}

const fault = "Something went wrong here. The request may be sent again."

// fail returns what is answered to an error, and logs those that are not the
// caller's.
func (h *handler) fail(r *http.Request, err error) answer {
	p := h.problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		web.LogFailure(h.o.Logger, r, "rebilly", p.Status, err)
	}
	out := *p // a problem may be shared
	out.Type, out.Title, out.Instance = "about:blank", http.StatusText(p.Status), web.Path(r.URL)
	a := answer{status: p.Status, header: p.header.Clone(), body: &out}
	if strings.Contains(r.Header.Get("Accept"), "application/problem+json") {
		a.set("Content-Type", "application/problem+json")
	}
	return a
}

func (h *handler) problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	for _, k := range known {
		if !errors.Is(err, k.is) {
			continue
		}
		p := problemf(k.status, "%s", k.text)
		if k.text == "" {
			p.Detail = err.Error()
		}
		p.header = http.Header{}
		var wait *access.ThrottledError
		switch {
		case k.status == http.StatusUnauthorized:
			p.header.Set("WWW-Authenticate", `Bearer realm="memberships"`)
		case errors.As(err, &wait):
			p.header.Set(retryAfter, unixAfter(h.o.Now(), wait.After))
		case k.status == http.StatusServiceUnavailable:
			web.RetryAfter(p.header, 0)
		}
		return p
	}
	return problemf(http.StatusInternalServerError, fault)
}

// unixAfter is the first full second at which a time has passed.
func unixAfter(now time.Time, wait time.Duration) string {
	at := now.Add(wait)
	if at.Nanosecond() > 0 {
		at = at.Add(time.Second)
	}
	return strconv.FormatInt(at.Unix(), 10)
}
