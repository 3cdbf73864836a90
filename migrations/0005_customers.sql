-- The lists: one customer per email per store, derived from the facts that
-- point at it and from nothing else.

-- +goose Up
-- Times inside derived JSON: the same text in every session's time zone.
CREATE FUNCTION rfc3339(t timestamptz) RETURNS text LANGUAGE sql STABLE
    RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

CREATE TABLE customers (
    id                bigint      GENERATED ALWAYS AS IDENTITY,
    store_id          text        NOT NULL,
    email             text        NOT NULL CHECK (email = lower(btrim(email)) AND email LIKE '%_@_%'),
    name              text,
    image_url         text,
    type              text        NOT NULL DEFAULT 'lead'   CHECK (type IN ('lead', 'paying', 'subscription')),
    status            text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    source_kind       text        CHECK (source_kind IN ('free_course', 'course_purchase', 'product_purchase', 'subscription')),
    source_product_id text,
    first_seen_at     timestamptz,
    last_activity_at  timestamptz,
    spent             jsonb       NOT NULL DEFAULT '[]',
    refunded          jsonb       NOT NULL DEFAULT '[]',
    spent_rank        numeric     NOT NULL DEFAULT 0,
    courses           jsonb       NOT NULL DEFAULT '[]',
    purchases         jsonb       NOT NULL DEFAULT '[]',
    subscriptions     jsonb       NOT NULL DEFAULT '[]',
    course_ids        text[]      NOT NULL DEFAULT '{}',
    product_ids       text[]      NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id),
    UNIQUE (store_id, email)
);
CREATE INDEX customers_email         ON customers (email);
CREATE INDEX customers_last_activity ON customers (store_id, last_activity_at, id);
CREATE INDEX customers_first_seen    ON customers (store_id, first_seen_at, id);
CREATE INDEX customers_spent         ON customers (store_id, spent_rank, id);
CREATE INDEX customers_name          ON customers (store_id, lower(coalesce(name, '')), id);
COMMENT ON COLUMN customers.spent       IS '[{"amount","currency"}] minor units, net of refunds and withdrawn disputes; currencies are never added up';
COMMENT ON COLUMN customers.spent_rank  IS 'greatest single-currency total in major units: what "sort by spent" compares';
COMMENT ON COLUMN customers.courses     IS 'derived: [{id, progress, enrolled_at, completed_at}], titles are joined when read';
COMMENT ON COLUMN customers.product_ids IS 'bought products and plans of subscriptions';

CREATE TABLE customer_merges (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store_id   text        NOT NULL,
    from_id    bigint      NOT NULL,
    from_email text        NOT NULL,
    into_id    bigint      NOT NULL,
    into_email text        NOT NULL,
    merged_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX customer_merges_into ON customer_merges (store_id, into_id);
COMMENT ON TABLE customer_merges IS 'two rows of a store that turned out to be one person: from_id is gone, into_id (the older) lives on as into_email';

-- +goose Down
DROP TABLE customer_merges;
DROP TABLE customers;
DROP FUNCTION rfc3339;
