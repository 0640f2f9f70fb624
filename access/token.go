package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/rosterdb/roster"
)

// A token is text in URL-safe base64 without padding; nothing in it is secret
// but that nobody else can make it:
//
//	version u8 = 1 | key u32 | user u32 | epoch u64 | expires, ms since 1970, u64
//	audience: length u8, bytes
//	bound u8: 0 to nothing, 1 to a referer, 2 to an address; length u16, bytes of that
//	HMAC-SHA256 of all before it, 32 bytes
//
// Numbers are big-endian. There is one way to sign and no field that names it.
// The key is one of the store's, found by its number.
const (
	tokenVersion = 1
	maxToken     = 4096 // bytes of text
	maxReferer   = 2048
	maxAudience  = 64
	macBytes     = sha256.Size
)

const (
	boundToNothing = iota
	boundToReferer
	boundToAddress
)

// claims are what a token says.
type claims struct {
	key      uint32
	user     roster.UserID
	epoch    uint64
	expires  time.Time
	audience string
	bound    byte
	to       string // the referer, or the address

	id [16]byte // of the token that was decoded: the beginning of its MAC's SHA-256
}

var tokenText = base64.RawURLEncoding.Strict()

// encode returns the token of claims signed with a key.
func (c *claims) encode(key []byte) string {
	b := []byte{tokenVersion}
	b = binary.BigEndian.AppendUint32(b, c.key)
	b = binary.BigEndian.AppendUint32(b, uint32(c.user))
	b = binary.BigEndian.AppendUint64(b, c.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(c.expires.UnixMilli()))
	b = append(append(b, byte(len(c.audience))), c.audience...)
	b = binary.BigEndian.AppendUint16(append(b, c.bound), uint16(len(c.to)))
	b = append(b, c.to...)
	return tokenText.EncodeToString(append(b, sign(key, b)...))
}

func sign(key, b []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	return mac.Sum(nil)
}

// errToken says that a text is no token that was issued here.
var errToken = errors.New("not a token")

// decodeToken reads a token whose signature is right. KeyOf returns the key of a
// number, nil if there is none. Nothing of it is looked at beside that number
// before the signature is found to be right.
func decodeToken(text string, keyOf func(uint32) []byte) (c claims, err error) {
	if len(text) > maxToken || strings.ContainsAny(text, "\r\n") { // base64 skips these two
		return c, errToken
	}
	b, err := tokenText.DecodeString(text)
	if err != nil || len(b) < 1+4+macBytes || b[0] != tokenVersion {
		return c, errToken
	}
	body, mac := b[:len(b)-macBytes], b[len(b)-macBytes:]
	key := keyOf(binary.BigEndian.Uint32(body[1:]))
	if key == nil || !hmac.Equal(mac, sign(key, body)) {
		return c, errToken
	}
	if c, err = decodeClaims(body); err == nil {
		sum := sha256.Sum256(mac)
		c.id = [16]byte(sum[:])
	}
	return c, err
}

// decodeClaims reads a token without its signature.
func decodeClaims(b []byte) (c claims, err error) {
	const fixed = 1 + 4 + 4 + 8 + 8
	if len(b) < fixed+1 {
		return c, errToken
	}
	c.key, c.user = binary.BigEndian.Uint32(b[1:]), roster.UserID(binary.BigEndian.Uint32(b[5:]))
	c.epoch, c.expires = binary.BigEndian.Uint64(b[9:]), time.UnixMilli(int64(binary.BigEndian.Uint64(b[17:]))).UTC()
	n, b := int(b[fixed]), b[fixed+1:]
	if len(b) < n+3 {
		return c, errToken
	}
	c.audience, c.bound = string(b[:n]), b[n]
	size, rest := int(binary.BigEndian.Uint16(b[n+1:])), b[n+3:]
	if len(rest) != size || c.bound > boundToAddress || (c.bound == boundToNothing) != (size == 0) {
		return c, errToken
	}
	c.to = string(rest)
	return c, nil
}

// tokenRecord holds the keys that tokens are signed with. The first signs, the
// others are still good.
type tokenRecord struct {
	V    int        `json:"v"`
	Keys []tokenKey `json:"keys"`
}

type tokenKey struct {
	ID      uint32    `json:"id"`
	Key     []byte    `json:"key"`
	Created time.Time `json:"created"`
}

func (r tokenRecord) version() int { return r.V }

const (
	tokenKeyName  = "token"
	tokenKeyBytes = 32
	maxTokenKeys  = 4
)

// key returns the key of a number, or nil. Nobody has a nil record.
func (r *tokenRecord) key(id uint32) []byte {
	if r == nil {
		return nil
	}
	for _, k := range r.Keys {
		if k.ID == id && len(k.Key) == tokenKeyBytes {
			return k.Key
		}
	}
	return nil
}

// NewTokenKey makes tokens be signed with a new random key from now on. Those
// that older keys have signed stay good if keep is true, up to three keys back;
// otherwise no token that was issued before is good any more. A nil from means
// crypto/rand.
func NewTokenKey(to Values, keep bool, now time.Time, from io.Reader) error {
	var rec tokenRecord
	if _, err := found(read(to, tokenKeyName, &rec)); err != nil {
		return err
	}
	k := tokenKey{ID: 1, Key: make([]byte, tokenKeyBytes), Created: stamp(now)}
	for _, old := range rec.Keys {
		k.ID = max(k.ID, old.ID+1)
	}
	if _, err := io.ReadFull(orRandom(from), k.Key); err != nil {
		return fmt.Errorf("access: key of tokens: %w", err)
	}
	if !keep {
		rec.Keys = nil
	}
	rec.V, rec.Keys = recordVersion, append([]tokenKey{k}, rec.Keys...)
	rec.Keys = rec.Keys[:min(len(rec.Keys), maxTokenKeys)]
	_, err := write(to, tokenKeyName, rec)
	return err
}

// Binding says where a token may be used. The zero Binding is everywhere.
type Binding struct {
	Referer string     // requests must come from here, as their Referer says
	Client  netip.Addr // or from here
}

func (b Binding) claim() (kind byte, to string, err error) {
	switch {
	case b.Referer != "" && b.Client.IsValid():
		return 0, "", fmt.Errorf("%w: a token can be bound to a referer or to an address, not to both", ErrInvalid)
	case len(b.Referer) > maxReferer:
		return 0, "", fmt.Errorf("%w: a referer must be at most %d bytes long", ErrInvalid, maxReferer)
	case b.Referer != "":
		return boundToReferer, b.Referer, nil
	case b.Client.IsValid():
		return boundToAddress, plainAddr(b.Client).String(), nil
	}
	return boundToNothing, "", nil
}

// fits reports whether a token is used where it is bound to.
func (c *claims) fits(use Binding) bool {
	switch c.bound {
	case boundToReferer:
		return fitsReferer(c.to, use.Referer)
	case boundToAddress:
		return use.Client.IsValid() && plainAddr(use.Client).String() == c.to
	}
	return true
}

// fitsReferer reports whether a Referer lies under the one that a token is bound
// to: of the same scheme, host and port, capital letters in them not counting,
// and under its path. https://maps.example does not fit
// https://maps.example.evil.example. What is no URL with a host must be the same
// text, or the host of the Referer.
func fitsReferer(bound, referer string) bool {
	if bound == referer {
		return bound != ""
	}
	r, err := url.Parse(referer)
	if err != nil || r.Host == "" {
		return false
	}
	b, err := url.Parse(bound)
	if err != nil || b.Host == "" || b.Scheme == "" {
		return strings.EqualFold(bound, r.Host)
	}
	if !strings.EqualFold(b.Scheme, r.Scheme) || !strings.EqualFold(b.Host, r.Host) || r.User != nil || b.User != nil {
		return false
	}
	under := strings.TrimSuffix(b.EscapedPath(), "/")
	rest, ok := strings.CutPrefix(r.EscapedPath(), under)
	return ok && (rest == "" || rest[0] == '/') && plainPath(r.Path)
}
