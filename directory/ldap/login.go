package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/roster/directory"
	"github.com/rosterdb/roster/internal/text"
)

// Authenticate implements directory.Authenticator: the user of that name is looked
// for and logged in as, on a connection that is used for nothing else. An empty
// password is refused: a server takes a login without one for nobody's, and says
// yes. Two users of one name are refused too.
func (s *Source) Authenticate(ctx context.Context, name, password string) (directory.User, error) {
	if name == "" || password == "" || text.ValidName(name) != nil {
		return directory.User{}, fmt.Errorf("login of %q: %w", name, directory.ErrCredentials)
	}
	var found []directory.User
	for u, err := range s.FindUsers(ctx, []directory.Query{{Name: name}}) {
		if isEntry(err) {
			continue
		}
		if err != nil {
			if errors.Is(err, directory.ErrCredentials) { // the Source's own login, not the user's
				err = fmt.Errorf("%w: %v", directory.ErrConfig, err)
			}
			return directory.User{}, err
		}
		if !slices.ContainsFunc(found, func(o directory.User) bool { return o.Refs[0] == u.Refs[0] }) {
			found = append(found, u)
		}
	}
	if len(found) != 1 || found[0].Refs[0] == "" {
		return directory.User{}, fmt.Errorf("login of %q: %w", name, directory.ErrCredentials)
	}
	u := found[0]
	conn, err := s.connect(ctx)
	if err != nil {
		return directory.User{}, err
	}
	defer conn.Close()
	err = bind(ctx, conn, u.Refs[0], password)
	switch {
	case err != nil && !errors.Is(err, directory.ErrCredentials) && !errors.Is(err, directory.ErrRefused) && !nothing(err):
		return directory.User{}, err
	case err != nil, !u.Active && u.Silent&directory.Active == 0: // wrong, locked, just gone: which is not told
		return directory.User{}, fmt.Errorf("login of %q: %w", name, directory.ErrCredentials)
	}
	return u, nil
}
