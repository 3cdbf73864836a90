package checks

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
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
	look, resume := fmt.Sprintf("rollcall backfill show %d", b.ID), fmt.Sprintf("rollcall backfill resume %d", b.ID)
	f := finding.Finding{Subject: fmt.Sprint(b.ID), Fix: []string{look, resume}}
	name, seen := fmt.Sprintf("Backfill %d (%s)", b.ID, b.Kind), show.Count(b.Seen, "object")
	if b.Expected != nil {
		seen = fmt.Sprintf("%d of %s", b.Seen, show.Count(*b.Expected, "object"))
	}
	switch {
	case stuck:
		f.Kind, f.What = "backfill_stuck", name+" makes no progress: is a worker running, and what do its chunks wait for?"
		f.Fix[1] = "rollcall work"
	case b.Status == "failed":
		f.Kind, f.What = "backfill_failed",
			fmt.Sprintf("%s failed after %s: %s", name, seen, *cmp.Or(b.Reason, new("no reason given")))
		if key := store.BackfillKindOf(b.Kind).Key; key != "" && b.Reason != nil &&
			strings.HasPrefix(*b.Reason, key+" is not set") { // without it, the run fails again
			f.Fix[0] = "export " + key + "=<KEY>   # where work runs, then restart it"
		}
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
