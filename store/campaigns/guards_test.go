package campaigns_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
	"rollcall/store/segments"
)

// draft is a draft of a recipe.
func (w *world) draft(from campaigns.FromRecipe) campaigns.Campaign {
	w.Helper()
	c, err := w.Make(w.Context(), "s1", from, "admin")
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// Two campaigns of a recipe do not run for the same customers, however they come to it: switched at once, one after the
// other, continued, or changed. There may be drafts, and campaigns for other courses or customers.
func TestOneCampaignOfARecipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on := campaigns.Order{To: campaigns.On}
	var all []campaigns.Campaign
	for range 4 {
		all = append(all, w.draft(campaigns.FromRecipe{Recipe: "not_started"}))
	}
	errs := make([]error, len(all))
	var together sync.WaitGroup
	for i, c := range all {
		together.Go(func() { _, errs[i] = w.Switch(t.Context(), "s1", c.ID, on, w.now) })
	}
	together.Wait()
	w.want(`SELECT count(*)::text FROM campaigns WHERE state = 'on'`, `1`)
	first, other := w.rows(`SELECT id FROM campaigns WHERE state = 'on'`)[0], ""
	for i, c := range all {
		if c.ID == first {
			continue
		}
		w.conflict(errs[i], "already_running")
		if errs[i] != nil && !strings.Contains(errs[i].Error(), first) {
			t.Errorf("%v does not name %s", errs[i], first)
		}
		other = c.ID
	}
	rehearse := campaigns.Order{To: campaigns.Rehearsal}
	_, err := w.Switch(t.Context(), "s1", other, rehearse, w.now)
	w.conflict(err, "already_running")
	w.turn(first, campaigns.Order{To: campaigns.Paused})
	w.turn(other, on)
	_, err = w.Switch(t.Context(), "s1", first, on, w.now)
	w.conflict(err, "already_running")
	// All courses are some of them, too.
	one := w.draft(campaigns.FromRecipe{Recipe: "not_started", Courses: []string{"c1"}})
	_, err = w.Switch(t.Context(), "s1", one.ID, on, w.now)
	w.conflict(err, "already_running")
	w.update(other, campaigns.Change{Trigger: &campaigns.Trigger{Question: "not_started", Courses: []string{"c2"}}})
	w.turn(one.ID, on)
	both := w.draft(campaigns.FromRecipe{Recipe: "not_started", Courses: []string{"c1", "c2"}})
	_, err = w.Switch(t.Context(), "s1", both.ID, on, w.now)
	w.conflict(err, "already_running")
	_, err = w.Update(t.Context(), "s1", one.ID, campaigns.Change{Trigger: &campaigns.Trigger{Question: "not_started"}})
	w.conflict(err, "already_running")
	w.update(one.ID, campaigns.Change{Audience: []byte(`{"customer": {"status": "active"}}`)})
	w.update(one.ID, campaigns.Change{Trigger: &campaigns.Trigger{Question: "not_started"}})
	w.turn(other, campaigns.Order{To: campaigns.Ended})
	w.turn(first, on)
}

// Until those have entered whose number was typed in, no change lets others enter: not of a campaign that is to be sent
// later, nor of one that reaches the past. Texts and names can be changed.
func TestTheTypedNumberHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-9*day), 0, begin.Add(-9*day)),
		w.enrolled("c2", "bob@x.example", begin.Add(-9*day), 0, begin.Add(-9*day)),
	}})
	only := []byte(`{"enrollment": {"course": "c1"}}`)
	once, err := w.Create(t.Context(), "s1", campaigns.Campaign{Name: "News", Class: campaigns.Service,
		Trigger: campaigns.Trigger{Question: "everyone"}, Audience: only, Goal: &campaigns.Test{Fact: "paying"},
		Steps: []campaigns.Step{{Do: "mail", Key: "news", Mail: &campaigns.Text{Subject: "S", Body: "B"}}}}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	flow := w.draft(campaigns.FromRecipe{Recipe: "not_started", Courses: []string{"c1"}})
	w.update(flow.ID, campaigns.Change{Audience: only})
	w.turn(once.ID, campaigns.Order{To: campaigns.On, Count: number(1), At: begin.Add(day).Format(time.RFC3339)})
	w.turn(flow.ID, campaigns.Order{To: campaigns.On, Past: "all", Count: number(1)})
	never, name := campaigns.Never, "Another name"
	for _, c := range []campaigns.Campaign{once, flow} {
		for i, change := range []campaigns.Change{{Audience: []byte("null")}, {Goal: &campaigns.Test{}},
			{Trigger: &campaigns.Trigger{Question: c.Trigger.Question}}, {Reentry: &never}} {
			if i == 2 && c.Kind == campaigns.Once {
				continue // its question has nothing to change
			}
			_, err := w.Update(t.Context(), "s1", c.ID, change)
			if w.conflict(err, "wrong_status"); err == nil {
				t.Errorf("%s: change %d", c.Kind, i)
			}
		}
		c.Steps[0].Mail.Subject = "Another"
		w.update(c.ID, campaigns.Change{Name: &name, Audience: []byte(` {"enrollment":{"course":"c1"}}`), Steps: c.Steps})
	}
	w.turn(once.ID, campaigns.Order{To: campaigns.Paused})
	_, err = w.Update(t.Context(), "s1", once.ID, campaigns.Change{Audience: []byte("null")})
	w.conflict(err, "wrong_status")
	w.turn(once.ID, campaigns.Order{To: campaigns.On})
	w.tick(0)
	w.update(flow.ID, campaigns.Change{Audience: []byte("null")})
	w.tick(day)
	w.want(`SELECT email FROM runs ORDER BY occurrence`, `ann@x.example
		ann@x.example`)
}

// A segment that is widened after the number was typed in reaches no one: the campaign is paused, says why, and goes on
// only for the number of customers who match now. Some who came meanwhile are no reason.
func TestAWidenedSegmentIsConfirmedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO customers (store_id, email, type) SELECT 's1', 'p' || n || '@x.example',
		CASE WHEN n <= 20 THEN 'paying' ELSE 'lead' END FROM generate_series(1, 100) n`)
	all := segments.New(w.store)
	kept, err := all.Create(t.Context(), "s1", segments.Segment{Name: "Buyers", Kind: segments.Dynamic,
		Rule: []byte(`{"customer": {"type": "paying"}}`)}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Create(t.Context(), "s1", campaigns.Campaign{Name: "News", Class: campaigns.Service,
		Trigger: campaigns.Trigger{Question: "everyone"}, Audience: []byte(`{"segment": "` + kept.ID + `"}`),
		Steps: []campaigns.Step{{Do: "mail", Key: "news", Mail: &campaigns.Text{Subject: "S", Body: "B"}}}}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(20), At: begin.Add(day).Format(time.RFC3339)})
	if _, err := all.Update(t.Context(), "s1", kept.ID, segments.Change{
		Rule: []byte(`{"customer": {"type": ["paying", "subscription"]}}`)}); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE customers SET type = 'subscription' WHERE split_part(email, '@', 1) > 'p3'`)
	w.tick(day)
	const state = `SELECT concat_ws(' ', state, CASE WHEN unconfirmed THEN 'audience' END, confirmed,
		(SELECT count(*) FROM runs)) FROM campaigns`
	w.want(state, `paused audience 20 0`)
	n := w.rows(`SELECT count(*)::text FROM customers WHERE type <> 'lead'`)[0]
	for _, count := range []*int{nil, number(20)} {
		if _, err := w.Switch(t.Context(), "s1", c.ID, campaigns.Order{To: campaigns.On, Count: count}, w.now); err == nil ||
			!strings.Contains(err.Error(), n+" customers") {
			t.Errorf("it goes on without the number: %v", err)
		}
	}
	now, _ := strconv.Atoi(n)
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: &now})
	w.exec(`UPDATE customers SET type = 'paying' WHERE id IN (SELECT id FROM customers WHERE type = 'lead' LIMIT 3)`)
	w.tick(time.Minute)
	w.want(state, fmt.Sprintf("on %d %d", now, now+3))
}

// leads are all who only enrolled: other customers than all, though they may be the same.
var leads = []byte(`{"customer": {"type": "lead"}}`)

// Of two campaigns of a recipe that are for one course both, one mails a customer for it, also if both have a mail that
// waits: that which is first in the order of mails. The reason says so of the other.
func TestOneMailOfARecipe(t *testing.T) {
	t.Parallel()
	for _, class := range []string{campaigns.Service, campaigns.Marketing} {
		w := newWorld(t)
		w.keepEnrolled("ann@x.example", "bob@x.example")
		w.agreed("ann@x.example", "bob@x.example")
		all := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &class})
		w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &class, Audience: leads})
		last := 4
		w.update(all.ID, campaigns.Change{Priority: &last})
		w.tick(day)
		w.want(`SELECT count(*)::text FROM mails WHERE status = 'due'`, `4`)
		w.send()
		w.want(`SELECT concat_ws(' ', email, priority, status, reason) FROM mails ORDER BY 1`, `
			ann@x.example 3 sent
			ann@x.example 4 skipped twice
			bob@x.example 3 sent
			bob@x.example 4 skipped twice`)
	}
}

// A mail that waited while its campaign was paused is not sent if another campaign of the recipe mailed the customer
// meanwhile, though that has ended. What the other mailed for another course is no reason.
func TestOneMailOfARecipeThatWasPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("ann@x.example", "bob@x.example")
	first := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.turn(first.ID, campaigns.Order{To: campaigns.Paused})
	second := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
	w.turn(second.ID, campaigns.Order{To: campaigns.On, Past: "all", Count: number(2)})
	w.exec(`UPDATE mails SET due_at = due_at + interval '1 hour'`) // they wait for the end of quiet hours
	w.tick(0)
	w.send()
	w.want(`SELECT email FROM mails WHERE status = 'sent' AND campaign_id = '`+second.ID+`' ORDER BY 1`, `ann@x.example
		bob@x.example`)
	w.turn(second.ID, campaigns.Order{To: campaigns.Ended})
	w.exec(`UPDATE mails SET occurrence = 'course:c9' WHERE status = 'sent' AND email = 'bob@x.example'`)
	w.turn(first.ID, campaigns.Order{To: campaigns.On})
	w.tick(time.Hour)
	w.wantLines(w.previewed(first.ID, w.now), "ann@x.example first course:c1 twice", "bob@x.example first course:c1")
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails WHERE campaign_id = '`+first.ID+`' ORDER BY 1`, `
		ann@x.example skipped twice
		bob@x.example sent`)
}
