package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// Unattached facts: counts per reason, and lists. Package reasons describes the
// reasons.

// UnattachedFor is SQL for whether a row is unattached for a reason (SQL). It repeats
// the conditions of the indexes, or Postgres would not use them. Rows that were never
// attached have an index of their own.
func UnattachedFor(alias, reason string) string {
	return strings.ReplaceAll(`split_part(@unattached, ':', 1) = `+reason+` AND @unattached <> 'not_derived'`, "@", alias)
}

// UnattachedCount counts facts of a kind that are unattached for a reason.
type UnattachedCount struct {
	Kind   string // enrollment, payment or subscription
	Reason string
	Facts  int64
}

// UnattachedQuestion selects the unattached facts to count.
type UnattachedQuestion struct {
	Reasons []string
	Most    int64  // of each kind and reason; 0: all
	Store   string // only its facts; "" is all
	Leaning bool   // with a store: also facts without one that depend on it or its products
}

// Count counts facts by kind and reason, zeros included.
func (u UnattachedQuestion) Count(ctx context.Context, q pg.Querier) ([]UnattachedCount, error) {
	args := []any{u.Reasons, nil}
	if u.Most > 0 {
		args[1] = u.Most
	}
	if u.Store != "" {
		args = append(args, u.Store)
	}
	sql := UnionAll(func(k FactKind) string { return UnattachedSQL(k, u.Scope(k.Table)) })
	return pg.Structs[UnattachedCount](ctx, q, sql, args...)
}

// Scope narrows rows of a table down to the store $3.
func (u UnattachedQuestion) Scope(table string) string {
	switch {
	case u.Store == "":
		return ""
	case u.Leaning:
		return ` AND ` + ofStore(table)
	}
	return ` AND store_id = $3`
}

// UnattachedSQL counts the unattached facts of a kind for each of the reasons $1, up
// to $2. An index keeps it from reading rows of other reasons: half of all payments
// are unattached as expected.
func UnattachedSQL(kind FactKind, scope string) string {
	count := func(of, is string) string {
		return `
	SELECT '` + kind.Name + `', r, (SELECT count(*) FROM (SELECT FROM ` + kind.Table + ` WHERE ` + is +
			scope + ` LIMIT $2) f)
	FROM unnest($1::text[]) r
	WHERE r ` + of + ` 'not_derived'`
	}
	return count("<>", UnattachedFor("", "r")) + `
	UNION ALL` + count("=", "unattached = r")
}

// ByReason adds up the kinds, and leaves out reasons without facts.
func ByReason(counts []UnattachedCount) map[string]int64 {
	sums := map[string]int64{}
	for _, c := range counts {
		if c.Facts > 0 {
			sums[c.Reason] += c.Facts
		}
	}
	return sums
}

// OffFilter selects a list of unattached facts.
type OffFilter struct {
	Reason  string // required
	Store   string // id of their store; "" is any
	Cursor  string // end of the page before
	Limit   int
	leaning bool // as in UnattachedQuestion
}

// OffSort is the only order of such a list: enrollments, then payments, then
// subscriptions, each by their keys.
const OffSort = "kind"

// Check fills in the default and finds where the page before ended: among which
// kind of facts, and behind which key.
func (f OffFilter) Check() (OffFilter, RowKey, error) {
	f.Limit = cmp.Or(f.Limit, pg.DefaultLimit)
	after := RowKey{Kind: FactKinds[0].Name}
	if !pg.Storable(f.Reason + f.Store) {
		return f, after, pg.Refuse("store", "holds characters that are none")
	}
	at, err := pg.DecodeCursor(f.Cursor, OffSort)
	if err != nil || at == nil {
		return f, after, err
	}
	var key []string
	if at.Key == nil || at.ID > int64(len(FactKinds)) || json.Unmarshal([]byte(*at.Key), &key) != nil ||
		len(key) != 2 || !pg.Storable(key[0]+key[1]) {
		return f, after, pg.ErrCursor
	}
	return f, RowKey{FactKinds[at.ID-1].Name, key[0], key[1]}, nil
}

// cursor is that of a page which ends with a fact.
func (k RowKey) cursor() string {
	text, err := json.Marshal([]string{k.A, k.B})
	if err != nil {
		panic(err) // two strings
	}
	return pg.Position{Sort: OffSort, Key: Ptr(string(text)), ID: int64(1 + slices.IndexFunc(FactKinds, k.isOf))}.Encode()
}

// Conditions are what a fact of the kind of after must meet.
func (f OffFilter) Conditions(after RowKey) *pg.Conditions {
	kind := KindOf(after.Kind)
	alias := kind.Alias
	w, of := &pg.Conditions{Args: &pg.Arguments{}}, alias+"."
	if f.Reason == reasons.NotDerived {
		w.Add(of+"unattached = $?", f.Reason)
	} else {
		w.Add(UnattachedFor(of, "$?"), f.Reason)
	}
	if f.leaning && f.Store != "" {
		w.Add(strings.ReplaceAll(ofStore(alias), "$3", "$?"), f.Store)
	} else {
		w.AddIf(of+"store_id = $?", f.Store)
	}
	w.Add("("+kind.KeySQL(alias)+") > ("+w.Arg(after.A)+", $?)", after.B)
	return w
}

// OffFact is an unattached fact.
type OffFact struct {
	Ref       string     `json:"ref"`
	Kind      string     `json:"kind"`
	Who       string     `json:"who"` // user:…, an address, or a Stripe customer, as far as it says
	StoreID   *string    `json:"store_id"`
	StoreName *string    `json:"store_name"`
	Title     *string    `json:"title"` // of the course or product
	Amount    *Money     `json:"amount"`
	At        *time.Time `json:"at"`
	Reason    string     `json:"reason"`
	Error     *string    `json:"error"` // why its customer could not be derived
	Origins   []Origin   `json:"origins"`
	Key       RowKey     `json:"-"`
}

// offReader reads facts of a kind: SQL that selects from its table, by its alias,
// and what reads a row of that.
type offReader func(kind FactKind) (selecting string, scan pgx.RowToFunc[OffFact])

// Page reads a page of the facts that f asks for, kind after kind, and the cursor
// of the next one, empty at the end.
func (f OffFilter) Page(ctx context.Context, q pg.Querier, read offReader) (page []OffFact, next string, err error) {
	f, after, err := f.Check()
	if err != nil {
		return nil, "", err
	}
	page = []OffFact{}
	for _, kind := range FactKinds[slices.IndexFunc(FactKinds, after.isOf):] {
		if kind.Name != after.Kind {
			after = RowKey{Kind: kind.Name}
		}
		selecting, scan := read(kind)
		w := f.Conditions(after)
		sql := selecting + `
		WHERE ` + w.String() + `
		ORDER BY ` + kind.KeySQL(kind.Alias) + `
		LIMIT ` + w.Arg(f.Limit+1-len(page))
		rows := pg.Query(ctx, q, sql, append([]any{pgx.QueryExecModeCacheDescribe}, *w.Args...)...)
		some, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return nil, "", err
		}
		if page = append(page, some...); len(page) > f.Limit {
			page = page[:f.Limit]
			return page, page[f.Limit-1].Key.cursor(), nil
		}
	}
	return page, "", nil
}

// readKeys is an offReader of keys and buyers.
func readKeys(kind FactKind) (selecting string, scan pgx.RowToFunc[OffFact]) {
	selecting = `
		SELECT ` + kind.KeySQL(kind.Alias) + `, ` + kind.Who + `, ` + kind.Alias + `.store_id
		FROM ` + kind.Table + ` ` + kind.Alias
	return selecting, func(row pgx.CollectableRow) (o OffFact, err error) {
		o.Key.Kind = kind.Name
		return o, row.Scan(&o.Key.A, &o.Key.B, &o.Who, &o.StoreID)
	}
}
