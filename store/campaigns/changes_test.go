package campaigns_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

func (w *world) conflict(err error, code string) {
	w.Helper()
	var c *pg.Conflict
	if !errors.As(err, &c) || c.Code != code {
		w.Errorf("%v, want %s", err, code)
	}
}

func number(n int) *int { return &n }

// The past is reached only if its number is typed in, and then once.
func TestSwitchingOnThePast(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-100*day), 0, begin.Add(-100*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-17*day), 0, begin.Add(-17*day)),
		w.enrolled("c2", "cid@x.example", begin.Add(-16*day), 0, begin.Add(-16*day)),
	}})
	c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	order := campaigns.Order{To: campaigns.On, Past: "days", Days: 12, Count: number(3)}
	_, err = w.Switch(t.Context(), "s1", c.ID, order, w.now)
	w.conflict(err, "count_differs")
	if n, err := w.Reach(t.Context(), "s1", c.ID, order, w.now); n != 2 || err != nil {
		t.Errorf("would reach %d %v", n, err)
	}
	order.Count = nil
	var bad *pg.BadParam
	if _, err := w.Switch(t.Context(), "s1", c.ID, order, w.now); !errors.As(err, &bad) {
		t.Errorf("without a number: %v", err)
	}
	order.Count = number(2)
	w.turn(c.ID, order)
	w.wantLines(w.previewed(c.ID, w.now), "bob@x.example first course:c1", "cid@x.example first course:c2")
	w.tick(0)
	w.tick(day)
	w.want(allMails, `
		bob@x.example first course:c1
		cid@x.example first course:c2`)
	_, err = w.Switch(t.Context(), "s1", c.ID, order, w.now)
	w.conflict(err, "wrong_status")
}

// A campaign of one time reaches those who match then, and ends. Later ones are not meant.
func TestOnce(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-9*day), 100, begin),
		w.enrolled("c2", "bob@x.example", begin.Add(-9*day), 0, begin.Add(-9*day)),
	}})
	c, err := w.Create(t.Context(), "s1", campaigns.Campaign{Name: "News", Class: campaigns.Service,
		Trigger: campaigns.Trigger{Question: "everyone"}, Audience: []byte(`{"enrollment": {"course": "c1"}}`),
		Steps: []campaigns.Step{{Do: "mail", Key: "news", Mail: &campaigns.Text{Subject: "S", Body: "B"}}}}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(1), At: begin.Add(day).Format(time.RFC3339)})
	w.tick(0)
	w.want(allRuns, ``)
	w.wantLines(w.previewed(c.ID, begin.Add(day)), "ann@x.example news once")
	w.tick(day)
	w.want(allMails, `ann@x.example news once`)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "cid@x.example", w.now, 0, w.now)}})
	w.tick(day)
	w.want(`SELECT state FROM campaigns`, `on`) // its mail is not sent yet
	w.send()
	w.tick(time.Hour)
	w.want(`SELECT state FROM campaigns`, `ended`)
	w.want(allMails, `ann@x.example news once`)
	w.want(`SELECT status FROM mails`, `sent`)
}

// In a rehearsal everything happens but the mails, and nothing of it counts later.
func TestRehearsal(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-4*day), 0, begin.Add(-4*day)),
	}})
	c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.turn(c.ID, campaigns.Order{To: campaigns.Rehearsal})
	w.tick(day)
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails`, `ann@x.example skipped rehearsal`)
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.want(allRuns, ``)
	w.tick(2 * day)
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails`, `bob@x.example sent`)
}

// What a paused campaign has yet to send waits; what is too late when it goes on is not sent, and who became due
// meanwhile and is too late does not enter.
func TestPause(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-4*day), 0, begin.Add(-4*day)),
		w.enrolled("c1", "cid@x.example", begin.Add(3*day), 0, begin.Add(3*day)),
	}})
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.turn(c.ID, campaigns.Order{To: campaigns.Paused})
	w.send()
	w.tick(time.Hour)
	w.want(`SELECT status FROM mails`, `due`)
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.send()
	w.want(`SELECT status FROM mails`, `sent`)
	w.turn(c.ID, campaigns.Order{To: campaigns.Paused})
	w.tick(11 * day)
	w.send()
	w.want(allRuns, `ann@x.example course:c1 at second`)
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.tick(0)
	w.send()
	w.want(allRuns, `
		ann@x.example course:c1 late
		cid@x.example course:c1 at second`)
	w.want(allMails, `
		ann@x.example first course:c1
		cid@x.example first course:c1`)
}

// Two people turn out to be one in the middle: one run goes on, and no step comes twice.
func TestMerge(t *testing.T) {
	w := newWorld(t)
	ann := w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day))
	old := w.enrolled("c1", "old@x.example", begin.Add(-6*day), 0, begin.Add(-6*day))
	old.Person, old.Email = "user:user_ann", ""
	w.keep(facts.Set{
		Users:       []facts.User{{ID: "user_ann", Email: "old@x.example", Version: w.version(begin.Add(-7 * day))}},
		Enrollments: []facts.Enrollment{ann, old},
	})
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.send()
	w.want(allMails, `ann@x.example first course:c1
		old@x.example first course:c1`)
	w.keep(facts.Set{Users: []facts.User{{ID: "user_ann", Email: "ann@x.example", Version: w.version(w.now)}}})
	w.want(`SELECT email FROM customers`, `ann@x.example`)
	w.want(allRuns, `ann@x.example course:c1 at second
		ann@x.example course:c1 merged`)
	w.tick(7 * day)
	w.send()
	w.want(`SELECT concat_ws(' ', email, step, status, reason) FROM mails ORDER BY step, id`, `
		ann@x.example first sent
		ann@x.example first sent
		ann@x.example second sent`)
}

// An erasure takes the runs along.
func TestErasure(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
		w.enrolled("c1", "bob@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
	}})
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	if err := w.store.Erase(t.Context(), store.Erasing{Email: "ann@x.example"}, store.EraseOptions{
		Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
	w.tick(8 * day)
	w.want(allRuns, `bob@x.example course:c1 at the end`)
	w.want(`SELECT DISTINCT email FROM mails`, `bob@x.example`)
}

// A campaign that is changed in the middle goes on by its new steps: what is done stays done, a step that is gone is
// left out, and one that is moved does not come twice.
func TestChangeInTheMiddle(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day))}})
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.send()
	first, second := c.Steps[0], c.Steps[1]
	third := campaigns.Step{Key: "third", Wait: second.Wait, Do: "mail", Mail: &campaigns.Text{Subject: "3", Body: "3"}}
	later := first
	later.Wait = second.Wait
	for _, steps := range [][]campaigns.Step{{second, later, third}, {third, later}, {first, third}} {
		w.update(c.ID, campaigns.Change{Steps: steps})
		w.tick(0)
	}
	w.want(allRuns, `ann@x.example course:c1 at second`)
	w.wantLines(w.previewed(c.ID, w.now.Add(7*day)), "ann@x.example third course:c1")
	w.tick(7 * day)
	w.tick(7 * day)
	w.want(allMails, `ann@x.example first course:c1
		ann@x.example third course:c1`)
	w.want(`SELECT concat_ws(' ', step, version, subject) FROM mail_bodies ORDER BY 1`, `
		first 1 {course} is waiting for you
		second 1 Ten minutes for {course}
		third 1 3`)
	third.Mail.Subject = "drei"
	w.update(c.ID, campaigns.Change{Steps: []campaigns.Step{first, third}})
	w.want(`SELECT concat_ws(' ', step, version, subject) FROM mail_bodies WHERE step = 'third' ORDER BY 1`, `
		third 1 3
		third 2 drei`)
}

func (w *world) update(id string, change campaigns.Change) campaigns.Campaign {
	w.Helper()
	c, err := w.Update(w.Context(), "s1", id, change)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// Some are held out and get nothing, the others one of two texts; the effect is what the goal says.
func TestResults(t *testing.T) {
	w := newWorld(t)
	var set facts.Set
	for i := range 60 {
		set.Enrollments = append(set.Enrollments, w.enrolled("c1", fmt.Sprintf("p%d@x.example", i), begin.Add(-6*day), 0,
			begin.Add(-6*day)))
	}
	w.keep(set)
	c := campaigns.RecipeNamed("not_started").Campaign
	c.Steps[0].B = &campaigns.Text{Subject: "B", Body: "B"}
	defer func() { c.Steps[0].B = nil }()
	w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Steps: c.Steps, Holdout: number(40)})
	w.tick(day)
	w.send()
	r := w.results()
	if len(r.Arms) != 3 || r.Effect != nil || r.Entered != 60 || r.Arms[0].Arm != "held" || r.Arms[0].Running == 0 ||
		r.CameBack.Of != 0 {
		t.Fatalf("%+v", r)
	}
	w.want(`SELECT DISTINCT concat_ws(' ', r.arm, b.subject, m.version) FROM runs r
		LEFT JOIN mails m USING (campaign_id, email, occurrence)
		LEFT JOIN mail_bodies b ON b.campaign_id = m.campaign_id AND b.step = m.step AND b.version = m.version ORDER BY 1`, `
		a {course} is waiting for you 1
		b B 2
		held`)
	set = facts.Set{}
	for _, email := range w.rows(`SELECT email FROM runs WHERE arm <> 'held'`) {
		set.Enrollments = append(set.Enrollments, w.enrolled("c1", email, begin.Add(-6*day), 10, w.now.Add(day)))
	}
	w.keep(set)
	w.tick(7 * day)
	w.tick(14 * day)
	r = w.results()
	mailed := r.Entered - r.Arms[0].Entered
	if r.CameBack.Of != mailed || r.CameBack.Did != mailed {
		t.Errorf("%d of %d came back, want all %d", r.CameBack.Did, r.CameBack.Of, mailed)
	}
	if r.Effect == nil || !r.Effect.Clear || r.Effect.Value != 1 || r.Arms[0].Goal != 0 || r.Versus.Clear {
		t.Errorf("%+v", r)
	}
}

// Of a campaign with many runs, a worker counts the results when someone asks, and again once they are old.
func TestKeptResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("p1@x.example", "p2@x.example", "p3@x.example")
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.send()
	count := func(want bool) {
		t.Helper()
		if worked, err := w.Count(t.Context(), w.now); err != nil || worked != want {
			t.Errorf("counted: %v, %v", worked, err)
		}
	}
	live, figures := w.results(), w.figures(c.ID)
	count(false) // no one needs that
	w.CountAtMost(2)
	if _, err := w.Results(t.Context(), "s1", c.ID, w.now); !errors.Is(err, campaigns.ErrCounting) {
		t.Error(err)
	}
	count(true)
	count(false)
	if diff := cmp.Diff(live, w.results()); diff != "" || live.Entered != 3 || len(live.Mails) == 0 {
		t.Errorf("-counted +kept\n%s", diff)
	}
	if diff := cmp.Diff(figures, w.figures(c.ID)); diff != "" || figures.Sent != 3 {
		t.Errorf("-counted +kept\n%s", diff)
	}
	w.exec(`DELETE FROM mails`)
	w.now = w.now.Add(9 * time.Minute)
	if r := w.results(); len(r.Mails) == 0 || w.figures(c.ID).Sent != 3 {
		t.Errorf("%+v is counted for each who asks", r)
	}
	count(false)
	w.now = w.now.Add(time.Minute)
	w.results()
	count(true)
	if r := w.results(); len(r.Mails) > 0 || !r.AsOf.Equal(w.now) || w.figures(c.ID).Sent != 0 {
		t.Errorf("%+v is old", r)
	}
	w.now = w.now.Add(10 * time.Minute)
	w.figures(c.ID)
	count(true)
	if _, err := w.Results(t.Context(), "s2", c.ID, w.now); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("another store: %v", err)
	}
}

func (w *world) figures(id string) campaigns.Figures {
	w.Helper()
	all, err := w.Figures(w.Context(), "s1", w.now)
	if err != nil {
		w.Fatal(err)
	}
	return all[id]
}

func (w *world) results() campaigns.Results {
	w.Helper()
	r, err := w.Results(w.Context(), "s1", w.rows(`SELECT id FROM campaigns`)[0], w.now)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// Tags and notes are put at their time, and a tag is taken at the goal. A tag that a campaign uses cannot be deleted.
func TestTags(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-20*day), 30, begin.Add(-13*day))}})
	c := w.make(campaigns.FromRecipe{Recipe: "stuck"}, campaigns.Change{})
	w.tick(day)
	w.tick(14 * day)
	w.want(`SELECT concat_ws(' ', email, t.name) FROM customer_tags JOIN tags t ON t.id = tag_id
		WHERE tagged_by = 'campaign:`+c.ID+`'`, `ann@x.example Stuck`)
	w.conflict(w.deleteTag(c.OnGoal[0].Tag), "in_use")
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-20*day), 60, w.now)}})
	w.tick(day)
	w.want(`SELECT email FROM customer_tags`, ``)
	w.want(allRuns, `ann@x.example course:c1#2026-02-17 goal`)
	w.tick(14 * day) // stuck again, for the second time
	w.want(allRuns, `ann@x.example course:c1#2026-02-17 goal
		ann@x.example course:c1#2026-03-17 at tag`)
	w.turn(c.ID, campaigns.Order{To: campaigns.Ended})
	if err := w.deleteTag(c.OnGoal[0].Tag); err != nil {
		t.Error(err)
	}
}

// Tests go to the store's own people only, make no run, and are sent whatever the state of the campaign.
func TestTestMails(t *testing.T) {
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", begin, 0, begin)}})
	c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"ann@x.example", "\x00", ""} {
		var bad *pg.BadParam
		if err := w.TestMail(t.Context(), "s1", c.ID, "first", "a", to, w.now); !errors.As(err, &bad) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if err := w.TestMail(t.Context(), "s1", c.ID, "first", "a", "owner@x.example", w.now); err != nil {
		t.Fatal(err)
	}
	w.send()
	w.want(`SELECT concat_ws(' ', email, class, status) FROM mails`, `owner@x.example test sent`)
	w.want(allRuns, ``)
}
