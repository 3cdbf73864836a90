-- The inbox: every webhook that was ever acknowledged, byte for byte, and what
-- became of it. The row is the truth; the queue only says "look here".

-- +goose Up
CREATE TABLE webhook_events (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    event_id     text        NOT NULL CHECK (event_id <> ''),
    type         text        NOT NULL,
    account      text        NOT NULL DEFAULT '',
    api_version  text        NOT NULL DEFAULT '',
    livemode     boolean,
    occurred_at  timestamptz NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    payload      json        NOT NULL,
    status       text        NOT NULL DEFAULT 'pending',
    attempts     integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    attempted_at timestamptz,
    last_error   text,
    processed_at timestamptz,
    UNIQUE (source, event_id),
    CONSTRAINT webhook_events_state CHECK (
        CASE status
            WHEN 'pending'   THEN processed_at IS NULL
            WHEN 'processed' THEN processed_at IS NOT NULL AND last_error IS NULL
            WHEN 'ignored'   THEN processed_at IS NOT NULL
            WHEN 'failed'    THEN processed_at IS NULL AND last_error IS NOT NULL
            ELSE false
        END)
);

-- What the sweeper and the operators ask for: the few rows not processed.
CREATE INDEX webhook_events_open ON webhook_events (status, id) WHERE status <> 'processed';
CREATE INDEX webhook_events_type ON webhook_events (source, type, id);

-- Payloads are read once and rarely again: compress with the fast method.
ALTER TABLE webhook_events ALTER COLUMN payload SET COMPRESSION lz4;

COMMENT ON COLUMN webhook_events.event_id    IS 'the sender''s id: evt_… (Stripe), svix-id (Clerk), webhook-id (platform); the same on every retry';
COMMENT ON COLUMN webhook_events.account     IS 'Stripe Connect account the event belongs to, empty for the platform''s own';
COMMENT ON COLUMN webhook_events.payload     IS 'the raw body; json, not jsonb: jsonb refuses \u0000 and reorders keys';
COMMENT ON COLUMN webhook_events.livemode    IS 'Stripe only: false for test events, which a live Connect endpoint receives too';
COMMENT ON COLUMN webhook_events.occurred_at IS 'when the sender says it happened';
COMMENT ON COLUMN webhook_events.status      IS 'pending → processed | ignored (kept, not read) | failed (given up; may be retried)';
COMMENT ON COLUMN webhook_events.attempts    IS 'tries so far; the row, not the queue, decides when it has been tried often enough';
COMMENT ON COLUMN webhook_events.last_error  IS 'why the last attempt failed, or why the event was ignored';

-- +goose Down
DROP TABLE webhook_events;
