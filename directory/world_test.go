package directory_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// company is a source in memory whose entries are told apart by key. It is the
// naive model too: what it holds is computed by walking its maps.
type company struct {
	users  map[string]string          // key: name
	groups map[string]string          // likewise
	has    map[string]map[string]bool // group's key: keys of its members
	keys   bool                       // whether it tells the keys
	broken error                      // what reading fails with, in the middle
}

func newCompany(keys bool) *company {
	return &company{map[string]string{}, map[string]string{}, map[string]map[string]bool{}, keys, nil}
}

func (c *company) key(k string) string {
	if c.keys {
		return k
	}
	return ""
}

func (c *company) source() *directory.Funcs {
	return &directory.Funcs{
		EachUser: func(ctx context.Context) iter.Seq2[directory.User, error] {
			var all []directory.User
			for _, k := range slices.Sorted(maps.Keys(c.users)) {
				all = append(all, directory.User{Key: c.key(k), Name: c.users[k], Refs: []string{k}, FullName: "Full " + c.users[k], Active: true, Silent: directory.Email | directory.Active})
			}
			return c.maybe(until(ctx, all))
		},
		EachGroup: func(ctx context.Context) iter.Seq2[directory.Group, error] {
			var all []directory.Group
			for _, k := range slices.Sorted(maps.Keys(c.groups)) {
				all = append(all, directory.Group{Key: c.key(k), Name: c.groups[k], Refs: []string{k}, Members: values(slices.Sorted(maps.Keys(c.has[k])))})
			}
			return until(ctx, all)
		},
	}
}

func (c *company) maybe(all iter.Seq2[directory.User, error]) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		n := 0
		for u, err := range all {
			if n++; n > 1 && c.broken != nil {
				yield(directory.User{}, c.broken)
				return
			}
			if !yield(u, err) {
				return
			}
		}
	}
}

// above returns the names of all groups above a key.
func (c *company) above(key string) []string {
	seen := map[string]bool{}
	for next := []string{key}; len(next) > 0; next = next[1:] {
		for g, has := range c.has {
			if has[next[0]] && c.groups[g] != "" && !seen[g] {
				seen[g] = true
				next = append(next, g)
			}
		}
	}
	names := []string{}
	for g := range seen {
		names = append(names, c.groups[g])
	}
	slices.Sort(names)
	return names
}

// below returns the keys of the users below a key.
func (c *company) below(key string) (users []string) {
	seen := map[string]bool{}
	for next := []string{key}; len(next) > 0; next = next[1:] {
		if seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		if c.users[next[0]] != "" {
			users = append(users, next[0])
		}
		next = append(next, slices.Collect(maps.Keys(c.has[next[0]]))...)
	}
	slices.Sort(users)
	return users
}

func open(t testing.TB) *roster.Engine {
	t.Helper()
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// enterprise returns the names of the enterprise groups that a user is in.
func enterprise(tx *roster.Txn, u roster.UserID) ([]string, error) {
	groups, err := tx.Groups(u)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, g := range groups {
		rec, err := tx.Group(g)
		if err != nil {
			return nil, err
		}
		if rec.Enterprise {
			names = append(names, rec.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func view(t testing.TB, e *roster.Engine, fn func(tx *roster.Txn) error) {
	t.Helper()
	if err := e.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, e *roster.Engine, fn func(tx *roster.Txn) error) {
	t.Helper()
	if _, err := e.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func newLink(t testing.TB, e *roster.Engine, src directory.Source, o directory.Options) *directory.Link {
	t.Helper()
	o.Directory = "corp"
	l, err := directory.New(e, src, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// players makes random changes to a company and says whom they touch.
type player struct {
	*company
	r    *rand.Rand
	next int
}

func (p *player) pick(m map[string]string) string {
	all := slices.Sorted(maps.Keys(m))
	if len(all) == 0 {
		return ""
	}
	return all[p.r.IntN(len(all))]
}

func (p *player) fresh(prefix string) string {
	p.next++
	return fmt.Sprintf("%s%d", prefix, p.next)
}

// step makes one change and returns the names, old and new, of the users that it
// touches.
func (p *player) step() (touched []string) {
	u, g, h := p.pick(p.users), p.pick(p.groups), p.pick(p.groups)
	touch := func(keys ...string) {
		for _, k := range keys {
			if name := p.users[k]; name != "" {
				touched = append(touched, name)
			}
		}
	}
	switch n := p.r.IntN(20); {
	case n < 3 || u == "":
		k := p.fresh("k")
		p.users[k] = p.fresh("user-")
		touch(k)
	case n < 4 || g == "":
		k := p.fresh("g")
		p.groups[k], p.has[k] = p.fresh("group-"), map[string]bool{}
	case n < 9:
		p.has[g][u] = true
		touch(u)
	case n < 11:
		delete(p.has[g], u)
		touch(u)
	case n < 13:
		touch(p.below(h)...)
		p.has[g][h] = true
		touch(p.below(h)...)
	case n < 14:
		touch(p.below(h)...)
		delete(p.has[g], h)
	case n < 15: // leaves
		touch(u)
		delete(p.users, u)
		for _, has := range p.has {
			delete(has, u)
		}
	case n < 16:
		touch(u)
		p.users[u] = p.fresh("renamed-user-")
		touch(u)
	case n < 17: // two swap their names
		v := p.pick(p.users)
		p.users[u], p.users[v] = p.users[v], p.users[u]
		touch(u, v)
	case n < 18:
		touch(p.below(g)...)
		p.groups[g] = p.fresh("renamed-group-")
	case n < 19:
		touch(p.below(g)...)
		delete(p.groups, g)
		delete(p.has, g)
		for _, has := range p.has {
			delete(has, g)
		}
	default: // members that are nobody
		p.has[g]["nobody"] = true
	}
	return touched
}
