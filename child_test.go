package roster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A child is a process of its own in which a test has something done, so that
// one that exits, is killed or hangs can be told from one that answers. It is
// this program, running a test that calls serve: it gets jobs and answers each.
const childEnv = "ROSTER_TEST_CHILD"

// serve is the life of a child. In every other process it does nothing.
func serve(t *testing.T, do func(job json.RawMessage) any) {
	if os.Getenv(childEnv) != t.Name() {
		return
	}
	jobs, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.NewFile(3, "answers"))
	for {
		var job json.RawMessage
		if err := jobs.Decode(&job); err == io.EOF {
			os.Exit(0)
		} else if err != nil {
			t.Fatal(err)
		}
		if err := answers.Encode(do(job)); err != nil {
			t.Fatal(err)
		}
	}
}

// child is the parent's end of it.
type child struct {
	cmd     *exec.Cmd
	jobs    *json.Encoder
	in      io.Closer
	answers *json.Decoder
	out     *os.File
	said    tail // what it wrote to its standard error
}

// newChild starts a child that runs the named test.
func newChild(t testing.TB, name string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^"+name+"$")}
	c.cmd.Env = append(os.Environ(), childEnv+"="+name)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.ExtraFiles, c.cmd.Stderr = []*os.File{w}, &c.said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	c.jobs, c.in, c.answers, c.out = json.NewEncoder(in), in, json.NewDecoder(out), out
	return c
}

// errDied is what a child that ends or hangs comes to.
var errDied = errors.New("the process died or hung")

// do has a job done. After errDied the child is gone.
func (c *child) do(job, answer any) error {
	watchdog := time.AfterFunc(60*time.Second, func() { c.cmd.Process.Signal(syscall.SIGQUIT) }) // it says where it is
	defer watchdog.Stop()
	err := c.jobs.Encode(job)
	if err == nil {
		err = c.answers.Decode(answer)
	}
	if err != nil {
		c.in.Close()
		c.out.Close()
		return fmt.Errorf("%w: %w, %w\n%s", errDied, err, c.cmd.Wait(), c.said.b)
	}
	return nil
}

// end lets the child exit.
func (c *child) end() error {
	c.in.Close()
	defer c.out.Close()
	return c.cmd.Wait()
}

// kill ends the child as kill -9 does.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.in.Close()
	c.out.Close()
	c.cmd.Wait() // it says that it was killed
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-32<<10):]
	return len(p), nil
}
