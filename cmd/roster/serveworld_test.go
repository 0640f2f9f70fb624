package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serveWorld is data with somebody of each kind: root may do everything; boss
// administers the group sales and owns org_1; clerk may do nothing; gone is not
// active. Passwords and secrets begin with "secret-", so that they are found wherever
// they should not be.
const serveWorld = `{"kind":"directory","id":1,"name":"main","domain":"corp.example"}
{"kind":"user","directory":1,"username":"root","uid":"usr_root"}
{"kind":"user","directory":1,"username":"boss","uid":"usr_boss"}
{"kind":"user","directory":1,"username":"clerk","uid":"usr_clerk"}
{"kind":"user","directory":1,"username":"gone","uid":"usr_gone","active":false}
{"kind":"user","directory":1,"username":"ann","uid":"usr_ann","id":15,"fullName":"Ann Example","email":"ann@corp.example"}
{"kind":"user","directory":1,"username":"bob","uid":"usr_bob"}
{"kind":"group","directory":1,"name":"sales","id":10}
{"kind":"group","directory":1,"name":"staff","id":11}
{"kind":"member","directory":1,"group":"staff","user":"ann"}
{"kind":"admin","directory":1,"group":"sales","user":"boss"}
{"kind":"organization","id":"org_1","name":"Acme"}
{"kind":"role","organization":"org_1","id":"role_a","name":"A","permissions":["GetOrder"]}
{"kind":"orgMembership","organization":"org_1","user":"usr_boss","isOwner":true,"isDefault":true,"roleIds":[],"permissions":[],"allowedIps":null}
{"kind":"orgMembership","organization":"org_1","user":"usr_ann","isOwner":false,"isDefault":true,"roleIds":[],"permissions":[],"allowedIps":null}
{"kind":"orgMembership","organization":"org_1","user":"usr_bob","isOwner":false,"isDefault":true,"roleIds":[],"permissions":[],"allowedIps":null}
{"kind":"account","directory":1,"user":"root","password":"secret-root","privileges":["*"]}
{"kind":"account","directory":1,"user":"boss","password":"secret-boss"}
{"kind":"account","directory":1,"user":"clerk","password":"secret-clerk"}
{"kind":"account","directory":1,"user":"gone","password":"secret-gone","privileges":["*"]}
{"kind":"apiKey","id":"root","secret":"secret-key-root","directory":1,"user":"root"}
{"kind":"apiKey","id":"boss","secret":"secret-key-boss","directory":1,"user":"boss"}
{"kind":"apiKey","id":"clerk","secret":"secret-key-clerk","directory":1,"user":"clerk"}
{"kind":"apiKey","id":"gone","secret":"secret-key-gone","directory":1,"user":"gone"}
{"kind":"apiKey","id":"late","secret":"secret-key-late","directory":1,"user":"root","expiresTime":"2020-01-01T00:00:00Z"}
`

// newServeWorld returns a folder of that data, with so many users and groups more.
func newServeWorld(t testing.TB, more int) string {
	t.Helper()
	var text strings.Builder
	text.WriteString(serveWorld)
	for i := range more {
		fmt.Fprintf(&text, "{\"kind\":\"user\",\"directory\":1,\"username\":\"user%d\",\"id\":%d}\n", i, 1000+i)
	}
	data := filepath.Join(t.TempDir(), "data")
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"--data", data, "import", "--format", "jsonl", "-"}, strings.NewReader(text.String()), &stdout, &stderr); code != exitDone {
		t.Fatalf("import: exit %d: %s", code, stderr.String())
	}
	return data
}

// process is a `roster serve` of its own.
type process struct {
	testing.TB
	data, url, addr string
	cmd             *exec.Cmd
	logFile         string
	client          *http.Client
	ended           chan struct{} // it has
	err             error         // of waiting for it
}

// startServe starts the program, with a shell's word before it perhaps, and waits
// until it listens.
func startServe(t testing.TB, data string, args ...string) *process {
	return startServeAs(t, "", data, args...)
}

func startServeAs(t testing.TB, before, data string, args ...string) *process {
	t.Helper()
	p := &process{TB: t, data: data, logFile: filepath.Join(t.TempDir(), "log"), ended: make(chan struct{})}
	program, err := exec.LookPath(rosterProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{program, "--data", data, "serve", "--listen", "127.0.0.1:0"}, args...)
	p.cmd = exec.Command(args[0], args[1:]...)
	if before != "" {
		p.cmd = exec.Command("sh", append([]string{"-c", before + `; exec "$@"`, "sh"}, args...)...)
	}
	log, err := os.Create(p.logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	var ok bool
	if p.url, ok = strings.CutPrefix(strings.TrimSpace(line), "listening on "); !ok {
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Fatalf("it says %q: %s", line, p.log())
	}
	_, p.addr, _ = strings.Cut(p.url, "://")
	p.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

func (p *process) log() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		p.Error(err)
	}
	return string(b)
}

// stop ends the process by a signal and returns how it ended.
func (p *process) stop(s os.Signal) error {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.Fatalf("it has not ended: %s", tail(p.log()))
	}
	p.client.CloseIdleConnections()
	return p.err
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMiB is the most memory that the process has had, 0 where that is not known.
func (p *process) peakMiB() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0 // another system
	}
	found := peak.FindSubmatch(status)
	if found == nil {
		p.Fatalf("no peak in %s", status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		p.Fatal(err)
	}
	return n >> 10
}

// healthy asks for what tells that the engine answers, and what a right request gets,
// and returns how long that took.
func (p *process) healthy() time.Duration {
	p.Helper()
	begin := time.Now()
	if status, body := p.ask("GET", "/healthz", nil, ""); status != 200 || body != "ok\n" {
		p.Errorf("healthz: %d %q", status, body)
	}
	status, body := p.ask("POST", "/api/ingress/user_group_members", ingressKey("root"), `{"user_id":15,"group_id":10}`)
	if status != 200 || !strings.Contains(body, `"added":`) {
		p.Errorf("a right request: %d %q", status, body)
	}
	return time.Since(begin)
}

func ingressKey(of string) map[string]string {
	return map[string]string{"tld-api-id": of, "tld-api-key": "secret-key-" + of, "Content-Type": "application/json"}
}

// ask sends a request and returns the status and the body of the answer.
func (p *process) ask(method, path string, header map[string]string, body string) (int, string) {
	p.Helper()
	status, text, err := p.try(method, path, header, strings.NewReader(body))
	if err != nil {
		p.Errorf("%s %s: %v", method, path, err)
	}
	return status, text
}

func (p *process) try(method, path string, header map[string]string, body io.Reader) (int, string, error) {
	r, err := http.NewRequest(method, p.url+path, body)
	if err != nil {
		return 0, "", err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := p.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// dial opens a connection, which ends with the test.
func (p *process) dial() net.Conn {
	p.Helper()
	c, err := net.DialTimeout("tcp", p.addr, 10*time.Second)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	return c
}

// raw sends bytes as they are and returns all that comes until the server closes the
// connection, which it must do in time. What is sent should make it do so.
func (p *process) raw(send string) string {
	p.Helper()
	c := p.dial()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go io.Copy(c, strings.NewReader(send)) // the answer may come before all was sent
	var got bytes.Buffer
	_, err := io.Copy(&got, c)
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		p.Errorf("%.60q is not answered, or the connection stays open: %.200q", send, got.String())
	}
	return got.String()
}

// verified ends the process kindly, and looks at its log and its data.
func (p *process) verified() {
	p.Helper()
	if err := p.stop(os.Interrupt); err != nil {
		p.Errorf("it ended with %v: %s", err, tail(p.log()))
	}
	p.clean()
}

// clean looks at what the process has left.
func (p *process) clean() {
	p.Helper()
	log := p.log()
	for _, bad := range []string{"panic", "defect", "goroutine ", "secret-"} {
		if at := strings.Index(log, bad); at >= 0 {
			p.Errorf("%q is in the log: %s", bad, log[max(0, at-500):min(len(log), at+500)])
		}
	}
	var stdout, stderr strings.Builder
	if code := run(p.Context(), []string{"--data", p.data, "verify"}, strings.NewReader(""), &stdout, &stderr); code != exitDone {
		p.Errorf("verify: exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}
