package access

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/rosterdb/roster"
)

// Options configure a Service. The zero value is a good default for production.
type Options struct {
	// Hash says how passwords are hashed, and how much memory that may take.
	Hash HashOptions

	// Sources are asked for the passwords of users who have none in their
	// account, by the users' directory. Users of other directories cannot log in
	// without one. The map must not be changed afterwards.
	Sources map[roster.DirectoryID]PasswordSource

	// TrustedProxies are whose X-Forwarded-For is believed; see ClientAddr. None
	// by default: the client is whoever opened the connection.
	TrustedProxies []netip.Prefix

	// TokenLife is how long a token is good if nobody says otherwise, and
	// MaxTokenLife the longest that anybody may ask for. 0 means one hour, and
	// two weeks.
	TokenLife, MaxTokenLife time.Duration

	// VerifiedFor is how long a password that was found to be right is not hashed
	// again, and Verified how many such passwords are remembered. 0 means one
	// minute, and 4096; a negative VerifiedFor remembers none. A change of the
	// account counts at once; one of a password in an identity source after that
	// time.
	VerifiedFor time.Duration
	Verified    int

	// Logger is told every decision: who was let in at level debug, who was not
	// and why at level info. Nothing that was presented is ever logged. Nil means
	// nothing is.
	Logger *slog.Logger

	// Now tells the time. Nil means time.Now.
	Now func() time.Time

	// Rand is where the keys of tokens, secrets and salts come from. Nil means
	// crypto/rand.
	Rand io.Reader
}

// PasswordSource checks passwords that are kept elsewhere, in an LDAP server for
// example.
type PasswordSource interface {
	// Authenticate returns nil if the password is that of the user, whose name is
	// as the engine has it, and is never empty. Any error denies. One that wraps
	// ErrUnavailable says that it was not possible to ask, and is not counted as
	// a failed login. It may change users of the engine meanwhile: who has lost the
	// name by that is not let in. It must honour ctx, and be safe for concurrent use.
	Authenticate(ctx context.Context, username, password string) error
}

// Service decides who somebody is. It may be used by any number of goroutines
// and needs no closing.
type Service struct {
	e        *roster.Engine
	o        Options
	hasher   *Hasher
	records  *records
	verified *verified
	throttle *throttle
}

// New returns a Service for the accounts, keys and tokens that an engine holds.
// It returns ErrInvalid for hash parameters that are out of bounds, and for a
// negative life of tokens.
func New(e *roster.Engine, o Options) (*Service, error) {
	if o.TokenLife < 0 || o.MaxTokenLife < 0 {
		return nil, fmt.Errorf("%w: tokens cannot live for %v, and for %v at most", ErrInvalid, o.TokenLife, o.MaxTokenLife)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hash.Rand == nil {
		o.Hash.Rand = o.Rand
	}
	if o.MaxTokenLife == 0 {
		o.MaxTokenLife = 14 * 24 * time.Hour
	}
	if o.TokenLife == 0 {
		o.TokenLife = time.Hour
	}
	o.TokenLife = min(o.TokenLife, o.MaxTokenLife)
	if o.VerifiedFor == 0 {
		o.VerifiedFor = time.Minute
	}
	if o.Verified == 0 {
		o.Verified = 4096
	}
	if o.VerifiedFor < 0 {
		o.Verified = 0
	}
	h, err := NewHasher(o.Hash)
	if err != nil {
		return nil, err
	}
	v, err := newVerified(max(o.Verified, 0))
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &Service{e: e, o: o, hasher: h, records: newRecords(), verified: v, throttle: newThrottle()}, nil
}

// Hasher returns what the Service hashes passwords with.
func (s *Service) Hasher() *Hasher { return s.hasher }

// SetPassword gives a user a password, and an account if it has none. Tokens that
// were issued before end. It returns ErrInvalid for an empty or too long one, and
// roster.ErrNotFound if there is no such user.
func (s *Service) SetPassword(ctx context.Context, u roster.UserID, password string) error {
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		a, _, err := loadAccount(tx, u)
		if err != nil {
			return err
		}
		a.Password, a.Created, a.Updated = hash, time.Time{}, time.Time{}
		_, err = PutAccount(tx, a, s.o.Now())
		return err
	})
	return err
}

// CreateKey stores a new API key with a secret of its own, and returns the
// secret: only its hash is kept, so nobody can say it again. k.Secret is not
// looked at. It returns roster.ErrExists if there is a key of that ID already,
// and the errors of PutKey.
func (s *Service) CreateKey(ctx context.Context, k Key) (secret string, err error) {
	if secret, k.Secret, err = MakeSecret(s.o.Rand); err != nil {
		return "", err
	}
	_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
		_, err := GetKey(tx, k.ID)
		if exists, err := found(err); err != nil {
			return err
		} else if exists {
			return fmt.Errorf("API key %q: %w", k.ID, roster.ErrExists)
		}
		_, err = PutKey(tx, k, s.o.Now())
		return err
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// RevokeTokens is the function of that name in an Update of its own.
func (s *Service) RevokeTokens(ctx context.Context, u roster.UserID) error {
	_, err := s.e.Update(ctx, func(tx *roster.Txn) error { return RevokeTokens(tx, u) })
	return err
}

// decided logs a decision.
func (s *Service) decided(ctx context.Context, how By, p Principal, client netip.Addr, why string, err error) {
	level, text := slog.LevelDebug, "access: let in"
	if err != nil {
		level, text = slog.LevelInfo, "access: not let in"
	}
	if s.o.Logger == nil || !s.o.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("by", how.String()), slog.String("client", client.String())}
	if p.Username != "" {
		attrs = append(attrs, slog.String("user", p.Username), slog.Uint64("directory", uint64(p.Directory)))
	}
	if p.Key != "" {
		attrs = append(attrs, slog.String("key", p.Key))
	}
	if err != nil {
		attrs = append(attrs, slog.String("why", why))
	}
	s.o.Logger.LogAttrs(ctx, level, text, attrs...)
}
