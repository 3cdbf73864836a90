package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testing/browser"
	"rollcall/web/access"
	"rollcall/web/core"
)

// visitAs opens a site with the studio in the browser of a creator.
func visitAs(t *testing.T, user string, look browser.Look) (*site, *browser.Page) {
	t.Helper()
	x := open(t, func(c *core.Config) {
		clerkSite(c)
		c.Now = time.Now
	})
	x.hear(t, studio()...)
	p := browser.Open(t, x.url, look)
	at := time.Now().Unix()
	session := sessionOf(user).with(claims{"iat": at, "nbf": at, "exp": at + 3600})
	p.Cookie(access.ClerkCookie, sign(t, clerkKey, nil, session))
	return x, p
}

// The bar leads to the visitor's other stores, to the pages of the store and out, with a
// script and without, on a desktop and a phone, by mouse and by keyboard.
func TestPageBar(t *testing.T) {
	t.Parallel()
	x, p := visitAs(t, "user_owner", browser.Desktop)
	x.exec(t, `INSERT INTO stores (id, name, owner_user_id, version) VALUES ('beat', 'Beat School', 'user_owner', 'v')`)
	x.exec(t, `INSERT INTO users (id, name, version, deleted_version) VALUES ('user_owner', 'Olga Aurora', 'v', '')`)
	phone := browser.Phone
	phone.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, phone} {
		p.Look(look)
		p.Go("/")
		p.Until(`location.pathname === "/stores"`)
		p.Lists("main li", "Aurora Academy", "Beat School")
		p.Click("main li a")
		p.Until(fmt.Sprintf(`location.pathname === %q`, listPath))
		p.Lists(".top nav [aria-current]", "Customers")
		p.Click(".top nav a:last-child")
		p.Has("h1", "Settings")
		p.Click(".top summary.brand")
		p.Lists(".top .menu li", "Beat School")
		p.Click(".top .menu li a")
		p.Until(`location.pathname === "/store/beat/customers"`)
		p.Has(".top .brand bdi", "Beat School")
	}
	p.Look(browser.Desktop)
	p.Go(listPath)
	p.Press(kb.Tab + kb.Tab + kb.Enter) // past the skip link, on the store
	p.Until(`document.querySelector(".top .menu").open`)
	p.Press(kb.Tab)
	p.Until(`document.activeElement.textContent === "Beat School"`)
	p.Press(kb.Escape)
	p.Until(`!document.querySelector(".top .menu").open && document.activeElement.matches("summary.brand")`)
	p.Click(".top .right summary")
	p.Has(".top .right", "Olga Aurora")
	p.Click("h1")
	p.Until(`!document.querySelector(".menu[open]")`)
	p.Click(".top .right summary")
	p.Click(".top .right button")
	p.Until(`location.pathname === "/signin"`)
	p.Has("main", "You are signed out of Rollcall")
	p.Expect("401 " + listPath)
	p.Go(listPath)
	p.Has("main", "You signed out here")
}

// Whatever stores and people are called, the bar is one row, or two on a phone, and nothing is wider than
// the window, with its menus open or not; axe finds nothing against it.
func TestPageBarHostile(t *testing.T) {
	t.Parallel()
	x, p := visitAs(t, "user_owner", browser.Desktop)
	for i, name := range []string{strings.Repeat("W", 5_000), strings.Repeat("Wort ", 1_000), hostile["script"],
		hostile["arabic"], hostile["override"], hostile["marks"], hostile["emoji"]} {
		x.exec(t, `INSERT INTO stores (id, name, owner_user_id, version) VALUES ($1, $2, 'user_owner', 'v')`,
			fmt.Sprintf("s%d", i), name)
	}
	x.exec(t, `INSERT INTO users (id, name, version, deleted_version) VALUES ('user_owner', $1, 'v', '')`,
		hostile["script"]+strings.Repeat("W", 900))
	for _, path := range []string{"/store/s0/customers", "/store/s1/settings", "/store/s3/settings", "/stores"} {
		p.Look(browser.Desktop)
		p.Go(path)
		for _, menu := range []string{".none", ".menu:not(.right)", ".menu.right"} {
			browser.Eval[bool](p, fmt.Sprintf(`(document.querySelectorAll("details.menu").forEach(
				m => m.open = m.matches(%q)), true)`, menu))
			what := strings.ReplaceAll(path[1:], "/", " ") + menu
			tame(t, p, what)
			for name, look := range looks() {
				p.Look(look)
				accessible(t, p, what+", "+name)
				p.Shot(what + ", " + name)
			}
			for look, want := range map[browser.Look]int{browser.Desktop: 52, browser.Phone: 78} {
				p.Look(look)
				if path == "/stores" { // without links
					want = 52
				}
				if got := browser.Eval[int](p, `document.querySelector(".top").offsetHeight`); got != want {
					t.Errorf("%s: the bar is %d pixels high, want %d", path, got, want)
				}
			}
		}
	}
}

// A token is made, used and revoked, with a script and without; what is refused is
// marked; a time zone changes what pages say.
func TestPageSettings(t *testing.T) {
	t.Parallel()
	x, p := visitAs(t, "user_owner", browser.Desktop)
	noScript := browser.Desktop
	noScript.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, noScript} {
		p.Look(look)
		p.Go("/store/studio/settings")
		p.Type("#name", "Newsletter")
		p.Click(".make button")
		p.Has(".made", "Copy it now")
		secret := browser.Eval[string](p, `document.querySelector(".made input").value`)
		if got := x.get(t, "/api/stores/studio/customers", withBearer(secret)); got.StatusCode != 200 {
			t.Errorf("the token: %d", got.StatusCode)
		}
		p.Has("#tokens li:first-child", "Newsletter")
		p.Click("#tokens li:first-child button")
		p.Until(`location.hash === "#tokens"`)
		p.Has("#tokens li", "revoked")
		p.Type("#currencies", "EUR dollars")
		p.Expect("400 /store/studio/settings")
		p.Click(".settings form button")
		p.Has("#w-currencies", `"dollars" is not a currency`)
		p.Until(`document.querySelector("#currencies").value === "EUR dollars"`)
		p.Type("#currencies", "USD EUR")
		p.Choose("#zone", "Asia/Kolkata")
		p.Click(".settings form button")
		p.Has(".said", "Saved")
		p.Until(`document.querySelector("#zone").value === "Asia/Kolkata" &&
			document.querySelector("#currencies").value === "USD EUR"`)
		for name, look := range looks() {
			p.Look(look)
			accessible(t, p, "settings, "+name)
			p.Shot("settings, " + name)
		}
		x.exec(t, `DELETE FROM store_settings`)
	}
}

// Times are in the reader's zone where the store has set none, and a script may run.
func TestPageTimes(t *testing.T) {
	t.Parallel()
	x, p := visitAs(t, "user_owner", browser.Desktop)
	made := x.token(t, "studio")
	at := time.Date(2026, 6, 30, 20, 15, 0, 0, time.UTC)
	x.exec(t, `UPDATE store_tokens SET created_at = $2 WHERE id = $1`, made.ID, at)
	noScript := browser.Desktop
	noScript.NoScript = true
	for _, c := range []struct {
		store, browser string
		look           browser.Look
		want           string
	}{
		{"", "Australia/Sydney", browser.Desktop, "1 Jul 2026"},
		{"", "America/New_York", browser.Desktop, "30 Jun 2026"},
		{"", "Australia/Sydney", noScript, "30 Jun 2026"},
		{"Asia/Kolkata", "America/New_York", browser.Desktop, "1 Jul 2026"},
		{"Asia/Kolkata", "America/New_York", noScript, "1 Jul 2026"},
		{"America/New_York", "Australia/Sydney", browser.Desktop, "30 Jun 2026"},
	} {
		x.exec(t, `DELETE FROM store_settings`)
		x.exec(t, `INSERT INTO store_settings (store_id, time_zone) VALUES ('studio', $1)`, c.store)
		p.Look(c.look)
		p.Zone(c.browser)
		p.Go("/store/studio/settings") // the first page that the browser sees in this zone
		p.Lists("#tokens li small time:last-child", c.want)
		same(t, "in UTC", []string{"30 Jun 2026, 20:15 UTC"},
			browser.Eval[[]string](p, `[document.querySelector("#tokens time:last-child").title]`))
	}
}

// The first page in a zone is loaded once more to be written in it, and only then: it stays one step of the history,
// and keeps what was typed.
func TestPageFirstInZone(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	loaded := func(how string) {
		t.Helper()
		p.Until(fmt.Sprintf(`performance.getEntriesByType("navigation")[0].type === %q`, how))
		browser.Eval[bool](p, `fetch("/healthz").then(() => true)`) // by then a page that goes on loading has gone
		p.Until(fmt.Sprintf(`performance.getEntriesByType("navigation")[0].type === %q`, how))
	}
	p.Go(listPath)
	loaded("navigate") // in UTC, as it was written
	steps := browser.Eval[int](p, `history.length`)
	for _, zone := range []string{"Australia/Sydney", "America/New_York"} {
		p.Zone(zone)
		p.Go(listPath + "?q=rita")
		loaded("reload")
		p.Until(fmt.Sprintf(`document.querySelector(".top").dataset.zone === %q`, zone))
		steps++
		if got := browser.Eval[int](p, `history.length`); got != steps {
			t.Errorf("%s: %d steps in the history, want %d", zone, got, steps)
		}
		p.Go(listPath)
		loaded("navigate")
		steps++
	}
	script := `(() => {` + x.get(t, "/assets/app.js").text + `})() || true`
	p.Go(segmentsPath + "/new")
	for _, late := range []struct{ zone, typed, how string }{
		{"Asia/Tokyo", "Half", "navigate"}, {"Asia/Kolkata", "", "reload"}} {
		p.Zone(late.zone)
		p.Type("#name", late.typed)
		browser.Eval[bool](p, script)
		loaded(late.how)
		p.Until(fmt.Sprintf(`document.querySelector("#name").value === %q`, late.typed))
	}
}
