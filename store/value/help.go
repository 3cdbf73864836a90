package value

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Help is a customer who needs help, and why.
type Help struct {
	Customer string    `json:"customer"` // id
	Name     string    `json:"name"`     // may be empty
	Email    string    `json:"email"`
	Reason   string    `json:"reason"` // failing, silent, stuck or not_started
	About    string    `json:"about"`  // the course, or the product of the subscription; may be empty
	Since    time.Time `json:"since"`
}

// When people need help.
const (
	silentAfter = 30 * 24 * time.Hour // a subscriber who was neither signed in nor learning
	stuckAfter  = 14 * 24 * time.Hour // no progress in a course that was begun
	startAfter  = 7 * 24 * time.Hour  // not begun since the enrollment
	tooLate     = 90 * 24 * time.Hour // of courses: they have moved on
)

// mostHelp is how many customers are kept for each reason.
const mostHelp = 25

// helpSQL finds customers who need help, each for the first reason that holds: a payment that fails, a subscriber who
// has not been seen, a course that they are stuck in, one that they have not begun. Those who paid most come first.
const helpSQL = `
	WITH failing AS (
		SELECT DISTINCT ON (c.id) c.id, 'failing' AS reason, s.product_id AS about, version_time(s.version) AS since
		FROM customers c
		JOIN subscriptions s ON s.customer_id = c.id
		WHERE c.store_id = $1
		  AND s.status IN ('past_due', 'unpaid')
		ORDER BY c.id, s.version DESC
	),
	silent AS (
		SELECT c.id, 'silent', NULL, d.since
		FROM (
			SELECT customer_id, min(day) AS first, (array_agg(after ORDER BY day DESC, after DESC))[1] AS after
			FROM value_moves
			GROUP BY customer_id
		) m
		JOIN customers c ON c.id = m.customer_id
		CROSS JOIN LATERAL ( -- payments do not count: they come by themselves
			SELECT coalesce(max(at), m.first) AS since
			FROM (
				SELECT said_at AS at FROM enrollments WHERE customer_id = c.id
				UNION ALL
				SELECT last_seen_at FROM users WHERE email = c.email
			) seen
		) d
		WHERE m.after > 0
		  AND d.since < $2::timestamptz - $3::interval
	),
	learning AS ( -- two ranges of indexes
		SELECT *, 'stuck' AS reason, progressed_at AS since
		FROM enrollments
		WHERE store_id = $1
		  AND customer_id IS NOT NULL
		  AND peak_progress > 0
		  AND progressed_at < $2::timestamptz - $4::interval
		  AND progressed_at > $2::timestamptz - $6::interval
		UNION ALL
		SELECT *, 'not_started', coalesce(enrolled_at, first_said_at)
		FROM enrollments
		WHERE store_id = $1
		  AND customer_id IS NOT NULL
		  AND coalesce(peak_progress, 0) <= 0
		  AND coalesce(enrolled_at, first_said_at) < $2::timestamptz - $5::interval
		  AND coalesce(enrolled_at, first_said_at) > $2::timestamptz - $6::interval
	),
	learners AS (
		SELECT DISTINCT ON (customer_id) customer_id, reason, course_id, since
		FROM learning
		WHERE version > deleted_version
		  AND completed_at IS NULL
		  AND coalesce(progress, 0) < 100
		ORDER BY customer_id, reason DESC, since DESC, course_id
	),
	one AS (
		SELECT DISTINCT ON (id) *
		FROM (
			SELECT *, 1 AS rank FROM failing
			UNION ALL
			SELECT *, 2 FROM silent
			UNION ALL
			SELECT *, 3 FROM learners
		) h
		ORDER BY id, rank
	)
	SELECT coalesce(jsonb_agg(jsonb_build_object('customer_id', id, 'reason', reason, 'about', about, 'since', since)
		ORDER BY rank, reason DESC, place), '[]')
	FROM (
		SELECT o.*, row_number() OVER (PARTITION BY o.reason ORDER BY c.spent_rank DESC, o.since DESC, o.id) AS place
		FROM one o
		JOIN customers c ON c.id = o.id
	) p
	WHERE place <= $7`

// help keeps who needs help. What is kept names customers by id alone: names and addresses are looked up.
func (c *computing) help(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `UPDATE value_stores SET help = (`+helpSQL+`) WHERE store_id = $1`,
		c.store, c.now, silentAfter, stuckAfter, startAfter, tooLate, mostHelp)
	return err
}

const keptHelpSQL = `
	SELECT c.id::text, coalesce(c.name, ''), c.email, h.reason, coalesce(h.about, ''), h.since
	FROM value_stores s
	CROSS JOIN LATERAL ROWS FROM (
		jsonb_to_recordset(s.help) AS (customer_id bigint, reason text, about text, since timestamptz)
	) WITH ORDINALITY AS h(customer_id, reason, about, since, place)
	JOIN customers c ON c.id = h.customer_id AND c.store_id = s.store_id
	WHERE s.store_id = $1
	ORDER BY h.place`

// Help returns the customers of a store who need help, those for whom most is at stake first.
func (v *Values) Help(ctx context.Context, store string) (all []Help, err error) {
	defer pg.Wrap(&err, "value.Help(%q)", store)
	if !pg.Storable(store) {
		return []Help{}, nil
	}
	rows, err := v.Pool.Query(ctx, keptHelpSQL, store)
	if err != nil {
		return nil, err
	}
	return scanHelp(rows)
}

func scanHelp(rows pgx.Rows) (all []Help, err error) {
	all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Help])
	for i := range all {
		all[i].Since = all[i].Since.UTC()
	}
	return append([]Help{}, all...), err
}
