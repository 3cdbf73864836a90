package campaigns

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"rollcall/store/pg"
)

// enterChunk is how many enter in one transaction.
const enterChunk = 5000

// Look asks the campaign whose turn it is, and which was last asked more than every ago, who enters now. It reports
// whether there was one. It looks over the whole window each time, and who is in is in: so a webhook that comes late
// still counts, and a look that was cut off is made up for by the next.
func (s *Campaigns) Look(ctx context.Context, now time.Time, every time.Duration) (looked bool, err error) {
	defer pg.Wrap(&err, "campaigns.Look")
	rows := pg.Query(ctx, s.Pool, `
		WITH turn AS (
			SELECT id AS campaign
			FROM campaigns
			WHERE state IN ('rehearsal', 'on')
			  AND looked_at <= $1::timestamptz - $2::interval
			  AND starts_from <= $1
			  AND (kind = 'flow' OR entered_at IS NULL)
			ORDER BY looked_at, id
			LIMIT 1
			FOR NO KEY UPDATE SKIP LOCKED
		),
		looked AS (
			UPDATE campaigns SET looked_at = $1 FROM turn WHERE id = turn.campaign
		)`+selectCampaigns+`WHERE id = (SELECT campaign FROM turn)`, now, every)
	c, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.enter(ctx, &c, now)
}

// entrants are some who enter.
type entrants struct {
	emails, occurrences, about, arms []string
	due                              []time.Time
}

// enter lets all enter for whom a campaign's question is true now, in chunks. It reads them with one connection and
// writes with another, so that neither a long list nor a long transaction is held, and neither waits for the other.
func (s *Campaigns) enter(ctx context.Context, c *Campaign, now time.Time) error {
	if many, err := s.tooMany(ctx, c); err != nil || many {
		return err
	}
	sql, args, err := s.enteringNow(ctx, s.Pool, c, now)
	if err != nil {
		return err
	}
	chunks := make(chan entrants)
	both, together := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(chunks)
		return s.read(together, sql, args, chunks)
	})
	both.Go(func() error {
		for e := range chunks {
			if err := s.write(together, c, e, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err := both.Wait(); err != nil {
		return err
	}
	_, err = s.Pool.Exec(ctx, `
		UPDATE campaigns
		SET entered_at = $3
		WHERE id = $1
		  AND switched_at = $2
		  AND entered_at IS NULL`, c.ID, c.SwitchedAt, now)
	return err
}

// read reads who enters, and sends them on in chunks.
func (s *Campaigns) read(ctx context.Context, sql string, args pg.Arguments, chunks chan<- entrants) error {
	rows := pg.Query(ctx, s.Pool, `SELECT email, occurrence, about, arm, became_due_at FROM (`+sql+`) e`,
		planned(args)...)
	var e entrants
	var email, occurrence, about, arm string
	var due time.Time
	_, err := pgx.ForEachRow(rows, []any{&email, &occurrence, &about, &arm, &due}, func() error {
		e.emails, e.occurrences, e.about = append(e.emails, email), append(e.occurrences, occurrence), append(e.about, about)
		e.arms, e.due = append(e.arms, arm), append(e.due, due)
		if len(e.emails) < enterChunk {
			return nil
		}
		err := e.send(ctx, chunks)
		e = entrants{}
		return err
	})
	if err != nil || len(e.emails) == 0 {
		return err
	}
	return e.send(ctx, chunks)
}

func (e entrants) send(ctx context.Context, chunks chan<- entrants) error {
	select {
	case chunks <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enteringNow is SQL for who enters a campaign now.
func (s *Campaigns) enteringNow(ctx context.Context, db pg.Querier, c *Campaign, now time.Time) (
	sql string, args pg.Arguments, err error) {
	z, err := zone(ctx, db, c.store)
	if err == nil {
		sql, err = s.entering(ctx, db, ask(c, now, z, &args))
	}
	return sql, args, err
}

// errSwitched ends a look at a campaign that was switched or changed meanwhile.
var errSwitched = errors.New("the campaign was switched or changed meanwhile")

// write writes some who enter. One whom a merge or a move takes elsewhere just then leaves a run where no one lives,
// which its first step ends, and enters again under the other address. The question left out those who are in: that one
// of them is meanwhile is rare, and to expect it of each costs half as much again.
func (s *Campaigns) write(ctx context.Context, c *Campaign, e entrants, now time.Time) error {
	err := s.insert(ctx, c, e, now, "")
	if pg.UniqueViolation(err) {
		err = s.insert(ctx, c, e, now, "ON CONFLICT DO NOTHING")
	}
	return err
}

func (s *Campaigns) insert(ctx context.Context, c *Campaign, e entrants, now time.Time, twice string) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		var same bool
		if err := tx.QueryRow(ctx, `
			SELECT state IN ('rehearsal', 'on') AND version = $2 AND switched_at = $3
			FROM campaigns
			WHERE id = $1
			FOR SHARE`, c.ID, c.Version, c.SwitchedAt).Scan(&same); err != nil {
			return err
		}
		if !same {
			return errSwitched
		}
		first := c.Steps[0]
		_, err := tx.Exec(ctx, `
			INSERT INTO runs (campaign_id, store_id, version, entered_at, step, next_at,
				email, occurrence, about, arm, became_due_at)
			SELECT $1, $2, $3, $4, $5, GREATEST($6, x.due + $7::interval), x.email, x.occurrence, x.about, x.arm, x.due
			FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
				AS x(email, occurrence, about, arm, due)
			`+twice, c.ID, c.store, c.Version, now, first.Key, c.SwitchedAt, time.Duration(first.Wait),
			e.emails, e.occurrences, e.about, e.arms, e.due)
		return err
	})
}
