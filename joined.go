package roster

import (
	"encoding/binary"
	"iter"
	"time"
	"unsafe"

	"github.com/rosterdb/roster/internal/idlist"
)

// A joinedList says which organisations a user is a member of:
//
//	standard  uvarint     the default one, 0 for none
//	entries               the newest first
//	  org     uvarint
//	  since   time        when the membership was created
//
// "" is the list of a user who is in none. The newest stands first because that
// is where joining writes; the oldest is looked for only when a default goes.
type joinedList string

// joinedEntry is one organisation of a list. Of two that were joined at the same
// time, the one whose ID comes first counts as the older.
type joinedEntry struct {
	org   uint32
	since time.Time
}

// standard returns the default organisation, 0 if there is none.
func (l joinedList) standard() uint32 {
	org, _ := uvarint(string(l))
	return uint32(org)
}

// entries returns the list without the default.
func (l joinedList) entries() string {
	_, n := uvarint(string(l))
	return string(l[n:])
}

// all yields the organisations, the newest membership first.
func (l joinedList) all() iter.Seq[joinedEntry] {
	return func(yield func(joinedEntry) bool) {
		if l == "" {
			return
		}
		for s := l.entries(); s != ""; {
			e, size := decodeJoined(s)
			if s = s[size:]; !yield(e) {
				return
			}
		}
	}
}

// oldestBut returns the organisation with the oldest membership other than org.
func (l joinedList) oldestBut(org uint32) (oldest uint32, ok bool) {
	for e := range l.all() {
		if e.org != org {
			oldest, ok = e.org, true
		}
	}
	return oldest, ok
}

func appendJoined(b []byte, e joinedEntry) []byte {
	return encodeTime(idlist.AppendUvarint(b, e.org), e.since)
}

func decodeJoined(s string) (e joinedEntry, size int) {
	org, n := uvarint(s)
	size = n + timeLen(s[n:])
	e.org = uint32(org)
	e.since, _ = decodeTime(s[n:size])
	return e, size
}

func makeJoined(standard uint32, entries ...string) joinedList {
	b := idlist.AppendUvarint(nil, standard)
	for _, e := range entries {
		b = append(b, e...)
	}
	return joinedList(unsafe.String(unsafe.SliceData(b), len(b)))
}

// joined returns the organisations of a user.
func (st *state) joined(u uint32) joinedList {
	if p := st.joins.At(u / pageUsers); p != nil {
		return joinedList(p.list(u % pageUsers))
	}
	return ""
}

func (st *state) setJoined(u uint32, l joinedList) {
	p := st.joins.Ref(st.own, u/pageUsers)
	p.replace(u%pageUsers, string(l))
}

// join puts an organisation into a user's list, in place of where it may stand
// there, and makes it the default or takes that from it.
func (st *state) join(u uint32, e joinedEntry, standard bool) {
	l := st.joined(u)
	is := l.standard()
	switch {
	case standard:
		is = e.org
	case is == e.org:
		is = 0
	}
	entry := string(appendJoined(nil, e))
	rest := ""
	if l != "" {
		rest = l.entries()
		if known, size := decodeJoined(rest); rest != "" && known.org == e.org && known.since.Equal(e.since) {
			st.setJoined(u, makeJoined(is, rest[:size], rest[size:]))
			return
		}
		rest = cutJoined(rest, e.org)
	}
	at := 0
	for at < len(rest) {
		other, size := decodeJoined(rest[at:])
		if st.compareJoined(other, e) < 0 {
			break
		}
		at += size
	}
	st.setJoined(u, makeJoined(is, rest[:at], entry, rest[at:]))
}

// compareJoined orders by age, the oldest first.
func (st *state) compareJoined(a, b joinedEntry) int {
	if d := a.since.Compare(b.since); d != 0 {
		return d
	}
	return st.orgs.compare(a.org, b.org)
}

// part takes an organisation out of a user's list.
func (st *state) part(u uint32, org uint32) {
	l := st.joined(u)
	if l == "" {
		return
	}
	is := l.standard()
	if is == org {
		is = 0
	}
	rest := cutJoined(l.entries(), org)
	if rest == "" {
		st.setJoined(u, "")
		return
	}
	st.setJoined(u, makeJoined(is, rest))
}

// cutJoined returns entries without that of an organisation.
func cutJoined(entries string, org uint32) string {
	for at := 0; at < len(entries); {
		n, head := binary.Uvarint([]byte(entries[at:min(len(entries), at+binary.MaxVarintLen32)]))
		end := at + head + timeLen(entries[at+head:])
		if uint32(n) == org {
			return entries[:at] + entries[end:]
		}
		at = end
	}
	return entries
}
