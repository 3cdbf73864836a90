package bulk

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Step does the next chunk of an action, in one transaction, and reports whether there was
// anything to do. Stores take turns; the actions of one are done one after the other. The
// lock on the action's row is what says that it is in hand, and a worker that dies lets go
// of it.
//
// A chunk never waits for customers while it holds others: those whom a webhook changes
// just now are done later. So no webhook waits for more than one chunk, and no two
// transactions for each other.
func (s *Bulk) Step(ctx context.Context) (worked bool, err error) {
	defer pg.Wrap(&err, "bulk.Step")
	var a todo
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if a, err = next(ctx, tx); err != nil {
			return err
		}
		worked, err = s.do(ctx, tx, a)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) && a.id == "" {
		return false, nil
	}
	if pg.Permanent(err) {
		_, failed := s.Pool.Exec(ctx, endSQL, a.id, "failed", "The database refused a change: "+pg.Fault(err)+".")
		return true, errors.Join(err, failed)
	}
	return worked, err
}

// todo is an action in hand.
type todo struct {
	id, store, action, target string
	undoes                    *string
	author                    string
}

// next takes the action in hand whose turn it is.
func next(ctx context.Context, tx pgx.Tx) (a todo, err error) {
	err = tx.QueryRow(ctx, `
		SELECT
			id,
			store_id,
			action,
			target,
			undoes,
			started_by
		FROM bulk_actions a
		WHERE status IN ('queued', 'running')
		  AND NOT EXISTS (
			SELECT
			FROM bulk_actions b
			WHERE b.store_id = a.store_id
			  AND b.status IN ('queued', 'running')
			  AND b.number < a.number
		  )
		ORDER BY moved_at, number
		LIMIT 1
		FOR NO KEY UPDATE SKIP LOCKED`).Scan(&a.id, &a.store, &a.action, &a.target, &a.undoes, &a.author)
	return a, err
}

// do does the first chunk that is left, and ends the action behind the last one.
func (s *Bulk) do(ctx context.Context, tx pgx.Tx, a todo) (worked bool, err error) {
	err = s.existing(ctx, tx, a.store, a.target)
	if errors.Is(err, pg.ErrNotFound) {
		_, err = tx.Exec(ctx, endSQL, a.id, "failed", "The tag or segment was deleted.")
		return true, err
	}
	if err != nil {
		return false, err
	}
	var number int
	var meant []int64
	if err := tx.QueryRow(ctx, `
		SELECT number, customers FROM bulk_chunks WHERE bulk_id = $1 ORDER BY number LIMIT 1`, a.id).Scan(
		&number, &meant); err != nil {
		return false, err
	}
	held, left, err := hold(ctx, tx, a.store, meant)
	if err != nil {
		return false, err
	}
	var changed int
	if err := tx.QueryRow(ctx, a.sql(), a.id, a.store, a.target, a.author, held.meant, held.ids, held.emails,
		a.undoes).Scan(&changed); err != nil {
		return false, err
	}
	if err := leave(ctx, tx, a.id, number, left); err != nil {
		return false, err
	}
	done := len(meant) - len(left)
	_, err = tx.Exec(ctx, doneSQL, a.id, done, changed)
	return done > 0, err
}

// leave leaves customers of a chunk for later, behind the others.
func leave(ctx context.Context, tx pgx.Tx, id string, number int, left []int64) (err error) {
	if len(left) == 0 {
		_, err = tx.Exec(ctx, `DELETE FROM bulk_chunks WHERE bulk_id = $1 AND number = $2`, id, number)
	} else {
		_, err = tx.Exec(ctx, `
			UPDATE bulk_chunks
			SET
				customers = $3,
				number = (SELECT max(number) + 1 FROM bulk_chunks WHERE bulk_id = $1)
			WHERE bulk_id = $1 AND number = $2`, id, number, left)
	}
	return err
}

// doneSQL counts what was done.
const doneSQL = `
	UPDATE bulk_actions
	SET
		seen = seen + $2,
		changed = changed + $3,
		moved_at = clock_timestamp(),
		status = CASE WHEN EXISTS (SELECT FROM bulk_chunks WHERE bulk_id = $1) THEN 'running' ELSE 'done' END,
		ended_at = CASE WHEN NOT EXISTS (SELECT FROM bulk_chunks WHERE bulk_id = $1) THEN clock_timestamp() END
	WHERE id = $1`

// people are customers whose rows are locked.
type people struct {
	meant  []int64 // as they were selected
	ids    []int64 // as they are now
	emails []string
}

// hold locks those of the customers whom no other transaction changes; left are the others.
// Who was merged is who they were merged into, and who is gone is done.
func hold(ctx context.Context, tx pgx.Tx, store string, meant []int64) (held people, left []int64, err error) {
	var were, ids []int64
	rows, err := tx.Query(ctx, nowSQL, store, meant)
	if err != nil {
		return held, nil, err
	}
	var was, id int64
	if _, err := pgx.ForEachRow(rows, []any{&was, &id}, func() error {
		were, ids = append(were, was), append(ids, id)
		return nil
	}); err != nil {
		return held, nil, err
	}
	if rows, err = tx.Query(ctx, holdSQL, store, ids); err != nil {
		return held, nil, err
	}
	emails := map[int64]string{}
	var email string
	if _, err := pgx.ForEachRow(rows, []any{&id, &email}, func() error {
		emails[id] = email
		return nil
	}); err != nil {
		return held, nil, err
	}
	for i, was := range were {
		email, locked := emails[ids[i]]
		if !locked {
			left = append(left, was)
			continue
		}
		held.meant, held.ids, held.emails = append(held.meant, was), append(held.ids, ids[i]), append(held.emails, email)
	}
	slices.Sort(left)
	return held, left, nil
}

const (
	nowSQL = `
	WITH RECURSIVE now AS (
		SELECT m AS meant, m AS id
		FROM unnest($2::bigint[]) m
		UNION
		SELECT n.meant, m.into_id
		FROM now n
		JOIN customer_merges m ON m.store_id = $1 AND m.from_id = n.id
	)
	SELECT n.meant, c.id
	FROM now n
	JOIN customers c ON c.id = n.id
	WHERE c.store_id = $1`

	holdSQL = `
	SELECT id, email
	FROM customers
	WHERE store_id = $1 AND id = ANY($2)
	ORDER BY id
	FOR NO KEY UPDATE SKIP LOCKED`
)

// sql is the statement that changes held customers, writes down what it changed, and
// counts that.
func (a todo) sql() string {
	change := map[string]string{Add: addSQL, Remove: removeSQL}[a.action]
	if a.undoes != nil {
		change = map[string]string{Add: restoreSQL, Remove: withdrawSQL}[a.action]
	}
	return `
	WITH held AS MATERIALIZED (
		SELECT *
		FROM unnest($5::bigint[], $6::bigint[], $7::text[]) AS h(meant, id, email)
		WHERE coalesce($4::text, $8::text) IS NOT NULL -- uses all arguments
	),
	changed AS (` + change + `),
	kept AS (
		INSERT INTO bulk_changes (bulk_id, customer_id, tagged_at, tagged_by)
		SELECT DISTINCT $1, h.id, c.tagged_at, c.tagged_by
		FROM changed c
		JOIN held h USING (email)
		ON CONFLICT (bulk_id, customer_id) DO UPDATE SET
			tagged_at = EXCLUDED.tagged_at,
			tagged_by = EXCLUDED.tagged_by
	)
	SELECT count(*) FROM changed`
}

const (
	addSQL = `
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		SELECT DISTINCT $2, email, $3, $4
		FROM held
		ON CONFLICT DO NOTHING
		RETURNING email, tagged_at, tagged_by`

	removeSQL = `
		DELETE FROM customer_tags t
		USING (SELECT DISTINCT email FROM held) h
		WHERE t.store_id = $2
		  AND t.email = h.email
		  AND t.tag_id = $3
		RETURNING t.email, t.tagged_at, t.tagged_by`

	// restoreSQL puts back what an action removed, as it was.
	restoreSQL = `
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_at, tagged_by)
		SELECT DISTINCT ON (h.email) $2, h.email, $3, k.tagged_at, k.tagged_by
		FROM held h
		JOIN bulk_changes k ON k.bulk_id = $8 AND k.customer_id = h.meant
		ORDER BY h.email, k.tagged_at, k.tagged_by
		ON CONFLICT DO NOTHING
		RETURNING email, tagged_at, tagged_by`

	// withdrawSQL removes what an action added, unless it was removed and added since: the
	// time says which row it was.
	withdrawSQL = `
		DELETE FROM customer_tags t
		USING (
			SELECT DISTINCT h.email, k.tagged_at
			FROM held h
			JOIN bulk_changes k ON k.bulk_id = $8 AND k.customer_id = h.meant
		) h
		WHERE t.store_id = $2
		  AND t.email = h.email
		  AND t.tag_id = $3
		  AND t.tagged_at = h.tagged_at
		RETURNING t.email, t.tagged_at, t.tagged_by`
)
