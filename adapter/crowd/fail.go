package crowd

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// failure is an answer that is not what was asked for.
type failure struct {
	status  int
	reason  string // for programs
	message string // for people
}

func (f *failure) Error() string { return "crowd: " + f.message }

func badRequest(message string) error {
	return &failure{http.StatusBadRequest, "ILLEGAL_ARGUMENT", message}
}

var (
	errNoCall      = &failure{http.StatusNotFound, "RESOURCE_NOT_FOUND", "There is no such resource."}
	errMethod      = &failure{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "The method is not allowed here."}
	errContentType = &failure{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json."}
	errTooLarge    = &failure{http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", "The request is too large."}
	errForbidden   = &failure{http.StatusForbidden, "PERMISSION_DENIED", "You may not do that."}
	errNoUser      = &failure{http.StatusNotFound, "USER_NOT_FOUND", "The user does not exist."}
	errNoGroup     = &failure{http.StatusNotFound, "GROUP_NOT_FOUND", "The group does not exist."}
	errNoDirectory = &failure{http.StatusNotFound, "DIRECTORY_NOT_FOUND", "The directory does not exist."}
	errNoAdmin     = &failure{http.StatusNotFound, "ADMIN_NOT_FOUND", "The entity does not administer the group."}
	errInternal    = &failure{http.StatusInternalServerError, "OPERATION_FAILED", "The server could not carry out the request."}
)

// answers are what the errors of the engine and of package access look like from
// outside. Their own texts are for the log.
var answers = []struct {
	err error
	failure
}{
	{access.ErrThrottled, failure{http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "Too many failed logins. Try again later."}},
	{access.ErrBusy, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "Too many requests at once. Try again later."}},
	{access.ErrUnavailable, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "Logins cannot be checked just now. Try again later."}},
	{access.ErrForbidden, failure{http.StatusForbidden, "PERMISSION_DENIED", "You may not do that."}},
	{access.ErrNoCredentials, failure{http.StatusUnauthorized, "UNAUTHORIZED", "You have to log in."}},
	{access.ErrDenied, failure{http.StatusUnauthorized, "UNAUTHORIZED", "The login is not valid."}},
	{roster.ErrSearchNotReady, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The search index is being built. Try again later."}},
	{roster.ErrDiskFull, failure{http.StatusInsufficientStorage, "OPERATION_FAILED", "There is no room on the server's disk."}},
	{roster.ErrReadOnly, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The server is read-only."}},
	{roster.ErrFailed, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The server cannot write."}},
	{roster.ErrClosed, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The server is being stopped."}},
	{roster.ErrTooLarge, *errTooLarge},
	{roster.ErrLimit, failure{http.StatusBadRequest, "LIMIT_EXCEEDED", "The groups would be nested too deeply, or too many in one."}},
	{roster.ErrInvalid, failure{http.StatusBadRequest, "ILLEGAL_ARGUMENT", "A value is not valid."}},
	{context.Canceled, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The request was given up."}},
	{context.DeadlineExceeded, failure{http.StatusServiceUnavailable, "UNAVAILABLE", "The request took too long."}},
}

// answerTo returns what an error looks like from outside.
func answerTo(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	for i := range answers {
		if errors.Is(err, answers[i].err) {
			return &answers[i].failure
		}
	}
	return errInternal
}

// fail answers a request with an error.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := answerTo(err)
	if f.status >= http.StatusInternalServerError {
		web.LogFailure(a.o.Logger, r, "crowd", f.status, err)
	}
	var wait *access.ThrottledError
	switch {
	case errors.As(err, &wait):
		web.RetryAfter(w.Header(), wait.After)
	case f.status == http.StatusServiceUnavailable:
		web.RetryAfter(w.Header(), 0)
	case f.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Basic realm="+quoted(a.o.Realm)+`, charset="UTF-8"`)
	}
	a.send(w, r, f.status, struct {
		Reason   string   `json:"reason"`
		Message  string   `json:"message"`
		Messages []string `json:"errorMessages"`
	}{f.reason, f.message, []string{f.message}})
}

// quoted writes a text between quotes as headers want it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s) + `"`
}

// write answers with what was asked for; nil is nothing to say.
func (a *api) write(w http.ResponseWriter, r *http.Request, answer any) {
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	a.send(w, r, http.StatusOK, answer)
}

// send writes JSON. No transaction is open meanwhile: a client may read as slowly
// as it likes.
func (a *api) send(w http.ResponseWriter, r *http.Request, status int, answer any) {
	if err := web.Send(w, r, status, answer); err != nil && a.o.Logger != nil {
		a.o.Logger.Error("crowd: answer not written", "error", err)
	}
}
