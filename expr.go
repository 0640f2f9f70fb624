package roster

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrSyntax is what every *SyntaxError wraps.
var ErrSyntax = errors.New("roster: not a set expression")

// A SyntaxError says where a text stops being a set expression, and what could
// have stood there.
type SyntaxError struct {
	Offset   int    // in bytes from the start of the text
	Expected string // in words
	Found    string // in words
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%v: at byte %d: expected %s, found %s", ErrSyntax, e.Offset, e.Expected, e.Found)
}

func (e *SyntaxError) Unwrap() error { return ErrSyntax }

// Expr is a set expression: it says which users are meant, in names. The zero
// Expr is "none". An Expr does not change and may be shared by goroutines; what
// its names stand for is looked up each time it is evaluated.
type Expr struct{ root exprNode }

// An exprNode is an operator with its operands, or a named set.
type exprNode struct {
	kind exprKind
	name string     // of what the kind says
	role string     // of exprRole; name is the organisation's id then
	args []exprNode // of an operator: one for exprNot, else two or more, none of the same kind
}

type exprKind uint8

const (
	exprNone         exprKind = iota // no user
	exprAll                          // all users
	exprActive                       // the users that are active
	exprGroup                        // the effective members of a group
	exprDirect                       // the direct members of a group
	exprOrg                          // the members of an organisation
	exprOwners                       // the owners of an organisation
	exprRole                         // who has a role in an organisation
	exprAdmins                       // the administrators of a group
	exprDirectory                    // the users of a directory
	exprUser                         // one user
	exprAssignable                   // who may be assigned to the groups that a user administers
	exprAdministered                 // the effective members of these groups
	exprAnd
	exprOr
	exprNot
)

// exprWords are the words that stand for a set, or before the colon in front of
// its name, by kind.
var exprWords = [...]string{
	exprNone: "none", exprAll: "all", exprActive: "active", exprGroup: "group", exprDirect: "direct",
	exprOrg: "org", exprOwners: "owners", exprRole: "role", exprAdmins: "admins",
	exprDirectory: "directory", exprUser: "user",
	exprAssignable: "assignable", exprAdministered: "administered",
}

// exprKindOf returns the kind that a word stands for, before a colon or by
// itself.
func exprKindOf(word string, colon bool) (exprKind, bool) {
	i := slices.Index(exprWords[:], word)
	if i < 0 || colon != (exprKind(i) >= exprGroup) {
		return 0, false
	}
	return exprKind(i), true
}

// Limits of an expression. They keep the parser, and whoever evaluates, from
// running out of stack on hostile text.
const (
	maxExpr      = 64 << 10 // bytes
	maxExprDepth = 200      // parentheses and negations within each other
)

// ParseExpr reads a set expression:
//
//	a & b   a | b   !a   ( a )       & binds tighter than |
//	sales   "key accounts"           effective members of a group
//	group:NAME  direct:NAME          effective, direct members
//	admins:NAME                      administrators of a group
//	org:ID  owners:ID  role:ORG/ID   members, owners, holders of a role
//	directory:NAME  user:NAME
//	administered:NAME                members of the groups that a user administers
//	assignable:NAME                  who may be made a member of them
//	active  all  none
//
// A name of letters, digits and _ - . / @ : \ # may stand as it is, any other
// in double quotes, in which \" is a quote and \\ a backslash. A quoted name is
// never one of the words above: "all" is a group. White space may stand around
// everything but names and their colons.
//
// The error is a *SyntaxError. An expression is at most 64 KiB long, both as
// given and as String writes it, with at most 200 parentheses and negations
// within each other.
func ParseExpr(s string) (*Expr, error) {
	if len(s) > maxExpr {
		return nil, tooLong(len(s))
	}
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			return nil, &SyntaxError{i, "valid UTF-8", fmt.Sprintf("byte %#02x", s[i])}
		}
	}
	p := exprParser{s: s}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(s) {
		return nil, p.fail(`"&", "|" or the end`)
	}
	x := &Expr{root}
	if size := len(x.String()); size > maxExpr {
		return nil, tooLong(size)
	}
	return x, nil
}

func tooLong(size int) error {
	return &SyntaxError{0, fmt.Sprintf("an expression of at most %d bytes", maxExpr), fmt.Sprintf("one of %d", size)}
}

// exprParser goes through a text by recursive descent. Each of its methods that
// reads a part of the grammar also reads the white space after it.
type exprParser struct {
	s     string
	pos   int
	depth int
}

// fail returns the error that something else was expected here.
func (p *exprParser) fail(expected string) error {
	found := "the end"
	if r, size := utf8.DecodeRuneInString(p.s[p.pos:]); size > 0 {
		found = strconv.Quote(string(r))
	}
	return &SyntaxError{p.pos, expected, found}
}

// take reads a character that has a meaning, if it stands here.
func (p *exprParser) take(c byte) bool {
	if p.pos == len(p.s) || p.s[p.pos] != c {
		return false
	}
	p.pos++
	p.space()
	return true
}

func (p *exprParser) space() {
	p.pos = len(p.s) - len(strings.TrimLeftFunc(p.s[p.pos:], unicode.IsSpace))
}

func (p *exprParser) or() (exprNode, error) {
	p.space()
	return p.chain('|', exprOr, func() (exprNode, error) { return p.chain('&', exprAnd, p.operand) })
}

// chain reads one operand or several with an operator between. An operand that
// is such a chain itself, in parentheses, becomes part of the chain.
func (p *exprParser) chain(operator byte, kind exprKind, operand func() (exprNode, error)) (exprNode, error) {
	var args []exprNode
	for {
		x, err := operand()
		if err != nil {
			return x, err
		}
		if args == nil && (p.pos == len(p.s) || p.s[p.pos] != operator) {
			return x, nil
		}
		if x.kind == kind {
			args = append(args, x.args...)
		} else {
			args = append(args, x)
		}
		if !p.take(operator) {
			return exprNode{kind: kind, args: args}, nil
		}
	}
}

func (p *exprParser) operand() (x exprNode, err error) {
	if p.depth > maxExprDepth {
		return x, p.fail(fmt.Sprintf("at most %d parentheses and negations within each other", maxExprDepth))
	}
	p.depth++
	defer func() { p.depth-- }()
	switch {
	case p.take('!'):
		x, err = p.operand()
		return exprNode{kind: exprNot, args: []exprNode{x}}, err
	case p.take('('):
		if x, err = p.or(); err == nil && !p.take(')') {
			err = p.fail(`"&", "|" or ")"`)
		}
		return x, err
	}
	x, err = p.set()
	p.space()
	return x, err
}

// set reads a named set.
func (p *exprParser) set() (x exprNode, err error) {
	start := p.pos
	word := p.bare("")
	if kind, ok := exprKindOf(word, false); ok {
		return exprNode{kind: kind}, nil
	}
	x.kind = exprGroup
	p.pos = start
	expected := `a name, "!" or "("`
	if before, _, ok := strings.Cut(word, ":"); ok {
		if kind, ok := exprKindOf(before, true); ok {
			x.kind = kind
			p.pos += len(before) + 1
			expected = fmt.Sprintf("a name after %q", before+":")
		}
	}
	if x.kind == exprRole {
		x.name, x.role, err = p.roleName()
	} else {
		x.name, err = p.name(expected)
	}
	return x, err
}

// name reads a name that may be quoted as a whole, or from after a colon on.
func (p *exprParser) name(expected string) (string, error) {
	name := p.bare("")
	if p.pos < len(p.s) && p.s[p.pos] == '"' && (name == "" || strings.HasSuffix(name, ":")) {
		rest, err := p.quoted()
		return name + rest, err
	}
	if name == "" {
		return "", p.fail(expected)
	}
	return name, nil
}

// roleName reads ORG/ID. Either may be quoted, or both in one.
func (p *exprParser) roleName() (org, id string, err error) {
	const expected = `an organisation, "/" and a role after "role:"`
	quoted := p.pos < len(p.s) && p.s[p.pos] == '"'
	if quoted {
		start := p.pos
		if org, err = p.quoted(); err != nil {
			return "", "", err
		}
		if p.pos == len(p.s) || p.s[p.pos] != '/' {
			if org, id, _ = strings.Cut(org, "/"); org == "" || id == "" {
				p.pos = start
				err = p.fail(expected)
			}
			return org, id, err
		}
	} else if org = p.bare("/"); org == "" || p.pos == len(p.s) || p.s[p.pos] != '/' {
		return "", "", p.fail(expected)
	}
	p.pos++
	if p.pos < len(p.s) && p.s[p.pos] == '"' {
		id, err = p.quoted()
	} else if id = p.bare(""); id == "" {
		err = p.fail("a role after \"/\"")
	}
	return org, id, err
}

// bare reads the characters here that need no quotes, up to one of stop. There
// may be none.
func (p *exprParser) bare(stop string) string {
	start := p.pos
	for i, r := range p.s[start:] {
		if !isBare(r) || strings.ContainsRune(stop, r) {
			p.pos = start + i
			return p.s[start:p.pos]
		}
	}
	p.pos = len(p.s)
	return p.s[start:]
}

func isBare(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`_-./@:\#`, r) || unicode.IsMark(r)
}

// quoted reads a name in quotes, from the first quote to the last.
func (p *exprParser) quoted() (string, error) {
	var name strings.Builder
	p.pos++
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		switch c {
		case '"':
			if name.Len() == 0 {
				return "", p.fail("a name between the quotes")
			}
			p.pos++
			return name.String(), nil
		case '\\':
			p.pos++
			if p.pos == len(p.s) || p.s[p.pos] != '"' && p.s[p.pos] != '\\' {
				return "", p.fail(`\ or " after \`)
			}
			c = p.s[p.pos]
		}
		name.WriteByte(c)
		p.pos++
	}
	return "", p.fail(`a closing "`)
}

// String returns the expression as text that ParseExpr reads as the same.
func (x *Expr) String() string { return string(x.root.appendTo(nil)) }

// appendTo appends the text of x to b.
func (x *exprNode) appendTo(b []byte) []byte {
	switch x.kind {
	case exprAnd, exprOr:
		for i := range x.args {
			if i > 0 && x.kind == exprAnd {
				b = append(b, " & "...)
			} else if i > 0 {
				b = append(b, " | "...)
			}
			b = x.args[i].appendWithin(b, x.kind)
		}
	case exprNot:
		b = x.args[0].appendWithin(append(b, '!'), exprNot)
	case exprGroup:
		if !isBareName(x.name) || isSpokenFor(x.name) {
			return appendQuoted(b, x.name)
		}
		b = append(b, x.name...)
	default:
		b = append(b, exprWords[x.kind]...)
		if x.kind >= exprGroup {
			b = x.appendName(append(b, ':'))
		}
	}
	return b
}

// appendWithin appends the text of x as an operand of an operator of that kind,
// in parentheses where it would be read as something else.
func (x *exprNode) appendWithin(b []byte, kind exprKind) []byte {
	if x.kind == exprOr || x.kind == exprAnd && kind == exprNot {
		return append(x.appendTo(append(b, '(')), ')')
	}
	return x.appendTo(b)
}

// appendName appends what stands after the colon.
func (x *exprNode) appendName(b []byte) []byte {
	name := x.name
	if x.kind == exprRole {
		if strings.Contains(name, "/") {
			b = append(appendQuoted(b, name), '/')
			name = x.role
		} else {
			name += "/" + x.role
		}
	}
	if isBareName(name) {
		return append(b, name...)
	}
	return appendQuoted(b, name)
}

func isBareName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !isBare(r) })
}

// isSpokenFor reports whether a bare word means something else than a group.
func isSpokenFor(word string) bool {
	before, _, colon := strings.Cut(word, ":")
	_, ok := exprKindOf(before, colon)
	return ok
}

func appendQuoted(b []byte, name string) []byte {
	b = append(b, '"')
	for i := range len(name) {
		if name[i] == '"' || name[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, name[i])
	}
	return append(b, '"')
}
