package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// explained tells events one by one and explains the customer at an address of s1.
func explained(t *testing.T, email string, events ...store.NewEvent) customers.Explanation {
	t.Helper()
	s, url := openURL(t)
	apply(t, s, events, 1)
	id := idAt(t, url, "s1", email)
	e, err := customers.New(s).Explain(t.Context(), "s1", id)
	if err != nil {
		t.Fatal(err)
	}
	c, err := customers.New(s).Customer(t.Context(), "s1", id)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := unexplained(c, e); len(wrong) > 0 {
		t.Error(strings.Join(wrong, "\n"))
	}
	return e
}

// lines are an explanation in short: what is so because of what, each fact with
// its origins, and what does not count.
func lines(e customers.Explanation) (all []string) {
	add := func(parts ...any) { all = append(all, strings.TrimSpace(fmt.Sprintln(parts...))) }
	for _, b := range e.Email.Because {
		via := b.Via
		if b.Proof != nil {
			from := b.Proof.Origins[0].Event
			via += fmt.Sprint(" ", *b.Address, " of ", *b.Person, " since ", from.Source, " ", from.EventID)
		}
		add("address", via, b.Facts)
	}
	for _, m := range e.MergedAddresses {
		add("merged", m.Email)
	}
	add("type", e.Type.Value, e.Type.Because)
	add("status", e.Status.Value, e.Status.Because)
	title := "<nil>"
	if e.Source.Title != nil {
		title = *e.Source.Title
	}
	add("source", *e.Source.Kind, title, e.Source.Because)
	for _, t := range e.TotalSpent {
		add("spent", t.Amount, t.Currency, "of", t.Gross.Amount, "less", t.Refunded.Amount, "and", t.Disputed.Amount,
			t.Because)
	}
	for _, c := range e.Courses {
		add("course", c.Title, c.Because)
	}
	for _, p := range e.Payments {
		add(p.Ref, p.Net.Amount, origins(p.Origins))
		for _, r := range p.Refunds {
			add(r.Ref, r.Amount.Amount, origins(r.Origins))
		}
		for _, d := range p.Disputes {
			add(d.Ref, d.Status, d.Amount.Amount, origins(d.Origins))
		}
	}
	for _, f := range e.Enrollments {
		add(f.Ref, f.Active, origins(f.Origins))
	}
	for _, f := range e.Subscriptions {
		add(f.Ref, f.Status, origins(f.Origins))
	}
	for _, f := range e.People {
		add(f.Ref, origins(f.Origins))
	}
	for _, f := range e.Uncounted {
		add("not", f.Ref, f.Reason, origins(f.Origins))
	}
	return all
}

// origins are in short: what came from where.
func origins(all []store.Origin) (short []string) {
	for _, o := range all {
		from := o.Via
		if o.Event != nil {
			from = o.Event.EventID
			if o.Event.ID == nil {
				from += " (gone)"
			}
		}
		short = append(short, strings.Join(o.Of, "+")+" by "+from)
	}
	return short
}

func TestExplain(t *testing.T) {
	var e teller
	shop := []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"S"}`), // evt_001
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"Mixing"}`),
		e.platform("product.upserted", `{"id":"b1","store_id":"s1","kind":"bundle","title":"All","items":["c1"]}`),
		e.user("user_1", "ann@x.example", "verified"), // evt_004
	}
	for name, c := range map[string]struct {
		events []store.NewEvent
		want   []string
	}{
		"somebody with a history": {[]store.NewEvent{
			e.enrolled("c1", `"user_id":"user_1","progress":10`), // evt_005
			e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"b1"}`),
			e.stripe("charge.refunded", "",
				`{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd","payment_intent":"pi_1"}`),
			// evt_008
			e.stripe("refund.created", "",
				`{"id":"re_1","amount":300,"currency":"usd","charge":"ch_1","status":"succeeded","created":1700000000}`),
			e.stripe("charge.dispute.created", "",
				`{"id":"dp_1","amount":400,"currency":"usd","charge":"ch_1","payment_intent":"pi_1","status":"needs_response",`+
					`"balance_transactions":[{"amount":-400}]}`),
			// evt_010
			e.stripe("customer.subscription.created", "",
				`{"id":"sub_1","status":"active","customer":"cus_1","currency":"usd",`+
					`"metadata":{"storeId":"s1","userId":"user_1","plan":"Club"},`+
					`"items":{"data":[{"price":{"id":"price_1","unit_amount":500}}]}}`),
			e.stripe("invoice.paid", "",
				`{"id":"in_1","amount_paid":500,"currency":"usd","customer":"cus_1","payment_intent":"pi_2",`+
					`"subscription":"sub_1"}`),
			e.platform("enrollment.upserted", `{"course_id":"c1","user_id":"user_1","progress":50}`), // evt_012
		}, []string{
			"address user [payment:in_1 enrollment:c1/user:user_1 subscription:sub_1]",
			"address address ann@x.example of user:user_1 since clerk evt_004 [payment:pi_1]",
			"type subscription [subscription:sub_1]",
			"status active [enrollment:c1/user:user_1 payment:pi_1 subscription:sub_1]",
			"source product_purchase All [payment:pi_1]",
			"spent 800 usd of 1500 less 300 and 400 [payment:pi_1 payment:in_1]",
			"course Mixing [enrollment:c1/user:user_1 payment:pi_1]",
			"payment:pi_1 300 [payment by evt_006]",
			"refund:re_1 300 [refund by evt_008]",
			"refund:ch_1 300 [refund by evt_007]",
			"dispute:dp_1 needs_response 400 [dispute by evt_009]",
			"payment:in_1 500 [payment by evt_011]",
			"enrollment:c1/user:user_1 true [store by evt_005 enrollment+progress by evt_012]",
			"subscription:sub_1 active [subscription by evt_010]",
			"user:user_1 [user by evt_004]",
			"not payment:pi_2 bare_payment [invoice by evt_011]",
		}},
		"what does not count": {[]store.NewEvent{
			e.stripe("customer.created", "", `{"id":"cus_1","email":"ann@x.example"}`), // evt_013
			e.stripe("checkout.session.completed", "",
				`{"id":"cs_1","mode":"payment","payment_status":"no_payment_required","amount_total":0,"currency":"usd",`+
					`"customer":"cus_1","metadata":{"storeId":"s1","courseId":"c1"}}`),
			e.stripe("checkout.session.completed", "",
				`{"id":"cs_2","mode":"payment","payment_status":"unpaid","amount_total":7,"currency":"usd","customer":"cus_1",`+
					`"metadata":{"storeId":"s1","productId":"p"}}`),
			// another store's
			e.stripe("checkout.session.completed", "",
				`{"id":"cs_3","mode":"payment","payment_status":"unpaid","amount_total":7,"currency":"usd","customer":"cus_1",`+
					`"metadata":{"storeId":"s2","productId":"p"}}`),
			// somebody else's
			e.stripe("checkout.session.completed", "",
				`{"id":"cs_4","mode":"payment","payment_status":"unpaid","amount_total":7,"currency":"usd","customer":"cus_2",`+
					`"metadata":{"storeId":"s1","productId":"p"}}`),
			// evt_018
			e.stripe("invoice.paid", "",
				`{"id":"in_2","amount_paid":9900,"currency":"usd","customer":"cus_1","customer_email":"ann@x.example",`+
					`"metadata":{"storeId":"s1","productType":"creator_plan"}}`),
			e.stripe("customer.subscription.created", "",
				`{"id":"sub_2","status":"incomplete","customer":"cus_1","metadata":{"storeId":"s1"}}`),
			e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_1"}`), // evt_020
		}, []string{
			"address address ann@x.example of user:user_1 since clerk evt_004 [payment:cs_1]",
			"type lead [payment:cs_1]",
			"status inactive []",
			"source free_course Mixing [payment:cs_1]",
			"payment:cs_1 0 [payment by evt_014]",
			"user:user_1 [user by evt_004]",
			"not payment:cs_2 unpaid [payment by evt_015]",
			"not payment:in_2 platform_sale [payment by evt_018]",
			"not subscription:sub_2 not_started [subscription by evt_019]",
			"not enrollment:c1/user:user_1 never_enrolled [end by evt_020]",
		}},
		"an account of its own, told in many ways": {[]store.NewEvent{
			// evt_021
			e.platform("store.upserted", `{"id":"s1","name":"S","stripe_account_id":"acct_1"}`),
			// evt_022
			e.stripe("payment_intent.succeeded", "acct_1",
				`{"id":"pi_1","amount_received":1000,"currency":"usd","invoice":"in_1","metadata":{"userId":"user_1"}}`),
			// evt_023
			e.stripe("invoice.paid", "acct_1",
				`{"id":"in_1","amount_paid":1000,"currency":"usd","customer":"cus_1","customer_email":"ann@x.example",`+
					`"payment_intent":"pi_1"}`),
			e.platform("purchase.recorded",
				`{"id":"buy_1","product_id":"c1","email":"ann@x.example","amount":700,"currency":"usd",`+
					`"purchased_at":"2026-02-01T00:00:00Z"}`),
		}, []string{
			"address stripe_customer [payment:acct_1/in_1]",
			"address address ann@x.example of user:user_1 since clerk evt_004 [payment:buy_1]",
			"type paying [payment:acct_1/in_1 payment:buy_1]",
			"status active [payment:acct_1/in_1 payment:buy_1]",
			"source product_purchase <nil> [payment:acct_1/in_1]",
			"spent 1700 usd of 1700 less 0 and 0 [payment:acct_1/in_1 payment:buy_1]",
			"course Mixing [payment:buy_1]",
			"payment:acct_1/in_1 1000 [payment by evt_023]",
			"payment:buy_1 700 [payment by evt_024]",
			"stripe_customer:acct_1/cus_1 [stripe_customer by invoice]",
			"user:user_1 [user by evt_004]",
			"not payment:acct_1/pi_1 counted_elsewhere [intent by evt_022 invoice by evt_023]",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := explained(t, "ann@x.example", append(slices.Clone(shop), c.events...)...)
			if diff := cmp.Diff(c.want, lines(got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What was read from an API or an export has no event, and says so; nor has one
// whose event is no longer kept.
func TestExplainWithoutEvents(t *testing.T) {
	s, url := openURL(t)
	var e teller
	read := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	session, err := facts.ReadStripeObject("checkout.session", "", read,
		[]byte(`{"id":"cs_1","status":"complete","mode":"payment","payment_status":"paid","amount_total":1000,`+
			`"currency":"usd","payment_intent":"pi_1","created":1767225600,"customer_details":{"email":"ann@x.example"},`+
			`"metadata":{"storeId":"s1","productId":"p"}}`))
	if err != nil {
		t.Fatal(err)
	}
	old, err := facts.NewConvexExport(read).Read("enrollments",
		[]byte(`{"_id":"k1","_creationTime":1767225600000,"courseId":"c1","userId":"user_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	session.Add(old.Facts)
	if err := s.Keep(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	apply(t, s, []store.NewEvent{e.platform("store.upserted", `{"id":"s1"}`),
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`),
		e.user("user_1", "ann@x.example", "verified")}, 1)
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	exec(t, url, `DELETE FROM webhook_events WHERE event_id = 'evt_003'`)
	got, err := customers.New(s).Explain(t.Context(), "s1", idAt(t, url, "s1", "ann@x.example"))
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, line := range lines(got) {
		if strings.Contains(line, " by ") {
			short = append(short, line)
		}
	}
	want := []string{"payment:pi_1 1000 [payment by backfill]",
		"enrollment:c1/user:user_1 true [enrolled_at+enrollment by export]", "user:user_1 [user by evt_003 (gone)]"}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if at := got.Payments[0].Origins[0].At; !at.Equal(read) {
		t.Errorf("read at %s, not %s", at, read)
	}
}

// A row that nothing speaks of is told as that.
func TestExplainStray(t *testing.T) {
	s, url := openURL(t)
	exec(t, url, `INSERT INTO customers (store_id, email) VALUES ('s1', 'a@x.example')`)
	id := idAt(t, url, "s1", "a@x.example")
	got, err := customers.New(s).Explain(t.Context(), "s1", id)
	if err != nil || got.Type.Value != "lead" || len(got.Type.Because) != 0 || got.Source.At != nil ||
		got.Payments == nil || got.Uncounted == nil {
		t.Errorf("%+v %v", got, err)
	}
}

// Merges are told with those before them.
func TestExplainMerges(t *testing.T) {
	var e teller
	move := func(user, to string) store.NewEvent { return e.user(user, to+"@x.example", "verified") }
	got := explained(t, "d@x.example",
		e.enrolled("c1", `"email":"d@x.example"`), e.enrolled("c1", `"email":"c@x.example"`),
		e.enrolled("c1", `"email":"z@x.example"`),
		// a and b
		move("user_1", "a"), e.enrolled("c1", `"user_id":"user_1"`), move("user_2", "b"),
		e.enrolled("c1", `"user_id":"user_2"`),
		e.stripe("customer.created", "", `{"id":"cus_1","email":"c@x.example"}`),
		move("user_2", "a"), // b goes into a
		move("user_1", "d"), move("user_2", "d"))
	var from []string
	for _, m := range got.MergedAddresses {
		from = append(from, m.Email)
	}
	if diff := cmp.Diff([]string{"b@x.example", "a@x.example"}, from); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Texts are texts, whatever is in them.
func TestExplainHostileTexts(t *testing.T) {
	for _, text := range []string{`x'; DROP TABLE payments; --`, `a/b"c\d`, `{},"`, `$1 %s ? ::text`,
		"é\u202e<script>\x7f", `\u0041`} {
		var e teller
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		s := string(quoted)
		got := explained(t, "ann@x.example",
			e.platform("product.upserted", fmt.Sprintf(`{"id":%s,"store_id":"s1","kind":"course","title":%s}`, s, s)),
			e.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%s,"store_id":"s1","email":"ann@x.example","name":%s}`,
				s, s)),
			e.platform("purchase.recorded",
				fmt.Sprintf(`{"id":%s,"product_id":%s,"store_id":"s1","email":"ann@x.example","amount":1,"currency":"usd"}`, s, s)))
		if len(got.Courses) != 1 || got.Courses[0].Title != text || got.Payments[0].ID != text ||
			len(got.Courses[0].Because) != 2 {
			t.Errorf("%q: %+v", text, got.Courses)
		}
	}
}

func TestExplainOtherStores(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`),
		e.platform("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"a@x.example"}`)}, 1)
	mine, theirs := idAt(t, url, "s1", "a@x.example"), idAt(t, url, "s2", "a@x.example")
	for _, at := range [][2]string{{"s2", mine}, {"s1", theirs}, {"s1", "0"}, {"s1", "x"}, {"s1", ""}, {"s1", "+1"},
		{"s1", "1\x00"}, {"\xff", mine}, {"", mine}} {
		if got, err := customers.New(s).Explain(t.Context(), at[0], at[1]); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%q: %+v %v", at, got, err)
		}
	}
	if got, err := customers.New(s).Explain(t.Context(), "s1", mine); err != nil || len(got.Enrollments) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

// Each way that leads to a store is told: which link, since when, and in words.
func TestExplainStore(t *testing.T) {
	paid := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	at := func(at time.Time, e store.NewEvent) store.NewEvent {
		e.OccurredAt = at
		return e
	}
	before, after := paid.AddDate(0, 0, -10), paid.AddDate(0, 0, 20)
	var e teller
	sale := func(account, metadata string) store.NewEvent {
		return e.stripe("checkout.session.completed", account,
			fmt.Sprintf(
				`{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
					`"payment_intent":"pi_1","created":%d,"customer_details":{"email":"ann@x.example"},"metadata":%s}`, paid.Unix(),
				metadata))
	}
	for name, c := range map[string]struct {
		events []store.NewEvent
		want   []string
	}{
		"named": {[]store.NewEvent{sale("", `{"storeId":"s1"}`)}, []string{"named s1", "It names this store, s1."}},
		"owner": {[]store.NewEvent{at(before, e.platform("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)),
			sale("", `{"storeId":"user_o"}`)},
			[]string{"owner user_o", "owner s1 user_o",
				"It names user_o, who owned this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
		"creator": {[]store.NewEvent{at(before, e.platform("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)),
			sale("", `{"creatorId":"user_o"}`)},
			[]string{"creator user_o", "owner s1 user_o",
				"It names the creator user_o, who owned this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
		"account": {[]store.NewEvent{at(before, e.platform("store.upserted", `{"id":"s1","stripe_account_id":"acct_1"}`)),
			sale("acct_1", `{}`)},
			[]string{"account acct_1", "account s1 acct_1",
				"Its Stripe account acct_1 belonged to this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
		"account of two": {
			[]store.NewEvent{at(before, e.platform("store.upserted", `{"id":"s1","stripe_account_id":"acct_1"}`)),
				at(before.AddDate(0, 0, 1), e.platform("store.upserted", `{"id":"s2","stripe_account_id":"acct_1"}`)),
				sale("acct_1", `{"storeId":"s1"}`)},
			[]string{"account acct_1", "account s1 acct_1",
				"Its Stripe account acct_1 belonged to this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
		"product": {
			[]store.NewEvent{
				at(before, e.platform("product.upserted", `{"id":"p1","store_id":"s1","kind":"course","title":"Mixing"}`)),
				sale("", `{"productId":"p1"}`)},
			[]string{"product p1", "store p1 s1",
				"Its product Mixing was in this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
		"product, told later": {
			[]store.NewEvent{at(after, e.platform("product.upserted", `{"id":"p1","store_id":"s1","kind":"course"}`)),
				sale("", `{"productId":"p1"}`)},
			[]string{"product p1", "store p1 s1", "Its product p1 was in this store from 1 Feb 2026 on, the first report of " +
				"it; this happened earlier, on 12 Jan 2026."}},
		"product, by price and owner": {
			[]store.NewEvent{at(before, e.platform("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)),
				at(before, e.platform("product.upserted",
					`{"id":"p1","store_id":"user_o","kind":"course","title":"Mixing","stripe_price_ids":["price_1"]}`)),
				sale("", `{},"line_items":{"data":[{"price":{"id":"price_1"},"amount_total":1000}]}`)},
			[]string{"product p1", "stripe p1 price_1", "store p1 user_o", "owner s1 user_o",
				"Its product Mixing was in this store on 12 Jan 2026 (reported on 2 Jan 2026). Stripe calls that product " +
					"price_1. The product names user_o, who owned this store on 12 Jan 2026 (reported on 2 Jan 2026)."}},
	} {
		t.Run(name, func(t *testing.T) {
			r := explained(t, "ann@x.example", c.events...).Payments[0].StoreBecause
			got := []string{r.Via + " " + r.Key}
			for _, l := range r.Links {
				got = append(got, l.Relation+" "+l.Subject+" "+l.Object)
			}
			if diff := cmp.Diff(c.want, append(got, r.Why)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Whose last verified address it is, while Clerk reports none now, is told.
func TestExplainLastVerified(t *testing.T) {
	var e teller
	got := explained(t, "ann@x.example", e.user("user_1", "ann@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_1"`), e.user("user_1", "ann@x.example", "unverified"))
	if len(got.People) != 1 || !got.People[0].LastVerified || !got.LastVerified(got.Email.Because[0].Person) {
		t.Errorf("%+v", got.People)
	}
	var from []string
	for _, o := range got.People[0].Origins {
		from = append(from, o.Event.EventID)
	}
	if diff := cmp.Diff([]string{"evt_001", "evt_003"}, from); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
