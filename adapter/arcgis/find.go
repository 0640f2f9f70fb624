package arcgis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// finder finds the first users of a set, by name, that a filter fits. What a
// filter may fit is taken from several places, from each of which the first by
// name are enough.
type finder struct {
	*names
	ctx    context.Context
	within roster.Set
	f      *filter
	need   int // users from each place
	found  map[roster.UserID]roster.User
}

// users returns the first most users of a set that a filter fits, by name, and
// whether there are more.
func (n *names) users(ctx context.Context, within roster.Set, f *filter, most int) ([]roster.User, bool, error) {
	// Search puts users called just like its text first: at most one of each
	// directory in each of two forms. That many more are taken from it, so that
	// the first by name are among them.
	s := &finder{names: n, ctx: ctx, within: within, f: f, need: most + 1, found: map[roster.UserID]roster.User{}}
	var err error
	switch {
	case f.all():
		return s.firstOf(most)
	case f.glob:
		err = s.byPattern()
	default:
		err = s.byPrefix()
	}
	if err != nil {
		return nil, false, err
	}
	out := make([]roster.User, 0, len(s.found))
	for _, u := range s.found {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b roster.User) int {
		return cmp.Or(strings.Compare(text.Fold(a.Username), text.Fold(b.Username)), cmp.Compare(a.Directory, b.Directory))
	})
	if len(out) > most {
		return out[:most], true, nil
	}
	return out, false, nil
}

// firstOf is users without a filter.
func (s *finder) firstOf(most int) (out []roster.User, more bool, err error) {
	for id := range s.within.ByName("") {
		if len(out) == most {
			return out, true, nil
		}
		if err := stopped(s.ctx, len(out)); err != nil {
			return nil, false, err
		}
		u, err := s.tx.User(id)
		if err != nil {
			return nil, false, err
		}
		out = append(out, u)
	}
	return out, false, nil
}

// byPrefix looks for names that begin with the filter, in the order of names, and
// for full names by the search index.
func (s *finder) byPrefix() error {
	for i := range s.dirs {
		d := &s.dirs[i]
		if strings.HasPrefix(d.called[0]+`\`, s.f.folded) { // everybody in it
			if err := s.walk(d, func(string) bool { return true }, false); err != nil {
				return err
			}
		} else if name, ok := strings.CutPrefix(s.f.folded, d.called[0]+`\`); ok {
			if err := s.search(name, roster.Username, d.id); err != nil {
				return err
			}
		}
		for at, c := range s.f.folded {
			if c != '@' || !strings.HasPrefix(d.called[0], s.f.folded[at+1:]) {
				continue
			}
			if id, ok := s.tx.UserByName(d.id, s.f.folded[:at]); ok && s.within.Contains(id) {
				if err := s.add(id); err != nil {
					return err
				}
			}
		}
	}
	if err := s.search(s.f.folded, roster.Username, 0); err != nil {
		return err
	}
	return s.search(s.f.given, roster.FullName, 0)
}

// byPattern looks for what holds the longest piece of the pattern, or at everybody
// if it has no piece that could be looked for.
func (s *finder) byPattern() error {
	piece := s.f.piece()
	for i := range s.dirs {
		d := &s.dirs[i]
		if piece != "" && !strings.Contains(d.called[0], piece) {
			continue
		}
		fits := func(name string) bool { return s.f.fits(d, name) }
		if err := s.walk(d, fits, piece == ""); err != nil {
			return err
		}
	}
	if piece == "" {
		return nil
	}
	return s.search(piece, roster.Username|roster.FullName, 0)
}

// walk goes through the users of a directory by name, and takes those whose folded
// username fits, or whose full name does if that is to be looked at.
func (s *finder) walk(d *directory, fits func(string) bool, fullNames bool) error {
	users, err := s.tx.DirectoryUsers(d.id)
	if err != nil {
		return err
	}
	step, left := 0, s.need
	for id := range s.within.And(users).ByName("") {
		if step++; left == 0 {
			return nil
		}
		if err := stopped(s.ctx, step); err != nil {
			return err
		}
		ok := fits(text.Fold(s.tx.Username(id)))
		if !ok && fullNames {
			u, err := s.tx.User(id)
			if err != nil {
				return err
			}
			ok = s.f.fitsFullName(u.FullName)
		}
		if !ok {
			continue
		}
		left--
		if err := s.add(id); err != nil {
			return err
		}
	}
	return nil
}

// search takes users that a search finds and the filter fits. A search finds more
// than a filter fits, never less.
func (s *finder) search(given string, fields uint8, in roster.DirectoryID) error {
	left := s.need + 2*len(s.dirs)
	q := roster.SearchQuery{Text: given, Fields: fields, Within: &s.within, Limit: min(max(left, 100), 1000), NoTotal: true}
	if in != 0 {
		q.Directories = []roster.DirectoryID{in}
	}
	for {
		page, err := s.tx.Search(q)
		if errors.Is(err, roster.ErrInvalid) {
			return badRequest("Parameter 'filter' has too many words.")
		}
		if err != nil {
			return err
		}
		for _, id := range page.Users {
			u, err := s.tx.User(id)
			if err != nil {
				return err
			}
			if !s.f.fits(s.directory(u.Directory), text.Fold(u.Username)) && !s.f.fitsFullName(u.FullName) {
				continue
			}
			s.found[id] = u
			if left--; left == 0 {
				return nil
			}
		}
		if page.Next == "" {
			return nil
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
		// Each page costs a search anew: a filter that fits few of those found is
		// not to cost many.
		q.After, q.Limit = page.Next, min(2*q.Limit, 1<<16)
	}
}

func (s *finder) add(id roster.UserID) error {
	u, err := s.tx.User(id)
	if err == nil {
		s.found[id] = u
	}
	return err
}

// directory returns how a directory is called.
func (n *names) directory(id roster.DirectoryID) *directory {
	for i := range n.dirs {
		if n.dirs[i].id == id {
			return &n.dirs[i]
		}
	}
	return &directory{id: id}
}

// groups returns the first most of some groups that are enterprise groups and that
// a filter fits, and whether there are more. Only of groups that might be among
// them is the record read.
func (n *names) groups(ctx context.Context, all func(func(roster.GroupID) bool), f *filter, most int) (out []string, more bool, err error) {
	step := 0
	for id := range all {
		if step++; stopped(ctx, step) != nil {
			return nil, false, ctx.Err()
		}
		name := text.Fold(n.tx.GroupName(id))
		if !f.whole(name) && !slices.ContainsFunc(n.dirs, func(d directory) bool { return f.fits(&d, name) }) {
			continue
		}
		g, err := n.tx.GroupHead(id)
		if err != nil {
			return nil, false, err
		}
		if !g.Enterprise || !f.fits(n.directory(g.Directory), name) {
			continue
		}
		if len(out) == most {
			return out, true, nil
		}
		out = append(out, n.show(g.Directory, g.Name))
	}
	return out, false, nil
}
