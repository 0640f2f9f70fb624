package directory

import (
	"context"
	"iter"

	"github.com/rosterdb/roster/internal/text"
)

// Funcs is a Source made of functions of the host program: a table of its own, a
// web service. EachUser and EachGroup are required; they must be safe for use by
// any number of goroutines. What is left out is found by reading everything.
type Funcs struct {
	EachUser  func(ctx context.Context) iter.Seq2[User, error]
	EachGroup func(ctx context.Context) iter.Seq2[Group, error]

	// UsersBy, GroupsBy and Holding are Source.FindUsers, FindGroups and GroupsOf.
	UsersBy  func(ctx context.Context, queries []Query) iter.Seq2[User, error]
	GroupsBy func(ctx context.Context, queries []Query) iter.Seq2[Group, error]
	Holding  func(ctx context.Context, refs []string) iter.Seq2[Group, error]

	// Password reports whether a password is right for a user; nil: the source
	// knows no passwords. It is not called with an empty one.
	Password func(ctx context.Context, u User, password string) (bool, error)

	// FoldRef is Source.Fold. Nil means that refs are equal under identity
	// folding, as names are.
	FoldRef func(ref string) string
}

// Users implements Source.
func (f *Funcs) Users(ctx context.Context) iter.Seq2[User, error] { return f.EachUser(ctx) }

// Groups implements Source.
func (f *Funcs) Groups(ctx context.Context) iter.Seq2[Group, error] { return f.EachGroup(ctx) }

// Fold implements Source.
func (f *Funcs) Fold(ref string) string {
	if f.FoldRef != nil {
		return f.FoldRef(ref)
	}
	return text.Fold(text.Normal(ref))
}

// FindUsers implements Source.
func (f *Funcs) FindUsers(ctx context.Context, queries []Query) iter.Seq2[User, error] {
	if f.UsersBy != nil {
		return f.UsersBy(ctx, queries)
	}
	match := newMatcher(f, queries)
	return filter(f.EachUser(ctx), func(u User) bool { return match.meets(u.Key, u.Name, u.Refs) })
}

// FindGroups implements Source.
func (f *Funcs) FindGroups(ctx context.Context, queries []Query) iter.Seq2[Group, error] {
	if f.GroupsBy != nil {
		return f.GroupsBy(ctx, queries)
	}
	match := newMatcher(f, queries)
	return filter(f.EachGroup(ctx), func(g Group) bool { return match.meets(g.Key, g.Name, g.Refs) })
}

// GroupsOf implements Source.
func (f *Funcs) GroupsOf(ctx context.Context, refs []string) iter.Seq2[Group, error] {
	if f.Holding != nil {
		return f.Holding(ctx, refs)
	}
	wanted := map[string]bool{}
	for _, ref := range refs {
		wanted[f.Fold(ref)] = true
	}
	return func(yield func(Group, error) bool) {
		for g, err := range f.EachGroup(ctx) {
			if err != nil {
				if !yield(g, err) || !isEntryError(err) {
					return
				}
				continue
			}
			for ref, err := range members(g) {
				if err != nil {
					yield(Group{}, err)
					return
				}
				if !wanted[f.Fold(ref)] {
					continue
				}
				g.Members = nil
				if !yield(g, nil) {
					return
				}
				break
			}
		}
	}
}

// Authenticate implements Authenticator with Password.
func (f *Funcs) Authenticate(ctx context.Context, name, password string) (User, error) {
	switch {
	case f.Password == nil:
		return User{}, ErrUnsupported
	case name == "" || password == "":
		return User{}, ErrCredentials
	}
	for u, err := range f.FindUsers(ctx, []Query{{Name: name}}) {
		if isEntryError(err) {
			continue
		}
		if err != nil {
			return User{}, err
		}
		ok, err := f.Password(ctx, u, password)
		if err != nil {
			return User{}, err
		}
		if ok && (u.Active || u.Silent&Active != 0) {
			return u, nil
		}
	}
	return User{}, ErrCredentials
}

// filter passes on what is wanted, and errors that are not about another entry.
func filter[T any](all iter.Seq2[T, error], wanted func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range all {
			if err != nil && !isEntryError(err) || wanted(v) {
				if !yield(v, err) || err != nil && !isEntryError(err) {
					return
				}
			}
		}
	}
}

// matcher tells whom queries mean.
type matcher struct {
	fold              func(string) string
	names, keys, refs map[string]bool
}

func newMatcher(src Source, queries []Query) *matcher {
	m := &matcher{src.Fold, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, q := range queries {
		switch {
		case q.Name != "":
			m.names[text.Fold(text.Normal(q.Name))] = true
		case q.Key != "":
			m.keys[q.Key] = true
		case q.Ref != "":
			m.refs[m.fold(q.Ref)] = true
		}
	}
	return m
}

func (m *matcher) meets(key, name string, refs []string) bool {
	if m.keys[key] || m.names[text.Fold(text.Normal(name))] {
		return true
	}
	for _, ref := range refs {
		if m.refs[m.fold(ref)] {
			return true
		}
	}
	return false
}
