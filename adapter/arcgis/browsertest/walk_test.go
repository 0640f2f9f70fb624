package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	security = "/arcgis/admin/orgs/0123456789ABCDEF/security"
	submit   = "form.card button"
)

// signIn signs in from the sign-in page, first with a wrong password. The first empty
// field has the focus each time.
func (v *visit) signIn() {
	v.Helper()
	v.shot("1-sign-in")
	v.leads(403, chromedp.KeyEvent("siteadmin"+kb.Tab+"wrong"+kb.Enter))
	v.shows("The username or the password is wrong.")
	v.shot("2-wrong-password")
	v.leads(200, chromedp.KeyEvent(password+kb.Enter))
	v.shows("Administrator directory", "siteadmin", "Sign out")
	v.hides("Sign in")
}

// TestDesktop uses everything with a mouse.
func TestDesktop(t *testing.T) { walk(newVisit(t, screen{width: 1280, height: 800})) }

// TestPhone does so on a small screen, where pages must not be wider than that.
func TestPhone(t *testing.T) { walk(newVisit(t, screen{width: 390, height: 844, phone: true})) }

func walk(v *visit) {
	v.open(200, "/arcgis/admin")
	v.signIn()
	v.shot("3-home")
	v.follow("Organizations")
	v.shows("Acme <Ltd> & Sons")
	v.shot("4-organizations")
	v.follow("0123456789ABCDEF")
	v.follow("Security")
	v.shot("5-security")
	v.follow("Groups")
	v.shot("6-groups")
	v.usersWithin()
	v.follow("Security")
	v.follow("Users")
	v.refreshMembership()
	v.others()
	v.leads(200, chromedp.Click("header button", chromedp.ByQuery))
	v.shows("Sign in")
	v.hides("siteadmin")
	v.open(200, security+"/users")
	v.shows("Sign in with the account of an administrator.")
	v.hides("siteadmin")
	v.behaved()
}

// usersWithin lists the members of groups by the form of the operation.
func (v *visit) usersWithin() {
	v.Helper()
	v.follow("Get users within enterprise group")
	v.shot("7-form")
	v.leads(200, chromedp.SendKeys("#in-groupName", "cartographers"+kb.Enter))
	v.shows("4 users.", `domain\aturing`, "John Doe", "jdoe@domain.com", "CN=Ada Lovelace,OU=Users",
		"<script>alert(1)</script> Evil", `"><img src=x onerror=alert(2)>@domain.com`, "'</td><style>*{display:none}</style>")
	v.hides("ghopper")
	v.shot("8-users-within")
	v.leads(200, chromedp.SetValue("#in-maxCount", "2"), chromedp.Click(submit))
	v.shows("The first 2 users; there are more.", `domain\alovelace`, `domain\aturing`)
	v.hides("John Doe")
	v.leads(404, chromedp.SetValue("#in-groupName", "<i>ghosts"), chromedp.Click(submit))
	v.shows("This did not work", "Enterprise group '<i>ghosts' does not exist.")
	v.shot("9-no-such-group")
	v.leads(200, chromedp.SetValue("#in-groupName", `<b onclick=alert(3)>bold</b> & "quoted"`), chromedp.Click(submit))
	v.shows("1 user.", `domain\evil`)
	v.follow(`domain\evil`)
	v.shows(`domain\<b onclick=alert(3)>bold</b> & "quoted"`, `domain\cartographers`)
	v.shot("10-groups-of-user")
	v.follow("Groups")
}

// refreshMembership moves John Doe in the source, and has the form of the operation
// say that there is something new.
func (v *visit) refreshMembership() {
	v.Helper()
	v.follow("Refresh membership of users")
	v.shot("11-refresh-form")
	after := strings.Replace(peopleBefore, johnBefore, johnAfter, 1)
	if after == peopleBefore {
		v.Fatal("John does not move")
	}
	v.write(after)
	const surveyors = security + "/groups/getUsersWithinEnterpriseGroup?groupName=surveyors"
	v.open(200, surveyors)
	v.shows("2 users.", "Grace Hopper")
	v.hides("John Doe")
	v.open(200, security+"/users/refreshMembership")
	v.leads(200, chromedp.SendKeys("#in-users", "jdoe@domain, nobody@domain"), chromedp.Click(submit))
	v.shows("Refreshed: 1 user.", "jdoe@domain", "nobody@domain", "Not known")
	v.shot("12-refreshed")
	v.open(200, surveyors)
	v.shows("3 users.", "John Doe")
}

// others looks at what is beside both operations.
func (v *visit) others() {
	v.Helper()
	v.open(200, security+"/users/createUser")
	v.shot("13-create-user")
	v.leads(400, chromedp.SendKeys("#in-username", "x"), chromedp.SendKeys("#in-password", "y"), chromedp.Submit(submit))
	v.shows("This did not work")
	v.open(200, security+"/users/getEnterpriseUser?username=domain%5Cjdoe")
	v.shows("John Doe", "jdoe@domain.com")
	v.shot("14-one-user")
	v.open(200, security+"/groups/searchEnterpriseGroups?filter=")
	v.shows("3 enterprise groups.")
	v.open(200, security+"/config")
	v.shows("BUILTIN")
	v.open(404, "/arcgis/nothing")
	v.shows("There is nothing at this address.")
	v.shot("15-not-found")
	v.open(200, "/arcgis/sharing/rest/generateToken")
	v.shot("16-token-form")
	v.open(200, "/arcgis/admin")
}

// TestKeyboard gets from the sign-in to a result and out again without a mouse, on
// a dark screen.
func TestKeyboard(t *testing.T) {
	v := newVisit(t, screen{width: 1280, height: 800, dark: true})
	v.open(200, security+"/groups")
	v.signIn()
	enter := chromedp.KeyEvent(kb.Enter)
	v.tab("Skip to content")
	v.shot("3-skip")
	v.run(enter)
	v.tab("Home")
	v.tab("Get users within enterprise group")
	v.shot("4-focus")
	v.leads(200, enter)
	v.tab("Group name required")
	v.run(chromedp.KeyEvent("cartographers"))
	v.tab("Max count")
	v.run(chromedp.KeyEvent("3"))
	v.shot("5-form")
	v.tab("Get users within enterprise group")
	v.leads(200, enter)
	v.shows("The first 3 users; there are more.")
	v.shot("6-users-within")
	v.tab("Groups")
	v.leads(200, enter)
	v.tab("Security")
	v.leads(200, enter)
	v.tab("Users")
	v.leads(200, enter)
	v.tab("Refresh membership of users")
	v.leads(200, enter)
	v.tab("Users required")
	v.run(chromedp.KeyEvent("jdoe@domain"))
	v.tab("Refresh membership of users")
	v.leads(200, enter)
	v.shows("Refreshed: 1 user.")
	v.shot("7-refreshed")
	v.tab("Sign out")
	v.leads(200, enter)
	v.shows("Sign in")
	v.behaved()
}
