package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"

	"github.com/rosterdb/roster/internal/text"
	"golang.org/x/crypto/argon2"
)

// HashOptions say how passwords are hashed. The zero value is a good default.
type HashOptions struct {
	// Params of new hashes. A hash with others goes on to be good, and is made
	// anew at the next login. The zero value is m=19456 KiB, t=2, p=1: some 20 ms.
	Params Params

	// MemoryKiB bounds the memory of all hashing at one time; one password whose
	// hash asks for more is checked alone. 0 means 64 MiB.
	MemoryKiB uint32

	// Queue is how many may wait for their turn. Whoever comes then gets ErrBusy.
	// 0 means 256, negative means none.
	Queue int

	// Rand is where salts come from. Nil means crypto/rand.
	Rand io.Reader
}

// Hasher hashes passwords and checks them. It may be used by any number of
// goroutines; all of them together use no more memory than HashOptions says.
type Hasher struct {
	params Params
	rand   io.Reader
	gate   gate

	// derive is argon2.IDKey; tests count its calls.
	derive func(password, salt []byte, p Params, size uint32) []byte
}

// MaxPassword is the length of the longest password, in bytes. Longer ones are
// ErrInvalid when they are set, and wrong when they are checked.
const MaxPassword = 1024

// NewHasher returns a Hasher, or ErrInvalid for Params that ParseHash would
// refuse.
func NewHasher(o HashOptions) (*Hasher, error) {
	if o.Params == (Params{}) {
		o.Params = defaultParams
	}
	if err := o.Params.check(); err != nil {
		return nil, err
	}
	if o.MemoryKiB == 0 {
		o.MemoryKiB = 64 << 10
	}
	if o.Queue == 0 {
		o.Queue = 256
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	h := &Hasher{params: o.Params, rand: o.Rand, derive: argon}
	h.gate.free, h.gate.all, h.gate.queue = o.MemoryKiB, o.MemoryKiB, max(o.Queue, 0)
	return h, nil
}

func argon(password, salt []byte, p Params, size uint32) []byte {
	return argon2.IDKey(password, salt, p.Passes, p.MemoryKiB, p.Lanes, size)
}

// Hash returns the hash of a password with a new salt. It is ErrInvalid for an
// empty or too long password, and ErrBusy or the error of ctx when it gets no
// turn.
func (h *Hasher) Hash(ctx context.Context, password string) (Hash, error) {
	if password == "" || len(password) > MaxPassword {
		return Hash{}, fmt.Errorf("%w: a password must be 1 to %d bytes long", ErrInvalid, MaxPassword)
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return Hash{}, fmt.Errorf("access: salt of a password: %w", err)
	}
	return h.with(ctx, password, phc{Params: h.params, salt: salt, sum: make([]byte, sumBytes)})
}

// with returns the hash of a password with the parameters and the salt of
// another, as long as that.
func (h *Hasher) with(ctx context.Context, password string, like phc) (Hash, error) {
	if err := h.gate.enter(ctx, like.MemoryKiB); err != nil {
		return Hash{}, err
	}
	defer h.gate.leave(like.MemoryKiB)
	like.sum = h.derive([]byte(text.Normal(password)), like.salt, like.Params, uint32(len(like.sum)))
	return like.hash(), nil
}

// Verify reports whether a password is the one of a hash. It takes as long when
// it is not. The zero Hash fits no password, and takes as long as one that was
// made here.
func (h *Hasher) Verify(ctx context.Context, hash Hash, password string) (bool, error) {
	if password == "" || len(password) > MaxPassword {
		return false, nil
	}
	if hash.IsZero() {
		_, err := h.with(ctx, password, phc{Params: h.params, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)})
		return false, err
	}
	p, err := parsePHC(hash.Text())
	if err != nil {
		return false, err
	}
	if p.fast {
		return hash.Equal(hashSecret(password)), nil
	}
	got, err := h.with(ctx, password, p)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(got.Text()), []byte(hash.Text())) == 1, nil
}

// Outdated reports whether a hash was made with other parameters than those of
// the Hasher, weaker or stronger: as long as there are several, how long a wrong
// password takes tells a little about whose it is.
func (h *Hasher) Outdated(hash Hash) bool {
	p, err := parsePHC(hash.Text())
	return err == nil && !p.fast && (p.Params != h.params || len(p.sum) != sumBytes)
}

// gate shares out memory in the order of asking.
type gate struct {
	mu      sync.Mutex
	free    uint32 // guarded by mu
	all     uint32
	queue   int
	waiting []*waiter // guarded by mu
}

type waiter struct {
	need  uint32
	ready chan struct{} // closed when the memory is the waiter's
}

// enter waits for memory. Nobody overtakes: a large hash gets its turn.
func (g *gate) enter(ctx context.Context, need uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	need = min(need, g.all)
	g.mu.Lock()
	if len(g.waiting) == 0 && need <= g.free {
		g.free -= need
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting) >= g.queue {
		g.mu.Unlock()
		return ErrBusy
	}
	w := &waiter{need, make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		g.giveUp(w)
		return ctx.Err()
	}
}

// giveUp takes a waiter out of the queue, or gives back what it has just got.
func (g *gate) giveUp(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.admit() // the next one may need less
			return
		}
	}
	g.free += w.need
	g.admit()
}

func (g *gate) leave(need uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += min(need, g.all)
	g.admit()
}

// admit lets in those at the front for whom there is room. The caller holds mu.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.waiting[0].need <= g.free {
		g.free -= g.waiting[0].need
		close(g.waiting[0].ready)
		g.waiting = g.waiting[1:]
	}
}
