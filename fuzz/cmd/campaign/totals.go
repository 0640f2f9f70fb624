package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// totals are the sums over all campaigns, by mode.
type totals map[string]*total

type total struct{ steps, runs, disagreements int }

const totalsHead = `# Steps of the machine, over all campaigns

Written by cmd/campaign. A run is one seed; a disagreement of engine and model ends it, and a run that ended so
before a defect was mended stays counted.

| mode | steps | runs | disagreements |
|---|---|---|---|
`

func (t totals) add(mode string, steps int, failed bool) {
	s := t[mode]
	if s == nil {
		s = &total{}
		t[mode] = s
	}
	s.steps += steps
	s.runs++
	if failed {
		s.disagreements++
	}
}

// readTotals reads a file of totals. One that is not there, or has no name, is
// empty.
func readTotals(name string) (totals, error) {
	t := totals{}
	if name == "" {
		return t, nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		cells := strings.Split(strings.Trim(lines.Text(), "| "), "|")
		if len(cells) != 4 {
			continue
		}
		var s total
		// The head and the ruler of the table hold no numbers.
		if n, _ := fmt.Sscan(strings.Join(cells[1:], " "), &s.steps, &s.runs, &s.disagreements); n == 3 {
			t[strings.TrimSpace(cells[0])] = &s
		}
	}
	delete(t, sum)
	return t, lines.Err()
}

// sum is the name of the last line.
const sum = "all"

// write replaces the file.
func (t totals) write(name string) error {
	b := []byte(totalsHead)
	all := total{}
	for _, mode := range slices.Sorted(maps.Keys(t)) {
		s := t[mode]
		b = fmt.Appendf(b, "| %s | %d | %d | %d |\n", mode, s.steps, s.runs, s.disagreements)
		all.steps += s.steps
		all.runs += s.runs
		all.disagreements += s.disagreements
	}
	b = fmt.Appendf(b, "| %s | %d | %d | %d |\n", sum, all.steps, all.runs, all.disagreements)
	next := name + ".new"
	if err := os.WriteFile(next, b, 0o644); err != nil {
		return err
	}
	return os.Rename(next, name)
}
