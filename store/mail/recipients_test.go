package mail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/internal/testing/storetest"
	"rollcall/mail"
	"rollcall/store"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

var monday = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// recipients opens a store with customers p1 to p3 of s1, p1 of s2 as well.
func recipients(t testing.TB) (*store.Store, *storemail.Recipients) {
	t.Helper()
	s := storetest.Open(t, `
		INSERT INTO customers (store_id, email)
		VALUES ('s1', 'p1@x.example'), ('s1', 'p2@x.example'), ('s1', 'p3@x.example'), ('s2', 'p1@x.example')`,
		`INSERT INTO stores (id, name, version) VALUES ('s1', 'Aurora', 'v')`)
	return s, storemail.NewRecipients(s)
}

func run(t testing.TB, s *store.Store, sql string, args ...any) {
	t.Helper()
	if _, err := s.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func lines(t testing.TB, s *store.Store, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mailTo adds a mail and returns its id.
func mailTo(t testing.TB, s *store.Store, storeID, email, class, status string) (id int64) {
	t.Helper()
	if err := s.Pool.QueryRow(t.Context(), `
		INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at, not_after,
			claimed_at, sent_at, provider, provider_id, made_at)
		VALUES ($1, $2, $3, 'c1', 'm1', gen_random_uuid()::text, 1, $4, $5::timestamptz, $5::timestamptz + interval '3 days',
			CASE WHEN $4 <> 'due' THEN $5::timestamptz END, CASE WHEN $4 = 'sent' THEN $5::timestamptz END, 'smtp',
			gen_random_uuid()::text, $5)
		RETURNING id`, storeID, email, class, status, monday).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// ticket adds a mail that was sent and returns the ticket of its id alone.
func ticket(t testing.TB, s *store.Store, storeID, email, class string) mail.Ticket {
	t.Helper()
	return mail.Ticket{Mail: mailTo(t, s, storeID, email, class, "sent")}
}

// stopsOf are all stops, as store/campaign/reason of the customers whose address they are of.
func stopsOf(t testing.TB, s *store.Store) []string {
	t.Helper()
	return lines(t, s, `
		SELECT DISTINCT concat_ws('/', c.email, s.store_id, s.campaign_id, s.reason)
		FROM mail_stops s
		JOIN customers c ON s.hash = `+store.AddressHash("c.email")+`
		ORDER BY 1`)
}

func TestKeysOfLinks(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	first, err := r.Keys(t.Context())
	if err != nil || len(first) == 0 {
		t.Fatalf("%v %v", first, err)
	}
	token := first.Leave(mail.Ticket{Mail: 7})
	if err := r.AddKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	both, err := r.Keys(t.Context())
	if got, ok := both.ReadLeave(token); err != nil || !ok || got.Mail != 7 || both.Leave(got) == token {
		t.Errorf("after a new key: %v %v %v", got, ok, err)
	}
	run(t, s, `DELETE FROM mail_keys`)
	if made, err := r.Keys(t.Context()); err != nil || len(made) != 1 {
		t.Errorf("without a key: %v %v", made, err)
	} else if _, ok := made.ReadLeave(token); ok {
		t.Error("a key that is gone verifies")
	}
}

// Each scope stops what it says, and no more; a test stops nothing.
func TestUnsubscribing(t *testing.T) {
	t.Parallel()
	const kind = "p1@x.example/s1/c1/unsubscribed"
	for scope, want := range map[string][]string{
		storemail.ThisKind:  {kind},
		storemail.ThisStore: {"p1@x.example/s1//unsubscribed", kind},
		storemail.AllStores: {"p1@x.example///unsubscribed", kind},
	} {
		s, r := recipients(t)
		id := ticket(t, s, "s1", "p1@x.example", "marketing")
		for range 2 {
			if err := r.Unsubscribe(t.Context(), id, scope, monday); err != nil {
				t.Fatal(err)
			}
		}
		if got := stopsOf(t, s); !slices.Equal(got, want) {
			t.Errorf("%s: %q", scope, got)
		}
		if standing, err := r.Standing(t.Context(), id); err != nil || !standing.Stops(scope) ||
			len(standing.Stopped) != len(want) || standing.StoreName != "Aurora" {
			t.Errorf("%s: %+v %v", scope, standing, err)
		}
		run(t, s, `INSERT INTO mail_stops (hash, reason, since)
			SELECT `+store.AddressHash("'p1@x.example'")+`, 'complained', now()`)
		if err := r.Resubscribe(t.Context(), id, true); err != nil {
			t.Fatal(err)
		}
		if got := stopsOf(t, s); !slices.Equal(got, []string{"p1@x.example///complained"}) {
			t.Errorf("%s, and back: %q", scope, got)
		}
	}
	s, r := recipients(t)
	test := ticket(t, s, "s1", "p1@x.example", "test")
	err := errors.Join(r.OneClick(t.Context(), test, monday),
		r.Unsubscribe(t.Context(), test, storemail.AllStores, monday),
		r.Say(t.Context(), test, facts.Granted, monday))
	if got := append(stopsOf(t, s), lines(t, s, `SELECT kind FROM mail_consents`)...); err != nil || len(got) > 0 {
		t.Errorf("a test: %q %v", got, err)
	}
	run(t, s, `INSERT INTO mail_stops (hash, reason, since)
		SELECT `+store.AddressHash("'p1@x.example'")+`, 'unsubscribed', now()`)
	if err := r.Resubscribe(t.Context(), test, true); err != nil || len(stopsOf(t, s)) != 1 {
		t.Errorf("a test lifts a stop: %v", err)
	}
	if err := r.OneClick(t.Context(), mail.Ticket{Mail: 99}, monday); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("no such mail: %v", err)
	}
}

// One click ends the store's marketing and what the campaign sends, or of another mail what its campaign sends.
func TestOneClick(t *testing.T) {
	t.Parallel()
	const kind = "p1@x.example/s1/c1/unsubscribed"
	for class, want := range map[string][]string{"marketing": {"p1@x.example/s1//unsubscribed", kind},
		"service": {kind}} {
		s, r := recipients(t)
		if err := r.OneClick(t.Context(), ticket(t, s, "s1", "p1@x.example", class), monday); err != nil {
			t.Fatal(err)
		}
		if got := stopsOf(t, s); !slices.Equal(got, want) {
			t.Errorf("%s: %q", class, got)
		}
	}
}

// Creators stop and lift what they stopped, and nothing that the customer or a provider said.
func TestStopsByHand(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	ctx := t.Context()
	var id int64
	if err := s.Pool.QueryRow(ctx, `SELECT id FROM customers WHERE store_id = 's1' AND email = 'p1@x.example'`).
		Scan(&id); err != nil {
		t.Fatal(err)
	}
	run(t, s, `INSERT INTO mail_stops (hash, store_id, reason, since)
		SELECT `+store.AddressHash("'p1@x.example'")+`, 's1', 'unsubscribed', '2026-01-01'`)
	for range 2 {
		if err := r.StopByHand(ctx, "s1", id, "admin", monday); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Stops(ctx, "s1", id)
	want := []storemail.Stop{{Reason: "unsubscribed", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Reason: "manual", Since: monday, By: "admin"}}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := r.LiftByHand(ctx, "s1", id); err != nil {
		t.Fatal(err)
	}
	if got := stopsOf(t, s); !slices.Equal(got, []string{"p1@x.example/s1//unsubscribed"}) {
		t.Errorf("lifted: %q", got)
	}
	for _, err := range []error{r.LiftByHand(ctx, "s1", id), r.StopByHand(ctx, "s2", id, "admin", monday)} {
		if !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("nothing to lift, or of another store: %v", err)
		}
	}
}

// consents are what counts for p1 of s1: marketing, tracking.
func consents(t testing.TB, s *store.Store, email string) string {
	t.Helper()
	return lines(t, s, `SELECT concat_ws(' ', coalesce(`+storemail.ConsentSQL("marketing", "'s1'", "$1")+`, '-'),
		coalesce(`+storemail.ConsentSQL("tracking", "'s1'", "$1")+`, '-'))`, email)[0]
}

// What was said counts in the order in which it was said; of one moment the denial; of several
// addresses of a person the most restrictive; of what users say, the last, wherever they were.
func TestConsents(t *testing.T) {
	t.Parallel()
	said := func(id, at, who, what string) store.NewEvent {
		return event("platform", id, "consent.updated", at, `{"data":{"store_id":"s1",`+who+`,`+what+`}}`)
	}
	user := func(id, at, email string) store.NewEvent {
		return event("clerk", id, "user.updated", at, fmt.Sprintf(`{"data":{"id":"user_1","created_at":1,"updated_at":%d,
			"primary_email_address_id":"e1","email_addresses":[{"id":"e1","email_address":%q,
			"verification":{"status":"verified"}}]}}`, must(time.Parse(time.RFC3339, at)).UnixMilli(), email))
	}
	bought := func(id, at, who string) store.NewEvent {
		return event("stripe", id, "checkout.session.completed", at, `{"data":{"object":{"id":"cs_1","mode":"payment",
			"payment_status":"paid","amount_total":1900,"currency":"usd","payment_intent":"pi_1","customer":"cus_1",
			"created":1767261600,"customer_details":{"email":"old@x.example"},
			"metadata":{`+who+`"storeId":"s1"}}}}`)
	}
	billed := func(id, at, email string) store.NewEvent {
		return event("stripe", id, "customer.updated", at,
			fmt.Sprintf(`{"data":{"object":{"id":"cus_1","email":%q}}}`, email))
	}
	const (
		yes, no = `"marketing":true`, `"marketing":false`
		p1, old = `"email":"p1@x.example"`, `"email":"old@x.example"`
		u1      = `"user_id":"user_1"`
		byUser  = `"userId":"user_1",`
		t1      = "2026-01-01T10:00:00Z"
		t2      = "2026-01-02T10:00:00Z"
		t3      = "2026-01-03T10:00:00Z"
	)
	for name, c := range map[string]struct {
		events []store.NewEvent
		want   string
	}{
		"nothing":              {nil, "- -"},
		"the last":             {[]store.NewEvent{said("a", t1, p1, no), said("b", t2, p1, yes)}, "granted -"},
		"at one time":          {[]store.NewEvent{said("a", t1, p1, no), said("b", t1, p1, yes)}, "denied -"},
		"of both":              {[]store.NewEvent{said("a", t1, p1, yes+`,"tracking":false`)}, "granted denied"},
		"by a user":            {[]store.NewEvent{said("a", t1, u1, yes), user("u", t1, "p1@x.example")}, "granted -"},
		"by a user, elsewhere": {[]store.NewEvent{said("a", t1, u1, yes), user("u", t1, "p9@x.example")}, "- -"},
		"user and address": {[]store.NewEvent{said("a", t1, p1, no), said("b", t2, u1, yes), user("u", t1, "p1@x.example")},
			"granted -"},
		"user and address, at one time": {[]store.NewEvent{said("a", t2, p1, no), said("b", t2, u1, yes),
			user("u", t1, "p1@x.example")}, "denied -"},
		"from an old address": {[]store.NewEvent{said("a", t1, old, yes), user("u", t1, "old@x.example"),
			user("v", t2, "p1@x.example")}, "granted -"},
		"denied at an old address": {[]store.NewEvent{said("a", t1, old, no), said("b", t3, p1, yes),
			user("u", t1, "old@x.example"), user("v", t2, "p1@x.example")}, "denied -"},
		"denied at an old address, then the user agrees": {[]store.NewEvent{said("a", t1, old, no), said("b", t3, u1, yes),
			user("u", t1, "old@x.example"), user("v", t2, "p1@x.example")}, "granted -"},
		"a guest refused, and is a user": {[]store.NewEvent{said("a", t1, old, no), bought("b", t1, ""),
			bought("c", t2, byUser), user("u", t1, "p1@x.example")}, "denied -"},
		"a guest agreed, and is a user": {[]store.NewEvent{said("a", t1, old, yes), bought("b", t1, ""),
			bought("c", t2, byUser), user("u", t1, "p1@x.example")}, "- -"},
		"a guest refused, and agrees as a user": {[]store.NewEvent{said("a", t1, old, no), said("b", t2, u1, yes),
			bought("c", t2, byUser), user("u", t1, "p1@x.example")}, "granted -"},
		"a guest refused, and has another address at Stripe": {[]store.NewEvent{said("a", t1, old, no), bought("b", t1, ""),
			billed("s", t1, "old@x.example"), billed("t", t2, "p1@x.example")}, "denied -"},
		"refused under the address at Stripe": {[]store.NewEvent{said("a", t1, `"email":"bill@x.example"`, no),
			bought("b", t1, byUser), billed("s", t1, "bill@x.example"), user("u", t1, "p1@x.example")}, "denied -"},
	} {
		s, _ := recipients(t)
		for _, order := range permutations(c.events) {
			run(t, s, `DELETE FROM webhook_events`)
			for _, table := range []string{"mail_consents", "users", "links", "payments", "stripe_customers", "customers"} {
				run(t, s, `DELETE FROM `+table)
			}
			apply(t, s, append(order, order...)...)
			if got := consents(t, s, "p1@x.example"); got != c.want {
				t.Errorf("%s: %q, want %q, in the order %s", name, got, c.want, idsOf(order))
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func event(source, id, typ, at, payload string) store.NewEvent {
	return store.NewEvent{Source: source, EventID: id, Type: typ, OccurredAt: must(time.Parse(time.RFC3339, at)),
		Payload: []byte(payload)}
}

// apply receives events and applies them one by one.
func apply(t testing.TB, s *store.Store, events ...store.NewEvent) {
	t.Helper()
	for _, e := range events {
		in, err := s.InsertEvents(t.Context(), []store.NewEvent{e})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read)
		if err != nil || len(out.Malformed) > 0 {
			t.Fatalf("%s: %v %v %q", e.EventID, out.Malformed, err, lines(t, s, `SELECT last_error FROM webhook_events
				WHERE last_error IS NOT NULL`))
		}
	}
}

func idsOf(events []store.NewEvent) string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.EventID)
	}
	return strings.Join(ids, " ")
}

// permutations are all orders of a list.
func permutations[T any](list []T) (all [][]T) {
	if len(list) == 0 {
		return [][]T{nil}
	}
	for i := range list {
		rest := append(slices.Clone(list[:i]), list[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]T{list[i]}, p...))
		}
	}
	return all
}
