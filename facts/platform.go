package facts

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// How the platform's own events are read. Their shape is our contract, so what
// breaks it is an error with a clear text rather than a guess.

var platformReaders = map[string]func(origin, json.RawMessage) (Set, error){
	"store.upserted":      readStore,
	"product.upserted":    readProduct,
	"product.deleted":     readProductDeleted,
	"enrollment.upserted": readEnrollment,
	"enrollment.deleted":  readEnrollment,
	"purchase.recorded":   readPurchase,
}

func readPlatform(e Event) (Set, error) {
	read, ok := platformReaders[e.Type]
	if !ok {
		return Set{}, &Ignored{"no use for platform events of type " + e.Type}
	}
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.Payload, &body); err != nil || !bytes.HasPrefix(bytes.TrimSpace(body.Data), []byte("{")) {
		return Set{}, malformed("%s (%s): data must be an object", e.Type, e.ID)
	}
	set, err := read(origin{id: e.ID, typ: e.Type, at: e.OccurredAt}, body.Data)
	if err != nil {
		return Set{}, malformed("%s (%s): %v", e.Type, e.ID, err)
	}
	return set, nil
}

// required cleans ids that must be there.
func required(field, value string) (string, error) {
	if v := ref(value); v != "" {
		return v, nil
	}
	return "", malformed("%s must be 1 to %d characters", field, maxID)
}

func readStore(o origin, data json.RawMessage) (Set, error) {
	var d struct {
		ID, Name        string
		OwnerUserID     string   `json:"owner_user_id"`
		MemberUserIDs   []string `json:"member_user_ids"`
		StripeAccountID string   `json:"stripe_account_id"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Set{}, err
	}
	id, err := required("id", d.ID)
	if err != nil {
		return Set{}, err
	}
	members, err := readMembers(d.MemberUserIDs)
	return Set{Stores: []Store{{
		ID: id, Name: name(d.Name), OwnerUserID: ref(d.OwnerUserID), MemberUserIDs: members,
		StripeAccountID: ref(d.StripeAccountID), Version: o.version(rankUpdated),
	}}}, err
}

// readMembers sorts the ids, each once: the same members are the same row. One
// that cannot be an id is an error: left out, somebody would be locked out in silence.
func readMembers(ids []string) ([]string, error) {
	var members []string
	for _, id := range ids {
		id, err := required("each of member_user_ids", id)
		if err != nil {
			return nil, err
		}
		members = append(members, id)
	}
	slices.Sort(members)
	return slices.Compact(members), nil
}

func readProduct(o origin, data json.RawMessage) (Set, error) {
	var d struct {
		ID, Kind, Title  string
		StoreID          string `json:"store_id"`
		Price            *Money
		Items            []string
		StripeProductIDs []string `json:"stripe_product_ids"`
		StripePriceIDs   []string `json:"stripe_price_ids"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Set{}, err
	}
	id, err := required("id", d.ID)
	if err != nil {
		return Set{}, err
	}
	if !slices.Contains(Kinds, d.Kind) {
		return Set{}, malformed("kind %q must be one of %s", d.Kind, strings.Join(Kinds, ", "))
	}
	p := Product{
		ID: id, StoreRef: ref(d.StoreID), Kind: d.Kind, Title: name(d.Title), Items: d.Items,
		StripeProductIDs: d.StripeProductIDs, StripePriceIDs: d.StripePriceIDs, Version: o.version(rankUpdated),
	}
	if d.Price != nil {
		if err := d.Price.check(); err != nil {
			return Set{}, err
		}
		p.PriceAmount, p.PriceCurrency = &d.Price.Amount, strings.ToLower(d.Price.Currency)
	}
	return Set{Products: []Product{p}}, nil
}

func readProductDeleted(o origin, data json.RawMessage) (Set, error) {
	var d struct{ ID string }
	if err := json.Unmarshal(data, &d); err != nil {
		return Set{}, err
	}
	id, err := required("id", d.ID)
	return Set{Products: []Product{{ID: id, DeletedVersion: o.version(rankDeleted)}}}, err
}

// Money is an amount in the currency's minor units: 29900 of usd is $299.00,
// 5800 of jpy is ¥5,800.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func (m Money) check() error {
	if m.Amount < 0 {
		return malformed("amount %d must not be negative", m.Amount)
	}
	if currency(text(m.Currency)) == "" {
		return malformed("currency %q must be three letters", m.Currency)
	}
	return nil
}

// person names who a platform event is about.
type person struct {
	UserID string `json:"user_id"`
	Email  string `json:"email"`
}

// key is the person as part of an enrollment's key; the user's id where known.
func (p person) key() (string, error) {
	if id := ref(p.UserID); id != "" {
		return "user:" + id, nil
	}
	if mail := Email(p.Email); mail != "" {
		return "email:" + mail, nil
	}
	return "", malformed("user_id or a valid email is needed")
}

// readEnrollment reads an enrollment or its end.
func readEnrollment(o origin, data json.RawMessage) (Set, error) {
	var d struct {
		person
		CourseID    string `json:"course_id"`
		StoreID     string `json:"store_id"`
		Name        string
		Progress    *float64
		EnrolledAt  *time.Time `json:"enrolled_at"`
		CompletedAt *time.Time `json:"completed_at"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Set{}, err
	}
	course, err := required("course_id", d.CourseID)
	if err != nil {
		return Set{}, err
	}
	who, err := d.person.key()
	if err != nil {
		return Set{}, err
	}
	e := Enrollment{CourseID: course, Person: who}
	if o.typ == "enrollment.deleted" {
		e.DeletedVersion = o.version(rankDeleted)
		return Set{Enrollments: []Enrollment{e}}, nil
	}
	if d.Progress != nil && (*d.Progress < 0 || *d.Progress > 100) {
		return Set{}, malformed("progress %v must be from 0 to 100", *d.Progress)
	}
	if err := checkTimes(d.EnrolledAt, d.CompletedAt); err != nil {
		return Set{}, err
	}
	v := o.version(rankUpdated)
	said := func(there bool) Version {
		if there {
			return v
		}
		return ""
	}
	e.Email, e.EmailVersion = Email(d.Email), said(Email(d.Email) != "")
	e.StoreRef, e.StoreVersion = ref(d.StoreID), said(ref(d.StoreID) != "")
	e.Name, e.NameVersion = name(d.Name), said(d.Name != "")
	e.Progress, e.ProgressVersion = d.Progress, said(d.Progress != nil)
	e.EnrolledAt, e.EnrolledVersion = d.EnrolledAt, said(d.EnrolledAt != nil)
	e.CompletedAt, e.CompletedVersion = d.CompletedAt, said(d.CompletedAt != nil)
	e.CompletedWithProgress = d.CompletedAt != nil && d.Progress != nil
	e.rise(o.at)
	e.SaidAt, e.FirstSaidAt, e.Version = &o.at, &o.at, v
	return Set{Enrollments: []Enrollment{e}}, nil
}

// checkTimes refuses years that Postgres or RFC 3339 cannot write.
func checkTimes(times ...*time.Time) error {
	for _, t := range times {
		if t != nil && (t.UTC().Year() < 1 || t.UTC().Year() > 9999) {
			return malformed("time %s is out of range", t.Format(time.RFC3339))
		}
	}
	return nil
}

// readPurchase reads money taken outside Stripe. Should the platform give the
// payment intent's id, Stripe's own word about it outranks this one.
func readPurchase(o origin, data json.RawMessage) (Set, error) {
	var d struct {
		person
		Money
		ID          string
		ProductID   string     `json:"product_id"`
		StoreID     string     `json:"store_id"`
		Name        string     `json:"name"`
		PurchasedAt *time.Time `json:"purchased_at"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Set{}, err
	}
	id, err := required("id", d.ID)
	if err != nil {
		return Set{}, err
	}
	product, err := required("product_id", d.ProductID)
	if err != nil {
		return Set{}, err
	}
	if _, err := d.person.key(); err != nil {
		return Set{}, err
	}
	if err := d.Money.check(); err != nil {
		return Set{}, err
	}
	if err := checkTimes(d.PurchasedAt); err != nil {
		return Set{}, err
	}
	if d.PurchasedAt == nil {
		d.PurchasedAt = &o.at
	}
	return Set{Payments: []Payment{{
		ID: id, ClaimedBy: id, Kind: "purchase", Paid: true, Amount: &d.Amount, Currency: strings.ToLower(d.Currency),
		Context: Context{StoreRef: ref(d.StoreID), ProductRef: product, UserRef: ref(d.UserID), Email: Email(d.Email), Name: name(d.Name)},
		PaidAt:  d.PurchasedAt, ClaimVersion: claim(claimRecorded, o.version(rankUpdated)),
	}}}, nil
}
