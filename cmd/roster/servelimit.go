package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/roster/access"
)

// limits bound what clients can take of the process, whoever they are. They say
// nothing of how long an answer may take to be found: a refresh of many users waits
// for an identity source.
type limits struct {
	connections int           // open at one time; more wait until one ends
	header      time.Duration // for the headers of a request, and for a TLS handshake
	idle        time.Duration // between two requests
	pace        pace          // of bodies and of answers

	// What bodies under way may hold in all: each with its first freely bytes in
	// one room, with the rest in another, so that who fills the large room does not
	// keep out the many that need little.
	freely       int64
	small, large *room
}

func defaultLimits() limits {
	return limits{
		connections: 2048, header: 10 * time.Second, idle: 2 * time.Minute,
		pace: pace{128 << 10, 30 * time.Second}, freely: 64 << 10, small: newRoom(64 << 20), large: newRoom(32 << 20),
	}
}

// More limits.
const (
	maxHeaderBytes = 64 << 10
	spareFiles     = 256 // for everything but connections
)

// pace is how slow a client may be: in each such time so many bytes have to pass, or
// all that are left. A line that is poor but alive brings a body of any size, and one
// on which nothing moves is given up soon.
type pace struct {
	bytes int64
	in    time.Duration
}

// room is how many bytes may be held at one time.
type room struct{ left atomic.Int64 }

func newRoom(bytes int64) *room {
	r := &room{}
	r.left.Store(bytes)
	return r
}

func (r *room) take(n int64) bool {
	if r.left.Add(-n) < 0 {
		r.left.Add(n)
		return false
	}
	return true
}

// errNoRoom is what reading a body meets when others hold too much.
var errNoRoom = fmt.Errorf("the bodies of other requests take all the room there is: %w", access.ErrBusy)

// body is the body of a request, read at a pace and within the room there is.
type body struct {
	io.ReadCloser
	l       *limits
	control *http.ResponseController
	begun   bool  // to be read
	read    int64 // bytes
	renewAt int64 // so many bytes give it time again
	small   int64 // taken of the room
	large   int64
}

// body limits the body of a request. What it takes is given back by free.
func (l *limits) body(r *http.Request, control *http.ResponseController) *body {
	limited := &body{ReadCloser: r.Body, l: l, control: control}
	if r.ProtoMajor == 1 { // of HTTP/2 the server reads nothing that the handler does not, and a time that has passed ends the body
		limited.renew()
	}
	return limited
}

func (b *body) renew() {
	b.renewAt = b.read + b.l.pace.bytes
	_ = b.control.SetReadDeadline(time.Now().Add(b.l.pace.in)) // fails for what is no connection
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if !b.begun { // the client need not pay for the time that it took to find out who it is
		b.begun = true
		b.renew()
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case !b.take(int64(n)):
		return 0, errNoRoom
	case err == io.EOF:
		_ = b.control.SetReadDeadline(time.Time{}) // the server goes on to listen whether the client is there
	case b.read >= b.renewAt:
		b.renew()
	}
	return n, err
}

func (b *body) take(n int64) bool {
	small := min(n, b.l.freely-b.small)
	if small > 0 && !b.l.small.take(small) {
		return false
	}
	b.small += small
	if n -= small; n > 0 && !b.l.large.take(n) {
		return false
	}
	b.large += n
	return true
}

func (b *body) free() {
	b.l.small.left.Add(b.small)
	b.l.large.left.Add(b.large)
	b.small, b.large = 0, 0
}

// server returns a server within the limits.
func (l *limits) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: l.header, WriteTimeout: l.pace.in, IdleTimeout: l.idle, MaxHeaderBytes: maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // nothing is answered but by the handler
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 64 << 10,
			SendPingTimeout: l.idle, WriteByteTimeout: l.pace.in,
		},
	}
}

// listen returns a listener that has no more connections open than it may, and how
// many these are: fewer than the limit where the process may not open so many files.
func (l *limits) listen(address string) (net.Listener, int, error) {
	most := l.connections
	if files, ok := openFiles(); ok && files < uint64(most)+spareFiles {
		most = max(int(files)-spareFiles, 1)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, 0, err
	}
	return &fewConns{Listener: listener, open: make(chan struct{}, most), closed: make(chan struct{})}, most, nil
}

// fewConns accepts a connection only when fewer than so many are open. Those that
// have to wait do so where they do before any Accept: with the operating system.
type fewConns struct {
	net.Listener
	open   chan struct{} // holds one for each
	closed chan struct{}
	once   sync.Once // closes closed
}

func (l *fewConns) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &fewConn{Conn: c, l: l}, nil
}

func (l *fewConns) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// fewConn is a connection that counts.
type fewConn struct {
	net.Conn
	l    *fewConns
	once sync.Once
}

func (c *fewConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.l.open })
	return err
}

// CloseWrite lets the server end an answer before all of a body that is too long has
// come, so that the client still reads it.
func (c *fewConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
