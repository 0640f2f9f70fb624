package access

import (
	"context"
	"errors"
	"net/netip"

	"github.com/rosterdb/roster"
)

// KeyUse is what API keys are limited by.
type KeyUse struct {
	Path   string     // of the request, escaped as it stands there
	Client netip.Addr // where it comes from
}

// LoginKey returns the user of an API key with that ID and secret. An empty ID
// finds the key by its secret alone; if several keys have it, none is found. It
// returns ErrDenied for one that is unknown, has expired, or whose user is not
// active, and ErrForbidden for one that is right and not for that use. Secrets
// that people chose are hashed like passwords, with the errors and the throttling
// of Login; an unknown ID takes as long as one of these, if there are any.
func (s *Service) LoginKey(ctx context.Context, id, secret string, use KeyUse) (Principal, error) {
	p, why, err := s.loginKey(ctx, id, secret, use)
	s.decided(ctx, ByKey, p, use.Client, why, err)
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

func (s *Service) loginKey(ctx context.Context, id, secret string, use KeyUse) (p Principal, why string, err error) {
	if secret == "" || len(secret) > MaxPassword || len(id) > maxKeyID {
		return p, "no secret that a key can have", ErrDenied
	}
	if isRandom(secret) {
		return s.randomKey(ctx, id, secret, use)
	}
	c := s.verified.credential("key", id, secret, use.Client.String())
	return s.remembered(ctx, c, whoseKey(id, use.Client), func(tx *roster.Txn, known *proof) (Principal, error) {
		return s.stillKey(tx, known, use)
	}, func() (*proof, string, error) {
		return s.verifyKey(ctx, id, secret, use.Client)
	})
}

// randomKey lets in by a secret that cannot be guessed: there is nothing to slow
// down and nothing to remember.
func (s *Service) randomKey(ctx context.Context, id, secret string, use KeyUse) (p Principal, why string, err error) {
	err = s.e.View(ctx, func(tx *roster.Txn) error {
		k, err := s.find(tx, id, []Hash{hashSecret(secret)})
		if err != nil {
			why = "unknown key"
			return err
		}
		p, why, err = s.useKey(tx, k, use)
		known := &proof{user: k.User, key: k.ID, alone: id == "", secret: k.Secret}
		p.still = func(tx *roster.Txn) (Principal, error) { return s.stillKey(tx, known, use) }
		return err
	})
	return p, why, err
}

// verifyKey checks a secret that somebody may have chosen.
func (s *Service) verifyKey(ctx context.Context, id, secret string, client netip.Addr) (*proof, string, error) {
	a, wait := s.throttle.begin(whoseKey(id, client), s.o.Now())
	if wait > 0 {
		return nil, "too many failures", &ThrottledError{wait}
	}
	known, err := s.searchKey(ctx, id, secret)
	switch {
	case err == nil:
		a.right()
		return known, "", nil
	case !errors.Is(err, ErrDenied):
		a.undo()
	}
	return nil, "unknown key", err
}

// whoseKey is what logins with an API key are counted by.
func whoseKey(id string, client netip.Addr) who {
	if id == "" {
		return who{from: client}
	}
	return who{"key\x00" + id, "key\x00" + id, client}
}

// searchKey finds the key of a secret. It hashes outside of views.
func (s *Service) searchKey(ctx context.Context, id, secret string) (*proof, error) {
	var ways []phc
	err := s.e.View(ctx, func(tx *roster.Txn) (err error) {
		ways, err = s.ways(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	hashes, err := s.hasher.candidates(ctx, ways, secret)
	if err != nil {
		return nil, err
	}
	var k *Key
	err = s.e.View(ctx, func(tx *roster.Txn) (err error) {
		k, err = s.find(tx, id, hashes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &proof{user: k.User, key: k.ID, alone: id == "", secret: k.Secret, until: s.o.Now().Add(s.o.VerifiedFor)}, nil
}

// ways returns how the secret of a key may have been hashed: as that key's if
// there is one of the ID, else as any. An ID that is unknown, or that of a key with
// a random secret, takes as long as one of a secret that somebody chose.
func (s *Service) ways(tx *roster.Txn, id string) ([]phc, error) {
	all, err := stretches(tx)
	if err != nil || id == "" {
		return all, err
	}
	k, err := s.key(tx, id)
	if err != nil || k == nil {
		return s.hasher.own(all), err
	}
	p, err := parsePHC(k.Secret.Text())
	if p.fast {
		return s.hasher.own(all), err
	}
	return []phc{p}, err
}

// find returns the key of an ID, or the only one, that has one of some hashes.
func (s *Service) find(tx *roster.Txn, id string, hashes []Hash) (*Key, error) {
	var fit []*Key
	for _, hash := range hashes {
		ids := []string{id}
		if id == "" {
			var err error
			if ids, err = keysWith(tx, hash); err != nil {
				return nil, err
			}
		}
		for _, id := range ids[:min(len(ids), 2)] {
			k, err := s.key(tx, id)
			if err != nil {
				return nil, err
			}
			if k != nil && k.Secret.Equal(hash) {
				fit = append(fit, k)
			}
		}
	}
	if len(fit) != 1 {
		return nil, ErrDenied
	}
	return fit[0], nil
}

// stillKey holds a proof to the keys as a transaction knows them.
func (s *Service) stillKey(tx *roster.Txn, known *proof, use KeyUse) (Principal, error) {
	k, err := s.key(tx, known.key)
	if err != nil {
		return Principal{}, err
	}
	if k == nil || !k.Secret.Equal(known.secret) {
		return Principal{}, ErrDenied
	}
	if known.alone {
		ids, err := keysWith(tx, k.Secret)
		if err != nil {
			return Principal{}, err
		}
		if len(ids) != 1 {
			return Principal{}, ErrDenied // another key has got that secret too
		}
	}
	p, _, err := s.useKey(tx, k, use)
	if err != nil {
		return Principal{}, err
	}
	p.still = func(tx *roster.Txn) (Principal, error) { return s.stillKey(tx, known, use) }
	return p, nil
}

// useKey returns the user of a key whose secret was right.
func (s *Service) useKey(tx *roster.Txn, k *Key, use KeyUse) (Principal, string, error) {
	p, _, err := s.principal(tx, k.User, ByKey, use.Client)
	p.Key = k.ID
	switch {
	case err != nil:
		return p, "", err
	case p.By == 0:
		return p, "the user of the key is not active", ErrDenied
	case !k.Expires.IsZero() && !s.o.Now().Before(k.Expires):
		return p, "the key has expired", ErrDenied
	case len(k.Addresses) > 0 && !comesFrom(use.Client, k.Addresses):
		return p, "the key is not for that address", ErrForbidden
	case !endpointAllowed(k.Endpoints, use.Path):
		return p, "the key is not for that endpoint", ErrForbidden
	}
	return p, "", nil
}
