package ldap

import (
	"context"
	"encoding/hex"
	"iter"
	"strings"
	"sync"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/internal/dn"
	"github.com/rosterdb/roster/internal/text"
)

// equals returns the filter of an attribute that is exactly a value, whatever
// stands in it.
func equals(attribute, value string) string {
	return "(" + attribute + "=" + ldapv3.EscapeFilter(value) + ")"
}

// equalsBytes is equals for a value that is not text.
func equalsBytes(attribute string, value []byte) string {
	var out strings.Builder
	for _, b := range value {
		out.WriteString(`\` + hex.EncodeToString([]byte{b}))
	}
	return "(" + attribute + "=" + out.String() + ")"
}

func and(a, b string) string { return "(&" + a + b + ")" }

func or(parts []string) string { return "(|" + strings.Join(parts, "") + ")" }

// filterParts is how many conditions a filter has at most. Servers limit the
// length of a request, and the depth and breadth of a filter.
const filterParts = 50

// split turns queries into DNs to be read, and filters. names holds what the
// filters are to find: folded names, and behind a zero byte keys and other refs.
func (s *Source) split(queries []directory.Query, users bool) (dns, filters []string, names map[string]bool) {
	sc := &s.c.Schema
	attributes, filter := sc.GroupName, sc.GroupFilter
	if users {
		attributes, filter = sc.UserName, sc.UserFilter
	}
	names = map[string]bool{}
	var parts []string
	byName := func(name string) {
		names[text.Fold(text.Normal(name))] = true
		for _, a := range attributes {
			parts = append(parts, equals(a, name))
		}
	}
	for _, q := range queries {
		switch {
		case q.Name != "":
			byName(q.Name)
		case q.Key != "" && sc.Key != "":
			names["\x00"+foldKey(q.Key)] = true
			if !sc.KeyIsGUID {
				parts = append(parts, equals(sc.Key, q.Key))
			} else if guid, ok := parseGUID(q.Key); ok {
				parts = append(parts, equalsBytes(sc.Key, guid))
			}
		case q.Ref == "":
		case q.Ref[0] == '=': // only a user can be meant
			if users {
				byName(q.Ref[1:])
			}
		case q.Ref[0] == '#': // only a group
			if users {
				continue
			}
			if part := s.primaryFilter(q.Ref[1:]); part != "" {
				names["\x00"+q.Ref] = true
				parts = append(parts, part)
			}
		default:
			dns = append(dns, q.Ref)
		}
	}
	for len(parts) > 0 {
		n := min(len(parts), filterParts)
		filters = append(filters, and(filter, or(parts[:n])))
		parts = parts[n:]
	}
	return dns, filters, names
}

// foldKey returns the form in which keys are equal: UUIDs count in any case.
func foldKey(key string) string { return strings.ToLower(key) }

// within returns the DNs below a base.
func (s *Source) within(dns []string, base string) []string {
	var out []string
	for _, name := range dns {
		if normal, ok := dn.Normal(name); ok && below(normal, base) {
			out = append(out, name)
		}
	}
	return out
}

// Entries by DN are read some at once on connections of their own.
const (
	readers   = 4
	readChunk = 256
)

// entries yields the entries of those DNs that exist and that a filter matches.
func (s *Source) entries(ctx context.Context, dns []string, filter string, attributes []string) iter.Seq2[*ldapv3.Entry, error] {
	return func(yield func(*ldapv3.Entry, error) bool) {
		for len(dns) > 0 {
			n := min(len(dns), readChunk)
			found, err := s.readAll(ctx, dns[:n], filter, attributes)
			dns = dns[n:]
			if err != nil {
				yield(nil, err)
				return
			}
			if !each(found, yield) {
				return
			}
		}
	}
}

// readAll reads entries by DN with some readers, which share out what there is.
func (s *Source) readAll(ctx context.Context, dns []string, filter string, attributes []string) ([]*ldapv3.Entry, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var found []*ldapv3.Entry
	var failed error
	var wg sync.WaitGroup
	for r := range min(readers, len(dns)) {
		wg.Go(func() {
			from := r
			err := s.with(ctx, func(conn *ldapv3.Conn) error {
				for ; from < len(dns); from += readers {
					entry, err := s.read(ctx, conn, dns[from], filter, attributes)
					if err != nil {
						return err
					}
					if entry != nil {
						mu.Lock()
						found = append(found, entry)
						mu.Unlock()
					}
				}
				return nil
			})
			if err != nil {
				mu.Lock()
				if failed == nil {
					failed = err
				}
				mu.Unlock()
				cancel(err)
			}
		})
	}
	wg.Wait()
	return found, failed
}

// read reads one entry, nil if there is none that the filter matches.
func (s *Source) read(ctx context.Context, conn *ldapv3.Conn, name, filter string, attributes []string) (*ldapv3.Entry, error) {
	result, err := s.search(ctx, conn, s.request(name, ldapv3.ScopeBaseObject, filter, attributes))
	switch {
	case nothing(err):
		return nil, nil
	case err != nil:
		return nil, err
	case len(result.Entries) == 0:
		return nil, nil
	}
	return result.Entries[0], nil
}
