package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/exchange"
)

// open returns an engine in memory with a clock that moves by a second a change.
func open(t testing.TB) *roster.Engine {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	e, err := roster.Open("", roster.Options{InMemory: true, Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func load(e *roster.Engine, o exchange.Options, text string) (exchange.Summary, error) {
	return exchange.Import(context.Background(), e, o, exchange.Input{Name: "input", Reader: strings.NewReader(text)})
}

func mustLoad(t testing.TB, e *roster.Engine, o exchange.Options, text string) exchange.Summary {
	t.Helper()
	sum, err := load(e, o, text)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func export(t testing.TB, e *roster.Engine, f exchange.Format) string {
	t.Helper()
	var out bytes.Buffer
	if err := exchange.Export(context.Background(), e, &out, exchange.ExportOptions{Format: f}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// refuse imports text and expects an error on a line of it that is of a kind
// and says something, and a store that did not change.
func refuse(t *testing.T, o exchange.Options, text string, line int64, kind error, says string) {
	t.Helper()
	e := open(t)
	_, err := load(e, o, text)
	var at *exchange.LineError
	if !errors.As(err, &at) || at.Line != line {
		t.Errorf("error is %v, want one on line %d", err, line)
	}
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), says) {
		t.Errorf("error is %v, want %v that says %q", err, kind, says)
	}
	if strings.Contains(fmt.Sprint(err), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
	if got := e.Revision(); got != 0 {
		t.Errorf("the store is at revision %d, want 0: nothing changed", got)
	}
}

func names(t testing.TB, tx *roster.Txn, set roster.Set) []string {
	t.Helper()
	var out []string
	for id := range set.ByName("") {
		out = append(out, tx.Username(id))
	}
	return out
}
