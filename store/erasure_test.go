package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// listsSQL tells the lists, erased people as nobody.
const listsSQL = `
	SELECT concat_ws(' ', store_id, regexp_replace(email, '^erased-[a-z2-7]{20}@erased.invalid$', 'nobody'), type, status,
		name, course_ids, spent)
	FROM customers
	ORDER BY 1`

// later says of an event that it happens after somebody is erased: see since.
func later(e store.NewEvent) store.NewEvent { return muchLater(e, 0) }

// muchLater says that it happens some microseconds later.
func muchLater(e store.NewEvent, after int) store.NewEvent {
	e.OccurredAt = time.UnixMicro(int64(1 + after))
	return e
}

// since gives events that happen later a time from now on.
func since(events []store.NewEvent) (out []store.NewEvent) {
	now := time.Now()
	for _, e := range events {
		if after := e.OccurredAt.UnixMicro(); after < 1000 {
			e.OccurredAt = now.Add(time.Duration(after) * time.Microsecond)
		}
		out = append(out, e)
	}
	return out
}

func (e *teller) customer(id, email string) store.NewEvent {
	return e.stripe("customer.created", "", fmt.Sprintf(`{"id":%q,"email":%q,"name":"Ann Stripe"}`, id, email))
}

func (e *teller) subscription(typ, status, metadata string) store.NewEvent {
	return e.stripe("customer.subscription."+typ, "", fmt.Sprintf(
		`{"id":"sub_1","status":%q,"customer":"cus_ann","currency":"usd","start_date":1768211000,"ended_at":1799999999,`+
			`"metadata":%s,"items":{"data":[{"price":{"id":"price_1","unit_amount":1900}}]}}`, status, metadata))
}

func (e *teller) invoice(id, metadata string) store.NewEvent {
	return e.stripe("invoice.paid", "", fmt.Sprintf(
		`{"id":%q,"amount_paid":1900,"currency":"usd","customer":"cus_ann","customer_email":"ann@x.example",`+
			`"customer_name":"Ann Stripe","subscription":"sub_1","subscription_details":{"metadata":%s}}`, id, metadata))
}

func erase(t testing.TB, s *store.Store, p store.Erasing) {
	t.Helper()
	if err := s.Erase(t.Context(), p, store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
}

// sound checks that nothing is left to mend.
func sound(t testing.TB, s *store.Store) {
	t.Helper()
	if diff, err := s.Rebuild(t.Context(), "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
	if audit, err := s.AuditFacts(t.Context(), store.AuditOptions{Examples: 9}); err != nil || !audit.Clean() {
		t.Errorf("audit: %+v %v", audit, err)
	}
}

// wholeDatabase is every row of every table, as text.
func wholeDatabase(t testing.TB, url string) []string {
	t.Helper()
	selects := query(t, url, `
		SELECT format('SELECT %L || to_jsonb(x)::text FROM %I x', tablename || ' ', tablename)
		FROM pg_tables
		WHERE schemaname = 'public'`)
	return query(t, url, strings.Join(selects, "\nUNION ALL\n")+"\nORDER BY 1")
}

// unnamed fails if any row of the database has any of the words, in any case.
func unnamed(t testing.TB, url string, words ...string) {
	t.Helper()
	for _, row := range wholeDatabase(t, url) {
		for _, word := range words {
			if strings.Contains(strings.ToLower(row), strings.ToLower(word)) {
				t.Errorf("%s is still named: %s", word, row)
			}
		}
	}
}

var ann = []string{"ann@x.example", "user_ann", "cus_ann", "Ann Stripe"}

// Messages, an erasure, messages: what is on the lists in the end.
func TestErase(t *testing.T) {
	var e teller
	course := e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`)
	user, in := e.user("user_ann", "Ann@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_ann","name":"Ann Stripe"`)
	guestIn := e.enrolled("c2", `"email":"ANN@x.example"`)
	sale := e.sale("pi_1", "ann@X.example", `{"storeId":"s1","productId":"p"}`)
	other := e.enrolled("c1", `"email":"bob@x.example"`)
	cus := e.customer("cus_ann", "ann@x.example")
	byCus := e.stripe("checkout.session.completed", "",
		`{"id":"cs_9","mode":"payment","payment_status":"paid","amount_total":700,"currency":"eur","payment_intent":"pi_9",`+
			`"customer":"cus_ann","customer_details":{"name":"Ann Stripe"},"metadata":{"storeId":"s2","productId":"p"}}`)
	sub, paid := e.subscription("created", "active", `{"storeId":"s1","userId":"user_ann"}`),
		e.invoice("in_1", `{"storeId":"s1"}`)
	unpaid := e.stripe("checkout.session.completed", "",
		`{"id":"cs_8","mode":"payment","payment_status":"unpaid","amount_total":700,"currency":"usd",`+
			`"payment_intent":"pi_8","customer":"cus_ann","customer_details":{"email":"ann@x.example"},`+
			`"metadata":{"storeId":"s1","productId":"p"}}`)
	ended := e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_ann"}`)
	const bob = "s1 bob@x.example lead active {c1} []"
	for name, c := range map[string]struct {
		before []store.NewEvent
		who    store.Erasing
		after  []store.NewEvent
		want   []string
	}{
		"a user's enrollment": {[]store.NewEvent{course, user, in, other}, store.Erasing{Email: "ann@x.example"}, nil,
			[]string{bob, "s1 nobody lead active {c1} []"}},
		"a guest": {[]store.NewEvent{sale, guestIn, other}, store.Erasing{Email: " ANN@x.example "}, nil,
			[]string{bob, `s1 nobody paying active {c2} [{"amount": 1000, "currency": "usd"}]`}},
		"all in one": {[]store.NewEvent{course, user, in, guestIn, sale, cus, byCus},
			store.Erasing{Email: "ann@x.example"}, nil,
			[]string{`s1 nobody paying active {c1,c2} [{"amount": 1000, "currency": "usd"}]`,
				`s2 nobody paying active {} [{"amount": 700, "currency": "eur"}]`}},
		"a subscription": {[]store.NewEvent{user, cus, sub, paid}, store.Erasing{Email: "ann@x.example"}, nil,
			[]string{`s1 nobody subscription active {} [{"amount": 1900, "currency": "usd"}]`}},
		"as a customer nobody told": {
			[]store.NewEvent{
				user, e.stripe("checkout.session.completed", "",
					`{"id":"cs_7","mode":"payment","payment_status":"paid","amount_total":700,"currency":"usd",`+
						`"payment_intent":"pi_7","customer":"cus_ann","customer_details":{"email":"x@x.example"},`+
						`"metadata":{"storeId":"s1","productId":"p","userId":"user_ann"}}`)}, store.Erasing{Email: "ann@x.example"}, nil,
			[]string{`s1 nobody paying active {} [{"amount": 700, "currency": "usd"}]`}},
		"an unpaid checkout": {[]store.NewEvent{unpaid}, store.Erasing{Email: "ann@x.example"}, []store.NewEvent{cus},
			nil},
		"the user comes late": {[]store.NewEvent{course, in, guestIn}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{user}, []string{"s1 nobody lead active {c1,c2} []"}},
		"the customer comes late": {[]store.NewEvent{byCus, sale}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{cus}, []string{`s1 nobody paying active {} [{"amount": 1000, "currency": "usd"}]`,
				`s2 nobody paying active {} [{"amount": 700, "currency": "eur"}]`}},
		"all comes late": {[]store.NewEvent{guestIn}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{sub, paid, course, in, cus, user},
			[]string{`s1 nobody subscription active {c1,c2} [{"amount": 1900, "currency": "usd"}]`}},
		"an end comes late": {[]store.NewEvent{course, user, in}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{ended}, []string{"s1 nobody lead inactive {} []"}},
		"one end is told after": {[]store.NewEvent{course, user, in}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{later(ended)}, []string{"s1 nobody lead inactive {} []"}},
		"all is deleted after": {[]store.NewEvent{user, cus, sub, paid}, store.Erasing{Email: "ann@x.example"},
			[]store.NewEvent{
				later(e.event("clerk", "user.deleted", "", `{"data":{"id":"user_ann","deleted":true}}`)),
				later(e.stripe("customer.deleted", "", `{"id":"cus_ann","email":"ann@x.example","name":"Ann Stripe"}`)),
				later(e.subscription("deleted", "canceled", `{"storeId":"s1","userId":"user_ann"}`)),
			}, []string{`s1 nobody subscription inactive {} [{"amount": 1900, "currency": "usd"}]`}},
		"a refund comes after": {[]store.NewEvent{sale}, store.Erasing{Email: "ann@x.example"}, []store.NewEvent{
			later(e.stripe("charge.refunded", "",
				`{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd","payment_intent":"pi_1",`+
					`"billing_details":{"email":"ann@x.example"}}`)),
		}, []string{`s1 nobody paying active {} [{"amount": 700, "currency": "usd"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			apply(t, s, c.before, 3)
			erase(t, s, c.who)
			apply(t, s, since(c.after), 1)
			if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{}); err != nil {
				t.Fatal(err)
			}
			wantRows(t, url, listsSQL, c.want...)
			sound(t, s)
			if name != "a refund comes after" { // which was after, and is kept as it came
				unnamed(t, url, ann...)
			}
		})
	}
}

// What names an erased person, and what says more of the same row without naming
// them, are one row: what it says then is of nobody.
func TestEraseWhatIsMerged(t *testing.T) {
	var e teller
	user := e.user("user_ann", "ann@x.example", "verified")
	named := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_1","amount_received":1000,"currency":"usd","status":"succeeded",`+
			`"metadata":{"storeId":"s1","productId":"p","userId":"user_ann"}}`)
	typed := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_1","amount_received":1000,"currency":"usd","status":"succeeded","receipt_email":"ann@work.example",`+
			`"metadata":{"storeId":"s1","productId":"p"}}`)
	bare := later(
		e.stripe("payment_intent.succeeded", "",
			`{"id":"pi_1","amount_received":1000,"currency":"usd","status":"succeeded",`+
				`"metadata":{"storeId":"s1","productId":"p"}}`))
	guest := e.stripe("checkout.session.completed", "",
		`{"id":"cs_2","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
			`"payment_intent":"pi_2","customer_details":{"email":"ann@x.example"},"metadata":{"storeId":"s1","productId":"p"}}`)
	name := e.stripe("checkout.session.completed", "",
		`{"id":"cs_2","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
			`"payment_intent":"pi_2","customer_details":{"name":"Ann Stripe"},"metadata":{"storeId":"s1","productId":"p"}}`)
	sub := e.subscription("created", "active", `{"storeId":"s1","userId":"user_ann"}`)
	session := e.stripe("checkout.session.completed", "",
		`{"id":"cs_3","mode":"subscription","payment_status":"paid","subscription":"sub_1","customer":"cus_ann",`+
			`"customer_details":{"name":"Ann Stripe"},"metadata":{"storeId":"s1","userId":"user_ann"}}`)
	again := e.stripe("checkout.session.completed", "",
		`{"id":"cs_3","mode":"subscription","payment_status":"paid","subscription":"sub_1",`+
			`"customer_details":{"email":"ann@work.example"},"metadata":{"storeId":"s1"}}`)
	for what, c := range map[string]struct{ before, after []store.NewEvent }{
		"an address, by a user":         {[]store.NewEvent{user, named}, []store.NewEvent{typed}},
		"with one told later":           {[]store.NewEvent{user, named}, []store.NewEvent{typed, bare}},
		"a name, by an address":         {[]store.NewEvent{guest}, []store.NewEvent{name}},
		"a session of a subscription's": {[]store.NewEvent{user, sub, session}, []store.NewEvent{again}},
	} {
		t.Run(what, func(t *testing.T) {
			s, url := openURL(t)
			apply(t, s, c.before, len(c.before))
			erase(t, s, store.Erasing{Email: "ann@x.example"})
			apply(t, s, since(c.after), len(c.after))
			for _, row := range query(t, url, `SELECT to_jsonb(p)::text FROM payments p
			UNION ALL SELECT to_jsonb(f)::text FROM subscriptions f UNION ALL SELECT to_jsonb(c)::text FROM customers c`) {
				if strings.Contains(row, "ann@work.example") || strings.Contains(row, "Ann Stripe") {
					t.Errorf("still named: %s", row)
				}
			}
			wantRows(t, url, `SELECT DISTINCT (email LIKE 'erased-%')::text FROM customers`, "true")
		})
	}
}

// One message of a payment names its user, another its Stripe customer: whoever
// was that user when they were erased is that Stripe customer too, and the rest
// of what they bought as such is theirs.
func TestEraseStripeCustomerOfMerged(t *testing.T) {
	var e teller
	user := e.user("user_ann", "ann@x.example", "verified")
	asUser := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_1","amount_received":1000,"currency":"usd","status":"succeeded",`+
			`"metadata":{"storeId":"s1","productId":"p","userId":"user_ann"}}`)
	asCustomer := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_1","amount_received":1000,"currency":"usd","status":"succeeded","customer":"cus_ann",`+
			`"metadata":{"storeId":"s1","productId":"p"}}`)
	other := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_2","amount_received":1000,"currency":"usd","status":"succeeded","customer":"cus_ann",`+
			`"receipt_email":"ann@work.example","metadata":{"storeId":"s1","productId":"p"}}`)
	events := []store.NewEvent{user, asUser, asCustomer, other}
	for when := range len(events) + 1 {
		s, url := openURL(t)
		if when > 0 {
			apply(t, s, events[:when], when)
		}
		erase(t, s, store.Erasing{Email: "ann@x.example"})
		if when < len(events) {
			apply(t, s, since(events[when:]), len(events)-when)
		}
		if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{}); err != nil {
			t.Fatal(err)
		}
		wantRows(t, url, `SELECT (email LIKE 'erased-%') || ' ' || spent::text FROM customers`,
			`true [{"amount": 2000, "currency": "usd"}]`)
		unnamed(t, url, "ann@work.example", "cus_ann")
	}
}

// Who acts after they were erased is a new customer, without the old.
func TestEraseAndComeAnew(t *testing.T) {
	var e teller
	course := e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`)
	user, in, cus := e.user("user_ann", "ann@x.example", "verified"), e.enrolled("c1", `"user_id":"user_ann"`),
		e.customer("cus_ann", "ann@x.example")
	sale := e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`)
	sub, paid := e.subscription("created", "active", `{"storeId":"s1"}`), e.invoice("in_1", `{"storeId":"s1"}`)
	before := []store.NewEvent{course, user, in, cus, sale, sub, paid}
	const old = `s1 nobody subscription active {c1} [{"amount": 2900, "currency": "usd"}]`
	again := later(e.enrolled("c1", `"user_id":"user_ann"`))
	back := later(e.user("user_ann", "ann@x.example", "verified"))
	end := muchLater(e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_ann"}`), 1)
	for name, c := range map[string]struct {
		after []store.NewEvent
		want  []string
	}{
		"signs in": {[]store.NewEvent{back}, []string{old}},
		"signs up again": {[]store.NewEvent{later(e.user("user_new", "ann@x.example", "verified")),
			later(e.enrolled("c1", `"user_id":"user_new"`))}, []string{"s1 ann@x.example lead active N {c1} []", old}},
		"goes on with the course": {[]store.NewEvent{back, again},
			[]string{"s1 ann@x.example lead active N {c1} []", old}},
		"goes on, the user comes after": {[]store.NewEvent{again, back},
			[]string{"s1 ann@x.example lead active N {c1} []", old}},
		"buys as a guest": {
			[]store.NewEvent{later(e.sale("pi_2", "ann@x.example", `{"storeId":"s1","productId":"p"}`))},
			[]string{`s1 ann@x.example paying active {} [{"amount": 1000, "currency": "usd"}]`, old}},
		"and old events come late": {[]store.NewEvent{back, again, e.user("user_ann", "ann@x.example", "verified"),
			e.enrolled("c2", `"user_id":"user_ann"`)}, []string{"s1 ann@x.example lead active N {c1} []",
			`s1 nobody subscription active {c1,c2} [{"amount": 2900, "currency": "usd"}]`}},
		"and ends it": {[]store.NewEvent{back, again, end}, []string{"s1 ann@x.example lead inactive N {} []",
			`s1 nobody subscription active {} [{"amount": 2900, "currency": "usd"}]`}},
		"and ends it, told before": {[]store.NewEvent{end, again, back}, []string{"s1 ann@x.example lead inactive N {} []",
			`s1 nobody subscription active {} [{"amount": 2900, "currency": "usd"}]`}},
		"the subscription goes on": {[]store.NewEvent{later(e.subscription("updated", "active", `{"storeId":"s1"}`)),
			later(e.invoice("in_2", `{"storeId":"s1"}`))},
			[]string{`s1 ann@x.example subscription active Ann Stripe {} [{"amount": 1900, "currency": "usd"}]`,
				`s1 nobody paying active {c1} [{"amount": 2900, "currency": "usd"}]`}},
		"the user is told with it": {[]store.NewEvent{
			back, later(e.subscription("updated", "active", `{"storeId":"s1","userId":"user_ann"}`)),
			later(e.invoice("in_2", `{"storeId":"s1"}`)),
		}, []string{`s1 ann@x.example subscription active N {} [{"amount": 1900, "currency": "usd"}]`,
			`s1 nobody paying active {c1} [{"amount": 2900, "currency": "usd"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			apply(t, s, before, 3)
			ids := query(t, url, `SELECT id::text FROM customers`)
			erase(t, s, store.Erasing{Email: "ann@x.example"})
			wantRows(t, url, listsSQL, old)
			apply(t, s, since(c.after), 1)
			wantRows(t, url, listsSQL, c.want...)
			if now := query(t, url, `SELECT id::text FROM customers`); slices.ContainsFunc(
				now, func(id string) bool { return slices.Contains(ids, id) }) {
				t.Errorf("of the customers %v some go by the old ids %v", now, ids)
			}
			sound(t, s)
			erase(t, s, store.Erasing{Email: "ann@x.example"}) // what came anew, too
			unnamed(t, url, ann...)
			sound(t, s)
			if left := query(t, url, `SELECT email FROM customers WHERE email NOT LIKE 'erased-%'`); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

func execute(t testing.TB, url, sql string, args ...any) (int64, error) {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	tag, err := pool.Exec(context.Background(), sql, args...)
	return tag.RowsAffected(), err
}

// Histories that are read after somebody was erased bring nobody back, but for
// what happened since.
func TestEraseAndHistories(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.user("user_ann", "ann@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_ann"`)}, 2)
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	read := time.Now()
	user := func(id string, updated time.Time) facts.Set {
		set, err := facts.ReadClerkUser(
			read, fmt.Appendf(
				nil, `{"id":%q,"updated_at":%d,"primary_email_address_id":"i",`+
					`"email_addresses":[{"id":"i","email_address":"ann@x.example","verification":{"status":"verified"}}]}`, id,
				updated.UnixMilli()))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	object := func(kind, raw string) facts.Set {
		set, err := facts.ReadStripeObject(kind, "", read, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	row, err := facts.NewConvexExport(read.Add(time.Hour)).Read("users",
		[]byte(`{"_id":"k57user","_creationTime":1768211400000.0,"clerkId":"user_ann","email":"ann@x.example",`+
			`"name":"Ann Stripe"}`))
	if err != nil {
		t.Fatal(err)
	}
	old := []facts.Set{
		user("user_ann", storyStart), user("user_ann2", storyStart), row.Facts,
		object("customer", `{"id":"cus_ann","email":"ann@x.example","name":"Ann Stripe","created":1768211400}`),
		object("checkout.session",
			`{"id":"cs_1","mode":"payment","status":"complete","payment_status":"paid","amount_total":500,"currency":"usd",`+
				`"payment_intent":"pi_1","customer":"cus_ann","customer_details":{"email":"ann@x.example","name":"Ann Stripe"},`+
				`"created":1768211400,"metadata":{"storeId":"s1","courseId":"c1"}}`),
		object("payment_intent",
			`{"id":"pi_1","status":"succeeded","amount_received":500,"currency":"usd","customer":"cus_ann",`+
				`"receipt_email":"ann@x.example","created":1768211400,"metadata":{"userId":"user_ann2"}}`),
	}
	for _, set := range old {
		if err := s.Keep(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	var all facts.Set // as bulk loads say it, of no time
	for _, set := range old {
		all.Add(set)
	}
	if err := s.Keep(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil { // attaches what was kept
		t.Fatal(err)
	}
	wantRows(t, url, listsSQL, `s1 nobody paying active {c1} [{"amount": 500, "currency": "usd"}]`)
	if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{}); err != nil {
		t.Fatal(err)
	}
	unnamed(t, url, append(ann, "k57user")...)
	sound(t, s)
	if err := s.Keep(t.Context(), user("user_new", time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT id FROM users WHERE email = 'ann@x.example'`, "user_new")
}

// What is shown beforehand is what goes, and to show it changes nothing.
func TestFootprint(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s9","name":"S","owner_user_id":"user_ann"}`),
		e.user("user_ann", "old@x.example", "verified"), e.enrolled("c1", `"user_id":"user_ann"`),
		e.user("user_ann", "ann@x.example", "verified"),
		e.customer("cus_ann", "ann@x.example"), e.enrolled("c2", `"email":"ann@x.example"`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s2","productId":"p"}`),
		e.subscription("created", "active", `{"storeId":"s1","userId":"user_ann"}`),
		e.enrolled("c1", `"email":"bob@x.example"`),
		e.stripe("charge.succeeded", "",
			`{"id":"ch_1","billing_details":{"email":"Ann@X.example"},"receipt_email":"Typed@x.example"}`),
		e.stripe("charge.succeeded", "", `{"id":"ch_2","billing_details":{"email":"joann@x.example"}}`),
	}, 1)
	jot(t, s, url, "ann@x.example", "her dog is called Rex")
	jot(t, s, url, "bob@x.example", "a friend of Ann@x.example, not of joann@x.example")
	for _, sql := range []string{
		`INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
			VALUES ('s1', 1, 'old@x.example', 2, 'ann@x.example'), ('s1', 1, 'old@x.example', 2, 'bob@x.example')`,
		`INSERT INTO backfills (kind, status, started_at, ended_at, errors, chunk_size, started_by)
			VALUES ('clerk', 'completed_with_errors', now(), now(), 3, 1, 'a test')`,
		`INSERT INTO backfill_errors (backfill_id, place, what, why) VALUES (1, 'user_ann', 'x', 'y'),
			(1, 'user_annette', 'x', 'y'), (1, 'line 3', 'ann@x.example.', 'y')`,
		`INSERT INTO backfill_previews (backfill_id, store_id, email) VALUES (1, 's1', 'ann@x.example'),
			(1, 's1', 'bob@x.example')`,
	} {
		if _, err := execute(t, url, sql); err != nil {
			t.Fatal(err)
		}
	}
	before := wholeDatabase(t, url)
	f, err := s.Footprint(t.Context(), store.Erasing{Email: "ann@x.example"}, store.EraseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, wholeDatabase(t, url)); diff != "" {
		t.Fatalf("a look changed something:\n%s", diff)
	}
	want := store.Footprint{
		Addresses: []string{"ann@x.example"}, Users: []string{"user_ann"}, StripeCustomers: []string{"/cus_ann"},
		Elsewhere: []string{"old@x.example"}, Typed: []string{"typed@x.example"}, Staff: []string{"s9"},
		Traces: []store.Trace{
			{Table: "backfill_errors", Fate: "removed", Count: 2},
			{Table: "backfill_previews", Store: "s1", Fate: "removed", Count: 1},
			{Table: "customer_merges", Store: "s1", Fate: "removed", Count: 1},
			{Table: "customer_notes", Store: "s1", Fate: "removed", Count: 1},
			{Table: "customer_notes", Store: "s1", Fate: "reworded", Count: 1},
			{Table: "customers", Store: "s1", Fate: "removed", Count: 1},
			{Table: "customers", Store: "s2", Fate: "removed", Count: 1},
			{Table: "enrollments", Store: "s1", Fate: "anonymous", Count: 2},
			{Table: "payments", Store: "s2", Fate: "anonymous", Count: 1},
			{Table: "stripe_customers", Fate: "removed", Count: 1},
			{Table: "subscriptions", Store: "s1", Fate: "anonymous", Count: 1}, {Table: "users", Fate: "removed", Count: 1},
			{Table: "webhook_events", Fate: "emptied", Count: 9},
		},
	}
	byTrace := cmpopts.SortSlices(func(a, b store.Trace) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(want, f, byTrace); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	wantRows(t, url, `SELECT body FROM customer_notes`, "a friend of "+query(t, url, `SELECT person FROM erasures`)[0]+
		", not of joann@x.example")
	wantRows(t, url, `SELECT place FROM backfill_errors`, "user_annette")
	wantRows(t, url, `SELECT email FROM backfill_previews`, "bob@x.example")
	wantRows(t, url, `SELECT count(*) || ' ' || count(payload) FROM webhook_events`, "11 2")
	wantRows(t, url, `SELECT count(*)::text FROM customer_merges`, "0")
	wantRows(t, url, `SELECT owner_user_id FROM stores`, "user_ann") // it is the platform that says so
	f, err = s.Footprint(t.Context(), store.Erasing{Email: "ann@x.example"}, store.EraseOptions{})
	if err != nil || f.Anything() || f.ErasedAt == nil {
		t.Errorf("afterwards there is %+v %v", f, err)
	}
	var bad *pg.BadParam
	for _, p := range []store.Erasing{{}, {Email: "ann"}, {Email: "a\x00@x.example"},
		{Email: query(t, url, `SELECT email FROM customers WHERE email LIKE 'erased-%' LIMIT 1`)[0]}} {
		if _, err := s.Footprint(t.Context(), p, store.EraseOptions{}); !errors.As(err, &bad) {
			t.Errorf("%+v: %v", p, err)
		}
		if err := s.Erase(t.Context(), p, store.EraseOptions{}); !errors.As(err, &bad) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
