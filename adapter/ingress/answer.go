package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/web"
)

// Answers say how many memberships changed. Those of a removal and of a drop have
// names of their own for the same number.
type (
	answerAdd struct {
		Message string `json:"message"`
		Added   int    `json:"added"`
	}
	answerReplace struct {
		Message string `json:"message"`
		Added   int    `json:"added"`
		Dropped int    `json:"dropped"`
	}
	answerRemove struct {
		Message string `json:"message"`
		Removed int    `json:"removed"`
	}
	answerDrop struct {
		Message string `json:"message"`
		Dropped int    `json:"dropped"`
	}
)

func (a *api) answer(r Result) any {
	text := ""
	if a.o.Message != nil {
		text = a.o.Message(r)
	}
	if text == "" {
		text = r.text()
	}
	switch r.Action {
	case Add:
		return answerAdd{text, r.Added}
	case Replace:
		return answerReplace{text, r.Added, r.Dropped}
	case Remove:
		return answerRemove{text, r.Dropped}
	}
	return answerDrop{text, r.Dropped}
}

// text is the usual message. There is no singular: none is documented.
func (r Result) text() string {
	past := map[Action]string{Add: "Added", Replace: "Replaced", Remove: "Removed", Drop: "Dropped"}[r.Action]
	switch n := r.Added + r.Dropped; {
	case n == 0:
		return fmt.Sprintf("No User Groups were %s.", past)
	case r.Action == Replace:
		return fmt.Sprintf("%d User Groups were Added and %d User Groups were Dropped for %d Users.", r.Added, r.Dropped, r.Users)
	default:
		return fmt.Sprintf("%d User Groups were %s for %d Users.", n, past, r.Users)
	}
}

// failure is an answer that is an error.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return "ingress: " + f.text }

// The first group is documented, word for word.
var (
	errMissingUsers  = &failure{http.StatusBadRequest, "Missing User IDs"}
	errNoUsers       = &failure{http.StatusBadRequest, "Could not Find Users"}
	errOtherUsers    = &failure{http.StatusBadRequest, "Users Found does not match Users Requested"}
	errMissingGroups = &failure{http.StatusBadRequest, "Missing User Group IDs"}
	errNoGroups      = &failure{http.StatusBadRequest, "Could not Find User Groups"}
	errOtherGroups   = &failure{http.StatusBadRequest, "User Groups Found does not match User Groups Requested"}

	errNoPath   = &failure{http.StatusNotFound, "Endpoint not Found"}
	errMethod   = &failure{http.StatusMethodNotAllowed, "Method not Allowed"}
	errType     = &failure{http.StatusBadRequest, "Unsupported Content-Type"}
	errJSON     = &failure{http.StatusBadRequest, "Invalid JSON"}
	errForm     = &failure{http.StatusBadRequest, "Invalid Form Parameters"}
	errBody     = &failure{http.StatusBadRequest, "Incomplete Request"}
	errTooLarge = &failure{http.StatusRequestEntityTooLarge, "Request is too large"}
	errTooMany  = &failure{http.StatusBadRequest, "Too many Users or User Groups Requested"}
	errInternal = &failure{http.StatusInternalServerError, "Internal Error"}
)

// answers are what the errors of the engine and of package access look like from
// outside. Their own texts are for the log. Of two that fit the first one counts.
var answers = []struct {
	err error
	failure
}{
	{access.ErrNoKeySecret, failure{http.StatusBadRequest, "No API Key Provided"}},
	{access.ErrNoCredentials, failure{http.StatusBadRequest, "No API ID Provided"}},
	{access.ErrThrottled, failure{http.StatusTooManyRequests, "Too many failed Requests"}},
	{access.ErrBusy, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{access.ErrUnavailable, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{access.ErrForbidden, failure{http.StatusBadRequest, "API Key is not permitted for this Endpoint or IP"}},
	{access.ErrDenied, failure{http.StatusBadRequest, "Invalid API Key"}},
	{roster.ErrDiskFull, failure{http.StatusInsufficientStorage, "Disk Full"}},
	{roster.ErrTooLarge, *errTooMany},
	{roster.ErrReadOnly, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{roster.ErrFailed, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{roster.ErrClosed, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{context.Canceled, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
	{context.DeadlineExceeded, failure{http.StatusServiceUnavailable, "Service Unavailable"}},
}

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
		web.LogFailure(a.o.Logger, r, "ingress", f.status, err)
	}
	var wait *access.ThrottledError
	switch {
	case errors.As(err, &wait):
		web.RetryAfter(w.Header(), wait.After)
	case f.status == http.StatusServiceUnavailable:
		web.RetryAfter(w.Header(), 0)
	}
	a.send(w, r, f.status, struct {
		Error string `json:"error"`
	}{f.text})
}

// send writes JSON.
func (a *api) send(w http.ResponseWriter, r *http.Request, status int, answer any) {
	if err := web.Send(w, r, status, answer); err != nil && a.o.Logger != nil {
		a.o.Logger.Error("ingress: answer not written", "error", err)
	}
}
