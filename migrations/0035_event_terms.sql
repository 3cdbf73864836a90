-- Events are found by what their payloads name: an address, a payment, a customer, a
-- subscription, a user, a store. Workers write that down after an event is applied, ignored or
-- failed; until then its payload is searched.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS event_terms (
	term     bigint NOT NULL,
	event_id bigint NOT NULL,
	PRIMARY KEY (term, event_id)
);
CREATE INDEX CONCURRENTLY IF NOT EXISTS event_terms_event ON event_terms (event_id);
COMMENT ON TABLE  event_terms          IS 'gone with the payload of the event';
COMMENT ON COLUMN event_terms.term     IS 'first 8 bytes of the SHA-256 of an address or id, in lower case';
COMMENT ON COLUMN event_terms.event_id IS 'webhook_events.id';

CREATE TABLE IF NOT EXISTS event_unindexed (
	event_id bigint NOT NULL PRIMARY KEY
);
COMMENT ON TABLE event_unindexed IS 'events that are not pending, have a payload, and whose terms are not written yet';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION event_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO event_unindexed VALUES (NEW.id) ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION event_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM event_unindexed WHERE event_id = NEW.id;
	DELETE FROM event_terms WHERE event_id = NEW.id;
	RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE TRIGGER event_closed AFTER UPDATE OF status ON webhook_events
	FOR EACH ROW WHEN (OLD.status = 'pending' AND NEW.status <> 'pending' AND NEW.payload IS NOT NULL)
	EXECUTE FUNCTION event_closed();
CREATE OR REPLACE TRIGGER event_emptied AFTER UPDATE OF payload ON webhook_events
	FOR EACH ROW WHEN (OLD.payload IS NOT NULL AND NEW.payload IS NULL)
	EXECUTE FUNCTION event_emptied();
-- +goose StatementEnd

-- Those that are there already, some at a time.
-- +goose StatementBegin
DO $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		WITH chunk AS (
			SELECT id, status, payload IS NOT NULL AS whole
			FROM webhook_events
			WHERE id > last
			ORDER BY id
			LIMIT 5000
		), closed AS (
			INSERT INTO event_unindexed
			SELECT id FROM chunk WHERE status <> 'pending' AND whole
			ON CONFLICT DO NOTHING
		)
		SELECT max(id) INTO last FROM chunk;
		EXIT WHEN last IS NULL;
		COMMIT;
	END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER event_emptied ON webhook_events;
DROP TRIGGER event_closed ON webhook_events;
DROP FUNCTION event_emptied();
DROP FUNCTION event_closed();
DROP TABLE event_unindexed;
DROP TABLE event_terms;
