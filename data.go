package roster

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster/internal/text"
)

// What a program keeps beside users and groups, credentials or the configuration
// of an identity source, are small values of its own under names of its own. The
// engine keeps them as it keeps every other record, and does not look into them.

// Limits of data. A name is a space and a key.
const (
	maxDataName  = 255    // bytes of a space, and of a key
	maxDataValue = 63_000 // bytes: with its name it is no longer than maxRecord
)

// PutData stores a value under a key of a space, in place of the one that may be
// there, and reports whether anything changed. Spaces keep the keys of different
// packages apart: "access" and "source" are this project's own, others are the
// caller's. Space and key are 1 to 255 bytes of valid UTF-8, compared byte for
// byte, a space without control characters; a value is at most 63,000 bytes,
// which the engine copies. Anything else is ErrInvalid. Changes tells the name of
// what is put and never the value, which may be a secret.
func (tx *Txn) PutData(space, key string, value []byte) (changed bool, err error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	if err := checkDataName(space, key); err != nil {
		return false, err
	}
	if len(value) > maxDataValue {
		return false, fmt.Errorf("data %q of %q: value of more than %d bytes: %w", clip(key), space, maxDataValue, ErrInvalid)
	}
	change := op{kind: opPutData, rec: encodeData(space, key, value)}
	num, known := tx.st.dataNumber(space, key)
	if !known {
		if num, err = tx.freeSets(1); err != nil {
			return false, err
		}
	} else {
		if change.old, err = tx.dataRecord(num); err != nil {
			return false, err
		}
		if change.old == change.rec {
			return false, nil
		}
	}
	change.num = num
	return true, tx.do(change)
}

// DeleteData deletes what is stored under a key of a space, or returns
// ErrNotFound.
func (tx *Txn) DeleteData(space, key string) error {
	if err := tx.writable(); err != nil {
		return err
	}
	num, err := tx.findData(space, key)
	if err != nil {
		return err
	}
	old, err := tx.dataRecord(num)
	if err != nil {
		return err
	}
	return tx.do(op{kind: opDeleteData, num: num, rec: string(appendStrings(nil, []string{space, key})), old: old})
}

// Data returns what is stored under a key of a space, or ErrNotFound. The slice
// is the caller's. Values that were folded are read from disk, in some
// microseconds.
func (tx *Txn) Data(space, key string) ([]byte, error) {
	num, err := tx.findData(space, key)
	if err != nil {
		return nil, err
	}
	rec, err := tx.dataRecord(num)
	if err != nil {
		return nil, err
	}
	_, _, value, err := decodeData(rec)
	if err != nil {
		return nil, fmt.Errorf("data %q of %q: %w", clip(key), clip(space), err)
	}
	return []byte(value), nil
}

// DataKeys yields the keys of a space behind after, "" being the beginning, in
// the order of their bytes. After need not exist. Keys stand in memory; what is
// under each is read with Data.
func (tx *Txn) DataKeys(space, after string) iter.Seq[string] {
	return func(yield func(string) bool) {
		st, err := tx.snapshot()
		if err != nil {
			return
		}
		first := dataName(space, "")
		for n := range st.data.byName.walk(st.data.behind(dataName(space, after), 0)) {
			name := st.data.name(n)
			if !strings.HasPrefix(name, first) || !yield(plainName(name[len(first):])) {
				return
			}
		}
	}
}

func checkDataName(space, key string) error {
	for _, n := range []labelled{{"space", space}, {"key", key}} {
		switch {
		case n.text == "" || len(n.text) > maxDataName:
			return fmt.Errorf("%s %q of data must be 1 to %d bytes long: %w", n.label, clip(n.text), maxDataName, ErrInvalid)
		case !utf8.ValidString(n.text):
			return fmt.Errorf("%s %q of data must be valid UTF-8: %w", n.label, n.text, ErrInvalid)
		}
	}
	if strings.ContainsFunc(space, unicode.IsControl) {
		return fmt.Errorf("space %q of data must not hold control characters: %w", space, ErrInvalid)
	}
	return nil
}

func (tx *Txn) findData(space, key string) (uint32, error) {
	if err := tx.ready(); err != nil {
		return 0, err
	}
	num, ok := tx.st.dataNumber(space, key)
	if !ok {
		return 0, fmt.Errorf("data %q of %q: %w", clip(key), clip(space), ErrNotFound)
	}
	return num, nil
}

func (tx *Txn) dataRecord(num uint32) (string, error) {
	rec, err := tx.st.record(&tx.e.folded, keyData, num)
	if err != nil {
		return "", fmt.Errorf("data %d: %w", num, err)
	}
	return rec, nil
}

// dataNumber returns the number of what is stored under a key of a space.
func (st *state) dataNumber(space, key string) (uint32, bool) {
	return st.data.find(0, dataName(space, key))
}

// A register orders names as if they had no upper case letters. What dataName
// makes of a space and a key has none, and comes in the order of their bytes: an
// '@' and the letters that follow it in ASCII become '@' and a byte that says
// which. A zero byte, which no space holds, ends the space.
func dataName(space, key string) string {
	b := make([]byte, 0, len(space)+1+len(key)+8)
	b = append(appendPlain(b, space), 0)
	return string(appendPlain(b, key))
}

func appendPlain(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; '@' <= c && c <= 'Z' {
			b = append(b, '@', c-'@'+' ')
		} else {
			b = append(b, c)
		}
	}
	return b
}

// plainName is the reverse of appendPlain.
func plainName(name string) string {
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '@' && i+1 < len(name) {
			i++
			c = name[i] - ' ' + '@'
		}
		b = append(b, c)
	}
	return string(b)
}

func encodeData(space, key string, value []byte) string {
	b := make([]byte, 0, len(space)+len(key)+len(value)+16)
	b = appendText(append(b, recordVersion), tagName, key)
	b = appendText(b, tagSpace, space)
	if len(value) > 0 {
		b = appendField(b, tagValue, string(value))
	}
	return string(b)
}

func decodeData(rec string) (space, key, value string, err error) {
	err = fields(rec, func(f field) error {
		switch f.tag {
		case tagName:
			key = f.val
		case tagSpace:
			space = f.val
		case tagValue:
			value = f.val
		default:
			return unknownField(f)
		}
		return nil
	})
	return space, key, value, err
}

// dataCard reads from a record what the index keeps in memory.
func dataCard(rec string) (c card, err error) {
	space, key, _, err := decodeData(rec)
	if err == nil && (space == "" || key == "") {
		err = errMalformed
	}
	c.name = dataName(space, key)
	if !text.IsASCII(c.name) {
		c.folded = c.name
	}
	return c, err
}

func (st *state) putData(o *op) error {
	c, err := dataCard(o.rec)
	if err != nil {
		return err
	}
	st.nextSet = max(st.nextSet, o.num+1)
	st.enter(keyData, o.num, c, o.rec)
	return nil
}

func (st *state) deleteData(o *op) { st.leave(keyData, o.num) }

// dataChange returns what change shows of an op on data: names that keep nothing
// of the value alive.
func (o *op) dataChange() (kind, space, key string, err error) {
	if o.kind == opPutData {
		space, key, _, err = decodeData(o.rec)
		return DataPut, strings.Clone(space), strings.Clone(key), err
	}
	names, err := splitStrings(o.rec)
	if err != nil || len(names) != 2 {
		return "", "", "", errMalformed
	}
	return DataDeleted, names[0], names[1], nil
}
