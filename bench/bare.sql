-- What a backfill of courses does for the history, by hand: the limit that it is
-- measured beside.

INSERT INTO customers (
	store_id, email, name, source_kind, source_product_id, first_seen_at, last_activity_at, courses, course_ids
)
SELECT
	p.store_id,
	u.email,
	u.name,
	'free_course',
	(array_agg(e.course_id ORDER BY e.enrolled_at))[1],
	min(e.enrolled_at),
	max(e.said_at),
	jsonb_agg(jsonb_build_object('id', e.course_id, 'progress', e.progress, 'enrolled_at', rfc3339(e.enrolled_at),
		'completed_at', rfc3339(e.completed_at)) ORDER BY e.enrolled_at),
	array_agg(e.course_id ORDER BY e.course_id)
FROM enrollments e
JOIN products p ON p.id = e.course_id
JOIN users u ON u.id = e.user_ref
GROUP BY p.store_id, u.email, u.name;

UPDATE enrollments e
SET store_id = c.store_id, customer_email = c.email, customer_id = c.id, unattached = NULL
FROM products p, users u, customers c
WHERE p.id = e.course_id AND u.id = e.user_ref AND c.store_id = p.store_id AND c.email = u.email;
