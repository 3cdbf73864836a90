package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// One event of a page that Postgres refuses costs the others nothing: it is
// counted and told of, and the run ends.
func TestBackfillRefusedEvent(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	b := p.start(store.NewBackfill{Kind: "stripe-events"})
	var page store.Page
	for i, payload := range []string{`{}`, `{}`, `{"cut":`, `{}`, `{}`} {
		e := store.NewEvent{Source: "stripe", EventID: fmt.Sprint("evt_", i), Type: "customer.created",
			OccurredAt: time.Now(), Payload: []byte(payload)}
		page.Items = append(page.Items, store.Item{Place: e.EventID, Event: &e})
	}
	if _, err := p.store.InsertEvents(context.Background(), []store.NewEvent{*page.Items[4].Event}); err != nil {
		t.Fatal(err)
	}
	done, err := p.store.ApplyChunk(context.Background(), p.open(b.ID, 0), page)
	if err != nil || len(done.Events) != 3 {
		t.Errorf("%+v %v", done, err)
	}
	got := p.lines(`SELECT event_id || ' ' || status FROM webhook_events ORDER BY event_id`)
	if fmt.Sprint(got) != "[evt_0 pending evt_1 pending evt_3 pending evt_4 pending]" {
		t.Errorf("in the inbox: %s", got)
	}
	b, err = p.store.Backfill(context.Background(), b.ID)
	if want := "completed_with_errors: 5 seen, 3 created, 0 updated, 1 unchanged, 1 errors, 0 customers"; err != nil ||
		counts(b) != want {
		t.Errorf("got  %s\nwant %s: %v", counts(b), want, err)
	}
	found, err := p.store.BackfillErrors(context.Background(), b.ID, 0, 10)
	if err != nil || len(found) != 1 || found[0].Place != "evt_2" || found[0].What != "cannot be put into the inbox" ||
		!strings.Contains(found[0].Why, "json") || found[0].Note {
		t.Errorf("told of: %+v %v", found, err)
	}
}

// catalogue is a store with a course that Stripe knows by a price and a product.
func catalogue() facts.Set {
	return facts.Set{
		Stores: []facts.Store{{ID: "store_1", Name: "S", Version: "1"}},
		Products: []facts.Product{{
			ID: "course_1", StoreRef: "store_1", Kind: "course", Title: "C", Version: "1",
			StripePriceIDs: []string{"price_9"}, StripeProductIDs: []string{"prod_9"},
		}},
	}
}

// sale is a paid sale of nobody says what.
func sale(amount int64, version facts.Version) facts.Payment {
	at := pastBegins
	f := facts.Payment{ID: "pi_1", ClaimVersion: "4 " + version, Kind: "checkout", Paid: true, Amount: &amount,
		Currency: "usd", PaidAt: &at}
	f.Email = "a@x.example"
	return f
}

func (p *place) kept(set facts.Set) {
	p.Helper()
	if err := p.store.Keep(context.Background(), set); err != nil {
		p.Fatal(err)
	}
}

// nothingToMend checks that the lists are what the facts come to.
func (p *place) nothingToMend() {
	p.Helper()
	if changes, err := p.store.Rebuild(context.Background(), "", nil); err != nil || changes.Sum() != 0 {
		p.Errorf("a rebuild found %+v %v\n%s", changes, err, strings.Join(p.lists(), "\n"))
	}
}

// A purchase is one of a course whoever says which: it is found and attached.
func TestBackfillFindsCoursePurchases(t *testing.T) {
	for what, says := range map[string]func(*facts.Set, *facts.Payment){
		"its own product":  func(_ *facts.Set, f *facts.Payment) { f.ProductRef = "course_1" },
		"Stripe's price":   func(_ *facts.Set, f *facts.Payment) { f.Lines = []facts.Line{{Stripe: []string{"price_9"}}} },
		"Stripe's product": func(_ *facts.Set, f *facts.Payment) { f.Lines = []facts.Line{{Stripe: []string{"prod_9"}}} },
		"its intent": func(_ *facts.Set, f *facts.Payment) {
			f.Intent, f.IntentVersion = &facts.Intent{Context: facts.Context{ProductRef: "course_1"}}, "1"
		},
		"its subscription": subscribed(func(s *facts.Subscription) { s.ProductRef = "course_1" }),
		"its subscription's item": subscribed(
			func(s *facts.Subscription) { s.Lines = []facts.Line{{Stripe: []string{"price_9"}}} }),
		"its subscription's checkout": subscribed(func(s *facts.Subscription) {
			s.Checkout, s.CheckoutVersion = &facts.Context{ProductRef: "course_1"}, "1"
		}),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			set, f := catalogue(), sale(900, "1")
			says(&set, &f)
			set.Payments = append(set.Payments, f)
			p.kept(set)
			b := p.run(p.start(store.NewBackfill{Kind: "courses"}), p.once)
			if want := "completed: 1 seen, 1 created, 0 updated, 0 unchanged, 0 errors, 1 customers"; counts(b) != want {
				t.Errorf("got  %s\nwant %s", counts(b), want)
			}
			if got := p.lines(`SELECT email || ' ' || type FROM customers`); fmt.Sprint(got) != "[a@x.example paying]" {
				t.Errorf("the list: %s", got)
			}
			p.run(p.start(store.NewBackfill{Kind: "subscriptions"}), p.once)
			p.nothingToMend()
		})
	}
}

// subscribed makes a sale an invoice of a subscription.
func subscribed(says func(*facts.Subscription)) func(*facts.Set, *facts.Payment) {
	return func(set *facts.Set, f *facts.Payment) {
		s := facts.Subscription{ID: "sub_1", Version: "1", Status: "active", EverActive: true}
		says(&s)
		f.Kind, f.Subscription = "invoice", s.ID
		set.Subscriptions = append(set.Subscriptions, s)
	}
}

// Newer words about what is attached already, loaded in bulk, reach the
// customers with the next backfill.
func TestBackfillAfterNewerFacts(t *testing.T) {
	at := pastBegins
	enrolled := func(progress float64, version facts.Version) facts.Enrollment {
		return facts.Enrollment{CourseID: "course_1", Person: "user:user_1", Version: "1", Progress: &progress,
			ProgressVersion: version, SaidAt: &at, FirstSaidAt: &at}
	}
	bought := func(amount int64, version facts.Version) facts.Payment {
		f := sale(amount, version)
		f.ProductRef = "course_1"
		return f
	}
	user := func(email string, version facts.Version) facts.User {
		return facts.User{ID: "user_1", Email: email, Version: version}
	}
	first := catalogue()
	first.Users = []facts.User{user("u@x.example", "1")}
	first.Enrollments = []facts.Enrollment{enrolled(10, "1")}
	first.Payments = []facts.Payment{bought(900, "1")}
	for what, c := range map[string]struct {
		newer facts.Set
		want  string
	}{
		"nothing new":    {first, `[a@x.example 900 0 u@x.example 0 10]`},
		"another amount": {facts.Set{Payments: []facts.Payment{bought(700, "2")}}, `[a@x.example 700 0 u@x.example 0 10]`},
		"a refund": {
			facts.Set{Refunds: []facts.Refund{
				{ID: "re_1", PaymentIntent: "pi_1", Amount: 200, Currency: "usd", Status: "succeeded", SaidAt: at, Version: "1"}}},
			`[a@x.example 700 0 u@x.example 0 10]`},
		"another progress": {facts.Set{Enrollments: []facts.Enrollment{enrolled(60, "2")}},
			`[a@x.example 900 0 u@x.example 0 60]`},
		"another address": {facts.Set{Users: []facts.User{user("v@x.example", "2")}},
			`[a@x.example 900 0 v@x.example 0 10]`},
		"one in two places": {facts.Set{Users: []facts.User{user("a@x.example", "2")}}, `[a@x.example 900 10]`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			p.kept(first)
			p.run(p.start(store.NewBackfill{Kind: "courses"}), p.once)
			p.nothingToMend()
			p.kept(c.newer)
			b := p.run(p.start(store.NewBackfill{Kind: "courses"}), p.once)
			if b.Status != "completed" || b.Created != 0 || b.Seen != 2 {
				t.Error(counts(b))
			}
			p.nothingToMend()
			if got := p.lines(shown); fmt.Sprint(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// shown is what each customer has paid, less refunds, and their progress.
const shown = `SELECT concat_ws(' ', email, coalesce(spent -> 0 ->> 'amount', '0'), courses -> 0 ->> 'progress')
	FROM customers ORDER BY email`

// A dry run of several chunks counts as the real one does, though each forgets
// whom the ones before it would have brought: a customer that comes by rows that
// count as created for others is not taken off twice.
func TestBackfillDryRunAcrossChunks(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	set := facts.Set{Stores: []facts.Store{{ID: "store_1", Name: "S", Version: "1"}}}
	for i := range 3 {
		s := facts.Subscription{ID: fmt.Sprint("sub_", i), Status: "active", Version: "1", EverActive: true}
		s.StoreRef, s.Email = "store_1", fmt.Sprintf("reader%d@x.example", i)
		set.Subscriptions = append(set.Subscriptions, s)
		f := sale(900, "1") // somebody else pays for all of them
		f.ID, f.Kind, f.Subscription = fmt.Sprint("in_", i), "invoice", s.ID
		f.StoreRef, f.Email = "store_1", "school@x.example"
		set.Payments = append(set.Payments, f)
	}
	p.kept(set)
	var got []string
	for _, dry := range []bool{true, false} {
		b := p.run(p.start(store.NewBackfill{Kind: "subscriptions", ChunkSize: 1, DryRun: dry}), p.once)
		got = append(got, counts(b))
	}
	if want := "completed: 3 seen, 3 created, 0 updated, 0 unchanged, 0 errors, 4 customers"; got[0] != want ||
		got[1] != want {
		t.Errorf("dry  %s\nreal %s\nwant %s", got[0], got[1], want)
	}
	if left := p.lines(`SELECT email FROM backfill_previews`); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	p.nothingToMend()
}

// What a dry run remembers is gone when it is cancelled, in the middle of a
// chunk too.
func TestBackfillDryRunCancelled(t *testing.T) {
	for what, inHand := range map[string]bool{"between chunks": false, "in a chunk": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, &past{})
			p.course()
			p.exec(loads[0].sql)
			b := p.start(store.NewBackfill{Kind: "courses", ChunkSize: 5, DryRun: true})
			for n := range 2 {
				if err := p.once(p.open(b.ID, n)); err != nil {
					t.Fatal(err)
				}
			}
			if n := p.lines(`SELECT count(*)::text FROM backfill_previews`); n[0] != "5" {
				t.Errorf("%s remembered of 5", n)
			}
			done, release := make(chan error, 1), func() {}
			if inHand {
				release = p.stopAt(`AFTER INSERT ON backfill_previews FOR EACH STATEMENT`)
				c := p.open(b.ID, 2)
				go func() { done <- p.once(c) }()
				p.awaitStop()
			}
			if _, err := p.store.CancelBackfill(context.Background(), b.ID); err != nil {
				t.Error(err)
			}
			release()
			if inHand {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			p.wantStatus(b.ID, "cancelled")
			if n := p.lines(`SELECT count(*)::text FROM backfill_previews`); n[0] != "0" {
				t.Errorf("%s left behind", n)
			}
		})
	}
}

// Of errors and of notes the first 1,000 each are kept in words, and neither
// takes the other's place; all errors are counted.
func TestBackfillFindingsKept(t *testing.T) {
	t.Parallel()
	p := newPlace(t, &past{})
	b := p.start(store.NewBackfill{Kind: "clerk"})
	for n := range 3 {
		var page store.Page
		for i := range 450 {
			page.Items = append(page.Items, store.Item{Place: fmt.Sprint(n*450 + i), Err: errors.New("is no user")})
			page.Notes = append(page.Notes, store.Finding{Place: fmt.Sprint(n*450 + i), What: "a note", Why: "so it is"})
		}
		if n < 2 {
			page.Next = []store.Position{{Stream: "users"}}
		}
		if _, err := p.store.ApplyChunk(context.Background(), p.open(b.ID, n), page); err != nil {
			t.Fatal(err)
		}
	}
	kept := p.lines(`SELECT note || ' ' || count(*) || ' ' || max(place::int) FROM backfill_errors
		GROUP BY note ORDER BY note`)
	if fmt.Sprint(kept) != "[false 1000 999 true 1000 999]" {
		t.Errorf("kept: %s", kept)
	}
	b, err := p.store.Backfill(context.Background(), b.ID)
	if err != nil || b.Errors != 1350 || b.Seen != 1350 || b.Status != "completed_with_errors" {
		t.Errorf("%s %v", counts(b), err)
	}
}
