-- For those who watch Rollcall: which trace an event belongs to.

-- +goose Up
ALTER TABLE webhook_events ADD COLUMN traceparent text;
COMMENT ON COLUMN webhook_events.traceparent IS 'W3C trace context of the delivery, where it was traced: jobs are lost, and events are applied along with others'' jobs, so the row carries it';

-- +goose Down
ALTER TABLE webhook_events DROP COLUMN traceparent;
