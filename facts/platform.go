package facts

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Readers of platform events. Their format is our contract: if a required field is missing, the
// error names it.

var platformReaders = map[string]func(origin, *fields) Set{
	"store.upserted":      readStore,
	"product.upserted":    readProduct,
	"product.deleted":     readProductDeleted,
	"enrollment.upserted": readEnrollment,
	"enrollment.deleted":  readEnrollmentDeleted,
	"purchase.recorded":   readPurchase,
	"consent.updated":     readConsents,
}

// PlatformTypes are the types of events that the platform sends.
func PlatformTypes() []string { return slices.Sorted(maps.Keys(platformReaders)) }

// MaxAhead is how far in the future a time that orders versions may be. Until then it would
// override all other events about the object. The receiver allows less; here the clocks of the
// receiver and of Postgres may also differ.
const MaxAhead = time.Hour

func readPlatform(e Event) (Set, error) {
	read, ok := platformReaders[e.Type]
	if !ok {
		return Set{}, &Ignored{"platform events of type " + e.Type + " are not needed"}
	}
	// stored before the receiver refused such events
	if !e.ReceivedAt.IsZero() && e.OccurredAt.After(e.ReceivedAt.Add(MaxAhead)) {
		return Set{}, malformed("%s (%s): timestamp %s is more than an hour after the event was received, at %s: send it "+
			"again with the time of the change",
			e.Type, e.ID, e.OccurredAt.UTC().Format(time.RFC3339), e.ReceivedAt.UTC().Format(time.RFC3339))
	}
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.Payload, &body); err != nil || !bytes.HasPrefix(bytes.TrimSpace(body.Data), []byte("{")) {
		return Set{}, malformed("%s (%s): data must be an object", e.Type, e.ID)
	}
	f, err := fieldsOf(body.Data)
	if err != nil {
		return Set{}, malformed("%s (%s): %v", e.Type, e.ID, err)
	}
	set := read(origin{id: e.ID, typ: e.Type, at: e.OccurredAt}, f)
	if f.err != nil {
		return Set{}, malformed("%s (%s): %v", e.Type, e.ID, f.err)
	}
	set.Notes = f.notes
	return set, nil
}

func readStore(o origin, f *fields) Set {
	return Set{Stores: []Store{{
		ID: f.required("id"), Name: f.name("name"), OwnerUserID: f.id("owner_user_id"),
		MemberUserIDs:   f.members("member_user_ids"),
		StripeAccountID: f.id("stripe_account_id"), TimeZone: f.timeZone("timezone"), Version: o.version(rankUpdated),
		Withdrawn: f.withdrawn("owner_user_id", "member_user_ids", "stripe_account_id"),
	}}}
}

// timeZone reads a zone of the tz database.
func (f *fields) timeZone(field string) string {
	name := f.id(field)
	zone := timeZone(name)
	if name != "" && zone == "" {
		f.note("%s %s is no time zone: write one such as Europe/Berlin", field, got(f.raw[field]))
	}
	return zone
}

func readProduct(o origin, f *fields) Set {
	p := Product{
		ID: f.required("id"), StoreRef: f.id("store_id"), Kind: f.kind("kind"), Title: f.name("title"), Items: f.ids("items"),
		StripeProductIDs: f.ids("stripe_product_ids"), StripePriceIDs: f.ids("stripe_price_ids"),
		Version:   o.version(rankUpdated),
		Withdrawn: f.withdrawn("store_id", "items", "stripe_product_ids", "stripe_price_ids"),
	}
	if price := f.price("price"); price != nil {
		p.PriceAmount, p.PriceCurrency = &price.Amount, price.Currency
	}
	return Set{Products: []Product{p}}
}

// kind reads one of Kinds. It is required, as it decides what can be attached to a product.
func (f *fields) kind(field string) string {
	text, _ := idText(f.raw[field])
	kind := strings.ToLower(strings.TrimSpace(text))
	switch {
	case kind == "" && f.empty(field):
		f.fail("%s is missing: it must be one of %s", field, strings.Join(Kinds, ", "))
	case !slices.Contains(Kinds, kind):
		f.fail("%s %s must be one of %s", field, got(f.raw[field]), strings.Join(Kinds, ", "))
	}
	return kind
}

func readProductDeleted(o origin, f *fields) Set {
	return Set{Products: []Product{{ID: f.required("id"), DeletedVersion: o.version(rankDeleted)}}}
}

// price reads a product's price, which sales do not depend on.
func (f *fields) price(field string) *Money {
	if f.empty(field) {
		return nil
	}
	inner, err := fieldsOf(f.raw[field])
	if err != nil {
		f.note("%s must be an object of amount and currency, got %s", field, got(f.raw[field]))
		return nil
	}
	m, err := inner.money()
	if err != nil {
		f.note("%s: %v", field, err)
		return nil
	}
	return &m
}

// person is the person of a platform event.
type person struct {
	user, email string
	key         string // as part of an enrollment's key; the user's id if known
}

// person reads the event's person. One valid name (id or email) is enough.
func (f *fields) person() (p person) {
	p.user, p.email = f.id("user_id"), f.email("email")
	switch {
	case p.user != "":
		p.key = "user:" + p.user
	case p.email != "":
		p.key = "email:" + p.email
	default:
		why := "got neither"
		if len(f.notes) > 0 {
			why = strings.Join(f.notes, "; ")
		}
		f.fail("user_id or a valid email is needed: %s", why)
	}
	return p
}

// readEnrollment reads an enrollment. A missing or null field changes nothing, except completed_at:
// null means not completed.
func readEnrollment(o origin, f *fields) Set {
	who := f.person()
	e := Enrollment{CourseID: f.required("course_id"), Person: who.key, Email: who.email, StoreRef: f.id("store_id"),
		Name: f.name("name"), Progress: f.percent("progress")}
	e.EnrolledAt, e.CompletedAt = f.time("enrolled_at"), f.time("completed_at")
	v := o.version(rankUpdated)
	versionIf := func(there bool) Version {
		if there {
			return v
		}
		return ""
	}
	e.EmailVersion, e.StoreVersion, e.NameVersion = versionIf(e.Email != ""), versionIf(e.StoreRef != ""),
		versionIf(e.Name != "")
	e.ProgressVersion, e.EnrolledVersion = versionIf(e.Progress != nil), versionIf(e.EnrolledAt != nil)
	e.CompletedVersion = versionIf(e.CompletedAt != nil || f.given("completed_at") && f.empty("completed_at"))
	e.CompletedWithProgress = e.CompletedAt != nil && e.Progress != nil
	e.rise(o.at)
	e.SaidAt, e.FirstSaidAt, e.Version = &o.at, &o.at, v
	return Set{Enrollments: []Enrollment{e}}
}

func readEnrollmentDeleted(o origin, f *fields) Set {
	return Set{Enrollments: []Enrollment{{Person: f.person().key, CourseID: f.required("course_id"),
		DeletedVersion: o.version(rankDeleted)}}}
}

// readPurchase reads money received outside Stripe. If the platform sends a payment intent's id,
// Stripe's own data outranks this purchase.
func readPurchase(o origin, f *fields) Set {
	id, product, who := f.required("id"), f.required("product_id"), f.person()
	m, err := f.money()
	if err != nil {
		f.fail("%w", err)
	}
	at := f.time("purchased_at")
	if at == nil {
		at = &o.at
	}
	return Set{Payments: []Payment{{
		ID: id, ClaimedBy: id, Kind: "purchase", Paid: true, Amount: &m.Amount, Currency: m.Currency,
		Context: Context{StoreRef: f.id("store_id"), ProductRef: product, UserRef: who.user, Email: who.email,
			Name: f.name("name")},
		PaidAt: at, ClaimVersion: claim(claimRecorded, o.version(rankUpdated)),
	}}}
}
