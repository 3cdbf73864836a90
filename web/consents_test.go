package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	storemail "rollcall/store/mail"
)

// A store's program imports consents with their proof: for its own store, all or none, and again without harm.
func TestConsentsAPI(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.exec(t, `INSERT INTO stores (id, name, version) VALUES ('store_b', 'B', 'v')`)
	x.exec(t, `DELETE FROM webhook_events`)
	a := withBearer(x.token(t, "store_a").Secret)
	ask := func(store, consents string, status int) string {
		t.Helper()
		got := x.send(t, "POST", "/api/stores/"+store+"/consents", `{"consents": `+consents+`}`, asJSON, a)
		if got.StatusCode != status {
			t.Errorf("%.300s: %d %s", consents, got.StatusCode, got.text)
		}
		return got.text
	}
	const one = `{` + aConsent + `}`
	const two = `{"user_id": "user_2", "tracking": false, "said_at": "2026-01-12T10:00:00+01:00", "wording": "Links"}`
	wrong := ask("store_a", `[`+one+`, {"email": "b@example.com", "marketing": true, "said_at": "2026-01-12T10:00:00Z"},
		{"store_id": "store_b"}, {"email": 1}, `+two+`]`, 400)
	wants(t, wrong, "nothing was imported. number 2: wording is missing", `number 3: \"store_id\" is unknown`,
		"number 4: email must be a text", "!b@example", "!number 1:", "!number 5:")
	many := strings.Repeat(`{}, `, 29) + `{}`
	wants(t, ask("store_a", `[`+many+`]`, 400), "number 20: ", "and 10 more", "!number 21:")
	wants(t, ask("store_a", `[`+strings.Repeat(`{}, `, 500)+`{}]`, 400), "must be 1 to 500, got 501")
	ask("store_a", `[]`, 400)
	ask("store_a", `null`, 400)
	ask("store_b", `[`+one+`]`, 404)
	x.wantCount(t, `SELECT count(*) FROM webhook_events`, 0)

	wants(t, ask("store_a", `[`+one+`, `+two+`]`, 202), `"consents":2`, `"new":2`)
	wants(t, ask("store_a", `[`+two+`, `+one+`]`, 202), `"consents":2`, `"new":0`)
	x.wantCount(t, `SELECT count(*) FROM webhook_events WHERE headers->>'Imported-By' LIKE 'token:%'`, 2)
	file := "store_id,email,marketing,said_at,wording\nstore_a,a@example.com,true,2026-01-12T10:00:00Z,News\n"
	events, err := storemail.ReadConsents(strings.NewReader(file), time.Now(), func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	x.wantCount(t, `SELECT count(*) FROM webhook_events WHERE event_id = '`+events[0].EventID+`'`, 1)
	x.applyAll(t)
	x.wantCount(t, `SELECT count(*) FROM mail_consents WHERE store_id = 'store_a' AND
		(email, user_id, kind, state, wording) IN (('a@example.com', '', 'marketing', 'granted', 'News'),
			('', 'user_2', 'tracking', 'denied', 'Links'))`, 2)
}

// applyAll applies all events of the inbox.
func (x *site) applyAll(t testing.TB) {
	t.Helper()
	var ids []int64
	if err := x.Cfg.Store.Pool.QueryRow(t.Context(), `SELECT array_agg(id) FROM webhook_events`).Scan(&ids); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Cfg.Store.Apply(t.Context(), ids, 0, facts.Read); err != nil {
		t.Fatal(err)
	}
}

// aConsent are the members of a consent.
const aConsent = `"email": "a@example.com", "marketing": true, "said_at": "2026-01-12T10:00:00Z", "wording": "News"`

// Whatever stands in a consent, it is imported for the store of the request, or refused.
func TestHostileConsents(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.exec(t, `DELETE FROM webhook_events`)
	for _, name := range append([]string{"Store_ID", "type"}, storemail.ConsentColumns...) {
		for _, value := range append(few, "store_b", "true", " ", "a@example.com\r\nb@example.com") {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			got := x.send(t, "POST", "/api/stores/store_a/consents", `{"consents": [{`+aConsent+`, "`+name+`": `+
				string(text)+`}]}`, asJSON, asAdmin) // of two of one name the last counts
			if got.StatusCode >= 500 {
				t.Errorf("%s %q: %d", name, value, got.StatusCode)
			}
		}
	}
	x.applyAll(t)
	x.wantCount(t, `SELECT count(*) FROM mail_consents WHERE store_id <> 'store_a'`, 0)
	x.wantCount(t, `SELECT count(*) FROM webhook_events WHERE status <> 'processed'`, 0)
}
