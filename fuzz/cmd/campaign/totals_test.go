package main

import (
	"path/filepath"
	"testing"
)

func TestTotalsAddUpOverRuns(t *testing.T) {
	name := filepath.Join(t.TempDir(), "TOTALS.md")
	for range 2 {
		sums, err := readTotals(name)
		if err != nil {
			t.Fatal(err)
		}
		sums.add("disk", 10, false)
		sums.add("memory", 5, true)
		sums.add("memory", 5, false)
		if err := sums.write(name); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := readTotals(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(sums) != 2 || *sums["disk"] != (total{20, 2, 0}) || *sums["memory"] != (total{20, 4, 2}) {
		t.Errorf("disk %+v, memory %+v, %d in all", *sums["disk"], *sums["memory"], len(sums))
	}
}
