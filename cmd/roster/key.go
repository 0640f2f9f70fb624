package main

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// now is the time that accounts and API keys are stamped with.
func now() time.Time { return time.Now() }

func (p *program) keyCommand() *cobra.Command {
	return noun("key", "Create, list or revoke API keys",
		p.keyCreateCommand(), p.keyListCommand(), p.keyRevokeCommand())
}

func (p *program) keyCreateCommand() *cobra.Command {
	var id, user, expires string
	var endpoints, addresses []string
	cmd := &cobra.Command{
		Use:   "create [USER]",
		Short: "Create an API key of a user, and show its secret, once",
		Long: `Create an API key of a user, and show its secret. It is shown once: only a hash is
kept. The key may do what the user may, for the endpoints and from the addresses that
are given, or everywhere.`,
		Example: example(
			"roster key create alice",
			"roster key create alice --endpoint '/api/ingress/*' --ip 192.0.2.0/24 --expires 720h",
			"roster key create --user bob --id nightly --json",
		),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (user != "") {
				return errors.New("name the user of the key: roster key create USER")
			}
			if len(args) == 1 {
				user = args[0]
			}
			k := access.Key{ID: id, Endpoints: given(endpoints)}
			var err error
			if k.Addresses, err = access.ParseAddresses(given(addresses)); err != nil {
				return err
			}
			if k.Expires, err = parseExpires(expires); err != nil {
				return err
			}
			return p.createKey(cmd, user, k)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the `USER`, in place of the argument")
	cmd.Flags().StringVar(&id, "id", "", "`ID` of the key (default: the next free number)")
	cmd.Flags().StringArrayVar(&endpoints, "endpoint", nil, "`PATTERN` of paths that the key is for, as in /api/ingress/*; repeated for several")
	cmd.Flags().StringArrayVar(&addresses, "ip", nil, "`ADDRESS` or network that it may be used from; repeated for several")
	cmd.Flags().StringVar(&expires, "expires", "", "`TIME` from which on it is no longer good, as in 2027-01-02T15:04:05Z, or how long it is, as in 720h")
	p.completeFlag(cmd, "user", userNames)
	return cmd
}

// parseExpires reads a time, or how long from now.
func parseExpires(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now().Add(d).Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("--expires %q must be a time as in 2027-01-02T15:04:05Z, or a duration as in 720h", s)
	}
	return t, nil
}

func (p *program) createKey(cmd *cobra.Command, ref string, k access.Key) error {
	return p.open(cmd.Context(), roster.Options{}, func(e *roster.Engine) error {
		secret, hash, err := access.MakeSecret(nil)
		if err != nil {
			return err
		}
		revision, err := e.Update(cmd.Context(), func(tx *roster.Txn) error {
			if k.User, err = tx.FindUser(ref); err != nil {
				return err
			}
			if k.ID == "" {
				k.ID = freeKeyID(tx)
			}
			k.Secret = hash
			switch _, err := access.GetKey(tx, k.ID); {
			case err == nil:
				return fmt.Errorf("API key %q: %w", k.ID, roster.ErrExists)
			case !errors.Is(err, roster.ErrNotFound):
				return err
			}
			_, err := access.PutKey(tx, k, now())
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stderr, "the secret is shown this once: only a hash of it is kept")
		if p.json {
			_, err := p.stdout.Write(object("id", k.ID, "secret", secret, "revision", uint64(revision)))
			return err
		}
		s := sheet{}
		s.row("id", k.ID)
		s.row("secret", secret)
		return s.print(p.stdout)
	})
}

// freeKeyID returns the number behind the highest one that is an ID.
func freeKeyID(tx *roster.Txn) string {
	highest := uint64(0)
	for id := range access.Keys(tx) {
		if n, err := strconv.ParseUint(id, 10, 63); err == nil {
			highest = max(highest, n)
		}
	}
	return strconv.FormatUint(highest+1, 10)
}

func (p *program) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "list [USER]",
		Short:             "List the API keys of all users, or of one, by ID",
		Example:           example("roster key list", "roster key list alice --json"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.complete(userNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(tx *roster.Txn) error { return p.listKeys(tx, args) })
		},
	}
}

func (p *program) listKeys(tx *roster.Txn, args []string) error {
	var only roster.UserID
	if len(args) == 1 {
		var err error
		if only, err = tx.FindUser(args[0]); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(p.stdout)
	t := newTable(out, "ID", "USER", "ENDPOINTS", "ADDRESSES", "EXPIRES")
	home := directories(tx)
	for id := range access.Keys(tx) {
		k, err := access.GetKey(tx, id)
		if err != nil {
			return err
		}
		if len(args) == 1 && k.User != only {
			continue
		}
		if p.json {
			out.Write(keyLine(tx, &k, home)) // Flush returns the error
			continue
		}
		expires := "never"
		if !k.Expires.IsZero() {
			expires = k.Expires.Format(time.RFC3339)
		}
		t.row(k.ID, userOfKey(tx, &k), orAll(k.Endpoints), orAll(addressesOf(&k)), expires)
	}
	return errors.Join(t.print(), out.Flush())
}

func userOfKey(tx *roster.Txn, k *access.Key) string {
	if name := tx.Username(k.User); name != "" {
		return name
	}
	return "(removed)"
}

func orAll(list []string) string {
	if len(list) == 0 {
		return "all"
	}
	return strings.Join(list, " ")
}

func addressesOf(k *access.Key) []string {
	out := make([]string, len(k.Addresses))
	for i, a := range k.Addresses {
		out[i] = access.FormatAddress(a)
	}
	return out
}

// keyLine returns an API key as a JSON line, without its hash.
func keyLine(tx *roster.Txn, k *access.Key, home func(roster.UserID) roster.DirectoryID) []byte {
	line := object("id", k.ID, "user", tx.Username(k.User), "directory", uint64(home(k.User)),
		"endpoints", k.Endpoints, "ips", addressesOf(k))
	expires := jsontext.Value("null")
	if !k.Expires.IsZero() {
		expires = jsontext.Value(strconv.Quote(k.Expires.Format(time.RFC3339Nano)))
	}
	return extend(line, "expiresTime", expires,
		"createdTime", k.Created.Format(time.RFC3339Nano), "updatedTime", k.Updated.Format(time.RFC3339Nano))
}

func (p *program) keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "revoke ID...",
		Short:             "Revoke API keys: the next request with one of them is denied",
		Example:           example("roster key revoke backup"),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: p.completeAll(keyIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.remove(cmd, strings.Join(args, " "), func(tx *roster.Txn) error {
				for _, id := range args {
					if err := access.DeleteKey(tx, id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func keyIDs(tx *roster.Txn, _ []string, typed string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for id := range access.Keys(tx) {
			if strings.HasPrefix(id, typed) && !yield(id) {
				return
			}
		}
	}
}
