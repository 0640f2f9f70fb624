package roster

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/match"
)

// The fields of a user that can be searched. Their sum says in several.
const (
	Username    = uint8(match.Username)
	FullName    = uint8(match.FullName)
	Email       = uint8(match.Email)
	Description = uint8(match.Description)
	Attributes  = uint8(match.Attributes) // those that Options.SearchAttributes names
)

// SearchQuery says whom Search is to find.
type SearchQuery struct {
	// Text is what somebody typed: words, or beginnings or parts of words,
	// parted by white space, commas or semicolons. Each must occur in the user,
	// in one field or another, where a word begins or, if it has at least three
	// characters, anywhere. Case, accents, width and apostrophes make no
	// difference. Every other character is looked for as it stands. Without
	// anything to look for Text finds all users. It may have up to 1024 bytes
	// and 32 parts.
	//
	// domain\name and name@domain are one, and also mean the users called name
	// in directories of that name or domain.
	Text string

	// Fields says where to look; 0 is everywhere. Username alone asks for the
	// usernames that begin with Text as it is, under identity folding: that is
	// answered from the order of names in microseconds.
	Fields uint8

	// Fuzzy finds words with one typo too: for each part of Text with at least
	// four characters, words and whole usernames in which one character is
	// missing, additional or another one, or two neighbours are exchanged. With
	// it Username alone is a field like the others.
	Fuzzy bool

	// Within are the users among whom to look; nil means all.
	Within *Set

	// Active leaves out users that are not active.
	Active bool

	// Directories leaves out the users of other directories, unless it is empty.
	Directories []DirectoryID

	// Limit is how many users to return at most: 0 means 100, a negative one
	// none, only their total.
	Limit int

	// NoTotal says that nobody wants to know how many there are: Total is then a
	// lower bound wherever AtLeast says so. Where a user has to be looked at to
	// know whether the text is there, because not all fields are asked for, only
	// those up to the end of the page are, in place of up to 20,000.
	NoTotal bool

	// After is the place to go on from: the Next of the page before, for the
	// same query.
	After Cursor
}

// SearchResult is a page of the users that Search has found.
type SearchResult struct {
	// Users are those whose username, or domain\name or name@domain, is Text
	// itself, and then all others by identity-folded username and directory.
	Users []UserID

	// Total is how many there are on all pages.
	Total int

	// AtLeast says that Total is only a lower bound. That is so where more than
	// 20,000 users hold all parts of a text without it being clear that they
	// hold the text, and the rest would have taken too long to read; and with
	// NoTotal.
	AtLeast bool

	// Next is where the next page begins, "" behind the last one.
	Next Cursor
}

// Limits of a query.
const (
	maxSearchText  = 1024 // bytes
	maxSearchTerms = 32
	searchLimit    = 100
)

// Search finds users by what people type. It reads the revision of the View, or
// the state of the Update with what it has changed so far, however far the
// search index has come: users that changed since are looked at themselves, which
// takes some microseconds each. While there is no index, as after Open of a store
// whose index is missing or damaged, it looks through all users, a million in some
// seconds. Either ends with ErrSearchNotReady after five seconds, or earlier with
// the error of the context. It returns ErrInvalid for a query beyond its limits,
// for text that is not UTF-8 and for a cursor that is none, and ErrNotFound for a
// directory that does not exist.
func (tx *Txn) Search(q SearchQuery) (SearchResult, error) {
	st, err := tx.snapshot()
	if err != nil {
		return SearchResult{}, err
	}
	s, err := newSearch(tx, st, &q)
	if err != nil {
		return SearchResult{}, fmt.Errorf("search %q: %w", clip(q.Text), err)
	}
	found, err := s.find()
	if err != nil {
		return SearchResult{}, fmt.Errorf("search %q: %w", clip(q.Text), err)
	}
	defer found.free()
	return s.page(found)
}

// search is one search under way.
type search struct {
	tx      *Txn
	st      *state
	names   *order
	query   match.Query
	text    string
	ordered bool // a search for usernames that begin with the text
	members numbers
	all     bool     // members are all users
	exact   []uint32 // users that go first
	limit   int
	lazy    bool // how many there are is not asked
	after   searchCursor
}

func newSearch(tx *Txn, st *state, q *SearchQuery) (*search, error) {
	s := &search{tx: tx, st: st, names: &st.users.byName, text: q.Text, limit: cmp.Or(q.Limit, searchLimit)}
	s.lazy = q.NoTotal && s.limit > 0
	s.query.Fields, s.query.Fuzzy = match.Fields(q.Fields), q.Fuzzy
	if q.Fields == 0 {
		s.query.Fields = match.AllFields
	}
	switch {
	case s.query.Fields&^match.AllFields != 0:
		return nil, fmt.Errorf("fields %b: %w", q.Fields, ErrInvalid)
	case len(q.Text) > maxSearchText:
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrInvalid, len(q.Text), maxSearchText)
	case !utf8.ValidString(q.Text):
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrInvalid)
	}
	if err := s.after.parse(q.After); err != nil {
		return nil, err
	}
	if err := s.restrict(q); err != nil {
		return nil, err
	}
	if s.ordered = s.query.Fields == match.Username && !q.Fuzzy; s.ordered {
		return s, nil
	}
	return s, s.parse()
}

// parse takes the text apart, adds what only the directories tell, and finds who
// goes first.
func (s *search) parse() error {
	s.query.Terms = match.Parse(s.text)
	if n := len(s.query.Terms); n > maxSearchTerms {
		return fmt.Errorf("%w: it has %d parts, %d are allowed", ErrInvalid, n, maxSearchTerms)
	}
	for i := range s.query.Terms {
		s.scope(&s.query.Terms[i])
	}
	if text := strings.TrimSpace(s.text); text != "" && s.query.Fields&match.Username != 0 {
		if m := s.st.matchNames(text); m.n > 0 {
			s.exact = append([]uint32{m.first}, m.more...)
			sortByName(&s.st.users.roll, s.exact)
		}
	}
	return nil
}

// scope adds the users that a term means by their directory.
func (s *search) scope(t *match.Term) {
	domain, name, ok := match.SplitDomain(t.Raw)
	if !ok {
		return
	}
	domain, name = fold(domain), fold(name)
	for i := range s.st.dirs {
		if d := &s.st.dirs[i]; d.folded == domain || fold(d.Domain) == domain {
			t.Scopes = append(t.Scopes, match.Scope{Directory: uint32(d.ID), Name: name, Whole: !strings.Contains(t.Raw, `\`)})
		}
	}
}

// restrict computes the users among whom to look.
func (s *search) restrict(q *SearchQuery) error {
	everyone := s.st.direct(setAll)
	s.members, s.all = everyone, true
	and := func(n numbers, all bool) {
		if !all {
			s.members, s.all = s.members.and(n), false
		}
	}
	switch in := q.Within; {
	case in == nil:
	case in.st == s.st && !in.mixed && in.n < everyone.n: // all of them exist
		s.members, s.all = in.numbers, false
	default:
		and(in.numbers, in.n == everyone.n && in.equal(everyone))
	}
	if q.Active {
		active := s.st.direct(setActive)
		and(active, active.n == everyone.n)
	}
	if len(q.Directories) > 0 {
		var of numbers
		for _, id := range q.Directories {
			d := s.st.dir(id)
			if d == nil {
				return fmt.Errorf("directory %d: %w", id, ErrNotFound)
			}
			of = of.or(s.st.direct(d.set))
		}
		and(of, of.n == everyone.n)
	}
	return nil
}

// find finds everybody whom the query means.
func (s *search) find() (*found, error) {
	switch {
	case s.ordered:
		return s.findPrefix(), nil
	case strings.TrimSpace(s.text) == "":
		return s.among(s.members), nil
	case len(s.query.Terms) == 0:
		return s.among(s.leading()), nil
	}
	return s.findTerms()
}

// page puts together the page that was asked for.
func (s *search) page(f *found) (out SearchResult, err error) {
	for u, err := range s.sequence(f) {
		switch {
		case err == errEnough:
			if s.limit > 0 {
				out.Next = s.cursor(u)
			}
		case err != nil:
			return SearchResult{}, err
		case s.limit < 0 && f.atLeast: // to count them
			continue
		case s.limit > len(out.Users):
			out.Users = append(out.Users, UserID(u))
			continue
		case s.limit > 0:
			out.Next = s.cursor(uint32(out.Users[s.limit-1]))
		}
		break
	}
	out.Total, out.AtLeast = f.total, f.atLeast
	return out, nil
}

// sequence yields what was found behind the cursor: those who go first, then the
// others by name.
func (s *search) sequence(f *found) iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		from := place{}
		switch {
		case s.after.set && !s.after.first: // who goes first was on a page before
			from = s.st.users.behind(s.after.folded, s.after.dir)
		default:
			for _, u := range s.exact {
				passed := s.after.set && s.st.users.compareTo(u, s.after.folded, s.after.dir) <= 0
				if !passed && s.members.contains(u) && !yield(u, nil) {
					return
				}
			}
		}
		for u, err := range f.byName(from) {
			if (err != nil || !slices.Contains(s.exact, u)) && !yield(u, err) {
				return
			}
		}
	}
}

// searchCursor is a Cursor taken apart. The one of a user who goes first begins
// with "=".
type searchCursor struct {
	set, first bool
	folded     string
	dir        uint32
}

func (c *searchCursor) parse(text Cursor) (err error) {
	if text == "" {
		return nil
	}
	rest, first := strings.CutPrefix(string(text), "=")
	c.set, c.first = true, first
	c.folded, c.dir, err = Cursor(rest).parse()
	return err
}

// cursor returns the place behind a user.
func (s *search) cursor(u uint32) Cursor {
	c, _ := s.st.users.get(u)
	at := cursorOf(c.fold(), c.dir)
	if slices.Contains(s.exact, u) {
		return "=" + at
	}
	return at
}
