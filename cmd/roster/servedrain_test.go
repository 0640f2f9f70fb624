package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// adding adds memberships of ever other users until the server is gone, and returns
// those that it was told have been added.
func (p *process) adding(workers, users int) (count *atomic.Int64, added func() []int) {
	var wg sync.WaitGroup
	var next atomic.Int64
	count = &atomic.Int64{}
	var mu sync.Mutex
	var all []int // guarded by mu
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= users {
					return
				}
				body := fmt.Sprintf(`{"user_id":%d,"group_id":10}`, 1000+i)
				status, text, err := p.try("POST", "/api/ingress/user_group_members", ingressKey("root"), strings.NewReader(body))
				if err != nil {
					return
				}
				if status != 200 || !strings.Contains(text, `"added":1}`) {
					p.Errorf("user %d: %d %s", i, status, text)
					return
				}
				mu.Lock()
				all = append(all, i)
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	return count, func() []int {
		wg.Wait()
		return all
	}
}

// TestServeEndsWhileWriting ends the program while others write, kindly and not: what
// they were told is done is there.
func TestServeEndsWhileWriting(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(s.String(), func(t *testing.T) {
			const users = 2000
			p := startServe(t, newServeWorld(t, users))
			count, added := p.adding(8, users)
			for end := time.Now().Add(20 * time.Second); count.Load() < 300 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			err := p.stop(s)
			if kind := s != syscall.SIGKILL; kind != (err == nil) {
				t.Errorf("it ended with %v: %s", err, tail(p.log()))
			}
			told := added()
			if len(told) < 300 || len(told) == users {
				t.Fatalf("%d of %d were added before the end", len(told), users)
			}
			var out strings.Builder
			code := run(t.Context(), []string{"--data", p.data, "members", "sales"}, strings.NewReader(""), &out, &out)
			if code != exitDone {
				t.Fatalf("members: exit %d: %s", code, out.String())
			}
			is := map[string]bool{}
			for name := range strings.Lines(out.String()) {
				is[strings.TrimSpace(name)] = true
			}
			for _, i := range told {
				if !is["user"+strconv.Itoa(i)] {
					t.Fatalf("user%d was added, and is not there", i)
				}
			}
			t.Logf("%d additions were acknowledged, and %d are there", len(told), len(is))
			if s != syscall.SIGKILL && len(is) != len(told) {
				t.Errorf("%d are there of %d that were acknowledged", len(is), len(told))
			}
			p.clean()
		})
	}
}

// TestServeDrain: after SIGTERM a request that is under way is answered, connections
// are refused, and idle ones and those that bring nothing do not hold the end up.
func TestServeDrain(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	p.healthy() // and keeps its connection
	idle := p.dial()
	half := p.dial()
	fmt.Fprintf(half, "%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", ingressHead, len(ingressBody), ingressBody[:5])
	time.Sleep(200 * time.Millisecond)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	refused := false
	for end := time.Now().Add(5 * time.Second); !refused && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", p.addr)
		if refused = err != nil; !refused {
			c.Close()
		}
	}
	if !refused {
		t.Error("new connections are accepted")
	}
	if _, err := io.WriteString(half, ingressBody[5:]); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(half); err != nil || !strings.Contains(string(got), `"added":0}`) {
		t.Errorf("the request that was under way: %q, %v", got, err)
	}
	idle.Close()
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("it ended with %v: %s", p.err, tail(p.log()))
		}
	case <-time.After(15 * time.Second):
		t.Error("it does not end")
	}
	p.clean()
}

// TestServeDrainEnds: a request that does not end is cut off after --drain.
func TestServeDrainEnds(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0), "--drain", "300ms")
	half := p.dial()
	fmt.Fprintf(half, "%sContent-Length: 28\r\n\r\n{", ingressHead)
	time.Sleep(200 * time.Millisecond)
	begin := time.Now()
	if err := p.stop(syscall.SIGTERM); err != nil || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v: %s", err, time.Since(begin), tail(p.log()))
	}
	if !strings.Contains(p.log(), "requests were cut off") {
		t.Errorf("the log does not say so: %s", p.log())
	}
	p.clean()
}

// TestServeSecondSignal: whoever is impatient is obeyed.
func TestServeSecondSignal(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	fmt.Fprintf(p.dial(), "%sContent-Length: 28\r\n\r\n{", ingressHead)
	time.Sleep(200 * time.Millisecond)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if err := p.stop(syscall.SIGTERM); err == nil {
		t.Error("it ended as if all were well")
	}
	p.clean()
}

// TestServeTwice: the data belong to one server at a time, and a port too.
func TestServeTwice(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	for want, args := range map[string][]string{
		"in use by another process": {"--data", p.data, "serve", "--listen", "127.0.0.1:0"},
		"address already in use":    {"--data", filepath.Join(t.TempDir(), "other"), "serve", "--listen", p.addr},
	} {
		out, err := exec.Command("roster", args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
	p.healthy()
	if err := p.stop(os.Interrupt); err != nil {
		t.Error(err)
	}
}
