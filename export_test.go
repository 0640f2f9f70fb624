package roster

import "github.com/rosterdb/roster/store"

// WithFS returns o with the engine's own files in files. Badger's stay with the
// operating system.
func WithFS(o Options, files store.FS) Options {
	o.fs = files
	return o
}
