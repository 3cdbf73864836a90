package campaigns_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/mail"
	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
)

// left is a checkout that expires now, whose buyer can go on with it.
func (w *world) left(id, said string, who facts.Context) facts.Checkout {
	who.StoreRef = "s1"
	start, until := w.now.Add(-day), w.now.Add(30*day)
	return facts.Checkout{ID: id, Status: "expired", Context: who, RecoveryURL: "https://x.example/" + id,
		RecoveryUntil: &until, Promotions: said, StartedAt: &start, Version: w.version(w.now)}
}

// consented is an older word for an address, from a file.
func (w *world) consented(email, state string) facts.Consent {
	return facts.NewConsent(facts.Consent{StoreID: "s1", Email: email, Kind: facts.Marketing, State: state,
		SaidAt: begin.AddDate(0, -1, 0), Source: "import"}, "e1")
}

// What a buyer says at a checkout that they leave counts as what they say at one that they finish, however they are
// known there; and it moves with them.
func TestLeftCheckoutsAreWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var set facts.Set
	for _, name := range []string{"typed", "user", "stripe", "former", "asked", "none", "elsewhere"} {
		email := name + "@x.example"
		set.Enrollments = append(set.Enrollments, w.enrolled("c1", email, begin.Add(-9*day), 10, begin.Add(-9*day)))
		if name != "asked" {
			set.Consents = append(set.Consents, w.consented(email, facts.Granted))
		}
	}
	set.Users = []facts.User{
		{ID: "user_u", Email: "user@x.example", Version: w.version(begin.Add(-9 * day))},
		{ID: "user_f", Email: "former@x.example", Version: w.version(begin.Add(-9 * day))},
	}
	set.StripeCustomers = []facts.StripeCustomer{{ID: "cus_1", Email: "stripe@x.example",
		Version: w.version(begin.Add(-9 * day))}}
	w.keep(set)
	w.make(campaigns.FromRecipe{Recipe: "left_checkout"}, campaigns.Change{})
	elsewhere := w.left("cs_other", "opt_out", facts.Context{Email: "elsewhere@x.example"})
	elsewhere.StoreRef = "s2"
	w.keep(facts.Set{Checkouts: []facts.Checkout{
		w.left("cs_typed", "opt_out", facts.Context{Email: "typed@x.example"}),
		w.left("cs_user", "opt_out", facts.Context{UserRef: "user_u", Email: "typed-by-user@x.example"}),
		w.left("cs_stripe", "opt_out", facts.Context{StripeCustomer: "cus_1"}),
		w.left("cs_former", "opt_out", facts.Context{Email: "former@x.example"}),
		w.left("cs_asked", "opt_in", facts.Context{Email: "asked@x.example"}),
		w.left("cs_none", "", facts.Context{Email: "none@x.example"}),
		w.left("cs_else", "", facts.Context{Email: "elsewhere@x.example"}),
		elsewhere,
	}})
	w.tick(2 * time.Hour)
	w.send()
	w.want(`SELECT concat_ws(' ', email, status, reason) FROM mails ORDER BY 1`, `
		asked@x.example sent
		elsewhere@x.example sent
		former@x.example skipped consent
		none@x.example sent
		stripe@x.example skipped consent
		typed@x.example skipped consent
		user@x.example skipped consent`)

	w.keep(facts.Set{Users: []facts.User{
		{ID: "user_u", Email: "later@x.example", Version: w.version(w.now)},
		{ID: "user_f", Email: "now@x.example", Version: w.version(w.now)},
	}})
	w.want(`SELECT concat_ws(' ', c.email, w.state) FROM customers c JOIN mail_words w USING (store_id, email)
		WHERE c.email IN ('later@x.example', 'now@x.example') AND w.state = 'denied' ORDER BY 1`, `
		later@x.example denied
		now@x.example denied`)
}

// A recipe that is switched off and on again is another campaign: it mails no one for what the first mailed them for,
// and who wants no more mails of this kind gets none, of whichever campaign.
func TestRecipeSwitchedOffAndOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := func(course, email string, days int) facts.Enrollment {
		at := begin.Add(time.Duration(days) * day)
		return w.enrolled(course, email, at, 0, at)
	}
	w.keep(facts.Set{Enrollments: []facts.Enrollment{in("c1", "ann@x.example", -6), in("c1", "bob@x.example", -6),
		in("c2", "ann@x.example", -4), in("c2", "bob@x.example", -4), in("c1", "cid@x.example", -4)}})
	first := w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{})
	w.tick(day)
	w.send()
	w.want(allMails, `
		ann@x.example first course:c1
		bob@x.example first course:c1`)
	recipients := storemail.NewRecipients(w.store)
	for _, id := range w.rows(`SELECT id::text FROM mails WHERE email = 'ann@x.example'`) {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := recipients.Unsubscribe(t.Context(), mail.Ticket{Mail: n}, storemail.ThisKind, w.now); err != nil {
			t.Fatal(err)
		}
	}
	w.turn(first.ID, campaigns.Order{To: campaigns.Ended})

	second, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * day)
	w.turn(second.ID, campaigns.Order{To: campaigns.On, Past: "all", Count: number(3)})
	w.tick(0)
	w.send()
	w.want(`SELECT concat_ws(' ', email, occurrence, status, reason) FROM mails WHERE campaign_id = '`+second.ID+
		`' ORDER BY 1`, `
		ann@x.example course:c2 skipped stopped
		bob@x.example course:c2 sent
		cid@x.example course:c1 sent`)
	for email, want := range map[string]string{"ann@x.example": "", "bob@x.example": ""} {
		stories, err := w.OfCustomer(t.Context(), "s1", w.rows(`SELECT id::text FROM customers WHERE email = '` + email +
			`'`)[0], w.now)
		if err != nil || len(stories) != 2 || stories[0].WhyNot != want {
			t.Errorf("%s: %+v %v", email, stories, err)
		}
	}

	// A campaign of one's own is a kind of its own.
	own := w.make(campaigns.FromRecipe{Recipe: "welcome"}, campaigns.Change{})
	w.exec(`UPDATE campaigns SET recipe = '' WHERE id = '` + own.ID + `'`)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c2", "dan@x.example", w.now.Add(time.Hour), 0,
		w.now.Add(time.Hour)), w.enrolled("c1", "eve@x.example", w.now.Add(time.Hour), 0, w.now.Add(time.Hour))}})
	w.tick(2 * time.Hour)
	w.exec(`UPDATE mails SET due_at = '2026-01-01Z', not_after = '2027-01-01Z' WHERE status = 'due'`)
	w.want(`SELECT DISTINCT email FROM mails WHERE campaign_id = '`+own.ID+`' ORDER BY 1`, `
		dan@x.example
		eve@x.example`)
	dan := w.rows(`SELECT id::text FROM mails WHERE email = 'dan@x.example' ORDER BY id LIMIT 1`)[0]
	n, _ := strconv.ParseInt(dan, 10, 64)
	if err := recipients.Unsubscribe(t.Context(), mail.Ticket{Mail: n}, storemail.ThisKind, w.now); err != nil {
		t.Fatal(err)
	}
	w.want(`SELECT DISTINCT campaign_id FROM mail_stops ORDER BY campaign_id`, own.ID+`
		not_started`)
}

// The same silence is one, in whatever zone and after whatever number of days; and so it is for runs of before.
func TestSilenceIsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := moment("2026-03-01T22:30:00Z") // 30 days later it is April in Tokyo, and March in Los Angeles
	w.keep(facts.Set{
		Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", seen.Add(-60*day), 10, seen)},
		Consents:    []facts.Consent{w.consented("ann@x.example", facts.Granted)},
	})
	w.keep(facts.Set{Stores: []facts.Store{{ID: "s1", Name: "S", TimeZone: "America/Los_Angeles",
		OwnerUserID: "user_owner", Version: w.version(w.now)}}})
	c := w.make(campaigns.FromRecipe{Recipe: "silent"}, campaigns.Change{})
	w.tick(30 * day)
	one := w.rows(`SELECT count(*) || ' ' || coalesce(min(email), '') FROM runs`)
	if diff := cmp.Diff([]string{"1 ann@x.example"}, one); diff != "" {
		t.Fatal(diff)
	}
	again := func(what string) {
		t.Helper()
		w.tick(time.Minute)
		if diff := cmp.Diff(one, w.rows(`SELECT count(*) || ' ' || coalesce(min(email), '') FROM runs`)); diff != "" {
			t.Error(what, diff)
		}
	}
	w.keep(facts.Set{Stores: []facts.Store{{ID: "s1", Name: "S", TimeZone: "Asia/Tokyo",
		OwnerUserID: "user_owner", Version: w.version(w.now)}}})
	again("another zone")
	trigger := campaigns.Trigger{Question: "silent", Numbers: map[string]int{"days": 31}}
	if _, err := w.Update(t.Context(), "s1", c.ID, campaigns.Change{Trigger: &trigger}); err != nil {
		t.Fatal(err)
	}
	w.tick(day)
	again("31 days")
	w.exec(`UPDATE runs SET occurrence = 'quarter:2026-Q1'`)
	again("a run of before")

	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", seen.Add(-60*day), 20, w.now)}})
	w.tick(32 * day)
	again("another silence, in less than 90 days")
	w.tick(30 * day)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{w.enrolled("c1", "ann@x.example", seen.Add(-60*day), 30, w.now)}})
	w.tick(32 * day)
	w.want(`SELECT occurrence FROM runs ORDER BY id`, `
		quarter:2026-Q1
		seen:2026-06-03`)
}

// In a rehearsal nothing is written at a customer: steps are shown as done.
func TestRehearsalWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keep(facts.Set{Enrollments: []facts.Enrollment{
		w.enrolled("c1", "ann@x.example", begin.Add(-6*day), 0, begin.Add(-6*day))}})
	w.exec(`INSERT INTO tags (id, store_id, name, folded, created_by) SELECT 'tag_' || lower(n), 's1', n, lower(n), 'admin'
		FROM unnest(ARRAY['A', 'B']) n`)
	w.exec(`INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		VALUES ('s1', 'ann@x.example', 'tag_b', 'admin')`)
	c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	steps := []campaigns.Step{{Do: campaigns.DoTag, Tag: "tag_a"}, {Do: campaigns.DoUntag, Tag: "tag_b"},
		{Do: campaigns.DoNote, Note: "Quiet"}}
	if c, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	const there = `SELECT tag_id FROM customer_tags UNION ALL SELECT body FROM customer_notes ORDER BY 1`
	w.turn(c.ID, campaigns.Order{To: campaigns.Rehearsal})
	w.tick(day)
	w.want(`SELECT count(*)::text FROM runs r, jsonb_each(r.done) d WHERE d.value ->> 'outcome' = 'done'`, `3`)
	w.want(there, `tag_b`)
	w.turn(c.ID, campaigns.Order{To: campaigns.Draft})
	w.turn(c.ID, campaigns.Order{To: campaigns.On, Past: "days", Days: 2, Count: number(1)})
	w.tick(0)
	w.want(there, `Quiet
		tag_a`)
}

// Of two runs that a customer may not have both, as the campaign lets no one in again or not so soon, one goes on when
// a merge brings them together.
func TestMergeAndReentry(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		reentry string
		days    int
		want    string
	}{
		{campaigns.Never, 0, `
			ann@x.example course:c1 merged
			ann@x.example course:c2 at second`},
		{campaigns.After, 30, `
			ann@x.example course:c1 merged
			ann@x.example course:c2 at second`},
		{campaigns.After, 1, `
			ann@x.example course:c1 at first
			ann@x.example course:c2 at second`},
		{campaigns.Each, 0, `
			ann@x.example course:c1 at first
			ann@x.example course:c2 at second`},
	} {
		w := newWorld(t)
		w.keep(facts.Set{Enrollments: []facts.Enrollment{
			w.enrolled("c2", "old@x.example", begin.Add(-6*day), 0, begin.Add(-6*day)),
			w.enrolled("c1", "ann@x.example", begin.Add(-3*day), 0, begin.Add(-3*day)),
		}})
		c, err := w.Make(t.Context(), "s1", campaigns.FromRecipe{Recipe: "not_started"}, "admin")
		if err != nil {
			t.Fatal(err)
		}
		steps := c.Steps
		steps[0].Wait = campaigns.Wait(time.Hour)
		if _, err = w.Update(t.Context(), "s1", c.ID, campaigns.Change{Steps: steps, Reentry: &x.reentry,
			ReentryDays: &x.days}); err != nil {
			t.Fatal(err)
		}
		w.turn(c.ID, campaigns.Order{To: campaigns.On})
		w.tick(day)
		w.tick(2 * time.Hour)
		w.send()
		w.tick(3*day - 2*time.Hour)
		w.want(allRuns, `
			ann@x.example course:c1 at first
			old@x.example course:c2 at second`)
		w.keep(facts.Set{Users: []facts.User{{ID: "user_o", Email: "old@x.example", Version: w.version(w.now)}}})
		w.keep(facts.Set{Users: []facts.User{{ID: "user_o", Email: "ann@x.example", Version: w.version(w.now)}}})
		w.want(allRuns, x.want)
		w.tick(2 * time.Hour)
		w.send()
		sent := "1"
		if x.reentry == campaigns.Each || x.days == 1 {
			sent = "2"
		}
		w.want(`SELECT count(*)::text FROM mails WHERE status = 'sent'`, sent)
	}
}

// A sentence says one day as one day.
func TestSentenceOfOne(t *testing.T) {
	c := campaigns.Campaign{Trigger: campaigns.Trigger{Question: "stuck", Numbers: map[string]int{"days": 1, "times": 1}}}
	want := "Customers who started a course and got no further for 1 day, at most once."
	if got := c.Sentence(nil); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
