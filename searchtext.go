package roster

import (
	"encoding/binary"

	"github.com/rosterdb/roster/internal/match"
	"github.com/rosterdb/roster/internal/radix"
)

// texts are the folded texts of users as the search index has them, so that nobody's
// record has to be read and folded to look at a user. They are published with the index, so that
// what is true of it is true of them: users who were edited since are looked at
// in their records.
//
// Sixteen users of neighbouring numbers share a string:
//
//	(size uvarint, (field u8, length uvarint, bytes)...) × 16
//
// A size of 0 is that of a user who does not exist or is not kept.
type texts struct {
	pages radix.Tree[string]
	whole bool // everybody in the index is kept, but for the few with very long texts
}

const textPage = 16

// maxKeptText is how many bytes of one user are kept at most.
const maxKeptText = 4096

// get appends what is kept of a user to dst, which shares it. It is false for a
// user who is not kept.
func (t *texts) get(u uint32, dst []match.Text) ([]match.Text, bool) {
	page := t.pages.At(u / textPage)
	if page == nil || *page == "" {
		return dst, false
	}
	rest := *page
	for range u % textPage {
		size, n := uvarint(rest)
		rest = rest[n+int(size):]
	}
	size, n := uvarint(rest)
	for rest = rest[n : n+int(size)]; rest != ""; {
		size, n := uvarint(rest[1:])
		end := 1 + n + int(size)
		dst = append(dst, match.Text{Field: match.Fields(rest[0]), Value: rest[1+n : end]})
		rest = rest[end:]
	}
	return dst, size > 0
}

// textKeeper is the one who writes texts. Nothing is kept before somebody has
// searched.
type textKeeper struct {
	texts
	own   *radix.Owner
	begun bool   // from here on every edit is put
	next  uint32 // the first user who is still to be put, until full or whole
	full  bool   // somebody was left out for lack of room
	bytes int64  // of all pages
	limit int64
}

// userText is what is to be kept of a user: "" for one who does not exist.
type userText struct {
	user uint32
	text string
}

// textOf returns what is to be kept of a user.
func textOf(u uint32, user *match.User) userText {
	var b []byte
	for _, t := range user.Texts {
		b = append(b, byte(t.Field))
		b = binary.AppendUvarint(b, uint64(len(t.Value)))
		b = append(b, t.Value...)
	}
	return userText{u, string(b)}
}

// put keeps what there is of users, ascending, as far as there is room. Without
// room nothing grows: of whom more is to be kept than before, nothing is.
func (k *textKeeper) put(users []userText) {
	for len(users) > 0 {
		page, n := users[0].user/textPage, 1
		for n < len(users) && users[n].user/textPage == page {
			n++
		}
		k.putPage(page, users[:n])
		users = users[n:]
	}
}

func (k *textKeeper) putPage(page uint32, users []userText) {
	old := k.pages.Get(page)
	if old == "" && k.bytes >= k.limit {
		k.full = true
		return
	}
	var b []byte
	rest, room := old, k.bytes < k.limit
	for i := range uint32(textPage) {
		text := ""
		if rest != "" {
			size, n := uvarint(rest)
			text, rest = rest[n:n+int(size)], rest[n+int(size):]
		}
		if len(users) > 0 && users[0].user%textPage == i {
			was := len(text)
			switch text = users[0].text; {
			case len(text) > maxKeptText:
				text = ""
			case len(text) > was && !room:
				text, k.full = "", true
			}
			users = users[1:]
		}
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	k.bytes += int64(len(b) - len(old))
	k.pages.Set(k.own, page, string(b))
}

// snapshot returns the texts as they are now.
func (k *textKeeper) snapshot() texts {
	k.own = new(radix.Owner)
	k.whole = k.whole && !k.full
	return k.texts
}
