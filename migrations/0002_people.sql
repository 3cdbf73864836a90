-- Who people are: Clerk's users, Stripe's customers.
--
-- All fact tables share one idea. A version is text that sorts: the source's
-- time, a rank of the event's type, the event's id. Columns guarded by a version
-- are replaced together, only by a greater one, so the end state is the maximum
-- of all that was said, whatever the order. A deletion is a version of its own
-- (a tombstone) and erases nothing that was known. An empty version: never said.
-- There are no foreign keys between facts, because any may arrive first.

-- +goose Up
CREATE TABLE users (
    id              text NOT NULL PRIMARY KEY,
    email           text,
    name            text,
    image_url       text,
    last_seen_at    timestamptz,
    version         text COLLATE "C" NOT NULL,
    deleted_version text COLLATE "C" NOT NULL
);
CREATE INDEX users_email ON users (email) WHERE email IS NOT NULL;
COMMENT ON COLUMN users.email        IS 'the verified primary address, lower-cased; NULL where there is none, as an unverified one must join nothing';
COMMENT ON COLUMN users.last_seen_at IS 'latest sign-in; only ever moves forward';

CREATE TABLE stripe_customers (
    account         text NOT NULL,
    id              text NOT NULL,
    email           text,
    name            text,
    version         text COLLATE "C" NOT NULL,
    deleted_version text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, id)
);
COMMENT ON COLUMN stripe_customers.account IS 'Connect account whose id this is; empty for the platform''s own';

-- +goose Down
DROP TABLE stripe_customers;
DROP TABLE users;
