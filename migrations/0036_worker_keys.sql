-- What workers can import is shown before an import is started.

-- +goose Up
ALTER TABLE worker_clocks ADD COLUMN keys text[];
COMMENT ON COLUMN worker_clocks.keys IS 'the settings for imports that the worker has, such as CLERK_SECRET_KEY; NULL: an earlier version, which does not say';

-- +goose Down
ALTER TABLE worker_clocks DROP COLUMN keys;
