-- A customer's row says of all their courses what lists of many customers are asked for most: is one finished, since
-- when is one without progress, since when is one not begun. All customers are derived anew.

-- +goose Up
ALTER TABLE customers
	ADD COLUMN IF NOT EXISTS finished boolean,
	ADD COLUMN IF NOT EXISTS stalled_since timestamptz,
	ADD COLUMN IF NOT EXISTS unstarted_since timestamptz;
COMMENT ON COLUMN customers.finished        IS 'derived: whether a course is finished; NULL: not derived yet';
COMMENT ON COLUMN customers.stalled_since   IS 'derived: of the courses that are begun and not finished, when progress rose least lately; infinity: there are none; NULL: not derived yet';
COMMENT ON COLUMN customers.unstarted_since IS 'derived: of the courses that are not begun, the first enrollment; infinity: there are none; NULL: not derived yet';
UPDATE derivation SET rules = 6
WHERE NOT EXISTS (SELECT FROM facts)
  AND NOT EXISTS (SELECT FROM customers);

-- +goose Down
UPDATE derivation SET rules = 5 WHERE rules = 6;
ALTER TABLE customers
	DROP COLUMN IF EXISTS finished,
	DROP COLUMN IF EXISTS stalled_since,
	DROP COLUMN IF EXISTS unstarted_since;
