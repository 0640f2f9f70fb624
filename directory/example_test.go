package directory_test

import (
	"context"
	"fmt"
	"iter"
	"log"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory"
)

// A table of the host program as a source. The first sync makes its users and
// groups; then bob leaves sales, and a refresh of bob alone sees it.
func Example() {
	e, err := roster.Open("", roster.Options{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	names := []string{"alice", "bob"}
	sales := []string{"alice", "bob"}
	src := &directory.Funcs{
		EachUser: func(context.Context) iter.Seq2[directory.User, error] {
			return func(yield func(directory.User, error) bool) {
				for _, name := range names {
					if !yield(directory.User{Name: name, Refs: []string{name}, Active: true}, nil) {
						return
					}
				}
			}
		},
		EachGroup: func(context.Context) iter.Seq2[directory.Group, error] {
			return func(yield func(directory.Group, error) bool) {
				yield(directory.Group{Name: "sales", Refs: []string{"group sales"}, Members: values(sales)}, nil)
			}
		},
	}
	link, err := directory.New(e, src, directory.Options{Directory: "corp"})
	if err != nil {
		log.Fatal(err)
	}
	report, err := link.Sync(context.Background(), directory.Run{Actor: "admin"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(report.Diff.Users), "users,", len(report.Diff.Added), "memberships")

	sales = sales[:1]
	report, err = link.Refresh(context.Background(), directory.Run{Actor: "admin"}, "bob")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("removed:", report.Diff.Removed)
	fmt.Println(e.CheckName("bob", "sales"))
	// Output:
	// 2 users, 2 memberships
	// removed: [{sales bob false}]
	// false <nil>
}
