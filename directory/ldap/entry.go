package ldap

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
)

// user makes a user of an entry.
func (s *Source) user(e *ldapv3.Entry) (directory.User, error) {
	sc := &s.c.Schema
	u := directory.User{
		Key: s.key(e), Name: first(e, sc.UserName), Refs: []string{e.DN},
		FullName: first(e, sc.FullName), Email: e.GetEqualFoldAttributeValue(sc.Email), Description: e.DN,
		Active: true,
	}
	if u.Name == "" {
		return u, entryError(e.DN, "it has no %s to be its name", strings.Join(sc.UserName, " or "))
	}
	if len(sc.MemberNames) > 0 {
		u.Refs = append(u.Refs, "="+u.Name)
	}
	if sc.Description != "" {
		u.Description = e.GetEqualFoldAttributeValue(sc.Description)
	}
	if sc.Disabled == "" {
		u.Silent = directory.Active
	} else {
		u.Active = !s.disabled(e.GetEqualFoldAttributeValue(sc.Disabled))
	}
	if ref := s.primaryGroup(e); ref != "" {
		u.Groups = []string{ref}
	}
	for _, name := range sc.Attributes {
		if u.Attributes == nil {
			u.Attributes = map[string][]string{}
		}
		u.Attributes[name] = slices.Clone(e.GetEqualFoldAttributeValues(name))
	}
	return u, nil
}

// group makes a group of an entry, without its members.
func (s *Source) group(e *ldapv3.Entry) (directory.Group, error) {
	sc := &s.c.Schema
	g := directory.Group{Key: s.key(e), Name: first(e, sc.GroupName), Refs: []string{e.DN}, Description: e.GetEqualFoldAttributeValue(sc.GroupDescription)}
	if g.Name == "" {
		return g, entryError(e.DN, "it has no %s to be its name", strings.Join(sc.GroupName, " or "))
	}
	if sc.PrimaryGroup != "" {
		id := e.GetEqualFoldAttributeValue(sc.PrimaryGroupID)
		if sc.sids() {
			id = sid(e.GetEqualFoldRawAttributeValue(sc.PrimaryGroupID))
		}
		if id != "" {
			g.Refs = append(g.Refs, "#"+id)
		}
	}
	return g, nil
}

// first returns the first value of the first attribute that an entry has.
func first(e *ldapv3.Entry, attributes []string) string {
	for _, name := range attributes {
		if v := e.GetEqualFoldAttributeValue(name); v != "" {
			return v
		}
	}
	return ""
}

func (s *Source) key(e *ldapv3.Entry) string {
	if s.c.Schema.Key == "" {
		return ""
	}
	if s.c.Schema.KeyIsGUID {
		return formatGUID(e.GetEqualFoldRawAttributeValue(s.c.Schema.Key))
	}
	return foldKey(e.GetEqualFoldAttributeValue(s.c.Schema.Key))
}

func (s *Source) disabled(value string) bool {
	if s.c.Schema.DisabledBit == 0 {
		return value != "" && !strings.EqualFold(value, "FALSE")
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && n&s.c.Schema.DisabledBit != 0
}

// formatGUID writes 16 bytes as Active Directory's own tools do: three numbers
// with the lowest byte first, then bytes. "" for anything else.
func formatGUID(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

// parseGUID is the reverse of formatGUID.
func parseGUID(s string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 || formatGUID(swapGUID(b)) != strings.ToLower(s) {
		return nil, false
	}
	return swapGUID(b), true
}

func swapGUID(b []byte) []byte {
	out := slices.Clone(b)
	slices.Reverse(out[:4])
	slices.Reverse(out[4:6])
	slices.Reverse(out[6:8])
	return out
}

// sid writes a security identifier as text, "" for what is none.
func sid(b []byte) string {
	if len(b) < 8 || len(b) != 8+4*int(b[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...))
	out := fmt.Sprintf("S-%d-%d", b[0], authority)
	for rest := b[8:]; len(rest) > 0; rest = rest[4:] {
		out += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(rest)), 10)
	}
	return out
}

// parseSID is the reverse of sid.
func parseSID(s string) ([]byte, bool) {
	parts := strings.Split(s, "-")
	if len(parts) < 3 || len(parts) > 18 || parts[0] != "S" {
		return nil, false
	}
	revision, err := strconv.ParseUint(parts[1], 10, 8)
	if err != nil {
		return nil, false
	}
	authority, err := strconv.ParseUint(parts[2], 10, 48)
	if err != nil {
		return nil, false
	}
	out := binary.BigEndian.AppendUint64(nil, authority)
	out[0], out[1] = byte(revision), byte(len(parts)-3)
	for _, part := range parts[3:] {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, false
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	return out, true
}

// primaryGroup returns the ref of a user's primary group, "" if there is none.
func (s *Source) primaryGroup(e *ldapv3.Entry) string {
	sc := &s.c.Schema
	if sc.PrimaryGroup == "" {
		return ""
	}
	id := e.GetEqualFoldAttributeValue(sc.PrimaryGroup)
	if id != "" && sc.sids() {
		own := sid(e.GetEqualFoldRawAttributeValue("objectSid"))
		cut := strings.LastIndexByte(own, '-')
		if cut < 0 {
			return ""
		}
		id = own[:cut+1] + id
	}
	if id == "" {
		return ""
	}
	return "#" + id
}

// primaryFilter returns the filter of the group with an identifier, "" if there
// can be none.
func (s *Source) primaryFilter(id string) string {
	sc := &s.c.Schema
	if sc.PrimaryGroup == "" {
		return ""
	}
	if !sc.sids() {
		return equals(sc.PrimaryGroupID, id)
	}
	b, ok := parseSID(id)
	if !ok {
		return ""
	}
	return equalsBytes(sc.PrimaryGroupID, b)
}

// withPrimary returns the members of a group and those whose primary group it is.
func (s *Source) withPrimary(ctx context.Context, g directory.Group) iter.Seq2[string, error] {
	sc := &s.c.Schema
	if sc.PrimaryGroup == "" || len(g.Refs) < 2 {
		return g.Members
	}
	id := g.Refs[1][1:]
	if sc.sids() {
		id = id[strings.LastIndexByte(id, '-')+1:]
	}
	return func(yield func(string, error) bool) {
		for ref, err := range g.Members {
			if !yield(ref, err) || err != nil {
				return
			}
		}
		for e, err := range s.paged(ctx, s.c.UserBase, and(sc.UserFilter, equals(sc.PrimaryGroup, id)), []string{"1.1"}) {
			if err != nil {
				yield("", err)
				return
			}
			if !yield(e.DN, nil) {
				return
			}
		}
	}
}

// members yields the members of a group's entry. A uniqueMember with an identifier
// behind its DN is nobody: a search by the DN does not find the group either.
func (s *Source) members(ctx context.Context, e *ldapv3.Entry) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range s.c.Schema.Members {
			for v, err := range s.values(ctx, e, name) {
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
		for _, name := range s.c.Schema.MemberNames {
			for _, v := range e.GetEqualFoldAttributeValues(name) {
				if !yield("="+v, nil) {
					return
				}
			}
		}
	}
}

// values yields all values of an attribute. A server that gives them in ranges is
// asked for one after another.
func (s *Source) values(ctx context.Context, e *ldapv3.Entry, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, v := range e.GetEqualFoldAttributeValues(name) {
			if !yield(v, nil) {
				return
			}
		}
		if !s.c.Schema.Ranges {
			return
		}
		dn := e.DN
		for at := 0; ; {
			values, next, more, err := rangeOf(e, name, at)
			if err != nil {
				yield("", err)
				return
			}
			for _, v := range values {
				if !yield(v, nil) {
					return
				}
			}
			if !more {
				return
			}
			at = next
			asked := fmt.Sprintf("%s;range=%d-*", name, at)
			err = s.with(ctx, func(conn *ldapv3.Conn) (err error) {
				e, err = s.read(ctx, conn, dn, "(objectClass=*)", []string{asked})
				return err
			})
			if err == nil && e == nil {
				err = fmt.Errorf("%w: a group vanished while its members were read", directory.ErrUnreachable)
			}
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

// rangeOf returns the values of an attribute that came as a range from at on, where
// the next begins and whether there is one. An entry without a range has none.
func rangeOf(e *ldapv3.Entry, name string, at int) (values []string, next int, more bool, err error) {
	prefix := strings.ToLower(name) + ";range="
	for _, a := range e.Attributes {
		bounds, ok := strings.CutPrefix(strings.ToLower(a.Name), prefix)
		if !ok {
			continue
		}
		low, high, _ := strings.Cut(bounds, "-")
		from, err := strconv.Atoi(low)
		if err != nil || from != at {
			return nil, 0, false, fmt.Errorf("%w: %s of %q comes as range %q, not from %d on", directory.ErrRefused, name, e.DN, bounds, at)
		}
		if high == "*" {
			return a.Values, 0, false, nil
		}
		to, err := strconv.Atoi(high)
		if err != nil || to < from || len(a.Values) != to-from+1 {
			return nil, 0, false, fmt.Errorf("%w: %s of %q comes as range %q with %d values", directory.ErrRefused, name, e.DN, bounds, len(a.Values))
		}
		return a.Values, to + 1, true, nil
	}
	if at > 0 {
		return nil, 0, false, fmt.Errorf("%w: %s of %q ended before its last range", directory.ErrRefused, name, e.DN)
	}
	return nil, 0, false, nil
}
