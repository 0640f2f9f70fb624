// Package slapdtest runs OpenLDAP's server for tests: on loopback, in a folder of its
// own, and no longer than they want it.
package slapdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Who may log in to every server.
const (
	Password   = "manager's secret"
	ReaderName = "cn=reader" // below the suffix; limits count for it
)

// ErrMissing is returned where slapd is not installed.
var ErrMissing = errors.New("slapd is not installed: apt-get install --no-install-recommends slapd ldap-utils")

// Options say what server to run.
type Options struct {
	Suffix    string // dc=example
	LDIF      string // a file that is loaded before it runs; "" for nothing
	SizeLimit int    // entries that anybody but the manager gets of one search; 0 for no limit
	Expired   bool   // its certificate has expired
	OtherName bool   // its certificate is of another host
	MaxBytes  int64  // of its database; 0 means 256 MiB
}

// Server is a running slapd.
type Server struct {
	URL     string // ldap, with StartTLS
	TLSURL  string // ldaps
	CAFile  string
	Manager string // DN of who may do everything
	Reader  string // DN of who may read everything; both have Password

	dir  string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

// Start starts a server in a folder, which must be empty.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	program, err := find("slapd")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, Manager: "cn=manager," + o.Suffix, Reader: ReaderName + "," + o.Suffix, CAFile: filepath.Join(dir, "ca.pem")}
	if err := s.configure(o); err != nil {
		return nil, err
	}
	if o.LDIF != "" {
		if err := s.load(ctx, o.LDIF); err != nil {
			return nil, err
		}
	}
	for range 5 { // the port may be another's by the time slapd wants it
		plain, secure, err := freePorts()
		if err != nil {
			return nil, err
		}
		s.URL, s.TLSURL = "ldap://"+plain, "ldaps://"+secure
		s.args = []string{program, "-f", filepath.Join(dir, "slapd.conf"), "-h", s.URL + " " + s.TLSURL, "-d", "0"}
		if err = s.Run(); err == nil {
			return s, s.addReader(o)
		}
		s.Kill()
	}
	return nil, fmt.Errorf("slapd does not start: %s", s.log.String())
}

// Installed reports whether Start can find what it runs.
func Installed() bool {
	_, err := find("slapd")
	return err == nil
}

// find returns the path of a program of Debian's, which may be in sbin.
func find(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/lib/openldap", "/usr/libexec") {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	return "", ErrMissing
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func freePorts() (string, string, error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer a.Close()
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

func (s *Server) configure(o Options) error {
	if err := writeCertificates(s.dir, o.Expired, o.OtherName); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o700); err != nil {
		return err
	}
	schemas, modules := "/etc/ldap/schema", "/usr/lib/ldap"
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	limit := "unlimited"
	if o.SizeLimit > 0 {
		limit = fmt.Sprintf("size.soft=%d size.hard=%d size.prtotal=%d", o.SizeLimit, o.SizeLimit, o.SizeLimit)
	} else {
		limit = "size=unlimited"
	}
	var conf strings.Builder
	for _, name := range []string{"core", "cosine", "inetorgperson", "nis"} {
		fmt.Fprintf(&conf, "include %s/%s.schema\n", schemas, name)
	}
	fmt.Fprintf(&conf, `modulepath %s
moduleload back_mdb
pidfile %[2]s/pid
argsfile %[2]s/args
TLSCACertificateFile %[2]s/ca.pem
TLSCertificateFile %[2]s/server.pem
TLSCertificateKeyFile %[2]s/server.key
sizelimit unlimited
threads 4
database mdb
suffix "%[3]s"
rootdn "%[4]s"
rootpw "%[5]s"
directory %[2]s/db
maxsize %[6]d
dbnosync
limits dn.exact="%[7]s" %[8]s
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="%[7]s" read by * none
index objectClass,entryUUID,uid,cn,member,uniqueMember,memberUid,gidNumber eq
`, modules, s.dir, o.Suffix, s.Manager, Password, o.MaxBytes, s.Reader, limit)
	return os.WriteFile(filepath.Join(s.dir, "slapd.conf"), []byte(conf.String()), 0o600)
}

// load fills the database while nobody serves it.
func (s *Server) load(ctx context.Context, file string) error {
	program, err := find("slapadd")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, program, "-q", "-f", filepath.Join(s.dir, "slapd.conf"), "-l", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("slapadd: %w: %s", err, out)
	}
	return nil
}

// Run starts the server again after Kill, on the same ports, and waits until it
// answers.
func (s *Server) Run() error {
	s.log.Reset()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	done, cmd := make(chan struct{}), s.cmd
	s.done = done
	go func() {
		_ = cmd.Wait() // it was killed
		close(done)
	}()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "ldap://"))
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-s.done:
			return errors.New("slapd ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("slapd does not answer")
}

// addReader makes the entry of Reader, and the suffix's own if nothing was loaded.
func (s *Server) addReader(o Options) error {
	var in strings.Builder
	if o.LDIF == "" {
		name, value, _ := strings.Cut(strings.Split(o.Suffix, ",")[0], "=")
		fmt.Fprintf(&in, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: test\n%s: %s\n\n", o.Suffix, name, value)
	}
	fmt.Fprintf(&in, "dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\nuserPassword: %s\n", s.Reader, Password)
	return s.Tool("ldapadd", in.String())
}

// Tool runs one of OpenLDAP's own tools as the manager, with an input.
func (s *Server) Tool(name, input string, args ...string) error {
	program, err := find(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, append([]string{"-x", "-H", s.URL, "-D", s.Manager, "-w", Password}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// Pause makes the server go silent, Resume speak again.
func (s *Server) Pause() error  { return s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *Server) Resume() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
}
