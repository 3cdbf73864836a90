package facts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seed adds all samples of a source to a corpus, with their types.
func seed(f *testing.F, source string) {
	paths, err := filepath.Glob("../testdata/fixtures/" + source + "/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no samples of %s: %v", source, err)
	}
	for _, path := range paths {
		payload, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var head struct{ Type string }
		if json.Unmarshal(payload, &head) == nil {
			f.Add(head.Type, payload)
		}
	}
}

// check reads an event and checks what must hold of whatever is said: nothing
// panics, errors are of the two known kinds, keys and versions are usable, and
// Postgres can hold every text.
func check(t *testing.T, source, typ string, payload []byte) {
	set, err := Read(Event{Source: source, ID: "evt_1", Type: typ, OccurredAt: time.Unix(1768212000, 0), Payload: payload})
	switch err.(type) {
	case nil, *Ignored, *Malformed:
	default:
		t.Fatalf("error of an unknown kind: %T %v", err, err)
	}
	if err != nil {
		return
	}
	text, err := json.Marshal(set)
	if err != nil || !utf8.Valid(text) || strings.Contains(string(text), `\u0000`) {
		t.Fatalf("Postgres cannot hold this: %s %v", text, err)
	}
	for _, p := range set.Payments {
		if p.ID == "" || len(p.ID) > maxID {
			t.Errorf("payment with id %q", p.ID)
		}
		if p.ClaimVersion != "" && (p.Amount == nil || p.PaidAt == nil || p.Kind == "") {
			t.Errorf("claim without amount, time or kind: %+v", p)
		}
	}
	for _, s := range set.Subscriptions {
		if s.ID == "" || len(s.ID) > maxID || s.Version == "" && s.CheckoutVersion == "" {
			t.Errorf("subscription that says nothing: %+v", s)
		}
	}
	for _, e := range set.Enrollments {
		if e.CourseID == "" || !strings.Contains(e.Person, ":") || e.Progress != nil &&
			(*e.Progress < 0 || *e.Progress > 100) {
			t.Errorf("enrollment %+v", e)
		}
	}
	for _, u := range set.Users {
		if u.ID == "" || u.Email != Email(u.Email) {
			t.Errorf("user %+v", u)
		}
	}
}

func FuzzStripe(f *testing.F) {
	seed(f, "stripe")
	f.Add("checkout.session.completed",
		[]byte(`{"data":{"object":{"id":"cs_1","mode":"payment","payment_status":"paid",`+
			`"metadata":{"courseIds":"[\"a\",7]"},"payment_intent":{"id":"pi_1"}}}}`))
	f.Add("invoice.paid",
		[]byte(`{"data":{"object":{"id":"in_1\u0000","lines":{"data":[{"price":null,"pricing":{}}]},"parent":null}}}`))
	f.Fuzz(func(t *testing.T, typ string, payload []byte) { check(t, "stripe", typ, payload) })
}

func FuzzClerk(f *testing.F) {
	seed(f, "clerk")
	f.Add("user.updated",
		[]byte(`{"data":{"id":"user_1",`+
			`"email_addresses":[{"id":"i","email_address":"A\u0000@x.example","verification":null}],`+
			`"primary_email_address_id":"i","updated_at":1e300}}`))
	f.Fuzz(func(t *testing.T, typ string, payload []byte) { check(t, "clerk", typ, payload) })
}

func FuzzPlatform(f *testing.F) {
	for typ, data := range platformSamples {
		f.Add(typ, []byte(`{"type":"`+typ+`","data":`+data+`}`))
	}
	f.Fuzz(func(t *testing.T, typ string, payload []byte) { check(t, "platform", typ, payload) })
}

// platformSamples is an event of each type with all its fields.
var platformSamples = map[string]string{
	"store.upserted": `{"id":"s","name":"S","owner_user_id":"u","member_user_ids":["u","v"],` +
		`"stripe_account_id":"acct_1"}`,
	"product.upserted": `{"id":"p","store_id":"s","kind":"bundle","title":"T",` +
		`"price":{"amount":100,"currency":"USD"},"items":["c"],"stripe_product_ids":["prod_1"],` +
		`"stripe_price_ids":["price_1"]}`,
	"product.deleted": `{"id":"p"}`,
	"enrollment.upserted": `{"course_id":"c","user_id":"u","store_id":"s","email":"a@x.example","name":"A",` +
		`"progress":45.5,"enrolled_at":"2026-01-12T10:00:00Z","completed_at":null}`,
	"enrollment.deleted": `{"course_id":"c","email":"A@x.example"}`,
	"purchase.recorded": `{"id":"b","product_id":"p","user_id":"u","email":"a@x.example","name":"A","store_id":"s",` +
		`"amount":1,"currency":"jpy","purchased_at":"2026-01-12T10:00:00Z"}`,
}

// What Clerk's API lists is read like what its events carry.
func FuzzClerkUser(f *testing.F) {
	f.Add([]byte(
		`{"id":"user_1","first_name":"A\u0000va","primary_email_address_id":"i",` +
			`"email_addresses":[{"id":"i","email_address":"Ava@x.example","verification":{"status":"verified"}}],` +
			`"updated_at":1768211400000,"last_sign_in_at":1768211300000}`))
	f.Add([]byte(`{"id":"user_1\u0000","updated_at":-1e308,"email_addresses":[null],"public_metadata":{"a":[]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, user []byte) {
		set, err := ReadClerkUser(time.Unix(1768212000, 0), user)
		if err != nil {
			if _, ok := err.(*Malformed); !ok {
				t.Fatalf("error of an unknown kind: %T %v", err, err)
			}
			return
		}
		text, err := json.Marshal(set)
		if err != nil || !utf8.Valid(text) || strings.Contains(string(text), `\u0000`) {
			t.Fatalf("Postgres cannot hold this: %s %v", text, err)
		}
		if len(set.Users) != 1 || set.Users[0].ID == "" || set.Users[0].Email != Email(set.Users[0].Email) {
			t.Errorf("users %+v", set.Users)
		}
	})
}
