package store

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/finding"
	"rollcall/store/pg"
)

// What is kept beside the customers so that lists are quick, customer_index,
// customer_words and customer_figures, follows from them by triggers. Here it is made
// again from nothing, and compared.

// shouldBeIndexed is what customer_index and customer_words should hold of a customer c.
const shouldBeIndexed = `
	SELECT
		c.id AS customer_id,
		c.store_id,
		fold(concat_ws(' ', c.name, c.email)) AS words,
		customer_has(c.course_ids, c.courses, c.product_ids, c.country) AS has,
		tags_of(c.store_id, c.email) AS tags
	FROM customers c`

// Misindexed are the customers, of store $1 or of all, whose entry or words are not as
// they should be.
const Misindexed = shouldBeIndexed + `
	WHERE ($1 = '' OR c.store_id = $1)
	  AND NOT EXISTS (
		SELECT
		FROM customer_index i
		JOIN customer_words w USING (customer_id)
		WHERE i.customer_id = c.id
		  AND (i.store_id, i.has, i.tags) = (c.store_id, customer_has(c.course_ids, c.courses, c.product_ids, c.country),
			tags_of(c.store_id, c.email))
		  AND (w.store_id, w.words) = (c.store_id, fold(concat_ws(' ', c.name, c.email)))
	  )`

// IndexedTooMuch are the entries, and the words, of customers who are gone.
const IndexedTooMuch = `
	SELECT store_id, customer_id
	FROM (SELECT store_id, customer_id FROM customer_index UNION SELECT store_id, customer_id FROM customer_words) i
	WHERE ($1 = '' OR store_id = $1)
	  AND NOT EXISTS (SELECT FROM customers c WHERE c.id = i.customer_id)`

// FiguresOff are the figures, of store $1 or of all, that are not as they
// should be: what they are and what they should be.
const FiguresOff = `
	SELECT
		store_id,
		facet,
		figure,
		coalesce(kept.amount, 0) AS kept,
		coalesce(should.amount, 0) AS should
	FROM (
		SELECT store_id, facet, figure, sum(amount) AS amount
		FROM (
			SELECT * FROM customer_figures
			UNION ALL
			SELECT * FROM customer_figure_changes
		) f
		WHERE $1 = '' OR store_id = $1
		GROUP BY store_id, facet, figure
	) kept
	FULL JOIN (
		SELECT c.store_id, c.facet, f.figure, sum(f.amount) AS amount
		FROM customers c
		CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent, c.courses) f
		WHERE $1 = '' OR c.store_id = $1
		GROUP BY c.store_id, c.facet, f.figure
	) should USING (store_id, facet, figure)
	WHERE coalesce(kept.amount, 0) <> coalesce(should.amount, 0)`

// settleKept makes right what is kept beside the customers of a store, or of
// all, and returns how much was not. Live traffic may go on: each statement
// compares within one snapshot, and adds or locks what it corrects.
func (s *Store) settleKept(ctx context.Context, store string) (wrong int64, err error) {
	defer pg.Wrap(&err, "store.settleKept(%q)", store)
	gone, err := s.Pool.Exec(ctx, `
		WITH gone AS MATERIALIZED (`+IndexedTooMuch+`),
		words AS (
			DELETE FROM customer_words WHERE customer_id IN (SELECT customer_id FROM gone)
		),
		entries AS (
			DELETE FROM customer_index WHERE customer_id IN (SELECT customer_id FROM gone)
		)
		SELECT FROM gone`, store)
	if err != nil {
		return 0, err
	}
	entries, err := s.settleEntries(ctx, store)
	if err != nil {
		return 0, err
	}
	figures, err := s.Pool.Exec(ctx, `
		INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
		SELECT store_id, facet, figure, should - kept FROM (`+FiguresOff+`) f`, store)
	return gone.RowsAffected() + entries + figures.RowsAffected(), err
}

// entriesAtOnce is how many entries one transaction corrects.
const entriesAtOnce = 500

// settleEntries makes the wrong entries of customer_index, and the wrong words, right. All who change a
// customer lock the customer's row first, and who changes their tags locks the entry. Here both are locked by
// statements of their own: the one that waited would write the tags of the moment before.
func (s *Store) settleEntries(ctx context.Context, store string) (wrong int64, err error) {
	ids, err := pg.Column[int64](ctx, s.Pool, `SELECT customer_id FROM (`+Misindexed+`) x ORDER BY 1`, store)
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(ids, entriesAtOnce) {
		err := s.InTx(ctx, func(tx pgx.Tx) error {
			for _, lock := range []string{
				`SELECT FROM customers WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`,
				`SELECT FROM customer_index WHERE customer_id = ANY($1) ORDER BY customer_id FOR NO KEY UPDATE`,
			} {
				if _, err := tx.Exec(ctx, lock, some); err != nil {
					return err
				}
			}
			tag, err := tx.Exec(ctx, `
				WITH wrong AS MATERIALIZED (`+Misindexed+`
				  AND c.id = ANY($2)
				),
				words AS (
					INSERT INTO customer_words (customer_id, store_id, words)
					SELECT customer_id, store_id, words FROM wrong
					ON CONFLICT (customer_id) DO UPDATE SET store_id = EXCLUDED.store_id, words = EXCLUDED.words
				)
				INSERT INTO customer_index (customer_id, store_id, words, has, tags)
				SELECT * FROM wrong
				ON CONFLICT (customer_id) DO UPDATE SET
					store_id = EXCLUDED.store_id,
					words = EXCLUDED.words,
					has = EXCLUDED.has,
					tags = EXCLUDED.tags`, store, some)
			wrong += tag.RowsAffected()
			return err
		})
		if err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}

// kept looks at what is kept beside the customers.
func (a *Auditor) kept(ctx context.Context) error {
	return pgx.BeginTxFunc(ctx, a.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			return errors.Join(
				a.off(ctx, tx, "entry_differs", `SELECT 'store ' || store_id, 'customer ' || customer_id,
					'its entry should be ' || left(words, 200) FROM (`+Misindexed+`) x`),
				a.off(ctx, tx, "entry_differs", `SELECT 'store ' || store_id, 'customer ' || customer_id,
					'there is no such customer' FROM (`+IndexedTooMuch+`) x`),
				a.off(ctx, tx, "figure_differs", `SELECT 'store ' || store_id, figure || ' of ' || facet,
					'it is ' || kept || ' and should be ' || should FROM (`+FiguresOff+`) x`))
		})
}

// off adds what a query finds: place, what and why.
func (a *Auditor) off(ctx context.Context, tx pgx.Tx, kind, sql string) error {
	rows := pg.Query(ctx, tx, sql, a.AuditOptions.Store)
	var f finding.Example
	return pg.Each(rows, []any{&f.Place, &f.What, &f.Why}, func() {
		a.found.add(kind, 1, f)
	})
}

// FoldFigures adds to the figures what changed since. Whether it has run makes
// no difference to what is read, only to how fast.
func (s *Store) FoldFigures(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "store.FoldFigures")
	_, err = s.Pool.Exec(ctx, `
		WITH turn AS MATERIALIZED ( -- one does it at a time; others need not wait
			SELECT pg_try_advisory_xact_lock(hashtextextended('customer_figures', 0)) AS mine
		),
		gone AS (
			DELETE FROM customer_figure_changes
			WHERE (SELECT mine FROM turn)
			RETURNING *
		)
		INSERT INTO customer_figures AS f (store_id, facet, figure, amount)
		SELECT
			store_id,
			facet,
			figure,
			sum(amount)
		FROM gone
		GROUP BY store_id, facet, figure
		HAVING sum(amount) <> 0
		ON CONFLICT (store_id, figure, facet) DO UPDATE SET amount = f.amount + EXCLUDED.amount`)
	return err
}
