package web

import (
	"encoding/json"
	"testing"
	"time"
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
	ask("PATCH", one, `{"name": "Begin!", "version": 1, "holdout": 10}`, 200)
	ask("PATCH", one, `{"name": "Again", "version": 1}`, 409)
	ask("PATCH", one, `{"trigger": {"question": "silent", "numbers": {"days": 20}}}`, 400) // its goal is about a course
	if p := ask("GET", one+"/preview?at="+time.Now().AddDate(0, 0, 2).Format(time.DateOnly), "", 200); len(
		p["forecast"].([]any)) != 14 {
		t.Errorf("preview %v", p)
	}
	ask("GET", one+"/preview?at=yesterday", "", 400)
	ask("POST", one+"/switch", `{"to": "paused"}`, 409)
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
