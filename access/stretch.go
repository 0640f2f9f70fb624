package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rosterdb/roster"
)

// Stretching is how the secrets of API keys that people chose are hashed in one
// store.
type Stretching struct {
	h    *Hasher
	like phc
}

// Hash returns the Hash of a secret: SHA-256 for one that MakeSecret has made,
// argon2id for any other. Its errors are those of Hasher.Hash.
func (s Stretching) Hash(ctx context.Context, secret string) (Hash, error) {
	if isRandom(secret) {
		return hashSecret(secret), nil
	}
	if secret == "" || len(secret) > MaxPassword {
		return Hash{}, fmt.Errorf("%w: the secret of an API key must be 1 to %d bytes long", ErrInvalid, MaxPassword)
	}
	return s.h.with(ctx, secret, s.like)
}

// parseStretch reads a hash up to its salt.
func parseStretch(text string) (phc, error) {
	p, err := parsePHC(text + "$" + b64.EncodeToString(make([]byte, sumBytes)))
	if err != nil {
		return phc{}, fmt.Errorf("access: record %q: %w: %w", stretchKey, err, roster.ErrCorrupt)
	}
	return p, nil
}

// stretches are all that secrets in a store were stretched with.
func stretches(in Values) ([]phc, error) {
	var rec stretchRecord
	if ok, err := found(read(in, stretchKey, &rec)); !ok {
		return nil, err
	}
	var out []phc
	for _, text := range rec.With[:min(len(rec.With), maxStretches)] {
		p, err := parseStretch(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// own returns the one of some ways that h stretches with: the first with its
// parameters, else the one that makes the most work. It is empty if there are none.
func (h *Hasher) own(ways []phc) []phc {
	for i, p := range ways {
		if p.Params == h.params {
			return ways[i : i+1]
		}
	}
	if len(ways) == 0 {
		return nil
	}
	return []phc{slices.MaxFunc(ways, func(a, b phc) int { return cmp.Compare(a.work(), b.work()) })}
}

// candidates returns the hashes that a secret has if it is that of a key.
func (h *Hasher) candidates(ctx context.Context, ways []phc, secret string) ([]Hash, error) {
	out := []Hash{hashSecret(secret)}
	if isRandom(secret) || secret == "" || len(secret) > MaxPassword {
		return out, nil
	}
	for _, p := range ways {
		hash, err := h.with(ctx, secret, p)
		if err != nil {
			return nil, err
		}
		out = append(out, hash)
	}
	return out, nil
}
