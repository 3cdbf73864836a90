package web

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/store/customers"
	"rollcall/web/core"
)

const settingsOfA = "/store/store_a/settings"

// settled is a site with a store, its owner, and a member.
func settled(t *testing.T) (x *site, owner, member as) {
	t.Helper()
	x = open(t, clerkSite)
	x.sellersOf(t)
	owner = withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))
	return x, owner, withClerk(sign(t, clerkKey, nil, sessionOf("user_member")))
}

// Owners and operators change settings, members read them, programs do neither: a token
// makes no token.
func TestSettingsAccess(t *testing.T) {
	x, owner, member := settled(t)
	made, foreign := x.token(t, "store_a"), x.token(t, "store_b")
	program := withBearer(made.Secret)
	for name, c := range map[string]struct {
		who  as
		want string // of reading, changing, making a token, revoking one of another store
	}{
		"owner": {owner, "200 303 200 404"}, "operator": {asAdmin, "200 303 200 404"},
		"member":                   {member, "200 403 403 403"},
		"program":                  {program, "403 403 403 403"},
		"program, owner's cookie":  {both(program, owner), "403 403 403 403"},
		"program of another store": {withBearer(foreign.Secret), "404 404 404 404"},
		"other creator":            {withClerk(sign(t, clerkKey, nil, sessionOf("user_other"))), "404 404 404 404"},
		"stranger":                 {stranger, "401 401 401 401"},
	} {
		foreignToken := "/tokens/" + x.id(t, core.TokenID, foreign.ID) + "/revoke"
		got := fmt.Sprint(x.get(t, settingsOfA, c.who).StatusCode,
			x.send(t, "POST", settingsOfA, "currencies=usd", c.who).StatusCode,
			x.send(t, "POST", settingsOfA+"/tokens", "name=x&days=30", c.who).StatusCode,
			x.send(t, "POST", settingsOfA+foreignToken, "", c.who).StatusCode)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	x.wantCount(t, `SELECT count(*) FROM store_tokens WHERE name = 'x'`, 2) // the owner's and the operator's
	x.wantCount(t, `SELECT count(*) FROM store_tokens WHERE revoked_at IS NOT NULL`, 0)
}

var secretIn = regexp.MustCompile(`rc_[a-z2-7]{40}`)

// A token is shown once, opens its store until it is revoked, and not the settings.
func TestSettingsTokens(t *testing.T) {
	x, owner, member := settled(t)
	page := x.send(t, "POST", settingsOfA+"/tokens", "name=%3Cb%3ENewsletter&days=90", owner)
	secret := secretIn.FindString(page.text)
	if page.StatusCode != 200 || secret == "" || !strings.Contains(page.text, "&lt;b&gt;Newsletter") ||
		page.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", page.StatusCode, page.text)
	}
	for _, who := range []as{owner, member, asAdmin} {
		if got := x.get(t, settingsOfA, who); strings.Contains(got.text, secret) ||
			!strings.Contains(got.text, "Newsletter") {
			t.Errorf("shown again, or not listed: %s", got.text)
		}
	}
	if log := x.log.String(); strings.Contains(log, secret) || !strings.Contains(log, `"by":"user:user_owner"`) {
		t.Error("the log has the token, or not who made it")
	}
	list := "/api/stores/store_a/customers"
	if got := x.get(t, list, withBearer(secret)); got.StatusCode != 200 {
		t.Errorf("the new token: %d", got.StatusCode)
	}
	revoke := regexp.MustCompile(settingsOfA + `/tokens/\w+/revoke`).FindString(page.text)
	for name, c := range map[string]struct {
		path   string
		who    as
		status int
	}{
		"a member":              {revoke, member, 403},
		"the token itself":      {revoke, withBearer(secret), 403},
		"of another store":      {strings.Replace(revoke, "store_a", "store_b", 1), asAdmin, 404},
		"an id that is made up": {settingsOfA + "/tokens/" + strings.Repeat("a", 26) + "/revoke", owner, 404},
		"a customer's id":       {settingsOfA + "/tokens/" + x.id(t, core.CustomerID, 1) + "/revoke", owner, 404},
	} {
		if got := x.send(t, "POST", c.path, "", c.who); got.StatusCode != c.status {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if got := x.get(t, list, withBearer(secret)); got.StatusCode != 200 {
		t.Errorf("not revoked: %d", got.StatusCode)
	}
	if got := x.send(t, "POST", revoke, "", owner); got.StatusCode != 303 {
		t.Errorf("revoked: %d", got.StatusCode)
	}
	if got := x.get(t, list, withBearer(secret)); got.StatusCode != 401 {
		t.Errorf("the revoked token: %d", got.StatusCode)
	}
	if got := x.get(t, settingsOfA, owner).text; !strings.Contains(got, "revoked <time") || strings.Contains(got, revoke) {
		t.Error(got)
	}
}

// What cannot be is refused with its field marked, and kept in the form.
func TestSettingsRefused(t *testing.T) {
	x, owner, _ := settled(t)
	for _, c := range []struct{ path, name, value, rest, kept string }{
		{"", "time_zone", "Mars/Olympus", "", "Mars/Olympus"},
		{"", "time_zone", "../../etc/passwd", "", ""},
		{"", "time_zone", "Europe/Berlin\x00", "", ""},
		{"", "time_zone", "\xff", "", ""},
		{"", "time_zone", strings.Repeat("a", 5000), "", ""},
		{"", "currencies", `usd <script>`, "", "&lt;script&gt;"},
		{"", "currencies", "dollars", "", "dollars"},
		{"", "currencies", "us\x00", "", ""},
		{"", "currencies", "€", "", "€"},
		{"", "currencies", "aaa aab aac aad aae aaf aag aah baa bab bac bad bae baf bag bah bai baj bak bal bam ban bao " +
			"bap baq bar bas bat bau bav baw", "", "aaa aab"},
		{"/tokens", "name", "   ", "&days=30", ""},
		{"/tokens", "name", strings.Repeat("é", 201), "&days=30", "éé"},
		{"/tokens", "name", "a\x00b", "&days=30", ""},
		{"/tokens", "name", "\xff", "&days=30", ""},
		{"/tokens", "days", "31", "&name=x", ""},
		{"/tokens", "days", "-1", "&name=x", ""},
		{"/tokens", "days", "1e9", "&name=x", ""},
	} {
		got := x.send(t, "POST", settingsOfA+c.path, c.name+"="+url.QueryEscape(c.value)+c.rest, owner)
		field := regexp.MustCompile(`<(input|select)[^>]* name="` + c.name + `"[^>]* aria-invalid="true"`)
		if got.StatusCode != 400 || !field.MatchString(got.text) || !strings.Contains(got.text, c.kept) {
			t.Errorf("%s=%.40q: %d %.1500s", c.name, c.value, got.StatusCode, got.text)
		}
	}
	x.wantCount(t, `SELECT count(*) FROM store_settings`, 0)
	x.wantCount(t, `SELECT count(*) FROM store_tokens`, 0)
	if got := x.send(t, "POST", settingsOfA, "%zz", owner); got.StatusCode != 400 {
		t.Errorf("a form that is none: %d", got.StatusCode)
	}
	for range 50 {
		x.token(t, "store_a")
	}
	if got := x.send(t, "POST", settingsOfA+"/tokens", "name=x&days=30", owner); got.StatusCode != 400 {
		t.Errorf("the 51st token: %d", got.StatusCode)
	}
}

// What is set stays, for the store alone, and may be taken back.
func TestSettingsKept(t *testing.T) {
	x, owner, _ := settled(t)
	reader := customers.New(x.Cfg.Store)
	for _, c := range []struct {
		form, zone string
		order      []string
	}{
		{"time_zone=Asia/Kolkata&currencies=+EUR,,usd+EUR+", "Asia/Kolkata", []string{"eur", "usd"}},
		{"time_zone=UTC&currencies=jpy", "UTC", []string{"jpy"}},
		{"time_zone=&currencies=", "", []string{}},
	} {
		if got := x.send(t, "POST", settingsOfA, c.form, owner); got.StatusCode != 303 {
			t.Fatalf("%s: %d %s", c.form, got.StatusCode, got.text)
		}
		got, err := reader.Around(t.Context(), "user_owner", "store_a")
		if err != nil || got.TimeZone != c.zone || !slices.Equal(got.Currencies, c.order) {
			t.Errorf("%s: %+v %v", c.form, got.Settings, err)
		}
		if other, err := reader.Around(t.Context(), "", "store_b"); err != nil || other.TimeZone != "" {
			t.Errorf("another store: %+v %v", other.Settings, err)
		}
	}
}

// The team is shown as the platform reported it: names as text, the owner first, once.
func TestSettingsTeam(t *testing.T) {
	x, owner, _ := settled(t)
	x.exec(t, `UPDATE stores SET member_user_ids = '{user_member,user_owner,user_new}' WHERE id = 'store_a'`)
	x.exec(t, `INSERT INTO users (id, name, email, version, deleted_version) VALUES
		('user_owner', '<i>Olga</i>', 'olga@x.example', 'v', ''), ('user_member', NULL, 'mo@x.example', 'v', '')`)
	text := x.get(t, settingsOfA, owner).text
	text = text[strings.Index(text, `id="h-team"`):]
	at := func(what string) int { return strings.Index(text, what) }
	if at("&lt;i&gt;Olga") < 0 || at("mo@x.example") < at("Olga") || at("user_new") < 0 ||
		strings.Count(text, "Olga") != 1 || strings.Count(text, "Owner</p>") != 1 || strings.Count(text, "Member</p>") != 2 {
		t.Error(text)
	}
}

// Pages write money and numbers as the browser's language does, in the store's order;
// programs get what they always did.
func TestLocales(t *testing.T) {
	x := open(t, nil)
	x.hear(t, append(studio(), sold("bob2", "Bob Stone", "drums", 123456, "eur", day))...)
	german, nonsense := withHeader("Accept-Language", "de-DE,de;q=0.9,en;q=0.5"),
		withHeader("Accept-Language", strings.Repeat("de-", 1700)+"<script>")
	page := func(who ...as) string {
		t.Helper()
		got := x.get(t, x.customerPath(t, "Bob Stone"), append(who, asAdmin)...)
		if got.StatusCode != 200 || !slices.Contains(got.Header.Values("Vary"), "Accept-Language") {
			t.Errorf("%d %v", got.StatusCode, got.Header)
		}
		return got.text
	}
	for who, c := range map[string]struct {
		text string
		want string
	}{"German": {page(german), "1.234,56\u00a0€"}, "none": {page(), "€1,234.56"},
		"nonsense": {page(nonsense), "€1,234.56"}} {
		if !strings.Contains(c.text, c.want) || strings.Contains(c.text, "1700") {
			t.Errorf("%s: no %s", who, c.want)
		}
	}
	api := "/api/stores/studio/stats"
	if one, other := x.get(t, api, asAdmin, german).text, x.get(t, api, asAdmin).text; one != other {
		t.Errorf("the API: %s, %s", one, other)
	}
	csv := x.get(t, "/api/stores/studio/customers.csv", asAdmin, german)
	if !strings.Contains(csv.text, "1234.56") || slices.Contains(csv.Header.Values("Vary"), "Accept-Language") {
		t.Errorf("the CSV: %v %.500s", csv.Header, csv.text)
	}
}
