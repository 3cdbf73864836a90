package mail_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/store/mail"
)

// manyMails are mails of several stores, to people who said what they want. All are due yet: that is what Postgres
// knows of them while the first go out.
var manyMails = append(plans.Many[:len(plans.Many)-1:len(plans.Many)-1],
	`INSERT INTO customers (store_id, email)
		SELECT 's' || i % 3, 'q' || i || '@x.example' FROM generate_series(1, 30000) i`,
	`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		SELECT 's' || i % 3, 'p' || i || '@x.example', 'marketing', 'c' || i % 3, 'a', 'o', 1, now() - interval '1 hour',
			now() + interval '1 day' FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT 's' || i % 3, '', 'p' || i || '@x.example', 'marketing', 'granted', now(), 'import', '1'
		FROM generate_series(1, 5000) i`,
	`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT 's' || i % 3, 'user_' || i, '', 'marketing', 'granted', now(), 'platform', '1'
		FROM generate_series(1, 5000) i`,
	`INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT 'address', 'user_' || i, 'p' || i || '@x.example', '1', false FROM generate_series(1, 5000) i`,
	`INSERT INTO checkouts (account, id, version, status, promotions, sale, started_at)
		SELECT '', 'cs_' || i, '2026-01-01T00:00:00.000000Z 20 ', 'complete', 'opt_in', 'pi_' || i, now()
		FROM generate_series(1, 5000) i`,
	`INSERT INTO checkouts (account, id, version, status, promotions, store_ref, email, user_ref, stripe_customer)
		SELECT '', 'cs_left_' || i, '2026-01-01T00:00:00.000000Z 20 ', 'expired', 'opt_out', 's1', CASE i % 3 WHEN 0 THEN
			'p' || i || '@x.example' END, CASE i % 3 WHEN 1 THEN 'user_' || i END, CASE i % 3 WHEN 2 THEN 'cus_' || i END
		FROM generate_series(1, 5000) i`,
	`INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT '', sha256(i::text::bytea), 'hard', now() FROM generate_series(1, 5000) i`,
	`UPDATE payments SET email = 'q' || substr(id, 4) || '@x.example'`,
	`UPDATE subscriptions SET email = 'q' || substr(id, 5) || '@x.example', stripe_customer = 'cus' || substr(id, 4)`,
	`UPDATE enrollments SET email = 'q' || customer_id || '@x.example'`,
	`VACUUM ANALYZE`)

// nearlyEmpty are tables of few rows in the test.
const nearlyEmpty = "stores mail_settings failed_invoices"

// No statement by which mails go out reads a whole table or index, nor all that a store sent lately, also when Postgres
// has not seen yet that any were sent.
func TestSendingIsLookedUp(t *testing.T) {
	t.Parallel()
	s := open(t)
	m := mail.New(s, nil)
	s.MailCap = 2
	capped := mail.New(s, nil)
	exec(t, m, manyMails...)
	err := pgx.BeginFunc(t.Context(), m.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), mail.LookUps); err != nil {
			return err
		}
		claim, err := m.ClaimSQL(t.Context(), tx, mail.Turn{Store: "s1", Worker: "w"}, time.Now())
		if err != nil {
			return err
		}
		ofAll, err := capped.ClaimSQL(t.Context(), tx, mail.Turn{Store: "s1", Worker: "w"}, time.Now())
		if err != nil {
			return err
		}
		for name, sql := range map[string]string{"claim": claim, "capped": ofAll,
			"values": mail.ValuesSQL, "start": mail.StartSQL,
			"done": mail.DoneSQL, "hard": mail.HardSQL, "settle": mail.SettleSQL, "backs": mail.BackSQL} {
			if _, err := tx.Exec(t.Context(), `PREPARE to_`+name+` AS `+sql); err != nil {
				return err
			}
			plan := plans.Explain(t, tx, `EXECUTE to_`+name+`(NULL`+strings.Repeat(", NULL", arguments(sql)-1)+`)`)
			for _, scan := range plan.Scans() {
				words := strings.Fields(strings.Replace(scan, "Only ", "", 1))
				if words[0] != "ModifyTable" && !strings.Contains(nearlyEmpty, words[3]) {
					t.Errorf("%s: %s", name, scan)
				}
			}
			if plan.Uses("mails_tried_by") {
				t.Errorf("%s reads all that the store sent lately", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// arguments is how many a statement has.
func arguments(sql string) (n int) {
	for n = 0; regexp.MustCompile(`\$` + strconv.Itoa(n+1) + `\b`).MatchString(sql); n++ {
	}
	return n
}
