package crash

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/roster"
)

// Loop is a folder with what is known of the process that writes to it.
type Loop struct {
	dir     string
	command []string // starts the child, its folder and seed to be appended
	r       *rand.Rand
	worlds  [writers]*world // as of the last look
	acked   [writers]int
	slack   [writers]int    // how many more tasks than acked may be there: one for each child since that was acknowledged
	tasks   uint64          // what the tasks are drawn from
	newest  roster.Revision // the highest revision acknowledged

	// Counts so far.
	Kills  int
	Acks   int
	Checks int            // openings with everything compared
	During map[string]int // kills by what the child had said last: open, Writing, verify, close
}

// NewLoop makes a folder in dir, which must be missing or empty. Command starts
// a process that calls ChildMain with the arguments that follow it.
func NewLoop(dir string, command []string, seed uint64) (*Loop, error) {
	l := &Loop{dir: dir, command: command, tasks: seed, r: rand.New(rand.NewPCG(seed, 1)), During: map[string]int{}}
	for w := range l.worlds {
		l.worlds[w] = newWorld()
	}
	return l, Setup(dir)
}

// maxLife is the longest time that a child is left alive after what its kill
// waits for, maxWait the longest that this is waited for.
const (
	maxLife = 300 * time.Millisecond
	maxWait = 10 * time.Second
)

// Writing says that the writers of a child were at work.
const Writing = "write"

// Kill starts a child, kills it at a random moment and, mostly, looks at what it
// has left behind; now and then the next child is the first to see that. Of five
// kills one may come at any moment from the start of the process, the others
// wait until the writers are at work: many of these come before they stop.
func (l *Loop) Kill() error {
	await, life := Writing, time.Duration(l.r.Int64N(int64(maxLife)))
	if l.r.IntN(5) == 0 {
		await = ""
	}
	if err := l.kill(await, life); err != nil {
		return err
	}
	l.Kills++
	if l.r.IntN(4) == 0 {
		return nil
	}
	return l.Check()
}

func (l *Loop) kill(await string, life time.Duration) error {
	args := slices.Concat(l.command[1:], []string{l.dir, strconv.FormatUint(l.tasks, 10), strconv.FormatUint(l.r.Uint64(), 10)})
	child := exec.Command(l.command[0], args...)
	var stderr strings.Builder
	child.Stderr = &stderr
	reports, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	// What the pipe holds when the child dies is still read.
	death := time.AfterFunc(maxWait, func() { child.Process.Kill() })
	if await == "" {
		death.Reset(life)
	}
	for w := range l.slack {
		l.slack[w]++
	}
	doing, readErr := l.listen(reports, func(doing string) {
		if doing == await {
			await = ""
			death.Reset(life)
		}
	})
	err = child.Wait()
	if death.Stop() {
		return fmt.Errorf("the child ended by itself while it wanted to %s: %w\n%s", doing, err, stderr.String())
	}
	l.During[doing]++
	return readErr
}

// listen reads the child's reports to their end, calls begun with what the child
// is about to do, and returns the last of that.
func (l *Loop) listen(reports io.Reader, begun func(doing string)) (doing string, err error) {
	doing = "start"
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		var w, n int
		var rev roster.Revision
		line := lines.Text()
		if line[0] >= 'a' {
			doing = line
			begun(doing)
			continue
		}
		if _, err := fmt.Sscan(line, &w, &n, &rev); err != nil {
			return doing, fmt.Errorf("report %q: %w", line, err)
		}
		l.acked[w], l.slack[w], l.newest = n, 1, max(l.newest, rev)
		l.Acks++
	}
	return doing, lines.Err()
}

// Check opens the folder, lets the engine verify itself and compares what it
// holds with what the writers had been told.
func (l *Loop) Check() error {
	ctx := context.Background()
	e, err := roster.Open(l.dir, options())
	if err != nil {
		return fmt.Errorf("after kill %d: %w", l.Kills, err)
	}
	defer e.Close()
	l.Checks++
	if err := e.Verify(ctx, nil); err != nil {
		return fmt.Errorf("after kill %d: verify: %w", l.Kills, err)
	}
	if rev := e.Revision(); rev < l.newest {
		return fmt.Errorf("after kill %d: revision %d was acknowledged, the newest is %d", l.Kills, l.newest, rev)
	}
	for w := range writers {
		if err := l.checkWriter(e, w); err != nil {
			return fmt.Errorf("after kill %d: writer %d: %w", l.Kills, w, err)
		}
	}
	if err := checkTokens(e); err != nil {
		return fmt.Errorf("after kill %d: %w", l.Kills, err)
	}
	return e.Close()
}

// checkWriter does the tasks that a writer has done since the last look, and
// compares.
func (l *Loop) checkWriter(e *roster.Engine, writer int) error {
	is, err := look(e, writer)
	if err != nil {
		return err
	}
	w := l.worlds[writer]
	if most := l.acked[writer] + l.slack[writer]; is.done < l.acked[writer] || is.done > most {
		return fmt.Errorf("task %d was acknowledged, the last one there is %d", l.acked[writer], is.done)
	}
	for n := w.done + 1; n <= is.done; n++ {
		w.task(l.tasks, writer, n)
	}
	return is.equal(w)
}

// String returns the counts.
func (l *Loop) String() string {
	return fmt.Sprintf("%d kills (%v), %d changes acknowledged, %d openings compared", l.Kills, l.During, l.Acks, l.Checks)
}

// ChildMain is Child for a main function: its arguments are the folder and two
// seeds, and it reports on the standard output.
func ChildMain(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("crash: a child needs a folder and two seeds, not %q", args)
	}
	tasks, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	return Child(args[0], tasks, seed, os.Stdout)
}
