-- A customer's courses say when their progress last rose: all customers are derived anew.

-- +goose Up
UPDATE derivation SET rules = 4
WHERE NOT EXISTS (SELECT FROM facts)
  AND NOT EXISTS (SELECT FROM customers);
COMMENT ON COLUMN customers.courses IS 'derived: [{id, progress, enrolled_at, progressed_at (it last rose), completed_at}], titles are joined when read';

-- +goose Down
UPDATE derivation SET rules = 3 WHERE rules = 4;
COMMENT ON COLUMN customers.courses IS 'derived: [{id, progress, enrolled_at, completed_at}], titles are joined when read';
