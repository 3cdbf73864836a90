package store

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// What facts name people by, and when what they tell happened.

// identity is something that a person is known by.
type identity struct {
	kind  string
	value string // an address; a user's id; account/id of a Stripe customer or object
}

// Kinds of identities.
const (
	anAddress       = "address"
	aUser           = "user"
	aStripeCustomer = "stripe_customer"
	anObject        = "object" // of one buyer: see erasure_objects.go
)

func compareIdentities(a, b identity) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.value, b.value))
}

// id is an identity as others write it.
func (i identity) id() string {
	if i.kind == aStripeCustomer || i.kind == anObject {
		_, id, _ := strings.Cut(i.value, "/")
		return id
	}
	return i.value
}

// valuesOf lists the values of identities of a kind.
func valuesOf(kind string, ids []identity) []string {
	values := []string{}
	for _, i := range ids {
		if i.kind == kind {
			values = append(values, i.value)
		}
	}
	return values
}

// kindsAndValues are the columns of a list of identities.
func kindsAndValues(ids []identity) (kinds, values []string) {
	for _, i := range ids {
		kinds, values = append(kinds, i.kind), append(values, i.value)
	}
	return kinds, values
}

// dependencies are the keys by which rows depend on users and Stripe customers
// among identities.
func dependencies(ids []identity) (keys []string) {
	for _, i := range ids {
		switch i.kind {
		case aUser:
			keys = append(keys, "user:"+i.value)
		case aStripeCustomer:
			keys = append(keys, "cus:"+i.value)
		}
	}
	return keys
}

// purchase is a payment or a subscription: a row that names people in one or
// several parts, but not in its key.
type purchase struct {
	RowKey
	fact  any       // the payment or subscription, which changes with its parts
	began time.Time // zero: long ago
	parts []part    // in the order in which they count
}

// part is what one kind of message tells of the buyer.
type part struct {
	*facts.Context
	at   time.Time // when what it tells happened
	told bool      // it is what the object itself tells, even if it names nobody
	ends bool      // it tells of an end
}

// clock tells when facts happened: those that an event tells, at its time; those
// of stored rows, as they say themselves.
type clock struct{ event *time.Time }

func at(event time.Time) clock { return clock{&event} }

var asStored clock

// of is when a group of a row's columns happened: as the event says that told
// them, else, as far as the row has a time of its own, then. The zero time is long ago.
func (c clock) of(v facts.Version, own *time.Time) time.Time {
	if c.event != nil {
		return *c.event
	}
	p, ok := v.Provenance()
	switch {
	case !ok:
		return time.Time{}
	case p.Via == "event":
		return p.At
	}
	return firstOf(own)
}

func (c clock) ofUser(f facts.User) time.Time {
	if c.event != nil {
		return *c.event
	}
	p, ok := f.Version.Provenance()
	switch {
	case ok && p.Via != "export": // its own time, even where it was read
		return p.At
	case ok:
		return time.Time{}
	}
	return firstOf(f.LastSeenAt)
}

// ofEnrollment is when a row began: its columns are told one by one.
func (c clock) ofEnrollment(f facts.Enrollment) time.Time {
	if c.event == nil && f.FirstSaidAt != nil {
		return *f.FirstSaidAt
	}
	return c.of(f.Version, f.EnrolledAt)
}

// firstOf is the first of the times that are there; none is long ago.
func firstOf(times ...*time.Time) time.Time {
	for _, t := range times {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// purchasesOf lists the payments and subscriptions of a set. To change their
// parts changes the set.
func purchasesOf(set *facts.Set, c clock) (all []purchase) {
	for i := range set.Payments {
		f := &set.Payments[i]
		p := purchase{RowKey: RowKey{Payment, f.Account, f.ID}, fact: f}
		if f.ClaimVersion != "" {
			p.began = firstOf(f.PaidAt)
		}
		p.add(&f.Context, part{at: c.of(f.ClaimVersion, f.PaidAt), told: f.ClaimVersion != ""})
		p.add(f.Intent.Says(), part{at: c.of(f.IntentVersion, f.PaidAt)})
		p.add(f.Charge, part{at: c.of(f.ChargeVersion, f.PaidAt)})
		all = append(all, p)
	}
	for i := range set.Subscriptions {
		f := &set.Subscriptions[i]
		p := purchase{RowKey: RowKey{Subscription, f.Account, f.ID}, fact: f, began: firstOf(f.StartedAt, f.CheckoutAt)}
		ended := f.Status == "canceled" || f.Status == "incomplete_expired"
		p.add(&f.Context, part{at: c.of(f.Version, f.StartedAt), told: f.Version != "", ends: ended})
		p.add(f.Checkout, part{at: c.of(f.CheckoutVersion, f.CheckoutAt)})
		all = append(all, p)
	}
	return all
}

func (p *purchase) add(c *facts.Context, as part) {
	if c != nil {
		as.Context = c
		p.parts = append(p.parts, as)
	}
}

// identitiesOf lists all that facts name people by, and the objects they bought.
func identitiesOf(set facts.Set) []identity {
	all := map[identity]bool{}
	add := func(kind, value string) {
		if value != "" {
			all[identity{kind, value}] = true
		}
	}
	addContext := func(account string, c *facts.Context) {
		add(aUser, c.UserRef)
		add(anAddress, c.Email)
		if c.StripeCustomer != "" {
			add(aStripeCustomer, account+"/"+c.StripeCustomer)
		}
	}
	for _, f := range set.Users {
		add(aUser, f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.StripeCustomers {
		add(aStripeCustomer, f.Account+"/"+f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.Enrollments {
		who := personOf(f.Person)
		add(who.kind, who.value)
		add(anAddress, f.Email)
	}
	for _, p := range purchasesOf(&set, asStored) {
		all[p.object()] = true
		for _, c := range p.parts {
			addContext(p.A, c.Context)
		}
	}
	for _, f := range set.Checkouts {
		addContext(f.Account, &f.Context)
	}
	for _, f := range set.FailedInvoices {
		addContext(f.Account, &facts.Context{StripeCustomer: f.StripeCustomer})
	}
	return slices.Collect(maps.Keys(all))
}

// personOf reads who an enrollment is of.
func personOf(person string) identity {
	if id, ok := strings.CutPrefix(person, "user:"); ok {
		return identity{aUser, id}
	}
	return identity{anAddress, strings.TrimPrefix(person, "email:")}
}

// object is the identity of a payment or a subscription.
func (k RowKey) object() identity { return identity{anObject, k.A + "/" + k.B} }

func distinct(keys []RowKey) []RowKey {
	all := map[RowKey]bool{}
	for _, k := range keys {
		all[k] = true
	}
	return slices.Collect(maps.Keys(all))
}

// factsOf reads rows as the facts that they are.
func factsOf[F any](ctx context.Context, q pg.Querier, sql string, args ...any) ([]F, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (f F, err error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return f, err
		}
		return f, json.Unmarshal(text, &f)
	}, sql, args...)
}

// readRows reads rows by their keys or, with pseudonyms, those of them that name
// people by one.
func readRows(ctx context.Context, q pg.Querier, keys []RowKey, pseudonyms bool) (set facts.Set, err error) {
	for k, columns := range byKind(distinct(keys)) {
		sql := `SELECT to_jsonb(f)` + k.GivenRows("f")
		if pseudonyms {
			sql += ` WHERE concat_ws(' ', ` + qualify("f", columnsNaming(k.Table)) + `) LIKE '%` + anonymousPrefix + `%'`
		}
		switch k.Name {
		case Enrollment:
			set.Enrollments, err = factsOf[facts.Enrollment](ctx, q, sql, columns[0], columns[1])
		case Payment:
			set.Payments, err = factsOf[facts.Payment](ctx, q, sql, columns[0], columns[1])
		case Subscription:
			set.Subscriptions, err = factsOf[facts.Subscription](ctx, q, sql, columns[0], columns[1])
		}
		if err != nil {
			return set, err
		}
	}
	return set, nil
}

// rowsNaming finds the rows that name any of the identities. No index leads to
// an address: then it reads the tables.
func rowsNaming(ctx context.Context, q pg.Querier, ids []identity) (found []RowKey, err error) {
	defer pg.Wrap(&err, "store.rowsNaming(%d)", len(ids))
	if keys := dependencies(ids); len(keys) > 0 {
		if found, err = keysOfRows(ctx, q, `SELECT kind, a, b FROM facts WHERE leans && $1::text[]`, keys); err != nil {
			return nil, err
		}
	}
	emails := valuesOf(anAddress, ids)
	if len(emails) == 0 {
		return found, nil
	}
	named, err := keysOfRows(ctx, q, UnionAll(func(k FactKind) string {
		return `SELECT '` + k.Name + `', ` + k.KeySQL("f") + ` FROM ` + k.Table + ` f WHERE ` + NamesAddress(k.Table, "f", "$1::text[]")
	}), emails)
	return append(found, named...), err
}

// rowsLeaning finds the rows that depend on any of the keys.
func rowsLeaning(ctx context.Context, q pg.Querier, keys []string) ([]RowKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return keysOfRows(ctx, q, `
		SELECT kind, a, b FROM facts WHERE leans && $1::text[]
		UNION
		SELECT kind, a, b FROM facts WHERE mail = ANY(ARRAY(SELECT substr(key, 6) FROM unnest($1::text[]) key WHERE key LIKE 'mail:%'))`, keys)
}

// keysOfRows reads kinds and keys.
func keysOfRows(ctx context.Context, q pg.Querier, sql string, args ...any) ([]RowKey, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (k RowKey, err error) {
		return k, row.Scan(&k.Kind, &k.A, &k.B)
	}, sql, args...)
}

// splitKeys splits keys into the columns that SQL unnests for the view facts.
func splitKeys(keys []RowKey) (kinds, as, bs []string) {
	for _, k := range keys {
		kinds, as, bs = append(kinds, k.Kind), append(as, k.A), append(bs, k.B)
	}
	return kinds, as, bs
}

// givenFacts is SQL for the facts f of kinds $1 with the keys $2 and $3.
const givenFacts = `
	FROM unnest($1::text[], $2::text[], $3::text[]) AS k(kind, a, b)
	JOIN facts f ON f.kind = k.kind AND f.a = k.a AND f.b = k.b`

// queryAll reads the rows of a query.
func queryAll[T any](ctx context.Context, q pg.Querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
