package crowd

import (
	"github.com/rosterdb/roster"
)

// directory, user and group are what the API shows of these. What is not known is
// left out.
type directory struct {
	ID          roster.DirectoryID `json:"id"`
	DisplayName string             `json:"displayName"`
	Type        string             `json:"directoryType"`
}

type user struct {
	ID          string    `json:"id"`
	Username    string    `json:"username"`
	DisplayName string    `json:"displayName,omitempty"`
	Email       string    `json:"email,omitempty"`
	Active      bool      `json:"active"`
	AvatarURL   string    `json:"avatarUrl,omitempty"`
	Directory   directory `json:"directory"`
}

type group struct {
	ID          string    `json:"id"`
	Active      bool      `json:"active"` // groups always are
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Directory   directory `json:"directory"`
}

// entity names a user or a group where it could be either.
type entity struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

const (
	typeUser  = "USER"
	typeGroup = "GROUP"
)

// admin is an administrator of a group, or who could be one. Of a group there is
// no address, and whether it is active is not asked; the API shows null for both.
type admin struct {
	Entity      entity    `json:"entity"`
	Name        string    `json:"name"`
	DisplayName *string   `json:"displayName"`
	Directory   directory `json:"directory"`
	Email       *string   `json:"email"`
	Active      *bool     `json:"active"`
}

func showDirectory(d roster.Directory) directory { return directory{d.ID, d.Name, d.Type} }

// reader reads the records that a page shows.
type reader struct {
	*call
	tx          *roster.Txn
	directories map[roster.DirectoryID]directory // that were asked for
	avatar      int                              // the size of pictures, 0 if that was not said
	n           int
}

func (c *call) reader(tx *roster.Txn) *reader {
	return &reader{call: c, tx: tx, directories: map[roster.DirectoryID]directory{}}
}

func (r *reader) directory(id roster.DirectoryID) (directory, error) {
	if d, ok := r.directories[id]; ok {
		return d, nil
	}
	d, err := r.tx.Directory(id)
	r.directories[id] = showDirectory(d)
	return r.directories[id], err
}

// patience is how many records are read between looks at the context.
const patience = 256

func (r *reader) step() error {
	if r.n++; r.n%patience == 0 {
		return r.r.Context().Err()
	}
	return nil
}

func (r *reader) user(id roster.UserID) (user, error) {
	if err := r.step(); err != nil {
		return user{}, err
	}
	u, err := r.tx.User(id)
	if err != nil {
		return user{}, err
	}
	d, err := r.directory(u.Directory)
	if err != nil {
		return user{}, err
	}
	out := user{
		ID: formatID(u.Directory, u.Username), Username: u.Username, DisplayName: u.FullName,
		Email: u.Email, Active: u.Active, Directory: d,
	}
	if r.o.Avatar != nil {
		out.AvatarURL = r.o.Avatar(u, r.avatar)
	}
	return out, nil
}

func (r *reader) group(id roster.GroupID) (group, error) {
	if err := r.step(); err != nil {
		return group{}, err
	}
	g, err := r.tx.Group(id)
	if err != nil {
		return group{}, err
	}
	d, err := r.directory(g.Directory)
	return group{formatID(g.Directory, g.Name), true, g.Name, g.Description, d}, err
}

func showAdmin(u user) admin {
	out := admin{Entity: entity{u.ID, typeUser}, Name: u.Username, Directory: u.Directory, Active: &u.Active}
	if u.DisplayName != "" {
		out.DisplayName = &u.DisplayName
	}
	if u.Email != "" {
		out.Email = &u.Email
	}
	return out
}

func (r *reader) adminGroup(id roster.GroupID) (admin, error) {
	g, err := r.group(id)
	return admin{Entity: entity{g.ID, typeGroup}, Name: g.Name, Directory: g.Directory}, err
}

// each reads the records of a page.
func each[ID, T any](ids []ID, read func(ID) (T, error)) ([]T, error) {
	out := make([]T, 0, len(ids))
	for _, id := range ids {
		v, err := read(id)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
