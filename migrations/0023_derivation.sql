-- By which version of the rules the customers are derived. Where it is lower than
-- that of the program, workers derive all of them again.

-- +goose Up
CREATE TABLE derivation (
	id          smallint NOT NULL PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	rules       integer  NOT NULL,
	target      integer,
	stage       text     NOT NULL DEFAULT '',
	after_a     text     NOT NULL DEFAULT '',
	after_b     text     NOT NULL DEFAULT '',
	facts       bigint   NOT NULL DEFAULT 0,
	differences bigint   NOT NULL DEFAULT 0,
	last_error  text,
	started_at  timestamptz,
	moved_at    timestamptz NOT NULL DEFAULT '-infinity',
	finished_at timestamptz
);
COMMENT ON TABLE  derivation         IS 'one row: by which rules (store.Rules) every customer is derived, and how far deriving them again is';
COMMENT ON COLUMN derivation.target  IS 'rules of the run at work; NULL: none is';
COMMENT ON COLUMN derivation.stage   IS 'where the run is; after_a and after_b are the key of the last fact it looked at';
COMMENT ON COLUMN derivation.facts   IS 'looked at by the run, or by the last one';
COMMENT ON COLUMN derivation.moved_at IS 'when a worker last went on with it: one that has not for long is taken over';

-- What an earlier version derived is derived again, once; without facts there is nothing to derive.
INSERT INTO derivation (rules)
SELECT CASE WHEN EXISTS (SELECT FROM enrollments) OR EXISTS (SELECT FROM payments) OR EXISTS (SELECT FROM subscriptions) THEN 0 ELSE 1 END;

-- +goose Down
DROP TABLE derivation;
