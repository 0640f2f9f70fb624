package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// The verbs on data. Names that differ in case only are different names, and one
// space begins like another.

var (
	dataSpaces = []string{"access", "source", "Source", "s", "so", "é", "E\u0301"}

	dataKeys = []string{"a", "A", "Z", "@", "@!", "[", "b", "ab", "aB", "\x00", "a\x00", "a\n", "Straße", "STRASSE", "Ω", "ω", "~", strings.Repeat("K", 255)}

	badDataNames = []string{"", "\xff", "a\xff", strings.Repeat("n", 256), strings.Repeat("é", 128)}

	dataValues = []string{"", "", "x", "secret", "\x00\xff", "secret", strings.Repeat("v", 5000), strings.Repeat("\xfe", 63_000), strings.Repeat("v", 63_001)}
)

// dataName draws a name, mostly one that there is.
func (m *Machine) dataName(w *model.Model) (space, key string) {
	space, key = oneOf(m.src, dataSpaces...), oneOf(m.src, dataKeys...)
	if keys := w.DataKeys(space, ""); len(keys) > 0 && m.chance(2) {
		key = oneOf(m.src, keys...)
	}
	switch m.src.Intn(60) {
	case 0:
		space = oneOf(m.src, badDataNames...)
	case 1:
		key = oneOf(m.src, badDataNames...)
	case 2:
		space = oneOf(m.src, "tab\t", "nul\x00", "\u0085")
	}
	return space, key
}

func (x *update) putData() error {
	space, key := x.dataName(x.want)
	value := oneOf(x.src, dataValues...)
	if old, known := x.want.Data[model.DataName{Space: space, Key: key}]; known && x.chance(4) {
		value = old
	}
	given := []byte(value)
	got, err := x.tx.PutData(space, key, given)
	clear(given) // the engine has its own
	want, wantErr := x.want.PutData(space, key, []byte(value))
	x.touchData(fmt.Sprintf("put data %q of %q, %d bytes", key, space, len(value)), err, space, key)
	if err := sameError(err, wantErr); err != nil {
		return err
	}
	return same("changed", got, want)
}

func (x *update) deleteData() error {
	space, key := x.dataName(x.want)
	err := x.tx.DeleteData(space, key)
	x.touchData(fmt.Sprintf("delete data %q of %q", key, space), err, space, key)
	return sameError(err, x.want.DeleteData(space, key))
}

// touchData is touch for data.
func (x *update) touchData(what string, err error, space, key string) {
	x.data = append(x.data, model.DataName{Space: space, Key: key})
	x.touch(what, err, nil)
}

// datum compares one value, or that there is none.
func (c *checker) datum(name model.DataName) error {
	want, known := c.want.Data[name]
	got, err := c.tx.Data(name.Space, name.Key)
	if !known {
		err = sameError(err, roster.ErrNotFound)
	}
	if err == nil && known && string(got) != want {
		err = fmt.Errorf("it is %.100q, not %.100q", got, want)
	}
	if err != nil {
		return fmt.Errorf("data %q of %q: %w", name.Key, name.Space, err)
	}
	return nil
}

// allData compares all values, and parts of their order.
func (c *checker) allData(src Source) error {
	for name := range c.want.Data {
		if err := c.datum(name); err != nil {
			return err
		}
	}
	for _, space := range dataSpaces {
		for _, after := range []string{"", oneOf(src, dataKeys...)} {
			got := slices.Collect(c.tx.DataKeys(space, after))
			if err := sameList(fmt.Sprintf("keys of %q behind %q", space, after), got, c.want.DataKeys(space, after)); err != nil {
				return err
			}
		}
	}
	return c.datum(model.DataName{Space: "source", Key: "none"})
}
