package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Rows of facts that name erased people, and how they are put.

// leanOf is the key by which rows lean on an identity, if they do.
func leanOf(i identity) (key string, ok bool) {
	switch i.kind {
	case aUser:
		return "user:" + i.value, true
	case aStripeCustomer:
		return "cus:" + i.value, true
	}
	return "", false
}

// mentioning finds the rows that name any of the identities. By an address no
// index finds them: it reads the tables.
func mentioning(ctx context.Context, q querier, ids []identity) (found []rowKey, err error) {
	defer wrap(&err, "store.mentioning(%d)", len(ids))
	var leans, emails, persons []string
	for _, i := range ids {
		if key, ok := leanOf(i); ok {
			leans = append(leans, key)
		} else if i.kind == anAddress {
			emails, persons = append(emails, i.value), append(persons, "email:"+i.value)
		}
	}
	look := func(kind, sql string, args ...any) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		some, err := keysOfKind(kind, rows)
		found = append(found, some...)
		return err
	}
	for _, kind := range []string{enrollment, payment, subscription} {
		if len(leans) > 0 {
			key := keyOf[kind]
			if err := look(kind, `SELECT `+key[0]+`, `+key[1]+` FROM `+tableOf[kind]+` WHERE leans && $1::text[]`, leans); err != nil {
				return nil, err
			}
		}
		if len(emails) > 0 {
			if err := look(kind, addressedSQL[kind], emails, persons); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// addressedSQL finds rows that name an address of $1, or are of a person of $2.
var addressedSQL = map[string]string{
	enrollment:   `SELECT course_id, person FROM enrollments WHERE email = ANY($1) OR person = ANY($2)`,
	payment:      `SELECT account, id FROM payments WHERE (email = ANY($1) OR intent ->> 'email' = ANY($1) OR charge ->> 'email' = ANY($1)) AND $2::text[] IS NOT NULL`,
	subscription: `SELECT account, id FROM subscriptions WHERE (email = ANY($1) OR checkout ->> 'email' = ANY($1)) AND $2::text[] IS NOT NULL`,
}

// happened is when what a group of a row's columns tells happened: as the event
// says that it came by; else, as far as the row has a time of its own, then.
// Nothing told is long ago.
func happened(v facts.Version, own *time.Time) time.Time {
	p, ok := v.Provenance()
	switch {
	case !ok:
		return time.Time{}
	case p.Via == "event":
		return p.At
	case own != nil:
		return *own
	}
	return time.Time{}
}

func userHappened(f facts.User) time.Time {
	p, ok := f.Version.Provenance()
	switch {
	case ok && p.Via != "export": // its own time, even where it was read
		return p.At
	case !ok && f.LastSeenAt != nil:
		return *f.LastSeenAt
	}
	return time.Time{}
}

// factsOf reads rows as the facts that they are.
func factsOf[F any](ctx context.Context, q querier, sql string, args ...any) ([]F, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f F, err error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return f, err
		}
		return f, json.Unmarshal(text, &f)
	})
}

// rowsSQL reads rows of a kind by their keys $1 and $2.
func rowsSQL(kind string) string {
	key := keyOf[kind]
	return `
		SELECT to_jsonb(f)
		FROM (SELECT DISTINCT a, b FROM unnest($1::text[], $2::text[]) AS k(a, b)) k
		JOIN ` + tableOf[kind] + ` f ON f.` + key[0] + ` = k.a AND f.` + key[1] + ` = k.b`
}

// known is what is said of users and Stripe customers among identities: by
// their ids and, if asked for, by their addresses.
type known struct {
	users           []facts.User
	stripeCustomers []facts.StripeCustomer
	former          []formerUser
}

// formerUser is a user who had an address at a time, and may have another now.
type formerUser struct {
	id, email string
	at        time.Time
}

func peopleOf(ctx context.Context, q querier, ids []identity, addresses bool) (p known, err error) {
	var emails, users, accounts, customers []string
	for _, i := range ids {
		switch {
		case i.kind == aUser:
			users = append(users, i.value)
		case i.kind == aStripeCustomer:
			account, id, _ := strings.Cut(i.value, "/")
			accounts, customers = append(accounts, account), append(customers, id)
		case addresses && i.kind == anAddress:
			emails = append(emails, i.value)
		}
	}
	p.users, err = factsOf[facts.User](ctx, q, `SELECT to_jsonb(u) FROM users u WHERE id = ANY($1) OR email = ANY($2)`, users, emails)
	if err != nil {
		return p, err
	}
	p.stripeCustomers, err = factsOf[facts.StripeCustomer](ctx, q, `
		SELECT to_jsonb(s)
		FROM stripe_customers s
		WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		   OR email = ANY($3)`, accounts, customers, emails)
	if err != nil || len(emails) == 0 {
		return p, err
	}
	rows, err := q.Query(ctx, formerUsersSQL, emails)
	if err != nil {
		return p, err
	}
	p.former, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f formerUser, err error) {
		return f, row.Scan(&f.id, &f.email, &f.at)
	})
	return p, err
}

// tiesOfRows finds whom the people and rows that name identities tie to them.
func (e *erased) tiesOfRows(ctx context.Context, q querier, ids []identity, rows []rowKey) (ties, error) {
	p, err := peopleOf(ctx, q, ids, true)
	if err != nil {
		return nil, err
	}
	found, keys := e.tiesOfPeople(p), keyArrays(rows)
	if k, ok := keys[payment]; ok {
		payments, err := factsOf[facts.Payment](ctx, q, rowsSQL(payment), k[0], k[1])
		if err != nil {
			return nil, err
		}
		for _, f := range payments {
			e.contextTies(found, rowKey{payment, f.Account, f.ID}, &f.Context, happened(f.ClaimVersion, f.PaidAt))
			e.contextTies(found, rowKey{payment, f.Account, f.ID}, f.Intent.Says(), happened(f.IntentVersion, f.PaidAt))
			e.contextTies(found, rowKey{payment, f.Account, f.ID}, f.Charge, happened(f.ChargeVersion, f.PaidAt))
		}
	}
	if k, ok := keys[subscription]; ok {
		subscriptions, err := factsOf[facts.Subscription](ctx, q, rowsSQL(subscription), k[0], k[1])
		if err != nil {
			return nil, err
		}
		for _, f := range subscriptions {
			e.contextTies(found, rowKey{subscription, f.Account, f.ID}, &f.Context, happened(f.Version, f.StartedAt))
			e.contextTies(found, rowKey{subscription, f.Account, f.ID}, f.Checkout, happened(f.CheckoutVersion, f.CheckoutAt))
		}
	}
	return found, nil
}

func (e *erased) tiesOfPeople(p known) ties {
	found := ties{}
	for _, f := range p.users {
		e.userTies(found, f, userHappened(f))
	}
	for _, f := range p.former {
		e.tie(found, identity{aUser, f.id}, e.tomb(anAddress, f.email, f.at))
	}
	for _, f := range p.stripeCustomers {
		e.stripeCustomerTies(found, f, happened(f.Version, nil))
	}
	return found
}
