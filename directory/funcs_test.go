package directory_test

import (
	"context"
	"iter"
	"testing"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/directorytest"
)

// TestFuncs holds Funcs with nothing but the required functions to the suite.
func TestFuncs(t *testing.T) {
	directorytest.Run(t, directorytest.Options{}, func(t *testing.T, w directorytest.World) directory.Source {
		return worldSource(w)
	})
}

func worldSource(w directorytest.World) *directory.Funcs {
	passwords := map[string]string{}
	var users []directory.User
	var groups []directory.Group
	for _, p := range w.Users {
		passwords[p.Name] = p.Password
		users = append(users, directory.User{Key: "k-" + p.Name, Name: p.Name, FullName: p.FullName, Email: p.Email, Active: true, Refs: []string{"u:" + p.Name}})
	}
	for _, g := range w.Groups {
		var refs []string
		for _, m := range g.Members {
			refs = append(refs, "u:"+m)
		}
		for _, m := range g.Nested {
			refs = append(refs, "g:"+m)
		}
		for range g.Strange {
			refs = append(refs, "u:nobody of this world")
		}
		groups = append(groups, directory.Group{Key: "k-" + g.Name, Name: g.Name, Refs: []string{"g:" + g.Name}, Members: values(refs)})
	}
	return &directory.Funcs{
		EachUser:  func(ctx context.Context) iter.Seq2[directory.User, error] { return until(ctx, users) },
		EachGroup: func(ctx context.Context) iter.Seq2[directory.Group, error] { return until(ctx, groups) },
		Password: func(_ context.Context, u directory.User, password string) (bool, error) {
			return passwords[u.Name] == password, nil
		},
	}
}

func values(refs []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, ref := range refs {
			if !yield(ref, nil) {
				return
			}
		}
	}
}

// until yields all of a list, or the error of ctx.
func until[T any](ctx context.Context, all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if err := ctx.Err(); err != nil {
				var none T
				yield(none, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
