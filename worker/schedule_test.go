package worker

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"rollcall/history"
	"rollcall/internal/testing/stripefake"
	"rollcall/store"
)

// hourlySite is a site whose workers look at a fake Stripe's events every hour.
// An event missed lies in the platform's own account and in each of accounts.
func hourlySite(t *testing.T, accounts ...string) (*site, *stripefake.Server) {
	stripe := stripefake.New(t)
	for i, account := range append([]string{""}, accounts...) {
		stripe.Add(account,
			fmt.Sprintf(
				`{"id":"evt_%d","object":"event","type":"customer.created","created":%d,"livemode":true,"api_version":"2023-10-16",
			"data":{"object":{"id":"cus_%[1]d","object":"customer","email":"missed%[1]d@x.example","created":1700000000}}}`, i,
				time.Now().Unix()-7200))
	}
	s := newSite(t, func(run store.Backfill) (Source, error) {
		return history.NewStripeEvents(history.StripeConfig{Key: stripefake.Key, BaseURL: stripe.URL, Options: run.Options})
	})
	s.config.Hourly = true
	s.Worker = New(s.config)
	return s, stripe
}

// Workers that start fetch what Stripe's webhooks missed, in one run however
// many they are: from the platform's own account and from those whose sales we
// hold, and from no other.
func TestHourly(t *testing.T) {
	t.Parallel()
	s, stripe := hourlySite(t, "acct_sold", "acct_unheard")
	s.exec(`INSERT INTO stores (id, name, version, stripe_account_id) VALUES ('store_1', 'One', '1', 'acct_sold'),
		('store_2', 'Two', '1', 'acct_unheard')`)
	s.exec(`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version)
		VALUES ('acct_sold', 'pi_1', '', '', '', '')`)
	s.run(s.Worker)
	s.run(New(s.config))
	s.until(`count(*) = 2 AND bool_and(status = 'processed') FROM webhook_events`)
	s.until(`bool_and(ended_at IS NOT NULL) FROM backfills`)
	s.is(`count(*) = 1 AND bool_and(status = 'completed' AND created = 2 AND started_by = 'the hourly schedule')
		FROM backfills`)
	s.is(`count(*) = 2 FROM stripe_customers WHERE email LIKE 'missed%' AND account IN ('', 'acct_sold')`)
	for _, r := range stripe.Requests() {
		if r.Account == "acct_unheard" {
			t.Errorf("asked an account that we hold no sales of: %+v", r)
		}
	}
}

// The next look begins where the last hourly one ended, whatever somebody
// else's run, narrower, has brought meanwhile.
func TestHourlyIsMovedByItselfAlone(t *testing.T) {
	t.Parallel()
	s, _ := hourlySite(t)
	s.exec(`
		INSERT INTO backfills (kind, options, status, reason, chunk_size, started_by, created_at, started_at, ended_at) VALUES
		('stripe-events', '{"as_of": "2026-01-01T00:00:00Z"}', 'completed', NULL, 1, 'the hourly schedule', '2026-01-01',
			now(), now()),
		('stripe-events', '{"as_of": "2026-01-09T00:00:00Z"}', 'failed', 'no key', 1, 'the hourly schedule', '2026-01-09',
			now(), now()),
		('stripe-events', '{"as_of": "2026-01-20T00:00:00Z", "since": "2026-01-19T23:00:00Z"}', 'completed', NULL, 1,
			'a person', now(), now(), now())`)
	for range 2 { // the second one is too soon, though nothing runs any more
		if err := s.hourly(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s.exec(`UPDATE backfills SET status = 'completed', started_at = now(), ended_at = now() WHERE status = 'queued'`)
	}
	s.is(`count(*) = 4 FROM backfills`)
	s.is(`(options ->> 'since')::timestamptz = '2025-12-31T23:00:00Z' FROM backfills ORDER BY id DESC LIMIT 1`)
}

// Of workers that ask at the same moment one starts a run, and none complains.
func TestHourlyAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := hourlySite(t)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			if err := s.hourly(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	s.is(`count(*) = 1 FROM backfills`)
}
