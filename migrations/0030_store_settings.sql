-- How a store's people want to read times and money, and a way from a person to their
-- stores.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS store_settings (
	store_id   text   NOT NULL PRIMARY KEY,
	time_zone  text   NOT NULL DEFAULT '',
	currencies text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE  store_settings            IS 'set by the people of a store, not by the platform; the store need not be known yet';
COMMENT ON COLUMN store_settings.time_zone  IS 'name in the IANA database in which pages show times; empty: the zone of who reads them';
COMMENT ON COLUMN store_settings.currencies IS 'in lower case, in the order in which pages show amounts; others follow by size';

CREATE INDEX CONCURRENTLY IF NOT EXISTS stores_members ON stores USING gin (member_user_ids);

-- +goose Down
DROP INDEX stores_members;
DROP TABLE store_settings;
