package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// stepChunk is how many runs go one step on in one transaction.
const stepChunk = 200

// awaitEvery is how often a run is looked at that has something to do at its goal.
const awaitEvery = day

// Why runs end.
const (
	forGoal = "goal"
	forDone = "done"
	forLate = "late"
)

// What steps come to.
const (
	wasDone    = "done"
	wasHeld    = "held"    // the run is of those who get nothing
	wasLeftOut = "skipped" // its condition was not met
)

// Step brings some runs of the campaign whose turn it is one step on, in one transaction, and reports whether there was
// anything to do. What a step does, that it is done, and what comes next are written together.
func (s *Campaigns) Step(ctx context.Context, now time.Time) (worked bool, err error) {
	defer pg.Wrap(&err, "campaigns.Step")
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		rows := pg.Query(ctx, tx, selectCampaigns+`k
			WHERE state IN ('rehearsal', 'on')
			  AND EXISTS (SELECT FROM runs r WHERE r.campaign_id = k.id AND r.ended_at IS NULL AND r.next_at <= $1)
			ORDER BY stepped_at, id
			LIMIT 1
			FOR NO KEY UPDATE SKIP LOCKED`, now)
		c, err := pgx.CollectExactlyOneRow(rows, scan)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE campaigns SET stepped_at = clock_timestamp() WHERE id = $1`, c.ID); err != nil {
			return err
		}
		worked, err = s.steps(ctx, tx, &c, now)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, s.finish(ctx, now)
	}
	return worked, err
}

// finish ends campaigns of one time whose work is done.
func (s *Campaigns) finish(ctx context.Context, now time.Time) error {
	_, err := s.Pool.Exec(ctx, `
		UPDATE campaigns k
		SET state = 'ended'
		WHERE kind = 'once'
		  AND state = 'on'
		  AND entered_at <= $1
		  AND NOT EXISTS (SELECT FROM runs r WHERE r.campaign_id = k.id AND r.ended_at IS NULL)
		  AND NOT EXISTS (SELECT FROM mails m WHERE m.store_id = k.store_id AND m.campaign_id = k.id AND m.status =
			'due')`, now)
	return err
}

// run is a run whose next step is due.
type run struct {
	id                int64
	email, occurrence string
	step, arm         string
	nextAt, enteredAt time.Time
	done              map[string]outcome
	customer          *int64
	verdict           *string // why it ends
	met               []bool  // the condition of each step
}

// outcome is what a step came to.
type outcome struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
}

// due reads runs whose next step is due, and locks them.
func (s *Campaigns) due(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time) ([]run, error) {
	var args pg.Arguments
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return nil, err
	}
	a := ask(c, now, z, &args)
	sql := `
		SELECT r.id, r.email, r.occurrence, ` + a.step() + `, r.arm, r.next_at, r.entered_at, r.done, c.id,
			` + a.verdict() + `, ` + a.conditions() + `
		FROM runs r
		LEFT JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
		WHERE r.campaign_id = ` + args.Add(c.ID) + `
		  AND r.ended_at IS NULL
		  AND r.next_at <= ` + args.Add(now) + `
		ORDER BY r.next_at
		LIMIT ` + args.Add(stepChunk) + `
		FOR UPDATE OF r SKIP LOCKED`
	rows := pg.Query(ctx, tx, sql, planned(args)...)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r run, err error) {
		return r, row.Scan(&r.id, &r.email, &r.occurrence, &r.step, &r.arm, &r.nextAt, &r.enteredAt, &r.done, &r.customer,
			&r.verdict, &r.met)
	})
}

// steps brings runs of a campaign one step on.
func (s *Campaigns) steps(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time) (worked bool, err error) {
	runs, err := s.due(ctx, tx, c, now)
	if err != nil {
		return false, err
	}
	if c.touches() {
		if runs, err = hold(ctx, tx, runs); err != nil {
			return false, err
		}
	}
	w := &writing{c: c, now: now}
	for _, r := range runs {
		w.step(r)
	}
	return len(runs) > 0, w.write(ctx, tx)
}

// touches tells whether a step changes what stands at the customer. None does in a rehearsal.
func (c *Campaign) touches() bool {
	return c.State != Rehearsal &&
		slices.ContainsFunc(slices.Concat(c.Steps, c.OnGoal), func(st Step) bool { return st.Do != DoMail })
}

// hold locks the customers of runs, so that what is written about them stays with them, and returns the runs of those
// whom no other transaction changes just now. The others wait: a step never waits for customers while it holds runs.
func hold(ctx context.Context, tx pgx.Tx, runs []run) ([]run, error) {
	var ids []int64
	for _, r := range runs {
		if r.customer != nil {
			ids = append(ids, *r.customer)
		}
	}
	held, err := pg.Column[int64](ctx, tx, `
		SELECT c.id
		FROM customers c
		JOIN customer_index i ON i.customer_id = c.id
		WHERE c.id = ANY($1)
		ORDER BY c.id
		FOR NO KEY UPDATE OF c, i SKIP LOCKED`, ids)
	return slices.DeleteFunc(runs, func(r run) bool {
		return r.customer != nil && !slices.Contains(held, *r.customer)
	}), err
}

// writing is what a chunk of runs comes to.
type writing struct {
	c   *Campaign
	now time.Time

	mails              []mailRow
	tags, untags       []tagRow
	notes              []noteRow
	ids                []int64
	steps, done, ended []string
	nextAt             []time.Time
}

type mailRow struct {
	email, step, occurrence, variant string
	version                          int
	dueAt, notAfter                  time.Time
}

type (
	tagRow  struct{ email, tag string }
	noteRow struct{ email, note string }
)

// step brings a run on: it ends, waits for its goal, or does its next step.
func (w *writing) step(r run) {
	st := w.c.step(r.step)
	switch {
	case r.verdict != nil:
		w.end(r, *r.verdict)
	case st == nil:
		w.await(r)
	case r.late(w.c).Before(w.now):
		w.end(r, forLate)
	default:
		w.do(r, *st)
	}
}

// late is when it is too late for the next step: who enters late has the time that others have.
func (r *run) late(c *Campaign) time.Time {
	if r.enteredAt.After(r.nextAt) {
		return r.enteredAt.Add(time.Duration(c.NotAfter))
	}
	return r.nextAt.Add(time.Duration(c.NotAfter))
}

// following is the step behind one, and behind all that are done; nil: there is none. What is done already does not
// come again, wherever it stands now.
func (c *Campaign) following(done map[string]outcome, key string) *Step {
	at := 0
	for i, st := range c.Steps {
		if _, is := done[st.Key]; is || st.Key == key {
			at = i + 1
		}
	}
	if at >= len(c.Steps) {
		return nil
	}
	return &c.Steps[at]
}

// end ends a run.
func (w *writing) end(r run, reason string) {
	if reason == forGoal && r.arm != "held" {
		for _, st := range w.c.OnGoal {
			w.effect(r, st)
		}
	}
	w.moved(r, r.step, r.nextAt, "", "", reason)
}

// await lets a run wait for its goal, as long as that counts.
func (w *writing) await(r run) {
	var last time.Time
	for _, o := range r.done {
		if o.At.After(last) {
			last = o.At
		}
	}
	until := last.Add(time.Duration(w.c.Within))
	switch {
	case w.c.Goal == nil || !until.After(w.now):
		w.end(r, forDone)
	case len(w.c.OnGoal) > 0 && until.After(w.now.Add(awaitEvery)):
		w.moved(r, "", w.now.Add(awaitEvery), "", "", "")
	default:
		w.moved(r, "", until, "", "", "")
	}
}

// do does a step, and lets the run wait for what follows.
func (w *writing) do(r run, st Step) {
	came := wasDone
	switch {
	case !r.met[slices.IndexFunc(w.c.Steps, func(x Step) bool { return x.Key == st.Key })]:
		came = wasLeftOut
	case r.arm == "held":
		came = wasHeld
	default:
		w.effect(r, st)
	}
	next := w.c.following(r.done, st.Key)
	switch {
	case next != nil:
		w.moved(r, next.Key, w.now.Add(time.Duration(next.Wait)), st.Key, came, "")
	case w.c.Goal == nil || w.c.Within == 0:
		w.moved(r, "", w.now, st.Key, came, forDone)
	case len(w.c.OnGoal) > 0:
		w.moved(r, "", w.now.Add(min(awaitEvery, time.Duration(w.c.Within))), st.Key, came, "")
	default:
		w.moved(r, "", w.now.Add(time.Duration(w.c.Within)), st.Key, came, "")
	}
}

// effect writes down what a step does to a customer. In a rehearsal only mails are made, as they show what they would
// be, and none is sent.
func (w *writing) effect(r run, st Step) {
	if st.Do != DoMail && !w.c.touches() {
		return
	}
	switch st.Do {
	case DoMail:
		w.mails = append(w.mails, mailRow{email: r.email, step: st.Key, occurrence: r.occurrence, variant: r.arm,
			version: st.text(r.arm).Version, dueAt: r.nextAt, notAfter: r.late(w.c)})
	case DoTag:
		w.tags = append(w.tags, tagRow{r.email, st.Tag})
	case DoUntag:
		w.untags = append(w.untags, tagRow{r.email, st.Tag})
	case DoNote:
		w.notes = append(w.notes, noteRow{r.email, st.Note})
	}
}

// moved writes down where a run is now.
func (w *writing) moved(r run, step string, next time.Time, key, came, ended string) {
	done := []byte("{}")
	if key != "" {
		done, _ = json.Marshal(map[string]outcome{key: {w.now.UTC(), came}}) // texts and times always marshal
	}
	w.ids, w.steps, w.nextAt = append(w.ids, r.id), append(w.steps, step), append(w.nextAt, next)
	w.done, w.ended = append(w.done, string(done)), append(w.ended, ended)
}
