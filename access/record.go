package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/roster"
)

// Space is where the records of this package stand among the engine's data:
//
//	account/<8 hex digits of the user's handle>   an account
//	ended/<user>/<16 digits>/<32 digits>          a token that was ended: when it expires, and which
//	key/<ID>                                      an API key
//	secret/<32 hex digits>                        IDs of the keys with a secret, a line each
//	stretch                                       with what secrets of API keys were stretched
//	token                                         the keys that tokens are signed with
//
// What stands behind the slash of secret is the beginning of the SHA-256 of the
// key's Hash. Records are JSON objects with a version; docs/format.md shows them.
const Space = "access"

const recordVersion = 1

// Values is where records are kept: a *roster.Txn.
type Values interface {
	Data(space, key string) ([]byte, error)
	PutData(space, key string, value []byte) (changed bool, err error)
	DeleteData(space, key string) error
}

// versioned is what every record begins with.
type versioned interface{ version() int }

// read reads a record, or returns roster.ErrNotFound. Its errors hold nothing of
// what is stored.
func read[T versioned](in Values, key string, to *T) error {
	data, err := in.Data(Space, key)
	if err != nil {
		return err
	}
	return decode(key, data, to)
}

func decode[T versioned](key string, data []byte, to *T) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(to) == nil && !d.More() && (*to).version() == recordVersion {
		return nil
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &head); err == nil && head.V > recordVersion {
		return fmt.Errorf("access: record %q of version %d: %w", key, head.V, roster.ErrNewerFormat)
	}
	return fmt.Errorf("access: record %q cannot be read: %w", key, roster.ErrCorrupt)
}

func write[T versioned](to Values, key string, rec T) (changed bool, err error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(rec); err != nil {
		return false, fmt.Errorf("access: record %q: %w", key, err)
	}
	return to.PutData(Space, key, bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

// found makes no error of ErrNotFound.
func found(err error) (bool, error) {
	if errors.Is(err, roster.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// times fills in the times of a record that is put over another, and reports
// whether anything differs; see roster.Txn.PutOrganization.
func times(created, updated *time.Time, oldCreated, oldUpdated, now time.Time, same bool) bool {
	if created.IsZero() {
		*created = oldCreated
	}
	if updated.IsZero() || updated.Equal(oldUpdated) {
		*updated = oldUpdated
		if same && created.Equal(oldCreated) {
			return false
		}
		*updated = now
	}
	*created, *updated = stamp(*created), stamp(*updated)
	return true
}

func stamp(t time.Time) time.Time { return t.UTC().Round(0) }

// known reports whether a user exists, as far as whoever keeps records can tell.
func known(in Values, u roster.UserID) bool {
	users, ok := in.(interface{ Username(roster.UserID) string })
	return !ok || users.Username(u) != ""
}
