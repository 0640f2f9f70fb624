package crash

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

const (
	writers = 8
	tokens  = 64 // users who are in one of two groups
	crowd   = 1600
	people  = 24 // names of users of each writer
	groups  = 6  // names of groups of each writer
)

// world is what the directory of one writer holds, by name: of each user a
// description, of each group its users, those of the crowd included, and the
// groups nested in it.
type world struct {
	done  int // tasks
	users map[string]string
	in    map[string]map[string]bool
	under map[string]map[string]bool
}

func newWorld() *world {
	return &world{users: map[string]string{}, in: map[string]map[string]bool{}, under: map[string]map[string]bool{}}
}

// deed is one change of a world; a task is several.
type deed struct {
	kind  string // put, delete, create group, delete group, add, remove, nest, unnest
	user  string
	group string
	text  string
	names []string // users added or removed, groups nested
}

// task returns what task number n of a writer does to its world as it is after
// the tasks before, and does it to the world.
func (w *world) task(seed uint64, writer, n int) []deed {
	r := rand.New(rand.NewPCG(seed+uint64(writer), uint64(n)))
	var deeds []deed
	do := func(d deed) {
		deeds = append(deeds, d)
		w.apply(d)
	}
	user := func() string { return fmt.Sprint("user ", r.IntN(people)) }
	group := func() string {
		g := fmt.Sprint("group ", r.IntN(groups))
		if w.in[g] == nil {
			do(deed{kind: "create group", group: g})
		}
		return g
	}
	known := func() string {
		u := user()
		if _, ok := w.users[u]; !ok {
			do(deed{kind: "put", user: u, text: "new"})
		}
		return u
	}
	switch r.IntN(9) {
	case 0:
		do(deed{kind: "put", user: user(), text: fmt.Sprint("task ", n)})
	case 1:
		do(deed{kind: "add", group: group(), names: []string{known(), known(), known()}})
	case 2:
		do(deed{kind: "remove", group: group(), names: []string{known()}})
	case 3: // moving is leaving and joining in one
		a, b, u := group(), group(), known()
		do(deed{kind: "remove", group: a, names: []string{u}})
		do(deed{kind: "add", group: b, names: []string{u}})
	case 4:
		u := known()
		do(deed{kind: "add", group: group(), names: []string{u}})
		do(deed{kind: "delete", user: u})
	case 5:
		a, b := group(), group()
		if a != b {
			do(deed{kind: []string{"nest", "unnest"}[r.IntN(2)], group: a, names: []string{b}})
		}
	case 6:
		do(deed{kind: "delete group", group: group()})
	case 7, 8: // across the border of small and large sets, both ways
		names := make([]string, 0, crowd)
		from := r.IntN(crowd)
		for i := from; i < min(crowd, from+r.IntN(crowd)); i++ {
			names = append(names, crowdName(i))
		}
		do(deed{kind: []string{"add", "remove"}[r.IntN(2)], group: group(), names: names})
	}
	w.done = n
	return deeds
}

func crowdName(i int) string { return fmt.Sprint("crowd ", i) }

func (w *world) apply(d deed) {
	switch d.kind {
	case "put":
		w.users[d.user] = d.text
	case "delete":
		delete(w.users, d.user)
		for _, m := range w.in {
			delete(m, d.user)
		}
	case "create group":
		w.in[d.group], w.under[d.group] = map[string]bool{}, map[string]bool{}
	case "delete group":
		delete(w.in, d.group)
		delete(w.under, d.group)
		for _, m := range w.under {
			delete(m, d.group)
		}
	case "add":
		for _, u := range d.names {
			w.in[d.group][u] = true
		}
	case "remove":
		for _, u := range d.names {
			delete(w.in[d.group], u)
		}
	case "nest":
		w.under[d.group][d.names[0]] = true
	case "unnest":
		delete(w.under[d.group], d.names[0])
	}
}

// equal returns what differs between two worlds, nil if nothing does.
func (w *world) equal(other *world) error {
	if !maps.Equal(w.users, other.users) {
		return fmt.Errorf("users are %v, not %v", w.users, other.users)
	}
	if a, b := slices.Sorted(maps.Keys(w.in)), slices.Sorted(maps.Keys(other.in)); !slices.Equal(a, b) {
		return fmt.Errorf("groups are %v, not %v", a, b)
	}
	for g := range w.in {
		if !maps.Equal(w.in[g], other.in[g]) {
			return fmt.Errorf("%s has %d members, not %d, or not the same", g, len(w.in[g]), len(other.in[g]))
		}
		if !maps.Equal(w.under[g], other.under[g]) {
			return fmt.Errorf("in %s are nested %v, not %v", g, w.under[g], other.under[g])
		}
	}
	return nil
}
