package rebilly

import (
	"container/list"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/roster"
)

// Headers of the limit of requests, in Go's spelling.
const (
	limitHeader     = "X-Ratelimit-Limit"
	remainingHeader = "X-Ratelimit-Remaining"
	retryAfter      = "X-Ratelimit-Retry-After" // unix seconds
)

// limiter gives each user a bucket of requests that fills again steadily, one after
// every interval. A bucket is kept as the time at which it is full: that is exact,
// and a bucket whose time has passed need not be remembered.
type limiter struct {
	size     int // requests in a full bucket; negative for no limit
	per      time.Duration
	interval time.Duration
	users    int

	mu      sync.Mutex
	buckets map[roster.UserID]*list.Element // guarded by mu: of *bucket
	recent  list.List                       // guarded by mu: who asked last stands first
}

type bucket struct {
	user roster.UserID
	full time.Time
}

func newLimiter(size int, per time.Duration, users int) *limiter {
	l := &limiter{size: size, per: per, users: users, buckets: map[roster.UserID]*list.Element{}}
	if size > 0 {
		l.interval = max(1, per/time.Duration(size))
	}
	return l
}

// take takes one request out of a user's bucket and writes into header what is
// left, or returns a 429 that says when there will be one.
func (l *limiter) take(u roster.UserID, now time.Time, header http.Header) error {
	if l.size < 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, empty := l.bucket(u, now), time.Duration(l.size)*l.interval
	// How long it takes to be full, at most from empty: a clock that was set back
	// makes nobody wait longer.
	missing := min(max(b.full.Sub(now), 0), empty)
	var err error
	if missing+l.interval <= empty {
		missing += l.interval
	} else {
		p := problemf(http.StatusTooManyRequests, "Too many requests: %d are allowed in %v.", l.size, l.per)
		p.header = http.Header{retryAfter: {unixAfter(now, missing+l.interval-empty)}}
		err = p
	}
	b.full = now.Add(missing)
	header.Set(limitHeader, strconv.Itoa(l.size))
	header.Set(remainingHeader, strconv.Itoa(int((empty-missing)/l.interval)))
	return err
}

// bucket returns that of a user, and forgets the one that was longest not asked for
// when there are too many.
func (l *limiter) bucket(u roster.UserID, now time.Time) *bucket {
	if at := l.buckets[u]; at != nil {
		l.recent.MoveToFront(at)
		return at.Value.(*bucket)
	}
	b := &bucket{user: u, full: now}
	if len(l.buckets) >= l.users {
		last := l.recent.Back()
		delete(l.buckets, l.recent.Remove(last).(*bucket).user)
	}
	l.buckets[u] = l.recent.PushFront(b)
	return b
}
