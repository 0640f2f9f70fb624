package roster

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"

	"github.com/rosterdb/roster/internal/match"
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
		return good(Set{n, s.st}.byName(from))
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
	if s.members.n*4 < end-first || s.members.n <= directBelow {
		return s.among(s.between(from, to))
	}
	words := s.members.fillBits(s.words())
	holds := func(u uint32) bool { return (*words)[u>>6]>>(u&63)&1 != 0 }
	f := &found{arrays: []*[]uint64{words}, byName: func(p place) iter.Seq2[uint32, error] {
		return func(yield func(uint32, error) bool) {
			for u := range s.row(p, from, first, end) {
				if holds(u) && !yield(u, nil) {
					return
				}
			}
		}
	}}
	for u := range s.row(place{}, from, first, end) {
		if holds(u) {
			f.total++
		}
	}
	return f
}

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

// directBelow is up to how many users a search looks at each itself: reading
// their records costs less then than asking the index.
const directBelow = 32

// findTerms finds the users in whom every term occurs, by the index if there is
// one that can be trusted.
func (s *search) findTerms() (*found, error) {
	if s.members.n > directBelow {
		if x := s.tx.e.search.acquire(); x != nil {
			f, err := s.byIndex(x)
			x.release()
			if !errors.Is(err, errNoIndex) {
				return f, err
			}
		}
	}
	reading := s.reader()
	var list []uint32
	for u := range s.members.all() {
		ok, err := reading.matches(u)
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

// reading looks at users' records themselves.
type reading struct {
	s       *search
	records recordReader
	n       int
	until   time.Time
}

// searchPatience is for how long a search looks through records.
const searchPatience = 5 * time.Second

func (s *search) reader() *reading {
	return &reading{
		s: s, until: time.Now().Add(searchPatience),
		records: recordReader{st: s.st, store: s.tx.e.store, attributes: s.tx.e.opts.SearchAttributes},
	}
}

// matches reports whether the query finds a user.
func (r *reading) matches(u uint32) (bool, error) {
	if r.n++; r.n%64 == 0 {
		if err := r.s.tx.ctx.Err(); err != nil {
			return false, err
		}
		if time.Now().After(r.until) {
			return false, ErrSearchNotReady
		}
	}
	user, err := r.records.read(u)
	if err != nil {
		return false, fmt.Errorf("%v: %w", UserID(u), err)
	}
	return r.s.query.Match(user), nil
}

// errNoIndex says that the index is not to be used for this search.
var errNoIndex = errors.New("roster: no search index")

// candidates are the users who may match, and those of them who do for certain,
// with a bit for each.
type candidates struct{ may, sure *[]uint64 }

// byIndex finds the users in whom every term occurs.
func (s *search) byIndex(x *indexed) (*found, error) {
	edited, ok := s.edited(x)
	if !ok {
		return nil, errNoIndex
	}
	f := &found{}
	all := candidates{s.members.fillBits(s.words()), s.members.fillBits(s.words())}
	f.arrays = append(f.arrays, all.may, all.sure)
	done := false
	defer func() {
		if !done {
			f.free()
		}
	}()
	if err := s.terms(x, all); err != nil {
		s.tx.e.search.suspect()
		return nil, errNoIndex
	}
	if err := s.settle(all, edited); err != nil {
		return nil, err
	}
	done = true
	return f, s.count(f, all)
}

// terms leaves of the candidates those in whom every term occurs. Of the terms
// that are one gram each the index gives at once who has them all.
func (s *search) terms(x *indexed, all candidates) error {
	var grams []string
	for i := range s.query.Terms {
		t := &s.query.Terms[i]
		p := match.PlanOf(t.Forms[0])
		if p.Sure() && len(t.Forms) == 1 && len(t.Scopes) == 0 {
			grams = append(grams, p.Gram)
		} else if err := s.term(x, t, all); err != nil {
			return err
		}
	}
	if len(grams) == 0 {
		return nil
	}
	here := candidates{emptyBits(s.words()), emptyBits(s.words())}
	defer here.free()
	if err := x.snapshot.All(grams, *here.sure); err != nil {
		return err
	}
	s.keep(all, here)
	return nil
}

// term leaves of the candidates those in whom a term occurs.
func (s *search) term(x *indexed, t *match.Term, all candidates) error {
	here := candidates{emptyBits(s.words()), emptyBits(s.words())}
	defer here.free()
	for _, form := range t.Forms {
		if err := here.form(x, form); err != nil {
			return err
		}
	}
	if s.query.Fuzzy && match.MayBeMisspelt(t.Forms[0]) {
		if err := x.snapshot.Nearly(t.Forms[0], *here.sure); err != nil {
			return err
		}
	}
	for _, scope := range t.Scopes {
		s.scoped(scope, *here.sure)
	}
	s.keep(all, here)
	return nil
}

// keep leaves of all candidates those that are here too.
func (s *search) keep(all, here candidates) {
	anywhere := s.query.Fields == match.AllFields
	for i := range *all.may {
		(*all.may)[i] &= (*here.may)[i] | (*here.sure)[i]
		if anywhere {
			(*all.sure)[i] &= (*here.sure)[i]
		} else {
			(*all.sure)[i] = 0 // the index does not say in which field
		}
	}
}

func (c candidates) free() {
	bitArrays.Put(c.may)
	bitArrays.Put(c.sure)
}

// form adds the users in whom a form of a term occurs.
func (c candidates) form(x *indexed, form string) error {
	p := match.PlanOf(form)
	if p.Sure() {
		return x.snapshot.All(p.All, *c.sure)
	}
	err := x.snapshot.All(p.All, *c.may)
	if err == nil && p.Gram != "" {
		err = x.snapshot.All([]string{p.Gram}, *c.sure)
	}
	if err == nil && p.Word != "" {
		err = x.snapshot.Word(p.Word, *c.sure)
	}
	return err
}

// scoped adds the users whom a scope means.
func (s *search) scoped(scope match.Scope, words []uint64) {
	if scope.Whole {
		if u, ok := s.st.users.find(scope.Directory, scope.Name); ok {
			words[u>>6] |= 1 << (u & 63)
		}
		return
	}
	d := s.st.dir(DirectoryID(scope.Directory))
	of := s.st.direct(d.set)
	in := of.fillBits(s.words())
	defer bitArrays.Put(in)
	from, to := s.names.prefix(&s.st.users.roll, scope.Name)
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

// settle decides about the users who were edited, and about those who go first,
// whatever the index says.
func (s *search) settle(all candidates, edited []uint32) error {
	reading := s.reader()
	for _, u := range edited {
		if int(u>>6) >= len(*all.may) {
			continue
		}
		(*all.may)[u>>6] &^= 1 << (u & 63)
		(*all.sure)[u>>6] &^= 1 << (u & 63)
		if !s.members.contains(u) {
			continue
		}
		ok, err := reading.matches(u)
		if err != nil {
			return err
		}
		if ok {
			(*all.may)[u>>6] |= 1 << (u & 63)
			(*all.sure)[u>>6] |= 1 << (u & 63)
		}
	}
	for u := range s.leading().all() {
		(*all.may)[u>>6] |= 1 << (u & 63)
		(*all.sure)[u>>6] |= 1 << (u & 63)
	}
	return nil
}

// maxUnsure is how many users a search reads to see whether a text that they may
// hold is there.
const maxUnsure = 20_000

// count decides about the users of whom the index does not say it for certain,
// if there are not too many, and counts those who were found.
func (s *search) count(f *found, all candidates) error {
	may, sure := *all.may, *all.sure
	unsure := 0
	for i, w := range may {
		f.total += bits.OnesCount64(sure[i])
		unsure += bits.OnesCount64(w &^ sure[i])
	}
	reading := s.reader()
	if unsure > maxUnsure {
		f.atLeast = true
		f.byName = func(from place) iter.Seq2[uint32, error] { return s.decideByName(f, all, reading, from) }
		return nil
	}
	for i, w := range may {
		for w &^= sure[i]; w != 0; w &= w - 1 {
			u := uint32(i)<<6 | uint32(bits.TrailingZeros64(w))
			ok, err := reading.matches(u)
			if err != nil {
				return err
			}
			if ok {
				sure[i] |= 1 << (u & 63)
				f.total++
			}
		}
	}
	f.byName = func(from place) iter.Seq2[uint32, error] { return good(s.bitsByName(sure, f.total, from)) }
	return nil
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
	return Set{listOf(list), s.st}.byLabel(from)
}

// decideByName yields the users who may match and do, and counts those that it
// has had to read to know.
func (s *search) decideByName(f *found, all candidates, reading *reading, from place) iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		read := 0
		for u := range s.names.walkBits(from, *all.may) {
			if (*all.sure)[u>>6]>>(u&63)&1 != 0 {
				if !yield(u, nil) {
					return
				}
				continue
			}
			ok, err := reading.matches(u)
			if ok {
				f.total++
			}
			if (ok || err != nil) && !yield(u, err) || err != nil {
				return
			}
			if read++; read == maxUnsure {
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
