// Package story is what `rollcall demo` plays: some weeks of a marketplace of
// three stores. It is a table of people and what they did (people.go). Each
// thing done says twice what follows from it: the webhooks that the outside
// world would send about it, and what the customer lists must then say. The
// second is counted here by hand, not by the code that is shown.
package story

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Event is a webhook as its sender would make it, not yet signed.
type Event struct {
	Source string    // stripe, clerk or platform
	ID     string    // the sender's id of it
	Type   string    //
	At     time.Time // when it happened
	Body   []byte    // JSON
	Gives  string    // the user, store or product it tells of: "user:…"; or empty
	Leans  []string  // those it leans on, in any order of arrival
}

// Store is a store and the customers that must be on its list in the end.
type Store struct {
	ID, Name  string
	Customers []*Customer // by email
}

// Customer is one row of a list, as it must be in the end.
type Customer struct {
	Email, Name   string
	Type          string // lead, paying or subscription
	Status        string // active or inactive
	SourceKind    string
	Spent         map[string]int64 // net, minor units by currency
	Refunded      map[string]int64
	Courses       map[string]float64 // percent by course id
	Purchases     []Purchase         // by time
	Subscriptions []Subscription     // by time
	FirstSeen     time.Time
	LastActivity  time.Time
	linked        bool // by some fact to their Clerk user
}

// Purchase is one thing bought that is no period of a subscription.
type Purchase struct {
	Product  string // id
	Amount   int64  // minor units
	Currency string
	Refunded int64
	disputed int64
	at       time.Time
}

// Subscription is one plan subscribed to.
type Subscription struct {
	Product string // id
	Status  string
	at      time.Time
}

// Story is a told story: what is sent, and what must come of it.
type Story struct {
	Events []Event // by time
	Stores []Store
	Absent []Absent
}

// Absent is somebody who must be on no list, and why.
type Absent struct{ Email, Name, Why string }

// Tell tells the story as of now: it ends some minutes ago.
func Tell(now time.Time) Story { return tell(now, stores, people, 0) }

// tell tells of some stores and people. Ids are made up from serial on.
func tell(now time.Time, stores []store, people []person, serial int) Story {
	t := &teller{now: now.UTC().Truncate(time.Second), lists: map[string]map[string]*Customer{}, serial: serial}
	for _, s := range stores {
		t.tellStore(s)
	}
	var out Story
	for _, p := range people {
		t.person, t.user = &p, user{}
		for _, a := range p.did {
			a.send(t)
			a.count(t)
		}
		t.finish(&p)
		if p.absent != "" {
			out.Absent = append(out.Absent, Absent{p.finalEmail(), p.name, p.absent})
		}
	}
	slices.SortStableFunc(t.events, func(a, b Event) int { return a.At.Compare(b.At) })
	out.Events = t.events
	for _, s := range stores {
		out.Stores = append(out.Stores, Store{s.id, s.name, t.list(s.id)})
	}
	return out
}

// teller collects a story while it is told.
type teller struct {
	now    time.Time
	person *person
	user   user // of the person, as of the act being told
	events []Event
	lists  map[string]map[string]*Customer // by store, by the address at the end
	serial int
}

// user is a person's Clerk account while their acts are told.
type user struct {
	created  time.Time
	emails   []string // the last one is primary
	verified bool
	lastSeen time.Time
}

func (t *teller) at(ago time.Duration) time.Time { return t.now.Add(-ago) }

// id makes up an id as Stripe would.
func (t *teller) id(prefix string) string {
	t.serial++
	return fmt.Sprintf("%s_demo%05d", prefix, t.serial)
}

// obj is a JSON object.
type obj map[string]any

func (t *teller) add(e Event, body obj) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of plain values
	}
	e.Body = raw
	t.events = append(t.events, e)
}

// customer is the row that the person has on a store's list, made if missing.
// Facts that name the person's user follow that user's verified address; those
// of a guest stay with the address given.
func (t *teller) customer(store string, guest bool) *Customer {
	email := strings.ToLower(t.person.email)
	if !guest && t.person.user != "" {
		email = t.person.finalEmail()
	}
	list := t.lists[store]
	if list == nil {
		list = map[string]*Customer{}
		t.lists[store] = list
	}
	c := list[email]
	if c == nil {
		c = &Customer{
			Email: email, Name: t.person.name, Type: "lead",
			Spent: map[string]int64{}, Refunded: map[string]int64{}, Courses: map[string]float64{},
		}
		list[email] = c
	}
	c.linked = c.linked || !guest && t.person.user != ""
	return c
}

// seen notes that something happened.
func (c *Customer) seen(at time.Time, sourceKind string) {
	if c.FirstSeen.IsZero() || at.Before(c.FirstSeen) {
		c.FirstSeen, c.SourceKind = at, sourceKind
	}
	c.active(at)
}

// active notes activity that brings nobody.
func (c *Customer) active(at time.Time) {
	if at.After(c.LastActivity) {
		c.LastActivity = at
	}
}

// rise raises the type, which never falls.
func (c *Customer) rise(to string) {
	order := []string{"lead", "paying", "subscription"}
	if slices.Index(order, to) > slices.Index(order, c.Type) {
		c.Type = to
	}
}

// finish notes the person's last sign-in on their rows.
func (t *teller) finish(p *person) {
	if p.user == "" || p.absent != "" {
		return
	}
	for _, list := range t.lists {
		for _, c := range list {
			if c.linked && c.Email == p.finalEmail() {
				c.active(t.user.lastSeen)
			}
		}
	}
}

// list is a store's list, its figures added up.
func (t *teller) list(store string) []*Customer {
	var out []*Customer
	for _, c := range t.lists[store] {
		c.Status = c.status()
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Customer) int { return cmp.Compare(a.Email, b.Email) })
	return out
}

// status is inactive when all there was has ended.
func (c *Customer) status() string {
	if len(c.Courses) > 0 {
		return "active"
	}
	for _, p := range c.Purchases {
		if products[p.Product].kind != "course" && p.Amount > p.Refunded+p.disputed {
			return "active"
		}
	}
	for _, s := range c.Subscriptions {
		if s.Status != "canceled" {
			return "active"
		}
	}
	return "inactive"
}

// Title is what a product is called.
func Title(id string) string { return products[id].title }
