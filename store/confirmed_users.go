package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"rollcall/facts"
	"rollcall/store/pg"
)

// The owner of a connected account can write any user's id into metadata, and would
// then see that user's address. So an id counts there only once the platform has
// reported that user in the account's store (SQL function reported_in). Rows of
// connected accounts are attached again with the platform's rows of their users.

// platformUsers are the keys of users that the platform's rows in a set name.
func platformUsers(set facts.Set) (keys []string) {
	add := func(account string, contexts ...*facts.Context) {
		for _, c := range contexts {
			if account == "" && c != nil && c.UserRef != "" {
				keys = append(keys, "user:"+c.UserRef)
			}
		}
	}
	for _, f := range set.Enrollments {
		if strings.HasPrefix(f.Person, "user:") {
			keys = append(keys, f.Person)
		}
	}
	for _, f := range set.Payments {
		add(f.Account, &f.Context, f.Intent.Says(), f.Charge)
	}
	for _, f := range set.Subscriptions {
		add(f.Account, &f.Context, f.Checkout)
	}
	return keys
}

// formerUsers are the keys of users that the platform's payments and subscriptions
// in a set named before: the set may name others.
func (w *work) formerUsers(ctx context.Context, set facts.Set) (keys []string, err error) {
	defer pg.Wrap(&err, "store.formerUsers")
	found := &dependentSearch{tx: w.tx, found: map[RowKey]bool{}, users: map[string]bool{}, more: locks{}}
	own := rowsIn(facts.Set{Payments: set.Payments, Subscriptions: set.Subscriptions})
	for kind, k := range byKind(own) {
		if _, err := found.find(ctx, kind.Name, kind.byKeySQL(), false, k[0], k[1]); err != nil {
			return nil, err
		}
	}
	return slices.Collect(maps.Keys(found.users)), nil
}

// noteUsers records the users that a row of the platform names.
func (n *dependentSearch) noteUsers(k RowKey, dependsOn []string) {
	if k.Kind != Enrollment && k.A != "" {
		return
	}
	for _, l := range dependsOn {
		if strings.HasPrefix(l, "user:") {
			n.users[l] = true
		}
	}
}

// findConnected adds the rows of connected accounts that name the users noted, and
// the invoices of such subscriptions.
func (n *dependentSearch) findConnected(ctx context.Context) error {
	if len(n.users) == 0 {
		return nil
	}
	users := slices.Collect(maps.Keys(n.users))
	n.more.add(true, users...)
	n.dependents++ // such rows need the users' locks, so search again once these are held
	before := maps.Clone(n.found)
	if _, err := n.find(ctx, Subscription, KindOf(Subscription).connectedSQL(), false, users); err != nil {
		return err
	}
	var subscriptions []string
	for k := range n.found {
		if !before[k] {
			subscriptions = append(subscriptions, k.lock())
		}
	}
	if len(subscriptions) > 0 {
		n.more.add(true, subscriptions...)
		if _, err := n.find(ctx, Payment, KindOf(Payment).dependentsSQL(), false, subscriptions); err != nil {
			return err
		}
	}
	_, err := n.find(ctx, Payment, KindOf(Payment).connectedSQL(), false, users)
	return err
}

// ofAccountsStore is SQL for whether a product was ever in a store that ever had the
// connected account: the account's owner can name any price, and would learn its store.
func ofAccountsStore(product string) string {
	return `EXISTS (
								SELECT FROM products pr
								JOIN links l ON l.relation = 'account' AND l.object = c.account AND l.subject = ANY(pr.store_ids)
								WHERE pr.id = ` + product + `
							  )`
}
