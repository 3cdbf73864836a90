package store

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Rows into which facts of erased people were merged: one message names them, and
// another may say more of the same row without naming them.

// pseudonymizeMerged pseudonymizes what the merged rows say of erased people beside
// what the upserted facts named. A Stripe customer whom only the merged row ties to
// an erased user is erased as well. It returns the rows to be attached because of that.
func (f *erasureFilter) pseudonymizeMerged(ctx context.Context) (rows []RowKey, err error) {
	defer pg.Wrap(&err, "store.pseudonymizeMerged")
	first := map[RowKey]time.Time{}
	for _, set := range f.sets {
		for _, p := range purchasesOf(&set, asStored) {
			if at, known := first[p.RowKey]; !known || set.At.Before(at) {
				first[p.RowKey] = set.At
			}
		}
	}
	found, err := f.pseudonymizeWhole(ctx, first)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return f.addDiscovered(ctx, found)
}

// pseudonymizeWhole pseudonymizes all parts of payments and subscriptions of which
// one part names an erased person by a pseudonym. first is when each row was first
// told of: what was told only after the erasure is not the erased person's.
func (f *erasureFilter) pseudonymizeWhole(ctx context.Context, first map[RowKey]time.Time) (found discoveries, err error) {
	found = discoveries{}
	set, err := readRows(ctx, f.tx, slices.Collect(maps.Keys(first)), true)
	if err != nil {
		return nil, err
	}
	rows := purchasesOf(&set, asStored)
	if len(rows) == 0 {
		return found, nil
	}
	people, err := f.peopleBehind(ctx, rows)
	if err != nil {
		return nil, err
	}
	var changed []purchase
	for _, p := range rows {
		if f.pseudonymizeParts(p, first[p.RowKey], people, found) {
			changed = append(changed, p)
		}
	}
	return found, f.writePurchases(ctx, changed)
}

// pseudonymizeParts pseudonymizes the parts of one row, and adds to found the
// Stripe customers as whom erased people bought.
func (f *erasureFilter) pseudonymizeParts(p purchase, first time.Time, people map[string]*tombstone, found discoveries) (changed bool) {
	if t := people[p.erasedBuyer()]; t != nil {
		for _, by := range p.parts {
			if by.UserRef+by.StripeCustomer == "" {
				changed = t.typed(by.Context) || changed
			}
		}
	}
	before := func(pseudonym string) *tombstone {
		if t := people[pseudonym]; t != nil && !first.After(t.at) {
			return t
		}
		return nil
	}
	for _, by := range p.parts {
		if t := before(pseudonymIn(by.Context)); t != nil && by.Email+by.Name != "" {
			changed = t.typed(by.Context) || changed
		}
		if by.StripeCustomer != "" {
			f.tombstones.note(found, identity{aStripeCustomer, p.A + "/" + by.StripeCustomer}, before(by.UserRef))
		}
	}
	return changed
}

// peopleBehind finds the erased people that rows name by pseudonyms.
func (f *erasureFilter) peopleBehind(ctx context.Context, rows []purchase) (map[string]*tombstone, error) {
	var pseudonyms []string
	var customers []identity
	for _, p := range rows {
		for _, by := range p.parts {
			pseudonyms = append(pseudonyms, by.UserRef, by.StripeCustomer, by.Email)
			customers = append(customers, identity{aStripeCustomer, p.A + "/" + by.StripeCustomer})
		}
	}
	pseudonyms = slices.DeleteFunc(pseudonyms, func(name string) bool { return !isPseudonym(name) })
	if err := f.tombstones.find(ctx, f.tx, customers); err != nil {
		return nil, err
	}
	return f.findPseudonyms(ctx, pseudonyms)
}

func isPseudonym(name string) bool { return strings.HasPrefix(name, anonymousPrefix) }

// pseudonymIn is the first pseudonym by which a part names its buyer, if any.
func pseudonymIn(c *facts.Context) string {
	for _, name := range []string{c.UserRef, c.StripeCustomer, c.Email} {
		if isPseudonym(name) {
			return name
		}
	}
	return ""
}

// erasedBuyer is the first pseudonym by which any part names a buyer, if one does. A
// part that names another buyer may come later, when what was typed is gone.
func (p purchase) erasedBuyer() string {
	for _, by := range p.parts {
		if pseudonym := pseudonymIn(by.Context); pseudonym != "" {
			return pseudonym
		}
	}
	return ""
}

// findPseudonyms finds the tombstones behind pseudonyms of people and of ids. Of
// several the last erasure counts.
func (f *erasureFilter) findPseudonyms(ctx context.Context, pseudonyms []string) (map[string]*tombstone, error) {
	people, marks := make([]string, len(pseudonyms)), make([][]byte, len(pseudonyms))
	for i, name := range pseudonyms {
		people[i], _, _ = strings.Cut(name, "@")
		marks[i], _ = hex.DecodeString(strings.TrimPrefix(name, anonymousPrefix))
	}
	found := map[string]*tombstone{}
	return found, scanTombstones(ctx, f.tx, func(_ []byte, name string, t *tombstone) { found[name] = t }, `
		WITH named AS (
			SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n(name, person, mark)
		)
		SELECT NULL::bytea, n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erasures x ON x.person = n.person
		UNION ALL
		SELECT NULL::bytea, n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erased e ON length(n.mark) = 10 AND e.hash BETWEEN n.mark AND n.mark || '\xffffffffffffffffffffffffffffffffffffffffffff'
		JOIN erasures x ON x.id = e.erasure_id
		ORDER BY erased_at`, pseudonyms, people, marks)
}
