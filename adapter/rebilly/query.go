package rebilly

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterdb/roster/internal/web"
)

// params are the parameters of a query.
type params map[string]string

// parseQuery reads a query, of which filters hold semicolons.
func parseQuery(raw string) (params, error) {
	out := params{}
	for f, err := range web.Fields(raw) {
		if err != nil {
			return nil, problemf(http.StatusBadRequest, "The query cannot be read: see parameter %q.", clip(strings.ToValidUTF8(f.Name, "?")))
		}
		if _, twice := out[f.Name]; twice {
			return nil, problemf(http.StatusBadRequest, "Parameter %q is given twice.", clip(f.Name))
		}
		out[f.Name] = f.Value
	}
	return out, nil
}

// Limits of a page.
const (
	maxLimit     = 1000
	defaultLimit = 100
)

// page is which part of a list is asked for.
type page struct{ limit, offset int }

func (c *call) page() (p page, err error) {
	if p.limit, err = c.query.number("limit", defaultLimit, maxLimit); err != nil {
		return p, err
	}
	p.offset, err = c.query.number("offset", 0, c.h.o.MaxOffset)
	return p, err
}

// number reads a parameter from 0 to most, without limit if most is negative.
func (q params) number(name string, def, most int) (int, error) {
	text := q[name]
	if text == "" {
		return def, nil
	}
	if most < 0 {
		most = math.MaxInt
	}
	n, err := strconv.Atoi(text)
	switch {
	case n > most || n == math.MaxInt && err != nil: // which Atoi makes of more than that
		return 0, invalid(name, "Must be at most %d.", most)
	case err != nil || n < 0 || text[0] == '+':
		return 0, invalid(name, "Must be a number of at least 0.")
	}
	return n, nil
}

// list answers a page of a list. items is never nil, so that it is [] in JSON.
func (p page) list(total int, items []any) answer {
	if items == nil {
		items = []any{}
	}
	a := answer{status: http.StatusOK, body: items}
	a.set("Pagination-Total", strconv.Itoa(total))
	a.set("Pagination-Limit", strconv.Itoa(p.limit))
	a.set("Pagination-Offset", strconv.Itoa(p.offset))
	return a
}

// cut returns the part of a list that a page shows.
func cut[T any](p page, all []T) []T {
	all = all[min(p.offset, len(all)):]
	return all[:min(p.limit, len(all))]
}

// sortKey is one field of sort.
type sortKey struct {
	field string
	down  bool
}

// sorting reads sort: fields with a "-" before those that descend.
func (q params) sorting(fields ...string) (keys []sortKey, err error) {
	if q["sort"] == "" {
		return nil, nil
	}
	for field := range strings.SplitSeq(q["sort"], ",") {
		field, down := strings.CutPrefix(strings.TrimSpace(field), "-")
		switch {
		case !slices.Contains(fields, field):
			return nil, invalid("sort", "Cannot sort by %q, but by %s.", clip(field), strings.Join(fields, ", "))
		case slices.ContainsFunc(keys, func(k sortKey) bool { return k.field == field }):
			return nil, invalid("sort", "%q stands there twice.", field)
		}
		keys = append(keys, sortKey{field, down})
	}
	return keys, nil
}

// expansion reads expand, and reports whether it asks for roles.
func (q params) expansion() (roles bool, err error) {
	if q["expand"] == "" {
		return false, nil
	}
	for what := range strings.SplitSeq(q["expand"], ",") {
		if what = strings.TrimSpace(what); what != "roles" {
			return false, invalid("expand", "Cannot expand %q, but roles.", clip(what))
		}
	}
	return true, nil
}
