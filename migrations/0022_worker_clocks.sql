-- How far the clock of each worker is from Postgres'.

-- +goose Up
CREATE TABLE worker_clocks (
	worker  text        PRIMARY KEY,
	ahead   interval    NOT NULL,
	seen_at timestamptz NOT NULL
);
COMMENT ON TABLE  worker_clocks        IS 'each worker''s clock, compared with that of Postgres about once a minute';
COMMENT ON COLUMN worker_clocks.worker IS 'host:pid';
COMMENT ON COLUMN worker_clocks.ahead  IS 'of Postgres; negative: behind it';

-- +goose Down
DROP TABLE worker_clocks;
