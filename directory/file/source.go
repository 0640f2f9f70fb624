package file

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/roster/directory"
)

// Fold implements directory.Source.
func (s *Source) Fold(ref string) string { return foldName(ref) }

// Users implements directory.Source.
func (s *Source) Users(ctx context.Context) iter.Seq2[directory.User, error] {
	return whole(ctx, s, func(c *content, yield func(directory.User, error) bool) {
		for _, u := range c.users {
			if !yield(owned(u), nil) {
				return
			}
		}
	})
}

// Groups implements directory.Source.
func (s *Source) Groups(ctx context.Context) iter.Seq2[directory.Group, error] {
	return whole(ctx, s, func(c *content, yield func(directory.Group, error) bool) {
		for i := range c.groups {
			if !yield(c.group(i), nil) {
				return
			}
		}
	})
}

// FindUsers implements directory.Source.
func (s *Source) FindUsers(ctx context.Context, queries []directory.Query) iter.Seq2[directory.User, error] {
	return whole(ctx, s, func(c *content, yield func(directory.User, error) bool) {
		for _, i := range c.find(0, "user:", queries) {
			if !yield(owned(c.users[i]), nil) {
				return
			}
		}
	})
}

// FindGroups implements directory.Source.
func (s *Source) FindGroups(ctx context.Context, queries []directory.Query) iter.Seq2[directory.Group, error] {
	return whole(ctx, s, func(c *content, yield func(directory.Group, error) bool) {
		for _, i := range c.find(1, "group:", queries) {
			if !yield(c.group(i), nil) {
				return
			}
		}
	})
}

// GroupsOf implements directory.Source.
func (s *Source) GroupsOf(ctx context.Context, refs []string) iter.Seq2[directory.Group, error] {
	return whole(ctx, s, func(c *content, yield func(directory.Group, error) bool) {
		queries := make([]directory.Query, len(refs))
		for i, ref := range refs {
			queries[i] = directory.Query{Ref: ref}
		}
		held := map[int32]bool{}
		for _, i := range c.find(0, "user:", queries) {
			c.above(int32(i), held)
		}
		for _, i := range c.find(1, "group:", queries) {
			c.above(^int32(i), held)
		}
		for _, i := range slices.Sorted(maps.Keys(held)) {
			g := c.group(int(i))
			g.Members = nil
			if !yield(g, nil) {
				return
			}
		}
	})
}

// whole yields from the content, or the error of reading it.
func whole[T any](ctx context.Context, s *Source, fn func(c *content, yield func(T, error) bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		c, err := s.load(ctx)
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		fn(c, yield)
	}
}

// owned returns a user that belongs to the caller.
func owned(u directory.User) directory.User {
	u.Refs, u.Attributes = slices.Clone(u.Refs), maps.Clone(u.Attributes)
	return u
}

func (c *content) group(i int) directory.Group {
	g := c.groups[i]
	g.Refs, g.Members = slices.Clone(g.Refs), c.members(int32(i))
	return g
}

// find returns the users (0) or groups (1) that queries mean, each once.
func (c *content) find(kind int, prefix string, queries []directory.Query) []int {
	var out []int
	for _, q := range queries {
		i, ok := 0, false
		switch {
		case q.Name != "":
			i, ok = c.names[kind][foldName(q.Name)]
		case q.Key != "":
			i, ok = c.keys[kind][q.Key]
		default:
			name, isRef := strings.CutPrefix(q.Ref, prefix)
			i, ok = c.names[kind][foldName(name)]
			ok = ok && isRef
		}
		if ok {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// above adds the groups that hold a member.
func (c *content) above(member int32, into map[int32]bool) {
	from, _ := slices.BinarySearchFunc(c.up, member, func(e edge, m int32) int { return cmp.Compare(e.member, m) })
	for _, e := range c.up[from:] {
		if e.member != member {
			return
		}
		into[e.group] = true
	}
}
