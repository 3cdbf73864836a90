-- Backfills: runs that bring in history, their chunks of work, and what they
-- could not use. What a chunk writes, what it counts and the chunks that follow
-- it commit together.

-- +goose Up
CREATE TABLE backfills (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('courses', 'subscriptions', 'stripe', 'clerk', 'convex', 'stripe-events')),
    scope      text        NOT NULL DEFAULT '',
    options    jsonb       NOT NULL DEFAULT '{}',
    dry_run    boolean     NOT NULL DEFAULT false,
    status     text        NOT NULL DEFAULT 'queued',
    reason     text,
    expected   bigint,
    seen       bigint      NOT NULL DEFAULT 0,
    created    bigint      NOT NULL DEFAULT 0,
    updated    bigint      NOT NULL DEFAULT 0,
    unchanged  bigint      NOT NULL DEFAULT 0,
    errors     bigint      NOT NULL DEFAULT 0,
    customers  bigint      NOT NULL DEFAULT 0,
    chunk_size integer     NOT NULL CHECK (chunk_size > 0),
    chunks     integer     NOT NULL DEFAULT 1,
    started_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at   timestamptz,
    moved_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT backfills_state CHECK (
        CASE status
            WHEN 'queued'                THEN started_at IS NULL     AND ended_at IS NULL
            WHEN 'running'               THEN started_at IS NOT NULL AND ended_at IS NULL
            WHEN 'paused'                THEN ended_at IS NULL
            WHEN 'completed'             THEN ended_at IS NOT NULL AND errors = 0 AND (expected IS NULL OR expected = seen)
            WHEN 'completed_with_errors' THEN ended_at IS NOT NULL AND errors > 0
            WHEN 'failed'                THEN ended_at IS NOT NULL AND reason IS NOT NULL
            WHEN 'cancelled'             THEN ended_at IS NOT NULL
            ELSE false
        END)
);
CREATE UNIQUE INDEX backfills_open ON backfills (kind, scope, dry_run) WHERE status IN ('queued', 'running', 'paused');
COMMENT ON COLUMN backfills.scope    IS 'a store, accounts or a file; empty is all. One open run for each kind and scope';
COMMENT ON COLUMN backfills.status   IS 'queued → running ⇄ paused → completed | completed_with_errors | failed (may be resumed) | cancelled';
COMMENT ON COLUMN backfills.reason   IS 'why it failed';
COMMENT ON COLUMN backfills.expected IS 'objects to look at, as the source counted them; null where it cannot';
COMMENT ON COLUMN backfills.seen     IS 'objects looked at: created + updated + unchanged + those that could not be used';
COMMENT ON COLUMN backfills.errors   IS 'rows of backfill_errors that are no notes, kept or not';
COMMENT ON COLUMN backfills.chunks   IS 'numbers given to chunks so far; 0 is the plan';
COMMENT ON COLUMN backfills.moved_at IS 'the last sign of progress: a run without any is asked for again';

CREATE TABLE backfill_chunks (
    backfill_id bigint      NOT NULL REFERENCES backfills ON DELETE CASCADE,
    number      integer     NOT NULL,
    stream      text        NOT NULL DEFAULT '',
    cursor      json,
    objects     bigint      NOT NULL DEFAULT 0,
    attempts    integer     NOT NULL DEFAULT 0,
    last_error  text,
    not_before  timestamptz,
    held_until  timestamptz,
    written_at  timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz,
    PRIMARY KEY (backfill_id, number)
);
CREATE INDEX backfill_chunks_open ON backfill_chunks (backfill_id, number) WHERE done_at IS NULL;
COMMENT ON COLUMN backfill_chunks.cursor     IS 'where it begins, as only its source reads it; emptied when done';
COMMENT ON COLUMN backfill_chunks.held_until IS 'in somebody''s hands until then; a later one is harmless, but would read the source twice';
COMMENT ON COLUMN backfill_chunks.not_before IS 'when the source may be asked again after it failed, or asked to wait';

CREATE TABLE backfill_errors (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    backfill_id bigint  NOT NULL REFERENCES backfills ON DELETE CASCADE,
    place       text    NOT NULL,
    what        text    NOT NULL,
    why         text    NOT NULL,
    note        boolean NOT NULL DEFAULT false
);
CREATE INDEX backfill_errors_of ON backfill_errors (backfill_id, id);
COMMENT ON COLUMN backfill_errors.note IS 'worth knowing, but no error';

-- Whom a dry run would have brought: two of its chunks may meet the same person,
-- and neither leaves a customer for the other to find.
CREATE TABLE backfill_previews (
    backfill_id bigint NOT NULL REFERENCES backfills ON DELETE CASCADE,
    store_id    text   NOT NULL,
    email       text   NOT NULL,
    PRIMARY KEY (backfill_id, store_id, email)
);

COMMENT ON COLUMN payments.claim_version IS 'rank of the claim on this money (0 an export, 1 unpaid checkout, 2 platform, 3 intent with a product, 4 paid checkout or invoice, 5 paid checkout with its line items), then its version; empty: a bare payment intent, no income';

-- +goose Down
DROP TABLE backfill_previews;
DROP TABLE backfill_errors;
DROP TABLE backfill_chunks;
DROP TABLE backfills;
