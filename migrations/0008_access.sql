-- Who may look at a store's list beside its owner: members, and programs with a
-- token of the store.

-- +goose Up
ALTER TABLE stores ADD COLUMN member_user_ids text[];
COMMENT ON COLUMN stores.member_user_ids IS 'Clerk users who may see the list, beside the owner';

CREATE TABLE store_tokens (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store_id     text        NOT NULL CHECK (store_id <> ''),
    name         text        NOT NULL DEFAULT '',
    hash         bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX store_tokens_store ON store_tokens (store_id, id);
COMMENT ON TABLE  store_tokens              IS 'opens the API of one store to a program; a row outlives its token, for the record';
COMMENT ON COLUMN store_tokens.store_id     IS 'the store need not be known yet';
COMMENT ON COLUMN store_tokens.hash         IS 'SHA-256 of the token, which is kept nowhere: of 200 random bits there is nothing to guess';
COMMENT ON COLUMN store_tokens.last_used_at IS 'to the minute: not every read is a write';

-- +goose Down
DROP TABLE store_tokens;
ALTER TABLE stores DROP COLUMN member_user_ids;
