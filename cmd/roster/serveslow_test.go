package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/roster/internal/web"
)

// newGate serves a handler of a test behind the gate, within limits, and returns the
// address.
func newGate(t *testing.T, l limits, h http.Handler, change ...func(*http.Server)) string {
	t.Helper()
	g := &gate{
		apis: []api{{"test", "/test", h, false}}, limits: &l, log: slog.New(slog.DiscardHandler),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "count"}, []string{"api", "method", "code"}),
		took:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took"}, []string{"api"}),
		busy:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "busy"}),
	}
	listener, _, err := l.listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := l.server(g)
	for _, c := range change {
		c(web)
	}
	go web.Serve(listener)
	t.Cleanup(func() { web.Close() })
	return listener.Addr().String()
}

// quickLimits are limits that a test need not wait long for.
func quickLimits() limits {
	l := defaultLimits()
	l.header, l.idle, l.pace = 300*time.Millisecond, 300*time.Millisecond, pace{4 << 10, 500 * time.Millisecond}
	return l
}

// dialogue sends parts, with a pause after each, and returns what comes until the
// server ends the connection, and after which time.
func dialogue(t *testing.T, addr string, pause time.Duration, parts ...string) (string, time.Duration) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	begin := time.Now()
	go func() {
		for _, part := range parts {
			if _, err := io.WriteString(c, part); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
	var got bytes.Buffer
	if _, err := io.Copy(&got, c); err != nil && strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("the connection is still open after %v", time.Since(begin))
	}
	return got.String(), time.Since(begin)
}

// TestServePace: a client that is slow is waited for as long as something comes, and
// one that has stopped, or sends next to nothing, is not.
func TestServePace(t *testing.T) {
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d bytes, %v", n, err)
	})
	does := http.NewServeMux()
	does.Handle("/test/reads", reads)
	does.HandleFunc("/test/ignores", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) })
	does.HandleFunc("/test/waits", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second) // while it is found out who asks
		reads(w, r)
	})
	does.HandleFunc("/test/thinks", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(1500 * time.Millisecond): // three times what a client may take
			fmt.Fprint(w, "thought")
		case <-r.Context().Done():
			fmt.Fprint(w, "given up")
		}
	})
	addr := newGate(t, quickLimits(), does)
	post := func(to string, length int) string {
		return fmt.Sprintf("POST /test/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", to, length)
	}
	drops := func(n int) (all []string) {
		for range n {
			all = append(all, "x")
		}
		return all
	}
	for name, c := range map[string]struct {
		parts   []string
		pause   time.Duration
		want    string
		atLeast time.Duration
	}{
		"half a header":            {[]string{"GET /test/reads HTT"}, 0, "400 Bad Request", 200 * time.Millisecond},
		"headers in drops":         {append([]string{"GET /test/reads HTTP/1.1\r\nX: "}, drops(100)...), 50 * time.Millisecond, "", 200 * time.Millisecond},
		"nothing":                  {nil, 0, "", 200 * time.Millisecond},
		"nothing after a request":  {[]string{"GET /test/reads HTTP/1.1\r\nHost: x\r\n\r\n"}, 0, "0 bytes, <nil>", 200 * time.Millisecond},
		"no body":                  {[]string{post("reads", 10)}, 0, "i/o timeout", 400 * time.Millisecond},
		"half a body":              {[]string{post("reads", 10), "12345"}, 0, "i/o timeout", 400 * time.Millisecond},
		"a body in drops":          {append([]string{post("reads", 1000)}, drops(100)...), 50 * time.Millisecond, "i/o timeout", 400 * time.Millisecond},
		"chunks in drops":          {append([]string{"POST /test/reads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"}, slices.Repeat([]string{"1\r\nx\r\n"}, 100)...), 50 * time.Millisecond, "i/o timeout", 400 * time.Millisecond},
		"a slow body":              {append([]string{post("reads", 20<<10)}, slices.Repeat([]string{strings.Repeat("x", 1<<10)}, 20)...), 60 * time.Millisecond, "20480 bytes, <nil>", time.Second},
		"a body that nobody reads": {[]string{strings.Replace(post("ignores", 10), "Connection: close\r\n", "", 1)}, 0, "401 Unauthorized", 400 * time.Millisecond},
		"a body that is read late": {[]string{post("waits", 20<<10) + strings.Repeat("x", 20<<10)}, 0, "20480 bytes, <nil>", time.Second},
		"no body, read late":       {[]string{post("waits", 20<<10)}, 0, "i/o timeout", 1400 * time.Millisecond},
		"a slow answer to no body": {[]string{"GET /test/thinks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}, 0, "thought", 1400 * time.Millisecond},
		"a slow answer":            {[]string{post("thinks", 2), "hi"}, 0, "thought", 1400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, took := dialogue(t, addr, c.pause, c.parts...)
			if !strings.Contains(got, c.want) || c.want == "" && got != "" || took < c.atLeast || took > 6*time.Second {
				t.Errorf("%q after %v, want %q", got, took, c.want)
			}
		})
	}
}

// TestServeReadLate: with HTTP/2 too a body is not late because it took long to find out
// who sent it.
func TestServeReadLate(t *testing.T) {
	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	addr := newGate(t, quickLimits(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second) // twice what a client may take
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s: %d bytes, %v", r.Proto, n, err)
	}), func(s *http.Server) { s.Protocols = &http2 })
	client := &http.Client{Transport: &http.Transport{Protocols: &http2}}
	res, err := client.Post("http://"+addr+"/test/waits", "text/plain", strings.NewReader(strings.Repeat("x", 100<<10)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != "HTTP/2.0: 102400 bytes, <nil>" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestServeSlowReader: an answer that is taken slowly is given as long as it is taken,
// and one that is not taken is not.
func TestServeSlowReader(t *testing.T) {
	const size = 24 << 20 // more than the system takes for a client
	ended := make(chan error, 2)
	l := quickLimits()
	l.pace = pace{256 << 10, 500 * time.Millisecond}
	addr := newGate(t, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, size))
		ended <- err
	}))
	read := func(c net.Conn, most int) (n int, err error) {
		buf := make([]byte, 512<<10)
		for n < most && err == nil {
			var m int
			m, err = io.ReadFull(c, buf)
			n += m
			time.Sleep(30 * time.Millisecond)
		}
		return n, err
	}
	ask := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET /test HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		return c
	}
	begin := time.Now()
	n, err := read(ask(), 2*size)
	if took := time.Since(begin); n < size || took < time.Second || <-ended != nil {
		t.Errorf("a slow reader got %d bytes of %d in %v: %v", n, size, took, err)
	}
	begin = time.Now()
	_ = ask() // and does not read
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all was written to somebody who reads nothing: the answer is too small for this test")
		}
	case <-time.After(20 * time.Second):
		t.Errorf("somebody who reads nothing is waited for after %v", time.Since(begin))
	}
}

// TestServeRoom: when bodies under way hold all the room there is, another is turned
// away, small ones are not, and the room is given back.
func TestServeRoom(t *testing.T) {
	l := quickLimits()
	l.pace.in = time.Minute
	l.small, l.large, l.freely = newRoom(1<<20), newRoom(1<<20), 1<<10
	full := make(chan error, 100)
	addr := newGate(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		full <- err
		fmt.Fprintf(w, "%v", err)
	}))
	holds := func(n, more int) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n+more)
		if _, err := io.WriteString(c, strings.Repeat("x", n)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var all []net.Conn
	for range 3 {
		all = append(all, holds(300<<10, 1))
	}
	for l.large.left.Load() > 200<<10 {
		time.Sleep(time.Millisecond)
	}
	holds(300<<10, 1)
	if err := <-full; err != errNoRoom {
		t.Errorf("a large body in a full room: %v", err)
	}
	holds(500, 0)
	if err := <-full; err != nil {
		t.Errorf("a small body beside large ones: %v", err)
	}
	for _, c := range all {
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Error(err)
		}
		if err := <-full; err != nil {
			t.Errorf("a large body that was there: %v", err)
		}
	}
	for end := time.Now().Add(10 * time.Second); l.large.left.Load() != 1<<20 || l.small.left.Load() != 1<<20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d and %d of %d bytes are free in the end", l.small.left.Load(), l.large.left.Load(), 1<<20)
		}
	}
}

// TestServeSlowCrowd holds hundreds of connections with requests that do not come to
// an end, beside requests that stay quick.
func TestServeSlowCrowd(t *testing.T) {
	p := startServe(t, newServeWorld(t, 20_000))
	p.healthy()
	each := 150
	if *long {
		each = 450
	}
	search := "POST /crowd/rest/admin/1.0/users/search?limit=99999 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: " + asRoot("crowd")["Authorization"] + "\r\nContent-Length: 2\r\n\r\n{}"
	kinds := map[string]string{
		"headers": "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", "nothing": "", "body": ingressHead + "Content-Length: 200\r\n\r\n{",
		"body of nobody": "POST /arcgis/sharing/rest/generateToken HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nf0000\r\nusername=" + strings.Repeat("x", 60_000),
		"unread body":    "POST /crowd/rest/admin/1.0/users/search HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n{",
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	closed := make(chan string, 6*each)
	hold := func(kind, begin string) {
		c := p.dial()
		wg.Go(func() {
			defer c.Close()
			_, err := io.WriteString(c, begin)
			for tick := time.NewTicker(time.Second); err == nil; {
				select {
				case <-stop:
					tick.Stop()
					return
				case <-tick.C:
					if kind != "answer" && kind != "nothing" {
						_, err = io.WriteString(c, "x")
					} else {
						_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
						if _, err = c.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "timeout") {
							err = nil
						}
					}
				}
			}
			closed <- kind
		})
	}
	for kind, begin := range kinds {
		for range each {
			hold(kind, begin)
		}
	}
	for range 20 { // who may ask for so much is root
		hold("answer", search)
	}
	var worst time.Duration
	asked := 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end) || asked < 20; asked++ {
		worst = max(worst, p.healthy())
	}
	t.Logf("%d slow connections: %d pairs of requests beside them, the slowest in %v; peak memory %d MiB", len(kinds)*each+20, asked, worst, p.peakMiB())
	if worst > 5*time.Second || p.peakMiB() > 700 {
		t.Errorf("the slowest in %v, peak memory %d MiB", worst, p.peakMiB())
	}
	if *long {
		want := map[string]int{"headers": each, "nothing": each, "body": each, "body of nobody": each, "unread body": each}
		begin := time.Now()
		for len(want) > 0 {
			select {
			case kind := <-closed:
				if want[kind]--; want[kind] == 0 {
					t.Logf("all %q were cut off after %v", kind, time.Since(begin))
					delete(want, kind)
				}
			case <-time.After(2 * time.Minute):
				t.Fatalf("still open: %v", want)
			}
		}
	}
	close(stop)
	wg.Wait()
	p.healthy()
	p.verified()
}

// TestServeConnections: more connections than there may be wait until one ends.
func TestServeConnections(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0), "--max-connections", "5")
	var held []net.Conn
	for range 5 {
		held = append(held, p.dial())
	}
	for _, c := range held { // each is accepted
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 15)); err != nil {
			t.Fatal(err)
		}
	}
	waits := p.dial()
	fmt.Fprint(waits, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	_ = waits.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := waits.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("one connection too many is answered")
	}
	held[0].Close()
	_ = waits.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := io.ReadAll(waits); err != nil || !bytes.Contains(got, []byte("200 OK")) {
		t.Errorf("the one that waited: %q, %v", got, err)
	}
	held[1].Close()
	p.healthy()
	p.client.CloseIdleConnections()
	p.verified()
}

// TestServeFewFiles: where a process may not open many files, connections do not take
// those that the data need.
func TestServeFewFiles(t *testing.T) {
	if _, ok := openFiles(); !ok {
		t.Skip("how many files may be open is not known on this system")
	}
	p := startServeAs(t, "ulimit -n 300", newServeWorld(t, 0))
	p.healthy()
	p.client.CloseIdleConnections()
	for range 400 {
		fmt.Fprint(p.dial(), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	time.Sleep(200 * time.Millisecond)
	if log := p.log(); !strings.Contains(log, `"connections":44}`) || strings.Contains(log, "too many open files") {
		t.Errorf("the log: %s", tail(log))
	}
	p.verified()
}

// TestServeDocument: the document says what the limits are.
func TestServeDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	l := defaultLimits()
	for _, want := range []string{
		fmt.Sprintf("| %d, or `--max-connections`; %d fewer", l.connections, spareFiles),
		fmt.Sprintf("| %d KiB, and %d s |", maxHeaderBytes>>10, l.header/time.Second),
		fmt.Sprintf("| %d min |", l.idle/time.Minute),
		fmt.Sprintf("| a body that is sent | %d KiB every %d s,", l.pace.bytes>>10, l.pace.in/time.Second),
		fmt.Sprintf("| an answer that is read | %d KiB every %d s,", l.pace.bytes>>10, 2*l.pace.in/time.Second),
		fmt.Sprintf("| %d MiB for the first %d KiB of each, and %d MiB", l.small.left.Load()>>20, l.freely>>10, l.large.left.Load()>>20),
		fmt.Sprintf("slow as %d kbit/s", l.pace.bytes*8/1000/int64(l.pace.in/time.Second)+1),
		fmt.Sprintf("| %d bytes |", web.MaxLoggedPath),
		fmt.Sprintf("| %d requests at one time, %d KiB", l.server(nil).HTTP2.MaxConcurrentStreams, l.server(nil).HTTP2.MaxReceiveBufferPerConnection>>10),
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/serve.md does not say %q", want)
		}
	}
}
