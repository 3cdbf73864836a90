package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Footprint is what is held of a person: what Erase would erase.
type Footprint struct {
	Addresses       []string
	Users           []string
	StripeCustomers []string   // account/id; account is empty for the platform's own
	Traces          []Trace    // by table and store
	Waiting         int64      // events that name them and wait to be applied
	Elsewhere       []string   // addresses that users among them have or had, and that are not erased with them
	Typed           []string   // other addresses in the payloads that are emptied
	Staff           []string   // stores that they own or are a member of: that stays
	ErasedAt        *time.Time // when they were erased before; null: never
}

// Trace is how many rows of a table, of a store, are theirs and what is to
// become of those.
type Trace struct {
	Table string
	Store string // empty: of none, or of all
	Fate  string // removed; anonymous: kept under another name; emptied: kept without the payload; reworded
	Count int64
}

// Fates of a Trace.
const (
	removed  = "removed"
	renamed  = "anonymous"
	emptied  = "emptied"
	reworded = "reworded"
)

// Anything tells whether there is anything of the person.
func (f Footprint) Anything() bool { return len(f.Traces) > 0 || f.Waiting > 0 }

// Names are all that the person is known by, in lower case.
func (f Footprint) Names() (names []string) {
	for _, id := range slices.Concat(f.Addresses, f.Users) {
		names = append(names, strings.ToLower(id))
	}
	for _, id := range f.StripeCustomers {
		names = append(names, strings.ToLower(idOf(identity{aStripeCustomer, id})))
	}
	return names
}

// Footprint tells what Erase would erase. It writes nothing, and reads the inbox
// through. The error is *BadParam for what names nobody.
func (s *Store) Footprint(ctx context.Context, p Erasing, o EraseOptions) (f Footprint, err error) {
	defer wrap(&err, "store.Footprint")
	if err := p.check(); err != nil {
		return f, err
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var found trail
		erasures, err := erasuresOf(ctx, tx, p)
		if err != nil {
			return err
		}
		names, err := namesOf(ctx, tx, "true", erasures...)
		if err != nil {
			return err
		}
		var now time.Time
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
			return err
		}
		now = now.Add(time.Hour) // whatever is there happened before
		if err := found.from(ctx, tx, append(names, p.seed()), erasure{store: p.Store, at: now}, o.progress); err != nil {
			return err
		}
		f = Footprint{Addresses: found.values(anAddress), Users: found.values(aUser), StripeCustomers: found.values(aStripeCustomer), Traces: []Trace{}}
		if err := tx.QueryRow(ctx, `SELECT max(erased_at) FROM erasures WHERE id = ANY($1)`, erasures).Scan(&f.ErasedAt); err != nil {
			return err
		}
		return (&survey{tx: tx, p: p, now: now, found: found, counts: map[Trace]int64{}}).into(ctx, &f)
	})
	return f, err
}

// erasuresOf finds the erasure by which a person was erased before.
func erasuresOf(ctx context.Context, tx pgx.Tx, p Erasing) ([]int64, error) {
	key, any, _, err := erasureKey(ctx, tx)
	if err != nil || !any {
		return nil, err
	}
	e := &erased{key: key}
	rows, err := tx.Query(ctx, `SELECT erasure_id FROM erased WHERE hash = $1 AND store_id = $2`, e.hash(p.seed()), p.Store)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// survey counts what was found.
type survey struct {
	now    time.Time // later than whatever is there
	tx     pgx.Tx
	p      Erasing
	found  trail
	counts map[Trace]int64
	gone   []string // the addresses of customers who will be no more
}

func (v *survey) into(ctx context.Context, f *Footprint) error {
	for _, count := range []func(context.Context) error{v.people, v.rows, v.customers, v.words, v.kept} {
		if err := count(ctx); err != nil {
			return err
		}
	}
	for _, e := range v.found.events {
		switch e.status {
		case "pending":
			f.Waiting++
		default:
			v.counts[Trace{Table: "webhook_events", Fate: emptied}]++
		}
	}
	for t, n := range v.counts {
		if t.Count = n; n > 0 {
			f.Traces = append(f.Traces, t)
		}
	}
	slices.SortFunc(f.Traces, func(a, b Trace) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Store, b.Store), strings.Compare(a.Fate, b.Fate))
	})
	if err := v.remarks(ctx, f); err != nil {
		return err
	}
	f.Typed = v.typed(f.Elsewhere)
	return nil
}

// typed are the addresses in payloads that the person is not known by and that
// are not named otherwise.
func (v *survey) typed(otherwise []string) []string {
	all := map[string]bool{}
	for _, e := range v.found.events {
		for _, i := range e.named {
			if i.kind == anAddress && !v.found.has(i) && !anonymous(i.value) && !slices.Contains(otherwise, i.value) {
				all[i.value] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// count adds what a query counts: stores and numbers.
func (v *survey) count(ctx context.Context, t Trace, sql string, args ...any) error {
	rows, err := v.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&t.Store, &n}, func() error {
		v.counts[t] += n
		return nil
	})
	return err
}

// people counts users and Stripe customers. Those of one store are nobody's own
// but for the customers of its own Stripe account.
func (v *survey) people(ctx context.Context) error {
	ids := v.found.ids
	if v.p.Store != "" {
		rows, err := v.tx.Query(ctx, ownAccountSQL, v.p.Store)
		if err != nil {
			return err
		}
		accounts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(i identity) bool {
			account, _, _ := strings.Cut(i.value, "/")
			return i.kind != aStripeCustomer || !slices.Contains(accounts, account)
		})
	}
	p, err := peopleOf(ctx, v.tx, ids, false)
	for range p.users {
		v.counts[Trace{Table: "users", Fate: removed}]++
	}
	for range p.stripeCustomers {
		v.counts[Trace{Table: "stripe_customers", Fate: removed, Store: v.p.Store}]++
	}
	return err
}

// kept counts the checkouts and invoices that name the person.
func (v *survey) kept(ctx context.Context) error {
	kinds, values := kindsAndValues(v.found.ids)
	until := slices.Repeat([]time.Time{v.now}, len(kinds))
	if err := v.count(ctx, Trace{Table: "checkouts", Fate: removed}, keptOf+` SELECT coalesce(store_ref, ''), count(*) FROM c WHERE $4 IN ('', store_ref) GROUP BY 1`, kinds, values, until, v.p.Store); err != nil {
		return err
	}
	return v.count(ctx, Trace{Table: "failed_invoices", Fate: removed}, keptOf+` SELECT '', count(*) FROM i WHERE $4 = ''`, kinds, values, until, v.p.Store)
}

// rows counts facts, by store.
func (v *survey) rows(ctx context.Context) error {
	for kind, k := range keyArrays(v.found.rows) {
		key := keyOf[kind]
		err := v.count(ctx, Trace{Table: tableOf[kind], Fate: renamed}, `
			SELECT coalesce(f.store_id, ''), count(*)
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN `+tableOf[kind]+` f ON f.`+key[0]+` = k.a AND f.`+key[1]+` = k.b
			GROUP BY 1`, k[0], k[1])
		if err != nil {
			return err
		}
	}
	return nil
}

// goneSQL is SQL for the customers all of whose rows are among those with keys
// $1 to $6: who are no more when these are put.
const goneSQL = `
	SELECT c.store_id, c.email
	FROM (
		SELECT customer_id, count(*) AS rows
		FROM (
			SELECT p.customer_id FROM unnest($1::text[], $2::text[]) AS k(a, b) JOIN payments p ON p.account = k.a AND p.id = k.b
			UNION ALL
			SELECT e.customer_id FROM unnest($3::text[], $4::text[]) AS k(a, b) JOIN enrollments e ON e.course_id = k.a AND e.person = k.b
			UNION ALL
			SELECT s.customer_id FROM unnest($5::text[], $6::text[]) AS k(a, b) JOIN subscriptions s ON s.account = k.a AND s.id = k.b
		) r
		GROUP BY customer_id
	) theirs
	JOIN customers c ON c.id = theirs.customer_id
	WHERE theirs.rows = (SELECT count(*) FROM payments WHERE customer_id = c.id)
		+ (SELECT count(*) FROM enrollments WHERE customer_id = c.id)
		+ (SELECT count(*) FROM subscriptions WHERE customer_id = c.id)`

// customers counts who is no more.
func (v *survey) customers(ctx context.Context) error {
	k := keyArrays(v.found.rows)
	rows, err := v.tx.Query(ctx, goneSQL, k[payment][0], k[payment][1], k[enrollment][0], k[enrollment][1], k[subscription][0], k[subscription][1])
	if err != nil {
		return err
	}
	var store, email string
	_, err = pgx.ForEachRow(rows, []any{&store, &email}, func() error {
		v.counts[Trace{Table: "customers", Store: store, Fate: removed}]++
		v.gone = append(v.gone, email)
		return nil
	})
	return err
}

// words counts what people and programs wrote that names them.
func (v *survey) words(ctx context.Context) error {
	args := writtenOf(v.found.ids, v.found.rows, erasure{store: v.p.Store, at: v.now})
	args["addresses"] = append(v.found.values(anAddress), v.gone...) // what is written of a customer goes with them
	for _, o := range writings {
		if err := v.count(ctx, Trace{Table: o.table, Fate: o.fate()}, `
			SELECT `+cmp.Or(o.store, "''")+`, count(*)
			FROM `+o.table+`
			WHERE `+o.where+`
			GROUP BY 1`, args); err != nil {
			return err
		}
	}
	return nil
}

// remarks tells what the person has to do with that is not erased.
func (v *survey) remarks(ctx context.Context, f *Footprint) error {
	f.Elsewhere, f.Staff = []string{}, []string{}
	rows, err := v.tx.Query(ctx, `
		SELECT 'address', email FROM users WHERE id = ANY($1) AND email <> ALL($2)
		UNION
		SELECT 'address', object FROM links WHERE relation = 'address' AND subject = ANY($1) AND object <> ALL($2)
		UNION
		SELECT 'store', id FROM stores WHERE owner_user_id = ANY($1) OR member_user_ids && $1
		ORDER BY 1, 2`, f.Users, f.Addresses)
	if err != nil {
		return err
	}
	var what, which string
	if _, err := pgx.ForEachRow(rows, []any{&what, &which}, func() error {
		if what == "store" {
			f.Staff = append(f.Staff, which)
		} else {
			f.Elsewhere = append(f.Elsewhere, which)
		}
		return nil
	}); err != nil {
		return err
	}
	return nil
}
