package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/reasons"
)

// Facts on no list: how many there are for each reason, and which they are. What
// the reasons mean is in package reasons.

// unattachedFor is SQL for whether a row is on no list for a reason (SQL). It
// repeats the conditions of the indexes, or Postgres would not use them: rows that
// were never attached have another one.
func unattachedFor(alias, reason string) string {
	return strings.ReplaceAll(`split_part(@unattached, ':', 1) = `+reason+` AND @unattached <> 'not_derived'`, "@", alias)
}

// UnattachedCount counts facts of a kind that are on no list for a reason.
type UnattachedCount struct {
	Kind   string // enrollment, payment or subscription
	Reason string
	Facts  int64
}

// unattachedQuestion asks how many facts are on no list.
type unattachedQuestion struct {
	reasons []string
	most    int64  // of each kind and reason; 0: all
	store   string // only its facts; "" is all
	leaning bool   // with a store: those as well that belong to none and lean on it or on its products
}

// count counts facts by kind and reason, those of which there are none too.
func (u unattachedQuestion) count(ctx context.Context, q querier) ([]UnattachedCount, error) {
	args := []any{u.reasons, nil}
	if u.most > 0 {
		args[1] = u.most
	}
	if u.store != "" {
		args = append(args, u.store)
	}
	rows, err := q.Query(ctx, unionAll(func(k FactKind) string { return unattachedSQL(k, u.scope(k.Table)) }), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[UnattachedCount])
}

// scope narrows rows of a table down to the store $3.
func (u unattachedQuestion) scope(table string) string {
	switch {
	case u.store == "":
		return ""
	case u.leaning:
		return ` AND ` + ofStore(table)
	}
	return ` AND store_id = $3`
}

// unattachedSQL counts the facts of a kind that are on no list, for each of the
// reasons $1 up to $2, in an index: no other reason's rows are read, and right ones
// stand on half of all payments.
func unattachedSQL(kind FactKind, scope string) string {
	count := func(of, is string) string {
		return `
	SELECT '` + kind.Name + `', r, (SELECT count(*) FROM (SELECT FROM ` + kind.Table + ` WHERE ` + is + scope + ` LIMIT $2) f)
	FROM unnest($1::text[]) r
	WHERE r ` + of + ` 'not_derived'`
	}
	return count("<>", unattachedFor("", "r")) + `
	UNION ALL` + count("=", "unattached = r")
}

// byReason adds up the kinds, and leaves out reasons without facts.
func byReason(counts []UnattachedCount) map[string]int64 {
	sums := map[string]int64{}
	for _, c := range counts {
		if c.Facts > 0 {
			sums[c.Reason] += c.Facts
		}
	}
	return sums
}

// OffFilter is a question for facts on no list.
type OffFilter struct {
	Reason  string // required
	Store   string // id of their store; "" is any
	Cursor  string // where the page before ended
	Limit   int
	leaning bool // as in unattachedQuestion
}

// offSort is the only order of these: enrollments, then payments, then
// subscriptions, each by their keys.
const offSort = "kind"

// check fills in the default and finds where the page before ended: among which
// kind of facts, and behind which key.
func (f OffFilter) check() (OffFilter, rowKey, error) {
	f.Limit = cmp.Or(f.Limit, DefaultLimit)
	after := rowKey{kind: FactKinds[0].Name}
	if !storable(f.Reason + f.Store) {
		return f, after, badParam("store", "holds characters that are none")
	}
	at, err := decodeCursor(f.Cursor, offSort)
	if err != nil || at == nil {
		return f, after, err
	}
	var key []string
	if at.Key == nil || at.ID > int64(len(FactKinds)) || json.Unmarshal([]byte(*at.Key), &key) != nil ||
		len(key) != 2 || !storable(key[0]+key[1]) {
		return f, after, errCursor
	}
	return f, rowKey{FactKinds[at.ID-1].Name, key[0], key[1]}, nil
}

// cursor is that of a page which ends with a fact.
func (k rowKey) cursor() string {
	text, err := json.Marshal([]string{k.a, k.b})
	if err != nil {
		panic(err) // two strings
	}
	return position{Sort: offSort, Key: ptr(string(text)), ID: int64(1 + slices.IndexFunc(FactKinds, k.isOf))}.encode()
}

// conditions are what a fact of the kind of after must meet.
func (f OffFilter) conditions(after rowKey) *conditions {
	kind := kindOf(after.kind)
	alias := kind.Alias
	w, of := &conditions{args: &arguments{}}, alias+"."
	if f.Reason == reasons.NotDerived {
		w.add(of+"unattached = $?", f.Reason)
	} else {
		w.add(unattachedFor(of, "$?"), f.Reason)
	}
	if f.leaning && f.Store != "" {
		w.add(strings.ReplaceAll(ofStore(alias), "$3", "$?"), f.Store)
	} else {
		w.addIf(of+"store_id = $?", f.Store)
	}
	w.add("("+kind.key(alias)+") > ("+w.arg(after.a)+", $?)", after.b)
	return w
}

// OffFact is a fact on no list.
type OffFact struct {
	Ref       string     `json:"ref"`
	Kind      string     `json:"kind"`
	Who       string     `json:"who"` // user:…, an address, or a Stripe customer, as far as it says
	StoreID   *string    `json:"store_id"`
	StoreName *string    `json:"store_name"`
	Title     *string    `json:"title"` // of what was enrolled in or bought
	Amount    *Money     `json:"amount"`
	At        *time.Time `json:"at"`
	Reason    string     `json:"reason"`
	Error     *string    `json:"error"` // why its customer could not be computed
	Origins   []Origin   `json:"origins"`
	key       rowKey
}

// offReader reads facts of a kind: SQL that selects from its table, by its alias,
// and what reads a row of that.
type offReader func(kind FactKind) (selecting string, scan pgx.RowToFunc[OffFact])

// page reads a page of the facts that f asks for, kind after kind, and the cursor
// of the next one, empty at the end.
func (f OffFilter) page(ctx context.Context, q querier, read offReader) (page []OffFact, next string, err error) {
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	page = []OffFact{}
	for _, kind := range FactKinds[slices.IndexFunc(FactKinds, after.isOf):] {
		if kind.Name != after.kind {
			after = rowKey{kind: kind.Name}
		}
		selecting, scan := read(kind)
		w := f.conditions(after)
		sql := selecting + `
		WHERE ` + w.String() + `
		ORDER BY ` + kind.key(kind.Alias) + `
		LIMIT ` + w.arg(f.Limit+1-len(page))
		rows, err := q.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, *w.args...)...)
		if err != nil {
			return nil, "", err
		}
		some, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return nil, "", err
		}
		if page = append(page, some...); len(page) > f.Limit {
			page = page[:f.Limit]
			return page, page[f.Limit-1].key.cursor(), nil
		}
	}
	return page, "", nil
}

// readKeys is an offReader of the keys, and of whose the facts are.
func readKeys(kind FactKind) (selecting string, scan pgx.RowToFunc[OffFact]) {
	selecting = `
		SELECT ` + kind.key(kind.Alias) + `, ` + whoOf(kind) + `, ` + kind.Alias + `.store_id
		FROM ` + kind.Table + ` ` + kind.Alias
	return selecting, func(row pgx.CollectableRow) (o OffFact, err error) {
		o.key.kind = kind.Name
		return o, row.Scan(&o.key.a, &o.key.b, &o.Who, &o.StoreID)
	}
}

// whoOf is SQL for whom a fact of a kind names as its buyer.
func whoOf(kind FactKind) string {
	if kind.Name == enrollment {
		return "e.person"
	}
	return strings.ReplaceAll(`coalesce('user:' || @user_ref, @email, @stripe_customer, 'nobody')`, "@", kind.Alias+".")
}
