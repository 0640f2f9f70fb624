package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestExamples runs every line of every example in the help, each on data of its
// own that the example of the program made.
func TestExamples(t *testing.T) {
	root := new(program).command()
	made := t.TempDir()
	for _, line := range exampleLines(t, root) {
		runExample(t, made, line)
	}
	all(root, func(cmd *cobra.Command) {
		if cmd == root || cmd.Hidden || cmd.Name() == "help" {
			return
		}
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			for _, line := range exampleLines(t, cmd) {
				if line == "roster demo" {
					continue // a test of its own
				}
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
					t.Fatal(err)
				}
				runExample(t, dir, line)
			}
		})
	})
}

// TestHelp: every command has a help, and asking for it is no error.
func TestHelp(t *testing.T) {
	all(new(program).command(), func(cmd *cobra.Command) {
		var out, errs bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if code := run(context.Background(), args, nil, &out, &errs); code != exitDone || errs.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", args, code, errs.String())
		}
		if !strings.Contains(out.String(), "Usage:") || strings.Contains(out.String(), "%!") {
			t.Errorf("%s: %s", args, out.String())
		}
	})
}

// all calls fn for a command and all those below it.
func all(cmd *cobra.Command, fn func(*cobra.Command)) {
	fn(cmd)
	for _, c := range cmd.Commands() {
		all(c, fn)
	}
}

func exampleLines(t *testing.T, cmd *cobra.Command) []string {
	t.Helper()
	if cmd.Example == "" {
		t.Fatalf("%s has no example", cmd.CommandPath())
	}
	var lines []string
	for _, line := range strings.Split(cmd.Example, "\n") {
		lines = append(lines, strings.TrimPrefix(line, "  "))
	}
	return lines
}

// runExample gives a line to a shell, which it has to end with success. One that
// would not end is interrupted when it says something.
func runExample(t *testing.T, dir, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shell := "sh"
	if bash, err := exec.LookPath("bash"); err == nil && strings.Contains(line, "bash") {
		shell = bash
	}
	line = strings.ReplaceAll(line, ":8080", ":0") // that port may be taken
	cmd := exec.CommandContext(ctx, shell, "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ROSTER_DATA=", "HOME="+dir, "TMPDIR="+t.TempDir())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if strings.Contains(line, "--follow") || strings.HasPrefix(line, "roster serve") {
		cmd.Args[2] = "exec " + line
		cmd.Stdout = writerFunc(func(b []byte) (int, error) { return len(b), cmd.Process.Signal(os.Interrupt) })
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out.String())
	}
	if strings.Contains(line, "import") && !strings.Contains(out.String(), `"unresolved":0,`) {
		t.Errorf("%s left something out:\n%s", line, out.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "roster-data")); err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (fn writerFunc) Write(b []byte) (int, error) { return fn(b) }
