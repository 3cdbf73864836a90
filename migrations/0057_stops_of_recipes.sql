-- Who wants no more mails of one kind wants none of the next campaign of the recipe either.

-- +goose Up
INSERT INTO mail_stops (store_id, hash, campaign_id, reason, since, mail_id, by)
SELECT s.store_id, s.hash, k.recipe, s.reason, s.since, s.mail_id, s.by
FROM mail_stops s
JOIN campaigns k ON k.id = s.campaign_id AND k.store_id = s.store_id
WHERE k.recipe <> ''
ON CONFLICT DO NOTHING;
COMMENT ON COLUMN mail_stops.campaign_id IS 'the only kind of mail that is stopped: a recipe, or a campaign of none; empty: all';

-- +goose Down
COMMENT ON COLUMN mail_stops.campaign_id IS 'the only campaign that is stopped; empty: all';
