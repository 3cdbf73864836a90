package campaigns

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Figures are what became of a campaign so far.
type Figures struct {
	Entered int64 `json:"entered"` // runs
	Open    int64 `json:"open"`    // of them, those that go on
	Goals   int64 `json:"goals"`   // of them, those that ended at the goal
	Sent    int64 `json:"sent"`    // mails
}

// Figures are those of a store's campaigns, by their ids. What takes too long to count is a zero.
func (s *Campaigns) Figures(ctx context.Context, storeID string) (all map[string]Figures, err error) {
	defer pg.Wrap(&err, "campaigns.Figures(%q)", storeID)
	all = map[string]Figures{}
	if !pg.Storable(storeID) {
		return all, nil
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT
				c.id,
				r.entered,
				r.open,
				r.goals,
				m.sent
			FROM campaigns c
			CROSS JOIN LATERAL (
				SELECT
					count(*) AS entered,
					count(*) FILTER (WHERE ended_at IS NULL AND step <> '') AS open,
					count(*) FILTER (WHERE ended_for = 'goal') AS goals
				FROM runs
				WHERE campaign_id = c.id
			) r
			CROSS JOIN LATERAL (
				SELECT count(*) AS sent
				FROM mails
				WHERE campaign_id = c.id
				  AND status = 'sent'
			) m
			WHERE c.store_id = $1`, storeID)
		if err != nil {
			return err
		}
		var id string
		var f Figures
		_, err = pgx.ForEachRow(rows, []any{&id, &f.Entered, &f.Open, &f.Goals, &f.Sent}, func() error {
			all[id] = f
			return nil
		})
		return err
	})
	if pg.TimedOut(err) {
		err = nil
	}
	return all, err
}
