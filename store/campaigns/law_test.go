package campaigns_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store/campaigns"
)

// story draws what is told of some people: that they enroll, get further, finish, leave, subscribe, fail to pay and
// end.
func (w *world) story(rt *rapid.T) (told []facts.Set) {
	ago := func() time.Time {
		return begin.Add(-time.Duration(rapid.IntRange(1, 40*24).Draw(rt, "hours")) * time.Hour)
	}
	say := func(set facts.Set) { told = append(told, set) }
	for n := range rapid.IntRange(1, 6).Draw(rt, "people") {
		email, at := fmt.Sprintf("p%d@x.example", n), ago()
		say(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", email, at, 0, at)}})
		for range rapid.IntRange(0, 3).Draw(rt, "times") {
			later := at.Add(time.Duration(rapid.IntRange(1, 20*24).Draw(rt, "later")) * time.Hour)
			if later.Before(begin) {
				e := w.enrolled("c1", email, at, float64(rapid.SampledFrom([]int{10, 40, 100}).Draw(rt, "progress")), later)
				say(facts.Set{Enrollments: []facts.Enrollment{e}})
			}
		}
		if rapid.Bool().Draw(rt, "leaves") {
			gone := w.enrolled("c1", email, at, 0, at)
			gone.DeletedVersion = w.version(begin.Add(-time.Hour))
			say(facts.Set{Enrollments: []facts.Enrollment{gone}})
		}
		for _, status := range rapid.SliceOfN(rapid.SampledFrom([]string{"active", "past_due", "canceled"}), 0, 3).Draw(rt,
			"subscription") {
			say(w.subscribed(fmt.Sprint("sub_", n), email, status, ago()))
		}
	}
	return told
}

// subscribed is what an event of a time says of a subscription: if it is past due, with its invoice.
func (w *world) subscribed(id, email, status string, at time.Time) (set facts.Set) {
	started := begin.Add(-60 * day)
	s := facts.Subscription{ID: id, Status: status, StartedAt: &started, EverActive: true, Version: w.version(at),
		Context: facts.Context{StoreRef: "s1", Email: email}}
	if status == "canceled" {
		s.EndedAt = &at
	}
	if status == "past_due" {
		set.FailedInvoices = []facts.FailedInvoice{{ID: "in_" + id, Subscription: id, Attempts: 1, Version: w.version(at)}}
	}
	set.Subscriptions = []facts.Subscription{s}
	return set
}

// Any order of what is told before a moment, doubled or not, and whatever was asked before it, leads to the same runs.
func TestOrderOfFacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, r := range []string{"not_started", "stuck", "finished", "welcome", "payment_failed", "win_back", "silent"} {
		c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: r, Product: map[bool]string{true: "c2"}[r ==
			"finished"]}, "admin")
		if err != nil {
			t.Fatal(err)
		}
		w.turn(c.ID, campaigns.Order{To: campaigns.On, Past: "days", Days: 30, Count: number(0)})
	}
	rapid.Check(t, func(rt *rapid.T) {
		told := w.story(rt)
		want := w.runsOf(told)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "order"), 0))
		other := append(slices.Clone(told), told[:random.IntN(len(told))]...)
		random.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		if diff := cmp.Diff(want, w.runsOf(other)); diff != "" {
			rt.Fatalf("-in order +in another\n%s", diff)
		}
	})
}

// runsOf are the runs that follow from what is told, in that order.
func (w *world) runsOf(told []facts.Set) []string {
	w.Helper()
	w.exec(`TRUNCATE runs, mails, enrollments, subscriptions, failed_invoices, customers, customer_tags CASCADE`)
	w.exec(`UPDATE campaigns SET entered_at = NULL, looked_at = '-infinity'`)
	for _, set := range told {
		if err := w.store.Keep(w.Context(), set); err != nil {
			w.Fatal(err)
		}
	}
	w.keep(facts.Set{})
	w.now = begin
	w.tick(0)
	return w.rows(`SELECT concat_ws(' ', k.recipe, r.email, r.occurrence, r.became_due_at, r.arm, r.step, r.ended_for)
		FROM runs r JOIN campaigns k ON k.id = r.campaign_id ORDER BY 1`)
}

// Connections that are cut in the middle of a look or a step leave nothing behind that is half done: in the end
// everyone got each mail once.
func TestCutOff(t *testing.T) {
	w := newWorld(t)
	var set facts.Set
	for i := range 500 {
		set.Enrollments = append(set.Enrollments, w.enrolled("c1", fmt.Sprintf("p%d@x.example", i), begin.Add(-6*day), 0,
			begin.Add(-6*day)))
	}
	w.keep(set)
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.now = w.now.Add(day)
	w.exec(`CREATE SEQUENCE turns`)
	w.exec(`CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('turns') % 3 = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$`)
	for _, table := range []string{"INSERT ON runs", "INSERT ON mails", "UPDATE ON runs"} {
		w.exec(`CREATE TRIGGER cut_` + strings.ToLower(strings.ReplaceAll(table, " ", "_")) + ` AFTER ` + table +
			` FOR EACH STATEMENT EXECUTE FUNCTION cut()`)
	}
	cut := 0
	// A connection that was cut may hold its locks for a while.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		w.now = w.now.Add(time.Millisecond)
		_, err := w.Look(w.Context(), w.now, time.Microsecond)
		worked := true
		for err == nil && worked {
			worked, err = w.Step(w.Context(), w.now)
		}
		if err != nil {
			cut++
		} else if w.rows(`SELECT count(*)::text FROM runs WHERE step = 'second'`)[0] == "500" {
			break
		}
	}
	w.want(`SELECT concat_ws(' ', count(*), count(DISTINCT email), min(step)) FROM mails`, `500 500 first`)
	w.want(`SELECT concat_ws(' ', count(*), min(step), max(step)) FROM runs`, `500 second second`)
	if cut < 3 {
		t.Errorf("cut off %d times", cut)
	}
}
