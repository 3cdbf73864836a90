-- The figures of stores that were there before are computed, too.

-- +goose Up
INSERT INTO value_stores (store_id, due_at) SELECT id, 'epoch' FROM stores ON CONFLICT DO NOTHING;

-- +goose Down
