-- One view of all facts that belong to customers, for questions that are the same
-- for every kind.

-- +goose Up
CREATE VIEW facts AS
SELECT 'enrollment' AS kind, course_id AS a, person AS b, store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM enrollments
UNION ALL
SELECT 'payment', account, id, store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM payments
UNION ALL
SELECT 'subscription', account, id, store_ref, store_id, customer_email, customer_id, unattached, leans, mail
FROM subscriptions;
COMMENT ON VIEW   facts   IS 'every enrollment, payment and subscription: whose it is, or why it is on no customer list';
COMMENT ON COLUMN facts.a IS 'the key: of an enrollment course_id and person (in b), of the others account and id (in b)';

-- The kinds of facts are derived in the order of this view from now on: a run
-- under way begins again, as it would skip one.
UPDATE derivation SET target = NULL WHERE target IS NOT NULL;

-- +goose Down
DROP VIEW facts;
