package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/adapter/rebilly"
)

// web measures the HTTP APIs over one engine: what a request costs the process
// that answers it and how long it takes on loopback, beside a handler that
// answers a constant of the same size. The two take turns, and the requests are
// the same to the byte, so that what is compared is what stands behind net/http.
type web struct {
	shape
	seed    uint64
	callers int // of different users
	conns   int
	rounds  int
	span    time.Duration // of a round
	only    string        // operations with this in their names
	profile string
	out     io.Writer

	e      *roster.Engine
	site   *site
	loader *loader
	api    string // addresses
	fixed  string
	answer atomic.Pointer[answer] // the constant
}

func (w *web) run(ctx context.Context, folder, keep string) error {
	if keep == "" {
		tmp, err := os.MkdirTemp(folder, "roster-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		keep = filepath.Join(tmp, "data")
	}
	var err error
	if w.site, err = w.makeSite(ctx, keep); err != nil {
		return err
	}
	if w.e, err = roster.Open(keep, roster.Options{}); err != nil {
		return err
	}
	defer func() { w.e.Close() }()
	if err := w.warm(ctx); err != nil {
		return err
	}
	if w.loader, err = startLoader(); err != nil {
		return err
	}
	err = w.serve(ctx)
	return errors.Join(err, w.loader.stop())
}

// warm searches once, since the texts of users come into memory after that.
func (w *web) warm(ctx context.Context) error {
	if err := settle(ctx, w.e); err != nil {
		return err
	}
	err := w.e.View(ctx, func(tx *roster.Txn) error {
		_, err := tx.Search(roster.SearchQuery{Text: "first"})
		return err
	})
	if err != nil {
		return err
	}
	time.Sleep(min(w.span, time.Second)) // for that to begin
	return settle(ctx, w.e)
}

// settle waits until the search index has come as far as the engine and nothing is
// done to it.
func settle(ctx context.Context, e *roster.Engine) error {
	for {
		switch st := e.Stats(); {
		case st.SearchProblem != "":
			return fmt.Errorf("search index: %s", st.SearchProblem)
		case !st.SearchBusy && (st.SearchRevision == st.Revision || st.Users < 1000): // so few have none
			return ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// serve serves the APIs and the constant while the operations are measured.
func (w *web) serve(ctx context.Context) error {
	handler, err := w.handler()
	if err != nil {
		return err
	}
	var stopped []func() error
	for _, s := range []struct {
		handler http.Handler
		addr    *string
	}{{handler, &w.api}, {http.HandlerFunc(w.constant), &w.fixed}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		// Timeouts cost something, and no server should be without.
		server := &http.Server{
			Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute,
			WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		}
		*s.addr = listener.Addr().String()
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		stopped = append(stopped, func() error {
			if err := server.Close(); err != nil {
				return err
			}
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	err = w.measure(ctx)
	for _, stop := range stopped {
		err = errors.Join(err, stop())
	}
	return err
}

// forgetful is where the API of ArcGIS is served by a Service that remembers no
// passwords.
const forgetful = "/forgetful"

// handler returns the four APIs as `roster serve` has them, without what that
// does to count and log requests.
func (w *web) handler() (http.Handler, error) {
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	doors, err := access.New(w.e, access.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	hashing, err := access.New(w.e, access.Options{Logger: log, VerifiedFor: -1})
	if err != nil {
		return nil, err
	}
	apis := []struct {
		path    string
		handler http.Handler
	}{
		{"/arcgis/", arcgis.New(w.e, arcgis.Options{Access: doors, Logger: log})},
		{"/rebilly/", rebilly.New(w.e, rebilly.Options{Authenticator: doors.Door(access.Rebilly()), Logger: log})},
		{"/crowd/", crowd.New(w.e, crowd.Options{Authenticator: doors.Door(access.Crowd()), Sessions: doors, InsecureCookie: true, Logger: log})},
		{"/api/ingress/", ingress.New(w.e, ingress.Options{Authenticator: doors.Door(access.Ingress()), Logger: log})},
		{forgetful + "/", arcgis.New(w.e, arcgis.Options{Access: hashing, Prefix: forgetful, Logger: log})},
		{"/healthz", http.HandlerFunc(w.health)},
	}
	return http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		for _, a := range apis {
			if strings.HasPrefix(path, a.path) {
				a.handler.ServeHTTP(to, r)
				return
			}
		}
		http.NotFound(to, r)
	}), nil
}

func (w *web) health(to http.ResponseWriter, r *http.Request) {
	err := w.e.View(r.Context(), func(tx *roster.Txn) error {
		_, err := tx.Users()
		return err
	})
	if err != nil {
		http.Error(to, "not available", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(to, "ok")
}

// constant answers what it is told to, whatever was asked.
func (w *web) constant(to http.ResponseWriter, _ *http.Request) {
	a := w.answer.Load()
	h := to.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	to.WriteHeader(a.Status)
	to.Write(a.Body)
}

// measure prints a row for each operation.
func (w *web) measure(ctx context.Context) error {
	fmt.Fprintf(w.out, "roster bench http: commit %s, %s, %d CPUs (%s), %s/%s\n", commit(), runtime.Version(), runtime.GOMAXPROCS(0), processor(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(w.out, "%d users, %d groups, %d organisations, %d callers, %d connections, %d rounds of %s each\n\n",
		len(w.site.users), len(w.site.groups), siteOrgs, len(w.site.callers), w.conns, w.rounds, w.span)
	fmt.Fprintln(w.out, httpHead)
	stop, err := startProfile(w.profile)
	if err != nil {
		return err
	}
	defer stop()
	rnd := rand.New(rand.NewPCG(w.seed, 5))
	for i := range operations {
		o := &operations[i]
		if !strings.Contains(o.name, w.only) {
			continue
		}
		row, err := w.row(ctx, o, rnd)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		fmt.Fprintln(w.out, row)
	}
	return nil
}

const (
	httpCells  = 10
	httpHead   = "| operation | requests/s | server CPU a request | of a constant | × | p50 | p99 | p50 of a constant | p99 | heap a request |\n|---|---|---|---|---|---|---|---|---|---|"
	httpFormat = "| %-48s | %6.0f | %9s | %8s | %6.2f | %9s | %9s | %9s | %9s | %7.1f kB |"
)

// row measures an operation.
func (w *web) row(ctx context.Context, o *operation, rnd *rand.Rand) (string, error) {
	if err := w.fix(ctx, o, rnd); err != nil {
		return "", err
	}
	var asked, fixed []sample
	for i := range w.rounds + 1 {
		requests, err := w.requests(ctx, o, rnd)
		if err != nil {
			return "", err
		}
		span := w.span
		if i == 0 {
			span /= 4 // so that everything is warm, and not counted
		}
		a, err := w.round(&order{Addr: w.api, Requests: requests, Again: !o.writes, Span: span, Status: o.status, Holds: []byte(o.holds)})
		if err != nil {
			return "", err
		}
		c, err := w.round(&order{Addr: w.fixed, Requests: requests, Again: true, Span: span, Status: o.status})
		if err != nil {
			return "", err
		}
		if i > 0 {
			asked, fixed = append(asked, a), append(fixed, c)
		}
	}
	a, c := middle(asked), middle(fixed)
	return fmt.Sprintf(httpFormat, o.name, a.rate, micro(a.cpu), micro(c.cpu), float64(a.cpu)/float64(c.cpu),
		micro(a.p50), micro(a.p99), micro(c.p50), micro(c.p99), a.heap/1e3), nil
}

func micro(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3) }

// requests makes those of a round, as they go over the wire.
func (w *web) requests(ctx context.Context, o *operation, rnd *rand.Rand) (out [][]byte, err error) {
	n := 4096
	if o.writes {
		n = max(n, int(20_000*w.span.Seconds()))
	}
	err = w.e.View(ctx, func(tx *roster.Txn) error {
		active, err := tx.Active()
		if err != nil {
			return err
		}
		m := &maker{site: w.site, tx: tx, active: active, rnd: rnd}
		for range n {
			r, err := o.request(m)
			if err != nil {
				return err
			}
			r.Host = "localhost"
			r.Header.Set("User-Agent", "roster-bench")
			r.Header.Set("Accept", "application/json")
			var b bytes.Buffer
			if err := r.Write(&b); err != nil {
				return err
			}
			out = append(out, b.Bytes())
		}
		return nil
	})
	return out, err
}

// fix makes the constant an answer of middle size to the operation, after a
// request of each caller.
func (w *web) fix(ctx context.Context, o *operation, rnd *rand.Rand) error {
	requests, err := w.requests(ctx, o, rnd)
	if err != nil {
		return err
	}
	done, err := w.loader.do(&order{
		Addr: w.api, Requests: requests[:len(w.site.callers)], Keep: true, Conns: 1, Span: time.Minute, Status: o.status, Holds: []byte(o.holds),
	})
	if err != nil {
		return err
	}
	slices.SortFunc(done.Answers, func(a, b answer) int { return cmp.Compare(len(a.Body), len(b.Body)) })
	a := done.Answers[len(done.Answers)/2]
	a.Header.Del("Date") // which net/http sets itself
	w.answer.Store(&a)
	return nil
}

// sample is what was measured in a round.
type sample struct {
	rate     float64
	cpu      time.Duration // of the server, a request
	heap     float64       // bytes allocated, a request
	p50, p99 time.Duration
}

// round gives an order and measures what carrying it out takes. It begins with a
// collected heap, so that no one pays for the garbage of another.
func (w *web) round(o *order) (sample, error) {
	o.Conns = w.conns
	runtime.GC()
	heap, cpu := allocated(), spent()
	done, err := w.loader.do(o)
	if err != nil {
		return sample{}, err
	}
	cpu, heap = spent()-cpu, allocated()-heap
	n := len(done.Took)
	if n == 0 {
		return sample{}, errors.New("nothing was answered in time")
	}
	return sample{
		rate: float64(n) / done.Span.Seconds(), cpu: cpu / time.Duration(n), heap: float64(heap) / float64(n),
		p50: percentile(done.Took, 50), p99: percentile(done.Took, 99),
	}, nil
}

// middle returns the medians of some rounds.
func middle(all []sample) (out sample) {
	of := func(value func(sample) float64) float64 {
		var v []float64
		for _, s := range all {
			v = append(v, value(s))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	out.rate, out.heap = of(func(s sample) float64 { return s.rate }), of(func(s sample) float64 { return s.heap })
	out.cpu = time.Duration(of(func(s sample) float64 { return float64(s.cpu) }))
	out.p50 = time.Duration(of(func(s sample) float64 { return float64(s.p50) }))
	out.p99 = time.Duration(of(func(s sample) float64 { return float64(s.p99) }))
	return out
}

// spent returns the processor time of this process, in the system too.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no other way for it to fail than a wrong argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
