-- A mail is written three times while it is sent, and each time into all indexes unless its page has room: one that
-- begins to be sent finds it now. By the customer one index is enough, also for what they got lately.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE mails SET (fillfactor = 60);
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_to ON mails (store_id, email, claimed_at);
DROP INDEX CONCURRENTLY IF EXISTS mails_cap;
DROP INDEX CONCURRENTLY IF EXISTS mails_of;

-- +goose Down
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_of ON mails (store_id, email, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_cap ON mails (store_id, email, claimed_at) WHERE status IN ('sending', 'sent', 'unknown');
DROP INDEX CONCURRENTLY IF EXISTS mails_to;
ALTER TABLE mails SET (fillfactor = 80);
