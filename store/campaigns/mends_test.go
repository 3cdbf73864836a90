package campaigns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

// What a person has sent again of a campaign of one time that has ended is not sent to who reached its goal meanwhile:
// neither before it is asked for, nor after.
func TestSendingAgainAsksForTheGoal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO customers (store_id, email) VALUES ('s1', 'ann@x.example'), ('s1', 'bob@x.example')`)
	w.agreed("ann@x.example", "bob@x.example")
	c := w.once("News", 5)
	c = w.update(c.ID, campaigns.Change{Goal: &campaigns.Test{Fact: "paying"}})
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(2)})
	w.tick(0)
	w.send()
	w.tick(day)
	w.want(`SELECT state FROM campaigns`, `ended`)
	w.exec(`UPDATE mails SET status = 'unknown', reason = 'cut', sent_at = NULL`)
	ids := map[string]int64{}
	for _, who := range []string{"ann", "bob"} {
		var id int64
		if err := w.store.Pool.QueryRow(t.Context(), `SELECT id FROM mails WHERE email LIKE $1 || '%'`, who).
			Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[who] = id
	}
	w.exec(`UPDATE customers SET type = 'paying' WHERE email = 'ann@x.example'`)
	err := w.mails().SendAgain(t.Context(), "s1", ids["ann"], w.now)
	if w.conflict(err, "wrong_status"); err != nil && !strings.Contains(err.Error(), "goal") {
		t.Error(err)
	}
	if err := w.mails().SendAgain(t.Context(), "s1", ids["bob"], w.now); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE customers SET type = 'paying'`)
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails ORDER BY 1`, `ann@x.example unknown cut
		bob@x.example unknown goal`)
}

// What was kept back by a limit that is lifted is due again, in the preview as in the claim.
func TestARelaxedLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO customers (store_id, email) VALUES ('s1', 'ann@x.example')`)
	w.agreed("ann@x.example")
	one, two := w.once("One", 4), w.once("Two", 5)
	for _, c := range []campaigns.Campaign{one, two} {
		w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(1)})
	}
	w.tick(0)
	w.send()
	const all = `SELECT concat_ws(' ', priority, status, reason) FROM mails ORDER BY 1`
	w.want(all, `4 sent
		5 due cap`)
	w.now = w.now.Add(time.Hour)
	w.wantLines(w.previewed(two.ID, w.now))
	settings, _, err := w.mails().Settings(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	settings.CapDay = nil
	if err := w.mails().Save(t.Context(), "s1", settings, nil); err != nil {
		t.Fatal(err)
	}
	w.wantLines(w.previewed(two.ID, w.now), "ann@x.example first once")
	w.send()
	w.want(all, `4 sent
		5 sent`)
}

// A campaign names only what its store has, and the error names the field. What it named before may be gone.
func TestWhatACampaignNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused := func(field, id string, err error) {
		t.Helper()
		var bad *pg.BadParam
		if !errors.As(err, &bad) || bad.Name != field || !strings.Contains(bad.Reason, id) {
			t.Errorf("%s %s: %v", field, id, err)
		}
	}
	_, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started", Courses: []string{"c1", "c9"}},
		"admin")
	refused("trigger", "c9", err)
	_, err = w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "finished", Product: "p9"}, "admin")
	refused("goal", "p9", err)
	w.exec(`INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
		VALUES ('seg_other', 's2', 'A', 'a', 'dynamic', '{"customer": {"type": "lead"}}', 'admin')`)
	c := w.draft(campaigns.FromRecipe{Recipe: "not_started", Courses: []string{"c1"}})
	for _, id := range []string{"seg_none", "seg_other"} {
		_, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Audience: []byte(`{"segment": "` + id + `"}`)})
		refused("audience", id, err)
	}
	_, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Audience: []byte(`{"none": [{"tag": "tag_gone"}]}`)})
	refused("audience", "tag_gone", err)
	w.update(c.ID, campaigns.Change{Audience: []byte(`{"segment": "at_risk"}`)})
	w.exec(`DELETE FROM products WHERE id = 'c1'`)
	name := "Another"
	w.update(c.ID, campaigns.Change{Name: &name})
}

// A draft that is deleted takes its tests along that were not sent yet.
func TestADeletedDraftSendsNoTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
	if err := w.TestMail(t.Context(), "s1", c.ID, "first", "a", "owner@x.example", w.now); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), "s1", c.ID); err != nil {
		t.Fatal(err)
	}
	w.want(`SELECT step FROM mails UNION ALL SELECT step FROM mail_bodies`, ``)
}

// A text with {link} is not switched on while the store has not said where links lead, and a preview says the same,
// with the step. A text that says what stands there instead may go, and so may one about an invoice, which has a link.
func TestAMailThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE mail_settings SET home_url = ''`)
	c := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
	p, err := w.Preview(t.Context(), "s1", c.ID, campaigns.PreviewOf{At: w.now, Limit: 1}, w.now)
	if err != nil || !strings.HasPrefix(p.Lacks, "Step 1 “{course} is waiting for you” uses {link}") {
		t.Errorf("%q %v", p.Lacks, err)
	}
	on := campaigns.Order{To: campaigns.On}
	_, err = w.Switch(t.Context(), "s1", c.ID, on, w.now)
	if w.conflict(err, "not_ready"); err == nil || !strings.Contains(err.Error(), p.Lacks) {
		t.Error(err)
	}
	w.turn(w.draft(campaigns.FromRecipe{Recipe: "payment_failed"}).ID, on)
	steps := c.Steps
	for i := range steps {
		steps[i].Mail.Body = "[See](https://x.example) {link|}"
	}
	c = w.update(c.ID, campaigns.Change{Steps: steps})
	w.turn(c.ID, on)
	steps[1].Mail.Body = "[See]({link})"
	_, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Steps: steps})
	w.conflict(err, "not_ready")
	w.exec(`UPDATE mail_settings SET course_url = 'https://s.example/{course}'`)
	w.update(c.ID, campaigns.Change{Steps: steps})
	silent := w.draft(campaigns.FromRecipe{Recipe: "silent"}) // is about no course
	_, err = w.Switch(t.Context(), "s1", silent.ID, on, w.now)
	w.conflict(err, "not_ready")
}

// Where links lead cannot be taken away while a mail of a campaign that is on needs it; the refusal names it. What is
// no worse than before can be saved.
func TestLinksLeadSomewhereWhileCampaignsAreOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
	w.turn(w.draft(campaigns.FromRecipe{Recipe: "payment_failed"}).ID, campaigns.Order{To: campaigns.On})
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	settings, _, err := w.mails().Settings(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	save := func(home, course, wrong string) {
		t.Helper()
		settings.HomeURL, settings.CourseURL = home, course
		err := w.SaveSettings(t.Context(), "s1", settings)
		var bad *pg.BadParam
		if errors.As(err, &bad); (wrong == "") != (err == nil) || bad != nil && (bad.Name != "home_url" ||
			!strings.Contains(bad.Reason, wrong)) {
			t.Errorf("%q %q: %v", home, course, err)
		}
	}
	const courses = "https://s.example/{course}"
	save("", "", "“Not started”, which")
	save("", courses, "")
	save("", "", "“Not started”, which")
	w.turn(c.ID, campaigns.Order{To: campaigns.Paused})
	save("", "", "")
	w.exec(`UPDATE campaigns SET state = 'on'`) // before this was asked
	save("", "", "")
}

// Results name steps in their order, count who got a mail and how often links were followed; and who types a number in
// reads how many of them would get no mail.
func TestWhatResultsSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO customers (store_id, email) VALUES ('s1', 'ann@x.example'), ('s1', 'bob@x.example')`)
	w.agreed("ann@x.example")
	c := w.once("News", 5)
	steps := []campaigns.Step{
		{Key: "zzz", Do: "mail", Mail: &campaigns.Text{Subject: "First", Body: "[A](https://a.example) {link}"}},
		{Key: "aaa", Do: "mail", Wait: campaigns.Wait(day), Mail: &campaigns.Text{Subject: "Second", Body: "B"}}}
	c = w.update(c.ID, campaigns.Change{Steps: steps})
	for _, count := range []*int{nil, number(7)} {
		_, err := w.Switch(t.Context(), "s1", c.ID, campaigns.Order{To: campaigns.On, Count: count}, w.now)
		if err == nil || !strings.Contains(err.Error(), "1 of them would get no mail then: Has not agreed") {
			t.Error(err)
		}
	}
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(2)})
	w.tick(0)
	w.send()
	w.tick(day)
	w.send()
	w.exec(`UPDATE mail_settings SET course_url = 'https://c.example/{course}/go'`)
	w.exec(`INSERT INTO mail_links (store_id, url) VALUES ('s1', 'https://s.example'), ('s1', 'https://other.example'),
		('s1', 'https://c.example/c1/go'), ('s1', 'https://c.example/c1/else')`)
	w.exec(`INSERT INTO mail_clicks (link_id, day, people, machines)
		SELECT id, d, 2, 1 FROM mail_links, unnest('{2026-03-01, 2026-03-02, 2026-03-03}'::date[]) d`)
	r, err := w.Results(t.Context(), "s1", c.ID, w.now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range r.Mails {
		got = append(got, fmt.Sprint(m.Name, " ", m.Status, " ", m.Mails))
	}
	for _, l := range r.Links {
		got = append(got, fmt.Sprint(l.URL, " ", l.People, " ", l.Machines))
	}
	w.wantLines(got, "1. First sent 1", "1. First skipped 1", "2. Second sent 1", "2. Second skipped 1",
		"https://a.example 4 2", "https://c.example/c1/go 4 2", "https://s.example 4 2")
	if len(r.Arms) != 1 || r.Arms[0].Entered != 2 || r.Arms[0].Mailed != 1 {
		t.Errorf("%+v", r.Arms)
	}
}
