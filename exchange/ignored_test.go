package exchange

import (
	"slices"
	"strings"
	"testing"
)

func TestIgnored(t *testing.T) {
	if !slices.IsSorted(ignoredNames) {
		t.Error("ignoredNames is not sorted: it is searched as if it were")
	}
	for _, name := range []string{"userPassword", "unicodePwd", "sambaNTPassword", "krbPrincipalKey", "ms-Mcs-AdmPwd", "msLAPS-Password", "pwdHistory", "supplementalCredentials", "userCertificate;binary", "jpegPhoto", "memberOf", "entryUUID", "uSNChanged"} {
		if !ignored(strings.ToLower(name)) {
			t.Errorf("%s is kept", name)
		}
	}
	for _, name := range []string{"title", "telephoneNumber", "sn", "description", "shippingAddress", "employeeNumber", "uidNumber", "title;lang-en"} {
		if ignored(strings.ToLower(name)) {
			t.Errorf("%s is not kept", name)
		}
	}
}
