package web_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/internal/web"
)

func TestLogFailure(t *testing.T) {
	gone, leave := context.WithCancel(context.Background())
	leave()
	here := context.Background()
	for _, c := range []struct {
		ctx    context.Context
		status int
		err    error
		want   slog.Level
	}{
		{here, 500, errors.New("torn"), slog.LevelError}, {here, 507, errors.New("torn"), slog.LevelError}, {here, 503, errors.New("torn"), slog.LevelWarn},
		{here, 409, errors.New("torn"), slog.LevelWarn}, {here, 503, context.Canceled, slog.LevelWarn},
		{gone, 503, fmt.Errorf("torn: %w", context.Canceled), slog.LevelDebug}, {gone, 500, errors.New("torn"), slog.LevelError},
	} {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r := httptest.NewRequestWithContext(c.ctx, http.MethodPut, "/a%20b?token=secret", nil)
		r.Header.Set("Authorization", "secret")
		web.LogFailure(log, r, "x", c.status, c.err)
		got := out.String()
		_, got, _ = strings.Cut(got, " ") // the time
		want := fmt.Sprintf("level=%s msg=\"x: request failed\" method=PUT path=/a%%20b status=%d error=%s\n", c.want, c.status, quote(c.err))
		if got != want {
			t.Errorf("%s is not %s", got, want)
		}
		web.LogFailure(nil, r, "x", c.status, c.err)
	}
	var out strings.Builder
	web.LogFailure(slog.New(slog.NewTextHandler(&out, nil)), httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("x", 50_000), nil), "x", 503, context.Canceled)
	if out.Len() > 1000 {
		t.Errorf("a long path makes %d bytes of log", out.Len())
	}
}

func quote(err error) string {
	if s := err.Error(); strings.Contains(s, " ") {
		return fmt.Sprintf("%q", s)
	}
	return err.Error()
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", -time.Hour: "1", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", time.Minute: "60"} {
		h := http.Header{}
		if web.RetryAfter(h, wait); h.Get("Retry-After") != want {
			t.Errorf("%v: %q, not %s", wait, h.Get("Retry-After"), want)
		}
	}
}
