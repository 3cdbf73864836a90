-- Whose tag it is is read from the index alone, without the customers: of many who are tagged, each is on another page.

-- +goose NO TRANSACTION

-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_address ON customers (email) INCLUDE (store_id, id);
DROP INDEX CONCURRENTLY IF EXISTS customers_email;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_email ON customers (email);
DROP INDEX CONCURRENTLY IF EXISTS customers_address;
