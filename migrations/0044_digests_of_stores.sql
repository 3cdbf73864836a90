-- Stores that were there before have digests as well.

-- +goose Up
INSERT INTO digests (store_id) SELECT id FROM stores ON CONFLICT DO NOTHING;

-- +goose Down
DELETE FROM digests;
