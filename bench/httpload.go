package main

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The load comes from a process of its own, so that what it costs is not counted
// as the server's. The two speak gob over the standard input and output of the
// one that makes the load, which is this program again with loadRole in its
// environment.
const loadRole = "ROSTER_BENCH_LOAD"

// order is a load to be made.
type order struct {
	Addr     string
	Requests [][]byte // as they go over the wire
	Again    bool     // begin anew behind the last one
	Keep     bool     // the answers
	Conns    int
	Span     time.Duration // how long, if the requests suffice

	// What every answer must have.
	Status int
	Holds  []byte
}

// outcome is what became of it.
type outcome struct {
	Span    time.Duration
	Took    []time.Duration // of each request, ascending
	Answers []answer
	Err     string
}

type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// makeLoad carries out orders until there are no more.
func makeLoad(in io.Reader, out io.Writer) {
	orders, outcomes := gob.NewDecoder(in), gob.NewEncoder(out)
	open := map[string][]*connection{}
	for {
		var o order
		if orders.Decode(&o) != nil {
			return // whoever gave the orders has gone
		}
		done := outcome{}
		if err := o.carryOut(open, &done); err != nil {
			done.Err = err.Error()
		}
		if err := outcomes.Encode(done); err != nil {
			return
		}
	}
}

// connection is kept alive from one order to the next.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string, open map[string][]*connection, n int) ([]*connection, error) {
	for len(open[addr]) < n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		open[addr] = append(open[addr], &connection{c, bufio.NewReaderSize(c, 32<<10)})
	}
	return open[addr][:n], nil
}

// carryOut sends requests on all connections at once, on each of them the next
// when the last is answered.
func (o *order) carryOut(open map[string][]*connection, done *outcome) error {
	conns, err := dial(o.Addr, open, o.Conns)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	took, failed, answers := make([][]time.Duration, len(conns)), make([]error, len(conns)), make([][]answer, len(conns))
	begin := time.Now()
	for i, c := range conns {
		wg.Go(func() {
			for failed[i] == nil && (took[i] == nil || time.Since(begin) < o.Span) {
				n := int(next.Add(1)) - 1
				if n >= len(o.Requests) && !o.Again {
					return
				}
				start := time.Now()
				got, err := c.ask(o.Requests[n%len(o.Requests)])
				took[i] = append(took[i], time.Since(start))
				if failed[i] = err; err == nil {
					failed[i] = o.check(&got)
				}
				if o.Keep {
					answers[i] = append(answers[i], got)
				}
			}
		})
	}
	wg.Wait()
	done.Span = time.Since(begin)
	done.Took, done.Answers = slices.Concat(took...), slices.Concat(answers...)
	slices.Sort(done.Took)
	return errors.Join(failed...)
}

// check returns an error for an answer that is not of the kind that is expected:
// a refusal is quick, and no figure to be proud of.
func (o *order) check(a *answer) error {
	if a.Status != o.Status || !bytes.Contains(a.Body, o.Holds) {
		return fmt.Errorf("status %d, want %d with %q: %.300s", a.Status, o.Status, o.Holds, a.Body)
	}
	return nil
}

func (c *connection) ask(request []byte) (answer, error) {
	if _, err := c.Write(request); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, errors.Join(err, res.Body.Close())
}

// loader is the process that makes the load.
type loader struct {
	cmd      *exec.Cmd
	in       io.Closer
	orders   *gob.Encoder
	outcomes *gob.Decoder
}

func startLoader() (*loader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &loader{cmd: exec.Command(self)}
	l.cmd.Env, l.cmd.Stderr = append(os.Environ(), loadRole+"=1"), os.Stderr
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.in, l.orders, l.outcomes = in, gob.NewEncoder(in), gob.NewDecoder(out)
	return l, l.cmd.Start()
}

func (l *loader) do(o *order) (done outcome, err error) {
	if err := l.orders.Encode(o); err != nil {
		return done, fmt.Errorf("the process that makes the load: %w", err)
	}
	if err := l.outcomes.Decode(&done); err != nil {
		return done, fmt.Errorf("the process that makes the load: %w", err)
	}
	if done.Err != "" {
		return done, errors.New(done.Err)
	}
	return done, nil
}

func (l *loader) stop() error {
	return errors.Join(l.in.Close(), l.cmd.Wait())
}
