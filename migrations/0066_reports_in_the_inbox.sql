-- Mailgun sends a report again under another id of the inbox: which one has it is kept, so that it can be looked up.

-- +goose Up
ALTER TABLE mail_events ADD COLUMN inbox_id text COLLATE "C";
COMMENT ON COLUMN mail_events.inbox_id IS 'the id of the report in the inbox, if that is another';

-- +goose Down
ALTER TABLE mail_events DROP COLUMN inbox_id;
