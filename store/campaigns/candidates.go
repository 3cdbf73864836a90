package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
)

// candidates is SQL for the mails of a campaign as of a moment, with the columns of mails and verdict, why the campaign
// does not want them sent: those that wait, those of runs, and those of who enters. At a time to come, runs have gone
// on by then, and only the mails of that day are meant.
func (s *Campaigns) candidates(ctx context.Context, tx pgx.Tx, a *asking, now time.Time) (string, error) {
	coming := a.now.After(now)
	if coming {
		a.entersFrom(now)
	}
	entering, err := s.entering(ctx, tx, a)
	if err != nil {
		return "", err
	}
	var made string
	if coming {
		made = a.dueThen(entering, now)
	} else {
		made = a.dueNow(entering)
	}
	columns := `
			` + a.fill("@store", nil) + ` AS store_id,
			x.email,
			` + a.args.Add(a.c.Class) + `::text AS class,
			` + a.fill("@campaign", nil) + ` COLLATE "C" AS campaign_id,
			x.step COLLATE "C" AS step,
			x.occurrence COLLATE "C" AS occurrence,`
	return `
		SELECT
			x.id,` + columns + `
			x.twin,
			x.variant,
			x.due_at,
			x.not_after,
			x.priority,
			x.verdict
		FROM (` + a.waiting() + `) x
		UNION ALL
		SELECT
			0,` + columns + `
			0,
			x.variant,
			x.due_at,
			GREATEST(x.due_at, x.entered_at) + ` + a.fill("@late", nil) + `,
			` + a.args.Add(a.c.Priority) + `::smallint,
			x.verdict
		FROM (` + made + `) x
		WHERE x.step IS NOT NULL`, nil
}

// waiting is SQL for mails that are there already.
func (a *asking) waiting() string {
	return `
			SELECT m.id, m.email, m.step, m.occurrence, m.twin, m.variant, m.due_at, m.not_after, m.priority,
				(SELECT ` + a.ofMail() + `
					FROM runs r
					LEFT JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
					WHERE r.campaign_id = m.campaign_id AND r.email = m.email AND r.occurrence = m.occurrence AND r.twin = 0
				) AS verdict
			FROM mails m
			WHERE m.store_id = ` + a.fill("@store", nil) + `
			  AND m.status = 'due'
			  AND m.class <> 'test'
			  AND m.campaign_id = ` + a.fill("@campaign", nil) + `
			  AND m.due_at <= ` + a.fill("@now", nil) + a.among("m.email")
}

// ofRun is SQL for why a mail of a run is not sent, or NULL.
func (a *asking) ofRun() string {
	return `coalesce(` + a.verdict() + `, CASE WHEN r.arm = 'held' THEN 'held' END)`
}

// ofMail is SQL for why a mail m of a run is not sent any more, or NULL. What its step asks for may have changed while
// it waited.
func (a *asking) ofMail() string {
	unmet := ""
	for _, st := range a.c.Steps {
		if st.Do == DoMail && st.If != nil {
			unmet += ` WHEN m.step = ` + a.args.Add(st.Key) + ` AND ` + a.test(st.If) + ` IS NOT TRUE THEN 'skipped'`
		}
	}
	if unmet != "" {
		unmet = `, CASE` + unmet + ` END`
	}
	return `CASE WHEN NOT ` + a.hasStep() + ` THEN 'removed' ELSE coalesce(` + a.verdict() + unmet + `) END`
}

// hasStep is SQL for whether the step of a mail m is one of the campaign still.
func (a *asking) hasStep() string {
	keys := []string{}
	for _, st := range a.c.Steps {
		if st.Do == DoMail {
			keys = append(keys, st.Key)
		}
	}
	return `m.step = ANY (` + a.args.Add(keys) + `::text[])`
}

// theRuns is SQL for the active runs of the campaign and their customers; n.step is the next step.
func (a *asking) theRuns() string {
	return `
			FROM runs r
			CROSS JOIN LATERAL (SELECT ` + a.step() + ` AS step) n
			LEFT JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
			WHERE r.campaign_id = ` + a.fill("@campaign", nil) + `
			  AND r.store_id = ` + a.fill("@store", nil) + `
			  AND r.ended_at IS NULL` + a.among("r.email")
}

// dueNow is SQL for the mails that the next turn of runs makes, and of those who enter.
func (a *asking) dueNow(entering string) string {
	now, late := a.fill("@now", nil), a.fill("@late", nil)
	return `
			SELECT r.email, ` + a.reaches("n.step") + ` AS step, r.occurrence, r.arm AS variant, r.next_at AS due_at,
				r.entered_at, coalesce(` + a.verdict() + `, CASE
					WHEN GREATEST(r.next_at, r.entered_at) < ` + now + ` - ` + late + ` THEN 'late'
					WHEN r.arm = 'held' THEN 'held' END) AS verdict` + a.theRuns() + `
			  AND r.next_at <= ` + now + `
			UNION ALL
			SELECT e.email, e.mail, e.occurrence, e.arm,
				GREATEST(e.became_due_at + ` + a.wait(0) + `, ` + a.fill("@begun", nil) + `),
				` + now + `, CASE WHEN e.arm = 'held' THEN 'held' END
			FROM (` + entering + `) e
			WHERE e.became_due_at + ` + a.wait(0) + ` <= ` + now
}

// dueThen is SQL for the mails that runs, and those who enter until then, come to on the day of a time to come. At that
// time they are not late: they were sent when they became due.
func (a *asking) dueThen(entering string, now time.Time) string {
	from, to, at, nth := a.c.chains()
	chain := `unnest(` + a.args.Add(from) + `::text[], ` + a.args.Add(to) + `::text[], ` + a.args.Add(at) +
		`::interval[], ` +
		a.args.Add(nth) + `::integer[]) AS w(step, mail, wait, nth)`
	begins, _ := mail.Day(a.now, mail.Zone(a.zone))
	today := a.args.Add(now) + "::timestamptz"
	return `
			SELECT d.email, w.mail AS step, d.occurrence, d.variant, d.at + w.wait AS due_at,
				` + a.fill("@now", nil) + ` AS entered_at, d.verdict
			FROM (
				SELECT r.email, n.step, r.occurrence, r.arm AS variant, GREATEST(r.next_at, ` + today + `) AS at,
					` + a.ofRun() + ` AS verdict, ` + a.conditions() + ` AS met` + a.theRuns() + `
				UNION ALL
				SELECT e.email, ` + a.args.Add(a.c.Steps[0].Key) + `, e.occurrence, e.arm,
					GREATEST(e.became_due_at + ` + a.wait(0) + `, ` + today + `), CASE WHEN e.arm = 'held' THEN 'held' END, e.met
				FROM (` + entering + `) e
			) d
			JOIN ` + chain + ` ON w.step = d.step AND d.met[w.nth]
			WHERE d.at + w.wait > GREATEST(` + a.args.Add(begins) + `, ` + today + `)
			  AND d.at + w.wait <= ` + a.fill("@now", nil)
}

// wait is SQL for how long a step waits.
func (a *asking) wait(step int) string {
	return a.args.Add(time.Duration(a.c.Steps[step].Wait)) + "::interval"
}

// entersFrom has all enter who become due between a time and that which is asked about.
func (a *asking) entersFrom(now time.Time) {
	a.after, a.fresh = a.c.windowFrom(now), now.Add(-time.Duration(a.c.NotAfter))
}
