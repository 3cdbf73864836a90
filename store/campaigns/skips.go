package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Skips is SQL for why campaigns do not want a mail m to be sent any more: the goal is reached, its reason is gone, or
// the campaign is in rehearsal, paused or ended. The claim of mails asks it as of the first of args, so a mail that
// waited is asked again. It is of the type mail.Skips.
func (s *Campaigns) Skips(ctx context.Context, tx pgx.Tx, storeID string, args *pg.Arguments) (sql string, err error) {
	defer pg.Wrap(&err, "campaigns.Skips(%q)", storeID)
	rows := pg.Query(ctx, tx, selectCampaigns+`WHERE store_id = $1 AND state = 'on' ORDER BY id`, storeID)
	on, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return "", err
	}
	z, err := zone(ctx, tx, storeID)
	if err != nil {
		return "", err
	}
	now, _ := (*args)[0].(time.Time)
	verdicts := ""
	for i := range on {
		a := ask(&on[i], now, z, args)
		verdicts += ` WHEN ` + a.fill("@campaign", nil) + ` THEN ` + a.verdict()
	}
	if verdicts != "" {
		verdicts = ` CASE m.campaign_id` + verdicts + ` END`
	} else {
		verdicts = ` NULL`
	}
	return `
		SELECT CASE WHEN m.class <> 'test' THEN coalesce(
			CASE coalesce((SELECT k.state FROM campaigns k WHERE k.id = m.campaign_id), 'ended')
				WHEN 'on' THEN NULL
				WHEN 'rehearsal' THEN 'rehearsal'
				WHEN 'paused' THEN 'paused'
				ELSE 'ended'
			END,
			(
				SELECT CASE WHEN r.ended_for = 'merged' THEN 'merged' ELSE ` + verdicts + ` END
				FROM runs r
				LEFT JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
				WHERE r.campaign_id = m.campaign_id
				  AND r.email = m.email
				  AND r.occurrence = m.occurrence
				ORDER BY r.twin <> 0
				LIMIT 1
			)) END`, nil
}
