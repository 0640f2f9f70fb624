package crash_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/rosterdb/roster/fuzz/crash"
)

// asChild in the environment makes the test program a child of the loop.
const asChild = "ROSTER_CRASH_CHILD"

var kills = flag.Int("crash.kills", 30, "how often TestCrash kills while the writers write")

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		fmt.Fprintln(os.Stderr, crash.ChildMain(os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestCrash is the short form of cmd/crash.
func TestCrash(t *testing.T) {
	t.Setenv(asChild, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	l, err := crash.NewLoop(filepath.Join(t.TempDir(), "roster"), []string{self}, seed)
	if err != nil {
		t.Fatal(err)
	}
	for l.During[crash.Writing] < *kills {
		if err := l.Kill(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if err := l.Check(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if l.Acks == 0 {
		t.Fatal("no change was acknowledged: nothing was tested")
	}
	t.Log(l)
}
