package exchange

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/internal/dn"
)

// ldifColumn is where lines are folded (RFC 2849 leaves it open; 76 is custom).
const ldifColumn = 76

// recentDNs is how many users' DNs are kept at hand, in some 30 MB.
const recentDNs = 1 << 18

// ldifWriter writes entries. The parser's own Marshal builds an entry as one
// string, which a group of a million members should not be, and writes values
// with leading spaces and DNs that are not ASCII so that they are read as
// something else.
type ldifWriter struct {
	*exporter
	dns       map[key]target // whose each DN is
	recent    map[roster.UserID]string
	described bool // some users' DNs are those in their descriptions
	hash      hasher
	directory map[roster.DirectoryID]string // the RDN of each
	home      func(roster.UserID) roster.DirectoryID
	left      leftOut
}

func (x *exporter) ldif() error {
	w := &ldifWriter{
		exporter: x, hash: newHasher(), left: leftOut{},
		dns: map[key]target{}, recent: map[roster.UserID]string{}, directory: map[roster.DirectoryID]string{},
	}
	for _, d := range x.tx.Directories() {
		w.directory[d.ID] = "o=" + dn.Escape(d.Name)
	}
	var err error
	if w.home, err = x.userDirectories(); err != nil {
		return err
	}
	if _, err := x.out.WriteString("version: 1\n"); err != nil {
		return err
	}
	if err := w.claim(); err != nil {
		return err
	}
	if err := x.users(w.user); err != nil {
		return err
	}
	if err := x.eachGroup(w.group); err != nil {
		return err
	}
	if w.opts.Warn == nil {
		return nil
	}
	return w.report()
}

// report tells what was left out.
func (w *ldifWriter) report() error {
	w.opts.Warn("LDIF holds no ids, uids and times: left out")
	if n := len(w.directory); n > 1 {
		w.opts.Warn(fmt.Sprintf("LDIF holds no directories: an import of this file puts those of all %d into one, and refuses a name that two of them have", n))
	}
	if err := w.countOrganizations(w.left); err != nil {
		return err
	}
	w.left.tell(w.opts.Warn)
	return nil
}

// claim gives every user and group a DN, made of its name. A user keeps the DN
// that an import has put into its description, unless that is another's.
func (w *ldifWriter) claim() error {
	err := w.users(func(u roster.User) error {
		w.own(w.madeDN(u.Username, u.Directory), target{kindUser, uint32(u.ID)})
		return w.ctx.Err()
	})
	if err != nil {
		return err
	}
	err = w.eachGroup(func(g roster.Group) error {
		w.own(w.groupDN(g.Name, g.Directory), target{kindGroup, uint32(g.ID)})
		return w.ctx.Err()
	})
	if err != nil {
		return err
	}
	return w.users(func(u roster.User) error {
		if w.own(u.Description, target{kindUser, uint32(u.ID)}) {
			w.described = true
		}
		return w.ctx.Err()
	})
}

// own makes a DN somebody's unless it is another's already, and reports whether
// it is theirs. What is not a DN is nobody's.
func (w *ldifWriter) own(name string, who target) bool {
	normal, ok := dn.Normal(name)
	if !ok {
		return false
	}
	k := w.hash.key(normal)
	if _, taken := w.dns[k]; !taken {
		w.dns[k] = who
	}
	return w.dns[k] == who
}

// ownDN returns the DN in a user's description, "" if that is not one of its own.
func (w *ldifWriter) ownDN(u *roster.User) string {
	if w.described && w.own(u.Description, target{kindUser, uint32(u.ID)}) {
		return u.Description
	}
	return ""
}

// madeDN is the DN of a user that brought none.
func (w *ldifWriter) madeDN(name string, d roster.DirectoryID) string {
	return "uid=" + dn.Escape(name) + ",ou=people," + w.directory[d]
}

// memberDN is the DN of a user, of whom only the handle is known. Reading a
// record takes some microseconds, and there are many more members than users.
func (w *ldifWriter) memberDN(id roster.UserID) (string, error) {
	if dn, ok := w.recent[id]; ok {
		return dn, nil
	}
	u := roster.User{ID: id, Username: w.tx.Username(id), Directory: w.home(id)}
	if w.described {
		var err error
		if u, err = w.tx.User(id); err != nil {
			return "", err
		}
	}
	dn := w.ownDN(&u)
	if dn == "" {
		dn = w.madeDN(u.Username, u.Directory)
	}
	if len(w.recent) >= recentDNs {
		clear(w.recent)
	}
	w.recent[id] = dn
	return dn, nil
}

func (w *ldifWriter) groupDN(name string, d roster.DirectoryID) string {
	return "cn=" + dn.Escape(name) + ",ou=groups," + w.directory[d]
}

func (w *ldifWriter) user(u roster.User) error {
	dn := w.ownDN(&u)
	if dn == "" {
		dn = w.madeDN(u.Username, u.Directory)
		if u.Description != "" {
			w.left["descriptions of users are not a DN: written as an attribute, and read as one"]++
		}
	}
	w.buf = append(w.buf[:0], '\n')
	w.line("dn", dn)
	w.line("objectClass", "inetOrgPerson")
	w.line("uid", u.Username)
	w.names(&u)
	if u.Email != "" {
		w.line("mail", u.Email)
	}
	if dn != u.Description && u.Description != "" {
		w.line("description", u.Description)
	}
	if !u.Active {
		w.line("userAccountControl", "514") // as Active Directory says disabled
	}
	w.attributes(&u)
	return w.write()
}

// names writes displayName, which an import reads, and the cn and sn that an
// inetOrgPerson must have.
func (w *ldifWriter) names(u *roster.User) {
	full := u.FullName
	if full == "" {
		full = u.Username
		w.left["users without a full name: the username is written in its place"]++
	}
	w.line("displayName", full)
	if !hasAttribute(u, "cn") {
		w.line("cn", full)
	}
	if !hasAttribute(u, "sn") {
		w.line("sn", full)
		w.left["users without a surname: the full name is written in its place"]++
	}
}

func hasAttribute(u *roster.User, name string) bool {
	for key, values := range u.Attributes {
		if strings.EqualFold(key, name) && slices.ContainsFunc(values, keepsValue) {
			return true
		}
	}
	return false
}

// attributes writes those that an LDIF can hold and an import would keep.
func (w *ldifWriter) attributes(u *roster.User) {
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		lower := strings.ToLower(name)
		switch {
		case !attributeDescription(name), ignored(lower), slices.Contains(ownAttributes, lower):
			w.left["attributes have a name that LDIF cannot hold, or that means something else there: left out"]++
			continue
		case len(u.Attributes[name]) == 0:
			w.left["attributes without a value: left out"]++
		}
		for _, v := range u.Attributes[name] {
			if keepsValue(v) {
				w.line(name, v)
			} else {
				w.left["values of attributes are binary or hashed passwords: left out"]++
			}
		}
	}
}

// ownAttributes are written from fields of the record, or read as such.
var ownAttributes = []string{"dn", "changetype", "control", "objectclass", "samaccountname", "useraccountcontrol", "member", "uniquemember", "memberuid", "displayname"}

// attributeDescription reports whether a name may stand before the colon of a
// line: a type, and options behind semicolons.
func attributeDescription(name string) bool {
	for part := range strings.SplitSeq(name, ";") {
		if !dn.IsType(part) || strings.Contains(part, ".") {
			return false
		}
	}
	c := name[0] | 0x20
	return 'a' <= c && c <= 'z'
}

func (w *ldifWriter) group(g roster.Group) error {
	w.buf = append(w.buf[:0], '\n')
	w.line("dn", w.groupDN(g.Name, g.Directory))
	w.line("objectClass", "groupOfNames")
	w.line("cn", g.Name)
	if g.Description != "" {
		w.line("description", g.Description)
	}
	if len(g.Abilities) > 0 {
		w.left["groups grant abilities: left out"]++
	}
	if g.Enterprise {
		w.left["groups are enterprise groups: left out"]++
	}
	if err := w.write(); err != nil {
		return err
	}
	return w.members(g.ID, func(id roster.UserID) error {
		dn, err := w.memberDN(id)
		if err != nil {
			return err
		}
		w.buf = w.buf[:0]
		w.line("member", dn)
		return w.write()
	}, func(id roster.GroupID) error {
		sub, err := w.tx.Group(id)
		if err != nil {
			return err
		}
		w.buf = w.buf[:0]
		w.line("member", w.groupDN(sub.Name, sub.Directory))
		return w.write()
	})
}

// line appends one attribute to the buffer, encoded and folded as need be.
func (w *ldifWriter) line(name, value string) {
	start := len(w.buf)
	w.buf = append(append(w.buf, name...), ':')
	if safeLDIF(value) {
		w.buf = append(append(w.buf, ' '), value...)
	} else {
		w.buf = append(w.buf, ": "...)
		w.buf = base64.StdEncoding.AppendEncode(w.buf, []byte(value))
	}
	w.buf = foldLine(w.buf, start)
}

// safeLDIF is SAFE-STRING of RFC 2849, without a space at the end, which
// editors remove.
func safeLDIF(s string) bool {
	if s == "" {
		return true
	}
	if strings.IndexByte(" :<", s[0]) >= 0 || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// foldLine folds what stands behind start and ends the line.
func foldLine(dst []byte, start int) []byte {
	if len(dst)-start <= ldifColumn {
		return append(dst, '\n')
	}
	long := slices.Clone(dst[start+ldifColumn:])
	dst = append(dst[:start+ldifColumn], '\n')
	for len(long) > 0 {
		n := min(len(long), ldifColumn-1)
		dst = append(dst, ' ')
		dst = append(append(dst, long[:n]...), '\n')
		long = long[n:]
	}
	return dst
}
