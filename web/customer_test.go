package web

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/web/core"
)

// enroll tells that ann is in a course of store "a/b c", and returns the address
// of her in the API.
func (x *site) enroll(t testing.TB) string {
	t.Helper()
	event := store.NewEvent{Source: "platform", EventID: "evt_1", Type: "enrollment.upserted", OccurredAt: now,
		Payload: []byte(
			`{"data":{"course_id":"c1","store_id":"a/b c","email":"ann@x.example","enrolled_at":"2026-01-12T09:00:00+01:00"}}`)}
	in, err := x.Cfg.Store.InsertEvents(t.Context(), []store.NewEvent{event})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := x.Cfg.Store.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read); err != nil || out.Processed != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	return "/api/stores/a%2Fb%20c/customers/" + x.id(t, core.CustomerID, 1)
}

// received hides when an event came in.
func received(text string) string {
	return regexp.MustCompile(`"received_at":"[^"]+Z"`).ReplaceAllString(text, `"received_at"`)
}

const enrolledEvent = `{"id":1,"source":"platform","event_id":"evt_1","type":"enrollment.upserted",` +
	`"occurred_at":"2026-01-12T10:00:00Z","received_at","status":"processed"}`

func TestExplainAPI(t *testing.T) {
	x := open(t, nil)
	ann := x.enroll(t)
	got := x.get(t, ann+"/explain", asAdmin)
	want := `{"customer_id":"` + x.id(t, core.CustomerID, 1) + `","store_id":"a/b c",` +
		`"email":{"value":"ann@x.example",` +
		`"because":[{"via":"given","person":null,"address":null,"proof":null,` +
		`"facts":["enrollment:c1/email:ann@x.example"]}]},` +
		`"type":{"value":"lead","why":"Has never paid.",` +
		`"because":["enrollment:c1/email:ann@x.example"]},` +
		`"status":{"value":"active","why":"Is in a course, owns something bought, or is subscribed.",` +
		`"because":["enrollment:c1/email:ann@x.example"]},` +
		`"source":{"kind":"free_course","product_id":"c1","title":"c1","at":"2026-01-12T08:00:00Z",` +
		`"because":["enrollment:c1/email:ann@x.example"]},` +
		`"total_spent":[],` +
		`"courses":[{"id":"c1","title":"c1","because":["enrollment:c1/email:ann@x.example"]}],` +
		`"payments":[],` +
		`"enrollments":[{"ref":"enrollment:c1/email:ann@x.example","course_id":"c1","title":"c1",` +
		`"person":"email:ann@x.example","progress":null,"enrolled_at":"2026-01-12T08:00:00Z","completed_at":null,` +
		`"active":true,` +
		`"origins":[{"of":["email","enrolled_at","enrollment","store"],"via":"event","at":"2026-01-12T10:00:00Z","event":` +
		enrolledEvent + `}],` +
		`"store_because":{"store_id":"a/b c","via":"named","key":"a/b c","at":"2026-01-12T08:00:00Z","since":null,` +
		`"why":"It names this store, a/b c.","links":[]}}],` +
		`"subscriptions":[],"people":[],"uncounted":[],"merged_addresses":[]}` + "\n"
	if diff := cmp.Diff(want, received(got.text)); diff != "" || got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, diff)
	}
}

func TestTimelineAPI(t *testing.T) {
	x := open(t, nil)
	ann := x.enroll(t)
	first := x.get(t, ann+"/timeline?limit=1", asAdmin)
	form := regexp.MustCompile(`"next_cursor":"([\w-]+)"`)
	want := `{"data":[{"at":"2026-01-12T08:00:00Z","at_latest":false,"kind":"enrolled","title":"c1","product_id":"c1",` +
		`"money":null,"text":null,"ref":"course:c1",` +
		`"origins":[{"of":["enrolled_at"],"via":"event","at":"2026-01-12T10:00:00Z","event":` + enrolledEvent +
		`}]}],"next_cursor"}` + "\n"
	if diff := cmp.Diff(want, received(form.ReplaceAllString(first.text, `"next_cursor"`))); diff != "" ||
		first.StatusCode != 200 {
		t.Fatalf("%d %s", first.StatusCode, diff)
	}
	last := x.get(t, ann+"/timeline?limit=5&cursor="+form.FindStringSubmatch(first.text)[1], asAdmin)
	want = `{"data":[{"at":"2026-01-12T08:00:00Z","at_latest":false,"kind":"first_seen","title":null,"product_id":null,` +
		`"money":null,"text":null,"ref":"customer:` + x.id(t, core.CustomerID, 1) + `","origins":[]}],"next_cursor":null}` +
		"\n"
	if diff := cmp.Diff(want, last.text); diff != "" {
		t.Error(diff)
	}
}

func TestNotesAPI(t *testing.T) {
	x := open(t, nil)
	ann := x.enroll(t)
	if none := x.get(t, ann+"/notes", asAdmin); none.text != `{"data":[],"next_cursor":null}`+"\n" {
		t.Errorf("%s", none.text)
	}
	times := regexp.MustCompile(`"(created|updated)_at":"[^"]+Z"`)
	hide := func(a answer) string { return times.ReplaceAllString(a.text, `"${1}_at"`) }
	first, second := x.id(t, core.NoteID, 1), x.id(t, core.NoteID, 2)
	added := x.send(t, "POST", ann+"/notes", `{"body":" <b>Called\n"}`, asAdmin, asJSON)
	want := `{"id":"` + first + `","body":"<b>Called","author":"admin","editor":null,"created_at","updated_at"}` + "\n"
	if hide(added) != want || added.StatusCode != 201 || added.Header.Get("Location") != ann+"/notes/"+first {
		t.Errorf("%d %v %s", added.StatusCode, added.Header, added.text)
	}
	x.send(t, "POST", ann+"/notes", `{"body":"Again"}`, asAdmin, asJSON)
	page := x.get(t, ann+"/notes?limit=1", asAdmin)
	if want := `{"data":[{"id":"` + second +
		`","body":"Again","author":"admin","editor":null,"created_at","updated_at"}],"next_cursor":"` + second + `"}` +
		"\n"; hide(page) != want {
		t.Errorf("%s", page.text)
	}
	if rest := x.get(t, ann+"/notes?cursor="+second, asAdmin); !strings.Contains(rest.text, "Called") ||
		strings.Contains(rest.text, "Again") {
		t.Errorf("%s", rest.text)
	}
	edited := x.send(t, "PATCH", added.Header.Get("Location"), `{"body":"Called back"}`, asAdmin, asJSON)
	if want := strings.NewReplacer("<b>Called", "Called back", "null", `"admin"`).Replace(want); hide(edited) != want ||
		edited.StatusCode != 200 {
		t.Errorf("%d %s", edited.StatusCode, edited.text)
	}
	if gone := x.send(t, "DELETE", ann+"/notes/1", "", asAdmin); gone.StatusCode != 204 || gone.text != "" {
		t.Errorf("%d %s", gone.StatusCode, gone.text)
	}
	if gone := x.send(t, "DELETE", ann+"/notes/1", "", asAdmin); gone.StatusCode != 404 {
		t.Errorf("%d %s", gone.StatusCode, gone.text)
	}
}

// A note says who wrote it and who edited it, also when they are two.
func TestNoteNamesItsEditor(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	secret := x.token(t, "store_a")
	list, page := "/api/stores/store_a/customers/"+x.id(t, core.CustomerID, 1), "/store/store_a/customers/"+
		x.id(t, core.CustomerID, 1)
	owner, program := withClerk(sign(t, clerkKey, nil, sessionOf("user_owner"))), withBearer(secret.Secret)
	added := x.send(t, "POST", list+"/notes", `{"body":"Owes us"}`, program, asJSON)
	form := strings.Replace(added.Header.Get("Location"), list, page, 1)
	if got := x.send(t, "POST", form, "body=Owes+us+nothing", owner); got.StatusCode != 303 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	wrote := "token:" + x.id(t, core.TokenID, secret.ID)
	if got := x.get(t, list+"/notes", owner); !strings.Contains(got.text, `"author":"`+wrote+
		`","editor":"user:user_owner"`) {
		t.Errorf("%s", got.text)
	}
	if got := x.get(t, page, owner); !strings.Contains(got.text, "API token "+wrote[6:]) ||
		!strings.Contains(got.text, "edited by team member user_owner") {
		t.Errorf("%s", got.text)
	}
	if got := x.get(t, page, asAdmin); !strings.Contains(got.text, fmt.Sprint("API token ", secret.ID, ",")) {
		t.Errorf("operators know tokens by their numbers: %s", got.text)
	}
}

// Whatever is asked wrongly is told so in our form, and changes nothing.
func TestCustomerAPIRefuses(t *testing.T) {
	x := open(t, nil)
	ann := x.enroll(t)
	if got := x.send(t, "POST", ann+"/notes", `{"body":"Mine"}`, asAdmin, asJSON); got.StatusCode != 201 {
		t.Fatal(got.text)
	}
	asForm := withHeader("Content-Type", "application/x-www-form-urlencoded")
	elsewhere := strings.Replace(ann, "a%2Fb%20c", "other", 1)
	for _, c := range []struct {
		method, path, body string
		who                []as
		want               string
	}{
		{"GET", ann + "/explain", "", nil, "401 unauthorized"},
		{"GET", ann + "/timeline", "", nil, "401 unauthorized"},
		{"GET", ann + "/notes", "", nil, "401 unauthorized"},
		{"POST", ann + "/notes", `{"body":"x"}`, []as{asJSON}, "401 unauthorized"},
		{"DELETE", ann + "/notes/1", "", nil, "401 unauthorized"},
		{"GET", elsewhere + "/explain", "", []as{asAdmin}, "404 not_found"},
		{"GET", elsewhere + "/timeline", "", []as{asAdmin}, "404 not_found"},
		{"GET", elsewhere + "/notes", "", []as{asAdmin}, "404 not_found"},
		{"POST", elsewhere + "/notes", `{"body":"x"}`, []as{asAdmin, asJSON}, "404 not_found"},
		{"PATCH", elsewhere + "/notes/1", `{"body":"x"}`, []as{asAdmin, asJSON}, "404 not_found"},
		{"DELETE", elsewhere + "/notes/1", "", []as{asAdmin}, "404 not_found"},
		{"PATCH", ann + "/notes/x", `{"body":"x"}`, []as{asAdmin, asJSON}, "404 not_found"},
		{"GET", ann + "/timeline?limit=0", "", []as{asAdmin}, "400 invalid_parameter"},
		{"GET", ann + "/timeline?cursor=x", "", []as{asAdmin}, "400 invalid_parameter"},
		{"GET", ann + "/notes?limit=101", "", []as{asAdmin}, "400 invalid_parameter"},
		{"GET", ann + "/notes?cursor=-1", "", []as{asAdmin}, "400 invalid_parameter"},
		{"POST", ann + "/notes", `{}`, []as{asAdmin, asJSON}, "400 invalid_parameter"},
		{"POST", ann + "/notes", `{"body":"a\u0000b"}`, []as{asAdmin, asJSON}, "400 invalid_parameter"},
		{"POST", ann + "/notes", `{"body":"` + strings.Repeat("x", 5001) + `"}`, []as{asAdmin, asJSON},
			"400 invalid_parameter"},
		{"POST", ann + "/notes", `{"body":"x","author":"user:1"}`, []as{asAdmin, asJSON}, "400 invalid_body"},
		{"POST", ann + "/notes", `{"body":7}`, []as{asAdmin, asJSON}, "400 invalid_body"},
		{"PATCH", ann + "/notes/1", `[]`, []as{asAdmin, asJSON}, "400 invalid_body"},
		{"POST", ann + "/notes", `{"body":"` + strings.Repeat("x", 70_000) + `"}`, []as{asAdmin, asJSON}, "413 too_large"},
		{"POST", ann + "/notes", `body=x`, []as{asAdmin, asForm}, "415 unsupported_media_type"},
		{"POST", ann + "/notes", `{"body":"x"}`, []as{asAdmin, asJSON, withHeader("Origin", "https://elsewhere.example")},
			"403 cross_origin"},
		{"DELETE", ann + "/notes/1", "", []as{asAdmin, withHeader("Sec-Fetch-Site", "cross-site")}, "403 cross_origin"},
		{"PUT", ann + "/notes/1", "", []as{asAdmin}, "405 method_not_allowed"},
		{"POST", ann + "/explain", "", []as{asAdmin}, "405 method_not_allowed"},
	} {
		if got := x.send(t, c.method, c.path, c.body, c.who...); fmt.Sprint(got.StatusCode, " ", got.code(t)) != c.want {
			t.Errorf("%s %s %.30s: %d %s, want %s", c.method, c.path, c.body, got.StatusCode, got.text, c.want)
		}
	}
	notes, err := customers.New(x.Cfg.Store).Notes(t.Context(), "a/b c", "1", 0, 10)
	if err != nil || len(notes) != 1 || notes[0].Body != "Mine" || notes[0].CreatedAt.Location() != time.UTC {
		t.Errorf("%+v %v", notes, err)
	}
}
