package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Footprint is what is held of a person: what Erase would erase.
type Footprint struct {
	Addresses       []string
	Users           []string
	StripeCustomers []string   // account/id; account is empty for the platform's own
	Traces          []Trace    // by table and store
	Waiting         int64      // events that name them and wait to be applied
	Elsewhere       []string   // addresses that these users have or had, and that are not erased with them
	Typed           []string   // other addresses in the payloads that are emptied
	Staff           []string   // stores that they own or are a member of: that stays
	ErasedAt        *time.Time // when they were erased before; nil: never
}

// Trace is how many rows of a table, of a store, are theirs, and what becomes of
// those.
type Trace struct {
	Table string
	Store string // empty: of none, or of all
	Fate  string // removed; anonymous: kept under a pseudonym; emptied: kept without the payload; reworded
	Count int64
}

// Anything reports whether there is anything of the person.
func (f Footprint) Anything() bool { return len(f.Traces) > 0 || f.Waiting > 0 }

// Names are all that the person is known by, in lower case.
func (f Footprint) Names() (names []string) {
	for _, id := range slices.Concat(f.Addresses, f.Users) {
		names = append(names, strings.ToLower(id))
	}
	for _, id := range f.StripeCustomers {
		names = append(names, strings.ToLower(identity{aStripeCustomer, id}.id()))
	}
	return names
}

// Footprint tells what Erase would erase. It writes nothing, and reads the whole
// inbox. The error is *BadParam for what names no person.
func (s *Store) Footprint(ctx context.Context, p Erasing, o EraseOptions) (f Footprint, err error) {
	defer pg.Wrap(&err, "store.Footprint")
	if err := p.check(); err != nil {
		return f, err
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			erasures, err := erasuresOf(ctx, tx, p)
			if err != nil {
				return err
			}
			names, err := namesOf(ctx, tx, "true", erasures...)
			if err != nil {
				return err
			}
			v := &preview{tx: tx, x: erasure{store: p.Store}, counts: map[Trace]int64{}}
			// whatever is there happened before
			if err := tx.QueryRow(ctx, `SELECT clock_timestamp() + interval '1 hour'`).Scan(&v.x.at); err != nil {
				return err
			}
			if v.found, err = search(ctx, tx, append(names, p.seed()), v.x, o.progress); err != nil {
				return err
			}
			ids := v.found.ids
			f = Footprint{Addresses: valuesOf(anAddress, ids), Users: valuesOf(aUser, ids),
				StripeCustomers: valuesOf(aStripeCustomer, ids), Traces: []Trace{}}
			if err := tx.QueryRow(ctx, `SELECT max(erased_at) FROM erasures WHERE id = ANY($1)`, erasures).Scan(
				&f.ErasedAt); err != nil {
				return err
			}
			return v.fill(ctx, &f)
		})
	return f, err
}

// erasuresOf finds the erasure by which a person was erased before.
func erasuresOf(ctx context.Context, tx pgx.Tx, p Erasing) ([]int64, error) {
	key, any, _, err := erasureKey(ctx, tx)
	if err != nil || !any {
		return nil, err
	}
	return queryAll(ctx, tx, pgx.RowTo[int64], `
		SELECT erasure_id
		FROM erased
		WHERE hash = $1 AND store_id = $2`, (&tombstones{key: key}).hash(p.seed()), p.Store)
}

// preview counts what an erasure would remove or change.
type preview struct {
	tx     pgx.Tx
	x      erasure // as of later than whatever is there
	found  matches
	counts map[Trace]int64
	gone   []string // the addresses of customers who will no longer exist
}

func (v *preview) fill(ctx context.Context, f *Footprint) error {
	for _, count := range []func(context.Context) error{v.countPeople, v.countRows, v.countCustomers, v.countMentions} {
		if err := count(ctx); err != nil {
			return err
		}
	}
	for _, e := range v.found.events {
		if e.status == "pending" {
			f.Waiting++
		} else {
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

// typed are the addresses in payloads by which the person is not known and that
// are not named otherwise.
func (v *preview) typed(otherwise []string) []string {
	all := map[string]bool{}
	for _, e := range v.found.events {
		for _, email := range valuesOf(anAddress, e.named) {
			if !v.found.has(identity{anAddress, email}) && !Anonymous(email) && !slices.Contains(otherwise, email) {
				all[email] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// count adds what a query counts, by store.
func (v *preview) count(ctx context.Context, t Trace, sql string, args ...any) error {
	rows := pg.Query(ctx, v.tx, sql, args...)
	var n int64
	return pg.Each(rows, []any{&t.Store, &n}, func() {
		v.counts[t] += n
	})
}

// countPeople counts users and Stripe customers. An erasure from one store removes
// only the customers of its own Stripe account.
func (v *preview) countPeople(ctx context.Context) (err error) {
	ids := v.found.ids
	if v.x.store != "" {
		if ids, err = ofOwnAccount(ctx, v.tx, v.x.store, ids); err != nil {
			return err
		}
	}
	people, err := readPeople(ctx, v.tx, ids, nil)
	v.counts[Trace{Table: "users", Fate: removed}] = int64(len(people.Users))
	v.counts[Trace{Table: "stripe_customers", Fate: removed, Store: v.x.store}] = int64(len(people.StripeCustomers))
	return err
}

// countRows counts facts.
func (v *preview) countRows(ctx context.Context) error {
	for k, columns := range byKind(v.found.rows) {
		if err := v.count(ctx, Trace{Table: k.Table, Fate: renamed}, `SELECT coalesce(f.store_id, ''), count(*)`+
			k.GivenRows("f")+` GROUP BY 1`, columns[0], columns[1]); err != nil {
			return err
		}
	}
	return nil
}

// countCustomers counts the customers who will no longer exist: all of their rows
// are among those found.
func (v *preview) countCustomers(ctx context.Context) error {
	kinds, as, bs := splitKeys(v.found.rows)
	rows := pg.Query(ctx, v.tx, `
		SELECT c.store_id, c.email
		FROM (SELECT f.customer_id, count(*) AS rows`+givenFacts+` GROUP BY 1) found
		JOIN customers c ON c.id = found.customer_id
		WHERE found.rows = (SELECT count(*) FROM facts WHERE customer_id = c.id)`, kinds, as, bs)
	var store, email string
	return pg.Each(rows, []any{&store, &email}, func() {
		v.counts[Trace{Table: "customers", Store: store, Fate: removed}]++
		v.gone = append(v.gone, email)
	})
}

// countMentions counts what people and programs wrote that names them.
func (v *preview) countMentions(ctx context.Context) error {
	args := mentionArgs(v.found.ids, v.found.rows, v.x)
	args["addresses"] = append(valuesOf(anAddress, v.found.ids), v.gone...) // what is written of a customer goes with them
	for _, m := range mentions {
		if err := v.count(ctx, Trace{Table: m.table, Fate: m.fate()}, `
			SELECT `+cmp.Or(m.store, "''")+`, count(*)
			FROM `+m.table+`
			WHERE `+m.where+`
			GROUP BY 1`, args); err != nil {
			return err
		}
	}
	return nil
}

// remarks tells what has to do with the person and is not erased.
func (v *preview) remarks(ctx context.Context, f *Footprint) error {
	f.Elsewhere, f.Staff = []string{}, []string{}
	rows := pg.Query(ctx, v.tx, `
		SELECT 'address', email FROM users WHERE id = ANY($1) AND email <> ALL($2)
		UNION
		SELECT 'address', object FROM links WHERE relation = 'address' AND subject = ANY($1) AND object <> ALL($2)
		UNION
		SELECT 'store', id FROM stores WHERE owner_user_id = ANY($1) OR member_user_ids && $1
		ORDER BY 1, 2`, f.Users, f.Addresses)
	var what, which string
	return pg.Each(rows, []any{&what, &which}, func() {
		if what == "store" {
			f.Staff = append(f.Staff, which)
		} else {
			f.Elsewhere = append(f.Elsewhere, which)
		}
	})
}
