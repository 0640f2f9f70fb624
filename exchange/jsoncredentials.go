package exchange

import (
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// The lines of accounts and API keys. No error says anything of a password or a
// secret.

// trimmed is the text of an error without the name of its package.
func trimmed(err error) string { return strings.TrimPrefix(err.Error(), "access: ") }

func (r *jsonReader) account() error {
	c := credential{header: r.header(kindAccount)}
	plain, hashed := "", ""
	err := r.each("account", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "directory":
			c.directory, err = jsonDirectory(f)
		case "user":
			c.username, err = jsonString(f)
		case "password":
			plain, err = jsonSecret(f)
		case "passwordHash":
			hashed, err = jsonSecret(f)
		case "privileges":
			c.has |= hasPrivileges
			c.privileges, err = r.strings(f)
		default:
			return c.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case !r.given("directory") || c.username == "":
		return problemf(ErrMalformed, `an account needs "directory" and "user"`)
	}
	c.user = r.refer(&reference{at: c.at, kind: kindUser, directory: c.directory, name: c.username})
	return r.credential(&c, plain, hashed, "password")
}

// apiKey reads an API key. Its user may be named without a directory, where one
// user has that name.
func (r *jsonReader) apiKey() error {
	c := credential{header: r.header(kindKey)}
	plain, hashed := "", ""
	err := r.each("apiKey", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "id":
			c.id, err = jsonString(f)
		case "secret":
			plain, err = jsonSecret(f)
		case "secretHash":
			hashed, err = jsonSecret(f)
		case "directory":
			c.directory, err = jsonDirectory(f)
		case "user":
			c.username, err = jsonString(f)
		case "endpoints":
			c.has |= hasEndpoints
			c.endpoints, err = r.strings(f)
		case "ips":
			c.has |= hasNetworks
			c.addresses, err = r.addresses(f)
		case "expiresTime":
			c.has |= hasExpires
			c.expires, err = jsonExpires(f)
		default:
			return c.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case c.id == "" || c.username == "":
		return problemf(ErrMalformed, `an apiKey needs "id" and "user"`)
	}
	if c.byName = !r.given("directory"); !c.byName {
		c.user = r.refer(&reference{at: c.at, kind: kindUser, directory: c.directory, name: c.username})
	}
	return r.credential(&c, plain, hashed, "secret")
}

// credential adds an account or an API key with its password or secret, which may
// be hashed, or left out.
func (r *jsonReader) credential(c *credential, plain, hashed, field string) (err error) {
	one, other := r.given(field), r.given(field+"Hash")
	switch {
	case one && other:
		return problemf(ErrMalformed, "%q and %q are given: leave one out", field, field+"Hash")
	case one && (plain == "" || len(plain) > access.MaxPassword):
		return problemf(ErrMalformed, "%q must be 1 to %d bytes long", field, access.MaxPassword)
	case one:
		c.has |= hasSecret
	case other:
		c.has |= hasSecret
		if c.hash, err = access.ParseHash(hashed); err != nil {
			return problemf(ErrMalformed, "%q is none: %s", field+"Hash", trimmed(err))
		}
		if c.kind == kindAccount && !strings.HasPrefix(hashed, "$argon2id$") {
			return problemf(ErrMalformed, "%q must be that of argon2id", field+"Hash")
		}
	}
	if err := c.check(); err != nil {
		return err
	}
	return r.plan.addCredential(c, plain)
}

// jsonSecret is jsonString for what an error must not show.
func jsonSecret(f jsonField) (string, error) {
	out, err := jsontext.AppendUnquote(nil, f.value)
	if err != nil || f.value.Kind() != '"' {
		return "", problemf(ErrMalformed, "the field %q must be a string", f.name)
	}
	return string(out), nil
}

// jsonExpires reads a time; null is none, a key that never expires.
func jsonExpires(f jsonField) (t time.Time, err error) {
	if f.value.Kind() == 'n' {
		return t, nil
	}
	return jsonTime(f)
}

// addresses reads a list of addresses and networks; null is none, from which
// everywhere is allowed.
func (r *jsonReader) addresses(f jsonField) ([]netip.Prefix, error) {
	if f.value.Kind() == 'n' {
		return nil, nil
	}
	list, err := r.strings(f)
	if err != nil {
		return nil, err
	}
	out, err := access.ParseAddresses(list)
	if err != nil {
		return nil, problemf(ErrMalformed, "%s", trimmed(err))
	}
	return out, nil
}

// appendAccount appends an account as a JSON line.
func appendAccount(dst []byte, a access.Account, d roster.DirectoryID, username string) []byte {
	dst = append(dst, `{"kind":"account"`...)
	dst = appendUint(dst, "directory", uint64(d))
	dst = appendText(dst, "user", username)
	if !a.Password.IsZero() {
		dst = appendText(dst, "passwordHash", a.Password.Text())
	}
	dst = appendTexts(appendName(dst, "privileges"), a.Privileges)
	return appendTimes(dst, a.Created, a.Updated)
}

// appendKey appends an API key as a JSON line.
func appendKey(dst []byte, k access.Key, d roster.DirectoryID, username string) []byte {
	dst = append(dst, `{"kind":"apiKey"`...)
	dst = appendText(dst, "id", k.ID)
	dst = appendText(dst, "secretHash", k.Secret.Text())
	dst = appendUint(dst, "directory", uint64(d))
	dst = appendText(dst, "user", username)
	dst = appendTexts(appendName(dst, "endpoints"), k.Endpoints)
	list := make([]string, len(k.Addresses))
	for i, p := range k.Addresses {
		list[i] = access.FormatAddress(p)
	}
	dst = appendTexts(appendName(dst, "ips"), list)
	if !k.Expires.IsZero() {
		dst = appendText(dst, "expiresTime", k.Expires.UTC().Format(time.RFC3339Nano))
	}
	return appendTimes(dst, k.Created, k.Updated)
}
