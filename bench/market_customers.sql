-- The customers with ids from $1 to $2, as their facts make them: for a market
-- without bundles, merges and disputes this comes to what the store derives.
WITH e AS (
	SELECT *, deleted_version = '' AS live
	FROM enrollments
	WHERE customer_id BETWEEN $1 AND $2
),
pay AS (
	SELECT p.*, p.amount - p.refunded AS net, x.kind AS product_kind_now, p.subscription IS NOT NULL AS recurring
	FROM payments p
	JOIN products x ON x.id = p.product_id
	WHERE p.customer_id BETWEEN $1 AND $2
),
subs AS (
	SELECT *
	FROM subscriptions
	WHERE customer_id BETWEEN $1 AND $2
),
happened AS (
	SELECT customer_id, paid_at AS at, 1 AS rank, product_id,
		CASE WHEN recurring THEN 'subscription' WHEN product_kind_now <> 'course' THEN 'product_purchase' ELSE 'course_purchase' END AS source_kind,
		CASE WHEN recurring THEN 'payment' WHEN product_kind_now <> 'course' THEN 'purchase' ELSE 'course_purchase' END AS activity
	FROM pay
	UNION ALL
	SELECT customer_id, started_at, 0, product_id, 'subscription', 'subscription'
	FROM subs
	UNION ALL
	SELECT customer_id, enrolled_at, 2, course_id, 'free_course', 'enrollment'
	FROM e
	WHERE NOT EXISTS (SELECT FROM pay WHERE pay.customer_id = e.customer_id AND pay.product_id = e.course_id)
),
source AS (
	SELECT DISTINCT ON (customer_id) *
	FROM happened
	ORDER BY customer_id, at, rank, product_id, source_kind
),
activity AS (
	SELECT DISTINCT ON (customer_id) *
	FROM (
		SELECT customer_id, at, activity, 3 AS rank FROM happened
		UNION ALL
		SELECT customer_id, enrolled_at, 'enrollment', 2 FROM e
		UNION ALL
		SELECT customer_id, said_at, CASE WHEN said_at > first_said_at THEN 'progress' ELSE 'enrollment' END, 1 FROM e
		UNION ALL
		SELECT customer_id, completed_at, 'completion', 4 FROM e WHERE live
		UNION ALL
		SELECT f.customer_id, u.last_seen_at, 'sign_in', 0
		FROM (SELECT customer_id, user_ref FROM e UNION SELECT customer_id, user_ref FROM pay UNION SELECT customer_id, user_ref FROM subs) f
		JOIN users u ON u.id = f.user_ref
	) a
	ORDER BY customer_id, at DESC NULLS LAST, rank DESC, activity
),
courses AS (
	SELECT customer_id, bool_or(live) AS live, min(enrolled_at) AS first_at,
		coalesce(array_agg(course_id ORDER BY course_id) FILTER (WHERE live), '{}') AS ids,
		coalesce(jsonb_agg(jsonb_build_object('id', course_id, 'progress', progress, 'enrolled_at', rfc3339(enrolled_at), 'completed_at', rfc3339(completed_at))
			ORDER BY enrolled_at, course_id) FILTER (WHERE live), '[]') AS list
	FROM e
	GROUP BY customer_id
),
money AS (
	SELECT customer_id,
		jsonb_agg(jsonb_build_object('amount', net, 'currency', currency) ORDER BY currency) AS spent,
		coalesce(jsonb_agg(jsonb_build_object('amount', refunded, 'currency', currency) ORDER BY currency) FILTER (WHERE refunded > 0), '[]') AS refunded,
		max(net / CASE WHEN currency = 'jpy' THEN 1.0 ELSE 100.0 END) AS rank
	FROM (
		SELECT customer_id, currency, sum(net) AS net, sum(refunded) AS refunded
		FROM pay
		GROUP BY customer_id, currency
	) m
	GROUP BY customer_id
),
purchases AS (
	SELECT customer_id, bool_or(product_kind_now <> 'course' AND net > 0) AS live,
		jsonb_agg(jsonb_build_object('id', id, 'product_id', product_id, 'kind', product_kind_now, 'amount', amount, 'currency', currency, 'refunded', refunded, 'purchased_at', rfc3339(paid_at))
			ORDER BY paid_at, id) AS list
	FROM pay
	WHERE NOT recurring
	GROUP BY customer_id
),
bought AS (
	SELECT customer_id, array_agg(DISTINCT product_id ORDER BY product_id) AS ids
	FROM (SELECT customer_id, product_id FROM pay UNION ALL SELECT customer_id, product_id FROM subs) p
	GROUP BY customer_id
)
INSERT INTO customers (
	id, store_id, email, name, image_url, type, status, source_kind, source_product_id, first_seen_at, last_activity_at, last_activity,
	spent, refunded, spent_rank, courses, purchases, subscriptions, course_ids, product_ids
) OVERRIDING SYSTEM VALUE
SELECT
	p.id,
	p.store_id,
	p.email,
	u.name,
	u.image_url,
	CASE WHEN s.id IS NOT NULL THEN 'subscription' WHEN m.customer_id IS NOT NULL THEN 'paying' ELSE 'lead' END,
	CASE WHEN c.live OR b.live OR s.status <> 'canceled' THEN 'active' ELSE 'inactive' END,
	source.source_kind,
	source.product_id,
	LEAST(source.at, c.first_at),
	a.at,
	a.activity,
	coalesce(m.spent, '[]'),
	coalesce(m.refunded, '[]'),
	coalesce(m.rank, 0),
	coalesce(c.list, '[]'),
	coalesce(b.list, '[]'),
	CASE WHEN s.id IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object('id', s.id, 'status', s.status, 'product_id', s.product_id, 'plan', s.plan_name,
		'amount', s.amount, 'currency', s.currency, 'current_period_end', rfc3339(s.current_period_end), 'cancel_at_period_end', s.cancel_at_period_end)) END,
	coalesce(c.ids, '{}'),
	coalesce(bought.ids, '{}')
FROM pg_temp.people p
JOIN users u ON u.id = 'user_' || p.n
JOIN source ON source.customer_id = p.id
JOIN activity a ON a.customer_id = p.id
LEFT JOIN courses c ON c.customer_id = p.id
LEFT JOIN money m ON m.customer_id = p.id
LEFT JOIN purchases b ON b.customer_id = p.id
LEFT JOIN bought ON bought.customer_id = p.id
LEFT JOIN subs s ON s.customer_id = p.id
WHERE p.id BETWEEN $1 AND $2
ORDER BY p.id
