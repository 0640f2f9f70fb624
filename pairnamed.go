package roster

import (
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/linhash"
	"github.com/rosterdb/roster/internal/text"
)

// pairNamed finds a user and a group that are plainly named, in ASCII and without
// a directory, when each name is that of one only. It finds nothing where that
// takes more than a look, and leaves it to findUser and findGroup to say why.
//
// A name that was not asked for lately is a row of cache misses, each waiting
// for the one before: table, bucket, page of cards, card. Going these steps with
// both names at a time, and asking for what the check needs as soon as it is
// known, has the misses of one wait together with those of the other.
func (st *state) pairNamed(user, group string) (u, g uint32, ok bool) {
	if !isPlain(user) || !isPlain(group) {
		return 0, 0, false
	}
	hu, hg := st.users.hashName(0, user), st.groups.hashName(0, group)
	bu, bg := st.users.names.Bucket(hu), st.groups.names.Bucket(hg)
	u, okU := only(bu, hu)
	g, okG := only(bg, hg)
	if !okU || !okG {
		return 0, 0, false
	}
	cu, cg := st.users.pages.At(u/pageCards), st.groups.pages.At(g/pageCards)
	slot, lists := st.sets.At(g), st.pages.At(u/pageUsers)
	if cu == nil || cg == nil || slot == nil || len(*cu) == 0 || len(*cg) == 0 {
		return 0, 0, false
	}
	// The first bytes of what is read next, all at once.
	touched := (*cu)[0] ^ (*cg)[0]
	if lists != nil && len(lists.lists) > 0 {
		touched ^= lists.lists[0]
	}
	if len(slot.list) > 0 {
		touched ^= slot.list[0]
	}
	runtime.KeepAlive(touched) // else the compiler may leave the loads out
	return u, g, st.users.isNamed(u, user) && st.groups.isNamed(g, group)
}

// isPlain reports whether a reference can mean nothing but a name, and is ASCII
// and folded.
func isPlain(ref string) bool {
	for i := range len(ref) {
		if !plain[ref[i]] {
			return false
		}
	}
	return true
}

var plain = func() (set [256]bool) {
	for c := range set[:utf8.RuneSelf] {
		set[c] = byte(c) == text.Lower(byte(c)) && !strings.ContainsRune(`@\#:`, rune(c))
	}
	return set
}()

// only returns the number of the one entry with a hash.
func only(bucket []linhash.Entry, h uint32) (n uint32, ok bool) {
	for _, e := range bucket {
		if e.Hash() == h {
			if ok {
				return 0, false
			}
			n, ok = e.Number(), true
		}
	}
	return n, ok
}

// isNamed reports whether n has a name, which is folded and ASCII.
func (r *roll) isNamed(n uint32, folded string) bool {
	c, ok := r.get(n)
	return ok && c.folded == "" && equalFolded(c.name, folded)
}
