-- Which of several mails a customer gets is the same whatever order workers made them in: the index has that order.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_next ON mails (store_id, priority, due_at, campaign_id, occurrence, id) WHERE status = 'due';
DROP INDEX CONCURRENTLY IF EXISTS mails_due;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_due ON mails (store_id, priority, due_at, id) WHERE status = 'due';
DROP INDEX CONCURRENTLY IF EXISTS mails_next;
