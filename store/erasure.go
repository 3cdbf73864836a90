package store

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// To erase a person: docs/erasure.md. First come the tombstones, in one short
// transaction during which nothing else is written: from then on whatever is told
// of the person is kept under a pseudonym. Then, in transactions of some rows each,
// follows all that was there before. What is looked for is kept in clear until
// all of it is found, so an interrupted erasure goes on where it was.

// Erasing says who is to be erased, and from where.
type Erasing struct {
	Email string // whoever has or had this address
	Store string // from this store only; empty: from everywhere
}

// check refuses what names no person, and cleans the address.
func (p *Erasing) check() error {
	if !pg.Storable(p.Email + p.Store) {
		return pg.Refuse("email", "holds characters that are none")
	}
	switch address := facts.Email(p.Email); {
	case address == "":
		return pg.Refuse("email", "%q is no address", p.Email)
	case Anonymous(address):
		return pg.Refuse("email", "whose this was is erased already")
	default:
		p.Email = address
	}
	return nil
}

// seed is what is said of the person.
func (p Erasing) seed() identity { return identity{anAddress, p.Email} }

// EraseOptions of Erase.
type EraseOptions struct {
	// Read reads the events that name the person and have not been applied yet:
	// these are applied now.
	Read Reader
	// Progress, unless nil, is called with how many events of the inbox were
	// searched, and of how many.
	Progress func(done, all int64)
	// Forget, unless nil, removes what is kept elsewhere of the person known by
	// the names, in lower case, once all of these are found. If it fails, the
	// erasure has not ended, and goes on later.
	Forget func(names []string) error
}

func (o EraseOptions) progress(done, all int64) error {
	if o.Progress != nil {
		o.Progress(done, all)
	}
	return nil
}

// namesOf lists what erasures look for, or under what names their people reappeared.
func namesOf(ctx context.Context, q pg.Querier, which string, erasures ...int64) ([]identity, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (i identity, err error) {
		return i, row.Scan(&i.kind, &i.value)
	}, `SELECT kind, value FROM erasure_terms WHERE erasure_id = ANY($1) AND `+which, erasures)
}

// begin begins an erasure, or the person's one again: then all of its tombstones
// are as of now.
func (f *erasureFilter) begin(ctx context.Context, p Erasing) (x erasure, err error) {
	defer pg.Wrap(&err, "store.erasureFilter.begin")
	ts, err := f.loadToErase(ctx)
	if err != nil {
		return x, err
	}
	x.store = p.Store
	err = f.tx.QueryRow(ctx, `
		UPDATE erasures
		SET
			erased_at = clock_timestamp(),
			moved_at = clock_timestamp(),
			finished_at = NULL
		WHERE id = (SELECT erasure_id FROM erased WHERE hash = $1 AND store_id = $2)
		RETURNING id, person, erased_at`, ts.hash(p.seed()), p.Store).Scan(&x.id, &x.person, &x.at)
	if errors.Is(err, pgx.ErrNoRows) {
		return x, f.tx.QueryRow(ctx, `
			INSERT INTO erasures (person, store_id, erased_at, moved_at)
			VALUES ($1, $2, clock_timestamp(), clock_timestamp())
			RETURNING id, person, erased_at`, anonymousPrefix+strings.ToLower(rand.Text()[:20]), p.Store).Scan(
			&x.id, &x.person, &x.at)
	}
	if err == nil {
		if _, err = f.tx.Exec(ctx, `UPDATE erased SET erased_at = $2 WHERE erasure_id = $1`, x.id, x.at); err == nil {
			_, err = f.tx.Exec(ctx, boughtSQL, x.id, x.tombstone().address())
		}
	}
	return x, err
}

// boughtSQL has an erasure look for what its person bought before: that is kept
// under the pseudonym, which leads to no events.
var boughtSQL = `
	INSERT INTO erasure_terms (erasure_id, kind, value)` + UnionAll(func(k FactKind) string {
	if k.buyers == nil { // its key has the pseudonym
		return ""
	}
	return `
	SELECT $1::bigint, 'object', ` + k.Key[0] + ` || '/' || ` + k.Key[1] + ` FROM ` + k.Table +
		` WHERE customer_email = $2 OR email = $2`
}) + `
	ON CONFLICT DO NOTHING`

// erase makes the tombstones of an erasure for all that its person is known by, and
// notes in clear that it is to be looked for. globalLock is held.
func (f *erasureFilter) erase(ctx context.Context, x erasure, ids []identity) (err error) {
	defer pg.Wrap(&err, "store.erasureFilter.erase(%d, %d)", x.id, len(ids))
	ts, err := f.loadToErase(ctx)
	if err != nil {
		return err
	}
	kinds, values := kindsAndValues(ids)
	if _, err := f.tx.Exec(ctx, `
		INSERT INTO erasure_terms (erasure_id, kind, value)
		SELECT DISTINCT $1::bigint, kind, value
		FROM unnest($2::text[], $3::text[]) AS i(kind, value)
		ON CONFLICT (erasure_id, kind, value) DO UPDATE SET anew = false`, x.id, kinds, values); err != nil {
		return err
	}
	if err := ts.find(ctx, f.tx, ids); err != nil {
		return err
	}
	if x.store != "" {
		if ids, err = f.eraseInStore(ctx, x, ids); err != nil {
			return err
		}
	}
	found := discoveries{}
	for _, i := range ids {
		found[i] = x.tombstone()
	}
	_, err = f.add(ctx, found, false)
	return err
}

// eraseInStore makes the tombstones of addresses in a store, and of the anonymous
// user that the facts there are of from now on. It returns what is erased
// everywhere: the customers of the store's own Stripe account. What else the person
// is known by stays theirs.
func (f *erasureFilter) eraseInStore(ctx context.Context, x erasure, ids []identity) (
	everywhere []identity, err error) {
	var batch pgx.Batch
	for _, email := range valuesOf(anAddress, ids) {
		batch.Queue(`
			INSERT INTO erased (hash, store_id, kind, erasure_id, erased_at)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (hash, store_id) DO UPDATE SET erased_at = EXCLUDED.erased_at`,
			f.tombstones.hash(identity{anAddress, email}), x.store, anAddress, x.id, x.at)
	}
	batch.Queue(`
		INSERT INTO users (id, email, version, deleted_version)
		VALUES ($1, $2, $1, '')
		ON CONFLICT DO NOTHING`, x.person, x.tombstone().address())
	if err := f.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, err
	}
	return ofOwnAccount(ctx, f.tx, x.store, ids)
}

// ofOwnAccount leaves the Stripe customers of a store's Connect account, if no
// other store has that account.
func ofOwnAccount(ctx context.Context, tx pgx.Tx, store string, ids []identity) ([]identity, error) {
	accounts, err := queryAll(ctx, tx, pgx.RowTo[string], `
		SELECT stripe_account_id
		FROM stores
		WHERE stripe_account_id IN (SELECT stripe_account_id FROM stores WHERE id = $1 AND stripe_account_id <> '')
		GROUP BY stripe_account_id
		HAVING count(*) = 1`, store)
	return slices.DeleteFunc(slices.Clone(ids), func(i identity) bool {
		account, _, _ := strings.Cut(i.value, "/")
		return i.kind != aStripeCustomer || !slices.Contains(accounts, account)
	}), err
}
