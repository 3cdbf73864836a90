package story

import (
	"maps"
	"slices"
	"time"
)

// What people buy once, as Stripe tells it.

// sale is what later refunds and disputes of it need.
type sale struct {
	intent, charge, account string
	price                   money
	refunded                int64
	leans                   []string
	at                      time.Time // of the payment

	// Of a subscription:
	sub, customer string
	start         time.Time
	basil         bool // Stripe tells it in the shape of API 2025-03-31 or later
}

// buys is a Checkout of a course or product.
type buys struct {
	ago    time.Duration
	what   string
	guest  bool   // not signed in: known by the address typed in
	price  money  // if not the list price
	claims string // store that the metadata names although it is another's
	// road: paid by card unless it is free (nothing to pay), later (paid in a
	// shop hours after), fails (a bank debit that bounces) or expires.
	road string
}

func (a buys) cost() money {
	if a.price.currency != "" {
		return a.price
	}
	return products[a.what].price
}

func (a buys) send(t *teller) {
	at, p := t.at(a.ago), products[a.what]
	s := &sale{account: accountOf(p.store), price: a.cost(), leans: t.leansOf(p, a.guest)}
	session := t.session(a, s)
	switch a.road {
	case "free":
		session["payment_status"] = "no_payment_required"
		t.stripe("checkout.session.completed", at, session, s)
	case "expires":
		session["payment_status"], session["status"] = "unpaid", "expired"
		t.stripe("checkout.session.expired", at.Add(day), session, s)
	case "fails", "later":
		t.pay(a, s, session)
	default:
		t.intent(at, s, p)
		session["payment_status"], session["payment_intent"] = "paid", s.intent
		t.stripe("checkout.session.completed", at, session, s)
	}
	t.person.sold(a.what, s)
}

// pay is a payment that is not decided when the checkout is over.
func (t *teller) pay(a buys, s *sale, session obj) {
	s.intent, s.charge = t.id("pi"), t.id("py")
	session["payment_status"], session["payment_intent"] = "unpaid", s.intent
	t.stripe("checkout.session.completed", t.at(a.ago), session, s)
	end, typ := maps.Clone(session), "checkout.session.async_payment_failed"
	if a.road == "later" {
		end["payment_status"], typ = "paid", "checkout.session.async_payment_succeeded"
	}
	t.stripe(typ, t.at(a.ago).Add(settling), end, s)
}

// settling is how long a payment in a shop, or a bounce, takes.
const settling = 5 * hour

func (a buys) count(t *teller) {
	if a.road == "fails" || a.road == "expires" {
		return
	}
	at, p := t.at(a.ago), products[a.what]
	t.countSale(t.customer(p.store, a.guest), p, a.cost(), at)
}

// countSale is what a sale comes to on a list.
func (t *teller) countSale(c *Customer, p product, price money, at time.Time) {
	switch {
	case p.kind != "course":
		c.seen(at, "product_purchase")
	case price.amount > 0:
		c.seen(at, "course_purchase")
	default:
		c.seen(at, "free_course")
	}
	if p.kind == "course" {
		c.Courses[p.id] = max(c.Courses[p.id], 0)
	}
	for _, item := range p.items {
		c.Courses[item] = max(c.Courses[item], 0)
	}
	if price.amount > 0 {
		c.rise("paying")
		c.Spent[price.currency] += price.amount
	}
	if price.amount > 0 || p.kind != "course" {
		c.Purchases = append(c.Purchases, Purchase{Product: p.id, Amount: price.amount, Currency: price.currency, at: at})
		slices.SortStableFunc(c.Purchases, func(a, b Purchase) int { return a.at.Compare(b.at) })
	}
}

// session is the Checkout session of a purchase, without its outcome.
func (t *teller) session(a buys, s *sale) obj {
	p := products[a.what]
	meta := metadata(p, a.claims)
	o := obj{
		"id": t.id("cs_test"), "object": "checkout.session", "mode": "payment", "status": "complete",
		"amount_total": s.price.amount, "currency": s.price.currency,
		"payment_intent": nil, "invoice": nil, "subscription": nil, "customer": nil,
		"customer_details": obj{"email": t.person.email, "name": t.person.name},
		"metadata":         meta,
	}
	if !a.guest {
		meta["userId"] = t.person.user
		o["client_reference_id"] = t.person.user
	}
	return o
}

// metadata is what the platform writes on what it sells.
func metadata(p product, claims string) obj {
	m := obj{"productType": p.kind}
	switch p.kind {
	case "course":
		m["courseId"] = p.id
	case "bundle":
		m["bundleId"] = p.id
	default:
		m["productId"] = p.id
	}
	if storeByID(p.store).road == "named" {
		m["storeId"] = p.store
	}
	if claims != "" {
		m["storeId"] = claims
	}
	return m
}

// intent adds the payment intent and the charge of a sale: no second income.
func (t *teller) intent(at time.Time, s *sale, p product) {
	s.intent, s.charge, s.at = t.id("pi"), t.id("ch"), at
	o := obj{"id": s.intent, "object": "payment_intent", "status": "succeeded", "amount": s.price.amount,
		"amount_received": s.price.amount, "currency": s.price.currency, "latest_charge": s.charge, "metadata": obj{}}
	if st := storeByID(p.store); st.road == "passed-on" {
		o["transfer_data"] = obj{"destination": st.account}
	}
	t.stripe("payment_intent.succeeded", at, o, s)
	t.stripe("charge.succeeded", at, t.charge(s), s)
}

func (t *teller) charge(s *sale) obj {
	return obj{"id": s.charge, "object": "charge", "amount": s.price.amount, "amount_refunded": s.refunded,
		"refunded": s.refunded == s.price.amount, "currency": s.price.currency, "payment_intent": s.intent,
		"paid": true, "status": "succeeded", "created": s.at.Unix(), "metadata": obj{}}
}

// refunded gives back so much of a purchase (of a plan: of its last period).
type refunded struct {
	ago    time.Duration
	of     string
	amount int64
}

func (a refunded) send(t *teller) {
	s, at := t.person.sales[a.of], t.at(a.ago)
	s.refunded += a.amount
	t.stripe("charge.refunded", at, t.charge(s), s)
	t.stripe("refund.created", at, obj{
		"id": t.id("re"), "object": "refund", "amount": a.amount, "currency": s.price.currency,
		"charge": s.charge, "payment_intent": s.intent, "status": "succeeded", "created": at.Unix(),
	}, s)
}

func (a refunded) count(t *teller) {
	p := products[a.of]
	c := t.customer(p.store, false)
	currency := p.price.currency
	c.Spent[currency] -= a.amount
	c.Refunded[currency] += a.amount
	for i := range c.Purchases {
		if c.Purchases[i].Product == a.of {
			c.Purchases[i].Refunded += a.amount
		}
	}
}

// disputes is a chargeback: the money is gone at once, and for good unless won.
type disputes struct {
	ago    time.Duration
	of     string
	won    bool
	closed time.Duration // ago
}

func (a disputes) send(t *teller) {
	s := t.person.sales[a.of]
	id := t.id("dp")
	tell := func(step, status string, at time.Time, moved ...int64) {
		var txns []obj
		for _, amount := range moved {
			txns = append(txns, obj{"id": t.id("txn"), "amount": amount, "currency": s.price.currency})
		}
		t.stripe("charge.dispute."+step, at, obj{
			"id": id, "object": "dispute", "amount": s.price.amount, "currency": s.price.currency,
			"charge": s.charge, "payment_intent": s.intent, "status": status, "balance_transactions": txns,
		}, s)
	}
	n := s.price.amount
	tell("created", "needs_response", t.at(a.ago), -n)
	tell("funds_withdrawn", "needs_response", t.at(a.ago), -n)
	if a.won {
		tell("closed", "won", t.at(a.closed), -n)
		tell("funds_reinstated", "won", t.at(a.closed), -n, n)
	} else {
		tell("closed", "lost", t.at(a.closed), -n)
	}
}

func (a disputes) count(t *teller) {
	if a.won {
		return
	}
	p := products[a.of]
	c := t.customer(p.store, false)
	c.Spent[p.price.currency] -= p.price.amount
	for i := range c.Purchases {
		if c.Purchases[i].Product == a.of {
			c.Purchases[i].disputed += p.price.amount
		}
	}
}
