-- Whether those who send still do, and are understood: what became of their
-- deliveries, by the hour; and the watches that are kept over that, and over the
-- inbox. What a receiver refuses is in no inbox: here it is counted.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    source   text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    hour     timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    outcome  text        NOT NULL CHECK (outcome ~ '^[a-z_]{1,40}$'),
    count    bigint      NOT NULL CHECK (count > 0),
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    PRIMARY KEY (source, hour, outcome),
    CHECK (first_at >= hour AND first_at <= last_at AND last_at < hour + interval '1 hour')
);
COMMENT ON TABLE  webhook_deliveries         IS 'a few weeks of counts, added up behind the back of the receivers: after a crash some seconds are missing';
COMMENT ON COLUMN webhook_deliveries.outcome IS 'accepted, duplicate, or the code of a refusal, as invalid_signature';

-- The rhythm so far. What a backfill brought is in it too, this once.
INSERT INTO webhook_deliveries (source, hour, outcome, count, first_at, last_at)
SELECT source, date_trunc('hour', received_at, 'UTC'), 'accepted', count(*), min(received_at), max(received_at)
FROM webhook_events
WHERE received_at > now() - interval '28 days'
GROUP BY 1, 2
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS watches (
    name          text        NOT NULL PRIMARY KEY CHECK (name <> ''),
    state         text        NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'warning', 'problem')),
    since         timestamptz NOT NULL,
    detail        text        NOT NULL DEFAULT '',
    fix           text        NOT NULL DEFAULT '',
    leaning       text        CHECK (leaning IN ('ok', 'warning', 'problem') AND leaning <> state),
    leaning_since timestamptz,
    changes       bigint      NOT NULL DEFAULT 0 CHECK (changes >= 0),
    checked_at    timestamptz NOT NULL,
    CHECK ((leaning IS NULL) = (leaning_since IS NULL))
);
COMMENT ON TABLE  watches            IS 'what is looked at every minute, by one worker at a time';
COMMENT ON COLUMN watches.name       IS 'what is watched, and of whom: source_silent/stripe, events_failing/stripe/invoice.paid';
COMMENT ON COLUMN watches.since      IS 'when the state began';
COMMENT ON COLUMN watches.leaning    IS 'what it looks like now, for too short a time to count: a state does not flap';
COMMENT ON COLUMN watches.changes    IS 'how often the state has changed: the number of the last of watch_changes';
COMMENT ON COLUMN watches.checked_at IS 'when it was looked at last';

CREATE TABLE IF NOT EXISTS watch_changes (
    watch        text        NOT NULL REFERENCES watches ON DELETE CASCADE,
    number       bigint      NOT NULL CHECK (number > 0),
    state        text        NOT NULL CHECK (state IN ('ok', 'warning', 'problem')),
    was          text        NOT NULL CHECK (was IN ('ok', 'warning', 'problem') AND was <> state),
    since        timestamptz NOT NULL,
    detail       text        NOT NULL,
    fix          text        NOT NULL,
    made_at      timestamptz NOT NULL,
    alert        text        NOT NULL CHECK (alert IN ('none', 'due', 'delivered')),
    attempts     integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    held_until   timestamptz,
    last_error   text,
    delivered_at timestamptz,
    PRIMARY KEY (watch, number),
    CHECK ((alert = 'delivered') = (delivered_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS watch_changes_due ON watch_changes (made_at) WHERE alert = 'due';
COMMENT ON TABLE  watch_changes            IS 'each change of a watch, and whether those who want to know were told';
COMMENT ON COLUMN watch_changes.alert      IS 'none (nobody was to be told) | due → delivered';
COMMENT ON COLUMN watch_changes.held_until IS 'not to be sent before: it is in somebody''s hands, or failed just now';
COMMENT ON COLUMN watch_changes.last_error IS 'why the last attempt at telling failed';

-- What a person, or a doctor, looks up: by an address that somebody typed at
-- Stripe, and by stores that are named by their owner's user id. The latter are
-- few or none, and cost the others nothing.
CREATE INDEX CONCURRENTLY IF NOT EXISTS stripe_customers_email   ON stripe_customers (email) WHERE email IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_store_user   ON enrollments   (store_ref) WHERE store_ref LIKE 'user\_%';
CREATE INDEX CONCURRENTLY IF NOT EXISTS payments_store_user      ON payments      (store_ref) WHERE store_ref LIKE 'user\_%';
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_store_user ON subscriptions (store_ref) WHERE store_ref LIKE 'user\_%';

-- +goose Down
DROP INDEX subscriptions_store_user;
DROP INDEX payments_store_user;
DROP INDEX enrollments_store_user;
DROP INDEX stripe_customers_email;
DROP TABLE watch_changes;
DROP TABLE watches;
DROP TABLE webhook_deliveries;
