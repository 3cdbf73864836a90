package store

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// OffFilter is a question for facts on no list.
type OffFilter struct {
	Reason string // required
	Store  string // id of their store; "" is any
	Cursor string // where the page before ended
	Limit  int
}

// offSort is the only order of these: enrollments, then payments, then
// subscriptions, each by their keys.
const offSort = "kind"

// ParseOffFilter reads the query parameters of a list of the facts on no list
// for a reason; its errors are *BadParam.
func ParseOffFilter(reason string, q url.Values) (OffFilter, error) {
	f := OffFilter{Reason: reason}
	err := readParams(q, []Param{{Name: "store", Value: &f.Store}, cursorParam(&f.Cursor)}, &f.Limit)
	if err == nil {
		_, _, err = f.check()
	}
	return f, err
}

// check fills in the default and finds where the page before ended: among which
// kind of facts, and behind which key.
func (f OffFilter) check() (OffFilter, rowKey, error) {
	f.Limit = cmp.Or(f.Limit, DefaultLimit)
	after := rowKey{kind: factKinds[0]}
	if !storable(f.Reason + f.Store) {
		return f, after, badParam("store", "holds characters that are none")
	}
	at, err := decodeCursor(f.Cursor, offSort)
	if err != nil || at == nil {
		return f, after, err
	}
	var key []string
	if at.Key == nil || at.ID > int64(len(factKinds)) || json.Unmarshal([]byte(*at.Key), &key) != nil || len(key) != 2 || !storable(key[0]+key[1]) {
		return f, after, errCursor
	}
	return f, rowKey{factKinds[at.ID-1], key[0], key[1]}, nil
}

// cursor is that of a page which ends with a fact.
func (k rowKey) cursor() string {
	text, err := json.Marshal([]string{k.a, k.b})
	if err != nil {
		panic(err) // two strings
	}
	return position{Sort: offSort, Key: ptr(string(text)), ID: int64(1 + slices.Index(factKinds, k.kind))}.encode()
}

// OffFacts returns a page of the facts on no list for a reason, and the cursor
// of the next one, empty at the end. What is wrong with f is a *BadParam.
func (s *Store) OffFacts(ctx context.Context, f OffFilter) (page []OffFact, next string, err error) {
	defer wrap(&err, "store.OffFacts(%q)", f.Reason)
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	page = []OffFact{}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, kind := range factKinds[slices.Index(factKinds, after.kind):] {
			if kind != after.kind {
				after = rowKey{kind: kind}
			}
			some, err := f.read(ctx, tx, after, f.Limit+1-len(page))
			if err != nil {
				return err
			}
			if page = append(page, some...); len(page) > f.Limit {
				page = page[:f.Limit]
				next = page[f.Limit-1].key.cursor()
				break
			}
		}
		return lookUp(ctx, tx, originsOf(page)...)
	})
	return page, next, err
}

// read reads up to limit facts of a kind, behind a key.
func (f OffFilter) read(ctx context.Context, tx pgx.Tx, after rowKey, limit int) ([]OffFact, error) {
	w := f.conditions(after)
	sql := offFactSQL[after.kind] + `
		WHERE ` + w.String() + `
		ORDER BY ` + keyColumns(after.kind) + `
		LIMIT ` + w.arg(limit)
	rows, err := tx.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, *w.args...)...)
	if err != nil {
		return nil, err
	}
	source := map[string]string{enrollment: "platform", subscription: "stripe"}[after.kind]
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o OffFact, err error) {
		var versions said
		of := source
		o.Kind, o.key.kind = after.kind, after.kind
		err = row.Scan(&o.key.a, &o.key.b, &o.Who, &o.StoreID, &o.StoreName, &o.Title, &o.Amount, &o.At, &o.Reason, &of, &versions)
		o.Ref, o.At = refOfKey(o.key), utc(o.At)
		o.Origins = versions.origins(of)
		if reason, text, found := strings.Cut(o.Reason, ": "); found {
			o.Reason, o.Error = reason, &text
		}
		return o, err
	})
}

// conditions are what a fact of the kind of after must meet. That they repeat
// the indexes' own conditions makes Postgres use those.
func (f OffFilter) conditions(after rowKey) *conditions {
	w, of := &conditions{args: &arguments{}}, offAlias[after.kind]+"."
	if f.Reason == notDerived {
		w.add(of+"unattached = $?", f.Reason)
	} else {
		w.add(reasonOf(of+"unattached")+" = $?", f.Reason)
		w.sql = append(w.sql, of+"unattached <> 'not_derived'")
	}
	w.addIf(of+"store_id = $?", f.Store)
	w.add("("+keyColumns(after.kind)+") > ("+w.arg(after.a)+", $?)", after.b)
	return w
}

// keyColumns are those of a kind's key, in its order.
func keyColumns(kind string) string {
	return offAlias[kind] + "." + keyOf[kind][0] + ", " + offAlias[kind] + "." + keyOf[kind][1]
}

// offFactSQL reads facts of each kind, under the aliases of offAlias.
var offFactSQL = map[string]string{
	enrollment: `
		SELECT
			e.course_id,
			e.person,
			e.person AS who,
			e.store_id,
			st.name,
			` + titleOf("e.course_id", "e.store_id") + ` AS title,
			NULL::jsonb AS amount,
			coalesce(e.enrolled_at, e.first_said_at) AS at,
			e.unattached,
			'platform' AS source,
			` + enrollmentSaid + ` AS said
		FROM enrollments e
		LEFT JOIN stores st ON st.id = e.store_id`,
	payment: `
		SELECT
			p.account,
			p.id,
			` + whoOf("p") + ` AS who,
			p.store_id,
			st.name,
			` + titleOf("coalesce(p.product_id, p.product_ref)", "p.store_id") + ` AS title,
			` + moneyOf("p.amount", "p.currency") + ` AS amount,
			p.paid_at AS at,
			p.unattached,
			` + paymentSource + ` AS source,
			` + paymentSaid + ` AS said
		FROM payments p
		LEFT JOIN stores st ON st.id = p.store_id`,
	subscription: `
		SELECT
			s.account,
			s.id,
			` + whoOf("s") + ` AS who,
			s.store_id,
			st.name,
			coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + titleOf("s.product_id", "s.store_id") + `) AS title,
			` + moneyOf("s.amount", "s.currency") + ` AS amount,
			coalesce(s.started_at, s.checkout_at) AS at,
			s.unattached,
			'stripe' AS source,
			` + subscriptionSaid + ` AS said
		FROM subscriptions s
		LEFT JOIN stores st ON st.id = s.store_id`,
}

// offAlias is what each table goes by there.
var offAlias = map[string]string{enrollment: "e", payment: "p", subscription: "s"}

// whoOf is SQL for whom a payment or subscription names as its buyer.
func whoOf(alias string) string {
	return strings.ReplaceAll(`coalesce('user:' || @user_ref, @email, @stripe_customer, 'nobody')`, "@", alias+".")
}
