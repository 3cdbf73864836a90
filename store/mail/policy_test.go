package mail_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/mail"
	"rollcall/store/pg"
)

const (
	hashOfAnn = `sha256((SELECT erasure_pad('5c')) || sha256((SELECT erasure_pad('36')) || 'address:ann@x.example'))`
	sentToAnn = `INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence,
		status, claimed_at, sent_at)
		SELECT 's1', 'ann@x.example', 'marketing', 'c1', 'a', 1, t, t, gen_random_uuid(), 'sent', t, t
		FROM unnest(ARRAY[`
)

// What becomes of a mail to ann that is due at noon, by what else there is.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  []string
		at   string // if not noon
		want string // status, reason and when it is due if that moves
	}{
		"nothing else": {nil, "", "sending"},
		"too late": {[]string{`UPDATE mails SET not_after = '2026-03-10T11:59:59Z'`}, "",
			"skipped late"},
		"unsubscribed":                    {[]string{stop("s1", "unsubscribed")}, "", "skipped stopped"},
		"unsubscribed everywhere":         {[]string{stop("", "unsubscribed")}, "", "skipped stopped"},
		"unsubscribed from another store": {[]string{stop("s2", "unsubscribed")}, "", "sending"},
		"service is not unsubscribed":     {[]string{service, stop("s1", "unsubscribed")}, "", "sending"},
		"unsubscribed from its kind": {[]string{service, stop("s1", "unsubscribed"),
			`UPDATE mail_stops SET campaign_id = 'c1'`},
			"", "skipped stopped"},
		"unsubscribed from another kind": {[]string{stop("s1", "unsubscribed"), `UPDATE mail_stops SET campaign_id = 'c9'`},
			"", "sending"},
		"no such mailbox":              {[]string{service, stop("", "hard")}, "", "skipped stopped"},
		"complained":                   {[]string{service, stop("s1", "complained")}, "", "skipped stopped"},
		"stopped by hand":              {[]string{service, stop("s1", "manual")}, "", "skipped stopped"},
		"no postal address":            {[]string{unnamed}, "", "due postal 2026-03-10 12"},
		"no postal address, and quiet": {[]string{unnamed}, "2026-03-10T20:00:00Z", "due postal 2026-03-11 09"},
		"no postal address for too long": {[]string{unnamed, `UPDATE mails SET not_after = '2026-03-10T12:05:00Z'`}, "",
			"skipped postal"},
		"service names none":             {[]string{service, unnamed}, "", "sending"},
		"asked for, and stopped":         {[]string{asked, stop("s1", "hard")}, "", "unknown stopped"},
		"asked for, and quiet":           {[]string{asked}, "2026-03-10T20:00:00Z", "due asked 2026-03-11 09"},
		"asked for":                      {[]string{asked}, "", "sending asked"},
		"no word of consent":             {[]string{`DELETE FROM mail_consents`}, "", "skipped consent"},
		"consent denied":                 {[]string{denied}, "", "skipped consent"},
		"service needs none":             {[]string{service, denied}, "", "sending"},
		"consent to be tracked only":     {[]string{`UPDATE mail_consents SET kind = 'tracking'`}, "", "skipped consent"},
		"a purchase":                     {[]string{`DELETE FROM mail_consents`, paying}, "", "skipped consent"},
		"a purchase where it is enough":  {[]string{`DELETE FROM mail_consents`, paying, soft}, "", "sending"},
		"a purchase, but denied":         {[]string{denied, paying, soft}, "", "skipped consent"},
		"no purchase where it is enough": {[]string{`DELETE FROM mail_consents`, soft}, "", "skipped consent"},
		"no customer any more":           {[]string{service, `DELETE FROM customers`}, "", "skipped gone"},
		"tests need no customer": {[]string{`UPDATE mails SET class = 'test'`, `DELETE FROM customers`}, "",
			"sending"},
		"erased": {[]string{service, `UPDATE customers SET email = 'erased-1@erased.invalid' WHERE email LIKE 'ann%'`,
			`UPDATE mails SET email = 'erased-1@erased.invalid'`}, "", "skipped gone"},
		"letters that no server takes": {[]string{service,
			`UPDATE customers SET email = 'änn@x.example' WHERE email LIKE 'ann%'`,
			`UPDATE mails SET email = 'änn@x.example'`}, "", "skipped address"},
		"a letter in the domain": {[]string{service, `UPDATE customers SET email = 'ann@ä.example' WHERE email LIKE 'ann%'`,
			`UPDATE mails SET email = 'ann@ä.example'`}, "", "sending"},
		"its twin was sent": {[]string{`UPDATE mails SET occurrence = 'o', twin = id`, due(", status, claimed_at, sent_at",
			", 'sent', '2026-01-01Z', '2026-01-01Z'"), `UPDATE mails SET occurrence = 'o'`}, "", "skipped merged"},
		"its twin failed": {[]string{`UPDATE mails SET occurrence = 'o', twin = id`, due(", status, reason",
			", 'failed', 'hard'"), `UPDATE mails SET occurrence = 'o'`}, "", "sending"},
		"one today":          {[]string{sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`}, "", "due cap 2026-03-11 09"},
		"one late yesterday": {[]string{sentToAnn + `'2026-03-09T23:59:59Z'::timestamptz]) t`}, "", "sending"},
		"service has no cap": {[]string{service, sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`}, "", "sending"},
		"service does not count": {[]string{sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`,
			`UPDATE mails SET class = 'service' WHERE status = 'sent'`}, "", "sending"},
		"another store's do not count": {[]string{sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`,
			`UPDATE mails SET store_id = 's2' WHERE status = 'sent'`}, "", "sending"},
		"unknown ones count": {[]string{sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`,
			`UPDATE mails SET status = 'unknown', sent_at = NULL WHERE status = 'sent'`}, "", "due cap 2026-03-11 09"},
		"three in a week": {[]string{sentToAnn + `'2026-03-05T10:00:00Z'::timestamptz, '2026-03-07Z', '2026-03-08Z']) t`}, "",
			"due cap 2026-03-12 10"},
		"three in eight days": {[]string{sentToAnn + `'2026-03-02Z'::timestamptz, '2026-03-07Z', '2026-03-08Z']) t`}, "",
			"sending"},
		"a cap for longer than it has": {[]string{sentToAnn +
			`'2026-03-10T00:00:00Z'::timestamptz]) t`, `UPDATE mails SET not_after = '2026-03-11T08:00:00Z'`}, "",
			"skipped cap"},
		"no caps": {[]string{sentToAnn + `'2026-03-10T00:00:00Z'::timestamptz]) t`,
			`UPDATE mail_settings SET cap_day = NULL, cap_week = NULL`}, "", "sending"},
		"a day of the store's zone": {[]string{`UPDATE stores SET time_zone = 'Asia/Kolkata'`, sentToAnn +
			`'2026-03-09T18:31:00Z'::timestamptz]) t`}, "", "due cap 2026-03-11 03"},
		"the zone set on its pages": {[]string{`UPDATE stores SET time_zone = 'Asia/Tokyo'`,
			`INSERT INTO store_settings (store_id, time_zone) VALUES ('s1', 'UTC')`}, "", "sending"},
		"before the quiet hours":           {nil, "2026-03-10T19:59:59Z", "sending"},
		"quiet":                            {nil, "2026-03-10T20:00:00Z", "due quiet 2026-03-11 09"},
		"quiet after midnight":             {nil, "2026-03-11T08:59:59Z", "due quiet 2026-03-11 09"},
		"after the quiet hours":            {nil, "2026-03-11T09:00:00Z", "sending"},
		"service is quiet too":             {[]string{service}, "2026-03-10T20:00:00Z", "due quiet 2026-03-11 09"},
		"tests are not":                    {[]string{`UPDATE mails SET class = 'test'`}, "2026-03-10T20:00:00Z", "sending"},
		"quiet where they live":            {[]string{lives("America/New_York", "1")}, "", "due quiet 2026-03-10 13"},
		"not quiet where they live":        {[]string{lives("America/New_York", "1")}, "2026-03-10T20:00:00Z", "sending"},
		"service is quiet where they live": {[]string{service, lives("Asia/Tokyo", "1")}, "", "due quiet 2026-03-11 00"},
		"half an hour off": {[]string{lives("Asia/Kolkata", "1")}, "2026-03-10T14:30:00Z",
			"due quiet 2026-03-11 03"},
		"a zone that there is not": {[]string{lives("Mars/Base", "1")}, "2026-03-10T20:00:00Z",
			"due quiet 2026-03-11 09"},
		"no zone, but another's": {[]string{lives("Asia/Tokyo", "1"), `UPDATE users SET email = 'bob@x.example'`}, "",
			"sending"},
		"the zone that was told last": {[]string{lives("Asia/Tokyo", "1"), lives("UTC", "2")}, "", "sending"},
		"the zone of who is there still": {[]string{lives("Asia/Tokyo", "1"), lives("UTC", "2"),
			`UPDATE users SET deleted_version = '3' WHERE version = '2'`}, "", "due quiet 2026-03-11 00"},
		"a day is the store's, quiet hours are theirs": {[]string{lives("Asia/Tokyo", "1"), sentToAnn +
			`'2026-03-10T00:00:00Z'::timestamptz]) t`}, "", "due cap 2026-03-11 09"},
		"no quiet hours, though they live elsewhere": {[]string{lives("Asia/Tokyo", "1"),
			`UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL`}, "", "sending"},
		"no quiet hours": {[]string{`UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL`}, "2026-03-10T20:00:00Z",
			"sending"},
		"quiet for longer than it has": {[]string{`UPDATE mails SET not_after = '2026-03-11T08:00:00Z'`},
			"2026-03-10T20:00:00Z", "skipped late"},
		"stopped before no consent": {[]string{denied, stop("s1", "hard")}, "", "skipped stopped"},
		"repeated under its key":    {[]string{again("2026-03-10T11:59:00Z")}, "", "sending again"},
		"repeated too late":         {[]string{again("2026-03-09T12:59:59Z")}, "", "unknown again"},
		"repeated, and stopped":     {[]string{again("2026-03-10T11:59:00Z"), stop("s1", "hard")}, "", "unknown again"},
		"repeated before it is quiet for too long": {[]string{again("2026-03-09T20:30:00Z")}, "2026-03-10T20:00:00Z",
			"unknown again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := shop(t, append([]string{due("", "")}, c.sql...)...)
			at := noon
			if c.at != "" {
				at, _ = time.Parse(time.RFC3339, c.at)
			}
			claim(t, m, at)
			var got string
			err := m.Pool.QueryRow(t.Context(), `
				SELECT concat_ws(' ', status, reason,
					CASE WHEN status = 'due' THEN to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') END)
				FROM mails
				ORDER BY id
				LIMIT 1`).Scan(&got)
			if err != nil || got != c.want {
				t.Errorf("%q, want %q (%v)", got, c.want, err)
			}
		})
	}
}

const (
	service = `UPDATE mails SET class = 'service'`
	unnamed = `UPDATE mail_settings SET postal_address = ''`
	asked   = `UPDATE mails SET reason = 'asked', claimed_at = '2026-03-01Z'`
	denied  = `UPDATE mail_consents SET state = 'denied'`
	paying  = `UPDATE customers SET type = 'paying'`
	soft    = `UPDATE mail_settings SET soft_opt_in = true`
)

// lives is SQL for a user with ann's address, and where they live.
func lives(zone, version string) string {
	return `INSERT INTO users (id, email, time_zone, version, deleted_version)
		VALUES ('u` + version + `', 'ann@x.example', '` + zone + `', '` + version + `', '')`
}

func stop(store, reason string) string {
	return `INSERT INTO mail_stops (store_id, hash, reason, since) VALUES ('` + store + `', ` + hashOfAnn + `, '` +
		reason + `', '2026-01-01Z')`
}

func again(claimed string) string {
	return `UPDATE mails SET reason = 'again', claimed_at = '` + claimed + `'`
}

// What campaigns say counts for their mails, at the moment that is asked about.
func TestSkips(t *testing.T) {
	t.Parallel()
	m := mail.New(open(t, due("", ""), due(", priority", ", 1"),
		`UPDATE mails SET campaign_id = '', class = 'service' WHERE priority = 1`), func(_ context.Context, _ pgx.Tx,
		_ string, args *pg.Arguments) (mail.Said, error) {
		return mail.Said{Skip: `CASE WHEN $1 = ` + args.Add(noon) + `::timestamptz THEN 'goal' END`, Class: `m.class`,
			Version: `m.version`}, nil
	})
	claim(t, m, noon)
	want(t, m, `SELECT status || ' ' || coalesce(reason, '') FROM mails ORDER BY id`, "skipped goal", "sending ")
}

// One marketing mail of a customer is decided about at a time; dunning goes first.
func TestCapWithinAClaim(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due(", priority", ", 1"), due("", ""), due(", priority", ", 9"),
		`UPDATE mails SET class = 'service' WHERE priority = 9`)
	turn := take(t, m, noon)
	for range 4 {
		if _, err := m.Claim(t.Context(), turn, noon, 100); err != nil {
			t.Fatal(err)
		}
	}
	want(t, m, `SELECT status || ' ' || coalesce(reason, '') FROM mails ORDER BY id`, "due cap", "sending ", "due cap",
		"sending ")
}

// Limits of a day are spread over its hours; a slow start doubles each day.
func TestDailyLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		at   string
		want int
	}{
		"half of the day": {`UPDATE mail_settings SET daily_limit = 22`, "2026-03-10T14:30:00Z", 12},
		"in the morning":  {`UPDATE mail_settings SET daily_limit = 22`, "2026-03-10T09:00:00Z", 1},
		"the first day":   {`UPDATE mail_settings SET warm_up_from = '2026-03-10'`, "2026-03-10T19:59:00Z", 50},
		"the second day":  {`UPDATE mail_settings SET warm_up_from = '2026-03-09'`, "2026-03-10T19:59:00Z", 100},
		"the smaller one": {`UPDATE mail_settings SET warm_up_from = '2026-03-09', daily_limit = 7`,
			"2026-03-10T19:59:00Z", 7},
		"no limit":                    {`SELECT`, "2026-03-10T12:00:00Z", 100},
		"the slow start is long over": {`UPDATE mail_settings SET warm_up_from = '2025-03-09'`, "2026-03-10T12:00:00Z", 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := shop(t, `UPDATE mails SET class = 'service'`)
			for range 3 {
				exec(t, m, `INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence)
					SELECT 's1', 'ann@x.example', 'service', 'c1', 'a', 1, '2026-03-10', '2026-03-13', gen_random_uuid()
					FROM generate_series(1, 50)`)
			}
			exec(t, m, c.sql)
			at, _ := time.Parse(time.RFC3339, c.at)
			turn, got := take(t, m, at), 0
			for range 2 {
				b, err := m.Claim(t.Context(), turn, at, 100)
				if err != nil {
					t.Fatal(err)
				}
				got += len(b.Mails)
			}
			if c.want < 100 && got != c.want || c.want == 100 && got < 100 {
				t.Errorf("%d mails, want %d", got, c.want)
			}
		})
	}
}

// Without the key of the hashes it cannot be seen who left: nothing goes.
func TestLostKey(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{`DELETE FROM erasure_key`, `UPDATE erasure_key SET key = sha256('another')`} {
		m := shop(t, due("", ""), stop("", "unsubscribed"), lost)
		if b, err := m.Claim(t.Context(), take(t, m, noon), noon, 100); err == nil || len(b.Mails) > 0 {
			t.Errorf("%s: %d mails claimed, %v", lost, len(b.Mails), err)
		}
		want(t, m, `SELECT status FROM mails`, "due")
	}
}
