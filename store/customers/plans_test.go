package customers

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// manyMails makes the tables of mail large too.
var manyMails = []string{
	`INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after, within, created_by)
		SELECT 'camp_' || i, 's' || i % 3, 'N', 'once', 'marketing', '{}', '[]', 'never', '3 days', '7 days', 'admin'
			FROM generate_series(1, 5000) i`,
	`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at, not_after,
			claimed_at, sent_at)
		SELECT 's' || i % 3, 'p' || i || '@x.example', 'marketing', 'camp_' || i, 'a', '', 1, 'sent', now(), now(),
			now(), now()
			FROM generate_series(1, 5000) i`,
	`INSERT INTO mail_events (source, event_id, mail_id, kind, at)
		SELECT 'smtp', id, id, (ARRAY['clicked', 'bounced', 'complained'])[1 + id % 3], now() FROM mails`,
	`INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT store_id, sha256(email::bytea), 'unsubscribed', now() FROM mails`,
	`ANALYZE`,
}

// All that the page of a customer reads, it looks up.
func TestCustomersPageLooksUp(t *testing.T) {
	s := storetest.Open(t, append(slices.Clone(plans.Many), manyMails...)...)
	ids, stores, emails, keys := []int64{1}, []string{"s"}, []string{"a@x.example"}, []string{"user:1"}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"facts":                   {factsSQL, []any{ids, stores, emails}},
		"refunds and disputes":    {backSQL, []any{keys, keys}},
		"why of payments":         {whySQL(store.KindOf(store.Payment)), []any{keys, keys, keys}},
		"why of enrollments":      {whySQL(store.KindOf(store.Enrollment)), []any{keys, keys, keys}},
		"why of subscriptions":    {whySQL(store.KindOf(store.Subscription)), []any{keys, keys, keys}},
		"uncounted payments":      {uncountedPaymentsSQL, []any{"s", keys, 1, keys}},
		"uncounted subscriptions": {uncountedSubscriptionsSQL, []any{"s", keys}},
		"uncounted enrollments":   {uncountedEnrollmentsSQL, []any{"s", keys, 1, "a@x.example"}},
		"merges":                  {mergedOf("$1", "$2"), []any{"s", 1}},
		"events":                  {store.EventsOfSQL, []any{stores, stores}},
		"timeline":                {timelineSQL, []any{ids, stores, emails, nil, 50, nil}},
		"notes":                   {notesSQL, []any{"s", 1, 0, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), `SET LOCAL enable_hashjoin = on`) // as for the derivation
				for _, scan := range plans.Explain(t, tx, q.sql, q.args...).Scans() {
					t.Error(scan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
