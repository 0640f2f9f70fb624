package access

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterdb/roster"
)

// Account is what a user of the engine may do beside what follows from the data,
// and the password. A user without an account may log in through an identity
// source only. The account of a user that is not active is locked for that time,
// with its keys and tokens; that of a user that was deleted is nobody's for ever.
type Account struct {
	User       roster.UserID
	Password   Hash     // the zero Hash: none, log in through an identity source
	Privileges []string // sorted, each once; AllPrivileges is all of them
	Created    time.Time
	Updated    time.Time

	// Epoch is put into every token. Tokens of earlier epochs are no longer good:
	// another password begins the next one, as RevokeTokens does. PutAccount does
	// not look at it.
	Epoch uint64
}

// AllPrivileges stands among privileges for all of them: such an account may do
// everything.
const AllPrivileges = "*"

// Limits of an account. Its record stays below what the engine stores as data.
const (
	maxPrivileges   = 256
	maxPrivilege    = 200      // bytes
	maxAllPrivilege = 16 << 10 // bytes of all of them
)

// accountRecord is an Account as it is stored. Gone says that it was deleted: its
// epoch must not come again.
type accountRecord struct {
	V          int       `json:"v"`
	Hash       string    `json:"hash,omitempty"`
	Privileges []string  `json:"privileges,omitempty"`
	Epoch      uint64    `json:"epoch,omitempty"`
	Gone       bool      `json:"gone,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	Updated    time.Time `json:"updated,omitzero"`
}

func (r accountRecord) version() int { return r.V }

const accountPrefix = "account/"

func accountKey(u roster.UserID) string { return fmt.Sprintf("%s%08x", accountPrefix, uint32(u)) }

// GetAccount returns the account of a user, or roster.ErrNotFound.
func GetAccount(in Values, u roster.UserID) (Account, error) {
	a, exists, err := loadAccount(in, u)
	if err == nil && !exists {
		err = fmt.Errorf("account of %v: %w", u, roster.ErrNotFound)
	}
	if err != nil {
		return Account{}, err
	}
	return a, nil
}

// loadAccount returns the account of a user, or the epoch that is left of one.
func loadAccount(in Values, u roster.UserID) (a Account, exists bool, err error) {
	return recallAccount(nil, in, u)
}

// account is loadAccount for those that are asked for with every request. What is
// in it must not be changed.
func (s *Service) account(tx *roster.Txn, u roster.UserID) (a Account, exists bool, err error) {
	return recallAccount(s.records, tx, u)
}

func recallAccount(from *records, in Values, u roster.UserID) (a Account, exists bool, err error) {
	known, err := recall(from, in, accountKey(u), decodeAccount)
	if ok, err := found(err); !ok {
		return Account{User: u}, false, err
	}
	a = known.Account
	a.User = u
	return a, known.exists, nil
}

// knownAccount is what a record says of an account.
type knownAccount struct {
	Account      // without its User
	exists  bool // it was not deleted
}

func decodeAccount(key string, data []byte) (a knownAccount, err error) {
	var rec accountRecord
	if err := decode(key, data, &rec); err != nil {
		return a, err
	}
	if rec.Hash != "" {
		if a.Password, err = ParseHash(rec.Hash); err != nil {
			return a, fmt.Errorf("access: record %q: %w: %w", key, err, roster.ErrCorrupt)
		}
	}
	a.Privileges, a.Epoch, a.Created, a.Updated, a.exists = rec.Privileges, rec.Epoch, rec.Created, rec.Updated, !rec.Gone
	return a, nil
}

func storeAccount(to Values, a *Account, gone bool) (bool, error) {
	return write(to, accountKey(a.User), accountRecord{
		V: recordVersion, Hash: a.Password.Text(), Privileges: a.Privileges, Epoch: a.Epoch, Gone: gone, Created: a.Created, Updated: a.Updated,
	})
}

// PutAccount creates the account of a user or changes it, and reports whether
// anything changed. Another password, the first too, ends the tokens that were
// issued before. Zero Created keeps what is there; Updated becomes now unless a
// says another time than before. It returns roster.ErrNotFound if there is no such
// user, and ErrInvalid for privileges that are empty, too long or hold control
// characters, and for a Password that is no argon2id.
func PutAccount(to Values, a Account, now time.Time) (changed bool, err error) {
	if a.Privileges, err = CheckPrivileges(a.Privileges); err != nil {
		return false, err
	}
	if !a.Password.IsZero() {
		if p, err := parsePHC(a.Password.Text()); err != nil || p.fast {
			return false, fmt.Errorf("%w: a password must be hashed with argon2id", ErrInvalid)
		}
	}
	if !known(to, a.User) {
		return false, fmt.Errorf("account of %v: %w", a.User, roster.ErrNotFound)
	}
	old, exists, err := loadAccount(to, a.User)
	if err != nil {
		return false, err
	}
	a.Epoch = old.Epoch
	if !a.Password.Equal(old.Password) { // the first, too: tokens may have been issued for another, in an identity source
		a.Epoch++
	}
	if !exists {
		old.Created, old.Updated = now, now
	}
	same := exists && a.Password.Equal(old.Password) && slices.Equal(a.Privileges, old.Privileges)
	if !times(&a.Created, &a.Updated, old.Created, old.Updated, now, same) {
		return false, nil
	}
	return storeAccount(to, &a, false)
}

// CheckPrivileges returns privileges sorted, each once, or ErrInvalid.
func CheckPrivileges(list []string) ([]string, error) {
	for _, p := range list {
		if p == "" || len(p) > maxPrivilege || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
			return nil, fmt.Errorf("%w: privilege %.64q: must be 1 to %d bytes of UTF-8 without control characters", ErrInvalid, p, maxPrivilege)
		}
	}
	out := slices.Compact(slices.Sorted(slices.Values(list)))
	if len(out) > maxPrivileges || len(strings.Join(out, "")) > maxAllPrivilege {
		return nil, fmt.Errorf("%w: more than %d privileges, or %d bytes of them", ErrInvalid, maxPrivileges, maxAllPrivilege)
	}
	return out, nil
}

// DeleteAccount deletes the account of a user and ends its tokens, or returns
// roster.ErrNotFound. API keys of the user stay, with what follows from the data.
func DeleteAccount(to Values, u roster.UserID, now time.Time) error {
	old, err := GetAccount(to, u)
	if err != nil {
		return err
	}
	_, err = storeAccount(to, &Account{User: u, Epoch: old.Epoch + 1, Updated: stamp(now)}, true)
	return err
}

// RevokeTokens ends all tokens that were issued to a user, whether it has an
// account or not. It returns roster.ErrNotFound if there is no such user.
func RevokeTokens(to Values, u roster.UserID) error {
	if !known(to, u) {
		return fmt.Errorf("tokens of %v: %w", u, roster.ErrNotFound)
	}
	a, exists, err := loadAccount(to, u)
	if err != nil {
		return err
	}
	a.Epoch++
	_, err = storeAccount(to, &a, !exists)
	return err
}

// Accounts yields the users that have an account, in the order of their handles.
// Users that were deleted may be among them; see Forget.
func Accounts(tx *roster.Txn) iter.Seq2[roster.UserID, error] {
	return func(yield func(roster.UserID, error) bool) {
		for key := range tx.DataKeys(Space, accountPrefix) {
			digits, ok := strings.CutPrefix(key, accountPrefix)
			if !ok {
				return
			}
			n, err := strconv.ParseUint(digits, 16, 32)
			if err != nil {
				err = fmt.Errorf("access: record %q has no user: %w", key, roster.ErrCorrupt)
			}
			exists := false
			if err == nil {
				_, exists, err = loadAccount(tx, roster.UserID(n))
			}
			if (exists || err != nil) && !yield(roster.UserID(n), err) {
				return
			}
		}
	}
}

// Forget deletes what is kept of a user that was deleted: the account, the API keys,
// and which tokens were ended. Nothing of it is good any more without that; the engine never gives a
// handle twice. It returns roster.ErrExists while the user exists, whose epoch
// must not be forgotten, and takes time in proportion to all API keys.
func Forget(tx *roster.Txn, u roster.UserID) error {
	if known(tx, u) {
		return fmt.Errorf("%v is to be forgotten: %w", u, roster.ErrExists)
	}
	if err := tx.DeleteData(Space, accountKey(u)); err != nil {
		if _, err = found(err); err != nil {
			return err
		}
	}
	if _, err := forgetEnded(tx, u, endOfTime); err != nil {
		return err
	}
	for id := range Keys(tx) {
		k, err := GetKey(tx, id)
		if err == nil && k.User == u {
			err = DeleteKey(tx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
