package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The raw output of runs that are kept, by the number of users.
var kept = []struct{ users, file string }{
	{"10,000", "10k.txt"}, {"100,000", "100k.txt"}, {"1,000,000", "1m.txt"},
}

// report writes a table in Markdown of what the runs in a folder printed: a row
// for each row that they have in common, a column for each run.
func report(w io.Writer, dir string) error {
	head, line := "| users", "|---"
	var rows []string
	var columns []map[string]string
	for _, k := range kept {
		names, values, err := readRun(dir + "/" + k.file)
		if err != nil {
			return err
		}
		head, line = head+" | "+k.users, line+"|---"
		columns = append(columns, values)
		if rows == nil {
			rows = names
		}
	}
	fmt.Fprintf(w, "%s |\n%s|\n", head, line)
	for _, name := range rows {
		if strings.HasPrefix(name, "search ") || strings.HasPrefix(name, "Bleve") || name == "heap of searches" || name == "users created beside the indexer" {
			continue // for the other table
		}
		cells := []string{name}
		for _, c := range columns {
			cells = append(cells, c[name])
		}
		if !slices.Contains(cells, "") {
			fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	fmt.Fprintln(w)
	if err := searchReport(w, columns[len(columns)-1]); err != nil {
		return err
	}
	return httpReport(w, dir)
}

// httpRun is the output of `bench http` that is kept, if there is one.
const httpRun = "http-1m.txt"

// httpReport writes a third table, of the HTTP APIs: what a request costs the
// server beside a constant, and how long it takes.
func httpReport(w io.Writer, dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, httpRun))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\n| HTTP, on loopback | requests/s | server CPU a request | of a constant | p50 | p99 |\n|---|---|---|---|---|---|\n")
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) != httpCells+2 || strings.Contains(line, "--") || strings.Contains(line, "operation") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s: %s × | %s | %s |\n", cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7])
	}
	return nil
}

// searchReport writes another table, of the searches of the largest run: a row
// for each kind of text, with the range of what it takes in sets of all sizes.
func searchReport(w io.Writer, values map[string]string) error {
	fmt.Fprint(w, "| search, first ten and total, p50 | of all | in 200 to 500,000, or not in 100,000 | in 10 | worst p99 | Bleve's own |\n|---|---|---|---|---|---|\n")
	for _, k := range searchKinds {
		var in []time.Duration
		worst := time.Duration(0)
		for name, value := range values {
			kind, set, _ := strings.Cut(strings.TrimPrefix(name, "search "), ", ")
			if !strings.HasPrefix(name, "search ") || kind != k.name {
				continue
			}
			p50, rest, _ := strings.Cut(value, "|")
			_, p99, _ := strings.Cut(rest, "p99 ")
			p99, _, _ = strings.Cut(p99, ",")
			d, err := parse(p50)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if set != "all" && set != "in 10" {
				in = append(in, d)
			}
			if d, err = parse(p99); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			worst = max(worst, d)
		}
		if len(in) == 0 {
			return fmt.Errorf("no rows of search %s", k.name)
		}
		own := func(name string) string {
			p50, _, _ := strings.Cut(values[name], "|")
			return strings.TrimSpace(p50)
		}
		fmt.Fprintf(w, "| %s | %s | %s to %s | %s | %s | %s |\n", k.name, own("search "+k.name+", all"),
			show(slices.Min(in)), show(slices.Max(in)), own("search "+k.name+", in 10"), show(worst), own("Bleve's Search: "+k.name+", all, by ID"))
	}
	return nil
}

// parse is the reverse of show.
func parse(shown string) (time.Duration, error) {
	return time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(shown), " ", ""))
}

// readRun returns the names of the rows of a run in order, and their values.
func readRun(file string) (names []string, values map[string]string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	values = map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "|")
		if len(cells) < 3 {
			continue
		}
		name, value := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if name == "what" || name == "" || strings.HasPrefix(name, "---") || name == "organisation" || name == "organisations" {
			continue
		}
		names = append(names, name)
		values[name] = value
		if strings.HasPrefix(name, "search ") && len(cells) > 3 {
			values[name] += "|" + cells[3] // its p99
		}
	}
	return names, values, lines.Err()
}
