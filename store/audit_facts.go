package store

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store/finding"
	"rollcall/store/pg"
)

// AuditChunk is how many facts an audit reads per snapshot.
const AuditChunk = 500

// Auditor checks that the stored data is consistent.
type Auditor struct {
	*Store
	AuditOptions
	found differences
	audit Audit

	// touched are the addresses that misplaced facts leave or belong to, as
	// hashes; true: no customer there yet. Wrong figures there need no explanation
	// of their own.
	touched map[uint64]bool
}

// NewAuditor returns one that has not looked at anything yet.
func (s *Store) NewAuditor(o AuditOptions) *Auditor {
	found := newDifferences(FactDifferences, o.Examples)
	return &Auditor{Store: s, AuditOptions: o, found: found, touched: map[uint64]bool{}}
}

// Found returns the differences of a kind; their count may be 0.
func (a *Auditor) Found(kind string) finding.Finding {
	if f := a.found.byKind[kind]; f != nil {
		return *f
	}
	return finding.Finding{}
}

// maxTouched bounds touched. Beyond it, customers of misplaced facts are reported
// like all others whose figures differ.
const maxTouched = 500_000

// AuditFacts compares every fact with its resolution, and every customer with its
// facts. It takes no locks, and may run beside live traffic.
func (s *Store) AuditFacts(ctx context.Context, o AuditOptions) (_ Audit, err error) {
	defer pg.Wrap(&err, "store.AuditFacts(%q)", o.Store)
	a := s.NewAuditor(o)
	if err := a.products(ctx); err != nil {
		return a.audit, err
	}
	err = a.eachChunk(ctx, func(keys []RowKey) error {
		_, err := a.Facts(ctx, keys)
		return err
	})
	if err != nil {
		return a.audit, err
	}
	if err := a.customers(ctx); err != nil {
		return a.audit, err
	}
	if err := a.kept(ctx); err != nil {
		return a.audit, err
	}
	a.audit.Differences = a.found.list()
	// A fact that was never attached is a difference already.
	asked := UnattachedQuestion{Reasons: reasons.Attached(), Store: o.Store, Leaning: true}
	a.audit.Unresolved, a.audit.Rightly, err = UnattachedFacts(ctx, s.Pool, asked, o.Examples)
	return a.audit, err
}

// MendFacts fixes what AuditFacts finds, by resolving and deriving again, and
// returns the changes.
func (s *Store) MendFacts(ctx context.Context, o AuditOptions) (total Changes, err error) {
	defer pg.Wrap(&err, "store.MendFacts(%q)", o.Store)
	if o.Store != "" {
		if total, err = s.fixStore(ctx, o); err != nil {
			return total, err
		}
	}
	changes, err := s.Rebuild(ctx, o.Store, func(done int) {
		if o.Progress != nil {
			o.Progress(int64(done))
		}
	})
	total.add(changes)
	return total, err
}

// fixStore fixes what a rebuild of one store skips: its facts that are stored as
// another store's, or without one.
func (s *Store) fixStore(ctx context.Context, o AuditOptions) (total Changes, err error) {
	a := s.NewAuditor(o)
	if err := a.products(ctx); err != nil {
		return total, err
	}
	if a.Found("product_of_another_store").Count > 0 {
		if total.Facts, err = s.settleProducts(ctx); err != nil {
			return total, err
		}
	}
	err = a.eachChunk(ctx, func(keys []RowKey) error {
		wrong, err := a.Facts(ctx, keys)
		if err != nil || len(wrong) == 0 {
			return err
		}
		changes, err := s.reattach(ctx, wrong)
		total.add(changes)
		return err
	})
	return total, err
}

// Concerns is SQL for whether a row of a table may belong to store $1: it has the
// store, points at a customer of the store, or depends on it or one of its products.
func Concerns(table string) string {
	return `($1 = '' OR ` + table + `.store_id = $1 OR ` + dependsOnStore(table, "$1") +
		` OR EXISTS (SELECT FROM customers WHERE id = ` + table + `.customer_id AND store_id = $1))`
}

// eachChunk runs do for all facts, or those that concern the store.
func (a *Auditor) eachChunk(ctx context.Context, do func([]RowKey) error) error {
	for _, kind := range FactKinds {
		for last := (RowKey{Kind: kind.Name}); ; {
			rows := pg.Query(ctx, a.Pool, fmt.Sprintf(`
				SELECT %[1]s
				FROM %[2]s f
				WHERE (%[1]s) > ($2, $3) AND %[3]s
				ORDER BY %[1]s
				LIMIT $4`, kind.KeySQL("f"), kind.Table, Concerns("f")), a.AuditOptions.Store, last.A, last.B, AuditChunk)
			keys, err := KeysOfKind(kind.Name, rows)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				break
			}
			if err := do(keys); err != nil {
				return err
			}
			last = keys[len(keys)-1]
			a.audit.Facts += int64(len(keys))
			a.reportProgress()
		}
	}
	return nil
}

func (a *Auditor) reportProgress() {
	if a.Progress != nil {
		a.Progress(a.audit.Facts + a.audit.Customers)
	}
}

// misplaced is a fact that differs from its present resolution.
type misplaced struct {
	RowKey
	is, should fields
	pointed    bool    // at a customer, there or not
	attachable bool    // it belongs to a customer
	old, to    address // where it is, and where it belongs; empty if nowhere
	lives      bool    // there is a customer where it belongs
}

// Facts checks a chunk of facts, and returns those that are misplaced.
func (a *Auditor) Facts(ctx context.Context, keys []RowKey) (wrong []RowKey, err error) {
	err = a.Snapshot(ctx, func(tx pgx.Tx) error {
		for kind, k := range byKind(keys) {
			rows := pg.Query(ctx, tx, kind.misplacedSQL(), k[0], k[1], a.PlatformTypes, a.AuditOptions.Store)
			m := misplaced{RowKey: RowKey{Kind: kind.Name}}
			err = pg.Each(rows, []any{&m.A, &m.B, &m.is, &m.should, &m.pointed, &m.attachable, &m.old.store,
				&m.old.email, &m.to.store, &m.to.email, &m.lives}, func() {
				wrong = append(wrong, m.RowKey)
				a.misplaced(m)
				m.is, m.should = nil, nil // read into anew
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrong, err
}

// misplaced adds a difference for a fact.
func (a *Auditor) misplaced(m misplaced) {
	f := finding.Example{Place: m.place(), What: m.to.text()}
	var kind string
	switch {
	case m.attachable && !m.pointed:
		kind, f.Why = "fact_on_no_list", "it points at no customer"+quoted(" ", m.is["reason"])
	case m.attachable && m.old.email == "":
		kind, f.Why = "fact_on_missing_customer", "the customer it points at is gone"
	case m.attachable && m.old != m.to:
		kind, f.Why = "fact_on_another_list", "it points at "+m.old.text()
	case !m.attachable && m.pointed:
		kind, f.What = "fact_should_be_on_none", m.old.text()
		f.Why = "it belongs to no customer" + quoted(" ", m.should["reason"])
	case !m.attachable && string(m.is["reason"]) != string(m.should["reason"]):
		kind, f.Why = "fact_for_another_reason", unlike(m.is, m.should)
	default:
		kind, f.Why = "fact_figures_differ", unlike(m.is, m.should)
	}
	a.found.add(kind, 1, f)
	a.touch(m.old, false)
	if m.attachable && a.touch(m.to, !m.lives) {
		a.found.add("customer_missing", 1, finding.Example{Place: "store " + m.to.store, What: m.to.email,
			Why: m.place() + " says that they belong here"})
	}
}

func (at address) text() string {
	if at.email == "" {
		return "no customer"
	}
	return at.email + " of store " + at.store
}

// quoted is a JSON string in brackets behind some text, or nothing for null.
func quoted(before string, value []byte) string {
	text := strings.Trim(string(value), `"`)
	if text == "" || text == "null" {
		return ""
	}
	return before + "(" + text + ")"
}

func (at address) hash() uint64 {
	h := fnv.New64a()
	h.Write([]byte(at.store + "\x00" + at.email))
	return h.Sum64()
}

// touch notes that misplaced facts concern an address, and reports whether it is
// the first that lacks its customer there.
func (a *Auditor) touch(at address, missing bool) bool {
	if at.email == "" || len(a.touched) >= maxTouched {
		return missing
	}
	h := at.hash()
	known := a.touched[h]
	a.touched[h] = known || missing
	return missing && !known
}

// misplacedSQL finds, among the facts with keys $1 and $2, those that
// differ from their present resolution; $3 is as in resolve, $4 a store or empty.
func (k FactKind) misplacedSQL() string {
	names := map[string]string{"store_id": "store", "customer_email": "email", "unattached": "reason",
		"product_id": "product"}
	var is, should []string
	for _, column := range k.resolved() {
		name := cmp.Or(names[column], column)
		is = append(is, fmt.Sprintf("'%s', f.%s", name, column))
		should = append(should, fmt.Sprintf("'%s', r.%s", name, column))
	}
	return fmt.Sprintf(`
		SELECT r.a, r.b, stored.is, stored.should, f.customer_id IS NOT NULL, r.unattached IS NULL,
			coalesce(r.old_store, ''), coalesce(r.old_email, ''), coalesce(r.store_id, ''), coalesce(r.customer_email, ''),
			EXISTS (SELECT FROM customers c WHERE c.email = r.customer_email AND c.store_id = r.store_id)
		FROM (%s
		) AS r(%s)
		JOIN %s f ON %s
		CROSS JOIN LATERAL (SELECT jsonb_build_object(%s) AS is, jsonb_build_object(%s) AS should) stored
		WHERE (stored.is <> stored.should
			OR r.unattached IS NULL AND (r.old_store, r.old_email) IS DISTINCT FROM (r.store_id, r.customer_email))
		  AND ($4 = '' OR $4 IN (coalesce(r.store_id, ''), coalesce(f.store_id, ''), coalesce(r.old_store, '')))`,
		k.resolveSQL(), resolvedColumns, k.Table, k.is("f", "r"), strings.Join(is, ", "), strings.Join(should, ", "))
}

// products checks whether every product has its store.
func (a *Auditor) products(ctx context.Context) error {
	return a.Snapshot(ctx, func(tx pgx.Tx) error {
		rows := pg.Query(ctx, tx, `
			SELECT c.id, coalesce(c.store_id, 'none'), coalesce(named.id, 'none')
			FROM products c
			CROSS JOIN LATERAL (`+homesOf+`) named
			WHERE (c.store_id, c.store_ids) IS DISTINCT FROM (named.id, named.ids)
			  AND ($1 = '' OR c.store_id = $1 OR named.id = $1)`, a.AuditOptions.Store)
		var id, is, should string
		return pg.Each(rows, []any{&id, &is, &should}, func() {
			a.found.add("product_of_another_store", 1, finding.Example{Place: "product " + id, What: "store " + should,
				Why: "it is written down as of store " + is})
		})
	})
}
