package rebilly_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// TestLimiter: a bucket fills steadily, up to its size, and never above.
func TestLimiter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 500, time.UTC)
	l := rebilly.NewLimiter(3, 30*time.Second, 2)
	take := func(u roster.UserID, want bool, remaining int) {
		t.Helper()
		h, ok := l.Take(u, now)
		if ok != want || h.Get("X-RateLimit-Limit") != "3" || h.Get("X-RateLimit-Remaining") != strconv.Itoa(remaining) {
			t.Errorf("%v: %v %v", u, ok, h)
		}
	}
	take(1, true, 2)
	take(1, true, 1)
	take(1, true, 0)
	take(1, false, 0)
	take(2, true, 2)
	now = now.Add(9 * time.Second)
	take(1, false, 0)
	now = now.Add(time.Second)
	take(1, true, 0)
	now = now.Add(-time.Hour) // a clock that is set back gives and takes nothing
	take(1, false, 0)
	now = now.Add(24 * time.Hour)
	take(1, true, 2)
	take(2, true, 2)
	take(1, true, 1)
	take(3, true, 2) // forgets 2, who asked before 1 did
	take(1, true, 0)
	if n, m := l.Len(); n != 2 || m != 2 {
		t.Errorf("%d, %d buckets", n, m)
	}
	take(2, true, 2) // forgets 3
	take(1, false, 0)
}

// TestLimiterIsBounded: whoever asks, and however many at once, no more requests
// pass than the bucket holds, and no more users are remembered than is allowed.
func TestLimiterIsBounded(t *testing.T) {
	l := rebilly.NewLimiter(100, time.Hour, 50)
	now := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, ok := l.Take(7, now); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 100 {
		t.Errorf("%d requests passed", passed)
	}
	for u := range roster.UserID(10_000) {
		l.Take(u, now)
	}
	if n, m := l.Len(); n != 50 || m != 50 {
		t.Errorf("%d, %d buckets", n, m)
	}
}

// TestRetryAfter: a request at the time that a 429 names passes, and one at the
// second before does not.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, func(o *rebilly.Options) { o.Rate, o.RatePer = 7, time.Minute })
	w.Pass(123 * time.Millisecond)
	for range 7 {
		w.want(200, "owner", "GET", "/memberships?limit=0", "")
	}
	rec := w.want(429, "owner", "GET", "/memberships?limit=0", "")
	at, err := strconv.ParseInt(rec.Header().Get("X-RateLimit-Retry-After"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	before := w.e.Revision()
	w.want(429, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
	w.Pass(time.Unix(at-1, 0).Sub(w.Now()))
	w.want(429, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
	w.want(429, "owner", "DELETE", "/memberships/org_1/usr_plain", "")
	if w.e.Revision() != before {
		t.Error("something was changed")
	}
	w.Pass(time.Second)
	w.want(201, "owner", "PUT", "/memberships/org_1/usr_1", `{}`)
	w.serve(func(o *rebilly.Options) { o.Rate = -1 })
	if rec := w.want(200, "owner", "GET", "/memberships?limit=0", ""); rec.Header().Get("X-RateLimit-Limit") != "" {
		t.Error("a limit without one")
	}
}
