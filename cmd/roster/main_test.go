package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/directory/ldap/slapdtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"roster": func() { os.Exit(start()) },
		// hold keeps a store open for writing until it is killed.
		"hold": func() {
			e, err := roster.Open(os.Args[1], roster.Options{})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(exitError)
			}
			defer e.Close()
			if err := os.WriteFile(os.Args[2], nil, 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			time.Sleep(time.Minute)
		},
		// many writes JSON lines of that many users.
		"many": func() {
			var n int
			fmt.Sscan(os.Args[2], &n)
			out := []byte("{\"kind\":\"directory\",\"id\":1,\"name\":\"main\"}\n")
			for i := range n {
				out = fmt.Appendf(out, "{\"kind\":\"user\",\"directory\":1,\"username\":\"user%d\"}\n", i)
			}
			if err := os.WriteFile(os.Args[1], out, 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(exitError)
			}
		},
		// zeros writes that many MiB of one line.
		"zeros": func() {
			var n int
			fmt.Sscan(os.Args[1], &n)
			for range n {
				if _, err := os.Stdout.Write(bytes.Repeat([]byte{'0'}, 1<<20)); err != nil {
					return
				}
			}
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await":   await,
			"flip":    flip,
			"pipe":    pipe,
			"latin1":  latin1,
			"oneline": oneLineOfStderr,
			"slapd":   runSlapd,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "slapd":
				return slapdtest.Installed(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROSTER_DATA", "")
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
	})
}

// runSlapd runs `slapd FILE`: OpenLDAP's server, until the script ends, with the
// entries of a file below dc=example. It sets URL, LDAPS, CA and READER, and writes
// the reader's password to the file reader.txt.
func runSlapd(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs("slapd")
	ts.Check(os.Mkdir(dir, 0o700))
	s, err := slapdtest.Start(context.Background(), dir, slapdtest.Options{Suffix: "dc=example"})
	ts.Check(err)
	ts.Defer(s.Kill)
	ts.Check(s.Tool("ldapadd", ts.ReadFile(args[0])))
	ts.Check(os.WriteFile(ts.MkAbs("reader.txt"), []byte(slapdtest.Password), 0o600))
	ts.Setenv("URL", s.URL)
	ts.Setenv("LDAPS", s.TLSURL)
	ts.Setenv("CA", s.CAFile)
	ts.Setenv("READER", s.Reader)
}

// await waits until a file is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for range 200 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("%s did not come", args[0])
}

// flip inverts a byte in the middle of the one file that matches a pattern.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %q", args[0], found)
	}
	data, err := os.ReadFile(found[0])
	ts.Check(err)
	at := len(data) / 2
	for data[at] == 0 { // not in what is zeroed ahead of use
		at /= 2
	}
	data[at] ^= 0xff
	ts.Check(os.WriteFile(found[0], data, 0o600))
}

// pipe runs `pipe COMMAND ARGS -- COMMAND ARGS`, the output of one the input of
// the other, which is expected to fail. Its standard error goes to the file err.
func pipe(ts *testscript.TestScript, _ bool, args []string) {
	cut := 0
	for args[cut] != "--" {
		cut++
	}
	command := func(args []string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "TMPDIR="+ts.Getenv("TMPDIR"))
		if path, err := exec.LookPath(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], args[0])); err == nil {
			cmd.Path, cmd.Err = path, nil
		}
		return cmd
	}
	from, to := command(args[:cut]), command(args[cut+1:])
	r, w := io.Pipe()
	var stderr bytes.Buffer
	from.Stdout, to.Stdin, to.Stderr = w, r, &stderr
	ts.Check(from.Start())
	err := to.Run()
	r.Close() // the writer may still be at it
	_ = from.Wait()
	if err == nil {
		ts.Fatalf("the command behind the pipe succeeded")
	}
	ts.Check(os.WriteFile(ts.MkAbs("err"), stderr.Bytes(), 0o600))
}

// latin1 turns U+00XX in a file into the byte XX, which is not UTF-8.
func latin1(ts *testscript.TestScript, _ bool, args []string) {
	var out []byte
	for _, r := range ts.ReadFile(args[0]) {
		out = append(out, byte(r))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o600))
}

// oneLineOfStderr checks that the last command wrote one line of error, in the
// form that all of them have.
func oneLineOfStderr(ts *testscript.TestScript, _ bool, _ []string) {
	text := ts.ReadFile("stderr")
	if !strings.HasPrefix(text, "roster: ") || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("stderr is %q, want one line that begins with roster:", text)
	}
}

// TestPanic: a defect is an error line and not a stack.
func TestPanic(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"import", "-"}, panicReader{}, &out, &errs)
	if code != exitError || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "internal error: boom") {
		t.Errorf("exit code %d, stderr %q", code, errs.String())
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("boom") }

// TestInterrupt: a signal ends an import without changing anything.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	in := &cancelReader{cancel: cancel}
	dir := filepath.Join(t.TempDir(), "data")
	var out, errs bytes.Buffer
	code := run(ctx, []string{"--data", dir, "import", "--format", "jsonl", "-"}, in, &out, &errs)
	if code != exitError || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("exit code %d, stderr %q", code, errs.String())
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("an interrupted import left a folder: %v", err)
	}
}

// TestPatience: a command waits for another process that is done soon.
func TestPatience(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	e, err := roster.Open(dir, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	time.AfterFunc(patience/4, func() { closed <- e.Close() })
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"--data", dir, "user", "put", "alice"}, nil, &out, &errs); code != exitDone {
		t.Errorf("exit code %d, stderr %q", code, errs.String())
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// cancelReader gives directories without end, and cancels after a while.
type cancelReader struct {
	n      int
	cancel func()
}

func (r *cancelReader) Read(p []byte) (int, error) {
	r.n++
	if r.n == 10 {
		r.cancel()
	}
	return copy(p, fmt.Sprintf("{\"kind\":\"directory\",\"id\":%d,\"name\":\"d%d\"}\n", r.n, r.n)), nil
}
