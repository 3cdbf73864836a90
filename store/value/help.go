package value

import (
	"context"
	"fmt"
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
// has not been seen, a course that they are stuck in, one that they have not begun. Those who paid most come first, and
// are looked at first: when subscribers were last seen is looked up one by one, until enough are found.
var helpSQL = `
	WITH failing AS (
		SELECT DISTINCT ON (c.id) c.id, c.spent_rank, s.product_id AS about, version_time(s.version) AS since
		FROM customers c
		JOIN subscriptions s ON s.customer_id = c.id
		WHERE c.store_id = $1
		  AND s.status IN ('past_due', 'unpaid')
		ORDER BY c.id, s.version DESC
	),
	subscribers AS (
		SELECT c.id, c.spent_rank, m.first
		FROM (
			SELECT customer_id, min(day) AS first
			FROM value_moves
			GROUP BY customer_id
			HAVING (array_agg(after ORDER BY day DESC, after DESC))[1] > 0
		) m
		JOIN customers c ON c.id = m.customer_id
		WHERE c.id NOT IN (SELECT id FROM failing)
	),
	silent AS (
		SELECT s.id, s.spent_rank, seen.since
		FROM (SELECT * FROM subscribers ORDER BY spent_rank DESC OFFSET 0) s
		CROSS JOIN LATERAL (` + seenSQL + `) seen
		WHERE seen.since < $2::timestamptz - $3::interval
		ORDER BY s.spent_rank DESC
		FETCH FIRST $7 ROWS WITH TIES
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
	learners AS MATERIALIZED (
		SELECT l.reason, c.id, c.spent_rank, l.course_id, l.since
		FROM (
			SELECT DISTINCT ON (customer_id) customer_id, reason, course_id, since
			FROM learning
			WHERE version > deleted_version
			  AND completed_at IS NULL
			  AND coalesce(progress, 0) < 100
			ORDER BY customer_id, reason DESC, since DESC, course_id
		) l
		JOIN customers c ON c.id = l.customer_id
		WHERE c.id NOT IN (SELECT id FROM failing)
	)
	SELECT coalesce(jsonb_agg(jsonb_build_object('customer_id', id, 'reason', reason, 'about', about, 'since', since)
		ORDER BY rank, spent_rank DESC, since DESC, id), '[]')
	FROM (
		(SELECT 1 AS rank, 'failing' AS reason, * FROM failing ORDER BY spent_rank DESC, since DESC, id LIMIT $7)
		UNION ALL
		(SELECT 2, 'silent', id, spent_rank, NULL, since FROM silent ORDER BY spent_rank DESC, since DESC, id LIMIT $7)
		UNION ALL
		` + learnersSQL(3, "stuck") + `
		UNION ALL
		` + learnersSQL(4, "not_started") + `
	) h`

// seenSQL is when the subscriber s was last seen, but for payments, which come by themselves.
const seenSQL = `
			SELECT coalesce(max(at), s.first) AS since
			FROM (
				SELECT said_at AS at FROM enrollments WHERE customer_id = s.id
				UNION ALL
				SELECT u.last_seen_at FROM customers c JOIN users u ON u.email = c.email WHERE c.id = s.id
			) seen`

// learnersSQL are the learners of a reason who are not silent subscribers.
func learnersSQL(rank int, reason string) string {
	return fmt.Sprintf(`(
			SELECT %d, reason, id, spent_rank, course_id, since
			FROM (
				SELECT * FROM learners WHERE reason = '%s' ORDER BY spent_rank DESC, since DESC, id OFFSET 0
			) l
			WHERE NOT EXISTS (
				SELECT
				FROM subscribers s
				CROSS JOIN LATERAL (`+seenSQL+`) seen
				WHERE s.id = l.id
				  AND seen.since < $2::timestamptz - $3::interval
				OFFSET 0
			)
			LIMIT $7
		)`, rank, reason)
}

// findHelp finds who needs help. What is kept names customers by id alone: names and addresses are looked up.
func (p *people) findHelp(ctx context.Context) error {
	return p.tx.QueryRow(ctx, helpSQL,
		p.store, p.now, silentAfter, stuckAfter, startAfter, tooLate, mostHelp).Scan(&p.help)
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
	return scanHelp(pg.Query(ctx, v.Pool, keptHelpSQL, store))
}

func scanHelp(rows pgx.Rows) (all []Help, err error) {
	all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Help])
	for i := range all {
		all[i].Since = all[i].Since.UTC()
	}
	return append([]Help{}, all...), err
}
