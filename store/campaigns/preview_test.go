package campaigns_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
)

// previewed are the mails that a preview says are sent at a time, and those that are not, with the reason.
func (w *world) previewed(id string, at time.Time) (lines []string) {
	w.Helper()
	of := campaigns.PreviewOf{At: at, Limit: 100}
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

// Of a customer's mails the one that waits goes before one that a step has yet to make, also in a preview.
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
	w.exec(`UPDATE runs SET next_at = $1::timestamptz - interval '2 hours'`, w.now)
	w.wantLines(w.previewed(c.ID, w.now), "ann@x.example first course:c1", "ann@x.example second course:c1 cap")
	w.tick(0)
	w.send()
	w.want(`SELECT concat_ws(' ', email, step, status) FROM mails ORDER BY id`, `ann@x.example first sent
		ann@x.example second due`)
}
