-- What the operators' pages show beside what is there: with which headers an
-- event came, and which facts are on no list.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE webhook_events ADD COLUMN IF NOT EXISTS headers json;
ALTER TABLE webhook_events ALTER COLUMN headers SET COMPRESSION lz4;
COMMENT ON COLUMN webhook_events.headers IS 'the request''s, {"Name": "value"}, without signatures, authorization and cookies; NULL where it came by no request';

-- Facts on no list, in an order to page through, of all stores and of one. A
-- fact that comes is not_derived until its transaction ends, so these hold
-- those that stayed: most facts never touch them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_off   ON enrollments   (split_part(unattached, ':', 1), course_id, person) WHERE unattached <> 'not_derived';
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_off      ON payments      (split_part(unattached, ':', 1), account, id)       WHERE unattached <> 'not_derived';
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_off ON subscriptions (split_part(unattached, ':', 1), account, id)       WHERE unattached <> 'not_derived';
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_off_store   ON enrollments   (store_id, split_part(unattached, ':', 1), course_id, person) WHERE unattached <> 'not_derived' AND store_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_off_store      ON payments      (store_id, split_part(unattached, ':', 1), account, id)       WHERE unattached <> 'not_derived' AND store_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_off_store ON subscriptions (store_id, split_part(unattached, ':', 1), account, id)       WHERE unattached <> 'not_derived' AND store_id IS NOT NULL;

-- How long each list is, apart from the figures of every day.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_figures_people ON customer_figures (store_id, amount) WHERE figure = 'people';

-- +goose Down
DROP INDEX customer_figures_people;
DROP INDEX subscriptions_off_store;
DROP INDEX payments_off_store;
DROP INDEX enrollments_off_store;
DROP INDEX subscriptions_off;
DROP INDEX payments_off;
DROP INDEX enrollments_off;
ALTER TABLE webhook_events DROP COLUMN headers;
