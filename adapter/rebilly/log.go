package rebilly

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// levelOf is how loud a failure is told: what is wrong here is an error, what may
// go by itself a warning.
func levelOf(status int) slog.Level {
	if status == http.StatusInternalServerError || status == http.StatusInsufficientStorage {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// logged is what the log says of a request that failed. The path holds ids and no
// secrets; the query and the headers may hold anything, and are left out.
func logged(r *http.Request, status int, err error) []slog.Attr {
	if errors.Is(err, context.Canceled) {
		err = context.Canceled
	}
	return []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", status), slog.Any("error", err),
	}
}
