-- One view of all facts that belong to customers, for questions that are the same
-- for every kind.

-- +goose Up
CREATE VIEW facts AS
SELECT 'enrollment' AS kind, course_id AS a, person AS b, '' AS account, user_ref,
	store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM enrollments
UNION ALL
SELECT 'payment', account, id, account, coalesce(user_ref, intent ->> 'user_ref'),
	store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM payments
UNION ALL
SELECT 'subscription', account, id, account, coalesce(user_ref, checkout ->> 'user_ref'),
	store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM subscriptions;
COMMENT ON VIEW   facts          IS 'every enrollment, payment and subscription: whose it is, or why it is on no customer list';
COMMENT ON COLUMN facts.a        IS 'the first column of the key: course_id of an enrollment, account of the others';
COMMENT ON COLUMN facts.b        IS 'the second: person of an enrollment, id of the others';
COMMENT ON COLUMN facts.account  IS 'the Connect account that told it; empty for the platform''s own and for enrollments';
COMMENT ON COLUMN facts.user_ref IS 'the user whom it names';

-- Rebuilds take the kinds of facts in the order of this view from now on: one under
-- way begins again, as it would skip a kind.
UPDATE derivation SET target = NULL WHERE target IS NOT NULL;

-- +goose Down
DROP VIEW facts;
