package ldap

import (
	"context"
	"iter"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
)

const (
	// matchingRuleInChain finds groups that hold a DN at any depth.
	matchingRuleInChain = "1.2.840.113556.1.4.1941"
	// activeDirectory is what a server that has that rule says it is.
	activeDirectory = "1.2.840.113556.1.4.800"
)

// Above implements directory.Climber with Active Directory: by one search for all
// groups, and the DNs that each says it is in. It is unsupported where these do not
// lead to all of the groups.
func (s *Source) Above(ctx context.Context, refs []string) iter.Seq2[directory.Held, error] {
	return func(yield func(directory.Held, error) bool) {
		if len(refs) == 0 || refs[0] == "" || refs[0][0] == '=' || refs[0][0] == '#' || !s.chains(ctx) {
			yield(directory.Held{}, directory.ErrUnsupported)
			return
		}
		sc := &s.c.Schema
		attributes := append(sc.groupAttributes(false), sc.MemberOf)
		found := map[string]directory.Group{}
		var links []link
		note := func(e *ldapv3.Entry, member string) error {
			for parent, err := range s.values(ctx, e, sc.MemberOf) {
				if err != nil {
					return err
				}
				links = append(links, link{member, s.Fold(parent)})
			}
			return nil
		}
		filter := "(" + sc.Members[0] + ":" + matchingRuleInChain + ":=" + ldapv3.EscapeFilter(refs[0]) + ")"
		for e, err := range s.paged(ctx, s.c.GroupBase, and(sc.GroupFilter, filter), attributes) {
			if err == nil {
				if g, bad := s.group(e); bad == nil {
					found[s.Fold(e.DN)] = g
					err = note(e, e.DN)
				}
			}
			if err != nil {
				yield(directory.Held{}, err)
				return
			}
		}
		for e, err := range s.entries(ctx, refs[:1], "(objectClass=*)", []string{sc.MemberOf}) {
			if err == nil {
				err = note(e, refs[0])
			}
			if err != nil {
				yield(directory.Held{}, err)
				return
			}
		}
		if !s.reaches(refs[0], links, found) { // a list may be hidden, or be of one domain only
			yield(directory.Held{}, directory.ErrUnsupported)
			return
		}
		for _, l := range links {
			if g, ok := found[l.group]; ok && !yield(directory.Held{Group: g, Member: l.member}, nil) {
				return
			}
		}
	}
}

// link says that an entry's list of groups holds one: a DN, and one in normal form.
type link struct{ member, group string }

// reaches reports whether links lead from a DN to all groups that were found.
func (s *Source) reaches(from string, links []link, found map[string]directory.Group) bool {
	groups := map[string][]string{} // by member
	for _, l := range links {
		if _, ok := found[l.group]; ok {
			member := s.Fold(l.member)
			groups[member] = append(groups[member], l.group)
		}
	}
	reached := map[string]bool{}
	for next := []string{s.Fold(from)}; len(next) > 0; next = next[1:] {
		for _, group := range groups[next[0]] {
			if !reached[group] {
				reached[group] = true
				next = append(next, group)
			}
		}
	}
	return len(reached) == len(found)
}

// chains reports whether the server has the matching rule. One that does not know
// it finds nothing and says nothing of it, so it is asked what it is, once.
func (s *Source) chains(ctx context.Context) bool {
	sc := &s.c.Schema
	if !sc.InChain || sc.MemberOf == "" || len(sc.Members) == 0 {
		return false
	}
	s.mu.Lock()
	known, has := s.chainKnown, s.hasChain
	s.mu.Unlock()
	if known {
		return has
	}
	err := s.with(ctx, func(conn *ldapv3.Conn) error {
		root, err := s.read(ctx, conn, "", "(objectClass=*)", []string{"supportedCapabilities"})
		if err == nil && root != nil {
			for _, v := range root.GetEqualFoldAttributeValues("supportedCapabilities") {
				has = has || v == activeDirectory
			}
		}
		return err
	})
	if err != nil {
		return false // asked again the next time
	}
	s.mu.Lock()
	s.chainKnown, s.hasChain = true, has
	s.mu.Unlock()
	return has
}
