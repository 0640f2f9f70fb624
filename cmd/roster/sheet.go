package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// sheet is a list of labels and values for reading.
type sheet struct {
	rows [][2]string
}

// row adds a row. What is empty is not shown.
func (s *sheet) row(label, value string) {
	if value != "" {
		s.rows = append(s.rows, [2]string{label, value})
	}
}

func (s *sheet) attributes(all map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.row(name, strings.Join(all[name], ", "))
	}
}

// print writes the rows with their values below each other.
func (s *sheet) print(w io.Writer) error {
	width := 0
	for _, r := range s.rows {
		width = max(width, utf8.RuneCountInString(r[0]))
	}
	var out strings.Builder
	for _, r := range s.rows {
		fmt.Fprintf(&out, "%-*s  %s\n", width, r[0], r[1])
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// table is rows of columns for reading, under headings.
type table struct {
	out  *tabwriter.Writer
	rows int
	head []string
}

func newTable(w io.Writer, head ...string) *table {
	return &table{out: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), head: head}
}

// row adds a row; the first brings the headings.
func (t *table) row(columns ...any) {
	if t.rows++; t.rows == 1 {
		fmt.Fprintln(t.out, strings.Join(t.head, "\t"))
	}
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(t.out, "\t")
		}
		fmt.Fprint(t.out, c)
	}
	fmt.Fprintln(t.out) // print returns the error
}

func (t *table) print() error { return t.out.Flush() }
