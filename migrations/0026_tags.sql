-- Tags: words that a store's people put on customers. Like notes they belong to the
-- address, are never derived, and move along with the customer.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS tags (
	id         text        COLLATE "C" NOT NULL PRIMARY KEY,
	store_id   text        NOT NULL,
	name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
	folded     text        COLLATE "C" NOT NULL,
	created_by text        NOT NULL CHECK (created_by = 'admin' OR created_by LIKE 'user:_%' OR created_by LIKE 'token:_%'),
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (store_id, folded)
);
COMMENT ON COLUMN tags.id         IS 'tag_ and 10 random letters or digits; stays when the tag is renamed';
COMMENT ON COLUMN tags.folded     IS 'the name without case, accents and doubled spaces: two tags of a store never differ only in these';
COMMENT ON COLUMN tags.created_by IS 'who made it: admin, user:<Clerk id> or token:<id>';

CREATE TABLE IF NOT EXISTS customer_tags (
	store_id  text        NOT NULL,
	email     text        NOT NULL,
	tag_id    text        COLLATE "C" NOT NULL,
	tagged_at timestamptz NOT NULL DEFAULT now(),
	tagged_by text        NOT NULL CHECK (tagged_by = 'admin' OR tagged_by LIKE 'user:_%' OR tagged_by LIKE 'token:_%'),
	PRIMARY KEY (store_id, email, tag_id)
);
CREATE INDEX IF NOT EXISTS customer_tags_tag ON customer_tags (tag_id, email);
COMMENT ON TABLE  customer_tags        IS 'the tags of customers';
COMMENT ON COLUMN customer_tags.email  IS 'where the customer lives, as customers.email; there may be no customer there just now';

CREATE TABLE IF NOT EXISTS deleted_tags (
	tag_id text COLLATE "C" NOT NULL PRIMARY KEY
);
COMMENT ON TABLE deleted_tags IS 'deleted tags that customers may still have: see tags.Clear';

-- A column apart from has: each is changed only by operators on the row itself, so that
-- two transactions that change one customer do not undo each other.
ALTER TABLE customer_index ADD COLUMN IF NOT EXISTS tags text[] COLLATE "C" NOT NULL DEFAULT '{}';
COMMENT ON COLUMN customer_index.tags IS 'ids of the tags of the customer, as in customer_tags';
-- Lists are read by the old index until the new one is there.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_index_tags ON customer_index USING gin (store_id, has, tags, words gin_trgm_ops) WITH (gin_pending_list_limit = 1024);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION tags_of(store text, address text) RETURNS text[] LANGUAGE sql STABLE AS $$
	SELECT coalesce(array_agg(tag_id ORDER BY tag_id), '{}') FROM customer_tags WHERE store_id = store AND email = address
$$;

CREATE OR REPLACE FUNCTION customer_tags_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE customer_index i
	SET tags = ARRAY(SELECT DISTINCT t FROM unnest(i.tags || n.tags) t ORDER BY t)
	FROM (
		SELECT c.id, array_agg(r.tag_id) AS tags
		FROM new_rows r
		JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
		GROUP BY c.id
	) n
	WHERE i.customer_id = n.id
	  AND NOT i.tags @> n.tags;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customer_tags_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE customer_index i
	SET tags = ARRAY(SELECT t FROM unnest(i.tags) t WHERE t <> ALL(o.tags) ORDER BY t)
	FROM (
		SELECT c.id, array_agg(r.tag_id) AS tags
		FROM old_rows r
		JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
		GROUP BY c.id
	) o
	WHERE i.customer_id = o.id
	  AND i.tags && o.tags;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index (customer_id, store_id, words, has, tags)
	SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids), tags_of(store_id, email)
	FROM new_rows;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, sum(f.amount)
	FROM new_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;

-- A customer who moves takes the tags along (the program moves the rows of
-- customer_tags afterwards), and finds those that wait at the new address.
CREATE OR REPLACE FUNCTION customers_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE customer_index i
	SET tags = ARRAY(SELECT DISTINCT t FROM unnest(i.tags || tags_of(NEW.store_id, NEW.email)) t ORDER BY t)
	WHERE i.customer_id = NEW.id;
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE OR REPLACE TRIGGER customer_tags_inserted AFTER INSERT ON customer_tags REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION customer_tags_inserted();
CREATE OR REPLACE TRIGGER customer_tags_deleted AFTER DELETE ON customer_tags REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION customer_tags_deleted();
CREATE OR REPLACE TRIGGER customers_moved AFTER UPDATE ON customers
	FOR EACH ROW WHEN (OLD.email <> NEW.email) EXECUTE FUNCTION customers_moved();

-- Last: a migration that goes on after this would build the index again.
-- +goose StatementBegin
DROP INDEX customer_index_all;
ALTER INDEX customer_index_tags RENAME TO customer_index_all;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER customers_moved ON customers;
DROP TABLE deleted_tags, customer_tags, tags;
DROP FUNCTION customers_moved, customer_tags_inserted, customer_tags_deleted;
DROP INDEX customer_index_all;
ALTER TABLE customer_index DROP COLUMN tags;
CREATE INDEX customer_index_all ON customer_index USING gin (store_id, has, words gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index (customer_id, store_id, words, has)
	SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids)
	FROM new_rows;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, sum(f.amount)
	FROM new_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;
-- +goose StatementEnd
DROP FUNCTION tags_of;
