-- Failed events that no try can help are put to rest: kept, counted as ignored, with who
-- did it and why.

-- +goose Up
ALTER TABLE webhook_events
	ADD COLUMN dismissed_by  text,
	ADD COLUMN dismissed_why text,
	ADD CONSTRAINT webhook_events_dismissed CHECK ((dismissed_by IS NULL) = (dismissed_why IS NULL)
		AND (dismissed_by IS NULL OR status = 'ignored')) NOT VALID;
COMMENT ON COLUMN webhook_events.dismissed_by  IS 'who put the failed event to rest, at processed_at: admin, or the user and the machine of the command line';
COMMENT ON COLUMN webhook_events.dismissed_why IS 'why, in their words; replaced when the payload is emptied for a person who is erased';

-- +goose Down
UPDATE webhook_events SET status = 'failed', processed_at = NULL WHERE dismissed_by IS NOT NULL;
ALTER TABLE webhook_events DROP CONSTRAINT webhook_events_dismissed, DROP COLUMN dismissed_by, DROP COLUMN dismissed_why;
