package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/web/core"
)

// id is how the site shows a number of the database.
func (x *site) id(t testing.TB, kind string, n int64) string {
	t.Helper()
	if err := x.LoadIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x.IDs().ID(kind, n)
}

// startOfIDs is where every sequence goes on in TestIDsTellNothing.
const startOfIDs = 7_654_300

// ofOurs finds such a number in a text, as it is or in base 36.
var ofOurs = regexp.MustCompile(`76543[0-9]{2}|4k2[2-9][0-9a-z]`)

// Nothing that a creator or a program sees tells how many rows there are over
// all stores: neither ids, nor links, nor cursors.
func TestIDsTellNothing(t *testing.T) {
	x := open(t, clerkSite)
	for _, table := range []string{"customers", "customer_notes", "store_tokens", "webhook_events", "customer_merges",
		"mails"} {
		x.exec(t, fmt.Sprintf(`ALTER TABLE %s ALTER COLUMN id RESTART WITH %d`, table, startOfIDs))
	}
	x.hear(t, studio()...)
	x.exec(t, `INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
		SELECT 'studio', id, 'old@mail.example', id, email FROM customers WHERE store_id = 'studio'`)
	x.exec(t, `INSERT INTO mails (store_id, email, class, step, occurrence, version, status, due_at, not_after, claimed_at,
			sent_at)
		SELECT 'studio', email, 'marketing', 'a', '', 1, 'sent', now(), now(), now(), now()
		FROM customers WHERE store_id = 'studio'`)
	x.exec(t, `INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT 'studio', `+store.AddressHash("email")+`, 'unsubscribed', now() FROM customers WHERE store_id = 'studio'`)
	program := withBearer(x.token(t, "studio").Secret)
	one := x.firstCustomer(t, program)
	for range 2 {
		if got := x.send(t, "POST", one+"/notes", `{"body":"called"}`, program, asJSON); got.StatusCode != 201 ||
			counts(got.Header.Get("Location")) {
			t.Errorf("%d %v %s", got.StatusCode, got.Header, got.text)
		}
	}
	page := strings.Replace(one, "/api/stores/", "/store/", 1)
	for _, who := range []as{program, withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))} {
		for _, path := range []string{
			"/api/stores/studio/customers?limit=1", "/api/stores/studio/customers.csv", "/api/stores/studio/stats",
			one, one + "/explain", one + "/timeline", one + "/timeline?limit=1", one + "/notes", one + "/notes?limit=1",
			"/store/studio/customers", "/store/studio/customers?limit=2&sort=name", page,
		} {
			got := x.get(t, path, who)
			if got.StatusCode != 200 || counts(got.text) {
				t.Errorf("%s: %d %s", path, got.StatusCode, ofOurs.FindString(decoded(got.text)))
			}
		}
	}
}

// firstCustomer is the address in the API of a customer of the studio.
func (x *site) firstCustomer(t testing.TB, who as) string {
	t.Helper()
	var list struct{ Data []struct{ ID string } }
	if err := json.Unmarshal([]byte(x.get(t, "/api/stores/studio/customers?limit=1&sort=name", who).text),
		&list); err != nil || len(list.Data) != 1 {
		t.Fatal(list, err)
	}
	return "/api/stores/studio/customers/" + list.Data[0].ID
}

// decoded is a text with all that looks like base64 in it, decoded, behind it.
func decoded(text string) string {
	for _, word := range regexp.MustCompile(`[\w-]{12,}`).FindAllString(text, -1) {
		if plain, err := base64.RawURLEncoding.DecodeString(word); err == nil {
			text += "\n" + string(plain)
		}
	}
	return text
}

// counts tells whether a text holds one.
func counts(text string) bool { return ofOurs.MatchString(decoded(text)) }

// A made-up id is answered as that of nothing, whoever asks; a cursor that was
// made up, or is another list's, as a damaged one.
func TestIDsCannotBeMadeUp(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	program := withBearer(x.token(t, "store_a").Secret)
	list, mine := "/api/stores/store_a/customers/", x.id(t, core.CustomerID, 1)
	if got := x.get(t, list+mine, program); got.StatusCode != 200 || !strings.Contains(got.text, `"id":"`+mine+`"`) {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	unknown := x.get(t, list+x.id(t, core.CustomerID, 99), program)
	if unknown.StatusCode != 404 {
		t.Errorf("%d %s", unknown.StatusCode, unknown.text)
	}
	for _, id := range []string{"1", "x", strings.Repeat("a", 26), mine[:25], mine + "a", strings.ToUpper(mine),
		mine[:25] + "b",
		x.id(t, core.NoteID, 1), x.id(t, core.CustomerID, 2), x.id(t, core.CustomerID, 1<<62), "%00",
		strings.Repeat("a", 9000)} {
		if got := x.get(t, list+id, program); got.StatusCode != 404 || cmp.Diff(unknown.text, got.text) != "" {
			t.Errorf("%.40s: %d %s", id, got.StatusCode, got.text)
		}
	}
	next := x.IDs().Cursor("customers of store_b", "eyJzb3J0IjoiLWxhc3RfYWN0aXZpdHkiLCJpZCI6MX0")
	for _, cursor := range []string{"eyJzb3J0IjoiLWxhc3RfYWN0aXZpdHkiLCJpZCI6MX0", "x", strings.Repeat("A", 60), next} {
		for _, path := range []string{"/api/stores/store_a/customers", list + mine + "/timeline", list + mine + "/notes"} {
			if got := x.get(t, path+"?cursor="+cursor, program); got.StatusCode != 400 || got.code(t) != "invalid_parameter" {
				t.Errorf("%s?cursor=%s: %d %s", path, cursor, got.StatusCode, got.text)
			}
		}
	}
}

// Operators may use the number that the command line shows; a page leads them to
// the address that they can pass on.
func TestOperatorsMayUseNumbers(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	shown := x.id(t, core.CustomerID, 1)
	if got := x.get(t, "/api/stores/store_a/customers/1", asAdmin); got.StatusCode != 200 ||
		!strings.Contains(got.text, shown) {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	got := x.get(t, "/store/store_a/customers/1?before=", asAdmin)
	if want := "/store/store_a/customers/" + shown + "?before="; got.StatusCode != 303 ||
		got.Header.Get("Location") != want {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if got := x.get(t, "/store/store_a/customers/"+shown, asAdmin); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}
