package roster

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Short forms for trees.
func named(kind exprKind, name string) exprNode    { return exprNode{kind: kind, name: name} }
func group(name string) exprNode                   { return named(exprGroup, name) }
func op2(kind exprKind, args ...exprNode) exprNode { return exprNode{kind: kind, args: args} }
func not(x exprNode) exprNode                      { return op2(exprNot, x) }

func TestParseExpr(t *testing.T) {
	a, b, c := group("a"), group("b"), group("c")
	for _, tc := range []struct {
		in   string
		want exprNode
		text string // what String returns, when it is not in
	}{
		{"a", a, ""},
		{" \ta\n", a, "a"},
		{"(((a)))", a, "a"},
		{"!a", not(a), ""},
		{"! ! a", not(not(a)), "!!a"},
		{"a & b", op2(exprAnd, a, b), ""},
		{"a&b|c", op2(exprOr, op2(exprAnd, a, b), c), "a & b | c"},
		{"a | b & c", op2(exprOr, a, op2(exprAnd, b, c)), ""},
		{"(a | b) & c", op2(exprAnd, op2(exprOr, a, b), c), ""},
		{"a | (b | c)", op2(exprOr, a, b, c), "a | b | c"},
		{"(a & b) & (c & a)", op2(exprAnd, a, b, c, a), "a & b & c & a"},
		{"!(a | b) & !c", op2(exprAnd, not(op2(exprOr, a, b)), not(c)), ""},
		{"!(a & b)", not(op2(exprAnd, a, b)), ""},
		{"all", exprNode{kind: exprAll}, ""},
		{"active & !none", op2(exprAnd, exprNode{kind: exprActive}, not(exprNode{kind: exprNone})), ""},
		{"All", group("All"), ""},
		{`"all"`, group("all"), ""},
		{"group:all", group("all"), `"all"`},
		{`group:"key accounts"`, group("key accounts"), `"key accounts"`},
		{`"say \"hi\" to c:\\x"`, group(`say "hi" to c:\x`), ""},
		{`"corp\\x"`, group(`corp\x`), `corp\x`},
		{"corp:sales", group("corp:sales"), ""},
		{`corp:"key accounts"`, group("corp:key accounts"), `"corp:key accounts"`},
		{"group:corp:sales", group("corp:sales"), "corp:sales"},
		{"group:direct:x", group("direct:x"), `"direct:x"`},
		{"group", group("group"), ""},
		{"all:x", group("all:x"), ""},
		{"#12", group("#12"), ""},
		{"größe-1.2/x@y_z", group("größe-1.2/x@y_z"), ""},
		{"e\u0301t\u00e9", group("e\u0301t\u00e9"), ""},
		{"direct:a", named(exprDirect, "a"), ""},
		{`direct:corp:"a b"`, named(exprDirect, "corp:a b"), `direct:"corp:a b"`},
		{"direct:all", named(exprDirect, "all"), ""},
		{"org:org_1", named(exprOrg, "org_1"), ""},
		{"owners:org_1", named(exprOwners, "org_1"), ""},
		{"admins:corp:sales", named(exprAdmins, "corp:sales"), ""},
		{`directory:"Open LDAP"`, named(exprDirectory, "Open LDAP"), ""},
		{`user:corp\bob`, named(exprUser, `corp\bob`), ""},
		{"user:bob@corp.example", named(exprUser, "bob@corp.example"), ""},
		{"user:#7", named(exprUser, "#7"), ""},
		{"role:acme/admin", exprNode{kind: exprRole, name: "acme", role: "admin"}, ""},
		{"role:acme/a/b", exprNode{kind: exprRole, name: "acme", role: "a/b"}, ""},
		{`role:"acme corp"/admin`, exprNode{kind: exprRole, name: "acme corp", role: "admin"}, `role:"acme corp/admin"`},
		{`role:acme/"the boss"`, exprNode{kind: exprRole, name: "acme", role: "the boss"}, `role:"acme/the boss"`},
		{`role:"acme/the boss"`, exprNode{kind: exprRole, name: "acme", role: "the boss"}, ""},
		{`role:"a/c"/"the boss"`, exprNode{kind: exprRole, name: "a/c", role: "the boss"}, ""},
		{`role:"a/c"/boss`, exprNode{kind: exprRole, name: "a/c", role: "boss"}, ""},
	} {
		x, err := ParseExpr(tc.in)
		if err != nil {
			t.Errorf("ParseExpr(%q): %v", tc.in, err)
			continue
		}
		if !reflect.DeepEqual(x.root, tc.want) {
			t.Errorf("ParseExpr(%q) = %+v, want %+v", tc.in, x.root, tc.want)
		}
		want := tc.text
		if want == "" {
			want = tc.in
		}
		if got := x.String(); got != want {
			t.Errorf("ParseExpr(%q).String() = %q, want %q", tc.in, got, want)
		}
	}
}

func TestParseExprErrors(t *testing.T) {
	const operand, operator = `a name, "!" or "("`, `"&", "|" or the end`
	for _, tc := range []struct {
		in       string
		offset   int
		expected string
		found    string
	}{
		{"", 0, operand, "the end"},
		{"  ", 2, operand, "the end"},
		{"a b", 2, operator, `"b"`},
		{"a &", 3, operand, "the end"},
		{"a && b", 3, operand, `"&"`},
		{"| a", 0, operand, `"|"`},
		{"!", 1, operand, "the end"},
		{"(a", 2, `"&", "|" or ")"`, "the end"},
		{"(a b)", 3, `"&", "|" or ")"`, `"b"`},
		{"a)", 1, operator, `")"`},
		{"()", 1, operand, `")"`},
		{"a, b", 1, operator, `","`},
		{`a"b"`, 1, operator, `"\""`},
		{`all"b"`, 3, operator, `"\""`},
		{`"a"b`, 3, operator, `"b"`},
		{`"a`, 2, `a closing "`, "the end"},
		{`"a\"`, 4, `a closing "`, "the end"},
		{`"a\n"`, 3, `\ or " after \`, `"n"`},
		{`"a\`, 3, `\ or " after \`, "the end"},
		{`""`, 1, "a name between the quotes", `"\""`},
		{"direct:", 7, `a name after "direct:"`, "the end"},
		{"user: bob", 5, `a name after "user:"`, `" "`},
		{`org:""`, 5, "a name between the quotes", `"\""`},
		{"role:acme", 9, `an organisation, "/" and a role after "role:"`, "the end"},
		{"role:/x", 5, `an organisation, "/" and a role after "role:"`, `"/"`},
		{`role:"acme"`, 5, `an organisation, "/" and a role after "role:"`, `"\""`},
		{"role:acme/", 10, `a role after "/"`, "the end"},
		{"a & \xff", 4, "valid UTF-8", "byte 0xff"},
	} {
		x, err := ParseExpr(tc.in)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !errors.Is(err, ErrSyntax) || x != nil {
			t.Errorf("ParseExpr(%q) = %v, %v, want a *SyntaxError", tc.in, x, err)
			continue
		}
		if want := (SyntaxError{tc.offset, tc.expected, tc.found}); *syntax != want {
			t.Errorf("ParseExpr(%q): %+v, want %+v", tc.in, *syntax, want)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := ParseExpr("a & ")
	want := `roster: not a set expression: at byte 4: expected a name, "!" or "(", found the end`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestParseExprLimits(t *testing.T) {
	for _, s := range []string{"(", "!", "!(", "a&(", "(a|"} {
		for _, size := range []int{1 << 20, maxExpr / len(s) * len(s)} {
			if _, err := ParseExpr(strings.Repeat(s, size/len(s))); !errors.Is(err, ErrSyntax) {
				t.Errorf("%d bytes of %q: %v, want ErrSyntax", size, s, err)
			}
		}
	}
	deep := func(n int) string { return strings.Repeat("!(", n/2) + "a" + strings.Repeat(")", n/2) }
	if _, err := ParseExpr(deep(maxExprDepth)); err != nil {
		t.Errorf("depth %d: %v", maxExprDepth, err)
	}
	if _, err := ParseExpr(deep(maxExprDepth + 2)); !errors.Is(err, ErrSyntax) {
		t.Errorf("depth %d: %v, want ErrSyntax", maxExprDepth+2, err)
	}
	long := strings.Repeat("a|", maxExpr/4-1) + "aaaa" // String writes 4 bytes for each 2
	x, err := ParseExpr(long)
	if err != nil || len(x.root.args) != maxExpr/4 || len(x.String()) != maxExpr {
		t.Fatalf("an expression of %d bytes: %v", len(long), err)
	}
	for _, s := range []string{long + "a", x.String() + " "} {
		if _, err := ParseExpr(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("an expression of %d bytes: %v, want ErrSyntax", len(s), err)
		}
	}
}

func TestZeroExpr(t *testing.T) {
	if got := new(Expr).String(); got != "none" {
		t.Errorf("the zero Expr is %q, want none", got)
	}
}

// exprNodes draws trees as the parser makes them, at most depth levels deep.
func exprNodes(depth int) *rapid.Generator[exprNode] {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "all", "none", "group", "direct:x", "role:", `c:\"`, `\`, `"`, "a/b", "x y", "#1", "é", "e\u0301", "!", "a&b", "(", "\n", ":", "/"}),
		rapid.Map(rapid.StringN(1, 8, -1), func(s string) string { return strings.ToValidUTF8(s, "?") }),
	)
	return rapid.Custom(func(t *rapid.T) exprNode {
		last := exprNot
		if depth == 0 {
			last = exprUser
		}
		x := exprNode{kind: exprKind(rapid.IntRange(0, int(last)).Draw(t, "kind"))}
		switch {
		case x.kind == exprNot:
			x.args = []exprNode{exprNodes(depth-1).Draw(t, "arg")}
		case x.kind >= exprAnd:
			other := exprNodes(depth - 1).Filter(func(arg exprNode) bool { return arg.kind != x.kind })
			x.args = rapid.SliceOfN(other, 2, 4).Draw(t, "args")
		case x.kind == exprRole:
			x.name, x.role = name.Draw(t, "org"), name.Draw(t, "role")
		case x.kind >= exprGroup:
			x.name = name.Draw(t, "name")
		}
		return x
	})
}

func TestExprRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &Expr{exprNodes(4).Draw(t, "root")}
		s := x.String()
		again, err := ParseExpr(s)
		if err != nil || !reflect.DeepEqual(again, x) {
			t.Fatalf("%q reads as %+v, %v, want %+v", s, again, err, x)
		}
	})
}

func FuzzParseExpr(f *testing.F) {
	for _, s := range []string{
		"a & b | !(c)", `group:"a b" & role:"x y"/z`, `corp:"x\\\""|#1`, "((((", "!!!!", "\xff", "all&none", `role:"a/b"/"c d"`, "direct:é",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseExpr(s)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(s) || syntax.Expected == "" || syntax.Found == "" {
				t.Fatalf("ParseExpr(%q): %#v", s, err)
			}
			return
		}
		again, err := ParseExpr(x.String())
		if err != nil || !reflect.DeepEqual(again, x) || again.String() != x.String() {
			t.Fatalf("%q: its text %q reads as %+v, %v, want %+v", s, x.String(), again, err, x)
		}
	})
}

func BenchmarkParseExpr(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseExpr(`(sales | direct:"key accounts") & active & !user:bob@corp.example`); err != nil {
			b.Fatal(err)
		}
	}
}
