package machine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// classes are the errors that a model can ask for.
var classes = []error{
	roster.ErrNotFound, roster.ErrExists, roster.ErrConflict, roster.ErrInvalid, roster.ErrAmbiguous,
	roster.ErrNotEmpty, roster.ErrLastOwner, roster.ErrLimit, roster.ErrReadOnlyTxn, roster.ErrTxnDone, roster.ErrReadOnly,
	roster.ErrClosed, roster.ErrTrimmed, roster.ErrLocked, roster.ErrNotStore, roster.ErrCorrupt,
}

// sameError compares an error of the engine with what the model asks for: none,
// or one of a class and of no other.
func sameError(got, want error) error {
	for _, c := range classes {
		if errors.Is(got, c) != (want == c) {
			return fmt.Errorf("error is %v, not %v", got, want)
		}
	}
	if (got == nil) != (want == nil) {
		return fmt.Errorf("error is %v, not %v", got, want)
	}
	return nil
}

// same compares two values that can be compared with ==.
func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, not %v", what, got, want)
	}
	return nil
}

// sameList compares two lists in order.
func sameList[T comparable](what string, got, want []T) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s are %v, not %v", what, clipped(got), clipped(want))
	}
	return nil
}

func clipped[T any](list []T) string {
	const most = 40
	if len(list) > most {
		return fmt.Sprintf("%v… (%d)", list[:most], len(list))
	}
	return fmt.Sprint(list)
}

// sameSet compares a set of the engine with one of the model.
func sameSet(what string, got roster.Set, want model.Set) error {
	if got.Len() != len(want) {
		return fmt.Errorf("%s: %d users, not %d", what, got.Len(), len(want))
	}
	n, last := 0, roster.UserID(0)
	for u := range got.All() {
		if !want[u] {
			return fmt.Errorf("%s: %v is in it", what, u)
		}
		if n > 0 && u <= last {
			return fmt.Errorf("%s: %v follows %v", what, u, last)
		}
		if !got.Contains(u) {
			return fmt.Errorf("%s: %v is listed and not contained", what, u)
		}
		n, last = n+1, u
	}
	return same(what+": number of users listed", n, len(want))
}

func sameDirectory(got, want roster.Directory) error {
	if !got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) {
		return fmt.Errorf("times of %+v, not %+v", got, want)
	}
	got.Created, got.Updated = want.Created, want.Updated
	return same("directory", got, want)
}

func sameUser(got, want *roster.User) error {
	if got.ID != want.ID || got.Directory != want.Directory || got.Username != want.Username || got.Number != want.Number ||
		got.UID != want.UID || got.FullName != want.FullName || got.Email != want.Email || got.Description != want.Description ||
		got.Active != want.Active || !model.SameAttributes(got.Attributes, want.Attributes) ||
		!got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) || got.Revision != want.Revision {
		return fmt.Errorf("record is %+v, not %+v", *got, *want)
	}
	return nil
}

func sameGroup(got, want *roster.Group) error {
	if got.ID != want.ID || got.Directory != want.Directory || got.Name != want.Name || got.Number != want.Number ||
		got.UID != want.UID || got.Description != want.Description || got.Enterprise != want.Enterprise ||
		!slices.Equal(got.Abilities, want.Abilities) ||
		!got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) || got.Revision != want.Revision {
		return fmt.Errorf("record is %+v, not %+v", *got, *want)
	}
	return nil
}

func sameOrganization(got, want roster.Organization) error {
	if !got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) {
		return fmt.Errorf("times of %+v, not %+v", got, want)
	}
	got.Created, got.Updated = want.Created, want.Updated
	return same("organisation", got, want)
}

func sameRole(got, want *roster.Role) error {
	if got.Organization != want.Organization || got.ID != want.ID || got.Name != want.Name || !slices.Equal(got.Permissions, want.Permissions) ||
		!got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) || got.Revision != want.Revision {
		return fmt.Errorf("role is %+v, not %+v", *got, *want)
	}
	return nil
}

func sameMembership(got, want *roster.OrgMembership) error {
	if got.Organization != want.Organization || got.User != want.User || got.Owner != want.Owner || got.Default != want.Default ||
		!slices.Equal(got.Roles, want.Roles) || !slices.Equal(got.Permissions, want.Permissions) || !slices.Equal(got.AllowedIPs, want.AllowedIPs) ||
		!got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated) || got.Revision != want.Revision {
		return fmt.Errorf("membership is %+v, not %+v", *got, *want)
	}
	return nil
}

// sameChange compares an entry of the log.
func sameChange(got, want *roster.Change) error {
	wrong := got.Revision != want.Revision || !got.Time.Equal(want.Time) || got.Kind != want.Kind ||
		got.DirID != want.DirID || got.UserID != want.UserID || got.GroupID != want.GroupID ||
		!slices.Equal(got.Members, want.Members) || !slices.Equal(got.Subgroups, want.Subgroups) ||
		got.OrgID != want.OrgID || got.RoleID != want.RoleID || got.DataSpace != want.DataSpace || got.DataKey != want.DataKey ||
		(got.Directory == nil) != (want.Directory == nil) || (got.User == nil) != (want.User == nil) || (got.Group == nil) != (want.Group == nil) ||
		(got.Organization == nil) != (want.Organization == nil) || (got.Role == nil) != (want.Role == nil) ||
		(got.OrgMembership == nil) != (want.OrgMembership == nil)
	var err error
	switch {
	case wrong:
		return fmt.Errorf("change is %+v, not %+v", *got, *want)
	case got.Directory != nil:
		err = sameDirectory(*got.Directory, *want.Directory)
	case got.User != nil:
		err = sameUser(got.User, want.User)
	case got.Group != nil:
		err = sameGroup(got.Group, want.Group)
	case got.Organization != nil:
		err = sameOrganization(*got.Organization, *want.Organization)
	case got.Role != nil:
		err = sameRole(got.Role, want.Role)
	case got.OrgMembership != nil:
		err = sameMembership(got.OrgMembership, want.OrgMembership)
	}
	return err
}

// allOf runs checks until one fails.
func allOf(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}
