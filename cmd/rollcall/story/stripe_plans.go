package story

import (
	"maps"
	"slices"
	"time"
)

// Subscriptions, in the shape of API 2023-10-16 and in that of 2025-03-31
// (basil); and how Stripe wraps its events.

const month = 30 * day

// subscribes is a subscription by Checkout, some periods of which were paid.
type subscribes struct {
	ago       time.Duration
	plan      string
	paid      int           // periods
	trial     bool          // none paid yet
	cancelled time.Duration // ago; 0: not
	basil     bool
}

func (a subscribes) send(t *teller) {
	p := products[a.plan]
	start := t.at(a.ago)
	s := &sale{account: accountOf(p.store), price: p.price, leans: t.leansOf(p, false),
		sub: t.id("sub"), customer: t.id("cus"), start: start, basil: a.basil}
	t.stripe("customer.created", start, obj{"id": s.customer, "object": "customer", "email": t.person.email, "name": t.person.name}, s)
	plan := func(typ, status string, at time.Time, end time.Time) {
		t.stripe("customer.subscription."+typ, at, a.subscription(t, s, status, end), s)
	}
	switch {
	case a.trial:
		plan("created", "trialing", start, start.Add(14*day))
	case a.basil:
		plan("created", "active", start, start.Add(month))
	default:
		plan("created", "incomplete", start, start.Add(month))
		plan("updated", "active", start.Add(2*time.Second), start.Add(month))
	}
	t.stripe("checkout.session.completed", start.Add(3*time.Second), a.session(t, s), s)
	for n := range max(a.paid, 1) {
		at := start.Add(time.Duration(n) * month)
		t.invoice(a, s, at.Add(2*time.Second))
		if n > 0 {
			plan("updated", "active", at, at.Add(month))
		}
	}
	if a.cancelled > 0 {
		plan("deleted", "canceled", t.at(a.cancelled), t.at(a.cancelled))
	}
	t.person.sold(a.plan, s)
}

func (a subscribes) count(t *teller) {
	p, start := products[a.plan], t.at(a.ago)
	c := t.customer(p.store, false)
	c.seen(start, "subscription")
	c.rise("subscription")
	status := "active"
	if a.trial {
		status = "trialing"
	}
	if a.cancelled > 0 {
		status = "canceled"
	}
	c.Subscriptions = append(c.Subscriptions, Subscription{Product: p.id, Status: status, at: start})
	if a.paid > 0 {
		c.Spent[p.price.currency] += int64(a.paid) * p.price.amount
	}
	c.active(start.Add(time.Duration(max(a.paid, 1)-1)*month + 2*time.Second)) // the last invoice
}

func (a subscribes) metadata(t *teller) obj {
	m := metadata(products[a.plan], "")
	m["userId"] = t.person.user
	return m
}

func (a subscribes) session(t *teller, s *sale) obj {
	p := products[a.plan]
	return obj{
		"id": t.id("cs_test"), "object": "checkout.session", "mode": "subscription", "status": "complete",
		"payment_status": "paid", "amount_total": p.price.amount, "currency": p.price.currency,
		"payment_intent": nil, "subscription": s.sub, "customer": s.customer, "client_reference_id": t.person.user,
		"customer_details": obj{"email": t.person.email, "name": t.person.name}, "metadata": a.metadata(t),
	}
}

func (a subscribes) subscription(t *teller, s *sale, status string, end time.Time) obj {
	p := products[a.plan]
	item := obj{"id": "si_" + s.sub, "object": "subscription_item", "quantity": 1, "price": obj{
		"id": priceID(p.id), "object": "price", "nickname": p.title, "unit_amount": p.price.amount, "currency": p.price.currency,
	}}
	o := obj{
		"id": s.sub, "object": "subscription", "status": status, "customer": s.customer, "currency": p.price.currency,
		"created": s.start.Unix(), "start_date": s.start.Unix(), "cancel_at_period_end": false, "metadata": a.metadata(t),
		"items": obj{"object": "list", "data": []obj{item}},
	}
	if a.basil {
		item["current_period_end"] = end.Unix()
	} else {
		o["current_period_end"] = end.Unix()
	}
	if status == "canceled" {
		o["ended_at"] = end.Unix()
	}
	return o
}

// invoice adds a paid invoice, its twin event, and its payment intent. The
// refunds and disputes that follow are of this one.
func (t *teller) invoice(a subscribes, s *sale, at time.Time) {
	p, id := products[a.plan], t.id("in")
	amount := p.price.amount
	if a.trial {
		amount = 0
	} else {
		s.intent, s.charge, s.at = t.id("pi"), t.id("ch"), at
	}
	line := obj{"id": "il_" + id, "object": "line_item", "amount": amount, "currency": p.price.currency, "metadata": a.metadata(t)}
	in := obj{
		"id": id, "object": "invoice", "status": "paid", "amount_paid": amount, "currency": p.price.currency,
		"customer": s.customer, "customer_email": t.person.email, "customer_name": t.person.name, "metadata": obj{},
		"lines": obj{"object": "list", "data": []obj{line}},
	}
	details := obj{"metadata": a.metadata(t)}
	if a.basil {
		details["subscription"] = s.sub
		in["parent"] = obj{"type": "subscription_details", "subscription_details": details}
		line["pricing"] = obj{"type": "price_details", "price_details": obj{"price": priceID(p.id)}}
	} else {
		in["subscription"], in["subscription_details"] = s.sub, details
		line["price"] = obj{"id": priceID(p.id), "object": "price"}
		in["payment_intent"] = s.intent
	}
	t.stripe("invoice.paid", at, in, s)
	t.stripe("invoice.payment_succeeded", at, maps.Clone(in), s)
	if amount == 0 {
		return
	}
	if a.basil { // the one link from the invoice to its payment intent
		t.stripe("invoice_payment.paid", at, obj{"id": t.id("inpay"), "object": "invoice_payment", "status": "paid",
			"amount_paid": amount, "currency": p.price.currency, "invoice": id,
			"payment": obj{"type": "payment_intent", "payment_intent": s.intent}}, s)
	}
	t.stripe("payment_intent.succeeded", at, obj{"id": s.intent, "object": "payment_intent", "status": "succeeded",
		"amount": amount, "amount_received": amount, "currency": p.price.currency, "customer": s.customer, "metadata": obj{}}, s)
}

// buysPlan is a creator paying the platform itself. Its metadata names the
// creator's store, which gains no customer by it.
type buysPlan struct{ ago time.Duration }

func (a buysPlan) send(t *teller) {
	at, sub, customer := t.at(a.ago), t.id("sub"), t.id("cus")
	s := &sale{price: usd(7900)}
	meta := obj{"userId": t.person.user, "storeId": "store_aurora", "plan": "creator_pro"}
	t.stripe("customer.subscription.created", at, obj{
		"id": sub, "object": "subscription", "status": "active", "customer": customer, "currency": "usd",
		"created": at.Unix(), "start_date": at.Unix(), "current_period_end": at.Add(month).Unix(), "metadata": meta,
		"items": obj{"object": "list", "data": []obj{{"id": "si_" + sub, "quantity": 1, "price": obj{"id": "price_demoCreatorPro", "unit_amount": 7900}}}},
	}, s)
	t.stripe("invoice.paid", at.Add(2*time.Second), obj{
		"id": t.id("in"), "object": "invoice", "status": "paid", "amount_paid": 7900, "currency": "usd", "subscription": sub,
		"customer": customer, "customer_email": t.person.email, "customer_name": t.person.name, "metadata": obj{},
		"subscription_details": obj{"metadata": meta}, "lines": obj{"data": []obj{}},
	}, s)
	session := maps.Clone(meta)
	session["productType"] = "creator_plan" // only the session says what it is
	t.stripe("checkout.session.completed", at.Add(3*time.Second), obj{
		"id": t.id("cs_test"), "object": "checkout.session", "mode": "subscription", "status": "complete", "payment_status": "paid",
		"amount_total": 7900, "currency": "usd", "subscription": sub, "customer": customer,
		"customer_details": obj{"email": t.person.email, "name": t.person.name}, "metadata": session,
	}, s)
}
func (a buysPlan) count(*teller) {}

// stripe adds an event of Stripe's, on the sale's account if it has its own.
func (t *teller) stripe(typ string, at time.Time, object obj, s *sale) {
	version := "2023-10-16"
	if s.basil {
		version = "2025-03-31.basil"
	}
	e := Event{Source: "stripe", ID: t.id("evt"), Type: typ, At: at, Leans: s.leans}
	if _, taken := object["created"]; !taken {
		object["created"] = at.Unix()
	}
	body := obj{
		"id": e.ID, "object": "event", "api_version": version, "created": at.Unix(), "livemode": false,
		"pending_webhooks": 1, "type": typ, "data": obj{"object": object},
	}
	if s.account != "" {
		body["account"] = s.account
	}
	t.add(e, body)
}

// leansOf lists what must be known to tell whose a sale is.
func (t *teller) leansOf(p product, guest bool) []string {
	leans := []string{"store:" + p.store, "product:" + p.id}
	if !guest && t.person.user != "" {
		leans = append(leans, "user:"+t.person.user)
	}
	return leans
}

func priceID(product string) string { return "price_demo_" + product }

func storeByID(id string) store {
	all := slices.Concat(pastStores, stores)
	return all[slices.IndexFunc(all, func(s store) bool { return s.id == id })]
}

// accountOf is the Stripe account that a store's events come from: its own
// only where it sells directly.
func accountOf(id string) string {
	if s := storeByID(id); s.road == "direct" {
		return s.account
	}
	return ""
}

func sortedProducts() []string { return slices.Sorted(maps.Keys(products)) }
