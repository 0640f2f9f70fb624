package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/directory/file"
	"github.com/rosterdb/roster/directory/ldap"
	"github.com/rosterdb/roster/exchange"
	"github.com/rosterdb/roster/internal/text"
)

// sourceKey stands before the names of sources among the data of their space.
const sourceKey = "config/"

// maxSourceName keeps a source's key within what a key may be.
const maxSourceName = 200

// sourceConfig is a source as it is stored: never a password, only where it is.
type sourceConfig struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"` // ldap or file
	Directory string `json:"directory"`
	Vanished  string `json:"vanished,omitempty"` // deactivate or delete

	VanishedGroups string `json:"vanishedGroups,omitempty"` // likewise

	MaxRemoved float64     `json:"maxRemoved,omitempty"` // 0: the library's own
	Attributes []string    `json:"attributes,omitempty"`
	LDAP       *ldapSource `json:"ldap,omitempty"`
	File       *fileSource `json:"file,omitempty"`
}

type ldapSource struct {
	URLs            []string `json:"urls"`
	Base            string   `json:"base"`
	UserBase        string   `json:"userBase,omitempty"`
	GroupBase       string   `json:"groupBase,omitempty"`
	BindDN          string   `json:"bindDN,omitempty"`
	PasswordFile    string   `json:"passwordFile,omitempty"`
	PasswordEnv     string   `json:"passwordEnv,omitempty"`
	Schema          string   `json:"schema"`
	UserFilter      string   `json:"userFilter,omitempty"`
	GroupFilter     string   `json:"groupFilter,omitempty"`
	TLSCA           string   `json:"tlsCA,omitempty"`
	StartTLS        bool     `json:"startTLS,omitempty"`
	Plain           bool     `json:"plain,omitempty"`
	IgnoreReferrals bool     `json:"ignoreReferrals,omitempty"`
}

type fileSource struct {
	Paths  []string `json:"paths"`
	Format string   `json:"format,omitempty"`
}

// open returns the source that is described.
func (c *sourceConfig) open() (directory.Source, error) {
	if c.Kind == "file" && c.File != nil {
		return file.New(file.Config{Paths: c.File.Paths, Format: exchange.Format(c.File.Format), Attributes: c.Attributes})
	}
	if c.Kind != "ldap" || c.LDAP == nil || len(c.LDAP.URLs) == 0 {
		return nil, fmt.Errorf("source %q is of a kind that this version does not know: %q", c.Name, c.Kind)
	}
	l := c.LDAP
	schema, err := ldap.Preset(l.Schema)
	if err != nil {
		return nil, err
	}
	schema.UserFilter = cmp.Or(l.UserFilter, schema.UserFilter)
	schema.GroupFilter = cmp.Or(l.GroupFilter, schema.GroupFilter)
	schema.Attributes = c.Attributes
	return ldap.New(ldap.Config{
		URL: l.URLs[0], More: l.URLs[1:], BaseDN: l.Base, UserBase: l.UserBase, GroupBase: l.GroupBase,
		BindDN: l.BindDN, PasswordFile: l.PasswordFile, PasswordEnv: l.PasswordEnv, Schema: schema,
		TLSCAFile: l.TLSCA, StartTLS: l.StartTLS, Plain: l.Plain, IgnoreReferrals: l.IgnoreReferrals,
	})
}

// closeSource closes a source that has something to close.
func closeSource(src directory.Source) error {
	if c, ok := src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// options returns the options of a link.
func (c *sourceConfig) options() (directory.Options, error) {
	o := directory.Options{Directory: c.Directory, MaxRemoved: c.MaxRemoved, Type: "INTERNAL", Adopt: ordinary}
	if c.Kind == "ldap" {
		o.Type = "CONNECTOR"
	}
	for _, x := range []struct {
		flag, word string
		to         *directory.Policy
	}{{"vanished", c.Vanished, &o.Vanished}, {"vanished-groups", c.VanishedGroups, &o.VanishedGroups}} {
		switch x.word {
		case "", "deactivate":
		case "delete":
			*x.to = directory.Delete
		default:
			return o, fmt.Errorf("--%s must be deactivate or delete, not %q", x.flag, x.word)
		}
	}
	if c.MaxRemoved < 0 || c.MaxRemoved > 1 || math.IsNaN(c.MaxRemoved) {
		return o, fmt.Errorf("--max-removed must be a share from 0 to 1, not %g", c.MaxRemoved)
	}
	return o, nil
}

// ordinary reports whether a user that was made by hand may become a source's: one
// with privileges may not, or whoever can make an entry of its name would have
// them.
func ordinary(tx *roster.Txn, u roster.User) bool {
	a, err := access.GetAccount(tx, u.ID)
	return errors.Is(err, roster.ErrNotFound) || err == nil && len(a.Privileges) == 0
}

// where says what a source reads, for a list.
func (c *sourceConfig) where() string {
	switch {
	case c.LDAP != nil:
		return strings.Join(c.LDAP.URLs, " ") + " " + c.LDAP.Base
	case c.File != nil:
		return strings.Join(c.File.Paths, " ")
	}
	return ""
}

func configKey(name string) string { return sourceKey + text.Fold(text.Normal(name)) }

// findSource reads the configuration of a source.
func findSource(tx *roster.Txn, name string) (c sourceConfig, err error) {
	value, err := tx.Data(directory.DataSpace, configKey(name))
	if errors.Is(err, roster.ErrNotFound) || errors.Is(err, roster.ErrInvalid) {
		return c, fmt.Errorf("there is no source %q: `roster source list` lists those that there are", name)
	}
	if err == nil {
		err = json.Unmarshal(value, &c)
	}
	if err != nil {
		return c, fmt.Errorf("source %q: %w", name, err)
	}
	return c, nil
}

// eachSource yields the names of all sources, folded, in their order.
func eachSource(tx *roster.Txn) iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range tx.DataKeys(directory.DataSpace, sourceKey) {
			name, ok := strings.CutPrefix(key, sourceKey)
			if !ok || !yield(name) {
				return
			}
		}
	}
}

// sourceNames completes the name of a source.
func sourceNames(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	return starting(eachSource(tx), typed)
}

// addSource stores a new source. Two sources of one directory would each take
// away what the other brings.
func addSource(tx *roster.Txn, c *sourceConfig) error {
	for other := range eachSource(tx) {
		old, err := findSource(tx, other)
		if err != nil {
			return err
		}
		if text.Fold(old.Name) == text.Fold(c.Name) {
			return fmt.Errorf("there is a source %q: remove it first (roster source remove)", old.Name)
		}
		if text.Fold(old.Directory) == text.Fold(c.Directory) {
			return fmt.Errorf("the source %q is for the directory %q already: name another one with --directory", old.Name, old.Directory)
		}
	}
	value, err := json.Marshal(c)
	if err == nil {
		_, err = tx.PutData(directory.DataSpace, configKey(c.Name), value)
	}
	return err
}
