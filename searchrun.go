package roster

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"

	"github.com/rosterdb/roster/internal/match"
	"github.com/rosterdb/roster/internal/textindex"
)

// found is what a search has found: how many, and all of them by name.
type found struct {
	total   int
	atLeast bool // total is a lower bound

	// byName yields them from a place on. With errEnough it yields the user up
	// to whom it has looked, and ends.
	byName func(place) iter.Seq2[uint32, error]

	arrays []*[]uint64 // to be given back
}

// errEnough is what byName ends with when looking on would take too long.
var errEnough = errors.New("roster: looked at enough users")

func (f *found) free() {
	for _, a := range f.arrays {
		bitArrays.Put(a)
	}
}

// among returns what was found as numbers.
func (s *search) among(n numbers) *found {
	return &found{total: n.n, byName: func(from place) iter.Seq2[uint32, error] {
		return good(Set{numbers: n, st: s.st}.byName(from))
	}}
}

// good yields users, and that nothing is wrong with them.
func good(users iter.Seq[uint32]) iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		for u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// findPrefix finds the usernames that begin with the text: a range of the order
// of names.
func (s *search) findPrefix() *found {
	from, to := s.names.prefix(&s.st.users.roll, fold(s.text))
	first, end := s.names.rank(from), s.names.rank(to)
	if s.all {
		return &found{total: end - first, byName: func(p place) iter.Seq2[uint32, error] { return good(s.row(p, from, first, end)) }}
	}
	if users, ok := (Set{numbers: s.members, st: s.st}).sorted(); ok {
		return s.amongSorted(users, from, to)
	}
	f, words, holds := &found{}, s.words(), s.members.contains
	between := end - first
	each, bit, ask := memberCost*s.members.n, words/2+bitCost*between, askCost*between
	switch {
	case each <= min(bit, ask):
		return s.among(s.between(from, to))
	case bit < ask:
		bits := s.members.fillBits(words)
		f.arrays = []*[]uint64{bits}
		holds = func(u uint32) bool { return (*bits)[u>>6]>>(u&63)&1 != 0 }
	}
	f.byName = func(p place) iter.Seq2[uint32, error] {
		return func(yield func(uint32, error) bool) {
			for u := range s.row(p, from, first, end) {
				if holds(u) && !yield(u, nil) {
					return
				}
			}
		}
	}
	for u := range s.row(place{}, from, first, end) {
		if holds(u) {
			f.total++
		}
	}
	return f
}

// What it costs about, in nanoseconds, to look where a member stands in the
// order of names, whether a bit is set for a user, and whether a set holds one.
const (
	memberCost = 30
	bitCost    = 4
	askCost    = 40
)

// row yields the users from p on who stand between two places, the first of which
// is from and has the rank first; the other one has the rank end.
func (s *search) row(p, from place, first, end int) iter.Seq[uint32] {
	n := end - first
	if r := s.names.rank(p); r > first {
		from, n = p, end-r
	}
	return func(yield func(uint32) bool) {
		if n <= 0 {
			return
		}
		for u := range s.names.walk(from) {
			if !yield(u) {
				return
			}
			if n--; n == 0 {
				return
			}
		}
	}
}

// amongSorted returns those of some users, who are sorted by name, that stand
// between two places.
func (s *search) amongSorted(users []uint32, from, to place) *found {
	behind := func(users []uint32, p place) []uint32 {
		if p == s.names.end() {
			return nil
		}
		first := s.names.label(s.names.at(p))
		i, _ := slices.BinarySearchFunc(users, first, func(u, first uint32) int { return cmp.Compare(s.names.label(u), first) })
		return users[i:]
	}
	users = behind(users, from)
	users = users[:len(users)-len(behind(users, to))]
	return &found{total: len(users), byName: func(p place) iter.Seq2[uint32, error] {
		return good(slices.Values(behind(users, p)))
	}}
}

// between returns the members who stand between two places.
func (s *search) between(from, to place) numbers {
	if from == s.names.end() {
		return numbers{}
	}
	low, high := uint64(s.names.label(s.names.at(from))), endLabel
	if to != s.names.end() {
		high = uint64(s.names.label(s.names.at(to)))
	}
	var list []uint32
	for u := range s.members.all() {
		if l := uint64(s.names.label(u)); low <= l && l < high {
			list = append(list, u)
		}
	}
	return listOf(list)
}

// words is the length of an array with a bit for every user.
func (s *search) words() int { return int(s.st.nextUser>>16+1) << 10 }

// Up to how many users a search looks at each itself: that costs less then than
// asking the index.
const (
	readBelow = 32  // when it reads their records
	lookBelow = 256 // when it has their texts
)

// findTerms finds the users in whom every term occurs, by the index if there is
// one that can be trusted.
func (s *search) findTerms() (*found, error) {
	x := s.tx.e.search.acquire()
	if x != nil {
		defer x.release()
	}
	l := s.looker(x)
	if l.indexed && s.members.n > l.below() {
		f, err := s.byIndex(x, l)
		if !errors.Is(err, errNoIndex) {
			return f, err
		}
	}
	var list []uint32
	for u := range s.members.all() {
		ok, err := l.matches(u)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, u)
		}
	}
	return s.among(listOf(list).or(s.leading())), nil
}

// leading returns the members who go first. They are found whatever their
// records say.
func (s *search) leading() numbers {
	return filter(ascending(slices.Clone(s.exact)), &s.members, true)
}

// looker looks at users themselves: at their texts if the index has them, and
// otherwise at their records.
type looker struct {
	s       *search
	indexed bool     // there is an index to be used
	texts   texts    // the index's
	edited  []uint32 // of whom the index and its texts may be wrong, ascending
	records recordReader
	user    match.User
	scoped  bool // the query asks for directories
	n       int
	until   time.Time
}

// searchPatience is for how long a search looks at users.
const searchPatience = 5 * time.Second

// looker returns one for an index, or without one.
func (s *search) looker(x *indexed) *looker {
	l := &looker{
		s: s, until: time.Now().Add(searchPatience), scoped: slices.ContainsFunc(s.query.Terms, func(t match.Term) bool { return len(t.Scopes) > 0 }),
		records: recordReader{st: s.st, folded: &s.tx.e.folded, attributes: s.tx.e.opts.SearchAttributes},
	}
	if x != nil {
		if l.edited, l.indexed = s.edited(x); l.indexed {
			l.texts = x.texts
		}
	}
	return l
}

// below is the number of users up to which looking costs less than the index.
func (l *looker) below() int {
	switch {
	case l.s.tx.e.opts.indexAlways:
		return 0
	case l.texts.whole:
		return lookBelow
	}
	return readBelow
}

// wasEdited reports whether the index may be wrong about a user.
func (l *looker) wasEdited(u uint32) bool {
	_, found := slices.BinarySearch(l.edited, u)
	return found
}

// matches reports whether the query finds a user.
func (l *looker) matches(u uint32) (bool, error) {
	if l.n++; l.n%64 == 0 {
		if err := l.s.tx.ctx.Err(); err != nil {
			return false, err
		}
		if time.Now().After(l.until) {
			return false, ErrSearchNotReady
		}
	}
	kept := false
	if l.user.Texts, kept = l.texts.get(u, l.user.Texts[:0]); kept && !l.wasEdited(u) {
		if l.scoped {
			c, _ := l.s.st.users.get(u)
			l.user.Directory, l.user.Name = c.dir, c.fold()
		}
		return l.s.query.Match(&l.user), nil
	}
	user, err := l.records.read(u)
	if err != nil {
		return false, fmt.Errorf("%v: %w", UserID(u), err)
	}
	return l.s.query.Match(user), nil
}

// errNoIndex says that the index is not to be used for this search.
var errNoIndex = errors.New("roster: no search index")

// fewHits is up to how many users the index names that are handled one by one;
// more are handled as bits of an array for all users.
const fewHits = 1024

// byIndex finds the users in whom every term occurs.
func (s *search) byIndex(x *indexed, l *looker) (f *found, err error) {
	plain, scoped := s.clauses()
	var few candidateList
	var all candidates
	defer func() {
		if f == nil {
			all.free()
		}
	}()
	take := func(h *textindex.Hits) {
		if h.Sure+h.Unsure <= fewHits && len(scoped) == 0 {
			few = listHits(h)
		} else {
			all.add(h, s.words())
		}
	}
	if len(plain) > 0 {
		err = x.snapshot.Find(plain, take)
	}
	for i := 0; i < len(scoped) && err == nil; i++ {
		err = s.scopedTerm(x, scoped[i], &all)
	}
	if err != nil {
		s.tx.e.search.suspect()
		return nil, errNoIndex
	}
	if all.sure == nil {
		return s.settleFew(few, l)
	}
	if err := s.settle(&all, l); err != nil {
		return nil, err
	}
	return s.count(&all, l)
}

// clauses returns what the index is asked, and the terms that mean directories
// too, of which it knows nothing.
func (s *search) clauses() (plain []textindex.Clause, scoped []*match.Term) {
	for i := range s.query.Terms {
		if t := &s.query.Terms[i]; len(t.Scopes) > 0 {
			scoped = append(scoped, t)
		} else {
			plain = append(plain, s.clause(t))
		}
	}
	return plain, scoped
}

func (s *search) clause(t *match.Term) (c textindex.Clause) {
	for _, form := range t.Forms {
		p := match.PlanOf(form)
		c = append(c, textindex.Alternative{All: p.All, Gram: p.Gram, Word: p.Word})
	}
	if s.query.Fuzzy && match.MayBeMisspelt(t.Forms[0]) {
		c = append(c, textindex.Alternative{Near: t.Forms[0]})
	}
	return c
}

// anywhere reports whether all fields are asked for. Otherwise nothing that the
// index says is certain: it does not know in which field it is.
func (s *search) anywhere() bool { return s.query.Fields == match.AllFields }

// candidateList is what the index says: the users who match, and those who may.
type candidateList struct{ sure, unsure []uint32 }

func listHits(h *textindex.Hits) (c candidateList) {
	c.sure, c.unsure = make([]uint32, 0, h.Sure), make([]uint32, 0, h.Unsure)
	h.EachSure(func(u uint32) { c.sure = append(c.sure, u) })
	h.EachUnsure(func(u uint32) { c.unsure = append(c.unsure, u) })
	return c
}

// settleFew decides about the users whom the index has named, those who were
// edited, and those who go first.
func (s *search) settleFew(c candidateList, l *looker) (*found, error) {
	if !s.anywhere() {
		c.sure, c.unsure = nil, append(c.unsure, c.sure...)
	}
	list := slices.DeleteFunc(c.sure, func(u uint32) bool { return l.wasEdited(u) || !s.members.contains(u) })
	c.unsure = slices.DeleteFunc(c.unsure, l.wasEdited)
	for _, u := range append(c.unsure, l.edited...) {
		if !s.members.contains(u) {
			continue
		}
		ok, err := l.matches(u)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, u)
		}
	}
	return s.among(listOf(ascending(append(list, s.exact...))).and(s.members)), nil
}

// candidates are the same with a bit for every user; without arrays it is not
// known yet who they are.
type candidates struct{ sure, unsure *[]uint64 }

func (c *candidates) free() {
	for _, a := range []*[]uint64{c.sure, c.unsure} {
		if a != nil {
			bitArrays.Put(a)
		}
	}
}

// add makes candidates of what the index says.
func (c *candidates) add(h *textindex.Hits, words int) {
	c.sure, c.unsure = emptyBits(words), emptyBits(words)
	h.SetSure(*c.sure)
	h.SetUnsure(*c.unsure)
}

// and leaves those who are in both.
func (c *candidates) and(o *candidates) {
	for i := range *c.sure {
		may := ((*c.sure)[i] | (*c.unsure)[i]) & ((*o.sure)[i] | (*o.unsure)[i])
		(*c.sure)[i] &= (*o.sure)[i]
		(*c.unsure)[i] = may &^ (*c.sure)[i]
	}
}

// scopedTerm leaves of the candidates those in whom a term occurs that means
// directories too.
func (s *search) scopedTerm(x *indexed, t *match.Term, all *candidates) error {
	var here candidates
	err := x.snapshot.Find([]textindex.Clause{s.clause(t)}, func(h *textindex.Hits) { here.add(h, s.words()) })
	if err != nil {
		here.free()
		return err
	}
	s.scoped(t.Scopes, *here.sure)
	for i, w := range *here.sure {
		(*here.unsure)[i] &^= w
	}
	if all.sure == nil {
		*all = here
		return nil
	}
	all.and(&here)
	here.free()
	return nil
}

// scoped adds the users whom the scopes of a term mean, which differ in their
// directories only. There may be thousands of those with one domain: the names
// are walked once.
func (s *search) scoped(scopes []match.Scope, words []uint64) {
	if scopes[0].Whole {
		for _, scope := range scopes {
			if u, ok := s.st.users.find(scope.Directory, scope.Name); ok {
				words[u>>6] |= 1 << (u & 63)
			}
		}
		return
	}
	users := func(scope match.Scope) numbers { return s.st.direct(s.st.dir(DirectoryID(scope.Directory)).set) }
	first := users(scopes[0])
	in := first.fillBits(s.words())
	defer bitArrays.Put(in)
	for _, scope := range scopes[1:] {
		for u := range users(scope).all() {
			(*in)[u>>6] |= 1 << (u & 63)
		}
	}
	from, to := s.names.prefix(&s.st.users.roll, scopes[0].Name)
	for u := range s.row(place{}, from, s.names.rank(from), s.names.rank(to)) {
		words[u>>6] |= (*in)[u>>6] & (1 << (u & 63))
	}
}

// edited returns the users of whom the index may say something else than is true
// in the state that is searched.
func (s *search) edited(x *indexed) (users []uint32, ok bool) {
	switch {
	case s.tx.write:
		users, _ = x.from.usersUntil(endOfEdits)
		users = ascending(editedBy(users, s.tx.ops))
	case s.st.rev >= x.rev:
		users, _ = x.from.usersUntil(s.st.rev)
	case s.tx.since == nil:
		return nil, false
	default:
		users, _ = s.tx.since.usersUntil(x.rev)
	}
	if len(x.also) > 0 {
		users = ascending(append(users, x.also...))
	}
	return users, true
}

const endOfEdits = Revision(1<<64 - 1)

// settle leaves of the candidates the members, and decides about those who were
// edited and those who go first.
func (s *search) settle(c *candidates, l *looker) error {
	sure, unsure := *c.sure, *c.unsure
	if !s.anywhere() {
		for i, w := range sure {
			sure[i], unsure[i] = 0, unsure[i]|w
		}
	}
	if !s.all {
		members := s.members.fillBits(s.words())
		for i, w := range *members {
			sure[i] &= w
			unsure[i] &= w
		}
		bitArrays.Put(members)
	}
	decide := func(u uint32, matches bool) {
		sure[u>>6] &^= 1 << (u & 63)
		unsure[u>>6] &^= 1 << (u & 63)
		if matches {
			sure[u>>6] |= 1 << (u & 63)
		}
	}
	for _, u := range l.edited {
		if int(u>>6) >= len(sure) {
			continue
		}
		ok := s.members.contains(u)
		if ok {
			var err error
			if ok, err = l.matches(u); err != nil {
				return err
			}
		}
		decide(u, ok)
	}
	for u := range s.leading().all() {
		decide(u, true)
	}
	return nil
}

// maxUnsure is how many users a search looks at to see whether a text that they
// may hold is there.
const maxUnsure = 20_000

// count decides about the users of whom the index does not say it for certain,
// if there are not too many, and counts those who were found.
func (s *search) count(c *candidates, l *looker) (*found, error) {
	sure, unsure := *c.sure, *c.unsure
	f := &found{arrays: []*[]uint64{c.sure, c.unsure}}
	open := 0
	for i, w := range sure {
		f.total += bits.OnesCount64(w)
		open += bits.OnesCount64(unsure[i])
	}
	if open > maxUnsure || s.lazy && open > 0 {
		f.atLeast = true
		f.byName = func(from place) iter.Seq2[uint32, error] { return s.decideByName(f, c, l, from) }
		return f, nil
	}
	for i := range unsure {
		for w := unsure[i]; w != 0; w &= w - 1 {
			u := uint32(i)<<6 | uint32(bits.TrailingZeros64(w))
			ok, err := l.matches(u)
			if err != nil {
				return nil, err
			}
			if ok {
				sure[i] |= 1 << (u & 63)
				f.total++
			}
		}
	}
	f.byName = func(from place) iter.Seq2[uint32, error] { return good(s.bitsByName(sure, f.total, from)) }
	return f, nil
}

// bitsByName yields the n users whose bits are set.
func (s *search) bitsByName(words []uint64, n int, from place) iter.Seq[uint32] {
	if n > 16 && uint64(n)*uint64(n) >= heapBelow*uint64(s.names.len()) {
		return s.names.walkBits(from, words)
	}
	list := make([]uint32, 0, n)
	for i, w := range words {
		for ; w != 0; w &= w - 1 {
			list = append(list, uint32(i)<<6|uint32(bits.TrailingZeros64(w)))
		}
	}
	return Set{numbers: listOf(list), st: s.st}.byLabel(from)
}

// decideByName yields the users who may match and do, and counts those that it
// has had to look at to know.
func (s *search) decideByName(f *found, c *candidates, l *looker, from place) iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		sure, may := *c.sure, *c.unsure
		for i, w := range sure {
			may[i] |= w
		}
		looked := 0
		for u := range s.names.walkBits(from, may) {
			if sure[u>>6]>>(u&63)&1 != 0 {
				if !yield(u, nil) {
					return
				}
				continue
			}
			ok, err := l.matches(u)
			if ok {
				f.total++
			}
			if (ok || err != nil) && !yield(u, err) || err != nil {
				return
			}
			if looked++; looked == maxUnsure {
				yield(u, errEnough)
				return
			}
		}
	}
}

func emptyBits(n int) *[]uint64 {
	var none numbers
	return none.fillBits(n)
}
