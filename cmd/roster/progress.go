package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rosterdb/roster/exchange"
)

// progress shows how far an import or export is, with rate and time left, when
// standard error is a terminal. Otherwise it shows nothing.
type progress struct {
	out   io.Writer // nil: show nothing
	bytes int64     // size of what is read, -1 if not known
	stage exchange.Stage
	bar   *progressbar.ProgressBar
}

func (p *program) newProgress(bytes int64) *progress {
	g := &progress{bytes: bytes}
	if f, ok := p.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		g.out = f
	}
	return g
}

// show is what exchange calls.
func (g *progress) show(stage exchange.Stage, done, total int64) {
	if g.out == nil {
		return
	}
	if stage != g.stage {
		g.finish()
		g.stage = stage
		if stage == exchange.Reading {
			total = g.bytes
		}
		if total == 0 {
			total = -1
		}
		g.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(g.out),
			progressbar.OptionSetDescription(string(stage)),
			progressbar.OptionShowBytes(stage == exchange.Reading),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetRenderBlankState(true),
		)
		if stage != exchange.Reading {
			progressbar.OptionShowIts()(g.bar) // bytes have their rate already
		}
	}
	// A terminal that went away is no reason to fail an import.
	_ = g.bar.Set64(done)
}

// finish takes the bar off the terminal.
func (g *progress) finish() {
	if g.bar != nil {
		_ = g.bar.Finish()
		g.bar = nil
	}
}
