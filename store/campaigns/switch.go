package campaigns

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store/pg"
)

// Order switches a campaign.
type Order struct {
	To string `json:"to"` // the state: On, Rehearsal, Paused, Ended, or Draft after a rehearsal
	// Whom to begin with, from Draft or Rehearsal: those who become due from now on, or also those who did before.
	Past  string `json:"past"`  // empty or "none", "days" or "all"
	Days  int    `json:"days"`  // with "days": of the last so many
	Count *int   `json:"count"` // how many those are, typed in: needed for any past, and for campaigns of one time
	At    string `json:"at"`    // of a campaign of one time: when it is sent; empty: now
}

// The past that an order may name.
const (
	noPast   = "none"
	daysPast = "days"
	allPast  = "all"
)

// next are the states to which each may change.
var next = map[string][]string{
	Draft:     {Rehearsal, On},
	Rehearsal: {Draft, On, Ended},
	On:        {Paused, Ended},
	Paused:    {On, Ended},
}

// Switch switches a campaign at a time. The error is ErrNotFound, a *pg.BadParam, or a *pg.Conflict: of code
// wrong_status if it cannot change to that state, already_running if another of its recipe runs for the same customers,
// not_ready if its mails cannot be sent, and count_differs if not so many would get it as was typed in.
func (s *Campaigns) Switch(ctx context.Context, storeID, id string, o Order, now time.Time) (c Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.Switch(%q, %q)", storeID, id)
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if c, err = one(ctx, tx, storeID, id, "FOR NO KEY UPDATE"); err != nil {
			return err
		}
		if err := c.mayBe(o.To); err != nil {
			return err
		}
		if err := s.change(ctx, tx, &c, o, now); err != nil {
			return err
		}
		c, err = one(ctx, tx, storeID, id, "")
		return err
	})
	return c, err
}

func (c *Campaign) mayBe(state string) error {
	if slices.Contains(next[c.State], state) {
		return nil
	}
	return pg.Conflicts("wrong_status", "The campaign “%s” is %s, and cannot be switched to %q.", c.Name,
		StateText(c.State), state)
}

// StateText is a state in words.
func StateText(state string) string {
	return map[string]string{Draft: "a draft", Rehearsal: "in rehearsal", On: "on", Paused: "paused",
		Ended: "ended"}[state]
}

func (s *Campaigns) change(ctx context.Context, tx pgx.Tx, c *Campaign, o Order, now time.Time) error {
	if o.To == On || o.To == Rehearsal {
		if err := alone(ctx, tx, c); err != nil {
			return err
		}
	}
	if o.To == On {
		if err := ready(ctx, tx, c); err != nil {
			return err
		}
	}
	if c.State == Rehearsal { // what it did was for show
		if _, err := tx.Exec(ctx, `
			WITH mailed AS (
				DELETE FROM mails WHERE campaign_id = $1
			)
			DELETE FROM runs WHERE campaign_id = $1`, c.ID); err != nil {
			return err
		}
	}
	switch {
	case o.To == Ended:
		return end(ctx, tx, c.ID, now)
	case o.To == Paused || c.State == Paused:
		return s.pause(ctx, tx, c, o, now)
	case o.To == Draft:
		_, err := tx.Exec(ctx, `UPDATE campaigns SET state = $2, starts_from = NULL, switched_at = NULL, entered_at = NULL
			WHERE id = $1`, c.ID, Draft)
		return err
	}
	return s.start(ctx, tx, c, o, now)
}

// start switches a campaign on, or to a rehearsal.
func (s *Campaigns) start(ctx context.Context, tx pgx.Tx, c *Campaign, o Order, now time.Time) error {
	from, err := c.from(o, now)
	if err != nil {
		return err
	}
	if err := s.compare(ctx, tx, *c, o, from, now); err != nil {
		return err
	}
	if c.Kind == Flow && !from.Before(now) { // no number is needed
		o.Count = nil
	}
	_, err = tx.Exec(ctx, `
		UPDATE campaigns
		SET
			state = $2,
			starts_from = $3,
			switched_at = $4,
			confirmed = $5,
			entered_at = NULL,
			looked_at = '-infinity'
		WHERE id = $1`, c.ID, o.To, from, now, o.Count)
	return err
}

// from is the time from which an order counts.
func (c *Campaign) from(o Order, now time.Time) (time.Time, error) {
	switch {
	case c.Kind == Once && o.At != "":
		at, err := time.Parse(time.RFC3339, o.At)
		if err != nil || at.Before(now) || at.After(now.Add(time.Duration(maxWait))) {
			return at, pg.Refuse("at", "%q is not a time to come; write for example 2027-01-31T10:00:00Z", o.At)
		}
		return at, nil
	case c.Kind == Once, o.Past == "", o.Past == noPast:
		return now, nil
	case o.Past == allPast:
		return sinceEver, nil
	case o.Past == daysPast && o.Days >= 1 && o.Days <= 3650:
		return now.Add(-time.Duration(o.Days) * day), nil
	case o.Past == daysPast:
		return now, pg.Refuse("days", "is %d; give 1 to 3650", o.Days)
	}
	return now, pg.Refuse("past", "%q is not known; allowed are none, days and all", o.Past)
}

// compare refuses to reach others than as many as were typed in.
func (s *Campaigns) compare(ctx context.Context, tx pgx.Tx, c Campaign, o Order, from, now time.Time) error {
	if c.Kind == Flow && !from.Before(now) {
		return nil
	}
	n, err := s.reached(ctx, tx, c, from, now)
	if err != nil || o.Count != nil && *o.Count == n {
		return err
	}
	unmailed, err := s.unmailed(ctx, tx, c, from, now)
	switch {
	case err != nil:
		return err
	case o.Count == nil:
		return pg.Refuse("count", "is missing: this reaches %s at once. Type that number%s", show.Plural(n, "customer"),
			unmailed)
	}
	return pg.Conflicts("count_differs",
		"This would reach %s at once, and you typed %d. Nothing was switched. Look again, then repeat it%s.",
		show.Plural(n, "customer"), *o.Count, unmailed)
}

// Reach is how many customers a campaign that is switched on by an order would reach at once.
func (s *Campaigns) Reach(ctx context.Context, storeID, id string, o Order, now time.Time) (n int, err error) {
	defer pg.Wrap(&err, "campaigns.Reach(%q, %q)", storeID, id)
	c, err := s.Campaign(ctx, storeID, id)
	if err != nil {
		return 0, err
	}
	from, err := c.from(o, now)
	if err != nil || c.Kind == Flow && !from.Before(now) {
		return 0, err
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		n, err = s.reached(ctx, tx, c, from, now)
		return err
	})
	return n, err
}

// reached counts whom a campaign would reach at once if it started from a time.
func (s *Campaigns) reached(ctx context.Context, tx pgx.Tx, c Campaign, from, now time.Time) (n int, err error) {
	if c.Kind == Once {
		now = from
	}
	c.StartsFrom, c.SwitchedAt, c.EnteredAt = &from, &now, nil
	var args pg.Arguments
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return 0, err
	}
	sql, err := s.entering(ctx, tx, ask(&c, now, z, &args))
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM (`+sql+`) e`, planned(args)...).Scan(&n)
	return n, err
}

// pause holds back what a campaign has yet to send, or lets it go on. What is too late then is not sent. One that was
// paused for its audience goes on for as many as are typed in now.
func (s *Campaigns) pause(ctx context.Context, tx pgx.Tx, c *Campaign, o Order, now time.Time) error {
	due := `not_after + interval '1 second'`
	if o.To == On {
		due = `$3::timestamptz`
	}
	if c.PausedFor == "" {
		o.Count = c.Confirmed
	} else if err := s.compare(ctx, tx, *c, o, *c.StartsFrom, *c.SwitchedAt); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		WITH held AS (
			UPDATE mails SET due_at = `+due+` WHERE campaign_id = $1 AND status = 'due'
		)
		UPDATE campaigns
		SET
			state = $2,
			looked_at = LEAST(looked_at, $3::timestamptz),
			confirmed = $4,
			unconfirmed = false
		WHERE id = $1`, c.ID, o.To, now, o.Count)
	return err
}

// end ends a campaign and all its runs. Mails that are due are not sent any more, see Skips.
func end(ctx context.Context, tx pgx.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		WITH ended AS (
			UPDATE runs SET ended_at = $2, ended_for = 'ended' WHERE campaign_id = $1 AND ended_at IS NULL
		)
		UPDATE campaigns SET state = 'ended' WHERE id = $1`, id, now)
	return err
}
