-- The countries of a store's customers are read one by one, for a menu.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_countries ON customers (store_id, country) WHERE country IS NOT NULL;

-- +goose Down
DROP INDEX IF EXISTS customers_countries;
