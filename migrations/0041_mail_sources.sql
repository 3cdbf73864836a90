-- Providers of mail are sources of the inbox. A checkout knows the payment or the subscription
-- that it led to: so what its buyer agreed to is known for their store.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE webhook_events
	DROP CONSTRAINT IF EXISTS webhook_events_source_check,
	ADD CONSTRAINT webhook_events_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE webhook_events VALIDATE CONSTRAINT webhook_events_source_check;
ALTER TABLE webhook_deliveries
	DROP CONSTRAINT IF EXISTS webhook_deliveries_source_check,
	ADD CONSTRAINT webhook_deliveries_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE webhook_deliveries VALIDATE CONSTRAINT webhook_deliveries_source_check;
ALTER TABLE webhook_minutes
	DROP CONSTRAINT IF EXISTS webhook_minutes_source_check,
	ADD CONSTRAINT webhook_minutes_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE webhook_minutes VALIDATE CONSTRAINT webhook_minutes_source_check;
ALTER TABLE webhook_networks
	DROP CONSTRAINT IF EXISTS webhook_networks_source_check,
	ADD CONSTRAINT webhook_networks_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE webhook_networks VALIDATE CONSTRAINT webhook_networks_source_check;
ALTER TABLE webhook_secrets
	DROP CONSTRAINT IF EXISTS webhook_secrets_source_check,
	ADD CONSTRAINT webhook_secrets_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE webhook_secrets VALIDATE CONSTRAINT webhook_secrets_source_check;
ALTER TABLE event_work
	DROP CONSTRAINT IF EXISTS event_work_source_check,
	ADD CONSTRAINT event_work_source_check CHECK (source ~ '^[a-z]{2,20}$') NOT VALID;
ALTER TABLE event_work VALIDATE CONSTRAINT event_work_source_check;

ALTER TABLE checkouts ADD COLUMN IF NOT EXISTS sale text;
COMMENT ON COLUMN checkouts.sale IS 'id of the payment or the subscription that it led to';
CREATE INDEX CONCURRENTLY IF NOT EXISTS checkouts_sale ON checkouts (account, sale) WHERE promotions IS NOT NULL;

-- What was said that counts for an address, and under which address it was said. Of what was
-- said under one, the last counts; of several addresses of a person, the most restrictive. What
-- users say counts under all addresses they have had. It follows from facts alone, so it is the
-- same in any order of them, and moves with the user.
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

-- +goose Down
DROP VIEW mail_words;
DROP INDEX checkouts_sale;
ALTER TABLE checkouts DROP COLUMN sale;
ALTER TABLE webhook_events
	DROP CONSTRAINT webhook_events_source_check,
	ADD CONSTRAINT webhook_events_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
ALTER TABLE webhook_deliveries
	DROP CONSTRAINT webhook_deliveries_source_check,
	ADD CONSTRAINT webhook_deliveries_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
ALTER TABLE webhook_minutes
	DROP CONSTRAINT webhook_minutes_source_check,
	ADD CONSTRAINT webhook_minutes_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
ALTER TABLE webhook_networks
	DROP CONSTRAINT webhook_networks_source_check,
	ADD CONSTRAINT webhook_networks_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
ALTER TABLE webhook_secrets
	DROP CONSTRAINT webhook_secrets_source_check,
	ADD CONSTRAINT webhook_secrets_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
ALTER TABLE event_work
	DROP CONSTRAINT event_work_source_check,
	ADD CONSTRAINT event_work_source_check CHECK (source IN ('stripe', 'clerk', 'platform')) NOT VALID;
