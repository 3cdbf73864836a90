package campaigns_test

import (
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store/campaigns"
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
