package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// wholeTimeline pages through a customer's timeline.
func wholeTimeline(s *store.Store, storeID, id string, limit int) (all []customers.Entry, err error) {
	for f := (customers.TimelineFilter{Limit: limit}); ; {
		page, next, err := customers.New(s).Timeline(context.Background(), storeID, id, f)
		if err != nil {
			return nil, err
		}
		if len(page) > limit || next != "" && len(page) < limit || page == nil {
			return nil, fmt.Errorf("a page of %d, next %q", len(page), next)
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		f.Cursor = next
	}
}

// The law: a timeline is the same in pages of any size, newest first, tells of
// every sale and every course, and each entry came from events that are there.
func TestTimelineTellsAll(t *testing.T) {
	h := newHouse(t)
	rapid.Check(t, func(t *rapid.T) {
		events := drawStory(t)
		h.told(t, events, plan{batch: len(events), workers: 1})
		rows, err := h.pool.Query(context.Background(), `SELECT store_id, id::text FROM customers ORDER BY id`)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all, err := collectPairs(rows)
		if err != nil {
			t.Fatalf("%v", err)
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		for _, at := range all {
			whole, err := wholeTimeline(h.store, at[0], at[1], 100)
			if err != nil {
				t.Fatalf("%v", err)
			}
			paged, err := wholeTimeline(h.store, at[0], at[1], limit)
			if diff := cmp.Diff(whole, paged, cmp.AllowUnexported(customers.Entry{})); diff != "" || err != nil {
				t.Fatalf("in pages of %d: %v %s", limit, err, diff)
			}
			e, err := customers.New(h.store).Explain(context.Background(), at[0], at[1])
			if err != nil {
				t.Fatalf("%v", err)
			}
			if wrong := untold(e, whole); len(wrong) > 0 {
				t.Fatalf("%s\n%+v\ntold\n%s", strings.Join(wrong, "\n"), whole, tell(events))
			}
		}
	})
}

// untold lists what a timeline leaves out of an explanation, and what is wrong
// with it.
func untold(e customers.Explanation, all []customers.Entry) (wrong []string) {
	if !slices.IsSortedFunc(all, func(a, b customers.Entry) int { return b.At.Compare(a.At) }) {
		wrong = append(wrong, "not newest first")
	}
	told := map[string]bool{}
	for _, entry := range all {
		told[entry.Kind+" "+entry.Ref] = true
		for _, o := range entry.Origins {
			if o.Event == nil || o.Event.ID == nil {
				wrong = append(wrong, fmt.Sprintf("%s %s from where? %+v", entry.Kind, entry.Ref, o))
			}
		}
	}
	want := func(kinds ...string) {
		if !slices.ContainsFunc(kinds, func(k string) bool { return told[k] }) {
			wrong = append(wrong, "no "+kinds[0])
		}
	}
	want("first_seen customer:" + e.CustomerID)
	for _, c := range e.Courses {
		want("enrolled course:" + c.ID)
	}
	for _, p := range e.Payments {
		if p.Gross.Amount > 0 {
			want("bought "+p.Ref, "subscription_paid "+p.Ref, "subscription_renewed "+p.Ref)
		}
		for _, d := range p.Disputes {
			if p.Gross.Amount > 0 {
				want("dispute_opened "+d.Ref, "dispute_won "+d.Ref, "dispute_lost "+d.Ref, "dispute_closed "+d.Ref)
			}
		}
	}
	for _, s := range e.Subscriptions {
		want("subscription_started " + s.Ref)
	}
	return wrong
}

// timelineOf tells events one by one and returns the timeline of the customer
// at an address of s1, in short.
func timelineOf(t *testing.T, email string, events ...store.NewEvent) (short []string) {
	t.Helper()
	s, url := openURL(t)
	apply(t, s, events, 1)
	all, err := wholeTimeline(s, "s1", idAt(t, url, "s1", email), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		line := e.At.Format("01-02 15:04:05 ") + e.Kind + " " + e.Ref
		if e.Title != nil {
			line += " " + *e.Title
		}
		if e.Money != nil {
			line += fmt.Sprint(" ", e.Money.Amount, e.Money.Currency)
		}
		if e.Text != nil {
			line += " " + *e.Text
		}
		if e.AtLatest {
			line += " at the latest"
		}
		short = append(short, fmt.Sprint(line, " ", origins(e.Origins)))
	}
	return short
}

func TestTimeline(t *testing.T) {
	var e teller
	shop := []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"S"}`), // evt_001, 10:00:01
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"Mixing"}`),
		e.platform("product.upserted", `{"id":"d1","store_id":"s1","kind":"digital","title":"Beat"}`),
		e.user("user_1", "ann@x.example", "verified"), // evt_004
	}
	for name, c := range map[string]struct {
		events []store.NewEvent
		want   []string
	}{
		"courses": {[]store.NewEvent{
			e.enrolled("c1", `"user_id":"user_1","progress":10`), // evt_005
			e.platform("enrollment.upserted",
				`{"course_id":"c1","user_id":"user_1","progress":100,"completed_at":"2026-01-11T10:00:00Z",`+
					`"enrolled_at":"2026-01-10T10:00:00Z"}`),
			e.event("clerk", "session.created", "", `{"data":{"id":"sess","user_id":"user_1","created_at":1768384800000}}`),
			e.sale("pi_1", "ann@x.example", `{"storeId":"s1","courseId":"c2"}`), // evt_008
			e.enrolled("c3", `"email":"ann@x.example"`),
			e.platform("enrollment.deleted", `{"course_id":"c3","email":"ann@x.example"}`), // evt_010
		}, []string{
			"01-14 10:00:00 signed_in user:user_1 []",
			"01-12 10:00:10 enrollment_ended course:c3 c3 [end by evt_010]",
			"01-12 10:00:09 enrolled course:c3 c3 [enrollment by evt_009]",
			"01-12 10:00:08 enrolled course:c2 c2 [payment by evt_008]",
			"01-12 10:00:08 bought payment:pi_1 c2 1000usd [payment by evt_008]",
			"01-11 10:00:00 completed course:c1 Mixing [completed_at by evt_006]",
			"01-10 10:00:00 enrolled course:c1 Mixing [enrolled_at by evt_006]",
			"01-10 10:00:00 first_seen customer:1 []",
		}},
		"money back": {[]store.NewEvent{
			e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"d1"}`), // evt_011
			e.stripe("charge.refunded", "",
				`{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd","payment_intent":"pi_1"}`),
			// 10:00:00
			e.stripe("refund.created", "",
				`{"id":"re_1","amount":200,"currency":"usd","charge":"ch_1","status":"succeeded","created":1768212000}`),
			e.sale("pi_2", "ann@x.example", `{"storeId":"s1","productId":"d1"}`),
			e.stripe("refund.failed", "",
				`{"id":"re_2","amount":200,"currency":"usd","charge":"ch_2","payment_intent":"pi_2","status":"failed",`+
					`"created":1768212001}`),
			// evt_016
			e.stripe("charge.dispute.created", "",
				`{"id":"dp_1","amount":400,"currency":"usd","charge":"ch_1","payment_intent":"pi_1","status":"needs_response"}`),
			e.stripe("charge.dispute.closed", "",
				`{"id":"dp_2","amount":1000,"currency":"usd","charge":"ch_2","payment_intent":"pi_2","status":"lost"}`),
			e.stripe("charge.dispute.closed", "",
				`{"id":"dp_3","amount":9,"currency":"usd","charge":"ch_2","payment_intent":"pi_2","status":"won"}`),
		}, []string{
			"01-12 10:00:18 dispute_won dispute:dp_3 Beat 9usd [dispute by evt_018]",
			"01-12 10:00:17 dispute_lost dispute:dp_2 Beat 1000usd [dispute by evt_017]",
			"01-12 10:00:16 dispute_opened dispute:dp_1 Beat 400usd [dispute by evt_016]",
			"01-12 10:00:15 refund_failed refund:re_2 Beat 200usd [refund by evt_015]",
			"01-12 10:00:14 bought payment:pi_2 Beat 1000usd [payment by evt_014]",
			"01-12 10:00:12 refunded refund:ch_1 Beat 100usd [refund by evt_012]",
			"01-12 10:00:11 bought payment:pi_1 Beat 1000usd [payment by evt_011]",
			"01-12 10:00:11 first_seen customer:1 []",
			"01-12 10:00:01 refunded refund:re_2 Beat 200usd [refund by evt_015]",
			"01-12 10:00:00 refunded refund:re_1 Beat 200usd [refund by evt_013]",
		}},
		"subscriptions": {[]store.NewEvent{
			// evt_019
			e.stripe("customer.subscription.updated", "",
				`{"id":"sub_1","status":"past_due","cancel_at_period_end":true,"customer":"cus_1","currency":"usd",`+
					`"metadata":{"storeId":"s1","userId":"user_1"},"start_date":1768212000,`+
					`"items":{"data":[{"price":{"id":"price_1","unit_amount":500,"nickname":"Club"}}]}}`),
			e.stripe("invoice.paid", "",
				`{"id":"in_0","amount_paid":0,"currency":"usd","customer":"cus_1","subscription":"sub_1"}`),
			// evt_021
			e.stripe("invoice.paid", "",
				`{"id":"in_1","amount_paid":500,"currency":"usd","customer":"cus_1","subscription":"sub_1"}`),
			e.stripe("invoice.paid", "",
				`{"id":"in_2","amount_paid":500,"currency":"usd","customer":"cus_1","subscription":"sub_1"}`),
			// evt_023
			e.stripe("customer.subscription.deleted", "",
				`{"id":"sub_2","status":"canceled","customer":"cus_1","currency":"usd",`+
					`"metadata":{"storeId":"s1","userId":"user_1","productId":"d1"},"start_date":1767225600,"ended_at":1768212002}`),
		}, []string{
			"01-12 10:00:22 subscription_renewed payment:in_2 Club 500usd [payment by evt_022]",
			"01-12 10:00:21 subscription_paid payment:in_1 Club 500usd [payment by evt_021]",
			"01-12 10:00:19 subscription_canceled subscription:sub_1 Club at the latest [subscription by evt_019]",
			"01-12 10:00:19 subscription_past_due subscription:sub_1 Club 500usd at the latest [subscription by evt_019]",
			"01-12 10:00:02 subscription_ended subscription:sub_2 Beat [subscription by evt_023]",
			"01-12 10:00:00 subscription_started subscription:sub_1 Club 500usd [subscription by evt_019]",
			"01-01 00:00:00 subscription_started subscription:sub_2 Beat [subscription by evt_023]",
			"01-01 00:00:00 first_seen customer:1 []",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := timelineOf(t, "ann@x.example", append(slices.Clone(shop), c.events...)...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Notes and merges are ours to tell.
func TestTimelineOfTheRow(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"b@x.example"`), e.user("user_1", "a@x.example", "verified"),
		e.enrolled("c2", `"user_id":"user_1"`)}, 1)
	jot(t, s, url, "a@x.example", "Wrote to support")
	apply(t, s, []store.NewEvent{e.user("user_1", "b@x.example", "verified")}, 1)
	all, err := wholeTimeline(s, "s1", idAt(t, url, "s1", "b@x.example"), 2)
	var short []string
	for _, entry := range all {
		text := ""
		if entry.Text != nil {
			text = *entry.Text
		}
		short = append(short, entry.Kind+" "+text)
	}
	want := []string{"merged a@x.example", "note Wrote to support", "enrolled ", "enrolled ", "first_seen "}
	if diff := cmp.Diff(want, short); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// Each entry is about one part at most, and a part tells its own.
func TestTimelineAbout(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example","progress":40`),
		e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"d1"}`),
		e.stripe("charge.refunded", "",
			`{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd","payment_intent":"pi_1"}`)}, 1)
	jot(t, s, url, "a@x.example", "Wrote to support")
	for about, want := range map[string][]string{
		"":         {"note", "refunded", "bought", "progressed", "enrolled", "first_seen"},
		"payments": {"refunded", "bought"}, "courses": {"progressed", "enrolled"}, "notes": {"note"}} {
		var kinds []string
		f := customers.TimelineFilter{About: about, Limit: 1}
		for more := true; more; more = f.Cursor != "" {
			page, next, err := customers.New(s).Timeline(t.Context(), "s1", idAt(t, url, "s1", "a@x.example"), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range page {
				kinds = append(kinds, entry.Kind)
			}
			f.Cursor = next
		}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("about %q: %s", about, diff)
		}
	}
	_, err := customers.ParseTimelineFilter(map[string][]string{"about": {"money"}})
	var bad *pg.BadParam
	if !errors.As(err, &bad) || bad.Name != "about" {
		t.Error(err)
	}
}

func TestTimelineOfOthers(t *testing.T) {
	s, address := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c1", `"email":"b@x.example"`),
		e.platform("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"a@x.example"}`)}, 1)
	mine, other := idAt(t, address, "s1", "a@x.example"), idAt(t, address, "s1", "b@x.example")
	for _, at := range [][2]string{{"s2", mine}, {"s1", "0"}, {"s1", "x"}, {"s1\x00", mine}, {"", mine}} {
		if got, _, err := customers.New(s).Timeline(t.Context(), at[0], at[1], customers.TimelineFilter{}); !errors.Is(
			err, pg.ErrNotFound) {
			t.Errorf("%q: %+v %v", at, got, err)
		}
	}
	exec(t, address, `INSERT INTO customers (store_id, email) VALUES ('s3', 'a@x.example')`)
	if nothing, err := wholeTimeline(s, "s3", idAt(t, address, "s3", "a@x.example"), 10); err != nil || len(nothing) != 0 {
		t.Errorf("%+v %v", nothing, err)
	}
	_, next, err := customers.New(s).Timeline(t.Context(), "s1", mine, customers.TimelineFilter{Limit: 1})
	if err != nil || next == "" {
		t.Fatalf("%q %v", next, err)
	}
	_, list, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: "s1", Limit: 1})
	if err != nil || list == "" {
		t.Fatalf("%q %v", list, err)
	}
	var bad *pg.BadParam
	if got, _, err := customers.New(s).Timeline(t.Context(), "s1", other, customers.TimelineFilter{
		Cursor: next}); !errors.As(err, &bad) {
		t.Errorf("somebody else's cursor: %+v %v", got, err)
	}
	for name, value := range map[string]string{"cursor": list, "limit": "0", "before": "x"} {
		if f, err := customers.ParseTimelineFilter(url.Values{name: {value}}); !errors.As(err, &bad) || bad.Name != name {
			t.Errorf("%s=%s: %+v %v", name, value, f, err)
		}
	}
	f, err := customers.ParseTimelineFilter(url.Values{"cursor": {next}, "limit": {"7"}})
	if diff := cmp.Diff(customers.TimelineFilter{Cursor: next, Limit: 7}, f); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}
