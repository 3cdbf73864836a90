-- A refusal counts for the customer whom a purchase, subscription or enrollment leads to, also if it was said for the
-- address that this names: of a guest who turned out to be a user, or whose address at Stripe changed. It was carried along
-- when a customer moved. But who was never listed at the first address, as the messages came in another order, did not move.
-- Their later word counts, as if both were said for one address.

-- +goose Up
CREATE VIEW named_refusals AS
SELECT c.store_id, c.email, k.kind, k.state, k.said_at, c.email AS said_as
FROM customers c
JOIN (
	SELECT customer_id, mail FROM enrollments
	UNION ALL
	SELECT customer_id, mail FROM payments
	UNION ALL
	SELECT customer_id, mail FROM subscriptions
) f ON f.customer_id = c.id AND f.mail <> c.email
JOIN mail_consents k ON k.store_id = c.store_id AND k.email = f.mail AND k.state = 'denied'
UNION ALL
SELECT c.store_id, c.email, k.kind, k.state, k.said_at, c.email
FROM customers c
JOIN (
	SELECT customer_id, account, stripe_customer FROM payments
	UNION ALL
	SELECT customer_id, account, stripe_customer FROM subscriptions
) f ON f.customer_id = c.id
JOIN stripe_customers s ON s.account = f.account AND s.id = f.stripe_customer AND s.email <> c.email
JOIN mail_consents k ON k.store_id = c.store_id AND k.email = s.email AND k.state = 'denied';
COMMENT ON VIEW named_refusals IS 'what was refused for other addresses that the facts of customers name; see mail_words';

-- +goose Down
DROP VIEW named_refusals;
