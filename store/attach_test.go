package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/facts"
	"rollcall/store"
)

// teller makes events, one second after the other.
type teller struct{ n int }

func (e *teller) event(source, typ, account, payload string) store.NewEvent {
	e.n++
	return store.NewEvent{
		Source: source, EventID: fmt.Sprintf("evt_%03d", e.n), Type: typ, Account: account,
		OccurredAt: storyStart.Add(time.Duration(e.n) * time.Second), Payload: []byte(payload),
	}
}

func (e *teller) user(id, email, status string) store.NewEvent {
	return e.event("clerk", "user.updated", "", fmt.Sprintf(
		`{"data":{"id":%q,"first_name":"N","primary_email_address_id":"i",`+
			`"email_addresses":[{"id":"i","email_address":%q,"verification":{"status":%q}}]}}`, id, email, status))
}

func (e *teller) platform(typ, data string) store.NewEvent {
	return e.event("platform", typ, "", `{"type":"`+typ+`","data":`+data+`}`)
}

func (e *teller) enrolled(course, who string) store.NewEvent {
	return e.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%q,"store_id":"s1",%s}`, course, who))
}

func (e *teller) stripe(typ, account, object string) store.NewEvent {
	return e.event("stripe", typ, account, `{"data":{"object":`+object+`}}`)
}

// sale is a guest's paid checkout.
func (e *teller) sale(intent, email, metadata string) store.NewEvent {
	return e.stripe("checkout.session.completed", "", fmt.Sprintf(
		`{"id":"cs_%[1]s","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
			`"payment_intent":%[1]q,"customer_details":{"email":%[2]q},"metadata":%[3]s}`, intent, email, metadata))
}

const customersSQL = `SELECT concat_ws(' ', store_id, email, type, status) FROM customers ORDER BY store_id, email`

func wantRows(t *testing.T, url, sql string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, query(t, url, sql), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", sql, diff)
	}
}

// A changed address moves the customer, who keeps their id.
func TestEmailChangeMovesCustomer(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.user("user_1", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_1"`)}, 1)
	before := query(t, url, `SELECT id::text FROM customers`)
	apply(t, s, []store.NewEvent{e.user("user_1", "B@x.example", "verified")}, 1)
	wantRows(t, url, `SELECT id || ' ' || email FROM customers`, before[0]+" b@x.example")
	wantRows(t, url, `SELECT 'merge' FROM customer_merges`)
}

// An address change onto a row that is there merges into the older of the two.
func TestEmailChangeMergesIntoOlder(t *testing.T) {
	for name, guestFirst := range map[string]bool{"the guest is older": true, "the user is older": false} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			var e teller
			events := []store.NewEvent{e.user("user_1", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_1"`)}
			guest := e.enrolled("c2", `"email":"b@x.example"`)
			if guestFirst {
				events = append([]store.NewEvent{guest}, events...)
			} else {
				events = append(events, guest)
			}
			apply(t, s, events, 1)
			older := query(t, url, `SELECT min(id)::text FROM customers`)
			younger := query(t, url, `SELECT max(id)::text FROM customers`)
			apply(t, s, []store.NewEvent{e.user("user_1", "b@x.example", "verified")}, 1)
			wantRows(t, url, `SELECT id || ' ' || email || ' ' || course_ids::text FROM customers`,
				older[0]+" b@x.example {c1,c2}")
			wantRows(t, url, `SELECT from_id || ' into ' || into_id || ' ' || into_email FROM customer_merges`,
				younger[0]+" into "+older[0]+" b@x.example")
			if diff, err := s.Rebuild(context.Background(), "", nil); err != nil || diff.Sum() != 0 {
				t.Errorf("rebuild: %+v %v", diff, err)
			}
		})
	}
}

// What a guest bought under an address is that of the user who proved it, and
// moves with them; what is bought there after they left is not theirs.
func TestEmailChangeTakesGuestAlong(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.user("user_1", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_1"`),
		e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p"}`),
		e.user("user_1", "b@x.example", "verified"),
	}, 1)
	wantRows(t, url, customersSQL, "s1 b@x.example paying active")
	apply(t, s, []store.NewEvent{e.enrolled("c2", `"email":"a@x.example"`)}, 1)
	wantRows(t, url, customersSQL, "s1 a@x.example lead active", "s1 b@x.example paying active")
}

// An unverified address joins nothing, and says so.
func TestUnverifiedEmailJoinsNothing(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.sale("pi_1", "dmitri@x.example", `{"storeId":"s1","productId":"p"}`),
		e.user("user_m", "dmitri@x.example", "unverified"), e.enrolled("c1", `"user_id":"user_m"`)}, 1)
	wantRows(t, url, customersSQL, "s1 dmitri@x.example paying active")
	wantRows(t, url, `SELECT unattached FROM enrollments`, "email_unverified")
	apply(t, s, []store.NewEvent{e.user("user_m", "mallory@x.example", "verified")}, 1)
	wantRows(t, url, customersSQL, "s1 dmitri@x.example paying active", "s1 mallory@x.example lead active")
}

// A creator who pays for their own plan becomes nobody's customer, whichever of
// the subscription, its invoice and its session comes first.
func TestPlatformSales(t *testing.T) {
	var e teller
	subscription := e.stripe("customer.subscription.created", "",
		`{"id":"sub_1","status":"active","customer":"cus_1",`+
			`"metadata":{"storeId":"s1","userId":"user_owner","plan":"creator_pro"}}`)
	invoice := e.stripe("invoice.paid", "",
		`{"id":"in_1","amount_paid":7900,"currency":"usd","customer":"cus_1","customer_email":"owner@x.example",`+
			`"subscription":"sub_1","subscription_details":{"metadata":{"storeId":"s1"}}}`)
	session := e.stripe("checkout.session.completed", "",
		`{"id":"cs_1","mode":"subscription","payment_status":"paid","subscription":"sub_1",`+
			`"customer_details":{"email":"owner@x.example"},"metadata":{"storeId":"s1","productType":"creator_plan"}}`)
	for _, order := range [][]store.NewEvent{{subscription, invoice, session}, {session, subscription, invoice},
		{invoice, session, subscription}, {invoice, subscription, session}} {
		s, url := openURL(t)
		apply(t, s, order, 1)
		wantRows(t, url, customersSQL)
		wantRows(t, url, `SELECT unattached FROM payments UNION SELECT unattached FROM subscriptions`, "platform_sale")
	}
}

// A connected account's event belongs to the account's store: its owner can
// write any store id into metadata.
func TestConnectAccountBeatsMetadata(t *testing.T) {
	s, url := openURL(t)
	var e teller
	forged := e.stripe("checkout.session.completed", "acct_evil",
		`{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
			`"payment_intent":"pi_1","customer_details":{"email":"a@x.example"},"metadata":{"storeId":"s1","productId":"p"}}`)
	apply(t, s, []store.NewEvent{e.platform("store.upserted", `{"id":"s1","name":"One"}`), forged}, 1)
	wantRows(t, url, customersSQL)
	wantRows(t, url, `SELECT unattached FROM payments`, "account_without_store")
	apply(t, s, []store.NewEvent{e.platform("store.upserted", `{"id":"s2","name":"Two","stripe_account_id":"acct_evil"}`)},
		1)
	wantRows(t, url, customersSQL, "s2 a@x.example paying active")
}

// Old rows name the creator where the store should be; the store comes later.
func TestStoreNamedByItsOwner(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.sale("pi_1", "a@x.example", `{"storeId":"user_owner","courseId":"c1"}`),
		e.sale("pi_2", "b@x.example", `{"courseId":"c2"}`),
		e.platform("product.upserted", `{"id":"c2","store_id":"user_owner","kind":"course","title":"C"}`),
		e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_owner"}`),
	}, 1)
	wantRows(t, url, customersSQL, "s1 a@x.example paying active", "s1 b@x.example paying active")
}

// An owner's id stands for the store owned first: a second one takes nobody from
// the first, neither who came before it nor who comes after; the first one sold
// takes with it those who came until then.
func TestOwnersFirstStore(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s2","owner_user_id":"user_owner"}`),
		e.sale("pi_1", "one@x.example", `{"storeId":"user_owner","productId":"p"}`),
		e.platform("store.upserted", `{"id":"s1","owner_user_id":"user_owner"}`),
		e.sale("pi_2", "two@x.example", `{"storeId":"user_owner","productId":"p"}`),
		e.sale("pi_3", "three@x.example", `{"creatorId":"user_owner","productId":"q"}`),
	}, 1)
	both := []string{"s2 one@x.example paying active", "s2 three@x.example paying active",
		"s2 two@x.example paying active"}
	wantRows(t, url, customersSQL, both...)
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s2","owner_user_id":"user_buyer"}`),
		e.sale("pi_4", "four@x.example", `{"storeId":"user_owner","productId":"p"}`),
	}, 1)
	wantRows(t, url, customersSQL, append([]string{"s1 four@x.example paying active"}, both...)...)
}

// A bundle unlocks its courses, also those that become known later.
func TestBundleUnlocksCourses(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.sale("pi_1", "a@x.example", `{"storeId":"s1","bundleId":"b1"}`),
		e.platform("product.upserted", `{"id":"b1","store_id":"s1","kind":"bundle","title":"B","items":["c1","d1"]}`),
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`),
		e.platform("product.upserted", `{"id":"d1","store_id":"s1","kind":"digital","title":"D"}`),
	}, 1)
	wantRows(t, url, `SELECT email || course_ids::text FROM customers`, "a@x.example{c1}")
}

// The end of an enrollment is the end, whichever of the user and the address
// it names; what comes after it begins anew, without the old progress.
func TestEnrollmentEndsAndBeginsAgain(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.user("user_1", "a@x.example", "verified"),
		e.platform("enrollment.upserted", `{"course_id":"c1","store_id":"s1","user_id":"user_1","progress":60}`),
		e.platform("enrollment.upserted", `{"course_id":"c1","store_id":"s1","user_id":"user_1","name":"Ann"}`),
	}, 1)
	wantRows(t, url, `SELECT store_ref || ' ' || name FROM enrollments`, "s1 Ann")
	apply(t, s, []store.NewEvent{e.platform("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`)}, 1)
	wantRows(t, url, `SELECT store_ref || ' ' || name FROM enrollments`, "s1 Ann") // nor the store and the name
	const coursesSQL = `SELECT status || ' ' || coalesce(courses -> 0 ->> 'progress', 'none') FROM customers`
	wantRows(t, url, coursesSQL, "active 60") // an upsert that leaves progress out leaves it alone
	apply(t, s, []store.NewEvent{e.platform("enrollment.deleted", `{"course_id":"c1","email":"a@x.example"}`)}, 1)
	wantRows(t, url, coursesSQL, "inactive none")
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"user_id":"user_1"`)}, 1)
	wantRows(t, url, coursesSQL, "active 0")
}

// If a customer cannot be derived, what happened is stored all the same, says
// that it is on no list and why, and gets there once the cause is gone.
func TestFailureToDeriveBlocksNothing(t *testing.T) {
	s, url := openURL(t)
	ctx := context.Background()
	query(t, url, `
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room for %', NEW.email; END $$;`)
	query(t, url, `CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
		WHEN (NEW.email = 'bad@x.example') EXECUTE FUNCTION refuse()`)
	var e teller
	in, err := s.InsertEvents(ctx, []store.NewEvent{e.enrolled("c1", `"email":"bad@x.example"`),
		e.enrolled("c1", `"email":"good@x.example"`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, []int64{in[0].ID, in[1].ID}, 0, facts.Read); err == nil {
		t.Fatal("a batch with one that cannot be derived was applied")
	}
	for i, want := range []string{"no room for bad@x.example", ""} {
		_, err := s.Apply(ctx, []int64{in[i].ID}, 0, facts.Read)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("event %d: %v, want %q", i, err, want)
		}
	}
	wantRows(t, url, customersSQL, "s1 good@x.example lead active")
	wantRows(t, url, `SELECT status || ' ' || attempts FROM webhook_events ORDER BY id`, "pending 1", "processed 1")
	wantRows(t, url, `SELECT split_part(unattached, ':', 1) FROM enrollments WHERE customer_id IS NULL`, "derive_failed")
	query(t, url, `DROP TRIGGER refuse ON customers`)
	if _, err := s.Apply(ctx, []int64{in[0].ID}, 0, facts.Read); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, customersSQL, "s1 bad@x.example lead active", "s1 good@x.example lead active")
}

// What cannot be read is marked failed with the reason, and changes nothing;
// what is of no use is kept as ignored.
func TestMalformedAndIgnored(t *testing.T) {
	s, url := openURL(t)
	ctx := context.Background()
	var e teller
	in, err := s.InsertEvents(ctx, []store.NewEvent{
		e.platform("enrollment.upserted", `{"course_id":0.5,"user_id":"u"}`),
		e.platform("party.thrown", `{}`),
		e.stripe("customer.created", "", `{"email":"x@x.example"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Apply(ctx, []int64{in[0].ID, in[1].ID, in[2].ID}, 0, facts.Read)
	if err != nil || len(out.Malformed) != 2 || out.Ignored != 1 {
		t.Errorf("%+v %v", out, err)
	}
	wantRows(t, url, `SELECT status || ': ' || last_error FROM webhook_events ORDER BY id`,
		"failed: enrollment.upserted (evt_001): course_id must be 1 to 255 characters, got 0.5",
		"ignored: platform events of type party.thrown are not needed",
		"failed: Stripe event evt_003 (customer.created): data.object is missing or has no usable id")
	wantRows(t, url, `SELECT 'row' FROM enrollments`)
}

// A store's new title or name touches no row; what matters reaches all of them.
func TestCatalogueChanges(t *testing.T) {
	s, url := openURL(t)
	var e teller
	product := func(title, kind string) store.NewEvent {
		return e.platform("product.upserted", fmt.Sprintf(`{"id":"p1","store_id":"s1","kind":%q,"title":%q}`, kind, title))
	}
	apply(t, s, []store.NewEvent{product("One", "digital"),
		e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p1"}`)}, 1)
	xmin := func() string { return query(t, url, `SELECT xmin::text FROM customers`)[0] }
	before := xmin()
	apply(t, s, []store.NewEvent{product("Two", "digital")}, 1)
	if xmin() != before {
		t.Error("a new title rewrote the customer")
	}
	apply(t, s, []store.NewEvent{product("Two", "course")}, 1)
	wantRows(t, url, `SELECT course_ids::text FROM customers`, "{p1}")
}

// An Apply takes along events that wait for their first try, and leaves those
// that failed before to their own back-off.
func TestApplyTakesNeighbours(t *testing.T) {
	s, url := openURL(t)
	ctx := context.Background()
	var e teller
	var events []store.NewEvent
	for i := range 6 {
		events = append(events, e.enrolled("c1", fmt.Sprintf(`"email":"%d@x.example"`, i)))
	}
	in, err := s.InsertEvents(ctx, events)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.MarkAttempt(ctx, in[0].ID, context.Canceled); err != nil {
		t.Fatal(err)
	}
	out, err := s.Apply(ctx, []int64{in[3].ID}, 2, facts.Read)
	if err != nil || out.Processed != 3 {
		t.Errorf("%+v %v, want 3 processed: the one asked for and two neighbours", out, err)
	}
	wantRows(t, url, `SELECT event_id || ' ' || status || ' ' || attempts FROM webhook_events ORDER BY id`,
		"evt_001 pending 1", "evt_002 processed 1", "evt_003 processed 1", "evt_004 processed 1", "evt_005 pending 0",
		"evt_006 pending 0")
}

// The row, not the queue, decides when an event has been tried often enough.
func TestAttemptsEnd(t *testing.T) {
	s, url := openURL(t)
	ctx := context.Background()
	var e teller
	in, err := s.InsertEvents(ctx, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range store.MaxAttempts + 3 {
		want := "pending"
		if i == store.MaxAttempts-1 {
			want = "failed"
		} else if i >= store.MaxAttempts {
			want = "" // no longer tried
		}
		if status, err := s.MarkAttempt(ctx, in[0].ID, fmt.Errorf("no luck")); err != nil || status != want {
			t.Fatalf("try %d: %q %v, want %q", i+1, status, err, want)
		}
	}
	wantRows(t, url, `SELECT status || ' ' || attempts || ' ' || last_error FROM webhook_events`,
		fmt.Sprintf("failed %d no luck", store.MaxAttempts))
	if late, err := s.Overdue(ctx, 0, 10); err != nil || len(late) != 0 {
		t.Errorf("a failed event is asked for again: %v %v", late, err)
	}
	if reopened, err := s.Reopen(ctx, store.ReopenFilter{Statuses: []string{"failed"}}); err != nil || len(reopened) != 1 {
		t.Errorf("%v %v", reopened, err)
	}
	if out, err := s.Apply(ctx, []int64{in[0].ID}, 0, facts.Read); err != nil || out.Processed != 1 {
		t.Errorf("%+v %v", out, err)
	}
}
