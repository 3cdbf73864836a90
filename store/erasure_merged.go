package store

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Rows into which facts of erased people were merged: one message names them, and
// another may say more of the same row without naming them.

// veilMerged puts rows that facts of erased people were merged into: what one
// message names them by, another may have told without naming them. A Stripe
// customer whom only the merged row ties to an erased user is erased as well. It
// returns the rows that turned out to be theirs, for them to be attached.
func (w *work) veilMerged(ctx context.Context, said []facts.Set) (turned []rowKey, err error) {
	if w.erased == nil {
		return nil, nil
	}
	defer wrap(&err, "store.veilMerged")
	first := map[rowKey]time.Time{} // when each row was first told of
	for _, set := range said {
		for _, k := range rowsIn(facts.Set{Payments: set.Payments, Subscriptions: set.Subscriptions}) {
			if at, known := first[k]; !known || set.At.Before(at) {
				first[k] = set.At
			}
		}
	}
	found, err := w.veilWhole(ctx, first)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return w.buryFound(ctx, found)
}

// veilWhole puts all that rows say of somebody nameless. first is when each row
// was first told of.
func (w *work) veilWhole(ctx context.Context, first map[rowKey]time.Time) (found ties, err error) {
	found = ties{}
	if err := veilRows(ctx, w, payment, first, found, func(f *facts.Payment) (rowKey, []*facts.Context) {
		return rowKey{payment, f.Account, f.ID}, []*facts.Context{&f.Context, f.Intent.Says(), f.Charge}
	}); err != nil {
		return nil, err
	}
	return found, veilRows(ctx, w, subscription, first, found, func(f *facts.Subscription) (rowKey, []*facts.Context) {
		return rowKey{subscription, f.Account, f.ID}, []*facts.Context{&f.Context, f.Checkout}
	})
}

// veilRows puts the rows of a kind that name somebody nameless and were first
// told of before that person was erased, and adds to found whom they tie to them.
func veilRows[F any](ctx context.Context, w *work, kind string, first map[rowKey]time.Time, found ties, contexts func(*F) (rowKey, []*facts.Context)) error {
	keys := keyArrays(slices.Collect(maps.Keys(first)))[kind]
	if len(keys[0]) == 0 {
		return nil
	}
	rows, err := factsOf[F](ctx, w.tx, rowsSQL(kind)+` WHERE concat_ws(' ', `+qualify("f", namingColumns[kind])+`) LIKE '%`+nameless+`%'`, keys[0], keys[1])
	if err != nil || len(rows) == 0 {
		return err
	}
	var names []string
	var customers []identity
	for i := range rows {
		key, all := contexts(&rows[i])
		names = append(names, buyerIn(all))
		for _, c := range all {
			names = append(names, namelessIn(c))
			if user, customer := boughtAs(key.a, c); user != "" {
				names, customers = append(names, user), append(customers, customer)
			}
		}
	}
	tombs, err := w.tombsOf(ctx, names)
	if err != nil {
		return err
	}
	if err := w.erased.find(ctx, w.tx, customers); err != nil {
		return err
	}
	var changed []F
	for i := range rows {
		key, all := contexts(&rows[i])
		touched := false
		if t, erased := tombs[buyerIn(all)]; erased {
			touched = veilRest(all, t)
		}
		for _, c := range all {
			t, erased := tombs[namelessIn(c)]
			touched = erased && !first[key].After(t.at) && veilNameless(c, t) || touched
			if user, customer := boughtAs(key.a, c); user != "" {
				if t, erased := tombs[user]; erased && !first[key].After(t.at) {
					w.erased.tie(found, customer, &t)
				}
			}
		}
		if touched {
			changed = append(changed, rows[i])
		}
	}
	return w.writeNames(ctx, kind, changed)
}

// boughtAs is the Stripe customer as whom an erased user bought, with what that
// user is called now; "" if the context names no such two.
func boughtAs(account string, c *facts.Context) (user string, customer identity) {
	if c == nil || c.StripeCustomer == "" || !strings.HasPrefix(c.UserRef, nameless) || strings.HasPrefix(c.StripeCustomer, nameless) {
		return "", identity{}
	}
	return c.UserRef, identity{aStripeCustomer, account + "/" + c.StripeCustomer}
}

// namelessIn is what a context that says more calls somebody nameless, "" if it
// names no such.
func namelessIn(c *facts.Context) string {
	if c == nil || c.Email == "" && c.Name == "" {
		return ""
	}
	for _, name := range []string{c.UserRef, c.StripeCustomer, c.Email} {
		if strings.HasPrefix(name, nameless) {
			return name
		}
	}
	return ""
}

// buyerIn is what the first of a row's contexts that names a buyer calls them, if
// that is somebody nameless: the contexts after it count only where it is silent.
func buyerIn(all []*facts.Context) string {
	for _, c := range all {
		if c == nil || c.UserRef+c.StripeCustomer+c.Email == "" {
			continue
		}
		for _, name := range []string{c.UserRef, c.StripeCustomer, c.Email} {
			if strings.HasPrefix(name, nameless) {
				return name
			}
		}
		return ""
	}
	return ""
}

// veilRest puts what contexts that name nobody by an id were typed with, and tells
// whether that changed any.
func veilRest(all []*facts.Context, t tombstone) (touched bool) {
	for _, c := range all {
		if c != nil && c.UserRef+c.StripeCustomer == "" {
			touched = veilNameless(c, t) || touched
		}
	}
	return touched
}

// tombsOf finds the tombstones of the nameless, by what they are called or the
// mark of an id of theirs. Of several the last erasure counts.
func (w *work) tombsOf(ctx context.Context, names []string) (map[string]tombstone, error) {
	people, marks := make([]string, len(names)), make([][]byte, len(names))
	for i, name := range names {
		people[i], _, _ = strings.Cut(name, "@")
		marks[i], _ = hex.DecodeString(strings.TrimPrefix(name, nameless))
	}
	rows, err := w.tx.Query(ctx, `
		WITH named AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n(name, person, mark) WHERE name <> '')
		SELECT n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erasures x ON x.person = n.person
		UNION ALL
		SELECT n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erased e ON length(n.mark) = 10 AND e.hash BETWEEN n.mark AND n.mark || '\xffffffffffffffffffffffffffffffffffffffffffff'
		JOIN erasures x ON x.id = e.erasure_id
		ORDER BY erased_at`, names, people, marks)
	if err != nil {
		return nil, err
	}
	found := map[string]tombstone{}
	var name string
	var t tombstone
	_, err = pgx.ForEachRow(rows, []any{&name, &t.erasure, &t.person, &t.at}, func() error {
		found[name] = t
		return nil
	})
	return found, err
}

// veilNameless puts what a context says of somebody nameless beside what they are
// called now, and tells whether that changed it.
func veilNameless(c *facts.Context, t tombstone) bool {
	was := *c
	if c.Email != "" {
		c.Email = t.address()
	}
	c.Name, c.Earlier = "", veiled(c.Earlier, "name")
	return was.Email != c.Email || was.Name != ""
}
