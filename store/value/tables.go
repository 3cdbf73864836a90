package value

import (
	"strings"

	"rollcall/store"
)

// The facts of store $1 as of $2, with days in the time zone $3, in tables that last as long as the transaction. Texts
// have the collation "C", in which Postgres sorts fastest.

const tablesSQL = `
	CREATE TEMP TABLE value_lines (
		customer_id bigint,
		currency    text COLLATE "C",
		day         date,
		amount      bigint,
		net         bigint,
		recurring   boolean,
		product_id  text COLLATE "C"
	) ON COMMIT DROP;
	CREATE TEMP TABLE value_buyers (
		customer_id bigint,
		currency    text COLLATE "C",
		first       date,
		product_id  text COLLATE "C",
		net         bigint
	) ON COMMIT DROP;
	CREATE TEMP TABLE value_visits ( -- the nth day on which someone bought something
		customer_id bigint,
		currency    text COLLATE "C",
		day         date,
		n           bigint,
		net         bigint
	) ON COMMIT DROP;
	CREATE TEMP TABLE value_moves ( -- of the MRR of a customer
		customer_id bigint,
		currency    text COLLATE "C",
		day         date,
		kind        text,
		before      bigint,
		after       bigint
	) ON COMMIT DROP`

const linesSQL = `
	INSERT INTO value_lines
	SELECT
		c.id,
		p.currency,
		(t.at AT TIME ZONE $3)::date,
		p.amount,
		p.amount - p.refunded - p.disputed,
		p.subscription IS NOT NULL,
		p.product_id
	FROM customers c
	JOIN payments p ON p.customer_id = c.id
	CROSS JOIN LATERAL (SELECT ` + store.PaidAt + ` AS at) t
	WHERE c.store_id = $1
	  AND p.amount > 0
	  AND t.at <= $2`

// What was taken back whole makes no one a buyer: if the first payment was, the second is the first.
const buyersSQL = `
	INSERT INTO value_buyers
	SELECT
		customer_id,
		currency,
		min(day),
		(array_agg(product_id ORDER BY day, product_id))[1],
		minor_units(sum(net))
	FROM value_lines
	WHERE net > 0
	GROUP BY customer_id, currency`

const visitsSQL = `
	INSERT INTO value_visits
	SELECT
		customer_id,
		currency,
		day,
		row_number() OVER (PARTITION BY customer_id, currency ORDER BY day),
		minor_units(sum(net))
	FROM value_lines
	WHERE net > 0
	  AND NOT recurring
	GROUP BY customer_id, currency, day`

// perMonth is SQL for what an item of a subscription costs in a month, but for discounts that end. A month has
// 365.2425 / 12 days.
const perMonth = `coalesce(l ->> 'regular', l ->> 'amount')::numeric / coalesce(nullif((l ->> 'interval_count')::numeric, 0), 1)
	* CASE l ->> 'interval'
		WHEN 'month' THEN 1
		WHEN 'year' THEN 1.0 / 12
		WHEN 'week' THEN 365.2425 / 12 / 7
		WHEN 'day' THEN 365.2425 / 12
	END`

// priced is SQL for what the items of a row cost in a month, less discounts that never end, as Stripe counts; null if
// the price or interval of each is unknown. A fixed discount is per period of the first item, as all items of a subscription have one interval.
func priced(row string) string {
	return strings.ReplaceAll(`(
	SELECT round(GREATEST(0, m.sum * (1 - coalesce((@.discount #>> '{forever,percent_off}')::numeric, 0) / 100)
		- coalesce((@.discount #>> '{forever,amount_off}')::numeric, 0) * (
			SELECT `+perMonth+` FROM jsonb_build_object('amount', 1, 'interval', @.lines -> 0 -> 'interval',
				'interval_count', @.lines -> 0 -> 'interval_count') l
		)))
	FROM (SELECT sum(`+perMonth+`) FROM jsonb_array_elements(@.lines) l) m
	WHERE m.sum IS NOT NULL
)`, "@", row)
}

// subscriptionsSQL are the subscriptions of the store's customers, and what was said of them. Last comes the row
// itself: several messages of one second are put in order there.
var subscriptionsSQL = `
	WITH own AS MATERIALIZED (
		SELECT
			s.*,
			row_number() OVER () AS nth, -- numbers sort faster than ids
			LEAST(coalesce(s.started_at, s.checkout_at, version_time(s.version)), version_time(s.version)) AS began
		FROM customers c
		JOIN subscriptions s ON s.customer_id = c.id
		WHERE c.store_id = $1
		  AND s.version <> ''
		  AND s.currency IS NOT NULL
	),
	said AS (
		SELECT
			o.nth,
			t.version,
			false AS is_row,
			version_time(t.version) AS at,
			t.status,
			t.paused,
			coalesce(t.lines, b.lines, o.lines) AS lines,
			CASE WHEN t.lines IS NOT NULL THEN t.discount WHEN b.lines IS NOT NULL THEN b.discount ELSE o.discount END
				AS discount
		FROM own o
		JOIN subscription_states t ON t.account = o.account AND t.id = o.id
		LEFT JOIN LATERAL ( -- a message without items says nothing of prices and discounts
			SELECT b.lines, b.discount
			FROM subscription_states b
			WHERE t.lines IS NULL
			  AND b.account = t.account
			  AND b.id = t.id
			  AND b.version < t.version
			  AND b.lines IS NOT NULL
			ORDER BY b.version DESC
			LIMIT 1
		) b ON true
		UNION ALL
		SELECT
			nth,
			version,
			true,
			coalesce(CASE WHEN status = 'canceled' THEN ended_at END, version_time(version)),
			status,
			paused,
			lines,
			discount
		FROM own
	),
	-- Before the first message the subscription was what that says, or if that says that it is over, what it costs.
	states AS (
		SELECT o.nth, '' AS version, false AS is_row, o.began AS at,
			CASE WHEN f.status IN ('canceled', 'unpaid') AND o.ever_active THEN 'active' ELSE f.status END AS status,
			f.paused AND f.status NOT IN ('canceled', 'unpaid') AS paused, f.lines, f.discount
		FROM own o
		JOIN (SELECT DISTINCT ON (nth) * FROM said ORDER BY nth, version, is_row) f USING (nth)
		UNION ALL
		SELECT nth, version, is_row, at, status, paused, lines, discount FROM said
	),
	-- Most have one of few prices.
	prices AS MATERIALIZED (
		SELECT lines, discount, coalesce(` + priced("t") + `, 0) AS monthly
		FROM (SELECT DISTINCT lines, coalesce(discount, 'null') AS discount FROM states) t
	),
	days AS (
		SELECT DISTINCT ON (o.nth, d.day)
			o.nth,
			o.customer_id,
			o.currency,
			d.day,
			CASE WHEN t.status IN ('active', 'past_due') AND NOT coalesce(t.paused, false)
				THEN coalesce(p.monthly, 0) ELSE 0 END AS monthly
		FROM states t
		JOIN own o USING (nth)
		LEFT JOIN prices p ON p.lines = t.lines AND p.discount = coalesce(t.discount, 'null')
		CROSS JOIN LATERAL (SELECT (GREATEST(t.at, o.began) AT TIME ZONE $3)::date AS day) d
		WHERE GREATEST(t.at, o.began) <= $2
		ORDER BY o.nth, d.day, t.version DESC, t.is_row DESC
	)`

// movesSQL finds what changed the MRR of each customer on each day. What happens within a day is one change.
var movesSQL = `
	INSERT INTO value_moves` + subscriptionsSQL + `,
	changes AS (
		SELECT customer_id, currency, day, sum(change) AS change
		FROM (
			SELECT customer_id, currency, day,
				monthly - lag(monthly, 1, 0) OVER (PARTITION BY nth ORDER BY day) AS change
			FROM days
		) c
		GROUP BY customer_id, currency, day
	),
	sums AS (
		SELECT customer_id, currency, day, change,
			sum(change) OVER (PARTITION BY customer_id, currency ORDER BY day) AS after
		FROM changes
		WHERE change <> 0
	)
	SELECT
		customer_id,
		currency,
		day,
		CASE
			WHEN after = 0 THEN 'churn'
			WHEN after = change AND row_number() OVER (PARTITION BY customer_id, currency ORDER BY day) = 1 THEN 'new'
			WHEN after = change THEN 'reactivation'
			WHEN change > 0 THEN 'expansion'
			ELSE 'contraction'
		END,
		after - change,
		after
	FROM sums`
