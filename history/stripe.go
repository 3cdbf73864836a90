package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// StripeConfig configures a reader of Stripe.
type StripeConfig struct {
	Key     string                // STRIPE_API_KEY
	BaseURL string                // empty: Stripe's API
	Mode    string                // live or test: objects of the other mode are skipped; empty: none is
	Options store.BackfillOptions // of the run: Since, Only, Accounts, AsOf
	Budget  *Budget               // nil: unlimited
	Timeout time.Duration         // of one request; 0: a minute
	Now     func() time.Time      // nil: time.Now
}

// stream is one of Stripe's lists and its reader.
type stream struct {
	name   string
	path   string
	status string // query parameter; empty: the list has none, or hides nothing
	expand string
	child  childList
}

// stripeStreams lists the streams of kind stripe, ordered so that referenced objects come first.
var stripeStreams = []stream{
	{name: "products", path: "/v1/products"},
	{name: "prices", path: "/v1/prices"},
	{name: "customers", path: "/v1/customers"},
	{name: "subscriptions", path: "/v1/subscriptions", status: "all", expand: "data.latest_invoice",
		child: childList{"items", func(id string) (string, string) { return "/v1/subscription_items", id }}},
	{name: "invoices", path: "/v1/invoices",
		child: childList{"lines", func(id string) (string, string) { return "/v1/invoices/" + id + "/lines", "" }}},
	// only the charge has a guest's address
	{name: "payment_intents", path: "/v1/payment_intents", expand: "data.latest_charge"},
	{name: "refunds", path: "/v1/refunds", expand: "data.charge"},
	{name: "disputes", path: "/v1/disputes"},
	{name: "checkout_sessions", path: "/v1/checkout/sessions", expand: "data.line_items",
		child: childList{"line_items", func(id string) (string,
			string) {
			return "/v1/checkout/sessions/" + id + "/line_items", ""
		}}},
}

// StripeStreams lists the valid names in Options.Only.
func StripeStreams() []string {
	names := make([]string, len(stripeStreams))
	for i, s := range stripeStreams {
		names[i] = s.name
	}
	return names
}

// Stripe reads current objects from Stripe's API, for backfills of kind stripe.
type Stripe struct {
	lister
	streams []stream
}

// NewStripe makes a source of Stripe's objects. Its error is *Refused.
func NewStripe(c StripeConfig) (*Stripe, error) {
	l, err := newLister(c)
	if err != nil {
		return nil, err
	}
	s := &Stripe{lister: l}
	for _, name := range c.Options.Only {
		if !slices.Contains(StripeStreams(), name) {
			return nil, refused("Stripe has no stream %q: choose of %s", name, strings.Join(StripeStreams(), ", "))
		}
	}
	for _, each := range stripeStreams {
		if len(c.Options.Only) == 0 || slices.Contains(c.Options.Only, each.name) {
			s.streams = append(s.streams, each)
		}
	}
	return s, nil
}

// Read returns the page at a position. The empty position returns the plan.
func (s *Stripe) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	if at.Stream == "" {
		return s.plan(s.streams), nil
	}
	i := slices.IndexFunc(stripeStreams, func(each stream) bool { return each.name == at.Stream })
	if i < 0 {
		return store.Page{}, refused("Stripe has no stream %q", at.Stream)
	}
	return s.read(ctx, stripeStreams[i], at, limit, func(w window, asOf time.Time, raw json.RawMessage) (store.Item,
		error) {
		return s.item(ctx, stripeStreams[i], w.Account, asOf, raw)
	})
}

// item reads one object.
func (s *Stripe) item(
	ctx context.Context, from stream, account string, asOf time.Time, raw json.RawMessage,
) (store.Item, error) {
	head, item := s.head(account, raw)
	if item.Err != nil || !s.wanted(head) {
		return item, nil
	}
	whole, err := s.complete(ctx, from.child, account, head, raw)
	if err != nil {
		return item, err
	}
	item.Facts, item.Err = facts.ReadStripeObject(head.Object, account, asOf, whole)
	if len(item.Facts.Notes) > 0 {
		item.Passed = append(item.Passed, "with an amount that is none (the rest was read)")
	}
	return item, nil
}

// lister is shared by both Stripe sources: it reads lists in windows.
type lister struct {
	api     *stripeAPI
	mode    string
	options store.BackfillOptions
}

func newLister(c StripeConfig) (lister, error) {
	api, err := newStripeAPI(c)
	if err != nil {
		return lister{}, err
	}
	if !slices.Contains([]string{"", "live", "test", "any"}, c.Mode) {
		return lister{}, refused("the mode %q must be live, test or any", c.Mode)
	}
	for _, account := range c.Options.Accounts {
		if account != "" && !strings.HasPrefix(account, "acct_") {
			return lister{}, refused("%q is no Connect account of Stripe: their ids begin with acct_", account)
		}
	}
	return lister{api, c.Mode, c.Options}, nil
}

// overlap is how far a run reads beyond its start, to allow for clock differences.
const overlap = 5 * time.Minute

// plan begins one window for each account and stream.
func (l lister) plan(streams []stream) (page store.Page) {
	asOf := l.api.now()
	if l.options.AsOf != nil {
		asOf = *l.options.AsOf
	}
	w := window{Until: asOf.Add(overlap).Unix()}
	if l.options.Since != nil {
		w.Since = l.options.Since.Unix()
	}
	accounts := l.options.Accounts
	if len(accounts) == 0 {
		accounts = []string{""}
	}
	for _, w.Account = range accounts {
		for _, s := range streams {
			page.Next = append(page.Next, w.position(s.name))
		}
	}
	return page
}

// head holds the fields that are read from every object first.
type head struct {
	ID       string
	Object   string
	Created  int64
	Livemode *bool
}

// head reads an object's head and begins its item.
func (l lister) head(account string, raw json.RawMessage) (h head, item store.Item) {
	err := json.Unmarshal(raw, &h)
	item.Place = strings.TrimSpace(h.ID + " " + account)
	if err != nil || h.ID == "" {
		item.Err = errors.New("an entry of the list is no object of Stripe with an id")
	}
	return h, item
}

// wanted reports whether an object has the right mode. Some kinds have no mode.
func (l lister) wanted(h head) bool {
	return h.Livemode == nil || l.mode == "" || l.mode == "any" || *h.Livemode == (l.mode == "live")
}

// unreadable is the page of an account that Rollcall may not read. It must not block the other
// accounts.
func unreadable(s stream, account string, cause error) (store.Page, error) {
	if account == "" {
		return store.Page{}, refused("STRIPE_API_KEY may not read %s: %v; give the key the right to read them", s.name, cause)
	}
	return store.Page{Items: []store.Item{{
		Place: s.name + " of " + account,
		Err: fmt.Errorf("the Connect account %s cannot be read: %w; if its owner has taken back the platform's access "+
			"they must connect it again, else check the account's id",
			account, cause),
	}}}, nil
}
