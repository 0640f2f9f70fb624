package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
)

// connect opens a connection to the first server that can be reached, encrypted
// as the configuration says and not logged in.
func (s *Source) connect(ctx context.Context) (*ldapv3.Conn, error) {
	var failed error
	for _, u := range append([]string{s.c.URL}, s.c.More...) {
		conn, err := s.dial(ctx, u)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func (s *Source) dial(ctx context.Context, u string) (*ldapv3.Conn, error) {
	e, err := s.c.endpoint(u)
	if err != nil {
		return nil, err
	}
	doing := "connect to " + u
	t, err := s.c.tlsConfig(e.host)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, s.c.DialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(within, e.network, e.address)
	if err != nil {
		return nil, failure(ctx, doing, err)
	}
	// A server may go silent in either handshake, and the caller give up.
	stop := context.AfterFunc(within, func() { raw.Close() })
	defer stop()
	secured := raw
	if e.tls {
		client := tls.Client(raw, t)
		if err := client.HandshakeContext(within); err != nil {
			raw.Close()
			return nil, failure(ctx, doing, err)
		}
		secured = client
	}
	conn := ldapv3.NewConn(secured, e.tls)
	conn.SetTimeout(s.c.DialTimeout)
	conn.Start()
	if e.startTLS {
		if err := conn.StartTLS(t); err != nil {
			conn.Close()
			if kindOf(err) == directory.ErrRefused {
				return nil, fmt.Errorf("%s: %w: it offers no StartTLS; use ldaps, or allow plain connections: %w", doing, directory.ErrUntrusted, err)
			}
			return nil, failure(ctx, doing, err)
		}
	}
	conn.SetTimeout(s.c.Timeout)
	return conn, nil
}

// bind logs in. Neither name nor password may be empty: a server takes that for
// no login at all, and says yes.
func bind(ctx context.Context, conn *ldapv3.Conn, name, password string) error {
	if name == "" || password == "" {
		return fmt.Errorf("log in as %q: %w", name, directory.ErrCredentials)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return failure(ctx, fmt.Sprintf("log in as %q", name), conn.Bind(name, password))
}

// get returns a connection that is logged in as the configuration says.
func (s *Source) get(ctx context.Context, fresh bool) (*ldapv3.Conn, error) {
	if !fresh {
		if conn := s.takeIdle(); conn != nil {
			return conn, nil
		}
	}
	conn, err := s.connect(ctx)
	if err != nil || s.c.BindDN == "" {
		return conn, err
	}
	password, err := s.c.password()
	if err == nil {
		err = bind(ctx, conn, s.c.BindDN, password)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// idleConn is a connection that nobody uses.
type idleConn struct {
	conn  *ldapv3.Conn
	since time.Time
}

// maxIdleTime is how long a connection may lie idle. Servers and what stands
// between cut those that do, some without a word.
const maxIdleTime = time.Minute

func (s *Source) takeIdle() *ldapv3.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.idle) > 0 {
		last := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		if !last.conn.IsClosing() && time.Since(last.since) < maxIdleTime {
			return last.conn
		}
		last.conn.Close()
	}
	return nil
}

// put keeps a connection for the next one who asks.
func (s *Source) put(conn *ldapv3.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= s.c.MaxIdle || conn.IsClosing() {
		conn.Close()
		return
	}
	s.idle = append(s.idle, idleConn{conn, time.Now()})
}

// Close ends the idle connections. Searches that are under way go on.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, i := range s.idle {
		i.conn.Close()
	}
	s.idle = nil
	return nil
}

// errKeep, returned to with, says that the caller keeps the connection or has
// closed it. It is no failure.
var errKeep = errors.New("kept")

// with calls fn with a connection, again with another one where that was dead.
// fn must not have had an effect when it fails with ErrUnreachable.
func (s *Source) with(ctx context.Context, fn func(conn *ldapv3.Conn) error) error {
	for attempt := 0; ; attempt++ {
		conn, err := s.get(ctx, attempt > 0)
		if err == nil {
			switch err = fn(conn); {
			case err == nil:
				s.put(conn)
				return nil
			case errors.Is(err, errKeep):
				return nil
			}
			conn.Close()
		}
		if !errors.Is(err, directory.ErrUnreachable) || attempt >= s.c.Retries || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(backOff(attempt)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// backOff returns how long to wait before another attempt: 100 to 200 ms at
// first, then twice as long each time.
func backOff(attempt int) time.Duration {
	d := 100 * time.Millisecond << min(attempt, 6)
	return d + rand.N(d)
}

// search asks once. A part of the answer that is elsewhere is missing, so it is an
// error.
func (s *Source) search(ctx context.Context, conn *ldapv3.Conn, req *ldapv3.SearchRequest) (*ldapv3.SearchResult, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.c.Schema.DomainScope {
		req.Controls = append(req.Controls[:len(req.Controls):len(req.Controls)], ldapv3.NewControlString(domainScope, false, ""))
	}
	result, err := conn.Search(req)
	if err != nil {
		return nil, failure(ctx, fmt.Sprintf("search below %q", req.BaseDN), err)
	}
	if len(result.Referrals) > 0 && !s.c.IgnoreReferrals {
		return nil, fmt.Errorf("search below %q: %w, %s: name a base that is here, or ignore referrals", req.BaseDN, directory.ErrReferral, strings.ToValidUTF8(result.Referrals[0], "?"))
	}
	return result, nil
}

// domainScope asks Active Directory not to refer to its other partitions.
const domainScope = "1.2.840.113556.1.4.1339"
