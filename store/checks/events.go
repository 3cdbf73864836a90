package checks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// events finds ignored events of the other mode, and undelivered alerts.
func (c *Checkup) events(ctx context.Context) ([]finding.Finding, error) {
	modes, err := c.otherMode(ctx)
	if err != nil {
		return nil, err
	}
	alerts, err := c.undelivered(ctx)
	return append(modes, alerts...), err
}

// otherMode finds Stripe events that were ignored because of STRIPE_MODE and could still
// be applied, among the newest ignored ones. Test events are expected there, live ones
// are not.
func (c *Checkup) otherMode(ctx context.Context) (all []finding.Finding, err error) {
	var live, test, taken int64 // taken: applied live events among the newest of all
	var firstLive, firstTest *time.Time
	err = c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT
				count(*) FILTER (WHERE livemode),
				min(received_at) FILTER (WHERE livemode),
				count(*) FILTER (WHERE NOT livemode),
				min(received_at) FILTER (WHERE NOT livemode),
				(
					SELECT count(*)
					FROM (SELECT * FROM webhook_events ORDER BY id DESC LIMIT $1) newest
					WHERE source = 'stripe'
					  AND livemode
					  AND status = 'processed'
				)
			FROM (SELECT * FROM webhook_events WHERE status = 'ignored' ORDER BY id DESC LIMIT $1) e
			WHERE source = 'stripe'
			  AND last_error LIKE '%STRIPE_MODE%'
			  AND payload IS NOT NULL -- else it cannot be replayed`, store.SomeEvents).Scan(&live, &firstLive,
			&test, &firstTest, &taken)
	})
	add := func(severity finding.Severity, mode string, n int64, first *time.Time, note, set string) {
		if n > 0 {
			all = append(all, finding.Finding{Kind: "events_other_mode", Subject: mode, Severity: severity, Count: n,
				What: show.Count(n, mode+" event") + " from Stripe ignored: " + note,
				Fix:  []string{set, "rollcall events replay --source stripe --since " + first.UTC().Format(time.RFC3339)}})
		}
	}
	add(finding.Warning, "live", live, firstLive, "STRIPE_MODE is test",
		"export STRIPE_MODE=live   # where work runs, then restart it")
	severity, note := finding.Note, "STRIPE_MODE is live"
	if test > taken {
		severity, note = finding.Warning, note+". That is more than the "+show.Count(taken, "live event")+
			" that counted: is this a test setup?"
	}
	add(severity, "test", test, firstTest, note,
		"export STRIPE_MODE=any   # where work runs, if test events are to count, too; then restart it")
	return all, err
}

// undelivered finds changes of watches that could not be delivered, or that no worker
// tries to deliver.
func (c *Checkup) undelivered(ctx context.Context) ([]finding.Finding, error) {
	var since *time.Time // the oldest change
	var why *string      // the last attempt's error; nil: there was no attempt
	f := finding.Finding{
		Kind: "alerts_untold", Fix: []string{"export ALERT_WEBHOOK_URL=<URL>   # where work runs, then restart it"}}
	err := c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT count(*), min(made_at), (array_agg(last_error ORDER BY made_at DESC))[1]
			FROM watch_changes
			WHERE alert = 'due' AND (last_error IS NOT NULL OR made_at < now() - interval '5 minutes')`).Scan(
			&f.Count, &since, &why)
	})
	if err != nil || f.Count == 0 {
		return nil, err
	}
	f.What = fmt.Sprintf("ALERT_WEBHOOK_URL has not taken %s since %s: ", show.Count(f.Count, "change"),
		since.UTC().Format("2006-01-02 15:04 UTC"))
	switch {
	case why == nil:
		f.What += "it was not tried; is the queue alerts paused, or ALERT_WEBHOOK_URL not set where work runs?"
	case strings.Contains(*why, "ALLOWED_PRIVATE_NETWORKS"):
		f.What += *why
		f.Fix[0] = "export ALLOWED_PRIVATE_NETWORKS=<NETWORK>   # where work runs, then restart it"
	default:
		f.What += *why
	}
	return []finding.Finding{f}, nil
}

// Unheard lists the sources without any event.
func (c *Checkup) Unheard(ctx context.Context) (_ []string, err error) {
	defer pg.Wrap(&err, "checks.Checkup.Unheard")
	return collect(ctx, c, pgx.RowTo[string], unheardSQL, store.Sources)
}

const unheardSQL = `
	SELECT s.name
	FROM unnest($1::text[]) WITH ORDINALITY s(name, nth)
	WHERE NOT EXISTS (SELECT FROM webhook_events WHERE source = s.name)
	ORDER BY s.nth`
