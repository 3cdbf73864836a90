package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store/checks"
	"rollcall/store/pg"
)

// Data that only the platform has is fixed by a platform event. The command repeats all
// that was reported about a store or product, because the event replaces it.

// object is a field of an event's data.
type object struct {
	name  string
	value any
}

// send is the command that sends a platform event, without its empty fields.
func send(typ string, fields ...object) string {
	var data bytes.Buffer
	out := json.NewEncoder(&data)
	out.SetEscapeHTML(false) // of <STORE>, which a person is to see
	for _, f := range fields {
		if f.value == nil || f.value == "" {
			continue
		}
		if data.Len() > 0 {
			data.WriteByte(',')
		}
		data.WriteString(`"` + f.name + `":`)
		if err := out.Encode(f.value); err != nil {
			panic(err) // texts and lists of texts
		}
		data.Truncate(data.Len() - 1) // the line's end
	}
	return "rollcall events send " + typ + " " + shown("{"+data.String()+"}")
}

// shown quotes JSON for a shell. What would not be seen as it is is escaped, as
// JSON can.
func shown(text string) string {
	return "'" + strings.ReplaceAll(show.Visible(text), "'", `\u0027`) + "'"
}

// storeOrPlaceholder is the store that something unknown most likely belongs to.
func (d *doctor) storeOrPlaceholder() string { return cmp.Or(d.onlyStore, "<STORE>") }

// homeFor is the command that reports the store of a thing, for the facts that name it.
func (d *doctor) homeFor(ctx context.Context, m checks.Missing) (string, error) {
	kind, id, _ := strings.Cut(m.Key, ":")
	switch {
	case kind == "product":
		// While the product named its owner, facts resolve by the owner: only the
		// owner's store can be reported afterwards.
		p, err := checks.New(d.store).ToldProduct(ctx, id)
		if err == nil && strings.HasPrefix(p.StoreRef, "user_") {
			return d.homeFor(ctx, checks.Missing{Key: "store:" + p.StoreRef})
		}
		return d.productHome(ctx, id, "")
	case kind == "account":
		return d.storeWith(ctx, func(s *facts.Store) bool {
			taken := s.StripeAccountID != "" && s.StripeAccountID != id
			s.StripeAccountID = id
			return !taken
		})
	case kind == "store" && strings.HasPrefix(id, "user_"):
		return d.storeWith(ctx, func(s *facts.Store) bool {
			taken := s.OwnerUserID != "" && s.OwnerUserID != id
			s.OwnerUserID = id
			return !taken
		})
	case id == "" && kind != "": // a price or product of Stripe's, which has no colon
		return d.productHome(ctx, "<PRODUCT>", kind)
	}
	return "rollcall events send product.upserted '{\"id\":\"<PRODUCT>\",\"store_id\":\"<STORE>\",\"kind\":\"<KIND>\"}'", nil
}

// productHome reports a product's store and, if known, its Stripe id.
func (d *doctor) productHome(ctx context.Context, id, stripe string) (string, error) {
	p, err := checks.New(d.store).ToldProduct(ctx, id)
	if errors.Is(err, pg.ErrNotFound) {
		p, err = facts.Product{ID: id, Kind: "course"}, nil
		if stripe != "" {
			p.Kind = "<KIND>"
		}
	}
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(stripe, "price_"):
		p.StripePriceIDs = []string{stripe}
	case stripe != "":
		p.StripeProductIDs = []string{stripe}
	}
	var price any
	if p.PriceAmount != nil {
		price = facts.Money{Amount: *p.PriceAmount, Currency: p.PriceCurrency}
	}
	return send("product.upserted", object{"id", p.ID}, object{"store_id", d.storeOrPlaceholder()}, object{"kind", p.Kind}, object{"title", p.Title},
		object{"price", price}, ids("items", p.Items), ids("stripe_product_ids", p.StripeProductIDs), ids("stripe_price_ids", p.StripePriceIDs)), nil
}

func ids(name string, values []string) object {
	if len(values) == 0 {
		return object{name, nil}
	}
	return object{name, values}
}

// storeWith reports the most likely store together with a field, unless the store
// already has another value.
func (d *doctor) storeWith(ctx context.Context, lacks func(*facts.Store) bool) (string, error) {
	s := facts.Store{ID: "<STORE>"}
	if d.onlyStore != "" {
		known, err := checks.New(d.store).ToldStore(ctx, d.onlyStore)
		switch {
		case errors.Is(err, pg.ErrNotFound):
			s.ID = d.onlyStore
		case err != nil:
			return "", err
		default:
			s = known
		}
	}
	if !lacks(&s) {
		other := facts.Store{ID: "<STORE>"}
		lacks(&other)
		s = other
	}
	return send("store.upserted", object{"id", s.ID}, object{"name", s.Name}, object{"owner_user_id", s.OwnerUserID},
		ids("member_user_ids", s.MemberUserIDs), object{"stripe_account_id", s.StripeAccountID}), nil
}

// enrollmentWith reports the unverified address of a user in a course.
func enrollmentWith(course, user string) string {
	return send("enrollment.upserted", object{"course_id", course}, object{"user_id", user}, object{"email", "<ADDRESS>"})
}
