package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// A person erased from one store only is still known to the others. What they
// have in that store cannot be told by the names in a fact, only by where it
// belongs. So it is found when rows are resolved, and pseudonymized then.

// pseudonymizeInStores pseudonymizes the rows that resolve to a person erased from
// the row's own store, if they began before, and resolves all again: one may be
// known by another.
func (f *erasureFilter) pseudonymizeInStores(ctx context.Context, rows []resolution) (_ []resolution, err error) {
	ts, err := f.load(ctx)
	if err != nil || ts == nil || !ts.inStores {
		return rows, err
	}
	defer pg.Wrap(&err, "store.pseudonymizeInStores(%d)", len(rows))
	for {
		found, err := f.findInStores(ctx, rows)
		if err != nil || len(found) == 0 {
			return rows, err
		}
		keys, any := make([]RowKey, len(rows)), false
		for i, r := range rows {
			keys[i] = r.RowKey
			if t := found[r.buyerAddress()]; t != nil {
				var changed bool
				if keys[i], changed, err = f.pseudonymizeInStore(ctx, r.RowKey, *r.Buyer, t); err != nil {
					return nil, err
				}
				any = any || changed
				f.inStores[r.RowKey] = changed || f.inStores[r.RowKey] || Anonymous(r.buyerAddress().email)
			}
		}
		if !any {
			return rows, nil
		}
		if rows, err = resolve(ctx, f.tx, distinct(keys), f.platform); err != nil {
			return nil, err
		}
	}
}

// buyerAddress returns the row's store and buyer, even if the buyer is not a customer.
func (r resolution) buyerAddress() address {
	if r.Store == nil || r.Buyer == nil {
		return address{}
	}
	return address{*r.Store, *r.Buyer}
}

// findInStores finds who of those that rows resolve to was erased from a store:
// under their address or, for rows told again after they were pseudonymized, under
// the pseudonym.
func (f *erasureFilter) findInStores(ctx context.Context, rows []resolution) (map[address]*tombstone, error) {
	asked := map[string]string{} // hash or pseudonym to address
	var hashes [][]byte
	var stores, persons []string
	for _, r := range rows {
		at := r.buyerAddress()
		if at.email == "" {
			continue
		}
		stores = append(stores, at.store)
		if Anonymous(at.email) {
			person := at.email[:len(at.email)-len(anonymousDomain)]
			persons, asked[person] = append(persons, person), at.email
			continue
		}
		hash := f.tombstones.hash(identity{anAddress, at.email})
		hashes, asked[string(hash)] = append(hashes, hash), at.email
	}
	found := map[address]*tombstone{}
	return found, scanTombstones(ctx, f.tx, func(by []byte, store string, t *tombstone) {
		found[address{store, asked[string(by)]}] = t
	}, `
		SELECT e.hash, e.store_id, e.erasure_id, x.person, e.erased_at
		FROM erased e
		JOIN erasures x ON x.id = e.erasure_id
		WHERE e.hash = ANY($1) AND e.store_id = ANY($3)
		UNION ALL
		SELECT convert_to(x.person, 'UTF8'), x.store_id, x.id, x.person, x.erased_at
		FROM erasures x
		WHERE x.person = ANY($2) AND x.store_id = ANY($3)`, hashes, persons, stores)
}

// pseudonymizeInStore pseudonymizes one row of the buyer at an address, if it began before its
// person was erased, and returns its key as it is now.
func (f *erasureFilter) pseudonymizeInStore(ctx context.Context, k RowKey, email string, t *tombstone) (
	key RowKey, changed bool, err error) {
	more := locks{}
	more.add(false, "user:"+t.person)
	key = k
	if k.Kind == Enrollment {
		key.B = "user:" + t.person
		more.add(true, key.lock())
	}
	if err := f.extend(ctx, more); err != nil {
		return k, false, err
	}
	set, err := readRows(ctx, f.tx, []RowKey{k}, false)
	if err != nil {
		return k, false, err
	}
	if other, err := f.cameLater(ctx, &set, email, t); err != nil || other {
		return k, false, err
	}
	for _, p := range purchasesOf(&set, asStored) {
		if !p.began.After(t.at) && t.ownAll(p) {
			return k, true, f.writePurchases(ctx, []purchase{p})
		}
	}
	if len(set.Enrollments) == 0 || k == key || asStored.ofEnrollment(set.Enrollments[0]).After(t.at) {
		return k, false, nil
	}
	e := &set.Enrollments[0]
	e.Person, e.Email, e.Name = key.B, "", ""
	if err := upsert(ctx, f.tx, facts.Set{Enrollments: set.Enrollments}, nil); err != nil {
		return k, false, err
	}
	return key, true, f.removeEnrollments(ctx, []string{k.A}, []string{k.B})
}

// cameLater tells whether a row is of someone who took the address after it was erased: it does not
// name the address itself, and the user whom it names, by an id or by an address of before, took it since.
func (f *erasureFilter) cameLater(ctx context.Context, row *facts.Set, email string, t *tombstone) (
	later bool, err error) {
	emails, users := []string{}, []string{}
	for _, e := range row.Enrollments {
		emails, users = append(emails, e.Email), append(users, strings.TrimPrefix(e.Person, "user:"))
	}
	for _, p := range purchasesOf(row, asStored) {
		for _, by := range p.parts {
			emails, users = append(emails, by.Email), append(users, by.UserRef)
		}
	}
	if slices.Contains(emails, email) {
		return false, nil
	}
	err = f.tx.QueryRow(ctx, `
		SELECT coalesce(bool_and(since > $2), false)
		FROM (
			SELECT min(version_time(l.since)) FILTER (WHERE l.object = u.email) AS since
			FROM users u
			JOIN links l ON l.relation = 'address' AND l.subject = u.id
			WHERE u.email = $1
			GROUP BY u.id
			HAVING u.id = ANY($4) OR bool_or(l.object = ANY($3))
		) taken`, email, t.at, emails, users).Scan(&later)
	return later, err
}

// ownAll makes the anonymous person the buyer in all parts of a row.
func (t *tombstone) ownAll(p purchase) (changed bool) {
	for _, by := range p.parts {
		if by.told || by.UserRef+by.StripeCustomer+typedIn(by.Context) != "" {
			changed = t.own(by.Context) || changed
		}
	}
	return changed
}

// own makes the anonymous person the user: whose a row is, is asked of that first.
func (t *tombstone) own(c *facts.Context) bool {
	old := *c
	c.UserRef, c.Email, c.Name, c.Country = t.person, "", "", ""
	c.Earlier = anonymousAges(c.Earlier, "email", "name", "country")
	if c.StripeCustomer != "" {
		c.StripeCustomer = t.person
	}
	return old.UserRef != c.UserRef || old.StripeCustomer != c.StripeCustomer || typedIn(&old) != ""
}

// wordsInStores removes what people said about mail in stores that they were erased from, if they said it
// before, and notes which sets say it. It runs when users are upserted too: a word of a user names no address.
func (f *erasureFilter) wordsInStores(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "store.wordsInStores")
	said := []saidInStore{}
	var users []string
	for n, set := range f.sets {
		for _, c := range set.Consents {
			said = append(said, saidInStore{n, c})
		}
		for _, u := range set.Users {
			users = append(users, u.ID)
		}
	}
	if !f.tombstones.inStores || len(said)+len(users) == 0 {
		return nil
	}
	text, err := json.Marshal(said)
	if err != nil {
		return err
	}
	named, err := queryAll(ctx, f.tx, pgx.RowTo[int], `
		WITH said AS MATERIALIZED (
			SELECT s.nth, c.*
			FROM jsonb_to_recordset($1::jsonb) AS s(nth int, word jsonb)
			CROSS JOIN LATERAL jsonb_populate_record(NULL::mail_consents, s.word) c
		),
		gone AS (
			DELETE FROM mail_consents c
			USING (
				SELECT store_id, user_id, email, kind FROM said
				UNION
				SELECT store_id, user_id, email, kind FROM mail_consents WHERE user_id <> '' AND user_id = ANY($2)
			) s
			WHERE (c.store_id, c.user_id, c.email, c.kind) = (s.store_id, s.user_id, s.email, s.kind)
			  AND `+erasedInStore+`
		)
		SELECT DISTINCT nth FROM said c WHERE `+erasedInStore, string(text), users)
	for _, n := range named {
		f.named[n] = true
	}
	return err
}

// saidInStore is a consent of the nth set.
type saidInStore struct {
	Nth  int           `json:"nth"`
	Word facts.Consent `json:"word"`
}

// erasedInStore is SQL for whether the person of a consent c was erased from its store after they said it.
var erasedInStore = `EXISTS (
				SELECT
				FROM (
					SELECT c.email WHERE c.email <> ''
					UNION ALL
					SELECT u.email FROM users u WHERE u.id = c.user_id
					UNION ALL
					SELECT l.object FROM links l WHERE l.relation = 'address' AND l.subject = c.user_id
				) a(email)
				JOIN erased e ON e.hash = ` + AddressHash("a.email") + ` AND e.store_id = c.store_id
				WHERE c.said_at <= e.erased_at
			  )`
