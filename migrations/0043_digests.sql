-- The members of a store get a mail on Mondays about the week before.

-- +goose Up
CREATE TABLE digests (
	store_id text        NOT NULL PRIMARY KEY,
	due_at   timestamptz NOT NULL DEFAULT ((date_trunc('week', now() AT TIME ZONE 'UTC') + interval '7 days 9 hours') AT TIME ZONE 'UTC')
);
CREATE INDEX digests_due ON digests (due_at);
COMMENT ON TABLE  digests        IS 'when the members of each store are next told about its week';
COMMENT ON COLUMN digests.due_at IS 'at first in no zone; then a Monday morning of the store''s';

-- +goose StatementBegin
CREATE FUNCTION stores_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO digests (store_id)
	SELECT id FROM new_rows
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stores_inserted AFTER INSERT ON stores REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION stores_inserted();

-- +goose Down
DROP TRIGGER stores_inserted ON stores;
DROP FUNCTION stores_inserted;
DROP TABLE digests;
