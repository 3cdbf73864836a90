-- Those who bought again are listed by how likely they are to do so once more.

-- +goose NO TRANSACTION

-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS value_people_alive ON value_people (store_id, currency, alive, customer_id) WHERE alive < 1;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS value_people_alive;
