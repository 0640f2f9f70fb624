package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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
		cells := []string{name}
		for _, c := range columns {
			cells = append(cells, c[name])
		}
		if !slices.Contains(cells, "") {
			fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	return nil
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
	}
	return names, values, lines.Err()
}
