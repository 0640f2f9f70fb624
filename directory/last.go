package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// DataSpace is the space of roster's data that holds what is known of sources.
// Keys that begin with LastKey are this package's own.
const (
	DataSpace = "source"
	LastKey   = "last/"
)

// LastRun is the last run of a directory that changed something. It is written in
// the same Update, so it says of that revision who asked for it.
type LastRun struct {
	Run     string    `json:"run"` // sync, refresh, refresh of groups
	Actor   string    `json:"actor,omitempty"`
	Time    time.Time `json:"time"`
	Users   int       `json:"users"` // records that were made or changed
	Groups  int       `json:"groups"`
	Added   int       `json:"added"` // memberships
	Removed int       `json:"removed"`
}

// Last returns the last run of a directory, by its name, or roster.ErrNotFound.
func Last(tx *roster.Txn, directory string) (LastRun, error) {
	var last LastRun
	value, err := tx.Data(DataSpace, lastKey(directory))
	if err != nil {
		return last, fmt.Errorf("last run of directory %q: %w", directory, err)
	}
	if err := json.Unmarshal(value, &last); err != nil {
		return last, fmt.Errorf("last run of directory %q: %w", directory, errors.Join(roster.ErrCorrupt, err))
	}
	return last, nil
}

// lastKey returns the key of a directory's last run. Folding may make a name
// longer; nothing else has a key of that length.
func lastKey(directory string) string {
	const most = 255
	key := LastKey + text.Fold(text.Normal(directory))
	return strings.ToValidUTF8(key[:min(len(key), most)], "")
}

// record writes who changed what, beside the change.
func (l LastRun) record(tx *roster.Txn, directory string, d *Diff) error {
	l.Users, l.Groups, l.Added, l.Removed = len(d.Users), len(d.Groups), len(d.Added), len(d.Removed)
	value, err := json.Marshal(l)
	if err == nil {
		_, err = tx.PutData(DataSpace, lastKey(directory), value)
	}
	return err
}
