package exchange

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/rosterdb/roster/internal/dn"
	"github.com/rosterdb/roster/internal/text"
)

// TestEscapeDN: a name in a DN is that name again, and no other.
func TestEscapeDN(t *testing.T) {
	name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{" a", "a ", "a  b", "#a", `a\,b`, "a\x00", `"`, ";+<>="}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		x, ok := dn.Normal("uid=" + dn.Escape(a) + ",o=x")
		y, ok2 := dn.Normal("uid=" + dn.Escape(b) + ",o=x")
		if !ok || !ok2 || (x == y) != (text.Fold(a) == text.Fold(b)) {
			t.Fatalf("%q and %q as DNs are %q, %v and %q, %v", a, b, x, ok, y, ok2)
		}
	})
}
