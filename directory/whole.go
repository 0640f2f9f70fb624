package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rosterdb/roster"
)

// maxLookups bounds how many members that name nobody are asked about again after
// a Sync has read everything: entries that were renamed or added meanwhile.
const maxLookups = 1000

// gatherAll reads all of a source.
func gatherAll(ctx context.Context, src Source) (*gathered, error) {
	g := newGathered(src)
	g.all = true
	for u, err := range src.Users(ctx) {
		if err != nil && !isEntryError(err) {
			return nil, fmt.Errorf("users: %w", err)
		}
		g.addUser(u, err)
	}
	if err := g.readGroups(src.Groups(ctx)); err != nil {
		return nil, err
	}
	if err := g.lookAgain(ctx); err != nil {
		return nil, err
	}
	g.resolve()
	return g, ctx.Err()
}

func (g *gathered) readGroups(groups func(func(Group, error) bool)) error {
	for x, err := range groups {
		if err != nil && !isEntryError(err) {
			return fmt.Errorf("groups: %w", err)
		}
		i := g.addGroup(x, err)
		if i < 0 || g.groups[i].whole || err != nil {
			continue
		}
		if err := g.addMembers(i, x, nil); err != nil {
			return err
		}
	}
	return nil
}

// lookAgain asks for members that name nobody. Without that a user renamed between
// the reading of users and of groups would lose its groups until the next run.
func (g *gathered) lookAgain(ctx context.Context) error {
	var queries []Query
	for _, s := range slices.Sorted(maps.Keys(g.refs)) {
		if g.stands[s] == nobody {
			queries = append(queries, Query{Ref: g.refs[s]})
		}
	}
	if len(queries) == 0 || len(queries) >= maxLookups {
		return nil
	}
	for u, err := range g.src.FindUsers(ctx, queries) {
		switch {
		case isEntryError(err):
		case err != nil:
			return fmt.Errorf("users: %w", err)
		default:
			if i, ok := g.byKey[hash(keyOf(u.Key, u.Name))]; ok && !g.unusable[i] {
				_ = g.define(u.Refs, int32(i)) // the same user under a new DN
			} else if !ok {
				g.addUser(u, nil)
			}
		}
	}
	return nil
}

// errMoved is the problem of an entry that a source has and that was not among all
// of its entries: it went from one page to another while they were read.
var errMoved = errors.New("it moved while the source was read: the next run takes it up")

// askAfter asks, once all of a source was read, for those that are about to lose
// something because they were not there, by key. It reports whether some are there:
// they keep what they have.
func (g *gathered) askAfter(ctx context.Context, p *plan) (missed bool, err error) {
	if !g.all {
		return false, nil // has asked already
	}
	var users, groups []Query
	for _, gone := range p.gone {
		if gone.write && g.users.len() > 0 { // where nobody was listed nobody went from page to page
			users = append(users, keyQuery(gone.key))
		}
	}
	loses := map[roster.GroupID]bool{}
	for _, l := range p.leave {
		loses[l.group] = true
	}
	for _, gone := range p.goneGroup {
		if gone.key != "" && (loses[gone.id] || p.o.VanishedGroups == Delete) {
			groups = append(groups, Query{Key: gone.key})
		}
	}
	if len(users) > 0 {
		for u, err := range g.src.FindUsers(ctx, users) {
			if err != nil && !isEntryError(err) {
				return false, fmt.Errorf("users: %w", err)
			}
			_, known := g.byKey[hash(keyOf(u.Key, u.Name))]
			if !known && u.Key+u.Name != "" {
				g.addUser(u, &EntryError{u.Name, errMoved})
				missed = true
			}
		}
	}
	if len(groups) > 0 {
		for x, err := range g.src.FindGroups(ctx, groups) {
			if err != nil && !isEntryError(err) {
				return false, fmt.Errorf("groups: %w", err)
			}
			if _, known := g.groupKey[hash(x.Key)]; !known && x.Key != "" {
				g.addGroup(x, &EntryError{x.Name, errMoved})
				missed = true
			}
		}
	}
	return missed, ctx.Err()
}
