package campaigns_test

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

// previewed are the mails that a preview says are sent at a time, and those that are not, with the reason.
func (w *world) previewed(id string, at time.Time) []string {
	w.Helper()
	return w.pages(id, at, 2000)
}

// pages are the same, read a page after the other.
func (w *world) pages(id string, at time.Time, limit int) (lines []string) {
	w.Helper()
	of := campaigns.PreviewOf{At: at, Limit: limit}
	for {
		p, err := w.Preview(w.Context(), "s1", id, of, w.now)
		if err != nil {
			w.Fatal(err)
		}
		for _, x := range p.People {
			line := x.Email + " " + x.Step + " " + x.Occurrence
			if x.Reason != "" {
				line += " " + x.Reason
			}
			lines = append(lines, line)
		}
		if of.Cursor = p.Next; p.Next == "" {
			return lines
		}
	}
}

func (w *world) wantLines(got []string, want ...string) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("got %q, want %q", got, want)
	}
}

// A preview of another day says who would get it then; of a draft, if it were switched on now. It writes nothing.
func TestPreview(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "past@x.example", begin.Add(-8*day), 0, begin.Add(-8*day)),
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-4*day), 0, begin.Add(-4*day)),
	}})
	c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.wantLines(w.previewed(c.ID, w.now))
	w.wantLines(w.previewed(c.ID, w.now.Add(day)), "ann@x.example first course:c1")
	w.wantLines(w.previewed(c.ID, w.now.Add(day+11*time.Hour)), "ann@x.example first course:c1 quiet")
	w.exec(`UPDATE campaigns SET not_after = '1 hour'`)
	w.wantLines(w.previewed(c.ID, w.now.Add(day+8*time.Hour)), "ann@x.example first course:c1") // sent when due: not late
	w.exec(`UPDATE campaigns SET not_after = '3 days'`)
	p, err := w.Preview(t.Context(), "s1", c.ID, campaigns.PreviewOf{At: w.now.Add(3 * day), Limit: 1}, w.now)
	if err != nil || len(p.People) != 1 || p.People[0].Email != "bob@x.example" || len(p.Counts) != 1 ||
		p.Counts[0] != (campaigns.Count{Mails: 1}) {
		t.Errorf("%+v %v", p, err)
	}
	var days []string
	for _, d := range p.Forecast {
		if d.Mails > 0 {
			days = append(days, fmt.Sprint(d.Day, " ", d.Mails))
		}
	}
	w.wantLines(days, "2026-03-03 1", "2026-03-05 1", "2026-03-10 1", "2026-03-12 1")
	if len(p.Forecast) != 14 || p.TimeZone != "Europe/Berlin" {
		t.Errorf("%d days in %s", len(p.Forecast), p.TimeZone)
	}
	w.theirZone(c.ID)
	w.want(allRuns, ``)
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.tick(day)
	w.wantLines(w.previewed(c.ID, w.now), "ann@x.example first course:c1")
	w.send()
	w.wantLines(w.previewed(c.ID, w.now))
	w.wantLines(w.previewed(c.ID, w.now.Add(7*day)), "ann@x.example second course:c1")
	w.wantLines(w.previewed(c.ID, w.now.Add(2*day)), "bob@x.example first course:c1")
	w.wantLines(w.previewed(c.ID, w.now.Add(9*day)), "bob@x.example second course:c1")
}

// Of a customer's mails that are due at the same time the one that waits goes before one that a step has yet to make,
// also in a preview.
func TestPreviewOfWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day))}})
	w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		VALUES ('s1', '', 'ann@x.example', 'marketing', 'granted', $1, 'page', '1')`, w.now)
	class := campaigns.Marketing
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &class})
	w.tick(day)
	w.exec(`UPDATE mails SET due_at = $1::timestamptz - interval '1 hour'`, w.now)
	w.exec(`UPDATE runs SET next_at = $1::timestamptz - interval '1 hour'`, w.now)
	for _, limit := range []int{1, 2} {
		w.wantLines(w.pages(c.ID, w.now, limit), "ann@x.example first course:c1", "ann@x.example second course:c1 cap")
	}
	w.tick(0)
	w.send()
	w.want(`SELECT concat_ws(' ', email, step, status) FROM mails ORDER BY id`, `ann@x.example first sent
		ann@x.example second due`)
}

// Of more mails than it may decide about, a preview decides about those to some customers, as it would of all, and says
// how many that makes of all. What is only about few customers it looks at whole.
func TestPreviewOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("first@x.example", "second@x.example", "third@x.example")
	w.exec(`INSERT INTO customers (store_id, email) SELECT 's1', 'p' || n || '@x.example' FROM generate_series(1, 4000) n`)
	w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT 's1', '', 'p' || n || '@x.example', 'marketing', CASE WHEN n % 4 = 0 THEN 'denied' ELSE 'granted' END, $1,
			'page', '1' FROM generate_series(1, 4000) n`, w.now)
	w.exec(`ANALYZE`)
	news := w.once("News", 5)
	flow, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]bool{}
	for _, line := range w.previewed(news.ID, w.now) {
		whole[line] = true
	}
	w.DecideAtMost(1000)
	p, err := w.Preview(t.Context(), "s1", news.ID, campaigns.PreviewOf{At: w.now, Limit: 100}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	some := w.previewed(news.ID, w.now)
	for _, line := range some {
		if !whole[line] {
			t.Errorf("%q is not so if all are asked", line)
		}
	}
	if len(whole) != 4003 || len(some) < 100 || len(some) > 400 || p.Every != (4003+len(some)/2)/len(some) ||
		p.ForecastEvery != p.Every {
		t.Errorf("%d of %d, one in %d, forecast one in %d", len(some), len(whole), p.Every, p.ForecastEvery)
	}
	if c := p.Counts; len(c) != 2 || c[0].Reason != "" || c[1].Reason != "consent" ||
		math.Abs(float64(c[0].Mails)-3000) > 300 || math.Abs(float64(c[1].Mails)-1003) > 300 {
		t.Errorf("%v", c)
	}
	if day := p.Forecast[0].Mails; day < 3990 || day > 4010 {
		t.Errorf("about %d become due today", day)
	}
	p, err = w.Preview(t.Context(), "s1", flow.ID, campaigns.PreviewOf{At: w.now.Add(day), Limit: 100}, w.now)
	if err != nil || p.Every != 1 || p.ForecastEvery != 1 || len(p.People) != 3 {
		t.Errorf("%+v %v", p, err)
	}
}

// What a customer gets of another campaign counts also if only some customers are looked at.
func TestPreviewOfManyBesideAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO customers (store_id, email) SELECT 's1', 'p' || n || '@x.example' FROM generate_series(1, 400) n`)
	w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT store_id, '', email, 'marketing', 'granted', $1, 'page', '1' FROM customers`, w.now)
	news, sooner := w.once("News", 5), w.once("Sooner", 1)
	w.turn(sooner.ID, campaigns.Order{To: campaigns.On, Count: number(400)})
	w.DecideAtMost(100)
	p, err := w.Preview(t.Context(), "s1", news.ID, campaigns.PreviewOf{At: w.now, Limit: 1}, w.now)
	if err != nil || p.Every == 1 || len(p.Counts) != 1 || p.Counts[0].Reason != "cap" {
		t.Errorf("%+v %v", p, err)
	}
}

// keepEnrolled keeps that people enrolled in a course six days ago.
// A day is previewed at the last moment at which mails of the day go out, in the store's zone; today is at least now.
func TestPreviewOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = begin.Add(11 * time.Hour) // 22:00 in Berlin
	for _, c := range []struct {
		quiet, text, want string
	}{
		{"21, 9", "2026-03-02", "2026-03-02T21:00:00Z"},
		{"21, 9", "2026-03-03", "2026-03-03T19:59:59Z"},
		{"9, 17", "2026-03-29", "2026-03-29T21:59:59Z"}, // the clocks were put forward
		{"21, 9", "+7d", "2026-03-09T21:00:00Z"},
		{"21, 9", "", "2026-03-02T21:00:00Z"},
		{"21, 9", "2026-03-01", "refused"},
		{"21, 9", "2027-04-01", "refused"},
		{"21, 9", "yesterday", "refused"},
	} {
		w.exec(`INSERT INTO mail_settings (store_id) VALUES ('s1') ON CONFLICT DO NOTHING`)
		w.exec(`UPDATE mail_settings SET (quiet_from, quiet_to) = (` + c.quiet + `)`)
		at, err := w.At(t.Context(), "s1", c.text, w.now)
		got := at.UTC().Format(time.RFC3339)
		if bad := new(pg.BadParam); errors.As(err, &bad) {
			got = "refused"
		} else if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%q with quiet hours %s: %s, want %s", c.text, c.quiet, got, c.want)
		}
	}
}

func (w *world) keepEnrolled(emails ...string) {
	w.Helper()
	var set facts.Set
	for _, email := range emails {
		set.Enrollments = append(set.Enrollments, w.enrolled("c1", email, begin.Add(-6*day), 0, begin.Add(-6*day)))
	}
	w.keep(set)
}

// once is a draft of a mail to all.
func (w *world) once(name string, priority int) campaigns.Campaign {
	w.Helper()
	c, err := w.Create(w.Context(), "s1", campaigns.Campaign{Name: name, Kind: campaigns.Once, Class: campaigns.Marketing,
		Priority: priority, Trigger: campaigns.Trigger{Question: "everyone"}, NotAfter: campaigns.Wait(72 * time.Hour),
		Reentry: campaigns.Never, Steps: []campaigns.Step{{Key: "first", Do: campaigns.DoMail,
			Mail: &campaigns.Text{Subject: "News", Body: "Hi"}}}}, "admin")
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// theirZone wants a preview to say whose quiet hours a mail waits for, and to follow a zone that changes.
func (w *world) theirZone(id string) {
	w.Helper()
	look := func(zone string, at time.Time) string {
		w.keep(facts.Set{Users: []facts.User{{ID: "user_ann", Email: "ann@x.example", TimeZone: zone,
			Version: w.version(begin)}}})
		p, err := w.Preview(w.Context(), "s1", id, campaigns.PreviewOf{At: at, Limit: 1}, w.now)
		if err != nil || len(p.People) != 1 {
			w.Fatalf("%+v %v", p.People, err)
		}
		return strings.Join(regexp.MustCompile(`:[0-5]\d `).Split(p.People[0].Why(), 2), " ")
	}
	w.wantLines([]string{look("America/New_York", w.now.Add(day)), look("", w.now.Add(day)),
		look("Europe/Berlin", w.now.Add(day)), look("Asia/Tokyo", w.now.Add(day+2*time.Hour)),
		look("America/New_York", w.now.Add(day+11*time.Hour))},
		"The quiet hours have not ended: until 09 New York time, theirs",
		"The quiet hours have not ended: until 09 New York time, theirs", "Would get it",
		"The quiet hours have not ended: until 09 Tokyo time, theirs", "Would get it")
	look("Europe/Berlin", w.now.Add(day))
}
