// Package apitest is what the tests of the HTTP APIs share: transcripts of requests
// and answers, a clock, a log and requests as a server gets them.
package apitest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/roster/access"
)

// Clock stands still until time is passed. It may be used by any number of goroutines.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

// NewClock returns a clock that shows a time.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Pass puts the clock forward, or back.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log keeps what is written to it, by any number of goroutines.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Request returns a request as a server gets it: nothing in its path is resolved or
// decoded, and how long its body is, is not known. It panics if the target has no path
// that a server would take.
func Request(method, target, body string) *http.Request {
	r := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(body)))
	path, query, _ := strings.Cut(target, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		panic(err)
	}
	r.Method, r.RequestURI = method, target
	r.URL = &url.URL{Path: plain, RawPath: path, RawQuery: query}
	r.RemoteAddr = "192.0.2.7:999"
	return r
}

// Between is an Authenticator after which something happens, before the adapter goes
// on with the request.
type Between struct {
	access.Authenticator
	Then func()
}

// Authenticate implements access.Authenticator.
func (b Between) Authenticate(r *http.Request, body url.Values) (access.Principal, error) {
	p, err := b.Authenticator.Authenticate(r, body)
	b.Then()
	return p, err
}
