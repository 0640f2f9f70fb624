package roster

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/roster/internal/textindex"
)

// searcher keeps the search index in step with the engine. It has one goroutine:
//
//	open the index, or create one and put everybody into it
//	─► put in who was edited since the revision that it is of
//	─► publish it, with that revision and the place in the list of edits
//	─► wait for the next revision, and so on
//
// Nobody waits for it. A search takes what is published, looks at the users who
// were edited between that and what it reads itself, and looks at everybody
// while nothing is published. Whatever goes wrong ends in taking the index back
// and beginning again.
type searcher struct {
	e    *Engine
	dir  string
	stop func() // ends the goroutine and waits for it

	now atomic.Pointer[indexed] // what searches use; nil for none
	at  atomic.Pointer[edit]    // not newer than the published index; nil if no history is kept

	stuck *textindex.Index // has not let go of the folder; for the goroutine alone
	odd   int              // openings in a row that failed; likewise

	doubt chan struct{} // a token: a search has met an error
	asked atomic.Bool   // somebody has searched

	mu    sync.Mutex
	stats searchStats // guarded by mu
}

// searchStats is what Stats tells of the search index.
type searchStats struct {
	rev      Revision
	users    int
	segments int
	memory   int64 // of the texts
	busy     bool
	problem  string // why there is none
}

func (s *searcher) figures() searchStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// indexed is the search index as of one revision. It may be ahead of that in
// users who were edited since, but never of the state of an open view.
type indexed struct {
	snapshot *textindex.Snapshot
	texts    texts
	rev      Revision
	from     *edit    // not newer than rev
	also     []uint32 // users who may have been edited before from all the same, ascending
}

func (x *indexed) release() { x.snapshot.Release() }

func (s *searcher) start(e *Engine, dir string, folded *edit) {
	s.e, s.stop = e, func() {}
	if e.opts.InMemory {
		return // Bleve merges nothing in memory: looking at each user it is
	}
	if s.dir = filepath.Join(dir, "search"); e.opts.NoSearchIndex {
		return
	}
	s.at.Store(folded)
	s.doubt = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	s.stop = func() {
		cancel()
		<-gone
	}
	go func() {
		defer close(gone)
		s.loop(ctx)
	}()
}

// position returns an edit that is not newer than what is published.
func (s *searcher) position() *edit { return s.at.Load() }

// acquire returns the published index, for the caller to release, or nil.
func (s *searcher) acquire() *indexed {
	if !s.asked.Load() {
		s.asked.Store(true)
		s.suspect() // who wakes and keeps texts
	}
	for {
		x := s.now.Load()
		if x == nil || x.snapshot.Retain() {
			return x
		}
	}
}

// publish puts x, which may be nil, in the place of what searches use. What it keeps of
// texts has so many bytes.
func (s *searcher) publish(x *indexed, memory int64, busy bool) {
	if x != nil {
		s.at.Store(x.from)
		s.mu.Lock()
		s.stats = searchStats{rev: x.rev, users: x.snapshot.Len(), segments: x.snapshot.Segments(), memory: memory, busy: busy}
		s.mu.Unlock()
	}
	if old := s.now.Swap(x); old != nil {
		old.release()
	}
}

// suspect asks for a look at whether the index has failed.
func (s *searcher) suspect() {
	select {
	case s.doubt <- struct{}{}:
	default:
	}
}

func (s *searcher) note(err error) {
	s.mu.Lock()
	s.stats = searchStats{problem: err.Error()}
	s.mu.Unlock()
	if s.e.opts.Logger != nil {
		s.e.opts.Logger.Warn("roster: no search index for now", "error", err)
	}
}

// How long the searcher waits.
const (
	gatherEdits = 100 * time.Millisecond // after an edit, for more to put in with it
	lookAround  = time.Second            // to see whether the index has failed in the background
	firstRetry  = time.Second            // after a failure, twice as long after each further one
	lastRetry   = time.Minute
)

func (s *searcher) loop(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := s.serve(ctx)
		s.publish(nil, 0, false)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		s.note(err)
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		s.sleep(ctx, retry)
		s.forget()
		retry = min(2*retry, lastRetry)
	}
}

// serve opens or builds the index and keeps it in step until that fails or ctx
// ends.
func (s *searcher) serve(ctx context.Context) error {
	if !textindex.Exists(s.dir) {
		if err := s.grown(ctx); err != nil {
			return err
		}
	}
	k, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer k.close()
	look := time.NewTicker(lookAround)
	defer look.Stop()
	for err == nil {
		if err = k.advance(ctx); err == nil {
			err = s.wait(ctx, k, look.C)
		}
	}
	return err
}

// grown waits until there are enough users for an index.
func (s *searcher) grown(ctx context.Context) error {
	for {
		told := s.e.advanced.next()
		if s.e.now.Load().len(setAll) >= s.e.opts.indexAbove {
			return nil
		}
		s.forget()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-told:
		}
	}
}

// forget lets go of the edits so far: who has no index needs none.
func (s *searcher) forget() {
	_, last := s.at.Load().usersUntil(s.e.Revision())
	s.at.Store(last)
}

// wait returns when there is something to put into the index, or a new revision.
// It looks around when it is time to, also beside writers who never rest.
func (s *searcher) wait(ctx context.Context, k *keeper, look <-chan time.Time) error {
	for {
		told := s.e.advanced.next()
		busy := k.busy()
		if !busy && (s.e.Revision() <= k.rev || s.e.opts.ReadOnly) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-told:
				continue
			case <-s.doubt:
			case <-look:
			}
		} else {
			select {
			case <-s.doubt:
			case <-look:
			default:
				if busy {
					return ctx.Err()
				}
				return s.sleep(ctx, gatherEdits)
			}
		}
		if err := k.tidy(ctx); err != nil {
			return err
		}
	}
}

// sleep returns after d, or with ctx's error.
func (s *searcher) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
