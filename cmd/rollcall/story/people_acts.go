package story

import (
	"strings"
	"time"
)

// What people do outside of money: accounts (told by Clerk) and courses (told
// by the platform).

// signsUp makes a Clerk account. Without a verified address it joins nothing.
type signsUp struct {
	ago        time.Duration
	unverified bool
}

func (a signsUp) send(t *teller) {
	t.user = user{created: t.at(a.ago), emails: []string{t.person.email}, verified: !a.unverified}
	t.clerk("user.created", t.at(a.ago), t.clerkUser(t.at(a.ago)))
}
func (a signsUp) count(*teller) {} // an account alone makes nobody a customer

// verifies proves the address.
type verifies struct{ ago time.Duration }

func (a verifies) send(t *teller) {
	t.user.verified = true
	t.clerk("user.updated", t.at(a.ago), t.clerkUser(t.at(a.ago)))
}
func (a verifies) count(*teller) {}

// changesEmail makes another address the primary one; the customer moves along.
type changesEmail struct {
	ago time.Duration
	to  string
}

func (a changesEmail) send(t *teller) {
	t.user.emails = append(t.user.emails, a.to)
	t.clerk("user.updated", t.at(a.ago), t.clerkUser(t.at(a.ago)))
}
func (a changesEmail) count(*teller) {}

// signsIn is activity on every list the user is on.
type signsIn struct{ ago time.Duration }

func (a signsIn) send(t *teller) {
	at := t.at(a.ago)
	t.user.lastSeen = at
	t.clerk("session.created", at, obj{
		"object": "session", "id": t.id("sess"), "user_id": t.person.user, "status": "active",
		"created_at": at.UnixMilli(), "updated_at": at.UnixMilli(), "actor": nil,
	})
}
func (a signsIn) count(*teller) {}

// clerk adds an event of Clerk's about the person.
func (t *teller) clerk(typ string, at time.Time, data obj) {
	e := Event{Source: "clerk", ID: t.id("msg"), Type: typ, At: at, Gives: "user:" + t.person.user}
	if typ == "session.created" {
		e.Gives, e.Leans = "", []string{e.Gives}
	}
	t.add(e, obj{"object": "event", "type": typ, "timestamp": at.UnixMilli(), "data": data})
}

func (t *teller) clerkUser(at time.Time) obj {
	first, last, _ := strings.Cut(t.person.name, " ")
	var emails []obj
	var primary string
	for i, address := range t.user.emails {
		status := "unverified"
		if t.user.verified {
			status = "verified"
		}
		primary = "idn_" + t.person.user + string(rune('a'+i))
		emails = append(emails, obj{
			"id": primary, "object": "email_address", "email_address": address,
			"verification": obj{"status": status, "strategy": "email_code"},
		})
	}
	return obj{
		"id": t.person.user, "object": "user", "first_name": first, "last_name": last, "username": nil,
		"image_url": "", "primary_email_address_id": primary, "email_addresses": emails,
		"created_at": t.user.created.UnixMilli(), "updated_at": at.UnixMilli(),
	}
}

// enrolls is an enrollment without a payment.
type enrolls struct {
	ago    time.Duration
	course string
}

func (a enrolls) send(t *teller) {
	at := t.at(a.ago)
	t.enrollment("enrollment.upserted", at, a.course, obj{"enrolled_at": at, "progress": 0, "store_id": products[a.course].store})
}

func (a enrolls) count(t *teller) {
	c := t.customer(products[a.course].store, t.person.user == "")
	c.Courses[a.course] = 0
	c.seen(t.at(a.ago), "free_course")
}

// learns is progress in a course.
type learns struct {
	ago     time.Duration
	course  string
	percent float64
}

func (a learns) send(t *teller) {
	data := obj{"progress": a.percent}
	if a.percent == 100 {
		data["completed_at"] = t.at(a.ago)
	}
	t.enrollment("enrollment.upserted", t.at(a.ago), a.course, data)
}

func (a learns) count(t *teller) {
	c := t.customer(products[a.course].store, t.person.user == "")
	c.Courses[a.course] = a.percent
	c.active(t.at(a.ago))
}

// leaves ends an enrollment.
type leaves struct {
	ago    time.Duration
	course string
}

func (a leaves) send(t *teller) {
	t.enrollment("enrollment.deleted", t.at(a.ago), a.course, obj{})
}

func (a leaves) count(t *teller) {
	delete(t.customer(products[a.course].store, t.person.user == "").Courses, a.course)
}

// intrudes is an enrollment of somebody whose address is not theirs: nobody's.
type intrudes enrolls

func (a intrudes) send(t *teller) { enrolls(a).send(t) }
func (a intrudes) count(*teller)  {}

func (t *teller) enrollment(typ string, at time.Time, course string, data obj) {
	data["course_id"] = course
	leans := []string{"product:" + course}
	if t.person.user != "" {
		data["user_id"] = t.person.user
		leans = append(leans, "user:"+t.person.user)
	} else {
		data["email"], data["name"] = t.person.email, t.person.name
	}
	t.platform(typ, at, data, Event{Leans: leans})
}

// paysOutside is money taken outside Stripe.
type paysOutside struct {
	ago  time.Duration
	what string
}

func (a paysOutside) send(t *teller) {
	p := products[a.what]
	t.platform("purchase.recorded", t.at(a.ago), obj{
		"id": t.id("invoice"), "product_id": p.id, "store_id": p.store, "user_id": t.person.user,
		"amount": p.price.amount, "currency": p.price.currency, "purchased_at": t.at(a.ago),
	}, Event{Leans: []string{"user:" + t.person.user, "product:" + p.id, "store:" + p.store}})
}

func (a paysOutside) count(t *teller) {
	p := products[a.what]
	t.countSale(t.customer(p.store, false), p, p.price, t.at(a.ago))
}

// platform adds an event of the platform's; e brings what it gives and leans on.
func (t *teller) platform(typ string, at time.Time, data obj, e Event) {
	e.Source, e.ID, e.Type, e.At = "platform", t.id("evt"), typ, at
	t.add(e, obj{"type": typ, "timestamp": at, "data": data})
}

// tellStore is what the platform says of a store and its products, long ago.
func (t *teller) tellStore(s store) {
	at := t.at(90 * day)
	t.platform("store.upserted", at, obj{
		"id": s.id, "name": s.name, "owner_user_id": s.owner, "stripe_account_id": s.account,
	}, Event{Gives: "store:" + s.id})
	for _, id := range sortedProducts() {
		p := products[id]
		if p.store != s.id {
			continue
		}
		t.platform("product.upserted", at.Add(hour), obj{
			"id": p.id, "store_id": s.id, "kind": p.kind, "title": p.title,
			"price": obj{"amount": p.price.amount, "currency": p.price.currency},
			"items": p.items, "stripe_price_ids": []string{priceID(p.id)},
		}, Event{Gives: "product:" + p.id, Leans: []string{"store:" + s.id}})
	}
}
