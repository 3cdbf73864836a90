package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// write writes what a chunk of runs comes to. What is there already stays as it is.
func (w *writing) write(ctx context.Context, tx pgx.Tx) error {
	var batch pgx.Batch
	w.writeMails(&batch)
	w.writeTags(&batch)
	w.writeNotes(&batch)
	if len(w.ids) > 0 {
		batch.Queue(`
			UPDATE runs r
			SET
				step = x.step,
				next_at = x.next_at,
				done = r.done || x.done::jsonb,
				ended_at = CASE WHEN x.ended_for <> '' THEN $1::timestamptz END,
				ended_for = nullif(x.ended_for, '')
			FROM unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
				AS x(id, step, next_at, done, ended_for)
			WHERE r.id = x.id`, w.now, w.ids, w.steps, w.nextAt, w.done, w.ended)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// writeMails writes mails, which go as soon as the store's rules allow. They are due since their steps are, whichever
// chunk makes them: see mail.Order.
func (w *writing) writeMails(batch *pgx.Batch) {
	if len(w.mails) == 0 {
		return
	}
	var emails, steps, occurrences, variants []string
	var versions []int
	var dueAt, notAfter []time.Time
	for _, m := range w.mails {
		emails, steps, occurrences = append(emails, m.email), append(steps, m.step), append(occurrences, m.occurrence)
		variants, versions = append(variants, m.variant), append(versions, m.version)
		dueAt, notAfter = append(dueAt, m.dueAt), append(notAfter, m.notAfter)
	}
	batch.Queue(`
		INSERT INTO mails (store_id, class, campaign_id, priority, email, step, occurrence, variant, version, due_at,
			not_after)
		SELECT $1, $2, $3, $4, x.*
		FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::timestamptz[], $11::timestamptz[]) x
		ON CONFLICT DO NOTHING`, w.c.store, w.c.Class, w.c.ID, w.c.Priority, emails, steps, occurrences, variants,
		versions, dueAt, notAfter)
}

func (w *writing) writeTags(batch *pgx.Batch) {
	columns := func(rows []tagRow) (emails, tags []string) {
		for _, t := range rows {
			emails, tags = append(emails, t.email), append(tags, t.tag)
		}
		return emails, tags
	}
	if len(w.tags) > 0 {
		emails, tags := columns(w.tags)
		batch.Queue(`
			INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
			SELECT DISTINCT $1, x.email, t.id, 'campaign:' || $2::text
			FROM unnest($3::text[], $4::text[]) AS x(email, tag)
			JOIN tags t ON t.id = x.tag AND t.store_id = $1
			ON CONFLICT DO NOTHING`, w.c.store, w.c.ID, emails, tags)
	}
	if len(w.untags) > 0 {
		emails, tags := columns(w.untags)
		batch.Queue(`
			DELETE FROM customer_tags t
			USING unnest($2::text[], $3::text[]) AS x(email, tag)
			WHERE t.store_id = $1
			  AND t.email = x.email
			  AND t.tag_id = x.tag`, w.c.store, emails, tags)
	}
}

func (w *writing) writeNotes(batch *pgx.Batch) {
	var emails, notes []string
	for _, n := range w.notes {
		emails, notes = append(emails, n.email), append(notes, n.note)
	}
	if len(notes) > 0 {
		batch.Queue(`
			INSERT INTO customer_notes (store_id, email, body, author)
			SELECT $1, x.email, x.note, 'campaign:' || $2::text
			FROM unnest($3::text[], $4::text[]) AS x(email, note)`, w.c.store, w.c.ID, emails, notes)
	}
}
