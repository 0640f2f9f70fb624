package roster_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
)

// The spaces that the harness writes to.
var dataSpaces = []string{"Source", "access", "source", "sourced"}

func (w *writer) keep(space, key, value string) {
	if _, err := w.tx.PutData(space, key, []byte(value)); w.note(err) {
		w.n.data[[2]string{space, key}] = value
	}
}

func (w *writer) drop(space, key string) {
	if w.note(w.tx.DeleteData(space, key)) {
		delete(w.n.data, [2]string{space, key})
	}
}

// dumpData writes down all data, in the words that dumpData uses for an engine.
func (n *naive) dumpData(b *strings.Builder) {
	all := slices.SortedFunc(maps.Keys(n.data), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	})
	for _, k := range all {
		fmt.Fprintf(b, "%q %q is %q\n", k[0], k[1], n.data[k])
	}
}

func dumpData(b *strings.Builder, tx *roster.Txn) error {
	for _, space := range dataSpaces {
		for key := range tx.DataKeys(space, "") {
			value, err := tx.Data(space, key)
			if err != nil {
				return err
			}
			fmt.Fprintf(b, "%q %q is %q\n", space, key, value)
		}
	}
	return nil
}
