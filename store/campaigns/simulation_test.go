package campaigns_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store/campaigns"
)

var (
	simulatedPeople = flag.Int("simulation.people", 120, "customers of the simulation")
	simulatedDays   = flag.Int("simulation.days", 30, "its days")
)

// A simulation has its customers' facts in the tables themselves: what derives them has tests of its own. People
// enroll, learn, finish, leave, subscribe, fail to pay, cancel, buy, leave checkouts, agree and unsubscribe at
// random, by their number and the day; so a run can be repeated.

// simulated prepares a store with some customers, and with all recipes on.
func simulated(t *testing.T, people int) (*world, []campaigns.Campaign) {
	t.Helper()
	w := newWorld(t)
	w.store.MailCap = 3
	w.exec(`CREATE FUNCTION draw(person bigint, day int, about int) RETURNS float8 LANGUAGE sql IMMUTABLE
		RETURN (hashint8extended(person * 1000003 + day * 101 + about, 7) & 2147483647)::float8 / 2147483648`)
	w.exec(`UPDATE stores SET time_zone = 'America/New_York'`)
	w.exec(`INSERT INTO customers (id, store_id, email, last_activity_at) OVERRIDING SYSTEM VALUE
		SELECT n, 's1', 'p' || n || '@x.example', $2::timestamptz - interval '60 days' * draw(n, 0, 1)
		FROM generate_series(1, $1::bigint) n`, people, w.now)
	w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT store_id, '', email, 'marketing', CASE WHEN draw(id, 0, 2) < 0.8 THEN 'granted' ELSE 'denied' END, $1,
			'page', '1'
		FROM customers WHERE draw(id, 0, 3) < 0.9`, w.now)
	w.exec(`ANALYZE`)
	var all []campaigns.Campaign
	for i, r := range campaigns.Recipes {
		holdout := 10 * (i % 2)
		if r.Name == "payment_failed" { // of a few, all may be held out
			holdout = 0
		}
		all = append(all, w.make(campaigns.FromRecipe{Recipe: r.Name, Product: map[bool]string{true: "c2"}[r.Product]},
			campaigns.Change{Holdout: &holdout, Priority: &i}))
	}
	return w, all
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.store.Pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%v: %s", err, sql)
	}
}

// events are what happens to people on a day ($1, of which it is the $2th).
var events = []string{
	`DELETE FROM customers WHERE store_id = 's2' AND $1::timestamptz IS NOT NULL AND $2::int > 0`,
	`INSERT INTO enrollments (course_id, person, email_version, store_version, name_version, version, progress_version,
		enrolled_at, enrolled_version, completed_version, deleted_version, first_said_at, said_at, store_id, customer_email,
		customer_id, unattached)
	SELECT 'c' || 1 + (draw(id, $2::int, 10) < 0.5)::int, 'email:' || email, '', '', '', '2', '', $1::timestamptz, '',
		'', '', $1::timestamptz, $1::timestamptz, 's1', email,
		id, NULL
	FROM customers WHERE draw(id, $2::int, 11) < 0.02
	ON CONFLICT DO NOTHING`,
	`UPDATE enrollments e
	SET progress = p.progress, peak_progress = GREATEST(peak_progress, p.progress), progressed_at = $1::timestamptz,
		said_at = $1::timestamptz,
		completed_at = CASE WHEN p.progress >= 100 THEN $1::timestamptz END
	FROM (SELECT course_id, person, LEAST(100, coalesce(progress, 0) + 5 + 60 * draw(customer_id, $2::int, 12)) AS progress
		FROM enrollments WHERE draw(customer_id, $2::int, 13) < 0.05 AND completed_at IS NULL) p
	WHERE (e.course_id, e.person) = (p.course_id, p.person)`,
	`UPDATE enrollments SET deleted_version = '3' WHERE draw(customer_id, $2::int, 14) < 0.002 AND $1::timestamptz IS
		NOT NULL`,
	`INSERT INTO subscriptions (account, id, version, checkout_version, status, store_id, customer_email, customer_id,
		unattached,
		ever_active, started_at, current_period_end, lines)
	SELECT '', 'sub_' || id || '_' || $2::int, '1', '', 'active', 's1', email, id, NULL, true, $1::timestamptz,
		$1::timestamptz +
		interval '20 days', CASE WHEN draw(id, $2::int, 15) < 0.7 THEN '[{"interval": "year"}]'::jsonb END
	FROM customers WHERE draw(id, $2::int, 16) < 0.01`,
	`WITH failed AS (
		UPDATE subscriptions SET status = 'past_due', version = to_char($1::timestamptz AT TIME ZONE 'UTC',
			'YYYY-MM-DD"T"HH24:MI:SS"Z"')
		WHERE status = 'active' AND draw(customer_id, $2::int, 17) < 0.02 RETURNING *)
	INSERT INTO failed_invoices (account, id, version, subscription, attempts, amount_due)
	SELECT '', 'in_' || id, version, id, 1, 5 FROM failed ON CONFLICT DO NOTHING`,
	`UPDATE subscriptions SET status = CASE WHEN draw(customer_id, $2::int, 18) < 0.7 THEN 'active' ELSE 'canceled' END,
		ended_at = CASE WHEN draw(customer_id, $2::int, 18) >= 0.7 THEN $1::timestamptz END
	WHERE status = 'past_due' AND draw(customer_id, $2::int, 19) < 0.2`,
	`UPDATE subscriptions SET status = 'canceled', ended_at = $1::timestamptz WHERE ended_at IS NULL AND
		draw(customer_id, $2::int, 20) < 0.04`,
	`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, kind,
		claim_paid,
		claim_amount, claim_currency, paid_at, store_id, customer_email, customer_id, unattached, sold)
	SELECT '', 'pi_' || id || '_' || $2::int, '4', '', '', '', 'checkout', true, 500, 'usd', $1::timestamptz, 's1',
		email, id, NULL,
		'[{"id": "c2"}]'
	FROM customers c WHERE draw(id, $2::int, 21) < CASE
		WHEN EXISTS (SELECT FROM checkouts k WHERE k.email = c.email AND k.started_at > $1::timestamptz - interval '3 days')
			THEN 0.4 -- who left an order, or a subscription, comes back more often
		WHEN EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.ended_at > $1::timestamptz - interval
			'20 days') THEN 0.12
		ELSE 0.003 END`,
	`INSERT INTO checkouts (account, id, version, status, store_ref, email, recovery_url, recovery_until, started_at)
	SELECT '', 'cs_' || id || '_' || $2::int, to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
		|| ' 20 ', 'expired',
		's1', email, 'https://x.example', $1::timestamptz + interval '30 days', $1::timestamptz - interval '1 day'
	FROM customers WHERE draw(id, $2::int, 22) < 0.003`,
	`UPDATE customers c SET
		type = CASE WHEN EXISTS (SELECT FROM payments WHERE customer_id = c.id) THEN 'paying' ELSE type END,
		product_ids = CASE WHEN EXISTS (SELECT FROM payments WHERE customer_id = c.id) THEN '{c2}' ELSE product_ids END,
		last_activity_at = GREATEST(last_activity_at,
			(SELECT max(said_at) FROM enrollments WHERE customer_id = c.id),
			(SELECT max(paid_at) FROM payments WHERE customer_id = c.id),
			CASE WHEN draw(id, $2::int, 23) < 0.01 THEN $1::timestamptz END)
	WHERE draw(id, $2::int, 24) < 0.2 OR EXISTS (SELECT FROM payments WHERE customer_id = c.id AND paid_at =
		$1::timestamptz)`,
	`INSERT INTO mail_stops (store_id, hash, reason, since)
	SELECT 's1', sha256((SELECT erasure_pad('5c')) || sha256((SELECT erasure_pad('36')) || convert_to('address:' || email,
		'UTF8'))), 'unsubscribed', $1::timestamptz
	FROM customers WHERE draw(id, $2::int, 25) < 0.001
	ON CONFLICT DO NOTHING`,
	`UPDATE mail_consents n SET state = 'denied' FROM customers c
	WHERE c.email = n.email AND draw(c.id, $2::int, 26) < 0.001 AND $1::timestamptz IS NOT NULL`,
	// Some are customers of another store too, which mails them as it likes.
	`WITH theirs AS (
		INSERT INTO customers (id, store_id, email) OVERRIDING SYSTEM VALUE
		SELECT id + 10000000, 's2', email FROM customers WHERE id % 2 = 0 RETURNING id, email)
	INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence, status,
		claimed_at, sent_at)
	SELECT 's2', email, 'marketing', 'theirs', 'a', 1, $1::timestamptz, $1::timestamptz, $2::int::text, 'sent',
		$1::timestamptz, $1::timestamptz
	FROM theirs WHERE draw(id, $2::int, 27) < 0.2`,
}

// never are queries for what must not be, of mails sent just now ($1): each row is a fault.
var never = map[string]string{
	"twice": `SELECT concat_ws(' ', campaign_id, step, email, occurrence) FROM mails WHERE $1::timestamptz IS NOT NULL
		GROUP BY campaign_id, step, email, occurrence HAVING count(*) > 1`,
	"at night": `SELECT email FROM mails WHERE sent_at = $1::timestamptz
		AND extract(hour FROM sent_at AT TIME ZONE 'America/New_York') NOT BETWEEN 9 AND 19`,
	"more than one a day": `SELECT email FROM mails WHERE store_id = 's1' AND class = 'marketing'
		AND sent_at <= $1::timestamptz
		GROUP BY email, (sent_at AT TIME ZONE 'America/New_York')::date HAVING count(*) > 1`,
	"more than three in a week, of both stores": `SELECT email FROM mails m WHERE class = 'marketing'
		AND sent_at = $1::timestamptz AND (
		SELECT count(*) FROM mails o WHERE o.email = m.email AND o.class = 'marketing' AND o.sent_at > $1::timestamptz -
			interval '7 days') > 3`,
	"without consent": `SELECT email FROM mails m WHERE class = 'marketing' AND sent_at = $1::timestamptz AND NOT EXISTS (
		SELECT FROM mail_consents n WHERE n.email = m.email AND n.state = 'granted')`,
	"after a stop": `SELECT email FROM mails m WHERE class = 'marketing' AND sent_at = $1::timestamptz AND EXISTS (
		SELECT FROM mail_stops s WHERE s.hash = sha256((SELECT erasure_pad('5c')) || sha256((SELECT erasure_pad('36')) ||
			convert_to('address:' || m.email, 'UTF8'))))`,
	"after a start": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN enrollments e
		ON 'course:' || e.course_id = m.occurrence AND e.customer_email = m.email
		WHERE k.recipe = 'not_started' AND m.sent_at = $1::timestamptz AND e.peak_progress > 0`,
	"after leaving": `SELECT m.email FROM mails m JOIN enrollments e
		ON m.occurrence LIKE 'course:' || e.course_id || '%' AND e.customer_email = m.email
		WHERE m.sent_at = $1::timestamptz AND e.deleted_version <> ''`,
	"after going on": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN enrollments e
		ON 'course:' || e.course_id = split_part(m.occurrence, '#', 1) AND e.customer_email = m.email
		WHERE k.recipe = 'stuck' AND m.sent_at = $1::timestamptz AND e.progressed_at > $1::timestamptz - interval '14 days'`,
	"after paying": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN subscriptions s
		ON 'invoice:in_' || s.id = m.occurrence
		WHERE k.recipe = 'payment_failed' AND m.sent_at = $1::timestamptz AND s.status <> 'past_due'`,
	"after coming back": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN customers c ON
		c.email = m.email
		WHERE k.recipe = 'silent' AND m.sent_at = $1::timestamptz AND c.last_activity_at > $1::timestamptz - interval
			'30 days'`,
	"after buying": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN customers c ON c.email =
		m.email
		WHERE k.recipe IN ('free', 'finished') AND m.sent_at = $1::timestamptz AND c.type = 'paying'`,
	"after subscribing or buying again": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id
		JOIN subscriptions s ON 'sub:' || s.id = m.occurrence
		WHERE k.recipe = 'win_back' AND m.sent_at = $1::timestamptz AND (
			EXISTS (SELECT FROM subscriptions o WHERE o.customer_email = m.email AND o.ended_at IS NULL)
			OR EXISTS (SELECT FROM payments p WHERE p.customer_email = m.email AND p.paid_at > s.ended_at))`,
	"after buying what was left": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id
		JOIN checkouts o ON 'checkout:' || o.id = m.occurrence
		WHERE k.recipe = 'left_checkout' AND m.sent_at = $1::timestamptz AND (
			EXISTS (SELECT FROM payments p WHERE p.customer_email = m.email AND p.paid_at >= o.started_at)
			OR EXISTS (SELECT FROM subscriptions s WHERE s.customer_email = m.email AND s.started_at >= o.started_at))`,
	"after a good start": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id JOIN enrollments e
		ON 'course:' || e.course_id = m.occurrence AND e.customer_email = m.email
		WHERE k.recipe = 'welcome' AND m.sent_at = $1::timestamptz AND e.peak_progress >=
			CASE m.step WHEN 'start' THEN 0.01 ELSE 20 END`,
	"for a renewal that does not come": `SELECT m.email FROM mails m JOIN campaigns k ON k.id = m.campaign_id
		JOIN subscriptions s ON 'sub:' || s.id = split_part(m.occurrence, '#', 1)
		WHERE k.recipe = 'renewal' AND m.sent_at = $1::timestamptz AND (s.ended_at IS NOT NULL
			OR m.occurrence NOT LIKE '%#' || to_char(s.current_period_end AT TIME ZONE 'UTC', 'YYYY-MM-DD')
			OR s.current_period_end < $1::timestamptz)`,
	"held out": `SELECT m.email FROM mails m JOIN runs r USING (campaign_id, email, occurrence)
		WHERE r.arm = 'held' AND $1::timestamptz IS NOT NULL`,
	"due too long": `SELECT concat_ws(' ', email, campaign_id, reason) FROM mails WHERE status = 'due' AND not_after <
		$1::timestamptz - interval '1 day'`,
}

// For months of all recipes on an injected clock, nothing is sent that must not be, and what previews say just before
// is what is then sent.
func TestSimulation(t *testing.T) {
	t.Parallel()
	people, days := *simulatedPeople, *simulatedDays
	w, all := simulated(t, people)
	var sent int
	reasons := map[string]bool{}
	for d := 1; d <= days; d++ {
		at := begin.Add(time.Duration(d)*day + time.Duration(d*7%24)*time.Hour).Truncate(time.Hour)
		for _, sql := range events {
			w.exec(sql, at.Add(-time.Minute), d)
		}
		if w.now = at; d%11 > 6 {
			continue // the worker sleeps, and what is too late when it wakes up is not done
		}
		var expected []string
		if d%3 == 0 || days < 100 {
			expected = w.expected(all, reasons)
		}
		w.tick(0)
		w.send()
		got := w.rows(`SELECT concat_ws(' ', email, campaign_id, step, occurrence) FROM mails WHERE sent_at = $1 ORDER BY
			1`, at)
		if sent += len(got); expected != nil {
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Fatalf("day %d, %s: -previewed +sent\n%s", d, at, diff)
			}
		}
		for name, sql := range never {
			if found := w.rows(sql, at); len(found) > 0 {
				t.Fatalf("day %d, %s: sent %s: %q", d, at, name, found)
			}
		}
	}
	w.want(`SELECT recipe FROM campaigns WHERE id NOT IN (SELECT campaign_id FROM mails WHERE status = 'sent')`, ``)
	w.want(`SELECT recipe FROM campaigns WHERE recipe IN ('left_checkout', 'welcome') AND id NOT IN (
		SELECT campaign_id FROM runs WHERE ended_for = 'goal')`, ``)
	t.Logf("%d sent to %d people in %d days; previews said %v", sent, people, days, reasons)
	if !reasons["cap_all"] {
		t.Error("no mail had to wait for what another store sent")
	}
	if sent < people/2 {
		t.Errorf("only %d were sent", sent)
	}
}

// expected are the mails that previews say are sent now, and notes the reasons of others.
func (w *world) expected(all []campaigns.Campaign, reasons map[string]bool) []string {
	lines := []string{}
	for _, c := range all {
		of := campaigns.PreviewOf{At: w.now, Limit: 1000}
		for {
			p, err := w.Preview(w.Context(), "s1", c.ID, of, w.now)
			if err != nil {
				w.Fatal(err)
			}
			for _, x := range p.People {
				if reasons[x.Reason] = true; x.Reason == "" {
					lines = append(lines, fmt.Sprint(x.Email, " ", c.ID, " ", x.Step, " ", x.Occurrence))
				}
			}
			if of.Cursor = p.Next; p.Next == "" {
				break
			}
		}
	}
	slices.SortFunc(lines, strings.Compare)
	return lines
}
