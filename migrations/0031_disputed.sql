-- Customers who took a payment back are found in no time: a filter asks for them.

-- +goose Up
CREATE INDEX payments_disputed ON payments (customer_id) WHERE disputed > 0;

-- +goose Down
DROP INDEX payments_disputed;
