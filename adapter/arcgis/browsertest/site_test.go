// Package browsertest uses the pages of adapter/arcgis as an administrator does: in
// a browser, without scripts, over the data that roster serve serves.
package browsertest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	// What is in the program, so that a cached result of these tests is not taken for
	// one of pages that have changed since.
	_ "github.com/rosterdb/roster/adapter/arcgis"
)

const password = "correct horse battery 1"

// folder is where the program is, as long as the tests run.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "roster"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// program builds roster and returns its path.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "roster")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "../../../cmd/roster"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// site is a roster serve with an administrator, and a file as the identity source
// of the directory domain.
type site struct {
	*testing.T
	roster       string // the program
	data, people string
	url          string
}

// The people of the source before and after John Doe moves. Two names look like
// what a page is made of.
const (
	peopleBefore = `username,fullName,email,description,groups
aturing,Alan Turing,aturing@domain.com,"CN=Alan Turing,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com",cartographers
jdoe,John Doe,jdoe@domain.com,"CN=John Doe,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com",cartographers
alovelace,Ada Lovelace,alovelace@domain.com,"CN=Ada Lovelace,OU=Users,OU=Development,OU=Departments,DC=domain,DC=com",cartographers;surveyors
ghopper,Grace Hopper,ghopper@domain.com,"CN=Grace Hopper,OU=Users,OU=Research,OU=Departments,DC=domain,DC=com",surveyors
evil,<script>alert(1)</script> Evil,"""><img src=x onerror=alert(2)>@domain.com",'</td><style>*{display:none}</style>,"cartographers;<b onclick=alert(3)>bold</b> & ""quoted"""
`
	johnBefore, johnAfter = `DC=domain,DC=com",cartographers` + "\nalovelace", `DC=domain,DC=com",surveyors` + "\nalovelace"
)

func newSite(t *testing.T) *site {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{T: t, roster: path, data: filepath.Join(t.TempDir(), "data"), people: filepath.Join(t.TempDir(), "people.csv")}
	s.write(peopleBefore)
	s.cli("", "user", "put", "siteadmin", "--full-name", "Site Administrator")
	s.cli(password, "passwd", "siteadmin", "--privilege", "Security and infrastructure")
	s.cli("", "org", "put", "acme", "--name", "Acme <Ltd> & Sons")
	s.cli("", "source", "add", "file", "--name", "domain", s.people)
	s.serve()
	return s
}

func (s *site) write(people string) {
	s.Helper()
	if err := os.WriteFile(s.people, []byte(people), 0o600); err != nil {
		s.Fatal(err)
	}
}

// cli runs a command on the data.
func (s *site) cli(stdin string, args ...string) {
	s.Helper()
	cmd := exec.Command(s.roster, append([]string{"--data", s.data}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("roster %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// serve runs the server until the test ends.
func (s *site) serve() {
	s.Helper()
	cmd := exec.Command(s.roster, "--data", s.data, "serve", "--listen", "127.0.0.1:0", "--sync-every", "0")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.Error(err)
		}
		if err := cmd.Wait(); err != nil || strings.Contains(log.String(), `"level":"ERROR"`) {
			s.Errorf("roster serve: %v\n%s", err, log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		s.Fatalf("roster serve says %q (%v)", line, err)
	}
	s.url = url
}
