package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// backSeen is how long ago the activity of customers may be by which KeepBacks finds that they came back. It looks more
// often than that.
const backSeen = 3 * time.Hour

// keepBackSQL takes a time, and since when customers did something.
var keepBackSQL = `
	INSERT INTO mail_events (source, event_id, mail_id, kind, at, detail, settled_at)
	SELECT
		'rollcall',
		'back:' || b.mail_id,
		b.mail_id,
		'came_back',
		b.at,
		CASE WHEN b.text LIKE 'learned%' THEN 'learned' ELSE 'signed in' END,
		$1
	FROM mail_settings s -- the stores that mail
	JOIN customers c ON c.store_id = s.store_id AND c.last_activity_at > $2
	CROSS JOIN LATERAL (
		SELECT *
		FROM (` + cameBack + ` AND m.status || '' = 'sent') b -- not by an index of those that were sent
		WHERE b.store_id = c.store_id
		  AND b.email = c.email
		OFFSET 0 -- their mails are looked up
	) b
	WHERE b.text LIKE 'learned%'
	   OR b.text LIKE 'signed in%'
	ON CONFLICT (source, event_id) DO NOTHING`

// KeepBacks keeps who came back by a sign-in or by progress. Of these only the last time is known: the next would take
// the place of the first, and fewer would have come back each day. There is never more to do.
func (r *Recipients) KeepBacks(ctx context.Context, now time.Time) (more bool, err error) {
	defer pg.Wrap(&err, "mail.KeepBacks")
	return false, r.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lookUps); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, keepBackSQL, now, now.Add(-backSeen))
		return err
	})
}
