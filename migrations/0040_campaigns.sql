-- Campaigns: mails and other steps for those of whom a question over facts is true.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS campaigns (
	id           text        COLLATE "C" NOT NULL PRIMARY KEY,
	store_id     text        NOT NULL,
	name         text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
	kind         text        NOT NULL CHECK (kind IN ('once', 'flow')),
	recipe       text        NOT NULL DEFAULT '',
	state        text        NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'rehearsal', 'on', 'paused', 'ended')),
	class        text        NOT NULL CHECK (class IN ('marketing', 'service')),
	trigger      jsonb       NOT NULL,
	audience     jsonb,
	goal         jsonb,
	steps        jsonb       NOT NULL,
	on_goal      jsonb       NOT NULL DEFAULT '[]',
	holdout      smallint    NOT NULL DEFAULT 0 CHECK (holdout BETWEEN 0 AND 50),
	reentry      text        NOT NULL CHECK (reentry IN ('never', 'each', 'after')),
	reentry_days integer     NOT NULL DEFAULT 0 CHECK ((reentry_days > 0) = (reentry = 'after')),
	not_after    interval    NOT NULL CHECK (not_after > '0'),
	within       interval    NOT NULL CHECK (within >= '0'),
	priority     smallint    NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
	version      integer     NOT NULL DEFAULT 1,
	starts_from  timestamptz,
	switched_at  timestamptz,
	entered_at   timestamptz,
	looked_at    timestamptz NOT NULL DEFAULT '-infinity',
	stepped_at   timestamptz NOT NULL DEFAULT '-infinity',
	created_by   text        NOT NULL CHECK (created_by = 'admin' OR created_by LIKE 'user:_%' OR created_by LIKE 'token:_%'),
	created_at   timestamptz NOT NULL DEFAULT now(),
	updated_at   timestamptz NOT NULL DEFAULT now(),
	CHECK (state NOT IN ('rehearsal', 'on', 'paused') OR starts_from IS NOT NULL AND switched_at IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS campaigns_of      ON campaigns (store_id, created_at);
CREATE INDEX IF NOT EXISTS campaigns_running ON campaigns (looked_at) WHERE state IN ('rehearsal', 'on');
COMMENT ON COLUMN campaigns.id          IS 'camp_ and 10 random letters or digits';
COMMENT ON COLUMN campaigns.recipe      IS 'the recipe that it was made of; empty: none';
COMMENT ON COLUMN campaigns.state       IS 'draft, then rehearsal (everything happens but the mails), on, paused, ended';
COMMENT ON COLUMN campaigns.class       IS 'of its mails: marketing needs consent';
COMMENT ON COLUMN campaigns.trigger     IS 'a question over facts with its numbers: {question, numbers, courses, product}';
COMMENT ON COLUMN campaigns.audience    IS 'a rule, as customers.ParseRule reads it; null: all of the store';
COMMENT ON COLUMN campaigns.goal        IS 'what it is for: it ends a run, and nothing more is sent';
COMMENT ON COLUMN campaigns.steps       IS 'the steps, each with a key that stays';
COMMENT ON COLUMN campaigns.on_goal     IS 'what is done at the goal, as steps';
COMMENT ON COLUMN campaigns.holdout     IS 'percent that get nothing, so that one sees what the mails change';
COMMENT ON COLUMN campaigns.reentry     IS 'each: once for each occurrence; never: once; after: once in reentry_days';
COMMENT ON COLUMN campaigns.not_after   IS 'a step that is later than that is not done any more';
COMMENT ON COLUMN campaigns.within      IS 'how long after the last step the goal counts';
COMMENT ON COLUMN campaigns.starts_from IS 'what became due before is not entered';
COMMENT ON COLUMN campaigns.switched_at IS 'when it went on last, from draft or rehearsal';
COMMENT ON COLUMN campaigns.entered_at  IS 'the first complete look since then; null: what became due from starts_from on is still being entered';
COMMENT ON COLUMN campaigns.looked_at   IS 'when it was last asked who is to enter';
COMMENT ON COLUMN campaigns.stepped_at  IS 'when its runs last had their turn';

CREATE TABLE IF NOT EXISTS runs (
	id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	campaign_id   text        COLLATE "C" NOT NULL,
	store_id      text        NOT NULL,
	email         text        NOT NULL,
	occurrence    text        COLLATE "C" NOT NULL,
	twin          bigint      NOT NULL DEFAULT 0,
	about         text        NOT NULL,
	became_due_at timestamptz NOT NULL,
	entered_at    timestamptz NOT NULL,
	version       integer     NOT NULL,
	arm           text        NOT NULL CHECK (arm IN ('a', 'b', 'held')),
	step          text        COLLATE "C" NOT NULL,
	next_at       timestamptz NOT NULL,
	done          jsonb       NOT NULL DEFAULT '{}',
	ended_at      timestamptz,
	ended_for     text        CHECK ((ended_for IS NULL) = (ended_at IS NULL)),
	UNIQUE (campaign_id, email, occurrence, twin)
);
CREATE INDEX IF NOT EXISTS runs_due ON runs (campaign_id, next_at) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS runs_of  ON runs (store_id, email);
COMMENT ON TABLE  runs               IS 'the way of one customer through a campaign, for one occurrence of what it asks for';
COMMENT ON COLUMN runs.email         IS 'where the customer lives, as customers.email';
COMMENT ON COLUMN runs.occurrence    IS 'what it is about, and which time if there are several: course:ID, invoice:ID, course:ID#DAY';
COMMENT ON COLUMN runs.twin          IS '0, or its own id if it ended because another run has its key since two customers were merged';
COMMENT ON COLUMN runs.about         IS 'the id in the occurrence: of a course, a subscription, an invoice or a checkout; empty: none';
COMMENT ON COLUMN runs.became_due_at IS 'when the question became true, which is the time of a fact and not of its webhook';
COMMENT ON COLUMN runs.version       IS 'of the campaign, when it was entered';
COMMENT ON COLUMN runs.arm           IS 'which text it gets, if there are two; held: it gets nothing, for comparison';
COMMENT ON COLUMN runs.step          IS 'key of the next step; empty: all are done, and the goal still counts until next_at';
COMMENT ON COLUMN runs.done          IS 'steps that are done: {key: {at, outcome}}';
COMMENT ON COLUMN runs.ended_for     IS 'goal, done, or why it ended early: gone, left, refunded, cancelled, expired, late, merged, ended';

-- What campaigns do is theirs.
ALTER TABLE customer_tags DROP CONSTRAINT IF EXISTS customer_tags_tagged_by_check,
	ADD CONSTRAINT customer_tags_tagged_by_check CHECK (tagged_by = 'admin' OR tagged_by LIKE 'user:_%' OR tagged_by LIKE 'token:_%' OR tagged_by LIKE 'campaign:_%') NOT VALID;
ALTER TABLE customer_tags VALIDATE CONSTRAINT customer_tags_tagged_by_check;
ALTER TABLE customer_notes DROP CONSTRAINT IF EXISTS customer_notes_author_check,
	ADD CONSTRAINT customer_notes_author_check CHECK (author = 'admin' OR author LIKE 'user:_%' OR author LIKE 'token:_%' OR author LIKE 'campaign:_%') NOT VALID;
ALTER TABLE customer_notes VALIDATE CONSTRAINT customer_notes_author_check;
COMMENT ON COLUMN customer_notes.author IS 'who wrote it: admin, user:<Clerk id>, token:<id> or campaign:<id>';

-- The questions of campaigns: each is a range of one of these, some minutes or days long. Without them every
-- look reads all enrollments of a store.
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_enrolled   ON enrollments (store_id, coalesce(enrolled_at, first_said_at)) WHERE customer_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_progressed ON enrollments (store_id, progressed_at) WHERE customer_id IS NOT NULL AND peak_progress > 0;
CREATE INDEX CONCURRENTLY IF NOT EXISTS enrollments_completed  ON enrollments (store_id, coalesce(completed_at, progressed_at)) WHERE customer_id IS NOT NULL AND (completed_at IS NOT NULL OR progress >= 100);
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_ended    ON subscriptions (store_id, ended_at) WHERE customer_id IS NOT NULL AND ended_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_renewing ON subscriptions (store_id, current_period_end) WHERE customer_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS subscriptions_failing  ON subscriptions (store_id) WHERE customer_id IS NOT NULL AND status IN ('past_due', 'unpaid');
CREATE INDEX CONCURRENTLY IF NOT EXISTS failed_invoices_of     ON failed_invoices (account, subscription) WHERE subscription IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS failed_invoices_id     ON failed_invoices (id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS checkouts_id           ON checkouts (id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS checkouts_left         ON checkouts (version_time(version)) WHERE status = 'expired' AND recovery_url IS NOT NULL;

-- +goose Down
DROP INDEX enrollments_enrolled, enrollments_progressed, enrollments_completed, subscriptions_ended, subscriptions_renewing, subscriptions_failing, failed_invoices_of, failed_invoices_id, checkouts_id, checkouts_left;
DELETE FROM customer_notes WHERE author LIKE 'campaign:%';
DELETE FROM customer_tags WHERE tagged_by LIKE 'campaign:%';
ALTER TABLE customer_notes DROP CONSTRAINT customer_notes_author_check,
	ADD CONSTRAINT customer_notes_author_check CHECK (author = 'admin' OR author LIKE 'user:_%' OR author LIKE 'token:_%');
ALTER TABLE customer_tags DROP CONSTRAINT customer_tags_tagged_by_check,
	ADD CONSTRAINT customer_tags_tagged_by_check CHECK (tagged_by = 'admin' OR tagged_by LIKE 'user:_%' OR tagged_by LIKE 'token:_%');
COMMENT ON COLUMN customer_notes.author IS 'who wrote it: admin, user:<Clerk id> or token:<id>';
DROP TABLE runs, campaigns;
