// Package dn compares distinguished names, and writes values so that they may
// stand in one.
package dn

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/rosterdb/roster/internal/text"
)

// Normal returns the form in which two spellings of one distinguished name
// are equal: attribute types in lower case, values folded as names are, runs of
// unescaped spaces as one, escapes decoded, the parts of a multi-valued RDN sorted. It
// reads RFC 4514 and the older spellings that exports still carry (spaces
// around separators, `;` between RDNs, quoted values). False: not a DN.
//
// The form is for comparing and hashing only.
func Normal(dn string) (string, bool) {
	p := dnParser{in: dn}
	var out, rdn []string
	for {
		part, ok := p.part()
		if !ok {
			return "", false
		}
		rdn = append(rdn, part)
		sep := p.separator()
		if sep == '+' {
			continue
		}
		slices.Sort(rdn)
		out = append(out, strings.Join(rdn, "\x01"))
		rdn = rdn[:0]
		switch sep {
		case 0:
			return strings.Join(out, "\x00"), true
		case ',', ';':
		default:
			return "", false
		}
	}
}

// dnParser reads the attributes of a DN from left to right.
type dnParser struct {
	in  string
	pos int
}

// separator skips spaces and returns the byte that ends an attribute, 0 at the
// end of the DN.
func (p *dnParser) separator() byte {
	p.spaces()
	if p.pos == len(p.in) {
		return 0
	}
	p.pos++
	return p.in[p.pos-1]
}

func (p *dnParser) spaces() {
	for p.pos < len(p.in) && p.in[p.pos] == ' ' {
		p.pos++
	}
}

// part reads one `type = value` and returns its normal form.
func (p *dnParser) part() (string, bool) {
	p.spaces()
	end := strings.IndexByte(p.in[p.pos:], '=')
	if end < 0 {
		return "", false
	}
	name := strings.TrimRight(p.in[p.pos:p.pos+end], " ")
	if !IsType(name) {
		return "", false
	}
	p.pos += end + 1
	p.spaces()
	value, ok := p.value()
	if !ok {
		return "", false
	}
	name = strings.TrimPrefix(strings.ToLower(name), "oid.")
	value = text.Fold(value)
	if strings.ContainsAny(value, "\x00\x01\x02") {
		// NUL and 0x01 separate parts; escaped ones in a value must not look so.
		value = strings.NewReplacer("\x00", "\x020", "\x01", "\x021", "\x02", "\x022").Replace(value)
	}
	return name + "=" + value, true
}

// value reads an attribute value up to its separator and decodes it.
func (p *dnParser) value() (string, bool) {
	if p.pos < len(p.in) && p.in[p.pos] == '"' {
		return p.quoted()
	}
	var out strings.Builder
	keep := 0 // length of out without trailing spaces that were not escaped
	space := false
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; c {
		case ',', ';', '+':
			return out.String()[:keep], true
		case '"':
			return "", false
		case '\\':
			if !p.escape(&out) {
				return "", false
			}
			keep, space = out.Len(), false
		default:
			p.pos++
			if c != ' ' || !space {
				out.WriteByte(c)
			}
			if space = c == ' '; !space {
				keep = out.Len()
			}
		}
	}
	return out.String()[:keep], true
}

func (p *dnParser) quoted() (string, bool) {
	var out strings.Builder
	for p.pos++; p.pos < len(p.in); {
		switch c := p.in[p.pos]; c {
		case '"':
			p.pos++
			return out.String(), true
		case '\\':
			if !p.escape(&out) {
				return "", false
			}
		default:
			p.pos++
			out.WriteByte(c)
		}
	}
	return "", false
}

// escape reads `\` and what it escapes: two hexadecimal digits or one character.
func (p *dnParser) escape(out *strings.Builder) bool {
	rest := p.in[p.pos+1:]
	if len(rest) >= 2 {
		if b, err := hex.DecodeString(rest[:2]); err == nil {
			out.Write(b)
			p.pos += 3
			return true
		}
	}
	if rest == "" || !strings.ContainsRune(" \"#+,;<=>\\", rune(rest[0])) {
		return false
	}
	out.WriteByte(rest[0])
	p.pos += 2
	return true
}

// IsType reports whether s is an attribute's name or OID.
func IsType(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		digit := '0' <= s[i] && s[i] <= '9'
		if !letter && !digit && (i == 0 || s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != ""
}

// WithoutBits cuts the `#'0101'B` that a uniqueMember value may end in
// (RFC 4517, Name and Optional UID).
func WithoutBits(value string) string {
	at := strings.LastIndex(value, "#'")
	if at < 0 || !strings.HasSuffix(value, "'B") || at+2 > len(value)-2 {
		return value
	}
	if strings.Trim(value[at+2:len(value)-2], "01") != "" {
		return value
	}
	return value[:at]
}

// Escape writes a value so that it may stand in a DN (RFC 4514).
func Escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case strings.IndexByte("\"+,;<>\\=", c) >= 0,
			c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' '),
			c == '#' && i == 0:
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c == 0x7f:
			out.WriteString(`\` + hex.EncodeToString([]byte{c}))
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
