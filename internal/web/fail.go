package web

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"
)

// LogFailure tells a log, which may be nil, of a request to an API that was not
// carried out though whoever asked may have done nothing wrong: as an error what is
// wrong here, as a warning what may go by itself, and in a low voice that whoever
// asked has gone. The path holds names and no secrets; the query and the headers may
// hold anything, and are left out.
func LogFailure(log *slog.Logger, r *http.Request, api string, status int, err error) {
	level := slog.LevelWarn
	switch {
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		level = slog.LevelDebug
	case status == http.StatusInternalServerError || status == http.StatusInsufficientStorage:
		level = slog.LevelError
	}
	if log == nil || !log.Enabled(r.Context(), level) {
		return
	}
	log.LogAttrs(r.Context(), level, api+": request failed", slog.String("method", r.Method),
		slog.String("path", LoggedPath(r.URL)), slog.Int("status", status), slog.Any("error", err))
}

// RetryAfter says in the header of an answer when to ask again: after some full
// seconds, one at least.
func RetryAfter(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(wait.Seconds(), 1)))))
}
