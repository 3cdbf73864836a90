-- How many customers someone confirmed when they switched a campaign on. If clearly more would enter it is paused.

-- +goose Up
ALTER TABLE campaigns
	ADD COLUMN confirmed   integer,
	ADD COLUMN unconfirmed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN campaigns.confirmed   IS 'the number that was typed in when it was switched on; NULL: none was';
COMMENT ON COLUMN campaigns.unconfirmed IS 'it is paused, as clearly more would enter than were confirmed';

-- +goose Down
ALTER TABLE campaigns
	DROP COLUMN confirmed,
	DROP COLUMN unconfirmed;
