package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// providedBy lists the keys of a set that other rows depend on, except stores and
// products: see catalogueChanges.
func providedBy(set facts.Set) []string {
	var keys []string
	for _, f := range set.Users {
		keys = append(keys, "user:"+f.ID)
	}
	for _, f := range set.StripeCustomers {
		keys = append(keys, CustomerLock(f.Account, f.ID))
	}
	for _, f := range set.Subscriptions {
		keys = append(keys, subKey(f.Account, f.ID))
	}
	for _, f := range set.Payments {
		if f.Kind == "invoice" { // its payment intents depend on it
			keys = append(keys, payKey(f.Account, f.ID))
		}
	}
	return keys
}

// dependents finds the rows to attach: own, those of the set, and those that depend
// on the keys provided. It locks what these depend on.
func (w *work) dependents(ctx context.Context, set facts.Set, own []RowKey, provided []string) (
	_ []RowKey, err error,
) {
	defer pg.Wrap(&err, "store.dependents")
	own = append(own, rowsIn(set)...)
	for _, f := range set.Payments {
		if f.Kind == "checkout" && f.ClaimedBy != f.ID { // an export may have it under its session
			own = append(own, RowKey{Payment, f.Account, f.ClaimedBy})
		}
	}
	ofCharges, err := w.paymentsOfCharges(ctx, set)
	if err != nil {
		return nil, err
	}
	return w.withDependents(ctx, append(own, ofCharges...), provided)
}

// linkedInvoices finds the invoices that the set's payments are linked to before the
// upsert: an invoice may lose its payment intent to another.
func (w *work) linkedInvoices(ctx context.Context, set facts.Set) ([]RowKey, error) {
	var accounts, ids []string
	for _, f := range set.Payments {
		if f.Invoice != "" {
			accounts, ids = append(accounts, f.Account), append(ids, f.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows := pg.Query(ctx, w.tx, `
		SELECT f.account, f.invoice
		FROM unnest($1::text[], $2::text[]) AS k(account, id)
		JOIN payments f ON f.account = k.account AND f.id = k.id
		WHERE f.invoice IS NOT NULL`, accounts, ids)
	return KeysOfKind(Payment, rows)
}

// unstarted finds the subscriptions that never were active and that the set's
// payments are for, or were before: a paid one is unattached for another reason.
func (w *work) unstarted(ctx context.Context, set facts.Set) ([]RowKey, error) {
	var accounts, ids, subscriptions []string
	for _, f := range set.Payments {
		if f.Kind == "invoice" {
			accounts, ids, subscriptions = append(accounts, f.Account), append(ids, f.ID), append(subscriptions, f.Subscription)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows := pg.Query(ctx, w.tx, `
		SELECT DISTINCT s.account, s.id
		FROM unnest($1::text[], $2::text[], $3::text[]) AS k(account, id, subscription)
		LEFT JOIN payments p ON p.account = k.account AND p.id = k.id
		JOIN subscriptions s ON s.account = k.account AND s.id IN (k.subscription, p.subscription)
		WHERE NOT s.ever_active`, accounts, ids, subscriptions)
	return KeysOfKind(Subscription, rows)
}

// paymentsOfCharges finds the payments of refunds and disputes that name only their
// charge, by other refunds and disputes of that charge.
func (w *work) paymentsOfCharges(ctx context.Context, set facts.Set) ([]RowKey, error) {
	var accounts, charges []string
	for _, f := range set.Refunds {
		if f.PaymentIntent == "" || f.Cumulative { // a charge's payment may just have become known
			accounts, charges = append(accounts, f.Account), append(charges, f.Charge)
		}
	}
	for _, f := range set.Disputes {
		if f.PaymentIntent == "" {
			accounts, charges = append(accounts, f.Account), append(charges, f.Charge)
		}
	}
	if len(charges) == 0 {
		return nil, nil
	}
	rows := pg.Query(ctx, w.tx, `
		SELECT r.account, r.payment_intent
		FROM unnest($1::text[], $2::text[]) AS c(account, charge)
		JOIN refunds r ON r.account = c.account AND r.charge = c.charge
		WHERE r.payment_intent IS NOT NULL
		UNION
		SELECT d.account, d.payment_intent
		FROM unnest($1::text[], $2::text[]) AS c(account, charge)
		JOIN disputes d ON d.account = c.account AND d.charge = c.charge
		WHERE d.payment_intent IS NOT NULL`, accounts, charges)
	return KeysOfKind(Payment, rows)
}

// withDependents adds to own all rows that depend on the provided keys, and the
// invoices of payment intents among them, and locks them all. A dependent row may
// change before it is locked, so the search repeats until all that it finds was
// locked before.
func (w *work) withDependents(ctx context.Context, own []RowKey, provided []string) ([]RowKey, error) {
	keys := locks{}
	keys.add(true, provided...)
	keys.add(true, w.reported...)
	if err := w.extend(ctx, keys); err != nil { // before the search, so that no other transaction adds dependents after it
		return nil, err
	}
	for {
		n, err := w.findDependents(ctx, own, provided)
		if err != nil {
			return nil, err
		}
		complete := n.dependents == 0 || len(w.held.missing(n.more)) == 0
		if err := w.extend(ctx, n.more); err != nil {
			return nil, err
		}
		if complete {
			return slices.Collect(maps.Keys(n.found)), nil
		}
	}
}

// findDependents searches once. Subscriptions come first, because their invoices
// depend on them.
func (w *work) findDependents(ctx context.Context, own []RowKey, provided []string) (*dependentSearch, error) {
	n := &dependentSearch{tx: w.tx, found: map[RowKey]bool{}, users: map[string]bool{}, more: locks{}}
	for _, user := range w.reported {
		n.users[user] = true
	}
	byKey := KeyArrays(own)
	for _, kind := range slices.Backward(FactKinds) {
		if k := byKey[kind.Name]; len(k[0]) > 0 {
			if _, err := n.find(ctx, kind.Name, kind.byKeySQL(), true, k[0], k[1]); err != nil {
				return nil, err
			}
		}
		if len(provided) > 0 {
			found, err := n.find(ctx, kind.Name, kind.dependentsSQL(), false, provided)
			if err != nil {
				return nil, err
			}
			n.dependents += found
		}
		if kind.Name == Subscription {
			for k := range n.found {
				provided = append(slices.Clip(provided), k.lock())
				n.more.add(true, k.lock())
			}
		}
	}
	if err := n.findConnected(ctx); err != nil {
		return nil, err
	}
	return n, n.findInvoices(ctx)
}

// dependentSearch is the state of one search.
type dependentSearch struct {
	tx         pgx.Tx
	found      map[RowKey]bool
	users      map[string]bool // keys of users that the platform's rows among them name
	more       locks           // needed for the rows found
	dependents int             // number of rows found by a key that they depend on
}

// findInvoices adds the invoices that the payment intents found pay, because an
// invoice takes its refunds and destination from them.
func (n *dependentSearch) findInvoices(ctx context.Context) error {
	var accounts, ids []string
	for k := range n.more {
		if invoice, ok := strings.CutPrefix(k, "pay:"); ok {
			account, id, _ := strings.Cut(invoice, "/")
			if !n.found[RowKey{Payment, account, id}] {
				accounts, ids = append(accounts, account), append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := n.find(ctx, Payment, KindOf(Payment).byKeySQL(), true, accounts, ids)
	return err
}

// find adds the rows of a query. A row found by its own key is locked exclusively;
// others shared, as the key that they depend on is locked exclusively.
func (n *dependentSearch) find(ctx context.Context, kind, sql string, exclusive bool, args ...any) (
	found int, err error) {
	rows := pg.Query(ctx, n.tx, sql, args...)
	k := RowKey{Kind: kind}
	var dependsOn []string
	err = pg.Each(rows, []any{&k.A, &k.B, &dependsOn}, func() {
		found++
		n.found[k] = true
		n.noteUsers(k, dependsOn)
		n.more.add(false, dependsOn...)
		n.more.add(exclusive, k.lock())
	})
	return found, err
}

// dependsOnSQL is SQL for all keys that row f depends on. Its address has a column
// and an index of its own, which costs less to write.
const dependsOnSQL = `CASE WHEN f.mail IS NULL THEN f.leans ELSE array_append(f.leans, 'mail:' || f.mail) END`

// byKeySQL finds rows by their keys $1 and $2, with the keys that they depend on.
func (k FactKind) byKeySQL() string {
	return `SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + k.GivenRows("f")
}

// dependentsSQL finds the rows that depend on any of the keys $1.
func (k FactKind) dependentsSQL() string {
	found := `
		SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + `
		FROM ` + k.Table + ` f
		WHERE `
	return found + `f.leans && $1::text[]
		UNION ALL` + found + `f.mail = ANY(ARRAY(SELECT substr(key, 6) FROM unnest($1::text[]) key WHERE key LIKE 'mail:%'))`
}

// connectedSQL finds the rows of connected accounts that depend on any of the keys $1.
func (k FactKind) connectedSQL() string {
	return `
		SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + `
		FROM ` + k.Table + ` f
		WHERE f.leans && $1::text[] AND f.account <> ''`
}

// The owner of a connected account can write any user's id into metadata, and would
// then see that user's address. So an id counts there only once the platform has
// reported that user in the account's store (SQL function reported_in). Rows of
// connected accounts are attached again with the platform's rows of their users.

// formerUsers are the keys of users that the platform's rows in a set named before:
// the set may name others.
func (w *work) formerUsers(ctx context.Context, set facts.Set) (keys []string, err error) {
	defer pg.Wrap(&err, "store.formerUsers")
	found := &dependentSearch{tx: w.tx, found: map[RowKey]bool{}, users: map[string]bool{}, more: locks{}}
	for kind, k := range byKind(rowsIn(set)) {
		if kind.buyers == nil { // its key names the person
			continue
		}
		if _, err := found.find(ctx, kind.Name, kind.byKeySQL(), false, k[0], k[1]); err != nil {
			return nil, err
		}
	}
	return slices.Collect(maps.Keys(found.users)), nil
}

// noteUsers records the users that a row of the platform names.
func (n *dependentSearch) noteUsers(k RowKey, dependsOn []string) {
	if k.account() != "" {
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
