package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/store/customers"
)

const everything = `{
	"id": "1",
	"store_id": "store_a",
	"email": "ada@example.com",
	"name": "Ada",
	"image_url": "https://example.com/a.png", "country": "NO",
	"type": "subscription",
	"status": "active",
	"source": {"kind": "free_course", "product_id": "course_1", "title": "Mixing 101"},
	"total_spent": [{"amount": 0, "currency": "eur"}, {"amount": 29900, "currency": "usd"}],
	"refunded": [{"amount": 500, "currency": "eur"}],
	"first_seen_at": "2026-01-02T03:04:05.000006Z",
	"last_activity_at": "2026-02-01T00:00:00Z",
	"courses": [
		{"id": "course_1", "title": "Mixing 101", "progress": 33.5, "enrolled_at": "2026-01-02T03:04:05Z",
		 "progressed_at": "2026-01-09T00:00:00Z", "completed_at": null},
		{"id": "course_x", "title": "course_x", "progress": 100, "enrolled_at": null, "progressed_at": null,
		 "completed_at": "2026-01-03T00:00:00Z"}
	],
	"purchases": [
		{"product_id": "course_1", "title": "Mixing 101", "kind": "course", "amount": 29900, "currency": "usd",
				"refunded": 0,
		 "purchased_at": "2026-01-02T03:04:05Z"},
		{"product_id": null, "title": null, "kind": "other", "amount": 500, "currency": "eur", "refunded": 500,
		 "purchased_at": "2026-01-04T00:00:00Z"},
		{"product_id": "foreign", "title": "foreign", "kind": "digital", "amount": 1, "currency": "usd",
				"refunded": 0,
		 "purchased_at": "2026-01-04T00:00:00Z"}
	],
	"subscriptions": [
		{"id": "sub_1", "status": "active", "plan": "Pro", "product_ids": ["club"], "amount": 1900, "currency": "usd",
		 "current_period_end": "2026-03-01T00:00:00Z", "cancel_at_period_end": true},
		{"id": "sub_2", "status": "canceled", "plan": "Club", "product_ids": ["club"], "amount": null,
		 "currency": null,
		 "current_period_end": null, "cancel_at_period_end": false},
		{"id": "sub_3", "status": "canceled", "plan": null, "product_ids": [], "amount": null, "currency": null,
		 "current_period_end": null, "cancel_at_period_end": false}
	],
	"product_ids": ["club", "course_1", "foreign"],
	"tags": [], "forecast": null,
	"engagement": {"state": "active", "why": "last active 19 days ago, usually back within 15 days"}
}`

const bare = `{
	"id": "2", "store_id": "store_a", "email": "b@example.com", "name": null, "image_url": null, "country": null,
	"type": "lead", "status": "inactive",
	"source": {"kind": null, "product_id": null, "title": null}, "total_spent": [], "refunded": [],
	"first_seen_at": null, "last_activity_at": null, "courses": [], "purchases": [], "subscriptions": [],
	"product_ids": [], "tags": [], "forecast": null, "engagement": null
}`

func TestCustomerJSON(t *testing.T) {
	l := openLists(t)
	l.product(t, "store_a", "course_1", "Mixing 101")
	l.product(t, "store_a", "club", "Club")
	l.product(t, "store_b", "foreign", "What store b calls it")
	l.exec(t, `
		INSERT INTO customers (store_id, email, name, image_url, type, status, source_kind, source_product_id, first_seen_at,
			last_activity_at, spent, refunded, courses, purchases, subscriptions, product_ids, country)
		VALUES ('store_a', 'ada@example.com', 'Ada', 'https://example.com/a.png', 'subscription', 'active', 'free_course',
			'course_1',
			'2026-01-02 03:04:05.000006+00', '2026-02-01 05:00:00+05',
			'[{"amount": 0, "currency": "eur"}, {"amount": 29900, "currency": "usd"}]', '[{"amount": 500, "currency": "eur"}]',
			'[{"id": "course_1", "progress": 33.5, "enrolled_at": "2026-01-02T03:04:05Z",
				"progressed_at": "2026-01-09T00:00:00Z", "completed_at": null},
			  {"id": "course_x", "progress": 100, "enrolled_at": null, "completed_at": "2026-01-03T00:00:00Z"}]',
			'[{"id": "pi_1", "product_id": "course_1", "kind": "course", "amount": 29900, "currency": "usd",
				"refunded": 0, "purchased_at": "2026-01-02T03:04:05Z"},
			  {"id": "pi_2", "product_id": null, "kind": "other", "amount": 500, "currency": "eur", "refunded": 500,
				"purchased_at": "2026-01-04T00:00:00Z"},
			  {"id": "pi_3", "product_id": "foreign", "kind": "digital", "amount": 1, "currency": "usd",
				"refunded": 0,
				"purchased_at": "2026-01-04T00:00:00Z"}]',
			'[{"id": "sub_1", "status": "active", "product_id": "club", "plan": "Pro", "amount": 1900, "currency": "usd",
				"current_period_end": "2026-03-01T00:00:00Z", "cancel_at_period_end": true},
			  {"id": "sub_2", "status": "canceled", "product_id": "club", "plan": null, "amount": null, "currency": null,
				"current_period_end": null, "cancel_at_period_end": false},
			  {"id": "sub_3", "status": "canceled", "product_id": null, "plan": null, "amount": null, "currency": null,
				"current_period_end": null, "cancel_at_period_end": false}]', '{club,course_1,foreign}', 'NO')`)
	l.exec(t, `INSERT INTO customers (store_id, email, status) VALUES ('store_a', 'b@example.com', 'inactive')`)
	now := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	reader := customers.New(l.Store).At(now)
	page, _, err := reader.Customers(t.Context(), customers.Filter{Store: "store_a", Sort: "email"})
	if err != nil || len(page) != 2 {
		t.Fatal(page, err)
	}
	for i, want := range []string{everything, bare} {
		one, err := reader.Customer(t.Context(), "store_a", page[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(page[i], one); diff != "" {
			t.Errorf("alone and in the list: %s", diff)
		}
		if diff := gocmp.Diff(decoded(t, []byte(want)), decoded(t, encoded(t, one))); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decoded(t testing.TB, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Who tells an old progress again is stuck, even active today; a course of theirs says when its progress last rose.
func TestStuckIsWithoutProgress(t *testing.T) {
	s, url := openURL(t)
	e := teller{}
	today := func(who string, progress int, more string) store.NewEvent {
		ev := e.enrolled("c1", fmt.Sprintf(`"email":%q,"progress":%d%s`, who, progress, more))
		ev.OccurredAt = time.Now().Add(-time.Hour)
		return ev
	}
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"email":"moving@x.example","progress":10`),
		e.enrolled("c1", `"email":"stuck@x.example","progress":10`), // evt_002, 10:00:02
		e.enrolled("c1", `"email":"done@x.example","progress":10`),
		e.enrolled("c1", `"email":"new@x.example","progress":0`),
		e.enrolled("c1", `"email":"again@x.example","progress":10`),
		e.platform("enrollment.deleted", `{"course_id":"c1","email":"again@x.example"}`),
		today("moving@x.example", 20, ""),
		today("stuck@x.example", 10, ""),
		today("done@x.example", 10, `,"completed_at":"2026-01-20T00:00:00Z"`),
		today("again@x.example", 0, ""),
		e.enrolled("c1", `"email":"back@x.example","progress":10`),
		e.platform("enrollment.deleted", `{"course_id":"c1","email":"back@x.example"}`),
		today("back@x.example", 5, ""),
		e.enrolled("c1", `"email":"bare@x.example","progress":10`),
		e.platform("enrollment.deleted", `{"course_id":"c1","email":"bare@x.example"}`),
		e.enrolled("c1", `"email":"bare@x.example"`),
	}, 3)
	page, _, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: "s1", Segment: "stuck", Limit: 9})
	if err != nil || len(page) != 1 || page[0].Email != "stuck@x.example" ||
		time.Since(*page[0].LastActivityAt) > 2*time.Hour {
		t.Fatalf("%v %+v", err, page)
	}
	wantRows(t, url, `
		SELECT split_part(email, '@', 1) ||
			CASE WHEN at < '2026-01-13' THEN ' then' WHEN at > '' THEN ' now' ELSE ' never' END
		FROM (SELECT email, courses -> 0 ->> 'progressed_at' AS at FROM customers) c
		ORDER BY email`, "again never", "back now", "bare never", "done then", "moving now", "new never", "stuck then")
}

// What the row says of all courses is what the list of courses says.
func TestRowSumsUpCourses(t *testing.T) {
	s, url := openURL(t)
	e, d := teller{}, rand.New(rand.NewPCG(7, 7))
	var events []store.NewEvent
	for range 300 {
		who, course := fmt.Sprintf(`"email":"p%d@x.example"`, d.IntN(60)), fmt.Sprint("c", d.IntN(3))
		if d.IntN(8) == 0 {
			events = append(events, e.platform("enrollment.deleted", fmt.Sprintf(`{"course_id":%q,%s}`, course, who)))
			continue
		}
		more := fmt.Sprintf(`,"progress":%d,"enrolled_at":"2026-01-0%dT10:00:00.%dZ"`, []int{0, 0, 30, 99, 100}[d.IntN(5)],
			1+d.IntN(9), d.IntN(1000))
		if d.IntN(6) == 0 {
			more += `,"completed_at":"2026-01-20T00:00:00.5Z"`
		}
		events = append(events, e.enrolled(course, who+more))
	}
	apply(t, s, events, 5)
	wantRows(t, url, `
		SELECT email
		FROM customers
		CROSS JOIN LATERAL (
			SELECT
				coalesce(bool_or(done), false) AS done,
				coalesce(min(progressed_at) FILTER (WHERE NOT done), 'infinity') AS stalled,
				coalesce(min(enrolled_at) FILTER (WHERE NOT done AND progress <= 0), 'infinity') AS unstarted
			FROM jsonb_to_recordset(courses) AS r(progress float8, progressed_at timestamptz, enrolled_at timestamptz,
				completed_at timestamptz)
			CROSS JOIN LATERAL (SELECT completed_at IS NOT NULL OR progress >= 100 AS done) d
		) r
		WHERE (finished, stalled_since, unstarted_since) IS DISTINCT FROM (done, stalled, unstarted)`)
	wantRows(t, url, `SELECT concat(count(*) FILTER (WHERE finished) > 5,
		count(*) FILTER (WHERE stalled_since < 'infinity') > 5,
		count(*) FILTER (WHERE unstarted_since < 'infinity') > 5) FROM customers`, "ttt")
}

// A first report that comes with progress is progress: so says the timeline.
func TestFirstReportOfProgress(t *testing.T) {
	s, url := openURL(t)
	e := teller{}
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"email":"learns@x.example","progress":80,"enrolled_at":"2026-01-10T10:00:00Z"`),
		e.enrolled("c1", `"email":"came@x.example","progress":0,"enrolled_at":"2026-01-10T10:00:00Z"`),
		e.enrolled("c1", `"email":"now@x.example","progress":80`),
	}, 3)
	wantRows(t, url, `SELECT email || ' ' || last_activity FROM customers ORDER BY email`,
		"came@x.example enrollment", "learns@x.example progress", "now@x.example enrollment")
}
