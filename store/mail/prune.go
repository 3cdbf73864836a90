package mail

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Prune deletes, some at a time, what is not kept for good: messages in the mailbox and tests after
// 30 days, what reports on mails to erased people need after 90, mails after two years. By then no
// campaign asks for the same again.
func (m *Mails) Prune(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "mail.Prune")
	var batch pgx.Batch
	for _, sql := range []string{
		`DELETE FROM mailbox
		WHERE mail_id IN (SELECT mail_id FROM mailbox WHERE at < now() - interval '30 days' ORDER BY at LIMIT 500)`,
		`DELETE FROM erased_mails
		WHERE mail_id IN (
			SELECT mail_id
			FROM erased_mails
			WHERE erased_at < now() - interval '90 days'
			LIMIT 500
		)`,
		`DELETE FROM mails
		WHERE id IN (
			SELECT id
			FROM mails
			WHERE class = 'test'
			  AND made_at < now() - interval '30 days'
			  AND status <> 'sending'
			LIMIT 500
		)`,
		`DELETE FROM mails
		WHERE id IN (
			SELECT id
			FROM mails
			WHERE made_at < now() - interval '2 years'
			  AND status <> 'sending'
			LIMIT 500
		)`,
	} {
		batch.Queue(sql)
	}
	return m.Pool.SendBatch(ctx, &batch).Close()
}
