package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/reasons"
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
	return "rollcall events send " + typ + " '{" + strings.ReplaceAll(data.String(), "'", `\u0027`) + "}'"
}

func ids(name string, values []string) object {
	if len(values) == 0 {
		return object{name, nil}
	}
	return object{name, values}
}

// sendStore is the command that reports a store.
func sendStore(s facts.Store) string {
	return send("store.upserted", object{"id", s.ID}, object{"name", s.Name}, object{"owner_user_id", s.OwnerUserID},
		ids("member_user_ids", s.MemberUserIDs), object{"stripe_account_id", s.StripeAccountID})
}

// told is the latest version of a row, or unknown if none was reported.
func told[T any](ctx context.Context, c *Checkup, table, id string, unknown T) (f T, err error) {
	if !pg.Storable(id) {
		return unknown, nil
	}
	err = c.store.Pool.QueryRow(ctx, `SELECT to_jsonb(t) FROM `+table+` t WHERE id = $1 AND version <> ''`, id).Scan(&f)
	if errors.Is(err, pgx.ErrNoRows) {
		return unknown, nil
	}
	return f, err
}

// placeholder stands for a store that the operator fills in.
const placeholder = "<STORE>"

// likelyStore is the store that something unknown most likely belongs to: the one that is
// checked, or the only one known.
func (c *Checkup) likelyStore(ctx context.Context) (id string, err error) {
	if c.Store != "" {
		return c.Store, nil
	}
	err = c.store.Pool.QueryRow(ctx, `
		SELECT coalesce((SELECT min(id) FROM (SELECT id FROM stores LIMIT 2) s HAVING count(*) = 1), $1)`,
		placeholder).Scan(&id)
	return id, err
}

// rebuild is the command that attaches and derives again.
func (c *Checkup) rebuild() string {
	if finding.Plain(c.Store) {
		return "rollcall audit --fix --store " + c.Store
	}
	return reasons.Rebuild
}

// fixOf fills the commands of a reason in, as far as what facts wait for is known.
func (c *Checkup) fixOf(ctx context.Context, reason reasons.Reason, waits []missing) (fix []string, err error) {
	for _, command := range reason.Fix {
		switch {
		case command == reasons.Rebuild:
			fix = append(fix, c.rebuild())
		case strings.Contains(command, "<"):
			filled, err := c.fillIn(ctx, waits)
			if err != nil {
				return nil, err
			}
			fix = append(fix, filled...)
		default:
			fix = append(fix, command)
		}
	}
	return fix, nil
}

// fillIn is what the platform has to report, for each of what facts wait for.
func (c *Checkup) fillIn(ctx context.Context, waits []missing) (fix []string, err error) {
	for _, m := range waits {
		var command string
		switch user, named := strings.CutPrefix(m.Key, "user:"); {
		case !named:
			if command, err = c.homeFor(ctx, m.Key); err != nil {
				return nil, err
			}
		case m.Course != "":
			command = send("enrollment.upserted",
				object{"course_id", m.Course}, object{"user_id", user}, object{"email", "<ADDRESS>"})
		default:
			continue // there is no enrollment that could say an address
		}
		fix = append(fix, command)
	}
	return fix, nil
}

// homeFor is the command that reports the store of a thing, for the facts that name it.
func (c *Checkup) homeFor(ctx context.Context, key string) (string, error) {
	kind, id, named := strings.Cut(key, ":")
	switch {
	case kind == "product":
		return c.productHome(ctx, id, "")
	case kind == "account":
		return c.storeWith(ctx, id, func(s *facts.Store) *string { return &s.StripeAccountID })
	case kind == "store" && strings.HasPrefix(id, "user_"):
		return c.storeWith(ctx, id, func(s *facts.Store) *string { return &s.OwnerUserID })
	case !named && kind != "": // a price or product of Stripe's, which has no colon
		return c.productHome(ctx, "<PRODUCT>", kind)
	}
	return send("product.upserted",
		object{"id", "<PRODUCT>"}, object{"store_id", placeholder}, object{"kind", "<KIND>"}), nil
}

// productHome reports a product's store and, if known, its Stripe id.
func (c *Checkup) productHome(ctx context.Context, id, stripe string) (string, error) {
	unknown := facts.Product{ID: id, Kind: "course"}
	if stripe != "" {
		unknown.Kind = "<KIND>"
	}
	p, err := told(ctx, c, "products", id, unknown)
	if err != nil {
		return "", err
	}
	switch {
	case stripe == "" && strings.HasPrefix(p.StoreRef, "user_"):
		// While the product named its owner, facts resolve by the owner: only the
		// owner's store can be reported afterwards.
		return c.homeFor(ctx, "store:"+p.StoreRef)
	case strings.HasPrefix(stripe, "price_"):
		p.StripePriceIDs = []string{stripe}
	case stripe != "":
		p.StripeProductIDs = []string{stripe}
	}
	var price any
	if p.PriceAmount != nil {
		price = facts.Money{Amount: *p.PriceAmount, Currency: p.PriceCurrency}
	}
	store, err := c.likelyStore(ctx)
	return send("product.upserted", object{"id", p.ID}, object{"store_id", store}, object{"kind", p.Kind},
		object{"title", p.Title}, object{"price", price}, ids("items", p.Items),
		ids("stripe_product_ids", p.StripeProductIDs), ids("stripe_price_ids", p.StripePriceIDs)), err
}

// storeWith reports the most likely store with a value for one of its fields, or some
// store if the likely one already has another value there.
func (c *Checkup) storeWith(ctx context.Context, value string, field func(*facts.Store) *string) (string, error) {
	id, err := c.likelyStore(ctx)
	if err != nil {
		return "", err
	}
	s, err := told(ctx, c, "stores", id, facts.Store{ID: id})
	if has := *field(&s); has != "" && has != value {
		s = facts.Store{ID: placeholder}
	}
	*field(&s) = value
	return sendStore(s), err
}

// FirstWords are the commands that set up a source.
func FirstWords(source string) []string {
	switch source {
	case "stripe":
		return []string{
			"rollcall stripe setup --url https://<HOST>/webhooks/stripe   # once more with --connect if stores sell " +
				"on their own accounts",
			"rollcall backfill start stripe --account all --follow",
		}
	case "clerk":
		return []string{
			"xdg-open https://dashboard.clerk.com/last-active?path=webhooks   # add https://<HOST>/webhooks/clerk; " +
				"docs/clerk.md has the events",
			"rollcall backfill start clerk --follow",
		}
	}
	return []string{
		`rollcall events send store.upserted '{"id":"<STORE>","name":"<NAME>","owner_user_id":"<CLERK USER>"}'`}
}
