package rebilly

import (
	"net/http"
	"time"

	"github.com/rosterdb/roster"
)

// Limiter is the limit of requests by itself.
type Limiter struct{ *limiter }

func NewLimiter(size int, per time.Duration, users int) Limiter {
	return Limiter{newLimiter(size, per, users)}
}

// Take reports whether a user may make a request.
func (l Limiter) Take(u roster.UserID, now time.Time) (http.Header, bool) {
	h := http.Header{}
	err := l.take(u, now, h)
	return h, err == nil
}

// Len is for how many users something is remembered.
func (l Limiter) Len() (int, int) { return len(l.buckets), l.recent.Len() }

// Clause shows a condition of a filter.
type Clause struct {
	Field string
	Not   bool
	Texts []string
	Yes   bool
	No    bool
	Spans int
}

// ParseFilter reads a filter on memberships.
func ParseFilter(text string) (out []Clause, field string, err error) {
	list, err := parseFilter(text, membershipFields)
	for _, c := range list {
		out = append(out, Clause{c.field, c.not, c.texts, c.yes, c.no, len(c.ranges)})
	}
	if p, ok := err.(*problem); ok {
		field = p.Fields[0].Field
	}
	return out, field, err
}

// ParseQuery reads a query.
func ParseQuery(raw string) (map[string]string, error) { return parseQuery(raw) }

// DecodeBody reads a body as each of the things that a body can be.
func DecodeBody(data []byte) (status int, err error) {
	o, err := parseObject(data)
	if err != nil {
		return err.(*problem).Status, err
	}
	_, err1 := decodeMembership(o)
	_, err2 := decodeUser(o)
	_, _, err3 := decodeRole(o)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return err.(*problem).Status, err
		}
	}
	return 200, nil
}
