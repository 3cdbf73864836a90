-- Ready-made segments can be pinned and watched. The first time, the store gets a row for that.

-- +goose Up
ALTER TABLE segments
	ADD COLUMN ready text;
COMMENT ON COLUMN segments.ready IS 'the id of the ready-made segment that this row pins or watches; null: the store''s own';

-- +goose Down
DELETE FROM segments WHERE ready IS NOT NULL;
ALTER TABLE segments
	DROP COLUMN ready;
