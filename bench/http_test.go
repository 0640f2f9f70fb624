package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is the process that makes the load, if it was started as that.
func TestMain(m *testing.M) {
	if os.Getenv(loadRole) != "" {
		makeLoad(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// TestHTTP measures every operation for a moment: each is answered as it should
// be, also by an engine that was kept, and the report understands what is printed.
func TestHTTP(t *testing.T) {
	var out bytes.Buffer
	w := web{
		shape: shape{users: 2000, groups: 200, memberships: 20_000}, seed: 1,
		callers: 3, conns: 2, rounds: 1, span: 5 * time.Millisecond, out: &out,
	}
	dir := t.TempDir()
	if err := w.run(t.Context(), "", filepath.Join(dir, "data")); err != nil {
		t.Fatalf("%v after\n%s", err, &out)
	}
	if err := os.WriteFile(filepath.Join(dir, httpRun), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := httpReport(&table, dir); err != nil {
		t.Fatal(err)
	}
	for _, o := range operations {
		if !strings.Contains(table.String(), "| "+o.name+" | ") {
			t.Errorf("the report has no row of %s:\n%s", o.name, &table)
		}
	}

	out.Reset()
	again := web{shape: w.shape, seed: 1, callers: 2, conns: 1, rounds: 1, span: time.Millisecond, only: "two names", out: &out}
	if err := again.run(t.Context(), "", filepath.Join(dir, "data")); err != nil || strings.Count(out.String(), "\n| ") != 2 {
		t.Errorf("with the engine that was kept: %v\n%s", err, &out)
	}
	again.users++
	if err := again.run(t.Context(), "", filepath.Join(dir, "data")); err == nil || !strings.Contains(err.Error(), "not 2001") {
		t.Errorf("with one of another size: %v", err)
	}
}

// TestLoadRefused has the load fail where an answer is not the one expected: what
// refuses is quick.
func TestLoadRefused(t *testing.T) {
	w := web{
		shape: shape{users: 500, groups: 50, memberships: 5000}, seed: 1,
		callers: 1, conns: 1, rounds: 1, span: time.Millisecond, only: "a membership", out: &bytes.Buffer{},
	}
	defer func(was []operation) { operations = was }(operations)
	operations = []operation{{name: "a membership", status: 200, holds: `"nothing of the kind"`, request: operations[0].request}}
	if err := w.run(t.Context(), t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "nothing of the kind") {
		t.Errorf("the answer is taken: %v", err)
	}
}
