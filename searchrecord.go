package roster

import (
	"errors"
	"strings"

	"github.com/rosterdb/roster/internal/match"
	"github.com/rosterdb/roster/store"
)

// recordReader reads what is searched of users, as of one state. Neighbours in
// number share a page on disk, which is read once for those that are asked for
// one after the other.
type recordReader struct {
	st         *state
	folded     *folded
	attributes []string // Options.SearchAttributes

	page  uint32 // of the value, plus 1
	value string
	user  match.User
}

// read returns what is searched of a user, good until the next call.
func (r *recordReader) read(u uint32) (*match.User, error) {
	rec, err := r.record(u)
	if err != nil {
		return nil, err
	}
	r.user = match.User{Texts: r.user.Texts[:0]}
	err = fields(rec, func(f field) error { return r.take(f) })
	return &r.user, err
}

// record is state.record with the page that was read last at hand.
func (r *recordReader) record(u uint32) (string, error) {
	if rec := firstOf(r.st.fresh.users.Get(u), r.st.aged.users.Get(u)); rec != "" || !r.st.users.has(u) {
		return r.st.record(r.folded, keyUsers, u)
	}
	if page := u / recordPageSize; r.page != page+1 {
		r.page, r.value = page+1, ""
		err := r.folded.store.Get(r.st.base, pageKey(keyUsers, page), func(value []byte) error {
			r.value = string(value)
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	rec := ""
	err := eachRecord(r.value, func(k, _ uint32, s string) error {
		if k == u%recordPageSize {
			rec = s
		}
		return nil
	})
	if rec == "" && err == nil {
		return r.st.record(r.folded, keyUsers, u) // which says what is missing
	}
	return rec, err
}

// take adds a field of the record if it is one that is searched.
func (r *recordReader) take(f field) error {
	switch f.tag {
	case tagDirectory:
		n, err := f.number()
		r.user.Directory = uint32(n)
		return err
	case tagName:
		r.user.Name = fold(f.val)
		r.user.Add(match.Username, f.val)
	case tagFullName:
		r.user.Add(match.FullName, f.val)
	case tagEmail:
		r.user.Add(match.Email, f.val)
	case tagDescription:
		r.user.Add(match.Description, f.val)
	case tagAttribute:
		return r.takeAttribute(f.val)
	}
	return nil
}

// maxSearchedValues bounds how many values of an attribute are searched.
const maxSearchedValues = 64

func (r *recordReader) takeAttribute(val string) error {
	if len(r.attributes) == 0 {
		return nil
	}
	list, err := splitStrings(val)
	if err != nil || len(list) == 0 {
		return errMalformed
	}
	for _, name := range r.attributes {
		if strings.EqualFold(name, list[0]) {
			for _, v := range list[1:min(len(list), 1+maxSearchedValues)] {
				r.user.Add(match.Attributes, v)
			}
			break
		}
	}
	return nil
}
