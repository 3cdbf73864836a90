-- What backfills read and had no use for, counted: a run that passes over half of
-- an export must not look as if half of it had been there before.

-- +goose Up
CREATE TABLE backfill_passed (
    backfill_id bigint NOT NULL REFERENCES backfills ON DELETE CASCADE,
    stream      text   NOT NULL,
    reason      text   NOT NULL,
    objects     bigint NOT NULL,
    PRIMARY KEY (backfill_id, stream, reason)
);
COMMENT ON TABLE backfill_passed IS 'objects of a run, or fields of them, that were passed over: by what they are and why';
COMMENT ON COLUMN backfill_passed.reason IS 'one of a few texts of the source''s, as "without a Clerk id"; it holds nothing of the object';
COMMENT ON COLUMN backfills.seen IS 'objects looked at: created + updated + unchanged + those that could not be used + those passed over whole';

-- +goose Down
COMMENT ON COLUMN backfills.seen IS 'objects looked at: created + updated + unchanged + those that could not be used';
DROP TABLE backfill_passed;
