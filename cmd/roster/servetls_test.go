package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a certificate for 127.0.0.1 and its key, and returns the files
// and who trusts them.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "roster"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), pool
}

// TestServeTLS: HTTP/1.1 and HTTP/2 with a real certificate, no old TLS, and no HTTP
// in the clear.
func TestServeTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	p := startServe(t, newServeWorld(t, 0), "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(p.url, "https://") {
		t.Errorf("it says %s", p.url)
	}
	for _, h2 := range []bool{false, true} {
		p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: h2}
		res, err := p.client.Get(p.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := map[bool]int{false: 1, true: 2}[h2]; res.StatusCode != 200 || res.ProtoMajor != want || res.TLS.Version != tls.VersionTLS13 {
			t.Errorf("%s, %d, TLS %x", res.Proto, res.StatusCode, res.TLS.Version)
		}
		p.healthy()
		r, err := http.NewRequest("GET", p.url+"/crowd/rest/admin/1.0/directory/managed", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("root", "secret-root")
		if res, err = p.client.Do(r); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if cookies := res.Cookies(); res.StatusCode != 200 || len(cookies) != 1 || !cookies[0].Secure || !cookies[0].HttpOnly {
			t.Errorf("%d, cookies %v", res.StatusCode, cookies)
		}
	}
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", p.addr, &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version})
		if (err == nil) != good {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			c.Close()
		}
	}
	if got := p.raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400 Bad Request") || !strings.Contains(got, "HTTP request to an HTTPS server") {
		t.Errorf("HTTP in the clear: %q", got)
	}
	for _, send := range []string{"nonsense, and enough of it to be a record\r\n\r\n", "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70_000), "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"} {
		p.raw(send + strings.Repeat("\x00", 64))
	}
	p.healthy()
	p.verified()
}

// TestServeSecureCookies: sessions are sent by TLS alone where there is TLS, here or in a
// proxy.
func TestServeSecureCookies(t *testing.T) {
	cert, key, _ := certificate(t)
	for want, args := range map[bool][][]string{
		false: {{}, {"--trusted-proxy", "127.0.0.1"}},
		true:  {{"--secure-cookies"}, {"--tls-cert", cert, "--tls-key", key}},
	} {
		for _, args := range args {
			p := startServe(t, newServeWorld(t, 0), args...)
			crowd, err := http.NewRequest("GET", p.url+"/crowd/rest/admin/1.0/directory/managed", nil)
			if err != nil {
				t.Fatal(err)
			}
			crowd.SetBasicAuth("root", "secret-root")
			arcgis, err := http.NewRequest("POST", p.url+"/arcgis/admin/login", strings.NewReader("username=root&password=secret-root"))
			if err != nil {
				t.Fatal(err)
			}
			arcgis.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for _, r := range []*http.Request{crowd, arcgis} {
				res, err := p.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				cookies := res.Cookies()
				if len(cookies) != 1 || cookies[0].Secure != want || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
					t.Errorf("%v: %s: %d, %v", args, r.URL.Path, res.StatusCode, cookies)
				}
			}
			p.verified()
		}
	}
}

// frames writes HTTP/2 as no client does.
type frames struct {
	*testing.T
	c *tls.Conn
	w *bufio.Writer
}

func (p *process) frames(t *testing.T) *frames {
	t.Helper()
	c, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	f := &frames{t, c, bufio.NewWriter(c)}
	f.w.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	f.frame(4, 0, 0, nil)
	return f
}

// frame writes a frame; an error shows in the end.
func (f *frames) frame(kind, flags byte, stream uint32, payload []byte) {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	f.w.Write(binary.BigEndian.AppendUint32(head, stream))
	f.w.Write(payload)
}

// The frames that are used here, and flags.
const (
	frameHeaders, frameReset, frameSettings, framePing, frameContinuation = 1, 3, 4, 6, 9
	endStream, endHeaders                                                 = 1, 4
)

// headers are the fields of a request, none of them compressed.
func headers(pairs ...string) []byte {
	var out []byte
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, 0) // literal, not indexed, with a new name
		for _, s := range pairs[i : i+2] {
			out = append(append(out, byte(len(s))), s...)
		}
	}
	return out
}

// ended reads until the server ends the connection, or has answered a ping, and
// returns how many answers and resets came.
func (f *frames) ended() (answers, resets int) {
	f.Helper()
	f.frame(framePing, 0, 0, []byte("at last!"))
	_ = f.w.Flush() // the server may have ended the connection
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(f.c, head); err != nil {
			if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
				f.Error("nothing comes any more")
			}
			return answers, resets
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(f.c, payload); err != nil {
			return answers, resets
		}
		switch head[3] {
		case frameHeaders:
			answers++
		case frameReset:
			resets++
		case framePing:
			if bytes.Equal(payload, []byte("at last!")) {
				return answers, resets
			}
		}
	}
}

// TestServeHTTP2 abuses HTTP/2: requests that are reset at once, more streams than
// there may be, headers without end, floods of small frames.
func TestServeHTTP2(t *testing.T) {
	cert, key, _ := certificate(t)
	p := startServe(t, newServeWorld(t, 0), "--tls-cert", cert, "--tls-key", key)
	p.healthy()
	n := 20_000
	if *long {
		n = 500_000
	}
	get := headers(":method", "GET", ":scheme", "https", ":path", "/healthz", ":authority", "x")
	post := headers(":method", "POST", ":scheme", "https", ":path", "/arcgis/sharing/rest/generateToken", ":authority", "x", "content-type", "application/x-www-form-urlencoded")
	for name, abuse := range map[string]func(f *frames){
		"rapid resets": func(f *frames) {
			for i := range uint32(n) {
				f.frame(frameHeaders, endHeaders|endStream, 2*i+1, get)
				f.frame(frameReset, 0, 2*i+1, []byte{0, 0, 0, 8})
			}
		},
		"many streams": func(f *frames) {
			for i := range uint32(5000) {
				f.frame(frameHeaders, endHeaders, 2*i+1, post)
			}
		},
		"headers without end": func(f *frames) {
			f.frame(frameHeaders, endStream, 1, get)
			for range n {
				f.frame(frameContinuation, 0, 1, headers("x", strings.Repeat("y", 100)))
			}
		},
		"empty headers without end": func(f *frames) {
			f.frame(frameHeaders, endStream, 1, get)
			for range n {
				f.frame(frameContinuation, 0, 1, nil)
			}
		},
		"settings": func(f *frames) {
			for range n {
				f.frame(frameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 1})
			}
		},
		"pings": func(f *frames) {
			for range n {
				f.frame(framePing, 0, 0, []byte("12345678"))
			}
		},
		"a compression bomb": func(f *frames) {
			// An entry of 4000 bytes is put into the table, and named again and again.
			block := append([]byte{0x40, 1, 'x', 0x7f, 0xa1, 0x1e}, bytes.Repeat([]byte{'y'}, 4000)...)
			block = append(append(block, get...), bytes.Repeat([]byte{0xbe}, 12_000)...)
			f.frame(frameHeaders, endHeaders|endStream, 1, block)
		},
		"a body where none was said": func(f *frames) {
			f.frame(frameHeaders, endHeaders|endStream, 1, get)
			f.frame(0, 0, 1, make([]byte, 16<<10))
		},
		"a frame that is too large": func(f *frames) { f.frame(0, 0, 1, make([]byte, 2<<20)) },
		"old headers": func(f *frames) {
			f.frame(frameHeaders, endHeaders|endStream, 1, append(get, headers("connection", "close", "transfer-encoding", "chunked")...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := p.frames(t)
			done := make(chan struct{})
			go func() { // what comes meanwhile is read by ended; the buffers of both sides hold a while
				defer close(done)
				abuse(f)
			}()
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				f.c.Close() // the server does not read any more, as long as nobody reads what it says
				<-done
			}
			answers, resets := f.ended()
			t.Logf("%d answers, %d resets; peak memory %d MiB", answers, resets, p.peakMiB())
			if name == "many streams" && resets < 4000 {
				t.Errorf("only %d streams were refused", resets)
			}
			p.healthy()
		})
	}
	if got := p.peakMiB(); got > 500 {
		t.Errorf("it took %d MiB", got)
	}
	p.verified()
}
