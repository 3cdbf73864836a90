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

// providedBy lists the keys that a set speaks for and other rows lean on.
// Stores and products are not among them: see catalogueChanges.
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
		if f.Kind == "invoice" { // its payment intents lean on it
			keys = append(keys, payKey(f.Account, f.ID))
		}
	}
	return keys
}

// affected finds the rows to attach: those that a set brings, own, and those
// that lean on the keys provided. It takes the locks of what they lean on in turn.
func (w *work) dependents(ctx context.Context, set facts.Set, own []RowKey, provided []string) (_ []RowKey, err error) {
	defer pg.Wrap(&err, "store.affected")
	own = append(own, rowsIn(set)...)
	for _, f := range set.Payments {
		if f.Kind == "checkout" && f.ClaimedBy != f.ID { // an export may have told it by its session
			own = append(own, RowKey{Payment, f.Account, f.ClaimedBy})
		}
	}
	adrift, err := w.paymentsOfCharges(ctx, set)
	if err != nil {
		return nil, err
	}
	return w.withDependents(ctx, append(own, adrift...), provided)
}

// linkedInvoices finds the invoices that payment intents are linked to before
// the set says to which they are: one may lose its payment intent to another.
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
	rows, err := w.tx.Query(ctx, `
		SELECT f.account, f.invoice
		FROM unnest($1::text[], $2::text[]) AS k(account, id)
		JOIN payments f ON f.account = k.account AND f.id = k.id
		WHERE f.invoice IS NOT NULL`, accounts, ids)
	if err != nil {
		return nil, err
	}
	return KeysOfKind(Payment, rows)
}

// unstarted finds the subscriptions that never were active and that payments of
// the set are for, or were until now: what is paid is not rightly on no list.
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
	rows, err := w.tx.Query(ctx, `
		SELECT DISTINCT s.account, s.id
		FROM unnest($1::text[], $2::text[], $3::text[]) AS k(account, id, subscription)
		LEFT JOIN payments p ON p.account = k.account AND p.id = k.id
		JOIN subscriptions s ON s.account = k.account AND s.id IN (k.subscription, p.subscription)
		WHERE NOT s.ever_active`, accounts, ids, subscriptions)
	if err != nil {
		return nil, err
	}
	return KeysOfKind(Subscription, rows)
}

// paymentsOfCharges finds the payments of refunds and disputes that name only
// their charge: others have told which payment that charge is of.
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
	rows, err := w.tx.Query(ctx, `
		SELECT r.account, r.payment_intent
		FROM unnest($1::text[], $2::text[]) AS c(account, charge)
		JOIN refunds r ON r.account = c.account AND r.charge = c.charge
		WHERE r.payment_intent IS NOT NULL
		UNION
		SELECT d.account, d.payment_intent
		FROM unnest($1::text[], $2::text[]) AS c(account, charge)
		JOIN disputes d ON d.account = c.account AND d.charge = c.charge
		WHERE d.payment_intent IS NOT NULL`, accounts, charges)
	if err != nil {
		return nil, err
	}
	return KeysOfKind(Payment, rows)
}

// neighbours adds to own rows all rows leaning on the provided keys, and the
// invoices that payment intents among them pay; and extends the locks over all of it.
// A row that leans on a key may have changed before its own lock was had: so
// rows are looked for again until nothing found was not locked before.
func (w *work) withDependents(ctx context.Context, own []RowKey, provided []string) ([]RowKey, error) {
	keys := locks{}
	keys.add(true, provided...)
	keys.add(true, w.reported...)
	if err := w.extend(ctx, keys); err != nil { // before looking: nobody may slip in behind it
		return nil, err
	}
	for {
		n, err := w.findDependents(ctx, own, provided)
		if err != nil {
			return nil, err
		}
		settled := n.dependents == 0 || len(w.held.missing(n.more)) == 0
		if err := w.extend(ctx, n.more); err != nil {
			return nil, err
		}
		if settled {
			return slices.Collect(maps.Keys(n.found)), nil
		}
	}
}

// lookAround looks once. Subscriptions come first: whatever becomes of one, its
// invoices lean on it.
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
			leaning, err := n.find(ctx, kind.Name, kind.dependentsSQL(), false, provided)
			if err != nil {
				return nil, err
			}
			n.dependents += leaning
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

// neighbourhood is what a look around has found so far.
type dependentSearch struct {
	tx         pgx.Tx
	found      map[RowKey]bool
	users      map[string]bool // keys of those whom the platform's rows among them name
	more       locks           // that are needed to touch what was found
	dependents int             // rows found by a key they lean on
}

// lookInvoices adds the invoices that the payment intents among what was found
// pay: their money, and where it goes on to, is the invoice's too.
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

// look adds what a query finds. A row is locked exclusively if it was found by
// its own key; else shared, as the key it leans on is held exclusively.
func (n *dependentSearch) find(ctx context.Context, kind, sql string, exclusive bool, args ...any) (found int, err error) {
	rows, err := n.tx.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	k := RowKey{Kind: kind}
	var leans []string
	_, err = pgx.ForEachRow(rows, []any{&k.A, &k.B, &leans}, func() error {
		found++
		n.found[k] = true
		n.noteUsers(k, leans)
		n.more.add(false, leans...)
		n.more.add(exclusive, k.lock())
		return nil
	})
	return found, err
}

// leansOf is SQL for all keys that row f leans on. The address that it was made
// with has an index of its own, which costs less to write.
const dependsOnSQL = `CASE WHEN f.mail IS NULL THEN f.leans ELSE array_append(f.leans, 'mail:' || f.mail) END`

// byKeySQL finds rows by their keys $1 and $2, with what they lean on.
func (k FactKind) byKeySQL() string {
	return `SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + k.GivenRows("f")
}

// byLeanSQL finds the rows that lean on any of the keys $1.
func (k FactKind) dependentsSQL() string {
	found := `
		SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + `
		FROM ` + k.Table + ` f
		WHERE `
	return found + `f.leans && $1::text[]
		UNION ALL` + found + `f.mail = ANY(ARRAY(SELECT substr(key, 6) FROM unnest($1::text[]) key WHERE key LIKE 'mail:%'))`
}

// connectedSQL finds the rows of connected accounts that lean on any of the keys $1.
func (k FactKind) connectedSQL() string {
	return `
		SELECT ` + k.KeySQL("f") + `, ` + dependsOnSQL + `
		FROM ` + k.Table + ` f
		WHERE f.leans && $1::text[] AND f.account <> ''`
}
