package customers

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// What became of mails to a customer is on their activity: not tests, not what programs clicked, and
// not the mail of another store to the same address.
func TestMailIsOnTheTimeline(t *testing.T) {
	t.Parallel()
	campaign := func(id, store string) string {
		return fmt.Sprintf(`INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry,
			not_after, within, created_by)
			VALUES ('%s', '%s', 'Hello from %[2]s', 'once', 'marketing', '{}', '[]', 'never', '3 d', '7 d', 'admin')`, id, store)
	}
	mail := func(store, class, campaign, hour, status, reason string) string {
		return fmt.Sprintf(`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, reason,
				due_at, not_after, claimed_at, sent_at)
			VALUES ('%s', 'ann@x.example', '%s', '%s', 'a', '%[4]s', 1, '%s', nullif('%s', ''), now(), now(),
				'2026-01-12 %[4]s:00Z', CASE WHEN '%[5]s' = 'sent' THEN '2026-01-12 %[4]s:00Z'::timestamptz END)`,
			store, class, campaign, hour, status, reason)
	}
	event := func(kind, hour, verdict string, machine bool) string {
		return fmt.Sprintf(`INSERT INTO mail_events (source, event_id, mail_id, kind, at, verdict, machine)
			SELECT 'smtp', gen_random_uuid(), min(id), '%s', '2026-01-12 %s:00Z', nullif('%s', ''), %t FROM mails
			WHERE store_id = 's'`, kind, hour, verdict, machine)
	}
	s := storetest.Open(t, campaign("camp_1", "s"), campaign("camp_2", "other"),
		`INSERT INTO customers (store_id, email) VALUES ('s', 'ann@x.example'), ('other', 'ann@x.example')`,
		mail("s", "marketing", "camp_1", "10", "sent", ""), mail("s", "marketing", "", "11", "failed", "hard"),
		mail("s", "test", "camp_1", "12", "sent", ""), mail("other", "marketing", "camp_2", "13", "sent", ""),
		mail("s", "service", "camp_1", "14", "skipped", "late"), mail("s", "service", "camp_1", "15", "failed", "ours"),
		event("clicked", "16", "", false), event("clicked", "17", "", true), event("bounced", "18", "soft", false),
		event("bounced", "19", "ours", false), event("complained", "20", "", false), event("delivered", "21", "", false),
		`INSERT INTO mail_stops (store_id, hash, campaign_id, reason, since)
			SELECT store_id, `+store.AddressHash("'ann@x.example'")+`, campaign_id, reason, since::timestamptz
			FROM (VALUES ('s', '', 'unsubscribed', '2026-01-12 22:00Z'), ('s', 'camp_1', 'unsubscribed', '2026-01-12 23:00Z'),
				('other', '', 'unsubscribed', '2026-01-13Z'), ('s', '', 'manual', '2026-01-14Z'))
			v(store_id, campaign_id, reason, since)`)
	id, err := New(s).CustomerAt(t.Context(), "s", "ann@x.example")
	if err != nil {
		t.Fatal(err)
	}
	entries, _, err := New(s).Timeline(t.Context(), "s", id, TimelineFilter{About: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.At.Format("15")+" "+e.Kind+" "+text(e.Title))
	}
	want := []string{"23 mail_left Hello from s", "22 mail_left ", "20 mail_complained Hello from s",
		"18 mail_bounced Hello from s", "16 mail_clicked Hello from s", "11 mail_bounced ", "10 mail_sent Hello from s"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// The states at their edges, in words.
func TestEngagement(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { return store.Ptr(now.Add(-d)) }
	three := []Course{{}, {}, {}}
	dollars := func(n int64) []store.Money { return []store.Money{{Amount: n, Currency: "usd"}} }
	for name, c := range map[string]struct {
		Customer
		want string
	}{
		"nothing is known": {Customer{}, ""},
		"just new":         {Customer{FirstSeenAt: ago(14 * day), LastActivityAt: ago(0)}, "new: joined 14 days ago"},
		"not new any more": {Customer{FirstSeenAt: ago(14*day + 1), LastActivityAt: ago(day)},
			"active: last active 1 day ago"},
		"new, without a time":  {Customer{FirstSeenAt: ago(1)}, "new: joined today"},
		"just active":          {Customer{LastActivityAt: ago(14 * day)}, "active: last active 14 days ago"},
		"slipping":             {Customer{LastActivityAt: ago(14*day + 1)}, "slipping: last active 14 days ago"},
		"just not dormant":     {Customer{LastActivityAt: ago(60 * day)}, "slipping: last active 60 days ago"},
		"dormant":              {Customer{LastActivityAt: ago(60*day + 1)}, "dormant: last active 60 days ago"},
		"just not lost":        {Customer{LastActivityAt: ago(180 * day)}, "dormant: last active 180 days ago"},
		"lost":                 {Customer{LastActivityAt: ago(180*day + 1)}, "lost: last active 180 days ago"},
		"got their money back": {Customer{FirstSeenAt: ago(day), Refunded: dollars(5), TotalSpent: dollars(0)}, gone},
		"got a part back": {Customer{LastActivityAt: ago(0), Refunded: dollars(5), TotalSpent: dollars(1)},
			"active: last active today"},
		"usually away": {Customer{FirstSeenAt: ago(60 * day), LastActivityAt: ago(20 * day), Courses: three},
			"active: last active 20 days ago, usually back within 20 days"},
		"longer than usual": {Customer{FirstSeenAt: ago(38 * day), LastActivityAt: ago(20 * day), Courses: three},
			"slipping: last active 20 days ago, usually back within 9 days"},
		"daily, before": {Customer{FirstSeenAt: ago(22 * day), LastActivityAt: ago(20 * day), Courses: three},
			"slipping: last active 20 days ago, usually back within 1 day"},
	} {
		got := ""
		if e := c.engagement(now); e != nil {
			got = e.State + ": " + e.Why
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

const gone = "lost: all that they paid went back to them"
