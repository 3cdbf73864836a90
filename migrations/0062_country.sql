-- Customers have a country: that which Stripe named with their newest payment. All customers are derived anew.

-- +goose Up
ALTER TABLE customers ADD COLUMN IF NOT EXISTS country text;
COMMENT ON COLUMN customers.country IS 'derived: ISO 3166-1 alpha-2, of the newest payment that names one; NULL: none does';
UPDATE derivation SET rules = 5
WHERE NOT EXISTS (SELECT FROM facts)
  AND NOT EXISTS (SELECT FROM customers);

-- +goose Down
UPDATE derivation SET rules = 4 WHERE rules = 5;
ALTER TABLE customers DROP COLUMN IF EXISTS country;
