-- Customers who took a payment back are found in no time: a filter asks for them.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_disputed ON payments (customer_id) WHERE disputed > 0;

-- +goose Down
DROP INDEX payments_disputed;
