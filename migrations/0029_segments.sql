-- Segments: kept rules, and lists that people put customers on by hand. Bulk actions: one
-- change of tags or lists to many customers, done some at a time.

-- +goose Up
CREATE TABLE segments (
	id         text        COLLATE "C" NOT NULL PRIMARY KEY,
	store_id   text        NOT NULL,
	name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
	folded     text        COLLATE "C" NOT NULL,
	kind       text        NOT NULL CHECK (kind IN ('dynamic', 'static')),
	rule       jsonb       CHECK ((rule IS NOT NULL) = (kind = 'dynamic')),
	pinned     boolean     NOT NULL DEFAULT false,
	watched    boolean     NOT NULL DEFAULT false,
	version    integer     NOT NULL DEFAULT 1,
	created_by text        NOT NULL CHECK (created_by = 'admin' OR created_by LIKE 'user:_%' OR created_by LIKE 'token:_%'),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	looked_at  timestamptz,
	UNIQUE (store_id, folded)
);
CREATE INDEX segments_watched ON segments (looked_at) WHERE watched;
COMMENT ON COLUMN segments.id        IS 'seg_ and 10 random letters or digits; stays when the segment is renamed';
COMMENT ON COLUMN segments.folded    IS 'the name without case, accents and doubled spaces: two segments of a store never differ only in these';
COMMENT ON COLUMN segments.kind      IS 'dynamic: a rule; static: the rows of customer_tags under this id';
COMMENT ON COLUMN segments.rule      IS 'as customers.ParseRule reads it';
COMMENT ON COLUMN segments.watched   IS 'whether entries and exits are written down';
COMMENT ON COLUMN segments.version   IS 'counts changes';
COMMENT ON COLUMN segments.looked_at IS 'when a watched segment was last compared with watched_members; null: never, or its rule has changed';

CREATE TABLE watched_members (
	segment_id text        COLLATE "C" NOT NULL REFERENCES segments ON DELETE CASCADE,
	store_id   text        NOT NULL,
	email      text        NOT NULL,
	entered_at timestamptz NOT NULL,
	first      boolean     NOT NULL,
	PRIMARY KEY (segment_id, email)
);
CREATE INDEX watched_members_of ON watched_members (store_id, email);
COMMENT ON TABLE  watched_members       IS 'who was in a watched segment at the last look';
COMMENT ON COLUMN watched_members.email IS 'where the customer lives, as customers.email';
COMMENT ON COLUMN watched_members.first IS 'they were in it at the first look, so it is not known when they entered';

CREATE TABLE segment_moves (
	id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	segment_id text        COLLATE "C" NOT NULL REFERENCES segments ON DELETE CASCADE,
	store_id   text        NOT NULL,
	email      text        NOT NULL,
	kind       text        NOT NULL CHECK (kind IN ('in', 'out')),
	at         timestamptz NOT NULL
);
CREATE INDEX segment_moves_in ON segment_moves (segment_id, id);
CREATE INDEX segment_moves_of ON segment_moves (store_id, email);
CREATE INDEX segment_moves_at ON segment_moves (at);
COMMENT ON TABLE  segment_moves       IS 'entries to and exits from watched segments; kept for 90 days';
COMMENT ON COLUMN segment_moves.email IS 'where the customer lives, as customers.email';

COMMENT ON TABLE  customer_tags        IS 'the tags of customers, and the static segments that they are in';
COMMENT ON COLUMN customer_tags.tag_id IS 'the id of a tag, or of a static segment';
COMMENT ON COLUMN customer_index.tags  IS 'ids of the tags of the customer, and of static segments, as in customer_tags';
COMMENT ON TABLE  deleted_tags         IS 'deleted tags and static segments that customers may still have: see tags.Clear';

CREATE TABLE bulk_actions (
	id         text        COLLATE "C" NOT NULL PRIMARY KEY,
	number     bigint      GENERATED ALWAYS AS IDENTITY,
	store_id   text        NOT NULL,
	action     text        NOT NULL CHECK (action IN ('add', 'remove')),
	target     text        COLLATE "C" NOT NULL,
	filter     jsonb,
	undoes     text        COLLATE "C",
	customers  integer     NOT NULL CHECK (customers >= 0),
	chunk      integer     NOT NULL DEFAULT 0,
	chunks     integer     NOT NULL DEFAULT 0 CHECK (chunks >= chunk),
	seen       integer     NOT NULL DEFAULT 0 CHECK (seen BETWEEN 0 AND customers),
	changed    integer     NOT NULL DEFAULT 0 CHECK (changed BETWEEN 0 AND seen),
	status     text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'cancelled', 'failed')),
	reason     text        CHECK ((reason IS NOT NULL) = (status = 'failed')),
	started_by text        NOT NULL CHECK (started_by = 'admin' OR started_by LIKE 'user:_%' OR started_by LIKE 'token:_%'),
	created_at timestamptz NOT NULL DEFAULT now(),
	moved_at   timestamptz NOT NULL DEFAULT now(),
	ended_at   timestamptz CHECK ((ended_at IS NOT NULL) = (status IN ('done', 'cancelled', 'failed')))
);
CREATE INDEX bulk_actions_open ON bulk_actions (store_id, number) WHERE status IN ('queued', 'running');
CREATE INDEX bulk_actions_of ON bulk_actions (store_id, number DESC);
CREATE UNIQUE INDEX bulk_actions_undone ON bulk_actions (undoes) WHERE status NOT IN ('cancelled', 'failed');
COMMENT ON TABLE  bulk_actions            IS 'changes to many customers of a store; kept for 90 days';
COMMENT ON COLUMN bulk_actions.number     IS 'a store''s actions run one at a time, in this order';
COMMENT ON COLUMN bulk_actions.target     IS 'the id of the tag or the static segment that is added or removed';
COMMENT ON COLUMN bulk_actions.filter     IS 'the parameters that selected the customers; null: they were picked one by one';
COMMENT ON COLUMN bulk_actions.undoes     IS 'the id of the action that this one undoes';
COMMENT ON COLUMN bulk_actions.customers  IS 'how many were selected when the action was made; who comes later is not meant';
COMMENT ON COLUMN bulk_actions.chunk      IS 'the part of bulk_people that is next; of chunks parts in all';
COMMENT ON COLUMN bulk_actions.seen       IS 'how many of them are done';
COMMENT ON COLUMN bulk_actions.changed    IS 'how many did not have the tag, or had it if it is removed';
COMMENT ON COLUMN bulk_actions.reason     IS 'why it failed';
COMMENT ON COLUMN bulk_actions.started_by IS 'admin, user:<Clerk id> or token:<id>';

CREATE TABLE bulk_people (
	bulk_id  text    COLLATE "C" NOT NULL REFERENCES bulk_actions ON DELETE CASCADE,
	chunk    integer NOT NULL,
	store_id text    NOT NULL,
	email    text    NOT NULL
);
CREATE INDEX bulk_people_chunk ON bulk_people (bulk_id, chunk);
CREATE INDEX bulk_people_of ON bulk_people (store_id, email);
COMMENT ON TABLE  bulk_people       IS 'whom bulk actions have yet to change';
COMMENT ON COLUMN bulk_people.email IS 'where the customer lives, as customers.email';

CREATE TABLE bulk_changes (
	bulk_id   text        COLLATE "C" NOT NULL REFERENCES bulk_actions ON DELETE CASCADE,
	store_id  text        NOT NULL,
	email     text        NOT NULL,
	tagged_at timestamptz NOT NULL,
	tagged_by text        NOT NULL
);
CREATE INDEX bulk_changes_bulk ON bulk_changes (bulk_id, email);
CREATE INDEX bulk_changes_of ON bulk_changes (store_id, email);
COMMENT ON TABLE  bulk_changes           IS 'the rows of customer_tags that a bulk action put or took: what undoes it needs';
COMMENT ON COLUMN bulk_changes.email     IS 'where the customer lives, as customers.email';
COMMENT ON COLUMN bulk_changes.tagged_by IS 'who put it, as customer_tags.tagged_by: admin, user:<Clerk id> or token:<id>';

-- +goose Down
DROP TABLE bulk_changes, bulk_people, bulk_actions, segment_moves, watched_members;
COMMENT ON TABLE  customer_tags        IS 'the tags of customers';
COMMENT ON COLUMN customer_tags.tag_id IS NULL;
COMMENT ON COLUMN customer_index.tags  IS 'ids of the tags of the customer, as in customer_tags';
COMMENT ON TABLE  deleted_tags         IS 'deleted tags that customers may still have: see tags.Clear';
INSERT INTO deleted_tags SELECT id FROM segments WHERE kind = 'static' ON CONFLICT DO NOTHING;
DROP TABLE segments;
