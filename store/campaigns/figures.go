package campaigns

import (
	"context"
	"time"

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

// figures is SQL that joins to campaigns c their figures r and m, where a condition is true.
func figures(where string) string {
	return `
			CROSS JOIN LATERAL (
				SELECT
					count(*) AS entered,
					count(*) FILTER (WHERE ended_at IS NULL AND step <> '') AS open,
					count(*) FILTER (WHERE ended_for = 'goal') AS goals
				FROM runs
				WHERE campaign_id = c.id
				  AND ` + where + `
			) r
			CROSS JOIN LATERAL (
				SELECT count(*) AS sent
				FROM mails
				WHERE campaign_id = c.id
				  AND status = 'sent'
				  AND ` + where + `
			) m`
}

// Figures are those of a store's campaigns, by their ids. What takes too long to count is a zero. Those of campaigns
// with many runs are of when their results were counted last.
func (s *Campaigns) Figures(ctx context.Context, storeID string, now time.Time) (
	all map[string]Figures, err error) {
	defer pg.Wrap(&err, "campaigns.Figures(%q)", storeID)
	all = map[string]Figures{}
	var old []string // with many runs, and not counted of late
	if !pg.Storable(storeID) {
		return all, nil
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		rows := pg.Query(ctx, tx, `
			SELECT
				c.id,
				coalesce(k.results -> 'figures', jsonb_build_object('entered', r.entered, 'open', r.open, 'goals', r.goals,
					'sent', m.sent)),
				coalesce(k.counted_at <= $2, true)
			FROM campaigns c
			LEFT JOIN campaign_results k ON k.campaign_id = c.id AND k.counted_at IS NOT NULL`+
			figures("k.campaign_id IS NULL")+`
			WHERE c.store_id = $1`, storeID, now.Add(-keptFor))
		var id string
		var f Figures
		var late bool
		return pg.Each(rows, []any{&id, &f, &late}, func() {
			if all[id] = f; late && f.Entered > s.mostCounted {
				old = append(old, id)
			}
		})
	})
	if pg.TimedOut(err) {
		err = nil
	}
	if err == nil && len(old) > 0 {
		err = s.wantCounted(ctx, old, now)
	}
	return all, err
}
