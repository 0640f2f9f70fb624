package roster

import (
	"log/slog"
	"time"

	"github.com/rosterdb/roster/store"
)

// Options configure an engine. The zero value is a good default for production.
type Options struct {
	// ReadOnly opens an existing folder without changing it: Update is
	// ErrReadOnly. Several processes may have a folder open read-only at once,
	// none while one has it open for writing.
	ReadOnly bool

	// InMemory keeps everything in memory, for tests of the host program: the
	// folder given to Open is not used, and nothing remains after Close.
	InMemory bool

	// FoldBytes is how many bytes of log gather before they are folded into
	// Badger in the background. 0 means 64 MiB. More means fewer writes and
	// a longer replay at the next Open.
	FoldBytes int64

	// FoldEvery is how long changes wait at most before they are folded. 0
	// means one minute, negative means without limit.
	FoldEvery time.Duration

	// RetainRevisions is how many revisions Changes can go back, at least. The
	// log of the last fold is always kept. 0 keeps no more than that.
	RetainRevisions uint64

	// MaxSegmentBytes is the size to which the files of the log grow. 0 means 64 MiB.
	MaxSegmentBytes int64

	// CacheBytes bounds the memory for effective members of nested groups
	// that were asked for. 0 means 256 MiB, negative means none.
	CacheBytes int64

	// MaxNesting bounds the nesting of groups, counted as pairs of a group and
	// a group above it at any depth; a pair takes 4 bytes. 0 means 2^24 pairs.
	MaxNesting int

	// NoSearchIndex keeps no search index, for programs that do not search or
	// have few users: Search looks at each user then. An index that is there
	// already is left as it is.
	NoSearchIndex bool

	// SearchAttributes names the attributes of users that Search looks into
	// beside their own fields. Other names mean another search index, which is
	// then built anew.
	SearchAttributes []string

	// SearchTextBytes bounds the memory for the texts of users that Search looks
	// at, some 60 bytes a user with a name and an address. They are kept once
	// somebody has searched. Without them it reads records, which takes longer for
	// each user of whom the index does not tell enough: for parts of words, and in
	// sets of some hundred users. 0 means 128 MiB, negative means none.
	SearchTextBytes int64

	// Logger receives what the engine and Badger have to say about background
	// work. Nil means nothing is logged anywhere.
	Logger *slog.Logger

	// Now tells the time that changes are stamped with. Nil means time.Now.
	Now func() time.Time

	// indexAbove is the number of users from which on there is a search index:
	// below it looking at each takes some milliseconds at most, and the engine
	// keeps no more files than it must. 0 means 1000; tests want another one.
	indexAbove int

	// indexAlways has the index asked even about the few users whom a search
	// would otherwise look at itself. Tests want that.
	indexAlways bool

	// fs replaces the operating system's files in tests of crashes.
	fs store.FS
}

// withDefaults returns o with every zero field at what it means.
func (o Options) withDefaults() Options {
	if o.FoldBytes == 0 {
		o.FoldBytes = 64 << 20
	}
	if o.FoldEvery == 0 {
		o.FoldEvery = time.Minute
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 256 << 20
	}
	if o.SearchTextBytes == 0 {
		o.SearchTextBytes = 128 << 20
	}
	if o.MaxNesting == 0 {
		o.MaxNesting = 1 << 24
	}
	if o.indexAbove == 0 {
		o.indexAbove = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// store returns the options of the layer below.
func (o Options) store() store.Options {
	return store.Options{ReadOnly: o.ReadOnly, InMemory: o.InMemory, FS: o.fs, SegmentBytes: o.MaxSegmentBytes, Logger: o.Logger}
}
