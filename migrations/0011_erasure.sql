-- What is not kept: payloads that are old enough, by a setting, and whatever
-- names a person who was erased.

-- +goose NO TRANSACTION
-- +goose Up
-- A payload may go before its row. The row stays, so that a duplicate is known
-- for one; and what is still to be read keeps its payload.
ALTER TABLE webhook_events
	ALTER COLUMN payload DROP NOT NULL,
	ADD COLUMN IF NOT EXISTS pruned_at  timestamptz,
	ADD COLUMN IF NOT EXISTS pruned_for text,
	DROP CONSTRAINT IF EXISTS webhook_events_pruned_for_check,
	ADD CONSTRAINT webhook_events_pruned_for_check CHECK (pruned_for IN ('age', 'erasure')) NOT VALID,
	DROP CONSTRAINT IF EXISTS webhook_events_payload,
	ADD CONSTRAINT webhook_events_payload CHECK (
		(payload IS NULL) = (pruned_at IS NOT NULL)
		AND (pruned_at IS NULL) = (pruned_for IS NULL)
		AND (payload IS NOT NULL OR status IN ('processed', 'ignored'))) NOT VALID; -- nothing is pruned yet: no need to read it all
ALTER TABLE webhook_events VALIDATE CONSTRAINT webhook_events_pruned_for_check;
COMMENT ON COLUMN webhook_events.payload    IS 'the raw body; json, not jsonb: jsonb refuses \u0000 and reorders keys. NULL once it was pruned, which only closed events are';
COMMENT ON COLUMN webhook_events.pruned_for IS 'why the payload is gone: of age (RETAIN_PAYLOADS), or because it named a person who was erased';

-- Whose turn it is to be pruned. Only closed events are in it, so receiving one
-- does not write it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS webhook_events_prunable ON webhook_events (received_at) WHERE payload IS NOT NULL AND status IN ('processed', 'ignored');

-- An erased person's facts stay, under another name: amounts, courses and times
-- are the store's, and add up as before. In their place stands somebody without
-- a name, whose address is that of nobody.
CREATE TABLE IF NOT EXISTS erasures (
	id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	person      text        NOT NULL UNIQUE CHECK (person LIKE 'erased-_%'),
	store_id    text        NOT NULL DEFAULT '',
	erased_at   timestamptz NOT NULL,
	moved_at    timestamptz NOT NULL,
	finished_at timestamptz
);
CREATE INDEX IF NOT EXISTS erasures_open ON erasures (id) WHERE finished_at IS NULL;
COMMENT ON COLUMN erasures.person      IS 'what they are called now, at random: the address is this @erased.invalid';
COMMENT ON COLUMN erasures.store_id    IS 'the only store they were erased from; empty: from all';
COMMENT ON COLUMN erasures.moved_at    IS 'the last sign of progress: one without any is gone on with by a worker';
COMMENT ON COLUMN erasures.finished_at IS 'NULL while there may still be traces: see erasure_terms';

-- Tombstones: what erased people were known by, as keyed hashes. Whatever is told
-- of before erased_at under one of these is told of the nameless one.
CREATE TABLE IF NOT EXISTS erased (
	hash       bytea       NOT NULL CHECK (length(hash) = 32),
	store_id   text        NOT NULL DEFAULT '',
	kind       text        NOT NULL CHECK (kind IN ('address', 'user', 'stripe_customer')),
	erasure_id bigint      NOT NULL REFERENCES erasures,
	erased_at  timestamptz NOT NULL,
	PRIMARY KEY (hash, store_id)
);
CREATE INDEX IF NOT EXISTS erased_of ON erased (erasure_id);
COMMENT ON COLUMN erased.hash      IS 'HMAC-SHA-256, with the key in erasure_key, of "address:…", "user:…" or "stripe_customer:account/…"';
COMMENT ON COLUMN erased.store_id  IS 'the only store in which it is so; empty: in all';
COMMENT ON COLUMN erased.erased_at IS 'what happened later is told of whoever comes anew';

CREATE TABLE IF NOT EXISTS erasure_key (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	key bytea   NOT NULL CHECK (length(key) = 32)
);
COMMENT ON TABLE erasure_key IS 'made here at random, for the hashes in erased: without it nobody can tell whether an address is among them';
INSERT INTO erasure_key (key) VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')) ON CONFLICT DO NOTHING;

-- What an erasure under way still looks for, in clear until it has found it all;
-- and under which of their names an erased person came anew.
CREATE TABLE IF NOT EXISTS erasure_terms (
	erasure_id bigint NOT NULL REFERENCES erasures,
	kind       text   NOT NULL CHECK (kind IN ('address', 'user', 'stripe_customer')),
	value      text   NOT NULL,
	anew       boolean NOT NULL DEFAULT false,
	PRIMARY KEY (erasure_id, kind, value)
);
COMMENT ON COLUMN erasure_terms.anew IS 'there is nothing to look for, but for whoever erases the person again';

-- +goose Down
DROP TABLE erasure_terms;
DROP TABLE erasure_key;
DROP TABLE erased;
DROP TABLE erasures;
DROP INDEX webhook_events_prunable;
UPDATE webhook_events SET payload = '{}', pruned_at = NULL, pruned_for = NULL WHERE payload IS NULL;
ALTER TABLE webhook_events
	DROP CONSTRAINT webhook_events_payload,
	DROP COLUMN pruned_for,
	DROP COLUMN pruned_at,
	ALTER COLUMN payload SET NOT NULL;
