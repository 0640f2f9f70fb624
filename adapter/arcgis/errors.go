package arcgis

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

// Codes of the API that are no HTTP status.
const (
	codeInvalidToken  = 498
	codeTokenRequired = 499
)

// apiError is an error as the API tells it.
type apiError struct {
	code     int
	messages []string
	auth     bool // about tokens or rights
	sharing  bool // of an operation that has the sharing envelope whatever the options
	after    time.Duration
}

func (e *apiError) Error() string { return strconv.Itoa(e.code) + " " + strings.Join(e.messages, " ") }

func badRequest(message string) error {
	return &apiError{code: http.StatusBadRequest, messages: []string{message}}
}

func notFound(what, name string) error {
	return &apiError{code: http.StatusNotFound, messages: []string{fmt.Sprintf("%s '%s' does not exist.", what, clip(name))}}
}

// clip keeps a name from outside from filling an answer.
func clip(name string) string {
	const most = 200
	if r := []rune(name); len(r) > most {
		return string(r[:most]) + "…"
	}
	return name
}

var (
	errNoSuchPath    = &apiError{code: http.StatusNotFound, messages: []string{"There is nothing at this address."}}
	errMethod        = &apiError{code: http.StatusMethodNotAllowed, messages: []string{"The method is not supported here."}}
	errTokenRequired = &apiError{code: codeTokenRequired, messages: []string{"Token Required"}, auth: true}
	errInvalidToken  = &apiError{code: codeInvalidToken, messages: []string{"Invalid token."}, auth: true}
	errForbidden     = &apiError{code: http.StatusForbidden, messages: []string{"You do not have permissions to access this resource or perform this operation."}, auth: true}
	errBusy          = &apiError{code: http.StatusServiceUnavailable, messages: []string{"The service is busy. Try again later."}, after: time.Second}
	errUnchangeable  = &apiError{code: http.StatusServiceUnavailable, messages: []string{"Nothing can be changed at the moment."}}
	errInternal      = &apiError{code: http.StatusInternalServerError, messages: []string{"The operation failed. The log of the server says why."}}
)

// answers say how errors of the packages below are told. The first that fits
// counts; what is not here is errInternal, and only the Logger is told of it.
var answers = []struct {
	is error
	as *apiError
}{
	{access.ErrNoCredentials, errTokenRequired},
	{access.ErrDenied, errInvalidToken},
	{access.ErrForbidden, errForbidden},
	{access.ErrThrottled, &apiError{code: http.StatusTooManyRequests, messages: []string{"There were too many failed logins. Try again later."}, auth: true}},
	{access.ErrBusy, errBusy},
	{access.ErrUnavailable, &apiError{code: http.StatusServiceUnavailable, messages: []string{"The identity source cannot be asked. Try again later."}}},
	{ErrTooMuch, &apiError{code: http.StatusConflict, messages: []string{"The identity source would take away so much that nothing was changed. Somebody who runs the server has to look at it and force it."}}},
	{roster.ErrSearchNotReady, &apiError{code: http.StatusServiceUnavailable, messages: []string{"The search index is being built. Try again later, or without a filter."}, after: 5 * time.Second}},
	{roster.ErrDiskFull, &apiError{code: http.StatusServiceUnavailable, messages: []string{"There is no room on the disk of the server. Nothing was changed."}}},
	{roster.ErrReadOnly, errUnchangeable},
	{roster.ErrFailed, errUnchangeable},
	{roster.ErrClosed, errBusy},
	{context.DeadlineExceeded, errBusy},
	{context.Canceled, errBusy},
}

// told returns how an error is told.
func (c *call) told(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	for _, a := range answers {
		if !errors.Is(err, a.is) {
			continue
		}
		if told := a.as.code; told >= http.StatusInternalServerError || told == http.StatusConflict {
			web.LogFailure(c.o.Logger, c.r, "arcgis", told, err)
		}
		told := *a.as
		if wait, ok := errors.AsType[*access.ThrottledError](err); ok {
			told.after = wait.After
		}
		return &told
	}
	web.LogFailure(c.o.Logger, c.r, "arcgis", errInternal.code, err)
	return errInternal
}

// fail answers with an error.
func (c *call) fail(err error) {
	told := c.told(err)
	if told.after > 0 {
		web.RetryAfter(c.w.Header(), told.after)
	}
	if c.format == formatHTML {
		c.errorPage(told)
		return
	}
	status := http.StatusOK
	if c.o.Statuses {
		status = told.status()
	}
	c.writeJSON(status, told.envelope(&c.o))
}

// status is the HTTP status of an error, for pages and for clients that asked.
func (e *apiError) status() int {
	switch e.code {
	case codeInvalidToken, codeTokenRequired:
		return http.StatusUnauthorized
	}
	return e.code
}

type sharingError struct {
	Error struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Details []string `json:"details"`
	} `json:"error"`
}

type adminError struct {
	Status   string   `json:"status"`
	Messages []string `json:"messages"`
	Code     int      `json:"code"`
}

func (e *apiError) envelope(o *Options) any {
	if e.sharing || e.auth && o.AuthEnvelope == SharingEnvelope || o.Statuses {
		var out sharingError
		out.Error.Code, out.Error.Message = e.code, e.messages[0]
		out.Error.Details = append([]string{}, e.messages[1:]...)
		return out
	}
	return adminError{"error", e.messages, e.code}
}
