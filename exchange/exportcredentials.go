package exchange

import (
	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// credentials writes the accounts of all users, then all API keys. What is left
// of users who were deleted is nobody's, and is not written.
func (x *exporter) credentials() error {
	users, keys, err := x.collectCredentials()
	if err != nil {
		return err
	}
	if err := x.accounts(users); err != nil {
		return err
	}
	for _, id := range keys {
		k, err := access.GetKey(x.tx, id)
		if err != nil {
			return err
		}
		u, err := x.tx.User(k.User)
		if err != nil {
			return err
		}
		x.buf = appendKey(x.buf[:0], k, u.Directory, u.Username)
		if err := x.write(); err != nil {
			return err
		}
	}
	return nil
}

// collectCredentials returns who has an account, and the IDs of all API keys.
func (x *exporter) collectCredentials() (users map[roster.UserID]bool, keys []string, err error) {
	users = map[roster.UserID]bool{}
	for u, err := range access.Accounts(x.tx) {
		if err != nil {
			return nil, nil, err
		}
		if x.tx.Username(u) != "" {
			users[u] = true
		}
	}
	for id := range access.Keys(x.tx) {
		k, err := access.GetKey(x.tx, id)
		if err != nil {
			return nil, nil, err
		}
		if x.tx.Username(k.User) != "" {
			keys = append(keys, id)
		}
	}
	return users, keys, nil
}

// accounts writes accounts by directory and name.
func (x *exporter) accounts(of map[roster.UserID]bool) error {
	if len(of) == 0 {
		return nil
	}
	for _, d := range x.tx.Directories() {
		set, err := x.tx.DirectoryUsers(d.ID)
		if err != nil {
			return err
		}
		for u := range set.ByName("") {
			if !of[u] {
				continue
			}
			a, err := access.GetAccount(x.tx, u)
			if err != nil {
				return err
			}
			x.buf = appendAccount(x.buf[:0], a, d.ID, x.tx.Username(u))
			if err := x.write(); err != nil {
				return err
			}
		}
	}
	return nil
}
