package checks

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

const (
	// backfillRests is how long a run may show no progress: longer than the delay that a
	// source may request.
	backfillRests = 15 * time.Minute
	// someBackfills is how many of the newest runs are checked.
	someBackfills = 500
)

// backfills finds runs that are stuck or ended badly, and that no later run of the same
// kind and scope replaced.
func (c *Checkup) backfills(ctx context.Context) ([]finding.Finding, error) {
	return collect(ctx, c, func(row pgx.CollectableRow) (finding.Finding, error) {
		var b store.Backfill
		var stuck bool
		err := row.Scan(&b.ID, &b.Kind, &b.Scope, &b.Options, &b.DryRun, &b.Status, &b.Reason, &b.Expected, &b.Seen,
			&b.Created, &b.Updated, &b.Unchanged,
			&b.Errors, &b.Customers, &b.ChunkSize, &b.StartedBy, &b.CreatedAt, &b.StartedAt, &b.EndedAt, &stuck)
		return troubled(b, stuck), err
	}, `
		SELECT`+store.BackfillColumns+`, status IN ('queued', 'running') AND moved_at < now() - $2::interval
		FROM (SELECT * FROM backfills ORDER BY id DESC LIMIT $3) b
		WHERE NOT dry_run
		  AND ($1 = '' OR scope = $1 OR kind NOT IN ('courses', 'subscriptions'))
		  AND (status IN ('failed', 'completed_with_errors', 'paused')
			OR status IN ('queued', 'running') AND moved_at < now() - $2::interval)
		  AND NOT EXISTS (
			SELECT
			FROM backfills later
			WHERE later.id > b.id
			  AND (later.kind, later.scope, later.dry_run) = (b.kind, b.scope, false)
			  AND later.status IN ('completed', 'completed_with_errors', 'running', 'queued')
		  )
		ORDER BY id DESC`, c.Store, backfillRests, someBackfills)
}

// troubled describes a run that is stuck, paused or ended badly.
func troubled(b store.Backfill, stuck bool) finding.Finding {
	show, resume := fmt.Sprintf("rollcall backfill show %d", b.ID), fmt.Sprintf("rollcall backfill resume %d", b.ID)
	f := finding.Finding{Subject: fmt.Sprint(b.ID), Fix: []string{show, resume}}
	name, seen := fmt.Sprintf("Backfill %d (%s)", b.ID, b.Kind), counted(b.Seen, "object")
	if b.Expected != nil {
		seen = fmt.Sprintf("%d of %s", b.Seen, counted(*b.Expected, "object"))
	}
	switch {
	case stuck:
		f.Kind, f.What = "backfill_stuck", name+" makes no progress: is a worker running, and what do its chunks wait for?"
		f.Fix[1] = "rollcall work"
	case b.Status == "failed":
		f.Kind, f.What = "backfill_failed",
			fmt.Sprintf("%s failed after %s: %s", name, seen, *cmp.Or(b.Reason, new("no reason given")))
	case b.Status == "paused":
		f.Kind, f.What, f.Fix = "backfill_paused", name+" is paused after "+seen, []string{resume}
	default:
		f.Kind, f.Count, f.What = "backfill_errors", b.Errors, fmt.Sprintf("%s could not use %d of %s", name, b.Errors, seen)
		f.Fix[1] = startAgain(b)
	}
	return f
}

// startAgain is the command that starts a run like another.
func startAgain(b store.Backfill) string {
	command := "rollcall backfill start " + b.Kind
	switch o := b.Options; {
	case finding.Plain(o.File):
		command += " " + o.File
	case o.File != "":
		command += " <FILE>"
	case o.Store != "" && finding.Plain(o.Store):
		command += " --store " + o.Store
	case o.Store != "":
		command += " --store <STORE>"
	case len(o.Accounts) > 0:
		command += " --account all"
	}
	return command + " --follow"
}

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
				What: counted(n, mode+" event") + " from Stripe ignored: " + note,
				Fix:  []string{set, "rollcall events replay --source stripe --since " + first.UTC().Format(time.RFC3339)}})
		}
	}
	add(finding.Warning, "live", live, firstLive, "STRIPE_MODE is test",
		"export STRIPE_MODE=live   # where work runs, then restart it")
	severity, note := finding.Note, "STRIPE_MODE is live"
	if test > taken {
		severity, note = finding.Warning, note+". That is more than the "+counted(taken, "live event")+
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
	f.What = fmt.Sprintf("ALERT_WEBHOOK_URL has not taken %s since %s: ", counted(f.Count, "change"),
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
	defer pg.Wrap(&err, "store.Checkup.Unheard")
	return collect(ctx, c, pgx.RowTo[string], unheardSQL, store.Sources)
}

const unheardSQL = `
	SELECT s.name
	FROM unnest($1::text[]) WITH ORDINALITY s(name, nth)
	WHERE NOT EXISTS (SELECT FROM webhook_events WHERE source = s.name)
	ORDER BY s.nth`
