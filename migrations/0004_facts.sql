-- What happened: enrollments, payments, refunds, disputes, subscriptions.
--
-- leans lists the keys of what a row is resolved through, so that it can be
-- found again when one of those arrives or changes. The resolved columns
-- (store_id, customer_email, product_id, customer_id, unattached) are ours, the
-- rest is the source's word.

-- +goose Up
CREATE TABLE enrollments (
    course_id         text NOT NULL,
    person            text NOT NULL CHECK (person LIKE 'user:%' OR person LIKE 'email:%'),
    email             text,
    email_version     text COLLATE "C" NOT NULL,
    store_ref         text,
    store_version     text COLLATE "C" NOT NULL,
    version           text COLLATE "C" NOT NULL,
    name              text,
    name_version      text COLLATE "C" NOT NULL,
    progress          double precision CHECK (progress BETWEEN 0 AND 100),
    progress_version  text COLLATE "C" NOT NULL,
    enrolled_at       timestamptz,
    enrolled_version  text COLLATE "C" NOT NULL,
    completed_at      timestamptz,
    completed_version text COLLATE "C" NOT NULL,
    said_at           timestamptz,
    first_said_at     timestamptz,
    deleted_version   text COLLATE "C" NOT NULL,
    user_ref          text GENERATED ALWAYS AS (CASE WHEN person LIKE 'user:%' THEN substr(person, 6) END) STORED,
    leans             text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
                          'product:' || course_id,
                          'store:'   || store_ref,
                          CASE WHEN person LIKE 'user:%' THEN person END], NULL)) STORED,
    store_id          text,
    customer_email    text,
    customer_id       bigint,
    unattached        text DEFAULT 'not_derived',
    PRIMARY KEY (course_id, person),
    CONSTRAINT enrollments_attached CHECK ((customer_id IS NULL) = (unattached IS NOT NULL))
);
CREATE INDEX enrollments_leans      ON enrollments USING gin (leans) WITH (fastupdate = off);
CREATE INDEX enrollments_customer   ON enrollments (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX enrollments_unattached ON enrollments (unattached) WHERE unattached IS NOT NULL;
COMMENT ON COLUMN enrollments.person     IS 'user:<clerk id>, or email:<address> where the platform knows no user';
COMMENT ON COLUMN enrollments.unattached IS 'why this row is on no customer list';

CREATE TABLE payments (
    account             text NOT NULL,
    id                  text NOT NULL,
    claim_version       text COLLATE "C" NOT NULL,
    claimed_by          text,
    kind                text CHECK (kind IN ('checkout', 'invoice', 'intent', 'purchase')),
    paid                boolean,
    amount              bigint,
    currency            text,
    store_ref           text,
    product_ref         text,
    product_kind        text,
    product_type        text,
    plan                text,
    user_ref            text,
    creator_ref         text,
    stripe_customer     text,
    email               text,
    name                text,
    courses             text[],
    catalogue           text[],
    subscription        text,
    paid_at             timestamptz,
    intent              jsonb,
    intent_version      text COLLATE "C" NOT NULL,
    invoice             text,
    invoice_version     text COLLATE "C" NOT NULL,
    destination         text,
    destination_version text COLLATE "C" NOT NULL,
    leans               text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
                            'user:'    || user_ref,
                            'user:'    || (intent ->> 'user_ref'),
                            'product:' || product_ref,
                            'product:' || (intent ->> 'product_ref'),
                            'store:'   || store_ref,
                            'store:'   || (intent ->> 'store_ref'),
                            'store:'   || creator_ref,
                            'store:'   || (intent ->> 'creator_ref'),
                            'account:' || nullif(account, ''),
                            'account:' || destination,
                            'cus:'     || account || '/' || stripe_customer,
                            'cus:'     || account || '/' || (intent ->> 'stripe_customer'),
                            'sub:'     || account || '/' || subscription,
                            'pay:'     || account || '/' || invoice], NULL) || coalesce(catalogue, '{}')) STORED,
    store_id            text,
    customer_email      text,
    product_id          text,
    refunded            bigint NOT NULL DEFAULT 0,
    disputed            bigint NOT NULL DEFAULT 0,
    customer_id         bigint,
    unattached          text DEFAULT 'not_derived',
    PRIMARY KEY (account, id),
    CONSTRAINT payments_attached CHECK ((customer_id IS NULL) = (unattached IS NOT NULL)),
    CONSTRAINT payments_claimed  CHECK (claim_version = '' OR (kind IS NOT NULL AND amount IS NOT NULL AND currency IS NOT NULL AND paid_at IS NOT NULL))
);
CREATE INDEX payments_leans      ON payments USING gin (leans) WITH (fastupdate = off);
CREATE INDEX payments_invoice    ON payments (account, invoice) WHERE invoice IS NOT NULL;
CREATE INDEX payments_customer   ON payments (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX payments_unattached ON payments (unattached) WHERE unattached IS NOT NULL;
COMMENT ON TABLE  payments               IS 'the money ledger: one row per payment intent, paid invoice, order without a payment, or purchase told by the platform';
COMMENT ON COLUMN payments.claim_version IS 'rank of the claim on this money (1 unpaid checkout, 2 platform, 3 intent with a product, 4 paid checkout or invoice), then its version; empty: a bare payment intent, no income';
COMMENT ON COLUMN payments.amount        IS 'minor units of currency';
COMMENT ON COLUMN payments.intent        IS 'what the payment intent itself says of store, product and person, where its claimant says nothing';
COMMENT ON COLUMN payments.invoice       IS 'of a payment intent: the invoice it pays, whose money is the same';
COMMENT ON COLUMN payments.destination   IS 'Connect account the money is passed on to';
COMMENT ON COLUMN payments.refunded      IS 'derived from refunds, at most amount';
COMMENT ON COLUMN payments.disputed      IS 'derived from disputes whose funds are withdrawn, at most what is left';

CREATE TABLE refunds (
    account        text NOT NULL,
    id             text NOT NULL,
    charge         text,
    payment_intent text,
    cumulative     boolean NOT NULL,
    charge_amount  bigint,
    amount         bigint NOT NULL,
    currency       text,
    status         text,
    created_at     timestamptz,
    said_at        timestamptz NOT NULL,
    version        text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX refunds_intent ON refunds (account, payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX refunds_charge ON refunds (account, charge) WHERE charge IS NOT NULL;
COMMENT ON COLUMN refunds.charge_amount IS 'of a total: what was charged; the share refunded counts where the charge was in another currency than the sale';
COMMENT ON COLUMN refunds.cumulative IS 'a charge''s running total (id is the charge), not a refund object';

CREATE TABLE disputes (
    account        text NOT NULL,
    id             text NOT NULL,
    charge         text,
    payment_intent text,
    amount         bigint NOT NULL,
    currency       text,
    status         text,
    withdrawn      boolean NOT NULL,
    version        text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX disputes_intent ON disputes (account, payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX disputes_charge ON disputes (account, charge) WHERE charge IS NOT NULL;

CREATE TABLE subscriptions (
    account              text NOT NULL,
    id                   text NOT NULL,
    version              text COLLATE "C" NOT NULL,
    status               text,
    store_ref            text,
    product_ref          text,
    product_kind         text,
    product_type         text,
    plan                 text,
    user_ref             text,
    creator_ref          text,
    stripe_customer      text,
    email                text,
    name                 text,
    courses              text[],
    catalogue            text[],
    destination          text,
    amount               bigint,
    currency             text,
    plan_name            text,
    started_at           timestamptz,
    current_period_end   timestamptz,
    cancel_at_period_end boolean,
    ended_at             timestamptz,
    ever_active          boolean NOT NULL,
    checkout             jsonb,
    checkout_at          timestamptz,
    checkout_version     text COLLATE "C" NOT NULL,
    leans                text[] NOT NULL GENERATED ALWAYS AS (array_remove(ARRAY[
                             'user:'    || user_ref,
                             'user:'    || (checkout ->> 'user_ref'),
                             'product:' || product_ref,
                             'product:' || (checkout ->> 'product_ref'),
                             'store:'   || store_ref,
                             'store:'   || (checkout ->> 'store_ref'),
                             'store:'   || creator_ref,
                             'store:'   || (checkout ->> 'creator_ref'),
                             'account:' || nullif(account, ''),
                             'account:' || destination,
                             'cus:'     || account || '/' || stripe_customer,
                             'cus:'     || account || '/' || (checkout ->> 'stripe_customer')], NULL) || coalesce(catalogue, '{}')) STORED,
    store_id             text,
    customer_email       text,
    product_id           text,
    customer_id          bigint,
    unattached           text DEFAULT 'not_derived',
    PRIMARY KEY (account, id),
    CONSTRAINT subscriptions_attached CHECK ((customer_id IS NULL) = (unattached IS NOT NULL))
);
CREATE INDEX subscriptions_leans      ON subscriptions USING gin (leans) WITH (fastupdate = off);
CREATE INDEX subscriptions_customer   ON subscriptions (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX subscriptions_unattached ON subscriptions (unattached) WHERE unattached IS NOT NULL;
COMMENT ON COLUMN subscriptions.ever_active IS 'was trialing, active or past due at some time; once true, true for good, as a customer''s type never falls';
COMMENT ON COLUMN subscriptions.checkout    IS 'what the Checkout session that began it says of store, product and person; only it may tell a sale of the platform itself';

-- +goose Down
DROP TABLE subscriptions;
DROP TABLE disputes;
DROP TABLE refunds;
DROP TABLE payments;
DROP TABLE enrollments;
