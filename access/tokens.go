package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/roster"
)

// TokenSpec says what a token is to be good for.
type TokenSpec struct {
	Audience string        // the API, as in Scheme.Name: another one refuses the token
	Life     time.Duration // 0 means Options.TokenLife; more than Options.MaxTokenLife means that
	Binding
}

// IssueToken returns a token for somebody who was let in, and when it expires, to
// the millisecond. Only who showed a password gets one, or whom the host vouches
// for: a token must not outlive the API key or the token that it was made with.
// It makes no Update but the first time, when the store has no key to sign with.
// It returns ErrDenied if p would not be let in any more, see Principal.Current, and
// ErrInvalid for a spec that cannot be.
func (s *Service) IssueToken(ctx context.Context, p Principal, spec TokenSpec) (token string, expires time.Time, err error) {
	if p.By != ByPassword && p.By != ByHost {
		return "", expires, fmt.Errorf("%w: a token is issued for a password", ErrDenied)
	}
	c := claims{audience: spec.Audience}
	if c.bound, c.to, err = spec.claim(); err != nil {
		return "", expires, err
	}
	if len(spec.Audience) > maxAudience || spec.Life < 0 {
		return "", expires, fmt.Errorf("%w: a token needs an audience of at most %d bytes and a life that is not negative", ErrInvalid, maxAudience)
	}
	life := s.o.TokenLife
	if spec.Life > 0 {
		life = min(spec.Life, s.o.MaxTokenLife)
	}
	c.expires = s.o.Now().Add(life).Truncate(time.Millisecond).UTC()
	for {
		err = s.e.View(ctx, func(tx *roster.Txn) error {
			token, err = s.issue(tx, p, &c)
			return err
		})
		if !errors.Is(err, roster.ErrNotFound) {
			return token, c.expires, err
		}
		if err := s.firstTokenKey(ctx); err != nil {
			return "", expires, err
		}
	}
}

// issue signs claims, or returns roster.ErrNotFound if there is no key yet. Who is
// asked about again here: a password that was changed after it was shown must not
// make a token of the next epoch.
func (s *Service) issue(tx *roster.Txn, p Principal, c *claims) (string, error) {
	p, err := p.Current(tx)
	if err != nil {
		return "", err
	}
	a, _, err := s.account(tx, p.User)
	if err != nil {
		return "", err
	}
	keys, err := s.tokenKeys(tx)
	if err != nil {
		return "", err
	}
	if len(keys.Keys) == 0 || len(keys.Keys[0].Key) != tokenKeyBytes {
		return "", fmt.Errorf("access: record %q holds no key: %w", tokenKeyName, roster.ErrCorrupt)
	}
	c.user, c.epoch, c.key = p.User, a.Epoch, keys.Keys[0].ID
	return c.encode(keys.Keys[0].Key), nil
}

// tokenKeys returns what tokens are signed with, or roster.ErrNotFound. It must not
// be changed.
func (s *Service) tokenKeys(tx *roster.Txn) (*tokenRecord, error) {
	return recall(s.records, tx, tokenKeyName, func(key string, data []byte) (rec tokenRecord, err error) {
		return rec, decode(key, data, &rec)
	})
}

func (s *Service) firstTokenKey(ctx context.Context) error {
	_, err := s.e.Update(ctx, func(tx *roster.Txn) error {
		var keys tokenRecord
		if ok, err := found(read(tx, tokenKeyName, &keys)); ok || err != nil {
			return err // somebody else was first
		}
		return NewTokenKey(tx, false, s.o.Now(), s.o.Rand)
	})
	return err
}

// NewTokenKey is the function of that name in an Update of its own.
func (s *Service) NewTokenKey(ctx context.Context, keep bool) error {
	_, err := s.e.Update(ctx, func(tx *roster.Txn) error { return NewTokenKey(tx, keep, s.o.Now(), s.o.Rand) })
	return err
}

// CheckToken returns whose token it is that is used for an audience, with the
// Referer and from the client that use says. It returns ErrInvalidToken for
// everything that it does not take: which reason it was is only logged.
func (s *Service) CheckToken(ctx context.Context, token, audience string, use Binding) (Principal, error) {
	var p Principal
	why := ""
	err := s.e.View(ctx, func(tx *roster.Txn) (err error) {
		_, p, why, err = s.token(tx, token, audience, use)
		return err
	})
	s.decided(ctx, ByToken, p, use.Client, why, err)
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

// token returns what a token says, and who may use it.
func (s *Service) token(tx *roster.Txn, token, audience string, use Binding) (c claims, p Principal, why string, err error) {
	keys, err := s.tokenKeys(tx)
	if _, err := found(err); err != nil {
		return c, p, "", err
	}
	if c, err = decodeToken(token, keys.key); err != nil {
		return c, p, "not issued here", ErrInvalidToken
	}
	p, why, err = s.claimed(tx, &c, audience, use)
	return c, p, why, err
}

// claimed returns who may use a token that says something.
func (s *Service) claimed(tx *roster.Txn, c *claims, audience string, use Binding) (p Principal, why string, err error) {
	p, a, err := s.principal(tx, c.user, ByToken, use.Client)
	switch {
	case err != nil:
		return p, "", err
	case p.By == 0:
		return p, "the user is not active", ErrInvalidToken
	case !s.o.Now().Before(c.expires):
		return p, "expired", ErrInvalidToken
	case c.epoch != a.Epoch:
		return p, "revoked", ErrInvalidToken
	case c.audience != audience:
		return p, "issued for another API", ErrInvalidToken
	case !c.fits(use):
		return p, "bound to another referer or address", ErrInvalidToken
	}
	_, err = tx.Data(Space, c.endedKey())
	if ended, err := found(err); err != nil || ended {
		return p, "ended", cmp.Or(err, ErrInvalidToken)
	}
	p.still = func(tx *roster.Txn) (Principal, error) { return s.stillToken(tx, c, audience, use) }
	return p, "", nil
}

// stillToken holds the claims of a token to what a transaction knows. The key that
// signed it may be gone there; numbers of keys do not come again.
func (s *Service) stillToken(tx *roster.Txn, c *claims, audience string, use Binding) (Principal, error) {
	keys, err := s.tokenKeys(tx)
	if _, err := found(err); err != nil {
		return Principal{}, err
	}
	if keys.key(c.key) == nil {
		return Principal{}, ErrInvalidToken
	}
	p, _, err := s.claimed(tx, c, audience, use)
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}
