package checks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// PersonQuery selects a person by Clerk user id, address, or both.
type PersonQuery struct {
	User  string
	Email string // normalised by facts.Email
	Store string // only facts of this store, or of no known one; "": all
}

// Person is everything known about a person.
type Person struct {
	Users           []store.PersonFact `json:"users"`
	StripeCustomers []store.PersonFact `json:"stripe_customers"`
	Emails          []string           `json:"emails"` // that the search used
	Customers       []PersonCustomer   `json:"customers"`
	Facts           []PersonalFact     `json:"facts"`
	Merges          []PersonMerge      `json:"merges"`
	Events          []store.Event      `json:"events"`     // that mention them and are not applied
	Unsearched      []string           `json:"unsearched"` // what took too long to search
	More            bool               `json:"more"`       // there are further facts
	BringIn         []string           `json:"-"`          // commands that may bring in an unknown person
}

// Known tells whether any source ever mentioned the person.
func (p Person) Known() bool {
	return len(p.Users)+len(p.StripeCustomers)+len(p.Customers)+len(p.Facts)+len(p.Merges)+len(p.Events) > 0
}

// PersonCustomer is an entry of the person on a list.
type PersonCustomer struct {
	ID      string `json:"id"`
	StoreID string `json:"store_id"`
	Email   string `json:"email"`
}

// PersonMerge is a customer of the person that was merged into another.
type PersonMerge struct {
	StoreID  string    `json:"store_id"`
	From     string    `json:"from"` // address
	Into     string    `json:"into"`
	MergedAt time.Time `json:"merged_at"`
}

// PersonalFact is a person's enrollment, payment, subscription or expired checkout,
// with its list, or why it is missing.
type PersonalFact struct {
	Ref        string         `json:"ref"`
	Kind       string         `json:"kind"`
	StoreID    *string        `json:"store_id"` // null: unknown
	CustomerID *string        `json:"customer_id"`
	Email      *string        `json:"email"` // of its customer
	Product    *string        `json:"product_id"`
	Title      *string        `json:"title"`
	Amount     *store.Money   `json:"amount"`
	At         *time.Time     `json:"at"`
	User       *string        `json:"user"`    // that it names
	Typed      *string        `json:"typed"`   // the address typed in
	Reason     *string        `json:"reason"`  // null: it is on a list
	Meaning    string         `json:"meaning"` // of the reason
	Rightly    bool           `json:"rightly"` // as expected: it makes no customer
	Missing    string         `json:"missing"` // the key that it waits for; may be empty
	Origins    []store.Origin `json:"origins"`
	Fix        []string       `json:"-"` // commands that may put it on a list
}

const (
	// mostFacts is how many facts of a person are returned.
	mostFacts = 300
	// mostMentions is how many unapplied events are returned.
	mostMentions = 20
)

// Person finds a person by id, by verified addresses, and by addresses typed in with
// facts. It writes nothing.
func (s *Reader) Person(ctx context.Context, q PersonQuery) (p Person, err error) {
	defer pg.Wrap(&err, "checks.Person")
	p = Person{
		Users: []store.PersonFact{}, StripeCustomers: []store.PersonFact{}, Emails: []string{},
		Customers: []PersonCustomer{}, Facts: []PersonalFact{}, Merges: []PersonMerge{},
		Events: []store.Event{}, Unsearched: []string{},
	}
	if !pg.Storable(q.User + q.Email + q.Store) {
		return p, nil // no person can have such an id
	}
	l := lookup{Checkup: s.Checkup(store.AuditOptions{Store: q.Store}), q: q, p: &p}
	for _, step := range []func(context.Context) error{l.people, l.lists, l.facts, l.checkouts, l.mentions, l.fixes} {
		if err := step(ctx); err != nil {
			return p, err
		}
	}
	return p, l.look(ctx, func(tx pgx.Tx) error {
		var all [][]store.Origin
		for _, f := range p.Facts {
			all = append(all, f.Origins)
		}
		for _, f := range append(slices.Clone(p.Users), p.StripeCustomers...) {
			all = append(all, f.Origins)
		}
		return store.LookUp(ctx, tx, all...)
	})
}

// lookup is the search for one person.
type lookup struct {
	*Checkup
	q PersonQuery
	p *Person
}

// people finds the user, the users of the address, and the Stripe customers of any of
// their addresses.
func (l *lookup) people(ctx context.Context) (err error) {
	collectPerson := func(source string) pgx.RowToFunc[store.PersonFact] {
		return func(row pgx.CollectableRow) (f store.PersonFact, err error) {
			var versions store.Versions
			err = row.Scan(&f.Ref, &f.Kind, &f.Account, &f.ID, &f.Email, &f.Name, &f.Deleted, &f.LastVerified, &versions)
			f.Origins = versions.Origins(source)
			return f, err
		}
	}
	l.p.Users, err = collect(ctx, l.Checkup, collectPerson("clerk"), `
		SELECT 'user:' || id, 'user', '', id, coalesce(email, ''), name, deleted_version <> '', `+store.LastVerified("users")+
		`, jsonb_build_object('user', version, 'address', earlier ->> 'email', 'end', deleted_version)
		FROM users
		WHERE id = $1 OR email = nullif($2, '')
		ORDER BY id`, l.q.User, l.q.Email)
	if err != nil {
		return err
	}
	if l.q.Email != "" {
		l.p.Emails = append(l.p.Emails, l.q.Email)
	}
	for _, u := range l.p.Users {
		if u.Email != "" && !slices.Contains(l.p.Emails, u.Email) {
			l.p.Emails = append(l.p.Emails, u.Email)
		}
	}
	l.p.StripeCustomers, err = collect(ctx, l.Checkup, collectPerson("stripe"), `
		SELECT `+store.RefOf("stripe_customer", "account", "id")+`, 'stripe_customer', account, id, email, name,
			deleted_version <> '', false, jsonb_build_object('stripe_customer', version, 'end', deleted_version)
		FROM stripe_customers
		WHERE email = ANY($1)
		ORDER BY account, id
		LIMIT 100`, l.p.Emails)
	return err
}

// lists finds the entries of the addresses, and merged ones.
func (l *lookup) lists(ctx context.Context) (err error) {
	l.p.Customers, err = collect(ctx, l.Checkup, pgx.RowToStructByPos[PersonCustomer], `
		SELECT id::text, store_id, email
		FROM customers
		WHERE email = ANY($1) AND ($2 = '' OR store_id = $2)
		ORDER BY store_id, id
		LIMIT 100`, l.p.Emails, l.q.Store)
	if err != nil {
		return err
	}
	l.p.Merges, err = collect(ctx, l.Checkup, func(row pgx.CollectableRow) (m PersonMerge, err error) {
		err = row.Scan(&m.StoreID, &m.From, &m.Into, &m.MergedAt)
		m.MergedAt = m.MergedAt.UTC()
		return m, err
	}, `
		SELECT store_id, from_email, into_email, merged_at
		FROM customer_merges
		WHERE from_email = ANY($1) AND ($2 = '' OR store_id = $2)
		ORDER BY id
		LIMIT 100`, l.p.Emails, l.q.Store)
	return err
}

// facts finds enrollments, payments and subscriptions that name the person, are on the
// lists found, or were made with one of the addresses.
func (l *lookup) facts(ctx context.Context) error {
	for _, kind := range store.FactKinds {
		keys, err := l.keys(ctx, kind)
		if err != nil {
			return err
		}
		if len(keys) > mostFacts {
			keys, l.p.More = keys[:mostFacts], true
		}
		columns := store.KeyArrays(keys)[kind.Name]
		some, err := collect(ctx, l.Checkup, scanPersonal(kind.Name), personalSQL(kind), columns[0], columns[1], l.q.Store)
		if err != nil {
			return err
		}
		l.p.Facts = append(l.p.Facts, some...)
	}
	return nil
}

// keys finds the facts of a kind.
func (l *lookup) keys(ctx context.Context, kind store.FactKind) (keys []store.RowKey, err error) {
	var leans, ids []string
	if l.q.User != "" {
		leans = append(leans, "user:"+l.q.User)
	}
	for _, u := range l.p.Users {
		leans = append(leans, u.Ref)
	}
	for _, c := range l.p.StripeCustomers {
		leans = append(leans, store.CustomerLock(c.Account, c.ID))
	}
	for _, c := range l.p.Customers {
		ids = append(ids, c.ID)
	}
	seen := map[store.RowKey]bool{}
	add := func(condition string, arg any) error {
		err := l.look(ctx, func(tx pgx.Tx) error {
			rows := pg.Query(ctx, tx, fmt.Sprintf(`SELECT %s FROM %s f WHERE %s LIMIT %d`, kind.KeySQL("f"), kind.Table,
				condition, mostFacts+1), arg)
			some, err := store.KeysOfKind(kind.Name, rows)
			for _, k := range some {
				if !seen[k] {
					seen[k], keys = true, append(keys, k)
				}
			}
			return err
		})
		if pg.TimedOut(err) {
			l.p.Unsearched = append(l.p.Unsearched, kind.Table)
			return nil
		}
		return err
	}
	if err := add(`leans && $1::text[]`, leans); err != nil {
		return nil, err
	}
	if err := add(`customer_id = ANY($1::text[]::bigint[])`, ids); err != nil {
		return nil, err
	}
	if len(l.p.Emails) == 0 {
		return keys, nil
	}
	// This reads the whole table, which is acceptable for one person.
	return keys, add(store.NamesAddress(kind.Table, "f", "$1::text[]"), l.p.Emails)
}

// fixes adds the commands that may put the person on their lists.
func (l *lookup) fixes(ctx context.Context) error {
	for i, f := range l.p.Facts {
		if f.Reason == nil || f.Rightly {
			continue
		}
		reason, _ := reasons.Find(*f.Reason)
		waits := missing{Key: f.Missing}
		if f.Kind == store.Enrollment && f.Product != nil {
			waits.Course = *f.Product
		}
		fix, err := l.fixOf(ctx, reason, []missing{waits})
		if err != nil {
			return err
		}
		l.p.Facts[i].Fix = fix
	}
	if l.p.Known() {
		return nil
	}
	who := object{"email", l.q.Email}
	if l.q.Email == "" {
		who = object{"user_id", l.q.User}
	}
	likely, err := l.likelyStore(ctx)
	l.p.BringIn = []string{
		"rollcall backfill start clerk --follow",
		"rollcall backfill start stripe --account all --follow",
		send("enrollment.upserted", object{"course_id", "<COURSE>"}, object{"store_id", likely}, who),
	}
	return err
}

// personalSQL describes the facts of a kind with keys $1 and $2, of store $3 and of no
// known store; of all if $3 is empty.
func personalSQL(kind store.FactKind) string {
	of := kind.Alias
	described := strings.Join([]string{kind.RefSQL(), kind.Product, kind.Amount, kind.At, kind.User, kind.Address,
		kind.Counted,
		kind.Source, kind.Versions}, ", ")
	return fmt.Sprintf(`
		SELECT
			d.ref,
			%[1]s.store_id,
			%[1]s.customer_id::text,
			%[1]s.customer_email,
			d.product,
			%[2]s,
			d.amount,
			d.at,
			d.who,
			d.typed,
			split_part(%[1]s.unattached, ':', 1),
			coalesce(missing.key, ''),
			d.counted,
			d.source,
			d.said
		%[3]s
		CROSS JOIN LATERAL (SELECT %[4]s) AS d(ref, product, amount, at, who, typed, counted, source, said)
		LEFT JOIN LATERAL (%[5]s) missing ON true
		WHERE $3 = '' OR %[1]s.store_id = $3 OR %[1]s.store_id IS NULL
		ORDER BY d.at, d.ref`,
		of, store.TitleOf("d.product", of+".store_id"), kind.GivenRows(of), described,
		missingKey("split_part("+of+".unattached, ':', 1)", of+".leans"))
}

func scanPersonal(kind string) pgx.RowToFunc[PersonalFact] {
	return func(row pgx.CollectableRow) (f PersonalFact, err error) {
		var source string
		var counted *string
		var versions store.Versions
		err = row.Scan(&f.Ref, &f.StoreID, &f.CustomerID, &f.Email, &f.Product, &f.Title, &f.Amount, &f.At, &f.User, &f.Typed,
			&f.Reason, &f.Missing, &counted, &source, &versions)
		f.Kind, f.At, f.Origins = kind, pg.UTC(f.At), versions.Origins(source)
		if f.Reason != nil {
			reason, _ := reasons.Find(*f.Reason)
			f.Meaning, f.Rightly = reason.Text()+store.CountedWith(counted), reason.Right
		}
		return f, err
	}
}

// lowerASCII folds A–Z, like lower under COLLATE "C": kİm is not kim.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// mentions finds unapplied events that mention the person, among the newest of each
// status.
func (l *lookup) mentions(ctx context.Context) error {
	var needles []string
	for _, name := range append([]string{l.q.User}, l.p.Emails...) {
		if text, err := json.Marshal(name); name != "" && err == nil {
			needles = append(needles, lowerASCII(strconv.Quote(name)), lowerASCII(string(text)))
		}
	}
	if len(needles) == 0 {
		return nil
	}
	var err error
	l.p.Events, err = collect(ctx, l.Checkup, store.OneEvent, store.SelectEvents("NULL::text", "NULL::text")+`
		WHERE e.id IN (
			SELECT id
			FROM unnest(ARRAY['pending', 'failed', 'ignored']) AS s(status)
			CROSS JOIN LATERAL (
				SELECT id, lower(payload::text COLLATE "C") AS payload
				FROM webhook_events
				WHERE status = s.status
				ORDER BY id DESC
				LIMIT $2
			) newest
			WHERE EXISTS (SELECT FROM unnest($1::text[]) n(needle) WHERE strpos(newest.payload, n.needle) > 0)
		)
		ORDER BY e.id DESC
		LIMIT $3`, needles, store.SomeEvents/2, mostMentions)
	if pg.TimedOut(err) {
		l.p.Unsearched, err = append(l.p.Unsearched, "webhook_events"), nil
	}
	return err
}
