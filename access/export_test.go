package access

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// Counter counts derivations, and how much memory they take at one time.
type Counter struct {
	Calls   atomic.Int64
	Memory  atomic.Int64 // KiB, now
	Highest atomic.Int64
	Hold    chan struct{} // if not nil, a derivation waits for it
}

// Count replaces argon2id by something quick that is counted.
func (h *Hasher) Count() *Counter {
	c := &Counter{}
	h.derive = func(password, salt []byte, p Params, size uint32) []byte {
		c.Calls.Add(1)
		now := c.Memory.Add(int64(p.MemoryKiB))
		for old := c.Highest.Load(); now > old && !c.Highest.CompareAndSwap(old, now); old = c.Highest.Load() {
		}
		if c.Hold != nil {
			<-c.Hold
		}
		c.Memory.Add(-int64(p.MemoryKiB))
		b := binary.BigEndian.AppendUint32(nil, p.MemoryKiB)
		b = binary.BigEndian.AppendUint32(b, p.Passes)
		b = append(append(append(b, p.Lanes), salt...), password...)
		sum := sha256.Sum256(b)
		out := append(sum[:], make([]byte, maxSum)...)
		return out[:size]
	}
	return c
}

// EndpointAllowed and FitsReferer are what decides about patterns and referers.
var (
	EndpointAllowed = endpointAllowed
	FitsReferer     = fitsReferer
	LooksLikeToken  = looksLikeToken
)

// Waiting returns how many wait for their turn to hash.
func (h *Hasher) Waiting() int {
	h.gate.mu.Lock()
	defer h.gate.mu.Unlock()
	return len(h.gate.waiting)
}

// Remembered returns how much the Service keeps of what was presented.
func (s *Service) Remembered() (proofs, slots int) {
	s.verified.mu.Lock()
	defer s.verified.mu.Unlock()
	return len(s.verified.known), len(s.throttle.fails) + len(s.throttle.known)
}

// Forgive forgets all failed logins.
func (s *Service) Forgive() { s.throttle = newThrottle() }

// TokenText is how tokens are written.
var TokenText = tokenText

// SealToken returns the token with a body of the caller's, signed.
func SealToken(body, key []byte) string {
	return tokenText.EncodeToString(append(body[:len(body):len(body)], sign(key, body)...))
}

// DecodeToken decodes a token that one key may have signed.
func DecodeToken(text string, key []byte) (string, error) {
	c, err := decodeToken(text, func(uint32) []byte { return key })
	if err != nil {
		return "", err
	}
	return c.encode(key), nil
}
