package directory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// gatherUsers reads users by name, whoever else is drawn in because a name has
// changed hands, and the groups above them.
func (l *Link) gatherUsers(ctx context.Context, names []string) (*gathered, error) {
	g := newGathered(l.src)
	g.upto = true
	queries := make([]Query, 0, len(names))
	for _, name := range names {
		queries = append(queries, Query{Name: name})
	}
	if err := l.settleUsers(ctx, g, queries); err != nil {
		return nil, err
	}
	for _, name := range names {
		folded := text.Fold(text.Normal(name))
		if _, found := g.byName[hash(folded)]; !found && !g.had[folded] {
			g.unknown = append(g.unknown, name)
		}
	}
	if len(g.asked) > 0 && g.users.len() == 0 {
		if err := none(ctx, l.src.Users(ctx), &g.void); err != nil {
			return nil, err
		}
	}
	for i := range g.users.len() {
		if g.unusable[i] {
			continue
		}
		if err := g.climb(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := l.settleGroups(ctx, g); err != nil {
		return nil, err
	}
	g.resolve()
	return g, ctx.Err()
}

// settleUsers finds users, and those of the engine that have their names or keys
// or are asked for, until the keys of all of these have been asked for.
func (l *Link) settleUsers(ctx context.Context, g *gathered, queries []Query) error {
	if err := l.index.catchUp(ctx, l.engine, l.o.Directory); err != nil {
		return err
	}
	for _, q := range queries {
		if q.Name != "" {
			g.queried[byName+text.Fold(q.Name)] = true
		}
	}
	err := l.engine.View(ctx, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName(l.o.Directory)
		if err != nil {
			return nil // nobody yet
		}
		for _, q := range slices.Clone(queries) {
			u, ok := tx.UserByName(d.ID, q.Name)
			if !ok || q.Name == "" {
				continue
			}
			g.asked = append(g.asked, u)
			g.had[text.Fold(text.Normal(q.Name))] = true
			if q, ok, err := g.about(tx, u); err != nil {
				return err
			} else if ok {
				queries = append(queries, q)
			}
		}
		return nil
	})
	for first := 0; err == nil && len(queries) > 0; {
		if err = g.findUsers(ctx, queries); err != nil {
			return err
		}
		queries, err = l.rivals(ctx, g, first)
		first = g.users.len()
	}
	return err
}

func (g *gathered) findUsers(ctx context.Context, queries []Query) error {
	for u, err := range g.src.FindUsers(ctx, queries) {
		if err != nil && !isEntryError(err) {
			return fmt.Errorf("users: %w", err)
		}
		i := g.addUser(u, err)
		if i >= 0 && !g.unusable[i] && len(u.Refs) > 0 {
			g.userRefs[i] = u.Refs
			g.userGroups[i] = u.Groups
		}
	}
	return nil
}

// about returns the query for the key of a user of the engine, false if there is
// none or it was asked before.
func (g *gathered) about(tx *roster.Txn, u roster.UserID) (Query, bool, error) {
	rec, err := tx.User(u)
	if err != nil {
		return Query{}, false, err
	}
	key := linkOf(&rec)
	if key == "" || g.queried[key] {
		return Query{}, false, nil
	}
	g.queried[key] = true
	return keyQuery(key), true, nil
}

// rivals returns queries for the users of the engine that have the names of users
// gathered from index first on.
func (l *Link) rivals(ctx context.Context, g *gathered, first int) (queries []Query, err error) {
	err = l.engine.View(ctx, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName(l.o.Directory)
		if err != nil {
			return nil
		}
		for i := first; i < g.users.len(); i++ {
			u := g.users.get(i)
			g.queried[keyOf(u.Key, u.Name)] = true
			id, ok := tx.UserByName(d.ID, u.Name)
			if !ok {
				continue
			}
			if q, ok, err := g.about(tx, id); err != nil {
				return err
			} else if ok {
				queries = append(queries, q)
			}
		}
		return nil
	})
	return queries, err
}

// climb reads the groups above user i.
func (g *gathered) climb(ctx context.Context, i int) error {
	refs := g.userRefs[i]
	g.ups = append(g.ups, g.symbol(refs[0]))
	start := slices.Clone(refs)
	if len(g.userGroups[i]) > 0 {
		queries := make([]Query, len(g.userGroups[i]))
		for n, ref := range g.userGroups[i] {
			queries[n] = Query{Ref: ref}
		}
		for x, err := range g.src.FindGroups(ctx, queries) {
			if isEntryError(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("groups of user %q: %w", g.users.name(i), err)
			}
			g.held(Held{x, refs[0]})
			if err := g.climbFrom(ctx, x.Refs); err != nil {
				return err
			}
		}
	}
	return g.climbFrom(ctx, start)
}

// climbFrom reads the groups above somebody with those refs, as far as no other
// user of the run has led there before.
func (g *gathered) climbFrom(ctx context.Context, refs []string) error {
	if c, ok := g.src.(Climber); ok && !g.oneByOne {
		for held, err := range c.Above(ctx, refs) {
			if errors.Is(err, ErrUnsupported) {
				g.oneByOne = true
				return g.climbFrom(ctx, refs)
			}
			if isEntryError(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("groups above %q: %w", clip(refs[0]), err)
			}
			g.held(held)
		}
		return nil
	}
	for next := [][]string{refs}; len(next) > 0; next = next[1:] {
		s := g.symbol(next[0][0])
		if g.climbed[s] {
			continue
		}
		g.climbed[s] = true
		for x, err := range g.src.GroupsOf(ctx, next[0]) {
			if isEntryError(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("groups above %q: %w", clip(refs[0]), err)
			}
			g.held(Held{x, next[0][0]})
			next = append(next, x.Refs)
		}
	}
	return nil
}

// held takes a group with one of its members.
func (g *gathered) held(h Held) {
	j := g.addGroup(h.Group, nil)
	if j < 0 || g.groups[j].bad {
		return
	}
	s := g.groups[j].symbol
	g.ups = append(g.ups, s)
	g.edges = append(g.edges, edge{s, g.symbol(h.Member)})
}

// gatherGroups reads groups by name and all below them.
func (l *Link) gatherGroups(ctx context.Context, names []string) (*gathered, error) {
	g := newGathered(l.src)
	queries, prefix, err := l.askedGroups(ctx, g, names)
	if err != nil {
		return nil, err
	}
	for len(queries) > 0 {
		var refs []string
		seen := map[int32]bool{}
		for x, err := range g.src.FindGroups(ctx, queries) {
			if err != nil && !isEntryError(err) {
				return nil, fmt.Errorf("groups: %w", err)
			}
			i := g.addGroup(x, err)
			if i < 0 || g.groups[i].whole || err != nil {
				continue
			}
			err = g.addMembers(i, x, func(ref string, s int32) {
				if g.stands[s] == nobody && !seen[s] {
					seen[s] = true
					refs = append(refs, ref)
				}
			})
			if err != nil {
				return nil, err
			}
		}
		if queries, err = l.membersOf(ctx, g, refs); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		_, found := g.groupNam[hash(text.Fold(text.Normal(name)))]
		if !found && !prefix[name] {
			g.unknown = append(g.unknown, name)
		}
	}
	if len(g.askedGroup) > 0 && len(g.groups) == 0 {
		if err := none(ctx, l.src.Groups(ctx), &g.void); err != nil {
			return nil, err
		}
	}
	if err := l.settleGroups(ctx, g); err != nil {
		return nil, err
	}
	g.resolve()
	return g, ctx.Err()
}

// none sets void if a source has nothing at all: then that what was asked for is
// not there says more of the source than of that.
func none[T any](ctx context.Context, all iter.Seq2[T, error], void *bool) error {
	for _, err := range all {
		if err != nil && !isEntryError(err) {
			return err
		}
		return nil
	}
	*void = true
	return ctx.Err()
}

// settleGroups asks about the groups of the engine that have names of groups that
// were gathered, and other keys: they have been renamed, or are gone.
func (l *Link) settleGroups(ctx context.Context, g *gathered) error {
	queried := map[string]bool{}
	for first := 0; first < len(g.groups); {
		rivals := map[string]roster.GroupID{}
		err := l.engine.View(ctx, func(tx *roster.Txn) error {
			d, err := tx.DirectoryByName(l.o.Directory)
			if err != nil {
				return nil
			}
			for ; first < len(g.groups); first++ {
				id, ok := tx.GroupByName(d.ID, g.groups[first].name)
				if !ok {
					continue
				}
				rec, err := tx.Group(id)
				if err != nil {
					return err
				}
				key := groupLink(&rec)
				if _, gathered := g.groupKey[hash(key)]; key != "" && rec.Enterprise && !gathered && !queried[key] {
					queried[key] = true
					rivals[key] = id
				}
			}
			return nil
		})
		if err != nil || len(rivals) == 0 {
			return err
		}
		var queries []Query
		for _, key := range slices.Sorted(maps.Keys(rivals)) {
			queries = append(queries, Query{Key: key})
		}
		for x, err := range g.src.FindGroups(ctx, queries) {
			if err != nil && !isEntryError(err) {
				return fmt.Errorf("groups: %w", err)
			}
			g.addGroup(x, err)
			delete(rivals, x.Key)
		}
		for _, id := range rivals {
			g.askedGroup = append(g.askedGroup, id)
		}
	}
	return nil
}

// askedGroups returns what to ask for groups: their names, and the keys of those
// that the engine has, which may have been renamed.
func (l *Link) askedGroups(ctx context.Context, g *gathered, names []string) (queries []Query, known map[string]bool, err error) {
	known = map[string]bool{}
	err = l.engine.View(ctx, func(tx *roster.Txn) error {
		d, err := tx.DirectoryByName(l.o.Directory)
		for _, name := range names {
			queries = append(queries, Query{Name: name})
			if err != nil {
				continue
			}
			id, ok := tx.GroupByName(d.ID, name)
			if !ok {
				continue
			}
			rec, err := tx.GroupHead(id)
			if err != nil {
				return err
			}
			known[name] = true
			if rec.Enterprise {
				g.askedGroup = append(g.askedGroup, id)
			}
			if key := groupLink(&rec); key != "" {
				queries = append(queries, Query{Key: key})
			}
		}
		return nil
	})
	return queries, known, err
}

// membersOf finds the users among refs, and returns queries for the others.
func (l *Link) membersOf(ctx context.Context, g *gathered, refs []string) (rest []Query, err error) {
	if len(refs) == 0 {
		return nil, nil
	}
	queries := make([]Query, len(refs))
	for i, ref := range refs {
		queries[i] = Query{Ref: ref}
	}
	if err := l.settleUsers(ctx, g, queries); err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if !g.taken(ref) {
			rest = append(rest, Query{Ref: ref})
		}
	}
	return rest, nil
}

// keyQuery returns the query for the key of a record.
func keyQuery(key string) Query {
	if name, ok := strings.CutPrefix(key, byName); ok {
		return Query{Name: name}
	}
	return Query{Key: key}
}
