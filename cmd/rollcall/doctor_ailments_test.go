package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/testing/clerkfake"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store/finding"
	"rollcall/watch"
)

// ailment is something that a doctor finds, and its cure.
type ailment struct {
	kind, subject string
	severity      finding.Severity
	args          string            // of doctor
	env           map[string]string // of commands: what is wrong with the settings
	idle          bool              // nobody works
	cause         func(*ward)
	says          string            // in what it says or its examples
	fill          map[string]string // what a person fills in
	leave         string            // commands with this are for people, and not run here
	cure          func(*ward)       // what people, or senders, do instead of or after the commands
	stays         bool              // it is no ailment that goes
	alone         bool              // it is a setting of the Redis of all wards
}

// enrolled makes an enrollment of a user in a course whose store is known.
func enrolled(user string) func(*ward) {
	return func(w *ward) {
		w.say("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"One"}`)
		w.say("enrollment.upserted", `{"course_id":"c1","user_id":"`+user+`"}`)
		w.settled()
	}
}

// onList makes a customer of store s1.
func onList(w *ward) {
	w.say("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_o"}`)
	w.say("enrollment.upserted", `{"course_id":"c1","store_id":"s1","email":"ava@x.example"}`)
	w.settled()
}

// counts writes down deliveries of each hour, from some hours ago to some others.
func counts(source, outcome string, n, from, to int) string {
	return fmt.Sprintf(`INSERT INTO webhook_deliveries (source, hour, outcome, count, first_at, last_at)
		SELECT '%s', h, '%s', %d, h, h + interval '50 minutes'
		FROM (SELECT date_trunc('hour', now(), 'UTC') - i * interval '1 hour' AS h FROM generate_series(%d, %d) i) x`, source,
		outcome, n, to, from)
}

// unlisted writes down a payment that is on no list for a reason.
func unlisted(account, fields, values, reason string) string {
	return fmt.Sprintf(
		`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, kind,
			claim_paid, claim_amount, claim_currency, paid_at, unattached, %s)
		VALUES ('%s', 'pi_1', '4 2026-01-01T00:00:00.000000Z 10 evt_1', '', '', '', 'checkout', true, 4900, 'usd',
			'2026-01-01', '%s', %s)`, fields, account, reason, values)
}

// buried makes the tombstone of somebody.
const buried = `WITH x AS (INSERT INTO erasures (person, store_id, erased_at, moved_at, finished_at)
	VALUES ('erased-somebody', '', now(), now(), now()) RETURNING id)
	INSERT INTO erased (hash, kind, erasure_id, erased_at) SELECT sha256('somebody'), 'address', id, now() FROM x`

func said(statements ...string) func(*ward) {
	return func(w *ward) { w.sql(statements...) }
}

var ailments = []ailment{
	{kind: "setting_malformed", subject: "CLERK_WEBHOOK_SECRETS", severity: finding.Problem,
		env:  map[string]string{"CLERK_WEBHOOK_SECRETS": "hushhush"},
		says: "secret 1", fill: map[string]string{"<VALUE>": wardSvix}},
	{kind: "setting_malformed", subject: "STRIPE_WEBHOOK_SECRETS", severity: finding.Problem,
		env:  map[string]string{"STRIPE_WEBHOOK_SECRETS": ""},
		says: "is empty", fill: map[string]string{"<VALUE>": wardStripe}},
	{kind: "setting_malformed", subject: "ADMIN_TOKEN", severity: finding.Problem,
		env: map[string]string{"ADMIN_TOKEN": "short"}, says: "16"},
	{kind: "setting_malformed", subject: "ALERT_WEBHOOK_SECRET", severity: finding.Problem,
		env: map[string]string{"ALERT_WEBHOOK_URL": "https://hooks.example"}, says: "is not set"},
	{kind: "setting_malformed", subject: "ALLOWED_PRIVATE_NETWORKS", severity: finding.Problem,
		env: map[string]string{"ALLOWED_PRIVATE_NETWORKS": "the office"}, says: "10.0.0.0/8",
		fill: map[string]string{"<VALUE>": "10.0.0.0/8"}},
	{kind: "setting_unusable", subject: "CLERK_JWT_KEY", severity: finding.Warning,
		env:  map[string]string{"CLERK_JWT_KEY": "sk_test_hushhush"},
		says: "belongs in CLERK_SECRET_KEY", fill: map[string]string{"<PUBLIC KEY>": wardKey}},
	{kind: "setting_unusable", subject: "CLERK_ISSUER", severity: finding.Warning,
		env:  map[string]string{"CLERK_ISSUER": "clerk.example.com"},
		says: "is not a URL", fill: map[string]string{"<FRONTEND API URL>": "https://Clerk.example.com/"}},
	{kind: "setting_unusable", subject: "CLERK_AUTHORIZED_PARTIES", severity: finding.Warning,
		env:  map[string]string{"CLERK_AUTHORIZED_PARTIES": "https://example.com,app.example.com"},
		says: "entry 2 of 2", fill: map[string]string{"<ORIGINS>": "https://example.com:443, https://app.example.com/"}},
	{kind: "setting_missing", subject: "ADMIN_TOKEN", severity: finding.Note, env: map[string]string{"ADMIN_TOKEN": unset},
		says: "the lists of all stores"},
	{kind: "setting_missing", subject: "STRIPE_WEBHOOK_SECRETS", severity: finding.Problem,
		cause: said(counts("stripe", "not_configured", 3, 1, 1)),
		says:  "3 so far", fill: map[string]string{"<SECRET>": wardStripe}, cure: func(w *ward) { w.sells() }},
	{kind: "settings_disagree", subject: "STRIPE_API_KEY", severity: finding.Warning,
		env:  map[string]string{"STRIPE_MODE": "live", "STRIPE_API_KEY": "rk_test_1"},
		says: "of test mode", fill: map[string]string{"<KEY OF LIVE MODE>": "rk_live_1"}},
	{kind: "store_unheard", subject: "nowhere", severity: finding.Problem, args: "--store nowhere",
		fill: map[string]string{"<NAME>": "Nowhere", "<CLERK USER>": "user_o"}},

	{kind: "database_away", severity: finding.Problem, env: map[string]string{
		"DATABASE_URL": "postgres://u:hushhush@127.0.0.1:1/x"}, says: "does not answer", leave: "pg_isready"},
	{kind: "database_read_only", severity: finding.Problem, cause: func(w *ward) {
		w.sql(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
			END $$`)
	}, says: "default_transaction_read_only"},
	{kind: "extension_missing", subject: "pg_trgm", severity: finding.Problem, idle: true,
		cause: said(`DROP EXTENSION pg_trgm CASCADE`)},
	{kind: "index_missing", subject: "customer_index_all", severity: finding.Problem, idle: true,
		cause: said(`DROP INDEX customer_index_all`)},
	{kind: "index_missing", subject: "customer_words_all", severity: finding.Problem, idle: true,
		cause: said(`DROP INDEX customer_words_all`)},
	{kind: "index_missing", subject: "customers_address", severity: finding.Warning, idle: true,
		cause: said(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'customers_address'::regclass`)},
	{kind: "database_foreign", severity: finding.Problem, idle: true,
		cause: said(`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`, `CREATE TABLE users (id int)`), says: "users",
		leave: "export", cure: func(w *ward) { w.sql(`DROP TABLE users`); w.sh("rollcall migrate up", nil) }},
	{kind: "name_taken", subject: "payments_disputed", severity: finding.Problem, idle: true, cause: func(w *ward) {
		w.sql(`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`)
		if _, err := migrations.UpWith(w.Context(), w.env["DATABASE_URL"], migrations.Options{To: 30}); err != nil {
			w.Fatal(err)
		}
		w.sql(`CREATE INDEX payments_disputed ON payments (id)`)
	}, says: "0031_disputed.sql"},
	{kind: "schema_behind", severity: finding.Problem, idle: true,
		cause: said(`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`), says: "0001_inbox.sql"},
	{kind: "schema_ahead", severity: finding.Warning, idle: true,
		cause: said(`INSERT INTO rollcall_migrations (version_id, is_applied) VALUES (9999, true)`), says: "9999",
		cure: said(`DELETE FROM rollcall_migrations WHERE version_id = 9999`)},

	{kind: "redis_away", severity: finding.Problem, env: map[string]string{"REDIS_URL": "redis://:hushhush@127.0.0.1:1"},
		says: "does not answer", leave: "redis-cli"},
	{kind: "redis_evicts", alone: true, severity: finding.Warning,
		cause: func(w *ward) { w.redis("CONFIG SET maxmemory-policy allkeys-lru") }, says: "allkeys-lru"},
	{kind: "redis_evicts", alone: true, severity: finding.Problem, cause: func(w *ward) {
		w.redis("CONFIG SET maxmemory-policy volatile-ttl", "CONFIG SET maxmemory 1gb")
		w.Cleanup(func() { w.redis("CONFIG SET maxmemory 0") })
	}, says: "volatile-ttl"},
	{kind: "redis_forgets", alone: true, severity: finding.Note, says: "appendonly no",
		cause: func(w *ward) { w.redis("CONFIG SET appendonly no") }},
	{kind: "workers_missing", severity: finding.Problem, idle: true,
		says: "no worker serves the queues alerts, backfills, clerk, mail, platform, stripe", leave: "rollcall work",
		cure: (*ward).work},
	{kind: "jobs_evicted", severity: finding.Warning, idle: true, says: "2 jobs without data", cause: func(w *ward) {
		opt, err := jobs.ParseRedis(w.env["REDIS_URL"])
		if err != nil {
			w.Fatal(err)
		}
		client := opt.MakeRedisClient().(redis.UniversalClient)
		defer client.Close()
		if err := client.LPush(w.Context(), "asynq:{stripe}:active", "event:1", "event:2").Err(); err != nil {
			w.Fatal(err)
		}
	}, leave: "rollcall work", cure: (*ward).work},
	{kind: "queue_paused", subject: "stripe", severity: finding.Problem, cause: func(w *ward) {
		redis, err := jobs.ParseRedis(w.env["REDIS_URL"])
		if err != nil {
			w.Fatal(err)
		}
		inspector := asynq.NewInspector(redis)
		defer inspector.Close()
		if err := inspector.PauseQueue("stripe"); err != nil {
			w.Fatal(err)
		}
	}, says: "is paused"},

	{kind: "source_unheard", subject: "platform", severity: finding.Warning,
		fill: map[string]string{"<STORE>": "s1", "<NAME>": "One", "<CLERK USER>": "user_o"}},
	{kind: "source_unheard", subject: "stripe", severity: finding.Warning, leave: "rollcall stripe setup",
		cure: (*ward).sells},
	{kind: "source_unheard", subject: "clerk", severity: finding.Warning, leave: "xdg-open",
		cure: func(w *ward) { w.signsUp("user_1", "ava@x.example") }},
	{kind: watch.Silent, subject: "stripe", severity: finding.Problem, cause: func(w *ward) {
		w.sql(counts("stripe", "accepted", 9, 200, 8))
		w.until("the hourly look at Stripe's events is over", func() bool {
			all, err := w.store.Backfills(w.Context(), 0, 1)
			return err == nil && len(all) == 1 && all[0].EndedAt != nil
		})
	}, says: "No webhook from Stripe for", cure: (*ward).sells},
	{kind: watch.Signatures, subject: "clerk", severity: finding.Problem, cause: func(w *ward) {
		for range 5 {
			w.deliver("clerk", "whsec_c3RyYW5nZXIgc2VjcmV0IG9mIHN2aXg=", `{"type":"user.created"}`)
		}
		w.until("the deliveries are counted", func() bool {
			var n int
			err := w.conn.QueryRow(w.Context(), `SELECT coalesce(sum(count), 0) FROM webhook_deliveries
				WHERE outcome = 'invalid_signature'`).Scan(&n)
			return err == nil && n == 5
		})
	}, says: "5 webhooks from Clerk", fill: map[string]string{"<SIGNING SECRET>": wardSvix},
		cure: said(`UPDATE webhook_deliveries SET hour = hour - interval '1 day', first_at = first_at - interval '1 day',
			last_at = last_at - interval '1 day'`, `DELETE FROM webhook_secrets`)},
	{kind: watch.Signatures, subject: "clerk", severity: finding.Note, stays: true,
		cause: said(counts("clerk", "accepted", 9, 200, 0), counts("clerk", "invalid_signature", 5000, 5, 0)),
		says:  "A stranger sends them, or a second endpoint"},
	{kind: watch.Refused, subject: "clerk", severity: finding.Problem,
		cause: said(counts("clerk", "not_configured", 2, 50, 3)), says: "are lost unless a backfill brings them",
		leave: "export"},
	{kind: watch.Failing, subject: "platform/store.upserted", severity: finding.Problem,
		cause: said(`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, last_error, attempts)
		VALUES ('platform', 'evt_1', 'store.upserted', now(),
			'{"type":"store.upserted","data":{"id":"s1","owner_user_id":"user_o"}}', 'failed', 'an old mistake', 1)`),
		says: "an old mistake"},
	{kind: watch.Overdue, severity: finding.Problem, idle: true,
		cause: said(`INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload)
		VALUES ('platform', 'evt_1', 'product.deleted', now(), now() - interval '1 hour', '{"data":{"id":"c1"}}')`),
		says: "1 event", leave: "rollcall work", cure: (*ward).work},
	{kind: "events_other_mode", subject: "live", severity: finding.Warning,
		cause: said(
			`INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload, status, processed_at,
				last_error)
		VALUES ('stripe', 'evt_1', 'customer.created', true, now(), '{"data":{"object":{"id":"cus_1"}}}', 'ignored', now(),
			'an event of Stripe''s other mode: STRIPE_MODE is test')`)},
	{kind: "events_other_mode", subject: "test", severity: finding.Warning,
		says: "more than the 0 live events that counted",
		cause: said(
			`INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload, status, processed_at,
				last_error)
		VALUES ('stripe', 'evt_1', 'customer.created', false, now(), '{"data":{"object":{"id":"cus_1"}}}', 'ignored', now(),
			'` + strings.ReplaceAll(otherMode("live"), "'", "''") + `')`)},
	{kind: "events_other_mode", subject: "test", severity: finding.Note, stays: true,
		cause: said(`INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload, status, processed_at)
		VALUES ('stripe', 'evt_2', 'customer.created', true, now(), '{"data":{"object":{"id":"cus_2"}}}', 'processed',
			now())`, `INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload, status, processed_at,
				last_error)
		VALUES ('stripe', 'evt_1', 'customer.created', false, now(), '{"data":{"object":{"id":"cus_1"}}}', 'ignored', now(),
			'an event of Stripe''s other mode: STRIPE_MODE is live')`)},
	{kind: "alerts_untold", severity: finding.Warning,
		cause: said(`INSERT INTO watches (name, since, checked_at) VALUES ('w/1', now(), now())`,
			`INSERT INTO watch_changes (watch, number, state, was, since, detail, fix, made_at, alert, last_error)
				VALUES ('w/1', 1, 'problem', 'ok', now(), '', '', now(), 'due', 'answered 500')`),
		says: "answered 500", leave: "export",
		cure: said(`UPDATE watch_changes SET alert = 'delivered', delivered_at = now()`)},
	{kind: "alerts_untold", severity: finding.Warning,
		cause: said(`INSERT INTO watches (name, since, checked_at) VALUES ('w/1', now(), now())`,
			`INSERT INTO watch_changes (watch, number, state, was, since, detail, fix, made_at, alert, last_error)
				VALUES ('w/1', 1, 'problem', 'ok', now(), '', '', now(), 'due',
					'dial tcp: 10.0.0.7 is not a public address: ALLOWED_PRIVATE_NETWORKS=10.0.0.7/32')`),
		says: "10.0.0.7", leave: "export ALLOWED_PRIVATE_NETWORKS=<NETWORK>",
		cure: said(`UPDATE watch_changes SET alert = 'delivered', delivered_at = now()`)},
	{kind: "alerts_untold", severity: finding.Warning,
		cause: said(`INSERT INTO watches (name, since, checked_at) VALUES ('w/1', now(), now())`,
			`INSERT INTO watch_changes (watch, number, state, was, since, detail, fix, made_at, alert)
				VALUES ('w/1', 1, 'problem', 'ok', now(), '', '', now() - interval '6 minutes', 'due')`),
		says: "it was not tried", leave: "export",
		cure: said(`UPDATE watch_changes SET alert = 'delivered', delivered_at = now()`)},

	{kind: "facts_unattached", subject: "user_unknown", severity: finding.Problem, says: "user_1 in course c1",
		cause: func(w *ward) {
			w.clerk.Add(clerkfake.NewUser("user_1", "ava@x.example", noon))
			enrolled("user_1")(w)
		}},
	{kind: "facts_unattached", subject: "email_unverified", severity: finding.Warning, says: "user_2 in course c1",
		fill: map[string]string{"<ADDRESS>": "ava@x.example"},
		cause: func(w *ward) {
			w.sql(`INSERT INTO users (id, version, deleted_version) VALUES ('user_2', '2026-01-01T00:00:00.000000Z 10 evt', '')`)
			enrolled("user_2")(w)
		}},
	{kind: "facts_unattached", subject: "no_store", severity: finding.Problem, says: "in course c9", cause: func(w *ward) {
		w.say("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)
		w.say("enrollment.upserted", `{"course_id":"c9","email":"ava@x.example"}`)
		w.settled()
	}},
	{kind: "facts_unattached", subject: "no_store", severity: finding.Problem, args: "--store s2", says: "in course c9",
		cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)
			w.say("store.upserted", `{"id":"s2","name":"Two's"}`)
			w.say("product.upserted", `{"id":"c9","store_id":"user_2","kind":"course","title":"N'ine"}`)
			w.say("enrollment.upserted", `{"course_id":"c9","email":"ava@x.example"}`)
			w.settled()
			w.sql(`UPDATE enrollments SET store_id = 's2'`) // as if it were known: only then does it concern the store
		}},
	{kind: "facts_unattached", subject: "account_without_store", severity: finding.Problem, says: "pi_1",
		cause: said(`INSERT INTO stores (id, name, owner_user_id, version)
			VALUES ('s1', 'One', 'user_o', '2026-01-01T00:00:00.000000Z 10 x')`,
			unlisted("acct_1", "product_ref, email", "'p1', 'ava@x.example'", "account_without_store"))},
	{kind: "facts_unattached", subject: "account_without_store", severity: finding.Note, says: "pi_1",
		cause: said(unlisted("acct_1", "email", "'ava@x.example'", "account_without_store")),
		fill:  map[string]string{"<STORE>": "s1"}},
	{kind: "facts_unattached", subject: "no_email", severity: finding.Warning, says: "cus_1", cause: func(w *ward) {
		w.stripe.Add("", fmt.Sprintf(`{"id":"cus_1","object":"customer","email":"ava@x.example","created":%d}`, noon.Unix()))
		w.sql(unlisted("", "store_ref, stripe_customer", "'s1', 'cus_1'", "no_email"))
	}},
	{kind: "facts_unattached", subject: "user_unconfirmed", severity: finding.Warning, says: "user_1",
		cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_o","stripe_account_id":"acct_1"}`)
			w.stripe.Add("acct_1", fmt.Sprintf(`{"id":"cus_1","object":"customer","email":"ava@x.example","created":%d}`,
				noon.Unix()))
			w.sql(unlisted("acct_1", "user_ref, stripe_customer", "'user_1', 'cus_1'", "user_unconfirmed"))
		}},
	{kind: "facts_unattached", subject: "unclaimed_payment", severity: finding.Warning, says: "pi_1",
		cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)
			w.stripe.Add(
				"", fmt.Sprintf(
					`{"id":"cs_1","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",`+
						`"amount_total":4900,"currency":"usd","payment_intent":"pi_1","customer_details":{"email":"ava@x.example"},`+
						`"created":%d,"metadata":{"storeId":"s1"}}`, noon.Unix()))
			w.stripeSays("payment_intent.succeeded",
				fmt.Sprintf(
					`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
						`"status":"succeeded","created":%d,"metadata":{}}`, noon.Unix()))
			w.settled()
		}},
	{kind: "facts_unattached", subject: "paid_not_started", severity: finding.Warning, says: "sub_1",
		cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_o"}`)
			w.stripe.Add(
				"", fmt.Sprintf(
					`{"id":"sub_1","object":"subscription","customer":"cus_1","status":"active","created":%d,`+
						`"metadata":{"storeId":"s1"},"items":{"data":[]}}`, noon.Unix()))
			w.stripeSays("customer.subscription.created",
				fmt.Sprintf(
					`{"id":"sub_1","object":"subscription","customer":"cus_1","status":"incomplete","created":%d,`+
						`"metadata":{"storeId":"s1"},"items":{"data":[]}}`, noon.Unix()))
			w.stripeSays("invoice.paid",
				fmt.Sprintf(
					`{"id":"in_1","object":"invoice","amount_paid":4900,"currency":"usd","customer":"cus_1",`+
						`"customer_email":"ava@x.example","subscription":"sub_1","status":"paid","created":%d}`, noon.Unix()))
			w.settled()
		}},
	{kind: "facts_rightly_unattached", subject: "foreign_payment", severity: finding.OK, stays: true,
		cause: said(unlisted("acct_1", "email", "'ava@x.example'", "foreign_payment"))},
	{kind: "facts_unattached", subject: "not_derived", severity: finding.Problem,
		cause: said(unlisted("", "store_ref, email", "'s1', 'ava@x.example'", "not_derived"))},
	{kind: "facts_unattached", subject: "derive_failed", severity: finding.Problem,
		says: "email:ava@x.example in course c1", cause: func(w *ward) {
			w.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$`,
				`CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION refuse()`)
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"s1","email":"ava@x.example"}`)
			w.until("the enrollment is kept", func() bool {
				var kept bool
				err := w.conn.QueryRow(w.Context(),
					`SELECT EXISTS (SELECT FROM enrollments WHERE unattached LIKE 'derive_failed: %')`).Scan(&kept)
				return err == nil && kept
			})
			w.stop() // or it would try again
			w.sql(`DROP TRIGGER refuse ON customers`)
		}},
	{kind: "facts_rightly_unattached", subject: "unpaid", severity: finding.OK, stays: true,
		cause: said(unlisted("", "email", "'ava@x.example'", "unpaid"))},
	{kind: "facts_forgotten", severity: finding.Problem, cause: func(w *ward) {
		onList(w)
		w.sql(`UPDATE enrollments SET customer_id = NULL, unattached = 'user_unknown'`)
	}, says: "ava@x.example"},
	{kind: "users_unknown", severity: finding.Warning, says: "user_1", cause: func(w *ward) {
		w.clerk.Add(clerkfake.NewUser("user_1", "ava@x.example", noon))
		w.say("enrollment.upserted", `{"course_id":"c1","store_id":"s1","user_id":"user_1","email":"ava@x.example"}`)
		w.settled()
	}},
	{kind: "products_homeless", severity: finding.Warning, says: "names none", fill: map[string]string{"<STORE>": "s1"},
		cause: func(w *ward) {
			w.say("product.upserted",
				`{"id":"c1","kind":"course","title":"O'ne","price":{"amount":100,"currency":"usd"},"stripe_price_ids":["price_1"]}`)
			w.settled()
		}},
	{kind: "products_homeless", severity: finding.Warning, says: "owns no store", fill: map[string]string{"<STORE>": "s1"},
		cause: func(w *ward) {
			w.say("product.upserted", `{"id":"c1","store_id":"user_1","kind":"course"}`)
			w.settled()
		}},
	{kind: "stores_named_by_owner", subject: "unknown", severity: finding.Warning, says: "user_1",
		fill: map[string]string{"<STORE>": "s1"}, cause: func(w *ward) {
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"user_1","email":"ava@x.example"}`)
			w.settled()
		}},
	{kind: "stores_named_by_owner", subject: "known", severity: finding.OK, says: "owns s1", stays: true,
		cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_1"}`)
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"user_1","email":"ava@x.example"}`)
			w.settled()
		}},
	{kind: "stores_named_by_owner", subject: "known", severity: finding.OK, says: "owns s1, s2; s2 is meant, owned first",
		stays: true, cause: func(w *ward) {
			w.say("store.upserted", `{"id":"s2","owner_user_id":"user_1"}`)
			w.settled()
			w.say("store.upserted", `{"id":"s1","owner_user_id":"user_1"}`)
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"user_1","email":"ava@x.example"}`)
			w.settled()
		}},
	{kind: "stores_untold", severity: finding.Warning, says: "s1, with 1 customer",
		fill: map[string]string{"<NAME>": "One", "<CLERK USER>": "user_o"}, cause: func(w *ward) {
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"s1","email":"ava@x.example"}`)
			w.settled()
		}},

	{kind: "people_missing", subject: "s1", severity: finding.Problem, says: "ava@x.example", cause: func(w *ward) {
		onList(w)
		w.sql(`DELETE FROM customers`)
	}},
	{kind: "people_missing", subject: "s1", severity: finding.Problem, args: "--store s1", says: "ava@x.example",
		cause: func(w *ward) {
			onList(w)
			w.say("enrollment.upserted", `{"course_id":"c1","store_id":"s2","email":"ben@x.example"}`)
			w.settled()
			w.sql(`UPDATE enrollments SET customer_id = (SELECT id FROM customers WHERE store_id = 's2')`)
		}},
	{kind: "customers_stray", subject: "s1", severity: finding.Warning, says: "stray@x.example", cause: func(w *ward) {
		onList(w)
		w.sql(`INSERT INTO customers (store_id, email) VALUES ('s1', 'stray@x.example')`)
	}},
	{kind: "lists_off", subject: "s1", severity: finding.Warning, says: "ava@x.example has no entry",
		cause: func(w *ward) {
			onList(w)
			w.sql(`DELETE FROM customer_index`)
		}},
	{kind: "lists_off", subject: "s1", severity: finding.Warning,
		says: "people of lead/active/free_course is 8 and should be 1", cause: func(w *ward) {
			onList(w)
			w.sql(`INSERT INTO customer_figure_changes VALUES ('s1', 'lead/active/free_course', 'people', 7)`)
		}},

	{kind: "erasure_key_wrong", subject: "missing", severity: finding.Problem, idle: true,
		says: "1 tombstone cannot be read", leave: "pg_restore",
		cause: said(buried, `CREATE TABLE kept AS SELECT * FROM erasure_key`, `DELETE FROM erasure_key`),
		cure:  said(`INSERT INTO erasure_key TABLE kept`)},
	{kind: "erasure_key_wrong", subject: "other", severity: finding.Problem, idle: true, says: "holds another key",
		leave: "pg_restore",
		cause: said(buried, `CREATE TABLE kept AS SELECT * FROM erasure_key`, `UPDATE erasure_key SET key = sha256(key)`),
		cure:  said(`INSERT INTO erasure_key TABLE kept`)},

	{kind: "lists_outdated", severity: finding.Warning, idle: true, cause: said(`UPDATE derivation SET rules = 0`),
		says: "not begun yet"},
	{kind: "lists_outdated", severity: finding.Warning, idle: true,
		cause: said(`UPDATE derivation SET rules = 0, target = 1, stage = 'payment', facts = 1200, started_at = now(),
			last_error = 'no space'`), says: "1,200 facts so far; the last try failed: no space"},
	{kind: "backfill_failed", subject: "1", severity: finding.Problem, says: "the key is refused",
		cause: said(backfill("clerk", "failed", "now()"), chunk)},
	{kind: "backfill_errors", subject: "1", severity: finding.Warning, says: "could not use 2",
		cause: said(backfill("courses", "completed_with_errors", "now()"))},
	{kind: "backfill_stuck", subject: "1", severity: finding.Problem, idle: true,
		cause: said(backfill("courses", "running", "NULL"), chunk), leave: "rollcall work", cure: (*ward).work},
	{kind: "backfill_paused", subject: "1", severity: finding.Note,
		cause: said(backfill("courses", "paused", "NULL"), chunk)},
	{kind: "mail_paused", subject: "s1", severity: finding.Problem, says: "addresses do not exist",
		cause: said(`INSERT INTO stores (id, version) VALUES ('s1', '1') ON CONFLICT DO NOTHING`,
			`INSERT INTO mail_settings (store_id, paused_for, paused_at) VALUES ('s1', 'bounces', now())`)},
	{kind: "mail_held", subject: "s1", severity: finding.Warning, says: "more than a week ago",
		cause: said(`INSERT INTO stores (id, version) VALUES ('s1', '1') ON CONFLICT DO NOTHING`,
			`INSERT INTO mail_settings (store_id, paused_for, paused_at) VALUES ('s1', 'hand', now() - interval '8 days')`,
			fmt.Sprintf(aMail, "due", "NULL"))},
	{kind: "mail_failing", subject: "s1", severity: finding.Problem, says: "535 no such user", leave: "config",
		cause: said(`INSERT INTO mail_settings (store_id, failing_since, trouble)
			VALUES ('s1', now() - interval '11 minutes', '535 no such user')`),
		cure: said(`UPDATE mail_settings SET failing_since = NULL`)},
	{kind: "mail_overdue", severity: finding.Problem, says: "MAIL_SMTP_URL", leave: "config",
		cause: said(fmt.Sprintf(aMail, "due", "NULL")), cure: said(`DELETE FROM mails`)},
	{kind: "campaign_paused", subject: "camp_a", severity: finding.Problem, says: "than were confirmed",
		leave: "mail preview", cause: said(`INSERT INTO stores (id, version) VALUES ('s1', '1') ON CONFLICT DO NOTHING`,
			`INSERT INTO campaigns (id, store_id, name, kind, state, class, trigger, steps, reentry, not_after, within,
				starts_from, switched_at, created_by, confirmed, unconfirmed)
			VALUES ('camp_a', 's1', 'News', 'once', 'paused', 'service', '{"question": "everyone"}', '[]', 'never', '3 days',
				'0', now(), now(), 'admin', 1, true)`), cure: said(`DELETE FROM campaigns`)},
	{kind: "mail_unknown", subject: "s1", severity: finding.Warning, says: "1 mail of store s1",
		cause: said(`INSERT INTO stores (id, version) VALUES ('s1', '1') ON CONFLICT DO NOTHING`,
			fmt.Sprintf(aMail, "unknown", "now()")), cure: said(`DELETE FROM mails`)},
	{kind: "check_failed", subject: "backfills", severity: finding.Problem, idle: true, says: "backfills",
		cause: said(`ALTER TABLE backfills RENAME TO hidden`),
		leave: "migrate status", cure: said(`ALTER TABLE hidden RENAME TO backfills`)},
}

// aMail is an old mail with a status, and when it was claimed.
const aMail = `INSERT INTO mails (store_id, email, class, step, occurrence, version, due_at, not_after, status,
		claimed_at)
	VALUES ('s1', 'ann@x.example', 'test', 'a', 'o', 1, now() - interval '1 hour', now(), '%s', %s)`

func backfill(kind, status, ended string) string {
	return fmt.Sprintf(
		`INSERT INTO backfills (kind, status, reason, errors, seen, chunk_size, started_by, started_at, ended_at, moved_at)
		SELECT '%[1]s', '%[2]s', 'the key is refused', n, n, 100, 'a test', now(), %[3]s, now() - interval '1 hour'
		FROM (SELECT CASE WHEN '%[2]s' LIKE '%%errors' THEN 2 ELSE 0 END AS n) x`, kind, status, ended)
}

// chunk is the plan of the run, not done.
const chunk = `INSERT INTO backfill_chunks (backfill_id, number) SELECT id, 0 FROM backfills`

// sells lets Stripe say something.
func (w *ward) sells() { w.stripeSays("customer.created", `{"id":"cus_9","object":"customer"}`) }

func (w *ward) stripeSays(typ, object string) {
	w.deliver("stripe", wardStripe,
		fmt.Sprintf(`{"id":"evt_%x","type":%q,"created":%d,"livemode":false,"data":{"object":%s}}`, random(6), typ,
			time.Now().Unix(), object))
}

// signsUp lets Clerk say something.
func (w *ward) signsUp(id, email string) {
	user := clerkfake.NewUser(id, email, time.Now())
	body, err := json.Marshal(map[string]any{"type": "user.created", "object": "event",
		"timestamp": time.Now().UnixMilli(), "data": user})
	if err != nil {
		w.Fatal(err)
	}
	if status := w.deliver("clerk", wardSvix, string(body)); status != 200 {
		w.Fatalf("Clerk was answered %d", status)
	}
}
