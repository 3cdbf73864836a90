package value

import (
	"strings"

	"rollcall/store"
)

// The facts of store $1 as of $2, with days in the time zone $3, in tables that last as long as the transaction: one
// scan of the payments, and all else from what it leaves. Texts have the collation "C", in which Postgres sorts
// fastest.

// daysSQL is what each customer paid on each day in each currency. What was taken back whole makes no one a buyer: if
// the first payment was, the second is the first. Sums are numbers of Postgres' own, which are added up fastest.
var daysSQL = `
	CREATE TEMP TABLE value_days ON COMMIT DROP AS
	WITH days AS (
		SELECT
			p.customer_id,
			p.currency COLLATE "C" AS currency,
			(t.at AT TIME ZONE $3)::date AS day,
			` + units("sum(n.net)") + ` AS net,
			` + units("sum(n.net) FILTER (WHERE p.subscription IS NULL)") + ` AS single,
			` + units("sum(n.net) FILTER (WHERE p.subscription IS NOT NULL)") + ` AS recurring,
			` + units("sum(p.amount) FILTER (WHERE p.subscription IS NOT NULL)") + ` AS billed,
			` + units("sum(p.amount - n.net)") + ` AS refunded,
			min(p.product_id COLLATE "C") FILTER (WHERE n.net > 0) AS product_id
		FROM payments p
		CROSS JOIN LATERAL (SELECT ` + store.PaidAt + ` AS at) t
		CROSS JOIN LATERAL (SELECT GREATEST(p.amount - p.refunded - p.disputed, 0) AS net) n
		WHERE p.store_id = $1
		  AND p.customer_id IS NOT NULL
		  AND p.amount > 0
		  AND t.at <= $2
		GROUP BY 1, 2, 3
	)
	SELECT
		*,
		date_trunc('month', day::timestamp)::date AS month,
		-- Of days on which something was kept, the first and the one before this. Before the first it is the day itself.
		coalesce(min(day) FILTER (WHERE net > 0) OVER earlier, day) AS first,
		max(day) FILTER (WHERE net > 0) OVER earlier AS previous,
		count(*) FILTER (WHERE single > 0) OVER earlier + (single > 0)::int AS visit -- how many single purchases so far
	FROM days
	WINDOW earlier AS (
		PARTITION BY customer_id, currency ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
	)`

// units is SQL for a sum of minor units that no amounts make fail, as minor_units, written out: it is computed for
// each customer. The sum of none is 0.
func units(sum string) string {
	return "LEAST(GREATEST(coalesce(" + sum + ", 0), -9223372036854775807), 9223372036854775807)::bigint"
}

// buyersSQL are those who paid: what, when first, and what they bought but for subscriptions. Several purchases on one
// day are one. What they did up to the day that is four fifths of the time after the first purchase of all is apart:
// a prediction of the rest of the time is checked by it.
var buyersSQL = `
	CREATE TEMP TABLE value_buyers ON COMMIT DROP AS
	SELECT
		d.customer_id,
		d.currency,
		d.first,
		min(d.product_id) FILTER (WHERE d.day = d.first) AS product_id,
		` + units("sum(d.net)") + ` AS net,
		min(d.day) FILTER (WHERE d.single > 0) AS bought,
		min(d.day) FILTER (WHERE d.single > 0 AND d.visit = 2) AS second,
		max(d.day) FILTER (WHERE d.single > 0) AS last,
		max(d.visit) AS visits,
		` + units("sum(d.single) FILTER (WHERE d.visit > 1)") + ` AS later_net,
		max(d.day) FILTER (WHERE d.single > 0 AND d.day <= c.cut) AS last_before,
		max(d.visit) FILTER (WHERE d.day <= c.cut) AS visits_before,
		c.cut
	FROM value_days d
	LEFT JOIN (
		SELECT currency, min(day) + (($1::timestamptz AT TIME ZONE $2)::date - min(day)) * 4 / 5 AS cut
		FROM value_days
		WHERE single > 0
		GROUP BY currency
	) c USING (currency)
	WHERE d.net > 0
	GROUP BY d.customer_id, d.currency, d.first, c.cut`

// perMonth is SQL for what an item of a subscription costs in a month, but for discounts that end. A month has
// 365.2425 / 12 days.
const perMonth = `coalesce(l ->> 'regular', l ->> 'amount')::numeric
	/ coalesce(nullif((l ->> 'interval_count')::numeric, 0), 1)
	* CASE l ->> 'interval'
		WHEN 'month' THEN 1
		WHEN 'year' THEN 1.0 / 12
		WHEN 'week' THEN 365.2425 / 12 / 7
		WHEN 'day' THEN 365.2425 / 12
	END`

// priced is SQL for what the items of a row cost in a month, less discounts that never end, as Stripe counts; null if
// the price or interval of each is unknown. A fixed discount is per period of the first item, as all items of a
// subscription have one interval.
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

// saidAt is SQL for the time of a version, as version_time, written out: Postgres calls that for each row.
func saidAt(version string) string {
	return strings.ReplaceAll(`CASE WHEN @ ~ '^-?(\d )?\d{4}-'
		THEN substring(@ FROM '\d{4}-\d\d-\d\dT[0-9:.]+Z')::timestamptz END`, "@", version)
}

// subscriptionsSQL are the subscriptions of the store's customers.
var subscriptionsSQL = `
	CREATE TEMP TABLE value_subscriptions ON COMMIT DROP AS
	SELECT
		row_number() OVER () AS nth, -- numbers sort faster than ids
		s.account,
		s.id,
		s.customer_id,
		s.currency COLLATE "C" AS currency,
		s.version,
		s.status,
		coalesce(s.paused, false) AS paused,
		s.lines,
		coalesce(s.discount, 'null') AS discount,
		s.ended_at,
		s.ever_active,
		v.said_at,
		LEAST(coalesce(s.started_at, s.checkout_at, v.said_at), v.said_at) AS began
	FROM customers c
	JOIN subscriptions s ON s.customer_id = c.id
	CROSS JOIN LATERAL (SELECT ` + saidAt("s.version") + ` AS said_at OFFSET 0) v
	WHERE c.store_id = $1
	  AND s.version <> ''
	  AND s.currency IS NOT NULL`

// movesSQL finds what changed the MRR of each customer on each day, and until when it then stayed. What happens within
// a day is one change. The row of a subscription counts after all messages: several of one second are put in order
// there.
var movesSQL = `
	CREATE TEMP TABLE value_moves ON COMMIT DROP AS
	WITH said AS (
		SELECT
			o.nth,
			t.version,
			false AS is_row,
			` + saidAt("t.version") + ` AS at,
			t.status,
			coalesce(t.paused, false) AS paused,
			coalesce(t.lines, b.lines, o.lines) AS lines,
			CASE WHEN t.lines IS NOT NULL THEN coalesce(t.discount, 'null')
				WHEN b.lines IS NOT NULL THEN coalesce(b.discount, 'null') ELSE o.discount END AS discount
		FROM value_subscriptions o
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
			coalesce(CASE WHEN status = 'canceled' THEN ended_at END, said_at),
			status,
			paused,
			lines,
			discount
		FROM value_subscriptions
	),
	-- Before the first message the subscription was what that says, or if that says that it is over, what it costs.
	states AS (
		SELECT o.nth, '' AS version, false AS is_row, o.began AS at,
			CASE WHEN f.status IN ('canceled', 'unpaid') AND o.ever_active THEN 'active' ELSE f.status END AS status,
			f.paused AND f.status NOT IN ('canceled', 'unpaid') AS paused, f.lines, f.discount
		FROM value_subscriptions o
		JOIN (SELECT DISTINCT ON (nth) * FROM said ORDER BY nth, version, is_row) f USING (nth)
		UNION ALL
		SELECT * FROM said
	),
	-- Most have one of few prices.
	prices AS MATERIALIZED (
		SELECT lines, discount, coalesce(` + priced("t") + `, 0)::bigint AS monthly
		FROM (SELECT lines, discount FROM said WHERE lines IS NOT NULL GROUP BY lines, discount) t
	),
	days AS (
		SELECT DISTINCT ON (o.nth, d.day)
			o.nth,
			o.customer_id,
			o.currency,
			d.day,
			CASE WHEN t.status IN ('active', 'past_due') AND NOT t.paused THEN coalesce(p.monthly, 0) ELSE 0 END AS monthly
		FROM states t
		JOIN value_subscriptions o USING (nth)
		LEFT JOIN prices p ON p.lines = t.lines AND p.discount = t.discount
		CROSS JOIN LATERAL (SELECT (GREATEST(t.at, o.began) AT TIME ZONE $2)::date AS day) d
		WHERE GREATEST(t.at, o.began) <= $1
		ORDER BY o.nth, d.day, t.version DESC, t.is_row DESC
	),
	changes AS (
		SELECT customer_id, currency, day, sum(change)::bigint AS change
		FROM (
			SELECT customer_id, currency, day,
				monthly - lag(monthly, 1, 0::bigint) OVER (PARTITION BY nth ORDER BY day) AS change
			FROM days
		) c
		GROUP BY customer_id, currency, day
		HAVING sum(change) <> 0
	),
	sums AS (
		SELECT
			customer_id,
			currency,
			day,
			change,
			sum(change) OVER w AS after,
			row_number() OVER w AS nth,
			lead(day) OVER w AS until
		FROM changes
		WINDOW w AS (PARTITION BY customer_id, currency ORDER BY day)
	)
	SELECT
		customer_id,
		currency,
		day,
		until, -- null: it is so still
		CASE
			WHEN after = 0 THEN 'churn'
			WHEN after = change AND nth = 1 THEN 'new'
			WHEN after = change THEN 'reactivation'
			WHEN change > 0 THEN 'expansion'
			ELSE 'contraction'
		END AS kind,
		(after - change)::bigint AS before,
		after::bigint
	FROM sums`
