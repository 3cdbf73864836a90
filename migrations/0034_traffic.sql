-- What happened, minute by minute for two days and hour by hour for 90: deliveries, where they came from and
-- by which secrets they were checked; what workers did, and how long it took; and how much waited.
-- Both spans are counted at once, so that nothing is folded later, and a receiver of an earlier
-- version still counts its hours.

-- +goose Up
CREATE TABLE webhook_minutes (
    source  text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    minute  timestamptz NOT NULL CHECK (minute = date_trunc('minute', minute, 'UTC')),
    outcome text        NOT NULL CHECK (outcome ~ '^[a-z_]{1,40}$'),
    count   bigint      NOT NULL CHECK (count > 0),
    PRIMARY KEY (minute, source, outcome)
);
COMMENT ON TABLE webhook_minutes IS 'webhook_deliveries by the minute, for two days';
COMMENT ON TABLE webhook_deliveries IS 'deliveries by the hour, for 90 days; added up in memory: after a crash some seconds are missing';

CREATE TABLE webhook_networks (
    source  text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    hour    timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    network cidr        NOT NULL,
    outcome text        NOT NULL CHECK (outcome ~ '^[a-z_]{1,40}$'),
    count   bigint      NOT NULL CHECK (count > 0),
    last_at timestamptz NOT NULL,
    PRIMARY KEY (hour, source, network, outcome)
);
COMMENT ON TABLE  webhook_networks         IS 'where deliveries come from, for two days; each receiver keeps so many of an hour apart';
COMMENT ON COLUMN webhook_networks.network IS 'a /24 of IPv4, a /48 of IPv6; 0.0.0.0/0: one of many others';

CREATE TABLE webhook_secrets (
    source           text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    secrets          text        NOT NULL CHECK (secrets ~ '^[0-9a-f]{8}$'),
    verified_at      timestamptz,
    last_verified_at timestamptz,
    refused          bigint      NOT NULL CHECK (refused >= 0),
    first_refused_at timestamptz,
    last_refused_at  timestamptz,
    PRIMARY KEY (source, secrets),
    CHECK ((verified_at IS NULL) = (last_verified_at IS NULL)),
    CHECK ((refused = 0) = (first_refused_at IS NULL) AND (refused = 0) = (last_refused_at IS NULL))
);
COMMENT ON TABLE  webhook_secrets             IS 'whether the secrets that receivers check by have ever matched: secrets that never did are wrong';
COMMENT ON COLUMN webhook_secrets.secrets     IS 'the first 32 bits of a hash: enough to see a change, too few to test a guess';
COMMENT ON COLUMN webhook_secrets.verified_at IS 'when a signature first matched';
COMMENT ON COLUMN webhook_secrets.refused     IS 'deliveries with a well-formed signature of about now that matches none';

CREATE TABLE event_work (
    span     text        NOT NULL CHECK (span IN ('minute', 'hour')),
    at       timestamptz NOT NULL CHECK (at = date_trunc(span, at, 'UTC')),
    source   text        NOT NULL CHECK (source IN ('stripe', 'clerk', 'platform')),
    outcome  text        NOT NULL CHECK (outcome IN ('applied', 'failed')),
    up_to_ms bigint      NOT NULL CHECK (up_to_ms >= 0),
    count    bigint      NOT NULL CHECK (count > 0),
    total_ms bigint      NOT NULL CHECK (total_ms >= 0),
    PRIMARY KEY (span, at, source, outcome, up_to_ms)
);
COMMENT ON TABLE  event_work          IS 'what workers did with events: minutes for two days, hours for 90';
COMMENT ON COLUMN event_work.outcome  IS 'applied (or ignored, as not needed) | failed';
COMMENT ON COLUMN event_work.up_to_ms IS 'a bucket of the time from receipt to commit; 0: not timed, as an operator opened it again or it failed';

CREATE TABLE inbox_samples (
    span     text        NOT NULL CHECK (span IN ('minute', 'hour')),
    at       timestamptz NOT NULL CHECK (at = date_trunc(span, at, 'UTC')),
    waiting  bigint      NOT NULL CHECK (waiting >= 0),
    taken_at timestamptz NOT NULL,
    PRIMARY KEY (span, at)
);
COMMENT ON TABLE inbox_samples IS 'the most events that were pending at a look in the time: minutes for two days, hours for 90';

-- +goose Down
DROP TABLE inbox_samples;
DROP TABLE event_work;
DROP TABLE webhook_secrets;
DROP TABLE webhook_networks;
DROP TABLE webhook_minutes;
