package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Hash is a password or a secret in the form in which it is stored. The zero
// Hash is none, and nothing fits it. A Hash does not show itself: printed,
// logged or marshalled, whatever it stands in, it is the word "hidden". Text
// returns it.
type Hash struct {
	text *string // a pointer: package fmt does not follow it in a field of somebody's struct
}

// Text returns the hash as it is stored and exported, "" for the zero Hash:
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>   the PHC string format
//	$sha256$<hash>                                 of 32 random bytes, which need no more
//
// Salt and hash are base64 without padding.
func (h Hash) Text() string {
	if h.text == nil {
		return ""
	}
	return *h.text
}

// IsZero reports whether there is no hash.
func (h Hash) IsZero() bool { return h.text == nil }

// Equal reports whether two hashes are the same text.
func (h Hash) Equal(other Hash) bool {
	return subtle.ConstantTimeCompare([]byte(h.Text()), []byte(other.Text())) == 1
}

const hidden = "hidden"

func (h Hash) String() string               { return hidden }
func (h Hash) GoString() string             { return hidden }
func (h Hash) Format(f fmt.State, _ rune)   { fmt.Fprint(f, hidden) }
func (h Hash) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (h Hash) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Params are those of argon2id.
type Params struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// The default is what OWASP recommends for argon2id where memory is dear.
var defaultParams = Params{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1}

// Limits of what a hash may ask of whoever checks a password against it. An
// imported file must not be able to stop the program.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 32
	maxLanes     = 16
	maxWork      = 1 << 20 // memory times passes, in KiB

	minSalt, maxSalt = 8, 64 // bytes
	minSum, maxSum   = 16, 64

	saltBytes, sumBytes = 16, 32 // of what is made here
)

func (p Params) check() error {
	switch {
	case p.Passes < 1 || p.Passes > maxPasses || p.Lanes < 1 || p.Lanes > maxLanes,
		p.MemoryKiB < 8*uint32(p.Lanes) || p.MemoryKiB > maxMemoryKiB,
		p.work() > maxWork:
		return fmt.Errorf("%w: argon2id with m=%d,t=%d,p=%d: at most m=%d, t=%d, p=%d and m·t=%d are taken",
			ErrInvalid, p.MemoryKiB, p.Passes, p.Lanes, maxMemoryKiB, maxPasses, maxLanes, maxWork)
	}
	return nil
}

// work is what a hash costs, in KiB.
func (p Params) work() uint64 { return uint64(p.MemoryKiB) * uint64(p.Passes) }

// phc is a Hash in its parts.
type phc struct {
	Params
	fast bool // SHA-256 of a random secret: no params, no salt
	salt []byte
	sum  []byte
}

// b64 is strict: a hash has one text.
var b64 = base64.RawStdEncoding.Strict()

const (
	prefixArgon = "$argon2id$v=19$"
	prefixFast  = "$sha256$"
)

// ParseHash reads a hash as Text writes it, or returns ErrInvalid without a word
// of it. It takes argon2id of version 19 and, for the secrets of API keys,
// sha256.
func ParseHash(text string) (Hash, error) {
	if _, err := parsePHC(text); err != nil {
		return Hash{}, err
	}
	return Hash{&text}, nil
}

func parsePHC(text string) (p phc, err error) {
	if rest, ok := strings.CutPrefix(text, prefixFast); ok {
		p.fast = true
		if p.sum, err = b64.DecodeString(rest); err != nil || len(p.sum) != sha256.Size {
			return phc{}, malformed("a sha256 must be 32 bytes in base64 without padding")
		}
		return p, checkAgain(text, p)
	}
	rest, ok := strings.CutPrefix(text, prefixArgon)
	if !ok {
		return phc{}, malformed("it must begin with " + prefixArgon)
	}
	parts := strings.Split(rest, "$")
	if len(parts) != 3 {
		return phc{}, malformed("it must be parameters, salt and hash")
	}
	if p.Params, err = parseParams(parts[0]); err != nil {
		return phc{}, err
	}
	if p.salt, err = b64.DecodeString(parts[1]); err != nil || len(p.salt) < minSalt || len(p.salt) > maxSalt {
		return phc{}, malformed("the salt must be 8 to 64 bytes in base64 without padding")
	}
	if p.sum, err = b64.DecodeString(parts[2]); err != nil || len(p.sum) < minSum || len(p.sum) > maxSum {
		return phc{}, malformed("the hash must be 16 to 64 bytes in base64 without padding")
	}
	return p, checkAgain(text, p)
}

func malformed(what string) error { return fmt.Errorf("%w: not a hash: %s", ErrInvalid, what) }

// checkAgain makes sure that a hash has one text: two that mean the same must not
// count as a change.
func checkAgain(text string, p phc) error {
	if p.text() != text {
		return malformed("it is not written in the plainest form")
	}
	return nil
}

func parseParams(s string) (p Params, err error) {
	var v [3]uint64
	for i, part := range strings.SplitN(s, ",", 3) {
		digits, ok := strings.CutPrefix(part, []string{"m=", "t=", "p="}[i])
		if !ok {
			return p, malformed("the parameters must be m, t and p")
		}
		bits := []int{32, 32, 8}[i]
		if v[i], err = strconv.ParseUint(digits, 10, bits); err != nil {
			return p, malformed("the parameters must be numbers")
		}
	}
	p = Params{uint32(v[0]), uint32(v[1]), uint8(v[2])}
	return p, p.check()
}

func (p *phc) text() string {
	if p.fast {
		return prefixFast + b64.EncodeToString(p.sum)
	}
	return p.stretch() + "$" + b64.EncodeToString(p.sum)
}

// stretch is the text up to the salt: all that is needed to hash a secret again.
func (p *phc) stretch() string {
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s", prefixArgon, p.MemoryKiB, p.Passes, p.Lanes, b64.EncodeToString(p.salt))
}

func (p *phc) hash() Hash {
	s := p.text()
	return Hash{&s}
}

// hashSecret is the Hash of a secret of 32 random bytes. There is nothing to
// guess in such a secret, so a fast hash without salt is right for it.
func hashSecret(secret string) Hash {
	sum := sha256.Sum256([]byte(secret))
	p := phc{fast: true, sum: sum[:]}
	return p.hash()
}
