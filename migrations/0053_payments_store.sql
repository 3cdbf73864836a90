-- What customers are worth is computed from the payments of a store, which are found without its customers.

-- +goose NO TRANSACTION

-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_store ON payments (store_id) WHERE customer_id IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS payments_store;
