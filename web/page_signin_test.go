package web

import (
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
	"rollcall/web/access"
	"rollcall/web/core"
)

func TestPageSignIn(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	for _, look := range []browser.Look{browser.Desktop, without} {
		p := browser.Open(t, x.url, look)
		p.Expect("401 " + listPath)
		p.Go(listPath + "?type=lead")
		p.Has("h1", "Sign in")
		p.Click(`a[href^="/signin"]`)
		p.Until(`location.pathname === "/signin" && document.activeElement.id === "token"`)
		p.Expect("401 /signin")
		p.Press("not the token\r")
		p.Has(".error", "Wrong admin token")
		p.Type("#token", token+"\r")
		at(p, "type=lead") // where they wanted to go
		listed(p, "Ann Lee", "Lena Voss")
		p.Click(".top .right summary")
		p.Click(`form[action="/signout"] button`)
		p.Until(`location.pathname === "/signin"`)
		p.Go(listPath)
		p.Has("h1", "Sign in")

		p.Go(strings.TrimPrefix(access.SignInLink(x.url, token, time.Now()), x.url))
		p.Until(`location.pathname === "/admin" && location.search === ""`) // the link is gone from the address
		p.Has("h1", "Overview")
		p.Go("/signin?link=" + x.access.Admin.Sign(access.ForLink, time.Now().Add(-time.Minute)))
		p.Has(".error", "has expired or is incomplete")
	}
}

// Creators come with their session at Clerk, see no more than their store, and
// sign out there.
func TestPageCreator(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) {
		clerkSite(c)
		c.Now = time.Now
	})
	x.hear(t, studio()...)
	p := browser.Open(t, x.url, browser.Desktop)
	session := sessionOf("user_owner").with(claims{"iat": time.Now().Unix(), "nbf": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix()})
	p.Cookie(access.ClerkCookie, sign(t, clerkKey, nil, session))
	p.Go(listPath)
	same(t, "bar", []string{"Aurora Academy", "Customers", "Segments", "Value", "Mail", "Settings"},
		p.Texts(".top bdi:not(.menu bdi), .top nav a"))
	p.Click(".person h2 a")
	p.Has("h1", "Ann Lee")
	p.Type("#note", "Mine")
	p.Click("#notes > form button")
	p.Has(".notes .hint", "team member user_owner")
	p.Expect("404 /store/other/customers")
	p.Go("/store/other/customers")
	p.Has("main", "It may have been removed")
}
