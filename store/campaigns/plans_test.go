package campaigns_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/store/campaigns"
)

// Every question is a range of an index: a look does not read all that a store has, however much that is. All customers
// are read in the order in which they enter.
func TestQuestionsAreLookedUp(t *testing.T) {
	w := newWorld(t)
	for _, sql := range plans.Many {
		if !strings.Contains(sql, "INTO products") {
			w.exec(sql)
		}
	}
	w.exec(`INSERT INTO checkouts (account, id, version, status, recovery_url)
		SELECT '', 'cs_' || i, '2026-01-01T00:00:00.000000Z 20 ', 'expired', 'https://x.example' FROM generate_series(1,
			5000) i`)
	w.exec(`INSERT INTO failed_invoices (account, id, version, subscription, attempts, amount_due)
		SELECT '', 'in_' || i, '2026-01-01T00:00:00.000000Z 20 ', 'sub_' || i, 1, 1 FROM generate_series(1, 5000) i`)
	w.exec(`UPDATE subscriptions SET status = 'past_due' WHERE substr(id, 5)::integer % 5 > 2`)
	w.exec(`ANALYZE`)
	news := w.once("News", 5)
	news.StartsFrom, news.SwitchedAt = &w.now, &w.now
	all := []campaigns.Campaign{news}
	for _, r := range campaigns.Recipes {
		all = append(all, w.make(campaigns.FromRecipe{Recipe: r.Name, Product: map[bool]string{true: "c2"}[r.Product]},
			campaigns.Change{Audience: []byte(`{"customer": {"status": "active"}}`)}))
	}
	for _, c := range all {
		err := w.store.Snapshot(t.Context(), func(tx pgx.Tx) error {
			sql, args, err := w.EnteringNow(t.Context(), tx, c, w.now)
			if err != nil {
				return err
			}
			plan := plans.Explain(t, tx, sql, args...)
			found := plan.Scans()
			if c.Kind == campaigns.Once { // all, in the order of their addresses
				found = append(found, plan.Sorts(100)...)
			}
			for _, wrong := range found {
				t.Errorf("%s: %s", c.Name, wrong)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
