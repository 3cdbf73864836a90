-- Events are found by what their payloads name: an address, a payment, a customer, a
-- subscription, a user, a store.

-- +goose Up
CREATE TABLE event_terms (
	term     bigint NOT NULL,
	event_id bigint NOT NULL,
	PRIMARY KEY (term, event_id)
);
CREATE INDEX event_terms_event ON event_terms (event_id);
COMMENT ON TABLE  event_terms          IS 'written when an event is applied; gone with its payload';
COMMENT ON COLUMN event_terms.term     IS 'first 8 bytes of the SHA-256 of an address or id, in lower case';
COMMENT ON COLUMN event_terms.event_id IS 'webhook_events.id';

CREATE TABLE event_search (
	one       boolean PRIMARY KEY DEFAULT true CHECK (one),
	unindexed bigint  NOT NULL,
	complete  boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE  event_search           IS 'how far workers are with events from before event_terms, the newest first';
COMMENT ON COLUMN event_search.unindexed IS 'events with this id and below are searched by their payloads; 0: none is left';
COMMENT ON COLUMN event_search.complete  IS 'no worker of a version before event_terms runs: all events since have their terms, or are unindexed';
INSERT INTO event_search (unindexed, complete) SELECT coalesce(max(id), 0), max(id) IS NULL FROM webhook_events;

-- +goose Down
DROP TABLE event_search;
DROP TABLE event_terms;
