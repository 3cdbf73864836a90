-- Of mails whose recipients were erased, what a later report on them needs to stop the address. It names no one.

-- +goose Up
CREATE TABLE erased_mails (
	mail_id     bigint      PRIMARY KEY,
	store_id    text        NOT NULL,
	hash        bytea       NOT NULL CHECK (length(hash) = 32),
	provider    text,
	provider_id text,
	tries       integer     NOT NULL,
	made_at     timestamptz NOT NULL,
	claimed_at  timestamptz,
	erased_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_mails_by_provider ON erased_mails (provider_id) WHERE provider_id IS NOT NULL;
COMMENT ON TABLE  erased_mails             IS 'mails that were sent to who was erased since: a complaint still stops the hash. Kept for 90 days';
COMMENT ON COLUMN erased_mails.hash        IS 'as mail_stops.hash';
COMMENT ON COLUMN erased_mails.provider    IS 'as mails.provider';
COMMENT ON COLUMN erased_mails.provider_id IS 'as mails.provider_id';

-- +goose Down
DROP TABLE erased_mails;
