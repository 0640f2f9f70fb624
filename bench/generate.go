package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

// shape is the organisation that the benchmarks run on: a few groups hold 30 to
// 100 % of the users, the sizes of the rest follow Zipf's law with exponent 0.8;
// one group in ten takes part in a nesting 8 deep, some of it in cycles.
type shape struct {
	users, groups, memberships int
	enterprise                 bool // the groups come from an identity source
}

// large are the shares of the groups that hold much of everyone.
var large = []float64{1.00, 0.80, 0.60, 0.50, 0.30}

// organisation is what the rows need to know of the data.
type organisation struct {
	shape
	usernames, groupNames []string
	userIDs               []roster.UserID
	groupIDs              []roster.GroupID // the large ones first
	parents               []roster.GroupID // groups with others nested in them
	linked                int
	made                  int // memberships
}

// build makes the organisation in the folder dir.
func (s shape) build(ctx context.Context, dir string, seed uint64) (*organisation, error) {
	o := &organisation{shape: s}
	rnd := rand.New(rand.NewPCG(seed, 1))
	err := roster.Build(ctx, dir, roster.Options{}, func(b *roster.Builder) error { return o.fill(b, rnd) })
	return o, err
}

// fill makes all of the organisation.
func (o *organisation) fill(b *roster.Builder, rnd *rand.Rand) error {
	if err := b.PutDirectory(roster.Directory{ID: 1, Name: "Corp", Domain: "corp.example"}); err != nil {
		return err
	}
	if err := o.people(b, rnd); err != nil {
		return err
	}
	if err := o.memberships(b, rnd); err != nil {
		return err
	}
	if o.shape.memberships == 0 {
		return nil
	}
	return o.nest(b, rnd)
}

func (o *organisation) people(b *roster.Builder, rnd *rand.Rand) error {
	for i := range o.users {
		given, family := word(rnd), word(rnd)
		name := fmt.Sprintf("%s.%s%d", given, family, i)
		id, err := b.CreateUser(roster.User{
			Directory: 1, Username: name, FullName: title(given) + " " + title(family),
			Email: name + "@corp.example", Active: rnd.IntN(20) > 0,
		})
		if err != nil {
			return err
		}
		o.usernames, o.userIDs = append(o.usernames, name), append(o.userIDs, id)
	}
	return nil
}

var syllables = strings.Fields("an ba bel cor da del e fan gar ha il jo ka lan mar mi na o per qui ro sa ta ul ver wen xi ya zo")

func word(rnd *rand.Rand) string {
	return syllables[rnd.IntN(len(syllables))] + syllables[rnd.IntN(len(syllables))]
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (o *organisation) memberships(b *roster.Builder, rnd *rand.Rand) error {
	for i, n := range o.sizes() {
		name := fmt.Sprintf("%s-%s-%d", word(rnd), word(rnd), i)
		g, err := b.CreateGroup(roster.Group{Directory: 1, Name: name, Enterprise: o.enterprise})
		if err != nil {
			return err
		}
		o.groupIDs, o.groupNames = append(o.groupIDs, g), append(o.groupNames, name)
		if o.shape.memberships == 0 {
			continue // names only
		}
		users := o.pick(rnd, n)
		if err := b.AddMembers(g, users); err != nil {
			return err
		}
		o.made += len(users)
	}
	return nil
}

// sizes returns the number of members of each group.
func (o *organisation) sizes() []int {
	var out []int
	left := o.shape.memberships
	for _, share := range large {
		n := int(share * float64(o.users))
		out, left = append(out, n), left-n
	}
	sum := 0.0
	for i := len(out); i < o.groups; i++ {
		sum += math.Pow(float64(i), -0.8)
	}
	for i := len(out); i < o.groups; i++ {
		n := int(float64(left) * math.Pow(float64(i), -0.8) / sum)
		out = append(out, min(max(n, 1), o.users))
	}
	return out
}

// pick returns n different users, ascending: of three groups in ten from a
// window of four times the size, else from everyone.
func (o *organisation) pick(rnd *rand.Rand, n int) []roster.UserID {
	first, span := 0, o.users
	if window := 4 * n; window < o.users && rnd.IntN(10) < 3 {
		first, span = rnd.IntN(o.users-window), window
	}
	if n*4 > span { // many: go through everyone
		out := make([]roster.UserID, 0, n)
		for i := range span {
			if rnd.IntN(span-i) < n-len(out) {
				out = append(out, o.userIDs[first+i])
			}
		}
		return out
	}
	out := make([]roster.UserID, 0, n)
	for len(out) < n {
		for range n - len(out) {
			out = append(out, o.userIDs[first+rnd.IntN(span)])
		}
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}

// nest puts a tenth of the groups, of every size, into trees 8 levels deep, and
// closes some of them to cycles.
func (o *organisation) nest(b *roster.Builder, rnd *rand.Rand) error {
	const depth = 9
	var nested []roster.GroupID
	for i := len(large); i < len(o.groupIDs); i += 10 {
		nested = append(nested, o.groupIDs[i])
	}
	level := make([][]roster.GroupID, depth)
	for i, g := range nested {
		d := i % depth
		level[d] = append(level[d], g)
	}
	for d := 1; d < depth; d++ {
		for _, child := range level[d] {
			if len(level[d-1]) == 0 {
				continue
			}
			for range 1 + rnd.IntN(2) {
				parent := level[d-1][rnd.IntN(len(level[d-1]))]
				if err := b.Nest(parent, child); err != nil {
					return err
				}
				o.parents, o.linked = append(o.parents, parent), o.linked+1
			}
		}
	}
	for range len(nested) / 1000 {
		d := 1 + rnd.IntN(depth-2)
		if a, c := level[d], level[d+1]; len(a) > 0 && len(c) > 0 {
			if err := b.Nest(c[rnd.IntN(len(c))], a[rnd.IntN(len(a))]); err != nil {
				return err
			}
			o.linked++
		}
	}
	slices.Sort(o.parents)
	o.parents = slices.Compact(o.parents)
	return nil
}
