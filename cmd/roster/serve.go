package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// server is what `roster serve` was asked for.
type server struct {
	listen           string
	tlsCert, tlsKey  string
	proxies          []string
	syncEvery        time.Duration
	tokenLife        time.Duration
	drain            time.Duration
	trusted          []netip.Prefix
	log              *slog.Logger
	ready            func(addr string) // the address is being listened on
	readHeaderWithin time.Duration
}

// Limits of connections. A body that comes slowly, or an answer that is taken
// slowly, must not hold a connection for ever.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 2 * time.Minute
	writeTimeout      = 5 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

func (p *program) serveCommand() *cobra.Command {
	s := &server{readHeaderWithin: readHeaderTimeout}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer the four HTTP APIs",
		Long: `Answer the ArcGIS, Rebilly, Crowd and Ingress APIs over the data, below /arcgis,
/rebilly, /crowd and /api/ingress/user_group_members, until a signal ends it: requests
that are under way are finished. /healthz answers 200 when the data can be read, and
/metrics is for Prometheus; neither shows anything of users.

Nobody gets in without an account or an API key: see passwd and key. Identity sources
(see source) are synced now, by the clock and at logins.

What happens is logged to stderr, as JSON. Without --tls-cert anybody on the way can
read passwords: listen on a loopback address then, behind a proxy that speaks TLS.`,
		Example: example("roster serve --listen 127.0.0.1:8080"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.log = slog.New(slog.NewJSONHandler(p.stderr, nil))
			s.ready = func(addr string) {
				scheme := "http"
				if s.tlsCert != "" {
					scheme = "https"
				}
				fmt.Fprintf(p.stdout, "listening on %s://%s\n", scheme, addr)
			}
			if (s.tlsCert == "") != (s.tlsKey == "") {
				return errors.New("--tls-cert and --tls-key go together")
			}
			if s.tokenLife <= 0 {
				return errors.New("--token-life must be more than 0")
			}
			var err error
			if s.trusted, err = access.ParseAddresses(s.proxies); err != nil {
				return fmt.Errorf("--trusted-proxy: %w", err)
			}
			return p.open(cmd.Context(), roster.Options{Logger: s.log}, func(e *roster.Engine) error { return s.run(cmd.Context(), e) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:8080", "`ADDR` to listen on; port 0 takes a free one")
	f.StringVar(&s.tlsCert, "tls-cert", "", "`FILE` of the certificate chain, PEM")
	f.StringVar(&s.tlsKey, "tls-key", "", "`FILE` of the certificate's key, PEM")
	f.StringSliceVar(&s.proxies, "trusted-proxy", nil, "`ADDRESS` or network of a proxy whose X-Forwarded-For is believed; may be repeated")
	f.DurationVar(&s.syncEvery, "sync-every", time.Hour, "how often identity sources are synced; 0: only when asked")
	f.DurationVar(&s.tokenLife, "token-life", 14*24*time.Hour, "the longest that a token of the ArcGIS API, or a sign-in to its pages, is good")
	f.DurationVar(&s.drain, "drain", 30*time.Second, "how long requests that are under way may take after a signal")
	return cmd
}

// run serves until ctx ends, and returns when everything that it began has ended.
func (s *server) run(ctx context.Context, e *roster.Engine) error {
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if s.tlsCert != "" {
		pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}})
	}
	background, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	sources, err := s.openSources(ctx, e)
	if err != nil {
		return err
	}
	defer sources.close()
	handler, err := s.handler(e, sources)
	if err != nil {
		return err
	}
	if s.syncEvery > 0 {
		for _, l := range sources {
			wg.Go(func() {
				if err := l.link.Every(background, s.syncEvery, s.syncEvery/10, sourceRun()); !errors.Is(err, context.Canceled) {
					s.log.Error("a source is not synced any more", "source", l.name, "error", err)
				}
			})
		}
	}
	web := &http.Server{
		Handler: handler, ReadHeaderTimeout: s.readHeaderWithin, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	wg.Go(func() { failed <- web.Serve(listener) })
	s.ready(listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	if err := web.Shutdown(end); err != nil {
		s.log.Warn("requests were cut off", "error", err)
		return web.Close()
	}
	return nil
}
