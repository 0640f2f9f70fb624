package machine

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/fuzz/model"
)

// expr is a random set expression with what it means. Operands are looked up
// from left to right, and the first that fails is the expression's error.
type expr struct {
	text string
	eval func() (model.Set, error)
}

// expressions compares a random set expression, also after it has gone through
// its own text.
func (c *checker) expressions(m *Machine) error {
	x := m.expr(c, 3)
	parsed, err := roster.ParseExpr(x.text)
	if err != nil {
		return fmt.Errorf("expression %q: %w", x.text, err)
	}
	again, err := roster.ParseExpr(parsed.String())
	if err != nil || again.String() != parsed.String() {
		return fmt.Errorf("expression %q reads as %q, and that as %v: %w", x.text, parsed, again, err)
	}
	want, wantErr := x.eval()
	for _, e := range []*roster.Expr{parsed, again} {
		got, err := c.tx.Eval(e)
		if err := sameError(err, wantErr); err != nil {
			return fmt.Errorf("expression %q: %w", x.text, err)
		}
		if wantErr != nil {
			continue
		}
		if err := sameSet("expression "+x.text, got, want); err != nil {
			return err
		}
	}
	return nil
}

// expr draws an expression of at most that depth.
func (m *Machine) expr(c *checker, depth int) expr {
	if depth == 0 {
		return m.operand(c)
	}
	switch m.src.Intn(4) {
	case 0:
		x := m.expr(c, depth-1)
		return expr{"!(" + x.text + ")", func() (model.Set, error) {
			s, err := x.eval()
			if err != nil {
				return nil, err
			}
			return pick(c.all(), s, false), nil
		}}
	case 1:
		return m.both(c, depth, "&", func(a, b model.Set) model.Set { return pick(a, b, true) })
	case 2:
		return m.both(c, depth, "|", union)
	}
	return m.operand(c)
}

func (m *Machine) both(c *checker, depth int, operator string, combine func(a, b model.Set) model.Set) expr {
	x, y := m.expr(c, depth-1), m.expr(c, depth-1)
	text := fmt.Sprintf("(%s)%s(%s)", x.text, operator, y.text)
	if m.chance(2) {
		text = fmt.Sprintf("( %s )\t%s\n( %s )", x.text, operator, y.text)
	}
	return expr{text, func() (model.Set, error) {
		a, err := x.eval()
		if err != nil {
			return nil, err
		}
		b, err := y.eval()
		if err != nil {
			return nil, err
		}
		return combine(a, b), nil
	}}
}

// operand draws a set that an expression can name.
func (m *Machine) operand(c *checker) expr {
	w := c.want
	fixed := func(s model.Set) func() (model.Set, error) {
		return func() (model.Set, error) { return s, nil }
	}
	switch m.src.Intn(14) {
	case 0:
		return expr{"all", fixed(c.all())}
	case 1:
		return expr{"active", fixed(w.Active())}
	case 2:
		return expr{"none", fixed(nil)}
	case 3:
		ref := m.userRef(w)
		u, err := model.Answer(w.FindUser(ref))
		return expr{"user:" + m.quoted(ref), func() (model.Set, error) { return model.Set{u: true}, err }}
	case 4:
		name := oneOf(m.src, directoryNames...)
		return expr{"directory:" + m.quoted(name), func() (model.Set, error) { return c.directoryNamed(name) }}
	case 5, 6, 7:
		return m.orgOperand(c)
	case 8, 9:
		return m.adminOperand(c)
	}
	ref := m.groupRef(w)
	g, err := model.Answer(w.FindGroup(ref))
	if m.chance(3) {
		return expr{"direct:" + m.quoted(ref), func() (model.Set, error) {
			if err != nil {
				return nil, err
			}
			return w.Groups[g].Members, nil
		}}
	}
	text := "group:" + m.quoted(ref)
	if m.chance(2) {
		text = quote(ref)
	}
	return expr{text, func() (model.Set, error) {
		if err != nil {
			return nil, err
		}
		return c.members(g), nil
	}}
}

func (c *checker) directoryNamed(name string) (model.Set, error) {
	for id, d := range c.want.Directories {
		if model.Fold(d.Name) == model.Fold(name) {
			return c.want.InDirectory(id), nil
		}
	}
	return nil, roster.ErrNotFound
}

// orgOperand draws the members, the owners or the holders of a role of an
// organisation.
func (m *Machine) orgOperand(c *checker) expr {
	id, kind := m.orgID(c.want), m.src.Intn(3)
	o := c.want.FindOrganization(id)
	if kind == 2 {
		role := oneOf(m.src, roleIDs...)
		return expr{"role:" + m.quotedRole(id, role), func() (model.Set, error) {
			if r := c.want.FindRole(id, role); r != nil {
				return o.Holders(r), nil
			}
			return nil, roster.ErrNotFound
		}}
	}
	return expr{[]string{"org:", "owners:"}[kind] + m.quoted(id), func() (model.Set, error) {
		switch {
		case o == nil:
			return nil, roster.ErrNotFound
		case kind == 0:
			return o.All(), nil
		}
		return o.Owners(), nil
	}}
}

// adminOperand draws the administrators of a group, or who is there for one.
func (m *Machine) adminOperand(c *checker) expr {
	if m.chance(2) {
		ref := m.groupRef(c.want)
		g, err := model.Answer(c.want.FindGroup(ref))
		return expr{"admins:" + m.quoted(ref), func() (model.Set, error) {
			if err != nil {
				return nil, err
			}
			return c.adminsOf(g), nil
		}}
	}
	word, mean := "administered:", c.administeredMembers
	if m.chance(2) {
		word, mean = "assignable:", c.want.Assignable
	}
	ref := m.userRef(c.want)
	u, err := model.Answer(c.want.FindUser(ref))
	return expr{word + m.quoted(ref), func() (model.Set, error) {
		if err != nil {
			return nil, err
		}
		return mean(c.administered(u)), nil
	}}
}

// quotedRole returns the names of an organisation and a role as an expression
// can hold them: each for itself, or in quotes around both.
func (m *Machine) quotedRole(org, role string) string {
	if strings.Contains(org, "/") {
		return quote(org) + "/" + m.quoted(role)
	}
	if m.chance(3) {
		return quote(org + "/" + role)
	}
	return m.quoted(org) + "/" + m.quoted(role)
}

// quoted returns a name as an expression can hold it behind a colon, without
// quotes if it can stand like that.
func (m *Machine) quoted(name string) string {
	bare := !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(`_-./@:\#`, r)
	})
	if bare && m.chance(2) {
		return name
	}
	return quote(name)
}

func quote(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}
