package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
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
	listen          string
	tlsCert, tlsKey string
	proxies         []string
	secureCookies   bool
	syncEvery       time.Duration
	tokenLife       time.Duration
	drain           time.Duration
	trusted         []netip.Prefix
	limits          limits
	log             *slog.Logger
	now             func() time.Time  // nil means time.Now
	ready           func(addr string) // the address is being listened on
}

func (p *program) serveCommand() *cobra.Command {
	s := &server{limits: defaultLimits()}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer the four HTTP APIs",
		Long: `Answer the ArcGIS, Rebilly, Crowd and Ingress APIs over the data, below /arcgis,
/rebilly, /crowd and /api/ingress/user_group_members, until a signal ends it: requests
that are under way are finished. /healthz answers 200 when the data can be read, and
/metrics is for Prometheus; neither shows anything of users.

Nobody gets in without an account or an API key: see passwd and key. Identity sources
(see source) are synced now, by the clock and at logins.

Clients that are slow beyond use are cut off, and more connections than --max-connections
wait: docs/serve.md has the limits.

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
			if s.syncEvery < 0 || s.drain < 0 {
				return errors.New("--sync-every and --drain must not be negative")
			}
			if s.limits.connections < 1 {
				return errors.New("--max-connections must be 1 or more")
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
	f.BoolVar(&s.secureCookies, "secure-cookies", false, "browsers come by https, through a proxy, and are to send cookies in no other way; always so with --tls-cert")
	f.DurationVar(&s.syncEvery, "sync-every", time.Hour, "how often identity sources are synced; 0: only when asked")
	f.DurationVar(&s.tokenLife, "token-life", 14*24*time.Hour, "the longest that a token of the ArcGIS API, or a sign-in to its pages, is good")
	f.DurationVar(&s.drain, "drain", 30*time.Second, "how long requests that are under way may take after a signal")
	f.IntVar(&s.limits.connections, "max-connections", s.limits.connections, "how many connections may be open; more wait")
	return cmd
}

// run serves until ctx ends, and returns when everything that it began has ended.
func (s *server) run(ctx context.Context, e *roster.Engine) error {
	listener, most, err := s.limits.listen(s.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if most < s.limits.connections {
		s.log.Warn("fewer connections than --max-connections: the process may not open so many files", "connections", most)
	}
	settings, err := s.tls()
	if err != nil {
		return err
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
		s.sync(background, &wg, sources)
	}
	web := s.limits.server(handler)
	web.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	failed := make(chan error, 1)
	wg.Go(func() {
		if web.TLSConfig = settings; settings != nil {
			failed <- web.ServeTLS(listener, "", "")
		} else {
			failed <- web.Serve(listener)
		}
	})
	s.ready(listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return s.end(web)
}

// tls returns how TLS is spoken, nil for not at all.
func (s *server) tls() (*tls.Config, error) {
	if s.tlsCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// sync syncs the sources by the clock until ctx ends.
func (s *server) sync(ctx context.Context, wg *sync.WaitGroup, sources linkedSources) {
	for _, l := range sources {
		wg.Go(func() {
			if err := l.link.Every(ctx, s.syncEvery, s.syncEvery/10, sourceRun()); !errors.Is(err, context.Canceled) {
				s.log.Error("a source is not synced any more", "source", l.name, "error", err)
			}
		})
	}
}

// end waits for requests that are under way, and cuts them off when they take too long.
func (s *server) end(web *http.Server) error {
	end, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	if err := web.Shutdown(end); err != nil {
		s.log.Warn("requests were cut off", "error", err)
		return web.Close()
	}
	return nil
}
