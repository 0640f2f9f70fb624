package directory

import (
	"context"
	"errors"
	"iter"
)

// Source answers who there is and who belongs to what. Implementations must be
// safe for use by any number of goroutines. directorytest.Run holds them to what
// is said here.
//
// A sequence ends with its first error, which it yields with a zero value, except
// for an *EntryError: that concerns one entry, whose Key and Refs may come with
// it, and the sequence goes on. What a sequence yields belongs to the caller.
type Source interface {
	// Users yields every user once, in no order.
	Users(ctx context.Context) iter.Seq2[User, error]

	// Groups yields every group once, in no order, with its direct members.
	Groups(ctx context.Context) iter.Seq2[Group, error]

	// FindUsers yields the users that the queries mean, in no order. A query
	// that means nobody yields nothing; a user may be yielded more than once.
	FindUsers(ctx context.Context, queries []Query) iter.Seq2[User, error]

	// FindGroups is FindUsers for groups, with their direct members.
	FindGroups(ctx context.Context, queries []Query) iter.Seq2[Group, error]

	// GroupsOf yields the groups that have one of the refs as a direct member,
	// without their members. It should cost little: it is asked at logins.
	GroupsOf(ctx context.Context, refs []string) iter.Seq2[Group, error]

	// Fold returns the form in which two spellings of one ref are equal.
	Fold(ref string) string
}

// User is a user as a source has it.
type User struct {
	// Key outlives a change of name: entryUUID, objectGUID. "" if the source has
	// no such thing; then a user is its name.
	Key string

	Name string // the username

	// Refs are what members of groups may call the user: a DN, a uid. At least
	// one. No two entries have one in common.
	Refs []string

	// Groups are refs of groups that the user's own entry says it is in and that
	// do not have it among their members: a primary group.
	Groups []string

	FullName    string
	Email       string
	Description string
	Active      bool

	// Silent are the fields above of which the source says nothing: the record
	// keeps its own. A new user is active then.
	Silent Fields

	// Attributes replace those of the same names in the record; an empty list
	// removes one. Others stay.
	Attributes map[string][]string
}

// Group is a group as a source has it.
type Group struct {
	Key         string // see User.Key
	Name        string
	Refs        []string // see User.Refs
	Description string
	Silent      Fields

	// Members yields refs of direct members, users and groups, and may ask the
	// source for more of them: range over it before the next group is taken.
	// Nil for none.
	Members iter.Seq2[string, error]
}

// Fields is a set of fields of a record.
type Fields uint8

// The fields of which a source may say nothing.
const (
	FullName Fields = 1 << iota
	Email
	Description
	Active
)

// Query asks for an entry by one of its names; one field is set.
type Query struct {
	Name string // equal under identity folding
	Key  string
	Ref  string
}

// Climber is a Source that finds all groups above somebody at once, cheaper than
// by asking GroupsOf for each. One that turns out not to be able to do that yields
// ErrUnsupported, and GroupsOf is asked.
type Climber interface {
	// Above yields every pair of a group and a direct member of it, for all
	// groups that hold one of the refs directly or through groups. The member is
	// one of the refs, or one of those of a group that is yielded too.
	Above(ctx context.Context, refs []string) iter.Seq2[Held, error]
}

// Held says that a group has a direct member.
type Held struct {
	Group  Group // without Members
	Member string
}

// Authenticator is a Source that knows whether a password is right.
type Authenticator interface {
	// Authenticate returns the user of that name if the password is right, and
	// ErrCredentials for an unknown name, a wrong or empty password or a user
	// who may not log in, without telling which.
	Authenticate(ctx context.Context, name, password string) (User, error)
}

// GroupsAbove yields the groups that hold one of the refs directly or through
// groups, each once, without their members. Loops end.
func GroupsAbove(ctx context.Context, src Source, refs []string) iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		seen := map[string]bool{}
		for held, err := range above(ctx, src, refs) {
			if err != nil {
				yield(Group{}, err)
				return
			}
			if id := src.Fold(held.Group.Refs[0]); !seen[id] {
				seen[id] = true
				if !yield(held.Group, nil) {
					return
				}
			}
		}
	}
}

// above is Climber.Above for any source.
func above(ctx context.Context, src Source, refs []string) iter.Seq2[Held, error] {
	c, ok := src.(Climber)
	if !ok {
		return climb(ctx, src, refs)
	}
	return func(yield func(Held, error) bool) {
		for held, err := range c.Above(ctx, refs) {
			if errors.Is(err, ErrUnsupported) {
				climb(ctx, src, refs)(yield)
				return
			}
			if !yield(held, err) {
				return
			}
		}
	}
}

// climb is Above by asking GroupsOf for the refs and then for each group found.
// Entries that are no use are passed over.
func climb(ctx context.Context, src Source, refs []string) iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		seen := map[string]bool{}
		for next := [][]string{refs}; len(next) > 0; next = next[1:] {
			if len(next[0]) == 0 {
				continue
			}
			for g, err := range src.GroupsOf(ctx, next[0]) {
				if isEntryError(err) {
					continue
				}
				if err != nil {
					yield(Held{}, err)
					return
				}
				if !yield(Held{g, next[0][0]}, nil) {
					return
				}
				if id := src.Fold(g.Refs[0]); !seen[id] {
					seen[id] = true
					next = append(next, g.Refs)
				}
			}
		}
	}
}

// MembersBelow yields the refs of all that are members of a group or of groups
// below it, each once; groups as well as users. Loops end.
func MembersBelow(ctx context.Context, src Source, group Query) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := map[string]bool{}
		for next := []Query{group}; len(next) > 0; {
			var below []Query
			for g, err := range src.FindGroups(ctx, next) {
				if isEntryError(err) {
					continue
				}
				if err != nil {
					yield("", err)
					return
				}
				for ref, err := range members(g) {
					id := src.Fold(ref)
					if err == nil && seen[id] {
						continue
					}
					seen[id] = true
					below = append(below, Query{Ref: ref})
					if !yield(ref, err) || err != nil {
						return
					}
				}
			}
			next = below
		}
	}
}

// members returns the members of a group, none for nil.
func members(g Group) iter.Seq2[string, error] {
	if g.Members == nil {
		return func(func(string, error) bool) {}
	}
	return g.Members
}
