-- For those who watch Rollcall: which trace an event belongs to, and how many
-- customers there are without reading the figures of every day.

-- +goose Up
ALTER TABLE webhook_events ADD COLUMN traceparent text;
COMMENT ON COLUMN webhook_events.traceparent IS 'W3C trace context of the delivery, where it was traced: jobs are lost, and events are applied along with others'' jobs, so the row carries it';

CREATE INDEX IF NOT EXISTS customer_figures_people ON customer_figures (store_id, amount) WHERE figure = 'people';

-- +goose Down
DROP INDEX IF EXISTS customer_figures_people;
ALTER TABLE webhook_events DROP COLUMN traceparent;
