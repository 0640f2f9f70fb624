package roster

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// committer gathers the records of updates into batches. While one batch is
// being flushed, the closures of the next run; whoever is first in a batch
// flushes it for everyone in it, so that a lone writer pays for no hand-over to
// another goroutine.
type committer struct {
	mu       sync.Mutex
	batch    *batch    // guarded by mu: takes records
	inflight *batch    // guarded by mu: being flushed; nil when none is
	led      bool      // guarded by mu: somebody flushes, or has been told to
	failed   error     // guarded by mu: the flush that failed; final
	idle     sync.Cond // told after every flush
}

// batch is a frame of the log in the making, and what its writers wait for.
type batch struct {
	first Revision
	recs  [][]byte
	bytes int
	lead  chan struct{} // one token: whoever takes it flushes the batch
	done  chan struct{} // closed when the batch is durable, or has failed
	err   error         // valid once done
}

func newBatch() *batch {
	return &batch{lead: make(chan struct{}, 1), done: make(chan struct{})}
}

func (c *committer) init() {
	c.idle.L = &c.mu
	c.batch = newBatch()
}

// failure returns why nothing can be written any more, or nil.
func (c *committer) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// drain waits until nothing is left to flush.
func (c *committer) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.led {
		c.idle.Wait()
	}
}

// rest waits until nothing is being flushed. While the caller has the turn,
// nothing begins to be: what is published and what is on disk are the same then.
func (c *committer) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.inflight != nil {
		c.idle.Wait()
	}
}

// join returns the batch whose flush makes everything in the head durable, and
// whether the caller has to flush it. It returns nil if all of it is durable.
func (c *committer) join() (b *batch, lead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.batch.recs) > 0:
		lead = !c.led
		c.led = true
		return c.batch, lead
	case c.inflight != nil:
		return c.inflight, false
	}
	return nil, false
}

// pending is the size of what has not been written yet.
func (c *committer) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.batch.bytes
	if c.inflight != nil {
		n += c.inflight.bytes
	}
	return n
}

func (c *committer) append(rev Revision, rec []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.batch.recs) == 0 {
		c.batch.first = rev
	}
	c.batch.recs = append(c.batch.recs, rec)
	c.batch.bytes += len(rec) + recordOverhead
}

// recordOverhead is the most that a record takes in a frame beside its bytes,
// a frame of its own included; frames begin at sector boundaries.
const recordOverhead = 1024

// Update calls fn with a transaction that reads and changes the newest state,
// and returns when the change is durable. All changes of one Update are one
// revision, which Update returns: after a crash either all of them are there or
// none.
//
// Closures run one at a time and read their own writes. If fn returns an error,
// panics or exits its goroutine, everything it changed is undone. An Update that
// changes nothing makes no revision; like one whose fn fails, it returns only
// when the state that it saw is durable, so that nobody is told of something
// that a power cut takes back. The ctx counts until fn begins.
//
// Update fails with ErrReadOnly, ErrClosed, ErrDiskFull or ErrTooLarge before
// anything has changed, with ErrLimit, and with ErrFailed if the flush failed:
// then whether the change is durable is known only after the next Open, and the
// engine answers but changes no more. An Update within the closure of an Update
// of the same engine would wait for itself; it fails with ErrNestedUpdate.
func (e *Engine) Update(ctx context.Context, fn func(*Txn) error) (Revision, error) {
	if e.opts.ReadOnly {
		if e.views.isClosed() {
			return 0, ErrClosed
		}
		return 0, ErrReadOnly
	}
	if err := e.take(ctx); err != nil {
		return 0, err
	}
	rev, b, lead, err := e.run(ctx, fn)
	if b == nil {
		return rev, err
	}
	if !lead {
		select {
		case <-b.done:
			return rev, firstError(b.err, err)
		case <-b.lead:
		}
	}
	e.flush(b)
	return rev, firstError(b.err, err)
}

// firstError prefers the failure of the disk to what a closure said of a state
// that may not last.
func firstError(disk, closure error) error {
	if disk != nil {
		return disk
	}
	return closure
}

// take waits for the turn.
func (e *Engine) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case e.turn <- struct{}{}:
		e.turns.Add(1)
		return nil
	default:
	}
	patience := time.NewTimer(nestedAfter)
	defer patience.Stop()
	seen := e.turns.Load()
	for {
		select {
		case e.turn <- struct{}{}:
			e.turns.Add(1)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			if e.views.isClosed() {
				return ErrClosed
			}
			if e.turns.Load() == seen && insideUpdate() {
				return ErrNestedUpdate
			}
			seen = e.turns.Load()
			patience.Reset(nestedAfter)
		}
	}
}

// nestedAfter is how long one closure must have held the turn before a waiter
// looks whether it waits for itself.
const nestedAfter = 500 * time.Millisecond

// insideUpdate reports whether the calling goroutine is within a closure.
func insideUpdate() bool {
	pcs := make([]uintptr, 4096)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "roster.(*Txn).call") {
			return true
		}
		if !more {
			return false
		}
	}
}

// release gives the turn back.
func (e *Engine) release() { <-e.turn }

// run runs one closure in its turn, and returns the batch to wait for.
func (e *Engine) run(ctx context.Context, fn func(*Txn) error) (rev Revision, b *batch, lead bool, err error) {
	defer e.release()
	if e.views.isClosed() {
		return 0, nil, false, ErrClosed
	}
	if err := e.commit.failure(); err != nil {
		return 0, nil, false, err
	}
	tx := &Txn{e: e, st: e.head, ctx: ctx, write: true}
	err = tx.call(fn)
	b, lead = e.commit.join()
	return e.head.rev, b, lead, err
}

// call runs the closure and keeps what it did, or undoes it.
func (tx *Txn) call(fn func(*Txn) error) (err error) {
	before := tx.st.counters
	kept := false
	defer func() {
		if !kept {
			tx.undo()
			tx.st.counters = before
		}
		tx.end()
	}()
	if err = fn(tx); err == nil {
		err = tx.keep()
	}
	kept = err == nil
	return err
}

// keep makes a record of what the closure changed.
func (tx *Txn) keep() error {
	if tx.err != nil {
		return tx.err
	}
	if err := tx.st.settle(); err != nil {
		return err
	}
	if len(tx.ops) == 0 {
		return nil
	}
	rec := appendRecordHead(make([]byte, 0, 64), tx.now())
	for i := range tx.ops {
		rec = appendOp(rec, &tx.ops[i])
	}
	c := &tx.e.commit
	if err := tx.e.store.Reserve(c.pending() + len(rec) + recordOverhead); err != nil {
		return fmt.Errorf("update of %d bytes: %w", len(rec), err)
	}
	tx.st.rev++
	tx.st.time = tx.now()
	tx.st.noteEdits(tx.ops)
	c.append(tx.st.rev, rec)
	return nil
}

// undo takes back what a closure did, newest first. Nobody has seen it: the
// head is published only between closures.
func (tx *Txn) undo() {
	for i := len(tx.ops) - 1; i >= 0; i-- {
		inv := tx.ops[i].inverse()
		if err := tx.st.apply(&inv); err != nil {
			// The record was read back from the state a moment ago.
			panic(fmt.Sprintf("roster: undo of operation %d: %v", inv.kind, err))
		}
	}
	// The head may be published before another closure settles it.
	if err := tx.st.settle(); err != nil {
		panic(fmt.Sprintf("roster: undo: the nesting before was beyond its limit: %v", err))
	}
}

// flush makes a batch durable and publishes the state with it, then hands the
// lead of the next batch to one of its writers.
func (e *Engine) flush(b *batch) {
	e.turn <- struct{}{}
	c := &e.commit
	c.mu.Lock()
	c.inflight, c.batch = b, newBatch()
	c.mu.Unlock()
	frozen := e.head.freeze()
	e.release()

	if err := e.store.Append(uint64(b.first), b.recs); err != nil {
		b.err = fmt.Errorf("revision %d: %w", b.first, err)
	} else {
		e.publish(frozen)
	}

	c.mu.Lock()
	c.inflight = nil
	if b.err != nil {
		c.failed = b.err
	}
	if next := c.batch; len(next.recs) == 0 {
		c.led = false
	} else {
		next.lead <- struct{}{}
	}
	c.idle.Broadcast()
	c.mu.Unlock()
	close(b.done)
}

// publish makes a durable state the one that views read.
func (e *Engine) publish(st *state) {
	e.now.Store(st)
	e.advanced.tell()
	if e.store.JournalBytes() >= e.opts.FoldBytes {
		e.folder.wake()
	}
}
