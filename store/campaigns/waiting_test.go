package campaigns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

// Marketing is not switched on, continued, or made of service while no postal address is named; and that of a store
// is not taken away while marketing is on. Should it be missing still, marketing waits, and a preview says so.
func TestMarketingNamesAPostalAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("ann@x.example")
	w.agreed("ann@x.example")
	marketing, service := campaigns.Marketing, campaigns.Service
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &marketing})
	settings, _, err := w.mails().Settings(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	settings.PostalAddress = " \n"
	var bad *pg.BadParam
	if err := w.mails().Save(t.Context(), "s1", settings, nil); !errors.As(err, &bad) ||
		!strings.Contains(bad.Error(), c.Name) {
		t.Errorf("taken away: %v", err)
	}
	w.turn(c.ID, campaigns.Order{To: campaigns.Paused})
	if err := w.mails().Save(t.Context(), "s1", settings, nil); err != nil {
		t.Errorf("of a paused campaign: %v", err)
	}
	_, err = w.Switch(t.Context(), "s1", c.ID, campaigns.Order{To: campaigns.On}, w.now)
	w.conflict(err, "not_ready")
	w.update(c.ID, campaigns.Change{Class: &service})
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	_, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Class: &marketing})
	w.conflict(err, "not_ready")

	w.exec(`UPDATE campaigns SET class = 'marketing'`)
	w.tick(day)
	w.wantLines(w.previewed(c.ID, w.now), "ann@x.example first course:c1 postal")
	w.send()
	w.want(`SELECT concat_ws(' ', class, status, reason) FROM mails`, `marketing due postal`)
	settings.PostalAddress = "1 High Street"
	if err := w.mails().Save(t.Context(), "s1", settings, nil); err != nil {
		t.Fatal(err)
	}
	w.tick(time.Hour)
	w.send()
	w.want(`SELECT concat_ws(' ', class, status, reason) FROM mails`, `marketing sent`)
}

// agreed keeps that people agreed to marketing.
func (w *world) agreed(emails ...string) {
	w.Helper()
	for _, email := range emails {
		w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
			VALUES ('s1', '', $2, 'marketing', 'granted', $1, 'page', '1')`, w.now, email)
	}
}

// What a step asks for is asked again when its mail goes out: who began the course overnight is not told that they have
// not. A preview says the same before.
func TestConditionsOfWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.make(campaigns.FromRecipe{Recipe: "welcome"}, campaigns.Change{})
	at := w.now.Add(time.Hour)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", at, 0, at),
		w.enrolled("c1", "bob@x.example", at, 0, at)}})
	w.tick(time.Hour)
	w.send()
	w.tick(3 * day)
	w.want(`SELECT concat_ws(' ', email, step, status) FROM mails ORDER BY 1`, `
		ann@x.example hello sent
		ann@x.example start due
		bob@x.example hello sent
		bob@x.example start due`)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", at, 5, w.now)}})
	w.wantLines(w.previewed(w.rows(`SELECT id FROM campaigns`)[0], w.now), "ann@x.example start course:c1 skipped",
		"bob@x.example start course:c1")
	w.send()
	w.want(`SELECT concat_ws(' ', email, step, status, reason) FROM mails ORDER BY 1`, `
		ann@x.example hello sent
		ann@x.example start skipped skipped
		bob@x.example hello sent
		bob@x.example start sent`)
}

// A change of a campaign reaches the mails that wait: they are of its class as it is now, with the consent that this
// needs, and say what it says now; a step that was taken out is not sent. A preview says the same before.
func TestAChangeReachesWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("ann@x.example", "bob@x.example", "cid@x.example")
	w.agreed("ann@x.example")
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.want(`SELECT concat_ws(' ', class, version, status) FROM mails`, strings.Repeat("service 1 due\n", 3))
	marketing, steps := campaigns.Marketing, c.Steps
	steps[0].Mail = &campaigns.Text{Subject: "Newer", Body: "Newer"}
	w.update(c.ID, campaigns.Change{Class: &marketing, Steps: steps})
	w.wantLines(w.previewed(c.ID, w.now), "ann@x.example first course:c1", "bob@x.example first course:c1 consent",
		"cid@x.example first course:c1 consent")
	w.send()
	w.want(`SELECT concat_ws(' ', m.email, m.class, m.status, m.reason, b.subject) FROM mails m
		JOIN mail_bodies b USING (campaign_id, step, version) ORDER BY m.email`, `
		ann@x.example marketing sent Newer
		bob@x.example marketing skipped consent Newer
		cid@x.example marketing skipped consent Newer`)

	w.keepEnrolled("dan@x.example", "eve@x.example")
	w.agreed("dan@x.example", "eve@x.example")
	w.tick(time.Minute)
	w.want(`SELECT email FROM mails WHERE status = 'due' ORDER BY 1`, `dan@x.example
		eve@x.example`)
	w.update(c.ID, campaigns.Change{Steps: steps[1:]})
	w.wantLines(w.previewed(c.ID, w.now), "dan@x.example first course:c1 removed", "eve@x.example first course:c1 removed")
	p, err := w.Preview(t.Context(), "s1", c.ID, campaigns.PreviewOf{At: w.now, Limit: 1}, w.now)
	if err != nil || p.Forecast[0].Mails != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	w.send()
	w.want(`SELECT DISTINCT concat_ws(' ', step, status, reason) FROM mails WHERE email ~ 'dan|eve'`,
		`first skipped removed`)
}

// Of a second text that was dropped, those who were to get it get the first.
func TestADroppedTextIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var emails []string
	for i := range 12 {
		emails = append(emails, fmt.Sprintf("p%d@x.example", i))
	}
	w.keepEnrolled(emails...)
	c := w.draft(campaigns.FromRecipe{Recipe: "not_started"})
	c.Steps[0].B = &campaigns.Text{Subject: "B", Body: "B"}
	c = w.update(c.ID, campaigns.Change{Steps: c.Steps})
	w.turn(c.ID, campaigns.Order{To: campaigns.On})
	w.tick(day)
	w.want(`SELECT DISTINCT concat_ws(' ', variant, version) FROM mails ORDER BY 1`, `a 1
		b 2`)
	c.Steps[0].B = nil
	w.update(c.ID, campaigns.Change{Steps: c.Steps})
	w.send()
	w.want(`SELECT DISTINCT concat_ws(' ', version, status) FROM mails`, `1 sent`)
}

// An ended campaign sends nothing, and its preview says no one.
func TestPreviewOfAnEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("ann@x.example", "bob@x.example")
	c := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.wantLines(w.previewed(c.ID, w.now), "ann@x.example first course:c1", "bob@x.example first course:c1")
	w.turn(c.ID, campaigns.Order{To: campaigns.Ended})
	for _, at := range []time.Time{w.now, w.now.Add(day)} {
		p, err := w.Preview(t.Context(), "s1", c.ID, campaigns.PreviewOf{At: at, Limit: 9}, w.now)
		if err != nil || p.State != campaigns.Ended || len(p.Counts)+len(p.People) > 0 ||
			p.Every != 1 || p.ForecastEvery != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		for _, d := range p.Forecast {
			if d.Mails > 0 {
				t.Errorf("%+v", d)
			}
		}
	}
}

// A mail of unknown end stays unknown while it may not be sent again, and it is said why: of a campaign that was ended,
// or to a person who left, before or after it was asked for. One of one time that ended as its work was done may send.
func TestSendingAgainKeepsTheDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keepEnrolled("ann@x.example", "bob@x.example")
	w.agreed("ann@x.example", "bob@x.example")
	flow := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	once := w.once("News", 5)
	w.turn(once.ID, campaigns.Order{To: campaigns.On, Count: number(2)})
	w.tick(day)
	w.send()
	w.tick(time.Hour)
	w.want(`SELECT state FROM campaigns ORDER BY kind`, `on
		ended`)
	w.turn(flow.ID, campaigns.Order{To: campaigns.Ended})
	w.exec(`UPDATE mails SET status = 'unknown', reason = 'cut', sent_at = NULL`)
	ids := map[string]int64{}
	for _, row := range w.rows(`SELECT id || ' ' || email || ' ' || campaign_id FROM mails`) {
		var id int64
		var email, campaign string
		if _, err := fmt.Sscan(row, &id, &email, &campaign); err != nil {
			t.Fatal(err)
		}
		ids[email[:3]+" "+campaign] = id
	}
	again := func(who, campaign string) error {
		return w.mails().SendAgain(t.Context(), "s1", ids[who+" "+campaign], w.now)
	}
	err := again("ann", flow.ID)
	if w.conflict(err, "wrong_status"); err != nil && !strings.Contains(err.Error(), "The campaign has ended") {
		t.Errorf("it is not said why: %v", err)
	}
	const all = `SELECT concat_ws(' ', left(email, 3), step, c.kind, m.status,
			CASE WHEN m.status <> 'sent' THEN m.reason END)
		FROM mails m
		JOIN campaigns c ON c.id = m.campaign_id ORDER BY c.kind, email`
	w.want(all, `ann first flow unknown cut
		bob first flow unknown cut
		ann first once unknown cut
		bob first once unknown cut`)
	for _, who := range []string{"ann", "bob"} {
		if err := again(who, once.ID); err != nil {
			t.Error(err)
		}
	}
	w.conflict(again("ann", once.ID), "wrong_status")
	w.exec(`UPDATE mail_consents SET state = 'denied' WHERE email = 'bob@x.example'`)
	w.send()
	w.want(all, `ann first flow unknown cut
		bob first flow unknown cut
		ann first once sent
		bob first once unknown consent`)
	if err := again("bob", once.ID); err == nil || !strings.Contains(err.Error(), "Has not agreed") {
		t.Errorf("to one who did not agree: %v", err)
	}
	w.exec(`UPDATE runs SET ended_for = 'ended'`)
	w.exec(`UPDATE mail_consents SET state = 'granted'`)
	if err := again("bob", once.ID); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("of one that was ended by hand: %v", err)
	}
}
