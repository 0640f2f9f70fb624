package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/roster/store"
)

// killChange is the record of a revision: the same in every process. It is large enough that a fold of a few takes
// several transactions, and a few folds several write-ahead files.
func killChange(rev uint64) map[string]string {
	r := rand.New(rand.NewPCG(rev, 7))
	change := map[string]string{}
	for range 1 + r.IntN(60) {
		value := strings.Repeat(fmt.Sprintf("%016x", r.Uint64()), 1+r.IntN(3000))
		change[fmt.Sprintf("k%03d", r.IntN(400))] = value
	}
	return change
}

// killedContent is what a store holds at a revision.
func killedContent(rev uint64) map[string]string {
	content := map[string]string{}
	for n := uint64(1); n <= rev; n++ {
		for k, v := range killChange(n) {
			content[k] = v
		}
	}
	return content
}

// killedProcess writes and folds until it is killed, saying what it was told is done.
func killedProcess(dir string) error {
	a, err := openApp(dir, store.Options{SegmentBytes: 8 << 20})
	if err != nil {
		return err
	}
	fmt.Println("open", a.head)
	for {
		for range 3 {
			if err := a.update(killChange(a.head + 1)); err != nil {
				return err
			}
			fmt.Println("head", a.head)
		}
		if err := a.fold(a.Applied()); err != nil {
			return err
		}
		fmt.Println("fold", a.Applied())
	}
}

// TestStateKill kills a process that writes, folds and compacts, again and again on the same store. Nothing that
// it was told is durable may be gone, and nothing half done may be seen.
func TestStateKill(t *testing.T) {
	if dir := os.Getenv(killChild); dir != "" {
		fmt.Println("error:", killedProcess(dir))
		os.Exit(1)
	}
	kills := 12
	if testing.Short() {
		kills = 4
	}
	if n, err := strconv.Atoi(os.Getenv("ROSTER_TEST_KILLS")); err == nil {
		kills = n
	}
	dir := filepath.Join(t.TempDir(), "db")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	var leftovers, repaired int
	var head, applied uint64 // what the processes were told
	for n := range kills {
		// One in three is killed while it opens what the one before left.
		h, f := runAndKill(t, dir, n%3 == 2, time.Duration(r.IntN(400))*time.Millisecond/time.Duration(1+n%3))
		head, applied = max(head, h), max(applied, f)
		a, err := openApp(dir, store.Options{})
		if err != nil {
			t.Fatalf("after kill %d: %v", n, err)
		}
		if a.head < head || a.Applied() < applied {
			t.Fatalf("after kill %d: at %d folded to %d, the processes were told %d and %d", n, a.head, a.Applied(), head, applied)
		}
		same(t, fmt.Sprint("after kill ", n), a.now, killedContent(a.head))
		if a.Leftovers() > 0 {
			leftovers++
			if n%2 == 0 { // fold what is there, or let the next process do it
				check(t, a.fold(a.Applied()))
				check(t, a.Flatten(a.Applied()))
				check(t, a.Verify(t.Context(), func(string) {}))
				repaired++
			}
		}
		check(t, a.Close())
	}
	t.Logf("%d kills, %d of them in a fold, %d repaired at once", kills, leftovers, repaired)
}

// runAndKill runs killedProcess for a while, from its start or from when it has opened the store, and returns what
// it said last, zero for nothing.
func runAndKill(t *testing.T, dir string, fromStart bool, after time.Duration) (head, applied uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestStateKill$")
	cmd.Env = append(os.Environ(), killChild+"="+dir)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	if fromStart {
		time.AfterFunc(after, func() { cmd.Process.Kill() })
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatalf("the process that is to be killed says %q", lines.Text())
		}
		switch word {
		case "open":
			if !fromStart {
				time.AfterFunc(after, func() { cmd.Process.Kill() })
			}
			head = n
		case "head":
			head = n
		case "fold":
			applied = n
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return head, applied
}
