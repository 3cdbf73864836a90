package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollcall/internal/show"
	"rollcall/store/campaigns"
	"rollcall/store/customers"
	"rollcall/web/core"
)

// A program makes a campaign of a recipe, changes it, previews it, switches it on and off, and asks what became of it.
// Every answer is as it is described.
func TestCampaignsAPI(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	at := "/api/stores/store_a/campaigns"
	ask := func(method, path, body string, status int) (answer map[string]any) {
		t.Helper()
		got := x.send(t, method, path, body, asAdmin, asJSON)
		if got.StatusCode != status {
			t.Fatalf("%s %s %s: %d %s", method, path, body, got.StatusCode, got.text)
		}
		_ = json.Unmarshal([]byte(got.text), &answer)
		return answer
	}
	c := ask("POST", at, `{"recipe": "not_started", "numbers": {"days": 5}}`, 201)
	one := at + "/" + c["id"].(string)
	if c["text"] != "Customers who enrolled in a course 5 days ago and have not started." || c["state"] != "draft" {
		t.Errorf("made %v", c)
	}
	ask("POST", at, `{"recipe": "not_started", "numbers": {"years": 5}}`, 400)
	ask("POST", at, `{"name": "X", "trigger": {"question": "silent"}, "steps": [{"do": "mail", "wait": "soon",
		"mail": {"subject": "S", "body": "B"}}]}`, 400)
	ask("POST", at, `{"name": "X", "trigger": {"question": "silent"}, "steps": [{"do": "mail",
		"mail": {"subject": "S", "body": "{nonsense}"}}]}`, 400)
	for given, want := range map[string]float64{"": 5, `, "priority": 0`: 0} {
		made := ask("POST", at, `{"name": "X", "trigger": {"question": "silent"}, "steps": [{"do": "mail",
			"mail": {"subject": "S", "body": "B"}}]`+given+`}`, 201)
		if made["priority"] != want {
			t.Errorf("%q: priority %v", given, made["priority"])
		}
		ask("DELETE", at+"/"+made["id"].(string), "", 204)
	}
	ask("PATCH", one, `{"name": "Begin!", "version": 1, "holdout": 10}`, 200)
	ask("PATCH", one, `{"name": "Again", "version": 1}`, 409)
	ask("PATCH", one, `{"trigger": {"question": "silent", "numbers": {"days": 20}}}`, 400) // its goal is about a course
	if p := ask("GET", one+"/preview?at="+time.Now().AddDate(0, 0, 2).Format(time.DateOnly), "", 200); len(
		p["forecast"].([]any)) != 14 {
		t.Errorf("preview %v", p)
	}
	ask("GET", one+"/preview?at=yesterday", "", 400)
	ask("POST", one+"/switch", `{"to": "paused"}`, 409)
	refused := ask("POST", one+"/switch", `{"to": "on"}`, 409)["error"].(map[string]any)
	if said, _ := refused["message"].(string); refused["code"] != "not_ready" || !strings.HasPrefix(said, "Step 1") ||
		said != ask("GET", one+"/preview", "", 200)["lacks"] {
		t.Errorf("to a mail that leads nowhere: %v", refused)
	}
	x.exec(t, `INSERT INTO mail_settings (store_id, home_url) VALUES ('store_a', 'https://a.example')
		ON CONFLICT (store_id) DO UPDATE SET home_url = EXCLUDED.home_url`)
	ask("POST", one+"/switch", `{"to": "on", "past": "all"}`, 400)
	ask("POST", one+"/switch", `{"to": "on", "past": "all", "count": 99}`, 409)
	if c = ask("POST", one+"/switch", `{"to": "on"}`, 200); c["state"] != "on" {
		t.Errorf("switched on: %v", c)
	}
	ask("DELETE", one, "", 409)
	ask("GET", one+"/results", "", 200)
	for customer, status := range map[string]int{"1": 200, "99999": 404} {
		ask("GET", "/api/stores/store_a/customers/"+customer+"/campaigns", "", status)
	}
	ask("GET", at, "", 200)
	ask("GET", "/api/stores/store_b/campaigns/"+c["id"].(string), "", 404)
	ask("POST", one+"/switch", `{"to": "ended"}`, 200)
}

// news makes a campaign of store_a to all.
func (x *site) news(t testing.TB) campaigns.Campaign {
	t.Helper()
	c, err := campaigns.New(x.Cfg.Store).Create(t.Context(), "store_a", campaigns.Campaign{Name: "News",
		Kind: campaigns.Once, Class: campaigns.Marketing, Trigger: campaigns.Trigger{Question: "everyone"},
		NotAfter: campaigns.Wait(72 * time.Hour), Reentry: campaigns.Never, Steps: []campaigns.Step{{Key: "first",
			Do: campaigns.DoMail, Mail: &campaigns.Text{Subject: "News", Body: "Hi"}}}}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Of a campaign with many runs, page and API wait for no count: a worker does it, and they say of when it is.
func TestResultsOfMany(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	c := x.news(t)
	x.exec(t, `UPDATE campaigns SET state = 'on', switched_at = now(), starts_from = now()`)
	x.exec(t, `INSERT INTO runs (campaign_id, store_id, email, occurrence, about, became_due_at, entered_at, version, arm,
			step, next_at)
		SELECT $1, 'store_a', 'p' || n || '@x.example', 'once', '', now(), now(), 1, 'a', 'first', now()
		FROM generate_series(1, 20001) n`, c.ID)
	page, api := "/store/store_a/mail/campaigns/"+c.ID, "/api/stores/store_a/campaigns/"+c.ID+"/results"
	wants(t, x.page(t, page), "so a worker counts the results. Load the page again", `value="paused"`, "!As of")
	if got := x.get(t, api, asAdmin); got.StatusCode != 503 || !strings.Contains(got.text, `"counting"`) ||
		got.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	now := x.Cfg.Now().Add(-time.Minute)
	if worked, err := campaigns.New(x.Cfg.Store).Count(t.Context(), now); err != nil || !worked {
		t.Fatal(worked, err)
	}
	wants(t, x.page(t, page), "!Load the page again", "As of", "20,001", `value="paused"`)
	if got := x.get(t, api, asAdmin); got.StatusCode != 200 ||
		!strings.Contains(got.text, `"as_of":"`+now.UTC().Format("2006-01-02T15:04")) {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

// Of more mails than a preview looks at, page and API say that the numbers are estimates, and from which customers.
func TestPreviewOfSomeCustomers(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.addressed(t, "store_a")
	x.exec(t, `UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL`)
	x.exec(t, `INSERT INTO customers (store_id, email)
		SELECT 'store_a', 'p' || n || '@x.example' FROM generate_series(1, 20399) n`) // 20,400 with that of fill
	x.exec(t, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT store_id, '', email, 'marketing', 'granted', now(), 'page', '1' FROM customers WHERE email LIKE 'p%7@%'`)
	x.exec(t, `ANALYZE`)
	c := x.news(t)
	var p struct {
		Every    int
		Counts   []campaigns.Count
		Forecast []campaigns.ForecastDay
	}
	answer := x.get(t, "/api/stores/store_a/campaigns/"+c.ID+"/preview?limit=100", asAdmin)
	if err := json.Unmarshal([]byte(answer.text), &p); err != nil || p.Every < 3 || len(p.Counts) != 2 {
		t.Fatalf("%v: %.2000s", err, answer.text)
	}
	wants(t, answer.text, `"forecast_every":`+fmt.Sprint(p.Every), `{"day":"`+p.Forecast[0].Day+`","mails":20400}`)
	says := []string{
		fmt.Sprintf("There are too many customers to look at each. Rollcall looked at one in %d, and multiplied.", p.Every),
		"A rare reason may be missing. The list shows only customers that were looked at.",
		"about 20,400", // of the forecast
	}
	sum := int64(0)
	for _, n := range p.Counts {
		says, sum = append(says, "<b>about "+show.Number(n.Mails)+"</b>"), sum+n.Mails
	}
	if sum < 20300 || sum > 20500 {
		t.Errorf("about %d mails in all: %v", sum, p.Counts)
	}
	wants(t, x.page(t, "/store/store_a/mail/campaigns/"+c.ID+"/preview"), says...)

	x.exec(t, `DELETE FROM customers WHERE email > 'p19'`) // all of the others are looked at
	x.exec(t, `ANALYZE`)
	wants(t, x.page(t, "/store/store_a/mail/campaigns/"+c.ID+"/preview"), "!about ", "!too many customers")
}

// A program sees which recipes there are, sends a test, and stops and lifts mail to a customer: of its own store.
func TestMailAPI(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.exec(t, `UPDATE stores SET owner_user_id = 'user_olga' WHERE id = 'store_a'`)
	x.exec(t, `INSERT INTO users (id, email, version, deleted_version) VALUES ('user_olga', 'olga@x.example', '1', '')
		ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email`)
	made, err := customers.New(x.Cfg.Store).CreateToken(t.Context(), customers.NewToken{Store: "store_a", Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	a := withBearer(made.Secret)
	ask := func(method, path, body string, status int) string {
		t.Helper()
		got := x.send(t, method, "/api/stores/store_a"+path, body, asJSON, a)
		if got.StatusCode != status {
			t.Errorf("%s %s %s: %d %s", method, path, body, got.StatusCode, got.text)
		}
		return got.text
	}
	if all := ask("GET", "/recipes", "", 200); strings.Count(all, `"why":`) != len(campaigns.Recipes) {
		t.Errorf("recipes: %s", all)
	}
	var c struct{ ID string }
	if err := json.Unmarshal([]byte(ask("POST", "/campaigns", `{"recipe": "stuck"}`, 201)), &c); err != nil {
		t.Fatal(err)
	}
	test := "/campaigns/" + c.ID + "/test"
	ask("POST", test, `{"step": "ask", "to": "olga@x.example"}`, 202)
	ask("POST", test, `{"step": "ask", "to": "a@example.com"}`, 400) // a customer gets none
	ask("POST", test, `{"step": "tag", "to": "olga@x.example"}`, 400)
	ask("POST", test, `{"step": "ask", "variant": "b", "to": "olga@x.example"}`, 400)
	x.wantCount(t, `SELECT count(*) FROM mails WHERE class = 'test' AND email = 'olga@x.example'`, 1)

	stops := "/customers/" + x.id(t, core.CustomerID, 1) + "/stops"
	ask("DELETE", stops+"/manual", "", 404)
	ask("PUT", stops+"/manual", "", 204)
	ask("PUT", stops+"/manual", "", 204)
	x.exec(t, `INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT s, decode(repeat(h, 32), 'hex'), 'hard', '2026-01-01'
		FROM (VALUES ('store_a', '0a'), ('store_b', '0b'), ('', '0c')) v(s, h)`)
	for _, path := range []string{stops, "/stops"} {
		if text := ask("GET", path, "", 200); !strings.Contains(text, `"reason":"manual"`) ||
			!strings.Contains(text, `"by":"token:`) {
			t.Errorf("%s: %s", path, text)
		}
	}
	if text := ask("GET", "/stops", "", 200); strings.Count(text, `"reason"`) != 2 || !strings.Contains(text,
		`"email":"a@example.com"`) {
		t.Errorf("stops of others, or without names: %s", text)
	}
	var page struct {
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(ask("GET", "/stops?limit=1", "", 200)), &page); err != nil || page.Next == "" {
		t.Fatal("no next page", err)
	}
	if text := ask("GET", "/stops?limit=1&cursor="+url.QueryEscape(page.Next), "", 200); !strings.Contains(text,
		`"reason":"hard"`) {
		t.Errorf("the next page: %s", text)
	}
	ask("DELETE", stops+"/manual", "", 204)
	ask("GET", "/customers/"+x.id(t, core.CustomerID, 99_999)+"/stops", "", 404)
	for _, path := range []string{"/stops", "/recipes", stops} {
		if got := x.send(t, "GET", "/api/stores/store_b"+path, "", a); got.StatusCode != 404 {
			t.Errorf("%s of another store: %d", path, got.StatusCode)
		}
	}
}
