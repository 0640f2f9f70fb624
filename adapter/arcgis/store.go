package arcgis

import (
	"maps"
	"slices"
	"strings"
)

// IdentityStore is what the operation config shows of the user and the group
// store.
type IdentityStore struct {
	Users  StoreConfig
	Groups StoreConfig
}

// StoreConfig describes a store.
type StoreConfig struct {
	Type string // BUILTIN, which "" means, WINDOWS or LDAP

	// Properties are shown as they are, but for passwords, which are left out.
	// "caseSensitive" is looked at too: if that of Users is "true", names have to
	// be written as they are.
	Properties map[string]string
}

type storeJSON struct {
	Type       string            `json:"type"`
	Properties map[string]string `json:"properties"`
}

type configJSON struct {
	UserStoreConfig storeJSON `json:"userStoreConfig"`
	RoleStoreConfig storeJSON `json:"roleStoreConfig"`
}

func (s *IdentityStore) caseSensitive() bool {
	return strings.EqualFold(s.Users.Properties["caseSensitive"], "true")
}

// public returns a configuration without its secrets.
func (s *StoreConfig) public() storeJSON {
	out := storeJSON{s.Type, map[string]string{}}
	if out.Type == "" {
		out.Type = "BUILTIN"
	}
	for k, v := range s.Properties {
		lower := strings.ToLower(k)
		if lower == "ispasswordencrypted" || !strings.Contains(lower, "password") && !strings.Contains(lower, "secret") {
			out.Properties[k] = v
		}
	}
	return out
}

// showConfig is the resource config.
func (c *call) showConfig() (*result, error) {
	if err := c.view(nothing); err != nil {
		return nil, err
	}
	out := configJSON{c.o.Store.Users.public(), c.o.Store.Groups.public()}
	r := &result{body: out}
	for _, s := range []struct {
		name string
		storeJSON
	}{{"User store", out.UserStoreConfig}, {"Group store", out.RoleStoreConfig}} {
		r.facts = append(r.facts, fact{s.name, s.Type})
		for _, k := range slices.Sorted(maps.Keys(s.Properties)) {
			r.facts = append(r.facts, fact{s.name + ": " + k, s.Properties[k]})
		}
	}
	return r, nil
}
