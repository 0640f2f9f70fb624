package main

import (
	"flag"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// long makes the attacks on serve as large as they are meant: bodies of 1 GB, a
// program built as users build it, and connections that are held until they are cut.
var long = flag.Bool("long", false, "attack roster serve at full size")

// rosterProgram is what to run: this test as the program, or the program.
func rosterProgram(t testing.TB) string {
	t.Helper()
	if !*long {
		return "roster"
	}
	program := filepath.Join(t.TempDir(), "roster")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

// a request that is right, for what is put around it.
const (
	ingressHead = "POST /api/ingress/user_group_members HTTP/1.1\r\nHost: x\r\ntld-api-id: root\r\ntld-api-key: secret-key-root\r\nContent-Type: application/json\r\n"
	ingressBody = `{"user_id":15,"group_id":10}`
)

// TestServeMalformed sends what is no request, or could be two: none of it is taken
// for one, and the connection is not used for another.
func TestServeMalformed(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	chunked := "Transfer-Encoding: chunked\r\n"
	smuggled := "DELETE /api/ingress/user_group_members/drop HTTP/1.1\r\nHost: x\r\ntld-api-id: root\r\ntld-api-key: secret-key-root\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"user_id\":15}"
	for name, c := range map[string]struct{ send, want string }{
		"both lengths":           {ingressHead + chunked + "Content-Length: 5\r\n\r\n0\r\n\r\n" + smuggled, "HTTP/1.1 400"},
		"both lengths, HTTP/1.0": {strings.Replace(ingressHead, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n" + chunked + "Content-Length: 3\r\n\r\n0\r\n" + smuggled, "HTTP/1.0 400"},
		"chunked, HTTP/1.0":      {strings.Replace(ingressHead, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n" + chunked + "\r\n" + smuggled, "HTTP/1.0 400"},
		"two lengths":            {ingressHead + "Content-Length: 0\r\nContent-Length: 28\r\n\r\n" + ingressBody + smuggled, "HTTP/1.1 400"},
		"a list of lengths":      {ingressHead + "Content-Length: 28, 0\r\n\r\n" + ingressBody, "HTTP/1.1 400"},
		"a signed length":        {ingressHead + "Content-Length: +28\r\n\r\n" + ingressBody, "HTTP/1.1 400"},
		"a negative length":      {ingressHead + "Content-Length: -1\r\n\r\n" + ingressBody, "HTTP/1.1 400"},
		"a length too large":     {ingressHead + "Content-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 400"},
		"a length in hex":        {ingressHead + "Content-Length: 0x1c\r\n\r\n" + ingressBody, "HTTP/1.1 400"},
		"chunked twice":          {ingressHead + chunked + chunked + "\r\n0\r\n\r\n", "HTTP/1.1 501"},
		"chunked and more":       {ingressHead + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "HTTP/1.1 501"},
		"gzip, chunked":          {ingressHead + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501"},
		"chunked with a tab":     {ingressHead + "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400"},
		"a folded coding":        {ingressHead + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled, "HTTP/1.1 400"},
		"space before the colon": {ingressHead + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "HTTP/1.1 400"},
		"no colon":               {ingressHead + "nonsense\r\n\r\n", "HTTP/1.1 400"},
		"NUL in a header":        {ingressHead + "X: a\x00b\r\n\r\n", "HTTP/1.1 400"},
		"NUL in a target":        {"GET /health\x00z HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
		"CR in a target":         {"GET /health\rz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
		"a bare CR":              {"GET /healthz HTTP/1.1\rHost: x\r\r\n\r\n", "HTTP/1.1 400"},
		"bad chunk":              {ingressHead + chunked + "\r\nzz\r\n" + ingressBody, "HTTP/1.1 400"},
		"chunk of 2^64":          {ingressHead + chunked + "\r\n10000000000000000\r\n" + ingressBody, "HTTP/1.1 400"},
		"chunk ends wrong":       {ingressHead + chunked + "\r\n1\r\n{}}\r\n0\r\n\r\n", "HTTP/1.1 400"},
		"long chunk extension":   {ingressHead + chunked + "\r\n1;" + strings.Repeat("x", 100_000) + "\r\n{\r\n0\r\n\r\n", "HTTP/1.1 400"},
		"no Host":                {"GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},
		"two Hosts":              {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400"},
		"a Host that is none":    {"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", "HTTP/1.1 400"},
		"headers too long":       {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n", "HTTP/1.1 431"},
		"too many headers":       {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\n", "HTTP/1.1 431"},
		"a target too long":      {"GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 431"},
		"an unknown expectation": {ingressHead + "Expect: miracles\r\nContent-Length: 28\r\n\r\n" + ingressBody, "HTTP/1.1 417"},
		"HTTP/0.9":               {"GET /healthz\r\n\r\n", "HTTP/1.1 400"},
		"HTTP/3.0":               {"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505"},
		"HTTP/2 in the clear":    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 404"},
		"no HTTP":                {"SSH-2.0-OpenSSH_9.0\r\n\r\n", "HTTP/1.1 400"},
		"TLS":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400"},
		"a target that is none":  {"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
		"a space in the target":  {"GET /health z HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
		"a method that is none":  {"G,ET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
		"half an escape":         {"GET /healthz%2 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"},
	} {
		got := p.raw(c.send)
		if !strings.HasPrefix(got, c.want) || strings.Count(got, "HTTP/1.") != 1 || strings.Contains(got, `"dropped":`) || strings.Contains(got, `"added":`) {
			t.Errorf("%s: %.300q, want %s alone", name, got, c.want)
		}
	}
	p.healthy()
	p.verified()
}

// TestServeForms sends requests in forms that are seldom but right.
func TestServeForms(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0))
	added := `{"message":"No User Groups were Added.","added":0}`
	p.healthy() // adds it
	const end = "Connection: close\r\n"
	for name, c := range map[string]struct {
		send string
		want []string
	}{
		"HTTP/1.0":                       {"GET /healthz HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200 OK", "\r\n\r\nok\n"}},
		"HTTP/1.0 that would stay":       {"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n", []string{"HTTP/1.0 200", "Connection: close", "\r\n\r\nok\n"}},
		"absolute form":                  {"GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 200", "ok\n"}},
		"authority form":                 {"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"authority form of a path":       {"CONNECT /healthz HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 405"}},
		"asterisk form":                  {"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"pipelined":                      {strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 20) + "GET /nowhere HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"expects to go on":               {ingressHead + end + "Expect: 100-continue\r\nContent-Length: 28\r\n\r\n" + ingressBody, []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", added}},
		"expects to go on, not let in":   {strings.Replace(ingressHead, "-key-root", "-wrong", 1) + "Expect: 100-continue\r\nContent-Length: 28\r\n\r\n" + ingressBody, []string{"HTTP/1.1 400", "Connection: close", "Invalid API Key"}},
		"a folded header":                {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 200"}},
		"chunked with trailers":          {ingressHead + end + "Transfer-Encoding: chunked\r\nTrailer: tld-api-id\r\n\r\n1c\r\n" + ingressBody + "\r\n0\r\ntld-api-id: clerk\r\n\r\n", []string{"HTTP/1.1 200", added}},
		"trailers are no headers":        {strings.Replace(ingressHead, "tld-api-id: root\r\n", "", 1) + end + "Transfer-Encoding: chunked\r\nTrailer: tld-api-id\r\n\r\n1c\r\n" + ingressBody + "\r\n0\r\ntld-api-id: root\r\n\r\n", []string{"HTTP/1.1 400", "No API ID Provided"}},
		"the same length twice":          {ingressHead + end + "Content-Length: 28\r\nContent-Length: 28\r\n\r\n" + ingressBody, []string{"HTTP/1.1 200", added}},
		"a body of a GET":                {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + end + "\r\nhi", []string{"HTTP/1.1 200", "ok\n"}},
		"an upgrade":                     {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []string{"HTTP/1.1 200", "ok\n"}},
		"another method in a header":     {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: DELETE\r\n" + end + "\r\n", []string{"HTTP/1.1 200"}},
		"another path in a header":       {"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"an end of line too early":       {"GET /healthz HTTP/1.1\nHost: x\n" + "Connection: close\n\n", []string{"HTTP/1.1 200"}},
		"TRACE":                          {"TRACE /healthz HTTP/1.1\r\nHost: x\r\nCookie: secret-cookie\r\n" + end + "\r\n", []string{"HTTP/1.1 405"}},
		"an address that is forged":      {"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.99\r\nForwarded: for=192.0.2.99\r\n" + end + "\r\n", []string{"HTTP/1.1 200"}},
		"a line break that is escaped":   {"GET /nowhere%0d%0a%7B%22level%22:%22FORGED%22%7D HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"a query that holds a secret":    {"GET /nowhere?token=secret-in-query HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"a password in the target":       {"GET http://root:secret-root@x/nowhere HTTP/1.1\r\nHost: x\r\n" + end + "\r\n", []string{"HTTP/1.1 404"}},
		"an encoding that is not undone": {ingressHead + end + "Content-Encoding: gzip\r\nContent-Length: 28\r\n\r\n" + ingressBody, nil},
	} {
		got := p.raw(c.send)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %.600q, want %q", name, got, want)
			}
		}
		if name == "pipelined" && strings.Count(got, "HTTP/1.1 200") != 20 {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(got, "secret-") {
			t.Errorf("%s: a secret is sent back: %q", name, got)
		}
	}
	if log := p.log(); strings.Contains(log, "192.0.2.99") || strings.Contains(log, "\n{\"level\":\"FORGED") || strings.Contains(log, "\n\"level") {
		t.Errorf("the log believes whoever asks")
	}
	p.verified()
}

// TestServeProxy: the log knows whom a proxy that is trusted has passed a request on for,
// and nobody makes it believe in somebody else.
func TestServeProxy(t *testing.T) {
	p := startServe(t, newServeWorld(t, 0), "--trusted-proxy", "127.0.0.1")
	for forwarded, from := range map[string]string{
		"198.51.100.7": "198.51.100.7", "192.0.2.99, 198.51.100.8": "198.51.100.8", "198.51.100.9, 127.0.0.1": "198.51.100.9", "2001:db8::1": "2001:db8::1",
		"192.0.2.99, no address": "127.0.0.1:", `192.0.2.99, x","from":"y`: "127.0.0.1:", "": "127.0.0.1:",
	} {
		res, err := p.client.Do(&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: p.addr, Path: "/healthz"}, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		_, line, _ := strings.Cut(p.log(), `"id":"`+res.Header.Get("X-Request-Id"))
		if line, _, _ = strings.Cut(line, "\n"); !strings.Contains(line, `"from":"`+from) {
			t.Errorf("passed on for %q: %s", forwarded, line)
		}
	}
	if strings.Contains(p.log(), "192.0.2.99") {
		t.Error("the log believes whoever asks")
	}
	p.verified()
}
