package creators

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/web/core"
)

// payment is a row of the table of payments, or a subscription with its payments.
type payment struct {
	Title     string
	At        *time.Time
	State     state
	Gross     *store.Money // paid, or the price of a period; nil: unknown
	Refunded  store.Money
	Disputed  store.Money
	StripeURL string // its page in Stripe's dashboard; empty: none

	Subscription *customers.SubscriptionFact // nil: a single payment
	Payments     []payment                   // of the subscription, newest first
	Until        *until                      // nil: nothing is known of its end
}

// until is what happens to a subscription at the end of a period, or happened.
type until struct {
	Does string // renews
	At   time.Time
}

// untilOf is what is known of a subscription's end. A period that is over was followed by nothing that is known.
func untilOf(s customers.SubscriptionFact, now time.Time) *until {
	switch at := s.CurrentPeriodEnd; {
	case s.EndedAt != nil:
		return &until{"ended", *s.EndedAt}
	case at == nil, !s.Active:
		return nil
	case s.CancelAtPeriodEnd && at.Before(now):
		return &until{"was to end on", *at}
	case s.CancelAtPeriodEnd:
		return &until{"ends", *at}
	case at.Before(now):
		return &until{"was to renew on", *at}
	default:
		return &until{"renews", *at}
	}
}

// state is how a payment or subscription stands; Tone is good, bad or neutral.
type state struct{ Label, Tone string }

// paymentsOf lists a customer's payments, newest first. Those of a subscription are
// inside it.
func paymentsOf(e customers.Explanation, now time.Time) (all []payment) {
	subscriptions := map[string]*payment{}
	for i := range e.Subscriptions {
		s := &e.Subscriptions[i]
		subscriptions[s.Ref] = &payment{Title: cmp.Or(text(s.Plan), s.ID), At: s.StartedAt, State: subscriptionState(*s),
			Gross: s.Price, StripeURL: stripeURL(s.Account, s.ID, s.Origins), Subscription: s,
			Until: untilOf(*s, now)}
	}
	for _, p := range e.Payments {
		row := payment{Title: cmp.Or(text(p.Title), strings.ReplaceAll(p.Kind, "_", " ")), At: &p.PaidAt,
			State: paymentState(p), Gross: &p.Gross, Refunded: p.Refunded, Disputed: p.Disputed,
			StripeURL: stripeURL(p.Account, p.ID, p.Origins)}
		if of := subscriptions[text(p.Subscription)]; of != nil {
			of.Payments = append(of.Payments, row)
		} else {
			all = append(all, row)
		}
	}
	for _, s := range e.Subscriptions {
		of := subscriptions[s.Ref]
		slices.SortStableFunc(of.Payments, newestFirst)
		if len(of.Payments) > 0 {
			of.At = of.Payments[0].At
		}
		all = append(all, *of)
	}
	slices.SortStableFunc(all, newestFirst)
	return all
}

// newestFirst compares two payments by their time; those without one come last.
func newestFirst(a, b payment) int { return b.time().Compare(a.time()) }

func (p payment) time() (t time.Time) {
	if p.At != nil {
		t = *p.At
	}
	return t
}

// paymentState says how a payment stands.
func paymentState(p customers.PaymentFact) state {
	lost := slices.ContainsFunc(p.Disputes, func(d customers.DisputeFact) bool { return d.Status == "lost" })
	switch {
	case p.Disputed.Amount > 0 && lost:
		return state{"Dispute lost", "bad"}
	case p.Disputed.Amount > 0:
		return state{"Disputed", "bad"}
	case p.Refunded.Amount > 0 && p.Net.Amount <= 0:
		return state{"Refunded", "neutral"}
	case p.Refunded.Amount > 0:
		return state{"Partly refunded", "neutral"}
	case p.Gross.Amount == 0:
		return state{"Free", "neutral"}
	}
	return state{"Paid", "good"}
}

// subscriptionStates are the labels of Stripe's statuses.
var subscriptionStates = map[string]state{
	"active":             {"Active", "good"},
	"trialing":           {"Trial", "good"},
	"past_due":           {"Past due", "bad"},
	"unpaid":             {"Unpaid", "bad"},
	"paused":             {"Paused", "neutral"},
	"canceled":           {"Ended", "neutral"},
	"incomplete":         {"Not started", "neutral"},
	"incomplete_expired": {"Never started", "neutral"},
}

func subscriptionState(s customers.SubscriptionFact) state {
	if known, ok := subscriptionStates[s.Status]; ok {
		return known
	}
	return state{strings.ReplaceAll(s.Status, "_", " "), "neutral"}
}

// dashboards are the pages of Stripe's dashboard, by the prefix of an object's id.
var dashboards = map[string]string{"pi": "payments", "ch": "payments", "py": "payments", "in": "invoices",
	"sub": "subscriptions", "cus": "customers"}

// stripeURL is the page of an object in Stripe's dashboard; empty if it has none.
// Stripe keeps test objects apart, so the events that reported it tell its mode.
func stripeURL(account, id string, origins []store.Origin) string {
	prefix, _, _ := strings.Cut(id, "_")
	page, ok := dashboards[prefix]
	if !ok {
		return ""
	}
	return core.StripePage(account, slices.ContainsFunc(origins, fromTestMode), page, id)
}

func fromTestMode(o store.Origin) bool {
	return o.Event != nil && o.Event.Livemode != nil && !*o.Event.Livemode
}

// stripeURLs are the customer's pages in Stripe's dashboard.
func stripeURLs(e customers.Explanation) (all []string) {
	for _, p := range e.People {
		if p.Kind == "stripe_customer" && !p.Deleted {
			if at := stripeURL(p.Account, p.ID, p.Origins); at != "" {
				all = append(all, at)
			}
		}
	}
	return all
}
