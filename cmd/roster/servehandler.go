package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/adapter/arcgis"
	"github.com/rosterdb/roster/adapter/crowd"
	"github.com/rosterdb/roster/adapter/ingress"
	"github.com/rosterdb/roster/adapter/rebilly"
	"github.com/rosterdb/roster/internal/web"
)

// api is one of the APIs, and what stands below it.
type api struct {
	name, path string
	handler    http.Handler
	alone      bool // nothing stands below it
}

// gate is what every request goes through: it finds the API, gives the request
// an ID, counts it and logs it. It knows no more of paths than where each API
// begins, and never redirects.
type gate struct {
	apis    []api
	limits  *limits
	trusted []netip.Prefix // proxies
	log     *slog.Logger
	count   *prometheus.CounterVec
	took    *prometheus.HistogramVec
	busy    prometheus.Gauge
}

// handler returns what answers requests.
func (s *server) handler(e *roster.Engine, sources linkedSources) (http.Handler, error) {
	doors, err := access.New(e, access.Options{
		Sources: sources.passwords(), TrustedProxies: s.trusted, Now: s.now, MaxTokenLife: s.tokenLife, Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	names := map[roster.DirectoryID]string{}
	var local roster.DirectoryID // that no source is for, 0 if there is none
	err = e.View(context.Background(), func(tx *roster.Txn) error {
		for _, d := range tx.Directories() {
			names[d.ID] = d.Name
			if local == 0 && !slices.ContainsFunc(sources, func(l *linkedSource) bool { return l.id == d.ID }) {
				local = d.ID
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	secure := s.secureCookies || s.tlsCert != ""
	metrics := prometheus.NewRegistry()
	g := &gate{
		log: s.log, limits: &s.limits, trusted: s.trusted,
		apis: []api{
			{"arcgis", "/arcgis", arcgis.New(e, arcgis.Options{Access: doors, Now: s.now, Sources: sources.refreshers(names), Secure: secure, Logger: s.log}), false},
			{"rebilly", "/rebilly", rebilly.New(e, rebilly.Options{Authenticator: doors.Door(access.Rebilly()), Directory: local, Now: s.now, Logger: s.log}), false},
			{"crowd", "/crowd", crowd.New(e, crowd.Options{Authenticator: doors.Door(access.Crowd()), Sessions: doors, InsecureCookie: !secure, Logger: s.log}), false},
			{"ingress", "/api/ingress/user_group_members", ingress.New(e, ingress.Options{Authenticator: doors.Door(access.Ingress()), Logger: s.log}), false},
			{"healthz", "/healthz", reading(health(e)), true},
			{"metrics", "/metrics", reading(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})), true},
		},
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "roster_requests_total", Help: "Requests answered."}, []string{"api", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roster_request_seconds", Help: "Time to answer a request.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}, []string{"api"}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{Name: "roster_requests_in_flight", Help: "Requests that are being answered."}),
	}
	metrics.MustRegister(g.count, g.took, g.busy)
	figure := func(name, help string, value func(roster.Stats) float64) {
		metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(e.Stats()) }))
	}
	figure("roster_revision", "Newest durable revision.", func(s roster.Stats) float64 { return float64(s.Revision) })
	figure("roster_log_bytes", "Log that is not folded yet.", func(s roster.Stats) float64 { return float64(s.JournalBytes) })
	figure("roster_disk_bytes", "All files but those of the search index.", func(s roster.Stats) float64 { return float64(s.DiskBytes) })
	return g, nil
}

// reading lets a handler answer GET and HEAD alone.
func reading(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// health answers 200 when a view can be opened and read.
func health(e *roster.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := e.View(r.Context(), func(tx *roster.Txn) error {
			_, err := tx.Users()
			return err
		})
		if err != nil {
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// find returns the API that a path is of.
func (g *gate) find(path string) (api, bool) {
	for _, a := range g.apis {
		if rest, ok := strings.CutPrefix(path, a.path); ok && (rest == "" || !a.alone && rest[0] == '/') {
			return a, true
		}
	}
	return api{name: "none"}, false
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	id := rand.Text()
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0) {
		// It may have had a Content-Length as well, and a proxy in front of this program may
		// have gone by that: nothing else is read from this connection. Of a request of
		// HTTP/1.0 that is the other way round: the server goes by the length, and does not
		// say whether there was a Transfer-Encoding.
		w.Header().Set("Connection", "close")
	}
	out := &answer{ResponseWriter: w, control: http.NewResponseController(w), pace: g.limits.pace}
	_ = out.control.SetWriteDeadline(time.Time{}) // until there is something to write
	if r.Body != nil && r.Body != http.NoBody {
		limited := g.limits.body(r, out.control)
		defer limited.free()
		r = r.WithContext(r.Context()) // a copy: the server looks at the body that it has made
		r.Body = limited
	}
	a, found := g.find(web.Path(r.URL))
	g.busy.Inc()
	defer func() {
		g.busy.Dec()
		if failed := recover(); failed != nil {
			err, _ := failed.(error)
			if !errors.Is(err, http.ErrAbortHandler) {
				g.log.Error("a request met a defect of this program", "id", id, "api", a.name, "panic", fmt.Sprint(failed))
			}
			if out.status != 0 || errors.Is(err, http.ErrAbortHandler) {
				g.done(a, r, out, id, begin)
				panic(http.ErrAbortHandler) // part of the answer is on its way: end the connection
			}
			http.Error(out, "internal error", http.StatusInternalServerError)
		}
		g.done(a, r, out, id, begin)
	}()
	if !found {
		http.Error(out, "not found", http.StatusNotFound)
		return
	}
	a.handler.ServeHTTP(out, r)
}

// done counts a request and logs it. The query is not logged: tokens stand there.
func (g *gate) done(a api, r *http.Request, out *answer, id string, begin time.Time) {
	took := time.Since(begin)
	if out.status == 0 {
		out.status = http.StatusOK
	}
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // whoever asks must not make up series of figures
	}
	g.count.WithLabelValues(a.name, method, strconv.Itoa(out.status)).Inc()
	g.took.WithLabelValues(a.name).Observe(took.Seconds())
	g.log.Info("request", "id", id, "api", a.name, "method", method, "path", web.LoggedPath(r.URL), "status", out.status,
		"bytes", out.bytes, "ms", float64(took.Microseconds())/1000, "from", g.from(r))
}

// from returns whom a request comes from: who holds the connection, or whom a trusted
// proxy has passed it on for.
func (g *gate) from(r *http.Request) string {
	if client := access.ClientAddr(r, g.trusted); client != access.ClientAddr(r, nil) {
		return client.String()
	}
	return r.RemoteAddr
}

// answer notes what was answered, and holds who reads it to a pace.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	pace    pace
	status  int
	bytes   int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.renew()
	a.ResponseWriter.WriteHeader(status)
}

// renew gives the client time for the next part of the answer, and as much for what it
// has not sent yet of its body: the server reads of that before it begins to answer.
func (a *answer) renew() {
	_ = a.control.SetWriteDeadline(time.Now().Add(2 * a.pace.in)) // fails for what is no connection
}

func (a *answer) Write(b []byte) (n int, err error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	for done := false; !done && err == nil; done = n == len(b) {
		a.renew()
		var part int
		part, err = a.ResponseWriter.Write(b[n:min(len(b), n+int(a.pace.bytes))])
		n += part
	}
	a.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
