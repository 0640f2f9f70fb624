package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rosterdb/roster"
)

// Stats say how a link has been doing since New. Runs that were dry do not count.
type Stats struct {
	Runs        int // that were tried: syncs, refreshes
	Failures    int
	LastAttempt time.Time     // when it began; zero before the first
	LastSuccess time.Time     // when it ended; zero before the first
	LastError   error         // of the last attempt, nil if it succeeded
	Duration    time.Duration // of the last attempt
	Changes     Changes       // of all runs
	Last        Changes       // of the last success
}

// Changes count what was written.
type Changes struct {
	Users   int // created, changed, deactivated or deleted
	Groups  int
	Added   int // memberships
	Removed int
}

func (c *Changes) add(d Changes) {
	c.Users += d.Users
	c.Groups += d.Groups
	c.Added += d.Added
	c.Removed += d.Removed
}

// Stats returns how the link has been doing.
func (l *Link) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// observe carries out a run, counts it and tells the logger.
func (l *Link) observe(ctx context.Context, what string, run Run, fn func() (*Report, error)) (*Report, error) {
	begin := l.o.Now()
	report, err := fn()
	end := l.o.Now()
	if report != nil {
		report.Duration = end.Sub(begin)
	}
	if !run.DryRun {
		l.count(begin, end, report, err)
	}
	if l.o.Logger == nil {
		return report, err
	}
	log := l.o.Logger.With("directory", l.o.Directory, "run", what, "actor", run.Actor, "dry", run.DryRun, "duration", end.Sub(begin))
	if err != nil {
		log.ErrorContext(ctx, "directory: nothing was changed", "error", err)
		return report, err
	}
	d := &report.Diff
	log.InfoContext(ctx, "directory: done", "users", len(d.Users), "groups", len(d.Groups),
		"added", len(d.Added), "removed", len(d.Removed), "unresolved", report.Unresolved, "revision", report.Revision)
	for _, problem := range report.Problems {
		log.WarnContext(ctx, "directory: left out", "problem", problem)
	}
	return report, nil
}

func (l *Link) count(begin, end time.Time, report *Report, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.stats
	s.Runs++
	s.LastAttempt, s.LastError, s.Duration = begin, err, end.Sub(begin)
	if err != nil {
		s.Failures++
		return
	}
	d := &report.Diff
	s.LastSuccess = end
	s.Last = Changes{len(d.Users), len(d.Groups), len(d.Added), len(d.Removed)}
	s.Changes.add(s.Last)
}

// Every runs Sync each interval until ctx ends, whose error it returns, or the
// engine is closed, which is roster.ErrClosed: at once, and then after the interval
// and a random part of jitter, so that many programs do not ask one server in the
// same moment. A run that fails otherwise is counted and told to the logger; the
// next one is tried in its turn. The caller owns the goroutine that Every runs in.
func (l *Link) Every(ctx context.Context, interval, jitter time.Duration, run Run) error {
	if interval <= 0 || jitter < 0 {
		return fmt.Errorf("%w: an interval must be longer than nothing, jitter at least nothing", ErrConfig)
	}
	for {
		if _, err := l.Sync(ctx, run); errors.Is(err, roster.ErrClosed) { // any other is counted and logged
			return err
		}
		wait := interval
		if jitter > 0 {
			wait += rand.N(jitter)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
