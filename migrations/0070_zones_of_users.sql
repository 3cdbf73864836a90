-- Quiet hours are those of the customer's zone where the platform names one. A claim reads which zones there are, so that
-- each name is looked up once, and one that is unknown harms nothing: with this it is one look for each zone.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_time_zone ON users (time_zone) WHERE time_zone IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS users_time_zone;
