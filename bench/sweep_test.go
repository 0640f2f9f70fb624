package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rosterdb/roster"
)

// The benchmarks below run over organisations of several sizes; `go run ./bench`
// measures one, with its floors. Run them with
//
//	go test -bench . ./bench

// world is an open organisation.
type world struct {
	*organisation
	e   *roster.Engine
	rnd *rand.Rand
}

// sweep runs fn as a sub-benchmark for each size.
func sweep(b *testing.B, o roster.Options, fn func(b *testing.B, w *world)) {
	for _, users := range []int{1_000, 10_000, 100_000} {
		for _, each := range []int{2, 20} {
			b.Run(fmt.Sprintf("users=%d/memberships=%d", users, users*each), func(b *testing.B) {
				w := open(b, shape{users: users, groups: max(users/10, len(large)+20), memberships: users * each}, o)
				b.ReportAllocs()
				b.ResetTimer()
				fn(b, w)
			})
		}
	}
}

func open(b *testing.B, s shape, o roster.Options) *world {
	dir := b.TempDir() + "/db"
	org, err := s.build(context.Background(), dir, 1)
	if err != nil {
		b.Fatal(err)
	}
	e, err := roster.Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	return &world{organisation: org, e: e, rnd: rand.New(rand.NewPCG(1, 2))}
}

func (w *world) user() roster.UserID   { return w.userIDs[w.rnd.IntN(len(w.userIDs))] }
func (w *world) group() roster.GroupID { return w.groupIDs[w.rnd.IntN(len(w.groupIDs))] }

func (w *world) view(b *testing.B, fn func(tx *roster.Txn) error) {
	if err := w.e.View(context.Background(), fn); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkCheck(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		pairs := make([]roster.Membership, 1<<16)
		for i := range pairs {
			pairs[i] = roster.Membership{User: w.user(), Group: w.group()}
		}
		for i := 0; b.Loop(); i++ {
			p := pairs[i%len(pairs)]
			w.e.Check(p.User, p.Group)
		}
	})
}

func BenchmarkCheckNested(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		pairs := make([]roster.Membership, 1<<16)
		for i := range pairs {
			pairs[i] = roster.Membership{User: w.user(), Group: w.parents[w.rnd.IntN(len(w.parents))]}
		}
		for i := 0; b.Loop(); i++ {
			p := pairs[i%len(pairs)]
			w.e.Check(p.User, p.Group)
		}
	})
}

func BenchmarkCheckName(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		names := make([][2]string, 1<<16)
		for i := range names {
			names[i] = [2]string{w.usernames[w.rnd.IntN(w.users)], w.groupNames[w.rnd.IntN(len(w.groupNames))]}
		}
		inARow(names)
		for i := 0; b.Loop(); i++ {
			n := &names[i%len(names)]
			if _, err := w.e.CheckName(n[0], n[1]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGroups(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		w.view(b, func(tx *roster.Txn) error {
			var buf []roster.GroupID
			for b.Loop() {
				buf = tx.AppendGroups(buf[:0], w.user())
			}
			return nil
		})
	})
}

func BenchmarkGroupNames(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		w.view(b, func(tx *roster.Txn) error {
			n := 0
			for b.Loop() {
				groups, err := tx.Groups(w.user())
				if err != nil {
					return err
				}
				for _, g := range groups {
					n += len(tx.GroupName(g))
				}
			}
			return nil
		})
	})
}

// pageOf takes the count and the first 100 of a set.
func pageOf(s roster.Set) (n int) {
	for range s.ByName("") {
		if n++; n == 100 {
			break
		}
	}
	return n + s.Len()
}

// BenchmarkPageCold makes effective members, and finds the first 100, anew each
// time.
func BenchmarkPageCold(b *testing.B) {
	sweep(b, roster.Options{CacheBytes: -1, NoSearchIndex: true}, func(b *testing.B, w *world) {
		w.view(b, func(tx *roster.Txn) error {
			for i := 0; b.Loop(); i++ {
				s, err := tx.Members(w.parents[i%len(w.parents)])
				if err != nil {
					return err
				}
				pageOf(s)
			}
			return nil
		})
	})
}

func BenchmarkPageWarm(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		w.view(b, func(tx *roster.Txn) error {
			for i := 0; b.Loop(); i++ {
				s, err := tx.Members(w.parents[i%min(32, len(w.parents))])
				if err != nil {
					return err
				}
				pageOf(s)
			}
			return nil
		})
	})
}

func BenchmarkIntersect(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		w.view(b, func(tx *roster.Txn) error {
			for i := 0; b.Loop(); i++ {
				x, err := tx.DirectMembers(w.groupIDs[1+i%2])
				if err != nil {
					return err
				}
				y, err := tx.DirectMembers(w.groupIDs[3+i%2])
				if err != nil {
					return err
				}
				pageOf(x.And(y))
			}
			return nil
		})
	})
}

// BenchmarkAdd makes one durable change after the other.
func BenchmarkAdd(b *testing.B) {
	sweep(b, roster.Options{NoSearchIndex: true}, func(b *testing.B, w *world) {
		for b.Loop() {
			_, err := w.e.Update(context.Background(), func(tx *roster.Txn) error {
				_, err := tx.Add(w.group(), w.user())
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkJoinOrganization makes members of organisations, by how many
// organisations there are and how many members one has: what a join costs should
// depend on neither.
func BenchmarkJoinOrganization(b *testing.B) {
	for _, s := range []struct{ organisations, members int }{{1000, 10}, {10_000, 10}, {1, 100_000}} {
		b.Run(fmt.Sprintf("organisations=%d/members=%d", s.organisations, s.members), func(b *testing.B) {
			ctx := context.Background()
			dir := b.TempDir() + "/db"
			c, err := companyShape{users: 100_000, orgs: s.organisations, members: s.members, directories: 1}.build(ctx, dir, 1)
			if err != nil {
				b.Fatal(err)
			}
			e, err := roster.Open(dir, roster.Options{NoSearchIndex: true})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			rnd := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				m := roster.OrgMembership{Organization: c.orgs[rnd.IntN(len(c.orgs))], User: c.users[rnd.IntN(len(c.users))], Permissions: []string{"read"}}
				_, err := e.Update(ctx, func(tx *roster.Txn) error {
					_, err := tx.PutOrgMembership(m)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
