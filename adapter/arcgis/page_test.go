package arcgis_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// refreshedPage posts the form of refreshMembership and returns the page.
func refreshedPage(w *world, users string) string {
	form := url.Values{"users": {users}, "token": {w.token(w.admin)}}
	return w.do(request("POST", orgs+"/security/users/refreshMembership", form.Encode())).Body.String()
}

// row returns a row of two columns, the first of which is a link if there is an href.
func row(name, href, outcome string) string {
	name = strings.ReplaceAll(name, "@", "@<wbr>")
	if href != "" {
		name = `<a href="` + href + `">` + name + `</a>`
	}
	return `<tr role="row"><td role="cell" data-label="User"><span>` + name + `</span></td><td role="cell" data-label="Result"><span>` + outcome + `</span></td></tr>`
}

// TestRefreshedPage: a page says what became of each name, first of those that need
// looking into.
func TestRefreshedPage(t *testing.T) {
	w := newWorld(t)
	const of = orgs + "/security/groups/getEnterpriseGroupsForUser?username="
	want := strings.Join([]string{
		row("ghost@domain", "", "Not known"),
		row("jdoe@domain", of+"jdoe%40domain", "Refreshed"),
		row("admin1", of+"admin1", "Has no identity source"),
	}, "\n")
	page := refreshedPage(w, "jdoe@domain,admin1,ghost@domain")
	if !strings.Contains(page, want) || !strings.Contains(page, "Refreshed: 1 user.") {
		t.Errorf("not there:\n%s\n%s", want, page)
	}
}

func TestRefreshedPageIsBounded(t *testing.T) {
	w := newWorld(t)
	names := []string{"jdoe@domain"}
	for i := range 1000 {
		names = append(names, fmt.Sprint("ghost", i, "@domain"))
	}
	page := refreshedPage(w, strings.Join(names, ","))
	if n := strings.Count(page, "Not known"); n != 1000 || strings.Contains(page, ">Refreshed<") {
		t.Errorf("%d names that are not known", n)
	}
	for _, want := range []string{"Refreshed: 1 user.", "Only 1000 of 1001 names are shown."} {
		if !strings.Contains(page, want) {
			t.Errorf("not there: %s", want)
		}
	}
}
