package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestReadme holds the table of the README to the runs that are kept.
func TestReadme(t *testing.T) {
	var want bytes.Buffer
	if err := report(&want, "results"); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), want.String()) {
		t.Errorf("the README does not hold the table of `go run ./bench -report bench/results`:\n%s", want.String())
	}
}
