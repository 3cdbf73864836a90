-- What a buyer agreed to or refused at a checkout counts also if they left it: no payment leads to those. They are found
-- as "Left at checkout" finds them.

-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION checkout_home(account text, store_ref text, product_ref text, creator_ref text, at text)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT CASE
		WHEN account <> '' THEN (link_to('account', account, at)).subject
		ELSE coalesce(
			(SELECT s.id FROM stores s WHERE s.id = store_ref),
			store_named(store_ref, at),
			(product_home(product_ref, at)).id,
			(store_owned(creator_ref, at)).subject)
	END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION checkout_home IS 'the store of a Checkout session that began then, by the same links as a payment''s';

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
WHERE k.promotions IN ('opt_in', 'opt_out')
-- Those without a sale: of a user, else of an address that was typed in, which may be an earlier one of a user, else of
-- a customer of Stripe. That IS NOT DISTINCT is not = keeps Postgres from asking for the store of each before it knows
-- whose they are.
UNION ALL
SELECT c.store_id, c.email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	coalesce(k.started_at, version_time(k.version)), c.email
FROM customers c
JOIN users u ON u.email = c.email
JOIN checkouts k ON k.user_ref = u.id
WHERE k.promotions IN ('opt_in', 'opt_out')
  AND (k.sale IS NULL OR k.status = 'expired')
  AND checkout_home(k.account, k.store_ref, k.product_ref, k.creator_ref, moment(k.started_at)) IS NOT DISTINCT FROM c.store_id
UNION ALL
SELECT c.store_id, c.email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	coalesce(k.started_at, version_time(k.version)), c.email
FROM customers c
JOIN checkouts k ON k.email = c.email
WHERE k.promotions IN ('opt_in', 'opt_out')
  AND (k.sale IS NULL OR k.status = 'expired')
  AND NOT EXISTS (SELECT FROM users u WHERE u.id = k.user_ref AND u.email IS NOT NULL)
  AND checkout_home(k.account, k.store_ref, k.product_ref, k.creator_ref, moment(k.started_at)) IS NOT DISTINCT FROM c.store_id
UNION ALL
SELECT c.store_id, c.email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	coalesce(k.started_at, version_time(k.version)), k.email
FROM customers c
JOIN users u ON u.email = c.email
JOIN links l ON l.relation = 'address' AND l.subject = u.id AND l.object NOT IN ('', u.email)
JOIN checkouts k ON k.email = l.object
WHERE k.promotions IN ('opt_in', 'opt_out')
  AND (k.sale IS NULL OR k.status = 'expired')
  AND (k.promotions = 'opt_out' OR NOT EXISTS (SELECT FROM users o WHERE o.email = k.email))
  AND NOT EXISTS (SELECT FROM users o WHERE o.id = k.user_ref AND o.email IS NOT NULL)
  AND checkout_home(k.account, k.store_ref, k.product_ref, k.creator_ref, moment(k.started_at)) IS NOT DISTINCT FROM c.store_id
UNION ALL
SELECT c.store_id, c.email, 'marketing', CASE k.promotions WHEN 'opt_in' THEN 'granted' ELSE 'denied' END,
	coalesce(k.started_at, version_time(k.version)), c.email
FROM customers c
JOIN stripe_customers s ON s.email = c.email
JOIN checkouts k ON k.account = s.account AND k.stripe_customer = s.id
WHERE k.promotions IN ('opt_in', 'opt_out')
  AND (k.sale IS NULL OR k.status = 'expired')
  AND k.email IS NULL
  AND NOT EXISTS (SELECT FROM users u WHERE u.id = k.user_ref AND u.email IS NOT NULL)
  AND checkout_home(k.account, k.store_ref, k.product_ref, k.creator_ref, moment(k.started_at)) IS NOT DISTINCT FROM c.store_id;

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
DROP FUNCTION checkout_home;
