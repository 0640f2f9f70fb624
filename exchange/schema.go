package exchange

import (
	"bytes"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/internal/dn"
)

// ldifEntry gathers an entry from its pieces and turns it into a record.
//
// What it makes of an entry is decided by the object classes, which may come
// after the members. So members go into the plan as they come, as members of
// the entry's DN, and count only if that turns out to be a group.
type ldifEntry struct {
	plan   *Plan
	input  int
	open   bool // pieces of an entry have come, its last has not
	line   int64
	dn     string
	symbol symbol
	key    string
	attrs  map[string]*ldifAttribute // by name in lower case
	held   int                       // bytes in attrs
	id     string                    // entryUUID, or what else never changes
}

// ldifAttribute is one attribute of an entry, under the name it had first.
type ldifAttribute struct {
	name   string
	values []string
}

func newLDIFEntry(plan *Plan, input int) *ldifEntry {
	return &ldifEntry{plan: plan, input: input, attrs: map[string]*ldifAttribute{}}
}

// take adds a piece, and the entry to the plan when it is its last.
func (e *ldifEntry) take(parsed *ldap.Entry, p *piece) error {
	if !e.open {
		if err := e.begin(parsed.DN, p.dn); err != nil {
			return e.plan.fail(at(e.input, p.dn), err)
		}
	}
	for _, a := range parsed.Attributes {
		if len(p.lines) == 0 {
			break // what the framer put in so that the parser takes a dn alone
		}
		if err := e.attribute(a, p); err != nil {
			return err
		}
	}
	if !p.last {
		return nil
	}
	e.open = false
	if err := e.finish(); err != nil {
		return e.plan.fail(at(e.input, e.line), err)
	}
	return nil
}

func (e *ldifEntry) begin(name string, line int64) error {
	e.open, e.line, e.dn, e.held, e.id = true, line, name, 0, ""
	clear(e.attrs)
	if !utf8.ValidString(name) {
		return problemf(ErrMalformed, "the DN is not valid UTF-8")
	}
	if name == "" {
		e.key = "" // the root of a server: no user, no group
		return nil
	}
	normal, ok := dn.Normal(name)
	if !ok {
		return problemf(ErrMalformed, "%s is not a distinguished name", quoteStart([]byte(name)))
	}
	e.key = dnKey(normal)
	e.symbol = e.plan.symbols.lookup(e.key)
	return nil
}

// attribute keeps one attribute of a piece, or hands its values on as members.
func (e *ldifEntry) attribute(a *ldap.EntryAttribute, p *piece) error {
	name := strings.ToLower(a.Name)
	switch name {
	case "member", "uniquemember", "memberuid":
		return e.members(name, a, p)
	}
	if ignored(name) {
		e.identify(name, a.Values)
		return nil
	}
	kept := e.attrs[name]
	if kept == nil {
		kept = &ldifAttribute{name: a.Name}
		e.attrs[name] = kept
	}
	for _, v := range a.Values {
		if e.held += len(name) + len(v); e.held > MaxRecord {
			return e.plan.fail(at(e.input, p.dn), problemf(ErrTooLong, "the entry, without members, is longer than %d bytes", MaxRecord))
		}
		kept.values = append(kept.values, v)
	}
	return nil
}

// identify keeps what an entry's server calls it for ever. An objectGUID is bytes.
func (e *ldifEntry) identify(name string, values []string) {
	if len(values) == 0 || e.id != "" || len(values[0]) > 64 {
		return
	}
	switch name {
	case "entryuuid", "nsuniqueid":
		e.id = strings.ToLower(values[0])
	case "objectguid":
		e.id = hex.EncodeToString([]byte(values[0]))
	}
}

func (e *ldifEntry) members(name string, a *ldap.EntryAttribute, p *piece) error {
	if e.key == "" {
		return nil
	}
	lines := p.linesOf(a.Name, len(a.Values))
	for i, v := range a.Values {
		ref := func() *reference { return &reference{at: at(e.input, lines[i]), name: v} }
		var member symbol
		switch name {
		case "memberuid":
			member = e.plan.symbols.refer(nameKey(kindUser, 0, v), ref)
		default:
			if name == "uniquemember" {
				v = dn.WithoutBits(v)
			}
			normal, ok := dn.Normal(v)
			if !ok {
				normal = "\x03" + v // equals no DN: it stays unresolved
			}
			member = e.plan.symbols.refer(dnKey(normal), ref)
		}
		if err := e.plan.addMember(e.symbol, member); err != nil {
			return err
		}
	}
	return nil
}

// linesOf returns where the n values of an attribute stand in the input.
func (p *piece) linesOf(name string, n int) []int64 {
	lines := make([]int64, 0, n)
	rest := p.text
	for _, line := range p.lines {
		if colon := bytes.IndexByte(rest, ':'); string(rest[:colon]) == name {
			lines = append(lines, line)
		}
		rest = rest[bytes.IndexByte(rest, '\n')+1:]
	}
	for len(lines) < n { // never: each value was a line of the piece
		lines = append(lines, p.dn)
	}
	return lines
}

// values returns the values of an attribute, by its name in lower case. Those
// with a language or another option are other attributes.
func (e *ldifEntry) values(name string) []string {
	if a := e.attrs[name]; a != nil {
		return a.values
	}
	return nil
}

// pop takes the first value out of an attribute, "" if it has none.
func (e *ldifEntry) pop(name string) string {
	a := e.attrs[name]
	if a == nil || len(a.values) == 0 {
		return ""
	}
	v := a.values[0]
	if a.values = a.values[1:]; len(a.values) == 0 {
		delete(e.attrs, name)
	}
	return v
}

// finish adds the entry to the plan as what its object classes say.
func (e *ldifEntry) finish() error {
	if e.key == "" {
		return nil
	}
	user, group := false, false
	for _, class := range e.values("objectclass") {
		switch strings.ToLower(class) {
		case "person", "organizationalperson", "inetorgperson", "posixaccount", "user":
			user = true
		case "groupofnames", "groupofuniquenames", "posixgroup", "group":
			group = true
		}
	}
	delete(e.attrs, "objectclass")
	switch {
	case group:
		return e.group()
	case user:
		return e.user()
	}
	return e.plan.addOther(at(e.input, e.line), e.key)
}

func (e *ldifEntry) group() error {
	rec := record{
		header: header{kind: kindGroup, at: at(e.input, e.line), has: hasDescription | hasFlag},
		name:   e.pop("cn"), description: e.pop("description"), identity: e.id,
	}
	if rec.name == "" {
		return problemf(ErrMalformed, "the group %s has no cn to be its name", quoteStart([]byte(e.dn)))
	}
	return e.add(&rec)
}

func (e *ldifEntry) user() error {
	rec := record{
		header:      header{kind: kindUser, at: at(e.input, e.line), has: hasFullName | hasEmail | hasDescription | hasFlag | hasAttributes},
		description: e.dn, flag: !e.disabled(), identity: e.id,
	}
	for _, name := range []string{"uid", "samaccountname", "cn"} {
		if list := e.values(name); len(list) > 0 {
			rec.name = list[0]
			if name != "cn" { // which may be the full name as well
				e.pop(name)
			}
			break
		}
	}
	if rec.name == "" {
		return problemf(ErrMalformed, "the user %s has no uid, sAMAccountName or cn to be its name", quoteStart([]byte(e.dn)))
	}
	rec.fullName, rec.email = e.fullName(rec.name), e.pop("mail")
	rec.attributes = e.rest()
	return e.add(&rec)
}

// fullName takes displayName, else cn. A cn that says nothing else than the
// full name or the username is dropped, any other is kept as an attribute.
func (e *ldifEntry) fullName(username string) string {
	name := e.pop("displayname")
	if name == "" {
		return e.pop("cn")
	}
	if cn := e.values("cn"); len(cn) == 1 && (cn[0] == name || cn[0] == username) {
		delete(e.attrs, "cn")
	}
	return name
}

// disabled reads the bit ACCOUNTDISABLE of Active Directory's userAccountControl.
func (e *ldifEntry) disabled() bool {
	n, err := strconv.ParseInt(e.pop("useraccountcontrol"), 10, 64)
	return err == nil && n&2 != 0
}

// rest returns what is left of the entry as attributes: text, and no secrets.
func (e *ldifEntry) rest() map[string][]string {
	kept := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.attrs)) {
		a := e.attrs[name]
		a.values = slices.DeleteFunc(a.values, func(v string) bool {
			if len(v) > maxText {
				e.plan.oversized++
				return true
			}
			return !keepsValue(v)
		})
		if len(a.values) > 0 {
			kept[a.name] = slices.Clone(a.values)
		}
	}
	return kept
}

func (e *ldifEntry) add(rec *record) error {
	for _, s := range []string{rec.name, rec.fullName, rec.email, rec.description} {
		if !utf8.ValidString(s) {
			return problemf(ErrMalformed, "the name, full name, mail or description is not valid UTF-8")
		}
	}
	return e.plan.addRecord(rec, e.key, nameKey(rec.kind, 0, rec.name))
}

// keepsValue reports whether a value of an attribute is stored: text, and not,
// say, a picture or a SID or a hashed password.
func keepsValue(v string) bool {
	return utf8.ValidString(v) && !hashedPassword.MatchString(v) && !strings.ContainsFunc(v, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r'
	})
}

// hashedPassword matches how directories write hashed passwords ({SSHA}…,
// {CRYPT}…), under whatever attribute they stand.
var hashedPassword = regexp.MustCompile(`(?i)^\{(s?sha(1|256|384|512)?|ssha-?(256|384|512)|s?md[45]|crypt|pbkdf2[a-z0-9-]*|argon2[a-z]*|sasl|cleartext|lanman|nt)\}`)

// ignored reports whether an attribute, by its name in lower case, is never
// stored: a secret (rather one too many than one too few), what a server keeps
// for its own use and changes with every login, binary data, and what says
// again who is in which group.
func ignored(name string) bool {
	name, options, _ := strings.Cut(name, ";")
	for option := range strings.SplitSeq(options, ";") {
		if option == "binary" {
			return true
		}
	}
	for _, part := range []string{"password", "passwd", "passphrase", "pwd", "secret", "credential", "privatekey", "otpkey", "token"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for _, prefix := range []string{"krb", "msfve-", "mslaps-", "ms-mcs-", "mskds-", "msds-", "msexch", "usn"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	_, found := slices.BinarySearch(ignoredNames, name)
	return found
}

// ignoredNames is sorted.
var ignoredNames = []string{
	"accountexpires", "admincount", "auditid", "badpasswordtime", "codepage", "contextcsn", "countrycode",
	"createtimestamp", "creatorsname", "distinguishedname", "dscorepropagationdata", "entrycsn", "entrydn", "entryid",
	"entryuuid", "hassubordinates", "instancetype", "ipanthash", "jpegphoto", "lastlogoff", "lastlogon",
	"lastlogontimestamp", "lockouttime", "logoncount", "logonhours", "memberof", "modifiersname", "modifytimestamp",
	"nsuniqueid", "ntsecuritydescriptor", "numsubordinates", "objectcategory", "objectguid", "objectsid", "parentid",
	"photo", "primarygroupid", "samaccounttype", "shadowlastchange", "sidhistory", "structuralobjectclass",
	"subschemasubentry", "thumbnaillogo", "thumbnailphoto", "usercertificate", "userparameters", "userpkcs12",
	"usersmimecertificate", "whenchanged", "whencreated", "x500uniqueidentifier",
}
