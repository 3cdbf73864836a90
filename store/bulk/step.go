package bulk

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Step does the next chunk of an action, in one transaction, and reports whether there was
// anything to do. Stores take turns; the actions of one are done one after the other. The
// lock on the action's row is what says that it is in hand, and a worker that dies lets go
// of it.
//
// A chunk never waits for customers while it holds others: those whom another transaction
// changes just now are done later. So no webhook waits for more than one chunk, and no two
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
	chunk                     int
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
			started_by,
			chunk
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
		FOR NO KEY UPDATE SKIP LOCKED`).Scan(&a.id, &a.store, &a.action, &a.target, &a.undoes, &a.author, &a.chunk)
	return a, err
}

// do does a chunk, and ends the action behind the last one.
func (s *Bulk) do(ctx context.Context, tx pgx.Tx, a todo) (worked bool, err error) {
	err = s.existing(ctx, tx, a.store, a.target)
	if errors.Is(err, pg.ErrNotFound) {
		_, err = tx.Exec(ctx, endSQL, a.id, "failed", "The tag or segment was deleted.")
		return true, err
	}
	if err != nil {
		return false, err
	}
	held, err := pg.Column[string](ctx, tx, holdSQL, a.id, a.chunk)
	if err != nil {
		return false, err
	}
	var done, changed int
	if err := tx.QueryRow(ctx, a.sql(), a.id, a.store, a.target, a.author, a.undoes, a.chunk, held).Scan(
		&done, &changed); err != nil {
		return false, err
	}
	left, err := tx.Exec(ctx, leaveSQL, a.id, a.chunk)
	if err == nil {
		_, err = tx.Exec(ctx, doneSQL, a.id, done, changed, min(1, left.RowsAffected()))
	}
	return done > 0 || left.RowsAffected() == 0, err // not: others hold all of them, so this waits
}

const (
	// holdSQL locks what is kept of the tags of a chunk's customers, but of those whom another
	// transaction changes. That is what is written anyway; a lock on the customers would
	// write all their pages too.
	holdSQL = `
	SELECT c.email
	FROM bulk_people p
	JOIN customers c ON c.store_id = p.store_id AND c.email = p.email
	JOIN customer_index i ON i.customer_id = c.id
	WHERE p.bulk_id = $1 AND p.chunk = $2
	ORDER BY c.id
	FOR NO KEY UPDATE OF i SKIP LOCKED`

	// leaveSQL leaves the rest of a chunk for later, behind the others.
	leaveSQL = `
	UPDATE bulk_people
	SET chunk = (SELECT chunks FROM bulk_actions WHERE id = $1)
	WHERE bulk_id = $1 AND chunk = $2`

	// doneSQL counts what was done, and goes on to the next chunk.
	doneSQL = `
	UPDATE bulk_actions
	SET
		seen = seen + $2,
		changed = changed + $3,
		chunk = chunk + 1,
		chunks = chunks + $4,
		moved_at = clock_timestamp(),
		status = CASE WHEN chunk + 1 < chunks + $4 THEN 'running' ELSE 'done' END,
		ended_at = CASE WHEN chunk + 1 = chunks + $4 THEN clock_timestamp() END
	WHERE id = $1`
)

// sql is the statement that changes the locked customers $7 of a chunk, writes down what it
// changed, and counts. Those who moved away before they were locked are in another row of
// bulk_people now; who is gone is done.
func (a todo) sql() string {
	change := map[string]string{Add: addSQL, Remove: removeSQL}[a.action]
	if a.undoes != nil {
		change = map[string]string{Add: restoreSQL, Remove: withdrawSQL}[a.action]
	}
	return `
	WITH done AS (
		DELETE FROM bulk_people p
		WHERE p.bulk_id = $1
		  AND p.chunk = $6
		  AND (p.email = ANY($7::text[])
			OR NOT EXISTS (SELECT FROM customers c WHERE c.store_id = p.store_id AND c.email = p.email))
		RETURNING email
	),
	held AS (
		SELECT DISTINCT email
		FROM done
		WHERE email = ANY($7)
		  AND coalesce($4::text, $5::text) IS NOT NULL -- uses all arguments
	),
	changed AS (` + change + `),
	kept AS (
		INSERT INTO bulk_changes (bulk_id, store_id, email, tagged_at, tagged_by)
		SELECT $1, $2, email, tagged_at, tagged_by
		FROM changed
	)
	SELECT
		(SELECT count(*) FROM done),
		(SELECT count(*) FROM changed)`
}

const (
	addSQL = `
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		SELECT $2, email, $3, $4
		FROM held
		ON CONFLICT DO NOTHING
		RETURNING email, tagged_at, tagged_by`

	removeSQL = `
		DELETE FROM customer_tags t
		USING held h
		WHERE t.store_id = $2
		  AND t.email = h.email
		  AND t.tag_id = $3
		RETURNING t.email, t.tagged_at, t.tagged_by`

	// changesSQL are the changes of an action to a customer h. OFFSET 0 keeps it a look-up for each: of
	// an action that is not in the statistics yet, Postgres would read all changes for each.
	changesSQL = `SELECT tagged_at, tagged_by FROM bulk_changes WHERE bulk_id = $5 AND email = h.email OFFSET 0`

	// restoreSQL puts back what an action removed, as it was.
	restoreSQL = `
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_at, tagged_by)
		SELECT DISTINCT ON (h.email) $2, h.email, $3, k.tagged_at, k.tagged_by
		FROM held h
		CROSS JOIN LATERAL (` + changesSQL + `) k
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
			CROSS JOIN LATERAL (` + changesSQL + `) k
		) h
		WHERE t.store_id = $2
		  AND t.email = h.email
		  AND t.tag_id = $3
		  AND t.tagged_at = h.tagged_at
		RETURNING t.email, t.tagged_at, t.tagged_by`
)
