package campaigns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollcall/internal/testing/plans"
	"rollcall/store/campaigns"
)

// many are runs and mails of many campaigns of other stores, and clicks in them.
var many = []string{
	`INSERT INTO customers (store_id, email, last_activity_at)
		SELECT 's' || i % 50, 'q' || i || '@x.example', now() FROM generate_series(1, 20000) i`,
	`INSERT INTO runs (campaign_id, store_id, email, occurrence, about, became_due_at, entered_at, version, arm, step,
			next_at)
		SELECT 'c' || i % 50, 's' || i % 50, 'q' || i || '@x.example', 'once', '', now(), now(), 1, 'a', 'first', now()
		FROM generate_series(1, 20000) i`,
	`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after, status,
			claimed_at, sent_at)
		SELECT 's' || i % 50, 'q' || i || '@x.example', 'marketing', 'c' || i % 50, 'a', 'o', 1, now(), now(), 'sent', now(),
			now() - interval '8 days'
		FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_events (source, event_id, mail_id, kind, at)
		SELECT 'link', i::text, i, 'clicked', now() FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_links (store_id, url)
		SELECT 's' || i % 50, 'https://x.example/' || i FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_clicks (link_id, day, people) SELECT id, '2026-03-02', 1 FROM mail_links`,
}

// What the pages of campaigns read, they look up: of a campaign, or of a customer.
func TestCampaignPagesLookUp(t *testing.T) {
	w := newWorld(t)
	for _, sql := range append(plans.Many[:len(plans.Many)-1:len(plans.Many)-1], many...) {
		if sql[:20] != plans.Many[3][:20] {
			w.exec(sql)
		}
	}
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	customer := w.rows(`SELECT min(id)::text FROM customers WHERE store_id = 's1' GROUP BY left(email, 1) ORDER BY 1`)
	w.exec(`UPDATE runs SET campaign_id = $1 WHERE campaign_id = 'c1'`, c.ID)
	w.exec(`UPDATE mails SET campaign_id = $1 WHERE campaign_id = 'c1'`, c.ID)
	w.exec(`VACUUM ANALYZE`)
	var asked *plans.Recorder
	w.store.Pool, asked = plans.Record(t, w.store.Pool)
	for name, ask := range map[string]func() error{
		"figures": func() error { _, err := w.Figures(t.Context(), "s1", w.now); return err },
		"results": func() error { _, err := w.Results(t.Context(), "s1", c.ID, w.now); return err },
		"list":    func() error { _, err := w.List(t.Context(), "s1"); return err },
		"why":     func() error { _, err := w.OfCustomer(t.Context(), "s1", customer[0], w.now); return err },
		"why not": func() error { _, err := w.OfCustomer(t.Context(), "s1", customer[1], w.now); return err },
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := asked.Plans(t)
		if len(all) == 0 {
			t.Errorf("%s asks nothing", name)
		}
		for _, scan := range asked.Scans(t, all, "campaigns", "campaign_results", "stores", "store_settings",
			"mail_settings") {
			t.Errorf("%s: %s", name, scan)
		}
	}

	// Of a campaign with many runs neither these nor its mails are read while someone waits.
	w.CountAtMost(10)
	if _, err := w.Results(t.Context(), "s1", c.ID, w.now); !errors.Is(err, campaigns.ErrCounting) {
		t.Fatal(err)
	}
	if worked, err := w.Count(t.Context(), w.now); err != nil || !worked {
		t.Fatal(worked, err)
	}
	asked.Plans(t)
	if r, err := w.Results(t.Context(), "s1", c.ID, w.now); err != nil || r.Entered == 0 {
		t.Error(r, err)
	}
	for _, p := range asked.Plans(t) {
		if text := fmt.Sprintf("%+v", p); strings.Contains(text, "mails") ||
			strings.Contains(text, "runs") && !strings.Contains(text, "Limit") {
			t.Errorf("kept results are counted: %s", text)
		}
	}
}

// A claim looks up whether another mail of a customer is about to be made, while a campaign has steps to do: it reads
// neither the runs of others nor all that are due.
func TestAClaimLooksUpRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, sql := range many {
		w.exec(sql)
	}
	class := campaigns.Marketing
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &class})
	w.turn(c.ID, campaigns.Order{To: campaigns.Paused}) // so another of its recipe may have mailed them
	w.turn(w.draft(campaigns.FromRecipe{Recipe: "not_started"}).ID, campaigns.Order{To: campaigns.Rehearsal})
	w.exec(`UPDATE campaigns SET state = 'ended' WHERE state = 'rehearsal'`)
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.exec(`UPDATE runs SET campaign_id = $1, store_id = 's1', next_at = $2 WHERE campaign_id IN ('c1', 'c2', 'c3')`, c.ID,
		w.now)
	w.exec(`UPDATE mails SET status = 'due', sent_at = NULL, due_at = $1, not_after = $1::timestamptz + interval '1 day'
		WHERE store_id = 's1'`, w.now)
	w.exec(`VACUUM ANALYZE`)
	var asked *plans.Recorder
	w.store.Pool, asked = plans.Record(t, w.store.Pool)
	mails := w.mails()
	turn, ok, err := mails.Take(t.Context(), "w", w.now)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	asked.Plans(t)
	if _, err := mails.Claim(t.Context(), turn, w.now, 100); err != nil {
		t.Fatal(err)
	}
	all, runs := asked.Plans(t), 0
	for _, p := range all {
		if text := fmt.Sprintf("%+v", p); strings.Contains(text, "runs_of") && strings.Contains(text, "mails_next") {
			runs++
		}
	}
	if runs != 1 {
		t.Errorf("%d statements of the claim look up runs: %+v", runs, all)
	}
	for _, scan := range asked.Scans(t, all) {
		if !strings.HasPrefix(scan, "ModifyTable") && (strings.Contains(scan, "runs") || strings.Contains(scan, "mails")) {
			t.Error(scan)
		}
	}
}
