// Crash kills a writing process over and over and looks for what got lost; see
// package crash. It ends with the first defect, and prints its counts.
//
//	go run ./cmd/crash -kills 500
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/rosterdb/roster/fuzz/crash"
)

// child as the first argument makes this a child of the loop.
const child = "child"

func main() {
	if len(os.Args) > 1 && os.Args[1] == child {
		fmt.Fprintln(os.Stderr, crash.ChildMain(os.Args[2:]))
		os.Exit(1)
	}
	kills := flag.Int("kills", 500, "`number` of kills while the writers write; others come on top")
	seed := flag.Uint64("seed", rand.Uint64(), "what the times of the kills and the tasks are drawn from")
	dir := flag.String("dir", "", "`folder` in which the engine's is made, and kept if something is found; a temporary one if empty")
	flag.Parse()
	if err := run(*kills, *seed, *dir); err != nil {
		fmt.Fprintf(os.Stderr, "crash: seed %d: %v\n", *seed, err)
		os.Exit(1)
	}
}

func run(kills int, seed uint64, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "crash"); err != nil {
			return err
		}
	}
	l, err := crash.NewLoop(filepath.Join(dir, "roster"), []string{self, child}, seed)
	if err != nil {
		return err
	}
	told := time.Now()
	for l.During[crash.Writing] < kills {
		if err := l.Kill(); err != nil {
			return fmt.Errorf("%w\nthe folder is %s; so far %v", err, dir, l)
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Println(l)
		}
	}
	if err := l.Check(); err != nil {
		return fmt.Errorf("%w\nthe folder is %s; so far %v", err, dir, l)
	}
	fmt.Println(l)
	return os.RemoveAll(dir)
}
