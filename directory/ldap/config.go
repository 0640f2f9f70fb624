package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/internal/dn"
)

// Config says where a server is and how to ask it. URL, BaseDN and Schema are
// required.
type Config struct {
	// URL is ldaps://host:port, ldap://host:port, or ldapi:///path of a socket.
	// Over ldap the connection is upgraded by StartTLS before anything else is
	// sent, except to a loopback address, unless StartTLS or TLSCAFile is set.
	URL string

	// More are URLs that are tried in turn where URL cannot be reached.
	More []string

	// BaseDN is below what users and groups are. UserBase and GroupBase narrow
	// that; "" means BaseDN.
	BaseDN    string
	UserBase  string
	GroupBase string

	// BindDN is whom the Source logs in as, "" for nobody. Its password is the
	// first line of PasswordFile or the value of the environment variable
	// PasswordEnv.
	BindDN       string
	PasswordFile string
	PasswordEnv  string

	Schema Schema

	StartTLS   bool   // also to a loopback address
	Plain      bool   // send passwords and data in the clear over ldap
	TLSCAFile  string // PEM certificates to trust instead of the system's
	ServerName string // in the server's certificate; the URL's host when left out

	IgnoreReferrals bool // take what the server itself has for all there is

	PageSize    int           // entries a page of a search at most. 0 means 500
	Timeout     time.Duration // for the answer to one request. 0 means 30 s
	DialTimeout time.Duration // 0 means 10 s
	Retries     int           // of a request that met a dead connection. 0 means 2, negative means none
	MaxIdle     int           // connections kept. 0 means 4
}

// withDefaults returns c with every zero field at what it means, or ErrConfig.
func (c Config) withDefaults() (Config, error) {
	for _, u := range append([]string{c.URL}, c.More...) {
		if _, err := c.endpoint(u); err != nil {
			return c, err
		}
	}
	if c.BaseDN == "" && (c.UserBase == "" || c.GroupBase == "") {
		return c, fmt.Errorf("%w: no base DN: say below what users and groups are", directory.ErrConfig)
	}
	setIfZero(&c.UserBase, c.BaseDN)
	setIfZero(&c.GroupBase, c.BaseDN)
	for _, base := range []string{c.UserBase, c.GroupBase} {
		if _, ok := dn.Normal(base); !ok {
			return c, fmt.Errorf("%w: base %q is not a distinguished name", directory.ErrConfig, base)
		}
	}
	if c.BindDN != "" && c.PasswordFile == "" && c.PasswordEnv == "" {
		return c, fmt.Errorf("%w: a bind DN without a password: name its file or environment variable", directory.ErrConfig)
	}
	setIfZero(&c.PageSize, 500)
	setIfZero(&c.Timeout, 30*time.Second)
	setIfZero(&c.DialTimeout, 10*time.Second)
	setIfZero(&c.Retries, 2)
	setIfZero(&c.MaxIdle, 4)
	if c.PageSize < 0 || c.Timeout < 0 || c.DialTimeout < 0 || c.MaxIdle < 0 {
		return c, fmt.Errorf("%w: a page size, time or number of connections below zero", directory.ErrConfig)
	}
	return c, c.Schema.check()
}

func setIfZero[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// endpoint is a server to connect to.
type endpoint struct {
	network, address, host string
	tls, startTLS          bool
}

// endpoint reads a URL, and decides about encryption.
func (c *Config) endpoint(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "ldapi" && u.Host == "" {
		return endpoint{}, fmt.Errorf("%w: URL %q: it must read ldaps://host or ldap://host:port", directory.ErrConfig, raw)
	}
	if u.User != nil {
		return endpoint{}, fmt.Errorf("%w: a name or password in the URL: give the bind DN and a password file", directory.ErrConfig)
	}
	e := endpoint{network: "tcp", host: u.Hostname()}
	port := u.Port()
	switch u.Scheme {
	case "ldapi":
		return endpoint{network: "unix", address: u.Path}, nil
	case "ldaps":
		e.tls = true
		setIfZero(&port, ldapv3.DefaultLdapsPort)
	case "ldap":
		setIfZero(&port, ldapv3.DefaultLdapPort)
		e.startTLS = c.StartTLS || c.TLSCAFile != "" || !c.Plain && !loopback(e.host)
	default:
		return e, fmt.Errorf("%w: URL %q: the scheme must be ldaps, ldap or ldapi", directory.ErrConfig, raw)
	}
	if c.Plain && e.startTLS && c.StartTLS {
		return e, fmt.Errorf("%w: both plain and StartTLS", directory.ErrConfig)
	}
	e.address = net.JoinHostPort(e.host, port)
	return e, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tlsConfig returns how to check the certificate of a host.
func (c *Config) tlsConfig(host string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if c.TLSCAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.TLSCAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: certificates to trust: %w", directory.ErrConfig, err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: %s holds no certificate in PEM", directory.ErrConfig, c.TLSCAFile)
	}
	return t, nil
}

// password reads the password of BindDN. It is read each time, so that a new one
// counts at once.
func (c *Config) password() (string, error) {
	where, value := "environment variable "+c.PasswordEnv, os.Getenv(c.PasswordEnv)
	if c.PasswordFile != "" {
		where = c.PasswordFile
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("%w: password: %w", directory.ErrConfig, err)
		}
		value, _, _ = strings.Cut(string(b), "\n")
		value = strings.TrimSuffix(value, "\r")
	}
	if value == "" {
		// A bind with an empty password would succeed, as nobody.
		return "", fmt.Errorf("%w: the password in %s is empty", directory.ErrConfig, where)
	}
	return value, nil
}
