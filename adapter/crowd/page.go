package crowd

import (
	"errors"
	"iter"
	"math"
	"net/url"
	"strconv"
	"strings"
)

// page is a part of a list as the API writes it.
type page[T any] struct {
	Values []T  `json:"values"`
	Size   int  `json:"size"`
	Start  int  `json:"start"`
	Limit  int  `json:"limit"`
	Last   bool `json:"isLastPage"`
}

func newPage[T any](values []T, at window, last bool) page[T] {
	if values == nil {
		values = []T{}
	}
	return page[T]{values, len(values), at.start, at.limit, last}
}

// window says which part of a list.
type window struct{ start, limit int }

// end is the place behind the window, or the last that there can be.
func (w window) end() int { return w.start + min(w.limit, math.MaxInt-w.start) }

// query reads the parameters of the address. One that stands there twice with
// different values could be read in two ways.
func (c *call) query() (url.Values, error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The parameters of the address cannot be read.")
	}
	for name, all := range values {
		for _, v := range all {
			if v != all[0] {
				return nil, badRequest("A parameter stands twice in the address: " + strconv.QuoteToASCII(clip(name)) + ".")
			}
		}
	}
	return values, nil
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

// window reads the parameters of the address, with start and limit.
func (c *call) window() (url.Values, window, error) {
	q, err := c.query()
	if err != nil {
		return nil, window{}, err
	}
	at, err := c.windowOf(q)
	return q, at, err
}

// windowOf reads start and limit.
func (c *call) windowOf(q url.Values) (w window, err error) {
	if w.start, err = count(q, "start", 0); err != nil {
		return w, err
	}
	if w.limit, err = count(q, "limit", c.o.PageLimit); err != nil {
		return w, err
	}
	w.limit = min(w.limit, c.o.MaxLimit)
	return w, nil
}

func count(q url.Values, name string, unsaid int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return unsaid, nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case errors.Is(err, strconv.ErrRange) && n > 0:
		return 0, badRequest(name + " is too large.")
	case err != nil || n < 0 || s[0] == '+':
		return 0, badRequest(name + " must be a number that is not negative.")
	}
	return n, nil
}

// cut returns the part of a sequence that a window shows, and whether nothing
// follows. It goes one further than the window.
func cut[T any](all iter.Seq[T], at window) (values []T, last bool) {
	i := 0
	for v := range all {
		if i >= at.end() {
			return values, false
		}
		if i >= at.start {
			values = append(values, v)
		}
		i++
	}
	return values, true
}
