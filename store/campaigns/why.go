package campaigns

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/store/pg"
)

// Story is what a campaign was for one customer: their runs or, if there are none, why not.
type Story struct {
	Campaign string     `json:"campaign"` // id
	Name     string     `json:"name"`
	State    string     `json:"state"`
	Runs     []TheirRun `json:"runs"`    // the newest first
	WhyNot   string     `json:"why_not"` // a sentence; empty: there are runs
}

// TheirRun is a run of a customer.
type TheirRun struct {
	Occurrence  string      `json:"occurrence"`
	BecameDueAt time.Time   `json:"became_due_at"`
	EnteredAt   time.Time   `json:"entered_at"`
	Arm         string      `json:"arm"`
	NextStep    string      `json:"next_step"` // key; empty: none
	NextAt      *time.Time  `json:"next_at"`   // null: it has ended
	EndedAt     *time.Time  `json:"ended_at"`
	EndedFor    string      `json:"ended_for"`
	Done        []TheirStep `json:"done"`
}

// TheirStep is a step that was done for a customer, and what became of its mail.
type TheirStep struct {
	Step    string     `json:"step"`
	At      time.Time  `json:"at"`
	Outcome string     `json:"outcome"` // done, held or skipped
	Mail    string     `json:"mail"`    // its status; empty: it made none
	Reason  string     `json:"reason"`  // why it was not sent, or what it waits for
	SentAt  *time.Time `json:"sent_at"`
	MailID  int64      `json:"-"`
}

// OfCustomer tells what each campaign of a store that is no draft was for a customer: what they got, and why they did
// not. ErrNotFound also for another store's.
func (s *Campaigns) OfCustomer(ctx context.Context, storeID, customer string, now time.Time) (all []Story, err error) {
	defer pg.Wrap(&err, "campaigns.OfCustomer(%q, %q)", storeID, customer)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return nil, err
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `SELECT email FROM customers WHERE store_id = $1 AND id = $2`, storeID, id).Scan(
			&email); err != nil {
			return pg.NotFound(err)
		}
		all = []Story{}
		rows := pg.Query(ctx, tx, selectCampaigns+`WHERE store_id = $1 AND state <> 'draft' ORDER BY switched_at DESC, id`,
			storeID)
		campaigns, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return err
		}
		runs, err := theirRuns(ctx, tx, storeID, email)
		if err != nil {
			return err
		}
		for i := range campaigns {
			c := &campaigns[i]
			story := Story{Campaign: c.ID, Name: c.Name, State: c.State, Runs: runs[c.ID]}
			if len(story.Runs) == 0 {
				story.Runs = []TheirRun{}
				if story.WhyNot, err = s.whyNot(ctx, tx, c, id, now); err != nil {
					return err
				}
			}
			all = append(all, story)
		}
		return nil
	})
	return all, err
}

// theirRuns are the runs of a customer by campaign.
func theirRuns(ctx context.Context, tx pgx.Tx, storeID, email string) (map[string][]TheirRun, error) {
	rows := pg.Query(ctx, tx, `
		SELECT
			r.campaign_id,
			r.occurrence,
			r.became_due_at,
			r.entered_at,
			r.arm,
			CASE WHEN r.ended_at IS NULL THEN r.step ELSE '' END,
			CASE WHEN r.ended_at IS NULL THEN r.next_at END,
			r.ended_at,
			coalesce(r.ended_for, ''),
			coalesce((
				SELECT jsonb_agg(jsonb_build_object('step', d.key, 'at', d.value -> 'at', 'outcome', d.value -> 'outcome',
					'mail', coalesce(m.status, ''), 'reason', coalesce(m.reason, ''), 'sent_at', m.sent_at) ORDER BY d.value ->> 'at')
				FROM jsonb_each(r.done) d
				LEFT JOIN mails m ON m.campaign_id = r.campaign_id AND m.step = d.key AND m.email = r.email
					AND m.occurrence = r.occurrence AND m.twin = 0
			), '[]')
		FROM runs r
		WHERE r.store_id = $1
		  AND r.email = $2
		ORDER BY r.entered_at DESC, r.id DESC`, storeID, email)
	all := map[string][]TheirRun{}
	var campaign string
	var r TheirRun
	err := pg.Each(rows, []any{&campaign, &r.Occurrence, &r.BecameDueAt, &r.EnteredAt, &r.Arm, &r.NextStep,
		&r.NextAt,
		&r.EndedAt, &r.EndedFor, &r.Done}, func() {
		r.BecameDueAt, r.EnteredAt = r.BecameDueAt.UTC(), r.EnteredAt.UTC()
		r.NextAt, r.EndedAt = pg.UTC(r.NextAt), pg.UTC(r.EndedAt)
		all[campaign] = append(all[campaign], r)
		r = TheirRun{}
	})
	return all, err
}

// whyNot says why a customer did not enter a campaign.
func (s *Campaigns) whyNot(ctx context.Context, tx pgx.Tx, c *Campaign, customer int64, now time.Time) (string, error) {
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return "", err
	}
	var args pg.Arguments
	a := ask(c, now, z, &args)
	a.after = sinceEver
	audience, err := s.audience(ctx, tx, a)
	if err != nil {
		return "", err
	}
	elsewhere, err := a.elsewhere(ctx, tx)
	if err != nil {
		return "", err
	}
	var due time.Time
	var own, in, mailed bool
	var verdict *string
	err = tx.QueryRow(ctx, `
		SELECT r.became_due_at, c.email = ANY (`+ownPeople(a)+`), (true`+audience+`), `+elsewhere+`, `+a.verdict()+`
		FROM `+a.asked()+`
		WHERE c.id = `+args.Add(customer)+`
		ORDER BY r.became_due_at DESC
		LIMIT 1`, planned(args)...).Scan(&due, &own, &in, &mailed, &verdict)
	from := c.windowFrom(now)
	switch {
	case pg.NotFound(err) == pg.ErrNotFound:
		return "What the campaign asks for is not true of them.", nil
	case err != nil:
		return "", err
	case own:
		return "They are one of the people of the store.", nil
	case !in:
		return "The campaign is for other customers.", nil
	case verdict != nil:
		return fmt.Sprintf("They would get nothing: %s.", EndText(*verdict)), nil
	case mailed:
		return "Another campaign of the same recipe has mailed them about it.", nil
	case c.StartsFrom != nil && !due.After(*c.StartsFrom):
		return fmt.Sprintf("It became true of them on %s, before the campaign began.", show.Moment(due)), nil
	case !due.After(from):
		return fmt.Sprintf("It became true of them on %s, and it was too late when it was known.", show.Moment(due)), nil
	case c.State != On && c.State != Rehearsal:
		return fmt.Sprintf("The campaign is %s.", StateText(c.State)), nil
	}
	return "They enter at the next look, in a few minutes, unless they have been in it before.", nil
}

// EndText is why a run ended, in words.
func EndText(reason string) string {
	if text := map[string]string{
		forGoal: "the goal is reached", forDone: "all steps are done", forLate: "it was too late",
		"gone": "they are no customer any more", "left": "they left the course", "refunded": "they got their money back",
		"cancelled": "it was cancelled", "expired": "the order cannot be taken up any more",
		"changed": "the date has changed",
		"merged":  "two customers were merged, and the other one goes on", "ended": "the campaign was ended",
	}[reason]; text != "" {
		return text
	}
	return reason
}
