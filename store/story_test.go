package store_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/store"
)

// Stories for the laws: few stores, people, courses and payments, and many events
// about them, most sharing a second, so that everything meets everything.

// drawStory draws a story of 2 to 30 events, steady or not: see drawStoryOf.
func drawStory(t *rapid.T) []store.NewEvent {
	return drawStoryOf(t, rapid.Bool().Draw(t, "steady"))
}

// drawStoryOf draws a story. In a steady one the same payment is always of the
// same person, amount, product and time, whichever message tells of it, though
// not each tells all of that. In one that is not, they contradict each other.
func drawStoryOf(t *rapid.T, steady bool) (events []store.NewEvent) {
	fixed := map[string]any{}
	if !steady {
		fixed = nil
	}
	nth := 0
	event := rapid.Custom(func(t *rapid.T) store.NewEvent {
		nth++
		second := rapid.IntRange(0, storySeconds-1).Draw(t, "second")
		d := drawer{t: t, at: storyStart.Add(time.Duration(second) * time.Second), nth: nth, fixed: fixed}
		return rapid.SampledFrom(acts).Draw(t, "act")(d)
	})
	// Lists, so that rapid can leave events out when it looks for the shortest
	// story; several, as those of one list are few on the average.
	for _, least := range []int{2, 0, 0} {
		events = append(events, rapid.SliceOfN(event, least, 10).Draw(t, "events")...)
	}
	return events
}

// storySeconds is how long a story lasts.
const storySeconds = 8

// acts are what may happen.
var acts = func() (all []func(drawer) store.NewEvent) {
	for _, some := range [][]func(drawer) store.NewEvent{clerkActs, platformActs, checkoutActs, moneyActs, billingActs} {
		all = append(all, some...)
	}
	return all
}()

// drawer draws the details of one event.
type drawer struct {
	t     *rapid.T
	at    time.Time
	nth   int
	deal  string         // what was agreed on: a payment, and its session, invoice and subscription
	fixed map[string]any // of a steady story: the details of deals drawn so far
}

// about is for the details of a deal.
func (d drawer) about(deal string) drawer {
	d.deal = deal
	return d
}

// once draws a detail of the deal: in a steady story always the same.
func once[T any](d drawer, label string, draw func() T) T {
	if d.fixed == nil || d.deal == "" {
		return draw()
	}
	key := d.deal + " " + label
	if _, drawn := d.fixed[key]; !drawn {
		d.fixed[key] = draw()
	}
	return d.fixed[key].(T)
}

// pick draws one of several words.
func (d drawer) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(d.t, label)
}

// of is a pick that belongs to the deal.
func (d drawer) of(label string, from ...string) string {
	return once(d, label, func() string { return d.pick(label, from...) })
}

func (d drawer) user() string  { return d.of("user", "user_1", "user_2", "user_3") }
func (d drawer) store() string { return d.of("store", "store_1", "store_2", "user_owner", "") }
func (d drawer) email() string {
	return d.of("email", "ann@x.example", "Bob@x.example", "cy@x.example", "dot@x.example")
}
func (d drawer) course() string   { return d.of("course", "course_1", "course_2", "bundle_1") }
func (d drawer) cus() string      { return d.of("customer", "cus_1", "cus_2") }
func (d drawer) currency() string { return d.of("currency", "usd", "usd", "jpy") }
func (d drawer) account() string  { return d.of("account", "acct_1", "acct_2") }
func (d drawer) price() string    { return d.pick("price", "price_1", "price_2") }
func (d drawer) yes() bool        { return rapid.Bool().Draw(d.t, "yes") }

func (d drawer) amount() int {
	return once(d, "amount", func() int { return rapid.SampledFrom([]int{500, 1900, 4900}).Draw(d.t, "amount") })
}

// part is some of an amount: in a steady story nobody gets back more than they
// paid.
func (d drawer) part() int {
	if d.fixed != nil {
		return rapid.SampledFrom([]int{50, 100}).Draw(d.t, "part")
	}
	return rapid.SampledFrom([]int{500, 1900, 4900}).Draw(d.t, "part")
}

// when is a time within the story, or just before it.
func (d drawer) when(label string) time.Time {
	return once(d, label, func() time.Time {
		return storyStart.Add(time.Duration(rapid.IntRange(-1, storySeconds).Draw(d.t, label)) * time.Second)
	})
}

func (d drawer) unix(label string) int64 { return d.when(label).Unix() }

// intent names the payment intent of the deal.
func (d drawer) intent() string {
	if d.fixed != nil && d.deal != "" {
		return "pi_" + d.deal
	}
	return d.pick("intent", "pi_1", "pi_2", "pi_3")
}

// invoice names the invoice of the deal.
func (d drawer) invoice() string {
	if d.fixed != nil && d.deal != "" {
		return "in_" + d.deal
	}
	return d.pick("invoice", "in_1", "in_2")
}

func (d drawer) sub() string {
	if d.fixed != nil && d.deal != "" {
		return "sub_" + d.deal
	}
	return d.pick("subscription", "sub_1", "sub_2")
}

// maybe draws a JSON string or null.
func (d drawer) maybe(draw func() string) string {
	if d.yes() {
		return fmt.Sprintf("%q", draw())
	}
	return "null"
}

// field draws a field of an object with a comma before it, or nothing.
func (d drawer) field(name string, draw func() string) string {
	if d.yes() {
		return fmt.Sprintf(`,%q:%s`, name, draw())
	}
	return ""
}

func (d drawer) event(source, typ, account, payload string) store.NewEvent {
	return store.NewEvent{Source: source, EventID: fmt.Sprintf("evt_%02d_%s", d.nth, typ), Type: typ, Account: account,
		OccurredAt: d.at, Payload: []byte(payload)}
}

func (d drawer) stripe(typ, object string) store.NewEvent { return d.changed(typ, object, "") }

// changed is an event with previous_attributes.
func (d drawer) changed(typ, object, previous string) store.NewEvent {
	connected := once(d, "connect", func() int { return rapid.IntRange(0, 5).Draw(d.t, "connect") }) == 0
	account := ""
	if connected {
		account = d.account()
	}
	return d.event("stripe", typ, account, fmt.Sprintf(`{"type":%q,"data":{"object":%s%s}}`, typ, object, previous))
}

func (d drawer) platform(typ, data string) store.NewEvent {
	return d.event("platform", typ, "", fmt.Sprintf(`{"type":%q,"data":%s}`, typ, data))
}

// metadata draws what a shop may have written on an object.
func (d drawer) metadata() string {
	var parts []string
	add := func(key string, draw func() string) {
		if d.yes() {
			parts = append(parts, fmt.Sprintf("%q:%q", key, draw()))
		}
	}
	add(d.pick("store key", "storeId", "store_id"), d.store)
	add(d.of("product key", "courseId", "productId", "course_id", "tierId"), d.course)
	add("userId", d.user)
	if d.of("cart", "", "", "", "cart") != "" {
		add("courseIds", func() string { return d.of("courses", "course_1,course_2", `["course_2","course_1"]`) })
	}
	if once(d, "platform sale", func() int { return rapid.IntRange(0, 9).Draw(d.t, "platform sale") }) == 0 {
		parts = append(parts, `"productType":"creator_plan"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// who draws the person of a platform event.
func (d drawer) who() string {
	if d.yes() {
		return fmt.Sprintf(`"user_id":%q`, d.user())
	}
	return fmt.Sprintf(`"email":%q`, d.email())
}
