package exchange

import "net/netip"

// The lines of organisations, roles and memberships of organisations. Those of
// the other kinds are read in jsonlines.go.

func (r *jsonReader) organization() error {
	rec := orgRecord{header: r.header(kindOrganization)}
	err := r.each("organization", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "id":
			rec.organization, err = jsonString(f)
		case "name":
			rec.has |= hasName
			rec.name, err = jsonString(f)
		default:
			return rec.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case rec.organization == "":
		return problemf(ErrMalformed, `an organization needs "id"`)
	}
	return r.plan.addOrganization(&rec, "")
}

func (r *jsonReader) role() error {
	rec := orgRecord{header: r.header(kindRole)}
	err := r.each("role", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "organization":
			rec.organization, err = jsonString(f)
		case "id":
			rec.role, err = jsonString(f)
		case "name":
			rec.has |= hasName
			rec.name, err = jsonString(f)
		case "permissions":
			rec.has |= hasPermissions
			rec.permissions, err = r.strings(f)
		default:
			return rec.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case rec.organization == "" || rec.role == "":
		return problemf(ErrMalformed, `a role needs "organization" and "id"`)
	}
	return r.plan.addOrganization(&rec, "")
}

func (r *jsonReader) orgMembership() error {
	rec := orgRecord{header: r.header(kindOrgMembership)}
	uid := ""
	err := r.each("orgMembership", func(f jsonField) (known bool, err error) {
		switch f.name {
		case "organization":
			rec.organization, err = jsonString(f)
		case "user":
			uid, err = jsonString(f)
		case "isOwner":
			rec.has |= hasOwner
			rec.owner, err = jsonBool(f)
		case "isDefault":
			rec.standard, err = jsonBool(f)
		case "roleIds":
			rec.has |= hasRoles
			rec.roles, err = r.strings(f)
		case "permissions":
			rec.has |= hasPermissions
			rec.permissions, err = r.strings(f)
		case "allowedIps":
			rec.has |= hasNetworks
			rec.networks, err = r.networks(f)
		default:
			return rec.times(f)
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case rec.organization == "" || uid == "":
		return problemf(ErrMalformed, `an orgMembership needs "organization" and "user", which is a uid`)
	}
	rec.user = r.plan.symbols.refer(uidKey(kindUser, uid), func() *reference {
		return &reference{at: rec.at, kind: kindUser, name: uid, byUID: true}
	})
	return r.plan.addOrganization(&rec, uid)
}

// networks reads a list of networks; null is none, from which everywhere is
// allowed.
func (r *jsonReader) networks(f jsonField) ([]netip.Prefix, error) {
	if f.value.Kind() == 'n' {
		return nil, nil
	}
	list, err := r.strings(f)
	if err != nil {
		return nil, err
	}
	return parseNetworks(list)
}
