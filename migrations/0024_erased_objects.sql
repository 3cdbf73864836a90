-- What an erased person bought goes with them: payloads that name it are emptied,
-- whenever they come.

-- +goose Up
ALTER TABLE erased
	DROP CONSTRAINT erased_kind_check,
	ADD CONSTRAINT erased_kind_check CHECK (kind IN ('address', 'user', 'stripe_customer', 'object'));
ALTER TABLE erasure_terms
	DROP CONSTRAINT erasure_terms_kind_check,
	ADD CONSTRAINT erasure_terms_kind_check CHECK (kind IN ('address', 'user', 'stripe_customer', 'object'));
COMMENT ON COLUMN erased.hash IS 'HMAC-SHA-256, with the key in erasure_key, of "address:…", "user:…", "stripe_customer:account/…" or "object:account/…"';

-- The key may be kept apart from dumps. What is restored is known for the key that
-- the tombstones were made with by its hash: the key is random, so that tells nothing.
CREATE TABLE erasure_key_check (
	one  boolean PRIMARY KEY DEFAULT true CHECK (one),
	hash bytea   NOT NULL
);
COMMENT ON TABLE erasure_key_check IS 'SHA-256 of the key in erasure_key';
INSERT INTO erasure_key_check (hash) SELECT sha256(key) FROM erasure_key;

-- +goose Down
DROP TABLE erasure_key_check;
DELETE FROM erasure_terms WHERE kind = 'object';
DELETE FROM erased WHERE kind = 'object';
ALTER TABLE erasure_terms
	DROP CONSTRAINT erasure_terms_kind_check,
	ADD CONSTRAINT erasure_terms_kind_check CHECK (kind IN ('address', 'user', 'stripe_customer'));
ALTER TABLE erased
	DROP CONSTRAINT erased_kind_check,
	ADD CONSTRAINT erased_kind_check CHECK (kind IN ('address', 'user', 'stripe_customer'));
