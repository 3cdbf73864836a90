package store

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// How stored rows that name erased people are pseudonymized.

// pseudonymizeRows pseudonymizes rows that name erased people, and returns their
// keys as they are now. The rows' locks are held.
func (f *erasureFilter) pseudonymizeRows(ctx context.Context, keys []RowKey) (now []RowKey, err error) {
	defer pg.Wrap(&err, "store.pseudonymizeRows(%d)", len(keys))
	set, err := readRows(ctx, f.tx, keys, false)
	if err != nil {
		return nil, err
	}
	var changed []purchase
	first := map[RowKey]time.Time{}
	for _, p := range purchasesOf(&set, asStored) {
		now, first[p.RowKey] = append(now, p.RowKey), always
		if f.tombstones.purchase(p) {
			changed = append(changed, p)
		}
	}
	if err := f.writePurchases(ctx, changed); err != nil {
		return nil, err
	}
	if _, err := f.pseudonymizeWhole(ctx, first); err != nil {
		return nil, err
	}
	enrollments, err := f.pseudonymizeEnrollments(ctx, set.Enrollments)
	return append(now, enrollments...), err
}

// pseudonymizeEnrollments pseudonymizes enrollments, whose keys name people. One
// that goes under another key joins what is kept under that key already.
func (f *erasureFilter) pseudonymizeEnrollments(ctx context.Context, rows []facts.Enrollment) (
	now []RowKey, err error) {
	var changed, moved []facts.Enrollment
	var courses, persons []string
	for _, e := range rows {
		person := e.Person
		named := f.tombstones.enrollment(&e, asStored)
		now = append(now, RowKey{Enrollment, e.CourseID, e.Person})
		switch {
		case e.Person != person:
			moved, courses, persons = append(moved, e), append(courses, e.CourseID), append(persons, person)
		case named:
			changed = append(changed, e)
		}
	}
	if len(changed) > 0 {
		if err := f.writeNames(ctx, KindOf(Enrollment), changed); err != nil {
			return nil, err
		}
	}
	if err := upsert(ctx, f.tx, facts.Set{Enrollments: moved}, nil); err != nil {
		return nil, err
	}
	return now, f.removeEnrollments(ctx, courses, persons)
}

// eraseNotes removes the notes about customers that no longer exist as their rows,
// or those under a former key, were pseudonymized, and what is known of their merges.
func (f *erasureFilter) eraseNotes(ctx context.Context, rows []resolution, former []customer) (err error) {
	defer pg.Wrap(&err, "store.eraseNotes")
	var ids []int64
	var stores, emails []string
	add := func(id int64, store, email string) {
		ids, stores, emails = append(ids, id), append(stores, store), append(emails, email)
	}
	for _, c := range former {
		add(c.id, c.store, c.email)
	}
	for _, r := range rows {
		if r.OldEmail != nil && !Anonymous(*r.OldEmail) && r.attachable() && Anonymous(*r.Email) {
			add(*r.OldID, *r.OldStore, *r.OldEmail)
		}
	}
	if f.tombstones == nil || len(ids) == 0 {
		return nil
	}
	_, err = f.tx.Exec(ctx, `
		WITH gone AS MATERIALIZED (
			SELECT DISTINCT l.*
			FROM unnest($1::bigint[], $2::text[], $3::text[]) AS l(id, store_id, email)
			WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = l.id)
		)`+deleteGone()+`
		DELETE FROM customer_merges m
		USING gone
		WHERE m.store_id = gone.store_id AND gone.id IN (m.from_id, m.into_id)`, ids, stores, emails)
	return err
}

// ofAddresses are the tables whose rows belong to an address and follow from no fact.
var ofAddresses = []string{"customer_notes", "customer_tags", "watched_members", "segment_moves", "bulk_people",
	"bulk_changes", "runs", "mails", "mail_consents"}

// deleteGone is SQL, of a WITH, that deletes what belongs to those who are gone.
func deleteGone() (sql string) {
	for _, table := range ofAddresses {
		sql += `,
		no_` + table + ` AS (
			DELETE FROM ` + table + ` x
			USING gone
			WHERE x.store_id = gone.store_id AND x.email = gone.email
		)`
	}
	return sql
}

// Rows into which facts of erased people were merged: one message names them, and
// another may say more of the same row without naming them.

// pseudonymizeWhole pseudonymizes all parts of payments and subscriptions of which
// one part names an erased person by a pseudonym. first is when each row was first
// told of: what was told only after the erasure is not the erased person's.
func (f *erasureFilter) pseudonymizeWhole(ctx context.Context, first map[RowKey]time.Time) (
	found discoveries, err error) {
	found = discoveries{}
	set, err := readRows(ctx, f.tx, slices.Collect(maps.Keys(first)), true)
	if err != nil {
		return nil, err
	}
	rows := purchasesOf(&set, asStored)
	if len(rows) == 0 {
		return found, nil
	}
	people, err := f.peopleBehind(ctx, rows)
	if err != nil {
		return nil, err
	}
	var changed []purchase
	for _, p := range rows {
		if f.pseudonymizeParts(p, first[p.RowKey], people, found) {
			changed = append(changed, p)
		}
	}
	return found, f.writePurchases(ctx, changed)
}

// pseudonymizeParts pseudonymizes the parts of one row, and adds to found the
// Stripe customers as whom erased people bought.
func (f *erasureFilter) pseudonymizeParts(p purchase, first time.Time, people map[string]*tombstone,
	found discoveries) (changed bool) {
	if t := people[p.erasedBuyer()]; t != nil {
		for _, by := range p.parts {
			if by.UserRef+by.StripeCustomer == "" {
				changed = t.typed(by.Context) || changed
			}
		}
	}
	before := func(pseudonym string) *tombstone {
		if t := people[pseudonym]; t != nil && !first.After(t.at) {
			return t
		}
		return nil
	}
	for _, by := range p.parts {
		if t := before(pseudonymIn(by.Context)); t != nil && typedIn(by.Context) != "" {
			changed = t.typed(by.Context) || changed
		}
		if by.StripeCustomer != "" {
			f.tombstones.note(found, identity{aStripeCustomer, p.A + "/" + by.StripeCustomer}, before(by.UserRef))
		}
	}
	return changed
}

// peopleBehind finds the erased people that rows name by pseudonyms.
func (f *erasureFilter) peopleBehind(ctx context.Context, rows []purchase) (map[string]*tombstone, error) {
	var pseudonyms []string
	var customers []identity
	for _, p := range rows {
		for _, by := range p.parts {
			pseudonyms = append(pseudonyms, by.UserRef, by.StripeCustomer, by.Email)
			customers = append(customers, identity{aStripeCustomer, p.A + "/" + by.StripeCustomer})
		}
	}
	pseudonyms = slices.DeleteFunc(pseudonyms, func(name string) bool { return !isPseudonym(name) })
	if err := f.tombstones.find(ctx, f.tx, customers); err != nil {
		return nil, err
	}
	return f.findPseudonyms(ctx, pseudonyms)
}

// pseudonymIn is the first pseudonym by which a part names its buyer, if any.
func pseudonymIn(c *facts.Context) string {
	for _, name := range []string{c.UserRef, c.StripeCustomer, c.Email} {
		if isPseudonym(name) {
			return name
		}
	}
	return ""
}

// erasedBuyer is the first pseudonym by which any part names a buyer, if one does. A
// part that names another buyer may come later, when what was typed is gone.
func (p purchase) erasedBuyer() string {
	for _, by := range p.parts {
		if pseudonym := pseudonymIn(by.Context); pseudonym != "" {
			return pseudonym
		}
	}
	return ""
}

// findPseudonyms finds the tombstones behind pseudonyms of people and of ids. Of
// several the last erasure counts.
func (f *erasureFilter) findPseudonyms(ctx context.Context, pseudonyms []string) (map[string]*tombstone, error) {
	people, marks := make([]string, len(pseudonyms)), make([][]byte, len(pseudonyms))
	for i, name := range pseudonyms {
		people[i], _, _ = strings.Cut(name, "@")
		marks[i], _ = hex.DecodeString(strings.TrimPrefix(name, anonymousPrefix))
	}
	found := map[string]*tombstone{}
	return found, scanTombstones(ctx, f.tx, func(_ []byte, name string, t *tombstone) { found[name] = t }, `
		WITH named AS (
			SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS n(name, person, mark)
		)
		SELECT NULL::bytea, n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erasures x ON x.person = n.person
		UNION ALL
		SELECT NULL::bytea, n.name, x.id, x.person, x.erased_at
		FROM named n
		JOIN erased e ON length(n.mark) = 10 AND e.hash BETWEEN n.mark
			AND n.mark || '\xffffffffffffffffffffffffffffffffffffffffffff'
		JOIN erasures x ON x.id = e.erasure_id
		ORDER BY erased_at`, pseudonyms, people, marks)
}

// What erasure does to users, Stripe customers and the links of their addresses.

// pseudonymizePeople copies the users and Stripe customers among identities to
// their pseudonyms; and removes them, unless they reappeared since.
func (f *erasureFilter) pseudonymizePeople(ctx context.Context, ids []identity, remove bool) (err error) {
	defer pg.Wrap(&err, "store.pseudonymizePeople(%d)", len(ids))
	people, err := readPeople(ctx, f.tx, ids, nil)
	if err != nil {
		return err
	}
	var copies facts.Set
	var users, accounts, customers []string
	for _, u := range people.Users {
		if id := u.ID; f.tombstones.user(&u, asStored.ofUser(u)) {
			copies.Users, users = append(copies.Users, u), append(users, id)
		}
	}
	for _, c := range people.StripeCustomers {
		if id := c.ID; f.tombstones.stripeCustomer(&c, asStored.of(c.Version, nil)) {
			copies.StripeCustomers, accounts, customers = append(copies.StripeCustomers, c), append(accounts, c.Account),
				append(customers, id)
		}
	}
	if err := f.pseudonymizeLinks(ctx, ids, remove); err != nil {
		return err
	}
	if err := upsert(ctx, f.tx, copies, nil); err != nil || !remove {
		return err
	}
	var batch pgx.Batch
	batch.Queue(`DELETE FROM users WHERE id = ANY($1)`, users)
	batch.Queue(`DELETE FROM stripe_customers WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
		accounts, customers)
	return f.tx.SendBatch(ctx, &batch).Close()
}

// pseudonymizeLinks copies the addresses that users among identities had until
// their erasure to their pseudonyms; and removes them.
func (f *erasureFilter) pseudonymizeLinks(ctx context.Context, ids []identity, remove bool) (err error) {
	defer pg.Wrap(&err, "store.pseudonymizeLinks(%d)", len(ids))
	var users, pseudonyms, addresses []string
	var until []time.Time
	for _, i := range ids {
		if t := f.tombstones.known[i]; t != nil && i.kind == aUser {
			users, until = append(users, i.value), append(until, t.at)
			pseudonyms, addresses = append(pseudonyms, f.tombstones.pseudonym(i)), append(addresses, t.address())
		}
	}
	if len(users) == 0 {
		return nil
	}
	if _, err := f.tx.Exec(ctx, `
		INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT DISTINCT l.relation, u.pseudonym, u.address, l.since, l.hearsay
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS u(id, pseudonym, address, until)
		JOIN links l ON l.relation = 'address' AND l.subject = u.id
		WHERE version_time(l.since) <= u.until
		ON CONFLICT DO NOTHING`, users, pseudonyms, addresses, until); err != nil || !remove {
		return err
	}
	_, err = f.tx.Exec(ctx, `
		DELETE FROM links l
		USING unnest($1::text[], $2::timestamptz[]) AS u(id, until)
		WHERE l.relation = 'address' AND l.subject = u.id AND version_time(l.since) <= u.until`, users, until)
	return err
}
