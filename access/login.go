package access

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/text"
)

// maxName is the length of the longest name that is looked up, in bytes.
const maxName = 1024

// Login returns who has a name and a password. The name is one that
// roster.Txn.FindUser takes, but for #number; domain\name is always the user of that
// directory. Unknown names, wrong passwords, names that fit several users who have a
// password or an identity source, users that are not active and accounts without a
// password are one error, ErrDenied, and take the same time, as long as all hashes have
// the same parameters; an identity source takes its own. Client is where the login comes
// from; it need not be valid. Other errors are a *ThrottledError, ErrBusy,
// ErrUnavailable, that of ctx, and those of the engine.
//
// A hash with other parameters than those of the options is made anew, which is
// an Update.
func (s *Service) Login(ctx context.Context, name, password string, client netip.Addr) (Principal, error) {
	var c candidate
	p, why, err := s.login(ctx, name, password, client, &c)
	if err != nil {
		p = Principal{User: c.user, Username: c.name, Directory: c.directory} // for the log
	}
	s.decided(ctx, ByPassword, p, client, why, err)
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

func (s *Service) login(ctx context.Context, name, password string, client netip.Addr, found *candidate) (p Principal, why string, err error) {
	if name == "" || password == "" || len(name) > maxName || len(password) > MaxPassword || name[0] == '#' {
		return p, "no name and password that anybody can have", ErrDenied
	}
	c := s.verified.credential("password", name, password, client.String())
	return s.remembered(ctx, c, who{name: text.Fold(name), from: client}, func(tx *roster.Txn, p *proof) (Principal, error) {
		return s.stillUser(tx, p, client)
	}, func() (*proof, string, error) {
		return s.verify(ctx, name, password, client, found)
	})
}

// remembered returns the principal of a credential: by what is known of it, if
// that still holds, or by what verify finds. Still returns ErrDenied if it does not
// hold. Of many who present the same at once one verifies, and the others wait.
func (s *Service) remembered(
	ctx context.Context, c credential, of who,
	still func(*roster.Txn, *proof) (Principal, error), verify func() (*proof, string, error),
) (p Principal, why string, err error) {
	now := func(known *proof) (p Principal, err error) {
		err = s.e.View(ctx, func(tx *roster.Txn) error {
			p, err = still(tx, known)
			return err
		})
		return p, err
	}
	// Who is being slowed is not served from memory either: it could find out there
	// what is right.
	if wait := s.throttle.waits(of, s.o.Now()); wait > 0 {
		return p, "too many failures from there", &ThrottledError{wait}
	}
	if known := s.verified.get(c, s.o.Now()); known != nil {
		if p, err := now(known); !errors.Is(err, ErrDenied) {
			return p, "not for that endpoint or address", err
		}
		s.verified.drop(c)
	}
	for {
		k, lead := s.verified.join(c)
		if lead {
			var known *proof
			func() {
				err = ErrDenied // whatever happens in between
				defer func() { s.verified.finish(c, k, known, err) }()
				known, why, err = verify()
			}()
		} else {
			select {
			case <-k.done:
			case <-ctx.Done():
				return p, "the caller gave up", ctx.Err()
			}
			if isContext(k.err) && ctx.Err() == nil {
				continue // whoever verified gave up
			}
			why = "as for another request"
		}
		if k.err != nil {
			return p, why, k.err
		}
		p, err := now(k.p)
		why = "changed in the meantime"
		if errors.Is(err, ErrForbidden) {
			why = "not for that endpoint or address"
		}
		if lead && (err == nil || errors.Is(err, ErrForbidden)) {
			s.verified.put(c, k.p)
		}
		return p, why, err
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// candidate is who a name may mean.
type candidate struct {
	user      roster.UserID
	name      string // "" for nobody
	directory roster.DirectoryID
	account   Account
	source    PasswordSource
	bare      string // the name that was given, without a directory, folded
	why       string // nobody can log in by that name
}

// verify checks a name and a password. It tells who that is about.
func (s *Service) verify(ctx context.Context, name, password string, client netip.Addr, c *candidate) (*proof, string, error) {
	if err := s.candidate(ctx, name, c); err != nil {
		return nil, "", err
	}
	a, wait := s.throttle.begin(who{c.bare, text.Fold(name), client}, s.o.Now())
	if wait > 0 {
		return nil, "too many failures", &ThrottledError{wait}
	}
	var right bool
	var err error
	if c.source != nil {
		right, err = s.ask(ctx, c, password)
	} else {
		right, err = s.hasher.Verify(ctx, c.account.Password, password)
	}
	if err != nil {
		// Who gives up while a source is asked has failed: it may have been told no.
		if c.source == nil || errors.Is(err, ErrUnavailable) {
			a.undo()
		}
		return nil, "not decided", err
	}
	if !right {
		if c.why == "" {
			c.why = "wrong password"
		}
		return nil, c.why, ErrDenied
	}
	a.right()
	if c.source == nil && s.hasher.Outdated(c.account.Password) {
		s.upgrade(ctx, c, password)
	}
	return &proof{user: c.user, epoch: c.account.Epoch, until: s.o.Now().Add(s.o.VerifiedFor)}, "", nil
}

// candidate finds out who a name means. Nobody is a candidate with the zero Hash, which takes as long to check as any other.
func (s *Service) candidate(ctx context.Context, name string, c *candidate) error {
	return s.e.View(ctx, func(tx *roster.Txn) error {
		c.bare = bareName(tx, text.Fold(name))
		u, err := s.named(tx, name)
		switch {
		case errors.Is(err, roster.ErrNotFound):
			c.why = "no such user"
			return nil
		case errors.Is(err, roster.ErrAmbiguous):
			c.why = "several users of that name"
			return nil
		case err != nil:
			return err
		}
		rec, err := tx.UserHead(u)
		if err != nil {
			return err
		}
		c.user, c.name, c.directory = u, rec.Username, rec.Directory
		if !rec.Active {
			c.why = "user is not active"
			return nil
		}
		if c.account, _, err = loadAccount(tx, u); err != nil {
			return err
		}
		if c.account.Password.IsZero() {
			if c.source = s.o.Sources[rec.Directory]; c.source == nil {
				c.why = "no password"
			}
		}
		return nil
	})
}

// named returns the user that a name means. One that names a directory in front, as in
// domain\name, is that of the directory, even if somebody else is called just like the
// whole of it: whoever may make users would otherwise keep others out by what it calls
// them.
func (s *Service) named(tx *roster.Txn, name string) (roster.UserID, error) {
	var found []roster.UserID
	if domain, rest, ok := strings.Cut(name, `\`); ok {
		for _, d := range tx.Directories() {
			if u, is := tx.UserByName(d.ID, rest); is && isCalled(&d, domain) {
				found = append(found, u)
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	u, err := tx.FindUser(name)
	var several *roster.AmbiguousError
	if errors.As(err, &several) {
		return s.able(tx, several)
	}
	return u, err
}

// able returns the one of several users of a name that has a password or an identity
// source, or the error if that is none or several: whoever may make users alone makes
// none of these, and would otherwise keep others out.
func (s *Service) able(tx *roster.Txn, ambiguous *roster.AmbiguousError) (roster.UserID, error) {
	var found []roster.UserID
	for _, ref := range ambiguous.Candidates {
		u, err := tx.FindUser(ref)
		if err != nil {
			return 0, err
		}
		rec, err := tx.UserHead(u)
		if err != nil {
			return 0, err
		}
		a, _, err := s.account(tx, u)
		if err != nil {
			return 0, err
		}
		if !a.Password.IsZero() || s.o.Sources[rec.Directory] != nil {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return 0, ambiguous
	}
	return found[0], nil
}

func isCalled(d *roster.Directory, name string) bool {
	name = text.Fold(name)
	return name == text.Fold(d.Name) || name == text.Fold(d.Domain)
}

// bareName returns a folded name without the directory that it may be given with,
// as in name@directory and directory\name: guesses at a user are counted together,
// however the name is written, and those at nobody likewise.
func bareName(tx *roster.Txn, name string) string {
	at, back := strings.LastIndexByte(name, '@'), strings.IndexByte(name, '\\')
	if at <= 0 && back <= 0 {
		return name
	}
	for _, d := range tx.Directories() {
		for _, in := range []string{text.Fold(d.Name), text.Fold(d.Domain)} {
			switch {
			case in == "":
			case at > 0 && name[at+1:] == in:
				return name[:at]
			case back > 0 && name[:back] == in:
				return name[back+1:]
			}
		}
	}
	return name
}

// ask has an identity source check a password.
func (s *Service) ask(ctx context.Context, c *candidate, password string) (bool, error) {
	err := c.source.Authenticate(ctx, c.name, password)
	if err == nil {
		return s.stillNamed(ctx, c)
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if errors.Is(err, ErrUnavailable) {
		return false, ErrUnavailable // its text is the source's: who knows what is in it
	}
	c.why = "the identity source denies"
	return false, nil
}

// stillNamed reports whether a candidate has its name still. A source may have found,
// while it was asked, that the name has passed to somebody else: then the password was
// theirs.
func (s *Service) stillNamed(ctx context.Context, c *candidate) (is bool, err error) {
	err = s.e.View(ctx, func(tx *roster.Txn) error {
		u, ok := tx.UserByName(c.directory, c.name)
		is = ok && u == c.user
		return nil
	})
	if err == nil && !is {
		c.why = "the name is somebody else's now"
	}
	return is, err
}

// upgrade hashes a password that is right with the parameters of today. The
// tokens of the account stay good: it is the same password. Whoever logs in is let
// in whatever comes of it, so the next login tries again.
func (s *Service) upgrade(ctx context.Context, c *candidate, password string) {
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		_, err = s.e.Update(ctx, func(tx *roster.Txn) error {
			now, exists, err := loadAccount(tx, c.user)
			if err != nil || !exists || !now.Password.Equal(c.account.Password) {
				return err // another password has come in the meantime
			}
			now.Password = hash
			_, err = storeAccount(tx, &now, false)
			return err
		})
	}
	if err != nil && s.o.Logger != nil {
		s.o.Logger.Warn("access: the hash of a password was not made anew", "user", c.name, "error", err)
	}
}

// stillUser holds a proof to the user and the account as a transaction knows them.
func (s *Service) stillUser(tx *roster.Txn, known *proof, client netip.Addr) (Principal, error) {
	p, a, err := s.principal(tx, known.user, ByPassword, client)
	if err == nil && (p.By == 0 || a.Epoch != known.epoch) {
		err = ErrDenied
	}
	if err != nil {
		return Principal{}, err
	}
	p.still = func(tx *roster.Txn) (Principal, error) { return s.stillUser(tx, known, client) }
	return p, nil
}

// principal returns who a user is, nobody if it does not exist or is not active.
func (s *Service) principal(tx *roster.Txn, u roster.UserID, by By, client netip.Addr) (Principal, Account, error) {
	rec, err := tx.UserHead(u)
	if exists, err := found(err); err != nil || !exists || !rec.Active {
		return Principal{}, Account{}, err
	}
	a, _, err := s.account(tx, u)
	if err != nil {
		return Principal{}, Account{}, err
	}
	p := Principal{
		User: u, Directory: rec.Directory, Username: rec.Username, By: by, Client: plainAddr(client),
		Privileges: slices.Clone(a.Privileges),
	}
	return p, a, nil
}
