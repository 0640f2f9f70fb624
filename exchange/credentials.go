package exchange

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
	"github.com/rosterdb/roster/internal/text"
)

// Accounts and API keys are a spool of their own. Passwords and secrets stand in
// it encrypted, with a key that this process alone has and forgets: a temporary
// file must not hold what a store must not.

// credential is one account or API key of an input.
type credential struct {
	header
	byName     bool               // the user is named without a directory
	directory  roster.DirectoryID // of the user
	username   string
	user       symbol // unless byName
	id         string // of a key
	secret     []byte // a password or a secret, encrypted; nil if it was hashed, or left out
	hash       access.Hash
	privileges []string
	endpoints  []string
	addresses  []netip.Prefix
	expires    time.Time // zero: never

	size int // its bytes in the spool; set by decode
}

func (c *credential) encode(dst []byte) []byte {
	dst = c.header.encode(dst)
	dst = appendBool(dst, c.byName)
	dst = binary.AppendUvarint(dst, uint64(c.directory))
	dst = binary.AppendUvarint(dst, uint64(c.user))
	for _, s := range []string{c.username, c.id, string(c.secret), c.hash.Text()} {
		dst = appendString(dst, s)
	}
	dst = appendStrings(appendStrings(dst, c.privileges), c.endpoints)
	addresses := make([]string, len(c.addresses))
	for i, p := range c.addresses {
		addresses[i] = access.FormatAddress(p)
	}
	dst = appendStrings(dst, addresses)
	dst = appendBool(dst, !c.expires.IsZero())
	return binary.AppendUvarint(binary.AppendVarint(dst, c.expires.Unix()), uint64(c.expires.Nanosecond()))
}

// decode reads what encode wrote.
func (c *credential) decode(src []byte) (err error) {
	d := decoder{src: src}
	*c = credential{header: d.header(), size: len(src)}
	c.byName = d.bool()
	c.directory, c.user = roster.DirectoryID(d.uvarint()), symbol(d.uvarint())
	c.username, c.id = d.string(), d.string()
	if s := d.string(); s != "" {
		c.secret = []byte(s)
	}
	if s := d.string(); s != "" {
		if c.hash, err = access.ParseHash(s); err != nil {
			return errSpool
		}
	}
	c.privileges, c.endpoints = d.strings(), d.strings()
	if c.addresses, err = access.ParseAddresses(d.strings()); err != nil {
		return errSpool
	}
	expires := d.bool()
	seconds := d.varint()
	if t := time.Unix(seconds, int64(d.uvarint())).UTC(); expires {
		c.expires = t
	}
	return d.end()
}

// addCredential adds an account or an API key whose password or secret, if it has
// one that is not hashed, is plain.
func (p *Plan) addCredential(c *credential, plain string) (err error) {
	claim, what := "key "+c.id, fmt.Sprintf("the API key %q", c.id)
	if c.kind == kindAccount {
		claim, what = "account "+nameKey(kindUser, c.directory, c.username), fmt.Sprintf("the account of %q", c.username)
	}
	if old, ok := p.symbols.claim(claim, c.at); !ok {
		return problemf(ErrDuplicate, "%s is in the input twice, first in %s", what, p.place(old, c.at))
	}
	if plain != "" {
		if p.sealer == nil {
			if p.sealer, err = newSealer(); err != nil {
				return err
			}
		}
		c.secret = p.sealer.seal(plain)
		p.secrets++
	}
	p.count[c.kind]++
	p.buf = c.encode(p.buf[:0])
	return p.credentials.writeFramed(p.buf)
}

// eachCredential calls fn for every account and API key in the order of the
// input. An error of fn is returned with the line.
func (p *Plan) eachCredential(ctx context.Context, fn func(*credential) error) error {
	if p.count[kindAccount]+p.count[kindKey] == 0 {
		return nil
	}
	return p.credentials.eachFrame(ctx, func(frame []byte) error {
		var c credential
		if err := c.decode(frame); err != nil {
			return err
		}
		return p.fail(c.at, fn(&c))
	})
}

// sealer encrypts what must not stand in a file as it is.
type sealer struct {
	aead cipher.AEAD
	n    uint64 // sealed so far: the nonce
}

func newSealer() (*sealer, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("key of the temporary file: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead: aead}, err
}

func (s *sealer) seal(plain string) []byte {
	s.n++
	nonce := binary.BigEndian.AppendUint64(make([]byte, s.aead.NonceSize()-8), s.n)
	return s.aead.Seal(nonce, nonce, []byte(plain), nil)
}

func (s *sealer) open(sealed []byte) (string, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", errSpool
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return "", errSpool
	}
	return string(plain), nil
}

// toAccount returns old with the fields of the record.
func (c *credential) toAccount(old access.Account, hash access.Hash) access.Account {
	set(&c.header, hasSecret, &old.Password, hash)
	set(&c.header, hasPrivileges, &old.Privileges, c.privileges)
	set(&c.header, hasCreated, &old.Created, c.created)
	c.later(&old.Updated)
	return old
}

// toKey returns old with the fields of the record.
func (c *credential) toKey(old access.Key, hash access.Hash) access.Key {
	old.ID = c.id
	set(&c.header, hasSecret, &old.Secret, hash)
	set(&c.header, hasEndpoints, &old.Endpoints, c.endpoints)
	set(&c.header, hasNetworks, &old.Addresses, c.addresses)
	set(&c.header, hasExpires, &old.Expires, c.expires)
	set(&c.header, hasCreated, &old.Created, c.created)
	c.later(&old.Updated)
	return old
}

// check makes of lists what package access would store, or returns ErrMalformed
// for a record that it would refuse.
func (c *credential) check() (err error) {
	if err := text.ValidName(c.username); err != nil {
		return problemf(ErrMalformed, "the name of a user %v", err)
	}
	for _, t := range []time.Time{c.created, c.updated, c.expires} {
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return problemf(ErrMalformed, "a time must be in the years 0 to 9999")
		}
	}
	if c.kind == kindAccount {
		c.privileges, err = access.CheckPrivileges(c.privileges)
	} else {
		k := c.toKey(access.Key{}, c.hash)
		if k.Secret.IsZero() {
			_, k.Secret, err = access.MakeSecret(nil) // it will have one
		}
		if err == nil {
			k, err = k.Check()
		}
		c.endpoints, c.addresses = k.Endpoints, k.Addresses
	}
	if errors.Is(err, access.ErrInvalid) {
		return problemf(ErrMalformed, "%s", trimmed(err))
	}
	return err
}
