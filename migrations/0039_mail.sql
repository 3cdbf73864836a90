-- Mail: a mail is a row with a unique key, so that no one gets it twice. What it says is
-- rendered from its body and today's facts when it is sent, and not kept.

-- +goose Up
CREATE TABLE mail_settings (
	store_id       text        NOT NULL PRIMARY KEY,
	from_name      text        NOT NULL DEFAULT '',
	reply_to       text        NOT NULL DEFAULT '',
	postal_address text        NOT NULL DEFAULT '',
	home_url       text        NOT NULL DEFAULT '',
	course_url     text        NOT NULL DEFAULT '',
	quiet_from     smallint    DEFAULT 20 CHECK (quiet_from BETWEEN 0 AND 23),
	quiet_to       smallint    DEFAULT 9 CHECK (quiet_to BETWEEN 0 AND 23),
	cap_day        integer     DEFAULT 1 CHECK (cap_day > 0),
	cap_week       integer     DEFAULT 3 CHECK (cap_week > 0),
	daily_limit    integer     CHECK (daily_limit > 0),
	warm_up_from   date,
	tracking       text        NOT NULL DEFAULT 'off' CHECK (tracking IN ('off', 'counted', 'identified')),
	soft_opt_in    boolean     NOT NULL DEFAULT false,
	paused_for     text        CHECK ((paused_for IS NULL) = (paused_at IS NULL)),
	paused_at      timestamptz,
	counted_from   timestamptz,
	turn_at        timestamptz NOT NULL DEFAULT '-infinity',
	lease_until    timestamptz,
	leased_by      text,
	rest_until     timestamptz NOT NULL DEFAULT '-infinity',
	failing_since  timestamptz,
	failures       integer     NOT NULL DEFAULT 0,
	trouble        text        NOT NULL DEFAULT '',
	CHECK ((quiet_from IS NULL) = (quiet_to IS NULL))
);
COMMENT ON TABLE  mail_settings                IS 'how a store sends mail, and its lane; without a row all are as by default. The time zone is that of the store';
COMMENT ON COLUMN mail_settings.reply_to       IS 'where answers go: the creator''s own';
COMMENT ON COLUMN mail_settings.postal_address IS 'of the store, which marketing has to name';
COMMENT ON COLUMN mail_settings.home_url       IS 'where links of mails lead that have no other end';
COMMENT ON COLUMN mail_settings.course_url     IS 'where links to a course lead; {course} stands for its id';
COMMENT ON COLUMN mail_settings.quiet_from     IS 'the hour of the store''s zone from which nothing is sent, until quiet_to; null: it is sent at any hour';
COMMENT ON COLUMN mail_settings.cap_day        IS 'most marketing mails to a customer on a day of the store''s zone; null: any number';
COMMENT ON COLUMN mail_settings.cap_week       IS 'the same in 7 days';
COMMENT ON COLUMN mail_settings.daily_limit    IS 'most mails on a day of the store''s zone';
COMMENT ON COLUMN mail_settings.warm_up_from   IS 'the first day of a slow start, in which the limit is small and doubles each day';
COMMENT ON COLUMN mail_settings.soft_opt_in    IS 'a purchase from the store is enough for marketing, where there is no word of consent; set by operators';
COMMENT ON COLUMN mail_settings.paused_for     IS 'why nothing is sent: bounces, complaints, refused or hand';
COMMENT ON COLUMN mail_settings.counted_from   IS 'bounces and complaints before are not counted: when it was last resumed';
COMMENT ON COLUMN mail_settings.turn_at        IS 'when the lane had its last turn: stores take turns';
COMMENT ON COLUMN mail_settings.lease_until    IS 'until when the worker leased_by alone sends for the store';
COMMENT ON COLUMN mail_settings.rest_until     IS 'until when the lane rests: its limit is reached, or the provider wants a pause';
COMMENT ON COLUMN mail_settings.failing_since  IS 'since when the provider does not take mails; it is tried again later each time';
COMMENT ON COLUMN mail_settings.trouble        IS 'what it answered';

CREATE TABLE mail_bodies (
	store_id    text    NOT NULL,
	campaign_id text    COLLATE "C" NOT NULL,
	step        text    COLLATE "C" NOT NULL,
	version     integer NOT NULL,
	subject     text    NOT NULL,
	markdown    text    NOT NULL,
	PRIMARY KEY (campaign_id, step, version)
);
COMMENT ON TABLE mail_bodies IS 'what the steps of campaigns say: a new version whenever a text changes, as a mail names the one that it was made with';

CREATE TABLE mails (
	id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	store_id    text        NOT NULL,
	email       text        NOT NULL,
	class       text        NOT NULL CHECK (class IN ('marketing', 'service', 'test')),
	campaign_id text        COLLATE "C" NOT NULL DEFAULT '',
	step        text        COLLATE "C" NOT NULL,
	occurrence  text        COLLATE "C" NOT NULL,
	twin        bigint      NOT NULL DEFAULT 0,
	variant     text        NOT NULL DEFAULT '',
	version     integer     NOT NULL,
	status      text        NOT NULL DEFAULT 'due' CHECK (status IN ('due', 'sending', 'sent', 'failed', 'skipped', 'unknown')),
	reason      text        CHECK (status NOT IN ('failed', 'skipped') OR reason IS NOT NULL),
	due_at      timestamptz NOT NULL,
	not_after   timestamptz NOT NULL,
	priority    smallint    NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
	tries       integer     NOT NULL DEFAULT 0,
	claimed_at  timestamptz CHECK (status NOT IN ('sending', 'sent', 'unknown') OR claimed_at IS NOT NULL),
	claimed_by  text,
	started_at  timestamptz,
	sent_at     timestamptz CHECK ((sent_at IS NOT NULL) = (status = 'sent')),
	provider    text,
	provider_id text,
	answer      text,
	made_at     timestamptz NOT NULL DEFAULT now(),
	UNIQUE (campaign_id, step, email, occurrence, twin)
) WITH (fillfactor = 80); -- room for a row that begins to be sent
CREATE INDEX mails_due ON mails (store_id, priority, due_at, id) WHERE status = 'due';
CREATE INDEX mails_sending ON mails (store_id) WHERE status = 'sending';
CREATE INDEX mails_cap ON mails (store_id, email, claimed_at) WHERE status IN ('sending', 'sent', 'unknown');
CREATE INDEX mails_tried ON mails (store_id, claimed_at) WHERE status IN ('sending', 'sent', 'unknown', 'failed');
CREATE INDEX mails_of ON mails (store_id, email, id);
CREATE INDEX mails_apart ON mails (store_id, status, id) WHERE status IN ('failed', 'skipped', 'unknown');
CREATE INDEX mails_by_provider ON mails (provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX mails_old ON mails USING brin (made_at);
CREATE INDEX mails_tests ON mails (made_at) WHERE class = 'test';
COMMENT ON TABLE  mails             IS 'what campaigns send: each at most once, as its key is unique';
COMMENT ON COLUMN mails.email       IS 'where the customer lives, as customers.email';
COMMENT ON COLUMN mails.campaign_id IS 'empty: no campaign, as of tests';
COMMENT ON COLUMN mails.occurrence  IS 'which time it is for this customer: course:ID, invoice:ID';
COMMENT ON COLUMN mails.twin        IS '0, or its own id if another mail has its key since two customers were merged';
COMMENT ON COLUMN mails.version     IS 'of mail_bodies';
COMMENT ON COLUMN mails.status      IS 'due, sending, then sent, failed, skipped or unknown: it was given to the provider and no answer came, so it is never sent again by itself';
COMMENT ON COLUMN mails.reason      IS 'one word: why it was skipped, why it failed, or what a due one waits for';
COMMENT ON COLUMN mails.not_after   IS 'when it is too late to send it';
COMMENT ON COLUMN mails.priority    IS '0 goes first, 9 last';
COMMENT ON COLUMN mails.claimed_at  IS 'when it was decided to send it: caps and limits count from then';
COMMENT ON COLUMN mails.claimed_by  IS 'the worker';
COMMENT ON COLUMN mails.started_at  IS 'when it was about to be given to the provider; null: it was not, so another worker may send it';
COMMENT ON COLUMN mails.provider    IS 'smtp, resend or mailbox';
COMMENT ON COLUMN mails.provider_id IS 'its id there';
COMMENT ON COLUMN mails.answer      IS 'what the provider answered';

-- Every store with mails has a lane.
-- +goose StatementBegin
CREATE FUNCTION mails_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mail_settings (store_id)
	SELECT DISTINCT store_id FROM new_rows
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER mails_inserted AFTER INSERT ON mails REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION mails_inserted();

CREATE TABLE mailbox (
	mail_id bigint      NOT NULL PRIMARY KEY REFERENCES mails ON DELETE CASCADE,
	raw     bytea       NOT NULL,
	at      timestamptz NOT NULL
);
CREATE INDEX mailbox_at ON mailbox (at);
COMMENT ON TABLE mailbox IS 'messages that were kept here instead of sent: in dev and demo, and with MAIL_DRY';

CREATE TABLE mail_consents (
	store_id text        NOT NULL,
	user_id  text        NOT NULL,
	email    text        NOT NULL,
	kind     text        NOT NULL CHECK (kind IN ('marketing', 'tracking')),
	state    text        NOT NULL CHECK (state IN ('granted', 'denied')),
	said_at  timestamptz NOT NULL,
	source   text        NOT NULL,
	wording  text        NOT NULL DEFAULT '',
	version  text        COLLATE "C" NOT NULL,
	PRIMARY KEY (store_id, user_id, email, kind),
	CHECK ((user_id = '') <> (email = ''))
);
CREATE INDEX mail_consents_email ON mail_consents (email, store_id) WHERE email <> '';
-- The key has it too, but where few words are of users Postgres does not see that by its statistics.
CREATE INDEX mail_consents_user  ON mail_consents (user_id, store_id) WHERE user_id <> '';
COMMENT ON TABLE  mail_consents         IS 'the last word of a user, or for an address; what follows for a customer is in mail_words';
COMMENT ON COLUMN mail_consents.user_id IS 'of Clerk; empty: it was said for an address';
COMMENT ON COLUMN mail_consents.source  IS 'platform, import or page';
COMMENT ON COLUMN mail_consents.wording IS 'what was agreed to';

CREATE TABLE mail_stops (
	store_id    text        NOT NULL DEFAULT '',
	hash        bytea       NOT NULL CHECK (length(hash) = 32),
	campaign_id text        COLLATE "C" NOT NULL DEFAULT '' CHECK (campaign_id = '' OR reason = 'unsubscribed'),
	reason      text        NOT NULL CHECK (reason IN ('unsubscribed', 'hard', 'soft', 'complained', 'manual')),
	since       timestamptz NOT NULL,
	mail_id     bigint,
	by          text,
	PRIMARY KEY (hash, store_id, campaign_id, reason)
);
COMMENT ON TABLE  mail_stops             IS 'addresses that are not mailed any more; survives an erasure, as it names no one';
COMMENT ON COLUMN mail_stops.store_id    IS 'empty: by no store';
COMMENT ON COLUMN mail_stops.hash        IS 'as erased.hash, of "address:…"';
COMMENT ON COLUMN mail_stops.campaign_id IS 'the only campaign that is stopped; empty: all';
COMMENT ON COLUMN mail_stops.reason      IS 'unsubscribed stops marketing, and any mail of its campaign; the others stop everything';
COMMENT ON COLUMN mail_stops.mail_id     IS 'the mail that led to it';
COMMENT ON COLUMN mail_stops.by          IS 'who stopped it by hand: admin, user:<Clerk id> or token:<id>';

CREATE TABLE mail_links (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	store_id text   NOT NULL,
	url      text   NOT NULL,
	UNIQUE (store_id, url)
);
COMMENT ON TABLE mail_links IS 'addresses that bodies of mails lead to: redirects go to no others';

CREATE TABLE mail_clicks (
	link_id  bigint NOT NULL REFERENCES mail_links ON DELETE CASCADE,
	day      date   NOT NULL,
	people   bigint NOT NULL DEFAULT 0,
	machines bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (link_id, day)
);
COMMENT ON TABLE mail_clicks IS 'how often links were followed, where clicks are counted without persons';

CREATE TABLE mail_events (
	source     text        NOT NULL,
	event_id   text        COLLATE "C" NOT NULL,
	mail_id    bigint,
	message    text,
	kind       text        NOT NULL,
	at         timestamptz NOT NULL,
	verdict    text,
	machine    boolean     NOT NULL DEFAULT false,
	link_id    bigint      REFERENCES mail_links ON DELETE SET NULL,
	detail     text,
	version    text        COLLATE "C" NOT NULL DEFAULT '',
	settled_at timestamptz,
	PRIMARY KEY (source, event_id)
);
CREATE INDEX mail_events_mail ON mail_events (mail_id);
CREATE INDEX mail_events_link ON mail_events (link_id) WHERE link_id IS NOT NULL;
CREATE INDEX mail_events_open ON mail_events (at) WHERE settled_at IS NULL;
COMMENT ON TABLE  mail_events            IS 'what became of mails: reported by providers, and clicks on links';
COMMENT ON COLUMN mail_events.mail_id    IS 'NULL: not known yet, or of no mail of ours; may be older than the mails that are kept';
COMMENT ON COLUMN mail_events.message    IS 'the provider''s id of the mail';
COMMENT ON COLUMN mail_events.kind       IS 'accepted, delivered, delayed, bounced, complained, unsubscribed or clicked';
COMMENT ON COLUMN mail_events.verdict    IS 'of a bounce: hard, soft or ours';
COMMENT ON COLUMN mail_events.machine    IS 'a program clicked, not a customer';
COMMENT ON COLUMN mail_events.detail     IS 'codes of a bounce';
COMMENT ON COLUMN mail_events.settled_at IS 'when what follows for the mail and for later ones was written';

CREATE TABLE mail_keys (
	id      integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key     bytea       NOT NULL CHECK (length(key) = 32),
	made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mail_keys IS 'made here at random; the newest signs the links of mails, and old ones verify for ever';

-- The two halves of HMAC-SHA-256 with the key of the hashes in erased, so that SQL can
-- compute them: sha256(outer || sha256(inner || text)).
-- +goose StatementBegin
CREATE FUNCTION erasure_pad(byte text) RETURNS bytea LANGUAGE sql STABLE AS $$
	SELECT substr(bit_send(('x' || rpad(encode(key, 'hex'), 128, '0'))::bit(512) # ('x' || repeat(byte, 64))::bit(512)), 5)
	FROM erasure_key
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION erasure_pad IS 'the key, padded and XORed: 36 is the inner half, 5c the outer one';

-- +goose Down
DROP FUNCTION erasure_pad;
DROP TABLE mail_keys, mail_events, mail_clicks, mail_links, mail_stops, mail_consents, mailbox, mails, mail_bodies, mail_settings;
DROP FUNCTION mails_inserted;
