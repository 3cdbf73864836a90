package customers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/storetest"
	"rollcall/store/mail"
)

// Customers came back after a mail by the first that they did in the 7 days after it, if a time of it is known.
func TestCameBack(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, `INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after,
		within, created_by) VALUES ('camp_1', 's', 'Hello', 'once', 'marketing', '{}', '[]', 'never', '3 d', '7 d', 'admin')`)
	bought := func(at, subscription, paid string) string {
		return fmt.Sprintf(`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version,
				destination_version, kind, claim_paid, claim_amount, claim_currency, paid_at, subscription, customer_id, unattached)
			SELECT '', gen_random_uuid(), '4', '', '', '', 'checkout', %s, 5, 'usd', '%s', nullif('%s', ''), max(id), NULL
			FROM customers`, paid, at, subscription)
	}
	learned := func(enrolled, progressed, version string) string {
		return fmt.Sprintf(`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version,
				progress_version, enrolled_version, completed_version, deleted_version, enrolled_at, progress, peak_progress,
				progressed_at, customer_id, unattached)
			SELECT 'c1', 'user:' || max(id), 'v', '', '', '', '%s', '', '', '', '%s', 30, 30, '%s', max(id), NULL
			FROM customers`, version, enrolled, progressed)
	}
	signedIn := func(at string) string {
		return `INSERT INTO users (id, email, version, deleted_version, last_seen_at)
			SELECT max(id)::text, 'c' || max(id) || '@x.example', 'v', '', '` + at + `' FROM customers`
	}
	class := func(class, campaign string) string {
		return `UPDATE mails SET class = '` + class + `', campaign_id = '` + campaign + `'
			WHERE id = (SELECT max(id) FROM mails)`
	}
	const event, read = "2026-01-14T10:00:00.000000Z 20 evt_1", "-2026"
	for name, c := range map[string]struct {
		facts []string
		want  string
	}{
		"did nothing": {nil, ""},
		"bought": {[]string{bought("2026-01-12 12:00Z", "", "true")},
			"12T12 bought less than a day after Hello"},
		"bought on the last day": {[]string{bought("2026-01-19 10:00Z", "", "true")}, "19T10 bought 7 days after Hello"},
		"bought too late":        {[]string{bought("2026-01-19 10:00:00.000001Z", "", "true")}, ""},
		"bought before":          {[]string{bought("2026-01-12 10:00Z", "", "true")}, ""},
		"did not pay":            {[]string{bought("2026-01-13 10:00Z", "", "false")}, ""},
		"a subscription went on": {[]string{bought("2026-01-13 10:00Z", "sub_1", "true")}, ""},
		"enrolled": {[]string{learned("2026-01-13 11:00Z", "2026-02-01Z", event)},
			"13T11 enrolled 1 day after Hello"},
		"got further": {[]string{learned("2026-01-01Z", "2026-01-14 10:00Z", event)},
			"14T10 learned 2 days after Hello"},
		"progress was read later": {[]string{learned("2026-01-01Z", "2026-01-14 10:00Z", read)}, ""},
		"signed in, and bought": {[]string{learned("2026-01-01Z", "2026-01-02Z", event), signedIn("2026-01-13 09:00Z"),
			bought("2026-01-13 11:00Z", "", "true")}, "13T09 signed in less than a day after Hello"},
		"another of that address": {[]string{signedIn("2026-01-13 09:00Z")}, ""},
		"a service mail": {[]string{class("service", "camp_1"), bought("2026-01-14 12:00Z", "", "true")},
			"14T12 bought 2 days after Hello"},
		"a test":   {[]string{class("test", "camp_1"), bought("2026-01-14 12:00Z", "", "true")}, ""},
		"a digest": {[]string{class("service", mail.Digest), bought("2026-01-14 12:00Z", "", "true")}, ""},
	} {
		var id string
		if err := s.Pool.QueryRow(t.Context(), `
			WITH made AS (INSERT INTO customers (store_id, email, last_activity_at)
				SELECT 's', 'c' || coalesce(max(id), 0) + 1 || '@x.example', now() FROM customers RETURNING *)
			INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at, not_after,
				claimed_at, sent_at)
			SELECT store_id, email, 'marketing', 'camp_1', 'a', '', 1, 'sent', now(), now(), now(), '2026-01-12 10:00Z' FROM made
			RETURNING (SELECT id FROM made)`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		for _, sql := range c.facts {
			put(t, s, sql)
		}
		entries, _, err := New(s).Timeline(t.Context(), "s", id, TimelineFilter{About: "mail"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			if e.Kind == "mail_came_back" {
				got = append(got, e.At.Format("02T15 ")+text(e.Text)+" "+text(e.Title))
			}
		}
		if diff := gocmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// Who came back by a sign-in did so for good, also when they sign in later.
func TestCameBackIsKept(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t,
		`INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after, within, created_by)
			VALUES ('camp_1', 's', 'Hello', 'once', 'marketing', '{}', '[]', 'never', '3 d', '7 d', 'admin')`,
		`INSERT INTO mail_settings (store_id) VALUES ('s')`,
		`INSERT INTO customers (store_id, email, last_activity_at) VALUES ('s', 'c@x.example', '2026-01-14 09:00Z')`,
		`INSERT INTO users (id, email, version, deleted_version, last_seen_at)
			VALUES ('u', 'c@x.example', 'v', '', '2026-01-14 09:00Z')`,
		`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
				enrolled_version, completed_version, deleted_version, enrolled_at, customer_id, unattached)
			SELECT 'c1', 'user:u', 'v', '', '', '', '', '', '', '', '2026-01-01', id, NULL FROM customers`,
		`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at, not_after,
				claimed_at, sent_at)
			VALUES ('s', 'c@x.example', 'marketing', 'camp_1', 'a', '', 1, 'sent', now(), now(), now(), '2026-01-12 10:00Z')`)
	day14 := time.Date(2026, 1, 14, 10, 0, 0, 0, time.UTC)
	backs := func() (n int) {
		t.Helper()
		if err := s.Pool.QueryRow(t.Context(), `SELECT count(*) FROM `+mail.Story("came_back")+` b
			WHERE text = 'signed in 1 day after' AND at = '2026-01-14 09:00Z'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if backs() != 1 {
		t.Fatal("did not come back")
	}
	for _, at := range []time.Time{day14, day14.AddDate(0, 1, 6)} {
		for range 2 {
			if _, err := mail.NewRecipients(s).KeepBacks(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		put(t, s, `UPDATE users SET last_seen_at = '2026-02-20 09:00Z'`)
		put(t, s, `UPDATE customers SET last_activity_at = '2026-02-20 09:00Z'`)
		if backs() != 1 {
			t.Error("a later sign-in takes it back")
		}
	}
}
