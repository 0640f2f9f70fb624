package directory

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// hashed is a text as the tables here know it: two hashes of 64 bits under seeds of
// this process. Nobody can choose two that meet, and any text costs 16 bytes.
type hashed [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hash(s string) hashed {
	return hashed{maphash.String(seeds[0], s), maphash.String(seeds[1], s)}
}

// byName is the key of a user whom the source gives none.
const byName = "name:"

// keyOf returns what identifies an entry.
func keyOf(key, name string) string {
	if key != "" {
		return key
	}
	return byName + text.Fold(name)
}

// nobody is what a symbol stands for until an entry defines it. Users are their
// index, groups the complement of theirs.
const nobody = -1 << 31

// edge says that a group has a direct member; both are symbols until resolve.
type edge struct{ group, member int32 }

func (e edge) compare(other edge) int {
	return cmp.Or(cmp.Compare(e.group, other.group), cmp.Compare(e.member, other.member))
}

// grp is a group as it was gathered.
type grp struct {
	key, name, description string
	silent                 Fields
	symbol                 int32
	whole                  bool // all its members are among the edges
	bad                    bool // of no use: see gathered.bad
}

// gathered is what was read from a source: all of it, or the part that a run is
// about. It is complete before any transaction begins.
type gathered struct {
	src  Source
	all  bool // it is all that the source has
	upto bool // members are asked about, not groups: for each, all groups that hold it are among the edges

	users    packed
	unusable []bool // by user: seen, so not gone, but not to be stored
	byKey    map[hashed]int
	byName   map[hashed]int
	groups   []grp
	groupKey map[hashed]int
	groupNam map[hashed]int

	symbols map[hashed]int32
	stands  []int32 // by symbol: user i, group ^i, or nobody
	refs    map[int32]string
	edges   []edge

	unresolved int
	problems   []error

	// Of a part:
	queried    map[string]bool  // keys and folded names that were asked for
	had        map[string]bool  // folded names asked for that the engine has
	userRefs   map[int][]string // by user
	userGroups map[int][]string // likewise, User.Groups
	climbed    map[int32]bool   // symbols of members whose groups have been read
	void       bool             // nothing was found, and the source has nothing else either
	oneByOne   bool             // the source is a Climber and cannot
	asked      []roster.UserID  // users that it is about
	askedGroup []roster.GroupID
	unknown    []string
	ups        []int32 // symbols of members whose groups are all known
}

func newGathered(src Source) *gathered {
	return &gathered{
		src: src, byKey: map[hashed]int{}, byName: map[hashed]int{}, groupKey: map[hashed]int{}, groupNam: map[hashed]int{},
		symbols: map[hashed]int32{}, refs: map[int32]string{},
		queried: map[string]bool{}, had: map[string]bool{}, userRefs: map[int][]string{}, userGroups: map[int][]string{}, climbed: map[int32]bool{},
	}
}

// symbol returns the symbol of a ref, made if it is new. The ref as it stands is
// looked up before its folded form, which costs a microsecond to make.
func (g *gathered) symbol(ref string) int32 {
	raw := hash(ref)
	if s, ok := g.symbols[raw]; ok {
		return s
	}
	folded := hash("=" + g.src.Fold(ref))
	s, ok := g.symbols[folded]
	if !ok {
		s = int32(len(g.stands))
		g.symbols[folded] = s
		g.stands = append(g.stands, nobody)
	}
	g.symbols[raw] = s
	return s
}

// define makes refs stand for an entry.
func (g *gathered) define(refs []string, what int32) error {
	if len(refs) == 0 {
		return errors.New("it has no ref")
	}
	for _, ref := range refs {
		s := g.symbol(ref)
		if g.stands[s] != nobody && g.stands[s] != what {
			return fmt.Errorf("another entry is called %q too", clip(ref))
		}
	}
	for _, ref := range refs {
		s := g.symbol(ref)
		g.stands[s] = what
		delete(g.refs, s)
	}
	return nil
}

func (g *gathered) problem(entry string, err error) {
	g.problems = append(g.problems, &EntryError{Entry: entry, Err: err})
}

// addUser takes a user, once, and returns its index. A user that cannot be stored
// is kept so that it does not count as gone.
func (g *gathered) addUser(u User, err error) int {
	if len(u.Refs) == 0 && u.Key == "" && err != nil {
		g.problems = append(g.problems, err)
		return -1
	}
	key := hash(keyOf(u.Key, u.Name))
	if i, ok := g.byKey[key]; ok {
		if g.all && err == nil {
			g.problem(u.Name, errors.New("another entry has the same key or name"))
		}
		return i
	}
	name := hash(text.Fold(text.Normal(u.Name)))
	other, named := g.byName[name]
	if err == nil {
		if err = checkEntry(u.Name, u.Key, u.FullName, u.Email, u.Description); err == nil {
			err = checkAttributes(u.Attributes)
		}
		if err == nil && slices.ContainsFunc(u.Refs, func(ref string) bool { return g.taken(ref) }) {
			err = errors.New("another entry is called the same")
		}
		if named && err == nil && !g.unusable[other] {
			err = fmt.Errorf("another user has the name %q too", u.Name)
		}
		if err != nil {
			err = &EntryError{Entry: cmp.Or(firstOf(u.Refs), u.Name), Err: err}
		}
	}
	i := g.users.len()
	if err == nil || !named { // one that is unusable is not gone
		g.byName[name] = i
	}
	if err != nil {
		g.problems = append(g.problems, err)
		u = User{Key: u.Key, Name: u.Name}
	}
	g.unusable = append(g.unusable, err != nil)
	g.byKey[key] = i
	g.users.add(&u)
	if err != nil {
		return i
	}
	_ = g.define(u.Refs, int32(i)) // just seen to be free
	for _, ref := range u.Groups {
		g.edges = append(g.edges, edge{g.symbol(ref), g.symbol(u.Refs[0])})
	}
	return i
}

// taken reports whether a ref stands for an entry.
func (g *gathered) taken(ref string) bool { return g.stands[g.symbol(ref)] != nobody }

// addGroup takes a group, once, without its members, and returns its index.
func (g *gathered) addGroup(x Group, err error) int {
	if err != nil && (len(x.Refs) == 0 || x.Key == "") {
		g.problems = append(g.problems, err)
		return -1
	}
	key := hash(keyOf(x.Key, x.Name))
	if i, ok := g.groupKey[key]; ok {
		return i
	}
	name := hash(text.Fold(text.Normal(x.Name)))
	other, named := g.groupNam[name]
	if err == nil {
		err = checkEntry(x.Name, x.Key, x.Description)
		if named && err == nil && !g.groups[other].bad {
			err = fmt.Errorf("another group has the name %q too", x.Name)
		}
		if err == nil {
			err = g.define(x.Refs, ^int32(len(g.groups)))
		}
		if err != nil {
			err = &EntryError{Entry: cmp.Or(firstOf(x.Refs), x.Name), Err: err}
		}
	}
	i := len(g.groups)
	if err == nil || !named { // one that is bad is not gone
		g.groupNam[name] = i
	}
	out := grp{key: x.Key, name: x.Name, description: x.Description, silent: x.Silent, bad: err != nil}
	if err != nil {
		g.problems = append(g.problems, err)
	} else {
		out.symbol = g.symbol(x.Refs[0])
	}
	g.groupKey[key] = i
	g.groups = append(g.groups, out)
	return i
}

// addMembers takes all members of a group.
func (g *gathered) addMembers(i int, x Group, each func(ref string, s int32)) error {
	for ref, err := range members(x) {
		if err != nil {
			return fmt.Errorf("members of group %q: %w", x.Name, err)
		}
		s := g.symbol(ref)
		if g.stands[s] == nobody && g.refs[s] == "" && len(g.refs) < maxLookups {
			g.refs[s] = strings.Clone(ref)
		}
		if each != nil {
			each(ref, s)
		}
		if !g.groups[i].bad {
			g.edges = append(g.edges, edge{g.groups[i].symbol, s})
		}
	}
	g.groups[i].whole = true
	return nil
}

// resolve turns symbols of edges into entries, groups as their complement, drops
// those that name nobody, and sorts them by group.
func (g *gathered) resolve() {
	kept := g.edges[:0]
	for _, e := range g.edges {
		group, member := g.stands[e.group], g.stands[e.member]
		switch {
		case group >= 0 || member == nobody || group == nobody:
			g.unresolved++
		case group == member: // a group in itself says nothing
		default:
			kept = append(kept, edge{^group, member})
		}
	}
	slices.SortFunc(kept, edge.compare)
	g.edges = slices.Compact(kept)
}

// checkEntry returns why an entry cannot be stored.
func checkEntry(name string, texts ...string) error {
	if err := text.ValidName(name); err != nil {
		return fmt.Errorf("the name %w", err)
	}
	for _, s := range texts {
		if err := checkText(s); err != nil {
			return err
		}
	}
	return nil
}

// Limits within which an engine takes a record for certain.
const (
	maxText       = 10_000 // bytes of one text
	maxAttributes = 32_000 // bytes of all attributes
)

func checkText(s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("a text is longer than %d bytes", maxText)
	case !utf8.ValidString(s):
		return errors.New("a text is not valid UTF-8")
	}
	return nil
}

func checkAttributes(attributes map[string][]string) error {
	size, n := 0, 0
	for name, values := range attributes {
		if name == KeyAttribute || name == GoneAttribute {
			return fmt.Errorf("the attribute %s belongs to the link", name)
		}
		for _, s := range append([]string{name}, values...) {
			size += len(s) + 4
			if err := checkText(s); err != nil {
				return fmt.Errorf("attribute %s: %w", name, err)
			}
		}
		n++
	}
	if size > maxAttributes || n > 500 {
		return fmt.Errorf("its attributes are larger than %d bytes, or more than 500", maxAttributes)
	}
	return nil
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
