package exchange

import (
	"time"
	"unicode/utf8"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// What the engine refuses to store is refused here too, before anything is
// written: an import in several Updates must not meet it in its middle.
const (
	maxText       = 63_000
	maxStored     = 64_000
	maxAttributes = 1024
)

// checkRecord returns ErrMalformed for a record that the engine would refuse.
func checkRecord(rec *record) error {
	if err := text.ValidName(rec.name); err != nil {
		return problemf(ErrMalformed, "the name of a %s %v", rec.kind, err)
	}
	if len(rec.attributes) > maxAttributes {
		return problemf(ErrMalformed, "%s %q has more than %d attributes", rec.kind, rec.name, maxAttributes)
	}
	texts := append([]string{rec.uid, rec.fullName, rec.email, rec.description, rec.dirType, rec.domain}, rec.abilities...)
	for name, values := range rec.attributes {
		texts = append(append(texts, name), values...)
	}
	size := 0
	for _, s := range texts {
		size += len(s)
		switch {
		case len(s) > maxText:
			return problemf(ErrMalformed, "%s %q has a text longer than %d bytes", rec.kind, rec.name, maxText)
		case !utf8.ValidString(s):
			return problemf(ErrMalformed, "%s %q has a text that is not valid UTF-8", rec.kind, rec.name)
		}
	}
	for _, a := range rec.abilities {
		if a == "" {
			return problemf(ErrMalformed, "%s %q has an empty ability", rec.kind, rec.name)
		}
	}
	if size > maxStored {
		return problemf(ErrMalformed, "%s %q is larger than %d bytes", rec.kind, rec.name, maxStored)
	}
	return nil
}

// set gives *to a value if the record was given that field.
func set[T any](h *header, f fields, to *T, value T) {
	if h.has&f != 0 {
		*to = value
	}
}

// user returns old with the fields of the record. A uid that the record does not
// give is left to the engine, which keeps one that was chosen and lets one that
// was made of the number follow it.
func (rec *record) user(old roster.User) roster.User {
	old.Username, old.UID, old.Revision = rec.name, "", 0
	set(&rec.header, hasNumber, &old.Number, rec.number)
	set(&rec.header, hasUID, &old.UID, rec.uid)
	set(&rec.header, hasFullName, &old.FullName, rec.fullName)
	set(&rec.header, hasEmail, &old.Email, rec.email)
	set(&rec.header, hasDescription, &old.Description, rec.description)
	set(&rec.header, hasFlag, &old.Active, rec.flag)
	set(&rec.header, hasAttributes, &old.Attributes, rec.attributes)
	set(&rec.header, hasCreated, &old.Created, rec.created)
	rec.later(&old.Updated)
	return old
}

// group returns old with the fields of the record; see user.
func (rec *record) group(old roster.Group) roster.Group {
	old.Name, old.UID, old.Revision = rec.name, "", 0
	set(&rec.header, hasNumber, &old.Number, rec.number)
	set(&rec.header, hasUID, &old.UID, rec.uid)
	set(&rec.header, hasDescription, &old.Description, rec.description)
	set(&rec.header, hasFlag, &old.Enterprise, rec.flag)
	set(&rec.header, hasAbilities, &old.Abilities, rec.abilities)
	set(&rec.header, hasCreated, &old.Created, rec.created)
	rec.later(&old.Updated)
	return old
}

// later moves the time of the last change forward to the record's. It is never
// moved back: a line that was exported and then edited by hand carries the time
// of the export, and importing it twice would otherwise change the time twice.
func (h *header) later(updated *time.Time) {
	if h.has&hasUpdated != 0 && h.updated.After(*updated) {
		*updated = h.updated
	}
}

// put creates the directory of a record or changes what differs.
func (rec *record) put(w writer) error {
	d := roster.Directory{ID: rec.directory}
	if tx, ok := w.(txnWriter); ok {
		if old, err := tx.Directory(rec.directory); err == nil {
			d = old
		}
	}
	d.Name, d.Revision = rec.name, 0
	set(&rec.header, hasType, &d.Type, rec.dirType)
	set(&rec.header, hasDomain, &d.Domain, rec.domain)
	set(&rec.header, hasCreated, &d.Created, rec.created)
	rec.later(&d.Updated)
	return w.PutDirectory(d)
}

// create makes the user or group of a record in directory d and returns its
// handle.
func (rec *record) create(w writer, d roster.DirectoryID) (uint32, error) {
	if rec.kind == kindUser {
		id, err := w.CreateUser(rec.user(roster.User{Directory: d, Active: true}))
		return uint32(id), err
	}
	id, err := w.CreateGroup(rec.group(roster.Group{Directory: d}))
	return uint32(id), err
}

// change makes the user or group with that handle what the record says.
func (rec *record) change(tx *roster.Txn, id uint32) error {
	if rec.kind == kindUser {
		old, err := tx.User(roster.UserID(id))
		if err != nil {
			return err
		}
		_, err = tx.PutUser(rec.user(old))
		return err
	}
	old, err := tx.Group(roster.GroupID(id))
	if err != nil {
		return err
	}
	_, err = tx.PutGroup(rec.group(old))
	return err
}
