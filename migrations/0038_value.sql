-- What customers are worth: small tables that workers write each night. And what each
-- event said of a subscription, as its revenue changes with its price.

-- +goose Up
CREATE TABLE subscription_states (
	account  text  NOT NULL,
	id       text  NOT NULL,
	version  text  COLLATE "C" NOT NULL,
	status   text,
	paused   boolean,
	lines    jsonb,
	discount jsonb,
	PRIMARY KEY (account, id, version)
);
COMMENT ON TABLE  subscription_states       IS 'what each message said of a subscription; the newest is in subscriptions too';
COMMENT ON COLUMN subscription_states.lines IS 'its items, as subscriptions.lines';

-- Before the insert: it sees messages that are older than the row as well, which
-- change nothing in it. So the states do not depend on the order of the messages.
-- +goose StatementBegin
CREATE FUNCTION subscriptions_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO subscription_states (account, id, version, status, paused, lines, discount)
	VALUES (NEW.account, NEW.id, NEW.version, NEW.status, NEW.paused, NEW.lines, NEW.discount)
	ON CONFLICT DO NOTHING;
	RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER subscriptions_said BEFORE INSERT ON subscriptions
	FOR EACH ROW WHEN (NEW.version <> '') EXECUTE FUNCTION subscriptions_said();

CREATE TABLE value_stores (
	store_id    text        NOT NULL PRIMARY KEY,
	due_at      timestamptz NOT NULL,
	as_of       timestamptz,
	zone        text,
	courses     jsonb,
	help        jsonb,
	forecast_in text
);
CREATE INDEX value_stores_due ON value_stores (due_at);
COMMENT ON TABLE  value_stores             IS 'when the figures of a store were computed, and when they are to be again';
COMMENT ON COLUMN value_stores.zone        IS 'the time zone of their days and months';
COMMENT ON COLUMN value_stores.courses     IS 'how far those enrolled in each course came';
COMMENT ON COLUMN value_stores.forecast_in IS 'the currency in which lists show what is expected; null: it cannot be said';
COMMENT ON COLUMN value_stores.help        IS 'ids of customers who need help, each with the reason: those for whom most is at stake first';

-- Each store has a row, so that workers find those that are due by the index;
-- 0042_value_due.sql adds those of stores that were there before.
-- +goose StatementBegin
CREATE FUNCTION stores_valued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO value_stores (store_id, due_at) VALUES (NEW.id, now()) ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER stores_valued AFTER INSERT ON stores FOR EACH ROW EXECUTE FUNCTION stores_valued();

CREATE TABLE value_reports (
	store_id text   NOT NULL,
	currency text   NOT NULL,
	buyers   bigint NOT NULL,
	report   jsonb  NOT NULL,
	PRIMARY KEY (store_id, currency)
);
COMMENT ON TABLE  value_reports        IS 'what the customers of a store are worth, in one currency: computed from the facts, by workers alone';
COMMENT ON COLUMN value_reports.report IS 'as value.Report; of customers it has sums and counts only';

CREATE TABLE value_people (
	store_id    text             NOT NULL,
	currency    text             NOT NULL,
	customer_id bigint           NOT NULL,
	alive       double precision NOT NULL CHECK (alive BETWEEN 0 AND 1),
	expected    bigint           NOT NULL CHECK (expected >= 0),
	PRIMARY KEY (store_id, customer_id, currency)
);
CREATE INDEX value_people_expected ON value_people (store_id, currency, expected, customer_id);
COMMENT ON TABLE  value_people          IS 'what is expected of customers who bought something, where it can be said';
COMMENT ON COLUMN value_people.alive    IS 'the probability that they may buy again';
COMMENT ON COLUMN value_people.expected IS 'what they are expected to spend in the next twelve months, in minor units';

-- +goose Down
DROP TRIGGER stores_valued ON stores;
DROP FUNCTION stores_valued;
DROP TABLE value_people, value_reports, value_stores;
DROP TRIGGER subscriptions_said ON subscriptions;
DROP FUNCTION subscriptions_said;
DROP TABLE subscription_states;
