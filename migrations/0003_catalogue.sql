-- What is sold, and by whom.

-- +goose Up
CREATE TABLE stores (
    id                text NOT NULL PRIMARY KEY,
    name              text,
    owner_user_id     text,
    stripe_account_id text,
    version           text COLLATE "C" NOT NULL
);
CREATE INDEX stores_owner   ON stores (owner_user_id) WHERE owner_user_id IS NOT NULL;
CREATE INDEX stores_account ON stores (stripe_account_id) WHERE stripe_account_id IS NOT NULL;

CREATE TABLE products (
    id                 text NOT NULL PRIMARY KEY,
    store_ref          text,
    store_id           text,
    kind               text CHECK (kind IN ('course', 'digital', 'bundle', 'coaching', 'membership', 'other')),
    title              text,
    price_amount       bigint,
    price_currency     text,
    items              text[],
    stripe_product_ids text[],
    stripe_price_ids   text[],
    version            text COLLATE "C" NOT NULL,
    deleted_version    text COLLATE "C" NOT NULL
);
CREATE INDEX products_store     ON products (store_id);
CREATE INDEX products_store_ref ON products (store_ref);
CREATE INDEX products_items     ON products USING gin (items);
CREATE INDEX products_catalogue ON products USING gin ((stripe_product_ids || stripe_price_ids));
COMMENT ON COLUMN products.store_ref IS 'as the source says it: a store''s id or, in old rows, its owner''s user id';
COMMENT ON COLUMN products.store_id  IS 'resolved from store_ref; NULL while that names no store';
COMMENT ON COLUMN products.items     IS 'of a bundle: the products in it';

-- +goose Down
DROP TABLE products;
DROP TABLE stores;
