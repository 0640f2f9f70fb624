// Package file is an identity source that reads files: LDIF, CSV or JSON lines, as
// package exchange understands them.
//
// Files are read when they are needed and again when they have changed; what they
// hold stays in memory in between, some 300 bytes a user and 12 a membership. A
// program that writes such a file should write another one and rename it.
//
// Users are known by entryUUID or objectGUID of an LDIF and by uid or id of JSON
// lines; of a CSV only by name. A CSV of nothing but memberships has the users
// that it names.
package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

// Config says what to read.
type Config struct {
	Paths []string // of one format; together they are the source

	// Format is that of the files. "" and exchange.Auto tell it from them.
	Format exchange.Format

	// Attributes are the attributes of LDIF and JSON lines to keep with users.
	Attributes []string

	// TempDir is where a file is spooled while it is read; "" means the system's
	// folder.
	TempDir string
}

// Source reads files. Use New to make one. It may be used by any number of
// goroutines.
type Source struct {
	c  Config
	mu sync.Mutex
	at *content // guarded by mu: what was read last
}

var _ directory.Source = (*Source)(nil)

// New returns a source. It opens nothing yet. It returns directory.ErrConfig
// without a path.
func New(c Config) (*Source, error) {
	if len(c.Paths) == 0 || slices.Contains(c.Paths, "") {
		return nil, fmt.Errorf("%w: no file: name one", directory.ErrConfig)
	}
	if _, err := exchange.ParseFormat(string(c.Format)); err != nil {
		return nil, fmt.Errorf("%w: %w", directory.ErrConfig, err)
	}
	return &Source{c: c}, nil
}

// state is what tells a file that has changed.
type state struct {
	size int64
	at   time.Time
	info fs.FileInfo
}

func (s *Source) states() ([]state, error) {
	out := make([]state, len(s.c.Paths))
	for i, path := range s.c.Paths {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is no file that can be read twice", path)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", directory.ErrUnreachable, err)
		}
		out[i] = state{info.Size(), info.ModTime(), info}
	}
	return out, nil
}

func same(a, b []state) bool {
	return slices.EqualFunc(a, b, func(x, y state) bool {
		return x.size == y.size && x.at.Equal(y.at) && os.SameFile(x.info, y.info)
	})
}

// load returns what the files hold now.
func (s *Source) load(ctx context.Context) (*content, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 3 {
		before, err := s.states()
		if err != nil {
			return nil, err
		}
		if s.at != nil && same(s.at.states, before) {
			return s.at, nil
		}
		s.at = nil // not both in memory
		c, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if after, err := s.states(); err == nil && same(before, after) {
			c.states = after
			s.at = c
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %s changes while it is read: write another file and rename it", directory.ErrUnreachable, s.c.Paths[0])
}

func (s *Source) read(ctx context.Context) (*content, error) {
	var inputs []exchange.Input
	for _, path := range s.c.Paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", directory.ErrUnreachable, err)
		}
		defer f.Close() // only read from
		inputs = append(inputs, exchange.Input{Name: path, Reader: f})
	}
	plan, err := exchange.Read(ctx, exchange.Options{Format: s.c.Format, TempDir: s.c.TempDir}, inputs...)
	if err != nil {
		return nil, err
	}
	c, err := s.content(ctx, plan)
	return c, errors.Join(err, plan.Close())
}

// content is what files hold.
type content struct {
	states []state
	users  []directory.User
	groups []directory.Group // without Members
	names  [2]map[string]int // by folded name: index of a user, of a group
	keys   [2]map[string]int
	edges  []edge // by group
	up     []edge // the same by member
}

// edge says that a group has a member: a user, or a group as the complement of its
// index, or one that is not there.
type edge struct{ group, member int32 }

const missing = -1 << 31

func (s *Source) content(ctx context.Context, plan *exchange.Plan) (*content, error) {
	c := &content{}
	for i := range c.names {
		c.names[i], c.keys[i] = map[string]int{}, map[string]int{}
	}
	where := map[uint32]int32{}
	var first *roster.DirectoryID
	for e, err := range plan.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = &e.Directory
		} else if *first != e.Directory {
			return nil, fmt.Errorf("%w: %q is of directory %s, others are of %s: a source is one directory", directory.ErrConfig, e.Name, e.Directory, *first)
		}
		if e.Group {
			where[e.Slot] = ^int32(len(c.groups))
			c.addGroup(e)
		} else {
			where[e.Slot] = int32(len(c.users))
			c.addUser(s.user(e))
		}
	}
	edgesOnly := plan.Format() == exchange.CSV && len(c.users) == 0
	for m, err := range plan.Members(ctx) {
		if err != nil {
			return nil, err
		}
		member, ok := where[m.Member]
		switch {
		case ok:
		case m.User != "" && edgesOnly:
			member = int32(c.named(m.User))
		default:
			member = missing
		}
		c.edges = append(c.edges, edge{^where[m.Group], member})
	}
	c.up = slices.Clone(c.edges)
	slices.SortFunc(c.edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member)) })
	slices.SortFunc(c.up, func(a, b edge) int { return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.group, b.group)) })
	c.edges, c.up = slices.Compact(c.edges), slices.Compact(c.up)
	return c, nil
}

// user returns an entry as a user.
func (s *Source) user(e exchange.Entry) directory.User {
	u := directory.User{
		Key: e.Key, Name: e.Name, Refs: []string{userRef(e.Name)},
		FullName: e.FullName, Email: e.Email, Description: e.Description, Active: e.Active,
	}
	for field, silent := range map[directory.Fields]bool{
		directory.FullName: e.NoFullName, directory.Email: e.NoEmail, directory.Description: e.NoDescription, directory.Active: e.NoActive,
	} {
		if silent {
			u.Silent |= field
		}
	}
	for _, name := range s.c.Attributes {
		if u.Attributes == nil {
			u.Attributes = map[string][]string{}
		}
		u.Attributes[name] = e.Attributes[name]
	}
	return u
}

func userRef(name string) string  { return "user:" + name }
func groupRef(name string) string { return "group:" + name }

func foldName(name string) string { return text.Fold(text.Normal(name)) }

func (c *content) addUser(u directory.User) {
	c.names[0][foldName(u.Name)] = len(c.users)
	if u.Key != "" {
		c.keys[0][u.Key] = len(c.users)
	}
	c.users = append(c.users, u)
}

func (c *content) addGroup(e exchange.Entry) {
	g := directory.Group{Key: e.Key, Name: e.Name, Refs: []string{groupRef(e.Name)}, Description: e.Description}
	if e.NoDescription {
		g.Silent = directory.Description
	}
	c.names[1][foldName(g.Name)] = len(c.groups)
	if g.Key != "" {
		c.keys[1][g.Key] = len(c.groups)
	}
	c.groups = append(c.groups, g)
}

// named returns the user of a name, made if it is new.
func (c *content) named(name string) int {
	if i, ok := c.names[0][foldName(name)]; ok {
		return i
	}
	c.addUser(directory.User{Name: name, Refs: []string{userRef(name)}, Active: true, Silent: directory.FullName | directory.Email | directory.Description | directory.Active})
	return len(c.users) - 1
}

// members yields the refs of a group's members.
func (c *content) members(group int32) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from, _ := slices.BinarySearchFunc(c.edges, group, func(e edge, g int32) int { return cmp.Compare(e.group, g) })
		for _, e := range c.edges[from:] {
			if e.group != group {
				return
			}
			if !yield(c.ref(e.member), nil) {
				return
			}
		}
	}
}

func (c *content) ref(member int32) string {
	switch {
	case member == missing:
		return "nobody:"
	case member >= 0:
		return c.users[member].Refs[0]
	}
	return c.groups[^member].Refs[0]
}
