package machine

import "github.com/rosterdb/roster"

// Mode is a kind of run: what the engine is opened with, and what the world it
// lives in is like.
type Mode struct {
	Name    string
	Disk    bool           // on disk, and so with reopening and restoring
	Options roster.Options // of every open
	Vary    bool           // every open with other sizes of folds, segments and cache

	// Built users are made with Build before the first step, members of groups
	// whose sizes lie around the border of lists and shards.
	Built int

	// Ahead is how many user numbers are used up before the first step, so that
	// the users to come lie on both sides of the border of two shards.
	Ahead int

	// CheckEvery is the number of steps after which everything is compared.
	CheckEvery int
}

// Modes returns all modes.
func Modes() []Mode {
	return []Mode{
		{Name: "memory", CheckEvery: 16},
		{Name: "memory-fold", CheckEvery: 16, Options: roster.Options{FoldBytes: 1, CacheBytes: -1}},
		{Name: "memory-limit", CheckEvery: 16, Options: roster.Options{MaxNesting: 12, CacheBytes: 1}},
		{Name: "disk", Disk: true, CheckEvery: 32},
		{Name: "disk-fold", Disk: true, CheckEvery: 32, Options: roster.Options{FoldBytes: 2048, CacheBytes: 4096, MaxSegmentBytes: 64 << 10}},
		{Name: "disk-vary", Disk: true, Vary: true, CheckEvery: 32, Options: roster.Options{MaxNesting: 60}},
		{Name: "crowd", CheckEvery: 512, Built: 3000, Options: roster.Options{FoldBytes: 64 << 10}},
		{Name: "crowd-disk", Disk: true, Vary: true, CheckEvery: 512, Built: 3000},
		{Name: "crowd-border", Disk: true, Vary: true, CheckEvery: 512, Built: 3000, Ahead: 1<<16 - 1500},
		{Name: "border", CheckEvery: 64, Ahead: 1<<16 - 40, Options: roster.Options{FoldBytes: 16 << 10}},
		{Name: "border-disk", Disk: true, Vary: true, CheckEvery: 64, Ahead: 1<<16 - 40},
	}
}

// ModeNamed returns the mode of that name.
func ModeNamed(name string) (Mode, bool) {
	for _, m := range Modes() {
		if m.Name == name {
			return m, true
		}
	}
	return Mode{}, false
}
