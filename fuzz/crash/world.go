package crash

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	writers = 8
	tokens  = 64 // users who are in one of two groups
	crowd   = 1600
	people  = 24 // names of users of each writer
	groups  = 6  // names of groups of each writer
	orgs    = 3  // names of organisations of each writer
	values  = 20 // keys of data of each writer
)

// world is what the directory of one writer holds, by name: of each user a
// description, of each group its users, those of the crowd included, and the
// groups nested in it. The writer's organisations belong to it too.
type world struct {
	done  int // tasks
	users map[string]string
	in    map[string]map[string]bool
	under map[string]map[string]bool
	orgs  map[string]map[string]seat // by organisation and user
	data  map[string]string          // by key
}

// seat is a membership of an organisation.
type seat struct {
	owner    bool
	standard bool // the user's default
	since    int  // number of the task that made it
}

func newWorld() *world {
	return &world{
		users: map[string]string{}, in: map[string]map[string]bool{}, under: map[string]map[string]bool{}, orgs: map[string]map[string]seat{},
		data: map[string]string{},
	}
}

// deed is one change of a world; a task is several.
type deed struct {
	// put, delete, create group, delete group, add, remove, nest, unnest, create
	// organisation, delete organisation, join, leave, keep, drop
	kind  string
	user  string // or the key of data
	group string
	org   string
	text  string
	names []string // users added or removed, groups nested
	seat  seat     // of who joins

	refused bool // an organisation would lose its last owner: nothing is changed
}

// task returns what task number n of a writer does to its world as it is after
// the tasks before, and does it to the world.
func (w *world) task(seed uint64, writer, n int) []deed {
	r := rand.New(rand.NewPCG(seed+uint64(writer), uint64(n)))
	var deeds []deed
	do := func(d deed) {
		if d.refused = w.refuses(d); !d.refused {
			w.apply(d)
		}
		deeds = append(deeds, d)
	}
	user := func() string { return fmt.Sprint("user ", r.IntN(people)) }
	group := func() string {
		g := fmt.Sprint("group ", r.IntN(groups))
		if w.in[g] == nil {
			do(deed{kind: "create group", group: g})
		}
		return g
	}
	org := func() string {
		o := fmt.Sprint("org ", r.IntN(orgs))
		if w.orgs[o] == nil {
			do(deed{kind: "create organisation", org: o})
		}
		return o
	}
	known := func() string {
		u := user()
		if _, ok := w.users[u]; !ok {
			do(deed{kind: "put", user: u, text: "new"})
		}
		return u
	}
	join := func() (o, u string) {
		o, u = org(), known()
		do(deed{kind: "join", org: o, user: u, seat: seat{owner: r.IntN(2) == 0, since: n}})
		return o, u
	}
	switch r.IntN(14) {
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
	case 9:
		join()
		join()
	case 10:
		o, u := join()
		do(deed{kind: "leave", org: o, user: u})
	case 11:
		_, u := join()
		do(deed{kind: "delete", user: u})
	case 12:
		join()
		if r.IntN(4) == 0 {
			do(deed{kind: "delete organisation", org: org()})
		}
	case 13:
		for range 3 {
			d := deed{kind: "keep", user: fmt.Sprint("key ", r.IntN(values)), text: strings.Repeat(fmt.Sprint(n, " "), r.IntN(200))}
			if _, known := w.data[d.user]; known && r.IntN(3) == 0 {
				d.kind = "drop"
			}
			do(d)
		}
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
		for _, seats := range w.orgs {
			delete(seats, d.user)
		}
		for _, m := range w.in {
			delete(m, d.user)
		}
	case "keep":
		w.data[d.user] = d.text
	case "drop":
		delete(w.data, d.user)
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
	case "create organisation":
		w.orgs[d.org] = map[string]seat{}
	case "delete organisation":
		for u := range w.orgs[d.org] {
			w.leave(d.org, u)
		}
		delete(w.orgs, d.org)
	case "join":
		s, known := w.orgs[d.org][d.user]
		if !known {
			s = seat{since: d.seat.since, standard: len(w.seats(d.user)) == 0}
		}
		s.owner = d.seat.owner
		w.orgs[d.org][d.user] = s
	case "leave":
		w.leave(d.org, d.user)
	}
}

// refuses reports whether a deed would leave an organisation that has an owner
// without one.
func (w *world) refuses(d deed) bool {
	for o, seats := range w.orgs {
		owners := 0
		for _, s := range seats {
			if s.owner {
				owners++
			}
		}
		if owners != 1 || !seats[d.user].owner {
			continue
		}
		if d.kind == "delete" || o == d.org && (d.kind == "leave" || d.kind == "join" && !d.seat.owner) {
			return true
		}
	}
	return false
}

// seats returns the organisations of a user, the oldest membership first.
func (w *world) seats(user string) []string {
	var of []string
	for o, seats := range w.orgs {
		if _, ok := seats[user]; ok {
			of = append(of, o)
		}
	}
	slices.SortFunc(of, func(a, b string) int {
		return cmp.Or(cmp.Compare(w.orgs[a][user].since, w.orgs[b][user].since), cmp.Compare(a, b))
	})
	return of
}

// leave ends a membership; the oldest of the others becomes the default if that
// one was.
func (w *world) leave(org, user string) {
	was := w.orgs[org][user].standard
	delete(w.orgs[org], user)
	if of := w.seats(user); was && len(of) > 0 {
		s := w.orgs[of[0]][user]
		s.standard = true
		w.orgs[of[0]][user] = s
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
	if !maps.Equal(w.data, other.data) {
		return fmt.Errorf("data are %.1000q, not %.1000q", w.data, other.data)
	}
	for g := range w.in {
		if !maps.Equal(w.in[g], other.in[g]) {
			return fmt.Errorf("%s has %d members, not %d, or not the same", g, len(w.in[g]), len(other.in[g]))
		}
		if !maps.Equal(w.under[g], other.under[g]) {
			return fmt.Errorf("in %s are nested %v, not %v", g, w.under[g], other.under[g])
		}
	}
	if a, b := slices.Sorted(maps.Keys(w.orgs)), slices.Sorted(maps.Keys(other.orgs)); !slices.Equal(a, b) {
		return fmt.Errorf("organisations are %v, not %v", a, b)
	}
	for o := range w.orgs {
		if !maps.Equal(w.orgs[o], other.orgs[o]) {
			return fmt.Errorf("members of %s are %v, not %v", o, w.orgs[o], other.orgs[o])
		}
	}
	return nil
}
