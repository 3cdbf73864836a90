package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/tags"
)

// From one store only what is that store's is erased, whenever it comes.
func TestEraseFromOneStore(t *testing.T) {
	var e teller
	first := []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"S","stripe_account_id":"acct_1"}`),
		e.user("user_ann", "ann@x.example", "verified"), e.customer("cus_ann", "ann@x.example"),
		e.enrolled("c1", `"user_id":"user_ann","name":"Ann Stripe"`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p","userId":"user_ann"}`),
		e.platform("enrollment.upserted", `{"course_id":"c9","store_id":"s2","user_id":"user_ann"}`),
		e.sale("pi_2", "ann@x.example", `{"storeId":"s2","productId":"p"}`),
		e.enrolled("c1", `"email":"bob@x.example"`),
		e.stripe("checkout.session.completed", "acct_1",
			`{"id":"cs_3","mode":"payment","payment_status":"paid","amount_total":300,"currency":"usd",`+
				`"payment_intent":"pi_3","customer":"cus_own","customer_details":{"email":"ann@x.example","name":"Ann Stripe"},`+
				`"metadata":{"productId":"p"}}`),
		e.stripe("customer.created", "acct_1", `{"id":"cus_own","email":"ann@x.example","name":"Ann Stripe"}`),
	}
	late := []store.NewEvent{
		e.enrolled("c2", `"user_id":"user_ann"`), e.enrolled("c3", `"email":"ann@x.example"`),
		e.stripe("payment_intent.succeeded", "",
			`{"id":"pi_1","amount_received":1000,"currency":"usd","customer":"cus_ann","receipt_email":"ann@x.example",`+
				`"metadata":{}}`),
		e.subscription("created", "active", `{"storeId":"s1","userId":"user_ann"}`), e.invoice("in_1", `{"storeId":"s1"}`),
		e.stripe("customer.created", "acct_1", `{"id":"cus_own2","email":"ann@x.example","name":"Ann Stripe"}`),
		e.platform("enrollment.upserted", `{"course_id":"c8","store_id":"s2","user_id":"user_ann"}`),
		e.platform("enrollment.upserted", `{"course_id":"c7","user_id":"user_ann"}`),
		e.platform("product.upserted", `{"id":"c7","store_id":"s1","kind":"course","title":"C"}`),
	}
	const bob = "s1 bob@x.example lead active {c1} []"
	s, url := openURL(t)
	apply(t, s, first, 4)
	jot(t, s, url, "ann@x.example", "her dog is called Rex")
	f, err := s.Footprint(t.Context(), store.Erasing{Email: "ann@x.example", Store: "s1"}, store.EraseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Trace{
		{Table: "customer_notes", Store: "s1", Fate: "removed", Count: 1},
		{Table: "customers", Store: "s1", Fate: "removed", Count: 1},
		{Table: "enrollments", Store: "s1", Fate: "anonymous", Count: 1},
		{Table: "payments", Store: "s1", Fate: "anonymous", Count: 2},
		{Table: "stripe_customers", Store: "s1", Fate: "removed", Count: 1},
		{Table: "webhook_events", Fate: "emptied", Count: 3},
	}
	if diff := cmp.Diff(want, f.Traces); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	others := query(t, url, othersSQL)
	erase(t, s, store.Erasing{Email: "ann@x.example", Store: "s1"})
	wantRows(t, url, listsSQL, bob, `s1 nobody paying active {c1} [{"amount": 1300, "currency": "usd"}]`,
		`s2 ann@x.example paying active N {c9} [{"amount": 1000, "currency": "usd"}]`)
	if diff := cmp.Diff(others, query(t, url, othersSQL)); diff != "" {
		t.Errorf("what others have changed:\n%s", diff)
	}
	sound(t, s)
	apply(t, s, late, 1)
	if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{}); err != nil { // a late customer is looked for, too
		t.Fatal(err)
	}
	wantRows(t, url, listsSQL, bob, `s1 nobody subscription active {c1,c2,c3,c7} [{"amount": 3200, "currency": "usd"}]`,
		`s2 ann@x.example paying active N {c8,c9} [{"amount": 1000, "currency": "usd"}]`)
	wantRows(t, url, `SELECT id FROM stripe_customers WHERE account = 'acct_1' AND id NOT LIKE 'erased-%'`)
	sound(t, s)
	for _, table := range []string{"enrollments", "payments", "subscriptions", "customers", "customer_notes"} {
		for _, row := range query(t, url, fmt.Sprintf(`SELECT to_jsonb(x)::text FROM %s x WHERE store_id = 's1'`, table)) {
			for _, name := range append(ann, "Rex", "cus_own") {
				if strings.Contains(row, name) {
					t.Errorf("%s of the store names %s: %s", table, name, row)
				}
			}
		}
	}
	wantRows(t, url, `SELECT event_id FROM webhook_events WHERE payload IS NULL ORDER BY id`,
		"evt_004", "evt_005", "evt_009", "evt_011", "evt_012", "evt_013", "evt_014", "evt_015", "evt_016")
	apply(t, s, since([]store.NewEvent{later(e.enrolled("c1", `"user_id":"user_ann"`))}), 1)
	wantRows(t, url, listsSQL, "s1 ann@x.example lead active N {c1} []", bob,
		`s1 nobody subscription active {c1,c2,c3,c7} [{"amount": 3200, "currency": "usd"}]`,
		`s2 ann@x.example paying active N {c8,c9} [{"amount": 1000, "currency": "usd"}]`)
	sound(t, s)
	erase(t, s, store.Erasing{Email: "ann@x.example"}) // and now from everywhere
	wantRows(t, url, listsSQL, bob, "s1 nobody lead active {c1} []",
		`s1 nobody subscription active {c1,c2,c3,c7} [{"amount": 3200, "currency": "usd"}]`,
		`s2 nobody paying active {c8,c9} [{"amount": 1000, "currency": "usd"}]`)
	unnamed(t, url, append(ann, "Rex", "cus_own")...)
	sound(t, s)
}

// othersSQL is what has nothing to do with store s1.
const othersSQL = `
	SELECT to_jsonb(u)::text FROM users u WHERE id NOT LIKE 'erased-%'
	UNION ALL
	SELECT to_jsonb(s)::text FROM stripe_customers s WHERE account = ''
	UNION ALL
	SELECT to_jsonb(p)::text FROM payments p WHERE store_id <> 's1'
	UNION ALL
	SELECT to_jsonb(e)::text FROM enrollments e WHERE store_id <> 's1'
	UNION ALL
	SELECT to_jsonb(c)::text FROM customers c WHERE store_id <> 's1' OR email LIKE 'bob@%'
	ORDER BY 1`

// crashSQL fails the nth step of an erasure: each one shows that it moves.
const crashSQL = `
	CREATE SEQUENCE IF NOT EXISTS steps;
	CREATE OR REPLACE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF nextval('steps') = %d THEN
			RAISE EXCEPTION 'killed';
		END IF;
		RETURN NEW;
	END $$;
	CREATE OR REPLACE TRIGGER crash BEFORE UPDATE ON erasures FOR EACH ROW EXECUTE FUNCTION crash();
	ALTER SEQUENCE steps RESTART`

// Who takes an address after it was erased from a store stays there, with what they had before, also as a guest.
func TestEraseFromOneStoreBeforeTaken(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.user("user_a", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_a"`),
		e.sale("pi_a", "a@x.example", `{"storeId":"s1","productId":"p"}`),
		e.sale("pi_b", "b@x.example", `{"storeId":"s1","productId":"p"}`),
		e.user("user_b", "b@x.example", "verified"), e.enrolled("c1", `"user_id":"user_b"`)}, 1)
	if err := s.Erase(t.Context(), store.Erasing{Email: "a@x.example", Store: "s1"}, store.EraseOptions{}); err != nil {
		t.Fatal(err)
	}
	takes := e.user("user_b", "a@x.example", "verified")
	takes.OccurredAt = time.Now().Add(time.Second)
	apply(t, s, []store.NewEvent{takes, e.enrolled("c2", `"user_id":"user_b"`)}, 1)
	wantRows(t, url, `
		SELECT concat_ws(' ', regexp_replace(email, 'erased-.*@', '@'), jsonb_array_length(courses),
			jsonb_array_length(purchases))
		FROM customers
		ORDER BY email`, "a@x.example 2 1", "@erased.invalid 1 1")
}

// Killed at whatever step, and run again, or left to a worker, an erasure ends
// as one that was not.
func TestEraseInterrupted(t *testing.T) {
	h := newHouse(t)
	var e teller
	events := []store.NewEvent{
		// whom only a payload ties to her
		e.user("user_old", "ann@x.example", "verified"), e.user("user_old", "other@x.example", "verified"),
		e.enrolled("c5", `"user_id":"user_old"`),
		e.event("clerk", "session.created", "", `{"data":{"user_id":"user_old","created_at":1768211400000}}`),
		e.user("user_ann", "ann@x.example", "verified"), e.enrolled("c1", `"user_id":"user_ann"`),
		e.customer("cus_ann", "ann@x.example"),
		e.enrolled("c2", `"email":"ann@x.example"`), e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`),
		e.subscription("created", "active", `{"storeId":"s1","userId":"user_ann"}`), e.invoice("in_1", `{"storeId":"s1"}`),
		e.enrolled("c1", `"email":"bob@x.example"`),
	}
	who := store.Erasing{Email: "ann@x.example"}
	h.told(t, events, plan{batch: len(events), workers: 1})
	h.erase(t, who)
	want := h.erasedEnd(t, who)
	steps := 0
	for killed := true; killed; steps++ {
		h.exec(t, `DROP TRIGGER IF EXISTS crash ON erasures`)
		h.told(t, events, plan{batch: len(events), workers: 1})
		h.exec(t, fmt.Sprintf(crashSQL, steps+1))
		err := h.store.Erase(context.Background(), who, store.EraseOptions{Read: facts.Read})
		if killed = err != nil; killed && !strings.Contains(err.Error(), "killed") {
			t.Fatal(err)
		}
		if killed && steps%2 == 0 {
			h.erase(t, who)
		} else if err := h.store.FinishErasures(context.Background(), 0, store.EraseOptions{}); err != nil {
			t.Fatal(err)
		}
		if steps == 0 { // killed before anything was written: there is nothing to go on with
			h.erase(t, who)
		}
		if diff := cmp.Diff(want, h.erasedEnd(t, who)); diff != "" {
			t.Fatalf("killed at step %d (-not killed +killed):\n%s", steps+1, diff)
		}
	}
	if steps < 6 {
		t.Errorf("only %d steps were there to be killed at", steps)
	}
}

// While the inbox is searched, each stretch is a sign that the erasure goes on:
// else workers would take a long search for one that nobody is at any more.
func TestEraseTellsThatItSearches(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{ // only a payload ties the customer to her, so that there is a second look for them
		e.stripe("customer.created", "", `{"id":"cus_old","email":"ann@x.example"}`),
		e.stripe("customer.updated", "", `{"id":"cus_old","email":"other@x.example"}`),
		e.enrolled("c1", `"email":"ann@x.example"`),
	}, 3)
	looks := 0
	err := s.Erase(t.Context(), store.Erasing{Email: "ann@x.example"},
		store.EraseOptions{Read: facts.Read, Progress: func(int64, int64) {
			looks++
			moved, err := execute(t, url, `UPDATE erasures SET moved_at = '-infinity' WHERE moved_at > '-infinity'`)
			if err != nil || moved != 1 {
				t.Errorf("look %d: it did not move since the one before (%d, %v)", looks, moved, err)
			}
		}})
	if err != nil || looks < 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
}

func (h *house) exec(t fataler, sql string) {
	if _, err := h.pool.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Somebody with very many rows goes in transactions of some hundred, and at no
// moment does a store look as if it had taken more, or less.
func TestEraseSomebodyLarge(t *testing.T) {
	s, url := openURL(t)
	var set facts.Set
	set.Users = []facts.User{{ID: "user_ann", Email: "ann@x.example", Version: "2026-01-12T10:00:00.000000Z 20 e"}}
	amount, at := int64(100), storyStart
	const rows = 900
	for i := range rows {
		set.Payments = append(set.Payments, facts.Payment{
			ID: fmt.Sprintf("pi_%d", i), ClaimVersion: "4 2026-01-12T10:00:00.000000Z 20 e", Kind: "checkout", Paid: true,
			Amount: &amount, Currency: "usd", PaidAt: &at,
			Context: facts.Context{StoreRef: "s1", ProductRef: fmt.Sprintf("p%d", i), UserRef: "user_ann",
				Email: "ann@x.example"},
		})
	}
	if err := s.Keep(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	looked := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			st, err := customers.New(s).Stats(t.Context(), customers.Filter{Store: "s1"})
			if err != nil || len(st.Revenue) != 1 || st.Revenue[0].Amount != rows*amount {
				looked <- fmt.Errorf("the store took %+v %v", st, err)
				return
			}
		}
		looked <- nil
	}()
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	stop()
	if err := <-looked; err != nil {
		t.Error(err)
	}
	wantRows(t, url, `SELECT count(*) || ' ' || count(DISTINCT customer_id) FROM payments
		WHERE email LIKE 'erased-%@erased.invalid' AND user_ref LIKE 'erased-%'`, "900 1")
	wantRows(t, url, customersSQL,
		query(t, url, `SELECT 's1 ' || person || '@erased.invalid paying active' FROM erasures`)...)
	unnamed(t, url, ann...)
	sound(t, s)
}

// Somebody is erased while workers apply a story about them, and backfills say
// it once more: the end is that of erasing them last.
func TestEraseBesideOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(t *rapid.T) {
		events, who := drawStoryOf(t, true), store.Erasing{Email: "ann@x.example"}
		h.told(t, events, plan{batch: len(events), workers: 1})
		h.erase(t, who)
		want := h.erasedEnd(t, who)
		h.empty(t)
		p := plan{seed: rapid.Uint64().Draw(t, "order"), batch: 2, workers: 3}
		erased := make(chan error, 1)
		go func() {
			erased <- h.store.Erase(context.Background(), who, store.EraseOptions{Read: facts.Read})
		}()
		h.tell(t, p.shuffle(events), p)
		if err := <-erased; err != nil {
			t.Fatalf("%v", err)
		}
		for _, e := range events { // as a backfill would, of all times
			set, err := facts.Read(facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, Account: e.Account,
				OccurredAt: e.OccurredAt, Payload: e.Payload})
			if errors.As(err, new(*facts.Ignored)) {
				continue
			}
			if set.At = e.OccurredAt; err == nil {
				err = h.store.Keep(context.Background(), set)
			}
			if err != nil {
				t.Fatalf("%v", err)
			}
		}
		if err := h.store.FinishErasures(context.Background(), 0, store.EraseOptions{}); err != nil {
			t.Fatalf("%v", err)
		}
		if _, err := h.store.Rebuild(context.Background(), "", nil); err != nil { // what was kept is not attached
			t.Fatalf("%v", err)
		}
		if diff := cmp.Diff(want, h.erasedEnd(t, who)); diff != "" {
			t.Fatalf("told in this order\n%s\nthe end differs (-erased at the end +erased meanwhile):\n%s",
				tell(p.shuffle(events)), diff)
		}
	})
}

// A page that explains somebody erased explains nobody, and still adds up.
func TestExplainErased(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.user("user_ann", "ann@x.example", "verified"), e.enrolled("c1", `"user_id":"user_ann"`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`)}, 1)
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	id := query(t, url, `SELECT id::text FROM customers`)[0]
	c, err := customers.New(s).Customer(t.Context(), "s1", id)
	if err != nil {
		t.Fatal(err)
	}
	x, err := customers.New(s).Explain(t.Context(), "s1", id)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := unexplained(c, x); len(wrong) > 0 {
		t.Error(wrong)
	}
	if len(x.People) != 1 || x.People[0].Email != c.Email || c.Name != nil {
		t.Errorf("%+v %+v", c, x.People)
	}
	entries, _, err := customers.New(s).Timeline(t.Context(), "s1", id, customers.TimelineFilter{})
	if err != nil || len(entries) < 2 {
		t.Errorf("%+v %v", entries, err)
	}
	if seen := time.Since(*c.FirstSeenAt); seen < time.Hour {
		t.Errorf("first seen %v ago", seen)
	}
}

// What people said about the mail of a store goes with what else is theirs there, whenever it comes and
// under whatever name; what they said to other stores stays, and so does what they say afterwards.
func TestEraseWordsFromOneStore(t *testing.T) {
	t.Parallel()
	var e teller
	said := func(store, who string) store.NewEvent {
		return e.platform("consent.updated", fmt.Sprintf(`{"store_id":%q,%s,"marketing":false}`, store, who))
	}
	user, address := `"user_id":"user_ann"`, `"email":"ann@x.example"`
	first := []store.NewEvent{
		e.user("user_ann", "ann@x.example", "verified"), e.enrolled("c1", user),
		said("s1", user), said("s1", address), said("s2", user), said("s2", address),
		said("s1", `"user_id":"user_bob"`), said("s1", `"email":"bob@x.example"`),
	}
	late := []store.NewEvent{said("s1", user), said("s1", address), said("s2", user), said("s1", `"user_id":"user_old"`)}
	known := e.user("user_old", "ann@x.example", "verified")
	const wordsSQL = `
		SELECT concat_ws(' ', store_id, nullif(user_id, ''), nullif(email, '')) FROM mail_consents ORDER BY 1`
	others := []string{"s1 bob@x.example", "s1 user_bob", "s2 ann@x.example", "s2 user_ann"}
	for name, erased := range map[string]func(*testing.T, *store.Store){
		"told before": func(t *testing.T, s *store.Store) {
			apply(t, s, first, 4)
			erase(t, s, store.Erasing{Email: "ann@x.example", Store: "s1"})
		},
		"told after": func(t *testing.T, s *store.Store) {
			apply(t, s, first[:2], 1)
			erase(t, s, store.Erasing{Email: "ann@x.example", Store: "s1"})
			apply(t, s, first[2:], 4)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := openURL(t)
			erased(t, s)
			wantRows(t, url, wordsSQL, others...)
			apply(t, s, append(late, known), 1) // whose user_old was is known only afterwards
			wantRows(t, url, wordsSQL, others...)
			wantRows(t, url, `SELECT event_id FROM webhook_events
				WHERE type = 'consent.updated' AND payload IS NULL AND event_id <> 'evt_012' ORDER BY id`,
				"evt_003", "evt_004", "evt_009", "evt_010")
			apply(t, s, since([]store.NewEvent{later(said("s1", address))}), 1)
			wantRows(t, url, wordsSQL, append([]string{"s1 ann@x.example"}, others...)...)
			sound(t, s)
		})
	}
}

// Who comes back under another address and is erased by that is who they were: what their
// account had stays where it was, and the name by which they came back is forgotten.
func TestEraseAgainByAnotherAddress(t *testing.T) {
	h := newHouse(t)
	var e teller
	h.tell(t, []store.NewEvent{e.user("user_b", "b@x.example", "verified"), e.enrolled("c1", `"user_id":"user_b"`),
		e.enrolled("c1", `"email":"e@x.example"`)}, plan{batch: 1, workers: 1})
	h.erase(t, store.Erasing{Email: "b@x.example"})
	back := e.user("user_b", "e@x.example", "verified")
	back.OccurredAt = time.Now()
	h.tell(t, []store.NewEvent{back}, plan{batch: 1, workers: 1})
	h.erase(t, store.Erasing{Email: "e@x.example"})
	h.erasedEnd(t, store.Erasing{Email: "e@x.example"})
	if names := h.lines(t, `SELECT kind || ' ' || value FROM erasure_terms`); len(names) > 0 {
		t.Errorf("still kept in clear: %v", names)
	}
}

// Who acts again before their erasure has ended is a customer at once, and has none of the marks of before.
func TestEraseWhoActsMeanwhile(t *testing.T) {
	h := newHouse(t)
	var e teller
	h.tell(t, []store.NewEvent{e.enrolled("c1", `"email":"f@x.example"`)}, plan{batch: 1, workers: 1})
	id, own := h.lines(t, `SELECT id::text FROM customers`)[0], tags.New(h.store)
	vip, err := own.Ensure(t.Context(), "s1", "VIP", "admin")
	if err != nil {
		t.Fatal(err)
	}
	_, noted := customers.New(h.store).AddNote(t.Context(), "s1", id, customers.NewNote{Body: "old", Author: "admin"})
	if err := errors.Join(own.Put(t.Context(), "s1", id, vip, "admin"), noted); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	if err := h.store.Erase(ctx, store.Erasing{Email: "f@x.example"},
		store.EraseOptions{Read: facts.Read, Progress: func(done, all int64) { interrupt() }}); err == nil {
		t.Fatal("not interrupted")
	}
	again := e.sale("pi_f", "f@x.example", `{"storeId":"s1","productId":"p"}`)
	again.OccurredAt = time.Now()
	h.tell(t, []store.NewEvent{again}, plan{batch: 1, workers: 1})
	if err := h.store.FinishErasures(t.Context(), 0, store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
	if all := h.lines(t, `SELECT email FROM customers WHERE email NOT LIKE 'erased-%'`); len(all) != 1 {
		t.Errorf("customers: %v", all)
	}
	if marks := h.lines(t, `SELECT email || body FROM customer_notes UNION ALL
		SELECT email || tag_id FROM customer_tags`); len(marks) > 0 {
		t.Errorf("still there: %v", marks)
	}
}
