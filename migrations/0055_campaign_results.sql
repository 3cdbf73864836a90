-- What campaigns with many runs have come to is counted by a worker and kept: a page would wait too long for it.

-- +goose Up
CREATE TABLE campaign_results (
	campaign_id text        COLLATE "C" PRIMARY KEY,
	asked_at    timestamptz,
	taken_at    timestamptz,
	counted_at  timestamptz,
	results     jsonb
);
COMMENT ON TABLE  campaign_results            IS 'what campaigns with many runs have come to';
COMMENT ON COLUMN campaign_results.asked_at   IS 'since when newer results are wanted; NULL: they are not';
COMMENT ON COLUMN campaign_results.taken_at   IS 'when a worker began to count';
COMMENT ON COLUMN campaign_results.counted_at IS 'as of when results are; NULL: there are none yet';
COMMENT ON COLUMN campaign_results.results    IS 'numbers: {results, figures}';

-- +goose Down
DROP TABLE campaign_results;
