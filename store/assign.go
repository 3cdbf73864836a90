package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// places maps addresses to customers, and lists the customers that rows left: these
// must be derived too.
type places struct {
	at     map[address]int64
	left   map[int64]customer
	movers []mover // their notes move with them
}

func (p *places) add(c customer) {
	if _, taken := p.at[address{c.store, c.email}]; !taken {
		p.left[c.id] = c
	}
}

// all lists every customer to derive, by id.
func (p *places) all() []customer {
	var out []customer
	for a, id := range p.at {
		delete(p.left, id) // it moved to its new address
		out = append(out, customer{id, a.store, a.email})
	}
	for _, c := range p.left {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b customer) int { return cmp.Compare(a.id, b.id) })
	return out
}

// place assigns a customer id to every address that rows resolve to. If all rows of a
// customer move to an unused address, the customer moves and keeps its id. If the
// address has a customer, the older of the two stays, and the merge is logged.
// derive inserts the rows of new ids.
func (w *work) place(ctx context.Context, rows []resolution) (_ *places, merged int64, err error) {
	defer pg.Wrap(&err, "store.place(%d)", len(rows))
	p := &places{at: map[address]int64{}, left: map[int64]customer{}}
	var wanted []address
	for _, r := range rows {
		if r.OldEmail != nil {
			p.left[*r.OldID] = customer{*r.OldID, *r.OldStore, *r.OldEmail}
		}
		if r.attachable() {
			a := address{*r.Store, *r.Email}
			if _, seen := p.at[a]; !seen {
				p.at[a] = 0
				wanted = append(wanted, a)
			}
		}
	}
	if len(wanted) == 0 {
		return p, 0, nil
	}
	if err := w.findCustomers(ctx, p, wanted); err != nil {
		return nil, 0, err
	}
	if merged, err = w.move(ctx, rows, p); err != nil {
		return nil, 0, err
	}
	return p, merged, w.allocate(ctx, p, wanted)
}

// findCustomers fills in the customers of the wanted addresses. It queries by email
// alone and filters stores here: on a small table the planner would otherwise
// choose any index that begins with the store.
func (w *work) findCustomers(ctx context.Context, p *places, wanted []address) error {
	emails := make([]string, len(wanted))
	for i, a := range wanted {
		emails[i] = a.email
	}
	rows := pg.Query(ctx, w.tx, `SELECT id, store_id, email FROM customers WHERE email = ANY($1)`, emails)
	var c customer
	return pg.Each(rows, []any{&c.id, &c.store, &c.email}, func() {
		if _, ok := p.at[address{c.store, c.email}]; ok {
			p.at[address{c.store, c.email}] = c.id
		}
	})
}

// allocate gives ids to addresses without a customer.
func (w *work) allocate(ctx context.Context, p *places, wanted []address) error {
	var empty []address
	for _, a := range wanted {
		if p.at[a] == 0 {
			empty = append(empty, a)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	ids, err := pg.Column[int64](ctx, w.tx, `
		SELECT nextval(pg_get_serial_sequence('customers', 'id'))
		FROM generate_series(1, $1::int)`, len(empty))
	if err != nil {
		return err
	}
	for i, a := range empty {
		p.at[a] = ids[i]
	}
	return nil
}

// mover is a customer whose rows all leave for another address.
type mover struct {
	customer
	to   address
	rows int64
}

// move carries out moves and merges. They are rare: an address must have changed.
func (w *work) move(ctx context.Context, rows []resolution, p *places) (merged int64, err error) {
	movers, err := w.movers(ctx, rows)
	if err != nil || len(movers) == 0 {
		return 0, err
	}
	p.movers = movers
	for _, m := range movers {
		if _, wanted := p.at[address{m.store, m.email}]; wanted {
			continue // other rows join its address, so it stays
		}
		there := p.at[m.to]
		if there == 0 {
			p.at[m.to] = m.id
			continue
		}
		merged++
		if err := w.merge(ctx, m, there, p); err != nil {
			return merged, err
		}
	}
	return merged, nil
}

// movers are the customers that keep no row, oldest first, each with the
// alphabetically first address that its rows go to.
func (w *work) movers(ctx context.Context, rows []resolution) ([]mover, error) {
	leaving := map[int64]*mover{}
	for _, r := range rows {
		if r.OldID == nil || r.OldEmail == nil {
			continue
		}
		stays := r.attachable() && *r.Store == *r.OldStore && *r.Email == *r.OldEmail
		m := leaving[*r.OldID]
		if m == nil {
			m = &mover{customer: customer{*r.OldID, *r.OldStore, *r.OldEmail}}
			leaving[m.id] = m
		}
		if !stays {
			m.rows++
		}
		if r.moved() && (m.to.email == "" || *r.Email < m.to.email) {
			m.to = address{*r.Store, *r.Email}
		}
	}
	var ids []int64
	for id, m := range leaving {
		if m.to.email != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	counted, err := w.tx.Query(ctx, `
		SELECT id, (SELECT count(*) FROM facts WHERE customer_id = c.id)
		FROM unnest($1::bigint[]) AS c(id)`, ids)
	if err != nil {
		return nil, err
	}
	var out []mover
	var id, rowsOf int64
	err = pg.Each(counted, []any{&id, &rowsOf}, func() {
		if leaving[id].rows == rowsOf {
			out = append(out, *leaving[id])
		}
	})
	slices.SortFunc(out, func(a, b mover) int { return cmp.Compare(a.id, b.id) })
	return out, err
}

// merge joins a mover with the customer at its new address. If the mover is older,
// it takes the other's rows over. Another worker may have locked these, so merge
// never waits for them.
func (w *work) merge(ctx context.Context, m mover, there int64, p *places) error {
	from, into := customer{m.id, m.store, m.email}, customer{there, m.to.store, m.to.email}
	if m.id < there {
		from, into = customer{there, m.to.store, m.to.email}, customer{m.id, m.store, m.to.email}
		if err := w.takeOver(ctx, there, m.id); err != nil {
			return err
		}
		p.at[m.to] = m.id
		p.left[there] = from
	}
	_, err := w.tx.Exec(ctx, `
		INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
		VALUES ($1, $2, $3, $4, $5)`, m.store, from.id, from.email, into.id, into.email)
	return err
}

// takeOver points all rows of one customer at another.
func (w *work) takeOver(ctx context.Context, from, to int64) error {
	for _, kind := range FactKinds {
		_, err := w.tx.Exec(ctx, `
			WITH held AS (
				SELECT ctid FROM `+kind.Table+` WHERE customer_id = $1 FOR UPDATE NOWAIT
			)
			UPDATE `+kind.Table+` SET customer_id = $2 WHERE ctid IN (SELECT ctid FROM held)`, from, to)
		if pg.LockNotAvailable(err) {
			w.want[globalLock] = true // try again without concurrent transactions
			return pg.ErrAgain
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setCustomers writes the resolutions that changed, and returns the new customer of
// each, nil if unattached.
func (w *work) setCustomers(ctx context.Context, rows []resolution, p *places) (pointed []*int64, err error) {
	defer pg.Wrap(&err, "store.setCustomers(%d)", len(rows))
	type columns struct {
		a, b                          []string
		store, email, product, reason []*string
		sold                          []*string
		customer                      []*int64
		refunded, disputed            []int64
	}
	byKind := map[string]*columns{}
	for _, r := range rows {
		c := byKind[r.Kind]
		if c == nil {
			c = &columns{}
			byKind[r.Kind] = c
		}
		var id *int64
		if r.attachable() {
			id = Ptr(p.at[address{*r.Store, *r.Email}])
		}
		c.a, c.b = append(c.a, r.A), append(c.b, r.B)
		c.store, c.email, c.product = append(c.store, r.Store), append(c.email, r.Email), append(c.product, r.Product)
		c.reason, c.sold, c.customer = append(c.reason, r.Unattached), append(c.sold, r.Sold), append(c.customer, id)
		c.refunded, c.disputed = append(c.refunded, r.Refunded), append(c.disputed, r.Disputed)
	}
	for kind, c := range byKind {
		found, err := w.tx.Query(ctx, KindOf(kind).setCustomersSQL(),
			c.a, c.b, c.store, c.email, c.product, c.reason, c.customer, c.refunded, c.disputed, c.sold)
		if err != nil {
			return nil, err
		}
		some, err := pgx.CollectRows(found, pgx.RowTo[*int64])
		if err != nil {
			return nil, err
		}
		pointed = append(pointed, some...)
	}
	return pointed, nil
}

// stale selects the customers to derive. On a recheck there are no new facts, so
// only customers that rows joined or left can have changed.
func (w *work) stale(all []customer, pointed []*int64) []customer {
	if !w.recheck {
		return all
	}
	reached := map[int64]bool{}
	for _, id := range pointed {
		if id != nil {
			reached[*id] = true
		}
	}
	return slices.DeleteFunc(all, func(c customer) bool { return !reached[c.id] && w.inUse(c) })
}

// inUse reports whether rows of this attachment resolve to the customer; otherwise
// rows have left it.
func (w *work) inUse(c customer) bool {
	return w.attached.at[address{c.store, c.email}] == c.id
}

// setCustomersSQL writes the resolutions of rows where they differ.
func (k FactKind) setCustomersSQL() string {
	columns := append(k.resolved(), "customer_id")
	is, should := qualify("f", columns), qualify("r", columns)
	return `
	UPDATE ` + k.Table + ` f
	SET (` + strings.Join(columns, ", ") + `) = ROW (` + should + `)
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
		$9::bigint[], $10::jsonb[])
	  AS r(a, b, store_id, customer_email, product_id, unattached, customer_id, refunded, disputed, sold)
	WHERE ` + k.is("f", "r") + `
	  AND (` + is + `) IS DISTINCT FROM (` + should + `)
	RETURNING r.customer_id`
}

// markUnderived clears the address of attached rows whose new facts their customers
// do not show yet, so that the next attachment derives these.
func (w *work) markUnderived(ctx context.Context, rows []RowKey) error {
	for kind, k := range byKind(rows) {
		if _, err := w.tx.Exec(ctx, kind.setSQL("customer_email = NULL")+` AND f.customer_id IS NOT NULL`,
			k[0], k[1]); err != nil {
			return err
		}
	}
	return nil
}

// setSQL sets columns of the rows f with the keys $1 and $2; conditions may follow.
func (k FactKind) setSQL(columns string) string {
	return `
		UPDATE ` + k.Table + ` f
		SET ` + columns + `
		FROM unnest($1::text[], $2::text[]) AS k(a, b)
		WHERE ` + k.is("f", "k")
}
