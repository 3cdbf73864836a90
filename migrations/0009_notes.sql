-- Notes: what a store's people write about a customer. The only thing on a
-- customer's page that is no fact of an outsider's and follows from none, so no
-- derivation touches it. It belongs to the address, not to the customer's row:
-- rows come and go with the facts. When a customer moves to another address,
-- their notes are taken along.

-- +goose Up
CREATE TABLE customer_notes (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store_id   text        NOT NULL,
    email      text        NOT NULL,
    body       text        NOT NULL CHECK (char_length(body) BETWEEN 1 AND 5000),
    author     text        NOT NULL CHECK (author = 'admin' OR author LIKE 'user:_%' OR author LIKE 'token:_%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX customer_notes_of ON customer_notes (store_id, email, id);
COMMENT ON COLUMN customer_notes.email  IS 'where the customer lives, as customers.email; there may be nobody there just now';
COMMENT ON COLUMN customer_notes.author IS 'who wrote it: admin, user:<Clerk id> or token:<id>';

-- +goose Down
DROP TABLE customer_notes;
