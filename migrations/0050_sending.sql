-- What a customer got lately is looked up by their address (mails_cap). While a store's first campaign goes out,
-- Postgres knows of few mails that were sent, and took those of the whole store instead: each claim read all that was
-- sent before. So the index for what a store sent is one that this question cannot use.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_tried_by ON mails ((store_id || ''), claimed_at) WHERE status IN ('sending', 'sent', 'unknown', 'failed');
DROP INDEX CONCURRENTLY IF EXISTS mails_tried;

-- What a customer said at checkouts is found by the customer: by the address no index of payments had it, and each mail
-- read all of them.
CREATE OR REPLACE VIEW mail_words AS
SELECT c.store_id, c.email, c.kind, c.state, c.said_at, c.email AS said_as
FROM mail_consents c
WHERE c.email <> ''
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, u.email
FROM mail_consents c
JOIN users u ON u.id = c.user_id
WHERE c.user_id <> ''
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, c.email
FROM mail_consents c
JOIN links l ON l.relation = 'address' AND l.object = c.email
JOIN users u ON u.id = l.subject AND u.email <> c.email
WHERE c.email <> ''
  AND (c.state = 'denied' OR NOT EXISTS (SELECT FROM users o WHERE o.email = c.email))
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, l.object
FROM mail_consents c
JOIN users u ON u.id = c.user_id
JOIN links l ON l.relation = 'address' AND l.subject = c.user_id AND l.object NOT IN ('', u.email)
WHERE c.user_id <> ''
UNION ALL
SELECT c.store_id, c.email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	k.started_at, c.email
FROM customers c
JOIN (
	SELECT account, id, customer_id FROM payments
	UNION ALL
	SELECT account, id, customer_id FROM subscriptions
) s ON s.customer_id = c.id
JOIN checkouts k ON k.account = s.account AND k.sale = s.id
WHERE k.promotions IN ('opt_in', 'opt_out');

-- +goose Down
CREATE OR REPLACE VIEW mail_words AS
SELECT c.store_id, c.email, c.kind, c.state, c.said_at, c.email AS said_as
FROM mail_consents c
WHERE c.email <> ''
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, u.email
FROM mail_consents c
JOIN users u ON u.id = c.user_id
WHERE c.user_id <> ''
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, c.email
FROM mail_consents c
JOIN links l ON l.relation = 'address' AND l.object = c.email
JOIN users u ON u.id = l.subject AND u.email <> c.email
WHERE c.email <> ''
  AND (c.state = 'denied' OR NOT EXISTS (SELECT FROM users o WHERE o.email = c.email))
UNION ALL
SELECT c.store_id, u.email, c.kind, c.state, c.said_at, l.object
FROM mail_consents c
JOIN users u ON u.id = c.user_id
JOIN links l ON l.relation = 'address' AND l.subject = c.user_id AND l.object NOT IN ('', u.email)
WHERE c.user_id <> ''
UNION ALL
SELECT s.store_id, s.customer_email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	k.started_at, s.customer_email
FROM checkouts k
JOIN (
	SELECT account, id, store_id, customer_email FROM payments WHERE customer_id IS NOT NULL
	UNION ALL
	SELECT account, id, store_id, customer_email FROM subscriptions WHERE customer_id IS NOT NULL
) s ON s.account = k.account AND s.id = k.sale
WHERE k.promotions IN ('opt_in', 'opt_out');
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_tried ON mails (store_id, claimed_at) WHERE status IN ('sending', 'sent', 'unknown', 'failed');
DROP INDEX CONCURRENTLY IF EXISTS mails_tried_by;
