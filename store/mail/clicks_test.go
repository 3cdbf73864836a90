package mail_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// What is kept of a click is what the store's tracking allows and the recipient agrees to by now;
// of programs, that they were some; of tests and of mails of other stores nothing.
func TestClicks(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	run(t, s, `INSERT INTO mail_links (store_id, url) VALUES ('s1', 'https://a.example/'), ('s1', 'https://b.example/')`)
	id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
	test, other := mailTo(t, s, "s1", "p1@x.example", "test", "sent"), mailTo(t, s, "s2", "p1@x.example", "marketing",
		"sent")
	hour := monday.Add(time.Hour)
	type clicks = []storemail.Click
	for name, c := range map[string]struct {
		tracking, consent string
		clicks            clicks
		want              []string
	}{
		"off":                     {"off", "granted", clicks{{Link: 1, Mail: id, At: hour}}, nil},
		"counted":                 {"counted", "", clicks{{Link: 1, At: hour}, {Link: 1, At: hour}}, []string{"1 2 0"}},
		"counted, was identified": {"counted", "granted", clicks{{Link: 1, Mail: id, At: hour}}, []string{"1 1 0"}},
		"identified": {"identified", "granted", clicks{{Link: 1, Mail: id, At: hour}}, []string{"1 1 0",
			"clicked 1 f"}},
		"agreed to nothing": {"identified", "", clicks{{Link: 1, Mail: id, At: hour}}, []string{"1 1 0"}},
		"withdrawn since":   {"identified", "denied", clicks{{Link: 1, Mail: id, At: hour}}, []string{"1 1 0"}},
		"too soon": {"identified", "granted", clicks{{Link: 1, Mail: id, At: monday.Add(2 * time.Second)}},
			[]string{"1 0 1", "clicked 1 t"}},
		"many links": {"identified", "granted", clicks{{Link: 1, Mail: id, At: hour}, {Link: 2, Mail: id,
			At: hour.Add(time.Second)}}, []string{"1 1 0", "2 0 1", "clicked 1 t", "clicked 2 t"}},
		"one after the other": {"identified", "granted", clicks{{Link: 1, Mail: id, At: hour}, {Link: 2, Mail: id,
			At: hour.Add(time.Minute)}}, []string{"1 1 0", "2 1 0", "clicked 1 f", "clicked 2 f"}},
		"headers alone": {"identified", "granted", clicks{{Link: 1, Mail: id, At: hour, Probe: true}}, nil},
		"a test":        {"identified", "granted", clicks{{Link: 1, Mail: test, At: hour}}, nil},
		"a mail of another store": {"identified", "granted", clicks{{Link: 1, Mail: other, At: hour}},
			[]string{"1 1 0"}},
	} {
		for _, table := range []string{"mail_clicks", "mail_events", "mail_consents"} {
			run(t, s, `DELETE FROM `+table)
		}
		run(t, s, `INSERT INTO mail_settings (store_id, tracking) VALUES ('s1', $1)
			ON CONFLICT (store_id) DO UPDATE SET tracking = $1`, c.tracking)
		if c.consent != "" {
			run(t, s, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
				SELECT s, '', 'p1@x.example', 'tracking', $1, '2026-01-01', 'page', 'v'
				FROM unnest(ARRAY['s1', 's2']) s`, c.consent)
		}
		for _, click := range c.clicks {
			url, err := r.Click(t.Context(), click)
			if want := fmt.Sprintf("https://%c.example/", 'a'+rune(click.Link)-1); err != nil || url != want {
				t.Errorf("%s: %q %v", name, url, err)
			}
		}
		got := lines(t, s, `
			SELECT concat_ws(' ', link_id, people, machines) FROM mail_clicks
			UNION ALL
			SELECT concat_ws(' ', kind, link_id, machine) FROM mail_events
			ORDER BY 1`)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := r.Click(t.Context(), storemail.Click{Link: 9, At: hour}); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("no such link: %v", err)
	}
}
