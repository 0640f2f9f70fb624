package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// served is a `roster serve` that is running.
type served struct {
	t    *testing.T
	data string
	url  string
	log  *lines
	end  func() int
}

// lines is a text that many may write.
type lines struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// cli runs a command on the data, and returns what it prints.
func cli(t *testing.T, data, stdin string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	if code := run(context.Background(), append([]string{"--data", data}, args...), strings.NewReader(stdin), &stdout, &stderr); code != exitDone {
		t.Fatalf("roster %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}

func serve(t *testing.T, data string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	s := &served{t: t, data: data, log: &lines{}}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"--data", data, "serve", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), in, s.log)
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("exit %d: %s", <-code, s.log)
	}
	var ok bool
	if s.url, ok = strings.CutPrefix(strings.TrimSpace(line), "listening on "); !ok {
		t.Fatalf("it says %q", line)
	}
	ended := false
	s.end = func() int {
		if ended {
			return exitDone
		}
		ended = true
		cancel()
		return <-code
	}
	t.Cleanup(func() { s.end() })
	return s
}

// ask sends a request, a form if there is one, and returns the status and the body.
func (s *served) ask(method, path string, form url.Values) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.Header.Get("X-Request-Id") == "" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		s.t.Errorf("%s %s: headers %v", method, path, res.Header)
	}
	return res.StatusCode, string(body)
}

// TestServe asks for what stands outside of the APIs, and for what is nowhere.
func TestServe(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cli(t, data, "", "user", "put", "alice")
	s := serve(t, data)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200}, {"HEAD", "/healthz", 200}, {"POST", "/healthz", 405}, {"GET", "/healthz/x", 404},
		{"GET", "/metrics", 200}, {"GET", "/", 404}, {"GET", "//healthz", 404}, {"GET", "/arcgisx", 404}, {"GET", "/%61rcgis/admin", 404},
		{"GET", "/crowd/../healthz", 401}, {"GET", "/api/ingress", 404}, {"GET", "/rebilly/memberships", 401},
		{"POST", "/crowd/rest/admin/1.0/users/search", 401},
	} {
		if status, body := s.ask(c.method, c.path, nil); status != c.status && !(c.status == 401 && status == 404) {
			t.Errorf("%s %s is %d, want %d: %s", c.method, c.path, status, c.status, body)
		}
	}
	_, metrics := s.ask("GET", "/metrics", nil)
	for _, want := range []string{`roster_requests_total{api="healthz",code="200",method="GET"} 1`, "roster_revision ", `api="crowd",code="401"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the figures", want)
		}
	}
	if strings.Contains(metrics, "alice") {
		t.Error("the figures name users")
	}
	if code := s.end(); code != exitDone {
		t.Errorf("exit %d: %s", code, s.log)
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error(s.log)
	}
	cli(t, data, "", "verify")
}

// TestServeRefresh moves somebody in an identity source: the API answers with
// that right after a refresh, and not before.
func TestServeRefresh(t *testing.T) {
	data, people := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "people.csv")
	write := func(groups string) {
		t.Helper()
		err := os.WriteFile(people, []byte("username,fullName,groups\nalice,Alice Liddell,"+groups+"\nbob,Bob,staff\n"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	write("staff")
	cli(t, data, "", "user", "put", "root")
	cli(t, data, "correct horse", "passwd", "root", "--privilege", "*")
	cli(t, data, "", "source", "add", "file", "--name", "hr", people)
	s := serve(t, data, "--sync-every", "0")
	token := s.token()
	const security = "/arcgis/admin/orgs/0123456789ABCDEF/security/"
	in := func(group string) bool {
		t.Helper()
		status, body := s.ask("POST", security+"groups/getUsersWithinEnterpriseGroup", url.Values{
			"groupName": {group}, "token": {token}, "f": {"json"},
		})
		if status != 200 {
			t.Fatalf("%d: %s", status, body)
		}
		return strings.Contains(body, `hr\\alice`)
	}
	if !in("staff") {
		t.Fatal("alice is not in staff")
	}
	time.Sleep(10 * time.Millisecond) // so that the file's time is another one
	write("sales")
	if !in("staff") || in("sales") {
		t.Fatal("the API knows of a change in the source before anybody has asked it")
	}
	status, body := s.ask("POST", security+"users/refreshMembership", url.Values{"users": {"alice@hr"}, "token": {token}, "f": {"json"}})
	if status != 200 || strings.TrimSpace(body) != `{"status":"success"}` {
		t.Fatalf("refresh: %d: %s", status, body)
	}
	if in("staff") || !in("sales") {
		t.Fatal("the API does not know of the change after a refresh")
	}
}

// TestServeGuard empties an identity source: the API says that somebody has to look
// at that, and changes nothing.
func TestServeGuard(t *testing.T) {
	data, people := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "people.csv")
	write := func(group string) string {
		var b, names strings.Builder
		b.WriteString("username,fullName,groups\n")
		for i := range 40 {
			fmt.Fprintf(&b, "user%d,User,%s\n", i, group)
			fmt.Fprintf(&names, "user%d@hr,", i)
		}
		if err := os.WriteFile(people, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return names.String()
	}
	write("staff")
	cli(t, data, "", "user", "put", "root")
	cli(t, data, "correct horse", "passwd", "root", "--privilege", "*")
	cli(t, data, "", "source", "add", "file", "--name", "hr", people)
	s := serve(t, data, "--sync-every", "0")
	token := s.token()
	time.Sleep(10 * time.Millisecond) // so that the file's time is another one
	names := write("")
	const security = "/arcgis/admin/orgs/0123456789ABCDEF/security/"
	status, body := s.ask("POST", security+"users/refreshMembership", url.Values{"users": {names}, "token": {token}, "f": {"json"}})
	if status != 200 || !strings.Contains(body, `"code":409`) {
		t.Errorf("%d: %s", status, body)
	}
	_, body = s.ask("POST", security+"groups/getUsersWithinEnterpriseGroup", url.Values{"groupName": {"staff"}, "token": {token}, "f": {"json"}})
	if strings.Count(body, "username") != 40 {
		t.Error(body)
	}
	if s.end(); !strings.Contains(s.log.String(), "40 of 40 memberships") {
		t.Errorf("logged: %s", s.log)
	}
}

// token logs root in.
func (s *served) token() string {
	s.t.Helper()
	_, answer := s.ask("POST", "/arcgis/sharing/rest/generateToken", url.Values{
		"username": {"root"}, "password": {"correct horse"}, "client": {"requestip"}, "f": {"json"},
	})
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.Token == "" {
		s.t.Fatalf("no token: %s", answer)
	}
	return token.Token
}

// TestServeRefusals starts a server that cannot be.
func TestServeRefusals(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for want, args := range map[string][]string{
		"go together":     {"--tls-cert", "x"},
		"more than 0":     {"--token-life", "0"},
		"not be negative": {"--drain", "-1s"},
		"--sync-every":    {"--sync-every", "-1h"},
		"--trusted-proxy": {"--trusted-proxy", "nowhere"},
		"no such file":    {"--tls-cert", "nowhere", "--tls-key", "nowhere"},
		"address":         {"--listen", "nonsense"},
	} {
		var stdout, stderr strings.Builder
		code := run(context.Background(), append([]string{"--data", data, "serve"}, args...), strings.NewReader(""), &stdout, &stderr)
		if code != exitError || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout.String(), stderr.String())
		}
	}
}
