package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/rosterdb/roster"
)

// How often a follower looks: soon after something was new, later and later
// while nothing is.
const (
	followSoon = 100 * time.Millisecond
	followLate = time.Second
)

// followBytes is how much a follower takes along from one look before it closes
// the data and prints that. A revision is never cut.
const followBytes = 8 << 20

// follower prints the log as it grows. A process that writes has the data for
// itself, so the follower opens it for a moment, whenever something has changed
// and it can be had, and prints after it has closed it: whoever reads the
// output may be slow.
type follower struct {
	*program
	changes *changeWriter
	next    roster.Revision // to print next; 0: the oldest that is kept
	known   roster.Revision // the newest that was seen
	print   uint64          // what the files looked like when last nothing was new
	seed    maphash.Seed
	free    bool      // the data could be had when it was last tried
	since   time.Time // when it was not for the first time; zero once that was said
}

// follow prints the log from a revision on until ctx ends.
func (p *program) follow(ctx context.Context, from roster.Revision) error {
	f := &follower{program: p, changes: newChangeWriter(), next: from, seed: maphash.MakeSeed(), free: true}
	for wait := followSoon; ; {
		lines, more, err := f.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !f.waits(err) {
			return err
		}
		if _, err := f.stdout.Write(lines); err != nil {
			return err
		}
		switch {
		case more:
			wait = 0
		case len(lines) > 0:
			wait = followSoon
		default:
			wait = min(max(2*wait, followSoon), followLate)
		}
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// waits reports whether err says that another process has the data for itself,
// and says so when that takes long.
func (f *follower) waits(err error) bool {
	if !errors.Is(err, roster.ErrLocked) {
		return false
	}
	switch {
	case f.free:
		f.free, f.since = false, time.Now()
	case !f.since.IsZero() && time.Since(f.since) > patience:
		fmt.Fprintf(f.stderr, "%s is in use by another process: what it writes comes when it ends\n", f.data)
		f.since = time.Time{}
	}
	return true
}

// look returns the lines that are new, and whether there are more.
func (f *follower) look(ctx context.Context) (lines []byte, more bool, err error) {
	print := f.fingerprint()
	if print == f.print {
		return nil, false, nil
	}
	e, err := roster.Open(f.data, roster.Options{ReadOnly: true})
	switch {
	case err == nil:
	case errors.Is(err, roster.ErrCorrupt) && f.fingerprint() != print:
		return nil, false, nil // somebody changed the folder itself while it was being opened
	default:
		return nil, false, &openError{err}
	}
	f.free = true
	if lines, more, err = f.read(ctx, e); err == nil && len(lines) == 0 {
		// Only now: times of files are coarse, and right after a change another
		// one may leave them as they are.
		f.print = print
	}
	return lines, more, errors.Join(err, e.Close())
}

func (f *follower) read(ctx context.Context, e *roster.Engine) (lines []byte, more bool, err error) {
	newest := e.Revision()
	if newest < f.known {
		return nil, false, fmt.Errorf("%s holds older data than before: it was replaced; begin again", f.data)
	}
	if f.known == 0 {
		if err := e.View(ctx, f.changes.learnAll); err != nil {
			return nil, false, err
		}
	}
	f.known = newest
	if newest == 0 || f.next > newest {
		return nil, false, nil
	}
	var last roster.Revision
	err = f.changes.read(ctx, e, f.next, func(r roster.Revision, line []byte) (bool, error) {
		if len(lines) >= followBytes && r != last {
			more = true
			return false, nil
		}
		lines, last = append(lines, line...), r
		return true, nil
	})
	if err == nil && !more {
		last = newest
	}
	f.next = last + 1
	return lines, more, err
}

// fingerprint tells whether anything was written, without keeping anybody from
// writing: it covers names, sizes and times of all files of the data.
func (f *follower) fingerprint() uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	_ = filepath.WalkDir(f.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile, or not there at all: opening the data says so
		}
		info, err := d.Info()
		if err != nil || d.IsDir() {
			return nil
		}
		maphash.WriteComparable(&h, path)
		maphash.WriteComparable(&h, [2]int64{info.Size(), info.ModTime().UnixNano()})
		return nil
	})
	return h.Sum64()
}

// learnAll keeps the names of all that exists, so that what is removed later can
// be named.
func (w *changeWriter) learnAll(tx *roster.Txn) error {
	w.stays = true
	home := directories(tx)
	users, err := tx.Users()
	if err != nil {
		return err
	}
	for id := range users.All() {
		w.users[id] = lastUser{directory: home(id), name: strings.Clone(tx.Username(id))}
	}
	for id := range tx.GroupsByName() {
		g, err := tx.Group(id)
		if err != nil {
			return err
		}
		w.groups[id] = lastGroup{g.Directory, strings.Clone(g.Name)}
	}
	return nil
}
