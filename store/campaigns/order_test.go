package campaigns_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store/campaigns"
)

// Of two campaigns that would mail the same customers at once, of which each may get one, the one goes that previews
// named: whichever enters first, whose steps workers come to first, and however early mails are claimed.
func TestPreviewNamesWhatIsSent(t *testing.T) {
	t.Parallel()
	for name, priorities := range map[string][2]int{"equal": {5, 5}, "different": {5, 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.exec(`INSERT INTO customers (store_id, email)
				SELECT 's1', 'p' || n || '@x.example' FROM generate_series(1, 700) n`)
			w.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
				SELECT store_id, '', email, 'marketing', 'granted', $1, 'page', '1' FROM customers`, w.now)
			both := []campaigns.Campaign{w.once("One", priorities[0]), w.once("Two", priorities[1])}
			at := w.now.Add(time.Hour).Format(time.RFC3339)
			for _, c := range both {
				w.turn(c.ID, campaigns.Order{To: campaigns.On, Count: number(700), At: at})
			}
			w.now = w.now.Add(time.Hour)
			expected := w.expected(both, map[string]bool{})
			first := max(both[0].ID, both[1].ID) // workers come to the other first
			w.exec(`UPDATE campaigns
				SET looked_at = '-infinity', stepped_at = CASE WHEN id = $1 THEN '-infinity' ELSE now() END`, first)
			w.exec(`UPDATE campaigns SET looked_at = $2::timestamptz - interval '1 day' WHERE id <> $1`, first, w.now)
			for worked := true; worked; w.now = w.now.Add(time.Second) {
				var err error
				if worked, err = w.Look(t.Context(), w.now, time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			for worked := true; worked; w.now = w.now.Add(time.Second) {
				var err error
				if worked, err = w.Step(t.Context(), w.now); err != nil {
					t.Fatal(err)
				}
				w.send()
			}
			got := w.rows(`SELECT concat_ws(' ', email, campaign_id, step, occurrence) FROM mails WHERE status = 'sent'
				ORDER BY 1`)
			if diff := cmp.Diff(expected, got); diff != "" || len(got) != 700 {
				t.Errorf("%d mails: -previewed +sent\n%s", len(got), diff)
			}
		})
	}
}

// Of two campaigns of a recipe that are for the same customers, previews say which one mails them, and that the other
// does not: whichever of them workers come to first, and also if one may not mail some of them today.
func TestPreviewOfOneRecipe(t *testing.T) {
	t.Parallel()
	for i, class := range []string{campaigns.Service, campaigns.Marketing, campaigns.Service, campaigns.Marketing} {
		w := newWorld(t)
		w.keepEnrolled("ann@x.example", "bob@x.example")
		w.agreed("ann@x.example", "bob@x.example")
		news := w.once("News", 0)
		news = w.update(news.ID, campaigns.Change{Audience: []byte(`{"customer": {"q": "ann"}}`)})
		five, two, other := 5, 2, campaigns.Marketing
		both := []campaigns.Campaign{
			w.make(campaigns.FromRecipe{Recipe: "not_started"}, campaigns.Change{Class: &class, Priority: &five}),
			w.make(campaigns.FromRecipe{Recipe: "not_started"},
				campaigns.Change{Class: &other, Priority: &two, Audience: leads}),
		}
		w.now = w.now.Add(day)
		w.turn(news.ID, campaigns.Order{To: campaigns.On, Count: number(1)})
		w.wantLines(w.previewed(both[0].ID, w.now), map[string][]string{
			campaigns.Service:   {"ann@x.example first course:c1", "bob@x.example first course:c1 twice"},
			campaigns.Marketing: {"ann@x.example first course:c1 cap", "bob@x.example first course:c1 twice"},
		}[class]...)
		w.sentAsPreviewed(append(both, news), both[i/2])
	}
}

// Of three of mixed classes, a limit may hold the first back: then the next that it does not concern mails them.
func TestPreviewOfThreeOfOneRecipe(t *testing.T) {
	t.Parallel()
	for mixed := range 8 {
		w := newWorld(t)
		w.keepEnrolled("ann@x.example", "bob@x.example")
		w.agreed("ann@x.example", "bob@x.example")
		news := w.once("News", 0)
		news = w.update(news.ID, campaigns.Change{Audience: []byte(`{"customer": {"q": "ann"}}`)})
		var three []campaigns.Campaign
		for i, audience := range [][]byte{nil, leads, []byte(`{"customer": {"q": "x.example"}}`)} {
			class, priority := campaigns.Service, 2+i
			if mixed>>i&1 == 1 {
				class = campaigns.Marketing
			}
			three = append(three, w.make(campaigns.FromRecipe{Recipe: "not_started"},
				campaigns.Change{Class: &class, Priority: &priority, Audience: audience}))
		}
		w.now = w.now.Add(day)
		w.turn(news.ID, campaigns.Order{To: campaigns.On, Count: number(1)})
		w.sentAsPreviewed(append(three, news), three[mixed%3])
	}
}

// sentAsPreviewed checks that what previews say is then sent, if workers come to one campaign first.
func (w *world) sentAsPreviewed(all []campaigns.Campaign, first campaigns.Campaign) {
	w.Helper()
	expected := w.expected(all, map[string]bool{})
	for range all {
		if _, err := w.Look(w.Context(), w.now, time.Microsecond); err != nil {
			w.Fatal(err)
		}
	}
	w.exec(`UPDATE campaigns SET stepped_at = CASE WHEN id = $1 THEN '-infinity' ELSE now() END`, first.ID)
	for worked := true; worked; {
		var err error
		if worked, err = w.Step(w.Context(), w.now); err != nil {
			w.Fatal(err)
		}
		w.send()
	}
	got := w.rows(`SELECT concat_ws(' ', email, campaign_id, step, occurrence) FROM mails WHERE status = 'sent'
		ORDER BY 1`)
	if diff := cmp.Diff(expected, got); diff != "" {
		var classes []string
		for _, c := range all {
			classes = append(classes, c.Class)
		}
		w.Errorf("%v: -previewed +sent\n%s", classes, diff)
	}
}

// Of two runs that got as far when a merge brings them together, the one goes on that waits longer, and not one that
// was left out: whichever of the customers entered first. No one is mailed twice, nor sooner than the step waits.
func TestMergeOfEqualRuns(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ sooner, arm, want string }{
		{"ann", "a", "a 2026-03-11"}, {"old", "a", "a 2026-03-11"},
		{"ann", "held", "a 2026-03-10"}, {"old", "held", "a 2026-03-10"},
	} {
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
		w.exec(`UPDATE runs SET next_at = next_at + interval '1 day', arm = $2 WHERE email !~ $1`, x.sooner, x.arm)
		w.keep(facts.Set{Users: []facts.User{{ID: "user_ann", Email: "ann@x.example", Version: w.version(w.now)}}})
		w.want(`SELECT arm || ' ' || next_at::date FROM runs WHERE ended_at IS NULL`, x.want)
		for range 4 {
			w.tick(4 * day)
			w.send()
		}
		w.want(`SELECT step || ' ' || status FROM mails ORDER BY step, id`, `first sent
			first sent
			second sent`)
	}
}
