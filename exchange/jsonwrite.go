package exchange

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rosterdb/roster"
)

// The functions below append one line of an export, its end included. Every
// field is written, in the order of the documentation, so that two stores that
// hold the same give the same bytes.

// AppendDirectory appends d as a JSON line.
func AppendDirectory(dst []byte, d roster.Directory) []byte {
	dst = append(dst, `{"kind":"directory"`...)
	dst = appendUint(dst, "id", uint64(d.ID))
	dst = appendText(dst, "name", d.Name)
	dst = appendText(dst, "type", d.Type)
	dst = appendText(dst, "domain", d.Domain)
	return appendTimes(dst, d.Created, d.Updated)
}

// AppendUser appends u as a JSON line.
func AppendUser(dst []byte, u roster.User) []byte {
	dst = append(dst, `{"kind":"user"`...)
	dst = appendUint(dst, "directory", uint64(u.Directory))
	dst = appendText(dst, "username", u.Username)
	dst = appendUint(dst, "id", u.Number)
	dst = appendText(dst, "uid", u.UID)
	dst = appendText(dst, "fullName", u.FullName)
	dst = appendText(dst, "email", u.Email)
	dst = appendText(dst, "description", u.Description)
	dst = strconv.AppendBool(appendName(dst, "active"), u.Active)
	dst = append(appendName(dst, "attributes"), '{')
	for i, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		dst = appendTexts(dst, u.Attributes[name])
	}
	return appendTimes(append(dst, '}'), u.Created, u.Updated)
}

// AppendGroup appends g as a JSON line, without its members.
func AppendGroup(dst []byte, g roster.Group) []byte {
	dst = append(dst, `{"kind":"group"`...)
	dst = appendUint(dst, "directory", uint64(g.Directory))
	dst = appendText(dst, "name", g.Name)
	dst = appendUint(dst, "id", g.Number)
	dst = appendText(dst, "uid", g.UID)
	dst = appendText(dst, "description", g.Description)
	dst = strconv.AppendBool(appendName(dst, "enterprise"), g.Enterprise)
	dst = appendTexts(appendName(dst, "abilities"), g.Abilities)
	return appendTimes(dst, g.Created, g.Updated)
}

// AppendOrganization appends o as a JSON line, without its roles and members.
func AppendOrganization(dst []byte, o roster.Organization) []byte {
	dst = append(dst, `{"kind":"organization"`...)
	dst = appendText(dst, "id", o.ID)
	dst = appendText(dst, "name", o.Name)
	return appendTimes(dst, o.Created, o.Updated)
}

// AppendRole appends r as a JSON line, without its holders.
func AppendRole(dst []byte, r roster.Role) []byte {
	dst = append(dst, `{"kind":"role"`...)
	dst = appendText(dst, "organization", r.Organization)
	dst = appendText(dst, "id", r.ID)
	dst = appendText(dst, "name", r.Name)
	dst = appendTexts(appendName(dst, "permissions"), r.Permissions)
	return appendTimes(dst, r.Created, r.Updated)
}

// AppendOrgMembership appends m, whose user has that uid, as a JSON line.
func AppendOrgMembership(dst []byte, m roster.OrgMembership, uid string) []byte {
	dst = append(dst, `{"kind":"orgMembership"`...)
	dst = appendText(dst, "organization", m.Organization)
	dst = appendText(dst, "user", uid)
	dst = strconv.AppendBool(appendName(dst, "isOwner"), m.Owner)
	dst = strconv.AppendBool(appendName(dst, "isDefault"), m.Default)
	dst = appendTexts(appendName(dst, "roleIds"), m.Roles)
	dst = appendTexts(appendName(dst, "permissions"), m.Permissions)
	dst = appendName(dst, "allowedIps")
	if len(m.AllowedIPs) == 0 {
		dst = append(dst, "null"...)
	} else {
		list := make([]string, len(m.AllowedIPs))
		for i, p := range m.AllowedIPs {
			list[i] = formatNetwork(p)
		}
		dst = appendTexts(dst, list)
	}
	return appendTimes(dst, m.Created, m.Updated)
}

// appendLink appends a member or an administrator of a group, as kind says. as
// is "user", or the field of a group.
func appendLink(dst []byte, kind string, g roster.Group, as, name string, directory roster.DirectoryID) []byte {
	dst = append(append(dst, `{"kind":"`...), kind...)
	dst = append(dst, '"')
	dst = appendUint(dst, "directory", uint64(g.Directory))
	dst = appendText(dst, "group", g.Name)
	dst = appendText(dst, as, name)
	if directory != g.Directory {
		dst = appendUint(dst, as+"Directory", uint64(directory))
	}
	return append(dst, "}\n"...)
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	return append(dst, `":`...)
}

func appendUint(dst []byte, name string, n uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), n, 10)
}

func appendText(dst []byte, name, value string) []byte {
	return appendQuoted(appendName(dst, name), value)
}

// appendQuoted appends s as a JSON string. A store holds no text that is not
// UTF-8; were there any, the bytes that are not become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

func appendTexts(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, s)
	}
	return append(dst, ']')
}

func appendTimes(dst []byte, created, updated time.Time) []byte {
	dst = appendName(dst, "createdTime")
	dst = created.UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano)
	dst = append(dst, `","updatedTime":"`...)
	dst = updated.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, "\"}\n"...)
}
