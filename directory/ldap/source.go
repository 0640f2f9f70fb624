package ldap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/internal/dn"
	"github.com/rosterdb/roster/internal/text"
)

// Source asks an LDAP server. Use New to make one.
//
// A ref is a DN; "=" and a username, of which attributes like memberUid hold the
// second; or "#" and the identifier of a primary group.
type Source struct {
	c      Config
	users  string // normal form of the base
	groups string

	mu         sync.Mutex
	idle       []idleConn // guarded by mu
	closed     bool       // guarded by mu
	chainKnown bool       // guarded by mu: whether hasChain is known
	hasChain   bool       // guarded by mu
}

var (
	_ directory.Source        = (*Source)(nil)
	_ directory.Climber       = (*Source)(nil)
	_ directory.Authenticator = (*Source)(nil)
)

// New returns a source. It connects to nothing yet. It returns ErrConfig for a
// configuration that cannot be right.
func New(c Config) (*Source, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Source{c: c}
	s.users, _ = dn.Normal(c.UserBase)
	s.groups, _ = dn.Normal(c.GroupBase)
	return s, nil
}

// Fold implements directory.Source.
func (s *Source) Fold(ref string) string {
	if ref != "" && (ref[0] == '=' || ref[0] == '#') {
		return ref // memberUid counts upper and lower case
	}
	if normal, ok := dn.Normal(ref); ok {
		return normal
	}
	return "\x03" + ref // equals no DN
}

// below reports whether a DN is one below a base, both in normal form.
func below(normal, base string) bool {
	return normal == base || len(normal) > len(base) && normal[len(normal)-len(base):] == base && normal[len(normal)-len(base)-1] == 0
}

// firstPage is the size of the first page of a search for groups. Their entries
// may be of any size; pages grow until they hold some thousands of values.
const (
	firstPage  = 32
	pageValues = 20_000
)

// paged yields the entries below a base, page by page on one connection. A page
// is taken whole before the caller sees of it: a caller who is slow must not make
// the server wait.
func (s *Source) paged(ctx context.Context, base, filter string, attributes []string) iter.Seq2[*ldapv3.Entry, error] {
	return func(yield func(*ldapv3.Entry, error) bool) {
		size := min(firstPage, s.c.PageSize)
		paging := ldapv3.NewControlPaging(uint32(size))
		var conn *ldapv3.Conn
		var result *ldapv3.SearchResult
		// Only the first page can be asked for again: the place in the list is
		// the connection's.
		err := s.with(ctx, func(c *ldapv3.Conn) (err error) {
			result, err = s.search(ctx, c, s.request(base, ldapv3.ScopeWholeSubtree, filter, attributes, paging))
			if err == nil && len(cookie(result)) > 0 {
				conn = c // not to be given to another in between
				return errKeep
			}
			return err
		})
		for {
			if err != nil {
				if conn != nil {
					conn.Close()
				}
				yield(nil, err)
				return
			}
			paging.PagingSize = uint32(s.pageSize(int(paging.PagingSize), result.Entries))
			if !each(result.Entries, yield) {
				if conn != nil {
					conn.Close() // the server forgets the rest
				}
				return
			}
			next := cookie(result)
			if len(next) == 0 {
				if conn != nil {
					s.put(conn)
				}
				return
			}
			paging.SetCookie(next)
			result, err = s.search(ctx, conn, s.request(base, ldapv3.ScopeWholeSubtree, filter, attributes, paging))
		}
	}
}

func each(entries []*ldapv3.Entry, yield func(*ldapv3.Entry, error) bool) bool {
	for i, e := range entries {
		entries[i] = nil
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// cookie returns what continues a search, nil at its end.
func cookie(r *ldapv3.SearchResult) []byte {
	if c, ok := ldapv3.FindControl(r.Controls, ldapv3.ControlTypePaging).(*ldapv3.ControlPaging); ok {
		return c.Cookie
	}
	return nil
}

// pageSize returns how many entries to ask for next, by how large the last were.
func (s *Source) pageSize(size int, last []*ldapv3.Entry) int {
	values := 0
	for _, e := range last {
		for _, a := range e.Attributes {
			values += len(a.Values)
		}
	}
	switch {
	case values > pageValues:
		size /= 2
	case values < pageValues/2:
		size *= 2
	}
	return max(1, min(size, s.c.PageSize))
}

func (s *Source) request(base string, scope int, filter string, attributes []string, controls ...ldapv3.Control) *ldapv3.SearchRequest {
	return ldapv3.NewSearchRequest(base, scope, ldapv3.NeverDerefAliases, 0, int(s.c.Timeout.Seconds()), false, filter, attributes, controls)
}

// Users implements directory.Source.
func (s *Source) Users(ctx context.Context) iter.Seq2[directory.User, error] {
	return s.usersBy(ctx, s.c.Schema.UserFilter)
}

// usersBy yields the users that a filter finds.
func (s *Source) usersBy(ctx context.Context, filter string) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		for entry, err := range s.paged(ctx, s.c.UserBase, filter, s.c.Schema.userAttributes()) {
			if err != nil {
				yield(directory.User{}, err)
				return
			}
			if !yield(s.user(entry)) {
				return
			}
		}
	}
}

// Groups implements directory.Source.
func (s *Source) Groups(ctx context.Context) iter.Seq2[directory.Group, error] {
	return s.groupsBy(ctx, s.c.Schema.GroupFilter, true)
}

func (s *Source) groupsBy(ctx context.Context, filter string, members bool) iter.Seq2[directory.Group, error] {
	return func(yield func(directory.Group, error) bool) {
		for entry, err := range s.paged(ctx, s.c.GroupBase, filter, s.c.Schema.groupAttributes(members)) {
			if err != nil {
				yield(directory.Group{}, err)
				return
			}
			g, err := s.group(entry)
			if err == nil && members {
				g.Members = s.members(ctx, entry)
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// FindUsers implements directory.Source.
func (s *Source) FindUsers(ctx context.Context, queries []directory.Query) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		sc := &s.c.Schema
		dns, parts, names := s.split(queries, true)
		for _, part := range parts {
			for u, err := range s.usersBy(ctx, part) {
				// A filter finds any of the attributes that may be the name.
				if err == nil && !names[text.Fold(text.Normal(u.Name))] && !names["\x00"+foldKey(u.Key)] {
					continue
				}
				if !yield(u, err) || err != nil && !isEntry(err) {
					return
				}
			}
		}
		for entry, err := range s.entries(ctx, s.within(dns, s.users), sc.UserFilter, sc.userAttributes()) {
			if err != nil {
				yield(directory.User{}, err)
				return
			}
			if !yield(s.user(entry)) {
				return
			}
		}
	}
}

// FindGroups implements directory.Source. The members of a primary group are
// those that say so, too.
func (s *Source) FindGroups(ctx context.Context, queries []directory.Query) iter.Seq2[directory.Group, error] {
	return func(yield func(directory.Group, error) bool) {
		sc := &s.c.Schema
		dns, parts, names := s.split(queries, false)
		for _, part := range parts {
			for g, err := range s.groupsBy(ctx, part, true) {
				if err == nil && !names[text.Fold(text.Normal(g.Name))] && !names["\x00"+foldKey(g.Key)] && !anyRef(names, g.Refs) {
					continue
				}
				if err == nil {
					g.Members = s.withPrimary(ctx, g)
				}
				if !yield(g, err) || err != nil && !isEntry(err) {
					return
				}
			}
		}
		for entry, err := range s.entries(ctx, s.within(dns, s.groups), sc.GroupFilter, sc.groupAttributes(true)) {
			if err != nil {
				yield(directory.Group{}, err)
				return
			}
			g, err := s.group(entry)
			if err == nil {
				g.Members = s.members(ctx, entry)
				g.Members = s.withPrimary(ctx, g)
			}
			if !yield(g, err) {
				return
			}
		}
	}
}

// GroupsOf implements directory.Source by a reverse search, which a server with an
// index on the attributes of members answers at once.
func (s *Source) GroupsOf(ctx context.Context, refs []string) iter.Seq2[directory.Group, error] {
	sc := &s.c.Schema
	var parts []string
	for _, ref := range refs {
		switch {
		case ref == "" || ref[0] == '#':
		case ref[0] == '=':
			for _, a := range sc.MemberNames {
				parts = append(parts, equals(a, ref[1:]))
			}
		default:
			if _, ok := dn.Normal(ref); ok {
				for _, a := range sc.Members {
					parts = append(parts, equals(a, ref))
				}
			}
		}
	}
	if len(parts) == 0 {
		return func(func(directory.Group, error) bool) {}
	}
	return s.groupsBy(ctx, and(sc.GroupFilter, or(parts)), false)
}

// Test connects, logs in and reads one page of users and of groups. It returns
// how many were there: a wrong base or filter finds none.
func (s *Source) Test(ctx context.Context) (users, groups int, err error) {
	err = s.with(ctx, func(conn *ldapv3.Conn) error {
		for _, x := range []struct {
			base, filter string
			n            *int
		}{{s.c.UserBase, s.c.Schema.UserFilter, &users}, {s.c.GroupBase, s.c.Schema.GroupFilter, &groups}} {
			result, err := s.search(ctx, conn, s.request(x.base, ldapv3.ScopeWholeSubtree, x.filter, []string{"1.1"}, ldapv3.NewControlPaging(uint32(s.c.PageSize))))
			if err != nil {
				return err
			}
			*x.n = len(result.Entries)
			if len(cookie(result)) > 0 {
				conn.Close() // the server forgets the rest
				return errKeep
			}
		}
		return nil
	})
	return users, groups, err
}

func isEntry(err error) bool { return errors.Is(err, directory.ErrEntry) }

func anyRef(names map[string]bool, refs []string) bool {
	for _, ref := range refs {
		if names["\x00"+ref] {
			return true
		}
	}
	return false
}

// entryError words why an entry is of no use.
func entryError(dn, format string, args ...any) error {
	return &directory.EntryError{Entry: dn, Err: fmt.Errorf(format, args...)}
}
