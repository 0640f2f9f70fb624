package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/rosterdb/roster"
)

// verified remembers for a short time what was found to be right, so that a
// program that sends its password with every request does not pay for the hash
// each time. It holds no password: entries stand under a hash of name, password
// and address with a key that never leaves the process. What is found here is
// held to the record of the account as it is then: after a change of the
// password, or of the epoch, it is good for nothing.
//
// The address is part of it so that nobody can use the cache to guess: from
// elsewhere the right password is as unknown as a wrong one.
type verified struct {
	key   [32]byte
	mu    sync.Mutex
	known map[credential]*proof // guarded by mu
	ring  []credential          // guarded by mu: the oldest at next
	next  int                   // guarded by mu
	busy  map[credential]*check // guarded by mu: being verified
}

// credential is a keyed hash of what somebody presented.
type credential [sha256.Size]byte

// proof is what was right, and until when it is believed.
type proof struct {
	user   roster.UserID
	epoch  uint64 // of the account that a password was right for
	key    string // the ID of the API key, "" of a password
	alone  bool   // the key was found by its secret alone
	secret Hash   // of the API key that it was right for
	until  time.Time
}

// check is a verification that others may wait for.
type check struct {
	done chan struct{}
	p    *proof // valid once done
	err  error
}

func newVerified(most int) (*verified, error) {
	v := &verified{known: map[credential]*proof{}, ring: make([]credential, most), busy: map[credential]*check{}}
	_, err := rand.Read(v.key[:])
	return v, err
}

// credential returns the key of what was presented. Each part stands behind its
// length, so that parts cannot run into each other.
func (v *verified) credential(parts ...string) (c credential) {
	mac := hmac.New(sha256.New, v.key[:])
	for _, p := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		mac.Write([]byte(p))
	}
	mac.Sum(c[:0])
	return c
}

// get returns what is known of a credential, or nil.
func (v *verified) get(c credential, now time.Time) *proof {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.known[c]
	if p == nil {
		return nil
	}
	if now.After(p.until) {
		delete(v.known, c)
		return nil
	}
	return p
}

// put remembers a proof in the place of the oldest.
func (v *verified) put(c credential, p *proof) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.ring) == 0 {
		return
	}
	if v.known[c] == nil {
		delete(v.known, v.ring[v.next])
		v.ring[v.next] = c
		v.next = (v.next + 1) % len(v.ring)
	}
	v.known[c] = p
}

func (v *verified) drop(c credential) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, c)
}

// join returns the verification of a credential that goes on, and whether it is
// the caller's to carry out and to finish.
func (v *verified) join(c credential) (k *check, lead bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k = v.busy[c]; k != nil {
		return k, false
	}
	k = &check{done: make(chan struct{})}
	v.busy[c] = k
	return k, true
}

func (v *verified) finish(c credential, k *check, p *proof, err error) {
	k.p, k.err = p, err
	v.mu.Lock()
	delete(v.busy, c)
	v.mu.Unlock()
	close(k.done)
}
