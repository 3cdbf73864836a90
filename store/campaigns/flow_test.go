package campaigns_test

import (
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
)

const day = 24 * time.Hour

// Switching on reaches nobody of the past, then each who becomes due, once; the goal ends it, and so does leaving.
func TestNotStarted(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "past@x.example", begin.Add(-8*day), 0, begin.Add(-8*day)),
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-6*day), 30, begin.Add(-5*day)),
		w.enrolled("c1", "cid@x.example", begin.Add(-5*day), 0, begin.Add(-5*day)),
		w.enrolled("c1", "owner@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
	}})
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(0)
	w.want(allRuns, ``)
	w.tick(day)
	w.want(allRuns, `ann@x.example course:c1 at second`)
	w.want(allMails, `ann@x.example first course:c1`)
	w.tick(day)
	w.want(allMails, `ann@x.example first course:c1
		cid@x.example first course:c1`)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 10, w.now)}})
	w.tick(7 * day)
	w.want(allRuns, `ann@x.example course:c1 goal
		cid@x.example course:c1 at the end`)
	w.want(allMails, `ann@x.example first course:c1
		cid@x.example first course:c1
		cid@x.example second course:c1`)
	w.tick(14 * day)
	w.want(allRuns, `ann@x.example course:c1 goal
		cid@x.example course:c1 done`)
}

// Every recipe can be made, previewed and switched on: its SQL is understood.
func TestRecipesRun(t *testing.T) {
	w := newWorld(t)
	for _, r := range campaigns.Recipes {
		w.make(campaigns.FromRecipe{Recipe: r.Name, Product: map[bool]string{true: "c2"}[r.Product]}, campaigns.Change{})
	}
	w.tick(day)
	w.want(allRuns, ``)
}

// What a step wrote is asked about again when a mail is claimed.
func TestSkips(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "cid@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
	}})
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	gone := w.enrolled("c1", "cid@x.example", begin.Add(-6*day), 0, w.now)
	gone.DeletedVersion = w.version(w.now)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "bob@x.example", begin.Add(-6*day), 5, w.now), gone}})
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails ORDER BY 1`, `
		ann@x.example sent
		bob@x.example skipped goal
		cid@x.example skipped left`)
}

// Who may come again does so for each occurrence, once ever, or after some days.
func TestReentry(t *testing.T) {
	t.Parallel()
	for reentry, want := range map[string]string{
		campaigns.Each: `ann@x.example course:c1
			ann@x.example course:c2`,
		campaigns.Never: `ann@x.example course:c1`,
		campaigns.After: `ann@x.example course:c1`,
	} {
		w, days := newWorld(t), 0
		if reentry == campaigns.After {
			days = 30
		}
		w.keep(facts.Set{Enrollments: []facts.Enrollment{
			w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
			w.enrolled("c2", "ann@x.example", begin.Add(-5*day), 0, begin.Add(-5*day)),
		}})
		w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Reentry: &reentry, ReentryDays: &days})
		w.tick(3 * day)
		w.want(`SELECT concat_ws(' ', email, occurrence) FROM runs ORDER BY 1`, want)
		w.tick(day)
		w.want(`SELECT concat_ws(' ', email, occurrence) FROM runs ORDER BY 1`, want)
	}
}

// Those who two workers let enter at once are in once, and so are those who come with them.
func TestEnteringTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.once("News", 5)
	c = w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(0)})
	for _, emails := range [][]string{{"ann@x.example", "bob@x.example"}, {"bob@x.example", "cem@x.example"}} {
		if err := w.Enter(t.Context(), c, w.now, emails...); err != nil {
			t.Fatal(err)
		}
	}
	w.want(`SELECT email FROM runs ORDER BY 1`, `ann@x.example
		bob@x.example
		cem@x.example`)
}
