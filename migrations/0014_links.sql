-- What was once known stays known. Links (whose store, whose account, whose
-- address, which product) are kept with the versions that named them; what an
-- object names stays named until a newer version names something else; a payment
-- and a subscription have lines.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS links (
	relation text    NOT NULL CHECK (relation IN ('owner', 'account', 'store', 'stripe', 'address')),
	subject  text    NOT NULL,
	object   text    NOT NULL,
	since    text    COLLATE "C" NOT NULL,
	hearsay  boolean NOT NULL,
	PRIMARY KEY (relation, subject, since, object)
);
COMMENT ON TABLE  links          IS 'each naming of a link, by version: a fact is resolved by the link in force at its own time, else by the first after it';
COMMENT ON COLUMN links.relation IS 'owner: store → user; account: store → Stripe account; store: product → store (or its owner); stripe: product → Stripe price or product; address: user → verified address';
COMMENT ON COLUMN links.object   IS 'empty (of stripe: -price or -prod): from here on the subject names none';
COMMENT ON COLUMN links.since    IS 'version of the message that named it';
COMMENT ON COLUMN links.hearsay  IS 'a copy (an export, a Stripe product''s metadata): yields to what the source itself said';

-- The links in force at a time (a version, as moment writes it). They are functions
-- because a statement that resolves facts asks for few of the links that it could
-- ask for, and pays for whatever stands in it.
-- +goose StatementBegin

-- Whether its subject took a link back before a time.
CREATE OR REPLACE FUNCTION link_withdrawn(l links, at text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (
		SELECT FROM links x
		WHERE x.relation = l.relation AND x.subject = l.subject AND x.since > l.since AND x.since <= at COLLATE "C"
		  AND x.object = CASE WHEN l.relation <> 'stripe' THEN '' WHEN l.object LIKE 'prod\_%' THEN '-prod' ELSE '-price' END
	);

-- The link by which a subject names an object at a time, or else the first after;
-- none if it was withdrawn.
CREATE OR REPLACE FUNCTION link_of(of_relation text, of_subject text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
BEGIN
	SELECT * INTO l FROM links x
	WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND NOT x.hearsay
	ORDER BY x.since DESC, x.object DESC LIMIT 1;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since <= at COLLATE "C" AND x.hearsay
		ORDER BY x.since DESC, x.object DESC LIMIT 1;
	END IF;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.subject = of_subject AND x.since > at COLLATE "C" AND x.object <> ''
		ORDER BY x.hearsay, x.since, x.object LIMIT 1;
	END IF;
	IF l.object = '' THEN
		RETURN NULL;
	END IF;
	RETURN l;
END $$;

-- The link by which an object is named at a time, by whoever named it last, or
-- else the first after.
CREATE OR REPLACE FUNCTION link_to(of_relation text, of_object text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
	copied boolean;
BEGIN
	FOREACH copied IN ARRAY ARRAY[false, true] LOOP
		SELECT * INTO l FROM links x
		WHERE x.relation = of_relation AND x.object = of_object AND x.hearsay = copied AND x.since <= at COLLATE "C" AND NOT link_withdrawn(x, at)
		ORDER BY x.since DESC, x.subject DESC LIMIT 1;
		IF FOUND THEN
			RETURN l;
		END IF;
	END LOOP;
	SELECT * INTO l FROM links x
	WHERE x.relation = of_relation AND x.object = of_object AND x.since > at COLLATE "C"
	ORDER BY x.hearsay, x.since, x.subject LIMIT 1;
	RETURN l;
END $$;

-- The link of the store that a user owned at a time, of several the one they had
-- first; else of the last one before, else of the first one after.
CREATE OR REPLACE FUNCTION store_owned(of_user text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
BEGIN
	SELECT x.* INTO l
	FROM (
		SELECT DISTINCT ON (x.subject) x.*
		FROM links x
		WHERE x.relation = 'owner' AND x.object = of_user AND x.since <= at COLLATE "C"
		ORDER BY x.subject, x.since
	) x
	WHERE (link_of('owner', x.subject, at)).object = of_user
	ORDER BY x.since, x.subject LIMIT 1;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = 'owner' AND x.object = of_user AND x.since <= at COLLATE "C" AND NOT link_withdrawn(x, at)
		ORDER BY x.since DESC, x.subject LIMIT 1;
	END IF;
	IF NOT FOUND THEN
		SELECT * INTO l FROM links x
		WHERE x.relation = 'owner' AND x.object = of_user AND x.since > at COLLATE "C"
		ORDER BY x.since, x.subject LIMIT 1;
	END IF;
	RETURN l;
END $$;

-- The store that ref names at a time: by its id, or its owner's. One that was
-- named but not told yet is taken at its word.
CREATE OR REPLACE FUNCTION store_named(ref text, at text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	owned text;
BEGIN
	IF ref IS NULL OR EXISTS (SELECT FROM stores s WHERE s.id = ref) THEN
		RETURN ref;
	END IF;
	owned := (store_owned(ref, at)).subject;
	RETURN coalesce(owned, CASE WHEN ref NOT LIKE 'user\_%' THEN ref END);
END $$;

-- The store that a product was in at a time, id, and the name that it had for it,
-- ref. Where that leads nowhere, the nearest that does counts.
CREATE OR REPLACE FUNCTION product_home(of_product text, at text, OUT id text, OUT ref text) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
	ref := (link_of('store', of_product, at)).object;
	id := store_named(ref, at);
	IF id IS NULL AND ref IS NOT NULL THEN
		SELECT led.id, led.object INTO id, ref
		FROM (
			SELECT x.*, store_named(x.object, at) AS id FROM links x WHERE x.relation = 'store' AND x.subject = of_product AND x.object <> ''
		) led
		WHERE led.id IS NOT NULL
		ORDER BY led.since <= at COLLATE "C" DESC, led.hearsay, CASE WHEN led.since <= at COLLATE "C" THEN led.since END DESC, led.since
		LIMIT 1;
	END IF;
END $$;

-- The link of the user to whom what happened at an address at a time belongs: who
-- proved it first of those who had not left it by then.
CREATE OR REPLACE FUNCTION address_owner(email text, at text) RETURNS links LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
	l links;
BEGIN
	IF email IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT * INTO l FROM links x
	WHERE x.relation = 'address' AND x.object = address_owner.email
	  AND NOT EXISTS (
		SELECT FROM links y
		WHERE y.relation = 'address' AND y.subject = x.subject AND y.since > x.since AND y.object <> address_owner.email AND y.since <= at COLLATE "C"
	  )
	  AND NOT EXISTS (
		SELECT FROM users u WHERE u.id = x.subject AND u.deleted_version > x.since AND u.deleted_version <= at COLLATE "C"
	  )
	ORDER BY x.since, x.subject LIMIT 1;
	RETURN l;
END $$;
-- +goose StatementEnd

-- When a version was said: it begins with the source's time.
CREATE OR REPLACE FUNCTION version_time(v text) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN CASE WHEN v ~ '^-?(\d )?\d{4}-' THEN substring(v FROM '\d{4}-\d\d-\d\dT[0-9:.]+Z')::timestamptz END;

-- The time of a fact as versions write it, after all that was said in it; before
-- everything if nobody knows it.
CREATE OR REPLACE FUNCTION moment(t timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' 99', '');

-- What lines name: products of ours, as rows lean on them, and ids of Stripe's.
CREATE OR REPLACE FUNCTION line_products(lines jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN ARRAY(SELECT 'product:' || (l ->> 'ref') FROM jsonb_array_elements(lines) l WHERE l ? 'ref');
CREATE OR REPLACE FUNCTION line_ids(lines jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN ARRAY(SELECT jsonb_array_elements_text(l -> 'stripe') FROM jsonb_array_elements(lines) l WHERE l ? 'stripe');

-- Of versions by thing, those that are not the newest; NULL if all are.
CREATE OR REPLACE FUNCTION earlier_of(newest text, versions jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(versions) WHERE value NOT IN ('', newest));

-- What two messages say of where something belongs: each member as the newer one
-- that has it says. Of members that are older than the whole, earlier tells how old.
CREATE OR REPLACE FUNCTION merge_context(t jsonb, t_version text, e jsonb, e_version text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN e IS NULL OR t = e AND t_version = e_version THEN t
		WHEN t IS NULL THEN e
		ELSE (
			SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}')
				|| CASE WHEN bool_or(m.version < GREATEST(t_version, e_version))
					THEN jsonb_build_object('earlier', jsonb_object_agg(m.key, m.version) FILTER (WHERE m.version < GREATEST(t_version, e_version)))
					ELSE '{}' END
			FROM (
				SELECT DISTINCT ON (said.key) said.key, said.value, said.version
				FROM (
					SELECT key, value, coalesce(t -> 'earlier' ->> key, t_version) COLLATE "C" AS version FROM jsonb_each(t)
					UNION ALL
					SELECT key, value, coalesce(e -> 'earlier' ->> key, e_version) COLLATE "C" FROM jsonb_each(e)
				) said
				WHERE said.key <> 'earlier'
				ORDER BY said.key, said.version DESC, said.value DESC
			) m)
		END;

-- Of moves (from>to id), where the last one led: none begins there. If that is
-- several places or none, the greatest id decides.
CREATE OR REPLACE FUNCTION last_move(moves text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (
		SELECT m.to
		FROM (SELECT split_part(m, '>', 1) AS from, split_part(split_part(m, '>', 2), ' ', 1) AS to, split_part(m, ' ', 2) AS id FROM unnest(moves) m) m
		ORDER BY m.to NOT IN (SELECT split_part(n, '>', 1) FROM unnest(moves) n) DESC, m.id COLLATE "C" DESC
		LIMIT 1);

ALTER TABLE users            ADD COLUMN IF NOT EXISTS earlier jsonb, ADD COLUMN IF NOT EXISTS time_zone text;
ALTER TABLE stripe_customers ADD COLUMN IF NOT EXISTS earlier jsonb;
ALTER TABLE stores           ADD COLUMN IF NOT EXISTS earlier jsonb, ADD COLUMN IF NOT EXISTS time_zone text;
ALTER TABLE products         ADD COLUMN IF NOT EXISTS earlier jsonb, ADD COLUMN IF NOT EXISTS store_ids text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN users.earlier      IS '{column group: version} of what an earlier version than the newest named last';
COMMENT ON COLUMN users.email        IS 'the last verified address; NULL if there never was one, as an unverified one must join nothing';
COMMENT ON COLUMN products.store_id  IS 'the store it is in now';
COMMENT ON COLUMN products.store_ids IS 'every store it was ever in';
COMMENT ON COLUMN stores.owner_user_id     IS 'the last of links';
COMMENT ON COLUMN stores.stripe_account_id IS 'the last of links';
CREATE INDEX CONCURRENTLY IF NOT EXISTS products_store_ids ON products USING gin (store_ids);

INSERT INTO links (relation, subject, object, since, hearsay)
SELECT relation, subject, object, ltrim(version, '-'), version LIKE '-%'
FROM (
	SELECT 'owner' AS relation, id AS subject, owner_user_id AS object, version FROM stores
	UNION ALL
	SELECT 'account', id, stripe_account_id, version FROM stores
	UNION ALL
	SELECT 'store', id, store_ref, version FROM products
	UNION ALL
	SELECT DISTINCT 'stripe', id, x, version FROM products CROSS JOIN unnest(stripe_product_ids || stripe_price_ids) x
	UNION ALL
	SELECT 'address', id, email, version FROM users
) l
WHERE object <> '' AND version <> ''
ON CONFLICT DO NOTHING;
CREATE INDEX CONCURRENTLY IF NOT EXISTS links_object ON links (relation, object, hearsay, since, subject);
UPDATE products SET store_ids = ARRAY[store_id] WHERE store_id IS NOT NULL AND store_ids = '{}';

-- Each of these tables is written anew, as its generated columns change. All that needs
-- it is one step, and the indexes come after it.

-- Enrollments.
-- +goose StatementBegin
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'enrollments'::regclass AND attname = 'mail') THEN
		DROP INDEX enrollments_leans;
		ALTER TABLE enrollments
			DROP COLUMN leans,
			ADD COLUMN completed_with_progress boolean,
			ADD COLUMN peak_progress double precision,
			ADD COLUMN progressed_at timestamptz,
			ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
				'product:' || course_id,
				'store:'   || store_ref,
				CASE WHEN person LIKE 'user:%' THEN person END], NULL)) STORED,
			ADD COLUMN mail text GENERATED ALWAYS AS (coalesce(email, CASE WHEN person LIKE 'email:%' THEN substr(person, 7) END)) STORED;
		UPDATE enrollments SET peak_progress = progress, progressed_at = version_time(progress_version) WHERE progress > 0;
	END IF;
END $$;
-- +goose StatementEnd
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_leans ON enrollments USING gin (leans) WITH (fastupdate = off);
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_mail  ON enrollments (mail) WHERE mail IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_ends  ON enrollments (customer_email) WHERE version = '';
COMMENT ON COLUMN enrollments.completed_with_progress IS 'the message that told the completion told the progress too: then a lower progress told later takes it back';
COMMENT ON COLUMN enrollments.progressed_at           IS 'when peak_progress, the greatest so far, was told first: progress last rose then';

-- Payments.
-- +goose StatementBegin
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'payments'::regclass AND attname = 'mail') THEN
		DROP INDEX payments_leans;
		ALTER TABLE payments DROP CONSTRAINT payments_claimed;
		ALTER TABLE payments RENAME COLUMN paid     TO claim_paid;
		ALTER TABLE payments RENAME COLUMN amount   TO claim_amount;
		ALTER TABLE payments RENAME COLUMN currency TO claim_currency;
		ALTER TABLE payments
			DROP COLUMN leans,
			ADD COLUMN earlier jsonb,
			ADD COLUMN named jsonb,
			ADD COLUMN lines jsonb,
			ADD COLUMN charge jsonb,
			ADD COLUMN charge_version text COLLATE "C" NOT NULL DEFAULT '',
			ADD COLUMN sold jsonb;
		-- Courses named outright, and what Stripe calls what was sold.
		UPDATE payments
		SET named = (SELECT jsonb_agg(jsonb_build_object('ref', c, 'kind', 'course')) FROM unnest(courses) c),
			lines = (SELECT jsonb_agg(jsonb_build_object('stripe', ARRAY[x])) FROM unnest(catalogue) x)
		WHERE cardinality(courses) > 0 OR cardinality(catalogue) > 0;
		UPDATE payments
		SET intent = (intent - 'courses') || jsonb_build_object('named', (SELECT jsonb_agg(jsonb_build_object('ref', c, 'kind', 'course')) FROM jsonb_array_elements_text(intent -> 'courses') c))
		WHERE jsonb_typeof(intent -> 'courses') = 'array';
		ALTER TABLE payments
			DROP COLUMN courses,
			DROP COLUMN catalogue,
			ADD COLUMN catalogue text[] NOT NULL GENERATED ALWAYS AS (coalesce(CASE WHEN named @> '[{"stripe": []}]' THEN line_ids(named) END, '{}') || coalesce(CASE WHEN lines @> '[{"stripe": []}]' THEN line_ids(lines) END, '{}')) STORED,
			ADD COLUMN paid boolean GENERATED ALWAYS AS (claim_version <> '' AND (coalesce(claim_paid, false) OR coalesce((intent ->> 'received')::bigint > 0, false))) STORED,
			ADD COLUMN amount bigint GENERATED ALWAYS AS (CASE WHEN claim_paid OR NOT coalesce(intent ? 'received', false) THEN claim_amount WHEN claim_version <> '' THEN coalesce((intent ->> 'received')::bigint, claim_amount) END) STORED,
			ADD COLUMN currency text GENERATED ALWAYS AS (CASE WHEN claim_paid OR NOT coalesce(intent ? 'received', false) THEN claim_currency WHEN claim_version <> '' THEN coalesce(intent ->> 'currency', claim_currency) END) STORED,
			ADD COLUMN mail text GENERATED ALWAYS AS (coalesce(email, charge ->> 'email', intent ->> 'email')) STORED,
			ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
				'user:'    || user_ref,
				'user:'    || (intent ->> 'user_ref'),
				'user:'    || (charge ->> 'user_ref'),
				'product:' || product_ref,
				'product:' || (intent ->> 'product_ref'),
				'product:' || (charge ->> 'product_ref'),
				'store:'   || store_ref,
				'store:'   || (intent ->> 'store_ref'),
				'store:'   || (charge ->> 'store_ref'),
				'store:'   || creator_ref,
				'store:'   || (intent ->> 'creator_ref'),
				'store:'   || (charge ->> 'creator_ref'),
				'account:' || nullif(account, ''),
				'account:' || destination,
				'cus:'     || account || '/' || stripe_customer,
				'cus:'     || account || '/' || (intent ->> 'stripe_customer'),
				'cus:'     || account || '/' || (charge ->> 'stripe_customer'),
				'sub:'     || account || '/' || subscription,
				'pay:'     || account || '/' || invoice], NULL)
				|| line_products(named) || line_products(lines) || line_products(intent -> 'named')
				|| CASE WHEN named @> '[{"stripe": []}]' THEN line_ids(named) END || CASE WHEN lines @> '[{"stripe": []}]' THEN line_ids(lines) END || CASE WHEN (intent -> 'named') @> '[{"stripe": []}]' THEN line_ids((intent -> 'named')) END) STORED,
			ADD CONSTRAINT payments_claimed CHECK (claim_version = '' OR (kind IS NOT NULL AND claim_amount IS NOT NULL AND claim_currency IS NOT NULL AND paid_at IS NOT NULL));
		UPDATE payments SET sold = jsonb_build_array(jsonb_build_object('id', product_id)) WHERE product_id IS NOT NULL;
	END IF;
END $$;
-- +goose StatementEnd
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_leans   ON payments USING gin (leans) WITH (fastupdate = off);
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_mail    ON payments (mail) WHERE mail IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_session ON payments (account, claimed_by) WHERE kind = 'checkout' AND id <> claimed_by;
COMMENT ON COLUMN payments.intent IS 'what the payment intent itself says of store, product and person; received and currency: the money it brought, which an unpaid claim believes; uncaptured: what was never taken';
COMMENT ON COLUMN payments.charge IS 'what the charge says of store, product and person: the address of billing_details';
COMMENT ON COLUMN payments.mail   IS 'the address it was made with: rows lean on it as they do on leans, by an index that costs less to write';
COMMENT ON COLUMN payments.named  IS 'products that metadata names beside product_ref, as lines';
COMMENT ON COLUMN payments.lines  IS 'what was sold, as told: [{ref, kind, stripe, amount, …}]';
COMMENT ON COLUMN payments.sold   IS 'derived: the products, [{id, kind, amount}]; product_id is the first';

ALTER TABLE refunds ADD COLUMN IF NOT EXISTS captured bigint;
COMMENT ON COLUMN refunds.captured IS 'of a total: what was captured of the charge; the rest was never paid, so it is not refunded either';

-- Subscriptions.
-- +goose StatementBegin
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'subscriptions'::regclass AND attname = 'mail') THEN
		DROP INDEX subscriptions_leans;
		ALTER TABLE subscriptions
			DROP COLUMN leans,
			ADD COLUMN earlier jsonb,
			ADD COLUMN named jsonb,
			ADD COLUMN lines jsonb,
			ADD COLUMN sold jsonb,
			ADD COLUMN status_moves text[],
			ADD COLUMN cancel_at timestamptz,
			ADD COLUMN cancellation jsonb,
			ADD COLUMN paused boolean,
			ADD COLUMN discount jsonb;
		UPDATE subscriptions
		SET named = (SELECT jsonb_agg(jsonb_build_object('ref', c, 'kind', 'course')) FROM unnest(courses) c),
			lines = (SELECT jsonb_agg(jsonb_build_object('stripe', ARRAY[x])) FROM unnest(catalogue) x)
		WHERE cardinality(courses) > 0 OR cardinality(catalogue) > 0;
		UPDATE subscriptions
		SET checkout = (checkout - 'courses') || jsonb_build_object('named', (SELECT jsonb_agg(jsonb_build_object('ref', c, 'kind', 'course')) FROM jsonb_array_elements_text(checkout -> 'courses') c))
		WHERE jsonb_typeof(checkout -> 'courses') = 'array';
		ALTER TABLE subscriptions
			DROP COLUMN courses,
			DROP COLUMN catalogue,
			ADD COLUMN catalogue text[] NOT NULL GENERATED ALWAYS AS (coalesce(CASE WHEN named @> '[{"stripe": []}]' THEN line_ids(named) END, '{}') || coalesce(CASE WHEN lines @> '[{"stripe": []}]' THEN line_ids(lines) END, '{}')) STORED,
			ADD COLUMN mail text GENERATED ALWAYS AS (coalesce(email, checkout ->> 'email')) STORED,
			ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
				'user:'    || user_ref,
				'user:'    || (checkout ->> 'user_ref'),
				'product:' || product_ref,
				'product:' || (checkout ->> 'product_ref'),
				'store:'   || store_ref,
				'store:'   || (checkout ->> 'store_ref'),
				'store:'   || creator_ref,
				'store:'   || (checkout ->> 'creator_ref'),
				'account:' || nullif(account, ''),
				'account:' || destination,
				'cus:'     || account || '/' || stripe_customer,
				'cus:'     || account || '/' || (checkout ->> 'stripe_customer')], NULL)
				|| line_products(named) || line_products(lines) || line_products(checkout -> 'named')
				|| CASE WHEN named @> '[{"stripe": []}]' THEN line_ids(named) END || CASE WHEN lines @> '[{"stripe": []}]' THEN line_ids(lines) END || CASE WHEN (checkout -> 'named') @> '[{"stripe": []}]' THEN line_ids((checkout -> 'named')) END) STORED;
		UPDATE subscriptions SET sold = jsonb_build_array(jsonb_build_object('id', product_id)) WHERE product_id IS NOT NULL;
	END IF;
END $$;
-- +goose StatementEnd
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_leans ON subscriptions USING gin (leans) WITH (fastupdate = off);
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_mail ON subscriptions (mail) WHERE mail IS NOT NULL;
COMMENT ON COLUMN subscriptions.status_moves IS 'changes of status told in the second of the newest version, from>to id: the one that no other follows came last';
COMMENT ON COLUMN subscriptions.lines        IS 'its items, as told: [{ref, kind, stripe, amount, quantity, interval, interval_count, …}]';
COMMENT ON COLUMN subscriptions.sold         IS 'derived: the products, [{id, kind, amount}]; product_id is the first';

-- What is kept for later work: checkouts given up, recovered or with a word on
-- promotions, and invoices whose payment failed. They make nobody a customer.
CREATE TABLE IF NOT EXISTS checkouts (
	account         text NOT NULL,
	id              text NOT NULL,
	version         text COLLATE "C" NOT NULL,
	earlier         jsonb,
	status          text,
	store_ref       text,
	product_ref     text,
	product_kind    text,
	product_type    text,
	plan            text,
	user_ref        text,
	creator_ref     text,
	stripe_customer text,
	email           text,
	name            text,
	named           jsonb,
	lines           jsonb,
	amount          bigint,
	currency        text,
	recovery_url    text,
	recovery_until  timestamptz,
	recovered_from  text,
	promotions      text,
	started_at      timestamptz,
	PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS checkouts_email    ON checkouts (email) WHERE email IS NOT NULL;
CREATE INDEX IF NOT EXISTS checkouts_user     ON checkouts (user_ref) WHERE user_ref IS NOT NULL;
CREATE INDEX IF NOT EXISTS checkouts_customer ON checkouts (account, stripe_customer) WHERE stripe_customer IS NOT NULL;
COMMENT ON TABLE  checkouts              IS 'Checkout sessions that expired, were recovered, or asked for consent to promotions';
COMMENT ON COLUMN checkouts.recovery_url IS 'where the buyer can go on (after_expiration.recovery.url), until recovery_until';
COMMENT ON COLUMN checkouts.promotions   IS 'consent.promotions: opt_in or opt_out';

CREATE TABLE IF NOT EXISTS failed_invoices (
	account         text NOT NULL,
	id              text NOT NULL,
	version         text COLLATE "C" NOT NULL,
	earlier         jsonb,
	subscription    text,
	stripe_customer text,
	attempts        integer,
	next_attempt_at timestamptz,
	hosted_url      text,
	amount_due      bigint,
	currency        text,
	PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS failed_invoices_customer ON failed_invoices (account, stripe_customer) WHERE stripe_customer IS NOT NULL;
COMMENT ON TABLE failed_invoices IS 'the latest failed attempt at an invoice; whether it was paid later is in payments';

-- Of an address only A–Z are folded: its one spelling is made when it is read.
ALTER TABLE customers
	DROP CONSTRAINT IF EXISTS customers_email_check,
	ADD CONSTRAINT customers_email_check CHECK (email !~ '[A-Z]' AND email = btrim(email) AND email LIKE '%_@_%') NOT VALID;
ALTER TABLE customers VALIDATE CONSTRAINT customers_email_check;

-- +goose Down
ALTER TABLE customers
	DROP CONSTRAINT customers_email_check,
	ADD CONSTRAINT customers_email_check CHECK (email = lower(btrim(email)) AND email LIKE '%_@_%') NOT VALID;
DROP TABLE failed_invoices;
DROP TABLE checkouts;
DROP INDEX subscriptions_leans;
ALTER TABLE subscriptions DROP COLUMN mail, DROP COLUMN leans, ADD COLUMN courses text[];
ALTER TABLE subscriptions ALTER COLUMN catalogue DROP EXPRESSION, ALTER COLUMN catalogue DROP NOT NULL;
UPDATE subscriptions
SET courses = ARRAY(SELECT l ->> 'ref' FROM jsonb_array_elements(named) l WHERE l ->> 'kind' = 'course' AND l ? 'ref')
WHERE named IS NOT NULL;
ALTER TABLE subscriptions
	DROP COLUMN earlier, DROP COLUMN named, DROP COLUMN lines, DROP COLUMN sold, DROP COLUMN status_moves, DROP COLUMN cancel_at, DROP COLUMN cancellation, DROP COLUMN paused, DROP COLUMN discount,
	ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
		'user:'    || user_ref,
		'user:'    || (checkout ->> 'user_ref'),
		'product:' || product_ref,
		'product:' || (checkout ->> 'product_ref'),
		'store:'   || store_ref,
		'store:'   || (checkout ->> 'store_ref'),
		'store:'   || creator_ref,
		'store:'   || (checkout ->> 'creator_ref'),
		'account:' || nullif(account, ''),
		'account:' || destination,
		'cus:'     || account || '/' || stripe_customer,
		'cus:'     || account || '/' || (checkout ->> 'stripe_customer')], NULL) || coalesce(catalogue, '{}')) STORED;
CREATE INDEX subscriptions_leans ON subscriptions USING gin (leans) WITH (fastupdate = off);
ALTER TABLE refunds DROP COLUMN captured;
DROP INDEX payments_session, payments_leans;
ALTER TABLE payments
	DROP CONSTRAINT payments_claimed,
	DROP COLUMN mail, DROP COLUMN leans, DROP COLUMN paid, DROP COLUMN amount, DROP COLUMN currency,
	ADD COLUMN courses text[];
ALTER TABLE payments RENAME COLUMN claim_paid     TO paid;
ALTER TABLE payments RENAME COLUMN claim_amount   TO amount;
ALTER TABLE payments RENAME COLUMN claim_currency TO currency;
ALTER TABLE payments ALTER COLUMN catalogue DROP EXPRESSION, ALTER COLUMN catalogue DROP NOT NULL;
UPDATE payments
SET courses = ARRAY(SELECT l ->> 'ref' FROM jsonb_array_elements(named) l WHERE l ->> 'kind' = 'course' AND l ? 'ref')
WHERE named IS NOT NULL;
ALTER TABLE payments
	DROP COLUMN earlier, DROP COLUMN named, DROP COLUMN lines, DROP COLUMN charge, DROP COLUMN charge_version, DROP COLUMN sold,
	ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
		'user:'    || user_ref,
		'user:'    || (intent ->> 'user_ref'),
		'product:' || product_ref,
		'product:' || (intent ->> 'product_ref'),
		'store:'   || store_ref,
		'store:'   || (intent ->> 'store_ref'),
		'store:'   || creator_ref,
		'store:'   || (intent ->> 'creator_ref'),
		'account:' || nullif(account, ''),
		'account:' || destination,
		'cus:'     || account || '/' || stripe_customer,
		'cus:'     || account || '/' || (intent ->> 'stripe_customer'),
		'sub:'     || account || '/' || subscription,
		'pay:'     || account || '/' || invoice], NULL) || coalesce(catalogue, '{}')) STORED,
	ADD CONSTRAINT payments_claimed CHECK (claim_version = '' OR (kind IS NOT NULL AND amount IS NOT NULL AND currency IS NOT NULL AND paid_at IS NOT NULL));
CREATE INDEX payments_leans ON payments USING gin (leans) WITH (fastupdate = off);
DROP INDEX enrollments_ends;
DROP INDEX enrollments_leans;
ALTER TABLE enrollments
	DROP COLUMN mail,
	DROP COLUMN leans,
	DROP COLUMN completed_with_progress,
	DROP COLUMN peak_progress,
	DROP COLUMN progressed_at,
	ADD COLUMN leans text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
		'product:' || course_id,
		'store:'   || store_ref,
		CASE WHEN person LIKE 'user:%' THEN person END], NULL)) STORED;
CREATE INDEX enrollments_leans ON enrollments USING gin (leans) WITH (fastupdate = off);
ALTER TABLE products         DROP COLUMN earlier, DROP COLUMN store_ids;
ALTER TABLE stores           DROP COLUMN earlier, DROP COLUMN time_zone;
ALTER TABLE stripe_customers DROP COLUMN earlier;
ALTER TABLE users            DROP COLUMN earlier, DROP COLUMN time_zone;
DROP FUNCTION address_owner, product_home, store_named, store_owned, link_to, link_of, link_withdrawn;
DROP FUNCTION last_move, merge_context, earlier_of, line_ids, line_products, moment, version_time;
DROP TABLE links;
