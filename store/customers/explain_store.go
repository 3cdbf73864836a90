package customers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// The links from facts to their store, with their times.

// linkRow is a row of links.
type linkRow struct {
	Relation string `json:"relation"`
	Subject  string `json:"subject"`
	Object   string `json:"object"`
	Since    string `json:"since"`
	Hearsay  bool   `json:"hearsay"`
}

// reason is the link, compared with the time at.
func (l linkRow) reason(at *time.Time) LinkReason {
	version, source := facts.Version(l.Since), "platform"
	if l.Hearsay {
		version = "-" + version
	}
	if l.Relation == store.AddressLink {
		source = "clerk"
	}
	r := LinkReason{Relation: l.Relation, Subject: l.Subject, Object: l.Object,
		Origins: store.Versions{"link": version}.Origins(source)}
	if p, ok := version.Provenance(); ok {
		r.Since = p.At
		r.Later = at != nil && p.At.After(*at)
	}
	return r
}

// wayTaken is the way from a fact to its store.
type wayTaken struct {
	Via   string    `json:"via"`
	Key   string    `json:"key"`
	Links []linkRow `json:"links"`
}

func (w wayTaken) reason(store string, at *time.Time) *StoreReason {
	r := &StoreReason{StoreID: store, Via: w.Via, Key: w.Key, At: pg.UTC(at), Links: []LinkReason{}}
	for _, l := range w.Links {
		r.Links = append(r.Links, l.reason(at))
	}
	if len(r.Links) > 0 {
		if r.Via == "named" { // has a link only if the owner names the store
			r.Via = "owner"
		}
		r.Since = &r.deciding().Since
	}
	return r
}

// deciding is the link that the sentence is about: of a product, the one to its store.
func (r *StoreReason) deciding() *LinkReason {
	i := slices.IndexFunc(r.Links, func(l LinkReason) bool { return l.Relation != store.StripeLink })
	return &r.Links[max(i, 0)]
}

// leadToStores sets the store reason of each fact.
func (x *explainer) leadToStores() {
	for _, f := range x.e.own() {
		*f.store = x.stores[f.ref]
	}
}

// storeReasons lists all store reasons.
func (e *Explanation) storeReasons() (all []*StoreReason) {
	for _, f := range e.own() {
		all = append(all, *f.store)
	}
	return slices.DeleteFunc(all, func(r *StoreReason) bool { return r == nil })
}

// titleLinks sets the products' titles, and writes the sentences.
func titleLinks(ctx context.Context, tx pgx.Tx, all []*StoreReason) error {
	var ids []string
	for _, r := range all {
		for _, l := range r.Links {
			if l.Relation == store.StoreLink {
				ids = append(ids, l.Subject)
			}
		}
	}
	titles := map[string]string{}
	if len(ids) > 0 {
		rows := pg.Query(ctx, tx, `SELECT id, title FROM unnest($1::text[]) AS k(id) JOIN products USING (id)
			WHERE title <> ''`, ids)
		var id, title string
		if _, err := pgx.ForEachRow(rows, []any{&id, &title}, func() error { titles[id] = title; return nil }); err != nil {
			return err
		}
	}
	for _, r := range all {
		for i, l := range r.Links {
			if title, ok := titles[l.Subject]; ok && l.Relation == store.StoreLink {
				r.Links[i].Title = &title
			}
		}
		r.Why = r.sentence()
	}
	return nil
}

// sentence explains the reason; it continues after the name of the fact.
func (r *StoreReason) sentence() string {
	if len(r.Links) == 0 {
		if r.Via == "product" { // impossible: a product leads on by its link
			return fmt.Sprintf("Its product %s is in this store.", r.Key)
		}
		return fmt.Sprintf("It names this store, %s.", r.Key)
	}
	l := r.deciding()
	switch r.Via {
	case "account":
		return fmt.Sprintf("Its Stripe account %s belonged to this store%s.", r.Key, r.when(l))
	case "owner":
		return fmt.Sprintf("It names %s, who owned this store%s.", r.Key, r.when(l))
	case "destination":
		return fmt.Sprintf("Its money goes on to the Stripe account %s, which belonged to this store%s.", r.Key, r.when(l))
	case "creator":
		return fmt.Sprintf("It names the creator %s, who owned this store%s.", r.Key, r.when(l))
	}
	text := fmt.Sprintf("Its product %s was in this store%s.", *cmp.Or(l.Title, &r.Key), r.when(l))
	if first := r.Links[0]; first.Relation == store.StripeLink {
		text += fmt.Sprintf(" Stripe calls that product %s.", first.Object)
	}
	if last := r.Links[len(r.Links)-1]; last.Relation == store.OwnerLink {
		text += fmt.Sprintf(" The product names %s, who owned this store%s.", last.Object, r.when(&last))
	}
	return text
}

// when says as of when a link led to the store.
func (r *StoreReason) when(l *LinkReason) string {
	switch told := l.Since.Format(shortDay); {
	case r.At == nil:
		return fmt.Sprintf(" (reported on %s)", told)
	case l.Later:
		return fmt.Sprintf(" from %s on, the first report of it; this happened earlier, on %s", told, r.At.Format(shortDay))
	default:
		return fmt.Sprintf(" on %s (reported on %s)", r.At.Format(shortDay), told)
	}
}

const shortDay = "2 Jan 2006"
